//! Somebody answers, types a code, or redeems.

use countersign_domain::{
    UnixTime,
    challenge::REDEEM_WITHIN,
    id::FactorId,
    operation::{CodeAnswer, CodeTold, DecideOutcome, Finding, RedeemOutcome},
    state::{Denial, State, Verdict},
};

use super::{Ledger, Winner, devices::tag_of};
use crate::{
    fixture::{WRONG_CODE, decide, redeem, verify_code},
    random::{seen, step::Code},
};

impl Ledger {
    pub(super) fn decide(&mut self, n: usize, key: usize, verdict: Verdict, signed_at: UnixTime) {
        let now = self.now;
        let number = u8::try_from(key).expect("few keys");
        let operation = decide(n as u64, number, verdict, signed_at);
        let outcome = self.store.run(&operation, now);
        self.seen.note(seen::decided(&outcome));
        let may_answer = self.may_answer(n, key);
        match outcome {
            DecideOutcome::NotFound => {
                assert_ne!(may_answer, Some(true));
                if self.is_readable(n) && self.was_asked(n, key) && self.devices.has_successor(key) {
                    self.seen.note("a key that was replaced was not heard");
                }
                self.store.settled(&operation, now, &DecideOutcome::NotFound);
            }
            DecideOutcome::Settled { accepted, first, challenge } => {
                assert_ne!(may_answer, Some(false));
                let device = self.devices.of_key(key).expect("somebody answered").id;
                if first {
                    assert!(!self.devices.is_over(key), "a key that counts no more settled it");
                    if !self.was_asked(n, key) {
                        self.seen.note("a key that took over settled a challenge");
                    }
                    let bound_at = self.devices.bound_at(key, &self.challenges[n].made);
                    self.challenges[n].win(Winner::Device { device, verdict, bound_at }, &challenge, now);
                    let present = self.store.user().standing.holds();
                    match verdict.outcome() {
                        Err(Denial::NotMe) => self.holds.block(now, present),
                        Err(Denial::WrongMatchCode) => self.holds.fail(now, present),
                        Ok(()) | Err(Denial::Mistake | Denial::TooManyCodes) => {}
                    }
                }
                let told = &mut self.challenges[n];
                told.hear(&challenge, now, &self.devices, self.holds.stored);
                let approves = |v| matches!(v, Verdict::Approve { .. });
                let is_answer_that_won = match told.winner {
                    Some(Winner::Device { device: by, verdict: won, .. }) => {
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

    pub(super) fn code(&mut self, n: usize, code: Code, has_old_directory: bool, signed_at: UnixTime) {
        let now = self.now;
        let right = match code {
            Code::Of(key) => self.devices.of_key(key).cloned(),
            Code::Wrong | Code::NotCompared => None,
        };
        let mut operation = verify_code(n as u64, right.as_ref().map(|device| device.tag.0[0]), signed_at);
        match (&mut operation.finding, &right, code) {
            (Finding::Right(factor, _), Some(device), _) => factor.id = FactorId::Device(device.id),
            (finding, _, Code::NotCompared) => *finding = Finding::NotCompared,
            _ => {}
        }
        operation.copy = self.holds.copy(has_old_directory);
        let outcome = self.store.run(&operation, now);
        let is_readable = self.is_readable(n);
        let is_revoked = right.map_or(Some(false), |device| self.devices.fate(&device).is_revoked());
        self.challenges[n].see(now);
        let Some(CodeTold { answer, challenge }) = &outcome else {
            assert!(!is_readable);
            return self.store.settled(&operation, now, &outcome);
        };
        self.seen.note(seen::code(*answer));
        self.heed(operation.copy);
        let told = &mut self.challenges[n];
        let is_locked = self.holds.stored.locked_at.is_some();
        assert!(!is_locked || matches!(answer, CodeAnswer::LockedOut | CodeAnswer::NotPending));
        match answer {
            CodeAnswer::NotPending => assert!(!challenge.state.is_pending()),
            CodeAnswer::LockedOut => assert!(is_locked),
            CodeAnswer::NotTaken => {
                assert!(is_revoked != Some(false) || told.made.codes.kinds.is_empty());
            }
            CodeAnswer::Compare => assert!(matches!(operation.finding, Finding::NotCompared)),
            CodeAnswer::Wrong { holds } => {
                assert!(matches!(operation.finding, Finding::Wrong(_)));
                self.holds.fail(now, *holds);
                assert_eq!(*holds, self.holds.stored);
                told.wrong_codes += 1;
                if told.wrong_codes == 5 {
                    told.win(Winner::WrongCodes, challenge, now);
                }
            }
            CodeAnswer::Accepted => {
                assert_ne!(is_revoked, Some(true), "a revoked device's code let somebody in");
                let Finding::Right(factor, _) = &operation.finding else { panic!("it was not right") };
                self.holds.succeed();
                told.win(Winner::Code(*factor), challenge, now);
            }
        }
        told.hear(challenge, now, &self.devices, self.holds.stored);
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

    /// Whether a device is heard about challenge `n` with this key; `None`: a tombstone may have been forgotten.
    pub(super) fn may_answer(&self, n: usize, key: usize) -> Option<bool> {
        if !self.is_readable(n) {
            return Some(false);
        }
        self.devices.may_answer(key, &self.challenges[n].made)
    }

    /// Whether challenge `n` was made for this key.
    pub(super) fn was_asked(&self, n: usize, key: usize) -> bool {
        self.challenges[n].made.asked.iter().any(|device| device.tag == tag_of(key))
    }

    pub(super) fn redeem(&mut self, n: usize, is_right_attempt: bool) {
        let attempt = self.challenges[n].attempt;
        let operation = redeem(n as u64, if is_right_attempt { attempt } else { attempt + 1 });
        let outcome = self.store.run(&operation, self.now);
        self.seen.note(seen::redeemed(&outcome));
        let (is_readable, is_revoked) = (self.is_readable(n), self.is_winner_revoked(n));
        let told = &mut self.challenges[n];
        told.see(self.now);
        match &outcome {
            RedeemOutcome::NotFound => assert!(!is_readable),
            RedeemOutcome::NotYours => assert!(!is_right_attempt),
            other => {
                assert!(is_right_attempt, "another attempt was told {other:?}");
                let redeem_before =
                    told.end.as_ref().and_then(State::settled).map(|s| s.settled_at.plus(REDEEM_WITHIN));
                match other {
                    RedeemOutcome::Redeemed(challenge) => {
                        assert!(told.is_approved() && redeem_before.is_some_and(|before| self.now < before));
                        assert_ne!(is_revoked, Some(true), "a revoked device let somebody in");
                        assert!(!told.was_too_late, "it was told to be too late");
                        told.redeemed_at.get_or_insert(self.now);
                        told.hear(challenge, self.now, &self.devices, self.holds.stored);
                    }
                    RedeemOutcome::NotApproved(challenge) => {
                        assert!(!told.is_approved());
                        told.hear(challenge, self.now, &self.devices, self.holds.stored);
                    }
                    _ => {
                        let is_late = redeem_before.is_some_and(|before| self.now >= before);
                        let may_be_revoked = is_revoked != Some(false);
                        assert!(told.is_approved() && (is_late || told.was_too_late || may_be_revoked));
                        told.was_too_late = true;
                    }
                }
            }
        }
        self.store.settled(&operation, self.now, &outcome);
    }

    /// Whether who settled challenge `n` has been revoked since; `None`: a tombstone may have been forgotten.
    fn is_winner_revoked(&self, n: usize) -> Option<bool> {
        let told = &self.challenges[n];
        match told.winner {
            Some(Winner::Device { device, .. }) => {
                let asked = told.made.asked.iter().find(|asked| asked.id == device);
                self.devices.fate(asked.expect("only who was asked settles")).is_revoked()
            }
            Some(Winner::Code(factor)) => {
                let device = self.devices.of_key(factor.tag.0[0].into()).expect("its code was right");
                self.devices.fate(device).is_revoked()
            }
            Some(Winner::WrongCodes) | None => Some(false),
        }
    }
}
