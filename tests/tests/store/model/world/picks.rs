//! Whom and what it is about.

use countersign_domain::id::{ApplicationId, ChallengeId};

use super::World;

impl World {
    pub(super) fn application(&mut self) -> ApplicationId {
        let number = if self.random.one_in(16) { 2 } else { 1 };
        ApplicationId::new(number, number)
    }

    /// Mostly one of the latest.
    pub(super) fn newest(&mut self) -> Option<usize> {
        let back = if self.random.one_in(4) { self.made.len().max(1) } else { 4 };
        self.made.len().checked_sub(1 + self.random.below(back))
    }

    pub(super) fn some_challenge(&mut self) -> ChallengeId {
        if self.random.one_in(40) {
            return ChallengeId::new(self.users[0].tag.0, 999);
        }
        let index = self.focus.or_else(|| self.newest()).unwrap_or(0);
        self.made[index].challenge.id
    }
}
