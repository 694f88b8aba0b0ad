//! Setting, changing and removing the passphrase, and unlocking.
//!
//! Accounts are sealed by a data key of their own, and only that by the passphrase. So another passphrase is one
//! small file, replaced whole. Accounts are sealed, or opened, one after the other while that file says so: whoever
//! unlocks the directory after a crash on the way goes on with sealing. The file is there before the first account
//! is sealed, and until the last one is open, so that no account is ever sealed by a key that is lost.
//!
//! Each of these takes as long as a passphrase must: not for a thread that others wait on.

use std::sync::Arc;

use super::{
    super::{
        Passphrase, Record, StateFault,
        files::WriteLock,
        key_file::{DataKey, KeyFile},
    },
    LockedStore, Store, encode,
};

impl Store {
    /// Whether a passphrase seals the accounts.
    pub(crate) fn has_passphrase(&self) -> bool {
        self.key.is_some()
    }

    /// Seals the accounts by `passphrase`, or by another one than before. This store is of no use afterwards if it had
    /// none.
    pub(crate) fn set_passphrase(&self, passphrase: &Passphrase) -> Result<Self, StateFault> {
        let key = self.key.clone().unwrap_or_else(|| Arc::new(DataKey::generate(&*self.random)));
        let fresh = KeyFile::new(&key, passphrase, &*self.random);
        let lock = self.directory.lock()?;
        let sealed = Self { key: Some(key.clone()), ..self.clone() };
        if let Some(known) = self.key_file()? {
            known.with_passphrase_of(fresh).write(&lock, &self.directory)?;
        } else {
            // One that cannot be read is told before anything has changed.
            self.records()?;
            let file = fresh.in_transition(&key, &*self.random);
            file.write(&lock, &self.directory)?;
            sealed.seal_all(&lock, file)?;
        }
        Ok(sealed)
    }

    /// Lets the accounts lie open. This store is of no use afterwards.
    pub(crate) fn remove_passphrase(&self) -> Result<Self, StateFault> {
        let open = Self { key: None, ..self.clone() };
        let lock = self.directory.lock()?;
        if let (Some(file), Some(key)) = (self.key_file()?, &self.key) {
            let records = self.records()?;
            file.in_transition(key, &*self.random).write(&lock, &self.directory)?;
            for (name, record) in records {
                open.write(&lock, &name, &encode(&record))?;
            }
            KeyFile::remove(&lock, &self.directory)?;
        }
        Ok(open)
    }

    fn records(&self) -> Result<Vec<(String, Record)>, StateFault> {
        let mut records = Vec::new();
        for name in self.names()? {
            records.extend(self.read(&name)?.map(|record| (name, record)));
        }
        Ok(records)
    }

    /// Seals what lies open, also what a crash has left of it.
    fn seal_all(&self, lock: &WriteLock, file: KeyFile) -> Result<(), StateFault> {
        for (name, record) in self.records()? {
            self.write(lock, &name, &encode(&record))?;
        }
        self.directory.remove_unfinished(lock)?;
        file.settled().write(lock, &self.directory)
    }
}

impl LockedStore {
    /// Opens it.
    pub(crate) fn unlock(&self, passphrase: &Passphrase) -> Result<Store, StateFault> {
        let mut store = Store { directory: self.directory.clone(), random: self.random.clone(), key: None };
        let file = KeyFile::read(&self.directory)?.ok_or_else(|| store.passphrase_changed())?;
        let key = file
            .unlock(passphrase)
            .ok_or_else(|| StateFault::WrongPassphrase { directory: self.directory.path().to_owned() })?;
        store.key = Some(Arc::new(key));
        if let Some(key) = store.key.clone().filter(|key| file.is_in_transition(key)) {
            let lock = self.directory.lock()?;
            // Another process may have been faster, with this or with a new passphrase.
            if let Some(file) = store.key_file()?.filter(|file| file.is_in_transition(&key)) {
                match store.seal_all(&lock, file) {
                    // Told when that account is used; the others must not be lost with it.
                    Err(StateFault::Damaged { .. }) => {}
                    outcome => outcome?,
                }
            }
        }
        Ok(store)
    }

    /// What is told to whoever does not know the passphrase.
    pub(crate) fn fault(&self) -> StateFault {
        StateFault::Locked { directory: self.directory.path().to_owned() }
    }
}

#[cfg(test)]
mod tests;
