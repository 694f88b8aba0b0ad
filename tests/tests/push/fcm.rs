//! The FCM client against the stand-in, over real TLS and HTTP/2.

mod access_tokens;
mod answers;
mod connections;
mod requests;
mod token_endpoint;

use std::{sync::Arc, time::Duration};

use countersign::{
    clock::ManualClock,
    push::{
        Outcome, PushChannel, TimeLimits, WakeUp,
        fcm::{Fcm, FcmConfig},
    },
};
use countersign_fakes::fcm::FcmStandIn;
use countersign_proto::{
    statement::push_target::{Fcm as FcmTarget, Target},
    time::UnixTime,
};
use serde_json::Value;

use crate::soon::soon;

/// A registration token of the usual form.
pub(crate) const TOKEN: &str = "dZq1Xk3TRe-mF8_sLw2aPq:APA91bFoNq5Y2c7H0uJkz8rWvXoP4tBfQ6mLsE9dKxT1yGhCnVbA3wZiRjU\
    5oMpSlD0eHqXcYtFvB7nKgJzWmQrTuOaLiPdEsCxG2h";
/// A Firebase installation id.
pub(crate) const INSTALLATION_ID: &str = "dZq1Xk3TRe-mF8_sLw2aPq";
/// 2026-11-18T11:06:40Z.
pub(crate) const START: UnixTime = UnixTime::from_millis(1_795_000_000_000);

/// A stand-in and a client of it, on one clock.
pub(crate) struct Scene {
    pub(crate) google: FcmStandIn,
    pub(crate) clock: ManualClock,
    pub(crate) fcm: Arc<Fcm>,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With settings changed by `change`.
    pub(crate) async fn with(change: impl FnOnce(&mut FcmConfig)) -> Self {
        let clock = ManualClock::new(START);
        let google = stand_in(&clock).await;
        let mut config = config_of(&google);
        change(&mut config);
        let fcm = client(&config, &clock);
        Self { google, clock, fcm }
    }

    /// Pushes once to the usual device.
    pub(crate) async fn push(&self) -> Outcome {
        push(&self.fcm, TOKEN).await
    }

    /// Pushes `count` times at once; what came of each.
    async fn burst(&self, count: usize) -> Vec<Outcome> {
        let pushes = (0..count).map(|_| {
            let fcm = Arc::clone(&self.fcm);
            tokio::spawn(async move { push(&fcm, TOKEN).await })
        });
        let mut outcomes = Vec::new();
        for push in pushes.collect::<Vec<_>>() {
            outcomes.push(push.await.expect("it does not panic"));
        }
        outcomes
    }
}

pub(crate) async fn stand_in(clock: &ManualClock) -> FcmStandIn {
    use countersign::clock::Clock as _;
    let clock = clock.clone();
    FcmStandIn::start(move || clock.now().as_seconds()).await.expect("a port is free")
}

/// Settings that lead to `google`.
pub(crate) fn config_of(google: &FcmStandIn) -> FcmConfig {
    config_with(google, google.service_account())
}

/// [`config_of`], with this key file.
fn config_with(google: &FcmStandIn, service_account: &Value) -> FcmConfig {
    FcmConfig {
        base_url: google.base_url(),
        ca_pem: Some(google.ca_pem().to_owned()),
        ..FcmConfig::new(service_account.to_string().into())
    }
}

pub(crate) fn client(config: &FcmConfig, clock: &ManualClock) -> Arc<Fcm> {
    Arc::new(Fcm::new(config, Arc::new(clock.clone())).expect("the settings are good"))
}

/// Time limits that a silent stand-in uses up quickly.
const SHORT: TimeLimits = TimeLimits { connect: Duration::from_secs(2), answer: Duration::from_secs(2) };

pub(crate) fn target(registration_token: &str) -> Target {
    Target::Fcm(FcmTarget { registration_token: registration_token.to_owned() })
}

fn wake_up() -> WakeUp {
    WakeUp {
        challenge_id: "chl_0193b4a0-7b1c-8def-9abc-0123456789ab".to_owned(),
        device_id: "dev_0193b4a0-7b1c-8def-9abc-ba9876543210".to_owned(),
        expires_at: START.plus(Duration::from_hours(2)),
    }
}

async fn push(fcm: &Fcm, registration_token: &str) -> Outcome {
    soon(fcm.send(&target(registration_token), &wake_up())).await
}

/// The reason of an outcome that is worth a retry, and the provider's wish.
fn retry(outcome: &Outcome) -> (Option<Duration>, &str) {
    match outcome {
        Outcome::Retry { after, reason } => (*after, reason),
        other => panic!("not a retry: {other:?}"),
    }
}

/// The words of an outcome that an operator must act on.
fn misconfigured(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Misconfigured { reason } => reason,
        other => panic!("not misconfigured: {other:?}"),
    }
}
