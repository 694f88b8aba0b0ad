//! A login attempt asks.

use std::time::Duration;

use super::{AttemptTag, Loaded, Lookup, Open, Operation, Subject, Transition, Writes, told};
use crate::{
    UnixTime,
    challenge::{ChallengeRecord, Wakeup},
    id::ChallengeId,
    standing::{Holds, MayWake},
    user::UserRecord,
};

/// How far a creation time that was signed may lie from the time of the commit.
const CREATED_WITHIN: Duration = Duration::from_secs(2);

/// Asks for a login to be approved, once for each attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    /// The attempt that asks.
    pub attempt: AttemptTag,
    /// What to ask, pending. Without devices and codes it only finds what the attempt asked before.
    pub challenge: ChallengeRecord,
    /// Pending challenges that the user may have, this one among them.
    pub max_pending: usize,
    /// Lock and block as they were copied elsewhere.
    pub copy: Holds,
}

/// What came of asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreateOutcome {
    /// It is pending.
    Created {
        /// As it was stored: with whether its devices are to be woken.
        challenge: Box<ChallengeRecord>,
        /// These are superseded by it.
        superseded: Vec<ChallengeId>,
    },
    /// The attempt asked the same before: this is what it got.
    Repeated(Box<ChallengeRecord>),
    /// The attempt asked something else before.
    AttemptReused,
    /// There is nobody to ask, and no code.
    NobodyToAsk,
    /// There is nobody to ask, and codes are locked since then.
    LockedOut(UnixTime),
    /// The time that is signed in it is too far from the time of the commit, or a device that was to be asked
    /// has been revoked or has another key meanwhile: begin again, with the devices as they are now.
    Stale,
}

impl Operation for Create {
    type Outcome = CreateOutcome;

    fn subject(&self) -> Subject {
        Subject { user: self.challenge.id.user(), challenge: Lookup::Attempt(self.attempt) }
    }

    fn apply(&self, loaded: Loaded, now: UnixTime) -> Transition<CreateOutcome> {
        let mut user = loaded.user.clone();
        // One that can no longer be read is no answer to anybody. If it never was settled, the pruned list that
        // is written with the new one seals it.
        if let Ok(open) = Open::at(loaded, now) {
            let is_same = open.challenge.request_sha256 == self.challenge.request_sha256;
            return open.commit(now, |challenge| {
                if is_same {
                    CreateOutcome::Repeated(Box::new(challenge.clone()))
                } else {
                    CreateOutcome::AttemptReused
                }
            });
        }
        user.standing.heed(self.copy);
        if self.challenge.asked.is_empty() {
            match user.standing.locked_at {
                _ if self.challenge.codes.kinds.is_empty() => {
                    return Transition::unchanged(CreateOutcome::NobodyToAsk);
                }
                Some(locked_at) => return Transition::unchanged(CreateOutcome::LockedOut(locked_at)),
                None => {}
            }
        }
        let created_at = self.challenge.created_at;
        let is_off = created_at.since(now).max(now.since(created_at)) > CREATED_WITHIN;
        if is_off || self.challenge.asked.iter().any(|device| user.is_over(device.tag)) {
            return Transition::unchanged(CreateOutcome::Stale);
        }
        user.prune(now);
        let superseded = user.open(&self.challenge, self.max_pending, now);
        let challenge = ChallengeRecord { wakeup: self.wakeup(&mut user, now), ..self.challenge.clone() };
        let told = told(&challenge, &user).into_owned();
        let writes = Writes {
            user: Some(user),
            challenge: Some(challenge),
            attempt: Some(self.attempt),
            before: Some(created_at.plus(CREATED_WITHIN + Duration::from_millis(1))),
            ended: superseded.clone(),
            concerns_devices: true,
        };
        Transition { outcome: CreateOutcome::Created { challenge: Box::new(told), superseded }, writes }
    }
}

impl Create {
    /// Whether the devices are to be woken; counted if so.
    fn wakeup(&self, user: &mut UserRecord, now: UnixTime) -> Wakeup {
        if self.challenge.asked.is_empty() {
            return Wakeup::NoDevice;
        }
        match user.standing.may_wake(now) {
            MayWake::Blocked => Wakeup::Blocked,
            MayWake::HeldBack(until) => Wakeup::HeldBack { until },
            MayWake::Yes => {
                user.standing.woken(now);
                Wakeup::Sending
            }
        }
    }
}
