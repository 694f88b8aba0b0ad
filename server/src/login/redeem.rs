//! `RedeemChallenge`: an approval becomes one session. The only OK that lets a person in.

use std::sync::Arc;

use countersign_domain::{
    UnixTime,
    challenge::{ChallengeRecord, REDEEM_WITHIN},
    id::{DeviceId, FactorId},
    operation::{Redeem, RedeemOutcome},
    state::SettledBy,
};
use countersign_proto::{
    common::{ChallengeState, FactorType},
    envelope::CheckSignature as _,
    key::VerificationKey,
    login::{self, RedeemChallengeRequest, RedeemChallengeResponse},
    receipt::{self, Expected, VerifiedReceipt},
    statement::{DecisionStatement, Envelope, Receipt, UserVerification},
};
use prost::Message as _;

use super::{
    Login,
    create::{attempt_id, purpose},
};
use crate::{
    core::{Core, user_of},
    refusal::Refusal,
    store::applications::Application,
};

/// In the write itself an approval by a revoked factor is over as well, and not told apart.
const OVER: &str = "the approval is older than two minutes, or the factor that approved has been revoked";
const REVOKED: Refusal = Refusal::ApprovalExpired("the factor that approved has been revoked");

impl Login {
    /// Redeems an approval: for the user, attempt and purpose that asked, within two minutes, by a factor that
    /// is still the user's. Again within that time: the same answer.
    ///
    /// What is stored beside the signed statements can only refuse. The receipt is put together and verified
    /// as any backend would, on every call, and what it proves is what is answered.
    pub async fn redeem(
        &self,
        application: &Application,
        request: RedeemChallengeRequest,
    ) -> Result<RedeemChallengeResponse, Refusal> {
        let user = user_of(application, &request.user_id)?;
        attempt_id(&request.attempt_id)?;
        let redeem = Redeem {
            challenge: request.challenge_id.parse().map_err(|_| Refusal::ChallengeNotFound)?,
            application: application.id,
            user_id: user.user_id,
            attempt_id: request.attempt_id,
            purpose: purpose(request.purpose)?,
        };
        let core = Arc::clone(&self.0);
        self.0.tasks.finish(async move { redeemed(&core, redeem).await }).await
    }
}

async fn redeemed(core: &Core, redeem: Redeem) -> Result<RedeemChallengeResponse, Refusal> {
    // Tried first, so that nothing is noted as redeemed that is then refused.
    let preview = core.challenges.preview(&redeem).await?;
    if !matches!(preview, RedeemOutcome::Redeemed(_)) {
        // The refusal itself may have something to seal. That it has become an approval in this moment is no
        // more than a clock that stepped: the same call again finds out.
        return approved(core.challenges.update(redeem).await?).and(Err(Refusal::StoreUnavailable));
    }
    let challenge = approved(preview)?;
    let (receipt, verified) = receipt_of(core, &redeem, &challenge).await?;
    // The record's own time may have been moved: what is signed counts.
    let settled_at = UnixTime::from_wire(verified.settlement.settled_at.as_ref()).unwrap_or_default();
    if core.clock.now() >= settled_at.plus(REDEEM_WITHIN) {
        return Err(Refusal::ApprovalExpired(OVER));
    }
    let challenge = approved(core.challenges.update(redeem).await?)?;

    let device = challenge.asked.iter().find(|device| device.id.to_string() == verified.settlement.factor_id);
    let decision = verified.by.decision();
    Ok(RedeemChallengeResponse {
        user_verification: decision.map(DecisionStatement::user_verification).unwrap_or_default().into(),
        amr: authentication_methods(decision).into_iter().map(str::to_owned).collect(),
        settlement: Some(login::Settlement {
            factor_type: verified.settlement.factor_type,
            factor_id: verified.settlement.factor_id,
            factor_name: device.map(|device| device.name.clone()).unwrap_or_default(),
            settled_at: verified.settlement.settled_at,
        }),
        receipt: Some(receipt),
    })
}

fn approved(outcome: RedeemOutcome) -> Result<ChallengeRecord, Refusal> {
    match outcome {
        RedeemOutcome::Redeemed(challenge) => Ok(*challenge),
        RedeemOutcome::NotFound => Err(Refusal::ChallengeNotFound),
        RedeemOutcome::NotYours => Err(Refusal::NotYourApproval),
        RedeemOutcome::NotApproved(challenge) => {
            Err(Refusal::ChallengeNotApproved(challenge.state.to_wire()))
        }
        RedeemOutcome::TooLate => Err(Refusal::ApprovalExpired(OVER)),
    }
}

/// The receipt, verified from the server id alone, and the factor still in force.
pub(crate) async fn receipt_of(
    core: &Core,
    redeem: &Redeem,
    challenge: &ChallengeRecord,
) -> Result<(Receipt, VerifiedReceipt), Refusal> {
    let settled = challenge.state.settled().ok_or(Refusal::ApprovalNotProven)?;
    let decode = |bytes: &[u8]| Envelope::decode(bytes).unwrap_or_default();
    let (decision, binding) = match &settled.by {
        SettledBy::Device { id, decision } => {
            let decision = decode(decision);
            let binding = binding_in_force(core, redeem, *id, &decision).await?;
            (Some(decision), Some(decode(&binding)))
        }
        SettledBy::Code(factor) => {
            code_factor_in_force(core, redeem, factor.id).await?;
            (None, None)
        }
        SettledBy::Server => return Err(Refusal::ApprovalNotProven),
    };
    let settlement = decode(&settled.settlement);
    let envelope = challenge.envelope();
    let signed: Vec<_> =
        [Some(&envelope), Some(&settlement), binding.as_ref()].into_iter().flatten().collect();
    let receipt = Receipt {
        server_keys: core.server_keys.statements_for(&signed),
        challenge: Some(envelope.clone()),
        decision,
        settlement: Some(settlement.clone()),
        binding: binding.clone(),
        root_key: Some(core.server_keys.root().to_wire()),
    };
    let application_id = redeem.application.to_string();
    let expected = Expected {
        application_id: Some(&application_id),
        user_id: Some(&redeem.user_id),
        attempt_id: Some(&redeem.attempt_id),
        purpose: Some(redeem.purpose),
        min_key_version: None,
    };
    let (server_id, signatures) = (core.server_keys.server_id(), core.server_keys.signatures());
    match receipt::verify_with(&receipt, server_id, &expected, signatures) {
        Ok(verified) if approves(&verified, redeem, &settled.by) => Ok((receipt, verified)),
        Ok(_) => {
            tracing::error!(challenge.id = %challenge.id, "stored as approved, but the settlement says otherwise");
            Err(Refusal::ApprovalNotProven)
        }
        Err(refusal) => {
            tracing::error!(challenge.id = %challenge.id, error = %refusal, "stored as approved, but not proven");
            Err(Refusal::ApprovalNotProven)
        }
    }
}

/// The server's signed word that the device that approved is this user's, and still is.
/// Of the key that signed the decision: the device may have another one by now.
async fn binding_in_force(
    core: &Core,
    redeem: &Redeem,
    device: DeviceId,
    decision: &Envelope,
) -> Result<Vec<u8>, Refusal> {
    let in_force = core.devices.by_id(device).await?.filter(|device| {
        device.revoked_at.is_none()
            && device.user.application == redeem.application
            && device.user.user_id == redeem.user_id
    });
    let row = in_force.ok_or(REVOKED)?;
    let bound = row.bound.ok_or(REVOKED)?;
    let signed_with = |key: &[u8; 32]| {
        VerificationKey::from_bytes(key)
            .is_ok_and(|key| core.server_keys.signatures().check(decision, key).is_ok())
    };
    if signed_with(&row.public_key) {
        return Ok(bound.envelope);
    }
    let former = core.devices.former_keys(device).await?;
    let former = former.into_iter().find(|former| signed_with(&former.public_key));
    // Signed with none of them: not proven, which the receipt's verification tells.
    Ok(former.map_or(bound.envelope, |former| former.binding))
}

/// That the factor whose code was accepted is this user's, still is, and was used up for this challenge.
async fn code_factor_in_force(core: &Core, redeem: &Redeem, id: FactorId) -> Result<(), Refusal> {
    let factor = core.codes.by_id(id).await?.filter(|factor| {
        factor.is_in_force
            && factor.user.application == redeem.application
            && factor.user.user_id == redeem.user_id
    });
    factor.ok_or(REVOKED)?;
    if let FactorId::Device(device) = id {
        core.devices.by_id(device).await?.filter(|device| core.is_bound(device)).ok_or(REVOKED)?;
    }
    // A TOTP secret may have let in elsewhere since; a recovery code lets in once, also when the store of challenges
    // forgets that it did.
    if let FactorId::Recovery(code) = id
        && !core.codes.accept_recovery(code, redeem.challenge).await?
    {
        return Err(REVOKED);
    }
    Ok(())
}

/// Whether what is signed approves this very challenge, by the factor that was looked up.
fn approves(verified: &VerifiedReceipt, redeem: &Redeem, by: &SettledBy) -> bool {
    let (factor_type, factor_id) = match by {
        SettledBy::Device { id, .. } => (FactorType::Device, id.to_string()),
        SettledBy::Code(factor) => (factor.kind().to_wire(), factor.id.to_string()),
        SettledBy::Server => return false,
    };
    verified.settlement.state() == ChallengeState::Approved
        && verified.challenge.challenge_id == redeem.challenge.to_string()
        && verified.settlement.factor_type() == factor_type
        && verified.settlement.factor_id == factor_id
}

/// RFC 8176: a key in software, a person who answered, and a PIN where the device says so; or a one-time code, on
/// paper or from a secret.
fn authentication_methods(decision: Option<&DecisionStatement>) -> Vec<&'static str> {
    match decision.map(DecisionStatement::user_verification) {
        None => vec!["otp"],
        Some(UserVerification::Pin) => vec!["swk", "user", "pin"],
        Some(_) => vec!["swk", "user"],
    }
}
