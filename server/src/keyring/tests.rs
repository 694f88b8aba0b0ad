//! Known answers were computed apart from this code: HKDF, HMAC and the digits with Python's `hmac` and
//! `hashlib`, the sealed value with an `HChaCha20` in Python over OpenSSL's ChaCha20-Poly1305.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::PathBuf,
    sync::Arc,
};

use data_encoding::HEXLOWER;
use secrecy::SecretBox;
use tempfile::TempDir;

use super::*;
use crate::random::{Random, SystemRandom};

const PLACE: Place<'static> =
    Place { kind: "test.column", application_id: "app_1", user_id: "alice", row_id: "row_1" };
const PUBLIC_KEY: [u8; 32] = [7; 32];

/// Gives the same byte for ever.
struct Always(u8);

impl Random for Always {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0);
    }
}

/// A keyring of the master key `first, first + 1, ...`.
fn keyring(first: u8) -> Keyring {
    let master_key =
        SecretBox::new(Box::new(std::array::from_fn(|i| first + u8::try_from(i).expect("below 32"))));
    Keyring::new(&master_key, Arc::new(Always(9)))
}

fn hex<U>(tag: &Tag<U>) -> String {
    HEXLOWER.encode(&tag.to_bytes())
}

#[test]
fn tags_are_the_known_ones() {
    let keyring = keyring(0);
    for (tag, known) in [
        (
            hex(&keyring.api_key_tag(PLACE, "secret")),
            "c8f08cf4f6a96110c7d5d0c5298499d0c8803bae30c9bcf34889bf10946387d8",
        ),
        (
            hex(&keyring.token_tag("TOKEN")),
            "b36d218888a8df0c13fd958f1c0012123272f6ab06a02f4094f2247842a271c5",
        ),
        (
            hex(&keyring.attempt_tag("app_1", "alice", "attempt-1")),
            "ba0fcf4682fc60758287c4e6197e7974e70a1dc4cdc809bf5300945409565adf",
        ),
        (
            hex(&keyring.device_tag("dev_1", &PUBLIC_KEY)),
            "45af9804d4c2b85aedf7086a4dedefa6fffeb5dd55c4fd6e2661a10fb0d7e4bf",
        ),
        (
            hex(&keyring.factor_tag("otp_1")),
            "8b2ce52e0877430a7411faa2df16b156c42e973566519b48836040d973bca9a5",
        ),
        (
            hex(&keyring.recovery_code_tag(
                Place {
                    kind: "recovery_codes.tag",
                    application_id: "app_1",
                    user_id: "alice",
                    row_id: "rec_1",
                },
                "CODE",
            )),
            "729f63a399609b52b892aae2fbc498786dfd41565a69ce32f1028f356888780a",
        ),
    ] {
        assert_eq!(tag, known);
    }
}

#[test]
fn codes_are_the_known_ones_and_keep_their_leading_zeros() {
    let keyring = keyring(0);
    assert_eq!(keyring.match_code("chl_1", 6).reveal(), "665982");
    assert_eq!(keyring.match_code("chl_1", 3).reveal(), "665");
    assert_eq!(keyring.match_code("chl_0", 2).reveal(), "02");
    assert_eq!(keyring.match_code("chl_1", 99).reveal(), "665982");
    assert_eq!(keyring.confirmation_code("enr_1", &PUBLIC_KEY).reveal(), "076016");
    assert_ne!(keyring.confirmation_code("enr_1", &[8; 32]).reveal(), "076016");
}

#[test]
fn a_code_matches_its_own_digits_only() {
    let code = keyring(0).match_code("chl_0", 3);
    assert!(code.matches("026"));
    for other in ["", "02", "0263", "027", " 026", "26", "\u{660}26"] {
        assert!(!code.matches(other), "{other:?}");
    }
}

#[test]
fn a_tag_matches_its_own_bytes_only() {
    let tag = keyring(0).device_tag("dev_1", &PUBLIC_KEY);
    let mut stored = tag.to_bytes();
    assert!(tag.matches(&stored));
    assert!(!tag.matches(&stored[..31]));
    stored[31] ^= 1;
    assert!(!tag.matches(&stored));
}

/// Every place that differs from [`PLACE`] in one part, and two whose parts run together to the same text.
fn other_places() -> [Place<'static>; 6] {
    [
        Place { kind: "test.other", ..PLACE },
        Place { application_id: "app_2", ..PLACE },
        Place { user_id: "bob", ..PLACE },
        Place { row_id: "row_2", ..PLACE },
        Place { application_id: "app_1a", user_id: "lice", ..PLACE },
        Place { application_id: "", user_id: "app_1alice", ..PLACE },
    ]
}

#[test]
fn a_tag_holds_for_one_place_one_use_and_one_master_key() {
    let (keyring, other) = (keyring(0), keyring(1));
    let tag = keyring.api_key_tag(PLACE, "secret");
    for place in other_places() {
        assert!(!tag.matches(&keyring.api_key_tag(place, "secret").to_bytes()), "{place:?}");
    }
    assert!(!tag.matches(&keyring.token_tag("secret").to_bytes()));
    assert!(!tag.matches(&other.api_key_tag(PLACE, "secret").to_bytes()));
    let attempt = keyring.attempt_tag("a", "bc", "d");
    assert!(!attempt.matches(&keyring.attempt_tag("ab", "c", "d").to_bytes()));
    assert!(!attempt.matches(&keyring.attempt_tag("a", "b", "cd").to_bytes()));
}

#[test]
fn a_sealed_value_is_the_known_one_and_opens() {
    let keyring = keyring(0);
    let sealed = keyring.seal(PLACE, b"root key");
    assert_eq!(HEXLOWER.encode(&sealed), SEALED);
    assert_eq!(sealed.len(), 8 + 41);
    assert_eq!(keyring.open(PLACE, &sealed).expect("opens").expose_secret(), b"root key");
}

const SEALED: &str =
    "0109090909090909090909090909090909090909090909090983939885bb3e345b212cfd41f5ecacd317eb14cf44fb30b5";

#[test]
fn a_sealed_value_opens_at_its_place_and_under_its_key_only() {
    let sealed = keyring(0).seal(PLACE, b"root key");
    for place in other_places() {
        assert!(keyring(0).open(place, &sealed).is_err(), "{place:?}");
    }
    assert!(keyring(1).open(PLACE, &sealed).is_err());
}

#[test]
fn a_sealed_value_with_any_byte_changed_or_missing_does_not_open() {
    let keyring = keyring(0);
    let sealed = keyring.seal(PLACE, b"root key");
    for index in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[index] ^= 1;
        assert!(keyring.open(PLACE, &changed).is_err(), "byte {index}");
        assert!(keyring.open(PLACE, &sealed[..index]).is_err(), "{index} bytes");
    }
}

#[test]
fn nonces_come_from_the_source_of_randomness() {
    let master_key = SecretBox::new(Box::new([1; 32]));
    let keyring = Keyring::new(&master_key, Arc::new(SystemRandom));
    assert_ne!(keyring.seal(PLACE, b"same")[1..25], keyring.seal(PLACE, b"same")[1..25]);
}

/// A directory and the path of the key in it.
fn place_for_a_file() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("master.key");
    (directory, path)
}

fn load(path: &Path, first_start: bool) -> Result<Keyring, KeyringError> {
    Keyring::load_or_create(path, Arc::new(SystemRandom), first_start)
}

fn write(path: &Path, bytes: &[u8], mode: u32) {
    fs::write(path, bytes).expect("writes");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("sets the mode");
}

fn refusal(path: &Path, first_start: bool) -> String {
    load(path, first_start).err().expect("refused").to_string().replace(&path.display().to_string(), "FILE")
}

#[test]
fn the_first_start_makes_a_file_that_the_next_one_reads() {
    let (_directory, path) = place_for_a_file();
    let first = load(&path, true).expect("makes the key");
    let made = fs::read(&path).expect("reads");
    let metadata = fs::metadata(&path).expect("is there");
    assert_eq!((made.len(), metadata.permissions().mode() & 0o7777), (32, 0o600));
    let next = load(&path, false).expect("reads the key");
    assert!(
        first.device_tag("dev_1", &PUBLIC_KEY).matches(&next.device_tag("dev_1", &PUBLIC_KEY).to_bytes())
    );
    load(&path, true).expect("an operator may bring the key along");
    assert_eq!(fs::read(&path).expect("reads"), made, "it is never written again");
}

#[test]
fn a_key_file_that_nobody_should_trust_is_refused() {
    let (directory, path) = place_for_a_file();
    assert_eq!(
        refusal(&path, false),
        "the master key file FILE is missing, but there are data that were sealed with it: put it back from \
         your backup (a new key would open nothing)"
    );
    for mode in [0o640, 0o604, 0o620, 0o601] {
        write(&path, &[1; 32], mode);
        assert_eq!(
            refusal(&path, true),
            format!(
                "the master key file FILE has mode {mode:04o}, so others than its owner can use it; allowed \
                 are 0600 and 0400: run chmod 600 FILE"
            )
        );
    }
    for length in [0, 31, 33, 4096] {
        write(&path, &vec![1; length], 0o600);
        assert_eq!(
            refusal(&path, true),
            "the master key file FILE is not a master key: exactly 32 bytes are allowed, with no line break \
             after them (if a first start was cut off before there were any data, delete the file)"
        );
    }
    assert!(matches!(load(directory.path(), true), Err(KeyringError::NotAFile { .. })));
}

#[test]
fn a_key_is_never_made_through_a_dangling_link_or_without_its_directory() {
    let (directory, path) = place_for_a_file();
    symlink(directory.path().join("elsewhere"), &path).expect("links");
    assert!(matches!(load(&path, true), Err(KeyringError::Io { action: "made", .. })));
    let missing = directory.path().join("missing").join("master.key");
    assert!(matches!(load(&missing, true), Err(KeyringError::Io { action: "made", .. })));
}
