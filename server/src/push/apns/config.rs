//! What an operator sets for APNs, checked before anything is sent.

use countersign_proto::{link::is_origin, statement_form::is_bundle_id};
use jsonwebtoken::EncodingKey;
use reqwest::{Certificate, Url};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};

use super::provider_token::{self, ProviderTokenKey};
use crate::push::connection::{TimeLimits, Tls, extra_roots};

/// The settings of APNs.
#[derive(Clone, Debug)]
pub struct ApnsConfig {
    /// The content of the signing key's file (`AuthKey_<key id>.p8`): P-256, PKCS#8, PEM.
    pub private_key_pem: SecretString,
    /// The signing key's id, 10 characters.
    pub key_id: String,
    /// The developer team's id, 10 characters.
    pub team_id: String,
    /// The bundle ids of the apps that may be pushed to.
    pub topics: Vec<String>,
    /// Where production tokens are pushed to.
    pub production_url: String,
    /// Where tokens of the development environment are pushed to.
    pub sandbox_url: String,
    /// Certificates that are trusted beside the system's, as PEM.
    pub ca_pem: Option<String>,
    /// How long an attempt may take.
    pub time_limits: TimeLimits,
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("apns.{setting} {allowed}")]
pub struct InvalidApnsConfig {
    /// Its key in the section `[apns]`.
    pub setting: &'static str,
    /// What it must be, to be read after its name.
    pub allowed: String,
}

/// The settings in the form in which they are used.
pub(super) struct Checked {
    pub(super) signing_key: EncodingKey,
    pub(super) token_key: ProviderTokenKey,
    pub(super) production_url: Url,
    pub(super) sandbox_url: Url,
    pub(super) tls: Tls,
}

/// Apple's server for apps from the store.
pub const PRODUCTION_URL: &str = "https://api.push.apple.com";
/// Apple's server for apps under development.
pub const SANDBOX_URL: &str = "https://api.sandbox.push.apple.com";

impl ApnsConfig {
    /// With Apple's addresses and the usual time limits.
    pub fn new(
        private_key_pem: SecretString,
        key_id: impl Into<String>,
        team_id: impl Into<String>,
        topics: Vec<String>,
    ) -> Self {
        Self {
            private_key_pem,
            key_id: key_id.into(),
            team_id: team_id.into(),
            topics,
            production_url: PRODUCTION_URL.to_owned(),
            sandbox_url: SANDBOX_URL.to_owned(),
            ca_pem: None,
            time_limits: TimeLimits::default(),
        }
    }

    /// Whether each setting can be used.
    pub fn validate(&self) -> Result<(), InvalidApnsConfig> {
        self.check().map(drop)
    }

    pub(super) fn check(&self) -> Result<Checked, InvalidApnsConfig> {
        check_id("key_id", &self.key_id)?;
        check_id("team_id", &self.team_id)?;
        check_topics(&self.topics)?;
        let pem = self.private_key_pem.expose_secret().as_bytes();
        let token_key = ProviderTokenKey {
            team_id: self.team_id.clone(),
            key_id: self.key_id.clone(),
            fingerprint: Sha256::digest(pem).into(),
        };
        let not_a_key = || {
            let allowed = "must be the .p8 file that Apple hands out: a PEM file with a P-256 private key";
            invalid("private_key_file", allowed)
        };
        let signing_key = EncodingKey::from_ec_pem(pem).map_err(|_| not_a_key())?;
        // A key on another curve shows only when it signs.
        provider_token::sign(&token_key, &signing_key, 0).map_err(|_| not_a_key())?;
        Ok(Checked {
            signing_key,
            token_key,
            production_url: check_url("production_url", &self.production_url)?,
            sandbox_url: check_url("sandbox_url", &self.sandbox_url)?,
            tls: Tls { extra_roots: self.extra_roots()?, time_limits: self.time_limits },
        })
    }

    fn extra_roots(&self) -> Result<Vec<Certificate>, InvalidApnsConfig> {
        extra_roots(self.ca_pem.as_deref()).map_err(|allowed| invalid("ca_file", allowed))
    }
}

pub(super) fn invalid(setting: &'static str, allowed: impl Into<String>) -> InvalidApnsConfig {
    InvalidApnsConfig { setting, allowed: allowed.into() }
}

fn check_id(setting: &'static str, value: &str) -> Result<(), InvalidApnsConfig> {
    let fits =
        value.len() == 10 && value.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    let allowed = "must be the 10 capital letters and digits that Apple shows";
    fits.then_some(()).ok_or_else(|| invalid(setting, allowed))
}

fn check_topics(topics: &[String]) -> Result<(), InvalidApnsConfig> {
    if !topics.is_empty() && topics.iter().all(|topic| is_bundle_id(topic)) {
        return Ok(());
    }
    let allowed = "must be bundle ids, each 1 to 128 letters, digits, dots, hyphens and underscores, such as \
                   [\"org.example.login\"]";
    Err(invalid("topics", allowed))
}

fn check_url(setting: &'static str, value: &str) -> Result<Url, InvalidApnsConfig> {
    let allowed = "must be an origin: https://HOST or https://HOST:PORT with no path after it";
    let is_https_origin = is_origin(value) && value.starts_with("https://");
    let url = Url::parse(value).ok().filter(|_| is_https_origin);
    url.ok_or_else(|| invalid(setting, allowed))
}
