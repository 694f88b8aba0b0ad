//! Why an operation on the database failed, and what follows from that.

use std::fmt;

use countersign_domain::record::InvalidRecord;
use rusqlite::ffi;

/// What went wrong inside the store. Callers hear no more than [`StoreError`](crate::store::StoreError).
#[derive(Debug)]
pub(super) enum Failure {
    /// SQLite refused.
    Sql(rusqlite::Error),
    /// What was read is not what this server writes.
    Damaged(&'static str),
    /// The operation itself panicked.
    Panicked,
}

/// Result of an operation inside the store.
pub(super) type Outcome<T> = Result<T, Failure>;

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<InvalidRecord> for Failure {
    fn from(_: InvalidRecord) -> Self {
        Self::Damaged("a record")
    }
}

impl Failure {
    /// SQLite's extended result code.
    fn code(&self) -> Option<i32> {
        match self {
            Self::Sql(error) => error.sqlite_error().map(|error| error.extended_code),
            _ => None,
        }
    }

    /// The kernel could not write what it had taken. It then forgets that it had to: a later sync would
    /// succeed and say nothing about the lost pages, so nothing may be acknowledged after this.
    pub(super) fn is_failed_sync(&self) -> bool {
        matches!(self.code(), Some(ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC))
    }

    /// Another process holds the write lock for longer than we wait.
    pub(super) fn is_busy(&self) -> bool {
        self.code().is_some_and(|code| code & 0xff == ffi::SQLITE_BUSY)
    }

    /// The file's fault rather than that of one operation: each would meet it.
    pub(super) fn concerns_all(&self) -> bool {
        let of_the_file = [ffi::SQLITE_FULL, ffi::SQLITE_IOERR, ffi::SQLITE_CORRUPT, ffi::SQLITE_READONLY];
        self.code().is_some_and(|code| of_the_file.contains(&(code & 0xff)))
    }

    /// Logs it, once.
    pub(super) fn log(&self, operation: &'static str, operations: usize) {
        tracing::error!(
            store.operation = operation,
            store.operations = operations,
            store.error = %self,
            store.error_code = self.code(),
            "the store refused"
        );
    }
}

/// Without any stored value: SQLite's messages name tables and columns only, but the errors of rusqlite itself
/// may quote what they could not convert.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sql(rusqlite::Error::SqliteFailure(_, Some(message))) => f.write_str(message),
            Self::Sql(rusqlite::Error::SqliteFailure(error, None)) => {
                f.write_str(ffi::code_to_str(error.extended_code))
            }
            Self::Sql(_) => f.write_str("a column is not of the kind that was expected"),
            Self::Damaged(what) => write!(f, "cannot read {what} that is stored"),
            Self::Panicked => f.write_str("the operation panicked"),
        }
    }
}
