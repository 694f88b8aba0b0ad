//! Which of a server's keys this device trusts, and for what.
//!
//! Versions only rise. When the next key comes into force the one before it is dropped, but for challenges
//! that were created before that moment, and for them until they expire.

use std::time::Duration;

use countersign_proto::{
    envelope,
    key::VerificationKey,
    statement::Envelope,
    time::UnixTime,
    trust::{ServerKey, ServerKeyFault},
};

use crate::error::Distrust;

/// No challenge may live longer.
pub(crate) const LONGEST_LIFETIME: Duration = Duration::from_mins(10);

/// A server's keys in order of their versions, each with the statement by which the root vouches for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerKeys(Vec<(ServerKey, Envelope)>);

impl ServerKeys {
    /// Reads what was kept: oldest first.
    pub(crate) fn open(statements: Vec<Envelope>, root: VerificationKey) -> Result<Self, ServerKeyFault> {
        let opened = statements.into_iter().map(|envelope| Ok((ServerKey::open(&envelope, root)?, envelope)));
        opened.collect::<Result<_, _>>().map(Self)
    }

    /// The statements to keep: oldest first.
    pub(crate) fn statements(&self) -> impl Iterator<Item = &Envelope> {
        self.0.iter().map(|(_, envelope)| envelope)
    }

    /// Takes a newer key, refuses an older one, and forgets what no challenge can need any more.
    pub(crate) fn take(
        &mut self,
        statement: &Envelope,
        root: VerificationKey,
        now: UnixTime,
    ) -> Result<(), Distrust> {
        let offered = ServerKey::open(statement, root)?;
        match self.0.last() {
            Some((known, _)) if offered.version < known.version => {
                return Err(Distrust::ServerKeyRolledBack { offered: offered.version, known: known.version });
            }
            Some((known, _)) if offered.version == known.version => {
                if offered != *known {
                    return Err(Distrust::ServerKeyExchanged(offered.version));
                }
            }
            _ => self.0.push((offered, statement.clone())),
        }
        // The latest key that has been in force for as long as a challenge can live makes all before it useless.
        let settled = |(key, _): &(ServerKey, Envelope)| key.not_before.plus(LONGEST_LIFETIME) <= now;
        if let Some(latest) = self.0.iter().rposition(settled) {
            self.0.drain(..latest);
        }
        Ok(())
    }

    /// The key that signed `envelope`, as far as it is known. The caller still opens the envelope with it.
    pub(crate) fn signer_of(&self, envelope: &Envelope) -> Option<ServerKey> {
        let hint = envelope.signatures.first().map_or("", |signature| signature.keyid.as_str());
        let mut keys = self.0.iter().map(|(key, _)| *key);
        if hint.is_empty() {
            keys.find(|key| envelope::verify(envelope, key.key).is_ok())
        } else {
            keys.find(|key| key.key.thumbprint() == hint)
        }
    }

    /// Whether `key` may have signed a challenge with these times, and still counts for it.
    pub(crate) fn check_in_force(
        &self,
        key: &ServerKey,
        created_at: UnixTime,
        expires_at: UnixTime,
        now: UnixTime,
    ) -> Result<(), Distrust> {
        if !key.is_valid_at(created_at) {
            return Err(Distrust::ServerKeyNotValid { version: key.version, at: created_at });
        }
        let next = self.0.iter().map(|(key, _)| key).find(|other| other.version > key.version);
        let is_replaced = next.is_some_and(|next| {
            next.not_before <= created_at || (next.not_before <= now && expires_at <= now)
        });
        if is_replaced { Err(Distrust::ServerKeyReplaced(key.version)) } else { Ok(()) }
    }
}
