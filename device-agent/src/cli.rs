//! Parses, calls the library, prints.

mod arguments;
mod commands;
mod desk;
mod json;
mod listen;
mod output;
mod passphrase;
mod push_target;
mod terminal;

use std::{path::PathBuf, process::ExitCode};

use countersign_agent::{Error, StateFault};

pub(crate) use arguments::Arguments;

/// How a command ended when it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As asked.
    Done,
    /// The person said no when asked.
    Declined,
    /// An answer was sent, but another had won.
    NotAccepted,
    /// Nobody is left to listen for; why has been told. With the exit code of the last failure.
    Ended(u8),
}

/// A command that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The library's.
    #[error(transparent)]
    Agent(#[from] Error),
    /// What was given on the command line is not enough.
    #[error("{0}")]
    Usage(&'static str),
    /// An option's value.
    #[error("--{option} {problem}")]
    Option {
        /// Without the hyphens.
        option: &'static str,
        /// What is wrong and what is allowed.
        problem: String,
    },
    /// One is needed, and there is nobody to ask.
    #[error("{0} is needed: give --{1}, or run this on a terminal and without --json")]
    NoPassphrase(&'static str, &'static str),
    /// A passphrase lies in it, and others may read it.
    #[error(
        "{} has mode {mode:04o}, so others than its owner can read the passphrase in it; allowed are 0600 and 0400: run \
         chmod 600 {}, and take another passphrase if others may have read it",
        path.display(), path.display()
    )]
    PassphraseFileOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file that was named, or the terminal.
    #[error("cannot read {0}: {1}")]
    Read(String, std::io::Error),
}

/// Runs one command, and prints its failure.
pub(crate) async fn run(arguments: Arguments) -> ExitCode {
    let json = arguments.json;
    match commands::run(arguments).await {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Declined) => ExitCode::from(1),
        Ok(Outcome::NotAccepted) => ExitCode::from(7),
        Ok(Outcome::Ended(code)) => ExitCode::from(code),
        Err(failure) => {
            output::failure(json, &failure);
            ExitCode::from(exit_code(&failure))
        }
    }
}

/// Exit codes are stable: scripts tell by them what to do.
fn exit_code(failure: &Failure) -> u8 {
    match failure {
        Failure::NoPassphrase(..) => 8,
        Failure::PassphraseFileOpen { .. } | Failure::Read(..) => 1,
        Failure::Usage(_) | Failure::Option { .. } => 2,
        Failure::Agent(error) => match error {
            Error::State(StateFault::WrongPassphrase { .. } | StateFault::Locked { .. }) => 8,
            Error::State(_) | Error::CaCertificate(_) => 1,
            Error::ChallengeNotFound(_) | Error::AccountNotFound(_) | Error::NoCodes(_) => 3,
            Error::Refused(_) => 4,
            Error::Unreachable { .. } | Error::Unintelligible { .. } => 5,
            Error::Untrusted(_) => 6,
            _ => 2,
        },
    }
}
