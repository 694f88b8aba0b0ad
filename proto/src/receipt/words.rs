//! What a verified receipt proves, told to a person.

use std::fmt;

use super::VerifiedReceipt;
use crate::{
    common::{ChallengeState, DenialReason},
    key::VerificationKey,
    statement::{Purpose, UserVerification},
    text,
    time::UnixTime,
};

/// What an approval would do, in words.
pub fn purpose_in_words(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Login => "let a browser or program log in",
        Purpose::ManageFactors => "let somebody add or remove ways to log in",
        Purpose::Action => "do what the details say",
        Purpose::Unspecified => "do something unknown",
    }
}

impl fmt::Display for VerifiedReceipt {
    /// Tells what was approved or denied, by which device and when, a line for each fact.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time =
            |value| UnixTime::from_wire(value).map_or_else(|fault| fault.to_string(), |t| t.to_string());
        let shown = |value: &str| text::sanitized(value, 256);
        let outcome = match (self.settlement.state(), self.settlement.denial_reason()) {
            (ChallengeState::Approved, _) => "APPROVED",
            (_, DenialReason::NotMe) => "DENIED ('it was not me')",
            (_, DenialReason::WrongMatchCode) => "DENIED (the match code that was typed was wrong)",
            (_, _) => "DENIED ('a mistake')",
        };
        writeln!(f, "{outcome} at {}", time(self.settlement.settled_at.as_ref()))?;
        writeln!(f, "  to           {}", purpose_in_words(self.challenge.purpose()))?;
        writeln!(f, "  user         {}", shown(&self.challenge.user_id))?;
        writeln!(f, "  application  {}", shown(&self.challenge.application_id))?;
        for detail in &self.challenge.details {
            writeln!(f, "  shown        {}: {}", shown(&detail.label), shown(&detail.value))?;
        }
        let key = VerificationKey::from_wire(self.binding.public_key.as_ref());
        let key = key.map_or_else(|fault| fault.to_string(), VerificationKey::thumbprint);
        writeln!(f, "  by device    {}", shown(&self.binding.device_id))?;
        writeln!(f, "  with key     {key}, bound at {}", time(self.binding.bound_at.as_ref()))?;
        let match_code = match self.challenge.match_code_digits {
            0 => "none was asked for".to_owned(),
            _ if self.decision.match_code.is_empty() => "not typed".to_owned(),
            digits => format!("typed on the device, {digits} digits"),
        };
        writeln!(f, "  match code   {match_code}")?;
        let verification = match self.decision.user_verification() {
            UserVerification::Unspecified | UserVerification::None => "none beyond the answer itself",
            UserVerification::Pin => "PIN, password or pattern",
            UserVerification::Biometric => "biometric",
            UserVerification::DeviceLock => "the device's own lock",
        };
        writeln!(f, "  verified by  {verification} (the device's word)")?;
        writeln!(f, "  asked at     {}", time(self.challenge.created_at.as_ref()))?;
        write!(
            f,
            "  challenge    {}, server key version {}",
            shown(&self.challenge.challenge_id),
            self.key_version
        )
    }
}
