//! Signatures that this process has made or found good.
//!
//! A login's receipt holds the same server key statement and binding as the one before, the challenge and the
//! settlement that a server signed moments ago, and the decision that it has just verified. An Ed25519
//! verification costs more than all the rest of a small call, so none of them is made twice. What is remembered
//! is the digest of key, signed bytes and signature together: whoever changes one bit of them, in whatever store,
//! asks something that is not remembered, and gets the full check. That a statement still counts (revocation,
//! expiry) is no matter of its signature, and is looked up each time.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

use countersign_proto::{
    envelope::{self, CheckSignature, EnvelopeFault},
    key::VerificationKey,
    statement::Envelope,
};
use sha2::{Digest as _, Sha256};

/// Envelopes in a generation (32 bytes each); two generations are kept.
const GENERATION: usize = 32_768;

/// Which envelopes were found good under which keys.
#[derive(Default)]
pub(crate) struct Remembered(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: HashSet<[u8; 32]>,
    old: HashSet<[u8; 32]>,
}

impl CheckSignature for Remembered {
    fn check(&self, envelope: &Envelope, key: VerificationKey) -> Result<(), EnvelopeFault> {
        let digest = digest(envelope, key);
        if !self.generations().recall(digest) {
            envelope::verify(envelope, key)?;
            self.generations().add(digest);
        }
        Ok(())
    }
}

impl Remembered {
    /// Remembers what was just signed with the private half of `key`.
    pub(super) fn signed(&self, envelope: &Envelope, key: VerificationKey) {
        self.generations().add(digest(envelope, key));
    }

    fn generations(&self) -> std::sync::MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn recall(&mut self, digest: [u8; 32]) -> bool {
        if self.young.contains(&digest) {
            return true;
        }
        let is_known = self.old.contains(&digest);
        if is_known {
            self.add(digest);
        }
        is_known
    }

    /// What was not asked for since the last generation but one is forgotten.
    fn add(&mut self, digest: [u8; 32]) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(digest);
    }
}

/// Of all that a verification depends on. Each part has its length before it, so that none can be taken for
/// another's.
fn digest(envelope: &Envelope, key: VerificationKey) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut add = |part: &[u8]| {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    };
    add(&key.to_bytes());
    add(envelope.payload_type.as_bytes());
    add(&envelope.payload);
    for signature in &envelope.signatures {
        add(signature.keyid.as_bytes());
        add(&signature.sig);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use countersign_proto::{
        key::SigningKey,
        statement::{BindingStatement, ServerKeyStatement, Signature},
        statement_form::Statement as _,
    };

    use super::*;

    fn signed(key: &SigningKey) -> Envelope {
        let statement = ServerKeyStatement { server_id: "server".into(), version: 1, ..Default::default() };
        envelope::sign(&statement, key)
    }

    #[test]
    fn what_was_found_good_stays_good_and_nothing_that_differs_from_it_does() {
        let signing = SigningKey::from_bytes(&[1; 32]);
        let key = VerificationKey::of(&signing);
        let remembered = Remembered::default();
        let good = signed(&signing);
        for _ in 0..2 {
            assert_eq!(remembered.check(&good, key), Ok(()));
        }
        let changes: [fn(&mut Envelope); 6] = [
            |envelope| envelope.payload[3] ^= 1,
            |envelope| envelope.payload.push(0),
            |envelope| envelope.payload_type = BindingStatement::PAYLOAD_TYPE.to_owned(),
            |envelope| envelope.signatures[0].sig[0] ^= 1,
            |envelope| envelope.signatures[0].keyid.push('x'),
            |envelope| envelope.signatures.push(Signature::default()),
        ];
        for change in changes {
            let mut other = good.clone();
            change(&mut other);
            for _ in 0..2 {
                assert!(remembered.check(&other, key).is_err(), "{other:?}");
            }
        }
        let other = VerificationKey::of(&SigningKey::from_bytes(&[2; 32]));
        assert!(remembered.check(&good, other).is_err());
    }

    #[test]
    fn what_was_signed_is_remembered_and_not_for_ever() {
        let signing = SigningKey::from_bytes(&[1; 32]);
        let key = VerificationKey::of(&signing);
        let remembered = Remembered::default();
        let envelope = signed(&signing);
        remembered.signed(&envelope, key);
        let digest = digest(&envelope, key);
        assert!(remembered.generations().recall(digest));
        for n in 0..2 * GENERATION as u64 {
            let mut other = [0; 32];
            other[..8].copy_from_slice(&n.to_be_bytes());
            remembered.generations().add(other);
        }
        assert!(!remembered.generations().recall(digest), "it was not asked for in between");
        let kept = remembered.generations();
        assert!(kept.young.len() <= GENERATION && kept.old.len() <= GENERATION);
    }
}
