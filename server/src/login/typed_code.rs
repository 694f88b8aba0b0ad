//! What a person typed on the login page, told by its form.

use countersign_domain::{code::CodeKind, recovery_code::RecoveryCode};
use countersign_proto::common::FactorType;

use crate::refusal::Refusal;

/// Characters of a code as typed.
const MAX_CHARS: usize = 128;

/// A code of some form. Whether it is anybody's is not known yet.
pub(super) enum TypedCode {
    /// 6 or 8 digits.
    Totp(String),
    /// With its checksum right.
    Recovery(RecoveryCode),
}

impl TypedCode {
    /// Reads what was typed. `None`: by its length, characters or checksum it is no code, or none of the kind that it
    /// is said to be.
    pub(super) fn read(code: &str, factor_type: i32) -> Result<Option<Self>, Refusal> {
        if code.is_empty() || code.chars().count() > MAX_CHARS {
            return Err(Refusal::field("code", format!("must have 1 to {MAX_CHARS} characters")));
        }
        let typed = Self::by_form(code);
        Ok(match FactorType::try_from(factor_type) {
            Ok(FactorType::Unspecified) => typed,
            Ok(FactorType::Totp) => typed.filter(|typed| typed.kind() == CodeKind::Totp),
            Ok(FactorType::RecoveryCode) => typed.filter(|typed| typed.kind() == CodeKind::Recovery),
            Ok(FactorType::Device) | Err(_) => {
                return Err(Refusal::field("factor_type", "must be TOTP or RECOVERY_CODE, or unset"));
            }
        })
    }

    fn by_form(code: &str) -> Option<Self> {
        let digits: String = code.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        if matches!(digits.len(), 6 | 8) && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(Self::Totp(digits));
        }
        code.parse().ok().map(Self::Recovery)
    }

    /// Its kind.
    pub(super) fn kind(&self) -> CodeKind {
        match self {
            Self::Totp(_) => CodeKind::Totp,
            Self::Recovery(_) => CodeKind::Recovery,
        }
    }
}
