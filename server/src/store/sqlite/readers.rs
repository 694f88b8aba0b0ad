//! The connections that read.
//!
//! A read is done by whoever asks, on one of these connections: a row that the system has in memory costs
//! microseconds, far less than handing the question to another thread and waking up for the answer. The directory
//! is small; should a row have to come from the disk, one of the threads that serve connections waits for it.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Condvar, Mutex, PoisonError},
};

use countersign_domain::UnixTime;
use rusqlite::Connection;

use super::failure::{Failure, Outcome};
use crate::{clock::SharedClock, store::StoreError};

/// Connections that cannot write, those that nobody reads with at the moment.
pub(super) struct Readers {
    idle: Mutex<Vec<Connection>>,
    returned: Condvar,
    clock: SharedClock,
}

/// A connection on loan.
struct Loan<'a> {
    readers: &'a Readers,
    connection: Option<Connection>,
}

impl Readers {
    /// Lends these connections.
    pub(super) fn new(connections: Vec<Connection>, clock: SharedClock) -> Self {
        Self { idle: Mutex::new(connections), returned: Condvar::new(), clock }
    }

    /// Does `work`, which is one statement: all that it sees is from one moment.
    pub(super) fn read<T>(
        &self,
        name: &'static str,
        work: impl FnOnce(&Connection, UnixTime) -> Outcome<T>,
    ) -> Result<T, StoreError> {
        let loan = self.lend();
        let now = self.clock.now();
        // A mistake in one read must not take a thread along that serves others.
        let result = catch_unwind(AssertUnwindSafe(|| work(loan.connection(), now)));
        result.unwrap_or(Err(Failure::Panicked)).map_err(|failure| {
            failure.log(name, 1);
            StoreError::Unavailable
        })
    }

    /// [`Self::read`] of `work` in several statements: a transaction keeps all that they see at one moment.
    pub(super) fn read_together<T>(
        &self,
        name: &'static str,
        work: impl FnOnce(&Connection, UnixTime) -> Outcome<T>,
    ) -> Result<T, StoreError> {
        self.read(name, |connection, now| {
            let transaction = connection.unchecked_transaction()?;
            let outcome = work(&transaction, now)?;
            transaction.commit()?;
            Ok(outcome)
        })
    }

    fn lend(&self) -> Loan<'_> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match idle.pop() {
                Some(connection) => return Loan { readers: self, connection: Some(connection) },
                // As long as others take to read.
                None => idle = self.returned.wait(idle).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

impl Loan<'_> {
    fn connection(&self) -> &Connection {
        self.connection.as_ref().expect("it is given back at the end")
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        let mut idle = self.readers.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.extend(self.connection.take());
        self.readers.returned.notify_one();
    }
}
