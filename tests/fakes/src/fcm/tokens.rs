//! Google's token endpoint, and the access tokens that it gave, in the words of "Using OAuth 2.0 for Server to
//! Server Applications".

use std::{
    collections::HashMap,
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use http::{HeaderMap, Method, Request};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Answer;
use crate::stand_in::Now;

/// The `kid` of the service account's key.
pub(super) const KEY_ID: &str = "0123456789abcdef0123456789abcdef01234567";
/// The service account.
pub(super) const CLIENT_EMAIL: &str = "countersign@stand-in-project.iam.gserviceaccount.com";
/// What the tokens are for.
const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
/// How long an assertion may be good for, in seconds.
const LONGEST_ASSERTION: i64 = 60 * 60;
/// How far the caller's clock may be off, in seconds.
const CLOCK_TOLERANCE: i64 = 5 * 60;
/// Before the assertion, in the form.
const GRANT: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";

pub(crate) struct Tokens {
    public_key: DecodingKey,
    token_uri: String,
    now: Box<Now>,
    issued: Mutex<Issued>,
}

struct Issued {
    /// Until when each is good.
    tokens: HashMap<String, i64>,
    count: usize,
    lifetime: u32,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    scope: String,
    aud: String,
    iat: i64,
    exp: i64,
}

impl Tokens {
    /// In seconds since the epoch.
    pub(super) fn now(&self) -> i64 {
        (self.now)()
    }

    pub(super) fn new(public_key_pem: &str, token_uri: String, now: Box<Now>) -> io::Result<Self> {
        let public_key = DecodingKey::from_rsa_pem(public_key_pem.as_bytes()).map_err(io::Error::other)?;
        let issued = Mutex::new(Issued { tokens: HashMap::new(), count: 0, lifetime: 3599 });
        Ok(Self { public_key, token_uri, now, issued })
    }

    pub(super) fn set_lifetime(&self, seconds: u32) {
        self.issued().lifetime = seconds;
    }

    pub(super) fn revoke_all(&self) {
        self.issued().tokens.clear();
    }

    /// A request for a token.
    pub(super) fn check(&self, head: &Request<()>, body: &[u8]) -> Result<(), Answer> {
        let is_form = header(head.headers(), "content-type") == Some("application/x-www-form-urlencoded");
        if head.method() != Method::POST || !is_form {
            return Err(Answer::refuse_token(400, "invalid_request", "Bad Request"));
        }
        let assertion = std::str::from_utf8(body).ok().and_then(|form| form.strip_prefix(GRANT));
        let assertion = assertion
            .ok_or_else(|| Answer::refuse_token(400, "unsupported_grant_type", "Invalid grant_type"))?;
        let refused = |description| Err(Answer::refuse_token(400, "invalid_grant", description));
        let mut validation = Validation::new(Algorithm::RS256);
        validation.validate_exp = false;
        validation.set_audience(&[&self.token_uri]);
        let key_id = jsonwebtoken::decode_header(assertion).ok().and_then(|header| header.kid);
        let claims = jsonwebtoken::decode::<Claims>(assertion, &self.public_key, &validation);
        let (Ok(decoded), Some(KEY_ID)) = (claims, key_id.as_deref()) else {
            return refused("Invalid JWT Signature.");
        };
        let Claims { iss, scope, aud, iat, exp } = decoded.claims;
        if iss != CLIENT_EMAIL {
            return refused("Invalid grant: account not found");
        }
        if scope != SCOPE || aud != self.token_uri {
            return Err(Answer::refuse_token(
                400,
                "invalid_scope",
                "Invalid OAuth scope or ID token audience.",
            ));
        }
        let now = (self.now)();
        let is_timely = iat <= now + CLOCK_TOLERANCE && exp > now - CLOCK_TOLERANCE;
        if !is_timely || exp - iat > LONGEST_ASSERTION {
            return refused(
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check \
                 your iat and exp values in the JWT claim.",
            );
        }
        Ok(())
    }

    /// A new access token, as the answer has it.
    pub(super) fn issue(&self) -> Value {
        let mut issued = self.issued();
        issued.count += 1;
        let token = format!("ya29.c.stand-in_{:04}", issued.count);
        let lifetime = issued.lifetime;
        issued.tokens.insert(token.clone(), (self.now)() + i64::from(lifetime));
        json!({"access_token": token, "expires_in": lifetime, "token_type": "Bearer"})
    }

    /// The token that comes with a push.
    pub(super) fn check_bearer(&self, head: &Request<()>) -> Result<(), Answer> {
        let token = header(head.headers(), "authorization").and_then(|value| value.strip_prefix("Bearer "));
        let is_good = token
            .is_some_and(|token| self.issued().tokens.get(token).is_some_and(|until| (self.now)() < *until));
        if is_good {
            return Ok(());
        }
        let message = "Request had invalid authentication credentials.";
        Err(Answer::refuse_google(401, "UNAUTHENTICATED", message, &json!([])))
    }

    fn issued(&self) -> MutexGuard<'_, Issued> {
        self.issued.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
