//! Enrolments under way.

use countersign_domain::{
    UnixTime,
    enrollment::State,
    id::{ApplicationId, ChallengeId, DeviceId, EnrollmentId, FactorId},
};
use countersign_proto::common::{FactorType, Platform};

use super::{
    StoreFuture,
    codes::{EnrollingTotp, NewTotp, TotpRow},
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
    /// Device or TOTP.
    pub factor_type: FactorType,
    /// The signed offer: an encoded `Envelope`; empty for TOTP.
    pub offer: Vec<u8>,
    /// Where it stands, with its expiry sealed.
    pub state: State,
    /// When it began.
    pub created_at: UnixTime,
    /// When its time is over.
    pub expires_at: UnixTime,
    /// The device that took the link.
    pub device: Option<DeviceRow>,
    /// The secret: the one that is enrolled, or the device's own.
    pub totp: Option<TotpRow>,
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
    /// What is enrolled.
    pub factor: NewFactor,
    /// The approval that it rests on, verified; used up when the factor is complete.
    pub authorization: Option<ChallengeId>,
    /// The factor that approved it, which must still be in force when the enrolment begins.
    pub approved_by: Option<FactorId>,
    /// When it began.
    pub created_at: UnixTime,
    /// When its time is over.
    pub expires_at: UnixTime,
}

/// What an enrolment is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewFactor {
    /// A device, which a link leads here.
    Device {
        /// HMAC of the token.
        token_tag: [u8; 32],
        /// The signed offer: an encoded `Envelope`.
        offer: Vec<u8>,
    },
    /// A TOTP secret.
    Totp(EnrollingTotp),
}

impl NewFactor {
    /// Its kind.
    pub fn factor_type(&self) -> FactorType {
        match self {
            Self::Device { .. } => FactorType::Device,
            Self::Totp(_) => FactorType::Totp,
        }
    }
}

/// What came of beginning an enrolment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartOutcome {
    /// It has begun, now or by this very call before.
    Started,
    /// The user has as many factors of this type as allowed.
    TooMany,
    /// The user has had factors, and there is neither an authorization that is unused nor an allowance.
    StepUpRequired,
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
    /// Its own TOTP secret.
    pub totp: NewTotp,
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
    TooMany,
    /// This device has taken it, now or before.
    Taken(Box<EnrollmentRow>),
}

/// What came of confirming.
#[derive(Clone, Debug, PartialEq)]
pub enum ConfirmOutcome {
    /// The application has none of this id.
    NotFound,
    /// The code was right, but the user has as many factors of this type as allowed by now: the enrolment is
    /// superseded.
    TooMany,
    /// As it stands now.
    Confirmed(Box<EnrollmentRow>),
}

/// Enrolments. Each method that reads one seals its expiry on sight.
///
/// Completing one uses up what it rests on, in the same transaction: the authorization, or the user's allowance.
/// If that has been used elsewhere meanwhile, the enrolment is superseded instead. A user's first factor ends
/// every open enrolment that rests on neither.
pub trait Enrollments: Send + Sync {
    /// Begins an enrolment and supersedes the user's open ones of the same type. A user who has had factors needs
    /// an authorization or an allowance. Again, with the same id: started, and nothing is superseded.
    fn start(&self, enrollment: NewEnrollment) -> StoreFuture<'_, StartOutcome>;

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

    /// The page typed a code of the TOTP secret that is enrolled: of `step`, or a wrong one. The step is used up
    /// with it. After the end nothing changes.
    fn confirm_totp(
        &self,
        application: ApplicationId,
        enrollment: EnrollmentId,
        step: Option<u64>,
    ) -> StoreFuture<'_, ConfirmOutcome>;

    /// SHA-256 of the payload that brought a device's key.
    fn source_sha256(&self, device: DeviceId) -> StoreFuture<'_, Option<[u8; 32]>>;

    /// Forgets enrolments whose time was over a day ago, and unconfirmed devices and secrets with them, a bounded
    /// number at a time; and authorizations that were used over a day ago. Returns how many enrolments it forgot.
    fn clean(&self) -> StoreFuture<'_, usize>;
}
