//! The one thread that writes.
//!
//! It takes what has queued up, runs it in one transaction, commits, and only then answers: the cost of one
//! sync is shared by everybody who waited for it.
//!
//! With `synchronous=FULL` a commit appends its pages to the log, syncs the log, and only then publishes them
//! in the shared index of the log (`walFrames` in sqlite3.c: `sqlite3OsSync` comes before
//! `walIndexWriteHdr`). So a reader, in whatever process, never sees what a power cut could still undo.
//!
//! What only informs is in no hurry: it is written along with the next operation that somebody waits for, or within
//! a tenth of a second when nobody does. So it costs no sync of its own on a busy server.
//!
//! Checkpoints, which copy the log into the database, happen here and after the answers, never inside a
//! commit: nobody waits for them, and a failed sync of the database file is seen rather than swallowed. Once a
//! checkpoint has copied the whole log, the next commit starts at its beginning and overwrites it. The file is
//! never truncated, because syncing a file that grows costs many times what syncing overwritten pages does.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI32, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{Builder, JoinHandle},
    time::Duration,
};

use rusqlite::Connection;

use super::{
    failure::{Failure, Outcome},
    job::Job,
};
use crate::{clock::SharedClock, store::StoreError};

/// Operations that share one commit at most.
const MOST_IN_A_COMMIT: usize = 512;
/// Pages in the log (4 KiB each) from which on it is copied into the database.
const CHECKPOINT_PAGES: i32 = 2000;

/// How long what is in no hurry waits for company.
const COMPANY_WITHIN: Duration = Duration::from_millis(100);

/// Called when a sync has failed, which nothing survives.
pub(super) type OnSyncFailure = Box<dyn Fn() + Send>;

/// The thread that writes, and the queue before it.
pub(super) struct Writer {
    queue: Option<SyncSender<Message>>,
    unhurried: Arc<Unhurried>,
    most_unhurried: usize,
    thread: Option<JoinHandle<()>>,
}

/// What the thread is sent.
enum Message {
    /// Somebody waits for this.
    Job(Box<dyn Job>),
    /// There is something that is in no hurry.
    Unhurried,
}

/// What is in no hurry.
#[derive(Default)]
struct Unhurried(Mutex<Vec<Box<dyn Job>>>);

impl Unhurried {
    fn take(&self) -> Vec<Box<dyn Job>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Writer {
    /// Starts the thread. `queue` operations may wait.
    pub(super) fn start(
        mut connection: Connection,
        clock: SharedClock,
        queue: usize,
        on_sync_failure: OnSyncFailure,
    ) -> Result<Self, std::io::Error> {
        let log_pages = Arc::new(AtomicI32::new(0));
        let counted = Arc::clone(&log_pages);
        let count = move |_: &mut rusqlite::hooks::Wal, pages| {
            counted.store(pages, Ordering::Relaxed);
            Ok(())
        };
        connection.wal_hook(Some(count)).map_err(std::io::Error::other)?;
        let (sender, messages) = sync_channel(queue);
        let unhurried = Arc::<Unhurried>::default();
        let thread =
            Thread { connection, clock, log_pages, unhurried: Arc::clone(&unhurried), on_sync_failure };
        let thread = Builder::new().name("sqlite-writer".into()).spawn(move || thread.run(&messages))?;
        Ok(Self { queue: Some(sender), unhurried, most_unhurried: queue, thread: Some(thread) })
    }

    /// Puts a job into the queue.
    pub(super) fn submit(&self, job: Box<dyn Job>) -> Result<(), StoreError> {
        self.send(Message::Job(job))
    }

    /// Puts a job aside that is in no hurry. It is done before any job that is submitted later.
    pub(super) fn submit_unhurried(&self, job: Box<dyn Job>) -> Result<(), StoreError> {
        let is_first = {
            let mut unhurried = self.unhurried.0.lock().unwrap_or_else(PoisonError::into_inner);
            if unhurried.len() >= self.most_unhurried {
                return Err(StoreError::Busy);
            }
            unhurried.push(job);
            unhurried.len() == 1
        };
        match is_first.then(|| self.send(Message::Unhurried)) {
            // A thread that has so much to do takes it along.
            None | Some(Ok(()) | Err(StoreError::Busy)) => Ok(()),
            Some(Err(error)) => Err(error),
        }
    }

    fn send(&self, message: Message) -> Result<(), StoreError> {
        let queue = self.queue.as_ref().ok_or(StoreError::Unavailable)?;
        queue.try_send(message).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Disconnected(_) => StoreError::Unavailable,
        })
    }
}

impl Drop for Writer {
    /// What is queued is still written; then the database is closed.
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            // It does not panic; and if it did, there would be nobody left to tell.
            let _ = thread.join();
        }
    }
}

struct Thread {
    connection: Connection,
    clock: SharedClock,
    log_pages: Arc<AtomicI32>,
    unhurried: Arc<Unhurried>,
    on_sync_failure: OnSyncFailure,
}

impl Message {
    fn job(self) -> Option<Box<dyn Job>> {
        match self {
            Self::Job(job) => Some(job),
            Self::Unhurried => None,
        }
    }
}

/// Why a transaction was not made.
enum Abandoned {
    /// It could not begin.
    Begin(Failure),
    /// One of the operations failed.
    Operation(Failure),
    /// The commit failed: whether it happened is not known.
    Commit(Failure),
}

/// A sync failed: this thread must write no more.
struct SyncFailed;

impl Thread {
    fn run(self, messages: &Receiver<Message>) {
        loop {
            let first = messages.recv();
            let is_last = first.is_err();
            let first = match first {
                Ok(Message::Unhurried) => messages.recv_timeout(COMPANY_WITHIN).ok(),
                first => first.ok(),
            };
            let hurried = first.into_iter().chain(messages.try_iter().take(MOST_IN_A_COMMIT - 1));
            let hurried: Vec<_> = hurried.filter_map(Message::job).collect();
            // After the queue, so that whatever was put aside before a job is taken with it; and before it.
            let mut batch = self.unhurried.take();
            batch.extend(hurried);
            if !batch.is_empty() && self.process(batch).and_then(|()| self.checkpoint()).is_err() || is_last {
                return;
            }
        }
    }

    fn process(&self, mut batch: Vec<Box<dyn Job>>) -> Result<(), SyncFailed> {
        let abandoned = match self.transact(&mut batch) {
            Ok(()) => {
                for job in batch {
                    job.answer(Ok(()));
                }
                return Ok(());
            }
            Err(abandoned) => abandoned,
        };
        if let Abandoned::Operation(failure) = &abandoned
            && batch.len() > 1
            && !failure.concerns_all()
        {
            // One of them is at fault; the others shall not suffer for it, and not wait for a sync each.
            let second_half = batch.split_off(batch.len() / 2);
            return self.process(batch).and_then(|()| self.process(second_half));
        }
        self.refuse(batch, abandoned)
    }

    fn refuse(&self, batch: Vec<Box<dyn Job>>, abandoned: Abandoned) -> Result<(), SyncFailed> {
        let (failure, error) = match abandoned {
            Abandoned::Begin(failure) if failure.is_busy() => (failure, StoreError::Busy),
            Abandoned::Begin(failure) | Abandoned::Operation(failure) | Abandoned::Commit(failure) => {
                (failure, StoreError::Unavailable)
            }
        };
        failure.log(batch.first().map_or("", |job| job.name()), batch.len());
        // Before anybody is answered: it may end the process.
        let result = self.end_if_unsynced(&failure);
        for job in batch {
            job.answer(Err(error));
        }
        result
    }

    fn end_if_unsynced(&self, failure: &Failure) -> Result<(), SyncFailed> {
        if failure.is_failed_sync() {
            (self.on_sync_failure)();
            return Err(SyncFailed);
        }
        Ok(())
    }

    /// Runs all in one transaction. Each gets the time once the lock is held, so that no wait for it makes
    /// the time old.
    fn transact(&self, batch: &mut [Box<dyn Job>]) -> Result<(), Abandoned> {
        self.execute("BEGIN IMMEDIATE").map_err(Abandoned::Begin)?;
        let mut jobs = batch.iter_mut();
        let ran = jobs.try_for_each(|job| job.run(&self.connection, self.clock.now()));
        let done = ran
            .map_err(Abandoned::Operation)
            .and_then(|()| self.execute("COMMIT").map_err(Abandoned::Commit));
        // Some errors have rolled back by themselves.
        if done.is_err()
            && !self.connection.is_autocommit()
            && let Err(failure) = self.execute("ROLLBACK")
        {
            failure.log("rollback", batch.len());
        }
        done
    }

    /// Copies the log into the database once it is long enough. A reader that still needs an old page makes
    /// this stop early; the next time goes on.
    fn checkpoint(&self) -> Result<(), SyncFailed> {
        if self.log_pages.load(Ordering::Relaxed) < CHECKPOINT_PAGES {
            return Ok(());
        }
        let copied = self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        match copied.map_err(Failure::from) {
            Ok(()) => Ok(()),
            Err(failure) => {
                failure.log("checkpoint", 0);
                self.end_if_unsynced(&failure)
            }
        }
    }

    fn execute(&self, sql: &'static str) -> Outcome<()> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }
}
