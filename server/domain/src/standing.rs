//! What a user did wrong or left unanswered, and what follows: codes that are locked, devices that are not woken.
//!
//! Counted over all of a user's challenges, on whatever server. Signed approvals go on in any case: whoever holds
//! the key of a device is not kept out by what somebody else types.

use std::time::Duration;

use countersign_proto::time::UnixTime;
use serde::{Deserialize, Serialize};

use crate::{state::Denial, user::TOMBSTONE_STANDS};

/// Consecutive wrong codes and match codes of a user after which codes are locked.
pub const MAX_FAILURES: u32 = 100;
/// So many wake-ups that nobody answered within [`UNANSWERED_WITHIN`] hold back further ones.
pub const MAX_UNANSWERED: usize = 5;
/// See [`MAX_UNANSWERED`].
pub const UNANSWERED_WITHIN: Duration = Duration::from_mins(10);
/// For how long no wake-up goes out then.
pub const HELD_BACK_FOR: Duration = Duration::from_mins(10);
/// How long failures, a lock and a block are remembered after the last of them.
pub const REMEMBERED_FOR: Duration = Duration::from_hours(400 * 24);

/// What a user did wrong or left unanswered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Wrong codes and match codes since the last code that was accepted.
    pub failures: u32,
    /// Since when codes are locked.
    pub locked_at: Option<UnixTime>,
    /// Since when no device is woken, because the person said 'it was not me'.
    pub push_blocked_at: Option<UnixTime>,
    /// When somebody last unlocked the user: what is older and comes late counts no more.
    pub unlocked_at: Option<UnixTime>,
    /// When devices were woken and nobody has answered since, oldest first.
    pub unanswered: Vec<UnixTime>,
    /// Until when no device is woken, because too many wake-ups were not answered.
    pub held_back_until: Option<UnixTime>,
    /// When the last failure, lock or block was noted.
    pub noted_at: Option<UnixTime>,
}

/// What must outlive the store of challenges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holds {
    /// Since when codes are locked.
    pub locked_at: Option<UnixTime>,
    /// Since when no device is woken.
    pub push_blocked_at: Option<UnixTime>,
}

/// Whether devices may be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MayWake {
    /// They may.
    Yes,
    /// Not until then.
    HeldBack(UnixTime),
    /// Not until somebody unlocks the user.
    Blocked,
}

impl Standing {
    /// Lock and block.
    pub fn holds(&self) -> Holds {
        Holds { locked_at: self.locked_at, push_blocked_at: self.push_blocked_at }
    }

    /// Heeds a copy of lock and block that was kept elsewhere, unless somebody unlocked the user since.
    pub fn heed(&mut self, copy: Holds) {
        let counts = |at: Option<UnixTime>| at.filter(|&at| self.unlocked_at.is_none_or(|since| at > since));
        let (locked_at, push_blocked_at) = (counts(copy.locked_at), counts(copy.push_blocked_at));
        self.locked_at = self.locked_at.or(locked_at);
        self.push_blocked_at = self.push_blocked_at.or(push_blocked_at);
        self.noted_at = self.noted_at.max(locked_at).max(push_blocked_at);
    }

    /// When a lock or block begins: after the last unlocking in any case, since the clock may have stepped back and what
    /// is older than that counts no more.
    fn begins(&self, now: UnixTime) -> UnixTime {
        self.unlocked_at.map_or(now, |at| now.max(at.plus(Duration::from_millis(1))))
    }

    /// A code or match code was wrong.
    pub fn fail(&mut self, now: UnixTime) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= MAX_FAILURES {
            self.locked_at = self.locked_at.or(Some(self.begins(now)));
        }
        self.noted_at = Some(now);
    }

    /// A code was accepted.
    pub fn succeed(&mut self) {
        self.failures = 0;
    }

    /// A device settled a challenge: approved it, or denied it and why.
    pub fn answered(&mut self, outcome: Result<(), Denial>, now: UnixTime) {
        (self.unanswered, self.held_back_until) = (Vec::new(), None);
        match outcome {
            Err(Denial::NotMe) => {
                self.push_blocked_at = self.push_blocked_at.or(Some(self.begins(now)));
                self.noted_at = Some(now);
            }
            Err(Denial::WrongMatchCode) => self.fail(now),
            Ok(()) | Err(Denial::Mistake | Denial::TooManyCodes) => {}
        }
    }

    /// Whether devices may be woken at `now`.
    pub fn may_wake(&self, now: UnixTime) -> MayWake {
        match (self.push_blocked_at, self.held_back_until) {
            (Some(_), _) => MayWake::Blocked,
            (None, Some(until)) if now < until => MayWake::HeldBack(until),
            (None, _) => MayWake::Yes,
        }
    }

    /// Devices are woken for one more challenge.
    pub fn woken(&mut self, now: UnixTime) {
        self.unanswered.retain(|at| now < at.plus(UNANSWERED_WITHIN));
        self.unanswered.push(now);
        if self.unanswered.len() >= MAX_UNANSWERED {
            (self.unanswered, self.held_back_until) = (Vec::new(), Some(now.plus(HELD_BACK_FOR)));
        }
    }

    /// Codes and pushes go through again.
    pub fn unlock(&mut self, now: UnixTime) {
        let unlocked_at = self.unlocked_at.max(Some(now)).max(self.locked_at).max(self.push_blocked_at);
        *self = Self { unlocked_at, ..Self::default() };
    }

    /// Forgets what no longer matters.
    pub(crate) fn prune(&mut self, now: UnixTime) {
        self.unanswered.retain(|at| now < at.plus(UNANSWERED_WITHIN));
        self.held_back_until = self.held_back_until.filter(|&until| now < until);
        self.unlocked_at = self.unlocked_at.filter(|at| now < at.plus(TOMBSTONE_STANDS));
        if self.noted_at.is_some_and(|at| now >= at.plus(REMEMBERED_FOR)) {
            self.failures = 0;
        }
        if self.failures == 0 && self.holds() == Holds::default() {
            self.noted_at = None;
        }
    }

    /// Until when there is anything to keep.
    pub(crate) fn keep_until(&self) -> Option<UnixTime> {
        let noted = self.noted_at.map(|at| at.plus(REMEMBERED_FOR));
        let unanswered = self.unanswered.last().map(|at| at.plus(UNANSWERED_WITHIN));
        let unlocked = self.unlocked_at.map(|at| at.plus(TOMBSTONE_STANDS));
        noted.max(unanswered).max(unlocked).max(self.held_back_until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> UnixTime {
        UnixTime::from_millis(1_795_000_000_000 + seconds * 1000)
    }

    #[test]
    fn the_hundredth_failure_in_a_row_locks_codes_until_somebody_unlocks_them() {
        let mut standing = Standing::default();
        for n in 0..99 {
            standing.fail(at(n));
        }
        assert_eq!(standing.locked_at, None);
        standing.succeed();
        for n in 0..99 {
            standing.fail(at(n));
        }
        standing.answered(Ok(()), at(100));
        assert_eq!(
            (standing.failures, standing.locked_at),
            (99, None),
            "only an accepted code resets the count"
        );
        standing.answered(Err(Denial::WrongMatchCode), at(101));
        standing.fail(at(102));
        assert_eq!(standing.locked_at, Some(at(101)));
        standing.unlock(at(103));
        assert_eq!((standing.failures, standing.holds()), (0, Holds::default()));
    }

    #[test]
    fn five_unanswered_wake_ups_in_ten_minutes_hold_back_the_next_for_ten() {
        let mut standing = Standing::default();
        for n in [0, 100, 200, 300] {
            standing.woken(at(n));
            assert_eq!(standing.may_wake(at(n)), MayWake::Yes);
        }
        let mut answered = standing.clone();
        // The first was more than ten minutes ago.
        let mut slow = standing.clone();
        slow.woken(at(600));
        assert_eq!(slow.may_wake(at(600)), MayWake::Yes);

        standing.woken(at(599));
        assert_eq!(standing.may_wake(at(599)), MayWake::HeldBack(at(1199)));
        assert_eq!(standing.may_wake(at(1198)), MayWake::HeldBack(at(1199)));
        assert_eq!(standing.may_wake(at(1199)), MayWake::Yes);

        answered.answered(Err(Denial::Mistake), at(301));
        answered.woken(at(302));
        assert_eq!(answered.may_wake(at(302)), MayWake::Yes);
    }

    #[test]
    fn not_me_blocks_wake_ups_until_somebody_unlocks_them() {
        let mut standing = Standing::default();
        standing.answered(Err(Denial::NotMe), at(0));
        assert_eq!(standing.may_wake(at(1_000_000)), MayWake::Blocked);
        standing.unlock(at(1));
        assert_eq!(standing.may_wake(at(1)), MayWake::Yes);
    }

    #[test]
    fn a_copy_is_heeded_unless_it_is_older_than_the_last_unlock() {
        let copy = Holds { locked_at: Some(at(5)), push_blocked_at: Some(at(6)) };
        let mut forgot = Standing::default();
        forgot.heed(copy);
        assert_eq!(forgot.holds(), copy);
        let mut unlocked = forgot.clone();
        // Also when the clock stepped back before that.
        unlocked.unlock(at(1));
        unlocked.heed(copy);
        assert_eq!(unlocked.holds(), Holds::default());
        let later = Holds { locked_at: Some(at(7)), push_blocked_at: None };
        unlocked.heed(later);
        assert_eq!(unlocked.holds(), later);
    }

    #[test]
    fn what_begins_at_a_clock_behind_the_last_unlock_begins_after_it() {
        let mut standing = Standing::default();
        standing.unlock(at(100));
        standing.answered(Err(Denial::NotMe), at(50));
        for _ in 0..MAX_FAILURES {
            standing.fail(at(51));
        }
        let began = UnixTime::from_millis(at(100).as_millis() + 1);
        assert_eq!(standing.holds(), Holds { locked_at: Some(began), push_blocked_at: Some(began) });
        // So that a copy of it counts beside that unlocking.
        let mut known = Standing { unlocked_at: Some(at(100)), ..Standing::default() };
        known.heed(standing.holds());
        assert_eq!(known.holds(), standing.holds());
        standing.unlock(at(52));
        standing.heed(known.holds());
        assert_eq!(standing.holds(), Holds::default());
    }

    #[test]
    fn it_is_kept_for_as_long_as_it_says_something() {
        assert_eq!(Standing::default().keep_until(), None);
        let mut failed = Standing::default();
        failed.fail(at(0));
        assert_eq!(failed.keep_until(), Some(at(400 * 24 * 3600)));
        failed.prune(at(400 * 24 * 3600 - 1));
        assert_eq!(failed.failures, 1);
        failed.prune(at(400 * 24 * 3600));
        assert_eq!(failed, Standing::default());
        let mut woken = Standing::default();
        woken.woken(at(0));
        assert_eq!(woken.keep_until(), Some(at(600)));
        woken.prune(at(600));
        assert_eq!(woken, Standing::default());
    }
}
