//! The clock of the servers, of devices and of Redis. It stands still until a test moves it: nothing expires and
//! nobody polls meanwhile.

use std::{collections::BTreeMap, future::Future, pin::Pin, time::Duration};

use countersign::clock::{Clock, ManualClock};
use countersign_proto::time::UnixTime;
use countersign_test_peers::ManualRedisClock;
use tokio::sync::watch;

use crate::soon;

#[derive(Clone)]
pub(crate) struct TestClock {
    clock: ManualClock,
    redis: ManualRedisClock,
    /// How many have begun to sleep, by until when.
    sleeps: watch::Sender<BTreeMap<UnixTime, usize>>,
}

impl TestClock {
    pub(crate) fn new(now: UnixTime) -> Self {
        let redis = ManualRedisClock::new(now.as_millis()).expect("a C compiler");
        Self { clock: ManualClock::new(now), redis, sleeps: watch::Sender::default() }
    }

    /// When a challenge expires that is created now.
    pub(crate) fn expiry(&self) -> UnixTime {
        Clock::now(self).plus(Duration::from_mins(2))
    }

    /// What a Redis is to follow.
    pub(crate) fn of_redis(&self) -> &ManualRedisClock {
        &self.redis
    }

    pub(crate) fn advance(&self, by: Duration) {
        let now = Clock::now(self).plus(by);
        // First, since whoever is woken asks Redis for its time.
        self.redis.set(now.as_millis());
        self.clock.set(now);
    }

    /// Ends once so many have begun to sleep until `until`, all in all.
    pub(crate) async fn asleep_until(&self, until: UnixTime, count: usize) {
        let mut sleeps = self.sleeps.subscribe();
        let are_asleep = sleeps.wait_for(|sleeps| sleeps.get(&until).is_some_and(|slept| *slept >= count));
        soon(are_asleep).await.expect("the sender lives in the clock");
    }
}

impl Clock for TestClock {
    fn now(&self) -> UnixTime {
        self.clock.now()
    }

    fn sleep_until(&self, until: UnixTime) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let sleep = self.clock.sleep_until(until);
        self.sleeps.send_modify(|sleeps| *sleeps.entry(until).or_default() += 1);
        sleep
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.sleep_until(Clock::now(self).plus(duration))
    }
}

/// The same time, as devices see it.
impl countersign_agent::Clock for TestClock {
    fn now(&self) -> UnixTime {
        self.clock.now()
    }
}
