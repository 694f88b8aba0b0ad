//! What must hold of a device's answer, and of the binding that says whose device it is.

use super::{Part, Refusal};
use crate::{
    common::{ChallengeState, DenialReason},
    envelope::{self, CheckSignature},
    key::VerificationKey,
    statement::{
        BindingStatement, ChallengeStatement, DecisionStatement, Receipt, SettlementStatement,
        UserVerification, Verdict,
    },
};

/// Opens the decision with the bound key. Where device and settlement do not fit, the part that differs from
/// both others is the foreign one.
pub(super) fn open_decision(
    receipt: &Receipt,
    challenge: &ChallengeStatement,
    settlement: &SettlementStatement,
    binding: &BindingStatement,
    signatures: &impl CheckSignature,
) -> Result<DecisionStatement, Refusal> {
    let part = Part::Decision;
    let envelope = receipt.decision.as_ref().ok_or(Refusal::Missing(part))?;
    let key = VerificationKey::from_wire(binding.public_key.as_ref()).expect("checked when it was read");
    let decision: Result<DecisionStatement, _> =
        signatures.check(envelope, key).and_then(|()| envelope::read(envelope));
    // A settlement of another challenge says nothing about the device; it is refused later for what it is.
    if settlement.challenge_id == challenge.challenge_id && settlement.factor_id != binding.device_id {
        let fits_binding = decision.is_ok_and(|decision| decision.device_id == binding.device_id);
        return Err(Refusal::OtherDevice(if fits_binding { Part::Settlement } else { Part::Binding }));
    }
    decision.map_err(|fault| Refusal::Envelope { part, fault })
}

/// The settlement is about this very answer.
pub(super) fn check_decision(receipt: &Receipt, settlement: &SettlementStatement) -> Result<(), Refusal> {
    let digest = receipt.decision.as_ref().map(envelope::payload_digest).unwrap_or_default();
    if settlement.decision_sha256 == digest { Ok(()) } else { Err(Refusal::OtherDecision) }
}

/// That the settlement names the bound device has been checked with the decision.
pub(super) fn check_device(
    challenge: &ChallengeStatement,
    decision: &DecisionStatement,
    binding: &BindingStatement,
) -> Result<(), Refusal> {
    if decision.device_id != binding.device_id {
        Err(Refusal::OtherDevice(Part::Decision))
    } else if binding.application_id != challenge.application_id {
        Err(Refusal::OtherApplication)
    } else if binding.user_id != challenge.user_id {
        Err(Refusal::OtherUser)
    } else {
        Ok(())
    }
}

/// The settlement says what the device said, and an approval has all that was asked of a device.
pub(super) fn check_verdict(
    challenge: &ChallengeStatement,
    decision: &DecisionStatement,
    settlement: &SettlementStatement,
) -> Result<(), Refusal> {
    let approves = decision.verdict() == Verdict::Approve;
    let agrees = match (settlement.state(), settlement.denial_reason()) {
        (ChallengeState::Approved, _) => approves,
        // Only a code that was asked for can be wrong.
        (_, DenialReason::WrongMatchCode) => approves && challenge.match_code_digits != 0,
        (_, reason) => !approves && decision.denial_reason() == reason,
    };
    if !agrees {
        return Err(Refusal::VerdictDisagrees);
    }
    if approves {
        let code = decision.match_code.as_bytes();
        if code.len() != challenge.match_code_digits as usize || !code.iter().all(u8::is_ascii_digit) {
            return Err(Refusal::MatchCodeForm);
        }
        if challenge.user_verification_required && decision.user_verification() == UserVerification::None {
            return Err(Refusal::UserVerificationMissing);
        }
    }
    Ok(())
}
