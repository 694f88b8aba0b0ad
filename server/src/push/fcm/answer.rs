//! What Google answers, and what it means for the push.
//!
//! Codes are those of "FCM Error Codes" (in a detail of type `FcmError`), and of `google.rpc.Code` where FCM
//! gives none of its own. A code that is not known is judged by the HTTP status.

use std::time::Duration;

use countersign_proto::time::UnixTime;
use http::StatusCode;
use serde::Deserialize;

use crate::push::{
    Outcome,
    reply::{Reply, is_word},
};

/// One answer, as far as it counts.
pub(super) struct Answer {
    status: StatusCode,
    code: Option<Code>,
    /// It is the target that Google takes for malformed, not the rest of the message.
    blames_target: bool,
    retry_after: Option<Duration>,
    date: Option<UnixTime>,
}

/// The body of a refusal.
#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorObject,
}

#[derive(Deserialize)]
struct ErrorObject {
    status: Option<Code>,
    #[serde(default)]
    message: String,
    #[serde(default)]
    details: Vec<Detail>,
}

/// Of `FcmError`, `google.rpc.BadRequest`, or another type, which has neither field.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    error_code: Option<Code>,
    #[serde(default)]
    field_violations: Vec<FieldViolation>,
}

#[derive(Deserialize)]
struct FieldViolation {
    #[serde(default)]
    field: String,
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Code {
    Known(KnownCode),
    New(String),
}

/// Those of FCM, then those of `google.rpc.Code` that a refusal without one of FCM's may have.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum KnownCode {
    UnspecifiedError,
    InvalidArgument,
    Unregistered,
    SenderIdMismatch,
    QuotaExceeded,
    Unavailable,
    Internal,
    ThirdPartyAuthError,
    Unauthenticated,
    PermissionDenied,
    NotFound,
    ResourceExhausted,
    DeadlineExceeded,
}

/// What follows from an answer.
enum Meaning {
    Accepted,
    Gone,
    Retry,
    Misconfigured,
    Unknown,
}

/// Google's advice for a 429 that does not say how long to wait ("Best practices when sending FCM messages at
/// scale").
const AFTER_TOO_MANY: Duration = Duration::from_mins(1);

impl Answer {
    /// A body that is no JSON leaves the status to judge by.
    pub(super) fn of(reply: &Reply, now: UnixTime) -> Self {
        let error = if reply.status.is_success() {
            None
        } else {
            serde_json::from_slice::<ErrorBody>(&reply.body).ok().map(|body| body.error)
        };
        let of_fcm = error.as_ref().and_then(|e| e.details.iter().find_map(|d| d.error_code.clone()));
        Self {
            status: reply.status,
            blames_target: error.as_ref().is_some_and(ErrorObject::blames_target),
            code: of_fcm.or_else(|| error.and_then(|error| error.status)),
            retry_after: reply.retry_after(now),
            date: reply.date(),
        }
    }

    /// Whether the access token has ended by Google's clock, or was revoked.
    pub(super) fn refuses_access_token(&self) -> bool {
        let is_apples = matches!(self.code, Some(Code::Known(KnownCode::ThirdPartyAuthError)));
        self.status == StatusCode::UNAUTHORIZED && !is_apples
    }

    /// Google's clock, if it told it.
    pub(super) fn date(&self) -> Option<UnixTime> {
        self.date
    }

    /// What it would come to if the target were good; none: Google has nothing but that against the message. To take the
    /// target for another project's, Google has taken the service account for this one's.
    pub(super) fn fault_beside_target(&self) -> Option<Outcome> {
        let is_of_other_project = matches!(self.code, Some(Code::Known(KnownCode::SenderIdMismatch)));
        match self.outcome() {
            Outcome::Accepted | Outcome::TargetGone { .. } => None,
            Outcome::Misconfigured { .. } if is_of_other_project => None,
            outcome => Some(outcome),
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        let reason = self.words();
        match self.meaning() {
            Meaning::Accepted => Outcome::Accepted,
            Meaning::Gone => Outcome::TargetGone { reason, since: None },
            Meaning::Retry => Outcome::Retry { after: self.after(), reason },
            Meaning::Misconfigured => Outcome::Misconfigured { reason },
            Meaning::Unknown => Outcome::Unknown { reason },
        }
    }

    fn meaning(&self) -> Meaning {
        match (self.status, &self.code) {
            (StatusCode::OK, _) => Meaning::Accepted,
            // Whatever it says: the fault is on Google's side and may pass.
            (status, _) if status.is_server_error() => Meaning::Retry,
            (_, Some(Code::Known(KnownCode::InvalidArgument))) if self.blames_target => Meaning::Gone,
            (_, Some(Code::Known(code))) if !matches!(code, KnownCode::UnspecifiedError) => code.meaning(),
            (StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT, _) => Meaning::Retry,
            // The credentials, or a project that there is not.
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND, _) => {
                Meaning::Misconfigured
            }
            _ => Meaning::Unknown,
        }
    }

    fn after(&self) -> Option<Duration> {
        let is_too_many = self.status == StatusCode::TOO_MANY_REQUESTS;
        self.retry_after.or(is_too_many.then_some(AFTER_TOO_MANY))
    }

    /// Such as `404 UNREGISTERED`. The provider's word goes into the log, so it must be one.
    fn words(&self) -> String {
        let status = self.status.as_u16();
        match &self.code {
            Some(Code::Known(code)) if self.blames_target => format!("{status} {} (the target)", code.word()),
            Some(Code::Known(code)) => format!("{status} {}", code.word()),
            Some(Code::New(word)) if is_word(word) => format!("{status} {word}"),
            Some(Code::New(_)) => format!("{status} with an unreadable code"),
            None => format!("{status} without a code"),
        }
    }
}

impl ErrorObject {
    /// Google: `INVALID_ARGUMENT` signals an invalid token only if the payload is valid. So it counts only where
    /// the target's field, or the registration token in so many words, is named.
    fn blames_target(&self) -> bool {
        let fields = self.details.iter().flat_map(|detail| &detail.field_violations);
        let names_field = |v: &FieldViolation| matches!(v.field.as_str(), "message.token" | "message.fid");
        fields.into_iter().any(names_field) || self.message.contains("not a valid FCM registration token")
    }
}

impl KnownCode {
    fn meaning(self) -> Meaning {
        match self {
            Self::Unregistered => Meaning::Gone,
            Self::QuotaExceeded
            | Self::Unavailable
            | Self::Internal
            | Self::ResourceExhausted
            | Self::DeadlineExceeded => Meaning::Retry,
            // The target is of another project. Not gone: if it is the server that has the wrong service account,
            // all of them are, and good again once that is put right.
            Self::SenderIdMismatch
            | Self::ThirdPartyAuthError
            | Self::Unauthenticated
            | Self::PermissionDenied
            | Self::NotFound => Meaning::Misconfigured,
            Self::InvalidArgument | Self::UnspecifiedError => Meaning::Unknown,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::UnspecifiedError => "UNSPECIFIED_ERROR",
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::Unregistered => "UNREGISTERED",
            Self::SenderIdMismatch => "SENDER_ID_MISMATCH",
            Self::QuotaExceeded => "QUOTA_EXCEEDED",
            Self::Unavailable => "UNAVAILABLE",
            Self::Internal => "INTERNAL",
            Self::ThirdPartyAuthError => "THIRD_PARTY_AUTH_ERROR",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::NotFound => "NOT_FOUND",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
        }
    }
}
