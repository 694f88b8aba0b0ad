//! Time-based one-time passwords (RFC 6238).

use std::{fmt, str::FromStr};

use countersign_proto::{common::TotpAlgorithm, time::UnixTime};
use serde::{Deserialize, Serialize};
use totp_rs::{Builder, Secret};

/// A step's length, which every authenticator app knows.
pub const PERIOD_SECONDS: u32 = 30;
/// Steps on either side of the present one whose codes count too (RFC 6238, section 5.2).
const WINDOW: u64 = 1;

/// The hash function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// The one that every authenticator app knows.
    #[default]
    Sha1,
    /// HMAC-SHA-256.
    Sha256,
    /// HMAC-SHA-512.
    Sha512,
}

/// How codes follow from a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// The hash function.
    pub algorithm: Algorithm,
    /// 6 or 8.
    pub digits: u32,
    /// A step's length; never 0.
    pub period_seconds: u32,
}

impl Algorithm {
    /// Bytes of a new secret: as many as the hash has (RFC 6238, section 5.1).
    pub fn secret_bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// The contract's word for it.
    pub fn to_wire(self) -> TotpAlgorithm {
        match self {
            Self::Sha1 => TotpAlgorithm::Sha1,
            Self::Sha256 => TotpAlgorithm::Sha256,
            Self::Sha512 => TotpAlgorithm::Sha512,
        }
    }

    /// From the contract's word for it.
    pub fn from_wire(algorithm: TotpAlgorithm) -> Option<Self> {
        match algorithm {
            TotpAlgorithm::Unspecified => None,
            TotpAlgorithm::Sha1 => Some(Self::Sha1),
            TotpAlgorithm::Sha256 => Some(Self::Sha256),
            TotpAlgorithm::Sha512 => Some(Self::Sha512),
        }
    }

    fn of_library(self) -> totp_rs::Algorithm {
        match self {
            Self::Sha1 => totp_rs::Algorithm::SHA1,
            Self::Sha256 => totp_rs::Algorithm::SHA256,
            Self::Sha512 => totp_rs::Algorithm::SHA512,
        }
    }
}

/// As in otpauth URIs and policies.
impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
        })
    }
}

/// Fails with what is wrong and what is allowed.
impl FromStr for Algorithm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "SHA1" => Ok(Self::Sha1),
            "SHA256" => Ok(Self::Sha256),
            "SHA512" => Ok(Self::Sha512),
            _ => Err(format!("is {text:?}; allowed is SHA1, SHA256 or SHA512")),
        }
    }
}

impl Parameters {
    /// The digits of `text`, if it is a code of this form: spaces and hyphens between them do not matter.
    pub fn code(self, text: &str) -> Option<String> {
        let code: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        let is_code = code.len() == self.digits as usize && code.bytes().all(|byte| byte.is_ascii_digit());
        is_code.then_some(code)
    }

    /// The step that `time` lies in.
    pub fn step_at(self, time: UnixTime) -> u64 {
        let seconds = u64::try_from(time.as_seconds()).unwrap_or_default();
        seconds / u64::from(self.period_seconds.max(1))
    }

    /// The step whose code is `code`, of the present one and its neighbours; the newest where several have it.
    /// Takes as long whichever digit differs, and compares with every step.
    pub fn matching_step(self, secret: &[u8], code: &str, now: UnixTime) -> Option<u64> {
        let totp = self.over(secret);
        let present = self.step_at(now);
        let steps = present.saturating_sub(WINDOW)..=present + WINDOW;
        steps.fold(None, |found, step| {
            totp.check(code, step * u64::from(self.period_seconds)).map(|_| step).or(found)
        })
    }

    /// Whether `code` is the code of `step`. Takes as long whichever digit differs.
    pub fn is_code_of_step(self, secret: &[u8], code: &str, step: u64) -> bool {
        self.over(secret).check(code, step * u64::from(self.period_seconds)).is_some()
    }

    /// The code of a step.
    pub fn code_of_step(self, secret: &[u8], step: u64) -> String {
        self.over(secret).generate(step * u64::from(self.period_seconds)).to_string()
    }

    /// One step only; which ones count is decided here.
    fn over(self, secret: &[u8]) -> totp_rs::Totp {
        Builder::new()
            .with_algorithm(self.algorithm.of_library())
            .with_digits(if self.digits == 8 { 8 } else { 6 })
            .with_step_duration(u64::from(self.period_seconds.max(1)))
            .with_skew(0)
            .with_secret(Secret::new(secret.into()))
            .build_noncompliant()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B: each hash has a seed of its own length (erratum 2866).
    fn seed(algorithm: Algorithm) -> Vec<u8> {
        b"1234567890".iter().copied().cycle().take(algorithm.secret_bytes()).collect()
    }

    fn parameters(algorithm: Algorithm, digits: u32) -> Parameters {
        Parameters { algorithm, digits, period_seconds: PERIOD_SECONDS }
    }

    #[test]
    fn the_vectors_of_the_rfc_in_eight_and_six_digits() {
        for (seconds, sha1, sha256, sha512) in [
            (59, "94287082", "46119246", "90693936"),
            (1_111_111_109, "07081804", "68084774", "25091201"),
            (1_111_111_111, "14050471", "67062674", "99943326"),
            (1_234_567_890, "89005924", "91819424", "93441116"),
            (2_000_000_000, "69279037", "90698825", "38618901"),
            (20_000_000_000, "65353130", "77737706", "47863826"),
        ] {
            let now = UnixTime::from_millis(seconds * 1000);
            for (algorithm, code) in
                [(Algorithm::Sha1, sha1), (Algorithm::Sha256, sha256), (Algorithm::Sha512, sha512)]
            {
                let secret = seed(algorithm);
                for code in [code, &code[2..]] {
                    let parameters = parameters(algorithm, u32::try_from(code.len()).expect("8 or 6"));
                    let step = parameters.step_at(now);
                    assert_eq!(parameters.code_of_step(&secret, step), code);
                    assert_eq!(parameters.matching_step(&secret, code, now), Some(step));
                }
            }
        }
    }

    #[test]
    fn one_step_either_side_counts_and_no_more() {
        let parameters = parameters(Algorithm::Sha1, 6);
        let secret = seed(Algorithm::Sha1);
        let step = 41_152_263;
        let code = parameters.code_of_step(&secret, step);
        let at = |step: u64| UnixTime::from_millis(i64::try_from(step * 30_000).expect("a time"));
        for (shown_at, matches) in
            [(step - 2, false), (step - 1, true), (step, true), (step + 1, true), (step + 2, false)]
        {
            let found = parameters.matching_step(&secret, &code, at(shown_at));
            assert_eq!(found, matches.then_some(step), "{shown_at}");
        }
        assert_eq!(parameters.matching_step(&[7; 20], &code, at(step)), None);
        // The first steps of all have none before them.
        assert_eq!(parameters.matching_step(&secret, &parameters.code_of_step(&secret, 0), at(0)), Some(0));
    }

    #[test]
    fn a_code_is_its_digits_however_they_are_grouped() {
        let parameters = parameters(Algorithm::Sha1, 6);
        assert_eq!(parameters.code("123 456").as_deref(), Some("123456"));
        assert_eq!(parameters.code("123-456").as_deref(), Some("123456"));
        for bad in ["", "12345", "1234567", "12345x", "+12345", "１２３４５６"] {
            assert_eq!(parameters.code(bad), None, "{bad}");
        }
    }

    #[test]
    fn algorithms_are_read_as_they_are_written() {
        for algorithm in [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512] {
            assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
            assert_eq!(Algorithm::from_wire(algorithm.to_wire()), Some(algorithm));
        }
    }
}
