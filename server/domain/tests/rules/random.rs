//! Random sequences of everything that can happen, on clocks that step forward and back, and what holds after
//! each step.

mod ledger;
mod step;

use proptest::{collection::vec, prelude::*};

use self::{ledger::Ledger, step::steps};

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_was_told_is_ever_taken_back(steps in vec(steps(), 1..60)) {
        let mut ledger = Ledger::default();
        for step in &steps {
            ledger.take(step);
            ledger.check();
        }
    }
}
