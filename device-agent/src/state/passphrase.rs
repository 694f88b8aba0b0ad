//! A passphrase, and the key that is made of it.

use std::{fmt, ops::RangeInclusive, sync::Arc};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use secrecy::{ExposeSecret as _, SecretSlice};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Bytes, sealing::SealingKey};
use crate::random::Random;

/// Long enough for any sentence, and short enough to read from whatever file was named.
const MAX_BYTES: usize = 1024;
const ALGORITHM: &str = "argon2id";
/// 1.3, RFC 9106's.
const VERSION: u32 = 0x13;
const SALT_BYTES: usize = 16;
/// RFC 9106, section 4, the second recommended option: 64 MiB, 3 passes, 4 lanes.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
const LANES: u32 = 4;
/// What a file may ask for: nothing weaker than was ever written, and nothing that a small machine cannot do. The least
/// stay when stronger ones are written one day, so that files of before still open.
const ALLOWED_MEMORY_KIB: RangeInclusive<u32> = 64 * 1024..=256 * 1024;
const ALLOWED_PASSES: RangeInclusive<u32> = 3..=10;
const ALLOWED_LANES: RangeInclusive<u32> = 1..=16;

/// What seals the accounts of a state directory. Wiped from memory when it is dropped, and never printed.
#[derive(Clone)]
pub struct Passphrase(Arc<SecretSlice<u8>>);

/// Why this can be no passphrase. Never holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PassphraseFault {
    /// Nothing was given.
    #[error("the passphrase must not be empty")]
    Empty,
    /// Over 1,024 bytes.
    #[error("the passphrase must have at most {MAX_BYTES} bytes")]
    TooLong,
    /// Nobody could type it at a prompt.
    #[error("the passphrase must be one line")]
    SeveralLines,
}

impl Passphrase {
    /// Takes the bytes as they are, apart from one line feed (or carriage return and line feed) at the end: two
    /// keyboards that write the same letter by different bytes make two passphrases.
    pub fn new(typed: &[u8]) -> Result<Self, PassphraseFault> {
        let line = typed.strip_suffix(b"\n").map_or(typed, |line| line.strip_suffix(b"\r").unwrap_or(line));
        match line {
            [] => Err(PassphraseFault::Empty),
            line if line.contains(&b'\n') || line.contains(&0) => Err(PassphraseFault::SeveralLines),
            line if line.len() > MAX_BYTES => Err(PassphraseFault::TooLong),
            line => Ok(Self(Arc::new(SecretSlice::from(line.to_vec())))),
        }
    }
}

impl PartialEq for Passphrase {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passphrase").finish_non_exhaustive()
    }
}

/// How a key is made of a passphrase: Argon2id (RFC 9106).
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Derivation {
    algorithm: String,
    version: u32,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: Bytes,
}

impl Derivation {
    /// With the parameters of this version, and a salt of its own.
    pub(super) fn fresh(random: &dyn Random) -> Self {
        let mut salt = vec![0; SALT_BYTES];
        random.fill(&mut salt);
        Self {
            algorithm: ALGORITHM.to_owned(),
            version: VERSION,
            memory_kib: MEMORY_KIB,
            passes: PASSES,
            lanes: LANES,
            salt: Bytes(salt),
        }
    }

    /// What is wrong with parameters that were read, and what is allowed.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.algorithm != ALGORITHM || self.version != VERSION || self.salt.0.len() != SALT_BYTES {
            return Err(format!(
                "its key derivation must be {ALGORITHM}, version {VERSION}, with a salt of {SALT_BYTES} bytes"
            ));
        }
        for (what, found, allowed) in [
            ("memory_kib", self.memory_kib, ALLOWED_MEMORY_KIB),
            ("passes", self.passes, ALLOWED_PASSES),
            ("lanes", self.lanes, ALLOWED_LANES),
        ] {
            if !allowed.contains(&found) {
                return Err(format!(
                    "{what} is {found}, and {} to {} are allowed",
                    allowed.start(),
                    allowed.end()
                ));
            }
        }
        Ok(())
    }

    /// Takes a few tenths of a second and the memory that is asked for. Not for a thread that others wait on.
    ///
    /// # Panics
    ///
    /// With parameters that [`Derivation::check`] refuses.
    pub(super) fn key(&self, passphrase: &Passphrase) -> SealingKey {
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(32));
        let params = params.expect("the parameters were checked");
        let blocks = vec![Block::new(); params.block_count()];
        // The key can be read from what is left in it.
        let mut memory = Zeroizing::new(blocks.into_boxed_slice());
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        SealingKey::filled(|key| {
            argon2
                .hash_password_into_with_memory(
                    passphrase.0.expose_secret(),
                    &self.salt.0,
                    key,
                    &mut memory[..],
                )
                .expect("passphrase, salt and memory have lengths that Argon2 takes");
        })
    }
}

#[cfg(test)]
mod tests;
