//! TLS, databases and prefixes.

use std::sync::Arc;

use countersign::{
    random::SystemRandom,
    store::{
        Challenges,
        redis::{RedisConfig, RedisStore},
    },
};
use countersign_domain::id::UserTag;
use countersign_test_peers::{RedisServer, redis_or_skip};

use super::login::log_in;
use crate::fixture::{START, TestClock, USER, redis_config};

async fn opened(config: &RedisConfig) -> Arc<RedisStore> {
    Arc::new(RedisStore::open(config, Arc::new(SystemRandom)).await.expect("a store in Redis"))
}

#[tokio::test(flavor = "multi_thread")]
async fn challenges_go_over_tls() {
    if !redis_or_skip() {
        return;
    }
    let clock = TestClock::with_redis(START);
    let server = RedisServer::options().clock(clock.of_redis()).tls().start().await.expect("a Redis server");
    let mut config = redis_config(&server.url());
    config.ca_pem = server.ca_pem().map(|pem| pem.as_bytes().to_vec());
    log_in(&opened(&config).await, USER, 1, &clock).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_of_one_redis_do_not_see_each_other() {
    let in_database = |url: &str, database| RedisConfig { database: Some(database), ..redis_config(url) };
    see_nothing_of_each_other(|url| in_database(url, 3), |url| in_database(url, 4)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn prefixes_in_one_redis_do_not_see_each_other() {
    let under = |url: &str, prefix: &str| RedisConfig { key_prefix: prefix.into(), ..redis_config(url) };
    see_nothing_of_each_other(|url| under(url, "shop:"), |url| under(url, "mail:")).await;
}

/// The same user logs in by the same challenge and attempt, once in each.
async fn see_nothing_of_each_other(one: impl Fn(&str) -> RedisConfig, other: impl Fn(&str) -> RedisConfig) {
    if !redis_or_skip() {
        return;
    }
    let clock = TestClock::with_redis(START);
    let server = RedisServer::options().clock(clock.of_redis()).start().await.expect("a Redis server");
    let one = opened(&one(&server.url())).await;
    let other = opened(&other(&server.url())).await;
    let id = log_in(&one, USER, 1, &clock).await;
    assert_eq!(other.deliveries(id).await, Ok(vec![]));
    assert_eq!(other.open(UserTag(USER)).await, Ok(vec![]));
    assert_eq!((other.clone() as Arc<dyn Challenges>).view(id).await, Ok(None));
    log_in(&other, USER, 1, &clock).await;
}
