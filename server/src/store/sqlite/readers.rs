//! The threads that read.
//!
//! A read of a row in memory takes microseconds, one from the disk may take milliseconds: neither is done on
//! a thread that serves connections.

use std::{
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{Builder, JoinHandle},
};

use rusqlite::Connection;

use super::{failure::Outcome, job::Job};
use crate::{clock::SharedClock, store::StoreError};

/// The threads that read, each with a connection that cannot write, and the queue before them.
pub(super) struct Readers {
    queue: Option<SyncSender<Box<dyn Job>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    /// Starts a thread for each connection. `queue` reads may wait.
    pub(super) fn start(
        connections: Vec<Connection>,
        clock: &SharedClock,
        queue: usize,
    ) -> Result<Self, std::io::Error> {
        let (queue, jobs) = sync_channel(queue);
        let jobs = Arc::new(Mutex::new(jobs));
        let mut readers = Self { queue: Some(queue), threads: Vec::new() };
        for connection in connections {
            let (jobs, clock) = (Arc::clone(&jobs), Arc::clone(clock));
            let thread = Builder::new().name("sqlite-reader".into());
            readers.threads.push(thread.spawn(move || run(&connection, &clock, &jobs))?);
        }
        Ok(readers)
    }

    /// Puts a job into the queue.
    pub(super) fn submit(&self, job: Box<dyn Job>) -> Result<(), StoreError> {
        let queue = self.queue.as_ref().ok_or(StoreError::Unavailable)?;
        queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Disconnected(_) => StoreError::Unavailable,
        })
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        drop(self.queue.take());
        for thread in self.threads.drain(..) {
            // It does not panic; and if it did, there would be nobody left to tell.
            let _ = thread.join();
        }
    }
}

fn run(connection: &Connection, clock: &SharedClock, jobs: &Mutex<Receiver<Box<dyn Job>>>) {
    // The lock is held while waiting, by one reader at a time, and let go before the job is done.
    while let Some(mut job) = jobs.lock().ok().and_then(|jobs| jobs.recv().ok()) {
        let result = match read(connection, clock, job.as_mut()) {
            Ok(()) => Ok(()),
            Err(failure) => {
                failure.log(job.name(), 1);
                Err(StoreError::Unavailable)
            }
        };
        job.answer(result);
    }
}

/// All that one job reads is from the same moment.
fn read(connection: &Connection, clock: &SharedClock, job: &mut dyn Job) -> Outcome<()> {
    connection.prepare_cached("BEGIN")?.execute([])?;
    let result = job.run(connection, clock.now());
    connection.prepare_cached("COMMIT")?.execute([])?;
    result
}
