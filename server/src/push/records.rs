//! What deliveries and provider tokens leave in the store.

use std::sync::Arc;

use countersign_domain::{challenge::Wakeup, id::ChallengeId, operation::View};
use countersign_proto::{
    login::DeliveryState,
    statement::{PushTarget, push_target::Target},
    time::UnixTime,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    BoxFuture,
    apns::{ProviderToken, ProviderTokenKey, ProviderTokens, TokensUnavailable},
    dispatch::{DeliveryLog, Wanted},
};
use crate::{
    foundation::Foundation,
    keyring::{Keyring, Place},
    store::{Challenges, Devices, Secrets},
    waiters::Waiters,
};

/// Keeps how far wake-ups came beside their challenges, and which targets are gone with their devices. Both
/// only inform: what cannot be written has been logged by the store.
pub struct StoredDeliveries {
    /// Where challenges lie.
    pub challenges: Arc<dyn Challenges>,
    /// Where devices lie.
    pub devices: Arc<dyn Devices>,
    /// Who waits for how far wake-ups come.
    pub waiters: Arc<Waiters<ChallengeId>>,
}

impl DeliveryLog for StoredDeliveries {
    fn is_wanted<'a>(&'a self, challenge_id: &'a str) -> BoxFuture<'a, Wanted> {
        Box::pin(async move {
            let Ok(challenge) = challenge_id.parse() else { return Wanted::Settled };
            // One reading shows the challenge with what has become of its user since. A hold is none of that: it begins
            // with the wake-up that was one too many, and stops later ones, not those that led to it.
            match self.challenges.preview(&View { challenge }).await {
                Ok(Some(told)) if !told.state.is_pending() => Wanted::Settled,
                Ok(Some(told)) if told.wakeup == Wakeup::Blocked => Wanted::Blocked,
                Ok(Some(_)) => Wanted::Yes,
                Ok(None) => Wanted::Settled,
                Err(_) => Wanted::Unknown,
            }
        })
    }

    fn note<'a>(
        &'a self,
        challenge_id: &'a str,
        device_id: &'a str,
        state: DeliveryState,
    ) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if let (Ok(challenge), Ok(device)) = (challenge_id.parse(), device_id.parse()) {
                let _ = self.challenges.note_delivery(challenge, device, state).await;
                self.waiters.wake(challenge);
            }
        })
    }

    fn target_gone<'a>(
        &'a self,
        device_id: &'a str,
        target: &'a Target,
        since: Option<UnixTime>,
    ) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if let Ok(device) = device_id.parse() {
                let target = PushTarget { target: Some(target.clone()) };
                let _ = self.devices.target_gone(device, target, since).await;
            }
        })
    }
}

/// Shares provider tokens among the processes of an installation, sealed under the master key. There is one
/// APNs key at a time; a token of another key counts as none.
pub struct SealedProviderTokens {
    /// Where they lie.
    pub secrets: Arc<dyn Secrets>,
    /// What seals them.
    pub keyring: Arc<Keyring>,
}

/// What is sealed.
#[derive(Serialize, Deserialize)]
struct Stored {
    team_id: String,
    key_id: String,
    /// None: stored by a version that did not tell keys of one id apart.
    fingerprint: Option<[u8; 32]>,
    jwt: String,
    issued_at: UnixTime,
}

const NAME: &str = "apns_provider_token";
const PLACE: Place<'static> = Place { kind: NAME, application_id: "", user_id: "", row_id: "" };

impl SealedProviderTokens {
    /// Those of an opened data directory.
    pub fn of(foundation: &Foundation) -> Self {
        Self { secrets: Arc::clone(&foundation.store) as _, keyring: Arc::clone(&foundation.keyring) }
    }

    fn opened(&self, sealed: &[u8], key: &ProviderTokenKey) -> Option<ProviderToken> {
        let opened = self.keyring.open(PLACE, sealed).ok()?;
        let stored: Stored = serde_json::from_slice(opened.expose_secret()).ok()?;
        let is_of_key = stored.team_id == key.team_id
            && stored.key_id == key.key_id
            && stored.fingerprint.is_none_or(|fingerprint| fingerprint == key.fingerprint);
        is_of_key.then(|| ProviderToken { jwt: SecretString::from(stored.jwt), issued_at: stored.issued_at })
    }

    fn sealed(&self, key: &ProviderTokenKey, token: &ProviderToken) -> Vec<u8> {
        let stored = Stored {
            team_id: key.team_id.clone(),
            key_id: key.key_id.clone(),
            fingerprint: Some(key.fingerprint),
            jwt: token.jwt.expose_secret().to_owned(),
            issued_at: token.issued_at,
        };
        let plain = Zeroizing::new(serde_json::to_vec(&stored).expect("texts and a number"));
        self.keyring.seal(PLACE, &plain)
    }
}

impl ProviderTokens for SealedProviderTokens {
    fn load<'a>(
        &'a self,
        key: &'a ProviderTokenKey,
    ) -> BoxFuture<'a, Result<Option<ProviderToken>, TokensUnavailable>> {
        Box::pin(async move {
            let sealed = self.secrets.sealed(NAME).await.map_err(|_| TokensUnavailable)?;
            Ok(sealed.and_then(|sealed| self.opened(&sealed, key)))
        })
    }

    fn replace<'a>(
        &'a self,
        key: &'a ProviderTokenKey,
        seen: Option<UnixTime>,
        new: ProviderToken,
    ) -> BoxFuture<'a, Result<ProviderToken, TokensUnavailable>> {
        Box::pin(async move {
            loop {
                let old = self.secrets.sealed(NAME).await.map_err(|_| TokensUnavailable)?;
                let latest = old.as_deref().and_then(|sealed| self.opened(sealed, key));
                if let Some(latest) = latest.filter(|latest| Some(latest.issued_at) != seen) {
                    return Ok(latest);
                }
                let sealed = self.sealed(key, &new);
                // Another process was faster: what it wrote is looked at instead.
                if self.secrets.replace(NAME, old, sealed).await.map_err(|_| TokensUnavailable)? {
                    return Ok(new);
                }
            }
        })
    }
}
