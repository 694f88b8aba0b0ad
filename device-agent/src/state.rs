//! What the device keeps: one file for each account, with its key.

mod encoding;
mod record;
mod store;

pub(crate) use encoding::{Bytes, SecretKey};
pub(crate) use record::{Identity, Record, Totp};
pub(crate) use store::Store;

use std::{io, path::PathBuf};

/// What is wrong with the state directory or a file in it. Never holds a file's content.
#[derive(Debug, thiserror::Error)]
pub enum StateFault {
    /// The operating system says no.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Keys lie there, and others may come to them.
    #[error(
        "{} is open to other users (mode {mode:03o}), and private keys lie in it: allow its owner only \
         (chmod {allowed:03o}), and enrol anew if others may have read it",
        path.display()
    )]
    OpenToOthers {
        /// The directory or file.
        path: PathBuf,
        /// The permission bits as they are.
        mode: u32,
        /// The permission bits as they must be.
        allowed: u32,
    },
    /// Not a state file of this version, or damaged.
    #[error("{} is damaged or of another version: {problem}; move it away and enrol anew", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found, without any of the file's content.
        problem: String,
    },
    /// Neither a state directory nor a home directory is known.
    #[error("no place to keep keys is known: give --state-dir, or set XDG_STATE_HOME or HOME")]
    NoDirectory,
}
