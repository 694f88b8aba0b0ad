//! The tests' clock, which tells who sleeps on it: the event that a waiting call has begun to wait.

use std::{future::Future, pin::Pin, time::Duration};

use countersign::clock::{Clock, ManualClock};
use countersign_proto::time::UnixTime;
use countersign_test_peers::ManualRedisClock;
use tokio::sync::watch;

use crate::soon::soon;

/// A [`ManualClock`] that notes until when others sleep on it. Redis' clock moves with it.
#[derive(Clone)]
pub(crate) struct WatchedClock {
    clock: ManualClock,
    redis: Option<ManualRedisClock>,
    sleeps: watch::Sender<Vec<UnixTime>>,
}

impl WatchedClock {
    pub(crate) fn new(now: UnixTime) -> Self {
        Self::beside(None, now)
    }

    /// A clock that takes Redis' clock along.
    pub(crate) fn beside(redis: Option<ManualRedisClock>, now: UnixTime) -> Self {
        Self { clock: ManualClock::new(now), redis, sleeps: watch::Sender::new(Vec::new()) }
    }

    /// Moves it forward, and wakes who slept until then.
    pub(crate) fn advance(&self, by: Duration) {
        self.set(Clock::now(self).plus(by));
    }

    /// Steps it to `now`, forward or back.
    pub(crate) fn set(&self, now: UnixTime) {
        // First, since whoever is woken asks Redis for its time.
        if let Some(redis) = &self.redis {
            redis.set(now.as_millis());
        }
        self.clock.set(now);
    }

    /// Ends once somebody has begun to sleep until `until`. Each sleep is told once.
    pub(crate) async fn asleep_until(&self, until: UnixTime) {
        self.asleep(|slept| slept == until).await;
    }

    /// Ends once somebody has begun to sleep until a time that `is_awaited`, and tells it.
    pub(crate) async fn asleep(&self, is_awaited: impl Fn(UnixTime) -> bool) -> UnixTime {
        let mut sleeps = self.sleeps.subscribe();
        let known = sleeps.wait_for(|sleeps| sleeps.iter().any(|until| is_awaited(*until)));
        drop(soon(known).await.expect("the sender lives in the clock"));
        let mut told = None;
        self.sleeps.send_modify(|sleeps| {
            let index = sleeps.iter().position(|until| is_awaited(*until));
            told = index.map(|index| sleeps.remove(index));
        });
        told.expect("nobody else takes it")
    }
}

impl Clock for WatchedClock {
    fn now(&self) -> UnixTime {
        self.clock.now()
    }

    fn sleep_until(&self, until: UnixTime) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let sleep = self.clock.sleep_until(until);
        self.sleeps.send_modify(|sleeps| sleeps.push(until));
        sleep
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.sleep_until(Clock::now(self).plus(duration))
    }
}

/// The same time, as devices see it.
impl countersign_agent::Clock for WatchedClock {
    fn now(&self) -> UnixTime {
        self.clock.now()
    }
}
