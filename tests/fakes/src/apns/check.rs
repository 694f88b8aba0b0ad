//! What Apple checks, in the words of "Sending notification requests to APNs" and "Establishing a token-based
//! connection to APNs".

use std::{
    io,
    sync::{Mutex, PoisonError},
};

use http::{HeaderMap, Method, Request};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::Value;

use super::SigningKey;
use crate::stand_in::Now;

/// The most bytes of a payload.
const LARGEST_PAYLOAD: usize = 4096;
/// Of a provider token, in seconds.
const OLDEST_TOKEN: i64 = 60 * 60;
/// Between two provider tokens, in seconds.
const SHORTEST_INTERVAL: i64 = 20 * 60;

pub(super) struct Rules {
    key_id: String,
    team_id: String,
    public_key: DecodingKey,
    topics: Vec<String>,
    now: Box<Now>,
    /// When the latest provider token was issued.
    latest_token: Mutex<Option<i64>>,
}

/// A status and Apple's word for it.
pub(super) type Refusal = (u16, &'static str);

#[derive(Deserialize)]
struct Claims {
    iss: String,
    iat: i64,
}

impl Rules {
    pub(super) fn new(
        key: &SigningKey,
        public_key_pem: &str,
        topics: &[&str],
        now: Box<Now>,
    ) -> io::Result<Self> {
        Ok(Self {
            key_id: key.key_id.clone(),
            team_id: key.team_id.clone(),
            public_key: DecodingKey::from_ec_pem(public_key_pem.as_bytes()).map_err(io::Error::other)?,
            topics: topics.iter().map(|&topic| topic.to_owned()).collect(),
            now,
            latest_token: Mutex::new(None),
        })
    }

    /// By the stand-in's clock, in seconds since the epoch.
    pub(super) fn now(&self) -> i64 {
        (self.now)()
    }

    pub(super) fn check<B>(&self, request: &Request<B>, body: &[u8]) -> Result<(), Refusal> {
        check_line(request)?;
        let headers = request.headers();
        if headers.keys().any(|name| headers.get_all(name).iter().count() > 1) {
            return Err((400, "DuplicateHeaders"));
        }
        self.check_provider_token(headers)?;
        self.check_topic(headers)?;
        check_headers(headers)?;
        check_payload(body)
    }

    fn check_provider_token(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        const INVALID: Refusal = (403, "InvalidProviderToken");
        let value = header(headers, "authorization").ok_or((403, "MissingProviderToken"))?;
        let token = value.strip_prefix("bearer ").ok_or((403, "MissingProviderToken"))?;
        let key_id = jsonwebtoken::decode_header(token).map_err(|_| INVALID)?.kid;
        let mut validation = Validation::new(Algorithm::ES256);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        let claims =
            jsonwebtoken::decode::<Claims>(token, &self.public_key, &validation).map_err(|_| INVALID)?.claims;
        if key_id.as_ref() != Some(&self.key_id) || claims.iss != self.team_id {
            return Err(INVALID);
        }
        if (self.now)() - claims.iat > OLDEST_TOKEN {
            return Err((403, "ExpiredProviderToken"));
        }
        let mut latest = self.latest_token.lock().unwrap_or_else(PoisonError::into_inner);
        match *latest {
            Some(before) if before != claims.iat && (claims.iat - before).abs() < SHORTEST_INTERVAL => {
                return Err((429, "TooManyProviderTokenUpdates"));
            }
            _ => *latest = Some(claims.iat),
        }
        Ok(())
    }

    fn check_topic(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let topic = header(headers, "apns-topic").ok_or((400, "MissingTopic"))?;
        if self.topics.iter().any(|known| known == topic) { Ok(()) } else { Err((400, "TopicDisallowed")) }
    }
}

fn check_line<B>(request: &Request<B>) -> Result<(), Refusal> {
    let token = request.uri().path().strip_prefix("/3/device/").ok_or((404, "BadPath"))?;
    if token.is_empty() {
        return Err((400, "MissingDeviceToken"));
    }
    if request.method() != Method::POST {
        return Err((405, "MethodNotAllowed"));
    }
    if !token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err((400, "BadDeviceToken"));
    }
    Ok(())
}

fn check_headers(headers: &HeaderMap) -> Result<(), Refusal> {
    let matches = |name, fits: fn(&str) -> bool| header(headers, name).is_none_or(fits);
    let is_uuid = |id: &str| {
        id.len() == 36
            && id.bytes().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            })
    };
    if header(headers, "apns-push-type") != Some("alert") {
        return Err((400, "InvalidPushType"));
    }
    if !matches("apns-id", is_uuid) {
        return Err((400, "BadMessageId"));
    }
    if !matches("apns-expiration", |value| value.parse::<u32>().is_ok()) {
        return Err((400, "BadExpirationDate"));
    }
    if !matches("apns-priority", |value| ["1", "5", "10"].contains(&value)) {
        return Err((400, "BadPriority"));
    }
    if !matches("apns-collapse-id", |value| value.len() <= 64) {
        return Err((400, "BadCollapseId"));
    }
    Ok(())
}

fn check_payload(body: &[u8]) -> Result<(), Refusal> {
    if body.len() > LARGEST_PAYLOAD {
        return Err((413, "PayloadTooLarge"));
    }
    match serde_json::from_slice::<Value>(body) {
        Ok(payload) if payload.get("aps").is_some_and(Value::is_object) => Ok(()),
        _ => Err((400, "PayloadEmpty")),
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
