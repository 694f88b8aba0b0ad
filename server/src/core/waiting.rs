//! When whoever waits reads again though nobody told him to.

use std::time::Duration;

use countersign_domain::UnixTime;

use super::Core;
use crate::random;

/// After how long at least a waiter reads again though nobody told it to, where other servers should have; and
/// how much later at most, so that many waiters do not all read at once.
const POLL_AFTER: Duration = Duration::from_secs(10);
const POLL_JITTER_MILLIS: u64 = 10_000;
/// How soon a challenge is read again whose time is over by this server's clock, but not yet by the store's; or
/// that could not be read because the store had too much to do.
const READ_AGAIN_AFTER: Duration = Duration::from_millis(250);

impl Core {
    /// Ends when a challenge that expires then should be read: the store seals it, and says so.
    pub async fn expiry(&self, expires_at: UnixTime) {
        if self.clock.now() < expires_at {
            self.clock.sleep_until(expires_at).await;
        } else {
            self.clock.sleep(READ_AGAIN_AFTER).await;
        }
    }

    /// Ends when a store that was busy should be asked again.
    pub async fn less_to_do(&self, is_busy: bool) {
        if !is_busy {
            return std::future::pending().await;
        }
        self.clock.sleep(READ_AGAIN_AFTER).await;
    }

    /// Behind the wake-ups of other servers, one of which may be lost. This server's own are not.
    pub async fn poll(&self) {
        if self.wakeups.is_none() {
            return std::future::pending().await;
        }
        let random = u64::from_be_bytes(random::bytes(self.random.as_ref()));
        self.clock.sleep(POLL_AFTER + Duration::from_millis(random % POLL_JITTER_MILLIS)).await;
    }
}
