//! Redis: what a server demands of it at its start, and what it should be besides.

use super::Finding;
use crate::store::redis::{ConnectError, Examination, RedisError};

/// From here on of its memory it is about to be full.
const FULL_FROM_PERCENT: u64 = 90;

pub(super) fn check(examined: Option<&Result<Examination, RedisError>>) -> Vec<Finding> {
    match examined {
        None => Vec::new(),
        Some(Ok(examination)) => [not_written(examination), memory(examination), synced(examination)]
            .into_iter()
            .flatten()
            .collect(),
        Some(Err(RedisError::Connect(error @ ConnectError::Unreachable { .. }))) => vec![Finding::problem(
            error.to_string(),
            "challenges lie in it: while it is away every login is refused",
            "start it (`systemctl start redis-server`), and see its log; or set redis.url to where it is",
        )],
        Some(Err(error)) => vec![Finding::problem(
            error.to_string(),
            "no server starts on it",
            "as it says; Redis' settings stand in redis.conf, and `CONFIG SET` changes them until its restart",
        )],
    }
}

fn not_written(examination: &Examination) -> Option<Finding> {
    examination.is_write_failing.then(|| {
        Finding::problem(
            "Redis cannot write its append-only file",
            "it takes no writes until it can: every login is refused",
            "make room on its disk, and see its log",
        )
    })
}

fn memory(examination: &Examination) -> Option<Finding> {
    let percent = examination.memory_percent.filter(|&percent| percent >= FULL_FROM_PERCENT)?;
    Some(Finding::warning(
        format!("Redis has taken {percent} % of the memory that it may take"),
        "when it is full it takes no writes: every login is refused",
        "raise maxmemory in redis.conf, or move what else lies in this Redis to another one",
    ))
}

fn synced(examination: &Examination) -> Option<Finding> {
    let synced = examination.synced.as_deref().filter(|&synced| synced != "always")?;
    Some(Finding::warning(
        format!("Redis syncs its append-only file by appendfsync {synced}"),
        "a loss of power may take back answers and revocations of the last seconds that were acknowledged",
        "set `appendfsync always` in redis.conf (docs/durability.md has what it costs)",
    ))
}
