//! A refusal as a gRPC status: code, sentence and `google.rpc` details.

use std::{collections::HashMap, time::Duration};

use countersign_proto::common::{ChallengeState, ErrorReason};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::Refusal;

/// `ErrorInfo.domain` of every refusal.
const DOMAIN: &str = "countersign";
/// When to try again what failed for no fault of the caller's.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let reason = refusal.reason();
        let mut details = ErrorDetails::with_error_info(name(reason), DOMAIN, metadata(&refusal));
        match &refusal {
            Refusal::InvalidField { field, problem } => {
                details.add_bad_request_violation(field, problem);
            }
            Refusal::FactorLimitReached { kind, most } => {
                let limit = format!("a user has {most} {kind} at most");
                details.add_quota_failure_violation(*kind, limit);
            }
            Refusal::RateLimited | Refusal::StoreUnavailable | Refusal::ShuttingDown => {
                details.set_retry_info(Some(RETRY_AFTER));
            }
            _ => {}
        }
        Self::with_error_details(code(reason), refusal.to_string(), details)
    }
}

/// The reason's name without prefix.
fn name(reason: ErrorReason) -> &'static str {
    let name = reason.as_str_name();
    name.strip_prefix("ERROR_REASON_").unwrap_or(name)
}

fn metadata(refusal: &Refusal) -> HashMap<String, String> {
    let entry = match refusal {
        Refusal::ClockSkew(now) => ("server_time", now.as_seconds().to_string()),
        Refusal::ChallengeNotApproved(state) => ("state", state_name(*state).to_owned()),
        _ => return HashMap::new(),
    };
    HashMap::from([(entry.0.to_owned(), entry.1)])
}

fn state_name(state: ChallengeState) -> &'static str {
    let name = state.as_str_name();
    name.strip_prefix("CHALLENGE_STATE_").unwrap_or(name)
}

fn code(reason: ErrorReason) -> Code {
    use ErrorReason as Reason;
    match reason {
        Reason::InvalidField
        | Reason::StatementNotSupported
        | Reason::StatementMismatch
        | Reason::KeyNotAcceptable => Code::InvalidArgument,
        Reason::CredentialInvalid | Reason::ClockSkew | Reason::EnrollmentTokenInvalid => {
            Code::Unauthenticated
        }
        Reason::StepUpRequired => Code::PermissionDenied,
        Reason::ChallengeNotFound | Reason::EnrollmentNotFound | Reason::FactorNotFound => Code::NotFound,
        Reason::AttemptReused => Code::AlreadyExists,
        Reason::EnrollmentTokenUsed
        | Reason::ChallengeNotApproved
        | Reason::ApprovalExpired
        | Reason::NotYourApproval
        | Reason::UserVerificationRequired
        | Reason::MatchCodeRequired
        | Reason::SequenceUsed => Code::FailedPrecondition,
        Reason::RateLimited | Reason::FactorLimitReached => Code::ResourceExhausted,
        Reason::StoreUnavailable | Reason::ShuttingDown | Reason::ServerClock => Code::Unavailable,
        Reason::Unspecified => Code::Internal,
    }
}
