//! Each rule of each statement's fields, accepted and refused.

use std::collections::BTreeSet;

use crate::{
    cases::{Fault, Kind, StatementCase, forms},
    fixture::public,
};

/// Opens each envelope as the case says, and compares.
pub(crate) fn assert_each(cases: &[StatementCase]) {
    assert!(!cases.is_empty());
    for case in cases {
        let found = (Kind::named(case.kind).open)(&case.envelope, public(case.signer));
        match (&case.fault, found) {
            (None, Ok(_)) => {}
            (None, Err(fault)) => panic!("{}: refused, {fault}", case.name),
            (Some(expected), Ok(_)) => panic!("{}: taken, and not refused with {expected:?}", case.name),
            (Some(expected), Err(fault)) => {
                assert!(expected.is(&fault), "{}: {fault:?} in the place of {expected:?}", case.name);
            }
        }
    }
}

#[test]
fn each_field_is_held_to_its_rule() {
    assert_each(&forms::cases());
}

#[test]
fn every_kind_has_accepted_and_refused_lines_each_under_its_own_name() {
    let cases = forms::cases();
    let names: BTreeSet<_> = cases.iter().map(|case| &case.name).collect();
    assert_eq!(names.len(), cases.len());
    for kind in Kind::all() {
        let of_kind: Vec<_> = cases.iter().filter(|case| case.kind == kind.name).collect();
        assert!(of_kind.iter().any(|case| case.fault.is_none()), "{}", kind.name);
        assert!(of_kind.iter().any(|case| matches!(case.fault, Some(Fault::Field(_)))), "{}", kind.name);
    }
}
