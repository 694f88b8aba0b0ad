//! What a commit rests on besides the records: the time by which it must have come; and who must be told of it.

use std::time::Duration;

use countersign_domain::{
    UnixTime,
    challenge::REDEEM_WITHIN,
    operation::{Cancel, CreateOutcome, DecideOutcome, Operation, RedeemOutcome, RevokeFactor, View, Writes},
};

use crate::fixture::{
    APPROVE, Store, USER, VERDICTS, application, at, challenge_id, create, decide, redeem, tag,
};

const MILLISECOND: Duration = Duration::from_millis(1);

fn writes<O: Operation>(store: &Store, operation: &O, now: UnixTime) -> Writes {
    store.transition(operation, now).writes
}

fn asked() -> Store {
    let mut store = Store::default();
    store.run(&create(1, at(0)), at(0));
    store
}

#[test]
fn an_answer_rests_on_the_expiry_and_ends_the_challenge() {
    let store = asked();
    for verdict in VERDICTS {
        let answer = decide(1, 1, verdict, at(5));
        let written = writes(&store, &answer, at(5));
        let before = written.before.expect("it has an end");
        assert_eq!((before, written.ended), (at(60), vec![challenge_id(1)]));
        let is_first = |now| match store.peek(&answer, now) {
            DecideOutcome::Settled { first, .. } => first,
            DecideOutcome::NotFound => panic!("it can be read"),
        };
        assert!(is_first(before.minus(MILLISECOND)));
        assert!(!is_first(before), "at that time it would have come to something else");
    }
}

#[test]
fn a_withdrawal_rests_on_the_expiry_and_ends_the_challenge() {
    let cancel = Cancel { challenge: challenge_id(1), application: application() };
    let written = writes(&asked(), &cancel, at(5));
    assert_eq!((written.before, written.ended), (Some(at(60)), vec![challenge_id(1)]));
}

#[test]
fn a_redemption_rests_on_its_time_and_ends_nothing() {
    let mut store = asked();
    store.run(&decide(1, 1, APPROVE, at(5)), at(5));
    let redemption = redeem(1, 1);
    let written = writes(&store, &redemption, at(6));
    let before = written.before.expect("it has an end");
    assert_eq!((before, written.ended), (at(5).plus(REDEEM_WITHIN), Vec::new()));
    assert!(matches!(store.peek(&redemption, before.minus(MILLISECOND)), RedeemOutcome::Redeemed(_)));
    assert_eq!(store.peek(&redemption, before), RedeemOutcome::TooLate);
}

#[test]
fn a_creation_rests_on_the_time_that_is_signed_in_it_and_ends_what_it_pushes_out() {
    let store = asked();
    let next = create(2, at(10));
    let written = writes(&store, &next, at(11));
    let before = written.before.expect("it has an end");
    assert_eq!(written.ended, [challenge_id(1)]);
    assert!(matches!(store.peek(&next, before.minus(MILLISECOND)), CreateOutcome::Created { .. }));
    assert_eq!(store.peek(&next, before), CreateOutcome::Stale);
}

#[test]
fn what_has_come_to_pass_may_be_sealed_at_any_time() {
    let written = writes(&asked(), &View { challenge: challenge_id(1) }, at(60));
    assert_eq!((written.before, written.ended), (None, vec![challenge_id(1)]), "it has expired");
    let mut store = asked();
    store.run(&create(2, at(10)), at(10));
    let written = writes(&store, &View { challenge: challenge_id(1) }, at(11));
    assert_eq!((written.before, written.ended), (None, vec![challenge_id(1)]), "it was superseded");
    let written = writes(&asked(), &RevokeFactor { user: USER, factor: tag(1) }, at(5));
    assert_eq!((written.before, written.ended), (None, Vec::new()), "a revocation");
}

#[test]
fn devices_hear_of_what_is_new_and_of_revocations() {
    let store = asked();
    assert!(writes(&store, &create(2, at(10)), at(10)).concerns_devices);
    assert!(writes(&store, &RevokeFactor { user: USER, factor: tag(1) }, at(5)).concerns_devices);
    let again = writes(&store, &create(1, at(0)), at(1));
    assert!(again.is_empty() && !again.concerns_devices, "the same attempt is nothing new");
}
