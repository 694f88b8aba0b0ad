//! Clocks that step: no challenge shows two outcomes, and no settlement lies outside its bounds.

use std::time::Duration;

use countersign_domain::{
    UnixTime,
    challenge::{AskedDevice, READABLE_AFTER_EXPIRY},
    operation::{Cancel, DecideOutcome, Fetch, Operation, RedeemOutcome, View},
    state::{Settled, State},
};

use crate::fixture::{
    APPROVE, Store, application, at, challenge_id, create, decide, device, made, redeem, settlement, tag,
};

fn asked() -> Store {
    let mut store = Store::default();
    store.run(&create(1, at(0)), at(0));
    store
}

fn state(store: &mut Store, n: u64, now: UnixTime) -> Option<State> {
    store.run(&View { challenge: challenge_id(n) }, now).map(|challenge| challenge.state)
}

#[test]
fn whatever_saw_the_expiry_sealed_it_also_when_it_was_too_old_to_be_read() {
    fn see<O: Operation>(operation: &O, now: UnixTime) -> Store {
        let mut store = asked();
        store.run(operation, now);
        store
    }
    for now in [at(60), at(60).plus(READABLE_AFTER_EXPIRY)] {
        let challenge = challenge_id(1);
        for mut store in [
            see(&View { challenge }, now),
            see(&Fetch { challenge, device: tag(1) }, now),
            see(&Cancel { challenge, application: application() }, now),
            see(&decide(1, 1, APPROVE, at(59)), now),
            see(&redeem(1, 1), now),
        ] {
            assert_eq!(state(&mut store, 1, at(30)), Some(State::Expired));
            let told = store.run(&decide(1, 1, APPROVE, at(30)), at(30));
            assert!(matches!(told, DecideOutcome::Settled { accepted: false, first: false, .. }));
        }
    }
}

#[test]
fn one_that_had_expired_when_another_was_made_is_not_pending_again_beside_it() {
    let mut store = asked();
    assert_eq!(made(&store.run(&create(2, at(60)), at(60))), []);
    assert_eq!(state(&mut store, 1, at(30)), Some(State::Expired));
    assert_eq!(state(&mut store, 2, at(30)), Some(State::Pending));
}

/// Settles challenge 1 at `now`, with a settlement signed at `signed_at`.
fn settled(mut store: Store, now: UnixTime, signed_at: UnixTime) -> Option<Settled> {
    let told = store.run(&decide(1, 1, APPROVE, signed_at), now);
    let DecideOutcome::Settled { challenge, .. } = told else { return None };
    challenge.state.settled().cloned()
}

#[test]
fn settled_at_is_what_was_signed_or_else_the_latest_of_now_creation_and_binding() {
    let millis = |n| UnixTime::from_millis(at(0).as_millis() + n);
    for (case, now, signed_at, expected) in [
        ("signed now", at(10), at(10), at(10)),
        ("signed 2 s ago", at(10), at(8), at(8)),
        ("signed longer ago", at(10), millis(7_999), at(10)),
        ("signed 2 s ahead", at(10), at(12), at(12)),
        ("signed further ahead", at(10), millis(12_001), at(10)),
        ("signed before its creation", at(0), at(-1), at(0)),
        ("now before its creation", at(-3600), at(-3600), at(0)),
        ("now before its creation, signed after it", at(-3600), at(1), at(1)),
        ("signed at its expiry", millis(59_999), at(60), millis(59_999)),
        ("signed in its last moment", at(59), millis(59_999), millis(59_999)),
    ] {
        let settled = settled(asked(), now, signed_at).expect(case);
        assert_eq!(settled.settled_at, expected, "{case}");
        assert_eq!(settled.settlement, settlement(APPROVE, expected), "{case}");
    }
}

#[test]
fn no_settlement_is_earlier_than_the_binding_of_its_device() {
    let bound = |bound_at| {
        let mut store = Store::default();
        let mut operation = create(1, at(0));
        operation.challenge.asked = vec![AskedDevice { bound_at, ..device(1) }];
        store.run(&operation, at(0));
        store
    };
    let last = at(60).minus(Duration::from_millis(1));
    for bound_at in [at(10), at(40), last] {
        let settled = settled(bound(bound_at), at(10), at(9)).expect("bound before the end");
        assert_eq!(settled.settled_at, bound_at);
        assert_eq!(settled.settlement, settlement(APPROVE, bound_at));
    }
    // No time would be both after the binding and before the expiry.
    for bound_at in [at(60), at(3600)] {
        assert_eq!(settled(bound(bound_at), at(10), at(10)), None);
        assert_eq!(bound(bound_at).run(&Fetch { challenge: challenge_id(1), device: tag(1) }, at(10)), None);
    }
}

#[test]
fn an_approval_is_redeemed_until_two_minutes_after_it_was_settled_also_after_a_step_back() {
    let mut store = asked();
    store.run(&decide(1, 1, APPROVE, at(50)), at(50));
    assert!(matches!(store.run(&redeem(1, 1), at(-3600)), RedeemOutcome::Redeemed(_)));
    assert!(matches!(store.run(&redeem(1, 1), at(169)), RedeemOutcome::Redeemed(_)));
    assert_eq!(store.run(&redeem(1, 1), at(170)), RedeemOutcome::TooLate);
}
