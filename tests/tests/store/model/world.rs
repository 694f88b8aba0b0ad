//! Users, their devices and attempts, and what happens to them next.

mod picks;

use std::{collections::VecDeque, time::Duration};

use countersign_domain::{
    UnixTime,
    challenge::{AskedDevice, ChallengeRecord, REDEEM_WITHIN},
    code::{CodeKind, Codes},
    id::{ApplicationId, ChallengeId, DeviceId, UserTag},
    operation::{
        Cancel, Create, Decide, Fetch, Finding, Redeem, RevokeFactor, Signed, Stand, Unlock, VerifyCode, View,
    },
    standing::Holds,
    state::Verdict,
    user::TOMBSTONE_STANDS,
};
use countersign_proto::statement::Purpose;

use super::{call::Call, random::Random};
use crate::fixture::{START, TestClock, attempt_tag, challenge, code, decision, device_tag, redemption};

/// What happens next.
#[derive(Clone, Debug)]
pub(super) enum Step {
    One(Box<Call>),
    /// All at once.
    Race(Vec<Call>),
    Clock(UnixTime),
    Restart,
}

/// Who there is, and what has been asked.
pub(super) struct World {
    random: Random,
    clock: TestClock,
    users: Vec<User>,
    made: Vec<Made>,
    /// Of which challenge all is just now.
    focus: Option<usize>,
    /// What happens next of a row that would be too rare at random.
    row: VecDeque<Step>,
}

struct User {
    tag: UserTag,
    /// Numbers of devices.
    bound: Vec<u64>,
    revoked: Vec<(u64, UnixTime)>,
    bound_ever: u64,
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

impl World {
    pub(super) fn new(seed: u64, clock: &TestClock) -> Self {
        // In buckets of their own, so that a Cluster would hold them on different nodes.
        let user = |n: u64| User {
            tag: UserTag((n << 62) | (seed << 8) | n),
            bound: (0..3).map(|device| n * 1000 + device).collect(),
            revoked: Vec::new(),
            bound_ever: 3,
        };
        let users = (0..3).map(user).collect();
        Self {
            random: Random::new(seed),
            clock: clock.clone(),
            users,
            made: Vec::new(),
            focus: None,
            row: VecDeque::new(),
        }
    }

    /// Each challenge that was asked for, with whose it is.
    pub(super) fn challenges(&self) -> Vec<(UserTag, Vec<ChallengeId>)> {
        let of = |user: &User| {
            let ids = self.made.iter().map(|made| made.challenge.id);
            (user.tag, ids.filter(|id| id.user() == user.tag).collect())
        };
        self.users.iter().map(of).collect()
    }

    /// A number below `end`, for whoever must choose.
    pub(super) fn choose(&mut self, end: usize) -> usize {
        self.random.below(end)
    }

    pub(super) fn next(&mut self) -> Step {
        if let Some(step) = self.row.pop_front() {
            return step;
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
        let kind = self.random.below(31);
        if kind < 6 || self.made.is_empty() {
            return self.create();
        }
        let challenge = self.some_challenge();
        let device = device_tag(self.some_device());
        match kind {
            6..12 => self.decide(challenge),
            12 => Call::Cancel(Cancel { challenge, application: self.application() }),
            13..18 => self.redeem(challenge),
            18..20 => Call::View(View { challenge }),
            20..22 => Call::Fetch(Fetch { challenge, device }),
            22..24 => self.revoke(),
            24..29 => self.code(challenge),
            29 => Call::Stand(Stand { user: challenge.user() }),
            _ => Call::Unlock(Unlock { user: challenge.user() }),
        }
    }

    /// Mostly wrong, and mostly for the same few challenges, so that tries run out.
    fn code(&mut self, challenge: ChallengeId) -> Call {
        let right = self.random.one_in(5).then(|| self.asked_device(challenge));
        let code = code(challenge, right);
        Call::Code(match self.random.below(16) {
            0 => VerifyCode { kind: CodeKind::Recovery, ..code },
            1 => VerifyCode { finding: Finding::NotCompared, ..code },
            2 => VerifyCode { application: ApplicationId::new(2, 2), ..code },
            _ => code,
        })
    }

    /// So many wrong codes that they deny a challenge, so many challenges that wake-ups are held back, or an approval
    /// that is redeemed too late.
    fn row(&mut self) -> VecDeque<Step> {
        let one = |call| Step::One(Box::new(call));
        let newest = self.newest().map(|newest| self.made[newest].challenge.id);
        match (self.random.below(3), newest) {
            (0, Some(challenge)) => (0..6).map(|_| one(Call::Code(code(challenge, None)))).collect(),
            (1, Some(challenge)) => {
                let late = self.clock.now().plus(REDEEM_WITHIN);
                let (decide, redeem) = (self.decide(challenge), self.redeem(challenge));
                [one(decide), Step::Clock(late), one(redeem), one(Call::View(View { challenge }))].into()
            }
            _ => {
                let user = self.random.below(self.users.len());
                (0..ATTEMPTS).map(|attempt| one(self.create_for(user, attempt))).collect()
            }
        }
    }

    fn create(&mut self) -> Call {
        let user = self.random.below(self.users.len());
        let attempt = self.random.below(ATTEMPTS);
        self.create_for(user, attempt)
    }

    fn create_for(&mut self, user: usize, attempt: usize) -> Call {
        let tag = self.users[user].tag;
        let attempt = format!("{} {attempt}", tag.0);
        let now = self.clock.now();
        let signed_ago = if self.random.one_in(4) { self.random.within(-2_500..=2_500) } else { 0 };
        let created_at = UnixTime::from_millis(now.as_millis() - signed_ago);
        let seconds = if self.random.one_in(4) { 130..=600 } else { 5..=130 };
        let lifetime = Duration::from_secs(self.random.within(seconds).unsigned_abs());
        let number = self.made.len() as u64 + 1;
        let challenge = ChallengeRecord {
            id: ChallengeId::new(tag.0, number),
            request_sha256: [if self.random.one_in(6) { 2 } else { 1 }; 32],
            created_at,
            expires_at: created_at.plus(lifetime),
            asked: self.asked(user),
            codes: self.codes(),
            ..challenge(&attempt, number, 0, &self.clock)
        };
        self.made.push(Made { challenge: challenge.clone(), attempt: attempt.clone() });
        let max_pending = 1 + self.random.below(3);
        let (attempt, copy) = (attempt_tag(&attempt), Holds::default());
        Call::Create(Create { attempt, challenge, max_pending, copy })
    }

    fn codes(&mut self) -> Codes {
        let kinds = if self.random.one_in(4) { Vec::new() } else { vec![CodeKind::Totp] };
        Codes { kinds, wrong: 0 }
    }

    /// The devices that the directory would name. It may have been read before a revocation, for as long as its
    /// tombstone stands.
    fn asked(&mut self, user: usize) -> Vec<AskedDevice> {
        if self.random.one_in(16) {
            return Vec::new();
        }
        let (now, owner) = (self.clock.now(), self.users[user].tag.0);
        let mut numbers = self.users[user].bound.clone();
        if self.random.one_in(6) {
            let stands = |at: UnixTime| now < at.plus(TOMBSTONE_STANDS);
            let revoked = self.users[user].revoked.iter().filter(|(_, at)| stands(*at));
            numbers.extend(revoked.map(|(number, _)| number));
        }
        let mut asked = Vec::new();
        for number in numbers {
            // Never bound after now, but where the clock stepped back; never of another user, but where somebody
            // wrote to the store.
            let bound_at = if self.random.one_in(12) { now.plus(Duration::from_secs(30)) } else { START };
            let owner = if self.random.one_in(20) { owner + 1 } else { owner };
            asked.push(AskedDevice {
                id: DeviceId::new(owner, number),
                name: format!("device {number}"),
                tag: device_tag(number),
                bound_at,
                has_push_target: true,
            });
        }
        asked
    }

    fn decide(&mut self, challenge: ChallengeId) -> Call {
        let (verdict, device) = (*self.random.pick(&VERDICTS), self.asked_device(challenge));
        let signed_ago = if self.random.one_in(3) { self.random.within(-3_000..=60_000) } else { 0 };
        let at = UnixTime::from_millis(self.clock.now().as_millis() - signed_ago);
        let settlement = Signed { at, envelope: format!("signed for {at}").into_bytes() };
        Call::Decide(Decide { settlement, ..decision(challenge, device, verdict) })
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

    fn revoke(&mut self) -> Call {
        let now = self.clock.now();
        let user = self.random.below(self.users.len());
        let user = &mut self.users[user];
        let place = self.random.below(user.bound.len());
        let number = if self.random.one_in(5) && !user.revoked.is_empty() {
            self.random.pick(&user.revoked).0
        } else {
            let new = user.bound[0] / 1000 * 1000 + user.bound_ever;
            user.bound_ever += 1;
            std::mem::replace(&mut user.bound[place], new)
        };
        user.revoked.push((number, now));
        Call::Revoke(RevokeFactor { user: user.tag, factor: device_tag(number) })
    }
}
