//! `countersign push`: whether wake-ups arrive.

use std::{process::ExitCode, sync::Arc, time::Duration};

use clap::{Args, Subcommand};
use countersign_domain::id::DeviceId;
use countersign_proto::{common::PushState, statement::push_target::Target};

use super::{CommandResult, ConfigArgs, data::open_of};
use crate::{
    clock::{Clock as _, SharedClock, SystemClock},
    config::Config,
    foundation::Foundation,
    ids::Ids,
    push::{
        Outcome, WakeUp, advice::advice, configured, configured::InvalidPushConfig, dispatch::Channels,
        records::SealedProviderTokens,
    },
    random::SystemRandom,
    store::{Devices as _, devices::DeviceRow},
};

/// Commands about pushes.
#[derive(Debug, Subcommand)]
pub(super) enum Push {
    /// Send one real wake-up to a device, and say what its provider answered. Works beside a running server.
    Test(Test),
}

/// Options of `push test`.
#[derive(Args, Debug)]
#[command(
    after_help = "Exit status: 0 when the provider took the push, 1 when it did not. The wake-up names a \
    challenge that there is not, so an app shows nothing for it or says that the login is over. Nothing is changed: \
    a target that is called gone is still used until a login's push finds out."
)]
pub(super) struct Test {
    #[command(flatten)]
    config: ConfigArgs,
    /// Which device: dev_..., as GetUser and a challenge's deliveries tell it.
    #[arg(value_name = "DEVICE")]
    device: String,
}

/// Why no push was sent.
#[derive(Debug, thiserror::Error)]
enum NotSent {
    #[error("{0:?} is no device's id: it must be of the form dev_01234567-89ab-8def-8123-456789abcdef")]
    NotAnId(String),
    #[error("there is no device {0}; `countersign user show` has those of a user")]
    NoSuchDevice(DeviceId),
    #[error("the device {0} was revoked: it is woken no more")]
    Revoked(DeviceId),
    #[error(
        "the device {0} has told no push target: it pulls. Its app sends one by ChangeDevice (docs/app.md)"
    )]
    NoTarget(DeviceId),
    #[error("the device has a target of {provider}, but [{section}] is not configured: fill that section in")]
    NotConfigured { provider: &'static str, section: &'static str },
    #[error(transparent)]
    Config(#[from] InvalidPushConfig),
}

/// How long the wake-up may take to arrive: as long as a login usually lives.
const LIFETIME: Duration = Duration::from_mins(2);

impl Push {
    pub(super) async fn run(self) -> CommandResult {
        let Self::Test(test) = self;
        test.run().await
    }
}

impl Test {
    async fn run(self) -> CommandResult {
        let id: DeviceId = self.device.parse().map_err(|_| NotSent::NotAnId(self.device))?;
        let Config { server, apns, fcm, .. } = self.config.load(None)?;
        let clock: SharedClock = Arc::new(SystemClock);
        let foundation = open_of(&server)?;
        let device = foundation.store.by_id(id).await?.ok_or(NotSent::NoSuchDevice(id))?;
        let target = target_of(&device)?;
        let tokens = SealedProviderTokens::of(&foundation);
        let channels = configured::channels(apns.as_ref(), fcm.as_ref(), Arc::new(tokens), &clock)
            .map_err(NotSent::from)?;
        let outcome = send(&foundation, &channels, &device, &target).await?;
        tell(&device, &target, &outcome);
        Ok(if outcome == Outcome::Accepted { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn target_of(device: &DeviceRow) -> Result<Target, NotSent> {
    if device.revoked_at.is_some() {
        return Err(NotSent::Revoked(device.id));
    }
    let target = device.push_target.clone().and_then(|target| target.target);
    target.ok_or(NotSent::NoTarget(device.id))
}

async fn send(
    foundation: &Foundation,
    channels: &Channels,
    device: &DeviceRow,
    target: &Target,
) -> Result<Outcome, Box<dyn std::error::Error>> {
    let (provider, section) = provider(target);
    let channel = channels.to(target).ok_or(NotSent::NotConfigured { provider, section })?;
    let ids = Ids::open(Arc::clone(&foundation.store) as _, &foundation.keyring, Arc::new(SystemRandom));
    let wake_up = WakeUp {
        challenge_id: ids.await?.challenge(device.id.user()).to_string(),
        device_id: device.id.to_string(),
        expires_at: SystemClock.now().plus(LIFETIME),
    };
    Ok(channel.send(target, &wake_up).await)
}

/// Its name, and its section of the configuration.
fn provider(target: &Target) -> (&'static str, &'static str) {
    match target {
        Target::Apns(_) => ("APNs", "apns"),
        Target::Fcm(_) => ("FCM", "fcm"),
    }
}

fn tell(device: &DeviceRow, target: &Target, outcome: &Outcome) {
    println!("device    {} ({:?}, of user {:?})", device.id, device.name, device.user.user_id);
    println!("provider  {}", provider(target).0);
    if device.push_state == PushState::Gone {
        println!("state     called gone before: logins push there no more, until the app tells a new target");
    }
    println!("answer    {}", in_words(outcome));
    println!("{}", advice(target, outcome));
}

fn in_words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Accepted => "accepted".to_owned(),
        Outcome::TargetGone { reason, .. } => format!("gone: {reason}"),
        Outcome::Retry { after: Some(after), reason } => {
            format!("not now: {reason} (to be asked again in {} s)", after.as_secs())
        }
        Outcome::Retry { after: None, reason } => format!("not now: {reason}"),
        Outcome::Misconfigured { reason } => format!("wrong settings: {reason}"),
        Outcome::Unknown { reason } => format!("refused: {reason}"),
    }
}
