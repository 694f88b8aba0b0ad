//! A stand-in for Apple Push Notification service.

mod check;

use std::{io, ops::Deref, sync::Arc};

use http::HeaderValue;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};

use self::check::Rules;
pub use crate::stand_in::{Answer, ConnectionFault, Request, StandIn};
use crate::stand_in::{Kind, Provider};

/// A running stand-in. It ends when dropped.
pub struct ApnsStandIn {
    stand_in: StandIn,
    signing_key: SigningKey,
}

/// What Apple gives a developer to sign provider tokens with.
#[derive(Clone)]
pub struct SigningKey {
    /// The content of `AuthKey_<key id>.p8`: P-256, PKCS#8, PEM.
    pub private_key_pem: String,
    /// 10 characters.
    pub key_id: String,
    /// The team's id, 10 characters.
    pub team_id: String,
}

impl ApnsStandIn {
    /// Listens on a free port of the loopback interface, and takes pushes to `topics` only. `now` is asked
    /// for the time, in seconds since the epoch. Must be called inside a tokio runtime.
    pub async fn start(topics: &[&str], now: impl Fn() -> i64 + Send + Sync + 'static) -> io::Result<Self> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(io::Error::other)?;
        let signing_key = SigningKey {
            private_key_pem: key.serialize_pem(),
            key_id: "STANDINKEY".to_owned(),
            team_id: "STANDTEAM1".to_owned(),
        };
        let rules = Rules::new(&signing_key, &key.public_key_pem(), topics, Box::new(now))?;
        Ok(Self { stand_in: StandIn::start(|_| Ok(Arc::new(rules))).await?, signing_key })
    }

    /// The key that it knows.
    pub fn signing_key(&self) -> &SigningKey {
        &self.signing_key
    }
}

impl Deref for ApnsStandIn {
    type Target = StandIn;

    fn deref(&self) -> &StandIn {
        &self.stand_in
    }
}

impl Answer {
    /// A refusal with one of Apple's reasons.
    pub fn refuse(status: u16, reason: &str) -> Self {
        Self::refuse_with(status, &serde_json::json!({ "reason": reason }))
    }
}

impl Provider for Rules {
    fn now(&self) -> i64 {
        Self::now(self)
    }

    fn kind(&self, head: &http::Request<()>, _: &[u8]) -> Kind {
        Kind::Push(head.uri().path().rsplit('/').next().unwrap_or_default().to_owned())
    }

    fn check(&self, head: &http::Request<()>, body: &[u8]) -> Result<(), Answer> {
        Self::check(self, head, body).map_err(|(status, reason)| Answer::refuse(status, reason))
    }

    /// As every token is a device's here, but the one that no device can have.
    fn answer(&self, kind: &Kind) -> Answer {
        match kind {
            Kind::Push(token) if token.bytes().all(|byte| byte == b'0') => {
                Answer::refuse(400, "BadDeviceToken")
            }
            _ => Answer::Accept,
        }
    }

    fn accepted(&self, _: &http::Request<()>, _: &Kind) -> Vec<u8> {
        Vec::new()
    }

    fn echoed(&self, head: &http::Request<()>) -> Option<(&'static str, HeaderValue)> {
        Some(("apns-id", head.headers().get("apns-id")?.clone()))
    }
}
