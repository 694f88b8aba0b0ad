//! A state directory, with or without a passphrase.

use std::{fmt, panic, path::Path, sync::Arc};

use tokio::task::spawn_blocking;

use crate::{
    agent::Agent,
    error::Error,
    random::SystemRandom,
    state::{Opened, Passphrase, SealedStore, StateFault, Store},
};

/// What a state directory was found to be.
#[derive(Debug)]
pub enum StateDirectory {
    /// It has no passphrase.
    Open(Agent),
    /// A passphrase is needed.
    Locked(LockedAgent),
}

/// A device whose accounts are sealed by a passphrase. Nothing is known of them.
#[derive(Clone)]
pub struct LockedAgent(SealedStore);

impl StateDirectory {
    /// Looks at a state directory, and makes it (0700) when it is missing.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Ok(match Store::open(path.as_ref(), Arc::new(SystemRandom))? {
            Opened::Open(store) => Self::Open(Agent::on(store)),
            Opened::Sealed(store) => Self::Locked(LockedAgent(store)),
        })
    }
}

impl LockedAgent {
    /// Unlocks the accounts, for as long as the returned agent and its clones live. Takes a few tenths of a second,
    /// on a thread for such work.
    ///
    /// Another passphrase is [`StateFault::WrongPassphrase`], and changes nothing. What a crash has left open while the
    /// passphrase was set or removed is sealed on this occasion.
    pub async fn unlock(&self, passphrase: &Passphrase) -> Result<Agent, Error> {
        let (store, passphrase) = (self.0.clone(), passphrase.clone());
        Ok(Agent::on(aside(move || store.unlock(&passphrase)).await?))
    }

    pub(crate) fn fault(&self) -> StateFault {
        self.0.fault()
    }
}

impl Agent {
    /// Whether a passphrase seals the accounts.
    pub fn has_passphrase(&self) -> bool {
        self.store.has_passphrase()
    }

    /// Seals all accounts by `passphrase`, or by another one than before, and returns the agent to go on with.
    ///
    /// At each moment the directory opens with the passphrase that was (or without one), or with the new one, also
    /// after a crash. Other agents on a directory that had none get [`StateFault::PassphraseChanged`] from then on;
    /// where it had one, they go on, and only setting or removing a passphrase is [`StateFault::PassphraseChanged`] for
    /// them. What lay open before may be left on the disk or in backups:
    /// [`rotate_key`](crate::Account::rotate_key) makes it worthless, for all but the secret that codes are made of.
    pub async fn set_passphrase(&self, passphrase: &Passphrase) -> Result<Self, Error> {
        let (store, passphrase) = (self.store.clone(), passphrase.clone());
        let store = aside(move || store.set_passphrase(&passphrase)).await?;
        Ok(self.moved_to(store))
    }

    /// Lets all accounts lie open from now on, and returns the agent to go on with.
    ///
    /// At each moment the directory opens with the passphrase that was, or without one. Other agents on it get
    /// [`StateFault::PassphraseChanged`] from then on.
    pub async fn remove_passphrase(&self) -> Result<Self, Error> {
        let store = self.store.clone();
        let store = aside(move || store.remove_passphrase()).await?;
        Ok(self.moved_to(store))
    }
}

/// On a thread that nobody waits on.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StateFault> + Send + 'static,
) -> Result<T, StateFault> {
    spawn_blocking(work).await.unwrap_or_else(|failed| panic::resume_unwind(failed.into_panic()))
}

impl fmt::Debug for LockedAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockedAgent").finish_non_exhaustive()
    }
}
