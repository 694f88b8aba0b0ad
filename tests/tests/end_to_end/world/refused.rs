//! What every refusal must have.

use std::fmt::Debug;

use countersign_proto::common::ErrorReason;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Expects a refusal for `reason`: with the status code of common.proto, a sentence, the domain, and the details
/// that belong to that reason.
#[track_caller]
pub(crate) fn refused<T: Debug>(result: Result<T, Status>, reason: ErrorReason) -> Status {
    let status = result.expect_err(reason.as_str_name());
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    assert_eq!(format!("ERROR_REASON_{}", info.reason), reason.as_str_name(), "{status:?}");
    assert_eq!(info.domain, "countersign");
    assert_eq!(status.code(), code(reason), "{status:?}");
    assert!(status.message().len() > 15 && status.message().contains(' '), "no sentence: {status:?}");
    let violations = details.bad_request().map_or(&[][..], |bad| &bad.field_violations);
    let is_named = |field: &str, problem: &str| !field.is_empty() && !problem.is_empty();
    let named = !violations.is_empty() && violations.iter().all(|v| is_named(&v.field, &v.description));
    assert_eq!(named, reason == ErrorReason::InvalidField, "{status:?}");
    let may_be_tried_again = matches!(
        reason,
        ErrorReason::RateLimited | ErrorReason::StoreUnavailable | ErrorReason::ShuttingDown
    );
    let delay = details.retry_info().and_then(|info| info.retry_delay);
    assert_eq!(delay.is_some_and(|delay| !delay.is_zero()), may_be_tried_again, "{status:?}");
    let quota = details.quota_failure().is_some_and(|quota| !quota.violations.is_empty());
    assert_eq!(quota, reason == ErrorReason::FactorLimitReached, "{status:?}");
    let key = match reason {
        ErrorReason::ClockSkew => Some("server_time"),
        ErrorReason::ChallengeNotApproved => Some("state"),
        _ => None,
    };
    assert_eq!(
        info.metadata.keys().map(String::as_str).collect::<Vec<_>>(),
        Vec::from_iter(key),
        "{status:?}"
    );
    status
}

/// [`refused`] for a field, by its path.
#[track_caller]
pub(crate) fn refused_field<T: Debug>(result: Result<T, Status>, field: &str) {
    let details = refused(result, ErrorReason::InvalidField).get_error_details();
    let violations = &details.bad_request().expect("it has been found").field_violations;
    assert_eq!(violations.iter().map(|violation| violation.field.as_str()).collect::<Vec<_>>(), [field]);
}

/// A value among the metadata of a refusal.
pub(crate) fn metadata_of(status: &Status, key: &str) -> String {
    let details = status.get_error_details();
    details.error_info().and_then(|info| info.metadata.get(key)).cloned().unwrap_or_default()
}

/// As common.proto has it, written down a second time.
fn code(reason: ErrorReason) -> Code {
    match reason {
        ErrorReason::Unspecified => panic!("is never sent"),
        ErrorReason::InvalidField
        | ErrorReason::StatementNotSupported
        | ErrorReason::StatementMismatch
        | ErrorReason::KeyNotAcceptable => Code::InvalidArgument,
        ErrorReason::CredentialInvalid | ErrorReason::ClockSkew | ErrorReason::EnrollmentTokenInvalid => {
            Code::Unauthenticated
        }
        ErrorReason::StepUpRequired => Code::PermissionDenied,
        ErrorReason::ChallengeNotFound | ErrorReason::EnrollmentNotFound | ErrorReason::FactorNotFound => {
            Code::NotFound
        }
        ErrorReason::AttemptReused => Code::AlreadyExists,
        ErrorReason::EnrollmentTokenUsed
        | ErrorReason::ChallengeNotApproved
        | ErrorReason::ApprovalExpired
        | ErrorReason::NotYourApproval
        | ErrorReason::UserVerificationRequired
        | ErrorReason::MatchCodeRequired
        | ErrorReason::SequenceUsed => Code::FailedPrecondition,
        ErrorReason::RateLimited | ErrorReason::FactorLimitReached => Code::ResourceExhausted,
        ErrorReason::StoreUnavailable | ErrorReason::ShuttingDown | ErrorReason::ServerClock => {
            Code::Unavailable
        }
    }
}
