//! Ed25519 public keys: which are taken, and the thumbprint that names one.

use std::{cell::RefCell, fmt};

use data_encoding::BASE64URL_NOPAD;
pub use ed25519_dalek::SigningKey;
use ed25519_dalek::VerifyingKey;
use sha2::{Digest as _, Sha256};

use crate::statement::{KeyAlgorithm, PublicKey};

/// A public key that may check signatures: of a known algorithm, a point of the curve, and not weak.
///
/// Weak keys (of small order) are refused because any signature can be made to verify under one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct VerificationKey(VerifyingKey);

/// Why a public key is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// No key was given.
    #[error("no public key is given")]
    Missing,
    /// `algorithm` is not `ED25519`.
    #[error("the key's algorithm is not known; allowed is ED25519")]
    Algorithm,
    /// Not 32 bytes, or not a point of the curve.
    #[error("not an Ed25519 public key: 32 bytes that encode a point of the curve are allowed")]
    Malformed,
    /// Of small order: everybody could sign for it.
    #[error("a weak Ed25519 key (of small order): anybody could sign for it")]
    Weak,
}

/// Keys that a thread remembers, of about 200 bytes each.
const REMEMBERED: usize = 1024;

thread_local! {
    /// Keys that this thread has read and taken, each in the one place that its bytes give it.
    ///
    /// Reading a key costs a third of checking a signature, and a login reads the same two over and over: its
    /// device's with each call and in its binding, the server's in each of its statements. They are public, so it
    /// is no matter that the time tells which are known; and who makes keys that share a place with another's only
    /// makes them be read anew.
    static TAKEN: RefCell<Vec<Option<VerificationKey>>> = RefCell::new(vec![None; REMEMBERED]);
}

impl VerificationKey {
    /// Reads the 32 bytes of RFC 8032.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyFault> {
        let bytes: &[u8; 32] = bytes.try_into().map_err(|_| KeyFault::Malformed)?;
        let place = usize::from(u16::from_le_bytes([bytes[0], bytes[1]])) % REMEMBERED;
        let known = TAKEN.with_borrow(|taken| taken[place]);
        if let Some(known) = known.filter(|known| known.0.as_bytes() == bytes) {
            return Ok(known);
        }
        let key = Self::read(bytes)?;
        TAKEN.with_borrow_mut(|taken| taken[place] = Some(key));
        Ok(key)
    }

    fn read(bytes: &[u8; 32]) -> Result<Self, KeyFault> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyFault::Malformed)?;
        // A key has one encoding only: what decodes to the same point from other bytes is malformed.
        if key.to_edwards().compress().as_bytes() != bytes {
            return Err(KeyFault::Malformed);
        }
        if key.is_weak() { Err(KeyFault::Weak) } else { Ok(Self(key)) }
    }

    /// Reads the wire's form of a key.
    pub fn from_wire(wire: Option<&PublicKey>) -> Result<Self, KeyFault> {
        let wire = wire.ok_or(KeyFault::Missing)?;
        if wire.algorithm != i32::from(KeyAlgorithm::Ed25519) {
            return Err(KeyFault::Algorithm);
        }
        Self::from_bytes(&wire.key)
    }

    /// The public half of `key`.
    pub fn of(key: &SigningKey) -> Self {
        Self(key.verifying_key())
    }

    /// The wire's form.
    pub fn to_wire(self) -> PublicKey {
        PublicKey { algorithm: KeyAlgorithm::Ed25519.into(), key: self.0.to_bytes().to_vec() }
    }

    /// The 32 bytes of RFC 8032.
    pub fn to_bytes(self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// RFC 7638 thumbprint of the key as an RFC 8037 JWK: base64url of SHA-256, without padding.
    pub fn thumbprint(self) -> String {
        let jwk =
            format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, BASE64URL_NOPAD.encode(self.0.as_bytes()));
        BASE64URL_NOPAD.encode(&Sha256::digest(jwk))
    }

    /// Whether `signature` (64 bytes) is this key's over `message`, by the strict rules: no malleable and no
    /// small-order parts.
    pub(crate) fn verifies(self, message: &[u8], signature: &[u8]) -> bool {
        ed25519_dalek::Signature::from_slice(signature)
            .is_ok_and(|signature| self.0.verify_strict(message, &signature).is_ok())
    }
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.thumbprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8037, appendix A.3.
    #[test]
    fn the_thumbprint_is_the_one_of_rfc_8037() {
        let x = BASE64URL_NOPAD.decode(b"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").expect("base64url");
        let key = VerificationKey::from_bytes(&x).expect("a good key");
        assert_eq!(key.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn a_key_that_was_read_before_is_read_again_and_takes_no_other_with_it() {
        let signing = SigningKey::from_bytes(&[1; 32]);
        let bytes = VerificationKey::of(&signing).to_bytes();
        let signature = ed25519_dalek::Signer::sign(&signing, b"message").to_bytes();
        for _ in 0..2 {
            let key = VerificationKey::from_bytes(&bytes).expect("a good key");
            assert!(key.verifies(b"message", &signature));
            // In the same place, and off the curve or another point of it.
            for bit in 0..=255 {
                let mut other = bytes;
                other[31] ^= bit;
                match VerificationKey::from_bytes(&other) {
                    Ok(key) => {
                        assert_eq!(key.to_bytes(), other);
                        assert_eq!(key.verifies(b"message", &signature), bit == 0);
                    }
                    Err(fault) => assert_eq!(fault, KeyFault::Malformed),
                }
            }
        }
    }

    #[test]
    fn weak_malformed_and_foreign_keys_are_refused_each_with_its_reason() {
        let mut identity = [0; 32];
        identity[0] = 1;
        assert_eq!(VerificationKey::from_bytes(&identity), Err(KeyFault::Weak));
        assert_eq!(VerificationKey::from_bytes(&[0; 32]), Err(KeyFault::Weak));
        assert_eq!(VerificationKey::from_bytes(&[2; 31]), Err(KeyFault::Malformed));
        let mut off_curve = [0; 32];
        off_curve[0] = 2;
        assert_eq!(VerificationKey::from_bytes(&off_curve), Err(KeyFault::Malformed));
        // y = p + 1, which is the identity's y written as a number that is not below p.
        let mut not_canonical = [0xff; 32];
        not_canonical[0] = 0xee;
        not_canonical[31] = 0x7f;
        assert_eq!(VerificationKey::from_bytes(&not_canonical), Err(KeyFault::Malformed));
        assert_eq!(VerificationKey::from_wire(None), Err(KeyFault::Missing));
        let foreign = PublicKey { algorithm: 2, key: vec![2; 32] };
        assert_eq!(VerificationKey::from_wire(Some(&foreign)), Err(KeyFault::Algorithm));
    }
}
