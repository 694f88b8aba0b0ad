//! One account as it lies on disk.

use countersign_proto::{
    common::TotpAlgorithm,
    device::{Account, TotpSecret},
    key::VerificationKey,
    statement::Envelope,
    statement_form::MAX_DEVICE_NAME_CHARS,
    text,
    time::UnixTime,
};
use prost::Message as _;
use serde::{Deserialize, Serialize};

use super::{Bytes, SecretKey};
use crate::{error::Distrust, offer::Offer, server_keys::ServerKeys};

/// The format that this agent writes and reads.
pub(crate) const FORMAT: u32 = 1;
/// RFC 4226, requirement R6.
const LEAST_SECRET_BYTES: usize = 16;
/// A code that lives for longer would be no one-time password.
const MAX_PERIOD_SECONDS: u64 = 300;

/// One account with its key. Deliberately without Debug: the key and push tokens are in it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    /// [`FORMAT`].
    pub(crate) format: u32,
    /// Where the API is.
    origin: String,
    /// Pinned for good.
    root_key: Bytes,
    /// From the accepted offer, like the next three.
    application_id: String,
    application_name: String,
    user_id: String,
    account_name: String,
    /// One for each enrolment.
    pub(crate) secret_key: SecretKey,
    /// Missing until the server's answer to the enrolment has come.
    pub(crate) device_id: Option<String>,
    /// As the server has it.
    device_name: String,
    /// Of the last change that is known to have been made.
    pub(crate) sequence: u64,
    /// What to add to this device's clock to get the server's.
    pub(crate) clock_offset_ms: i64,
    /// Server key statements, oldest first.
    server_keys: Vec<Bytes>,
    /// A signed change that the server has not acknowledged.
    pub(crate) pending_change: Option<Bytes>,
    /// The key that the pending change brings; either may be in force until it is acknowledged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next_key: Option<SecretKey>,
    /// What codes are made of without a network; missing where the server gave none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) totp: Option<Totp>,
}

/// Parameters of RFC 6238.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Totp {
    pub(crate) secret: Bytes,
    /// The contract's name.
    algorithm: String,
    /// 6 or 8.
    pub(crate) digits: u8,
    pub(crate) period_seconds: u64,
}

impl Totp {
    /// What the server gave, if it is of a kind that this agent knows.
    pub(crate) fn of_answer(given: &TotpSecret) -> Option<Self> {
        let seconds = given.period.as_ref().and_then(|period| u64::try_from(period.seconds).ok());
        let algorithm = given.algorithm();
        let digits = u8::try_from(given.digits).ok().filter(|digits| matches!(digits, 6 | 8));
        let is_known = algorithm != TotpAlgorithm::Unspecified && given.secret.len() >= LEAST_SECRET_BYTES;
        Some(Self {
            secret: Bytes(given.secret.clone()),
            algorithm: algorithm.as_str_name().to_owned(),
            digits: digits.filter(|_| is_known)?,
            period_seconds: seconds.filter(|seconds| (1..=MAX_PERIOD_SECONDS).contains(seconds))?,
        })
    }

    /// The hash function.
    pub(crate) fn algorithm(&self) -> Option<TotpAlgorithm> {
        TotpAlgorithm::from_str_name(&self.algorithm)
    }
}

/// What never changes about an account.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) origin: String,
    pub(crate) root: VerificationKey,
    pub(crate) server_id: String,
    pub(crate) application_id: String,
    pub(crate) application_name: String,
    pub(crate) user_id: String,
    pub(crate) account_name: String,
    pub(crate) device_id: String,
}

impl Record {
    /// An enrolment that begins, to be kept before the key's public half leaves the device.
    pub(crate) fn of_offer(offer: &Offer, secret_key: SecretKey, device_name: &str) -> Self {
        Self {
            format: FORMAT,
            origin: offer.server().to_owned(),
            root_key: Bytes(offer.link.root_key.to_bytes().to_vec()),
            application_id: offer.statement.application_id.clone(),
            application_name: offer.statement.application_name.clone(),
            user_id: offer.statement.user_id.clone(),
            account_name: offer.account_name().to_owned(),
            secret_key,
            device_id: None,
            device_name: device_name.to_owned(),
            sequence: 0,
            clock_offset_ms: 0,
            server_keys: vec![Bytes(offer.server_key.encode_to_vec())],
            pending_change: None,
            totp: None,
            next_key: None,
        }
    }

    /// Whose account it is; none while the enrolment has not been answered.
    pub(crate) fn identity(&self) -> Result<Option<Identity>, String> {
        let root =
            VerificationKey::from_bytes(&self.root_key.0).map_err(|fault| format!("root_key: {fault}"))?;
        Ok(self.device_id.as_ref().map(|device_id| Identity {
            origin: self.origin.clone(),
            root,
            server_id: root.thumbprint(),
            application_id: self.application_id.clone(),
            application_name: self.application_name.clone(),
            user_id: self.user_id.clone(),
            account_name: self.account_name.clone(),
            device_id: device_id.clone(),
        }))
    }

    /// The server's keys that this account trusts, each checked again.
    pub(crate) fn server_keys(&self, root: VerificationKey) -> Result<ServerKeys, Distrust> {
        let decoded: Result<Vec<_>, _> =
            self.server_keys.iter().map(|bytes| Envelope::decode(bytes.0.as_slice())).collect();
        let statements = decoded.map_err(|_| Distrust::Missing("server key in the state file"))?;
        Ok(ServerKeys::open(statements, root)?)
    }

    /// Keeps what the server said about its keys.
    pub(crate) fn keep_server_keys(&mut self, keys: &ServerKeys) {
        self.server_keys = keys.statements().map(|envelope| Bytes(envelope.encode_to_vec())).collect();
    }

    /// Keeps what the server has of this device.
    pub(crate) fn keep_account(&mut self, account: &Account) {
        self.sequence = self.sequence.max(account.sequence);
        self.device_name = text::sanitized(&account.device_name, MAX_DEVICE_NAME_CHARS);
    }

    /// The next key is the device's from now on.
    pub(crate) fn adopt_next_key(&mut self) {
        if let Some(key) = self.next_key.take() {
            self.secret_key = key;
        }
    }

    /// As last heard from the server.
    pub(crate) fn device_name(&self) -> &str {
        &self.device_name
    }

    /// Now by the server's clock, as far as it is known.
    pub(crate) fn server_time(&self, device_time: UnixTime) -> UnixTime {
        UnixTime::from_millis(device_time.as_millis().saturating_add(self.clock_offset_ms))
    }

    /// Keeps the difference between both clocks. Below a second it is the call's own duration.
    pub(crate) fn keep_server_time(&mut self, server_time: UnixTime, device_time: UnixTime) {
        let offset = server_time.as_millis().saturating_sub(device_time.as_millis());
        if offset.abs_diff(self.clock_offset_ms) >= 1000 {
            self.clock_offset_ms = offset;
        }
    }
}
