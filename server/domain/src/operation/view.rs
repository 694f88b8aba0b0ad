//! Reading a challenge, which seals what has come to pass.

use super::{Loaded, Lookup, Open, Operation, Subject, Transition};
use crate::{UnixTime, challenge::ChallengeRecord, id::ChallengeId};

/// Reads one challenge. `None`: there is none that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Which.
    pub challenge: ChallengeId,
}

impl Operation for View {
    type Outcome = Option<ChallengeRecord>;

    fn subject(&self) -> Subject {
        Subject { user: self.challenge.user(), challenge: Lookup::Id(self.challenge) }
    }

    fn apply(&self, loaded: Loaded, now: UnixTime) -> Transition<Self::Outcome> {
        match Open::at(loaded, now) {
            Err(writes) => Transition { outcome: None, writes: *writes },
            Ok(open) => open.commit(now, |challenge| Some(challenge.clone())),
        }
    }
}
