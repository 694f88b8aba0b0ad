//! Time, passed in: the only file of the agent that reads the real clock.

use std::{
    future::Future,
    pin::Pin,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use countersign_proto::time::UnixTime;
use tokio::time::{Instant, sleep_until};

/// What tells the time. The agent corrects it by what servers say, one offset for each account.
pub trait Clock: Send + Sync {
    /// Now, by the device's clock.
    fn now(&self) -> UnixTime;

    /// Ends after `duration`, whatever the clock does meanwhile.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(sleep_until(Instant::now() + duration))
    }
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where the real clock is read")]
    fn now(&self) -> UnixTime {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixTime::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }
}
