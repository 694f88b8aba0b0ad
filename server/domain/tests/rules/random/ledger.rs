//! Who was told what, and what may therefore never be told.

mod told;

use std::{collections::BTreeMap, time::Duration};

use countersign_domain::{
    UnixTime,
    challenge::{AskedDevice, ChallengeRecord, REDEEM_WITHIN},
    operation::{
        Cancel, CodeAnswer, CodeTold, Create, CreateOutcome, DecideOutcome, Fetch, RedeemOutcome,
        RevokeFactor, Unlock, View,
    },
    state::{State, Verdict},
    user::TOMBSTONE_STANDS,
};

use self::told::{Told, Winner};
use super::step::Step;
use crate::fixture::{
    Store, USER, WRONG_CODE, application, at, challenge_id, create, decide, device, redeem, tag, verify_code,
};

/// The store, the clock, and the memory of everybody who asked.
pub(crate) struct Ledger {
    store: Store,
    now: UnixTime,
    /// Number n at index n.
    challenges: Vec<Told>,
    /// Which challenge an attempt's call must find, as long as it can be read.
    attempts: BTreeMap<u8, usize>,
    /// Number n at index n.
    devices: Vec<Device>,
    max_pending: usize,
}

/// A device, and the directory's word on it.
struct Device {
    asked: AskedDevice,
    revoked: Option<Revoked>,
}

/// When a device was revoked, and the latest time on the clock since.
struct Revoked {
    at: UnixTime,
    latest: UnixTime,
}

impl Revoked {
    /// Whether no clock has given a reason to forget the tombstone.
    fn stands(&self) -> bool {
        self.latest < self.at.plus(TOMBSTONE_STANDS)
    }
}

impl Default for Ledger {
    fn default() -> Self {
        let devices = (0..3).map(|n| Device { asked: device(n), revoked: None }).collect();
        Self {
            store: Store::default(),
            now: at(0),
            challenges: Vec::new(),
            attempts: BTreeMap::new(),
            devices,
            max_pending: 1,
        }
    }
}

impl Ledger {
    /// Lets `step` happen twice, and compares what is told with what was told before.
    pub(crate) fn take(&mut self, step: &Step) {
        let ago = |millis: i64| UnixTime::from_millis(self.now.as_millis() - millis);
        match *step {
            Step::Clock(millis) => self.move_clock(millis),
            Step::Create {
                attempt,
                content,
                lifetime_seconds,
                max_pending,
                signed_millis_ago,
                has_old_devices,
            } => {
                let mut operation = create(attempt, ago(signed_millis_ago));
                operation.max_pending = max_pending;
                let challenge = &mut operation.challenge;
                challenge.id = challenge_id(self.challenges.len() as u64);
                challenge.request_sha256 = [content; 32];
                challenge.expires_at =
                    challenge.created_at.plus(Duration::from_secs(lifetime_seconds.into()));
                let was_bound = |device: &&Device| match &device.revoked {
                    None => true,
                    Some(revoked) => has_old_devices && revoked.stands(),
                };
                let bound = self.devices.iter().filter(was_bound);
                challenge.asked = bound.map(|device| device.asked.clone()).collect();
                self.create(attempt, &operation);
            }
            Step::Decide { challenge, device, verdict, signed_millis_ago } => {
                if let Some(n) = self.newest(challenge) {
                    self.decide(n, device, verdict, ago(signed_millis_ago));
                }
            }
            Step::Cancel(challenge) => self.with_newest(challenge, Self::cancel),
            Step::Redeem { challenge, is_right_attempt } => {
                self.with_newest(challenge, |ledger, n| ledger.redeem(n, is_right_attempt));
            }
            Step::View(challenge) => self.with_newest(challenge, Self::view),
            Step::Fetch { challenge, device } => {
                self.with_newest(challenge, |ledger, n| ledger.fetch(n, device));
            }
            Step::Code { challenge, right, signed_millis_ago } => {
                if let Some(n) = self.newest(challenge) {
                    self.code(n, right, ago(signed_millis_ago));
                }
            }
            Step::Unlock => {
                self.store.run(&Unlock { user: USER }, self.now);
            }
            Step::Revoke(n) => self.revoke(n),
            Step::Bind => self.bind(),
            Step::Clean => self.clean(),
        }
    }

    /// Looks at every challenge, now and as clocks that stepped back would show it: none shows another end
    /// than was told, and no more are pending than the last call allowed.
    pub(crate) fn check(&self) {
        for now in [self.now, self.now.minus(Duration::from_mins(2)), self.now.minus(Duration::from_hours(2))]
        {
            let mut pending = 0;
            for told in &self.challenges {
                let Some(record) = self.store.peek(&View { challenge: told.made.id }, now) else { continue };
                told.agrees_with(&record, now);
                pending += usize::from(record.state.is_pending());
            }
            assert!(pending <= self.max_pending, "{pending} are pending at {now}");
        }
    }

    fn newest(&self, back: usize) -> Option<usize> {
        self.challenges.len().checked_sub(back + 1)
    }

    fn with_newest(&mut self, back: usize, then: impl FnOnce(&mut Self, usize)) {
        if let Some(n) = self.newest(back) {
            then(self, n);
        }
    }

    fn move_clock(&mut self, millis: i64) {
        self.now = UnixTime::from_millis(self.now.as_millis() + millis);
        for told in &mut self.challenges {
            told.latest = told.latest.max(self.now);
        }
        for revoked in self.devices.iter_mut().filter_map(|device| device.revoked.as_mut()) {
            revoked.latest = revoked.latest.max(self.now);
        }
    }

    fn create(&mut self, attempt: u8, operation: &Create) {
        let now = self.now;
        let found = self.attempts.get(&attempt).copied();
        let found = found.filter(|&n| now < self.challenges[n].made.readable_until());
        let outcome = self.store.run(operation, now);
        let created_at = operation.challenge.created_at;
        let is_off = (now.as_millis() - created_at.as_millis()).abs() > 2_000;
        let is_revoked =
            |asked: &AskedDevice| self.devices.iter().any(|d| d.asked == *asked && d.revoked.is_some());
        let is_stale = is_off || operation.challenge.asked.iter().any(is_revoked);
        match (&outcome, found) {
            (CreateOutcome::Repeated(record), Some(n)) => {
                assert_eq!(record.request_sha256, operation.challenge.request_sha256);
                self.challenges[n].hear(record, now);
            }
            (CreateOutcome::AttemptReused, Some(n)) => {
                assert_ne!(self.challenges[n].made.request_sha256, operation.challenge.request_sha256);
                self.challenges[n].see(now);
            }
            (CreateOutcome::NobodyToAsk, None) => panic!("there are codes"),
            (CreateOutcome::Stale, None) => assert!(is_stale),
            (CreateOutcome::Created { challenge, superseded }, None) => {
                let wakeup = challenge.wakeup;
                assert_eq!(**challenge, ChallengeRecord { wakeup, ..operation.challenge.clone() });
                assert!(!is_stale);
                let mut pending = Vec::new();
                for told in &mut self.challenges {
                    let view = self.store.peek(&View { challenge: told.made.id }, now);
                    let is_pending = view.is_some_and(|challenge| challenge.state.is_pending());
                    if superseded.contains(&told.made.id) {
                        assert!(pending.is_empty(), "an older one is still pending");
                        assert!(now < told.made.expires_at, "what has expired takes no room");
                        told.end_with(State::Superseded);
                    } else if is_pending {
                        pending.push(told.made.id);
                    }
                }
                self.attempts.insert(attempt, self.challenges.len());
                self.challenges.push(Told::new((**challenge).clone(), attempt, now));
                self.max_pending = operation.max_pending;
                let repeated = CreateOutcome::Repeated(challenge.clone());
                return self.store.settled(operation, now, &repeated);
            }
            other => panic!("{other:?}"),
        }
        self.store.settled(operation, now, &outcome);
    }

    fn decide(&mut self, n: usize, device: usize, verdict: Verdict, signed_at: UnixTime) {
        let now = self.now;
        let number = u8::try_from(device).expect("few devices");
        let operation = decide(n as u64, number, verdict, signed_at);
        let outcome = self.store.run(&operation, now);
        let may_answer = self.may_answer(n, device);
        match outcome {
            DecideOutcome::NotFound => {
                assert_ne!(may_answer, Some(true));
                self.store.settled(&operation, now, &DecideOutcome::NotFound);
            }
            DecideOutcome::Settled { accepted, first, challenge } => {
                assert_ne!(may_answer, Some(false));
                let told = &mut self.challenges[n];
                if first {
                    assert!(self.devices[device].revoked.is_none(), "a revoked device settled it");
                    told.win(Winner::Device(device, verdict), &challenge, now);
                }
                told.hear(&challenge, now);
                let approves = |v| matches!(v, Verdict::Approve { .. });
                let is_answer_that_won = match told.winner {
                    Some(Winner::Device(by, won)) => {
                        by == device
                            && won != WRONG_CODE
                            && (won == verdict || approves(won) && approves(verdict))
                    }
                    Some(Winner::Code(_) | Winner::WrongCodes) | None => false,
                };
                assert_eq!(accepted, is_answer_that_won);
                let again = DecideOutcome::Settled { accepted, first: false, challenge };
                self.store.settled(&operation, now, &again);
            }
        }
    }

    fn code(&mut self, n: usize, right: Option<u8>, signed_at: UnixTime) {
        let now = self.now;
        let right = right.filter(|&device| usize::from(device) < self.devices.len());
        let operation = verify_code(n as u64, right, signed_at);
        let outcome = self.store.run(&operation, now);
        let is_readable = self.is_readable(n);
        let revoked = right.and_then(|device| self.devices[usize::from(device)].revoked.as_ref());
        let told = &mut self.challenges[n];
        told.see(now);
        let Some(CodeTold { answer, challenge }) = &outcome else {
            assert!(!is_readable);
            return self.store.settled(&operation, now, &outcome);
        };
        match answer {
            CodeAnswer::NotPending => assert!(!challenge.state.is_pending()),
            CodeAnswer::NotTaken => assert!(revoked.is_some(), "it takes codes of this kind"),
            CodeAnswer::Wrong { .. } => {
                assert_eq!(right, None);
                told.wrong_codes += 1;
                if told.wrong_codes == 5 {
                    told.win(Winner::WrongCodes, challenge, now);
                }
            }
            CodeAnswer::Accepted => {
                assert!(!revoked.is_some_and(Revoked::stands), "a revoked device's code let somebody in");
                told.win(Winner::Code(right.expect("only what is right is accepted")), challenge, now);
            }
            CodeAnswer::LockedOut | CodeAnswer::Compare => panic!("{outcome:?}"),
        }
        told.hear(challenge, now);
        match answer {
            // Each one is a try.
            CodeAnswer::Wrong { .. } => {}
            CodeAnswer::Accepted => {
                let challenge = challenge.clone();
                let again = Some(CodeTold { answer: CodeAnswer::NotPending, challenge });
                self.store.settled(&operation, now, &again);
            }
            _ => self.store.settled(&operation, now, &outcome),
        }
    }

    /// Whether a device is heard about challenge `n`; `None`: its tombstone may have been forgotten.
    fn may_answer(&self, n: usize, device: usize) -> Option<bool> {
        let made = &self.challenges[n].made;
        let was_asked = u8::try_from(device).is_ok_and(|number| made.asked_device(tag(number)).is_some());
        if !was_asked || !self.is_readable(n) {
            return Some(false);
        }
        match &self.devices[device].revoked {
            None => Some(true),
            Some(revoked) if revoked.stands() => Some(false),
            Some(_) => None,
        }
    }

    fn is_readable(&self, n: usize) -> bool {
        let made = &self.challenges[n].made;
        self.store.challenge(made.id).is_some() && self.now < made.readable_until()
    }

    fn cancel(&mut self, n: usize) {
        let operation = Cancel { challenge: challenge_id(n as u64), application: application() };
        let outcome = self.store.run(&operation, self.now);
        assert_eq!(outcome.is_some(), self.is_readable(n));
        let told = &mut self.challenges[n];
        told.see(self.now);
        if let Some(challenge) = &outcome {
            assert!(!challenge.state.is_pending());
            if challenge.state == State::Cancelled && told.end.is_none() {
                assert!(!told.was_seen_over);
                told.end_with(State::Cancelled);
            }
            told.hear(challenge, self.now);
        }
        self.store.settled(&operation, self.now, &outcome);
    }

    fn redeem(&mut self, n: usize, is_right_attempt: bool) {
        let attempt = self.challenges[n].attempt;
        let operation = redeem(n as u64, if is_right_attempt { attempt } else { attempt + 1 });
        let outcome = self.store.run(&operation, self.now);
        let is_readable = self.is_readable(n);
        let told = &mut self.challenges[n];
        told.see(self.now);
        match &outcome {
            RedeemOutcome::NotFound => assert!(!is_readable),
            RedeemOutcome::NotYours => assert!(!is_right_attempt),
            other => {
                assert!(is_right_attempt, "another attempt was told {other:?}");
                let by = match told.winner {
                    Some(Winner::Device(by, _)) => Some(by),
                    Some(Winner::Code(by)) => Some(usize::from(by)),
                    Some(Winner::WrongCodes) | None => None,
                };
                let revoked = by.and_then(|by| self.devices[by].revoked.as_ref());
                let redeem_before =
                    told.end.as_ref().and_then(State::settled).map(|s| s.settled_at.plus(REDEEM_WITHIN));
                match other {
                    RedeemOutcome::Redeemed(challenge) => {
                        assert!(told.is_approved() && redeem_before.is_some_and(|before| self.now < before));
                        assert!(!revoked.is_some_and(Revoked::stands), "a revoked device let somebody in");
                        assert!(!told.was_too_late, "it was told to be too late");
                        told.redeemed_at.get_or_insert(self.now);
                        told.hear(challenge, self.now);
                    }
                    RedeemOutcome::NotApproved(challenge) => {
                        assert!(!told.is_approved());
                        told.hear(challenge, self.now);
                    }
                    _ => {
                        let is_late = redeem_before.is_some_and(|before| self.now >= before);
                        assert!(told.is_approved() && (is_late || told.was_too_late || revoked.is_some()));
                        told.was_too_late = true;
                    }
                }
            }
        }
        self.store.settled(&operation, self.now, &outcome);
    }

    fn view(&mut self, n: usize) {
        let operation = View { challenge: challenge_id(n as u64) };
        let outcome = self.store.run(&operation, self.now);
        assert_eq!(outcome.is_some(), self.is_readable(n));
        self.challenges[n].see(self.now);
        if let Some(challenge) = &outcome {
            self.challenges[n].hear(challenge, self.now);
        }
        self.store.settled(&operation, self.now, &outcome);
    }

    fn fetch(&mut self, n: usize, device: usize) {
        let number = u8::try_from(device).expect("few devices");
        let operation = Fetch { challenge: challenge_id(n as u64), device: tag(number) };
        let outcome = self.store.run(&operation, self.now);
        let may_answer = self.may_answer(n, device);
        assert!(may_answer.is_none_or(|may| may == outcome.is_some()));
        if let Some(challenge) = &outcome {
            self.challenges[n].hear(challenge, self.now);
        }
        self.store.settled(&operation, self.now, &outcome);
    }

    fn revoke(&mut self, n: usize) {
        let Some(device) = self.devices.get_mut(n) else { return };
        let operation = RevokeFactor { user: USER, factor: device.asked.tag };
        self.store.run(&operation, self.now);
        device.revoked = Some(Revoked { at: self.now, latest: self.now });
        self.store.settled(&operation, self.now, &());
    }

    fn bind(&mut self) {
        let number = u8::try_from(self.devices.len()).expect("few devices");
        let asked = AskedDevice { bound_at: self.now, ..device(number) };
        self.devices.push(Device { asked, revoked: None });
    }

    fn clean(&mut self) {
        self.store.clean(self.now);
        let (store, challenges) = (&self.store, &self.challenges);
        self.attempts.retain(|_, &mut n| store.challenge(challenges[n].made.id).is_some());
    }
}
