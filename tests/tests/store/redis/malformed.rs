//! What no server wrote: whoever may write Redis puts it there.

use std::sync::Arc;

use countersign::{
    random::SystemRandom,
    store::{Challenges, StoreError, redis::RedisStore},
};
use countersign_domain::id::UserTag;
use countersign_test_peers::{FaultyProxy, RedisServer, Value, redis_or_skip};

use super::login::{challenge_of, create, log_in};
use crate::fixture::{APPROVE, START, TestClock, USER, decision, redis_config};

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_cannot_be_read_fails_its_own_call_and_breaks_no_connection() {
    if !redis_or_skip() {
        return;
    }
    let clock = TestClock::with_redis(START);
    let server = RedisServer::options().clock(clock.of_redis()).start().await.expect("a Redis server");
    let proxy = FaultyProxy::in_front_of(server.port()).await.expect("a port is free");
    let config = redis_config(&format!("redis://{}", proxy.address()));
    let store = RedisStore::open(&config, Arc::new(SystemRandom)).await.expect("a store in Redis");
    let store = Arc::new(store);
    let id = log_in(&store, USER, 1, &clock).await;
    let key = first_key(&server, "*}n*").await;
    server.command(&["HSET", &key, "device", "not a number"]).await.expect("an answer");

    let connections = proxy.connections();
    for _ in 0..3 {
        assert_eq!(store.deliveries(id).await, Err(StoreError::Unavailable));
        assert_eq!(store.open(UserTag(USER)).await, Ok(vec![]));
    }
    assert_eq!(proxy.connections(), connections);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_fails_has_written_nothing() {
    if !redis_or_skip() {
        return;
    }
    let clock = TestClock::with_redis(START);
    let server = RedisServer::options().clock(clock.of_redis()).start().await.expect("a Redis server");
    let store = RedisStore::open(&redis_config(&server.url()), Arc::new(SystemRandom)).await;
    let store: Arc<dyn Challenges> = Arc::new(store.expect("a store in Redis"));
    let challenge = challenge_of(USER, 1, &clock);
    store.update(create(&challenge, 1)).await.expect("an answer");
    // Where the servers stand that wait for the user.
    let key = first_key(&server, "*}u*").await.replace("}u", "}w");
    server.command(&["SET", &key, "no set"]).await.expect("an answer");
    let decided = store.update(decision(challenge.id, 1, APPROVE)).await;
    assert_eq!(decided.err(), Some(StoreError::Unavailable));
    assert_eq!(store.view(challenge.id).await, Ok(Some(challenge)));
}

/// The name of the key of this pattern that is no probe.
async fn first_key(server: &RedisServer, pattern: &str) -> String {
    let found = server.command(&["KEYS", pattern]).await.expect("an answer");
    let Value::Array(keys) = found else { panic!("{found:?}") };
    let mut keys = keys.iter().filter_map(Value::text);
    keys.find(|key| !key.ends_with("probe")).expect("there is one")
}
