//! From the pinned root key to the server key that signed something.

use crate::{
    envelope::{self, Afresh, CheckSignature, EnvelopeFault},
    key::VerificationKey,
    statement::{Envelope, ServerKeyStatement},
    time::UnixTime,
};

/// A key that the root vouches for, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerKey {
    /// Counts up with each new key.
    pub version: u64,
    /// Checks challenges, offers, bindings and settlements.
    pub key: VerificationKey,
    /// Valid from, inclusive.
    pub not_before: UnixTime,
    /// Valid until, exclusive.
    pub not_after: UnixTime,
}

/// Why a server key statement is not to be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerKeyFault {
    /// Not signed by the root, or not a server key statement.
    #[error("the server key is not vouched for by the root key: {0}")]
    Envelope(#[from] EnvelopeFault),
    /// Signed by this root for another name.
    #[error("the server key statement names another server")]
    OtherServer,
}

impl ServerKey {
    /// Opens a server key statement with the root key, whose thumbprint is the server's id.
    pub fn open(envelope: &Envelope, root: VerificationKey) -> Result<Self, ServerKeyFault> {
        Self::open_with(envelope, root, &Afresh)
    }

    /// [`Self::open`], with the signature checked by `signatures`.
    pub fn open_with(
        envelope: &Envelope,
        root: VerificationKey,
        signatures: &impl CheckSignature,
    ) -> Result<Self, ServerKeyFault> {
        signatures.check(envelope, root)?;
        let statement: ServerKeyStatement = envelope::read(envelope)?;
        if statement.server_id != root.thumbprint() {
            return Err(ServerKeyFault::OtherServer);
        }
        Ok(Self {
            version: statement.version,
            key: VerificationKey::from_wire(statement.public_key.as_ref()).expect("checked when it was read"),
            not_before: UnixTime::from_wire(statement.not_before.as_ref()).expect("checked when it was read"),
            not_after: UnixTime::from_wire(statement.not_after.as_ref()).expect("checked when it was read"),
        })
    }

    /// Whether it may sign at `time`.
    pub fn is_valid_at(&self, time: UnixTime) -> bool {
        self.not_before <= time && time < self.not_after
    }
}
