//! What a verified receipt proves, told to a person.

use std::fmt;

use super::{Proof, VerifiedReceipt};
use crate::{
    common::{ChallengeState, DenialReason, FactorType},
    key::VerificationKey,
    statement::{BindingStatement, DecisionStatement, Purpose, UserVerification},
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

fn time(value: Option<&pbjson_types::Timestamp>) -> String {
    UnixTime::from_wire(value).map_or_else(|fault| fault.to_string(), |time| time.to_string())
}

fn shown(value: &str) -> String {
    text::sanitized(value, 256)
}

impl fmt::Display for VerifiedReceipt {
    /// Tells what was approved or denied, by what and when, a line for each fact.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = match (self.settlement.state(), self.settlement.denial_reason()) {
            (ChallengeState::Approved, _) => "APPROVED",
            (_, DenialReason::NotMe) => "DENIED ('it was not me')",
            (_, DenialReason::WrongMatchCode) => "DENIED (the match code that was typed was wrong)",
            (_, DenialReason::TooManyCodes) => "DENIED (too many wrong codes were typed)",
            (_, _) => "DENIED ('a mistake')",
        };
        writeln!(f, "{outcome} at {}", time(self.settlement.settled_at.as_ref()))?;
        writeln!(f, "  to           {}", purpose_in_words(self.challenge.purpose()))?;
        writeln!(f, "  user         {}", shown(&self.challenge.user_id))?;
        writeln!(f, "  application  {}", shown(&self.challenge.application_id))?;
        // A device showed them before it was answered there; who typed a code may have seen none of them.
        let what = if self.by == Proof::Server { "detail" } else { "shown " };
        for detail in &self.challenge.details {
            writeln!(f, "  {what}       {}: {}", shown(&detail.label), shown(&detail.value))?;
        }
        match &self.by {
            Proof::Device { decision, binding } => self.tell_device(f, decision, binding)?,
            Proof::Server => self.tell_server(f)?,
        }
        writeln!(f, "  asked at     {}", time(self.challenge.created_at.as_ref()))?;
        write!(
            f,
            "  challenge    {}, server key version {}",
            shown(&self.challenge.challenge_id),
            self.key_version
        )
    }
}

impl VerifiedReceipt {
    /// Which device answered, with which key, and what the person did there.
    fn tell_device(
        &self,
        f: &mut fmt::Formatter<'_>,
        decision: &DecisionStatement,
        binding: &BindingStatement,
    ) -> fmt::Result {
        let key = VerificationKey::from_wire(binding.public_key.as_ref());
        let key = key.map_or_else(|fault| fault.to_string(), VerificationKey::thumbprint);
        writeln!(f, "  by device    {}", shown(&binding.device_id))?;
        writeln!(f, "  with key     {key}, bound at {}", time(binding.bound_at.as_ref()))?;
        let match_code = match self.challenge.match_code_digits {
            0 => "none was asked for".to_owned(),
            _ if decision.match_code.is_empty() => "not typed".to_owned(),
            digits => format!("typed on the device, {digits} digits"),
        };
        writeln!(f, "  match code   {match_code}")?;
        let verification = match decision.user_verification() {
            UserVerification::Unspecified | UserVerification::None => "none beyond the answer itself",
            UserVerification::Pin => "PIN, password or pattern",
            UserVerification::Biometric => "biometric",
            UserVerification::DeviceLock => "the device's own lock",
        };
        writeln!(f, "  verified by  {verification} (the device's word)")
    }

    /// Which code it was, that nobody but the server says so, and what only a device could have done.
    fn tell_server(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = shown(&self.settlement.factor_id);
        match self.settlement.factor_type() {
            FactorType::Totp => writeln!(f, "  by code      a TOTP code of {id}")?,
            FactorType::RecoveryCode => writeln!(f, "  by code      the recovery code {id}")?,
            FactorType::Unspecified | FactorType::Device => writeln!(f, "  by           the server itself")?,
        }
        writeln!(f, "  rests on     the server's word alone: no device signed this")?;
        if self.challenge.match_code_digits != 0 {
            writeln!(f, "  match code   asked of devices only")?;
        }
        if self.challenge.user_verification_required && self.settlement.state() == ChallengeState::Approved {
            writeln!(f, "  verified by  the code alone: a PIN or biometric was required of devices only")?;
        }
        Ok(())
    }
}
