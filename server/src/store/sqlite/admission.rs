//! What a new factor rests on: that it is the user's first one, an approval, or an operator's permission.

use countersign_domain::{UnixTime, id::ChallengeId};
use rusqlite::{Connection, params};

use super::{
    allowances,
    columns::{execute, optional},
    failure::{Failure, Outcome},
};
use crate::store::devices::UserKey;

/// What a new factor rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// The user has never had a factor.
    FirstFactor,
    /// An approval, which was verified.
    Authorization(ChallengeId),
    /// An operator's permission.
    Allowance,
}

/// Whether a device of the user was ever bound, a TOTP secret confirmed or a recovery code issued.
pub(super) fn had_factors(connection: &Connection, user: &UserKey) -> Outcome<bool> {
    let had = "SELECT
        EXISTS (SELECT 1 FROM devices WHERE application_id = ?1 AND user_id = ?2 AND bound_at IS NOT NULL) OR
        EXISTS (SELECT 1 FROM totp_secrets
            WHERE application_id = ?1 AND user_id = ?2 AND confirmed_at IS NOT NULL) OR
        EXISTS (SELECT 1 FROM recovery_codes WHERE application_id = ?1 AND user_id = ?2)";
    let had = optional(connection, had, key(user), |row| Ok(row.get(0)?))?;
    had.ok_or(Failure::Damaged("the factors of a user"))
}

/// What a new factor of this user may rest on; `None`: on nothing.
pub(super) fn admit(
    connection: &Connection,
    user: &UserKey,
    authorization: Option<ChallengeId>,
    now: UnixTime,
) -> Outcome<Option<Admission>> {
    if let Some(challenge) = authorization {
        let is_used = is_authorization_used(connection, challenge)?;
        return Ok((!is_used).then_some(Admission::Authorization(challenge)));
    }
    if !had_factors(connection, user)? {
        return Ok(Some(Admission::FirstFactor));
    }
    Ok(allowances::is_allowed(connection, user, now)?.then_some(Admission::Allowance))
}

/// Uses up what the factor `used_for` rests on. `false`: that has been used for another one meanwhile.
pub(super) fn use_up(
    connection: &Connection,
    user: &UserKey,
    admission: Admission,
    used_for: &str,
    now: UnixTime,
) -> Outcome<bool> {
    let good = match admission {
        Admission::FirstFactor => Ok(!had_factors(connection, user)?),
        Admission::Authorization(challenge) => {
            let insert =
                "INSERT INTO authorizations_used (challenge_id, used_for, used_at) VALUES (?1, ?2, ?3)
                ON CONFLICT (challenge_id) DO NOTHING";
            let params = params![challenge.to_string(), used_for, now.as_millis()];
            Ok(execute(connection, insert, params)? == 1)
        }
        Admission::Allowance => allowances::forget(connection, user),
    };
    // The operator's permission was for one factor, whatever this one rests on.
    if matches!(good, Ok(true)) {
        allowances::forget(connection, user)?;
    }
    good
}

/// Whether an approval has been used for a factor.
fn is_authorization_used(connection: &Connection, challenge: ChallengeId) -> Outcome<bool> {
    let used = "SELECT 1 FROM authorizations_used WHERE challenge_id = ?1";
    Ok(optional(connection, used, [challenge.to_string()], |_| Ok(()))?.is_some())
}

/// The two columns that name a user.
pub(super) fn key(user: &UserKey) -> [String; 2] {
    [user.application.to_string(), user.user_id.clone()]
}
