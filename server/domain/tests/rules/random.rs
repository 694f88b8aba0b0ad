//! Random sequences of everything that can happen, on clocks that step forward and back, and what holds after
//! each step.

mod ledger;
mod seen;
mod step;

use std::cell::RefCell;

use countersign_domain::state::Verdict;
use proptest::{prelude::*, test_runner::TestRunner};

use self::{
    ledger::Ledger,
    seen::Seen,
    step::{Asks, Step, sequences},
};

/// A thousand sequences, or as many as `PROPTEST_CASES` asks for beyond that.
fn config() -> ProptestConfig {
    let by_environment = ProptestConfig::default();
    let cases = by_environment.cases.max(1_000);
    let source_file = Some(file!());
    ProptestConfig { cases, failure_persistence: None, source_file, ..by_environment }
}

/// Every outcome occurs, or this fails.
#[test]
fn nothing_that_was_told_is_ever_taken_back() {
    let seen = RefCell::new(Seen::default());
    let result = TestRunner::new(config()).run(&sequences(), |(failures, steps)| {
        let mut ledger = Ledger::after_failures(failures);
        for step in &steps {
            ledger.take(step);
            ledger.check();
        }
        seen.borrow_mut().add(&ledger.seen);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    seen.borrow().is_complete();
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
        has_old_directory: false,
        asks: Asks::All,
    };
    let verdict = Verdict::Approve { match_code_is_right: true };
    let redeem = || Step::Redeem { challenge: 0, is_right_attempt: true };
    let mut ledger = Ledger::after_failures(0);
    for step in [
        create,
        Step::Decide { challenge: 0, key: 0, verdict, signed_millis_ago: 0 },
        Step::Clock(180_000),
        redeem(),
        Step::Clock(-180_000),
        redeem(),
    ] {
        ledger.take(&step);
        ledger.check();
    }
}
