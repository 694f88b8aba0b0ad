//! Drives the wake-ups of challenges: one task a device, so that nobody waits for anybody.
//!
//! ```text
//!   attempt --[accepted]----------------------------> ACCEPTED
//!   attempt --[gone, misconfigured, unknown]--------> FAILED     told once, with the reason
//!   attempt --[retry]--> back-off --[time]----------> attempt
//!   attempt, back-off --[next attempt after expiry]-> FAILED
//!   back-off --[time, store cannot say]-------------> back-off
//!   back-off --[time, pushes blocked meanwhile]-----> FAILED
//!   attempt, back-off --[challenge settled]---------> nothing to tell
//!   attempt, back-off --[end of drain]--------------> FAILED
//! ```

mod back_off;
mod delivery;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use countersign_proto::{login::DeliveryState, statement::push_target::Target, time::UnixTime};
use tokio::{runtime::Handle, sync::watch};

use self::delivery::{Delivery, Stop};
use super::{BoxFuture, PushChannel, WakeUp};
use crate::{clock::SharedClock, random::SharedRandom};

/// Where the dispatcher tells what came of a wake-up, and learns whether it is still wanted. Nothing here may fail a
/// login: an implementation that cannot write says so in its own log.
pub trait DeliveryLog: Send + Sync {
    /// Whether the devices of a challenge are still to be woken. Asked before each attempt but the first, which follows
    /// the decision to wake them at once and is on every login's way.
    fn is_wanted<'a>(&'a self, challenge_id: &'a str) -> BoxFuture<'a, Wanted>;

    /// How far the wake-up of a device came: `ACCEPTED` or `FAILED`. Whoever creates the challenge writes the
    /// first state with it (`QUEUED`, or `NO_TARGET`); what a device has `FETCHED` is never taken back.
    fn note<'a>(
        &'a self,
        challenge_id: &'a str,
        device_id: &'a str,
        state: DeliveryState,
    ) -> BoxFuture<'a, ()>;

    /// `target` will never be reached again: to be used no more if it still is the device's. `since` is the
    /// provider's time of that, if told: a target registered after it is good.
    fn target_gone<'a>(
        &'a self,
        device_id: &'a str,
        target: &'a Target,
        since: Option<UnixTime>,
    ) -> BoxFuture<'a, ()>;
}

/// Whether the devices of a challenge are still to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// They are.
    Yes,
    /// The challenge is pending no more, or cannot be read any more.
    Settled,
    /// It is pending, but the person has said 'it was not me' of another one.
    Blocked,
    /// The store does not say.
    Unknown,
}

/// The configured push providers.
#[derive(Clone, Default)]
pub struct Channels {
    /// Apple's; none when it is not configured.
    pub apns: Option<Arc<dyn PushChannel>>,
    /// Google's; none when it is not configured.
    pub fcm: Option<Arc<dyn PushChannel>>,
}

impl Channels {
    /// The one that reaches `target`; none when it is not configured.
    pub fn to(&self, target: &Target) -> Option<&Arc<dyn PushChannel>> {
        match target {
            Target::Apns(_) => self.apns.as_ref(),
            Target::Fcm(_) => self.fcm.as_ref(),
        }
    }
}

/// A device to wake, and where.
#[derive(Clone)]
pub struct DeviceToWake {
    /// `dev_...`
    pub device_id: String,
    /// Its push target.
    pub target: Target,
}

/// Wakes devices.
pub struct Dispatcher {
    context: Arc<Context>,
    runtime: Handle,
}

/// What all deliveries share.
struct Context {
    channels: Channels,
    log: Arc<dyn DeliveryLog>,
    clock: SharedClock,
    random: SharedRandom,
    running: Mutex<HashMap<String, Running>>,
    /// How many deliveries run, for the drain.
    count: watch::Sender<usize>,
}

/// The deliveries of one challenge.
struct Running {
    stop: watch::Sender<Option<Stop>>,
    devices: usize,
}

impl Dispatcher {
    /// Deliveries at a time, attempts and back-offs together. One takes about 2 KiB; a provider that is away
    /// at 80 logins a second piles up as many in two minutes.
    pub const CAPACITY: usize = 10_000;

    /// Deliveries run on `runtime`.
    pub fn new(
        channels: Channels,
        log: Arc<dyn DeliveryLog>,
        clock: SharedClock,
        random: SharedRandom,
        runtime: Handle,
    ) -> Self {
        let (count, _) = watch::channel(0);
        let running = Mutex::default();
        Self { context: Arc::new(Context { channels, log, clock, random, running, count }), runtime }
    }

    /// Begins to wake `devices` and returns at once.
    pub fn wake(&self, challenge_id: &str, expires_at: UnixTime, devices: Vec<DeviceToWake>) {
        for DeviceToWake { device_id, target } in devices {
            let wake_up = WakeUp { challenge_id: challenge_id.to_owned(), device_id, expires_at };
            let (place, stop) = Place::take(&self.context, challenge_id);
            let delivery = Delivery { context: Arc::clone(&self.context), wake_up, target };
            self.runtime.spawn(async move {
                delivery.run(stop).await;
                drop(place);
            });
        }
    }

    /// Whether deliveries of the challenge are under way here.
    pub fn is_waking(&self, challenge_id: &str) -> bool {
        self.context.running().contains_key(challenge_id)
    }

    /// The challenge needs no more waking: its deliveries end, whatever they are at.
    pub fn settled(&self, challenge_id: &str) {
        if let Some(running) = self.context.running().get(challenge_id) {
            running.stop.send_replace(Some(Stop::Settled));
        }
    }

    /// For a shutdown, once nothing calls [`Self::wake`] any more: lets deliveries go on for `limit`, then
    /// ends them. Returns when all have ended.
    pub async fn drain(&self, limit: Duration) {
        let mut count = self.context.count.subscribe();
        let over = self.context.clock.sleep(limit);
        tokio::select! {
            _ = count.wait_for(|count| *count == 0) => return,
            () = over => {}
        }
        for running in self.context.running().values() {
            running.stop.send_replace(Some(Stop::ShuttingDown));
        }
        // The sender lives in the context, which we hold.
        let _ = count.wait_for(|count| *count == 0).await;
    }
}

impl Context {
    fn running(&self) -> MutexGuard<'_, HashMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One delivery's place in the books; given back when it is dropped, also by a panic.
struct Place {
    context: Arc<Context>,
    challenge_id: String,
}

impl Place {
    fn take(context: &Arc<Context>, challenge_id: &str) -> (Self, watch::Receiver<Option<Stop>>) {
        let full = *context.count.borrow() >= Dispatcher::CAPACITY;
        let stop = {
            let mut all = context.running();
            let running = all
                .entry(challenge_id.to_owned())
                .or_insert_with(|| Running { stop: watch::Sender::new(None), devices: 0 });
            running.devices += 1;
            // Beyond the capacity the delivery only tells that it failed.
            if full { watch::channel(Some(Stop::Full)).1 } else { running.stop.subscribe() }
        };
        context.count.send_modify(|count| *count += 1);
        (Self { context: Arc::clone(context), challenge_id: challenge_id.to_owned() }, stop)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        {
            let mut all = self.context.running();
            if let Some(running) = all.get_mut(&self.challenge_id) {
                running.devices -= 1;
                if running.devices == 0 {
                    all.remove(&self.challenge_id);
                }
            }
        }
        self.context.count.send_modify(|count| *count -= 1);
    }
}
