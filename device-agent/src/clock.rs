//! Time, passed in: the only file of the agent that reads the real clock.

use std::time::{SystemTime, UNIX_EPOCH};

use countersign_proto::time::UnixTime;

/// What tells the time. The agent corrects it by what servers say, one offset for each account.
pub trait Clock: Send + Sync {
    /// Now, by the device's clock.
    fn now(&self) -> UnixTime;
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
