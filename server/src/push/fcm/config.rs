//! What an operator sets for FCM, checked before anything is sent.

use countersign_proto::link::is_origin;
use jsonwebtoken::EncodingKey;
use reqwest::{Certificate, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::access_token;
use crate::push::connection::{TimeLimits, Tls, causes, extra_roots};

/// The settings of FCM.
#[derive(Clone, Debug)]
pub struct FcmConfig {
    /// The content of a service account's key file (JSON), which also names project and token endpoint.
    pub service_account_json: SecretString,
    /// Where messages are sent.
    pub base_url: String,
    /// Certificates that are trusted beside the system's, as PEM, by FCM and the token endpoint.
    pub ca_pem: Option<String>,
    /// How long an attempt may take, and how long fetching an access token.
    pub time_limits: TimeLimits,
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("fcm.{setting} {allowed}")]
pub struct InvalidFcmConfig {
    /// Its key in the section `[fcm]`.
    pub setting: &'static str,
    /// What it must be, to be read after its name.
    pub allowed: String,
}

/// The settings in the form in which they are used.
pub(super) struct Checked {
    pub(super) account: Account,
    pub(super) send_url: Url,
    pub(super) tls: Tls,
}

/// A service account that signs.
pub(super) struct Account {
    /// Its `iss`.
    pub(super) client_email: String,
    /// Its `kid`.
    pub(super) key_id: String,
    /// Of RSA.
    pub(super) signing_key: EncodingKey,
    /// The token endpoint, which is also the `aud`, as it was written.
    pub(super) token_uri: String,
    pub(super) token_url: Url,
}

/// The file, as far as it counts.
#[derive(Deserialize)]
struct KeyFile {
    r#type: String,
    project_id: String,
    private_key_id: String,
    private_key: SecretString,
    client_email: String,
    token_uri: String,
}

/// Google's server.
pub const GOOGLE_URL: &str = "https://fcm.googleapis.com";

impl FcmConfig {
    /// With Google's address and the usual time limits.
    pub fn new(service_account_json: SecretString) -> Self {
        Self {
            service_account_json,
            base_url: GOOGLE_URL.to_owned(),
            ca_pem: None,
            time_limits: TimeLimits::default(),
        }
    }

    /// Whether each setting can be used.
    pub fn validate(&self) -> Result<(), InvalidFcmConfig> {
        self.check().map(drop)
    }

    pub(super) fn check(&self) -> Result<Checked, InvalidFcmConfig> {
        let file: KeyFile =
            serde_json::from_str(self.service_account_json.expose_secret()).map_err(|error| {
                // Not its words, which may repeat what stands in the file.
                let place = format!("line {}, column {}", error.line(), error.column());
                not_an_account(&format!("it is none by {place}"))
            })?;
        if file.r#type != "service_account" {
            return Err(not_an_account("its type is another"));
        }
        let mut send_url = self.origin()?;
        send_url.set_path(&format!("/v1/projects/{}/messages:send", project(&file.project_id)?));
        let account = account(file)?;
        Ok(Checked {
            account,
            send_url,
            tls: Tls { extra_roots: self.extra_roots()?, time_limits: self.time_limits },
        })
    }

    fn origin(&self) -> Result<Url, InvalidFcmConfig> {
        let is_https_origin = is_origin(&self.base_url) && self.base_url.starts_with("https://");
        let url = Url::parse(&self.base_url).ok().filter(|_| is_https_origin);
        let allowed = "must be an origin: https://HOST or https://HOST:PORT with no path after it";
        url.ok_or_else(|| invalid("base_url", allowed))
    }

    fn extra_roots(&self) -> Result<Vec<Certificate>, InvalidFcmConfig> {
        extra_roots(self.ca_pem.as_deref()).map_err(|allowed| invalid("ca_file", allowed))
    }
}

/// No TLS client can be made.
pub(super) fn no_client(error: &reqwest::Error) -> InvalidFcmConfig {
    let causes = causes(error);
    let allowed = format!("must go with the system's certificates: no TLS client can be made ({causes})");
    invalid("ca_file", allowed)
}

/// It becomes part of the path.
fn project(id: &str) -> Result<&str, InvalidFcmConfig> {
    let fits = (1..=64).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b':'));
    fits.then_some(id).ok_or_else(|| not_an_account("its project_id is no project's"))
}

fn account(file: KeyFile) -> Result<Account, InvalidFcmConfig> {
    let no_key = || not_an_account("its private_key is no RSA key in PEM form");
    // The assertion goes there, and the access token comes from there.
    let token_url = Url::parse(&file.token_uri).ok().filter(|url| url.scheme() == "https");
    let account = Account {
        signing_key: EncodingKey::from_rsa_pem(file.private_key.expose_secret().as_bytes())
            .map_err(|_| no_key())?,
        token_url: token_url.ok_or_else(|| not_an_account("its token_uri is no https URL"))?,
        client_email: file.client_email,
        key_id: file.private_key_id,
        token_uri: file.token_uri,
    };
    // A key that is too short shows only when it signs.
    access_token::assertion(&account, 0).map_err(|_| no_key())?;
    Ok(account)
}

fn not_an_account(why: &str) -> InvalidFcmConfig {
    let allowed = format!("must be the JSON key file of a service account, as Google hands it out: {why}");
    invalid("service_account_file", allowed)
}

fn invalid(setting: &'static str, allowed: impl Into<String>) -> InvalidFcmConfig {
    InvalidFcmConfig { setting, allowed: allowed.into() }
}
