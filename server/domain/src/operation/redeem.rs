//! An approval is turned into a session.

use countersign_proto::{receipt::attempt_digest, statement::Purpose};

use super::{Loaded, Lookup, Open, Operation, Subject, Transition};
use crate::{
    UnixTime,
    challenge::ChallengeRecord,
    id::{ApplicationId, ChallengeId},
    state::State,
};

/// Redeems an approval, for the application, user, attempt and purpose that asked for it. What this says is
/// not enough to let anybody in: the signed statements are verified besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redeem {
    /// Which.
    pub challenge: ChallengeId,
    /// Whose.
    pub application: ApplicationId,
    /// The user who passed the first factor.
    pub user_id: String,
    /// The login attempt.
    pub attempt_id: String,
    /// What it is to be used for.
    pub purpose: Purpose,
}

/// What came of redeeming.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedeemOutcome {
    /// The application has none of this id.
    NotFound,
    /// It was made for another user, attempt or purpose.
    NotYours,
    /// It is not approved; this is what it is.
    NotApproved(Box<ChallengeRecord>),
    /// It was approved too long ago, or by a device that has been revoked since.
    TooLate,
    /// Approved, and redeemed now or before.
    Redeemed(Box<ChallengeRecord>),
}

impl Operation for Redeem {
    type Outcome = RedeemOutcome;

    fn subject(&self) -> Subject {
        Subject { user: self.challenge.user(), challenge: Lookup::Id(self.challenge) }
    }

    fn apply(&self, loaded: Loaded, now: UnixTime) -> Transition<RedeemOutcome> {
        let mut open = match Open::at(loaded, now) {
            Ok(open) if open.challenge.application_id == self.application => open,
            Ok(_) => return Transition::unchanged(RedeemOutcome::NotFound),
            Err(writes) => return Transition { outcome: RedeemOutcome::NotFound, writes: *writes },
        };
        if !self.asked(&open.challenge) {
            return open.commit(now, |_| RedeemOutcome::NotYours);
        }
        let before = open.challenge.redeem_before();
        let is_in_time = before.is_some_and(|before| now < before);
        let is_revoked = open.is_settled_by_revoked();
        let State::Approved { redeemed_at, is_over, .. } = &mut open.challenge.state else {
            return open.commit(now, |challenge| RedeemOutcome::NotApproved(Box::new(challenge.clone())));
        };
        if *is_over || !is_in_time || is_revoked {
            // Sealed on sight, as an expiry is.
            open.changed |= !std::mem::replace(is_over, true);
            return open.commit(now, |_| RedeemOutcome::TooLate);
        }
        if redeemed_at.is_none() {
            *redeemed_at = Some(now);
            (open.changed, open.before) = (true, before);
        }
        open.commit(now, |challenge| RedeemOutcome::Redeemed(Box::new(challenge.clone())))
    }
}

impl Redeem {
    fn asked(&self, challenge: &ChallengeRecord) -> bool {
        challenge.statement().is_ok_and(|statement| {
            statement.user_id == self.user_id
                && statement.attempt_sha256 == attempt_digest(&self.attempt_id)
                && statement.purpose() == self.purpose
        })
    }
}
