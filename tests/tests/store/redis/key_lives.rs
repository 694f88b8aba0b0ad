//! When keys end.

use std::{sync::Arc, time::Duration};

use countersign::store::{Challenges, Wakeups as _};
use countersign_domain::{
    UnixTime,
    challenge::{ChallengeRecord, READABLE_AFTER_EXPIRY},
    id::{ApplicationId, UserTag},
    operation::{Cancel, CodeAnswer, Lookup, RevokeFactor, Subject, Unlock, Writes},
    standing::{Holds, REMEMBERED_FOR},
    state::{State, Verdict},
    user::{TOMBSTONE_STANDS, UserRecord},
};
use countersign_proto::login::DeliveryState;
use countersign_test_peers::redis_or_skip;

use super::login::{challenge_of, create};
use crate::fixture::{APPROVE, LIFETIME, Redis, START, TestClock, USER, code, decision, device_tag};

/// The times at which the keys of this kind end.
async fn ends(redis: &Redis, kind: char) -> Vec<UnixTime> {
    let mut ends = Vec::new();
    for key in redis.keys(kind).await {
        let end = redis.nodes()[0].command(&["PEXPIRETIME", &key]).await.expect("an answer");
        let end = end.text().and_then(|text| text.parse().ok()).expect("a number");
        ends.push(UnixTime::from_millis(end));
    }
    ends.sort();
    ends
}

/// As long as there is a challenge, each of its changes must change a version that others have loaded.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_record_outlives_each_challenge_also_those_that_it_does_not_list() {
    if !redis_or_skip() {
        return;
    }
    let clock = TestClock::with_redis(START);
    let redis = Redis::server(&clock).await;
    let store: Arc<dyn Challenges> = redis.store().await;
    let long = challenge_of(USER, 1, &clock);
    store.update(create(&long, 1)).await.expect("an answer");
    store.update(decision(long.id, 1, APPROVE)).await.expect("an answer");
    let short = challenge_of(USER, 2, &clock);
    let short = ChallengeRecord { expires_at: START.plus(Duration::from_secs(5)), ..short };
    store.update(create(&short, 2)).await.expect("an answer");
    let cancel = Cancel { challenge: short.id, application: ApplicationId::new(1, 1) };
    store.update(cancel).await.expect("an answer");

    let (first, last) = (short.readable_until(), long.readable_until());
    assert_eq!(ends(&redis, 'c').await, [first, last]);
    assert_eq!(ends(&redis, 'a').await, [first, last]);
    assert_eq!(ends(&redis, 'u').await, [last]);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_user_record_is_lost_a_challenge_is_superseded_and_outlived_all_the_same() {
    if !redis_or_skip() {
        return;
    }
    let clock = TestClock::with_redis(START);
    let redis = Redis::server(&clock).await;
    let store: Arc<dyn Challenges> = redis.store().await;
    let challenge = challenge_of(USER, 1, &clock);
    store.update(create(&challenge, 1)).await.expect("an answer");
    let user = &redis.keys('u').await[0];
    redis.nodes()[0].command(&["DEL", user]).await.expect("an answer");
    let viewed = store.view(challenge.id).await.expect("an answer").expect("the challenge");
    assert_eq!(viewed.state, State::Superseded);
    assert_eq!(ends(&redis, 'u').await, [challenge.readable_until()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_record_outlives_its_tombstones() {
    if !redis_or_skip() {
        return;
    }
    let clock = TestClock::with_redis(START);
    let redis = Redis::server(&clock).await;
    let store: Arc<dyn Challenges> = redis.store().await;
    let revoke = RevokeFactor { user: UserTag(USER), factor: device_tag(1) };
    store.update(revoke).await.expect("an answer");
    assert_eq!(ends(&redis, 'u').await, [START.plus(TOMBSTONE_STANDS)]);
}

/// Also where another challenge, which the record does not list any more, ends between the two.
#[tokio::test(flavor = "multi_thread")]
async fn a_success_that_clears_the_failures_ends_the_record_with_the_last_challenge() {
    if !redis_or_skip() {
        return;
    }
    let clock = TestClock::with_redis(START);
    let redis = Redis::server(&clock).await;
    let store: Arc<dyn Challenges> = redis.store().await;
    let settled = challenge_of(USER, 1, &clock);
    store.update(create(&settled, 1)).await.expect("an answer");
    store.update(decision(settled.id, 1, APPROVE)).await.expect("an answer");
    let challenge = challenge_of(USER, 2, &clock);
    let challenge = ChallengeRecord { expires_at: START.plus(Duration::from_secs(5)), ..challenge };
    store.update(create(&challenge, 2)).await.expect("an answer");
    store.update(code(challenge.id, None)).await.expect("an answer");
    assert_eq!(ends(&redis, 'u').await, [START.plus(REMEMBERED_FOR)]);
    let accepted = store.update(code(challenge.id, Some(1))).await.expect("an answer");
    assert_eq!(accepted.map(|told| told.answer), Some(CodeAnswer::Accepted));
    assert_eq!(ends(&redis, 'u').await, [settled.readable_until()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unlocking_ends_the_record_once_no_late_copy_can_come() {
    if !redis_or_skip() {
        return;
    }
    let clock = TestClock::with_redis(START);
    let redis = Redis::server(&clock).await;
    let store: Arc<dyn Challenges> = redis.store().await;
    let challenge = challenge_of(USER, 1, &clock);
    store.update(create(&challenge, 1)).await.expect("an answer");
    store.update(decision(challenge.id, 1, Verdict::DenyNotMe)).await.expect("an answer");
    assert_eq!(ends(&redis, 'u').await, [START.plus(REMEMBERED_FOR)]);
    store.update(Unlock { user: UserTag(USER), copy: Holds::default() }).await.expect("an answer");
    assert_eq!(ends(&redis, 'u').await, [START.plus(TOMBSTONE_STANDS)]);
}

/// Whoever loaded none, just before it was written, must find it when he commits.
#[tokio::test(flavor = "multi_thread")]
async fn no_record_ends_while_somebody_may_commit_who_found_none() {
    if !redis_or_skip() {
        return;
    }
    let clock = TestClock::with_redis(START);
    let redis = Redis::server(&clock).await;
    let store: Arc<dyn Challenges> = redis.store().await;
    let subject = Subject { user: UserTag(USER), challenge: Lookup::None };
    let empty = Box::new(|_, _| Writes { user: Some(UserRecord::default()), ..Writes::default() });
    store.commit(subject, empty).await.expect("an answer");
    assert_eq!(ends(&redis, 'u').await, [START.plus(Duration::from_secs(4))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_beside_a_challenge_ends_no_earlier_and_by_itself() {
    if !redis_or_skip() {
        return;
    }
    let clock = TestClock::with_redis(START);
    let redis = Redis::server(&clock).await;
    let store = redis.store().await;
    store.watch(UserTag(USER)).await.expect("an answer");
    store.watch_deliveries(UserTag(USER)).await.expect("an answer");
    let challenges: Arc<dyn Challenges> = store;
    let challenge = challenge_of(USER, 1, &clock);
    challenges.update(create(&challenge, 1)).await.expect("an answer");
    let noted = challenges.note_delivery(challenge.id, challenge.asked[0].id, DeliveryState::Queued);
    noted.await.expect("an answer");
    assert!(ends(&redis, 'n').await[0] >= challenge.readable_until());
    for set in ['w', 'd'] {
        assert!(ends(&redis, set).await[0] >= challenge.expires_at);
    }

    clock.advance(LIFETIME + READABLE_AFTER_EXPIRY + TOMBSTONE_STANDS);
    assert_eq!(redis.keys('*').await, Vec::<String>::new());
}
