//! What the device keeps: one file for each account, with its key; with a passphrase, a file for that.

mod encoding;
mod files;
mod key_file;
mod open_accounts;
mod passphrase;
mod record;
mod sealing;
mod store;

pub(crate) use encoding::{Bytes, SecretKey};
pub use passphrase::{Passphrase, PassphraseFault};
pub(crate) use record::{Identity, Record, Totp};
pub(crate) use store::{Opened, SealedStore, Store};

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
    /// The passphrase's own file is damaged, or asks for more than is allowed.
    #[error(
        "{} is damaged or of another version: {problem}; put it back from a backup, because the accounts here open \
         with no other",
        path.display()
    )]
    KeyDamaged {
        /// The file.
        path: PathBuf,
        /// What was found and what is allowed.
        problem: String,
    },
    /// It was sealed by a passphrase, whose own file is gone.
    #[error("{} is sealed by a passphrase, and data-key beside it is missing: put that back from a backup", path.display())]
    KeyMissing {
        /// The sealed file.
        path: PathBuf,
    },
    /// Files of two backups lie together.
    #[error(
        "{} is sealed by another data key than the one in data-key beside it: put both back from the same backup",
        path.display()
    )]
    OtherKey {
        /// The sealed file.
        path: PathBuf,
    },
    /// A passphrase seals the accounts: unlock the directory.
    #[error("the accounts in {} are locked by a passphrase", directory.display())]
    Locked {
        /// The state directory.
        directory: PathBuf,
    },
    /// Nothing was changed.
    #[error("this is not the passphrase of {}, or data-key there was changed", directory.display())]
    WrongPassphrase {
        /// The state directory.
        directory: PathBuf,
    },
    /// The passphrase counts, and whoever unlocks next goes on with sealing.
    #[error(
        "the passphrase is in force, but not every account is sealed yet: {source}; keep the passphrase, and the next \
         command that it unlocks goes on with sealing"
    )]
    SealingUnfinished {
        /// What stopped it.
        source: Box<StateFault>,
    },
    /// Open the directory again.
    #[error("the passphrase of {} was set, changed or removed meanwhile: start again", directory.display())]
    PassphraseChanged {
        /// The state directory.
        directory: PathBuf,
    },
    /// Neither a state directory nor a home directory is known.
    #[error("no place to keep keys is known: give --state-dir, or set XDG_STATE_HOME or HOME")]
    NoDirectory,
}
