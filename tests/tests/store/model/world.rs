//! Users, their devices and attempts, and what happens to them next.

mod devices;
mod picks;
mod rows;

use std::{collections::VecDeque, time::Duration};

use countersign_domain::{
    UnixTime,
    challenge::{ChallengeRecord, FactorTag, REDEEM_WITHIN},
    code::{CodeKind, Codes},
    id::{ApplicationId, ChallengeId, UserTag},
    operation::{Cancel, Create, Decide, Fetch, Finding, Redeem, Signed, Stand, Unlock, VerifyCode, View},
    standing::{Holds, MAX_FAILURES},
    state::Verdict,
};
use countersign_proto::statement::Purpose;

use self::{devices::User, rows::Todo};
use super::{
    call::{Answer, Call},
    directory::Directory,
    random::Random,
};
use crate::fixture::{TestClock, attempt_tag, challenge, code, decision, device_tag, redemption};

/// What happens next.
#[derive(Clone, Debug)]
pub(super) enum Step {
    One(Box<Call>),
    /// All at once.
    Race(Vec<Call>),
    Clock(UnixTime),
    Restart,
    /// The stores lose everything.
    Lose,
}

/// Who there is, and what has been asked.
pub(super) struct World {
    random: Random,
    clock: TestClock,
    users: Vec<User>,
    made: Vec<Made>,
    directory: Directory,
    /// Of which challenge all is just now.
    focus: Option<usize>,
    /// What happens next of a row that would be too rare at random.
    row: VecDeque<Todo>,
}

struct Made {
    challenge: ChallengeRecord,
    attempt: String,
}

const VERDICTS: [Verdict; 4] = [
    Verdict::Approve { match_code_is_right: true },
    Verdict::Approve { match_code_is_right: false },
    Verdict::DenyNotMe,
    Verdict::DenyMistake,
];
/// Login attempts of each user.
const ATTEMPTS: usize = 6;
/// With how many wrong codes in a row the first users begin.
const FAILURES: [u32; 2] = [MAX_FAILURES - 2, MAX_FAILURES - 3];

impl World {
    pub(super) fn new(seed: u64, clock: &TestClock) -> Self {
        // In buckets of their own, so that a Cluster would hold them on different nodes.
        let user = |n: u64| User::new(UserTag((n << 62) | (seed << 8) | n), n * 1000);
        Self {
            random: Random::new(seed),
            clock: clock.clone(),
            users: (0..3).map(user).collect(),
            made: Vec::new(),
            directory: Directory::default(),
            focus: None,
            row: VecDeque::new(),
        }
    }

    /// The users who begin with so many wrong codes in a row that a few more lock codes.
    pub(super) fn nearly_locked(&self) -> Vec<(UserTag, u32)> {
        self.users.iter().map(|user| user.tag).zip(FAILURES).collect()
    }

    /// Each challenge that was asked for, with whose it is.
    pub(super) fn challenges(&self) -> Vec<(UserTag, Vec<ChallengeId>)> {
        let of = |user: &User| {
            let ids = self.made.iter().map(|made| made.challenge.id);
            (user.tag, ids.filter(|id| id.user() == user.tag).collect())
        };
        self.users.iter().map(of).collect()
    }

    /// Whether the challenge was made for a device with this key.
    pub(super) fn was_asked(&self, challenge: ChallengeId, key: FactorTag) -> bool {
        let asked = self.made.iter().find(|made| made.challenge.id == challenge);
        asked.is_some_and(|made| made.challenge.asked.iter().any(|device| device.tag == key))
    }

    /// Something was answered: what of it is to be copied is in the directory from now on.
    pub(super) fn hear(&mut self, call: &Call, answer: &Answer) {
        self.directory.hear(call, answer);
    }

    /// The stores lost everything.
    pub(super) fn lose(&mut self) {
        for user in &mut self.users {
            user.forget_tombstones();
        }
    }

    /// A number below `end`, for whoever must choose.
    pub(super) fn choose(&mut self, end: usize) -> usize {
        self.random.below(end)
    }

    pub(super) fn next(&mut self) -> Step {
        if let Some(todo) = self.row.pop_front() {
            return todo(self);
        }
        match self.random.below(40) {
            14..17 => {
                self.row = self.row();
                Step::Clock(self.clock.now())
            }
            0..8 => Step::Clock(self.time()),
            8..13 => {
                self.focus = self.random.one_in(2).then(|| self.newest()).flatten();
                let calls = (0..2 + self.random.below(3)).map(|_| self.call()).collect();
                self.focus = None;
                Step::Race(calls)
            }
            13 if self.random.one_in(2) => Step::Restart,
            17 if self.random.one_in(4) => Step::Lose,
            _ => Step::One(Box::new(self.call())),
        }
    }

    fn time(&mut self) -> UnixTime {
        let now = self.clock.now();
        let by = |millis: i64| UnixTime::from_millis(now.as_millis() + millis);
        match self.random.below(16) {
            0..6 => by(self.random.within(0..=5_000)),
            6..9 => by(self.random.within(5_000..=130_000)),
            9..12 => by(self.random.within(-130_000..=0)),
            12 if self.random.one_in(4) => by(self.random.within(-2_000_000..=2_000_000)),
            12 => by(self.random.within(0..=1_600_000)),
            _ => self.edge().unwrap_or(now),
        }
    }

    /// A moment at which something ends, or the millisecond before or after.
    fn edge(&mut self) -> Option<UnixTime> {
        let newest = self.newest()?;
        let made = &self.made[newest].challenge;
        let redeemable = self.clock.now().plus(REDEEM_WITHIN);
        let edges = [made.expires_at, made.expires_at, redeemable, made.readable_until()];
        let edge = *self.random.pick(&edges);
        Some(UnixTime::from_millis(edge.as_millis() + self.random.within(-1..=1)))
    }

    fn call(&mut self) -> Call {
        let kind = self.random.below(33);
        if kind < 6 || self.made.is_empty() {
            return self.create();
        }
        let challenge = self.some_challenge();
        let device = device_tag(self.some_key());
        match kind {
            6..12 => self.decide(challenge),
            12 => Call::Cancel(Cancel { challenge, application: self.application() }),
            13..18 => self.redeem(challenge),
            18..20 => Call::View(View { challenge }),
            20..22 => {
                let device = if self.random.one_in(2) { device } else { self.asked_key(challenge) };
                Call::Fetch(Fetch { challenge, device })
            }
            22..24 => self.revoke(),
            24..29 => self.code(challenge),
            29 => Call::Stand(Stand { user: challenge.user() }),
            30 => Call::Unlock(Unlock { user: challenge.user(), copy: self.copy(challenge.user()) }),
            _ => {
                let user = self.random.below(self.users.len());
                self.replace_key(user)
            }
        }
    }

    /// Mostly wrong, and mostly for the same few challenges, so that tries run out.
    fn code(&mut self, challenge: ChallengeId) -> Call {
        let right = self.random.one_in(5).then(|| self.asked_number(challenge));
        let code = VerifyCode { copy: self.copy(challenge.user()), ..code(challenge, right) };
        Call::Code(match self.random.below(16) {
            0 => VerifyCode { kind: CodeKind::Recovery, ..code },
            1 => VerifyCode { finding: Finding::NotCompared, ..code },
            2 => VerifyCode { application: ApplicationId::new(2, 2), ..code },
            _ => code,
        })
    }

    fn create(&mut self) -> Call {
        let user = self.random.below(self.users.len());
        let attempt = self.random.below(ATTEMPTS);
        self.create_for(user, attempt, |_| {})
    }

    /// `change` changes what is asked.
    fn create_for(&mut self, user: usize, attempt: usize, change: impl FnOnce(&mut ChallengeRecord)) -> Call {
        let tag = self.users[user].tag;
        let attempt = format!("{} {attempt}", tag.0);
        let now = self.clock.now();
        let signed_ago = if self.random.one_in(4) { self.random.within(-2_500..=2_500) } else { 0 };
        let created_at = UnixTime::from_millis(now.as_millis() - signed_ago);
        let seconds = if self.random.one_in(4) { 130..=600 } else { 5..=130 };
        let lifetime = Duration::from_secs(self.random.within(seconds).unsigned_abs());
        let number = self.made.len() as u64 + 1;
        let mut challenge = ChallengeRecord {
            id: ChallengeId::new(tag.0, number),
            request_sha256: [if self.random.one_in(6) { 2 } else { 1 }; 32],
            created_at,
            expires_at: created_at.plus(lifetime),
            asked: self.asked(user),
            codes: self.codes(),
            ..challenge(&attempt, number, 0, &self.clock)
        };
        change(&mut challenge);
        self.made.push(Made { challenge: challenge.clone(), attempt: attempt.clone() });
        let max_pending = 1 + self.random.below(3);
        let (attempt, copy) = (attempt_tag(&attempt), self.copy(tag));
        Call::Create(Create { attempt, challenge, max_pending, copy })
    }

    /// What a server read in the directory, perhaps before the user was last unlocked.
    fn copy(&mut self, user: UserTag) -> Holds {
        let is_old = self.random.one_in(6);
        self.directory.holds(user, is_old)
    }

    fn codes(&mut self) -> Codes {
        let kinds = if self.random.one_in(4) { Vec::new() } else { vec![CodeKind::Totp] };
        Codes { kinds, wrong: 0 }
    }

    fn decide(&mut self, challenge: ChallengeId) -> Call {
        let verdict = *self.random.pick(&VERDICTS);
        self.decide_as(challenge, verdict)
    }

    fn decide_as(&mut self, challenge: ChallengeId, verdict: Verdict) -> Call {
        let key = self.asked_number(challenge);
        let signed_ago = if self.random.one_in(3) { self.random.within(-3_000..=60_000) } else { 0 };
        let at = UnixTime::from_millis(self.clock.now().as_millis() - signed_ago);
        let settlement = Signed { at, envelope: format!("signed for {at}").into_bytes() };
        Call::Decide(Decide { settlement, ..decision(challenge, key, verdict) })
    }

    fn redeem(&mut self, challenge: ChallengeId) -> Call {
        let made = self.made.iter().find(|made| made.challenge.id == challenge);
        let redeem = redemption(challenge, made.map_or("another", |made| &made.attempt));
        Call::Redeem(match self.random.below(16) {
            0 => Redeem { attempt_id: "another".into(), ..redeem },
            1 => Redeem { user_id: "bob".into(), ..redeem },
            2 => Redeem { purpose: Purpose::Action, ..redeem },
            _ => Redeem { application: self.application(), ..redeem },
        })
    }
}
