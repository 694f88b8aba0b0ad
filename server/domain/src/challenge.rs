//! The challenge record: what was asked, of whom, and where it stands.

use std::time::Duration;

use countersign_proto::{
    envelope::{self, EnvelopeFault},
    statement::{ChallengeStatement, Envelope},
    time::UnixTime,
};
use prost::Message as _;
use serde::{Deserialize, Serialize};

use crate::{
    code::Codes,
    id::{ApplicationId, ChallengeId, DeviceId},
    state::State,
};

/// How long a challenge stays readable after it expired.
pub const READABLE_AFTER_EXPIRY: Duration = Duration::from_mins(15);
/// How long after its approval a challenge may be redeemed.
pub const REDEEM_WITHIN: Duration = Duration::from_mins(2);

/// One challenge. All but `state` and the wrong codes stays as it was created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengeRecord {
    /// Its id.
    pub id: ChallengeId,
    /// Whose it is.
    pub application_id: ApplicationId,
    /// SHA-256 of the request that made it: the same attempt must come with the same content.
    pub request_sha256: [u8; 32],
    /// By the server's clock.
    pub created_at: UnixTime,
    /// By the server's clock.
    pub expires_at: UnixTime,
    /// The signed challenge: an encoded `Envelope`.
    pub challenge: Vec<u8>,
    /// Who may answer.
    pub asked: Vec<AskedDevice>,
    /// Which codes may settle it, and how many were wrong.
    pub codes: Codes,
    /// Whether its devices are woken, as it was decided when it was made. Should pushes be blocked while it is pending, it
    /// is told as blocked.
    pub wakeup: Wakeup,
    /// Where it stands.
    pub state: State,
}

/// Whether a challenge's devices are woken. They can pull it in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wakeup {
    /// They are.
    Sending,
    /// There is none: a code is the only way.
    NoDevice,
    /// Too many wake-ups were not answered.
    HeldBack {
        /// From then on they are woken for new challenges.
        until: UnixTime,
    },
    /// The person said 'it was not me'.
    Blocked,
}

/// A device that was asked, as it was when it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedDevice {
    /// Its id.
    pub id: DeviceId,
    /// For 'we asked Anna's Pixel'.
    pub name: String,
    /// HMAC over device id and public key: whoever writes the store can add no device.
    pub tag: FactorTag,
    /// No settlement by it is earlier.
    pub bound_at: UnixTime,
    /// Whether it could be woken when it was asked.
    pub has_push_target: bool,
}

/// HMAC under a subkey of the master key: over a device's id and public key, or over the id of a TOTP secret or recovery
/// code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FactorTag(pub [u8; 32]);

impl ChallengeRecord {
    /// Until when it can be read.
    pub fn readable_until(&self) -> UnixTime {
        self.expires_at.plus(READABLE_AFTER_EXPIRY)
    }

    /// The last moment (exclusive) to redeem an approval.
    pub fn redeem_before(&self) -> Option<UnixTime> {
        match &self.state {
            State::Approved { settled, .. } => Some(settled.settled_at.plus(REDEEM_WITHIN)),
            _ => None,
        }
    }

    /// The signed challenge.
    pub fn envelope(&self) -> Envelope {
        Envelope::decode(self.challenge.as_slice()).unwrap_or_default()
    }

    /// What is signed in it. Read, not verified: where it lets somebody in, it is verified besides.
    pub fn statement(&self) -> Result<ChallengeStatement, EnvelopeFault> {
        envelope::read(&self.envelope())
    }

    /// The device with this tag, when it was asked. Of a challenge as it is told, the tags are those of the keys that
    /// the devices have now.
    ///
    /// One that was bound at or after the challenge's end, because the clock stepped back in between, counts
    /// as not asked: no settlement by it could lie after its binding and before the expiry.
    pub fn asked_device(&self, tag: FactorTag) -> Option<&AskedDevice> {
        self.asked.iter().find(|device| device.tag == tag && device.bound_at < self.expires_at)
    }
}
