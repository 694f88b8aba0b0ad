//! Setting, changing and removing the passphrase, and unlocking.
//!
//! Accounts are sealed by a data key of their own, and only that by the passphrase. So another passphrase is one
//! small file, replaced whole. Accounts are sealed, or opened, one after the other while that file lists them: whoever
//! unlocks the directory after a crash on the way goes on with sealing. The file is there before the first account
//! is sealed, and until the last one is open, so that no account is ever sealed by a key that is lost.
//!
//! Each of these takes as long as a passphrase must: not for a thread that others wait on.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::{
    super::{
        Passphrase, StateFault,
        files::WriteLock,
        key_file::{DataKey, KeyFile},
        open_accounts::OpenAccounts,
    },
    Lying, SealedStore, Store, encode,
};

/// Accounts by their names, each as an open file holds it.
struct Contents(Vec<(String, Zeroizing<Vec<u8>>)>);

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
        let sealed_key = Some(fresh.sealed_key().clone());
        let sealed = Self { key: Some(key.clone()), sealed_key, ..self.clone() };
        if let Some(known) = self.key_file()? {
            self.check_unchanged(&known)?;
            known.with_passphrase_of(fresh).write(&lock, &self.directory)?;
        } else {
            // One that cannot be read is told before anything has changed.
            let open = self.contents()?.listed();
            let file = fresh.in_transition(&open, &key, &*self.random);
            let written = file.write(&lock, &self.directory);
            if written.is_ok() || sealed.key_file().is_ok() {
                let finished = written.and_then(|()| sealed.seal_all(&lock, file));
                finished.map_err(|fault| StateFault::SealingUnfinished { source: Box::new(fault) })?;
            } else {
                written?;
            }
        }
        Ok(sealed)
    }

    /// Lets the accounts lie open. This store is of no use afterwards.
    pub(crate) fn remove_passphrase(&self) -> Result<Self, StateFault> {
        let open = Self { key: None, sealed_key: None, ..self.clone() };
        let lock = self.directory.lock()?;
        if let (Some(file), Some(key)) = (self.key_file()?, &self.key) {
            self.check_unchanged(&file)?;
            let contents = self.contents()?;
            file.in_transition(&contents.listed(), key, &*self.random).write(&lock, &self.directory)?;
            for (name, content) in &contents.0 {
                open.write(&lock, name, content)?;
            }
            KeyFile::remove(&lock, &self.directory)?;
        }
        Ok(open)
    }

    /// Whoever replaces or removes a passphrase must know the one that is in force.
    fn check_unchanged(&self, file: &KeyFile) -> Result<(), StateFault> {
        if self.sealed_key.as_ref() == Some(file.sealed_key()) {
            Ok(())
        } else {
            Err(self.passphrase_changed())
        }
    }

    /// All accounts. One that lies open already is taken as it lies there.
    fn contents(&self) -> Result<Contents, StateFault> {
        let mut contents = Vec::new();
        for name in self.names()? {
            let content = self.find(&name)?.map(|(record, lying)| match lying {
                Lying::Open(content) => content,
                Lying::Sealed => encode(&record),
            });
            contents.extend(content.map(|content| (name, content)));
        }
        Ok(Contents(contents))
    }

    /// Seals what lies open, also what a crash has left of it. An account that fails keeps none of the others open:
    /// the first failure is returned at the end, and what may lie open stays listed.
    fn seal_all(&self, lock: &WriteLock, file: KeyFile) -> Result<(), StateFault> {
        let mut outcome = Ok(());
        for name in self.names()? {
            outcome = outcome.and(self.seal_one(lock, &name));
        }
        outcome?;
        self.directory.remove_unfinished(lock)?;
        file.settled().write(lock, &self.directory)
    }

    /// Goes on with sealing where a passphrase was being set or removed.
    fn finish_sealing(&self, key: &DataKey) -> Result<(), StateFault> {
        let lock = self.directory.lock()?;
        // Another process may have been faster, with this or with a new passphrase.
        match self.key_file()?.filter(|file| file.open_accounts(key).is_some()) {
            Some(file) => self.seal_all(&lock, file),
            None => Ok(()),
        }
    }

    fn seal_one(&self, lock: &WriteLock, name: &str) -> Result<(), StateFault> {
        match self.find(name)? {
            Some((record, Lying::Open(_))) => self.write(lock, name, &encode(&record)),
            Some((_, Lying::Sealed)) | None => Ok(()),
        }
    }
}

impl Contents {
    fn listed(&self) -> OpenAccounts {
        OpenAccounts::of(self.0.iter().map(|(name, content)| (name.as_str(), content.as_slice())))
    }
}

impl SealedStore {
    /// Opens it.
    pub(crate) fn unlock(&self, passphrase: &Passphrase) -> Result<Store, StateFault> {
        let mut store = Store {
            directory: self.directory.clone(),
            random: self.random.clone(),
            key: None,
            sealed_key: None,
        };
        let file = KeyFile::read(&self.directory)?.ok_or_else(|| store.passphrase_changed())?;
        let key = file
            .unlock(passphrase)
            .ok_or_else(|| StateFault::WrongPassphrase { directory: self.directory.path().to_owned() })?;
        let key = Arc::new(key);
        store.key = Some(key.clone());
        store.sealed_key = Some(file.sealed_key().clone());
        if file.open_accounts(&key).is_some() {
            match store.finish_sealing(&key) {
                // Told when that account is used; the others must not be lost with it.
                Err(
                    StateFault::Damaged { .. }
                    | StateFault::Io { .. }
                    | StateFault::OpenToOthers { .. }
                    | StateFault::OtherKey { .. },
                ) => {}
                outcome => outcome?,
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
