//! Asks for what must not be seen on the screen.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    process,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    thread,
};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};
use zeroize::Zeroizing;

use super::super::Failure;

/// More than a terminal takes for one line.
const MAX_LINE_BYTES: usize = 4096;

/// A terminal that does not show what is typed, until this is dropped.
struct Hidden {
    terminal: File,
    before: Termios,
}

/// One line that is typed at the terminal of this process, wherever standard input comes from. None: there is no
/// terminal. What was typed before the question does not count.
pub(crate) async fn ask_hidden(question: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
    let Ok(terminal) = File::options().read(true).write(true).open("/dev/tty") else { return Ok(None) };
    let question = question.to_owned();
    let read = async {
        let hidden = Hidden::new(terminal)?;
        let (typed, line) = oneshot::channel();
        // A thread of its own, which nobody waits for: reading a terminal cannot be broken off.
        thread::spawn(move || {
            let line = hidden.ask(&question);
            // Before anybody goes on: the next question hides what is typed by itself.
            drop(hidden);
            typed.send(line)
        });
        line.await.map_err(io::Error::other)?
    };
    read.await.map(Some).map_err(|error| Failure::Read("the terminal".to_owned(), error))
}

impl Hidden {
    fn new(terminal: File) -> io::Result<Arc<Self>> {
        let before = tcgetattr(&terminal)?;
        end_at_signals()?;
        let mut without_echo = before.clone();
        without_echo.local_modes.remove(LocalModes::ECHO);
        let hidden = Arc::new(Self { terminal, before });
        *hiding() = Arc::downgrade(&hidden);
        tcsetattr(&hidden.terminal, OptionalActions::Flush, &without_echo)?;
        Ok(hidden)
    }

    fn restore(&self) {
        // The terminal may have gone away.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }

    fn ask(&self, question: &str) -> io::Result<Zeroizing<Vec<u8>>> {
        let mut terminal = &self.terminal;
        terminal.write_all(question.as_bytes())?;
        let mut line = Zeroizing::new(Vec::with_capacity(MAX_LINE_BYTES));
        let mut byte = Zeroizing::new([0]);
        // One by one: a buffer of the library's would keep what it read.
        while line.len() < MAX_LINE_BYTES && terminal.read(&mut *byte)? == 1 && byte[0] != b'\n' {
            line.push(byte[0]);
        }
        terminal.write_all(b"\n")?;
        Ok(line)
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        self.restore();
    }
}

/// From now on a signal that ends this process gives the terminal back first, if it hides what is typed just then. One
/// that this process was started to ignore (`nohup`) stays ignored. What is taken over here stays so: Tokio gives no
/// signal back.
fn end_at_signals() -> io::Result<()> {
    let ignored = ignored_signals();
    let ending = [SignalKind::interrupt(), SignalKind::quit(), SignalKind::terminate(), SignalKind::hangup()];
    for kind in ending {
        let number = kind.as_raw_value();
        if ignored >> (number - 1) & 1 == 1 {
            continue;
        }
        let mut arrived = signal(kind)?;
        tokio::spawn(async move {
            if arrived.recv().await.is_some() {
                // Later the terminal may be another program's.
                if let Some(hidden) = hiding().upgrade() {
                    hidden.restore();
                }
                // What a shell tells of a process that a signal ended.
                process::exit(128 + number);
            }
        });
    }
    Ok(())
}

/// One bit for each signal, the lowest for signal 1 (proc(5), `SigIgn`). Where the system does not tell it: none.
fn ignored_signals() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// The terminal that hides what is typed just now.
fn hiding() -> MutexGuard<'static, Weak<Hidden>> {
    static HIDING: Mutex<Weak<Hidden>> = Mutex::new(Weak::new());
    HIDING.lock().unwrap_or_else(PoisonError::into_inner)
}
