//! Sealing: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03), the place as associated data.
//!
//! A sealed value is a format byte (1), the 24 bytes of a random nonce, the ciphertext, and the 16 bytes of
//! the tag. Nonces of 192 bits may be random: they do not meet, however much one key seals.

use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead as _, AeadInOut as _, KeyInit as _, Payload},
};
use hkdf::Hkdf;
use secrecy::SecretSlice;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{
    place::{Place, length_prefix},
    subkey::derive,
};
use crate::random::{self, Random};

const FORMAT: u8 = 1;
const NONCE_BYTES: usize = 24;
const INFO: &str = "countersign/1/sealing";

/// Changed, cut short, sealed at another place, or under another master key. Which, cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sealed value does not open: the master key is another one, or the value was changed or moved")]
pub struct OpenError;

pub(super) struct SealingKey(XChaCha20Poly1305);

impl SealingKey {
    pub(super) fn derive(hkdf: &Hkdf<Sha256>) -> Self {
        Self(XChaCha20Poly1305::new((&*derive(hkdf, INFO)).into()))
    }

    pub(super) fn seal(&self, random: &dyn Random, place: Place<'_>, plaintext: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_BYTES] = random::bytes(random);
        let aad = associated_data(place);
        let ciphertext = self
            .0
            .encrypt(&XNonce::from(nonce), Payload { msg: plaintext, aad: &aad })
            .expect("what is sealed is shorter than 256 GiB");
        [&[FORMAT], nonce.as_slice(), &ciphertext].concat()
    }

    pub(super) fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<SecretSlice<u8>, OpenError> {
        let (&FORMAT, rest) = sealed.split_first().ok_or(OpenError)? else { return Err(OpenError) };
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(OpenError)?;
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        self.0
            .decrypt_in_place(&XNonce::from(*nonce), &associated_data(place), &mut *buffer)
            .map_err(|_| OpenError)?;
        // Copied into an allocation of exactly its size: shrinking one would leave a copy behind.
        Ok(SecretSlice::from(buffer.as_slice().to_vec()))
    }
}

/// Format and place, unambiguous since each part follows its length.
fn associated_data(place: Place<'_>) -> Vec<u8> {
    let mut data = vec![FORMAT];
    for part in place.parts() {
        data.extend_from_slice(&length_prefix(part));
        data.extend_from_slice(part);
    }
    data
}
