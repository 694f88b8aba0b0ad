//! Who was told what, and what may therefore never be told.

mod answering;
mod asking;
mod devices;
mod holds;
mod told;

use std::{collections::BTreeMap, sync::LazyLock, time::Duration};

use countersign_domain::{
    UnixTime,
    operation::{Cancel, Fetch, RevokeFactor, Unlock, View},
    state::State,
};

use self::{
    devices::{Devices, tag_of},
    holds::Known,
    told::{Told, Winner},
};
use super::{
    seen::Seen,
    step::{Asks, Step},
};
use crate::fixture::{Store, USER, application, at, challenge_id, create, made, verify_code};

/// The store, the clock, and the memory of everybody who asked.
pub(crate) struct Ledger {
    store: Store,
    now: UnixTime,
    /// Number n at index n.
    challenges: Vec<Told>,
    /// Which challenge an attempt's call must find, as long as it can be read.
    attempts: BTreeMap<u8, usize>,
    devices: Devices,
    holds: Known,
    max_pending: usize,
    pub(crate) seen: Seen,
}

/// Stores of users with so many failures in a row, none of whose challenges can be read any more.
static FAILED: LazyLock<Vec<Store>> = LazyLock::new(|| {
    let mut store = Store::default();
    let mut stores = vec![store.clone()];
    for n in 0..25_u8 {
        // Challenges that end long before any sequence begins, each with room for a right code after the wrong ones.
        let now = at(-1_000_000 + 100 * i64::from(n));
        let mut create = create(n, now);
        create.challenge.id = challenge_id(10_000 + u64::from(n));
        made(&store.run(&create, now));
        for _ in 0..4 {
            store.run(&verify_code(10_000 + u64::from(n), None, now), now);
            let mut forgetful = store.clone();
            forgetful.clean(at(0));
            stores.push(forgetful);
        }
    }
    stores.truncate(100);
    stores
});

impl Ledger {
    /// A user who has had so many wrong codes in a row, up to 99.
    pub(crate) fn after_failures(failures: u32) -> Self {
        let store = FAILED[failures as usize].clone();
        assert_eq!(store.user().standing.failures, failures);
        let holds = Known::after_failures(failures);
        Self {
            store,
            now: at(0),
            challenges: Vec::new(),
            attempts: BTreeMap::new(),
            devices: Devices::default(),
            holds,
            max_pending: 1,
            seen: Seen::default(),
        }
    }

    /// Lets `step` happen twice, and compares what is told with what was told before.
    pub(crate) fn take(&mut self, step: &Step) {
        let ago = |millis: i64| UnixTime::from_millis(self.now.as_millis() - millis);
        self.holds.remember(self.store.user().standing.unlocked_at, self.now);
        match *step {
            Step::Clock(millis) => self.move_clock(millis),
            Step::Create {
                attempt,
                content,
                lifetime_seconds,
                max_pending,
                signed_millis_ago,
                has_old_directory,
                asks,
            } => {
                let mut operation = create(attempt, ago(signed_millis_ago));
                operation.max_pending = max_pending;
                let challenge = &mut operation.challenge;
                challenge.id = challenge_id(self.challenges.len() as u64);
                challenge.request_sha256 = [content; 32];
                challenge.expires_at =
                    challenge.created_at.plus(Duration::from_secs(lifetime_seconds.into()));
                challenge.asked = match asks {
                    Asks::All | Asks::Devices => self.devices.in_directory(has_old_directory),
                    Asks::Codes | Asks::Nobody => Vec::new(),
                };
                if let Asks::Devices | Asks::Nobody = asks {
                    challenge.codes.kinds.clear();
                }
                operation.copy = self.holds.copy(has_old_directory);
                self.create(attempt, &operation);
            }
            Step::Decide { challenge, key, verdict, signed_millis_ago } => {
                if let Some(n) = self.newest(challenge) {
                    self.decide(n, key, verdict, ago(signed_millis_ago));
                }
            }
            Step::Cancel(challenge) => self.with_newest(challenge, Self::cancel),
            Step::Redeem { challenge, is_right_attempt } => {
                self.with_newest(challenge, |ledger, n| ledger.redeem(n, is_right_attempt));
            }
            Step::View(challenge) => self.with_newest(challenge, Self::view),
            Step::Fetch { challenge, key } => {
                self.with_newest(challenge, |ledger, n| ledger.fetch(n, key));
            }
            Step::Code { challenge, code, has_old_directory, signed_millis_ago } => {
                if let Some(n) = self.newest(challenge) {
                    self.code(n, code, has_old_directory, ago(signed_millis_ago));
                }
            }
            Step::Copy { is_late } => self.holds.copy_stored(is_late, self.now),
            Step::Unlock => {
                let unlock = Unlock { user: USER, copy: self.holds.copy(false) };
                let unlocked_at = self.store.run(&unlock, self.now);
                self.holds.unlock(unlocked_at);
            }
            Step::Revoke(n) => self.revoke(n),
            Step::ReplaceKey(n) => self.replace_key(n),
            Step::Bind => self.devices.bind(self.now),
            Step::Lose => self.lose(),
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
                told.agrees_with(&record, now, &self.devices, self.holds.stored);
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
        self.devices.see(self.now);
        self.holds.see(self.now);
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
            told.hear(challenge, self.now, &self.devices, self.holds.stored);
        }
        self.store.settled(&operation, self.now, &outcome);
    }

    fn view(&mut self, n: usize) {
        let operation = View { challenge: challenge_id(n as u64) };
        let outcome = self.store.run(&operation, self.now);
        assert_eq!(outcome.is_some(), self.is_readable(n));
        self.challenges[n].see(self.now);
        if let Some(challenge) = &outcome {
            self.challenges[n].hear(challenge, self.now, &self.devices, self.holds.stored);
        }
        self.store.settled(&operation, self.now, &outcome);
    }

    fn fetch(&mut self, n: usize, key: usize) {
        let operation = Fetch { challenge: challenge_id(n as u64), device: tag_of(key) };
        let outcome = self.store.run(&operation, self.now);
        let may_answer = self.may_answer(n, key);
        assert!(may_answer.is_none_or(|may| may == outcome.is_some()));
        if let Some(challenge) = &outcome {
            if !self.was_asked(n, key) {
                self.seen
                    .note("a device that was asked under its old key read a challenge under the new one");
            }
            self.challenges[n].hear(challenge, self.now, &self.devices, self.holds.stored);
        }
        self.store.settled(&operation, self.now, &outcome);
    }

    fn revoke(&mut self, n: usize) {
        let Some(factor) = self.devices.revoke(n, self.now) else { return };
        let operation = RevokeFactor { user: USER, factor };
        self.store.run(&operation, self.now);
        self.store.settled(&operation, self.now, &());
    }

    fn replace_key(&mut self, n: usize) {
        let Some(operation) = self.devices.replace(n, self.now) else { return };
        self.store.run(&operation, self.now);
        self.store.settled(&operation, self.now, &());
    }

    /// The store loses everything. Lock and block are known to the directory as far as they were copied.
    fn lose(&mut self) {
        self.store = Store::default();
        self.attempts.clear();
        self.devices.lose();
        self.holds.lose();
    }

    fn clean(&mut self) {
        self.store.clean(self.now);
        let (store, challenges) = (&self.store, &self.challenges);
        self.attempts.retain(|_, &mut n| store.challenge(challenges[n].made.id).is_some());
    }
}
