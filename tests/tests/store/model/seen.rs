//! What has occurred over all sequences, and what must have.

use std::collections::BTreeSet;

use countersign_domain::{
    UnixTime,
    challenge::Wakeup,
    operation::{CodeAnswer, CodeTold, CreateOutcome, DecideOutcome, RedeemOutcome},
    standing::Holds,
    state::{Denial, Settled, SettledBy, State, Verdict},
};

use super::call::{Answer, Call};

/// A name for each of something, and a list of all names, each of which must occur: what has no name does not compile.
macro_rules! names {
    ($function:ident($value:ident: $type:ty), $all:ident: $($pattern:pat $(if $guard:expr)? => $name:literal,)+) => {
        fn $function($value: $type) -> &'static str {
            match $value { $($pattern $(if $guard)? => $name,)+ }
        }

        const $all: &[&str] = &[$($name),+];
    };
}

names! { outcome(answer: &Answer), OUTCOMES:
    Answer::Create(CreateOutcome::Created { superseded, .. }) if superseded.is_empty() => "create: created",
    Answer::Create(CreateOutcome::Created { superseded, .. }) if superseded.len() == 1 =>
        "create: created, and another superseded",
    Answer::Create(CreateOutcome::Created { .. }) => "create: created, and several superseded",
    Answer::Create(CreateOutcome::Repeated(_)) => "create: repeated",
    Answer::Create(CreateOutcome::AttemptReused) => "create: attempt reused",
    Answer::Create(CreateOutcome::NobodyToAsk) => "create: nobody to ask",
    Answer::Create(CreateOutcome::LockedOut(_)) => "create: locked out",
    Answer::Create(CreateOutcome::Stale) => "create: stale",
    Answer::Decide(DecideOutcome::NotFound) => "decide: not found",
    Answer::Decide(DecideOutcome::Settled { first: true, accepted: true, .. }) => "decide: first and accepted",
    Answer::Decide(DecideOutcome::Settled { first: true, accepted: false, .. }) =>
        "decide: first and not accepted",
    Answer::Decide(DecideOutcome::Settled { first: false, accepted: true, .. }) => "decide: again",
    Answer::Decide(DecideOutcome::Settled { first: false, accepted: false, .. }) => "decide: too late",
    Answer::Cancel(None) => "cancel: none",
    Answer::Cancel(Some(challenge)) if challenge.state == State::Cancelled => "cancel: cancelled",
    Answer::Cancel(Some(_)) => "cancel: was over",
    Answer::Redeem(RedeemOutcome::NotFound) => "redeem: not found",
    Answer::Redeem(RedeemOutcome::NotYours) => "redeem: not yours",
    Answer::Redeem(RedeemOutcome::NotApproved(_)) => "redeem: not approved",
    Answer::Redeem(RedeemOutcome::TooLate) => "redeem: too late",
    Answer::Redeem(RedeemOutcome::Redeemed(_)) => "redeem: redeemed",
    Answer::View(None) => "view: none",
    Answer::View(Some(_)) => "view: one",
    Answer::Fetch(None) => "fetch: none",
    Answer::Fetch(Some(_)) => "fetch: one",
    Answer::Revoke => "revoke",
    Answer::ReplaceKey => "replace key",
    Answer::Code(None) => "code: none",
    Answer::Code(Some(CodeTold { answer: CodeAnswer::Wrong { .. }, .. })) => "code: wrong",
    Answer::Code(Some(CodeTold { answer: CodeAnswer::Accepted, .. })) => "code: accepted",
    Answer::Code(Some(CodeTold { answer: CodeAnswer::NotPending, .. })) => "code: too late",
    Answer::Code(Some(CodeTold { answer: CodeAnswer::NotTaken, .. })) => "code: not taken",
    Answer::Code(Some(CodeTold { answer: CodeAnswer::Compare, .. })) => "code: not compared yet",
    Answer::Code(Some(CodeTold { answer: CodeAnswer::LockedOut, .. })) => "code: locked out",
    Answer::Stand(_) => "stand",
    Answer::Unlock(_) => "unlock",
}

names! { verdict(verdict: Verdict), VERDICTS:
    Verdict::Approve { match_code_is_right: true } => "decide: approve",
    Verdict::Approve { match_code_is_right: false } => "decide: approve with a wrong match code",
    Verdict::DenyNotMe => "decide: deny, not me",
    Verdict::DenyMistake => "decide: deny, mistake",
}

names! { wakeup(wakeup: Wakeup), WAKE_UPS:
    Wakeup::Sending => "wake-up: sent",
    Wakeup::NoDevice => "wake-up: nobody",
    Wakeup::HeldBack { .. } => "wake-up: held back",
    Wakeup::Blocked => "wake-up: blocked",
}

names! { state(state: &State), STATES:
    State::Pending => "state: pending",
    State::Approved { settled: Settled { by: SettledBy::Code(_), .. }, .. } => "state: approved by a code",
    State::Approved { is_over: true, .. } => "state: approved and over",
    State::Approved { redeemed_at: Some(_), .. } => "state: approved and redeemed",
    State::Approved { .. } => "state: approved",
    State::Denied { reason: Denial::NotMe, .. } => "state: denied, not me",
    State::Denied { reason: Denial::Mistake, .. } => "state: denied, mistake",
    State::Denied { reason: Denial::WrongMatchCode, .. } => "state: denied, wrong match code",
    State::Denied { reason: Denial::TooManyCodes, .. } => "state: denied, too many codes",
    State::Cancelled => "state: cancelled",
    State::Superseded => "state: superseded",
    State::Expired => "state: expired",
}

/// What else must occur: without one of these the comparison would say less than it seems to.
const BESIDES: &[&str] = &[
    "create: at most 1 pending",
    "create: at most 2 pending",
    "create: at most 3 pending",
    "a key that took over settled a challenge",
    "a key that took over read a challenge",
    "a key that was replaced was not heard",
    "a copy locked what had been lost",
    "a copy blocked what had been lost",
    "a copy from before an unlocking was not heeded",
    "race of 2 on Redis",
    "race of 3 on Redis",
    "race of 4 on Redis",
    "race of 2 on SQLite",
    "race of 3 on SQLite",
    "race of 4 on SQLite",
    "clock forward",
    "clock back",
    "clock back before the end of what is forgotten",
    "everything lost",
    "Redis and both servers started again",
    "one of two servers on Redis started again",
    "SQLite opened again",
];

/// What has occurred.
#[derive(Default)]
pub(super) struct Seen(BTreeSet<String>);

impl Seen {
    pub(super) fn note(&mut self, what: &str) {
        if !self.0.contains(what) {
            self.0.insert(what.to_owned());
        }
    }

    pub(super) fn answer(&mut self, call: &Call, answer: &Answer) {
        match call {
            Call::Create(create) => self.note(&format!("create: at most {} pending", create.max_pending)),
            Call::Decide(decide) => self.note(verdict(decide.verdict)),
            _ => {}
        }
        self.note(outcome(answer));
        if let Some(challenge) = answer.challenge() {
            self.note(state(&challenge.state));
            self.note(wakeup(challenge.wakeup));
        }
    }

    /// A key spoke of a challenge. `was_asked`: which was made for it. `is_replaced`: there is one, and another key has
    /// taken over from this one.
    pub(super) fn key(&mut self, was_asked: bool, is_replaced: bool, answer: &Answer) {
        match answer {
            Answer::Decide(DecideOutcome::Settled { first: true, .. }) if !was_asked => {
                self.note("a key that took over settled a challenge");
            }
            Answer::Fetch(Some(_)) if !was_asked => self.note("a key that took over read a challenge"),
            Answer::Decide(DecideOutcome::NotFound) | Answer::Fetch(None) if was_asked && is_replaced => {
                self.note("a key that was replaced was not heard");
            }
            _ => {}
        }
    }

    /// An operation was given a copy of lock and block, and they stood and stand so in the user record.
    pub(super) fn copy(&mut self, copy: Holds, before: Holds, after: Holds, answer: &Answer) {
        let is_new = |before: Option<UnixTime>, after: Option<UnixTime>, copy| {
            before.is_none() && after.is_some() && after == copy
        };
        if is_new(before.locked_at, after.locked_at, copy.locked_at) {
            self.note("a copy locked what had been lost");
        }
        if is_new(before.push_blocked_at, after.push_blocked_at, copy.push_blocked_at) {
            self.note("a copy blocked what had been lost");
        }
        let went_through =
            matches!(answer, Answer::Create(CreateOutcome::Created { .. }) | Answer::Code(Some(_)));
        if went_through && copy.locked_at.is_some() && after.locked_at.is_none() {
            self.note("a copy from before an unlocking was not heeded");
        }
    }

    pub(super) fn race(&mut self, calls: usize, store: &str) {
        self.note(&format!("race of {calls} on {store}"));
    }

    pub(super) fn clock(&mut self, before: UnixTime, now: UnixTime, misses_something: bool) {
        self.note(if before <= now { "clock forward" } else { "clock back" });
        if misses_something {
            self.note("clock back before the end of what is forgotten");
        }
    }

    pub(super) fn add(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    /// Fails, and names what is missing, unless everything has occurred.
    pub(super) fn is_complete(&self) {
        let must = [OUTCOMES, VERDICTS, WAKE_UPS, STATES, BESIDES].concat();
        let missing: Vec<_> = must.iter().filter(|what| !self.0.contains(**what)).collect();
        let unknown: Vec<_> = self.0.iter().filter(|what| !must.contains(&what.as_str())).collect();
        assert!(missing.is_empty(), "these never occurred: {missing:#?}");
        assert!(unknown.is_empty(), "these are not known here: {unknown:#?}");
    }
}
