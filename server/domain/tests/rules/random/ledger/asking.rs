//! Somebody asks, and what of lock and block must be heeded then.

use countersign_domain::{
    challenge::{ChallengeRecord, Wakeup},
    id::ChallengeId,
    operation::{Create, CreateOutcome, View},
    standing::Holds,
    state::State,
};

use super::{Ledger, Told};
use crate::random::seen;

impl Ledger {
    pub(super) fn create(&mut self, attempt: u8, operation: &Create) {
        let now = self.now;
        let found = self.attempts.get(&attempt).copied();
        let found = found.filter(|&n| now < self.challenges[n].made.readable_until());
        let outcome = self.store.run(operation, now);
        self.seen.note(seen::created(&outcome));
        let asked = &operation.challenge;
        let is_off = (now.as_millis() - asked.created_at.as_millis()).abs() > 2_000;
        let is_stale = is_off || self.devices.are_outdated(&asked.asked);
        let holds = self.holds.with(operation.copy);
        let has_codes = !asked.codes.kinds.is_empty();
        let has_nobody = asked.asked.is_empty() && (!has_codes || holds.locked_at.is_some());
        match (&outcome, found) {
            (CreateOutcome::Repeated(record), Some(n)) => {
                assert_eq!(record.request_sha256, asked.request_sha256);
                self.challenges[n].hear(record, now, &self.devices, self.holds.stored);
            }
            (CreateOutcome::AttemptReused, Some(n)) => {
                assert_ne!(self.challenges[n].made.request_sha256, asked.request_sha256);
                self.challenges[n].see(now);
            }
            (CreateOutcome::NobodyToAsk, None) => assert!(has_nobody && !has_codes),
            (CreateOutcome::LockedOut(since), None) => {
                assert!(has_nobody && has_codes);
                assert_eq!(Some(*since), holds.locked_at);
            }
            (CreateOutcome::Stale, None) => assert!(is_stale && !has_nobody),
            (CreateOutcome::Created { challenge, superseded }, None) => {
                assert!(!is_stale && !has_nobody);
                self.created(attempt, operation, challenge, superseded);
                let repeated = CreateOutcome::Repeated(challenge.clone());
                return self.store.settled(operation, now, &repeated);
            }
            other => panic!("{other:?}"),
        }
        self.store.settled(operation, now, &outcome);
    }

    fn created(
        &mut self,
        attempt: u8,
        operation: &Create,
        challenge: &ChallengeRecord,
        superseded: &[ChallengeId],
    ) {
        let now = self.now;
        self.heed(operation.copy);
        let made = ChallengeRecord { wakeup: challenge.wakeup, ..operation.challenge.clone() };
        let is_blocked = self.holds.stored.push_blocked_at.is_some() && !made.asked.is_empty();
        assert_eq!(challenge.wakeup == Wakeup::Blocked, is_blocked);
        assert_eq!(challenge.wakeup == Wakeup::NoDevice, made.asked.is_empty());
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
        let mut told = Told::new(made, attempt, now);
        told.hear(challenge, now, &self.devices, self.holds.stored);
        self.challenges.push(told);
        self.max_pending = operation.max_pending;
    }

    /// An operation that was given a copy of lock and block went through.
    pub(super) fn heed(&mut self, copy: Holds) {
        let (before, after) = (self.holds.stored, self.holds.with(copy));
        self.holds.stored = after;
        if before.locked_at != after.locked_at {
            self.seen.note("a copy locked what the store had lost");
        }
        if before.push_blocked_at != after.push_blocked_at {
            self.seen.note("a copy blocked what the store had lost");
        }
        if copy.locked_at.is_some() && after.locked_at.is_none() {
            self.seen.note("a copy from before an unlocking was not heeded");
        }
    }
}
