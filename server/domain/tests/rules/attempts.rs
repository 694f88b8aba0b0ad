//! Asking, asking again, and making room.

use std::time::Duration;

use countersign_domain::{
    challenge::READABLE_AFTER_EXPIRY,
    id::ChallengeId,
    operation::{Cancel, Create, CreateOutcome, RevokeFactor, View},
    state::State,
};

use crate::fixture::{APPROVE, Store, USER, application, at, challenge_id, create, decide, made, tag};

fn state(store: &mut Store, n: u64, seconds: i64) -> Option<State> {
    store.run(&View { challenge: challenge_id(n) }, at(seconds)).map(|challenge| challenge.state)
}

#[test]
fn the_same_content_gets_the_challenge_that_was_made_whatever_became_of_it() {
    let mut store = Store::default();
    let first = create(1, at(0));
    assert_eq!(made(&store.run(&first, at(0))), []);
    // A second call has other random bits, and may come when nobody is left to ask or much later.
    let mut again = create(1, at(30));
    again.challenge.id = challenge_id(50);
    again.challenge.asked.clear();
    again.challenge.codes.kinds.clear();
    let settle: [fn(&mut Store); 3] = [
        |_| {},
        |store| drop(store.run(&decide(1, 1, APPROVE, at(30)), at(30))),
        |store| drop(store.run(&Cancel { challenge: challenge_id(1), application: application() }, at(30))),
    ];
    for settle in settle {
        let mut store = store.clone();
        settle(&mut store);
        let stored = store.challenge(challenge_id(1)).expect("it was made");
        store.settled(&again, at(40), &CreateOutcome::Repeated(Box::new(stored)));
    }
    let CreateOutcome::Repeated(expired) = store.run(&again, at(60)) else { panic!("it can be read") };
    assert_eq!((expired.id, &expired.state), (challenge_id(1), &State::Expired));
    assert_eq!(store.challenge(challenge_id(1)), Some(*expired));
}

#[test]
fn other_content_is_refused_and_changes_nothing() {
    let mut store = Store::default();
    store.run(&create(1, at(0)), at(0));
    let mut other = create(1, at(1));
    other.challenge.request_sha256 = [9; 32];
    store.settled(&other, at(1), &CreateOutcome::AttemptReused);
}

#[test]
fn an_attempt_whose_challenge_can_no_longer_be_read_asks_anew() {
    let mut store = Store::default();
    store.run(&create(1, at(0)), at(0));
    let gone = at(60).plus(READABLE_AFTER_EXPIRY);
    let mut again = create(1, gone);
    again.challenge.id = challenge_id(50);
    assert_eq!(made(&store.run(&again, gone)), []);
    // After a step back the first one is not pending beside it.
    assert_eq!(state(&mut store, 1, 30), Some(State::Superseded));
    let stored = store.challenge(challenge_id(50)).expect("it was made");
    store.settled(&again, gone, &CreateOutcome::Repeated(Box::new(stored)));
}

#[test]
fn nobody_to_ask_makes_nothing() {
    let mut nobody = create(1, at(0));
    nobody.challenge.asked.clear();
    nobody.challenge.codes.kinds.clear();
    let mut store = Store::default();
    store.settled(&nobody, at(0), &CreateOutcome::NobodyToAsk);
    // Nor does it push out what others are asked.
    store.run(&create(2, at(0)), at(0));
    store.settled(&nobody, at(0), &CreateOutcome::NobodyToAsk);
}

#[test]
fn a_creation_time_off_by_more_than_two_seconds_is_stale() {
    for (millis, is_stale) in [(-2001, true), (-2000, false), (2000, false), (2001, true), (i64::MIN, true)] {
        let mut store = Store::default();
        let now = countersign_domain::UnixTime::from_millis(at(0).as_millis().saturating_add(millis));
        let outcome = store.run(&create(1, at(0)), now);
        assert_eq!(outcome == CreateOutcome::Stale, is_stale, "{millis}");
        assert_eq!(store == Store::default(), is_stale, "{millis}");
    }
}

#[test]
fn a_device_revoked_since_the_directory_was_read_makes_it_stale() {
    let mut store = Store::default();
    store.run(&RevokeFactor { user: USER, factor: tag(2) }, at(0));
    store.settled(&create(1, at(1)), at(1), &CreateOutcome::Stale);
    let mut fresh = create(1, at(1));
    fresh.challenge.asked.pop();
    assert_eq!(made(&store.run(&fresh, at(1))), []);
}

fn create_among(n: u8, seconds: i64, max_pending: usize) -> Create {
    Create { max_pending, ..create(n, at(seconds)) }
}

#[test]
fn the_oldest_pending_make_room() {
    let mut store = Store::default();
    let ids = |ns: &[u64]| ns.iter().map(|&n| challenge_id(n)).collect::<Vec<ChallengeId>>();
    assert_eq!(made(&store.run(&create_among(1, 0, 3), at(0))), ids(&[]));
    assert_eq!(made(&store.run(&create_among(2, 1, 3), at(1))), ids(&[]));
    assert_eq!(made(&store.run(&create_among(3, 2, 3), at(2))), ids(&[]));
    assert_eq!(made(&store.run(&create_among(4, 3, 3), at(3))), ids(&[1]));
    // What is settled takes no room.
    store.run(&decide(3, 1, APPROVE, at(4)), at(4));
    assert_eq!(made(&store.run(&create_among(5, 5, 3), at(5))), ids(&[]));
    // A policy that was tightened takes effect with the next one.
    assert_eq!(made(&store.run(&create_among(6, 6, 1), at(6))), ids(&[2, 4, 5]));
    for (n, expected) in [(1, State::Superseded), (2, State::Superseded), (6, State::Pending)] {
        assert_eq!(state(&mut store, n, 7), Some(expected), "{n}");
    }
    assert!(matches!(state(&mut store, 3, 7), Some(State::Approved { .. })));
}

#[test]
fn what_has_expired_makes_no_room_and_stays_listed_while_it_can_be_read() {
    let mut store = Store::default();
    store.run(&create_among(1, 0, 1), at(0));
    assert_eq!(made(&store.run(&create_among(2, 60, 1), at(60))), []);
    assert_eq!(state(&mut store, 1, 61), Some(State::Expired));
    let last = at(120).plus(READABLE_AFTER_EXPIRY);
    let just_before = last.minus(Duration::from_millis(1));
    let view = View { challenge: challenge_id(2) };
    let told = store.run(&view, just_before).map(|challenge| challenge.state);
    assert_eq!(told, Some(State::Expired));
    store.settled(&view, last, &None);
}
