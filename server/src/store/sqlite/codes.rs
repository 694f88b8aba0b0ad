//! TOTP secrets and recovery codes.

mod row;

use countersign_domain::{
    UnixTime,
    challenge::FactorTag,
    id::{ChallengeId, FactorId, RecoveryId},
    standing::Holds,
};
use rusqlite::{Connection, params};

pub(super) use self::row::{count_confirmed_totp, insert_totp, totp_by_id};
use self::row::{current_recovery, recovery_by_id, totp_of_user, totp_state};
use super::{
    SqliteStore,
    admission::{Admission, admit, key, use_up},
    columns::{all, execute, parsed},
    devices::{by_id as device_by_id, mark_due},
    enrollments::{supersede_open, supersede_without_admission},
    failure::{Failure, Outcome},
    hold_copies,
};
use crate::store::{
    StoreFuture,
    codes::{CodeFactorState, Codes, Consumed, NewRecovery, UserCodes},
    devices::{RevokeOutcome, TombstoneDue, UserKey},
};

impl Codes for SqliteStore {
    fn of_user(&self, user: UserKey) -> StoreFuture<'_, UserCodes> {
        self.read_together("codes.of_user", move |connection, _| {
            Ok(UserCodes {
                totp: totp_of_user(connection, &user)?,
                recovery: current_recovery(connection, &user)?,
                holds: hold_copies::of_user(connection, &user)?,
            })
        })
    }

    fn by_id(&self, factor: FactorId) -> StoreFuture<'_, Option<CodeFactorState>> {
        self.read("codes.by_id", move |connection, _| by_id(connection, factor))
    }

    fn consume_totp(&self, secret: FactorId, step: u64, challenge: ChallengeId) -> StoreFuture<'_, Consumed> {
        self.write("codes.consume_totp", move |connection, _| {
            consume_totp(connection, secret, step, challenge)
        })
    }

    fn consume_recovery(&self, code: RecoveryId, challenge: ChallengeId) -> StoreFuture<'_, Consumed> {
        self.write("codes.consume_recovery", move |connection, now| {
            let current = recovery_by_id(connection, code)?
                .filter(|stored| !stored.is_replaced && stored.revoked_at.is_none());
            let Some(stored) = current else { return Ok(Consumed::Gone) };
            Ok(match stored.row.used_by {
                Some(by) if by == challenge => Consumed::Again,
                Some(_) => Consumed::Used,
                None => {
                    let update = "UPDATE recovery_codes SET used_by = ?2, used_at = ?3 WHERE id = ?1";
                    let params = params![code.to_string(), challenge.to_string(), now.as_millis()];
                    execute(connection, update, params)?;
                    Consumed::Now
                }
            })
        })
    }

    fn accept_recovery(&self, code: RecoveryId, challenge: ChallengeId) -> StoreFuture<'_, bool> {
        self.write("codes.accept_recovery", move |connection, now| {
            let accept = "UPDATE recovery_codes SET accepted_at = coalesce(accepted_at, ?3)
                WHERE id = ?1 AND used_by = ?2 AND revoked_at IS NULL";
            let params = params![code.to_string(), challenge.to_string(), now.as_millis()];
            Ok(execute(connection, accept, params)? == 1)
        })
    }

    fn release_recovery(&self, code: RecoveryId, challenge: ChallengeId) -> StoreFuture<'_, bool> {
        self.write("codes.release_recovery", move |connection, _| {
            let release = "UPDATE recovery_codes SET used_by = NULL, used_at = NULL
                WHERE id = ?1 AND used_by = ?2 AND accepted_at IS NULL";
            Ok(execute(connection, release, [code.to_string(), challenge.to_string()])? == 1)
        })
    }

    fn note_used(&self, factor: FactorId, at: UnixTime) -> StoreFuture<'_, ()> {
        self.note("codes.note_used", move |connection, _| {
            let update =
                "UPDATE totp_secrets SET last_used_at = max(coalesce(last_used_at, ?2), ?2) WHERE id = ?1";
            execute(connection, update, params![factor.to_string(), at.as_millis()])?;
            // A device's own secret is shown as the device.
            let update =
                "UPDATE devices SET last_used_at = max(coalesce(last_used_at, ?2), ?2) WHERE id = ?1";
            execute(connection, update, params![factor.to_string(), at.as_millis()]).map(|_| ())
        })
    }

    fn issue_recovery(&self, code: NewRecovery) -> StoreFuture<'_, bool> {
        self.write("codes.issue_recovery", move |connection, now| issue_recovery(connection, &code, now))
    }

    fn revoke(&self, user: UserKey, factor: FactorId, tag: FactorTag) -> StoreFuture<'_, RevokeOutcome> {
        self.write("codes.revoke", move |connection, now| revoke(connection, &user, factor, tag, now))
    }
}

/// What a challenge must know of a user's codes.
pub(super) struct Summary {
    /// See [`UserDevices::totp`](crate::store::devices::UserDevices::totp).
    pub(super) totp: Vec<FactorId>,
    /// See [`UserDevices::recovery`](crate::store::devices::UserDevices::recovery).
    pub(super) recovery: Option<(RecoveryId, Option<ChallengeId>)>,
    /// Copies of lock and block.
    pub(super) holds: Holds,
}

/// What a challenge must know of a user's codes.
pub(super) fn summary(connection: &Connection, user: &UserKey) -> Outcome<Summary> {
    let recovery = current_recovery(connection, user)?;
    Ok(Summary {
        totp: row::totp_ids(connection, user)?,
        recovery: recovery.map(|row| (row.id, row.used_by)),
        holds: hold_copies::of_user(connection, user)?,
    })
}

/// The ids of a user's TOTP secrets and recovery code that are in use, those of devices aside.
pub(super) fn in_use(connection: &Connection, user: &UserKey) -> Outcome<Vec<FactorId>> {
    let in_use = "SELECT id FROM totp_secrets
            WHERE application_id = ?1 AND user_id = ?2 AND confirmed_at IS NOT NULL AND revoked_at IS NULL
        UNION ALL SELECT id FROM recovery_codes
            WHERE application_id = ?1 AND user_id = ?2 AND replaced_at IS NULL AND revoked_at IS NULL";
    all(connection, in_use, key(user), |row| parsed(row, 0))
}

/// Forgets secrets and codes of a user.
pub(super) fn forget_user_codes(connection: &Connection, user: &UserKey) -> Outcome<()> {
    for forget in [
        "DELETE FROM totp_secrets WHERE application_id = ?1 AND user_id = ?2",
        "DELETE FROM recovery_codes WHERE application_id = ?1 AND user_id = ?2",
    ] {
        execute(connection, forget, key(user))?;
    }
    Ok(())
}

/// A code confirmed the secret; its step counts as used.
pub(super) fn confirm_totp(connection: &Connection, id: FactorId, step: u64, now: UnixTime) -> Outcome<()> {
    let update = "UPDATE totp_secrets SET confirmed_at = ?2, step = ?3, used_by = NULL
        WHERE id = ?1 AND confirmed_at IS NULL";
    execute(connection, update, params![id.to_string(), now.as_millis(), step.cast_signed()]).map(|_| ())
}

/// Whether a factor that approved something is still the user's.
pub(super) fn is_in_force(connection: &Connection, factor: FactorId) -> Outcome<bool> {
    if let FactorId::Device(id) = factor {
        let device = device_by_id(connection, id)?;
        return Ok(device.is_some_and(|device| device.bound.is_some() && device.revoked_at.is_none()));
    }
    Ok(by_id(connection, factor)?.is_some_and(|factor| factor.is_in_force))
}

fn by_id(connection: &Connection, factor: FactorId) -> Outcome<Option<CodeFactorState>> {
    if let FactorId::Recovery(id) = factor {
        let stored = recovery_by_id(connection, id)?;
        return Ok(stored.map(|stored| CodeFactorState {
            user: stored.user,
            is_in_force: stored.revoked_at.is_none() && (!stored.is_replaced || stored.row.used_by.is_some()),
            used_by: stored.row.used_by,
        }));
    }
    let Some(state) = totp_state(connection, factor)? else { return Ok(None) };
    let used_by = state.used_by.map(|id| id.parse().map_err(|_| Failure::Damaged("an id"))).transpose()?;
    Ok(Some(CodeFactorState { user: state.user, is_in_force: state.is_in_force, used_by }))
}

fn consume_totp(
    connection: &Connection,
    secret: FactorId,
    step: u64,
    challenge: ChallengeId,
) -> Outcome<Consumed> {
    let in_force = totp_state(connection, secret)?.filter(|state| state.is_in_force);
    let Some(state) = in_force else { return Ok(Consumed::Gone) };
    let challenge = challenge.to_string();
    if state.step == Some(step) && state.used_by.as_ref() == Some(&challenge) {
        return Ok(Consumed::Again);
    }
    if state.step.is_some_and(|last| step <= last) {
        return Ok(Consumed::Used);
    }
    let update = "UPDATE totp_secrets SET step = ?2, used_by = ?3 WHERE id = ?1";
    execute(connection, update, params![secret.to_string(), step.cast_signed(), challenge])?;
    Ok(Consumed::Now)
}

fn issue_recovery(connection: &Connection, code: &NewRecovery, now: UnixTime) -> Outcome<bool> {
    if !code.approved_by.map_or(Ok(true), |by| is_in_force(connection, by))? {
        return Ok(false);
    }
    // An operator's permission is for an enrolment.
    let admission = admit(connection, &code.user, code.authorization, now)?;
    let Some(admission) = admission.filter(|admission| *admission != Admission::Allowance) else {
        return Ok(false);
    };
    let id = code.id.to_string();
    if !use_up(connection, &code.user, admission, &id, now)? {
        return Ok(false);
    }
    if !super::admission::had_factors(connection, &code.user)? {
        supersede_without_admission(connection, &code.user, None, now)?;
    }
    let [application, user_id] = key(&code.user);
    let replace = "UPDATE recovery_codes SET replaced_at = ?3
        WHERE application_id = ?1 AND user_id = ?2 AND replaced_at IS NULL AND revoked_at IS NULL";
    execute(connection, replace, params![application, user_id, now.as_millis()])?;
    let insert = "INSERT INTO recovery_codes (id, application_id, user_id, tag, created_at)
        VALUES (?1, ?2, ?3, ?4, ?5)";
    execute(connection, insert, params![id, application, user_id, code.tag, now.as_millis()])?;
    Ok(true)
}

fn revoke(
    connection: &Connection,
    user: &UserKey,
    factor: FactorId,
    tag: FactorTag,
    now: UnixTime,
) -> Outcome<RevokeOutcome> {
    let (revoked_before, update) = match factor {
        FactorId::Device(_) => return Ok(RevokeOutcome::NotFound),
        FactorId::Totp(_) => {
            let state = totp_state(connection, factor)?;
            let Some(state) = state.filter(|state| state.user == *user && state.was_confirmed) else {
                return Ok(RevokeOutcome::NotFound);
            };
            (state.revoked_at, "UPDATE totp_secrets SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL")
        }
        FactorId::Recovery(id) => {
            let stored = recovery_by_id(connection, id)?.filter(|stored| stored.user == *user);
            let Some(stored) = stored else { return Ok(RevokeOutcome::NotFound) };
            (
                stored.revoked_at,
                "UPDATE recovery_codes SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL",
            )
        }
    };
    let revoked_at = revoked_before.unwrap_or(now);
    let due = TombstoneDue { factor, user: factor.user(), tag, successor: None, revoked_at };
    if revoked_before.is_none() {
        execute(connection, update, params![factor.to_string(), now.as_millis()])?;
        mark_due(connection, &due)?;
        supersede_open(connection, user, now)?;
    }
    Ok(RevokeOutcome::Revoked(due))
}
