//! Factors that settle a challenge by a code: TOTP secrets and recovery codes.
//!
//! A code is consumed here, in the directory, bound to the challenge that it settles; so it is accepted once,
//! for ever, whatever becomes of the challenges.

use countersign_domain::{
    UnixTime,
    challenge::FactorTag,
    id::{ChallengeId, FactorId, OtpId, RecoveryId},
    standing::Holds,
    totp::{Algorithm, Parameters},
};

use super::{
    StoreFuture,
    devices::{RevokeOutcome, UserKey},
};

/// TOTP secrets that a user may have, those of devices aside.
pub const MAX_TOTP_SECRETS: usize = 5;

/// A TOTP secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TotpRow {
    /// Its id; a device's own has the device's.
    pub id: FactorId,
    /// Sealed; the keyring opens it, see [`open_totp_secret`](crate::codes::open_totp_secret).
    pub secret: Vec<u8>,
    /// The hash function.
    pub algorithm: Algorithm,
    /// 6 or 8.
    pub digits: u32,
    /// A step's length.
    pub period_seconds: u32,
    /// The device's name; empty for any other.
    pub name: String,
    /// When it was made.
    pub created_at: UnixTime,
    /// When it last settled a challenge.
    pub last_used_at: Option<UnixTime>,
    /// The last step whose code was accepted.
    pub accepted: Option<AcceptedStep>,
}

/// A step whose code was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptedStep {
    /// The step.
    pub step: u64,
    /// The challenge that it was accepted for; none: it confirmed the secret.
    pub by: Option<ChallengeId>,
}

impl TotpRow {
    /// How codes follow from the secret.
    pub fn parameters(&self) -> Parameters {
        let Self { algorithm, digits, period_seconds, .. } = *self;
        Parameters { algorithm, digits, period_seconds }
    }
}

/// A TOTP secret to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTotp {
    /// Sealed at the place of its row.
    pub secret: Vec<u8>,
    /// How codes follow from it.
    pub parameters: Parameters,
}

/// A recovery code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryRow {
    /// Its id.
    pub id: RecoveryId,
    /// HMAC of the code.
    pub tag: [u8; 32],
    /// When it was issued.
    pub created_at: UnixTime,
    /// The challenge that it was used for.
    pub used_by: Option<ChallengeId>,
}

/// A recovery code to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecovery {
    /// Its id.
    pub id: RecoveryId,
    /// Whose.
    pub user: UserKey,
    /// HMAC of the code.
    pub tag: [u8; 32],
    /// The approval that it rests on, verified; used up with it.
    pub authorization: Option<ChallengeId>,
    /// The factor that approved it, which must still be in force.
    pub approved_by: Option<FactorId>,
}

/// A user's factors that settle by a code, and what may stand in their way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserCodes {
    /// TOTP secrets in force, oldest first: confirmed ones, and those of devices in use.
    pub totp: Vec<TotpRow>,
    /// The recovery code that was issued last, also when it has been used; none when it was revoked.
    pub recovery: Option<RecoveryRow>,
    /// Lock and block, as far as they were copied and not lifted since.
    pub holds: Holds,
}

/// What came of using a code up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consumed {
    /// By this challenge, in this moment.
    Now,
    /// By this challenge before.
    Again,
    /// Elsewhere.
    Used,
    /// The factor is revoked, replaced or unknown.
    Gone,
}

/// How a factor stands that settled a challenge by a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeFactorState {
    /// Whose it is.
    pub user: UserKey,
    /// Not revoked, and confirmed; a device's: the device is in use. A recovery code that was used stays in
    /// force for what it was used for, also once another one has replaced it.
    pub is_in_force: bool,
    /// The challenge whose code was accepted last.
    pub used_by: Option<ChallengeId>,
}

/// Factors that settle by a code.
pub trait Codes: Send + Sync {
    /// Those of a user, read at one moment.
    fn of_user(&self, user: UserKey) -> StoreFuture<'_, UserCodes>;

    /// One, in whatever state.
    fn by_id(&self, factor: FactorId) -> StoreFuture<'_, Option<CodeFactorState>>;

    /// Uses the code of a step up for a challenge, and with it those of all steps before.
    fn consume_totp(&self, secret: FactorId, step: u64, challenge: ChallengeId) -> StoreFuture<'_, Consumed>;

    /// Uses a recovery code up for a challenge.
    fn consume_recovery(&self, code: RecoveryId, challenge: ChallengeId) -> StoreFuture<'_, Consumed>;

    /// Notes that a recovery code let in by this challenge: from then on it is never given back, whatever becomes of the
    /// challenge. Again: the same. `false`: it was used for another one, or is revoked.
    fn accept_recovery(&self, code: RecoveryId, challenge: ChallengeId) -> StoreFuture<'_, bool>;

    /// Gives a recovery code back that was used for a challenge which something else settled, and never let in.
    /// Whether it did.
    fn release_recovery(&self, code: RecoveryId, challenge: ChallengeId) -> StoreFuture<'_, bool>;

    /// The factor settled a challenge. On its way with the answer, which does not wait until it is written. For a
    /// recovery code there is nothing to note: its use says it.
    fn note_used(&self, factor: FactorId, at: UnixTime) -> StoreFuture<'_, ()>;

    /// Issues a recovery code in place of the one before, and uses its authorization up. A user's first factor
    /// ends every open enrolment that rests on neither an authorization nor an allowance. `false`: the user has
    /// had factors and there is no authorization, or it has been used.
    fn issue_recovery(&self, code: NewRecovery) -> StoreFuture<'_, bool>;

    /// Revokes a TOTP secret or recovery code of this user: ends every open enrolment of the user, and marks a
    /// tombstone as due, in one transaction. Again: the same outcome. A device's own secret is no factor by
    /// itself: not found.
    fn revoke(&self, user: UserKey, factor: FactorId, tag: FactorTag) -> StoreFuture<'_, RevokeOutcome>;
}

/// The new TOTP secret of an enrolment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrollingTotp {
    /// Its id.
    pub id: OtpId,
    /// The secret.
    pub totp: NewTotp,
}
