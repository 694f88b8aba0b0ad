//! The APNs client against the stand-in, over real TLS and HTTP/2.

mod answers;
mod config;
mod connections;
mod provider_tokens;
mod requests;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use countersign::{
    clock::{Clock, ManualClock},
    push::{
        BoxFuture, Outcome, PushChannel, WakeUp,
        apns::{
            Apns, ApnsConfig, ProviderToken, ProviderTokenKey, ProviderTokens, TimeLimits, TokensUnavailable,
        },
    },
};
use countersign_fakes::apns::ApnsStandIn;
use countersign_proto::{
    statement::push_target::{Apns as ApnsTarget, Target},
    time::UnixTime,
};

use crate::soon::soon;

/// The only app that the stand-in and the client know.
pub(crate) const TOPIC: &str = "com.example.login";
/// A device token of the usual form.
pub(crate) const TOKEN: &str = "00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0";
/// 2026-11-18T11:06:40Z.
pub(crate) const START: UnixTime = UnixTime::from_millis(1_795_000_000_000);

/// A stand-in and a client of it, on one clock.
pub(crate) struct Scene {
    pub(crate) apple: ApnsStandIn,
    pub(crate) clock: ManualClock,
    pub(crate) tokens: Arc<MemoryTokens>,
    pub(crate) apns: Arc<Apns>,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With settings changed by `change`.
    pub(crate) async fn with(change: impl FnOnce(&mut ApnsConfig)) -> Self {
        let clock = ManualClock::new(START);
        let apple = stand_in(&clock).await;
        let tokens = Arc::new(MemoryTokens::default());
        let mut config = config_of(&apple);
        change(&mut config);
        let apns = client(&config, &tokens, &clock);
        Self { apple, clock, tokens, apns }
    }

    /// Another process of the same installation.
    fn second_process(&self) -> Arc<Apns> {
        client(&config_of(&self.apple), &self.tokens, &self.clock)
    }

    /// What the clock shows.
    pub(crate) fn clock_now(&self) -> UnixTime {
        self.clock.now()
    }

    /// Pushes once to the usual device.
    pub(crate) async fn push(&self) -> Outcome {
        push(&self.apns, TOKEN).await
    }
}

pub(crate) async fn stand_in(clock: &ManualClock) -> ApnsStandIn {
    let clock = clock.clone();
    ApnsStandIn::start(&[TOPIC], move || clock.now().as_seconds()).await.expect("a port is free")
}

/// Settings that lead to `apple` in both environments.
pub(crate) fn config_of(apple: &ApnsStandIn) -> ApnsConfig {
    let key = apple.signing_key();
    let topics = vec![TOPIC.to_owned()];
    ApnsConfig {
        production_url: apple.base_url(),
        sandbox_url: apple.base_url(),
        ca_pem: Some(apple.ca_pem().to_owned()),
        ..ApnsConfig::new(key.private_key_pem.clone().into(), &key.key_id, &key.team_id, topics)
    }
}

pub(crate) fn client(config: &ApnsConfig, tokens: &Arc<MemoryTokens>, clock: &ManualClock) -> Arc<Apns> {
    let tokens: Arc<dyn ProviderTokens> = Arc::clone(tokens) as _;
    Arc::new(Apns::new(config, tokens, Arc::new(clock.clone())).expect("the settings are good"))
}

/// Time limits that a silent stand-in uses up quickly.
pub(crate) const SHORT: TimeLimits =
    TimeLimits { connect: Duration::from_secs(2), answer: Duration::from_secs(2) };

pub(crate) fn target(device_token: &str) -> Target {
    Target::Apns(ApnsTarget {
        device_token: device_token.to_owned(),
        topic: TOPIC.to_owned(),
        sandbox: false,
    })
}

pub(crate) fn wake_up() -> WakeUp {
    WakeUp {
        challenge_id: "chl_0193b4a0-7b1c-8def-9abc-0123456789ab".to_owned(),
        device_id: "dev_0193b4a0-7b1c-8def-9abc-ba9876543210".to_owned(),
        expires_at: START.plus(Duration::from_mins(2)),
    }
}

pub(crate) async fn push(apns: &Apns, device_token: &str) -> Outcome {
    soon(apns.send(&target(device_token), &wake_up())).await
}

/// The reason of an outcome that is worth a retry, and the provider's wish.
pub(crate) fn retry(outcome: &Outcome) -> (Option<Duration>, &str) {
    match outcome {
        Outcome::Retry { after, reason } => (*after, reason),
        other => panic!("not a retry: {other:?}"),
    }
}

/// Provider tokens in memory.
#[derive(Default)]
pub(crate) struct MemoryTokens {
    latest: Mutex<HashMap<ProviderTokenKey, ProviderToken>>,
    away: AtomicBool,
}

impl MemoryTokens {
    /// Whether it can be asked.
    fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    fn check(&self) -> Result<(), TokensUnavailable> {
        if self.away.load(Ordering::SeqCst) { Err(TokensUnavailable) } else { Ok(()) }
    }
}

impl ProviderTokens for MemoryTokens {
    fn load<'a>(
        &'a self,
        key: &'a ProviderTokenKey,
    ) -> BoxFuture<'a, Result<Option<ProviderToken>, TokensUnavailable>> {
        Box::pin(async move {
            // Others get their turn, as they would with a real store.
            tokio::task::yield_now().await;
            self.check()?;
            Ok(self.latest.lock().expect("nobody panics while holding it").get(key).cloned())
        })
    }

    fn replace<'a>(
        &'a self,
        key: &'a ProviderTokenKey,
        seen: Option<UnixTime>,
        new: ProviderToken,
    ) -> BoxFuture<'a, Result<ProviderToken, TokensUnavailable>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            self.check()?;
            let mut latest = self.latest.lock().expect("nobody panics while holding it");
            match latest.get(key) {
                Some(other) if Some(other.issued_at) != seen => Ok(other.clone()),
                _ => {
                    latest.insert(key.clone(), new.clone());
                    Ok(new)
                }
            }
        })
    }
}
