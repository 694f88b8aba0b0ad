//! The files of a state directory: it has mode 0700, they have 0600, each is replaced whole and under a lock.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::StateFault;

const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// Far more than an account with the server keys of many years takes.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// One for all files: it is held for the milliseconds of one change, or while all accounts are sealed or opened; never
/// across a call.
const LOCK_FILE: &str = "lock";
/// Ends the name of a file that is being written.
const UNFINISHED: &str = "new";

/// A directory that is open to its owner only.
#[derive(Clone)]
pub(super) struct Directory(PathBuf);

/// Whoever has it may write; all others wait. It ends when it is dropped.
pub(super) struct WriteLock {
    _file: File,
}

impl Directory {
    /// Opens `path`, and makes it when it is missing.
    pub(super) fn open(path: &Path) -> Result<Self, StateFault> {
        DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(path)
            .map_err(|source| io_fault("create", path, source))?;
        let metadata = fs::metadata(path).map_err(|source| io_fault("look at", path, source))?;
        // Others may list it, since each file is closed to them; they may not put a file of theirs in its place.
        check_private(path, &metadata, 0o022, DIRECTORY_MODE)?;
        Ok(Self(path.to_owned()))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Where the file `name` lies.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The files whose names end in `.extension`, without that, in order.
    pub(super) fn names(&self, extension: &str) -> Result<Vec<String>, StateFault> {
        let list = || -> io::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in fs::read_dir(&self.0)? {
                let path = entry?.path();
                if path.extension().is_some_and(|found| found == extension) {
                    names.extend(path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned));
                }
            }
            names.sort();
            Ok(names)
        };
        list().map_err(|source| io_fault("list", &self.0, source))
    }

    /// What the file `name` holds, if there is one.
    pub(super) fn read(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StateFault> {
        let path = self.file(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(io_fault("open", &path, source)),
        };
        let metadata = file.metadata().map_err(|source| io_fault("look at", &path, source))?;
        check_private(&path, &metadata, 0o077, FILE_MODE)?;
        if metadata.len() > MAX_FILE_BYTES {
            let problem = format!("it has {} bytes, and {MAX_FILE_BYTES} are allowed", metadata.len());
            return Err(StateFault::Damaged { path, problem });
        }
        let mut content = Zeroizing::new(Vec::new());
        file.take(MAX_FILE_BYTES)
            .read_to_end(&mut content)
            .map_err(|source| io_fault("read", &path, source))?;
        Ok(Some(content))
    }

    /// Waits until nobody else writes.
    pub(super) fn lock(&self) -> Result<WriteLock, StateFault> {
        let path = self.file(LOCK_FILE);
        let take = || -> io::Result<File> {
            let file =
                OpenOptions::new().write(true).create(true).truncate(false).mode(FILE_MODE).open(&path)?;
            file.lock()?;
            Ok(file)
        };
        take().map(|file| WriteLock { _file: file }).map_err(|source| io_fault("lock", &path, source))
    }

    /// Content that [`Self::read`] would refuse for its size is refused. Written beside, synced, and put in place by one rename: a reader sees the old or the new file, and so
    /// does the next start after a crash.
    pub(super) fn replace(&self, _: &WriteLock, name: &str, content: &[u8]) -> Result<(), StateFault> {
        let path = self.file(name);
        let beside = path.with_extension(UNFINISHED);
        let replace = || -> io::Result<()> {
            if content.len() as u64 > MAX_FILE_BYTES {
                let problem =
                    format!("it would have {} bytes, and {MAX_FILE_BYTES} are allowed", content.len());
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, problem));
            }
            remove_if_there(&beside)?;
            let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&beside)?;
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&beside, &path)?;
            self.sync()
        };
        replace().map_err(|source| io_fault("write", &path, source))
    }

    /// Removes the file `name`. None is there: nothing to do.
    pub(super) fn remove(&self, _: &WriteLock, name: &str) -> Result<(), StateFault> {
        let path = self.file(name);
        remove_if_there(&path).and_then(|()| self.sync()).map_err(|source| io_fault("remove", &path, source))
    }

    /// Removes what a crash has left of files that were being written.
    pub(super) fn remove_unfinished(&self, lock: &WriteLock) -> Result<(), StateFault> {
        for name in self.names(UNFINISHED)? {
            self.remove(lock, &format!("{name}.{UNFINISHED}"))?;
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn check_private(
    path: &Path,
    metadata: &fs::Metadata,
    forbidden: u32,
    allowed: u32,
) -> Result<(), StateFault> {
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & forbidden == 0 {
        Ok(())
    } else {
        Err(StateFault::OpenToOthers { path: path.to_owned(), mode, allowed })
    }
}

fn io_fault(action: &'static str, path: &Path, source: io::Error) -> StateFault {
    StateFault::Io { action, path: path.to_owned(), source }
}
