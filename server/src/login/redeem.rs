//! `RedeemChallenge`: an approval becomes one session. The only OK that lets a person in.

use std::sync::Arc;

use countersign_domain::{
    UnixTime,
    challenge::{ChallengeRecord, REDEEM_WITHIN},
    operation::{Redeem, RedeemOutcome},
};
use countersign_proto::{
    common::ChallengeState,
    login::{self, RedeemChallengeRequest, RedeemChallengeResponse},
    receipt::{self, Expected, VerifiedReceipt},
    statement::{Envelope, Receipt, UserVerification},
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

/// In the write itself an approval of a revoked device is over as well, and not told apart.
const OVER: &str = "the approval is older than two minutes, or the device that approved has been revoked";

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

    let asked = challenge.asked.iter().find(|device| device.id.to_string() == verified.settlement.factor_id);
    let user_verification = verified.decision.user_verification();
    Ok(RedeemChallengeResponse {
        settlement: Some(login::Settlement {
            factor_type: verified.settlement.factor_type,
            factor_id: verified.settlement.factor_id,
            factor_name: asked.map(|device| device.name.clone()).unwrap_or_default(),
            settled_at: verified.settlement.settled_at,
        }),
        user_verification: user_verification.into(),
        amr: authentication_methods(user_verification),
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
async fn receipt_of(
    core: &Core,
    redeem: &Redeem,
    challenge: &ChallengeRecord,
) -> Result<(Receipt, VerifiedReceipt), Refusal> {
    let settled = challenge.state.settled().ok_or(Refusal::ApprovalNotProven)?;
    let device = core.devices.by_id(settled.device_id).await?;
    let in_force = device.filter(|device| {
        device.revoked_at.is_none()
            && device.user.application == redeem.application
            && device.user.user_id == redeem.user_id
    });
    let revoked = Refusal::ApprovalExpired("the device that approved has been revoked");
    let bound = in_force.and_then(|device| device.bound).ok_or(revoked)?;

    let decode = |bytes: &[u8]| Envelope::decode(bytes).unwrap_or_default();
    let (settlement, binding) = (decode(&settled.settlement), decode(&bound.envelope));
    let receipt = Receipt {
        server_keys: core.server_keys.statements_for(&[&challenge.envelope(), &settlement, &binding]),
        challenge: Some(challenge.envelope()),
        decision: Some(decode(&settled.decision)),
        settlement: Some(settlement),
        binding: Some(binding),
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
        Ok(verified) if approves(&verified, redeem) => Ok((receipt, verified)),
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

/// Whether what is signed approves this very challenge.
fn approves(verified: &VerifiedReceipt, redeem: &Redeem) -> bool {
    verified.settlement.state() == ChallengeState::Approved
        && verified.challenge.challenge_id == redeem.challenge.to_string()
}

/// RFC 8176: a key in software, a person who answered, and a PIN where the device says so.
fn authentication_methods(user_verification: UserVerification) -> Vec<String> {
    let mut methods = vec!["swk", "user"];
    if user_verification == UserVerification::Pin {
        methods.push("pin");
    }
    methods.into_iter().map(str::to_owned).collect()
}
