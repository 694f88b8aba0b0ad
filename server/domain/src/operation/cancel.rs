//! The application withdraws a challenge.

use super::{Loaded, Lookup, Open, Operation, Subject, Transition};
use crate::{
    UnixTime,
    challenge::ChallengeRecord,
    id::{ApplicationId, ChallengeId},
    state::Event,
};

/// Withdraws a challenge that is pending. The outcome is the challenge as it stands then; `None`: the
/// application has none of this id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancel {
    /// Which.
    pub challenge: ChallengeId,
    /// Whose.
    pub application: ApplicationId,
}

impl Operation for Cancel {
    type Outcome = Option<ChallengeRecord>;

    fn subject(&self) -> Subject {
        Subject { user: self.challenge.user(), challenge: Lookup::Id(self.challenge) }
    }

    fn apply(&self, loaded: Loaded, now: UnixTime) -> Transition<Self::Outcome> {
        match Open::at(loaded, now) {
            Err(writes) => Transition { outcome: None, writes: *writes },
            Ok(open) if open.challenge.application_id != self.application => Transition::unchanged(None),
            Ok(mut open) => {
                open.happen(Event::Cancel);
                open.commit(now, |challenge| Some(challenge.clone()))
            }
        }
    }
}
