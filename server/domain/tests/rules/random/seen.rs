//! What has come of operations over all sequences, and that everything has.

use std::collections::BTreeSet;

use countersign_domain::operation::{CodeAnswer, CreateOutcome, DecideOutcome, RedeemOutcome};

/// A name for each outcome, and a list of all names: an outcome without a name does not compile.
macro_rules! names {
    ($function:ident($outcome:ident: $type:ty), $all:ident: $($pattern:pat => $name:literal,)+) => {
        /// The name of an outcome.
        pub(crate) fn $function($outcome: $type) -> &'static str {
            match $outcome { $($pattern => $name,)+ }
        }

        const $all: &[&str] = &[$($name),+];
    };
}

names! { created(outcome: &CreateOutcome), CREATED:
    CreateOutcome::Created { .. } => "create: created",
    CreateOutcome::Repeated(_) => "create: repeated",
    CreateOutcome::AttemptReused => "create: attempt reused",
    CreateOutcome::NobodyToAsk => "create: nobody to ask",
    CreateOutcome::LockedOut(_) => "create: locked out",
    CreateOutcome::Stale => "create: stale",
}

names! { decided(outcome: &DecideOutcome), DECIDED:
    DecideOutcome::NotFound => "decide: not found",
    DecideOutcome::Settled { first: true, accepted: true, .. } => "decide: first and accepted",
    DecideOutcome::Settled { first: true, accepted: false, .. } => "decide: first and not accepted",
    DecideOutcome::Settled { first: false, accepted: true, .. } => "decide: again",
    DecideOutcome::Settled { first: false, accepted: false, .. } => "decide: too late",
}

names! { redeemed(outcome: &RedeemOutcome), REDEEMED:
    RedeemOutcome::NotFound => "redeem: not found",
    RedeemOutcome::NotYours => "redeem: not yours",
    RedeemOutcome::NotApproved(_) => "redeem: not approved",
    RedeemOutcome::TooLate => "redeem: too late",
    RedeemOutcome::Redeemed(_) => "redeem: redeemed",
}

names! { code(answer: CodeAnswer), CODES:
    CodeAnswer::NotPending => "code: too late",
    CodeAnswer::LockedOut => "code: locked out",
    CodeAnswer::NotTaken => "code: not taken",
    CodeAnswer::Compare => "code: to be compared",
    CodeAnswer::Wrong { .. } => "code: wrong",
    CodeAnswer::Accepted => "code: accepted",
}

/// What would be too rare at random, were the sequences not made for it.
const RARE: &[&str] = &[
    "a key that took over settled a challenge",
    "a key that was replaced was not heard",
    "a device that was asked under its old key read a challenge under the new one",
    "a copy locked what the store had lost",
    "a copy blocked what the store had lost",
    "a copy from before an unlocking was not heeded",
];

/// What has occurred.
#[derive(Default)]
pub(crate) struct Seen(BTreeSet<&'static str>);

impl Seen {
    pub(crate) fn note(&mut self, what: &'static str) {
        self.0.insert(what);
    }

    pub(crate) fn add(&mut self, more: &Self) {
        self.0.extend(&more.0);
    }

    /// Fails, and names what is missing, unless everything has occurred.
    pub(crate) fn is_complete(&self) {
        let all: BTreeSet<_> = [CREATED, DECIDED, REDEEMED, CODES, RARE].concat().into_iter().collect();
        let missing: Vec<_> = all.difference(&self.0).collect();
        let unknown: Vec<_> = self.0.difference(&all).collect();
        assert!(missing.is_empty(), "these never occurred: {missing:#?}");
        assert!(unknown.is_empty(), "these are not known here: {unknown:#?}");
    }
}
