//! A receipt changed by somebody who has no key: what is missing, added or changed in an envelope.

use countersign_proto::{
    envelope::{self, EnvelopeFault},
    key::KeyFault,
    receipt::{Part, Refusal},
    statement::{Envelope, PublicKey, Receipt},
    trust::ServerKeyFault,
};

use super::{ReceiptCase, case};
use crate::{
    cases::keys::malleated,
    fixture::{Login, key, public},
};

pub(super) fn cases() -> Vec<ReceiptCase> {
    [missing(), envelopes(), root_keys(), server_keys()].into_iter().flatten().collect()
}

fn changed(change: impl Fn(&mut Receipt)) -> Receipt {
    let mut receipt = Login::approved().receipt();
    change(&mut receipt);
    receipt
}

/// The envelopes of a receipt, each with the refusal that tells of its fault.
type EnvelopeOf = (&'static str, fn(&mut Receipt) -> &mut Envelope, fn(EnvelopeFault) -> Refusal);

const ENVELOPES: [EnvelopeOf; 5] = [
    (
        "challenge",
        |r| r.challenge.get_or_insert_default(),
        |fault| Refusal::Envelope { part: Part::Challenge, fault },
    ),
    (
        "decision",
        |r| r.decision.get_or_insert_default(),
        |fault| Refusal::Envelope { part: Part::Decision, fault },
    ),
    (
        "settlement",
        |r| r.settlement.get_or_insert_default(),
        |fault| Refusal::Envelope { part: Part::Settlement, fault },
    ),
    (
        "binding",
        |r| r.binding.get_or_insert_default(),
        |fault| Refusal::Envelope { part: Part::Binding, fault },
    ),
    ("server key", |r| &mut r.server_keys[0], |fault| ServerKeyFault::Envelope(fault).into()),
];

fn missing() -> Vec<ReceiptCase> {
    let line = |what: &str, change: fn(&mut Receipt), refusal| {
        case(format!("missing: {what}"), changed(change), Some(refusal))
    };
    vec![
        line("everything", |r| *r = Receipt::default(), Refusal::RootKey(KeyFault::Missing)),
        line("challenge", |r| r.challenge = None, Refusal::Missing(Part::Challenge)),
        line("decision", |r| r.decision = None, Refusal::Missing(Part::Decision)),
        line("settlement", |r| r.settlement = None, Refusal::Missing(Part::Settlement)),
        line("binding", |r| r.binding = None, Refusal::Missing(Part::Binding)),
        line("root key", |r| r.root_key = None, Refusal::RootKey(KeyFault::Missing)),
        line(
            "server key",
            |r| r.server_keys.clear(),
            Refusal::Envelope { part: Part::Challenge, fault: EnvelopeFault::Signature },
        ),
    ]
}

/// Each field of each envelope.
fn envelopes() -> Vec<ReceiptCase> {
    let mut cases = Vec::new();
    for (name, envelope, refusal) in ENVELOPES {
        let mut line = |what: &str, change: fn(&mut Envelope), fault| {
            let receipt = changed(|receipt| change(envelope(receipt)));
            cases.push(case(format!("tampered: {name}, {what}"), receipt, refusal(fault)));
        };
        line("payload changed", |e| e.payload[20] ^= 1, EnvelopeFault::Signature);
        line("payload longer", |e| e.payload.push(0), EnvelopeFault::Signature);
        line("payload type changed", |e| e.payload_type.push('2'), EnvelopeFault::Signature);
        line("first byte of sig changed", |e| e.signatures[0].sig[0] ^= 1, EnvelopeFault::Signature);
        line("last byte of sig changed", |e| e.signatures[0].sig[63] ^= 1, EnvelopeFault::Signature);
        line(
            "sig malleable",
            |e| e.signatures[0].sig = malleated(&e.signatures[0].sig),
            EnvelopeFault::Signature,
        );
        line("keyid of another key", |e| e.signatures[0].keyid = other_keyid(), EnvelopeFault::KeyId);
        line("no signature", |e| e.signatures.clear(), EnvelopeFault::SignatureCount(0));
        line(
            "the signature twice",
            |e| e.signatures.extend_from_within(..),
            EnvelopeFault::SignatureCount(2),
        );
    }
    cases
}

fn other_keyid() -> String {
    public("second-device").thumbprint()
}

fn root_keys() -> Vec<ReceiptCase> {
    let line = |what: &str, root_key: PublicKey, refusal| {
        case(format!("root key: {what}"), changed(|r| r.root_key = Some(root_key.clone())), Some(refusal))
    };
    let good = public("root").to_wire();
    let of = |algorithm: i32, key: Vec<u8>| PublicKey { algorithm, key };
    vec![
        line("algorithm unset", of(0, good.key.clone()), Refusal::RootKey(KeyFault::Algorithm)),
        line("cut off", of(1, good.key[..31].to_vec()), Refusal::RootKey(KeyFault::Malformed)),
        line("weak", of(1, vec![0; 32]), Refusal::RootKey(KeyFault::Weak)),
        line("a server key", public("server-1").to_wire(), Refusal::RootKeyNotPinned),
    ]
}

fn server_keys() -> Vec<ReceiptCase> {
    let unused = |what: &str, change: fn(&mut Receipt)| {
        case(format!("server keys: {what}"), changed(change), Refusal::ServerKeyUnused)
    };
    // A key of the right server that names another, signed by the root of this one.
    let mut misnamed = Login::approved();
    misnamed.server_keys[0].0.server_id = public("other-root").thumbprint();
    vec![
        unused("one that signed nothing", |r| r.server_keys.push(second_server_key())),
        unused("the same twice", |r| r.server_keys.extend_from_within(..)),
        // Not even looked at: the fourth is one that the root did not sign.
        unused("more than can have signed", |r| r.server_keys.resize(4, Envelope::default())),
        case(
            "server keys: names another server",
            misnamed.receipt(),
            Refusal::from(ServerKeyFault::OtherServer),
        ),
    ]
}

fn second_server_key() -> Envelope {
    let (statement, _) = Login::rolled_over().server_keys.pop().expect("it has two");
    envelope::sign(&statement, &key("root"))
}
