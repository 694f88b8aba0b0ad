//! Lock and block: in the store of challenges, and as they were copied to the directory.

use std::time::Duration;

use countersign_domain::{
    UnixTime,
    standing::{Holds, MAX_FAILURES},
    user::TOMBSTONE_STANDS,
};

/// By so much the clock by which the directory was told of an unlocking may be ahead.
const CLOCKS_WITHIN: Duration = Duration::from_mins(1);

/// What the store and the directory must know.
#[derive(Default)]
pub(crate) struct Known {
    /// Wrong codes and match codes in a row, those that the store lost aside.
    failures: u32,
    /// In the store.
    pub(crate) stored: Holds,
    /// In the store, as long as it remembers it: what begins, begins later.
    store_unlocked_at: Option<UnixTime>,
    /// When the store was last unlocked, by what it said then.
    last_unlocked_at: Option<UnixTime>,
    /// What the store said before it last lost everything: somebody may have read that, and copies it late.
    lost: Holds,
    /// In the directory.
    copied: Holds,
    /// Of the directory: what began until then is not copied.
    unlocked_at: Option<UnixTime>,
    /// What the directory said before the user was last unlocked, as long as the store must know of that.
    before_unlock: Option<Outdated>,
}

struct Outdated {
    holds: Holds,
    unlocked_at: UnixTime,
}

impl Known {
    /// A user with so many failures.
    pub(crate) fn after_failures(failures: u32) -> Self {
        Self { failures, ..Self::default() }
    }

    /// The directory's copies; or what it said before the user was last unlocked.
    pub(crate) fn copy(&self, is_old: bool) -> Holds {
        match &self.before_unlock {
            Some(outdated) if is_old => outdated.holds,
            _ => self.copied,
        }
    }

    /// What must stand for an operation that was given this word of the directory. Of what it said before the user was last
    /// unlocked nothing counts, for as long as the store knows of that.
    pub(crate) fn with(&self, copy: Holds) -> Holds {
        let counts = |at: &UnixTime| self.store_unlocked_at.is_none_or(|unlocked_at| *at > unlocked_at);
        Holds {
            locked_at: self.stored.locked_at.or(copy.locked_at.filter(counts)),
            push_blocked_at: self.stored.push_blocked_at.or(copy.push_blocked_at.filter(counts)),
        }
    }

    /// What the store remembers of the last unlocking, by which it is about to go: it may have forgotten it by a clock
    /// that has stepped back since.
    pub(crate) fn remember(&mut self, unlocked_at: Option<UnixTime>, now: UnixTime) {
        let remembered = unlocked_at.filter(|at| now < at.plus(TOMBSTONE_STANDS));
        assert!(remembered.is_none() || remembered == self.last_unlocked_at);
        assert!(remembered.is_some() || self.before_unlock.is_none(), "an unlocking was forgotten");
        self.store_unlocked_at = remembered;
    }

    /// A code or match code was wrong; the store now says `present`.
    pub(crate) fn fail(&mut self, now: UnixTime, present: Holds) {
        self.failures += 1;
        if self.failures >= MAX_FAILURES && self.stored.locked_at.is_none() {
            self.stored.locked_at = Some(self.began(now, present.locked_at));
        }
    }

    pub(crate) fn succeed(&mut self) {
        self.failures = 0;
    }

    /// The person said 'it was not me'; the store now says `present`.
    pub(crate) fn block(&mut self, now: UnixTime, present: Holds) {
        if self.stored.push_blocked_at.is_none() {
            self.stored.push_blocked_at = Some(self.began(now, present.push_blocked_at));
        }
    }

    /// What began just now began after the last unlocking as well, which the clock may have stepped back behind.
    fn began(&self, now: UnixTime, told: Option<UnixTime>) -> UnixTime {
        let began = told.expect("it has begun");
        let after_unlocking = self.store_unlocked_at.map(|at| at.plus(Duration::from_millis(1)));
        assert!(began == now || began > now && after_unlocking == Some(began), "at {now}: {began}");
        began
    }

    /// Somebody copies what the store says; or said before it lost everything.
    pub(crate) fn copy_stored(&mut self, is_late: bool, now: UnixTime) {
        let read = if is_late { self.lost } else { self.stored };
        let since = self.unlocked_at.filter(|&at| at <= now.plus(CLOCKS_WITHIN));
        let newer = |at: &UnixTime| since.is_none_or(|since| *at > since);
        self.copied = Holds {
            locked_at: read.locked_at.filter(newer).or(self.copied.locked_at),
            push_blocked_at: read.push_blocked_at.filter(newer).or(self.copied.push_blocked_at),
        };
    }

    /// Somebody unlocked the user in the store, which said when, and then lifted the copies.
    pub(crate) fn unlock(&mut self, unlocked_at: UnixTime) {
        let holds = self.copied;
        let later = |began: &UnixTime| *began > unlocked_at;
        *self = Self {
            copied: Holds {
                locked_at: holds.locked_at.filter(later),
                push_blocked_at: holds.push_blocked_at.filter(later),
            },
            lost: self.lost,
            store_unlocked_at: Some(unlocked_at),
            last_unlocked_at: Some(unlocked_at),
            unlocked_at: self.unlocked_at.max(Some(unlocked_at)),
            before_unlock: Some(Outdated { holds, unlocked_at }),
            ..Self::default()
        };
    }

    /// The clock shows another time.
    pub(crate) fn see(&mut self, now: UnixTime) {
        let stands = |outdated: &Outdated| now < outdated.unlocked_at.plus(TOMBSTONE_STANDS);
        self.before_unlock = self.before_unlock.take().filter(stands);
    }

    /// The store has lost everything.
    pub(crate) fn lose(&mut self) {
        self.lost = std::mem::take(&mut self.stored);
        (self.failures, self.before_unlock, self.store_unlocked_at) = (0, None, None);
    }
}
