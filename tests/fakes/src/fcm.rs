//! A stand-in for Firebase Cloud Messaging and for Google's token endpoint, on one port.

mod check;
mod tokens;

use std::{
    io,
    ops::Deref,
    sync::{Arc, OnceLock},
};

use http::HeaderValue;
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};

use self::tokens::Tokens;
pub use crate::stand_in::{Answer, ConnectionFault, Request, StandIn};
use crate::stand_in::{Kind, Now, Provider};

/// The Firebase project that it knows.
pub const PROJECT_ID: &str = "stand-in-project";

/// A running stand-in. It ends when dropped.
pub struct FcmStandIn {
    stand_in: StandIn,
    google: Arc<Google>,
    service_account: Value,
}

/// Google's two services.
pub(crate) struct Google {
    pub(crate) tokens: Tokens,
}

/// The path of the token endpoint.
const TOKEN_PATH: &str = "/token";

impl FcmStandIn {
    /// Listens on a free port of the loopback interface. `now` is asked for the time, in seconds since the epoch.
    /// Must be called inside a tokio runtime.
    pub async fn start(now: impl Fn() -> i64 + Send + Sync + 'static) -> io::Result<Self> {
        let now: Box<Now> = Box::new(now);
        let (private_key, public_key) = key_pair()?;
        let mut made = None;
        let stand_in = StandIn::start(|origin| {
            let token_uri = format!("{origin}{TOKEN_PATH}");
            let service_account = json!({
                "type": "service_account",
                "project_id": PROJECT_ID,
                "private_key_id": tokens::KEY_ID,
                "private_key": private_key,
                "client_email": tokens::CLIENT_EMAIL,
                "client_id": "100000000000000000000",
                "token_uri": token_uri,
            });
            let google = Arc::new(Google { tokens: Tokens::new(public_key, token_uri, now)? });
            made = Some((Arc::clone(&google), service_account));
            Ok(google)
        });
        let stand_in = stand_in.await?;
        let (google, service_account) = made.expect("it listens, so it was made");
        Ok(Self { stand_in, google, service_account })
    }

    /// The content of the key file of the service account that it knows. Of RSA; the key is the same for all
    /// stand-ins of a process, because making one takes a while.
    pub fn service_account(&self) -> &Value {
        &self.service_account
    }

    /// The next message that was to be validated only; waits for one. It is none of the pushes.
    pub async fn next_validation(&self) -> Request {
        self.stand_in.next_validation().await
    }

    /// The next request for an access token; waits for one.
    pub async fn next_token_request(&self) -> Request {
        self.stand_in.next_token_request().await
    }

    /// Answers the next request for an access token that passes Google's checks by `answer`; more than one queue
    /// up.
    pub fn answer_token(&self, answer: Answer) {
        self.stand_in.answer_token(answer);
    }

    /// How long access tokens live from now on, in seconds; at first 3599, as Google's.
    pub fn set_token_lifetime(&self, seconds: u32) {
        self.google.tokens.set_lifetime(seconds);
    }

    /// No access token that was issued so far is taken any more.
    pub fn revoke_tokens(&self) {
        self.google.tokens.revoke_all();
    }
}

impl Deref for FcmStandIn {
    type Target = StandIn;

    fn deref(&self) -> &StandIn {
        &self.stand_in
    }
}

impl Answer {
    /// A refusal with one of FCM's codes; `status` is that of `google.rpc.Code`.
    pub fn refuse_fcm(http_status: u16, status: &str, code: &str) -> Self {
        let details = json!([{
            "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError",
            "errorCode": code,
        }]);
        Self::refuse_google(http_status, status, "refused", &details)
    }

    /// A refusal as all of Google's APIs have it.
    pub fn refuse_google(http_status: u16, status: &str, message: &str, details: &Value) -> Self {
        let error = json!({"code": http_status, "message": message, "status": status, "details": details});
        Self::refuse_with(http_status, &json!({ "error": error }))
    }

    /// A refusal of the token endpoint (RFC 6749, section 5.2).
    pub fn refuse_token(http_status: u16, error: &str, description: &str) -> Self {
        Self::refuse_with(http_status, &json!({"error": error, "error_description": description}))
    }
}

impl Provider for Google {
    fn now(&self) -> i64 {
        self.tokens.now()
    }

    fn kind(&self, head: &http::Request<()>, body: &[u8]) -> Kind {
        if head.uri().path() == TOKEN_PATH {
            return Kind::Token;
        }
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let message = &body["message"];
        let device = message["token"].as_str().or(message["fid"].as_str()).unwrap_or_default().to_owned();
        if body["validate_only"] == true { Kind::Validation(device) } else { Kind::Push(device) }
    }

    fn check(&self, head: &http::Request<()>, body: &[u8]) -> Result<(), Answer> {
        if head.uri().path() == TOKEN_PATH {
            self.tokens.check(head, body)
        } else {
            check::check_line(head)?;
            self.tokens.check_bearer(head)?;
            check::check_message(body)
        }
    }

    /// As every token is an app's here, but the one that no app can have.
    fn answer(&self, kind: &Kind) -> Answer {
        match kind {
            Kind::Push(token) | Kind::Validation(token) if token.ends_with(&"0".repeat(100)) => {
                let details = json!([{
                    "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError",
                    "errorCode": "INVALID_ARGUMENT",
                }]);
                let message = "The registration token is not a valid FCM registration token";
                Answer::refuse_google(400, "INVALID_ARGUMENT", message, &details)
            }
            _ => Answer::Accept,
        }
    }

    fn accepted(&self, _: &http::Request<()>, kind: &Kind) -> Vec<u8> {
        let body = match kind {
            Kind::Push(_) => json!({ "name": format!("projects/{PROJECT_ID}/messages/0:1795000000000000") }),
            Kind::Validation(_) => {
                json!({ "name": format!("projects/{PROJECT_ID}/messages/fake_message_id") })
            }
            Kind::Token => self.tokens.issue(),
        };
        body.to_string().into_bytes()
    }

    fn echoed(&self, _: &http::Request<()>) -> Option<(&'static str, HeaderValue)> {
        None
    }
}

/// PEM: private, public.
fn key_pair() -> io::Result<&'static (String, String)> {
    static KEY: OnceLock<(String, String)> = OnceLock::new();
    if let Some(made) = KEY.get() {
        return Ok(made);
    }
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).map_err(io::Error::other)?;
    Ok(KEY.get_or_init(|| (key.serialize_pem(), key.public_key_pem())))
}
