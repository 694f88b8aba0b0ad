//! API keys: what a login backend authenticates with.
//!
//! `csk_<id>_<secret>`: the id (80 random bits, 16 characters) finds the key's row, the secret (160 random bits,
//! 32 characters) is kept as a tag only. Both are RFC 4648 base32 in lower case, so that a double click takes
//! the whole key. The prefix lets scanners of source code find a key that was checked in.

use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use crate::{
    keyring::{ApiKeyUse, Keyring, Place, Tag},
    random::{self, Random},
};

const PREFIX: &str = "csk_";
const ID_CHARS: usize = 16;
const SECRET_CHARS: usize = 32;

/// An API key as its holder has it.
pub struct ApiKey {
    id: ApiKeyId,
    secret: SecretString,
}

/// What names an API key: its 16 characters between `csk_` and the secret. No secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ApiKeyId([u8; ID_CHARS]);

impl ApiKeyId {
    /// As it is written in a key and stored.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("base32 is ASCII")
    }

    fn of(text: &str) -> Option<Self> {
        let bytes = text.as_bytes().try_into().ok()?;
        is_base32(text, ID_CHARS).then_some(Self(bytes))
    }
}

/// A text that is no API key. It is not repeated here, for it may be one that was mistyped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an API key: it is written csk_<id>_<secret>, an id of {ID_CHARS} and a secret of {SECRET_CHARS} \
     characters a to z and 2 to 7"
)]
pub struct NotAnApiKey;

impl ApiKey {
    /// A new key.
    pub fn generate(random: &dyn Random) -> Self {
        let id: [u8; 10] = random::bytes(random);
        let id = ApiKeyId::of(&base32(&id)).expect("80 bits are 16 characters");
        let secret = Zeroizing::new(random::bytes::<20>(random));
        Self { id, secret: base32(secret.as_slice()).into() }
    }

    /// Names the key, and its row. No secret.
    pub fn id(&self) -> &str {
        self.id.as_str()
    }

    /// The same, to be kept.
    pub fn key_id(&self) -> ApiKeyId {
        self.id
    }

    /// The whole key, to be shown once to whom it is made for.
    pub fn reveal(&self) -> SecretString {
        format!("{PREFIX}{}_{}", self.id(), self.secret.expose_secret()).into()
    }

    /// What is kept of the secret, for a key of this application. In another application's or key's row it does
    /// not match.
    pub fn tag(&self, keyring: &Keyring, application_id: &str) -> Tag<ApiKeyUse> {
        let place = Place { kind: "api_key.tag", application_id, user_id: "", row_id: self.id() };
        keyring.api_key_tag(place, self.secret.expose_secret())
    }
}

impl FromStr for ApiKey {
    type Err = NotAnApiKey;

    fn from_str(text: &str) -> Result<Self, NotAnApiKey> {
        let (id, secret) =
            text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_')).ok_or(NotAnApiKey)?;
        let id = ApiKeyId::of(id).ok_or(NotAnApiKey)?;
        if is_base32(secret, SECRET_CHARS) {
            Ok(Self { id, secret: secret.into() })
        } else {
            Err(NotAnApiKey)
        }
    }
}

fn base32(bytes: &[u8]) -> String {
    let mut text = BASE32_NOPAD.encode(bytes);
    text.make_ascii_lowercase();
    text
}

fn is_base32(text: &str, chars: usize) -> bool {
    text.len() == chars && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use super::*;
    use crate::random::SystemRandom;

    /// Counts upwards from 0.
    struct Counting;

    impl Random for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            for (index, byte) in (0..).zip(bytes) {
                *byte = index;
            }
        }
    }

    /// By Python's `base64.b32encode(bytes(range(10)))` and `(bytes(range(20)))`.
    const KEY: &str = "csk_aaaqeayeaudaocaj_aaaqeayeaudaocajbifqydiob4ibceqt";

    fn keyring() -> Keyring {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Keyring::load_or_create(&directory.path().join("master.key"), Arc::new(SystemRandom), true)
            .expect("makes a key")
    }

    #[test]
    fn a_key_is_written_and_read_back() {
        let key = ApiKey::generate(&Counting);
        assert_eq!(key.reveal().expose_secret(), KEY);
        let read: ApiKey = KEY.parse().expect("a key");
        assert_eq!(read.id(), "aaaqeayeaudaocaj");
        assert_eq!(read.reveal().expose_secret(), KEY);
        let keys: BTreeSet<_> = (0..100).map(|_| ApiKey::generate(&SystemRandom).id().to_owned()).collect();
        assert_eq!(keys.len(), 100);
    }

    #[test]
    fn what_is_not_exactly_a_key_is_refused_and_not_repeated() {
        let secret = "aaaqeayeaudaocajbifqydiob4ibceqt";
        for text in [
            String::new(),
            KEY.to_uppercase(),
            KEY.replace("csk_", ""),
            KEY.replace("csk_", "sk_"),
            KEY.replace("caj_aaa", "cajaaa"),
            KEY.replace("aaaqeayeaudaocaj_", "_"),
            format!("{KEY}a"),
            format!("{KEY}_"),
            format!(" {KEY}"),
            KEY[..KEY.len() - 1].to_owned(),
            KEY.replace("qt", "q1"),
            KEY.replace("qt", "ä"),
        ] {
            let fault = text.parse::<ApiKey>().err().expect(&text);
            assert!(!fault.to_string().contains(secret));
        }
    }

    #[test]
    fn its_tag_matches_in_its_own_row_only() {
        let (keyring, key) = (keyring(), KEY.parse::<ApiKey>().expect("a key"));
        let kept = key.tag(&keyring, "app_1").to_bytes();
        assert!(KEY.parse::<ApiKey>().expect("a key").tag(&keyring, "app_1").matches(&kept));
        let other = [
            key.tag(&keyring, "app_2"),
            KEY.replace("csk_aaaq", "csk_baaq").parse::<ApiKey>().expect("a key").tag(&keyring, "app_1"),
            KEY.replace("ceqt", "ceqa").parse::<ApiKey>().expect("a key").tag(&keyring, "app_1"),
        ];
        assert!(other.iter().all(|tag| !tag.matches(&kept)));
    }
}
