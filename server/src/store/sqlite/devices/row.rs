//! Rows of the table of devices.

use countersign_domain::id::DeviceId;
use countersign_proto::{
    common::{Platform, PushState},
    statement::PushTarget,
};
use rusqlite::{Connection, Row};

use crate::store::{
    devices::{Bound, DeviceRow, UserKey},
    sqlite::{
        columns::{named, optional, optional_time, parsed, time},
        failure::{Failure, Outcome},
    },
};

/// All columns, in the order in which [`device`] reads them: by their place, since to look up a name compares it
/// with all of them.
macro_rules! columns {
    () => {
        "id, application_id, user_id, account_name, name, platform, public_key, created_at, bound_at, binding,
        revoked_at, push_target, push_state, app_version, locale, change_sequence, last_used_at, last_seen_at"
    };
}

/// Those of a user that were ever bound, oldest first.
pub(super) const EVER_BOUND: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM devices WHERE application_id = ?1 AND user_id = ?2 AND bound_at IS NOT NULL ORDER BY sequence"
);

const BY_ID: &str = concat!("SELECT ", columns!(), " FROM devices WHERE id = ?1");

/// One device, in whatever state.
pub(in crate::store::sqlite) fn by_id(connection: &Connection, id: DeviceId) -> Outcome<Option<DeviceRow>> {
    optional(connection, BY_ID, [id.to_string()], device)
}

/// The devices of a user that are bound and not revoked, in number.
pub(in crate::store::sqlite) fn count_in_use(connection: &Connection, user: &UserKey) -> Outcome<usize> {
    let count = "SELECT count(*) FROM devices WHERE application_id = ?1 AND user_id = ?2
        AND bound_at IS NOT NULL AND revoked_at IS NULL";
    let params = [&user.application.to_string(), &user.user_id];
    let count: i64 = connection.prepare_cached(count)?.query_row(params, |row| row.get(0))?;
    usize::try_from(count).map_err(|_| Failure::Damaged("a count"))
}

/// A row with all columns.
pub(super) fn device(row: &Row<'_>) -> Outcome<DeviceRow> {
    let bound = match (optional_time(row, 8)?, row.get(9)?) {
        (Some(at), Some(envelope)) => Some(Bound { at, envelope }),
        _ => None,
    };
    let push_target: Option<String> = row.get(11)?;
    Ok(DeviceRow {
        id: parsed(row, 0)?,
        user: UserKey { application: parsed(row, 1)?, user_id: row.get(2)? },
        account_name: row.get(3)?,
        name: row.get(4)?,
        platform: named(row, 5, Platform::from_str_name)?,
        public_key: row.get(6)?,
        created_at: time(row, 7)?,
        bound,
        revoked_at: optional_time(row, 10)?,
        push_target: push_target.as_deref().map(read).transpose()?,
        push_state: named(row, 12, PushState::from_str_name)?,
        app_version: row.get(13)?,
        locale: row.get(14)?,
        sequence: row.get::<_, i64>(15)?.cast_unsigned(),
        last_used_at: optional_time(row, 16)?,
        last_seen_at: optional_time(row, 17)?,
    })
}

/// A push target as text.
pub(super) fn written(target: &PushTarget) -> Outcome<String> {
    serde_json::to_string(target).map_err(|_| Failure::Damaged("a push target"))
}

fn read(text: &str) -> Outcome<PushTarget> {
    serde_json::from_str(text).map_err(|_| Failure::Damaged("a push target"))
}
