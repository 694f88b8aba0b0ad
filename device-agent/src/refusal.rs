//! From a gRPC status to what the caller can do.

use std::{error::Error as _, fmt::Write as _};

use countersign_proto::{common::ErrorReason, text, time::UnixTime};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::error::{Error, Refusal};

/// `ErrorInfo.domain` of every refusal.
const DOMAIN: &str = "countersign";
/// Characters of a server's sentence that are shown.
const MAX_MESSAGE_CHARS: usize = 512;

/// What a failed call to `origin` means.
pub(crate) fn error(origin: &str, status: &Status) -> Error {
    if let Some(refusal) = refusal(status) {
        return Error::Refused(refusal);
    }
    let origin = origin.to_owned();
    let on_the_way = status.source().is_some()
        || matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled);
    if on_the_way {
        Error::Unreachable { origin, problem: root_cause(status) }
    } else {
        let message = text::sanitized(status.message(), MAX_MESSAGE_CHARS);
        Error::Unintelligible { origin, problem: format!("{:?}: {message}", status.code()) }
    }
}

/// The server's clock, if the call was refused for its time alone.
pub(crate) fn server_time_of_clock_skew(status: &Status) -> Option<UnixTime> {
    if !refusal(status)?.is(ErrorReason::ClockSkew) {
        return None;
    }
    let details = status.get_error_details();
    let seconds: i64 = details.error_info()?.metadata.get("server_time")?.parse().ok()?;
    Some(UnixTime::from_millis(seconds.checked_mul(1000)?))
}

fn refusal(status: &Status) -> Option<Refusal> {
    let details = status.get_error_details();
    let info = details.error_info().filter(|info| info.domain == DOMAIN)?;
    let mut message = status.message().to_owned();
    for violation in details.bad_request().iter().flat_map(|bad| &bad.field_violations) {
        // A String takes whatever is written to it.
        let _ = write!(message, "; {}: {}", violation.field, violation.description);
    }
    Some(Refusal {
        reason: text::sanitized(&info.reason, 64),
        message: text::sanitized(&message, MAX_MESSAGE_CHARS),
        retry_after: details.retry_info().and_then(|info| info.retry_delay),
    })
}

/// The innermost reason: 'transport error' alone helps nobody.
fn root_cause(status: &Status) -> String {
    let mut cause = status.source();
    let mut text = status.message().to_owned();
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    text::sanitized(&text, MAX_MESSAGE_CHARS)
}
