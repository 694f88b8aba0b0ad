//! Rows of the tables of TOTP secrets and recovery codes.

use countersign_domain::{
    UnixTime,
    id::{FactorId, RecoveryId},
    totp::Algorithm,
};
use countersign_proto::common::TotpAlgorithm;
use rusqlite::{Connection, Row, params};

use crate::store::{
    codes::{AcceptedStep, NewTotp, RecoveryRow, TotpRow},
    devices::UserKey,
    sqlite::{
        admission::key,
        columns::{all, execute, named, optional, optional_time, parsed, time},
        failure::{Failure, Outcome},
    },
};

/// Whether a secret is in force: a device's own is, while the device is in use.
const IN_FORCE: &str = "totp_secrets.revoked_at IS NULL AND CASE WHEN devices.id IS NULL
    THEN totp_secrets.confirmed_at IS NOT NULL
    ELSE devices.bound_at IS NOT NULL AND devices.revoked_at IS NULL END";

/// The secrets of a user that are in force, oldest first.
pub(super) fn totp_of_user(connection: &Connection, user: &UserKey) -> Outcome<Vec<TotpRow>> {
    let of_user = format!(
        "SELECT totp_secrets.*, devices.name AS device_name FROM totp_secrets
            LEFT JOIN devices ON devices.id = totp_secrets.id
            WHERE totp_secrets.application_id = ?1 AND totp_secrets.user_id = ?2 AND {IN_FORCE}
            ORDER BY totp_secrets.sequence"
    );
    all(connection, &of_user, key(user), totp)
}

/// The ids of a user's secrets that are in force, oldest first.
pub(super) fn totp_ids(connection: &Connection, user: &UserKey) -> Outcome<Vec<FactorId>> {
    let of_user = format!(
        "SELECT totp_secrets.id FROM totp_secrets LEFT JOIN devices ON devices.id = totp_secrets.id
            WHERE totp_secrets.application_id = ?1 AND totp_secrets.user_id = ?2 AND {IN_FORCE}
            ORDER BY totp_secrets.sequence"
    );
    all(connection, &of_user, key(user), |row| parsed(row, 0))
}

/// One secret, in whatever state.
pub(in crate::store::sqlite) fn totp_by_id(connection: &Connection, id: &str) -> Outcome<Option<TotpRow>> {
    let by_id = "SELECT totp_secrets.*, devices.name AS device_name FROM totp_secrets
        LEFT JOIN devices ON devices.id = totp_secrets.id WHERE totp_secrets.id = ?1";
    optional(connection, by_id, [id], totp)
}

/// How a secret stands.
pub(super) struct TotpState {
    pub(super) user: UserKey,
    pub(super) is_in_force: bool,
    pub(super) revoked_at: Option<UnixTime>,
    pub(super) was_confirmed: bool,
    pub(super) step: Option<u64>,
    pub(super) used_by: Option<String>,
}

/// How a secret stands.
pub(super) fn totp_state(connection: &Connection, id: FactorId) -> Outcome<Option<TotpState>> {
    let by_id = format!(
        "SELECT totp_secrets.application_id, totp_secrets.user_id, {IN_FORCE}, totp_secrets.revoked_at,
            totp_secrets.confirmed_at IS NOT NULL, totp_secrets.step, totp_secrets.used_by
            FROM totp_secrets LEFT JOIN devices ON devices.id = totp_secrets.id WHERE totp_secrets.id = ?1"
    );
    optional(connection, &by_id, [id.to_string()], |row| {
        Ok(TotpState {
            user: UserKey { application: parsed(row, 0)?, user_id: row.get(1)? },
            is_in_force: row.get(2)?,
            revoked_at: optional_time(row, 3)?,
            was_confirmed: row.get(4)?,
            step: row.get::<_, Option<i64>>(5)?.map(i64::cast_unsigned),
            used_by: row.get(6)?,
        })
    })
}

/// Stores a secret that no code has come of yet.
pub(in crate::store::sqlite) fn insert_totp(
    connection: &Connection,
    id: FactorId,
    user: &UserKey,
    new: &NewTotp,
    now: UnixTime,
) -> Outcome<()> {
    let insert = "INSERT INTO totp_secrets (id, application_id, user_id, secret, algorithm, digits,
        period_seconds, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let params = params![
        id.to_string(),
        user.application.to_string(),
        user.user_id,
        new.secret,
        new.parameters.algorithm.to_wire().as_str_name(),
        new.parameters.digits,
        new.parameters.period_seconds,
        now.as_millis(),
    ];
    execute(connection, insert, params).map(|_| ())
}

/// The confirmed secrets of a user that are not revoked, in number; those of devices aside.
pub(in crate::store::sqlite) fn count_confirmed_totp(
    connection: &Connection,
    user: &UserKey,
) -> Outcome<usize> {
    let count = "SELECT count(*) FROM totp_secrets
        WHERE application_id = ?1 AND user_id = ?2 AND confirmed_at IS NOT NULL AND revoked_at IS NULL";
    let count: i64 = connection.prepare_cached(count)?.query_row(key(user), |row| row.get(0))?;
    usize::try_from(count).map_err(|_| Failure::Damaged("a count"))
}

/// A recovery code as it is stored.
pub(super) struct StoredRecovery {
    pub(super) row: RecoveryRow,
    pub(super) user: UserKey,
    pub(super) is_replaced: bool,
    pub(super) revoked_at: Option<UnixTime>,
}

/// The code of a user that was issued last, unless it is revoked.
pub(super) fn current_recovery(connection: &Connection, user: &UserKey) -> Outcome<Option<RecoveryRow>> {
    let current = "SELECT * FROM recovery_codes WHERE application_id = ?1 AND user_id = ?2
        AND replaced_at IS NULL AND revoked_at IS NULL";
    Ok(optional(connection, current, key(user), recovery)?.map(|stored| stored.row))
}

/// One code, in whatever state.
pub(super) fn recovery_by_id(connection: &Connection, id: RecoveryId) -> Outcome<Option<StoredRecovery>> {
    optional(connection, "SELECT * FROM recovery_codes WHERE id = ?1", [id.to_string()], recovery)
}

fn recovery(row: &Row<'_>) -> Outcome<StoredRecovery> {
    let used_by: Option<String> = row.get("used_by")?;
    let used_by = used_by.map(|id| id.parse().map_err(|_| Failure::Damaged("an id"))).transpose()?;
    Ok(StoredRecovery {
        row: RecoveryRow {
            id: parsed(row, "id")?,
            tag: row.get("tag")?,
            created_at: time(row, "created_at")?,
            used_by,
        },
        user: UserKey { application: parsed(row, "application_id")?, user_id: row.get("user_id")? },
        is_replaced: optional_time(row, "replaced_at")?.is_some(),
        revoked_at: optional_time(row, "revoked_at")?,
    })
}

fn totp(row: &Row<'_>) -> Outcome<TotpRow> {
    let algorithm = named(row, "algorithm", TotpAlgorithm::from_str_name)?;
    let device_name: Option<String> = row.get("device_name")?;
    Ok(TotpRow {
        id: parsed(row, "id")?,
        secret: row.get("secret")?,
        algorithm: Algorithm::from_wire(algorithm).ok_or(Failure::Damaged("the algorithm of a secret"))?,
        digits: row.get("digits")?,
        period_seconds: row.get("period_seconds")?,
        name: device_name.unwrap_or_default(),
        created_at: time(row, "created_at")?,
        last_used_at: optional_time(row, "last_used_at")?,
        accepted: accepted(row)?,
    })
}

fn accepted(row: &Row<'_>) -> Outcome<Option<AcceptedStep>> {
    let Some(step) = row.get::<_, Option<i64>>("step")?.map(i64::cast_unsigned) else { return Ok(None) };
    let by: Option<String> = row.get("used_by")?;
    let by = by.map(|id| id.parse().map_err(|_| Failure::Damaged("an id"))).transpose()?;
    Ok(Some(AcceptedStep { step, by }))
}
