//! What the server and the command line both stand on: the data directory, the master key, the store.

use std::{path::Path, sync::Arc};

use crate::{
    clock::SharedClock,
    keyring::{Keyring, KeyringError},
    random::SharedRandom,
    store::sqlite::{DataDirectory, DirectoryError, DirectoryLock, OpenError, Options, SqliteStore},
};

/// An opened data directory.
pub struct Foundation {
    /// The store in it.
    pub store: Arc<SqliteStore>,
    /// The master key's subkeys.
    pub keyring: Arc<Keyring>,
    /// Held by a server, and by a first start until it has made the keys.
    pub lock: Option<DirectoryLock>,
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FoundationError {
    /// It cannot be opened, or another server has it.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// There is no usable master key.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The database cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
}

/// Who opens a data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opener {
    /// A server, which has it for itself.
    Server,
    /// The command line, which works beside a server.
    CommandLine,
}

impl Foundation {
    /// Opens `data_dir`. A first start makes the directory, the master key and the database, and takes the
    /// directory alone for that.
    pub fn open(
        data_dir: &Path,
        master_key_file: &Path,
        opener: Opener,
        clock: SharedClock,
        random: SharedRandom,
    ) -> Result<Self, FoundationError> {
        let directory = DataDirectory::open(data_dir)?;
        let is_first = !directory.database().exists();
        let lock = match opener {
            Opener::CommandLine if !is_first => None,
            Opener::Server | Opener::CommandLine => Some(directory.lock_exclusive()?),
        };
        // Before the database: a start that is cut off in between finds the key, and no data without it.
        let keyring = Keyring::load_or_create(master_key_file, random, is_first)?;
        let store = SqliteStore::open(&directory.database(), clock, Options::default())?;
        Ok(Self { store: Arc::new(store), keyring: Arc::new(keyring), lock })
    }
}
