//! Redis forgets its scripts when it is told to, and when it starts.

use countersign_test_peers::{Value, redis_or_skip};

use super::login::log_in;
use crate::fixture::{Redis, START, TestClock};

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_redis_has_forgotten_is_loaded_again() {
    if redis_or_skip() {
        let clock = TestClock::with_redis(START);
        forgotten_between_logins(Redis::server(&clock).await, clock).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_a_cluster_has_forgotten_is_loaded_again() {
    if redis_or_skip() {
        let clock = TestClock::with_redis(START);
        forgotten_between_logins(Redis::cluster(&clock).await, clock).await;
    }
}

async fn forgotten_between_logins(redis: Redis, clock: TestClock) {
    let store = redis.store().await;
    for user in 0..6 {
        // Of as many buckets, on all nodes.
        log_in(&store, user << 61, user, &clock).await;
        for node in redis.nodes() {
            let flushed = node.command(&["SCRIPT", "FLUSH", "SYNC"]).await.expect("an answer");
            assert_eq!(flushed, Value::Simple("OK".into()));
        }
    }
}
