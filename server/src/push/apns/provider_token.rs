//! The provider token: an ES256 JWT that names the team, in every request.
//!
//! Apple refuses a token that was issued over 60 minutes ago, and one that follows the last within 20
//! minutes, all processes of a team counted together ("Establishing a token-based connection to APNs"). So
//! it is kept in a store that they share, and one caller at a time fetches or renews it:
//!
//! ```text
//!   none ----------------------------------> issued     first use
//!   issued --[50 minutes]------------------> issued     at the next use; another process' one is taken
//!   issued --[ExpiredProviderToken]--------> issued     not within 20 minutes of the last: a retry then
//! ```

use std::{sync::Arc, time::Duration};

use countersign_proto::time::UnixTime;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::SecretString;
use serde::Serialize;
use tokio::sync::Mutex;

use crate::{clock::SharedClock, push::BoxFuture};

/// A provider token, and when it was issued (whole seconds, its `iat`).
#[derive(Clone, Debug)]
pub struct ProviderToken {
    /// The JWT. Whoever has it can push to the team's apps for an hour.
    pub jwt: SecretString,
    /// Its `iat`.
    pub issued_at: UnixTime,
}

/// Whose token it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProviderTokenKey {
    /// Its `iss`.
    pub team_id: String,
    /// Its `kid`.
    pub key_id: String,
    /// SHA-256 of the key's file: a file that was put in another's place under the same id has tokens of its own.
    pub fingerprint: [u8; 32],
}

/// The store cannot be asked. What a write came to is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store of provider tokens is unavailable")]
pub struct TokensUnavailable;

/// Where the processes of an installation share the latest provider token of each key. It holds secrets.
pub trait ProviderTokens: Send + Sync {
    /// The latest token.
    fn load<'a>(
        &'a self,
        key: &'a ProviderTokenKey,
    ) -> BoxFuture<'a, Result<Option<ProviderToken>, TokensUnavailable>>;

    /// Makes `new` the latest token if the latest is still the one issued at `seen` (`None`: there is none),
    /// in one step; answers the token that is the latest then. So of processes that renew at the same time
    /// one wins, and all use its token.
    fn replace<'a>(
        &'a self,
        key: &'a ProviderTokenKey,
        seen: Option<UnixTime>,
        new: ProviderToken,
    ) -> BoxFuture<'a, Result<ProviderToken, TokensUnavailable>>;
}

/// Why there is no provider token to send with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoToken {
    /// Apple wants a new one, but the last is too young to be followed.
    #[error(
        "APNs refused the provider token as expired (is this machine's clock right?), and a new one may be made \
         in {} s only",
        after.as_secs()
    )]
    TooEarly {
        /// How long to wait.
        after: Duration,
    },
    #[error(transparent)]
    Unavailable(#[from] TokensUnavailable),
    #[error("the APNs signing key does not sign")]
    NotSigned,
}

/// Gives provider tokens, and renews them by Apple's rules.
pub(super) struct TokenSource {
    key: ProviderTokenKey,
    signing_key: EncodingKey,
    store: Arc<dyn ProviderTokens>,
    clock: SharedClock,
    /// Held while the store is asked, so that callers that need a new token make one together.
    latest: Mutex<Option<ProviderToken>>,
}

/// Renewed at this age, well before Apple's 60 minutes.
const RENEWED_AFTER: Duration = Duration::from_mins(50);
/// Used up to this age while the store that a new one must go to is away.
const USABLE_FOR: Duration = Duration::from_mins(59);
/// Apple's shortest time between two tokens.
const SHORTEST_INTERVAL: Duration = Duration::from_mins(20);
/// A token issued further ahead than this was made while a clock was wrong: Apple would refuse it.
const CLOCK_TOLERANCE: Duration = Duration::from_mins(5);

impl TokenSource {
    pub(super) fn new(
        key: ProviderTokenKey,
        signing_key: EncodingKey,
        store: Arc<dyn ProviderTokens>,
        clock: SharedClock,
    ) -> Self {
        Self { key, signing_key, store, clock, latest: Mutex::new(None) }
    }

    /// The token to send with.
    pub(super) async fn current(&self) -> Result<ProviderToken, NoToken> {
        self.newer_than(None).await
    }

    /// The token to send with after Apple refused `expired`.
    pub(super) async fn after(&self, expired: &ProviderToken) -> Result<ProviderToken, NoToken> {
        self.newer_than(Some(expired.issued_at)).await
    }

    async fn newer_than(&self, expired: Option<UnixTime>) -> Result<ProviderToken, NoToken> {
        let mut latest = self.latest.lock().await;
        let now = self.clock.now();
        let serves = |token: &ProviderToken, for_as_long: Duration| {
            !is_ahead(token, now)
                && now.since(token.issued_at) < for_as_long
                && expired.is_none_or(|expired| token.issued_at > expired)
        };
        if let Some(token) = latest.as_ref().filter(|token| serves(token, RENEWED_AFTER)) {
            return Ok(token.clone());
        }
        match self.fetch_or_renew(latest.as_ref(), now, |token| serves(token, RENEWED_AFTER)).await {
            Ok(token) => {
                *latest = Some(token.clone());
                Ok(token)
            }
            // Better one that ends soon than none.
            Err(error @ NoToken::Unavailable(_)) => {
                latest.clone().filter(|token| serves(token, USABLE_FOR)).ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    async fn fetch_or_renew(
        &self,
        known: Option<&ProviderToken>,
        now: UnixTime,
        serves: impl Fn(&ProviderToken) -> bool,
    ) -> Result<ProviderToken, NoToken> {
        let stored = self.store.load(&self.key).await?;
        if let Some(token) = stored.as_ref().filter(|token| serves(token)) {
            return Ok(token.clone());
        }
        let last = known.into_iter().chain(&stored).filter(|token| !is_ahead(token, now));
        if let Some(last) = last.map(|token| token.issued_at).max() {
            let after = last.plus(SHORTEST_INTERVAL).since(now);
            if !after.is_zero() {
                return Err(NoToken::TooEarly { after });
            }
        }
        let issued_at = now.as_seconds();
        let jwt = sign(&self.key, &self.signing_key, issued_at).map_err(|_| NoToken::NotSigned)?;
        let new = ProviderToken { jwt, issued_at: UnixTime::from_millis(issued_at * 1000) };
        Ok(self.store.replace(&self.key, stored.map(|token| token.issued_at), new).await?)
    }
}

fn is_ahead(token: &ProviderToken, now: UnixTime) -> bool {
    token.issued_at.since(now) > CLOCK_TOLERANCE
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    iat: i64,
}

/// Signs a token with `iat` as issue time, in seconds since the epoch.
pub(super) fn sign(
    key: &ProviderTokenKey,
    signing_key: &EncodingKey,
    iat: i64,
) -> Result<SecretString, jsonwebtoken::errors::Error> {
    let header = Header { typ: None, kid: Some(key.key_id.clone()), ..Header::new(Algorithm::ES256) };
    jsonwebtoken::encode(&header, &Claims { iss: &key.team_id, iat }, signing_key).map(SecretString::from)
}
