//! HMAC-SHA-256 (RFC 2104) under one subkey for each use, and what is made of its output.

use std::marker::PhantomData;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{CODE_DIGITS, place::length_prefix};

/// One use of the master key. A type that implements it keeps tags and codes of different uses apart.
pub trait KeyUse {
    /// HKDF's `info`: names the use, different for each.
    const INFO: &'static str;
}

/// What is stored in place of a secret, or beside a value that must not be forged. No secret itself.
pub struct Tag<U>([u8; 32], PhantomData<fn() -> U>);

impl<U> Tag<U> {
    /// The 32 bytes to store or to look up.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0
    }

    /// Whether `stored` is this tag. Takes as long whichever byte differs.
    pub fn matches(&self, stored: &[u8]) -> bool {
        self.0.ct_eq(stored).into()
    }
}

/// ASCII digits that a person reads at one place and types at another. Secret while they are of use.
pub struct Digits<U>(Zeroizing<String>, PhantomData<fn() -> U>);

impl<U> Digits<U> {
    /// The digits, to be shown to whom they are meant for.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether `typed` is exactly these digits. Takes as long whichever digit differs.
    pub fn matches(&self, typed: &str) -> bool {
        self.0.as_bytes().ct_eq(typed.as_bytes()).into()
    }
}

/// The key of one use.
pub(super) struct Subkey<U>(Zeroizing<[u8; 32]>, PhantomData<fn() -> U>);

impl<U: KeyUse> Subkey<U> {
    pub(super) fn derive(hkdf: &Hkdf<Sha256>) -> Self {
        Self(derive(hkdf, U::INFO), PhantomData)
    }

    /// HMAC over the parts, each after its length.
    pub(super) fn tag(&self, parts: &[&[u8]]) -> Tag<U> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.0.as_slice()).expect("HMAC takes a key of any length");
        for part in parts {
            mac.update(&length_prefix(part));
            mac.update(part);
        }
        Tag(mac.finalize().into_bytes().into(), PhantomData)
    }

    /// The first `digits` of the six that the tag's first 128 bits, big-endian, leave when divided by 10^6.
    /// The remainder's bias is below 2^-108: no digit is likelier than another by anything that counts.
    pub(super) fn digits(&self, parts: &[&[u8]], digits: usize) -> Digits<U> {
        let tag = Zeroizing::new(self.tag(parts).0);
        let (first, _) = tag.split_first_chunk().expect("32 bytes are more than 16");
        let number = u128::from_be_bytes(*first) % 1_000_000;
        let mut code = Zeroizing::new(format!("{number:0CODE_DIGITS$}"));
        code.truncate(digits);
        Digits(code, PhantomData)
    }
}

/// HKDF-Expand to 32 bytes.
pub(super) fn derive(hkdf: &Hkdf<Sha256>, info: &str) -> Zeroizing<[u8; 32]> {
    let mut subkey = Zeroizing::new([0; 32]);
    hkdf.expand(info.as_bytes(), subkey.as_mut_slice()).expect("32 bytes are within HKDF's limit");
    subkey
}
