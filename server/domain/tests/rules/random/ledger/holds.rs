//! Lock and block: in the store of challenges, and as they were copied to the directory.

use countersign_domain::{
    UnixTime,
    standing::{Holds, MAX_FAILURES},
    user::TOMBSTONE_STANDS,
};

/// What the store and the directory must know.
#[derive(Default)]
pub(crate) struct Known {
    /// Wrong codes and match codes in a row, those that the store lost aside.
    failures: u32,
    /// In the store.
    pub(crate) stored: Holds,
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

    /// What must stand for an operation that was given the directory's word, old or not: the old one never counts.
    pub(crate) fn with_copies(&self) -> Holds {
        Holds {
            locked_at: self.stored.locked_at.or(self.copied.locked_at),
            push_blocked_at: self.stored.push_blocked_at.or(self.copied.push_blocked_at),
        }
    }

    pub(crate) fn fail(&mut self, now: UnixTime) {
        self.failures += 1;
        if self.failures >= MAX_FAILURES {
            self.stored.locked_at.get_or_insert(now);
        }
    }

    pub(crate) fn succeed(&mut self) {
        self.failures = 0;
    }

    pub(crate) fn block(&mut self, now: UnixTime) {
        self.stored.push_blocked_at.get_or_insert(now);
    }

    /// Somebody copies what the store says; or said before it lost everything.
    pub(crate) fn copy_stored(&mut self, is_late: bool) {
        let read = if is_late { self.lost } else { self.stored };
        let newer = |at: &UnixTime| self.unlocked_at.is_none_or(|unlocked_at| *at > unlocked_at);
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
        (self.failures, self.before_unlock) = (0, None);
    }
}
