//! Redis: away, unfit, nearly full, unable to write, or synced late.

use std::fs;

use countersign::doctor::Severity::{Problem, Warning};
use countersign_test_peers::{RedisOptions, RedisServer, Value, redis_or_skip};

use super::{Patient, assert_one, mounted::Mounted};

/// One that nothing is to be said of, but for what `options` say.
async fn beside(options: RedisOptions) -> (Patient, RedisServer) {
    let redis = options.start().await.expect("it starts");
    let patient = Patient::new("").await;
    patient.configure(&format!("[redis]\nurl = {:?}\n", redis.url()));
    (patient, redis)
}

fn synced() -> RedisOptions {
    RedisServer::options().arg("appendfsync", "always")
}

#[tokio::test]
async fn what_a_server_would_not_start_on_is_told_and_what_it_would_is_not() {
    if !redis_or_skip() {
        return;
    }
    let (patient, redis) = beside(synced()).await;
    assert_eq!(patient.findings().await, []);
    redis.kill();
    patient.one("redis", Problem, "does not answer: ", "systemctl start redis-server").await;

    let (patient, _redis) = beside(synced().arg("maxmemory-policy", "allkeys-lru")).await;
    patient.one("redis", Problem, "set maxmemory-policy noeviction", "redis.conf").await;
    let (patient, _redis) = beside(RedisServer::options().arg("appendonly", "no")).await;
    patient.one("redis", Problem, "it keeps no append-only file", "redis.conf").await;
    let (patient, _redis) = beside(synced().user("default", "another-password", "~* &* +@all")).await;
    patient.one("redis", Problem, "it refuses user and password", "as it says").await;
}

#[tokio::test]
async fn one_that_syncs_late_is_told_unless_its_user_may_not_ask() {
    if !redis_or_skip() {
        return;
    }
    for setting in ["everysec", "no"] {
        let (patient, _redis) = beside(RedisServer::options().arg("appendfsync", setting)).await;
        patient.one("redis", Warning, &format!("by appendfsync {setting}"), "appendfsync always").await;
    }
    let options = RedisServer::options().arg("appendfsync", "everysec");
    let rules = "~countersign:* &countersign:* +@all -@admin -config";
    let (patient, redis) = beside(options.user("countersign", "secret", rules)).await;
    let url = format!("redis://countersign:secret@127.0.0.1:{}", redis.port());
    patient.configure(&format!("[redis]\nurl = {url:?}\n"));
    assert_eq!(patient.findings().await, []);
}

#[tokio::test]
async fn one_that_is_nearly_full_is_told() {
    if !redis_or_skip() {
        return;
    }
    let (patient, redis) = beside(synced()).await;
    let set = async |bytes: u64| {
        let command = ["CONFIG", "SET", "maxmemory", &bytes.to_string()];
        assert_eq!(redis.command(&command).await.expect("it answers"), Value::Simple("OK".into()));
    };
    set(1 << 30).await;
    assert_eq!(patient.findings().await, []);
    // Full outright, and more than full: what it has taken by itself is more than a megabyte whatever version it is.
    set(1 << 20).await;
    let findings = patient.findings().await;
    assert_one(&findings, "redis", Warning, " % of the memory that it may take", "raise maxmemory");
}

#[tokio::test]
async fn one_whose_disk_is_full_is_told() {
    if !redis_or_skip() {
        return;
    }
    let Some(mounted) = Mounted::new_or_skip(4) else { return };
    let directory = mounted.path().join("redis");
    fs::create_dir(&directory).expect("there is room");
    let (patient, redis) =
        beside(RedisServer::options().arg("appendfsync", "everysec").directory(&directory)).await;
    // Redis meets the end of the disk while it writes what it has taken.
    let value = "x".repeat(64 << 10);
    for number in 0..100 {
        let set = ["SET", &format!("filler-{number}"), &value];
        if matches!(redis.command(&set).await, Ok(Value::Error(_))) {
            break;
        }
    }
    let mut findings = patient.findings().await;
    findings.retain(|(_, finding)| finding.severity == Problem);
    assert_one(
        &findings,
        "redis",
        Problem,
        "Redis cannot write its append-only file",
        "make room on its disk",
    );
}
