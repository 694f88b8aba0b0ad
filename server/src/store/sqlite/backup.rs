//! A copy of a database from one moment, beside whoever writes to it.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};

use super::{
    inspection::{Inspection, InspectionError, uri_of},
    schema::Contents,
};

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is nothing to copy.
    #[error("there is no database of Countersign's at {}: set server.data_dir to where it is", .0.display())]
    NoDatabase(PathBuf),
    /// Nothing is overwritten.
    #[error("{} is there already: give another name", .0.display())]
    Exists(PathBuf),
    /// The file system refused.
    #[error("{} cannot be written: {source}", path.display())]
    Io {
        /// The copy.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// `SQLite` refused.
    #[error("the database cannot be copied: {0}")]
    Sql(#[from] rusqlite::Error),
    /// The copy cannot be read.
    #[error("the copy cannot be read again: {0}")]
    Unreadable(#[from] InspectionError),
    /// The copy is damaged, as what was copied is or the disk made it.
    #[error(
        "the copy is damaged and was removed: {0}; `countersign doctor` tells whether the database is, too"
    )]
    Damaged(String),
}

/// Copies the database at `from` into a new file at `to` (mode 0600), checks the copy, and comes back only when it would
/// survive a loss of power. What is committed while it copies is not in it.
pub fn back_up(from: &Path, to: &Path) -> Result<(), BackupError> {
    let is_ours =
        from.exists() && Inspection::open(from).and_then(|found| found.contents()) == Ok(Contents::Ours);
    if !is_ours {
        return Err(BackupError::NoDatabase(from.to_owned()));
    }
    let io = |source| BackupError::Io { path: to.to_owned(), source };
    // SQLite takes an empty file as it takes a missing one, and this one is for its owner only.
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(to) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(BackupError::Exists(to.to_owned()));
        }
        made => drop(made.map_err(io)?),
    }
    let copied = copy(from, to);
    if copied.is_err() {
        // Half a copy must not pass for one. That it cannot be removed either changes nothing of the failure.
        let _ = fs::remove_file(to);
    }
    copied
}

fn copy(from: &Path, to: &Path) -> Result<(), BackupError> {
    let io = |source| BackupError::Io { path: to.to_owned(), source };
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(uri_of(from), flags)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    // One read transaction: a copy of one moment, in which pages that are not in use any more are left out.
    connection.execute("VACUUM INTO ?1", [uri_of(to)])?;
    let faults = Inspection::open(to)?.faults()?;
    if !faults.is_empty() {
        return Err(BackupError::Damaged(faults.join("; ")));
    }
    File::open(to).and_then(|file| file.sync_all()).map_err(io)?;
    let directory = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new("."))).and_then(|file| file.sync_all()).map_err(io)
}
