//! A revoked device changes nothing, learns nothing, and stays revoked.

use std::time::Duration;

use countersign_domain::{
    UnixTime,
    operation::{DecideOutcome, Fetch, RedeemOutcome, RevokeFactor, View},
    state::State,
    user::TOMBSTONE_STANDS,
};

use crate::fixture::{APPROVE, Store, USER, VERDICTS, at, challenge_id, create, decide, made, redeem, tag};

fn revoke(n: u8) -> RevokeFactor {
    RevokeFactor { user: USER, factor: tag(n) }
}

fn asked() -> Store {
    let mut store = Store::default();
    store.run(&create(1, at(0)), at(0));
    store
}

fn is_shut_out(store: &mut Store, device: u8, now: UnixTime) -> bool {
    let fetched = store.run(&Fetch { challenge: challenge_id(1), device: tag(device) }, now);
    let told = store.run(&decide(1, device, APPROVE, now), now);
    fetched.is_none() && told == DecideOutcome::NotFound
}

#[test]
fn between_ask_and_answer() {
    for verdict in VERDICTS {
        let mut store = asked();
        store.run(&revoke(1), at(1));
        store.settled(&decide(1, 1, verdict, at(2)), at(2), &DecideOutcome::NotFound);
        store.settled(&Fetch { challenge: challenge_id(1), device: tag(1) }, at(2), &None);
        let other = store.run(&decide(1, 2, APPROVE, at(3)), at(3));
        assert!(matches!(other, DecideOutcome::Settled { accepted: true, first: true, .. }));
    }
}

#[test]
fn between_answer_and_redemption() {
    let mut store = asked();
    store.run(&decide(1, 1, APPROVE, at(1)), at(1));
    let mut of_other = store.clone();
    of_other.run(&revoke(2), at(2));
    assert!(matches!(of_other.run(&redeem(1, 1), at(3)), RedeemOutcome::Redeemed(_)));
    store.run(&revoke(1), at(2));
    assert_eq!(store.run(&redeem(1, 1), at(3)), RedeemOutcome::TooLate);
    store.settled(&redeem(1, 1), at(3), &RedeemOutcome::TooLate);
    assert_eq!(store.run(&decide(1, 1, APPROVE, at(3)), at(3)), DecideOutcome::NotFound);
    let told = store.run(&View { challenge: challenge_id(1) }, at(3)).map(|challenge| challenge.state);
    assert!(matches!(told, Some(State::Approved { .. })), "what was settled stands");
}

#[test]
fn again_changes_nothing_or_lasts_longer() {
    let mut store = asked();
    store.run(&revoke(1), at(1));
    store.settled(&revoke(1), at(1), &());
    let until = store.user().tombstones[0].until;
    store.settled(&revoke(1), at(-3600), &());
    store.run(&revoke(1), at(2));
    let tombstones = store.user().tombstones;
    assert_eq!(tombstones.len(), 1);
    assert_eq!(tombstones[0].until, until.plus(Duration::from_secs(1)));
}

#[test]
fn a_tombstone_outlives_the_longest_challenge_and_is_then_forgotten() {
    let mut store = Store::default();
    let mut longest = create(1, at(0));
    longest.challenge.expires_at = at(600);
    store.run(&longest, at(0));
    store.run(&revoke(1), at(0));
    let readable_until = store.challenge(challenge_id(1)).expect("it was made").readable_until();
    for now in [at(599), at(600), readable_until.minus(Duration::from_millis(1))] {
        store.run(&create(2, now), now);
        store.run(&revoke(3), now);
        assert!(is_shut_out(&mut store, 1, now), "{now}");
    }
    let end = at(0).plus(TOMBSTONE_STANDS);
    assert_eq!(end, readable_until);
    store.run(&revoke(4), end);
    assert!(!store.user().is_revoked(tag(1)));
    assert!(is_shut_out(&mut store, 1, end), "nothing is left to be read");
}

#[test]
fn a_tombstone_forgotten_by_a_clock_that_ran_ahead_leaves_nothing_to_answer() {
    let mut store = asked();
    store.run(&revoke(1), at(1));
    let ahead = at(1).plus(TOMBSTONE_STANDS);
    let mut fresh = create(2, ahead);
    fresh.challenge.asked.remove(0);
    assert_eq!(made(&store.run(&fresh, ahead)), []);
    assert!(!store.user().is_revoked(tag(1)));
    let told = store.run(&decide(1, 1, APPROVE, at(2)), at(2));
    assert!(matches!(told, DecideOutcome::Settled { accepted: false, first: false, .. }), "{told:?}");
}

#[test]
fn a_tombstone_put_up_after_a_step_back_lasts_as_long_as_what_is_listed() {
    let mut store = asked();
    let back = at(-36_000);
    store.run(&revoke(1), back);
    for now in [back.plus(TOMBSTONE_STANDS), at(0), at(59)] {
        store.run(&revoke(3), now);
        assert!(is_shut_out(&mut store, 1, now), "{now}");
    }
}

#[test]
fn a_user_with_nothing_to_keep_is_told_so() {
    let mut store = asked();
    assert!(!store.user().is_empty());
    assert_eq!(store.user().keep_until(), Some(at(60 + 900)));
    store.run(&decide(1, 1, APPROVE, at(1)), at(1));
    assert!(store.user().is_empty());
    assert_eq!(store.user().keep_until(), None);
    store.run(&revoke(1), at(2));
    assert_eq!(store.user().keep_until(), Some(at(2).plus(TOMBSTONE_STANDS)));
}
