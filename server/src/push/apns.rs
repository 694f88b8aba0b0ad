//! Apple Push Notification service, over HTTP/2 with a provider token.
//!
//! Written from Apple's "Sending notification requests to APNs", "Establishing a token-based connection to
//! APNs" and "Handling notification responses from APNs". `environment` keeps one
//! connection each to production and development; `provider_token` keeps Apple's rules for renewing the token
//! over all processes; `answer` says what each of Apple's answers means.

mod answer;
mod config;
mod environment;
mod payload;
mod provider_token;
mod request;

use std::sync::Arc;

use countersign_proto::{
    statement::push_target::{Apns as ApnsTarget, Target},
    time::UnixTime,
};

use self::{
    answer::Answer,
    environment::{Environment, NoAnswer},
    provider_token::{NoToken, TokenSource},
    request::Push,
};
pub use self::{
    config::{ApnsConfig, InvalidApnsConfig, PRODUCTION_URL, SANDBOX_URL, TimeLimits},
    provider_token::{ProviderToken, ProviderTokenKey, ProviderTokens, TokensUnavailable},
};
use super::{BoxFuture, Outcome, PushChannel, WakeUp};
use crate::clock::SharedClock;

/// The client of APNs for one team's signing key.
pub struct Apns {
    topics: Vec<String>,
    production: Environment,
    sandbox: Environment,
    tokens: TokenSource,
    clock: SharedClock,
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
        let answer = environment.post(push, &token, self.now()).await?;
        if !answer.wants_new_provider_token() {
            return Ok(answer);
        }
        let token = self.tokens.after(&token).await?;
        Ok(environment.post(push, &token, self.now()).await?)
    }

    fn now(&self) -> UnixTime {
        self.clock.now()
    }
}

impl PushChannel for Apns {
    fn send<'a>(&'a self, target: &'a Target, wake_up: &'a WakeUp) -> BoxFuture<'a, Outcome> {
        let Target::Apns(target) = target;
        Box::pin(self.wake(target, wake_up))
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
            Failure::Connection(NoAnswer::NotSendable) => {
                Self::Unknown { reason: NoAnswer::NotSendable.to_string() }
            }
            Failure::Connection(error) => Self::Retry { after: None, reason: error.to_string() },
        }
    }
}
