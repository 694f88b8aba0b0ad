//! What Redis must be like, so that it loses no challenge that was acknowledged.

use std::collections::HashMap;

/// The oldest version that has all that the commit script calls: `SET` with `PXAT` came with 6.2.
const OLDEST_VERSION: (u32, u32) = (6, 2);

/// Why a Redis must not be used. Each says what would help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    #[error("it is version {0}, and challenges need 6.2 or later: upgrade it")]
    TooOld(String),
    #[error("its answer to INFO does not say {0}: it is no Redis that Countersign knows")]
    Silent(&'static str),
    #[error("it is a replica, which takes no writes: point redis.url at the master")]
    Replica,
    #[error(
        "its maxmemory-policy is {0}, with which it forgets challenges when memory is short: set \
         maxmemory-policy noeviction"
    )]
    Evicting(String),
    #[error(
        "it keeps no append-only file, so that a restart loses every challenge and revocation under way: set \
         appendonly yes, or allow that with redis.allow_without_append_only_file = true"
    )]
    NoAppendOnlyFile,
}

/// Whether Redis still reads its data, by its answer to `INFO`. It says meanwhile that it keeps no append-only
/// file (`loadAppendOnlyFiles` in aof.c turns it off for that long).
pub(super) fn is_loading(info: &str) -> bool {
    info.lines().any(|line| line.trim_end() == "loading:1")
}

/// Checks the answer to `INFO`.
pub(super) fn check(info: &str, allow_without_append_only_file: bool) -> Result<(), Unfit> {
    let fields: HashMap<&str, &str> =
        info.lines().filter_map(|line| line.trim_end().split_once(':')).collect();
    let field = |name: &'static str| fields.get(name).copied().ok_or(Unfit::Silent(name));
    let version = field("redis_version")?;
    if !is_new_enough(version) {
        return Err(Unfit::TooOld(version.to_owned()));
    }
    if field("role")? != "master" {
        return Err(Unfit::Replica);
    }
    let policy = field("maxmemory_policy")?;
    if policy != "noeviction" {
        return Err(Unfit::Evicting(policy.to_owned()));
    }
    if !allow_without_append_only_file && field("aof_enabled")? != "1" {
        return Err(Unfit::NoAppendOnlyFile);
    }
    Ok(())
}

fn is_new_enough(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= OLDEST_VERSION
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n\
                        maxmemory_policy:noeviction\r\naof_enabled:1\r\nrole:master\r\n";

    #[test]
    fn a_redis_that_reads_its_data_is_told_from_one_that_has() {
        assert!(!is_loading(GOOD) && !is_loading("loading:0\r\nasync_loading:1\r\n"));
        assert!(is_loading("# Persistence\r\nloading:1\r\nasync_loading:0\r\naof_enabled:0\r\n"));
    }

    #[test]
    fn what_would_lose_challenges_is_refused() {
        let after = |from: &str, to: &str| check(&GOOD.replace(from, to), false);
        assert_eq!(check(GOOD, false), Ok(()));
        assert_eq!(after("7.0.15", "6.2.0"), Ok(()));
        assert_eq!(after("7.0.15", "10.0.1"), Ok(()));
        assert_eq!(after("7.0.15", "6.0.16"), Err(Unfit::TooOld("6.0.16".into())));
        assert_eq!(after("role:master", "role:slave"), Err(Unfit::Replica));
        assert_eq!(after("noeviction", "allkeys-lru"), Err(Unfit::Evicting("allkeys-lru".into())));
        assert_eq!(after("aof_enabled:1", "aof_enabled:0"), Err(Unfit::NoAppendOnlyFile));
        assert_eq!(after("role:master\r\n", ""), Err(Unfit::Silent("role")));
        assert_eq!(check(&GOOD.replace("aof_enabled:1", "aof_enabled:0"), true), Ok(()));
    }
}
