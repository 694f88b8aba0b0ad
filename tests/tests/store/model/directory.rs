//! Copies of lock and block, as the server makes them in the directory.

use std::collections::HashMap;

use countersign_domain::{
    UnixTime,
    id::UserTag,
    operation::{CodeAnswer, CodeTold},
    standing::Holds,
};

use super::call::{Answer, Call};

/// Copies of lock and block of every user.
#[derive(Default)]
pub(super) struct Directory(HashMap<UserTag, Copies>);

#[derive(Clone, Copy, Default)]
struct Copies {
    holds: Holds,
    /// What they were before the user was unlocked.
    before_unlock: Holds,
    unlocked_at: Option<UnixTime>,
}

impl Directory {
    /// What it says of a user; or said before he was last unlocked.
    pub(super) fn holds(&self, user: UserTag, is_old: bool) -> Holds {
        let copies = self.0.get(&user).copied().unwrap_or_default();
        if is_old { copies.before_unlock } else { copies.holds }
    }

    /// Copies and lifts what the server would after this answer.
    pub(super) fn hear(&mut self, call: &Call, answer: &Answer) {
        let copies = self.0.entry(call.subject().user).or_default();
        match answer {
            Answer::Stand(standing) => copies.copy(standing.holds()),
            Answer::Code(Some(CodeTold { answer: CodeAnswer::Wrong { holds }, .. })) => copies.copy(*holds),
            Answer::Unlock(at) => copies.lift(*at),
            _ => {}
        }
    }
}

impl Copies {
    fn copy(&mut self, read: Holds) {
        let newer = |at: &UnixTime| self.unlocked_at.is_none_or(|unlocked_at| *at > unlocked_at);
        self.holds = Holds {
            locked_at: read.locked_at.filter(newer).or(self.holds.locked_at),
            push_blocked_at: read.push_blocked_at.filter(newer).or(self.holds.push_blocked_at),
        };
    }

    fn lift(&mut self, at: UnixTime) {
        self.before_unlock = self.holds;
        let later = |began: &UnixTime| *began > at;
        self.holds = Holds {
            locked_at: self.holds.locked_at.filter(later),
            push_blocked_at: self.holds.push_blocked_at.filter(later),
        };
        self.unlocked_at = self.unlocked_at.max(Some(at));
    }
}
