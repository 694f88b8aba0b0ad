//! Envelopes whose signature or type does not hold, each signed rightly but for one fault.

use countersign_proto::{
    envelope::{self, EnvelopeFault},
    statement::{ChallengeStatement, DecisionStatement, Envelope, Signature},
    statement_form::Statement,
};
use ed25519_dalek::Signer as _;

use super::{
    Fault, StatementCase,
    keys::{malleated, with_small_order_r},
};
use crate::fixture::{Login, key, public, sign_bytes};

fn good() -> Envelope {
    envelope::sign(&Login::approved().decision, &key("device"))
}

fn with_signature(change: impl Fn(&mut Signature)) -> Envelope {
    let mut envelope = good();
    change(&mut envelope.signatures[0]);
    envelope
}

fn changed(change: impl Fn(&mut Envelope)) -> Envelope {
    let mut envelope = good();
    change(&mut envelope);
    envelope
}

/// All opened as a decision of the key `device`.
pub(crate) fn cases() -> Vec<StatementCase> {
    let case = |what: &str, envelope, fault: Option<EnvelopeFault>| StatementCase {
        name: format!("envelope: {what}"),
        kind: DecisionStatement::NAME,
        signer: "device",
        second_signer: None,
        envelope,
        fault: fault.map(Fault::Is),
    };
    let refused = |what, envelope, fault| case(what, envelope, Some(fault));
    let bad_signature = |what, envelope| case(what, envelope, Some(EnvelopeFault::Signature));
    let signed = envelope::pre_authentication_encoding(DecisionStatement::PAYLOAD_TYPE, &good().payload);
    let other_type = EnvelopeFault::PayloadType {
        found: ChallengeStatement::PAYLOAD_TYPE.into(),
        allowed: DecisionStatement::PAYLOAD_TYPE,
    };
    let challenge = Login::approved().challenge;
    vec![
        case("no keyid", with_signature(|s| s.keyid.clear()), None),
        refused("no signature", changed(|e| e.signatures.clear()), EnvelopeFault::SignatureCount(0)),
        refused(
            "the signature twice",
            changed(|e| e.signatures.extend_from_within(..)),
            EnvelopeFault::SignatureCount(2),
        ),
        refused(
            "the keyid of another key",
            with_signature(|s| s.keyid = public("second-device").thumbprint()),
            EnvelopeFault::KeyId,
        ),
        refused("a keyid that is none", with_signature(|s| s.keyid.push('A')), EnvelopeFault::KeyId),
        bad_signature("a signature of 63 bytes", with_signature(|s| s.sig.truncate(63))),
        bad_signature("a signature of 65 bytes", with_signature(|s| s.sig.push(0))),
        bad_signature("an empty signature", with_signature(|s| s.sig.clear())),
        bad_signature("a malleable signature", with_signature(|s| s.sig = malleated(&s.sig))),
        bad_signature(
            "an R of small order",
            with_signature(|s| s.sig = with_small_order_r(&key("device"), &signed)),
        ),
        bad_signature(
            "signed without the pre-authentication encoding",
            changed(|e| e.signatures[0].sig = key("device").sign(&e.payload).to_bytes().to_vec()),
        ),
        bad_signature("signed by another key", {
            let mut envelope = envelope::sign(&Login::approved().decision, &key("second-device"));
            envelope.signatures[0].keyid.clear();
            envelope
        }),
        bad_signature("the payload changed", changed(|e| e.payload[3] ^= 1)),
        bad_signature(
            "the payload type changed",
            changed(|e| e.payload_type = ChallengeStatement::PAYLOAD_TYPE.into()),
        ),
        refused("a statement of another kind", envelope::sign(&challenge, &key("device")), other_type),
        refused(
            "an unknown payload type",
            sign_bytes("text/plain", &good().payload, &key("device")),
            EnvelopeFault::PayloadType {
                found: "text/plain".into(),
                allowed: DecisionStatement::PAYLOAD_TYPE,
            },
        ),
        StatementCase {
            fault: Some(Fault::Field("server_id")),
            ..case("an empty payload", sign_bytes(DecisionStatement::PAYLOAD_TYPE, &[], &key("device")), None)
        },
    ]
}
