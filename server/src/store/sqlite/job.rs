//! What waits in a queue for a thread that holds a connection.

use std::panic::{AssertUnwindSafe, catch_unwind};

use countersign_domain::UnixTime;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::failure::{Failure, Outcome};
use crate::store::StoreError;

/// Something to be done with a connection, and somebody who waits for what comes of it.
pub(super) trait Job: Send {
    /// For the log.
    fn name(&self) -> &'static str;

    /// Does it, inside a transaction; after a roll-back, does it again.
    fn run(&mut self, connection: &Connection, now: UnixTime) -> Outcome<()>;

    /// Tells whoever asked: that it is done and safe, or why there is no answer.
    fn answer(self: Box<Self>, result: Result<(), StoreError>);
}

/// A job that runs `work`.
pub(super) struct Task<T, F> {
    name: &'static str,
    work: F,
    outcome: Option<T>,
    asker: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Task<T, F>
where
    T: Send + 'static,
    F: FnMut(&Connection, UnixTime) -> Outcome<T> + Send + 'static,
{
    /// A job, and where its answer arrives.
    pub(super) fn queued(
        name: &'static str,
        work: F,
    ) -> (Box<dyn Job>, oneshot::Receiver<Result<T, StoreError>>) {
        let (asker, answer) = oneshot::channel();
        (Box::new(Self { name, work, outcome: None, asker }), answer)
    }
}

impl<T, F> Job for Task<T, F>
where
    T: Send,
    F: FnMut(&Connection, UnixTime) -> Outcome<T> + Send,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn run(&mut self, connection: &Connection, now: UnixTime) -> Outcome<()> {
        // A mistake in one operation must not take the thread with it that everybody needs.
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.work)(connection, now)));
        self.outcome = Some(outcome.unwrap_or(Err(Failure::Panicked))?);
        Ok(())
    }

    fn answer(self: Box<Self>, result: Result<(), StoreError>) {
        let Self { outcome, asker, .. } = *self;
        // Whoever asked may have gone; what was committed stays committed.
        let _ = asker.send(result.and_then(|()| outcome.ok_or(StoreError::Unavailable)));
    }
}
