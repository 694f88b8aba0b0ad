//! A Cluster of three nodes, with users on each of them.

use countersign::store::{Wakeups as _, wakeups::Wakeup};
use countersign_domain::id::UserTag;
use countersign_test_peers::redis_or_skip;

use super::{listening::Heard, login::log_in};
use crate::fixture::{Redis, START, TestClock};

/// Of as many buckets.
const USERS: u64 = 16;

fn user(n: u64) -> u64 {
    (n << 60) + n
}

#[tokio::test(flavor = "multi_thread")]
async fn users_lie_on_all_nodes() {
    if !redis_or_skip() {
        return;
    }
    let clock = TestClock::with_redis(START);
    let redis = Redis::cluster(&clock).await;
    let store = redis.store().await;
    for n in 0..USERS {
        log_in(&store, user(n), n, &clock).await;
    }
    for node in redis.nodes() {
        let held = node.command(&["DBSIZE"]).await.expect("an answer").text().expect("a number");
        assert_ne!(held, "0");
    }
    assert_eq!(redis.keys('u').await.len() as u64, USERS);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_listens_on_one_node_hears_of_all() {
    if !redis_or_skip() {
        return;
    }
    let clock = TestClock::with_redis(START);
    let redis = Redis::cluster(&clock).await;
    let (decides, waits) = (redis.store().await, redis.store().await);
    let mut heard = Heard::by(&waits).await;
    for n in 0..USERS {
        waits.watch(UserTag(user(n))).await.expect("an answer");
        let ended = log_in(&decides, user(n), n, &clock).await;
        assert_eq!(heard.next().await, Wakeup::Devices(UserTag(user(n))), "it is new");
        assert_eq!(heard.next().await, Wakeup::Ended(ended));
    }
}
