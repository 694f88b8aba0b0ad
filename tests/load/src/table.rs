//! What is printed in the end.

use std::{fmt::Write as _, time::Duration};

use crate::{
    benchmark::{Measured, Memory, Streams},
    command::Report,
    installation::Usages,
    options::Options,
    percentiles::Percentiles,
    process::Usage,
};

const LABEL_CHARS: usize = 52;
const COLUMN_CHARS: usize = 14;

/// A line for each figure, a column for each store.
pub fn of(all: &[Measured], options: &Options) -> String {
    let mut table = Table { all, text: String::new() };
    table.line("", |measured| measured.store.to_owned());
    let rate = format!("At {} logins/s for {} s", options.rate, options.seconds);
    table.logins(&rate, |measured| &measured.at_rate);
    let most = format!("With {} logins under way for {} s", options.in_flight, options.seconds);
    table.logins(&most, |measured| &measured.at_most);
    let by_code = format!("By TOTP codes, with {} logins under way, two of each user", options.in_flight);
    table.logins(&by_code, |measured| &measured.by_code);
    table.heading("Memory");
    table.line("server, resident (MiB)", |m| mebibytes(m.at_rate.1.server));
    table.line("Redis, resident (MiB)", |m| mebibytes(m.at_rate.1.redis));
    let count = all.iter().find_map(|measured| measured.memory).map_or(0, |memory| memory.count);
    table.memory(&format!("a pending challenge, stored (bytes, of {count})"), |m| m.stored_bytes.to_string());
    table.memory("a pending challenge, in the server (bytes)", |m| m.challenge_bytes.to_string());
    table.memory("a call that waits, in the server (bytes)", |m| m.waiter_bytes.to_string());
    table.memory("all withdrawn and told (ms)", |m| m.woken_in.as_millis().to_string());
    table.streams();
    table.floor();
    table.text
}

struct Table<'a> {
    all: &'a [Measured],
    text: String,
}

impl Table<'_> {
    fn heading(&mut self, heading: &str) {
        self.text.push('\n');
        self.text.push_str(heading);
        self.text.push('\n');
    }

    fn line(&mut self, label: &str, figure: impl Fn(&Measured) -> String) {
        write!(self.text, "{label:LABEL_CHARS$}").expect("a text takes it");
        for measured in self.all {
            write!(self.text, "{:>COLUMN_CHARS$}", figure(measured)).expect("a text takes it");
        }
        self.text.push('\n');
    }

    fn logins(&mut self, heading: &str, part: impl Fn(&Measured) -> &(Report, Usages)) {
        self.heading(heading);
        self.line("full logins/s", |m| format!("{:.0}", part(m).0.per_second()));
        self.line("failed", |m| part(m).0.failed.to_string());
        self.line("whole login, p50 / p99 (ms)", |m| pair(part(m).0.whole));
        self.line("whole login, p99.9 / longest (ms)", |m| last_pair(part(m).0.whole));
        self.line("asked to decided, p50 / p99 (ms)", |m| pair(part(m).0.decided));
        self.line("asked to decided, p99.9 / longest (ms)", |m| last_pair(part(m).0.decided));
        self.line("server CPU (us a login)", |m| each(part(m), |used| used.server));
        self.line("Redis CPU (us a login)", |m| each(part(m), |used| used.redis));
        self.line("generator's CPU (us a login)", |m| each(part(m), |used| used.generator));
        self.line("APNs stand-in's CPU (us a login)", |m| each(part(m), |used| used.stand_in));
        self.line("CPU that others took (% of the machine)", |m| {
            format!("{:.0}", part(m).1.others() * 100.0)
        });
        for measured in self.all {
            if let Some(failure) = &part(measured).0.failure {
                writeln!(self.text, "{}: the first failure: {failure}", measured.store)
                    .expect("a text takes it");
            }
        }
    }

    fn memory(&mut self, label: &str, figure: impl Fn(Memory) -> String) {
        if self.all.iter().any(|measured| measured.memory.is_some()) {
            self.line(label, |measured| measured.memory.map_or_else(String::new, &figure));
        }
    }

    fn streams(&mut self) {
        let Some(count) = self.all.iter().find_map(|measured| measured.streams).map(|streams| streams.count)
        else {
            return;
        };
        self.heading(&format!("With {count} open streams"));
        let mut line = |label: &str, of: fn(&Measured) -> Option<Streams>, figure: fn(Streams) -> String| {
            self.line(label, |measured| of(measured).map_or_else(dash, figure));
        };
        let (devices, backends) = (|m: &Measured| m.streams, |m: &Measured| m.watches);
        line("an open Subscribe, in the server (bytes)", devices, |s| s.bytes.to_string());
        line("a challenge for each, all told (ms)", devices, |s| s.told_in.as_millis().to_string());
        line("server CPU (us a challenge and event)", devices, |s| micros(s.used.server.cpu / s.count));
        line("an open WatchChallenge, in the server (bytes)", backends, |s| s.bytes.to_string());
        line("each challenge withdrawn, all told (ms)", backends, |s| s.told_in.as_millis().to_string());
        line("server CPU (us a withdrawal and event)", backends, |s| micros(s.used.server.cpu / s.count));
    }

    fn floor(&mut self) {
        self.heading("The floor, measured beside it");
        self.line("Health/Check: calls/s", |m| format!("{:.0}", m.health.0.per_second()));
        self.line("Health/Check: server CPU (us a call)", |m| each(&m.health, |used| used.server));
        self.line("GetApplication: server CPU (us a call)", |m| each(&m.application, |used| used.server));
        self.line("a 4 KiB page written and synced, p50 / p99 (ms)", |m| pair(m.synced_page));
        self.line("Redis PING, p50 (us)", |m| m.ping.map_or_else(dash, |p| micros(p.p50)));
        self.line("Ed25519: sign / verify (us)", |m| {
            format!("{} / {}", micros(m.signature.0), micros(m.signature.1))
        });
        self.line("a login's server CPU in Health/Checks", |m| {
            let each = |(report, used): &(Report, Usages)| {
                used.server.cpu.as_secs_f64() / f64::from(report.done.max(1))
            };
            format!("{:.1}", each(&m.at_rate) / each(&m.health).max(f64::MIN_POSITIVE))
        });
    }
}

fn each((report, used): &(Report, Usages), of: impl Fn(&Usages) -> Usage) -> String {
    if report.done == 0 || of(used) == Usage::default() {
        return dash();
    }
    micros(of(used).cpu / report.done)
}

fn pair(percentiles: Percentiles) -> String {
    format!("{} / {}", millis(percentiles.p50), millis(percentiles.p99))
}

fn last_pair(percentiles: Percentiles) -> String {
    format!("{} / {}", millis(percentiles.p999), millis(percentiles.max))
}

fn millis(duration: Duration) -> String {
    let decimals = usize::from(duration < Duration::from_millis(10));
    format!("{:.decimals$}", duration.as_secs_f64() * 1e3)
}

fn micros(duration: Duration) -> String {
    format!("{:.0}", duration.as_secs_f64() * 1e6)
}

fn mebibytes(usage: Usage) -> String {
    if usage == Usage::default() { dash() } else { (usage.resident_bytes >> 20).to_string() }
}

fn dash() -> String {
    "-".to_owned()
}
