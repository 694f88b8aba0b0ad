//! The push providers that an operator has configured.

use std::sync::Arc;

use super::{
    PushChannel,
    apns::{Apns, ApnsConfig, InvalidApnsConfig, ProviderTokens},
    dispatch::Channels,
    fcm::{Fcm, FcmConfig, InvalidFcmConfig},
};
use crate::clock::SharedClock;

/// Push settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidPushConfig {
    /// Those of APNs.
    #[error(transparent)]
    Apns(#[from] InvalidApnsConfig),
    /// Those of FCM.
    #[error(transparent)]
    Fcm(#[from] InvalidFcmConfig),
}

/// Which push targets can be reached from here.
#[derive(Clone, Debug, Default)]
pub struct ServedTargets {
    /// Bundle ids under which APNs takes pushes; none when it is not configured.
    pub apns_topics: Vec<String>,
    /// Whether FCM is configured.
    pub fcm: bool,
}

impl ServedTargets {
    /// By these settings.
    pub fn of(apns: Option<&ApnsConfig>, fcm: Option<&FcmConfig>) -> Self {
        Self { apns_topics: apns.map_or_else(Vec::new, |apns| apns.topics.clone()), fcm: fcm.is_some() }
    }
}

/// Clients of what is configured. Checks the whole of it; asks nobody.
pub fn channels(
    apns: Option<&ApnsConfig>,
    fcm: Option<&FcmConfig>,
    tokens: Arc<dyn ProviderTokens>,
    clock: &SharedClock,
) -> Result<Channels, InvalidPushConfig> {
    let apns = apns.map(|config| Apns::new(config, tokens, Arc::clone(clock))).transpose()?;
    let fcm = fcm.map(|config| Fcm::new(config, Arc::clone(clock))).transpose()?;
    Ok(Channels {
        apns: apns.map(|apns| Arc::new(apns) as Arc<dyn PushChannel>),
        fcm: fcm.map(|fcm| Arc::new(fcm) as Arc<dyn PushChannel>),
    })
}
