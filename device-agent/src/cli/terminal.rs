//! Asks the person, by plain lines on standard input; what must not be seen, on the terminal.

mod hidden;

use std::{
    io::{self, BufRead as _, Write as _},
    thread,
};

use tokio::sync::mpsc::{self, UnboundedReceiver};

pub(crate) use self::hidden::ask_hidden;
use super::Failure;

/// One line, without the spaces around it. At the end of the input: nothing was typed.
pub(crate) fn ask(question: &str) -> Result<String, Failure> {
    let read = || -> io::Result<String> {
        let mut error_stream = io::stderr().lock();
        write!(error_stream, "{question}")?;
        error_stream.flush()?;
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line)?;
        Ok(line.trim().to_owned())
    };
    read().map_err(|error| Failure::Read("the terminal".to_owned(), error))
}

/// Whether the person says yes. Anything else is a no.
pub(crate) fn agrees(question: &str) -> Result<bool, Failure> {
    let answer = ask(question)?.to_lowercase();
    Ok(answer == "y" || answer == "yes")
}

/// The lines that are typed, without the spaces around them, until the input ends.
pub(crate) fn lines() -> UnboundedReceiver<String> {
    let (typed, lines) = mpsc::unbounded_channel();
    // A thread of its own, which nobody waits for: reading a terminal cannot be broken off.
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if typed.send(line.trim().to_owned()).is_err() {
                return;
            }
        }
    });
    lines
}
