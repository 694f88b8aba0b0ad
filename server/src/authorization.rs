//! The approval of a change of factors: a factor that the user has says yes to the next one.
//!
//! What is stored beside the signed statements can only refuse: the receipt is put together and verified, as for
//! a login.

use std::time::Duration;

use countersign_domain::{
    UnixTime,
    challenge::{ChallengeRecord, REDEEM_WITHIN},
    id::{ChallengeId, FactorId},
    operation::Redeem,
    state::State,
};
use countersign_proto::{
    common::FactorType,
    login::Authorization,
    receipt::{VerifiedReceipt, attempt_digest},
    statement::Purpose,
};

use crate::{
    core::Core,
    login::receipt_of,
    refusal::Refusal,
    store::{applications::Application, devices::UserKey},
};

/// How long it is good once the time to redeem it is over.
const GOOD_FOR: Duration = Duration::from_mins(10);

const MISSING: Refusal = Refusal::StepUpRequired(
    "the user has had factors: give an `authorization`, a redeemed challenge with purpose MANAGE_FACTORS; if no \
     factor is left, an operator can run `countersign user allow-enrollment`",
);
const NOT_GOOD: Refusal = Refusal::StepUpRequired(
    "the `authorization` is not good: allowed is a challenge of this user and attempt, redeemed in the last 10 \
     minutes, by a factor that is not revoked, with purpose MANAGE_FACTORS or approved by a recovery code",
);
const USED: Refusal = Refusal::StepUpRequired(
    "the `authorization` has been used: each approval is good for one factor, so ask for another one",
);

/// The challenge of an authorization, if it is good; whether it has been used is left to the transaction that
/// uses it up, as is whether the factor that approved it is still in force then. `None`: there is none.
pub async fn verified(
    core: &Core,
    application: &Application,
    user: &UserKey,
    authorization: Option<Authorization>,
) -> Result<Option<(ChallengeId, FactorId)>, Refusal> {
    let Some(Authorization { challenge_id, attempt_id }) = authorization else { return Ok(None) };
    let id: ChallengeId = challenge_id.parse().map_err(|_| NOT_GOOD)?;
    let challenge = core.challenges.view(id).await?.ok_or(NOT_GOOD)?;
    let statement = challenge.statement().map_err(|_| NOT_GOOD)?;
    let is_of_user = challenge.application_id == application.id
        && statement.user_id == user.user_id
        && statement.attempt_sha256 == attempt_digest(&attempt_id);
    let is_redeemed = matches!(challenge.state, State::Approved { redeemed_at: Some(_), .. });
    if !is_of_user || !is_redeemed {
        return Err(NOT_GOOD);
    }
    let redeem = Redeem {
        challenge: id,
        application: application.id,
        user_id: user.user_id.clone(),
        attempt_id,
        purpose: statement.purpose(),
    };
    let verified = approval(core, &redeem, &challenge).await?;
    let settled_at = UnixTime::from_wire(verified.settlement.settled_at.as_ref()).map_err(|_| NOT_GOOD)?;
    if !may_change_factors(&verified) || core.clock.now() >= settled_at.plus(REDEEM_WITHIN + GOOD_FOR) {
        return Err(NOT_GOOD);
    }
    let approved_by = verified.settlement.factor_id.parse().map_err(|_| NOT_GOOD)?;
    Ok(Some((id, approved_by)))
}

/// Why a factor cannot be added with this authorization, or without one.
pub fn missing_or_used(authorization: Option<ChallengeId>) -> Refusal {
    if authorization.is_some() { USED } else { MISSING }
}

/// Whoever used the recovery code has no other factor left, and needs one.
fn may_change_factors(verified: &VerifiedReceipt) -> bool {
    verified.challenge.purpose() == Purpose::ManageFactors
        || verified.settlement.factor_type() == FactorType::RecoveryCode
}

/// What its signatures prove; by a factor that is still the user's.
async fn approval(
    core: &Core,
    redeem: &Redeem,
    challenge: &ChallengeRecord,
) -> Result<VerifiedReceipt, Refusal> {
    match receipt_of(core, redeem, challenge).await {
        Ok((_, verified)) => Ok(verified),
        Err(Refusal::ApprovalExpired(_) | Refusal::ApprovalNotProven) => Err(NOT_GOOD),
        Err(other) => Err(other),
    }
}
