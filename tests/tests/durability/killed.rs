//! SIGKILL: what was written outlives the process, since the system keeps it.

use countersign_test_peers::{RedisServer, Value, redis_or_skip};

use crate::{
    load::{Load, Place},
    soon,
};

/// Acknowledgements before the kill.
const ENOUGH: usize = 2_000;

async fn redis(appendfsync: &str) -> RedisServer {
    let options = RedisServer::options().arg("appendfsync", appendfsync);
    soon(options.start()).await.expect("it starts")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_loses_nothing_of_the_embedded_store() {
    let directory = tempfile::tempdir().expect("a directory");
    let place = Place::in_directory(directory.path());
    let mut load = Load::start(&place);
    load.until(|ledger| ledger.len() >= ENOUGH).await;
    let ledger = load.killed().await;
    ledger.compare(&place.open().await).await.is_none("embedded, server killed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_loses_nothing_in_redis() {
    if !redis_or_skip() {
        return;
    }
    let redis = redis("no").await;
    let place = Place::in_redis(&redis);
    let mut load = Load::start(&place);
    load.until(|ledger| ledger.len() >= ENOUGH).await;
    let ledger = load.killed().await;
    ledger.compare(&place.open().await).await.is_none("Redis, server killed");
}

/// Redis writes its append-only file before it answers, however often it has that file synced.
async fn kill_redis(appendfsync: &str) {
    if !redis_or_skip() {
        return;
    }
    let redis = redis(appendfsync).await;
    let place = Place::in_redis(&redis);
    let mut load = Load::start(&place);
    load.until(|ledger| ledger.len() >= ENOUGH).await;
    redis.kill();
    let ledger = load.ended().await;
    soon(redis.restart()).await.expect("it starts again");
    let loss = ledger.compare(&place.open().await).await;
    loss.is_none(&format!("Redis with appendfsync {appendfsync}, Redis killed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_redis_loses_nothing_with_appendfsync_always() {
    kill_redis("always").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_redis_loses_nothing_with_appendfsync_everysec() {
    kill_redis("everysec").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_redis_loses_nothing_with_appendfsync_no() {
    kill_redis("no").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_killed_while_it_rewrites_its_file_loses_nothing() {
    if !redis_or_skip() {
        return;
    }
    // Also without a sync while it rewrites.
    let options =
        RedisServer::options().arg("appendfsync", "everysec").arg("no-appendfsync-on-rewrite", "yes");
    let redis = soon(options.start()).await.expect("it starts");
    let place = Place::in_redis(&redis);
    let mut load = Load::start(&place);
    load.until(|ledger| ledger.len() >= ENOUGH).await;
    begin_endless_rewrite(&redis).await;
    load.until(|ledger| ledger.len() >= 2 * ENOUGH).await;
    assert!(is_rewriting(&redis).await);
    redis.kill();
    let ledger = load.ended().await;
    soon(redis.restart()).await.expect("it starts again");
    let loss = ledger.compare(&place.open().await).await;
    loss.is_none("Redis, killed while it rewrites its file");
}

/// Lets Redis rewrite its append-only file, at a tenth of a second for each key.
pub(crate) async fn begin_endless_rewrite(redis: &RedisServer) {
    let slow = ["CONFIG", "SET", "rdb-key-save-delay", "100000"];
    assert_eq!(redis.command(&slow).await.expect("it answers"), Value::Simple("OK".to_owned()));
    let begun = redis.command(&["BGREWRITEAOF"]).await.expect("it answers");
    assert!(matches!(&begun, Value::Simple(text) if text.contains("started")), "{begun:?}");
}

/// Whether that goes on.
pub(crate) async fn is_rewriting(redis: &RedisServer) -> bool {
    let info = redis.command(&["INFO", "persistence"]).await.expect("it answers");
    let Value::Bulk(info) = info else { panic!("{info:?}") };
    String::from_utf8_lossy(&info).contains("aof_rewrite_in_progress:1")
}
