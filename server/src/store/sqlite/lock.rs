//! One server for each data directory, or several whose challenges lie elsewhere.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// The directory that holds the database and the lock.
#[derive(Clone, Debug)]
pub struct DataDirectory(PathBuf);

/// Holds a data directory against a second server, until it is dropped or the process ends in whatever way.
#[derive(Debug)]
#[must_use = "the directory is held only while this lives"]
pub struct DirectoryLock(File);

/// Which servers run on a data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occupants {
    /// None.
    Nobody,
    /// One that has it for itself: its challenges lie in it, or it is at its first start.
    One,
    /// One or several whose challenges lie elsewhere.
    Sharing,
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// Another server has it.
    #[error(
        "another Countersign server runs on the data directory {0}: stop that one, or give this one another; \
         several can share one when each has its challenges in Redis (redis.url)"
    )]
    InUse(PathBuf),
    /// The file system refused.
    #[error("the data directory {path} cannot be used: {source}")]
    Io {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl DataDirectory {
    /// Opens the directory; makes it, for nobody else to read, when it is missing.
    pub fn open(path: &Path) -> Result<Self, DirectoryError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|source| DirectoryError::Io { path: path.to_owned(), source })?;
        Ok(Self(path.to_owned()))
    }

    /// A directory that is there already, or is not: nothing is made.
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Where the database lies.
    pub fn database(&self) -> PathBuf {
        self.0.join("countersign.sqlite")
    }

    /// Takes the directory for one server. The command line works beside it without this.
    pub fn lock_exclusive(&self) -> Result<DirectoryLock, DirectoryError> {
        let file = self.lock_file()?;
        match file.try_lock() {
            Ok(()) => Ok(DirectoryLock(file)),
            Err(error) => Err(self.refused(error)),
        }
    }

    /// Takes the directory together with others that do the same.
    pub fn lock_shared(&self) -> Result<DirectoryLock, DirectoryError> {
        let file = self.lock_file()?;
        match file.try_lock_shared() {
            Ok(()) => Ok(DirectoryLock(file)),
            Err(error) => Err(self.refused(error)),
        }
    }

    /// Who runs on the directory. Looking takes what is free for an instant: a server that starts in it may be
    /// refused as by another one.
    pub fn occupants(&self) -> Result<Occupants, DirectoryError> {
        let file = match File::open(self.0.join("lock")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Occupants::Nobody),
            opened => opened.map_err(|source| self.refused(TryLockError::Error(source)))?,
        };
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => return Ok(Occupants::One),
            Err(error) => return Err(self.refused(error)),
            Ok(()) => {}
        }
        // Converts the lock, flock(2).
        match file.try_lock() {
            Ok(()) => Ok(Occupants::Nobody),
            Err(TryLockError::WouldBlock) => Ok(Occupants::Sharing),
            Err(error) => Err(self.refused(error)),
        }
    }

    fn lock_file(&self) -> Result<File, DirectoryError> {
        let mut options = OpenOptions::new();
        options.create(true).append(true).mode(0o600);
        options.open(self.0.join("lock")).map_err(|source| self.refused(TryLockError::Error(source)))
    }

    fn refused(&self, error: TryLockError) -> DirectoryError {
        match error {
            TryLockError::WouldBlock => DirectoryError::InUse(self.0.clone()),
            TryLockError::Error(source) => DirectoryError::Io { path: self.0.clone(), source },
        }
    }
}

impl DirectoryLock {
    /// Lets others in that take it shared. `Err`: another server was faster.
    pub fn share(self, directory: &DataDirectory) -> Result<Self, DirectoryError> {
        // Locking again converts the lock, flock(2); between the two another may come.
        match self.0.try_lock_shared() {
            Ok(()) => Ok(self),
            Err(error) => Err(directory.refused(error)),
        }
    }
}
