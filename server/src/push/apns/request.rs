//! One push as an HTTP request, the same for each repetition.

use countersign_proto::statement::push_target::Apns as ApnsTarget;
use http::{HeaderValue, header::AUTHORIZATION};
use reqwest::{Client, RequestBuilder, Url};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use super::{payload::Payload, provider_token::ProviderToken};
use crate::push::WakeUp;

/// What is sent, and whereto.
pub(super) struct Push<'a> {
    pub(super) target: &'a ApnsTarget,
    pub(super) wake_up: &'a WakeUp,
}

impl Push<'_> {
    /// The request, see "Sending notification requests to APNs" for the headers.
    pub(super) fn request(&self, client: &Client, base_url: &Url, token: &ProviderToken) -> RequestBuilder {
        let mut url = base_url.clone();
        url.set_path(&format!("/3/device/{}", self.target.device_token));
        let payload = serde_json::to_vec(&Payload::new(self.wake_up)).expect("plain texts and numbers");
        client
            .post(url)
            .header(AUTHORIZATION, bearer(token))
            .header("apns-topic", &self.target.topic)
            .header("apns-push-type", "alert")
            .header("apns-priority", "10")
            .header("apns-expiration", self.wake_up.expires_at.as_seconds())
            // Also the identifier under which the app can take the notification down again.
            .header("apns-collapse-id", &self.wake_up.challenge_id)
            .header("apns-id", self.id().to_string())
            .body(payload)
    }

    /// Names the push to Apple. Of challenge and device only, so that a repetition after an unknown outcome
    /// is the same push, also by another process.
    fn id(&self) -> Uuid {
        let mut hash = Sha256::new();
        for part in ["countersign apns-id", &self.wake_up.challenge_id, &self.wake_up.device_id] {
            hash.update(part);
            hash.update([0]);
        }
        let digest: [u8; 32] = hash.finalize().into();
        Builder::from_custom_bytes(*digest.first_chunk().expect("16 of 32 bytes")).into_uuid()
    }
}

fn bearer(token: &ProviderToken) -> HeaderValue {
    let mut value = HeaderValue::try_from(format!("bearer {}", token.jwt.expose_secret()))
        .expect("a JWT is base64url and dots");
    // Debug prints and HPACK's shared table leave it out.
    value.set_sensitive(true);
    value
}
