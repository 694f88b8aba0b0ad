use super::*;
use crate::random::SystemRandom;

fn passphrase(typed: &str) -> Passphrase {
    Passphrase::new(typed.as_bytes()).expect("it may be one")
}

#[test]
fn one_line_with_or_without_its_end_is_a_passphrase() {
    for typed in [" two words ", " two words \n", " two words \r\n"] {
        assert!(passphrase(typed) == passphrase(" two words "), "{typed:?}");
    }
    assert!(passphrase("two words") != passphrase(" two words "), "spaces count");
    for (typed, fault) in [
        ("", PassphraseFault::Empty),
        ("\n", PassphraseFault::Empty),
        ("\r\n", PassphraseFault::Empty),
        ("two\nlines", PassphraseFault::SeveralLines),
        ("a line\n\n", PassphraseFault::SeveralLines),
        (&"x".repeat(1025), PassphraseFault::TooLong),
    ] {
        assert_eq!(Passphrase::new(typed.as_bytes()).err(), Some(fault), "{typed:?}");
    }
    passphrase(&"x".repeat(1024));
}

#[test]
fn a_passphrase_is_not_printed() {
    assert_eq!(format!("{:?}", passphrase("open sesame")), "Passphrase { .. }");
}

/// By the reference implementation (argon2-cffi on libargon2): 3 passes, 65536 KiB, 4 lanes, version 0x13.
#[test]
fn the_key_is_that_of_the_reference_implementation() {
    let derivation = Derivation { salt: Bytes((0..16).collect()), ..Derivation::fresh(&SystemRandom) };
    let key = derivation.key(&passphrase("correct horse battery staple"));
    let hex = data_encoding::HEXLOWER.encode(key.expose());
    assert_eq!(hex, "853b272a44db1421c02962669a55eb0994f3cab385ed1c4c79253eee19bab49e");
}

#[test]
fn parameters_that_are_weaker_or_far_stronger_than_ours_are_refused() {
    let fresh = || Derivation::fresh(&SystemRandom);
    fresh().check().expect("our own");
    for (changed, named) in [
        (Derivation { memory_kib: u32::MAX, ..fresh() }, "memory_kib is 4294967295, and 65536 to 262144"),
        (Derivation { memory_kib: 65535, ..fresh() }, "memory_kib is 65535"),
        (Derivation { passes: 2, ..fresh() }, "passes is 2, and 3 to 10"),
        (Derivation { passes: 11, ..fresh() }, "passes is 11"),
        (Derivation { lanes: 0, ..fresh() }, "lanes is 0, and 1 to 16"),
        (Derivation { lanes: 17, ..fresh() }, "lanes is 17"),
        (Derivation { algorithm: "argon2i".to_owned(), ..fresh() }, "argon2id"),
        (Derivation { version: 0x10, ..fresh() }, "version 19"),
        (Derivation { salt: Bytes(vec![0; 8]), ..fresh() }, "a salt of 16 bytes"),
    ] {
        let problem = changed.check().expect_err("it is not allowed");
        assert!(problem.contains(named), "{named}: {problem}");
    }
    let most = Derivation { memory_kib: 256 * 1024, passes: 10, lanes: 16, ..fresh() };
    most.check().expect("it is allowed");
}
