//! A key takes over from another: it answers what the old one was asked, and the old one nothing.

use countersign_domain::{
    UnixTime,
    operation::{CreateOutcome, DecideOutcome, Fetch, RedeemOutcome, ReplaceKey, RevokeFactor},
    user::Successor,
};

use crate::fixture::{APPROVE, Store, USER, at, challenge_id, create, decide, redeem, tag};

fn replace(old: u8, new: u8, bound_at: UnixTime) -> ReplaceKey {
    ReplaceKey { user: USER, device: tag(old), successor: Successor { tag: tag(new), bound_at } }
}

fn revoke(n: u8) -> RevokeFactor {
    RevokeFactor { user: USER, factor: tag(n) }
}

fn asked() -> Store {
    let mut store = Store::default();
    store.run(&create(1, at(0)), at(0));
    store
}

fn fetches(store: &mut Store, device: u8, now: UnixTime) -> bool {
    store.run(&Fetch { challenge: challenge_id(1), device: tag(device) }, now).is_some()
}

#[test]
fn the_end_of_the_chain_answers_what_its_beginning_was_asked() {
    let mut store = asked();
    store.run(&replace(1, 11, at(1)), at(1));
    store.run(&replace(11, 12, at(2)), at(2));
    for former in [1, 11] {
        assert!(!fetches(&mut store, former, at(3)));
        store.settled(&decide(1, former, APPROVE, at(3)), at(3), &DecideOutcome::NotFound);
    }
    assert!(fetches(&mut store, 12, at(3)));
    let told = store.run(&decide(1, 12, APPROVE, at(3)), at(3));
    assert!(matches!(told, DecideOutcome::Settled { accepted: true, first: true, .. }), "{told:?}");
    assert!(matches!(store.run(&redeem(1, 1), at(4)), RedeemOutcome::Redeemed(_)));
}

#[test]
fn nothing_is_settled_before_the_new_key_was_bound() {
    let mut store = asked();
    store.run(&replace(1, 11, at(30)), at(1));
    let told = store.run(&decide(1, 11, APPROVE, at(2)), at(2));
    let DecideOutcome::Settled { challenge, .. } = told else { panic!("{told:?}") };
    assert_eq!(challenge.state.settled().map(|settled| settled.settled_at), Some(at(30)));

    // Bound when the challenge ends, by a clock that stepped back since: no settlement has room.
    let mut store = asked();
    store.run(&replace(1, 11, at(60)), at(1));
    assert!(!fetches(&mut store, 11, at(2)));
}

#[test]
fn what_the_old_key_approved_is_redeemed_until_the_device_is_revoked() {
    let mut store = asked();
    store.run(&decide(1, 1, APPROVE, at(1)), at(1));
    store.run(&replace(1, 11, at(2)), at(2));
    let told = store.run(&decide(1, 11, APPROVE, at(3)), at(3));
    assert!(matches!(told, DecideOutcome::Settled { accepted: true, first: false, .. }), "the same device's");
    assert!(matches!(store.clone().run(&redeem(1, 1), at(3)), RedeemOutcome::Redeemed(_)));
    store.run(&revoke(11), at(4));
    assert_eq!(store.run(&redeem(1, 1), at(5)), RedeemOutcome::TooLate);
    assert!(!fetches(&mut store, 11, at(5)));
}

#[test]
fn a_creation_that_read_the_old_key_begins_again() {
    let mut store = Store::default();
    store.run(&replace(1, 11, at(0)), at(0));
    assert_eq!(store.run(&create(1, at(0)), at(0)), CreateOutcome::Stale);
}

#[test]
fn the_first_change_of_a_key_stands_and_a_revocation_ends_it() {
    let mut store = asked();
    store.run(&replace(1, 11, at(1)), at(1));
    store.settled(&replace(1, 12, at(1)), at(1), &());
    assert!(fetches(&mut store, 11, at(1)));
    store.run(&revoke(1), at(2));
    store.settled(&replace(1, 11, at(1)), at(2), &());
    assert!(!fetches(&mut store, 11, at(2)));
    assert!(store.user().is_revoked(tag(1)));
}

#[test]
fn a_ring_of_keys_answers_nothing() {
    let mut store = asked();
    store.run(&replace(1, 11, at(1)), at(1));
    store.run(&replace(11, 1, at(1)), at(1));
    assert!(!fetches(&mut store, 1, at(2)) && !fetches(&mut store, 11, at(2)));
    assert!(store.user().is_revoked(tag(1)));
}
