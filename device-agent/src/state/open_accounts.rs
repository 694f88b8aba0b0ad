//! Which accounts may lie open though there is a passphrase.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Bytes;

/// The accounts that lie open while a passphrase is being set or removed: their names, and the SHA-256 of what is in
/// their files. An account of anybody else's is not among them, and so a copy of this list is of no use to him.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct OpenAccounts(BTreeMap<String, Bytes>);

impl OpenAccounts {
    /// These, each a name and the whole file.
    pub(super) fn of<'a>(accounts: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        Self(accounts.into_iter().map(|(name, content)| (name.to_owned(), digest(content))).collect())
    }

    /// Whether exactly this file may lie open under this name.
    pub(super) fn contain(&self, name: &str, content: &[u8]) -> bool {
        self.0.get(name).is_some_and(|known| *known == digest(content))
    }
}

fn digest(content: &[u8]) -> Bytes {
    Bytes(Sha256::digest(content).to_vec())
}
