//! How bytes stand in a state file: base64url without padding. A fault never quotes what was found.

use countersign_proto::key::SigningKey;
use data_encoding::BASE64URL_NOPAD;
use secrecy::{ExposeSecret as _, SecretBox};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use zeroize::Zeroizing;

use crate::random::Random;

/// Bytes that are no secret, or whose holder is never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

/// The 32 secret bytes of a device's Ed25519 key (RFC 8032, section 5.1.5).
pub(crate) struct SecretKey(SecretBox<[u8; 32]>);

impl SecretKey {
    /// A fresh one.
    pub(crate) fn generate(random: &dyn Random) -> Self {
        Self(SecretBox::init_with_mut(|bytes: &mut [u8; 32]| random.fill(bytes)))
    }

    /// To sign with.
    pub(crate) fn signing_key(&self) -> SigningKey {
        SigningKey::from_bytes(self.0.expose_secret())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64URL_NOPAD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64URL_NOPAD.decode(text.as_bytes()).map(Self).map_err(|_| D::Error::custom("not base64url"))
    }
}

impl Serialize for SecretKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(BASE64URL_NOPAD.encode(self.0.expose_secret())))
    }
}

impl<'de> Deserialize<'de> for SecretKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok().map(Zeroizing::new);
        let seed = bytes.filter(|bytes| bytes.len() == 32).ok_or_else(|| D::Error::custom("not a key"))?;
        Ok(Self(SecretBox::init_with_mut(|secret: &mut [u8; 32]| secret.copy_from_slice(&seed))))
    }
}
