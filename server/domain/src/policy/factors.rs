//! Which factors may settle a challenge.

use std::fmt;

use countersign_proto::common::FactorType;
use serde::{Deserialize, Serialize};

use super::PolicyFault;
use crate::code::CodeKind;

/// A set of factors, not empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowedFactors {
    device: bool,
    totp: bool,
    recovery_code: bool,
}

/// Each factor, by the name that people write.
const NAMES: [(&str, FactorType); 3] =
    [("device", FactorType::Device), ("totp", FactorType::Totp), ("recovery_code", FactorType::RecoveryCode)];

impl Default for AllowedFactors {
    fn default() -> Self {
        Self { device: true, totp: true, recovery_code: true }
    }
}

impl AllowedFactors {
    /// Whether a device may.
    pub fn has_device(self) -> bool {
        self.device
    }

    /// Whether codes of this kind may.
    pub fn has_code(self, kind: CodeKind) -> bool {
        match kind {
            CodeKind::Totp => self.totp,
            CodeKind::Recovery => self.recovery_code,
        }
    }

    /// Those of a request: each must be among these. Empty: these.
    pub(super) fn narrowed(self, wanted: &[i32]) -> Result<Self, PolicyFault> {
        let fault = |problem| PolicyFault { field: "allowed_factors", problem };
        let mut narrowed = Self { device: false, totp: false, recovery_code: false };
        for &number in wanted {
            match FactorType::try_from(number) {
                Ok(FactorType::Unspecified) | Err(_) => {
                    return Err(fault("may hold DEVICE, TOTP and RECOVERY_CODE".to_owned()));
                }
                Ok(factor) if !self.has(factor) => {
                    let name = factor.as_str_name().trim_start_matches("FACTOR_TYPE_");
                    let problem = format!("holds {name}; the application's policy allows {self} only");
                    return Err(fault(problem));
                }
                Ok(factor) => narrowed.add(factor),
            }
        }
        Ok(if wanted.is_empty() { self } else { narrowed })
    }

    /// As [`fmt::Display`] writes it: names with commas between, or `all`.
    pub(super) fn parse(text: &str) -> Result<Self, PolicyFault> {
        if text == "all" {
            return Ok(Self::default());
        }
        let mut set = Self { device: false, totp: false, recovery_code: false };
        for part in text.split(',') {
            let found = NAMES.iter().find(|(name, _)| *name == part.trim());
            let (_, factor) = found.ok_or_else(|| PolicyFault {
                field: "allowed_factors",
                problem: format!(
                    "is {text:?}; allowed is all, or some of device, totp and recovery_code with commas between"
                ),
            })?;
            set.add(*factor);
        }
        Ok(set)
    }

    /// The contract's form: empty for all.
    pub(super) fn to_wire(self) -> Vec<i32> {
        if self == Self::default() {
            return Vec::new();
        }
        NAMES.iter().filter(|(_, factor)| self.has(*factor)).map(|&(_, factor)| factor.into()).collect()
    }

    fn has(self, factor: FactorType) -> bool {
        match factor {
            FactorType::Device => self.device,
            FactorType::Totp => self.totp,
            FactorType::RecoveryCode => self.recovery_code,
            FactorType::Unspecified => false,
        }
    }

    fn add(&mut self, factor: FactorType) {
        match factor {
            FactorType::Device => self.device = true,
            FactorType::Totp => self.totp = true,
            FactorType::RecoveryCode => self.recovery_code = true,
            FactorType::Unspecified => {}
        }
    }
}

impl fmt::Display for AllowedFactors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::default() {
            return f.write_str("all");
        }
        let names = NAMES.iter().filter(|(_, factor)| self.has(*factor)).map(|&(name, _)| name);
        f.write_str(&names.collect::<Vec<_>>().join(","))
    }
}
