//! Firebase Cloud Messaging, by its HTTP v1 API with the access token of a service account.
//!
//! Written from Google's "Send messages using FCM HTTP v1 API", the reference of `projects.messages.send`, "FCM
//! Error Codes" and "Using OAuth 2.0 for Server to Server Applications". `access_token` fetches and renews the
//! token; `message` is what is sent; `answer` says what each of Google's answers means.

mod access_token;
mod answer;
mod config;
mod message;
mod trial;

use countersign_proto::{
    statement::push_target::{Fcm as FcmTarget, Target},
    statement_form::is_registration_token,
};
use http::{
    HeaderValue,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use reqwest::{Client, Url};
use secrecy::ExposeSecret as _;

pub use self::config::{FcmConfig, GOOGLE_URL, InvalidFcmConfig};
use self::{
    access_token::{AccessToken, AccessTokens},
    answer::Answer,
    message::{Body, Push},
};
use super::{
    BoxFuture, Outcome, PushChannel, WakeUp,
    connection::{Connections, NoAnswer},
};
use crate::clock::SharedClock;

/// The client of FCM for one Firebase project.
pub struct Fcm {
    send_url: Url,
    connections: Connections,
    tokens: AccessTokens,
    clock: SharedClock,
}

impl Fcm {
    /// Checks the whole of `config`; asks nobody.
    pub fn new(config: &FcmConfig, clock: SharedClock) -> Result<Self, InvalidFcmConfig> {
        let checked = config.check()?;
        let connections = Connections::new("FCM", checked.tls.clone());
        Ok(Self {
            send_url: checked.send_url,
            connections: connections.map_err(|error| config::no_client(&error))?,
            tokens: AccessTokens::new(checked.account, &checked.tls, clock.clone())?,
            clock,
        })
    }

    async fn wake(&self, target: &FcmTarget, wake_up: &WakeUp) -> Outcome {
        if !is_registration_token(&target.registration_token) {
            let reason = "neither a registration token nor an installation id".to_owned();
            return Outcome::TargetGone { reason, since: None };
        }
        match self.push(&Push { target, wake_up, validate_only: false }).await {
            Ok(answer) => answer.outcome(),
            Err(outcome) => outcome,
        }
    }

    /// Sends the push; should Google refuse the access token, once more with a new one.
    async fn push(&self, push: &Push<'_>) -> Result<Answer, Outcome> {
        let token = self.tokens.current().await?;
        let answer = self.post(push, &token).await?;
        if !answer.refuses_access_token() || token.is_fresh(self.clock.now()) {
            return Ok(answer);
        }
        let token = self.tokens.after(&token).await?;
        Ok(self.post(push, &token).await?)
    }

    async fn post(&self, push: &Push<'_>, token: &AccessToken) -> Result<Answer, NoAnswer> {
        let body = Body::new(push, self.clock.now());
        let body = serde_json::to_vec(&body).expect("plain texts");
        let request = |client: &Client| {
            client
                .post(self.send_url.clone())
                .header(AUTHORIZATION, bearer(token))
                .header(CONTENT_TYPE, "application/json; charset=utf-8")
                .body(body.clone())
        };
        let reply = self.connections.post(request).await?;
        Ok(Answer::of(&reply, self.clock.now()))
    }
}

impl PushChannel for Fcm {
    fn send<'a>(&'a self, target: &'a Target, wake_up: &'a WakeUp) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            match target {
                Target::Fcm(target) => self.wake(target, wake_up).await,
                Target::Apns(_) => Outcome::Unknown { reason: "not a target of FCM".to_owned() },
            }
        })
    }
}

fn bearer(token: &AccessToken) -> HeaderValue {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.secret().expose_secret()))
        .expect("access tokens with other characters are not taken");
    // Debug prints and HPACK's shared table leave it out.
    value.set_sensitive(true);
    value
}
