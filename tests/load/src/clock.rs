//! The real clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use countersign_proto::time::UnixTime;
use tokio::time::{Instant, sleep_until};

/// Now, by the wall clock: what a device signs with its calls and decisions.
#[expect(clippy::disallowed_methods, reason = "this is where the benchmark reads the real clock")]
pub fn now() -> UnixTime {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixTime::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// Ends after `duration`.
pub async fn pause(duration: Duration) {
    sleep_until(Instant::now() + duration).await;
}
