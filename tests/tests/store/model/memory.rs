//! What stores must do, in memory: records by their names, and the pure functions.

use std::{collections::HashMap, time::Duration};

use countersign_domain::{
    UnixTime,
    challenge::ChallengeRecord,
    id::{ChallengeId, UserTag},
    operation::{AttemptTag, Loaded, Lookup, Subject, View, Writes},
    standing::Standing,
    user::UserRecord,
};

use super::call::{Answer, Call};

/// When records are forgotten. That can be told apart only where a clock steps back before the end of something
/// that has been forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forgets {
    /// Never: the pure functions alone.
    Nothing,
    /// As SQLite: when it is cleaned, what is over then; a user when all is over that the record lists.
    AsSqlite,
    /// As Redis: each key after its last millisecond; a user never before a challenge.
    AsRedis,
}

/// Records.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    forgets: Forgets,
    users: HashMap<UserTag, User>,
    challenges: HashMap<ChallengeId, ChallengeRecord>,
    attempts: HashMap<AttemptTag, ChallengeId>,
    /// The latest end of anything that has been forgotten.
    forgotten_to: Option<UnixTime>,
}

#[derive(Clone, Debug)]
struct User {
    record: UserRecord,
    /// The latest end of any of the user's challenges.
    challenges_until: Option<UnixTime>,
    keep_until: UnixTime,
}

impl Memory {
    pub(super) fn new(forgets: Forgets) -> Self {
        Self {
            forgets,
            users: HashMap::new(),
            challenges: HashMap::new(),
            attempts: HashMap::new(),
            forgotten_to: None,
        }
    }

    /// Lets `call` happen.
    pub(super) fn take(&mut self, call: &Call, now: UnixTime) -> Answer {
        let subject = call.subject();
        let (answer, writes) = call.apply(self.load(subject), now);
        if !writes.is_empty() {
            self.store(subject.user, writes, now);
        }
        answer
    }

    /// What a store has of `subject`.
    pub(super) fn load(&self, subject: Subject) -> Loaded {
        let challenge = match subject.challenge {
            Lookup::None => None,
            Lookup::Id(id) => self.challenges.get(&id),
            Lookup::Attempt(attempt) => self.attempts.get(&attempt).and_then(|id| self.challenges.get(id)),
        };
        Loaded { user: self.user(subject.user), challenge: challenge.cloned() }
    }

    /// The ids that the user record lists, newest first.
    pub(super) fn open(&self, user: UserTag) -> Vec<ChallengeId> {
        self.user(user).open.iter().rev().map(|open| open.id).collect()
    }

    /// What a user would be shown: what can be read of `challenges` at `now`, and which of them are open.
    pub(super) fn shown(&self, user: UserTag, challenges: &[ChallengeId], now: UnixTime) -> Shown {
        let view = |id: &ChallengeId| {
            let call = Call::View(View { challenge: *id });
            let (answer, _) = call.apply(self.load(call.subject()), now);
            answer.challenge().cloned()
        };
        let challenges: Vec<_> = challenges.iter().filter_map(view).collect();
        let is_shown = |id: &ChallengeId| challenges.iter().any(|challenge| challenge.id == *id);
        let open = self.open(user).into_iter().filter(is_shown).collect();
        Shown { challenges, open }
    }

    /// A user is there who has had so many wrong codes in a row.
    pub(super) fn begin(&mut self, user: UserTag, failures: u32, now: UnixTime) {
        self.store(user, having_failed(failures, now), now);
    }

    /// Loses everything.
    pub(super) fn lose(&mut self) {
        *self = Self::new(self.forgets);
    }

    /// Forgets what is over.
    pub(super) fn forget(&mut self, now: UnixTime) {
        let forgets = self.forgets;
        let mut forgotten_to = self.forgotten_to;
        let mut is_kept = |end: UnixTime| {
            let is_kept = match forgets {
                Forgets::Nothing => true,
                Forgets::AsSqlite => now < end,
                Forgets::AsRedis => now <= end,
            };
            if !is_kept {
                forgotten_to = forgotten_to.max(Some(end));
            }
            is_kept
        };
        self.challenges.retain(|_, challenge| is_kept(challenge.readable_until()));
        self.users.retain(|_, user| is_kept(user.keep_until));
        self.attempts.retain(|_, id| self.challenges.contains_key(id));
        self.forgotten_to = forgotten_to;
    }

    /// Whether something has been forgotten whose time is not over at `now`: the clock stepped back.
    pub(super) fn misses_something(&self, now: UnixTime) -> bool {
        self.forgotten_to.is_some_and(|forgotten_to| now < forgotten_to)
    }

    fn user(&self, user: UserTag) -> UserRecord {
        self.users.get(&user).map(|user| user.record.clone()).unwrap_or_default()
    }

    fn store(&mut self, user: UserTag, writes: Writes, now: UnixTime) {
        let end = writes.challenge.as_ref().map(ChallengeRecord::readable_until);
        let record = writes.user.unwrap_or_else(|| self.user(user));
        let challenges_until = end.max(self.users.get(&user).and_then(|user| user.challenges_until));
        let least = now.plus(Duration::from_secs(4));
        let keep_until = match self.forgets {
            Forgets::Nothing | Forgets::AsSqlite => record.keep_until().unwrap_or(least),
            Forgets::AsRedis => record.keep_until().max(challenges_until).unwrap_or(least).max(least),
        };
        self.users.insert(user, User { record, challenges_until, keep_until });
        if let Some(challenge) = writes.challenge {
            if let Some(attempt) = writes.attempt {
                self.attempts.insert(attempt, challenge.id);
            }
            self.challenges.insert(challenge.id, challenge);
        }
    }
}

/// The record of a user who has had so many wrong codes in a row.
pub(super) fn having_failed(failures: u32, now: UnixTime) -> Writes {
    let standing = Standing { failures, noted_at: Some(now), ..Standing::default() };
    let user = UserRecord { standing, ..UserRecord::default() };
    Writes { user: Some(user), ..Writes::default() }
}

/// What a user is shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) challenges: Vec<ChallengeRecord>,
    pub(super) open: Vec<ChallengeId>,
}
