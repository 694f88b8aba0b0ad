//! Public keys and bare signatures that are not taken.

use countersign_proto::{
    envelope,
    key::VerificationKey,
    statement::{CallStatement, Envelope, Signature},
};

use crate::{
    cases::keys::{self, malleated, with_small_order_r},
    fixture::{KEYS, call, key, public},
};

#[test]
fn a_bad_key_is_refused_with_its_reason() {
    for case in keys::keys() {
        assert_eq!(VerificationKey::from_wire(case.key.as_ref()), Err(case.fault), "{}", case.name);
    }
}

#[test]
fn a_good_key_is_read_back_as_it_was_written() {
    for (name, _) in KEYS {
        assert_eq!(VerificationKey::from_wire(Some(&public(name).to_wire())), Ok(public(name)));
    }
}

/// The forgeries hold by the equation alone, so it is the strict rules that refuse them.
#[test]
fn the_forgeries_would_convince_a_careless_verifier() {
    use ed25519_dalek::Verifier as _;

    let small_r = with_small_order_r(&key("device"), keys::MESSAGE);
    let signature = ed25519_dalek::Signature::from_slice(&small_r).expect("64 bytes");
    assert!(key("device").verifying_key().verify(keys::MESSAGE, &signature).is_ok());

    let weak = keys::signatures().pop().expect("the last case has a weak key");
    let weak_key = ed25519_dalek::VerifyingKey::from_bytes(&weak.public_key).expect("a point");
    let signature = ed25519_dalek::Signature::from_slice(&weak.signature).expect("64 bytes");
    assert!(weak_key.verify(b"any message", &signature).is_ok());

    let good = envelope::sign(&call(), &key("device")).signatures.remove(0).sig;
    let twice_malleated = malleated(&malleated(&good));
    assert_ne!(good, twice_malleated);
    assert_eq!(good[..32], twice_malleated[..32]);
}

#[test]
fn an_envelope_with_a_forged_signature_is_refused() {
    let good = envelope::sign(&call(), &key("device"));
    let signed = envelope::pre_authentication_encoding(&good.payload_type, &good.payload);
    for sig in [malleated(&good.signatures[0].sig), with_small_order_r(&key("device"), &signed)] {
        let forged = Envelope { signatures: vec![Signature { sig, keyid: String::new() }], ..good.clone() };
        assert_eq!(
            envelope::open::<CallStatement>(&forged, public("device")),
            Err(envelope::EnvelopeFault::Signature)
        );
    }
    assert_eq!(envelope::open::<CallStatement>(&good, public("device")), Ok(call()));
}
