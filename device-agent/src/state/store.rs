//! The accounts of a state directory, open or sealed.

mod unlocking;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    Bytes, Record, StateFault,
    files::{Directory, WriteLock},
    key_file::{DataKey, KeyFile},
    record::FORMAT,
};
use crate::random::Random;

/// Of a file whose content is sealed.
const SEALED_FORMAT: u32 = 2;
const EXTENSION: &str = "json";

/// A state directory whose accounts can be used. Each change is one file, replaced whole and under a lock.
#[derive(Clone)]
pub(crate) struct Store {
    directory: Directory,
    random: Arc<dyn Random>,
    /// None: there is no passphrase, and accounts lie open.
    key: Option<Arc<DataKey>>,
    /// The key as it was sealed by the passphrase that this store knows.
    sealed_key: Option<Bytes>,
}

/// A state directory whose accounts are sealed by a passphrase.
#[derive(Clone)]
pub(crate) struct SealedStore {
    directory: Directory,
    random: Arc<dyn Random>,
}

/// What a state directory was found to be.
pub(crate) enum Opened {
    Open(Store),
    Sealed(SealedStore),
}

/// How an account lies in its file.
enum Lying {
    Sealed,
    /// With all that the file holds.
    Open(Zeroizing<Vec<u8>>),
}

/// What both forms of a file have.
#[derive(Deserialize)]
struct AnyForm {
    format: u32,
}

/// An account on disk when there is a passphrase: all of it is in `sealed`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealedRecord {
    format: u32,
    key_id: Bytes,
    sealed: Bytes,
}

impl Store {
    /// Opens `directory`, and makes it when it is missing.
    pub(crate) fn open(directory: &Path, random: Arc<dyn Random>) -> Result<Opened, StateFault> {
        let store = Self { directory: Directory::open(directory)?, random, key: None, sealed_key: None };
        if KeyFile::read(&store.directory)?.is_none() {
            if store.check_nothing_sealed().is_ok() {
                return Ok(Opened::Open(store));
            }
            // Sealed by another process just now, or without its key: which, is certain while nobody else writes.
            let _lock = store.directory.lock()?;
            if KeyFile::read(&store.directory)?.is_none() {
                store.check_nothing_sealed()?;
                return Ok(Opened::Open(store));
            }
        }
        Ok(Opened::Sealed(SealedStore { directory: store.directory, random: store.random }))
    }

    /// Takes keys and nonces from there.
    pub(crate) fn with_random(&self, random: Arc<dyn Random>) -> Self {
        Self { random, ..self.clone() }
    }

    /// Where keys and nonces come from.
    pub(crate) fn random(&self) -> &dyn Random {
        &*self.random
    }

    /// The names of all records, in order.
    pub(crate) fn names(&self) -> Result<Vec<String>, StateFault> {
        self.directory.names(EXTENSION)
    }

    /// The record `name`, if there is one.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Record>, StateFault> {
        Ok(self.find(name)?.map(|(record, _)| record))
    }

    /// The record `name`, and how it lies there.
    fn find(&self, name: &str) -> Result<Option<(Record, Lying)>, StateFault> {
        let Some(json) = self.directory.read(&file_name(name))? else { return Ok(None) };
        let damaged = |problem| self.damaged(name, problem);
        if parse::<AnyForm>(&json).map_err(damaged)?.format == SEALED_FORMAT {
            let sealed = parse(&json).map_err(damaged)?;
            return Ok(Some((self.open_sealed(name, &sealed)?, Lying::Sealed)));
        }
        let record = parse_record(&json).map_err(damaged)?;
        self.check_open_allowed(name, &json)?;
        Ok(Some((record, Lying::Open(json))))
    }

    /// The record `name`; when there is none, `fresh` is kept first.
    pub(crate) fn read_or_create(
        &self,
        name: &str,
        fresh: impl FnOnce() -> Record,
    ) -> Result<Record, StateFault> {
        let lock = self.lock()?;
        if let Some(record) = self.read(name)? {
            return Ok(record);
        }
        let record = fresh();
        self.write(&lock, name, &encode(&record))?;
        Ok(record)
    }

    /// Changes the record `name`. When `change` fails nothing is written; none: there is no such record.
    pub(crate) fn update<T, E: From<StateFault>>(
        &self,
        name: &str,
        change: impl FnOnce(&mut Record) -> Result<T, E>,
    ) -> Result<Option<T>, E> {
        let lock = self.lock()?;
        let Some(mut record) = self.read(name)? else { return Ok(None) };
        let before = encode(&record);
        let outcome = change(&mut record)?;
        let after = encode(&record);
        if after != before {
            self.write(&lock, name, &after)?;
        }
        Ok(Some(outcome))
    }

    /// Removes the record `name` with its key. None is there: nothing to do.
    pub(crate) fn remove(&self, name: &str) -> Result<(), StateFault> {
        self.directory.remove(&self.lock()?, &file_name(name))
    }

    /// Where the record `name` lies.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.file(&file_name(name))
    }

    fn lock(&self) -> Result<WriteLock, StateFault> {
        let lock = self.directory.lock()?;
        if self.key_file()?.is_none() {
            self.check_nothing_sealed()?;
        }
        Ok(lock)
    }

    /// Without a key file no account may be sealed: its key is lost, and another one beside it would lie open.
    fn check_nothing_sealed(&self) -> Result<(), StateFault> {
        for name in self.names()? {
            // What cannot be read is told when that account is used.
            let Ok(Some(json)) = self.directory.read(&file_name(&name)) else { continue };
            if parse::<AnyForm>(&json).is_ok_and(|form| form.format == SEALED_FORMAT) {
                return Err(StateFault::KeyMissing { path: self.path(&name) });
            }
        }
        Ok(())
    }

    /// The key file, which must be about the key that this store has; none when it has none.
    fn key_file(&self) -> Result<Option<KeyFile>, StateFault> {
        match (KeyFile::read(&self.directory)?, &self.key) {
            (None, None) => Ok(None),
            (Some(file), Some(key)) if file.is_of(key) => Ok(Some(file)),
            _ => Err(self.passphrase_changed()),
        }
    }

    fn open_sealed(&self, name: &str, sealed: &SealedRecord) -> Result<Record, StateFault> {
        let Some(key) = &self.key else {
            return Err(match KeyFile::read(&self.directory)? {
                Some(_) => self.passphrase_changed(),
                None => StateFault::KeyMissing { path: self.path(name) },
            });
        };
        if sealed.key_id.0 != key.id() {
            self.key_file()?;
            return Err(StateFault::OtherKey { path: self.path(name) });
        }
        let opened = key.open(name, &sealed.sealed.0);
        opened
            .ok_or_else(|| "its seal does not hold: it was changed, or belongs to another file".to_owned())
            .and_then(|json| parse_record(&json))
            .map_err(|problem| self.damaged(name, problem))
    }

    /// Whoever can write here could put an account of his own in the place of a sealed one.
    fn check_open_allowed(&self, name: &str, content: &[u8]) -> Result<(), StateFault> {
        let Some(key) = &self.key else { return Ok(()) };
        let allowed = self.key_file()?.and_then(|file| file.open_accounts(key));
        if allowed.is_some_and(|open| open.contain(name, content)) {
            Ok(())
        } else {
            Err(self.damaged(name, "it is not sealed, though a passphrase is set".to_owned()))
        }
    }

    fn write(&self, lock: &WriteLock, name: &str, record: &[u8]) -> Result<(), StateFault> {
        let Some(key) = &self.key else { return self.directory.replace(lock, &file_name(name), record) };
        let sealed = SealedRecord {
            format: SEALED_FORMAT,
            key_id: Bytes(key.id().to_vec()),
            sealed: Bytes(key.seal(&*self.random, name, record)),
        };
        self.directory.replace(lock, &file_name(name), &json(&sealed))
    }

    fn damaged(&self, name: &str, problem: String) -> StateFault {
        StateFault::Damaged { path: self.path(name), problem }
    }

    fn passphrase_changed(&self) -> StateFault {
        StateFault::PassphraseChanged { directory: self.directory.path().to_owned() }
    }
}

fn file_name(name: &str) -> String {
    format!("{name}.{EXTENSION}")
}

fn json(value: &impl Serialize) -> Zeroizing<Vec<u8>> {
    let mut json = serde_json::to_vec_pretty(value).expect("strings and numbers can be written as JSON");
    json.push(b'\n');
    Zeroizing::new(json)
}

fn encode(record: &Record) -> Zeroizing<Vec<u8>> {
    json(record)
}

fn parse_record(json: &[u8]) -> Result<Record, String> {
    let record: Record = parse(json)?;
    if record.format == FORMAT {
        Ok(record)
    } else {
        Err(format!("its format is {}, and {FORMAT} and {SEALED_FORMAT} are allowed", record.format))
    }
}

/// serde's own words may quote what it found, which may be a key: only the place is told.
fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(json)
        .map_err(|error| format!("line {}, column {} is not as expected", error.line(), error.column()))
}

#[cfg(test)]
mod tests;
