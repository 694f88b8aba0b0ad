//! Envelopes: what is signed, in which order it is checked, and that no other bytes are taken.

use countersign_proto::{
    envelope::{self, EnvelopeFault, open, pre_authentication_encoding},
    statement::{ChallengeStatement, DecisionStatement, Envelope},
    statement_form::Statement,
};
use proptest::{collection::vec, prelude::*};
use prost::Message as _;

use crate::{
    cases::{StatementCase, encodings, envelopes},
    fixture::{Login, key, public, sign_bytes},
    forms::assert_each,
};

/// DSSE v1.0.2, protocol.md, 'Test Vectors'.
#[test]
fn the_pre_authentication_encoding_is_the_one_that_dsse_publishes() {
    assert_eq!(
        pre_authentication_encoding("http://example.com/HelloWorld", b"hello world"),
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    );
    assert_eq!(pre_authentication_encoding("", b""), b"DSSEv1 0  0 ");
    // Lengths are of bytes, not of characters.
    assert_eq!(pre_authentication_encoding("ä", "ö ".as_bytes()), "DSSEv1 2 ä 3 ö ".as_bytes());
}

#[test]
fn a_signature_that_does_not_hold_is_refused_for_what_it_is() {
    assert_each(&envelopes::cases());
}

#[test]
fn a_payload_that_is_not_canonical_is_refused_for_what_it_is() {
    assert_each(&encodings::cases());
}

/// Faults are added from the last check to the first: each hides all that come after it.
#[test]
fn checks_run_in_the_order_of_the_faults() {
    let device = key("device");
    let found =
        |envelope: &Envelope| open::<DecisionStatement>(envelope, public("device")).expect_err("a fault");
    let own_type = DecisionStatement::PAYLOAD_TYPE;

    let empty = sign_bytes(own_type, &[], &device);
    assert!(matches!(found(&empty), EnvelopeFault::Field(_)));

    let not_canonical = [0x28, 0x00];
    let envelope = sign_bytes(own_type, &not_canonical, &device);
    assert_eq!(found(&envelope), EnvelopeFault::NotCanonical(DecisionStatement::NAME));

    let undecodable = [0x28, 0x00, 0x00];
    let envelope = sign_bytes(own_type, &undecodable, &device);
    assert_eq!(found(&envelope), EnvelopeFault::Undecodable(DecisionStatement::NAME));

    let mut envelope = sign_bytes("text/plain", &undecodable, &device);
    assert!(matches!(found(&envelope), EnvelopeFault::PayloadType { .. }));

    envelope.signatures[0].sig[0] ^= 1;
    assert_eq!(found(&envelope), EnvelopeFault::Signature);

    envelope.signatures[0].keyid = public("second-device").thumbprint();
    assert_eq!(found(&envelope), EnvelopeFault::KeyId);

    envelope.signatures.extend_from_within(..);
    assert_eq!(found(&envelope), EnvelopeFault::SignatureCount(2));
}

/// An attacker chooses the type's length; what is logged of it is bounded.
#[test]
fn a_long_foreign_payload_type_is_told_in_part() {
    let envelope = sign_bytes(&"ä".repeat(4000), b"", &key("device"));
    let fault = open::<DecisionStatement>(&envelope, public("device")).expect_err("a foreign type");
    let EnvelopeFault::PayloadType { found, .. } = fault else { panic!("another fault: {fault}") };
    assert_eq!(found.chars().count(), 128);
}

#[test]
fn names_are_unique() {
    let mut names: Vec<_> = [envelopes::cases(), encodings::cases()]
        .into_iter()
        .flatten()
        .map(|StatementCase { name, .. }| name)
        .collect();
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is read back encodes to the very bytes that were signed.
    #[test]
    fn what_is_read_is_all_that_was_signed(
        position in any::<prop::sample::Index>(),
        bytes in vec(any::<u8>(), 0..4),
        removed in 0_usize..4,
    ) {
        let mut payload = Login::approved().challenge.encode_to_vec();
        let start = position.index(payload.len());
        let end = (start + removed).min(payload.len());
        payload.splice(start..end, bytes);
        let envelope = sign_bytes(ChallengeStatement::PAYLOAD_TYPE, &payload, &key("server-1"));
        match envelope::open::<ChallengeStatement>(&envelope, public("server-1")) {
            Ok(statement) => prop_assert_eq!(statement.encode_to_vec(), payload),
            Err(fault) => prop_assert!(
                !matches!(fault, EnvelopeFault::Signature | EnvelopeFault::KeyId),
                "the signature was right: {}", fault
            ),
        }
    }

    /// One changed bit anywhere in what is signed, or in the signature, is one too many.
    #[test]
    fn every_bit_counts(position in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut envelope = envelope::sign(&Login::approved().challenge, &key("server-1"));
        let (payload, sig) = (envelope.payload.len(), 64);
        let position = position.index(payload + sig);
        if position < payload {
            envelope.payload[position] ^= 1_u8 << bit;
        } else {
            envelope.signatures[0].sig[position - payload] ^= 1_u8 << bit;
        }
        prop_assert_eq!(envelope::verify(&envelope, public("server-1")), Err(EnvelopeFault::Signature));
    }
}
