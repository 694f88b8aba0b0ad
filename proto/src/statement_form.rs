//! The form of each statement: its payload type, and which values it may hold.
//!
//! What is checked here needs no other knowledge than the statement itself; whether it fits a call or another
//! statement is for whoever received it.

use prost::Message;

use crate::{
    common::{ChallengeState, DenialReason, FactorType, Platform},
    key::{KeyFault, VerificationKey},
    statement::{
        BindingStatement, CallStatement, ChallengeStatement, DecisionStatement, Detail,
        DeviceChangeStatement, DeviceProfile, EnrollmentStatement, OfferStatement, PublicKey, Purpose,
        PushTarget, ServerKeyStatement, SettlementStatement, UserVerification, Verdict,
        device_change_statement::Change,
        push_target::{Apns, Target},
    },
    text::{self, TextFault},
    time::UnixTime,
};

/// Details a challenge may carry.
pub const MAX_DETAILS: usize = 16;
/// Characters of a detail's label.
pub const MAX_LABEL_CHARS: usize = 36;
/// Characters of a detail's value, and of a binding message.
pub const MAX_VALUE_CHARS: usize = 256;
/// Bytes of a user id.
pub const MAX_USER_ID_BYTES: usize = 256;
/// Characters of an application's or account's name.
pub const MAX_NAME_CHARS: usize = 128;
/// Characters of a device's name.
pub const MAX_DEVICE_NAME_CHARS: usize = 64;
/// Characters of an app version.
pub const MAX_APP_VERSION_CHARS: usize = 32;

/// A statement that can stand in an envelope.
pub trait Statement: Message + Default {
    /// The envelope's `payload_type`.
    const PAYLOAD_TYPE: &'static str;
    /// The message's name, for words.
    const NAME: &'static str;

    /// Whether each value is one that this statement may hold.
    fn check(&self) -> Result<(), FieldFault>;

    /// The key that a payload of this kind brings, which signs it as well, second. Read before any signature is
    /// checked.
    fn new_key(_payload: &[u8]) -> Option<PublicKey> {
        None
    }
}

/// A field whose value is missing or not allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct FieldFault {
    /// The field's name, dotted where it is nested.
    pub field: &'static str,
    /// What is wrong and what is allowed, to be read after the field's name.
    pub problem: String,
}

impl FieldFault {
    /// A fault of `field`.
    pub fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }
}

impl Statement for ServerKeyStatement {
    const PAYLOAD_TYPE: &'static str = "application/vnd.countersign.server-key.v1+proto";
    const NAME: &'static str = "ServerKeyStatement";

    fn check(&self) -> Result<(), FieldFault> {
        /// A server key lives a year at most, leap years included.
        const LONGEST: std::time::Duration = std::time::Duration::from_hours(366 * 24);
        present("server_id", &self.server_id)?;
        if self.version == 0 {
            return Err(FieldFault::new("version", "must be 1 or more"));
        }
        public_key(self.public_key.as_ref())?;
        let not_before = time("not_before", self.not_before.as_ref())?;
        let not_after = time("not_after", self.not_after.as_ref())?;
        if not_after <= not_before || not_after.since(not_before) > LONGEST {
            return Err(FieldFault::new("not_after", "must be after not_before, by 366 days at most"));
        }
        Ok(())
    }
}

impl Statement for OfferStatement {
    const PAYLOAD_TYPE: &'static str = "application/vnd.countersign.offer.v1+proto";
    const NAME: &'static str = "OfferStatement";

    fn check(&self) -> Result<(), FieldFault> {
        present("server_id", &self.server_id)?;
        present("application_id", &self.application_id)?;
        shown("application_name", text::check_required(&self.application_name, MAX_NAME_CHARS))?;
        user_id(&self.user_id)?;
        shown("account_name", text::check(&self.account_name, MAX_NAME_CHARS))?;
        digest("token_sha256", &self.token_sha256)?;
        time("expires_at", self.expires_at.as_ref()).map(drop)
    }
}

impl Statement for EnrollmentStatement {
    const PAYLOAD_TYPE: &'static str = "application/vnd.countersign.enrollment.v1+proto";
    const NAME: &'static str = "EnrollmentStatement";

    fn check(&self) -> Result<(), FieldFault> {
        present("server_id", &self.server_id)?;
        digest("offer_sha256", &self.offer_sha256)?;
        public_key(self.public_key.as_ref())?;
        shown("device_name", text::check_required(&self.device_name, MAX_DEVICE_NAME_CHARS))?;
        platform(self.platform)
    }
}

impl Statement for BindingStatement {
    const PAYLOAD_TYPE: &'static str = "application/vnd.countersign.binding.v1+proto";
    const NAME: &'static str = "BindingStatement";

    fn check(&self) -> Result<(), FieldFault> {
        present("server_id", &self.server_id)?;
        present("application_id", &self.application_id)?;
        user_id(&self.user_id)?;
        present("device_id", &self.device_id)?;
        public_key(self.public_key.as_ref())?;
        digest("source_sha256", &self.source_sha256)?;
        platform(self.platform)?;
        time("bound_at", self.bound_at.as_ref()).map(drop)
    }
}

impl Statement for ChallengeStatement {
    const PAYLOAD_TYPE: &'static str = "application/vnd.countersign.challenge.v1+proto";
    const NAME: &'static str = "ChallengeStatement";

    fn check(&self) -> Result<(), FieldFault> {
        present("server_id", &self.server_id)?;
        present("challenge_id", &self.challenge_id)?;
        present("application_id", &self.application_id)?;
        user_id(&self.user_id)?;
        if !matches!(
            Purpose::try_from(self.purpose),
            Ok(Purpose::Login | Purpose::ManageFactors | Purpose::Action)
        ) {
            return Err(FieldFault::new("purpose", "must be LOGIN, MANAGE_FACTORS or ACTION"));
        }
        let created_at = time("created_at", self.created_at.as_ref())?;
        let expires_at = time("expires_at", self.expires_at.as_ref())?;
        if expires_at <= created_at {
            return Err(FieldFault::new("expires_at", "must be after created_at"));
        }
        if self.details.len() > MAX_DETAILS {
            return Err(FieldFault::new("details", format!("are more than the {MAX_DETAILS} allowed")));
        }
        self.details.iter().try_for_each(detail)?;
        if !matches!(self.match_code_digits, 0 | 2..=6) {
            return Err(FieldFault::new("match_code_digits", "must be 0 or 2 to 6"));
        }
        digest("attempt_sha256", &self.attempt_sha256)
    }
}

impl Statement for DecisionStatement {
    const PAYLOAD_TYPE: &'static str = "application/vnd.countersign.decision.v1+proto";
    const NAME: &'static str = "DecisionStatement";

    fn check(&self) -> Result<(), FieldFault> {
        present("server_id", &self.server_id)?;
        digest("challenge_sha256", &self.challenge_sha256)?;
        present("challenge_id", &self.challenge_id)?;
        present("device_id", &self.device_id)?;
        let reason = DenialReason::try_from(self.denial_reason);
        let verification = UserVerification::try_from(self.user_verification);
        match Verdict::try_from(self.verdict) {
            Ok(Verdict::Approve) => {
                if reason != Ok(DenialReason::Unspecified) {
                    return Err(FieldFault::new("denial_reason", "must be unset with APPROVE"));
                }
                if matches!(verification, Ok(UserVerification::Unspecified) | Err(_)) {
                    return Err(FieldFault::new(
                        "user_verification",
                        "must be NONE, PIN, BIOMETRIC or DEVICE_LOCK with APPROVE",
                    ));
                }
            }
            Ok(Verdict::Deny) => {
                if !matches!(reason, Ok(DenialReason::NotMe | DenialReason::Mistake)) {
                    return Err(FieldFault::new("denial_reason", "must be NOT_ME or MISTAKE with DENY"));
                }
                if !self.match_code.is_empty() {
                    return Err(FieldFault::new("match_code", "must be empty with DENY"));
                }
                if verification != Ok(UserVerification::Unspecified) {
                    return Err(FieldFault::new("user_verification", "must be unset with DENY"));
                }
            }
            Ok(Verdict::Unspecified) | Err(_) => {
                return Err(FieldFault::new("verdict", "must be APPROVE or DENY"));
            }
        }
        time("decided_at", self.decided_at.as_ref()).map(drop)
    }
}

impl Statement for SettlementStatement {
    const PAYLOAD_TYPE: &'static str = "application/vnd.countersign.settlement.v1+proto";
    const NAME: &'static str = "SettlementStatement";

    fn check(&self) -> Result<(), FieldFault> {
        present("server_id", &self.server_id)?;
        digest("challenge_sha256", &self.challenge_sha256)?;
        present("challenge_id", &self.challenge_id)?;
        let reason = DenialReason::try_from(self.denial_reason);
        match ChallengeState::try_from(self.state) {
            Ok(ChallengeState::Approved) => {
                if reason != Ok(DenialReason::Unspecified) {
                    return Err(FieldFault::new("denial_reason", "must be unset with APPROVED"));
                }
            }
            Ok(ChallengeState::Denied) => {
                if matches!(reason, Ok(DenialReason::Unspecified) | Err(_)) {
                    return Err(FieldFault::new("denial_reason", "must be given with DENIED"));
                }
            }
            _ => return Err(FieldFault::new("state", "must be APPROVED or DENIED")),
        }
        settled_by(self)?;
        time("settled_at", self.settled_at.as_ref()).map(drop)
    }
}

impl Statement for CallStatement {
    const PAYLOAD_TYPE: &'static str = "application/vnd.countersign.call.v1+proto";
    const NAME: &'static str = "CallStatement";

    fn check(&self) -> Result<(), FieldFault> {
        present("server_id", &self.server_id)?;
        present("device_id", &self.device_id)?;
        present("method", &self.method)?;
        time("issued_at", self.issued_at.as_ref()).map(drop)
    }
}

impl Statement for DeviceChangeStatement {
    const PAYLOAD_TYPE: &'static str = "application/vnd.countersign.device-change.v1+proto";
    const NAME: &'static str = "DeviceChangeStatement";

    fn check(&self) -> Result<(), FieldFault> {
        present("server_id", &self.server_id)?;
        present("device_id", &self.device_id)?;
        if self.sequence == 0 {
            return Err(FieldFault::new("sequence", "must be 1 or more"));
        }
        match &self.change {
            Some(Change::Profile(profile)) => device_profile(profile),
            Some(Change::NewKey(key)) => acceptable("new_key", Some(key)),
            Some(Change::Unenroll(_)) => Ok(()),
            None => Err(FieldFault::new("change", "must be given")),
        }
    }

    fn new_key(payload: &[u8]) -> Option<PublicKey> {
        match Self::decode(payload).ok()?.change? {
            Change::NewKey(key) => Some(key),
            Change::Profile(_) | Change::Unenroll(_) => None,
        }
    }
}

/// What settled it must fit the reason, and have what belongs to it: a device by its decision, a code that was
/// right, or the server by itself after too many wrong codes.
fn settled_by(settlement: &SettlementStatement) -> Result<(), FieldFault> {
    let factor = FactorType::try_from(settlement.factor_type);
    let (is_allowed, allowed) = match settlement.denial_reason() {
        DenialReason::Unspecified => (
            matches!(factor, Ok(FactorType::Device | FactorType::Totp | FactorType::RecoveryCode)),
            "must be DEVICE, TOTP or RECOVERY_CODE with APPROVED",
        ),
        DenialReason::TooManyCodes => {
            (factor == Ok(FactorType::Unspecified), "must be unset with TOO_MANY_CODES")
        }
        DenialReason::NotMe | DenialReason::Mistake | DenialReason::WrongMatchCode => {
            (factor == Ok(FactorType::Device), "must be DEVICE with NOT_ME, MISTAKE or WRONG_MATCH_CODE")
        }
    };
    if !is_allowed {
        return Err(FieldFault::new("factor_type", allowed));
    }
    if factor != Ok(FactorType::Unspecified) {
        present("factor_id", &settlement.factor_id)?;
    } else if !settlement.factor_id.is_empty() {
        return Err(FieldFault::new("factor_id", "must be empty with TOO_MANY_CODES"));
    }
    if factor == Ok(FactorType::Device) {
        digest("decision_sha256", &settlement.decision_sha256)
    } else if settlement.decision_sha256.is_empty() {
        Ok(())
    } else {
        Err(FieldFault::new("decision_sha256", "must be empty where no device decided"))
    }
}

fn device_profile(profile: &DeviceProfile) -> Result<(), FieldFault> {
    if let Some(name) = &profile.device_name {
        shown("profile.device_name", text::check_required(name, MAX_DEVICE_NAME_CHARS))?;
    }
    if let Some(target) = &profile.push_target {
        push_target(target)?;
    }
    if let Some(version) = &profile.app_version {
        shown("profile.app_version", text::check(version, MAX_APP_VERSION_CHARS))?;
    }
    match profile.locale.as_deref() {
        Some(locale) if !is_language_tag(locale) => Err(FieldFault::new(
            "profile.locale",
            "must be a BCP 47 language tag of at most 35 characters, such as \"de\" or \"pt-BR\", or empty",
        )),
        _ => Ok(()),
    }
}

/// Whether `target` has the form of one. Whether it is one, only its provider knows.
pub fn push_target(target: &PushTarget) -> Result<(), FieldFault> {
    match &target.target {
        None => Ok(()),
        Some(Target::Apns(apns)) => apns_target(apns),
        Some(Target::Fcm(fcm)) if is_registration_token(&fcm.registration_token) => Ok(()),
        Some(Target::Fcm(_)) => Err(FieldFault::new(
            "profile.push_target.fcm.registration_token",
            "must be 22 to 4096 letters, digits, colons, hyphens and underscores",
        )),
    }
}

fn apns_target(apns: &Apns) -> Result<(), FieldFault> {
    if !is_device_token(&apns.device_token) {
        return Err(FieldFault::new(
            "profile.push_target.apns.device_token",
            "must be 8 to 256 hexadecimal digits",
        ));
    }
    if !is_bundle_id(&apns.topic) {
        return Err(FieldFault::new(
            "profile.push_target.apns.topic",
            "must be a bundle id: 1 to 128 letters, digits, dots, hyphens and underscores",
        ));
    }
    Ok(())
}

/// Whether `text` may be an APNs device token: 8 to 256 hexadecimal digits. Apple: 'APNs device tokens are of
/// variable length. Do not hard-code their size.'
fn is_device_token(text: &str) -> bool {
    (8..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether `text` may be what FCM knows an app on a device by: 22 to 4096 letters, digits, colons, hyphens and
/// underscores. Google promises no length of a registration token; they have about 140 characters, of which the
/// first 22 are the installation's id.
pub fn is_registration_token(text: &str) -> bool {
    (22..=4096).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'-' | b'_'))
}

/// Whether `text` may be an app's bundle id: 1 to 128 letters, digits, dots, hyphens and underscores.
pub fn is_bundle_id(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

/// The shape of a BCP 47 tag (RFC 5646, section 2.1): subtags of letters and digits, the first of letters.
fn is_language_tag(tag: &str) -> bool {
    let mut subtags = tag.split('-');
    tag.is_empty()
        || tag.len() <= 35
            && subtags
                .next()
                .is_some_and(|s| (2..=8).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphabetic()))
            && subtags.all(|s| (1..=8).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// Whether a detail may be shown. Its kind may be one that is not known.
fn detail(detail: &Detail) -> Result<(), FieldFault> {
    shown("details.label", text::check_required(&detail.label, MAX_LABEL_CHARS))?;
    shown("details.value", text::check_required(&detail.value, MAX_VALUE_CHARS))
}

/// Whether `user_id` is one: 1 to 256 bytes.
pub fn user_id(user_id: &str) -> Result<(), FieldFault> {
    if (1..=MAX_USER_ID_BYTES).contains(&user_id.len()) {
        Ok(())
    } else {
        Err(FieldFault::new("user_id", format!("must have 1 to {MAX_USER_ID_BYTES} bytes")))
    }
}

fn present(field: &'static str, value: &str) -> Result<(), FieldFault> {
    if value.is_empty() { Err(FieldFault::new(field, "must be given")) } else { Ok(()) }
}

fn digest(field: &'static str, value: &[u8]) -> Result<(), FieldFault> {
    if value.len() == 32 {
        Ok(())
    } else {
        Err(FieldFault::new(field, "must be a SHA-256 digest of 32 bytes"))
    }
}

fn shown(field: &'static str, result: Result<(), TextFault>) -> Result<(), FieldFault> {
    result.map_err(|fault| FieldFault::new(field, fault.to_string()))
}

fn public_key(key: Option<&PublicKey>) -> Result<(), FieldFault> {
    acceptable("public_key", key)
}

fn acceptable(field: &'static str, key: Option<&PublicKey>) -> Result<(), FieldFault> {
    VerificationKey::from_wire(key)
        .map(drop)
        .map_err(|fault: KeyFault| FieldFault::new(field, format!("is not acceptable: {fault}")))
}

fn platform(platform: i32) -> Result<(), FieldFault> {
    match Platform::try_from(platform) {
        Ok(Platform::Unspecified) | Err(_) => {
            Err(FieldFault::new("platform", "must be IOS, ANDROID, WEB or DESKTOP"))
        }
        Ok(_) => Ok(()),
    }
}

fn time(field: &'static str, value: Option<&pbjson_types::Timestamp>) -> Result<UnixTime, FieldFault> {
    UnixTime::from_wire(value).map_err(|fault| FieldFault::new(field, format!("is {fault}")))
}
