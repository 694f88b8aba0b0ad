//! What a process has used, as /proc tells it (proc(5)).

use std::{fs, time::Duration};

use crate::Failure;

/// Ticks of `utime` and `stime` in a second: `USER_HZ`, which Linux holds at 100 towards user space on all
/// machines that this is built for.
const TICKS_PER_SECOND: u32 = 100;

/// What one process has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// In user space and in the kernel, of all threads.
    pub cpu: Duration,
    /// In RAM now (`VmRSS`).
    pub resident_bytes: u64,
}

impl Usage {
    /// Of the process `id`, now.
    pub fn of(id: u32) -> Result<Self, Failure> {
        let read = |name| {
            let path = format!("/proc/{id}/{name}");
            fs::read_to_string(&path).map_err(|error| Failure::from(format!("{path}: {error}")))
        };
        let cpu = cpu(&read("stat")?).ok_or("/proc: stat is not as expected")?;
        let resident_bytes = resident(&read("status")?).ok_or("/proc: status is not as expected")?;
        Ok(Self { cpu, resident_bytes })
    }
}

/// What the whole machine has done so far, all cores together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// Time that its cores were there for.
    pub all: Duration,
    /// Of that, what somebody worked in, or another machine on the same hardware took away.
    pub busy: Duration,
}

impl Machine {
    /// Now.
    pub fn now() -> Result<Self, Failure> {
        let stat = fs::read_to_string("/proc/stat")?;
        machine(&stat).ok_or_else(|| "/proc/stat is not as expected".into())
    }
}

/// The first line: user, nice, system, idle, iowait, irq, softirq, steal, and what is counted in these already.
fn machine(stat: &str) -> Option<Machine> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Option<Vec<u64>> =
        line.split_ascii_whitespace().take(8).map(|ticks| ticks.parse().ok()).collect();
    let ticks = ticks.filter(|ticks| ticks.len() == 8)?;
    let all: u64 = ticks.iter().sum();
    let time = |ticks: u64| Duration::from_millis(ticks * 1000 / u64::from(TICKS_PER_SECOND));
    Some(Machine { all: time(all), busy: time(all - ticks[3] - ticks[4]) })
}

/// Fields 14 and 15. The name before them is in brackets, and may have spaces and brackets in it.
fn cpu(stat: &str) -> Option<Duration> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    Some(Duration::from_secs(1) * (ticks()? + ticks()?) / TICKS_PER_SECOND)
}

fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_process_moves_no_field() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 1200 0 3 0 150 25 9 9 20 0 4 0 100 1 2";
        assert_eq!(cpu(stat), Some(Duration::from_millis(1750)));
        assert_eq!(cpu("7 (short) S 1"), None);
    }

    #[test]
    fn resident_memory_is_told_in_kibibytes() {
        assert_eq!(resident("Name:\tx\nVmPeak:\t 9 kB\nVmRSS:\t  300 kB\n"), Some(300 * 1024));
        assert_eq!(resident("Name:\tx\n"), None);
    }

    #[test]
    fn a_machine_that_waits_for_its_disk_is_not_busy() {
        let stat = "cpu  100 0 50 700 100 0 0 50 7 7\ncpu0 1 2\n";
        let machine = machine(stat).expect("as it should be");
        assert_eq!((machine.all, machine.busy), (Duration::from_secs(10), Duration::from_secs(2)));
    }

    #[test]
    fn this_process_uses_memory() {
        assert!(Usage::of(std::process::id()).expect("it runs").resident_bytes > 0);
    }
}
