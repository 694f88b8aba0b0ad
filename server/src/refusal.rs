//! Why a call is refused: a reason of the contract, and a sentence that a person can act on.

mod status;

use countersign_domain::policy::PolicyFault;
use countersign_proto::{
    common::{ChallengeState, ErrorReason},
    envelope::EnvelopeFault,
    key::KeyFault,
    statement_form::FieldFault,
    text::TextFault,
    time::UnixTime,
};

use crate::store::{StoreError, enrollments::MAX_DEVICES};

/// Why a call is refused. What is expected is no refusal: a denied or expired challenge is an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A field of the request.
    #[error("{field} {problem}")]
    InvalidField {
        /// Its path, such as `source.ip_address`.
        field: String,
        /// What is wrong and what is allowed.
        problem: String,
    },
    /// An envelope that this server does not take.
    #[error("the statement is not taken: {0}")]
    StatementNotSupported(String),
    /// A signed field that does not fit the call.
    #[error("the signed {0} differs from the one of this call")]
    StatementMismatch(&'static str),
    /// A key that cannot be taken.
    #[error("the public key is not acceptable: {0}")]
    KeyNotAcceptable(String),
    /// No credential that counts: which part is wrong is not told.
    #[error("{0}")]
    CredentialInvalid(&'static str),
    /// A right call statement at a wrong time.
    #[error(
        "the call's time is more than 60 s from the server's; set the clock by server_time and call again"
    )]
    ClockSkew(UnixTime),
    /// Unknown or expired.
    #[error("this link is not valid any more: ask for a new one on the page that showed it")]
    EnrollmentTokenInvalid,
    /// Somebody else was faster.
    #[error(
        "another device used this link: if that was not you, start again on the page that showed it and tell \
         your administrator"
    )]
    EnrollmentTokenUsed,
    /// None of this id, as far as the caller may know.
    #[error("there is no such challenge")]
    ChallengeNotFound,
    /// None of this id, as far as the caller may know.
    #[error("there is no such enrolment")]
    EnrollmentNotFound,
    /// None of this id, as far as the caller may know.
    #[error("the user has no such factor")]
    FactorNotFound,
    /// The attempt asked something else before.
    #[error("this attempt_id was used with other content: each login attempt needs an id of its own")]
    AttemptReused,
    /// There is nothing to redeem.
    #[error("the challenge is {}, not approved: let nobody in", .0.as_str_name().trim_start_matches("CHALLENGE_STATE_"))]
    ChallengeNotApproved(ChallengeState),
    /// It is stored as approved, but its signed statements do not prove it.
    #[error("the stored approval is not proven by its signatures: let nobody in; the server's log says more")]
    ApprovalNotProven,
    /// Too late, or by a factor that is gone.
    #[error("{0}: let nobody in and ask again")]
    ApprovalExpired(&'static str),
    /// Another user's, attempt's or purpose's.
    #[error("the challenge was made for another user, attempt or purpose: let nobody in")]
    NotYourApproval,
    /// An approval without PIN or biometric.
    #[error("this challenge needs user verification (PIN, biometric or the device's lock) to be approved")]
    UserVerificationRequired,
    /// An approval without the match code, or with what is none.
    #[error("{0}")]
    MatchCodeRequired(String),
    /// The device has moved on.
    #[error("a change with this sequence or a higher one has been made; GetAccount tells the last")]
    SequenceUsed,
    /// Too much at once.
    #[error("the server has too much to do: call again in a moment")]
    RateLimited,
    /// No room for one more.
    #[error("the user has as many {kind} as allowed ({most}): revoke one first")]
    FactorLimitReached {
        /// Such as `devices`.
        kind: &'static str,
        /// How many.
        most: usize,
    },
    /// A change of factors that nobody approved.
    #[error("{0}")]
    StepUpRequired(&'static str),
    /// Nothing is known of the outcome.
    #[error("a store did not answer: the same call again finds out what came of it")]
    StoreUnavailable,
    /// Nothing can be signed or committed at the time that this server's clock shows.
    #[error("the server's clock is off, or stood still: an operator must look at it")]
    ServerClock,
    /// This server goes away.
    #[error("this server is shutting down: call again, another one answers")]
    ShuttingDown,
}

impl Refusal {
    /// A field of the request, by its path.
    pub fn field(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::InvalidField { field: field.into(), problem: problem.into() }
    }

    /// The contract's reason.
    pub fn reason(&self) -> ErrorReason {
        match self {
            Self::InvalidField { .. } => ErrorReason::InvalidField,
            Self::StatementNotSupported(_) => ErrorReason::StatementNotSupported,
            Self::StatementMismatch(_) => ErrorReason::StatementMismatch,
            Self::KeyNotAcceptable(_) => ErrorReason::KeyNotAcceptable,
            Self::CredentialInvalid(_) => ErrorReason::CredentialInvalid,
            Self::ClockSkew(_) => ErrorReason::ClockSkew,
            Self::EnrollmentTokenInvalid => ErrorReason::EnrollmentTokenInvalid,
            Self::EnrollmentTokenUsed => ErrorReason::EnrollmentTokenUsed,
            Self::ChallengeNotFound => ErrorReason::ChallengeNotFound,
            Self::EnrollmentNotFound => ErrorReason::EnrollmentNotFound,
            Self::FactorNotFound => ErrorReason::FactorNotFound,
            Self::AttemptReused => ErrorReason::AttemptReused,
            Self::ChallengeNotApproved(_) | Self::ApprovalNotProven => ErrorReason::ChallengeNotApproved,
            Self::ApprovalExpired(_) => ErrorReason::ApprovalExpired,
            Self::NotYourApproval => ErrorReason::NotYourApproval,
            Self::UserVerificationRequired => ErrorReason::UserVerificationRequired,
            Self::MatchCodeRequired(_) => ErrorReason::MatchCodeRequired,
            Self::SequenceUsed => ErrorReason::SequenceUsed,
            Self::RateLimited => ErrorReason::RateLimited,
            Self::FactorLimitReached { .. } => ErrorReason::FactorLimitReached,
            Self::StepUpRequired(_) => ErrorReason::StepUpRequired,
            Self::StoreUnavailable => ErrorReason::StoreUnavailable,
            Self::ServerClock => ErrorReason::ServerClock,
            Self::ShuttingDown => ErrorReason::ShuttingDown,
        }
    }

    /// No room for one more device.
    pub const TOO_MANY_DEVICES: Self = Self::FactorLimitReached { kind: "devices", most: MAX_DEVICES };

    /// No API key that counts.
    pub const API_KEY: Self = Self::CredentialInvalid(
        "the API key is missing, unknown or wrong: send it as 'authorization: Bearer csk_...' \
         (`countersign app create` prints one)",
    );

    /// A device's signature, or what was to be signed, that does not hold.
    pub const SIGNATURE: Self =
        Self::CredentialInvalid("the signature does not count: wrong, missing or of an unknown key");
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable => Self::StoreUnavailable,
            StoreError::Busy => Self::RateLimited,
        }
    }
}

impl From<EnvelopeFault> for Refusal {
    fn from(fault: EnvelopeFault) -> Self {
        match fault {
            EnvelopeFault::SignatureCount(_) | EnvelopeFault::KeyId | EnvelopeFault::Signature => {
                Self::SIGNATURE
            }
            EnvelopeFault::NewKey(fault) => fault.into(),
            EnvelopeFault::Field(fault) => fault.into(),
            other => Self::StatementNotSupported(other.to_string()),
        }
    }
}

impl From<FieldFault> for Refusal {
    fn from(fault: FieldFault) -> Self {
        Self::field(fault.field, fault.problem)
    }
}

impl From<PolicyFault> for Refusal {
    fn from(fault: PolicyFault) -> Self {
        Self::field(fault.field, fault.problem)
    }
}

impl From<KeyFault> for Refusal {
    fn from(fault: KeyFault) -> Self {
        match fault {
            KeyFault::Missing => Self::field("public_key", "must be given"),
            other => Self::KeyNotAcceptable(other.to_string()),
        }
    }
}

/// A text that a person is shown.
pub fn shown(field: &str, result: Result<(), TextFault>) -> Result<(), Refusal> {
    result.map_err(|fault| Refusal::field(field, fault.to_string()))
}
