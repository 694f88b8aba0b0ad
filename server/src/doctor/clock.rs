//! Whether this machine's clock is right, as far as others tell.

use std::{fs, time::Duration};

use countersign_domain::UnixTime;

use super::{Finding, Installation, push};
use crate::store::{
    redis::{Examination, RedisError},
    sqlite::DataDirectory,
};

/// Beyond this no challenge can be created where Redis' clock counts.
const REDIS_REFUSES_BEYOND: Duration = Duration::from_secs(2);
/// From here on it is about to be.
const REDIS_TOLD_FROM: Duration = Duration::from_secs(1);
/// An HTTP date has whole seconds, and is of the moment when the answer was made.
const HTTP_TOLD_FROM: Duration = Duration::from_secs(30);
/// A file that was written that far ahead was not written just now.
const FILE_TOLD_FROM: Duration = Duration::from_mins(1);

const FIX: &str = "let the clock be kept by NTP: `timedatectl set-ntp true` (systemd-timesyncd) or chrony";

pub(super) fn check(
    installation: &Installation,
    redis: Option<&Result<Examination, RedisError>>,
    push: &push::Asked,
) -> Vec<Finding> {
    let redis = redis.and_then(|redis| redis.as_ref().ok()).and_then(|redis| {
        // Taken after Redis' answer, and the other checks: so much later it may be.
        against_redis(installation.clock.now(), redis.time)
    });
    let provider = push.clocks().find_map(|clocks| against_provider(clocks.own, clocks.provider));
    [redis, provider, against_database(installation)].into_iter().flatten().collect()
}

fn against_redis(own: UnixTime, redis: UnixTime) -> Option<Finding> {
    let apart = own.since(redis).max(redis.since(own));
    let what = format!("this machine's clock says {own}, Redis' says {redis}");
    if apart > REDIS_REFUSES_BEYOND {
        let why = "challenges expire by Redis' clock: no challenge is created on a server that is over 2 s off from it";
        Some(Finding::problem(what, why, FIX))
    } else if apart > REDIS_TOLD_FROM {
        let why = "challenges expire by Redis' clock: from 2 s on this server can create none";
        Some(Finding::warning(what, why, FIX))
    } else {
        None
    }
}

fn against_provider(own: UnixTime, date: UnixTime) -> Option<Finding> {
    let apart = own.since(date).max(date.since(own));
    (apart > HTTP_TOLD_FROM).then(|| {
        Finding::problem(
            format!("this machine's clock says {own}, the push provider's says {date}"),
            "providers refuse tokens of another time, devices are told that their calls are, and approvals carry it",
            FIX,
        )
    })
}

/// Something was written at a time that has not come yet: the clock was put back, or is behind.
fn against_database(installation: &Installation) -> Option<Finding> {
    let database = DataDirectory::at(&installation.config.server.data_dir).database();
    let written = fs::metadata(&database).ok()?.modified().ok()?;
    let written = written.duration_since(std::time::UNIX_EPOCH).ok()?;
    let written = UnixTime::from_millis(i64::try_from(written.as_millis()).ok()?);
    let own = installation.clock.now();
    (written.since(own) > FILE_TOLD_FROM).then(|| {
        Finding::problem(
            format!("{} was written at {written}, and this machine's clock says {own}", database.display()),
            "the clock is behind, or was ahead before: challenges and enrolments live too long or too short",
            FIX,
        )
    })
}
