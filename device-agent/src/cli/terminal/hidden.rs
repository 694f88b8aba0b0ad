//! Asks for what must not be seen on the screen.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    process, thread,
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
    fn new(terminal: File) -> io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        end_at_signals(terminal.try_clone()?, before.clone())?;
        let mut hiding = before.clone();
        hiding.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&terminal, OptionalActions::Flush, &hiding)?;
        Ok(Self { terminal, before })
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
        // The terminal may have gone away.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

/// From now on a signal that ends this process gives the terminal back first.
fn end_at_signals(terminal: File, before: Termios) -> io::Result<()> {
    let [mut interrupted, mut ended, mut hung_up] =
        [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?];
    tokio::spawn(async move {
        let number = tokio::select! {
            _ = interrupted.recv() => SignalKind::interrupt(),
            _ = ended.recv() => SignalKind::terminate(),
            _ = hung_up.recv() => SignalKind::hangup(),
        };
        let _ = tcsetattr(&terminal, OptionalActions::Now, &before);
        // What a shell tells of a process that a signal ended.
        process::exit(128 + number.as_raw_value());
    });
    Ok(())
}
