//! Time, passed in: the only file of the server that reads the real clock.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use countersign_proto::time::UnixTime;
use tokio::sync::oneshot;

/// What tells the time and wakes sleepers.
pub trait Clock: Send + Sync {
    /// Now, by the wall clock. It may step, backwards too.
    fn now(&self) -> UnixTime;

    /// Ends once `now` has reached `until`.
    fn sleep_until(&self, until: UnixTime) -> Pin<Box<dyn Future<Output = ()> + Send>>;

    /// Ends after `duration`, whatever the wall clock does meanwhile.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// A clock that everybody shares.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where the real clock is read")]
    fn now(&self) -> UnixTime {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixTime::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    fn sleep_until(&self, until: UnixTime) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        /// The wall clock may be set while we sleep: it is looked at again this often.
        const LONGEST_NAP: Duration = Duration::from_secs(10);
        Box::pin(async move {
            loop {
                let left = until.since(Self.now());
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep_until(tokio::time::Instant::now() + left.min(LONGEST_NAP)).await;
            }
        })
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep_until(tokio::time::Instant::now() + duration))
    }
}

/// A clock that stands still until it is moved, for tests. Moving it wakes whoever slept until then.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<ManualTime>>);

#[derive(Debug)]
struct ManualTime {
    now: UnixTime,
    sleepers: BTreeMap<(UnixTime, u64), oneshot::Sender<()>>,
    slept: u64,
}

impl ManualClock {
    /// A clock that stands at `now`.
    pub fn new(now: UnixTime) -> Self {
        Self(Arc::new(Mutex::new(ManualTime { now, sleepers: BTreeMap::new(), slept: 0 })))
    }

    /// Moves it forward, and wakes who slept until then.
    pub fn advance(&self, by: Duration) {
        let to = self.now().plus(by);
        self.set(to);
    }

    /// Steps it to `now`, forward or back.
    pub fn set(&self, now: UnixTime) {
        let mut time = self.0.lock().expect("nobody panics while holding it");
        time.now = now;
        let later = time.sleepers.split_off(&(UnixTime::from_millis(now.as_millis().saturating_add(1)), 0));
        for (_, sleeper) in std::mem::replace(&mut time.sleepers, later) {
            // A sleeper that has gone needs no waking.
            let _ = sleeper.send(());
        }
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixTime {
        self.0.lock().expect("nobody panics while holding it").now
    }

    fn sleep_until(&self, until: UnixTime) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut time = self.0.lock().expect("nobody panics while holding it");
        if until <= time.now {
            return Box::pin(std::future::ready(()));
        }
        let (wake, woken) = oneshot::channel();
        time.slept += 1;
        let key = (until, time.slept);
        time.sleepers.insert(key, wake);
        Box::pin(async move {
            // The clock itself went away: nobody can move it any more, so nothing comes due.
            if woken.await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.sleep_until(self.now().plus(duration))
    }
}
