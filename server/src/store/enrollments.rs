//! Enrolments under way.

use countersign_domain::{
    UnixTime,
    enrollment::State,
    id::{ApplicationId, DeviceId, EnrollmentId},
};
use countersign_proto::common::Platform;

use super::{
    StoreFuture,
    devices::{Bound, DeviceRow, UserKey},
};

/// Devices that a user may have.
pub const MAX_DEVICES: usize = 10;

/// An enrolment.
#[derive(Clone, Debug, PartialEq)]
pub struct EnrollmentRow {
    /// Its id.
    pub id: EnrollmentId,
    /// Whose factor it will be.
    pub user: UserKey,
    /// Shown by the device; empty: the user id.
    pub account_name: String,
    /// The signed offer: an encoded `Envelope`.
    pub offer: Vec<u8>,
    /// Where it stands, with its expiry sealed.
    pub state: State,
    /// When it began.
    pub created_at: UnixTime,
    /// When its time is over.
    pub expires_at: UnixTime,
    /// The device that took the link.
    pub device: Option<DeviceRow>,
}

/// An enrolment to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEnrollment {
    /// Its id.
    pub id: EnrollmentId,
    /// Whose factor it will be.
    pub user: UserKey,
    /// Shown by the device.
    pub account_name: String,
    /// HMAC of the token.
    pub token_tag: [u8; 32],
    /// The signed offer: an encoded `Envelope`.
    pub offer: Vec<u8>,
    /// When it began.
    pub created_at: UnixTime,
    /// When its time is over.
    pub expires_at: UnixTime,
}

/// A device that takes a link.
#[derive(Clone, Debug, PartialEq)]
pub struct Taking {
    /// Which enrolment.
    pub enrollment: EnrollmentId,
    /// A new id for it.
    pub device: DeviceId,
    /// Ed25519, 32 bytes.
    pub public_key: [u8; 32],
    /// Shown.
    pub name: String,
    /// Where it runs.
    pub platform: Platform,
    /// SHA-256 of the payload that brought the key.
    pub source_sha256: [u8; 32],
    /// The binding, where no confirmation is wanted.
    pub bound: Option<Bound>,
}

/// What came of taking a link.
#[derive(Clone, Debug, PartialEq)]
pub enum TakeOutcome {
    /// The enrolment has gone, or had ended before any device came.
    NotFound,
    /// Another device has taken it.
    TakenByOther,
    /// The key belongs to a device already, revoked ones included.
    KeyKnown,
    /// The user has as many devices as allowed.
    TooManyDevices,
    /// This device has taken it, now or before.
    Taken(Box<EnrollmentRow>),
}

/// What came of confirming.
#[derive(Clone, Debug, PartialEq)]
pub enum ConfirmOutcome {
    /// The application has none of this id.
    NotFound,
    /// The code was right, but the user has as many devices as allowed by now: the enrolment is superseded.
    TooManyDevices,
    /// As it stands now.
    Confirmed(Box<EnrollmentRow>),
}

/// Enrolments. Each method that reads one seals its expiry on sight.
pub trait Enrollments: Send + Sync {
    /// Begins an enrolment and supersedes the user's open ones. `false`: the user has [`MAX_DEVICES`]. Again,
    /// with the same id and token: `true`, and nothing is superseded.
    fn start(&self, enrollment: NewEnrollment) -> StoreFuture<'_, bool>;

    /// The enrolment whose token has this tag, also after it has ended, until it is cleaned away.
    fn by_token(&self, token_tag: [u8; 32]) -> StoreFuture<'_, Option<EnrollmentRow>>;

    /// An enrolment of this application.
    fn by_id(
        &self,
        application: ApplicationId,
        enrollment: EnrollmentId,
    ) -> StoreFuture<'_, Option<EnrollmentRow>>;

    /// Where the enrolment stands that brought a device.
    fn of_device(&self, device: DeviceId) -> StoreFuture<'_, Option<State>>;

    /// A device takes the link: the enrolment waits for its code, or, with `bound`, is completed.
    fn take(&self, taking: Taking) -> StoreFuture<'_, TakeOutcome>;

    /// The page typed a code for the device with `public_key`, right or not; `bound` is stored if it was right
    /// and the enrolment waited for it. Before a device has come and after the end, nothing changes.
    fn confirm(
        &self,
        application: ApplicationId,
        enrollment: EnrollmentId,
        public_key: [u8; 32],
        code_is_right: bool,
        bound: Bound,
    ) -> StoreFuture<'_, ConfirmOutcome>;

    /// SHA-256 of the payload that brought a device's key.
    fn source_sha256(&self, device: DeviceId) -> StoreFuture<'_, Option<[u8; 32]>>;

    /// Forgets enrolments whose time was over a day ago, and unconfirmed devices with them, a bounded number at
    /// a time. Returns how many enrolments it forgot.
    fn clean(&self) -> StoreFuture<'_, usize>;
}
