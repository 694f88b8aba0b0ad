//! The state directory: 0700, its files 0600, each replaced whole and under a lock.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{Record, StateFault, record::FORMAT};

const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// One for all accounts: it is held for the milliseconds of one change, never across a call.
const LOCK_FILE: &str = "lock";
const EXTENSION: &str = "json";

/// One state directory.
pub(crate) struct Store {
    directory: PathBuf,
}

impl Store {
    /// Opens `directory`, and makes it when it is missing.
    pub(crate) fn open(directory: &Path) -> Result<Self, StateFault> {
        DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(directory)
            .map_err(|source| io_fault("create", directory, source))?;
        let metadata = fs::metadata(directory).map_err(|source| io_fault("look at", directory, source))?;
        // Others may list it, since each file is closed to them; they may not put a file of theirs in its place.
        check_private(directory, &metadata, 0o022, DIRECTORY_MODE)?;
        Ok(Self { directory: directory.to_owned() })
    }

    /// The names of all records, in order.
    pub(crate) fn names(&self) -> Result<Vec<String>, StateFault> {
        let list = || -> io::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in fs::read_dir(&self.directory)? {
                let path = entry?.path();
                if path.extension().is_some_and(|extension| extension == EXTENSION) {
                    names.extend(path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned));
                }
            }
            names.sort();
            Ok(names)
        };
        list().map_err(|source| io_fault("list", &self.directory, source))
    }

    /// The record `name`, if there is one.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Record>, StateFault> {
        let path = self.path(name);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(io_fault("open", &path, source)),
        };
        let metadata = file.metadata().map_err(|source| io_fault("look at", &path, source))?;
        check_private(&path, &metadata, 0o077, FILE_MODE)?;
        let mut json = Zeroizing::new(Vec::new());
        file.read_to_end(&mut json).map_err(|source| io_fault("read", &path, source))?;
        parse(&json).map(Some).map_err(|problem| StateFault::Damaged { path, problem })
    }

    /// The record `name`; when there is none, `fresh` is kept first.
    pub(crate) fn read_or_create(
        &self,
        name: &str,
        fresh: impl FnOnce() -> Record,
    ) -> Result<Record, StateFault> {
        let _lock = self.lock()?;
        if let Some(record) = self.read(name)? {
            return Ok(record);
        }
        let record = fresh();
        self.write(name, &record)?;
        Ok(record)
    }

    /// Changes the record `name`. When `change` fails nothing is written; none: there is no such record.
    pub(crate) fn update<T, E: From<StateFault>>(
        &self,
        name: &str,
        change: impl FnOnce(&mut Record) -> Result<T, E>,
    ) -> Result<Option<T>, E> {
        let _lock = self.lock()?;
        let Some(mut record) = self.read(name)? else { return Ok(None) };
        let before = encode(&record);
        let outcome = change(&mut record)?;
        if encode(&record) != before {
            self.write(name, &record)?;
        }
        Ok(Some(outcome))
    }

    /// Removes the record `name` with its key. None is there: nothing to do.
    pub(crate) fn remove(&self, name: &str) -> Result<(), StateFault> {
        let _lock = self.lock()?;
        let path = self.path(name);
        let remove = || -> io::Result<()> {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            File::open(&self.directory)?.sync_all()
        };
        remove().map_err(|source| io_fault("remove", &path, source))
    }

    /// Where the record `name` lies.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name).with_extension(EXTENSION)
    }

    /// Written beside, synced, and put in place by one rename: a reader sees the old or the new file, and so
    /// does the next start after a crash.
    fn write(&self, name: &str, record: &Record) -> Result<(), StateFault> {
        let path = self.path(name);
        let beside = path.with_extension("new");
        let replace = || -> io::Result<()> {
            match fs::remove_file(&beside) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&beside)?;
            file.write_all(&encode(record))?;
            file.sync_all()?;
            fs::rename(&beside, &path)?;
            File::open(&self.directory)?.sync_all()
        };
        replace().map_err(|source| io_fault("write", &path, source))
    }

    /// Ends when it is dropped.
    fn lock(&self) -> Result<File, StateFault> {
        let path = self.directory.join(LOCK_FILE);
        let take = || -> io::Result<File> {
            let file =
                OpenOptions::new().write(true).create(true).truncate(false).mode(FILE_MODE).open(&path)?;
            file.lock()?;
            Ok(file)
        };
        take().map_err(|source| io_fault("lock", &path, source))
    }
}

fn encode(record: &Record) -> Zeroizing<Vec<u8>> {
    let mut json = serde_json::to_vec_pretty(record).expect("strings and numbers can be written as JSON");
    json.push(b'\n');
    Zeroizing::new(json)
}

/// serde's own words may quote what it found, which may be a key: only the place is told.
fn parse(json: &[u8]) -> Result<Record, String> {
    let record: Record = serde_json::from_slice(json)
        .map_err(|error| format!("line {}, column {} is not as expected", error.line(), error.column()))?;
    if record.format == FORMAT {
        Ok(record)
    } else {
        Err(format!("its format is {}, and {FORMAT} is allowed", record.format))
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

#[cfg(test)]
mod tests;
