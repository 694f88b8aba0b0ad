//! Random sequences of everything that can happen, on clocks that step forward and back, and what holds after
//! each step.

mod ledger;
mod step;

use proptest::{collection::vec, prelude::*};

use countersign_domain::state::Verdict;

use self::{
    ledger::Ledger,
    step::{Step, steps},
};

/// A thousand sequences, or as many as `PROPTEST_CASES` asks for beyond that.
fn config() -> ProptestConfig {
    let by_environment = ProptestConfig::default();
    let cases = by_environment.cases.max(1_000);
    ProptestConfig { cases, failure_persistence: None, ..by_environment }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn nothing_that_was_told_is_ever_taken_back(steps in vec(steps(), 1..60)) {
        let mut ledger = Ledger::default();
        for step in &steps {
            ledger.take(step);
            ledger.check();
        }
    }
}

/// Too rare at random: the clock steps back over the end of an approval after somebody was told of the end.
#[test]
fn what_was_told_to_be_too_late_stays_so() {
    let create = Step::Create {
        attempt: 0,
        content: 0,
        lifetime_seconds: 120,
        max_pending: 1,
        signed_millis_ago: 0,
        has_old_devices: false,
    };
    let verdict = Verdict::Approve { match_code_is_right: true };
    let redeem = || Step::Redeem { challenge: 0, is_right_attempt: true };
    let mut ledger = Ledger::default();
    for step in [
        create,
        Step::Decide { challenge: 0, device: 0, verdict, signed_millis_ago: 0 },
        Step::Clock(180_000),
        redeem(),
        Step::Clock(-180_000),
        redeem(),
    ] {
        ledger.take(&step);
        ledger.check();
    }
}
