//! Waking devices: what every push channel does, what it may answer, and who drives it.
//!
//! A channel ([`apns`], [`fcm`]) tries once and says what came of it as an [`Outcome`]; the [`dispatch`]er decides
//! when to try again and tells the store. Neither ever holds up an answer to a backend.

pub mod advice;
pub mod apns;
pub mod configured;
mod connection;
pub mod dispatch;
pub mod fcm;
pub mod records;
mod reply;
pub mod trial;

use std::{future::Future, pin::Pin, time::Duration};

use countersign_proto::{statement::push_target::Target, time::UnixTime};

pub use self::connection::TimeLimits;

/// A future on the heap, as traits that are used as objects give it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One device to wake for one challenge. Nothing in it is personal: providers read nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WakeUp {
    /// `chl_...`, at most 64 bytes.
    pub challenge_id: String,
    /// `dev_...`
    pub device_id: String,
    /// When waking it serves nothing any more.
    pub expires_at: UnixTime,
}

/// What came of one attempt to wake a device. All are expected.
///
/// Reasons are words for an operator's log: the provider's own where it gave one, never a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The provider took it.
    Accepted,
    /// The provider will never reach this target again.
    TargetGone {
        /// The provider's word for why.
        reason: String,
        /// Since when, if the provider says so: a target that was registered later is still good.
        since: Option<UnixTime>,
    },
    /// The provider wants to be asked later, could not be reached, or took the push without a word: try
    /// again. A push that was taken already is replaced by its repetition, not shown twice.
    Retry {
        /// Not before that long, when the provider says so.
        after: Option<Duration>,
        /// Why.
        reason: String,
    },
    /// An operator must change something: trying again serves nothing.
    Misconfigured {
        /// What is wrong.
        reason: String,
    },
    /// The provider refused the push itself, for a reason that this version does not know or should never
    /// give rise to: trying again serves nothing.
    Unknown {
        /// What the provider said.
        reason: String,
    },
}

impl Outcome {
    /// The provider's word, or ours, for why it was not taken.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Accepted => None,
            Self::TargetGone { reason, .. }
            | Self::Retry { reason, .. }
            | Self::Misconfigured { reason }
            | Self::Unknown { reason } => Some(reason),
        }
    }
}

/// A push provider's client.
pub trait PushChannel: Send + Sync {
    /// Tries once to wake the device behind `target`. May be dropped at any point; a call with the same
    /// challenge and device repeats the same push.
    fn send<'a>(&'a self, target: &'a Target, wake_up: &'a WakeUp) -> BoxFuture<'a, Outcome>;
}
