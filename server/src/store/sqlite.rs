//! The embedded store: one SQLite file, or memory in tests.
//!
//! One thread writes and shares each commit among all who wait; whoever asks reads. The command line opens
//! the same file beside a running server.

mod admission;
mod allowances;
mod applications;
mod backup;
mod challenges;
mod codes;
mod columns;
mod connection;
mod devices;
mod enrollments;
mod failure;
mod hold_copies;
mod inspection;
mod job;
mod lock;
mod notes;
mod readers;
mod schema;
mod secrets;
mod writer;

use std::{
    num::NonZero,
    path::Path,
    sync::{Arc, atomic::AtomicI64},
    time::Duration,
};

use countersign_domain::UnixTime;
use rusqlite::Connection;

pub use self::schema::Contents;
pub use self::{
    backup::{BackupError, back_up},
    connection::OpenError,
    inspection::{Inspection, InspectionError},
    lock::{DataDirectory, DirectoryError, DirectoryLock, Occupants},
};
use self::{connection::Opener, failure::Outcome, job::Task, notes::Notes, readers::Readers, writer::Writer};
use super::{StoreError, StoreFuture};
use crate::clock::SharedClock;

/// Connections that read beyond one for each thread that the machine can run at once.
const SPARE_READERS: usize = 2;

/// The embedded store. Dropping it writes what is queued and closes the file.
pub struct SqliteStore {
    // Before the writer: the last connection to be closed copies the log into the database.
    readers: Option<Readers>,
    writer: Writer,
    is_new: bool,
    notes: Arc<Notes>,
    /// The user record at which cleaning goes on.
    cleaned_users_to: AtomicI64,
}

/// How the embedded store runs.
pub struct Options {
    /// Operations that may wait to be written; one more is [`StoreError::Busy`].
    pub queue: usize,
    /// How long to wait for another process that writes.
    pub busy_timeout: Duration,
    /// Whether a database of an older layout is brought up to date; otherwise it is refused. Only who has the data
    /// directory may do it: a server of the older version could work with it no more.
    pub migrate: bool,
    /// Called after a sync has failed and been logged: what the system then still holds in memory is not what
    /// the disk will have, so nobody may be answered from it. The default ends the process with status 74
    /// (`EX_IOERR`); the next start recovers what was safe.
    pub on_sync_failure: Box<dyn Fn() + Send>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            queue: 8192,
            busy_timeout: Duration::from_secs(5),
            migrate: true,
            on_sync_failure: Box::new(|| std::process::exit(74)),
        }
    }
}

impl SqliteStore {
    /// Opens the database at `path`, and makes it when it is missing.
    pub fn open(path: &Path, clock: SharedClock, options: Options) -> Result<Self, OpenError> {
        Self::start(Some(path), clock, options)
    }

    /// A store that is gone with the process. Reads go through the thread that writes.
    pub fn open_in_memory(clock: SharedClock, options: Options) -> Result<Self, OpenError> {
        Self::start(None, clock, options)
    }

    fn start(path: Option<&Path>, clock: SharedClock, options: Options) -> Result<Self, OpenError> {
        let opener = Opener { path, busy_timeout: options.busy_timeout, migrate: options.migrate };
        let io = |source| OpenError::Io { path: opener.shown(), source };
        let (connection, is_new) = opener.writer()?;
        let readers = if path.is_some() {
            let readers = std::thread::available_parallelism().map_or(1, NonZero::get) + SPARE_READERS;
            let connections = (0..readers).map(|_| opener.reader()).collect::<Result<_, _>>()?;
            Some(Readers::new(connections, Arc::clone(&clock)))
        } else {
            None
        };
        let writer = Writer::start(connection, clock, options.queue, options.on_sync_failure).map_err(io)?;
        Ok(Self {
            readers,
            writer,
            is_new,
            notes: Arc::default(),
            cleaned_users_to: AtomicI64::new(i64::MIN),
        })
    }

    /// Whether opening it made the database: a first start.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Proves that it can be read and written: reads, and commits a change to the file's header.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.read("ping", |connection, _| Ok(connection.query_row("SELECT 1", [], |_| Ok(()))?)).await?;
        let write = |connection: &Connection, _| {
            Ok(connection.pragma_update(None, "user_version", schema::VERSION)?)
        };
        self.write("ping", write).await
    }

    /// Runs `work` in the thread that writes, in a transaction. Answers once it is committed and synced.
    fn write<T, F>(&self, name: &'static str, work: F) -> StoreFuture<'_, T>
    where
        T: Send + 'static,
        F: FnMut(&Connection, UnixTime) -> Outcome<T> + Send + 'static,
    {
        Box::pin(async move {
            let (job, answer) = Task::queued(name, work);
            self.writer.submit(job)?;
            answer.await.unwrap_or(Err(StoreError::Unavailable))
        })
    }

    /// Lets `work`, which only informs, be done along with others' operations, or within a tenth of a second. It is on
    /// its way when this returns; nobody can wait for it.
    fn note<F>(&self, name: &'static str, work: F) -> StoreFuture<'_, ()>
    where
        F: FnMut(&Connection, UnixTime) -> Outcome<()> + Send + 'static,
    {
        let (job, _) = Task::queued(name, work);
        Box::pin(std::future::ready(self.writer.submit_unhurried(job)))
    }

    /// Runs `work`, which only reads, in one statement: all that it sees is from one moment and synced.
    fn read<T, F>(&self, name: &'static str, work: F) -> StoreFuture<'_, T>
    where
        T: Send + 'static,
        F: FnMut(&Connection, UnixTime) -> Outcome<T> + Send + 'static,
    {
        self.read_by(name, work, Readers::read)
    }

    /// [`Self::read`] in several statements, which see one moment all the same.
    fn read_together<T, F>(&self, name: &'static str, work: F) -> StoreFuture<'_, T>
    where
        T: Send + 'static,
        F: FnMut(&Connection, UnixTime) -> Outcome<T> + Send + 'static,
    {
        self.read_by(name, work, Readers::read_together)
    }

    fn read_by<T, F>(
        &self,
        name: &'static str,
        work: F,
        by: fn(&Readers, &'static str, F) -> Result<T, StoreError>,
    ) -> StoreFuture<'_, T>
    where
        T: Send + 'static,
        F: FnMut(&Connection, UnixTime) -> Outcome<T> + Send + 'static,
    {
        Box::pin(async move {
            if let Some(readers) = &self.readers {
                return by(readers, name, work);
            }
            // The thread that writes is in a transaction anyway.
            let (job, answer) = Task::queued(name, work);
            self.writer.submit(job)?;
            answer.await.unwrap_or(Err(StoreError::Unavailable))
        })
    }
}
