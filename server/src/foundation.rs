//! What the server and the command line both stand on: the data directory, the master key, the store.

use std::{path::Path, sync::Arc, time::Duration};

use tokio::time::{Instant, interval};

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
    directory: DataDirectory,
}

/// How long a server that shares the directory waits for another one's first start.
const SHARE_WITHIN: Duration = Duration::from_secs(5);
/// How often it looks meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(50);

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
    /// A server whose challenges lie elsewhere, beside others of the kind. At a first start, and while it brings an older
    /// database up to date, it has the directory for itself until [`Foundation::share`].
    SharingServer,
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
        let is_shared = opener == Opener::SharingServer && !is_first;
        let lock = match opener {
            Opener::CommandLine if !is_first => None,
            Opener::SharingServer if is_shared => Some(directory.lock_shared()?),
            Opener::Server | Opener::SharingServer | Opener::CommandLine => Some(directory.lock_exclusive()?),
        };
        // Before the database: a start that is cut off in between finds the key, and no data without it.
        let keyring = Keyring::load_or_create(master_key_file, random, is_first)?;
        // Servers of the older version may share the directory: under them its layout must not change.
        let options = Options { migrate: lock.is_some() && !is_shared, ..Options::default() };
        let store = SqliteStore::open(&directory.database(), clock, options)?;
        Ok(Self { store: Arc::new(store), keyring: Arc::new(keyring), lock, directory })
    }

    /// [`Self::open`] as a [`Opener::SharingServer`]. While another server's first start has the directory for
    /// itself, this one waits for it, 5 s at most; as long for older servers to end, where the database is an older one.
    pub async fn open_sharing(
        data_dir: &Path,
        master_key_file: &Path,
        clock: SharedClock,
        random: SharedRandom,
    ) -> Result<Self, FoundationError> {
        let deadline = Instant::now() + SHARE_WITHIN;
        let mut looks = interval(LOOK_EVERY);
        let (mut opener, mut older) = (Opener::SharingServer, None);
        loop {
            looks.tick().await;
            let (clock, random) = (Arc::clone(&clock), Arc::clone(&random));
            let is_late = Instant::now() >= deadline;
            match Self::open(data_dir, master_key_file, opener, clock, random) {
                // It is brought up to date by who has the directory for itself.
                Err(error @ FoundationError::Store(OpenError::OlderSchema { .. })) if !is_late => {
                    (opener, older) = (Opener::Server, Some(error));
                }
                Err(FoundationError::Directory(DirectoryError::InUse(_))) if !is_late => {
                    opener = Opener::SharingServer;
                }
                Err(FoundationError::Directory(DirectoryError::InUse(path))) => {
                    let in_use = FoundationError::Directory(DirectoryError::InUse(path));
                    return Err(older.unwrap_or(in_use));
                }
                outcome => return outcome,
            }
        }
    }

    /// The directory itself: which servers run on it can be looked up at any time.
    pub fn directory(&self) -> &DataDirectory {
        &self.directory
    }

    /// Lets other servers in that share the directory, now that the keys are made.
    pub fn share(&mut self) -> Result<(), FoundationError> {
        if let Some(lock) = self.lock.take() {
            self.lock = Some(lock.share(&self.directory)?);
        }
        Ok(())
    }
}
