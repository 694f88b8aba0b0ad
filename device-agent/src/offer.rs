//! What a pairing link is for, verified before it is shown.

use std::time::Duration;

use countersign_proto::{
    device::GetOfferResponse,
    envelope,
    link::PairingLink,
    statement::{Envelope, OfferStatement},
    statement_form::MAX_NAME_CHARS,
    text,
    time::UnixTime,
    trust::ServerKey,
};

use crate::error::{Distrust, Error};

/// An offer that the link's root key stands behind: show it, ask, and accept it if the person agrees.
#[derive(Clone, Debug)]
pub struct Offer {
    pub(crate) link: PairingLink,
    pub(crate) statement: OfferStatement,
    pub(crate) digest: [u8; 32],
    pub(crate) server_key: Envelope,
    account_name: String,
    time_left: Duration,
    user_verification_required: bool,
}

impl Offer {
    /// Which application offers the account.
    pub fn application_name(&self) -> &str {
        &self.statement.application_name
    }

    /// The account, such as an e-mail address; the application's own id of the person where it gives no name.
    pub fn account_name(&self) -> &str {
        &self.account_name
    }

    /// Where the server is: scheme, host and port.
    pub fn server(&self) -> &str {
        self.link.api_origin()
    }

    /// The server's id, which is pinned when the offer is accepted.
    pub fn server_id(&self) -> &str {
        &self.statement.server_id
    }

    /// How long the link can still be used. The server's word, not signed.
    pub fn time_left(&self) -> Duration {
        self.time_left
    }

    /// Approvals for this account will be refused without a PIN or biometric. The server's word, not signed.
    pub fn user_verification_required(&self) -> bool {
        self.user_verification_required
    }
}

/// Checks the server's answer about `link`.
pub(crate) fn verify(link: PairingLink, answer: GetOfferResponse, now: UnixTime) -> Result<Offer, Error> {
    let server_key = answer.server_key.ok_or(Distrust::Missing("server key"))?;
    let key = ServerKey::open(&server_key, link.root_key).map_err(Distrust::from)?;
    let offer = answer.offer.ok_or(Distrust::Missing("offer"))?;
    let statement: OfferStatement =
        envelope::open(&offer, key.key).map_err(|fault| Distrust::Envelope { what: "offer", fault })?;
    if statement.server_id != link.root_key.thumbprint() {
        return Err(Distrust::OtherServer("offer").into());
    }
    if statement.token_sha256 != link.token.digest() {
        return Err(Distrust::OtherToken.into());
    }
    let expires_at = UnixTime::from_wire(statement.expires_at.as_ref()).expect("checked when it was read");
    if expires_at <= now {
        return Err(Error::OfferExpired { expires_at, now });
    }
    // An offer does not tell when it was signed: the key must have begun before the offer ends, and not have
    // ended yet. This leaves room for a clock that is somewhat slow.
    if expires_at <= key.not_before || key.not_after <= now {
        return Err(Distrust::ServerKeyNotValid { version: key.version, at: now }.into());
    }
    Ok(Offer {
        account_name: shown_account(&statement),
        link,
        statement,
        digest: envelope::payload_digest(&offer),
        server_key,
        time_left: duration(answer.time_left.as_ref()),
        user_verification_required: answer.user_verification_required,
    })
}

fn shown_account(offer: &OfferStatement) -> String {
    // The form of a statement holds names to the rules of shown text, but not ids.
    if offer.account_name.is_empty() {
        text::sanitized(&offer.user_id, MAX_NAME_CHARS)
    } else {
        offer.account_name.clone()
    }
}

/// A duration of the wire; what is missing or negative is none.
pub(crate) fn duration(wire: Option<&pbjson_types::Duration>) -> Duration {
    wire.and_then(|wire| Some(Duration::new(wire.seconds.try_into().ok()?, wire.nanos.try_into().ok()?)))
        .unwrap_or_default()
}
