//! What two servers have in common: a Redis of the test's own, and what spreads calls over them.

use countersign_proto::time::UnixTime;
use countersign_test_peers::{Front, ManualRedisClock, RedisOptions, RedisServer, Value, redis_or_skip};

/// What two servers have in common beside the data directory.
pub(crate) struct Shared {
    redis: RedisServer,
    clock: ManualRedisClock,
    pub(super) front: Front,
}

impl Shared {
    /// Starts a Redis whose clock stands at `now`. None where Redis is not installed: the test is then one of the
    /// embedded store.
    pub(super) async fn start(now: UnixTime) -> Option<Self> {
        if !redis_or_skip() {
            return None;
        }
        let clock = ManualRedisClock::new(now.as_millis()).expect("a C compiler");
        let redis = RedisOptions::default().clock(&clock).start().await.expect("it starts");
        Some(Self { redis, clock, front: Front::start().await })
    }

    /// Redis' clock.
    pub(super) fn clock(&self) -> ManualRedisClock {
        self.clock.clone()
    }

    /// Where Redis is.
    pub(crate) fn url(&self) -> String {
        self.redis.url()
    }

    /// The section of the configuration file. A busy machine is no dead Redis.
    pub(super) fn section(&self) -> String {
        format!("[redis]\nurl = {:?}\ntime_limit_ms = 10000\n", self.redis.url())
    }

    /// What Redis answers, which is no refusal.
    pub(crate) async fn command(&self, command: &[&str]) -> Value {
        match self.redis.command(command).await.expect("it answers") {
            Value::Error(refusal) => panic!("{command:?}: {refusal}"),
            answer => answer,
        }
    }
}
