//! The access token: fetched from the token endpoint for a JWT that the service account signs (RFC 7523; Google's
//! "Using OAuth 2.0 for Server to Server Applications"), and sent in every request.
//!
//! It lives an hour. Each process has its own: Google sets no limit to that, so nothing is stored. One fetch runs
//! at a time, in a task of its own, so that no caller that is dropped takes it along, and each caller that waits
//! for it hears how it ended:
//!
//! ```text
//!   none, used up --> fetched     callers wait for it together
//!   11/12 over -----> fetched     at the next use, which does not wait: the old one serves meanwhile
//!   refused (401) --> fetched     unless it is younger than a minute
//!   fetch failed ---> fetched     at the next use after a second, or after what Retry-After says
//! ```

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use countersign_proto::time::UnixTime;
use http::{StatusCode, header::CONTENT_TYPE};
use jsonwebtoken::{Algorithm, Header};
use reqwest::Client;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::config::{Account, InvalidFcmConfig, no_client};
use crate::{
    clock::SharedClock,
    push::{
        Outcome,
        connection::{NoAnswer, Tls},
        reply::{Reply, is_word},
    },
};

/// An access token. Whoever has it can push to the project's apps until it ends.
#[derive(Clone)]
pub(super) struct AccessToken(Arc<Issued>);

struct Issued {
    secret: SecretString,
    at: UnixTime,
    lifetime: Duration,
}

/// What a fetch came to; a failure as what it means for the push that waits for it.
type Fetched = Result<AccessToken, Outcome>;

/// Gives access tokens, and renews them.
pub(super) struct AccessTokens(Arc<Source>);

struct Source {
    account: Account,
    client: Client,
    clock: SharedClock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    latest: Option<AccessToken>,
    failure: Option<Failure>,
    /// Of the fetch that runs: how it ends.
    fetch: Option<watch::Receiver<Option<Fetched>>>,
}

/// How the last fetch failed.
struct Failure {
    at: UnixTime,
    /// How long nobody asks again.
    rest: Duration,
    outcome: Outcome,
}

/// What a caller finds.
enum Found {
    Token(AccessToken),
    Failure(Outcome),
    Fetch(watch::Receiver<Option<Fetched>>),
}

/// The provider, in words.
const ENDPOINT: &str = "Google's token endpoint";
/// What the token is for.
const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
/// Google's longest for an assertion.
const ASSERTION_SECONDS: i64 = 60 * 60;
/// Of a token whose answer does not say how long it lives.
const SHORT_LIFETIME: Duration = Duration::from_mins(10);
/// A token that is refused at this age would not be replaced by a better one.
const FRESH: Duration = Duration::from_mins(1);
/// After a failed fetch, at least.
const REST: Duration = Duration::from_secs(1);

impl AccessToken {
    pub(super) fn secret(&self) -> &SecretString {
        &self.0.secret
    }

    /// Whether it was issued just now.
    pub(super) fn is_fresh(&self, now: UnixTime) -> bool {
        now >= self.0.at && self.age(now) < FRESH
    }

    fn is_usable(&self, now: UnixTime) -> bool {
        // A clock that was stepped back tells nothing of its age.
        now >= self.0.at && self.age(now) < self.0.lifetime * 59 / 60
    }

    fn wants_renewal(&self, now: UnixTime) -> bool {
        self.age(now) >= self.0.lifetime * 11 / 12
    }

    fn age(&self, now: UnixTime) -> Duration {
        now.since(self.0.at)
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Failure {
    fn still_counts(&self, now: UnixTime) -> bool {
        // A clock that was stepped back ends it.
        now >= self.at && now.since(self.at) < self.rest
    }
}

impl AccessTokens {
    pub(super) fn new(account: Account, tls: &Tls, clock: SharedClock) -> Result<Self, InvalidFcmConfig> {
        // One request an hour: a connection that waited so long may be dead.
        let client = tls.client_builder().pool_max_idle_per_host(0).build();
        let client = client.map_err(|error| no_client(&error))?;
        Ok(Self(Arc::new(Source { account, client, clock, state: Mutex::default() })))
    }

    /// The token to send with.
    pub(super) async fn current(&self) -> Fetched {
        self.other_than(None).await
    }

    /// The token to send with after Google refused `refused`.
    pub(super) async fn after(&self, refused: &AccessToken) -> Fetched {
        self.other_than(Some(refused)).await
    }

    async fn other_than(&self, refused: Option<&AccessToken>) -> Fetched {
        let mut fetch = match self.0.find(refused) {
            Found::Token(token) => return Ok(token),
            Found::Failure(outcome) => return Err(outcome),
            Found::Fetch(fetch) => fetch,
        };
        let ended = fetch.wait_for(Option::is_some).await;
        let fetched = ended.ok().and_then(|fetched| fetched.clone());
        fetched.unwrap_or_else(|| {
            let reason = "the fetch of an access token was cut off".to_owned();
            Err(Outcome::Retry { after: None, reason })
        })
    }
}

impl Source {
    fn find(self: &Arc<Self>, refused: Option<&AccessToken>) -> Found {
        let now = self.clock.now();
        let mut state = self.state();
        let is_good =
            |token: &&AccessToken| token.is_usable(now) && refused.is_none_or(|refused| !token.is(refused));
        let token = state.latest.as_ref().filter(is_good).cloned();
        let failure = state.failure.as_ref().filter(|failure| failure.still_counts(now));
        match (token, failure) {
            (Some(token), failure) => {
                if token.wants_renewal(now) && failure.is_none() {
                    self.fetch_once(&mut state);
                }
                Found::Token(token)
            }
            (None, Some(failure)) => Found::Failure(failure.outcome.clone()),
            (None, None) => Found::Fetch(self.fetch_once(&mut state)),
        }
    }

    /// Joins the fetch that runs, or begins one.
    fn fetch_once(self: &Arc<Self>, state: &mut State) -> watch::Receiver<Option<Fetched>> {
        if let Some(fetch) = &state.fetch {
            return fetch.clone();
        }
        let (ending, ended) = watch::channel(None);
        state.fetch = Some(ended.clone());
        let source = Arc::clone(self);
        tokio::spawn(async move {
            let fetched = source.fetch().await;
            source.keep(&fetched);
            ending.send_replace(Some(fetched));
        });
        ended
    }

    fn keep(&self, fetched: &Fetched) {
        let at = self.clock.now();
        let mut state = self.state();
        state.fetch = None;
        match fetched {
            Ok(token) => {
                state.latest = Some(token.clone());
                state.failure = None;
            }
            Err(outcome) => {
                let asked = match outcome {
                    Outcome::Retry { after, .. } => after.unwrap_or_default(),
                    _ => Duration::ZERO,
                };
                state.failure = Some(Failure { at, rest: asked.max(REST), outcome: outcome.clone() });
            }
        }
    }

    /// Ends within the client's time limits.
    async fn fetch(&self) -> Fetched {
        let now = self.clock.now();
        let assertion = assertion(&self.account, now.as_seconds()).map_err(|_| Outcome::Misconfigured {
            reason: "the service account's key does not sign".to_owned(),
        })?;
        // A JWT has no character that this form would have to escape.
        let form = format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={}",
            assertion.expose_secret()
        );
        let request = self.client.post(self.account.token_url.clone());
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
        match request.send().await {
            Ok(response) => judge(&Reply::read(response).await, now),
            Err(error) => Err(NoAnswer::of(ENDPOINT, error).into()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    scope: &'static str,
    aud: &'a str,
    iat: i64,
    exp: i64,
}

/// Signs what a token is given for, with `iat` as issue time, in seconds since the epoch.
pub(super) fn assertion(account: &Account, iat: i64) -> Result<SecretString, jsonwebtoken::errors::Error> {
    let header = Header { kid: Some(account.key_id.clone()), ..Header::new(Algorithm::RS256) };
    let claims = Claims {
        iss: &account.client_email,
        scope: SCOPE,
        aud: &account.token_uri,
        iat,
        exp: iat + ASSERTION_SECONDS,
    };
    jsonwebtoken::encode(&header, &claims, &account.signing_key).map(SecretString::from)
}

/// RFC 6749, section 5.1.
#[derive(Deserialize)]
struct Granted {
    access_token: SecretString,
    expires_in: Option<u32>,
}

/// RFC 6749, section 5.2.
#[derive(Default, Deserialize)]
struct Refused {
    error: String,
    #[serde(default)]
    error_description: String,
}

/// What the token endpoint's answer means for the push that waits for the token.
fn judge(reply: &Reply, asked_at: UnixTime) -> Fetched {
    let status = reply.status;
    if status == StatusCode::OK {
        let granted = serde_json::from_slice::<Granted>(&reply.body).ok();
        let granted = granted.filter(|granted| is_token(granted.access_token.expose_secret()));
        let granted = granted.ok_or_else(|| Outcome::Misconfigured {
            reason: format!("{ENDPOINT} answered no access token (is token_uri right?)"),
        })?;
        let lifetime =
            granted.expires_in.map_or(SHORT_LIFETIME, |seconds| Duration::from_secs(seconds.into()));
        return Ok(AccessToken(Arc::new(Issued { secret: granted.access_token, at: asked_at, lifetime })));
    }
    let refused: Refused = serde_json::from_slice(&reply.body).unwrap_or_default();
    let word = if is_word(&refused.error) { refused.error.as_str() } else { "without a reason" };
    let reason = format!("{ENDPOINT} answered {} {word}{}", status.as_u16(), hint(&refused));
    let may_pass = status.is_server_error()
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
    Err(if may_pass {
        Outcome::Retry { after: reply.retry_after(asked_at), reason }
    } else {
        Outcome::Misconfigured { reason }
    })
}

/// What stands behind `invalid_grant`, by Google's descriptions. They are not repeated: they name the account.
fn hint(refused: &Refused) -> &'static str {
    let says = |words| refused.error_description.contains(words);
    match refused.error.as_str() {
        "invalid_grant" if says("iat") || says("timeframe") => " (is this machine's clock right?)",
        "invalid_grant" if says("ignature") => " (the service account's key was revoked)",
        "invalid_grant" if says("account not found") => " (there is no such service account any more)",
        _ => "",
    }
}

/// RFC 6750, section 2.1: what may stand behind `Bearer`.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}
