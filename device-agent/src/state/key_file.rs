//! The file that makes a passphrase necessary: the key that seals the accounts, sealed by the passphrase.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    Bytes, StateFault,
    files::{Directory, WriteLock},
    open_accounts::OpenAccounts,
    passphrase::{Derivation, Passphrase},
    sealing::{Role, SealingKey},
};
use crate::random::Random;

const NAME: &str = "data-key";
const FORMAT: u32 = 1;
const ID_BYTES: usize = 16;

/// What seals the accounts. It outlives a change of the passphrase.
pub(super) struct DataKey {
    id: Vec<u8>,
    key: SealingKey,
}

impl DataKey {
    pub(super) fn generate(random: &dyn Random) -> Self {
        let mut id = vec![0; ID_BYTES];
        random.fill(&mut id);
        Self { id, key: SealingKey::filled(|bytes| random.fill(bytes)) }
    }

    /// Names it. No secret.
    pub(super) fn id(&self) -> &[u8] {
        &self.id
    }

    /// Seals the account `name`.
    pub(super) fn seal(&self, random: &dyn Random, name: &str, account: &[u8]) -> Vec<u8> {
        self.key.seal(random, Role::Account(name), account)
    }

    /// Opens the account `name`; none: it was changed, or is another one.
    pub(super) fn open(&self, name: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.key.open(Role::Account(name), sealed)
    }
}

/// As it lies on disk.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyFile {
    format: u32,
    /// Of the data key.
    key_id: Bytes,
    derivation: Derivation,
    sealed_key: Bytes,
    /// There while a passphrase is being set or removed: the [`OpenAccounts`]. Sealed by the data key, so that nobody
    /// else can have an open file taken for one of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    transition: Option<Bytes>,
}

impl KeyFile {
    /// For `key`, under a fresh salt. Slow, as [`Derivation::key`] is.
    pub(super) fn new(key: &DataKey, passphrase: &Passphrase, random: &dyn Random) -> Self {
        let derivation = Derivation::fresh(random);
        let sealed =
            derivation.key(passphrase).seal(random, Role::DataKey(&key.id), key.key.expose().as_slice());
        Self {
            format: FORMAT,
            key_id: Bytes(key.id.clone()),
            derivation,
            sealed_key: Bytes(sealed),
            transition: None,
        }
    }

    /// The directory's, if it has one.
    pub(super) fn read(directory: &Directory) -> Result<Option<Self>, StateFault> {
        let read = directory.read(NAME).map_err(|fault| match fault {
            StateFault::Damaged { path, problem } => StateFault::KeyDamaged { path, problem },
            fault => fault,
        });
        let Some(json) = read? else { return Ok(None) };
        let parsed = serde_json::from_slice(&json)
            .map_err(|error| format!("line {}, column {} is not as expected", error.line(), error.column()));
        parsed
            .and_then(Self::checked)
            .map(Some)
            .map_err(|problem| StateFault::KeyDamaged { path: directory.file(NAME), problem })
    }

    fn checked(self) -> Result<Self, String> {
        if self.format != FORMAT {
            return Err(format!("its format is {}, and {FORMAT} is allowed", self.format));
        }
        self.derivation.check()?;
        Ok(self)
    }

    pub(super) fn write(&self, lock: &WriteLock, directory: &Directory) -> Result<(), StateFault> {
        let mut json = serde_json::to_vec_pretty(self).expect("strings and numbers can be written as JSON");
        json.push(b'\n');
        directory.replace(lock, NAME, &json)
    }

    pub(super) fn remove(lock: &WriteLock, directory: &Directory) -> Result<(), StateFault> {
        directory.remove(lock, NAME)
    }

    /// The data key; none: this is not the passphrase. Slow, as [`Derivation::key`] is.
    pub(super) fn unlock(&self, passphrase: &Passphrase) -> Option<DataKey> {
        let opened =
            self.derivation.key(passphrase).open(Role::DataKey(&self.key_id.0), &self.sealed_key.0)?;
        let bytes: &[u8; 32] = opened.as_slice().try_into().ok()?;
        let key = SealingKey::filled(|key| key.copy_from_slice(bytes));
        Some(DataKey { id: self.key_id.0.clone(), key })
    }

    /// Another one for each passphrase that was set, also for the same again.
    pub(super) fn sealed_key(&self) -> &Bytes {
        &self.sealed_key
    }

    /// Whether it is about this data key.
    pub(super) fn is_of(&self, key: &DataKey) -> bool {
        self.key_id.0 == key.id
    }

    /// With the passphrase and the salt of `other`, which is about the same data key.
    pub(super) fn with_passphrase_of(self, other: Self) -> Self {
        Self { transition: self.transition, ..other }
    }

    /// While a passphrase is being set or removed, and these may lie open.
    pub(super) fn in_transition(self, open: &OpenAccounts, key: &DataKey, random: &dyn Random) -> Self {
        let list = serde_json::to_vec(open).expect("strings can be written as JSON");
        let sealed = key.key.seal(random, Role::Transition(&key.id), &list);
        Self { transition: Some(Bytes(sealed)), ..self }
    }

    /// Once every account is sealed.
    pub(super) fn settled(self) -> Self {
        Self { transition: None, ..self }
    }

    /// What may lie open, by the word of who had the data key. None: a passphrase is neither being set nor removed.
    pub(super) fn open_accounts(&self, key: &DataKey) -> Option<OpenAccounts> {
        let list = key.key.open(Role::Transition(&key.id), &self.transition.as_ref()?.0)?;
        serde_json::from_slice(&list).ok()
    }
}
