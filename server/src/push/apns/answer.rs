//! What Apple answers, and what it means for the push.
//!
//! Status codes and reasons are those of Apple's "Handling notification responses from APNs". A reason that
//! is not known is judged by its status.

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
    reason: Option<Reason>,
    /// Since when the device token is gone, in milliseconds since the epoch.
    timestamp: Option<i64>,
    retry_after: Option<Duration>,
    date: Option<UnixTime>,
}

/// The body of a refusal.
#[derive(Deserialize)]
struct ErrorBody {
    reason: Reason,
    timestamp: Option<i64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Reason {
    Known(KnownReason),
    New(String),
}

/// Apple's table, and `BadEnvironmentKeyInToken`, which is not in it but is what Apple's servers send for
/// `BadEnvironmentKeyIdInToken`.
#[derive(Clone, Copy, Debug, Deserialize)]
enum KnownReason {
    BadCollapseId,
    BadDeviceToken,
    BadExpirationDate,
    BadMessageId,
    BadPriority,
    BadTopic,
    DeviceTokenNotForTopic,
    DuplicateHeaders,
    IdleTimeout,
    InvalidPushType,
    MissingDeviceToken,
    MissingTopic,
    PayloadEmpty,
    TopicDisallowed,
    BadCertificate,
    BadCertificateEnvironment,
    ExpiredProviderToken,
    Forbidden,
    InvalidProviderToken,
    MissingProviderToken,
    UnrelatedKeyIdInToken,
    #[serde(alias = "BadEnvironmentKeyInToken")]
    BadEnvironmentKeyIdInToken,
    BadPath,
    MethodNotAllowed,
    ExpiredToken,
    Unregistered,
    PayloadTooLarge,
    TooManyProviderTokenUpdates,
    TooManyRequests,
    InternalServerError,
    ServiceUnavailable,
    Shutdown,
}

/// What follows from an answer.
enum Meaning {
    Accepted,
    Gone,
    Retry,
    Misconfigured,
    Unknown,
}

impl Answer {
    /// A body that is no JSON leaves the status to judge by.
    pub(super) fn of(reply: &Reply, now: UnixTime) -> Self {
        let body = if reply.status.is_success() {
            None
        } else {
            serde_json::from_slice::<ErrorBody>(&reply.body).ok()
        };
        let (reason, timestamp) = body.map(|body| (body.reason, body.timestamp)).unzip();
        Self {
            status: reply.status,
            reason,
            timestamp: timestamp.flatten(),
            retry_after: reply.retry_after(now),
            date: reply.date(),
        }
    }

    /// Whether the provider token is too old by Apple's clock.
    pub(super) fn wants_new_provider_token(&self) -> bool {
        matches!(self.reason, Some(Reason::Known(KnownReason::ExpiredProviderToken)))
    }

    /// Apple's clock, if it told it.
    pub(super) fn date(&self) -> Option<UnixTime> {
        self.date
    }

    /// What it would come to if the device token were good; none: Apple has nothing but that against the push.
    pub(super) fn fault_beside_device_token(&self) -> Option<Outcome> {
        match (self.outcome(), &self.reason) {
            // Of a token that no device has, this says that the key is not for the topic.
            (
                Outcome::TargetGone { reason, .. },
                Some(Reason::Known(KnownReason::DeviceTokenNotForTopic)),
            ) => Some(Outcome::Misconfigured { reason }),
            (Outcome::Accepted | Outcome::TargetGone { .. }, _) => None,
            (outcome, _) => Some(outcome),
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        let reason = self.words();
        match self.meaning() {
            Meaning::Accepted => Outcome::Accepted,
            Meaning::Gone => Outcome::TargetGone { reason, since: self.timestamp.map(UnixTime::from_millis) },
            Meaning::Retry => Outcome::Retry { after: self.retry_after, reason },
            Meaning::Misconfigured => Outcome::Misconfigured { reason },
            Meaning::Unknown => Outcome::Unknown { reason },
        }
    }

    fn meaning(&self) -> Meaning {
        match (self.status, &self.reason) {
            (StatusCode::OK, _) => Meaning::Accepted,
            // Whatever it says: the fault is on Apple's side and may pass.
            (status, _) if status.is_server_error() => Meaning::Retry,
            (_, Some(Reason::Known(reason))) => reason.meaning(),
            (StatusCode::GONE, _) => Meaning::Gone,
            (StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT, _) => Meaning::Retry,
            // The credentials, as far as Apple's statuses tell.
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => Meaning::Misconfigured,
            _ => Meaning::Unknown,
        }
    }

    /// Such as `410 Unregistered`. The provider's word goes into the log, so it must be one.
    fn words(&self) -> String {
        let status = self.status.as_u16();
        match &self.reason {
            Some(Reason::Known(reason)) => format!("{status} {reason:?}"),
            Some(Reason::New(word)) if is_word(word) => format!("{status} {word}"),
            Some(Reason::New(_)) => format!("{status} with an unreadable reason"),
            None => format!("{status} without a reason"),
        }
    }
}

impl KnownReason {
    fn meaning(self) -> Meaning {
        match self {
            // A token for another app or the other environment is as lost as one that has ended: this
            // target will never be reached.
            Self::BadDeviceToken | Self::DeviceTokenNotForTopic | Self::ExpiredToken | Self::Unregistered => {
                Meaning::Gone
            }
            Self::IdleTimeout
            // It came twice in a row: Apple's clock and ours differ, and a repetition asks again.
            | Self::ExpiredProviderToken
            | Self::TooManyProviderTokenUpdates
            | Self::TooManyRequests
            | Self::InternalServerError
            | Self::ServiceUnavailable
            | Self::Shutdown => Meaning::Retry,
            Self::BadTopic
            | Self::MissingTopic
            | Self::TopicDisallowed
            | Self::BadCertificate
            | Self::BadCertificateEnvironment
            | Self::Forbidden
            | Self::InvalidProviderToken
            | Self::MissingProviderToken
            | Self::UnrelatedKeyIdInToken
            | Self::BadEnvironmentKeyIdInToken => Meaning::Misconfigured,
            // Faults of the request that this client makes for no push.
            Self::BadCollapseId
            | Self::BadExpirationDate
            | Self::BadMessageId
            | Self::BadPriority
            | Self::DuplicateHeaders
            | Self::InvalidPushType
            | Self::MissingDeviceToken
            | Self::PayloadEmpty
            | Self::BadPath
            | Self::MethodNotAllowed
            | Self::PayloadTooLarge => Meaning::Unknown,
        }
    }
}
