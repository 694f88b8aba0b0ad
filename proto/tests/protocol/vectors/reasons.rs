//! Every refusal under the name that the vectors and docs/protocol.md give it.

use countersign_proto::{
    envelope::EnvelopeFault,
    key::KeyFault,
    link::LinkFault,
    receipt::{Part, Proof, Refusal},
    trust::ServerKeyFault,
};
use serde_json::{Value, json};

use crate::cases::Fault;

pub(super) fn key(fault: KeyFault) -> &'static str {
    match fault {
        KeyFault::Missing => "missing",
        KeyFault::Algorithm => "algorithm",
        KeyFault::Malformed => "malformed",
        KeyFault::Weak => "weak",
    }
}

pub(super) fn link(fault: &LinkFault) -> &'static str {
    match fault {
        LinkFault::Address => "address",
        LinkFault::Version => "version",
        LinkFault::Parameter(_) => "parameter",
        LinkFault::Token => "token",
        LinkFault::RootKey(_) => "root_key",
    }
}

/// Of a statement that must be refused, as its table has it.
pub(super) fn expected(fault: &Fault) -> Value {
    match fault {
        Fault::Is(fault) => envelope(fault),
        Fault::Field(field) => json!({ "reason": "field", "field": field }),
    }
}

pub(super) fn envelope(fault: &EnvelopeFault) -> Value {
    let reason = match fault {
        EnvelopeFault::SignatureCount(_) => "signature_count",
        EnvelopeFault::NewKey(_) => "new_key",
        EnvelopeFault::KeyId => "key_id",
        EnvelopeFault::Signature => "signature",
        EnvelopeFault::PayloadType { .. } => "payload_type",
        // Which of the two a library sees first is its own affair.
        EnvelopeFault::Undecodable(_) | EnvelopeFault::NotCanonical(_) => "encoding",
        EnvelopeFault::Field(fault) => return json!({ "reason": "field", "field": fault.field }),
    };
    json!({ "reason": reason })
}

fn part(part: Part) -> &'static str {
    match part {
        Part::Challenge => "challenge",
        Part::Decision => "decision",
        Part::Settlement => "settlement",
        Part::Binding => "binding",
    }
}

/// Whose word a receipt rests on.
pub(super) fn proof(proof: &Proof) -> &'static str {
    match proof {
        Proof::Device { .. } => "device",
        Proof::Server => "server",
    }
}

pub(super) fn receipt(refusal: &Refusal) -> Value {
    let of_part = |reason: &str, which: Part| json!({ "reason": reason, "part": part(which) });
    let reason = match refusal {
        Refusal::RootKey(fault) => return json!({ "reason": "root_key", "key": key(*fault) }),
        Refusal::ServerKey(ServerKeyFault::Envelope(fault)) => {
            return json!({ "reason": "server_key", "fault": envelope(fault) });
        }
        Refusal::Envelope { part: which, fault } => {
            return json!({ "reason": "envelope", "part": part(*which), "fault": envelope(fault) });
        }
        Refusal::Missing(which) => return of_part("missing", *which),
        Refusal::Unexpected(which) => return of_part("unexpected", *which),
        Refusal::ServerKeyNotValid(which) => return of_part("server_key_not_valid", *which),
        Refusal::OtherServer(which) => return of_part("other_server", *which),
        Refusal::OtherChallenge(which) => return of_part("other_challenge", *which),
        Refusal::OtherContent(which) => return of_part("other_content", *which),
        Refusal::OtherDevice(which) => return of_part("other_device", *which),
        Refusal::RootKeyNotPinned => "root_key_not_pinned",
        Refusal::ServerKey(ServerKeyFault::OtherServer) => "server_key_other_server",
        Refusal::ServerKeyUnused => "server_key_unused",
        Refusal::ServerKeyTooOld { .. } => "server_key_too_old",
        Refusal::OtherDecision => "other_decision",
        Refusal::OtherApplication => "other_application",
        Refusal::OtherUser => "other_user",
        Refusal::SettledOutsideLifetime => "settled_outside_lifetime",
        Refusal::BoundAfterSettlement => "bound_after_settlement",
        Refusal::VerdictDisagrees => "verdict_disagrees",
        Refusal::MatchCodeForm => "match_code_form",
        Refusal::UserVerificationMissing => "user_verification_missing",
        Refusal::NotExpectedApplication => "not_expected_application",
        Refusal::NotExpectedUser => "not_expected_user",
        Refusal::NotExpectedAttempt => "not_expected_attempt",
        Refusal::NotExpectedPurpose => "not_expected_purpose",
    };
    json!({ "reason": reason })
}
