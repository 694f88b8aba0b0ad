//! A device answers.

use std::{fmt, sync::Arc, time::Duration};

use super::{Loaded, Lookup, Open, Operation, Subject, Transition};
use crate::{
    UnixTime,
    challenge::{AskedDevice, ChallengeRecord, FactorTag},
    id::ChallengeId,
    state::{Event, Settled, SettledBy, Verdict},
};

/// How far the time of a settlement that was signed beforehand may lie from the time of the commit.
const SIGNED_WITHIN: Duration = Duration::from_secs(2);

/// Signs the settlement that says what the verdict made of the challenge, settled at the given time.
pub type SignSettlement = Arc<dyn Fn(UnixTime) -> Vec<u8> + Send + Sync>;

/// Answers a challenge, once and for all. Whoever asks for this has checked the device's signature, and that
/// the decision fits the challenge; whether the device may answer, and whether an answer is still wanted, is
/// checked here, in the write itself.
#[derive(Clone)]
pub struct Decide {
    /// Which.
    pub challenge: ChallengeId,
    /// The device and key that signed.
    pub device: FactorTag,
    /// What it says.
    pub verdict: Verdict,
    /// The decision: an encoded `Envelope`, as received.
    pub decision: Vec<u8>,
    /// The settlement, signed beforehand.
    pub settlement: Signed,
    /// Signs it anew, should its time not fit.
    pub sign: SignSettlement,
}

/// A settlement and the time that is signed in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Its `settled_at`.
    pub at: UnixTime,
    /// An encoded `Envelope`.
    pub envelope: Vec<u8>,
}

/// What came of answering.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecideOutcome {
    /// There is no such challenge, or not for this device.
    NotFound,
    /// The challenge as it stands now.
    Settled {
        /// Whether that is this device's answer.
        accepted: bool,
        /// Whether it was this call that settled it.
        first: bool,
        /// As it stands.
        challenge: Box<ChallengeRecord>,
    },
}

impl Operation for Decide {
    type Outcome = DecideOutcome;

    fn subject(&self) -> Subject {
        Subject { user: self.challenge.user(), challenge: Lookup::Id(self.challenge) }
    }

    fn apply(&self, loaded: Loaded, now: UnixTime) -> Transition<DecideOutcome> {
        let mut open = match Open::at(loaded, now) {
            Ok(open) => open,
            Err(writes) => return Transition { outcome: DecideOutcome::NotFound, writes: *writes },
        };
        let Some(device) = open.device(self.device) else {
            return Transition::unchanged(DecideOutcome::NotFound);
        };
        let first = open.challenge.state.is_pending()
            && open.happen(Event::Settle(self.verdict, self.settled(&open.challenge, &device, now)));
        if first {
            open.user.standing.answered(self.verdict.outcome(), now);
        }
        open.commit(now, |challenge| DecideOutcome::Settled {
            accepted: challenge.state.is_answer_of(device.id, self.verdict),
            first,
            challenge: Box::new(challenge.clone()),
        })
    }
}

impl Decide {
    /// `settled_at` is the latest of now, the challenge's creation and the device's binding, so that a clock
    /// that stepped back makes no receipt that refutes itself.
    fn settled(&self, challenge: &ChallengeRecord, device: &AskedDevice, now: UnixTime) -> Settled {
        let earliest = challenge.created_at.max(device.bound_at);
        let (settled_at, settlement) = self.settlement.or_anew(&self.sign, challenge, earliest, now);
        let by = SettledBy::Device { id: device.id, decision: self.decision.clone() };
        Settled { by, settled_at, settlement }
    }
}

impl Signed {
    /// The settlement and its time, made anew with `sign` should its time not fit the commit at `now`. No settlement
    /// is before `earliest`.
    pub(super) fn or_anew(
        &self,
        sign: &SignSettlement,
        challenge: &ChallengeRecord,
        earliest: UnixTime,
        now: UnixTime,
    ) -> (UnixTime, Vec<u8>) {
        let settled_at = now.max(earliest);
        let fits = self.at.since(settled_at).max(settled_at.since(self.at)) <= SIGNED_WITHIN
            && self.at >= earliest
            && self.at < challenge.expires_at;
        if fits { (self.at, self.envelope.clone()) } else { (settled_at, sign(settled_at)) }
    }
}

impl fmt::Debug for Decide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decide").field("challenge", &self.challenge).finish_non_exhaustive()
    }
}
