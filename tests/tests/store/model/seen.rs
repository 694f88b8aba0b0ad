//! What has occurred over all sequences, and what must have.

use std::collections::BTreeSet;

use countersign_domain::{
    UnixTime,
    challenge::Wakeup,
    operation::{CodeAnswer, CreateOutcome, DecideOutcome, RedeemOutcome},
    state::{Denial, Settled, SettledBy, State, Verdict},
};

use super::call::{Answer, Call};

/// Without one of these the comparison would say less than it seems to.
const MUST_OCCUR: &[&str] = &[
    "create: created",
    "create: created, and another superseded",
    "create: created, and several superseded",
    "create: repeated",
    "create: attempt reused",
    "create: nobody to ask",
    "create: stale",
    "create: at most 1 pending",
    "create: at most 2 pending",
    "create: at most 3 pending",
    "decide: not found",
    "decide: first and accepted",
    "decide: first and not accepted",
    "decide: again",
    "decide: too late",
    "decide: approve",
    "decide: approve with a wrong match code",
    "decide: deny, not me",
    "decide: deny, mistake",
    "cancel: none",
    "cancel: cancelled",
    "cancel: was over",
    "redeem: not found",
    "redeem: not yours",
    "redeem: not approved",
    "redeem: too late",
    "redeem: redeemed",
    "view: none",
    "view: one",
    "fetch: none",
    "fetch: one",
    "revoke",
    "code: none",
    "code: wrong",
    "code: accepted",
    "code: too late",
    "code: not taken",
    "code: not compared yet",
    "stand",
    "unlock",
    "wake-up: sent",
    "wake-up: nobody",
    "wake-up: held back",
    "wake-up: blocked",
    "state: pending",
    "state: approved",
    "state: approved and redeemed",
    "state: approved and over",
    "state: denied, not me",
    "state: denied, mistake",
    "state: denied, wrong match code",
    "state: denied, too many codes",
    "state: approved by a code",
    "state: cancelled",
    "state: superseded",
    "state: expired",
    "race of 2 on Redis",
    "race of 3 on Redis",
    "race of 4 on Redis",
    "race of 2 on SQLite",
    "race of 3 on SQLite",
    "race of 4 on SQLite",
    "clock forward",
    "clock back",
    "clock back before the end of what is forgotten",
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
        let missing: Vec<_> = MUST_OCCUR.iter().filter(|what| !self.0.contains(**what)).collect();
        let unknown: Vec<_> = self.0.iter().filter(|what| !MUST_OCCUR.contains(&what.as_str())).collect();
        assert!(missing.is_empty(), "these never occurred: {missing:#?}");
        assert!(unknown.is_empty(), "these are not known here: {unknown:#?}");
    }
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Approve { match_code_is_right: true } => "decide: approve",
        Verdict::Approve { match_code_is_right: false } => "decide: approve with a wrong match code",
        Verdict::DenyNotMe => "decide: deny, not me",
        Verdict::DenyMistake => "decide: deny, mistake",
    }
}

fn outcome(answer: &Answer) -> &'static str {
    match answer {
        Answer::Create(outcome) => match outcome {
            CreateOutcome::Created { superseded, .. } => match superseded.len() {
                0 => "create: created",
                1 => "create: created, and another superseded",
                _ => "create: created, and several superseded",
            },
            CreateOutcome::Repeated(_) => "create: repeated",
            CreateOutcome::AttemptReused => "create: attempt reused",
            CreateOutcome::NobodyToAsk => "create: nobody to ask",
            CreateOutcome::Stale => "create: stale",
            CreateOutcome::LockedOut(_) => "create: locked out",
        },
        Answer::Decide(outcome) => match outcome {
            DecideOutcome::NotFound => "decide: not found",
            DecideOutcome::Settled { first: true, accepted: true, .. } => "decide: first and accepted",
            DecideOutcome::Settled { first: true, accepted: false, .. } => "decide: first and not accepted",
            DecideOutcome::Settled { first: false, accepted: true, .. } => "decide: again",
            DecideOutcome::Settled { first: false, accepted: false, .. } => "decide: too late",
        },
        Answer::Cancel(None) => "cancel: none",
        Answer::Cancel(Some(challenge)) if challenge.state == State::Cancelled => "cancel: cancelled",
        Answer::Cancel(Some(_)) => "cancel: was over",
        Answer::Redeem(outcome) => match outcome {
            RedeemOutcome::NotFound => "redeem: not found",
            RedeemOutcome::NotYours => "redeem: not yours",
            RedeemOutcome::NotApproved(_) => "redeem: not approved",
            RedeemOutcome::TooLate => "redeem: too late",
            RedeemOutcome::Redeemed(_) => "redeem: redeemed",
        },
        Answer::View(None) => "view: none",
        Answer::View(Some(_)) => "view: one",
        Answer::Fetch(None) => "fetch: none",
        Answer::Fetch(Some(_)) => "fetch: one",
        Answer::Revoke => "revoke",
        Answer::Code(None) => "code: none",
        Answer::Code(Some(told)) => match told.answer {
            CodeAnswer::Wrong { .. } => "code: wrong",
            CodeAnswer::Accepted => "code: accepted",
            CodeAnswer::NotPending => "code: too late",
            CodeAnswer::NotTaken => "code: not taken",
            CodeAnswer::Compare => "code: not compared yet",
            CodeAnswer::LockedOut => "code: locked out",
        },
        Answer::Stand(_) => "stand",
        Answer::Unlock(_) => "unlock",
    }
}

fn wakeup(wakeup: Wakeup) -> &'static str {
    match wakeup {
        Wakeup::Sending => "wake-up: sent",
        Wakeup::NoDevice => "wake-up: nobody",
        Wakeup::HeldBack { .. } => "wake-up: held back",
        Wakeup::Blocked => "wake-up: blocked",
    }
}

fn state(state: &State) -> &'static str {
    match state {
        State::Pending => "state: pending",
        State::Approved { settled: Settled { by: SettledBy::Code(_), .. }, .. } => {
            "state: approved by a code"
        }
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
}
