//! A factor becomes a user's: both sides of an enrolment.
//!
//! The backend's page shows a link; a device opens it, shows the signed offer, and answers it with a fresh
//! key; the page types the code that the device shows; the server binds key and user. An authenticator app
//! gets a TOTP secret instead, and its first code ends the enrolment.

mod device;
mod page;
mod qr;
mod totp;

use std::sync::Arc;

use countersign_domain::UnixTime;
use countersign_proto::{
    envelope,
    key::VerificationKey,
    link::{EnrollmentToken, PairingLink},
    statement::{BindingStatement, Envelope, OfferStatement},
};
use prost::Message as _;

pub use qr::terminal as qr_for_terminal;

use crate::{
    core::Core,
    refusal::Refusal,
    store::{
        devices::{Bound, DeviceRow},
        enrollments::{EnrollmentRow, NewFactor},
    },
};

/// The use cases of enrolments, in `UserService` and `DeviceService`.
#[derive(Clone)]
pub struct Enrollment {
    core: Arc<Core>,
    origins: Origins,
}

/// An enrolment that is about to begin.
struct Beginning {
    factor: NewFactor,
    /// What the page shows as a QR code.
    uri: String,
    /// The same for typing; empty for a device.
    setup_key: String,
}

/// What pairing links say of where the server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origins {
    /// Where the page behind the link is, such as `https://login.example.org`.
    pub page: String,
    /// Where devices reach the API, when that is elsewhere.
    pub api: Option<String>,
}

impl Origins {
    fn link(&self, token: EnrollmentToken, root_key: VerificationKey) -> String {
        let (page_origin, api_origin) = (self.page.clone(), self.api.clone());
        PairingLink { page_origin, token, root_key, api_origin }.to_string()
    }
}

impl Enrollment {
    /// On these foundations; links lead to `origins`.
    pub fn new(core: Arc<Core>, origins: Origins) -> Self {
        Self { core, origins }
    }
}

impl Enrollment {
    /// The offer of a stored enrolment, if the server signed it, and row, expiry and device are the ones that
    /// it is about. Whatever else stands in the store can only refuse.
    fn offer_of(&self, row: &EnrollmentRow) -> Option<OfferStatement> {
        let is_of_row = |offer: &OfferStatement| {
            offer.application_id == row.user.application.to_string()
                && offer.user_id == row.user.user_id
                && UnixTime::from_wire(offer.expires_at.as_ref()) == Ok(row.expires_at)
        };
        let is_of_user = |device: &DeviceRow| {
            device.user == row.user && device.id.user() == self.core.ids.user_tag(&row.user)
        };
        let offer = self.core.server_keys.open_own(&stored(&row.offer)).filter(is_of_row);
        if offer.is_none() || !row.device.as_ref().is_none_or(is_of_user) {
            tracing::error!(enrollment.id = %row.id, "a stored enrolment is not what its signed offer says");
            return None;
        }
        offer
    }
}

/// Signs that a key is a user's, from now on.
/// Application and user are those of the signed offer, not of any row.
fn bind(
    core: &Core,
    offer: &OfferStatement,
    device: &DeviceRow,
    source_sha256: [u8; 32],
    now: UnixTime,
) -> Result<Bound, Refusal> {
    let key = VerificationKey::from_bytes(&device.public_key)?;
    let statement = BindingStatement {
        server_id: core.server_keys.server_id().to_owned(),
        application_id: offer.application_id.clone(),
        user_id: offer.user_id.clone(),
        device_id: device.id.to_string(),
        public_key: Some(key.to_wire()),
        source_sha256: source_sha256.to_vec(),
        platform: device.platform.into(),
        bound_at: Some(now.to_wire()),
    };
    Ok(Bound { at: now, envelope: core.server_keys.sign(&statement, now)?.encode_to_vec() })
}

/// A stored envelope.
fn stored(bytes: &[u8]) -> Envelope {
    Envelope::decode(bytes).unwrap_or_default()
}

/// SHA-256 of a stored envelope's payload.
fn stored_digest(bytes: &[u8]) -> [u8; 32] {
    envelope::payload_digest(&stored(bytes))
}
