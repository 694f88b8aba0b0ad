//! Apple Push Notification service, over HTTP/2 with a provider token.
//!
//! Written from Apple's "Sending notification requests to APNs", "Establishing a token-based connection to
//! APNs" and "Handling notification responses from APNs". There is one connection each to
//! production and development; `provider_token` keeps Apple's rules for renewing the token
//! over all processes; `answer` says what each of Apple's answers means.

mod answer;
mod config;
mod payload;
mod provider_token;
mod request;
mod trial;

use std::sync::Arc;

use countersign_proto::{
    statement::push_target::{Apns as ApnsTarget, Target},
    time::UnixTime,
};
use reqwest::{Client, Url};

use self::{
    answer::Answer,
    provider_token::{NoToken, TokenSource},
    request::Push,
};
pub use self::{
    config::{ApnsConfig, InvalidApnsConfig, PRODUCTION_URL, SANDBOX_URL},
    provider_token::{ProviderToken, ProviderTokenKey, ProviderTokens, TokensUnavailable},
};
pub use super::TimeLimits;
use super::{
    BoxFuture, Outcome, PushChannel, WakeUp,
    connection::{Connections, NoAnswer, Tls, causes},
};
use crate::clock::SharedClock;

/// The client of APNs for one team's signing key.
pub struct Apns {
    topics: Vec<String>,
    production: Environment,
    sandbox: Environment,
    tokens: TokenSource,
    clock: SharedClock,
}

/// One of Apple's two environments.
struct Environment {
    base_url: Url,
    connections: Connections,
}

impl Apns {
    /// Checks the whole of `config`; asks nobody.
    pub fn new(
        config: &ApnsConfig,
        tokens: Arc<dyn ProviderTokens>,
        clock: SharedClock,
    ) -> Result<Self, InvalidApnsConfig> {
        let checked = config.check()?;
        Ok(Self {
            topics: config.topics.clone(),
            production: Environment::new(checked.production_url, checked.tls.clone())?,
            sandbox: Environment::new(checked.sandbox_url, checked.tls)?,
            tokens: TokenSource::new(checked.token_key, checked.signing_key, tokens, Arc::clone(&clock)),
            clock,
        })
    }

    async fn wake(&self, target: &ApnsTarget, wake_up: &WakeUp) -> Outcome {
        if !self.topics.contains(&target.topic) {
            return Outcome::Misconfigured {
                reason: "the device's topic is not among apns.topics".to_owned(),
            };
        }
        // It becomes part of the path: nothing but a token may reach it.
        let token = target.device_token.as_bytes();
        if !(1..=256).contains(&token.len()) || !token.iter().all(u8::is_ascii_hexdigit) {
            return Outcome::TargetGone { reason: "not a device token".to_owned(), since: None };
        }
        let push = Push { target, wake_up };
        match self.push(&push).await {
            Ok(answer) => answer.outcome(),
            Err(failure) => failure.into(),
        }
    }

    /// Sends `push`; should the provider token have run out by Apple's clock, once more with a new one.
    async fn push(&self, push: &Push<'_>) -> Result<Answer, Failure> {
        let environment = if push.target.sandbox { &self.sandbox } else { &self.production };
        let token = self.tokens.current().await?;
        let answer = environment.post(push, &token, self.clock.now()).await?;
        if !answer.wants_new_provider_token() {
            return Ok(answer);
        }
        let token = self.tokens.after(&token).await?;
        Ok(environment.post(push, &token, self.clock.now()).await?)
    }
}

impl Environment {
    fn new(base_url: Url, tls: Tls) -> Result<Self, InvalidApnsConfig> {
        let connections = Connections::new("APNs", tls).map_err(|error| {
            let causes = causes(&error);
            let allowed =
                format!("must go with the system's certificates: no TLS client can be made ({causes})");
            config::invalid("ca_file", allowed)
        })?;
        Ok(Self { base_url, connections })
    }

    async fn post(&self, push: &Push<'_>, token: &ProviderToken, now: UnixTime) -> Result<Answer, NoAnswer> {
        let request = |client: &Client| push.request(client, &self.base_url, token);
        Ok(Answer::of(&self.connections.post(request).await?, now))
    }
}

impl PushChannel for Apns {
    fn send<'a>(&'a self, target: &'a Target, wake_up: &'a WakeUp) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            match target {
                Target::Apns(target) => self.wake(target, wake_up).await,
                Target::Fcm(_) => Outcome::Unknown { reason: "not a target of APNs".to_owned() },
            }
        })
    }
}

/// Why there is no answer to judge.
enum Failure {
    Token(NoToken),
    Connection(NoAnswer),
}

impl From<NoToken> for Failure {
    fn from(error: NoToken) -> Self {
        Self::Token(error)
    }
}

impl From<NoAnswer> for Failure {
    fn from(error: NoAnswer) -> Self {
        Self::Connection(error)
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Token(NoToken::TooEarly { after }) => {
                Self::Retry { after: Some(after), reason: NoToken::TooEarly { after }.to_string() }
            }
            Failure::Token(error @ NoToken::Unavailable(_)) => {
                Self::Retry { after: None, reason: error.to_string() }
            }
            Failure::Token(error @ NoToken::NotSigned) => Self::Misconfigured { reason: error.to_string() },
            Failure::Connection(error) => error.into(),
        }
    }
}
