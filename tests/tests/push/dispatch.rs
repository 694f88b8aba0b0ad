//! The dispatcher with the real clients of APNs and FCM, against the stand-ins. Time moves only when a test moves it.

mod ends;
mod providers;
mod retries;

use std::{collections::VecDeque, pin::Pin, sync::Arc, time::Duration};

use countersign::{
    clock::{Clock, ManualClock},
    push::{
        BoxFuture,
        dispatch::{Channels, DeliveryLog, DeviceToWake, Dispatcher, Wanted},
    },
    random::Random,
};
use countersign_fakes::apns::ApnsStandIn;
use countersign_proto::{login::DeliveryState, statement::push_target::Target, time::UnixTime};
use tokio::{
    runtime::Handle,
    sync::{Mutex, mpsc},
};

use crate::{
    apns::{START, Scene, target},
    soon::soon,
};

const CHALLENGE: &str = "chl_1";

fn expires_at() -> UnixTime {
    START.plus(Duration::from_mins(2))
}

/// What the dispatcher told.
#[derive(Debug, PartialEq)]
enum Told {
    State { device_id: String, state: DeliveryState },
    Gone { device_id: String, target: Target, since: Option<UnixTime> },
}

fn told(device_id: &str, state: DeliveryState) -> Told {
    Told::State { device_id: device_id.to_owned(), state }
}

struct Telling {
    told: mpsc::UnboundedSender<Told>,
    wanted: WantedAnswers,
}

/// What the dispatcher is answered when it asks whether a wake-up is still wanted; afterwards that it is.
type WantedAnswers = Arc<std::sync::Mutex<VecDeque<Wanted>>>;

impl DeliveryLog for Telling {
    fn is_wanted<'a>(&'a self, challenge_id: &'a str) -> BoxFuture<'a, Wanted> {
        assert_eq!(challenge_id, CHALLENGE);
        let wanted = self.wanted.lock().expect("nobody panics while holding it").pop_front();
        Box::pin(std::future::ready(wanted.unwrap_or(Wanted::Yes)))
    }

    fn note<'a>(
        &'a self,
        challenge_id: &'a str,
        device_id: &'a str,
        state: DeliveryState,
    ) -> BoxFuture<'a, ()> {
        assert_eq!(challenge_id, CHALLENGE);
        self.told.send(told(device_id, state)).expect("the test listens");
        Box::pin(std::future::ready(()))
    }

    fn target_gone<'a>(
        &'a self,
        device_id: &'a str,
        target: &'a Target,
        since: Option<UnixTime>,
    ) -> BoxFuture<'a, ()> {
        let gone = Told::Gone { device_id: device_id.to_owned(), target: target.clone(), since };
        self.told.send(gone).expect("the test listens");
        Box::pin(std::future::ready(()))
    }
}

/// The clock, and who sleeps by it: so a test knows when to move it.
struct WatchedClock {
    clock: ManualClock,
    sleeps: mpsc::UnboundedSender<UnixTime>,
}

impl Clock for WatchedClock {
    fn now(&self) -> UnixTime {
        self.clock.now()
    }

    fn sleep_until(&self, until: UnixTime) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let sleep = self.clock.sleep_until(until);
        // A test that does not look at sleeps has dropped the other end.
        let _ = self.sleeps.send(until);
        sleep
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.sleep_until(self.now().plus(duration))
    }
}

/// No jitter: every wait is half of what it may be.
struct Zeros;

impl Random for Zeros {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

/// A dispatcher whose pushes go to a stand-in.
struct Stage {
    scene: Scene,
    dispatcher: Arc<Dispatcher>,
    wanted: WantedAnswers,
    told: Mutex<mpsc::UnboundedReceiver<Told>>,
    sleeps: Mutex<mpsc::UnboundedReceiver<UnixTime>>,
}

impl Stage {
    async fn new() -> Self {
        Self::of(Scene::new().await)
    }

    fn of(scene: Scene) -> Self {
        let apns = Arc::clone(&scene.apns);
        Self::on(scene, Channels { apns: Some(apns), ..Channels::default() })
    }

    fn on(scene: Scene, channels: Channels) -> Self {
        let (telling, told) = mpsc::unbounded_channel();
        let (sleeping, sleeps) = mpsc::unbounded_channel();
        let wanted = WantedAnswers::default();
        let clock = WatchedClock { clock: scene.clock.clone(), sleeps: sleeping };
        let dispatcher = Dispatcher::new(
            channels,
            Arc::new(Telling { told: telling, wanted: wanted.clone() }),
            Arc::new(clock),
            Arc::new(Zeros),
            Handle::current(),
        );
        let (told, sleeps) = (Mutex::new(told), Mutex::new(sleeps));
        Self { scene, dispatcher: Arc::new(dispatcher), wanted, told, sleeps }
    }

    fn apple(&self) -> &ApnsStandIn {
        &self.scene.apple
    }

    /// Wakes devices named by their (hexadecimal) device tokens.
    fn wake(&self, devices: &[&str]) {
        self.wake_targets(devices.iter().map(|&device| (device, target(device))));
    }

    fn wake_targets<'a>(&self, devices: impl IntoIterator<Item = (&'a str, Target)>) {
        let devices = devices
            .into_iter()
            .map(|(device_id, target)| DeviceToWake { device_id: device_id.to_owned(), target })
            .collect();
        self.dispatcher.wake(CHALLENGE, expires_at(), devices);
    }

    /// Before the next attempts but the first the dispatcher learns this.
    fn wanted(&self, answers: impl IntoIterator<Item = Wanted>) {
        self.wanted.lock().expect("nobody panics while holding it").extend(answers);
    }

    /// The next thing told.
    async fn told(&self) -> Told {
        soon(self.told.lock().await.recv()).await.expect("the dispatcher tells")
    }

    /// Until when the next back-off waits.
    async fn back_off(&self) -> UnixTime {
        let mut sleeps = self.sleeps.lock().await;
        loop {
            let until = soon(sleeps.recv()).await.expect("the dispatcher keeps its clock");
            // The other sleeps wait for the challenge's end.
            if until < expires_at() {
                return until;
            }
        }
    }

    /// Ends when nothing runs any more.
    async fn all_ended(&self) {
        soon(self.dispatcher.drain(Duration::MAX)).await;
    }

    async fn nothing_more_told(&self) -> bool {
        self.told.lock().await.try_recv().is_err()
    }
}
