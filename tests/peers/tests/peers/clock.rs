use countersign_test_peers::{ManualRedisClock, RedisServer, Value, redis_or_skip};

use crate::{bulk, ok};

const START: i64 = 1_800_000_000_123;

async fn time_of(redis: &RedisServer) -> Value {
    redis.command(&["TIME"]).await.expect("it answers")
}

#[tokio::test]
async fn servers_show_the_time_that_their_clock_was_set_to() {
    if !redis_or_skip() {
        return;
    }
    let clock = ManualRedisClock::new(START).expect("the library compiles");
    let one = RedisServer::options().clock(&clock).start().await.expect("it starts");
    let other = RedisServer::options().clock(&clock.clone()).start().await.expect("it starts");
    let start = Value::Array(vec![bulk("1800000000"), bulk("123000")]);
    assert_eq!([time_of(&one).await, time_of(&other).await], [start.clone(), start]);

    clock.set(START + 3_600_001);
    let later = Value::Array(vec![bulk("1800003600"), bulk("124000")]);
    assert_eq!([time_of(&one).await, time_of(&other).await], [later.clone(), later]);

    // Back is a way too.
    clock.set(1_000);
    assert_eq!(time_of(&one).await, Value::Array(vec![bulk("1"), bulk("0")]));
}

#[tokio::test]
async fn a_key_expires_when_the_clock_passes_its_end() {
    if !redis_or_skip() {
        return;
    }
    let clock = ManualRedisClock::new(START).expect("the library compiles");
    let redis = RedisServer::options().clock(&clock).start().await.expect("it starts");
    let mut connection = redis.connect().await.expect("it connects");
    let end = (START + 60_000).to_string();
    assert_eq!(connection.command(&["SET", "key", "value", "PXAT", &end]).await.expect("it answers"), ok());
    clock.set(START + 60_000);
    assert_eq!(connection.command(&["GET", "key"]).await.expect("it answers"), bulk("value"));
    clock.set(START + 60_001);
    assert_eq!(connection.command(&["GET", "key"]).await.expect("it answers"), Value::Nil);
}
