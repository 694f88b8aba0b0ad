//! Sealing: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03), with what is sealed as associated data.
//!
//! A sealed value is the 24 bytes of a random nonce, the ciphertext, and the 16 bytes of the tag.

use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead as _, AeadInOut as _, KeyInit as _, Payload},
};
use secrecy::{ExposeSecret as _, SecretBox};
use zeroize::Zeroizing;

use crate::random::Random;

const NONCE_BYTES: usize = 24;

/// What a sealed value is. It opens as nothing else.
#[derive(Clone, Copy)]
pub(super) enum Role<'a> {
    /// The data key with this id, under a key that was made of the passphrase.
    DataKey(&'a [u8]),
    /// The account of this name, under the data key.
    Account(&'a str),
    /// Which accounts may lie open yet, or already, in the directory of the data key with this id.
    Transition(&'a [u8]),
}

impl Role<'_> {
    /// What follows `countersign-agent/1/` is written down for good.
    fn associated_data(self) -> Vec<u8> {
        let (role, which) = match self {
            Self::DataKey(id) => ("data-key", id),
            Self::Account(name) => ("account", name.as_bytes()),
            Self::Transition(id) => ("transition", id),
        };
        [b"countersign-agent/1/", role.as_bytes(), &[0], which].concat()
    }
}

/// A key that seals. Wiped when it is dropped, and never printed.
pub(super) struct SealingKey(SecretBox<[u8; 32]>);

impl SealingKey {
    /// Filled by `fill`.
    pub(super) fn filled(fill: impl FnOnce(&mut [u8; 32])) -> Self {
        Self(SecretBox::init_with_mut(fill))
    }

    /// To be sealed by another key.
    pub(super) fn expose(&self) -> &[u8; 32] {
        self.0.expose_secret()
    }

    pub(super) fn seal(&self, random: &dyn Random, role: Role<'_>, plaintext: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_BYTES];
        random.fill(&mut nonce);
        let aad = role.associated_data();
        let ciphertext = self
            .cipher()
            .encrypt(&XNonce::from(nonce), Payload { msg: plaintext, aad: &aad })
            .expect("a file is shorter than 256 GiB");
        [nonce.as_slice(), &ciphertext].concat()
    }

    /// None: changed, cut short, sealed as something else or by another key. Which, cannot be told.
    pub(super) fn open(&self, role: Role<'_>, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        let opened =
            self.cipher().decrypt_in_place(&XNonce::from(*nonce), &role.associated_data(), &mut *buffer);
        opened.is_ok().then_some(buffer)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.0.expose_secret().into())
    }
}
