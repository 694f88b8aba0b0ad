//! An application's rules for its challenges and enrolments.

mod factors;

use std::time::Duration;

use countersign_proto::login;
use serde::{Deserialize, Serialize};

use crate::totp::Algorithm;

pub use factors::AllowedFactors;

/// The shortest life of a challenge.
pub const MIN_LIFETIME: Duration = Duration::from_secs(5);
/// The longest life of a challenge.
pub const MAX_LIFETIME: Duration = Duration::from_mins(10);
/// The most digits of a match code; the fewest are 2.
pub const MAX_MATCH_CODE_DIGITS: u32 = 6;
/// The most pending challenges that a user may have.
pub const MAX_PENDING: u32 = 10;

/// What holds where a request says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Of a challenge, 5 s to 10 min.
    pub challenge_lifetime_seconds: u64,
    /// 2 to 6.
    pub match_code_digits: u32,
    /// Whether a request may ask for no match code.
    pub match_code_optional: bool,
    /// Of each approval.
    pub user_verification_required: bool,
    /// What may settle a challenge.
    #[serde(default)]
    pub allowed_factors: AllowedFactors,
    /// Pending challenges a user, 1 to 10.
    pub max_pending_challenges: u32,
    /// Whether a device counts only once the page with the QR code has its confirmation code.
    pub enrollment_confirmation: bool,
    /// Of new TOTP secrets, 6 or 8.
    #[serde(default = "default_totp_digits")]
    pub totp_digits: u32,
    /// Of new TOTP secrets.
    #[serde(default)]
    pub totp_algorithm: Algorithm,
    /// A floor that the fields above cannot weaken.
    pub profile: Profile,
}

/// A named floor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Profile {
    /// None.
    #[default]
    None,
    /// 6 digits, at most 10 minutes, user verification (NIST SP 800-63B-4).
    Nist800_63b4,
}

/// A value that a policy or request may not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct PolicyFault {
    /// The field's name.
    pub field: &'static str,
    /// What is wrong and what is allowed.
    pub problem: String,
}

/// What a request asks for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Of the challenge.
    pub lifetime: Option<Duration>,
    /// 0: none.
    pub match_code_digits: Option<u32>,
    /// In addition to the policy.
    pub user_verification_required: bool,
    /// The contract's numbers of what may settle the challenge; empty: what the policy allows.
    pub allowed_factors: Vec<i32>,
}

/// What holds for one challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// From its creation to its expiry.
    pub lifetime: Duration,
    /// 0: no match code.
    pub match_code_digits: u32,
    /// Whether an approval without user verification is refused.
    pub user_verification_required: bool,
    /// What may settle it.
    pub factors: AllowedFactors,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            challenge_lifetime_seconds: 120,
            match_code_digits: 3,
            match_code_optional: false,
            user_verification_required: false,
            allowed_factors: AllowedFactors::default(),
            max_pending_challenges: 1,
            enrollment_confirmation: true,
            totp_digits: default_totp_digits(),
            totp_algorithm: Algorithm::default(),
            profile: Profile::None,
        }
    }
}

impl Policy {
    /// The names that [`Self::set`] knows.
    pub const FIELDS: [&str; 10] = [
        "challenge_lifetime",
        "match_code_digits",
        "match_code_optional",
        "user_verification_required",
        "allowed_factors",
        "max_pending_challenges",
        "enrollment_confirmation",
        "totp_digits",
        "totp_algorithm",
        "profile",
    ];

    /// Changes one field, given as text: `challenge_lifetime` in seconds with `s`, booleans as `true` or
    /// `false`, `totp_algorithm` as `SHA1`, `SHA256` or `SHA512`, `profile` as `none` or `nist-sp-800-63b-4`.
    pub fn set(&mut self, field: &str, value: &str) -> Result<(), PolicyFault> {
        match field {
            "challenge_lifetime" => self.challenge_lifetime_seconds = seconds("challenge_lifetime", value)?,
            "match_code_digits" => {
                self.match_code_digits = number("match_code_digits", value, 2, MAX_MATCH_CODE_DIGITS)?;
            }
            "match_code_optional" => self.match_code_optional = boolean("match_code_optional", value)?,
            "user_verification_required" => {
                self.user_verification_required = boolean("user_verification_required", value)?;
            }
            "allowed_factors" => self.allowed_factors = AllowedFactors::parse(value)?,
            "max_pending_challenges" => {
                self.max_pending_challenges = number("max_pending_challenges", value, 1, MAX_PENDING)?;
            }
            "enrollment_confirmation" => {
                self.enrollment_confirmation = boolean("enrollment_confirmation", value)?;
            }
            "totp_digits" => self.totp_digits = totp_digits(value)?,
            "totp_algorithm" => {
                self.totp_algorithm =
                    value.parse().map_err(|problem| PolicyFault { field: "totp_algorithm", problem })?;
            }
            "profile" => self.profile = profile(value)?,
            _ => {
                let problem = format!("{field:?} is not known; allowed are {}", Self::FIELDS.join(", "));
                return Err(PolicyFault { field: "the policy field", problem });
            }
        }
        Ok(())
    }

    /// Each field and its value, as [`Self::set`] takes them.
    pub fn fields(&self) -> [(&'static str, String); 10] {
        let profile = match self.profile {
            Profile::None => "none",
            Profile::Nist800_63b4 => "nist-sp-800-63b-4",
        };
        [
            ("challenge_lifetime", format!("{}s", self.challenge_lifetime_seconds)),
            ("match_code_digits", self.match_code_digits.to_string()),
            ("match_code_optional", self.match_code_optional.to_string()),
            ("user_verification_required", self.user_verification_required.to_string()),
            ("allowed_factors", self.allowed_factors.to_string()),
            ("max_pending_challenges", self.max_pending_challenges.to_string()),
            ("enrollment_confirmation", self.enrollment_confirmation.to_string()),
            ("totp_digits", self.totp_digits.to_string()),
            ("totp_algorithm", self.totp_algorithm.to_string()),
            ("profile", profile.to_owned()),
        ]
    }

    /// The rules with the profile's floor applied.
    #[must_use]
    pub fn effective(&self) -> Self {
        match self.profile {
            Profile::None => self.clone(),
            Profile::Nist800_63b4 => Self {
                match_code_digits: MAX_MATCH_CODE_DIGITS,
                match_code_optional: false,
                user_verification_required: true,
                ..self.clone()
            },
        }
    }

    /// What holds for a challenge with these wishes.
    pub fn terms(&self, wishes: &Wishes) -> Result<Terms, PolicyFault> {
        let policy = self.effective();
        let lifetime = wishes.lifetime.unwrap_or(Duration::from_secs(policy.challenge_lifetime_seconds));
        if !(MIN_LIFETIME..=MAX_LIFETIME).contains(&lifetime) {
            return Err(PolicyFault { field: "lifetime", problem: "must be 5 s to 10 min".into() });
        }
        let factors = policy.allowed_factors.narrowed(&wishes.allowed_factors)?;
        // Nobody could type it anywhere.
        let has_match_code = factors.has_device();
        let match_code_digits = match wishes.match_code_digits {
            Some(digits) if digits > 0 && !has_match_code => {
                let problem = "must be unset or 0 without DEVICE among the allowed factors";
                return Err(PolicyFault { field: "match_code_digits", problem: problem.into() });
            }
            Some(digits) => digits,
            None if has_match_code => policy.match_code_digits,
            None => 0,
        };
        let least = if policy.profile == Profile::Nist800_63b4 { MAX_MATCH_CODE_DIGITS } else { 2 };
        match match_code_digits {
            0 if policy.match_code_optional || !has_match_code => {}
            0 => {
                let problem = "may be 0 only where the application's policy has match_code_optional";
                return Err(PolicyFault { field: "match_code_digits", problem: problem.into() });
            }
            digits if (least..=MAX_MATCH_CODE_DIGITS).contains(&digits) => {}
            _ => {
                let problem = format!("must be {least} to {MAX_MATCH_CODE_DIGITS}");
                return Err(PolicyFault { field: "match_code_digits", problem });
            }
        }
        let user_verification_required =
            policy.user_verification_required || wishes.user_verification_required;
        Ok(Terms { lifetime, match_code_digits, user_verification_required, factors })
    }

    /// The contract's form of the rules that hold.
    pub fn to_wire(&self) -> login::Policy {
        let policy = self.effective();
        login::Policy {
            challenge_lifetime: Some(Duration::from_secs(policy.challenge_lifetime_seconds).into()),
            match_code_digits: policy.match_code_digits,
            match_code_optional: policy.match_code_optional,
            user_verification_required: policy.user_verification_required,
            allowed_factors: policy.allowed_factors.to_wire(),
            max_pending_challenges: policy.max_pending_challenges,
            enrollment_confirmation: policy.enrollment_confirmation,
            totp_digits: policy.totp_digits,
            totp_algorithm: policy.totp_algorithm.to_wire().into(),
            profile: match policy.profile {
                Profile::None => login::PolicyProfile::Unspecified.into(),
                Profile::Nist800_63b4 => login::PolicyProfile::NistSp80063b4.into(),
            },
        }
    }
}

fn seconds(field: &'static str, value: &str) -> Result<u64, PolicyFault> {
    let seconds = value.strip_suffix('s').unwrap_or(value).parse().ok();
    seconds
        .filter(|&seconds| (MIN_LIFETIME..=MAX_LIFETIME).contains(&Duration::from_secs(seconds)))
        .ok_or_else(|| PolicyFault { field, problem: format!("is {value:?}; allowed is 5s to 600s") })
}

fn number(field: &'static str, value: &str, least: u32, most: u32) -> Result<u32, PolicyFault> {
    let problem = || PolicyFault { field, problem: format!("is {value:?}; allowed is {least} to {most}") };
    value.parse().ok().filter(|number| (least..=most).contains(number)).ok_or_else(problem)
}

fn default_totp_digits() -> u32 {
    6
}

fn totp_digits(value: &str) -> Result<u32, PolicyFault> {
    let allowed = value.parse().ok().filter(|digits| matches!(digits, 6 | 8));
    let problem = || format!("is {value:?}; allowed is 6 or 8");
    allowed.ok_or_else(|| PolicyFault { field: "totp_digits", problem: problem() })
}

fn boolean(field: &'static str, value: &str) -> Result<bool, PolicyFault> {
    value
        .parse()
        .map_err(|_| PolicyFault { field, problem: format!("is {value:?}; allowed is true or false") })
}

fn profile(value: &str) -> Result<Profile, PolicyFault> {
    match value {
        "none" => Ok(Profile::None),
        "nist-sp-800-63b-4" => Ok(Profile::Nist800_63b4),
        _ => {
            let problem = format!("is {value:?}; allowed is none or nist-sp-800-63b-4");
            Err(PolicyFault { field: "profile", problem })
        }
    }
}

#[cfg(test)]
mod tests {
    use countersign_proto::common::FactorType;

    use super::*;
    use crate::code::CodeKind;

    #[test]
    fn a_request_may_choose_within_the_policy_only() {
        let policy = Policy::default();
        let terms = policy.terms(&Wishes::default()).expect("the defaults");
        assert_eq!(terms.lifetime, Duration::from_mins(2));
        assert_eq!(terms.match_code_digits, 3);
        assert!(!terms.user_verification_required);

        let wish = |seconds, digits| Wishes {
            lifetime: Some(Duration::from_secs(seconds)),
            match_code_digits: Some(digits),
            user_verification_required: true,
            allowed_factors: Vec::new(),
        };
        assert!(policy.terms(&wish(5, 2)).is_ok_and(|terms| terms.user_verification_required));
        assert!(policy.terms(&wish(600, 6)).is_ok());
        for (seconds, digits, field) in [
            (4, 3, "lifetime"),
            (601, 3, "lifetime"),
            (5, 0, "match_code_digits"),
            (5, 1, "match_code_digits"),
            (5, 7, "match_code_digits"),
        ] {
            assert_eq!(policy.terms(&wish(seconds, digits)).map_err(|fault| fault.field), Err(field));
        }
        let optional = Policy { match_code_optional: true, ..policy };
        assert_eq!(optional.terms(&wish(5, 0)).map(|terms| terms.match_code_digits), Ok(0));
    }

    #[test]
    fn a_profile_is_a_floor_that_nothing_weakens() {
        let mut policy = Policy::default();
        for (field, value) in
            [("profile", "nist-sp-800-63b-4"), ("match_code_optional", "true"), ("match_code_digits", "2")]
        {
            policy.set(field, value).expect("an allowed value");
        }
        let terms = policy.terms(&Wishes::default()).expect("the policy's own terms");
        assert_eq!((terms.match_code_digits, terms.user_verification_required), (6, true));
        for digits in [0, 2, 5] {
            let wishes = Wishes { match_code_digits: Some(digits), ..Wishes::default() };
            assert!(policy.terms(&wishes).is_err(), "{digits}");
        }
    }

    #[test]
    fn a_request_may_narrow_what_may_settle_it_and_not_widen_it() {
        let mut policy = Policy::default();
        policy.set("allowed_factors", "device,totp").expect("an allowed value");
        let wish = |factors: &[FactorType], digits| {
            let allowed_factors = factors.iter().map(|&factor| factor.into()).collect();
            policy.terms(&Wishes { allowed_factors, match_code_digits: digits, ..Wishes::default() })
        };
        let all = wish(&[], None).expect("what the policy allows");
        assert!(all.factors.has_device() && all.factors.has_code(CodeKind::Totp));
        assert!(!all.factors.has_code(CodeKind::Recovery));
        let code_only = wish(&[FactorType::Totp], None).expect("part of it");
        assert!(!code_only.factors.has_device());
        assert_eq!(code_only.match_code_digits, 0, "there is nothing to type it on");
        for (factors, digits, field) in [
            (vec![FactorType::RecoveryCode], None, "allowed_factors"),
            (vec![FactorType::Device, FactorType::Unspecified], None, "allowed_factors"),
            (vec![FactorType::Totp], Some(3), "match_code_digits"),
        ] {
            assert_eq!(wish(&factors, digits).map_err(|fault| fault.field), Err(field));
        }
        assert_eq!(wish(&[FactorType::Totp], Some(0)), Ok(code_only));
        let wire = policy.to_wire().allowed_factors;
        assert_eq!(wire, [FactorType::Device.into(), FactorType::Totp.into()]);
        assert_eq!(Policy::default().to_wire().allowed_factors, Vec::<i32>::new());
    }

    #[test]
    fn a_field_is_set_by_name_and_a_bad_value_changes_nothing() {
        for (field, value) in [
            ("challenge_lifetime", "4s"),
            ("challenge_lifetime", "601"),
            ("match_code_digits", "1"),
            ("match_code_digits", "x"),
            ("match_code_optional", "yes"),
            ("max_pending_challenges", "11"),
            ("totp_digits", "7"),
            ("totp_algorithm", "MD5"),
            ("profile", "best"),
            ("allowed_factors", "device,sms"),
            ("allowed_factors", ""),
            ("colour", "blue"),
        ] {
            let mut policy = Policy::default();
            let fault = policy.set(field, value).expect_err("a bad value");
            assert!(fault.to_string().contains("allowed"), "{fault}");
            assert_eq!(policy, Policy::default());
        }
        let mut again =
            Policy { profile: Profile::Nist800_63b4, match_code_optional: true, ..Policy::default() };
        let fields = again.fields();
        for (field, value) in &fields {
            again.set(field, value).expect("its own value");
        }
        assert_eq!(again.fields(), fields);
        assert_eq!(fields.map(|(field, _)| field), Policy::FIELDS);
        for field in Policy::FIELDS {
            let fault = Policy::default().set(field, "?").expect_err("no field takes a question mark");
            assert_eq!(fault.field, field);
        }
    }
}
