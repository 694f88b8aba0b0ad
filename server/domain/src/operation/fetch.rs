//! A device reads what it is asked.

use super::{Loaded, Lookup, Open, Operation, Subject, Transition};
use crate::{
    UnixTime,
    challenge::{ChallengeRecord, FactorTag},
    id::ChallengeId,
};

/// Reads one challenge for a device. `None`: there is none, or not for this device. Whoever asks for this has
/// checked the device's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Which.
    pub challenge: ChallengeId,
    /// The device and key that signed.
    pub device: FactorTag,
}

impl Operation for Fetch {
    type Outcome = Option<ChallengeRecord>;

    fn subject(&self) -> Subject {
        Subject { user: self.challenge.user(), challenge: Lookup::Id(self.challenge) }
    }

    fn apply(&self, loaded: Loaded, now: UnixTime) -> Transition<Self::Outcome> {
        match Open::at(loaded, now) {
            Err(writes) => Transition { outcome: None, writes: *writes },
            Ok(open) if open.device(self.device).is_none() => Transition::unchanged(None),
            Ok(open) => open.commit(now, |challenge| Some(challenge.clone())),
        }
    }
}
