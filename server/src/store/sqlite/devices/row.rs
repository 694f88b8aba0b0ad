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

/// One device, in whatever state.
pub(in crate::store::sqlite) fn by_id(connection: &Connection, id: DeviceId) -> Outcome<Option<DeviceRow>> {
    optional(connection, "SELECT * FROM devices WHERE id = ?1", [id.to_string()], device)
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
pub(in crate::store::sqlite) fn device(row: &Row<'_>) -> Outcome<DeviceRow> {
    let bound = match (optional_time(row, "bound_at")?, row.get("binding")?) {
        (Some(at), Some(envelope)) => Some(Bound { at, envelope }),
        _ => None,
    };
    let push_target: Option<String> = row.get("push_target")?;
    Ok(DeviceRow {
        id: parsed(row, "id")?,
        user: UserKey { application: parsed(row, "application_id")?, user_id: row.get("user_id")? },
        name: row.get("name")?,
        platform: named(row, "platform", Platform::from_str_name)?,
        public_key: row.get("public_key")?,
        created_at: time(row, "created_at")?,
        bound,
        revoked_at: optional_time(row, "revoked_at")?,
        push_target: push_target.as_deref().map(read).transpose()?,
        push_state: named(row, "push_state", PushState::from_str_name)?,
        app_version: row.get("app_version")?,
        locale: row.get("locale")?,
        sequence: row.get::<_, i64>("change_sequence")?.cast_unsigned(),
        last_used_at: optional_time(row, "last_used_at")?,
        last_seen_at: optional_time(row, "last_seen_at")?,
        account_name: row.get("account_name")?,
    })
}

/// A push target as text.
pub(super) fn written(target: &PushTarget) -> Outcome<String> {
    serde_json::to_string(target).map_err(|_| Failure::Damaged("a push target"))
}

fn read(text: &str) -> Outcome<PushTarget> {
    serde_json::from_str(text).map_err(|_| Failure::Damaged("a push target"))
}
