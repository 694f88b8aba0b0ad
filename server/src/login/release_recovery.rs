//! A recovery code that was used up for a challenge which something else settled: it is given back by whoever meets
//! it.

use countersign_domain::id::{ChallengeId, FactorId, RecoveryId};

use crate::{core::Core, refusal::Refusal};

/// Gives the code back if the challenge that it was used for has been settled by something else. Whether it did. One
/// whose challenge can no longer be read stays used.
pub(super) async fn given_back(core: &Core, id: RecoveryId, used_by: ChallengeId) -> Result<bool, Refusal> {
    let Some(challenge) = core.challenges.view(used_by).await? else { return Ok(false) };
    if challenge.state.is_pending() || challenge.state.is_approved_by(FactorId::Recovery(id)) {
        return Ok(false);
    }
    // The directory knows whether it let in before, whatever the challenge says now.
    Ok(core.codes.release_recovery(id, used_by).await?)
}
