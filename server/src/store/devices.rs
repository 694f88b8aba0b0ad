//! Users' devices.

use countersign_domain::{
    UnixTime,
    challenge::FactorTag,
    id::{ApplicationId, ChallengeId, DeviceId, FactorId, RecoveryId, UserTag},
    standing::Holds,
    user::Successor,
};
use countersign_proto::{
    common::{Platform, PushState},
    statement::{DeviceProfile, EnrollmentStatement, PushTarget},
};

use super::StoreFuture;

/// A user: an application's own id of a person.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UserKey {
    /// Whose user.
    pub application: ApplicationId,
    /// The application's own id of the person.
    pub user_id: String,
}

/// A device that was enrolled, confirmed or not.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceRow {
    /// Its id.
    pub id: DeviceId,
    /// Whose it is.
    pub user: UserKey,
    /// Shown.
    pub name: String,
    /// Where it runs.
    pub platform: Platform,
    /// Ed25519, 32 bytes; of no other device.
    pub public_key: [u8; 32],
    /// When it came.
    pub created_at: UnixTime,
    /// Set once it is in use; the server's signed word on it is `binding`.
    pub bound: Option<Bound>,
    /// Set once it is revoked.
    pub revoked_at: Option<UnixTime>,
    /// Where to wake it.
    pub push_target: Option<PushTarget>,
    /// Whether wake-ups reach it.
    pub push_state: PushState,
    /// As it says.
    pub app_version: String,
    /// BCP 47; empty: not given.
    pub locale: String,
    /// Of its last change; 0: none.
    pub sequence: u64,
    /// When it last settled a challenge.
    pub last_used_at: Option<UnixTime>,
    /// Its last call, to the hour.
    pub last_seen_at: Option<UnixTime>,
    /// Shown in place of the user id; empty: the user id.
    pub account_name: String,
}

impl DeviceRow {
    /// A device that has just taken a link, as its statement describes it.
    pub fn unconfirmed(
        id: DeviceId,
        user: UserKey,
        public_key: [u8; 32],
        statement: &EnrollmentStatement,
        created_at: UnixTime,
    ) -> Self {
        Self {
            id,
            user,
            name: statement.device_name.clone(),
            platform: statement.platform(),
            public_key,
            created_at,
            bound: None,
            revoked_at: None,
            push_target: None,
            push_state: PushState::None,
            app_version: String::new(),
            locale: String::new(),
            sequence: 0,
            last_used_at: None,
            last_seen_at: None,
            account_name: String::new(),
        }
    }
}

/// The server's word that a key is a user's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// When.
    pub at: UnixTime,
    /// An encoded `Envelope` with a `BindingStatement`.
    pub envelope: Vec<u8>,
}

/// What is known of a user.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserDevices {
    /// Devices that are bound and not revoked, oldest first.
    pub devices: Vec<DeviceRow>,
    /// Whether a device was ever bound, a TOTP secret confirmed or a recovery code issued.
    pub had_factors: bool,
    /// TOTP secrets in force: confirmed ones, and those of devices in use.
    pub totp: Vec<FactorId>,
    /// The recovery code that was issued last, and the challenge that it was used for.
    pub recovery: Option<(RecoveryId, Option<ChallengeId>)>,
    /// Copies of lock and block.
    pub holds: Holds,
}

/// A tombstone that must stand in the user record before a revocation or a change of key is acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TombstoneDue {
    /// Which factor.
    pub factor: FactorId,
    /// The user whose record it belongs in.
    pub user: UserTag,
    /// The device and key, or the other factor.
    pub tag: FactorTag,
    /// The device with the key that took over. None: it was revoked.
    pub successor: Option<Successor>,
    /// When it was revoked or replaced.
    pub revoked_at: UnixTime,
}

/// What came of revoking a factor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevokeOutcome {
    /// The user has no such factor, or it never came into use.
    NotFound,
    /// It is revoked; the tombstone is due.
    Revoked(TombstoneDue),
}

/// A change that a device signed.
#[derive(Clone, Debug, PartialEq)]
pub struct ProfileChange {
    /// Which device.
    pub device: DeviceId,
    /// It must still have this key.
    pub public_key: [u8; 32],
    /// Greater than in every change before.
    pub sequence: u64,
    /// SHA-256 of the signed payload: the same one again gets the same answer.
    pub payload_sha256: [u8; 32],
    /// What is set replaces what was.
    pub profile: DeviceProfile,
}

/// A new key, which old and new signed.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyChange {
    /// Which device.
    pub device: DeviceId,
    /// It must still have this key.
    pub public_key: [u8; 32],
    /// Greater than in every change before.
    pub sequence: u64,
    /// SHA-256 of the signed payload.
    pub payload_sha256: [u8; 32],
    /// The key that takes over.
    pub new_key: [u8; 32],
    /// The server's word on it.
    pub bound: Bound,
    /// The device with the old key.
    pub tag: FactorTag,
    /// The device with the new one.
    pub successor: Successor,
}

/// A goodbye that a device signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Goodbye {
    /// Which device.
    pub device: DeviceId,
    /// It must still have this key.
    pub public_key: [u8; 32],
    /// Greater than in every change before.
    pub sequence: u64,
    /// SHA-256 of the signed payload.
    pub payload_sha256: [u8; 32],
    /// The device and key.
    pub tag: FactorTag,
}

/// A key that a device had before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormerKey {
    /// Ed25519, 32 bytes.
    pub public_key: [u8; 32],
    /// The server's word on it: an encoded `Envelope` with a `BindingStatement`.
    pub binding: Vec<u8>,
}

/// What came of a change.
#[derive(Clone, Debug, PartialEq)]
pub enum ChangeOutcome {
    /// No such device with this key, or it is revoked.
    NotFound,
    /// A change with this sequence or a higher one has been made.
    SequenceUsed,
    /// The new key belongs to a device, or did.
    KeyKnown,
    /// Made, now or before; the device as it is now.
    Changed(Box<DeviceRow>),
}

/// Users' devices.
pub trait Devices: Send + Sync {
    /// The devices of a user.
    fn of_user(&self, user: UserKey) -> StoreFuture<'_, UserDevices>;

    /// One device, in whatever state.
    fn by_id(&self, device: DeviceId) -> StoreFuture<'_, Option<DeviceRow>>;

    /// Revokes a device of this user: ends every open enrolment of the user, and marks a tombstone as due, in
    /// one transaction. `tag` is the device and key's, computed by the caller from what it read; the row must
    /// still hold that `public_key`. Again: the same outcome.
    fn revoke(
        &self,
        user: UserKey,
        device: DeviceId,
        public_key: [u8; 32],
        tag: FactorTag,
    ) -> StoreFuture<'_, RevokeOutcome>;

    /// Forgets a user with all factors, bindings, enrolments, lock and block, and marks the tombstones of
    /// `factors` as due in the same transaction, each from the later of its `revoked_at` and the time of the
    /// commit on. `false`, and nothing is done: the user has a factor in use that is not among them.
    fn delete_user(&self, user: UserKey, factors: Vec<TombstoneDue>) -> StoreFuture<'_, bool>;

    /// Tombstones that are due.
    fn tombstones_due(&self) -> StoreFuture<'_, Vec<TombstoneDue>>;

    /// The tombstone with this tag stands.
    fn tombstone_stands(&self, tag: FactorTag) -> StoreFuture<'_, ()>;

    /// Changes what a device tells of itself. A new push target makes its state `OK`, none makes it `NONE`.
    fn change_profile(&self, change: ProfileChange) -> StoreFuture<'_, ChangeOutcome>;

    /// Puts a new key and its binding in place of the old one's, which are kept for receipts, and marks the tombstone of
    /// the old key as due, in one transaction. The device must be bound.
    fn replace_key(&self, change: KeyChange) -> StoreFuture<'_, ChangeOutcome>;

    /// Revokes a device that says goodbye, as [`Self::revoke`] does.
    fn take_leave(&self, goodbye: Goodbye) -> StoreFuture<'_, ChangeOutcome>;

    /// The device, if this very payload ended its use of `public_key` less than a day ago: by a new key, or by goodbye.
    fn ended_by(
        &self,
        device: DeviceId,
        public_key: [u8; 32],
        payload_sha256: [u8; 32],
    ) -> StoreFuture<'_, Option<DeviceRow>>;

    /// The keys that the device had before, newest first.
    fn former_keys(&self, device: DeviceId) -> StoreFuture<'_, Vec<FormerKey>>;

    /// The provider said that `target` is gone, `since` then where it says so: the state becomes `GONE` if it is
    /// still the device's target and was not set after that.
    fn target_gone(
        &self,
        device: DeviceId,
        target: PushTarget,
        since: Option<UnixTime>,
    ) -> StoreFuture<'_, ()>;

    /// The device settled a challenge, which was a call as well. On its way with the answer, which does not wait until
    /// it is written.
    fn note_used(&self, device: DeviceId, at: UnixTime) -> StoreFuture<'_, ()>;

    /// The device called; kept to the hour, noted only when the hour is new. On its way with the answer, which does
    /// not wait until it is written.
    fn note_seen(&self, device: DeviceId, at: UnixTime) -> StoreFuture<'_, ()>;
}
