//! Does once, on keys of its own, all that the store does: so that a permission that is missing is told when the
//! server starts, and not at the first login.

use redis::{Pipeline, RedisResult, aio::MultiplexedConnection};

use super::{commit, keys::Keys};

/// How long the keys live, in milliseconds.
const LIFE_MILLIS: i64 = 10_000;

/// Tries every command, key pattern and channel. The error names what Redis refused.
pub(super) async fn run(connection: &mut MultiplexedConnection, keys: &Keys) -> RedisResult<()> {
    let [user, waiting, deliveries] = ["user", "waiting", "deliveries"].map(|name| keys.probe(name));
    let mut commands = Pipeline::new();
    commands.sadd(&waiting, "probe").ignore().pexpire(&waiting, LIFE_MILLIS).ignore();
    commands.hset(&deliveries, "probe", 1).ignore().pexpire(&deliveries, LIFE_MILLIS).ignore();
    commands.exists(&user).ignore().hgetall(&deliveries).ignore().get(&user).ignore();
    commands.cmd("MGET").arg(&[&user]).cmd("TIME");
    let ((version,), time): ((Option<Vec<u8>>,), (i64, i64)) = commands.query_async(connection).await?;
    let now = commit::time_of(time).as_millis();
    let mut call = commit::script().prepare_invoke();
    call.key(user).key(waiting);
    call.arg(version.unwrap_or_default()).arg(now).arg(now + LIFE_MILLIS);
    call.arg(keys.channels()).arg(1).arg("probe");
    call.arg("probe").arg(now + LIFE_MILLIS);
    let _: i64 = call.invoke_async(connection).await?;
    Ok(())
}
