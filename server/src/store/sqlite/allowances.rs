//! An operator's permissions to enrol.

use countersign_domain::UnixTime;
use rusqlite::{Connection, params};

use super::{
    SqliteStore,
    admission::key,
    columns::{execute, optional},
    failure::Outcome,
};
use crate::store::{Allowances, StoreFuture, devices::UserKey};

impl Allowances for SqliteStore {
    fn allow_enrollment(&self, user: UserKey, until: UnixTime) -> StoreFuture<'_, ()> {
        self.write("allowances.allow_enrollment", move |connection, now| allow(connection, &user, until, now))
    }
}

fn allow(connection: &Connection, user: &UserKey, until: UnixTime, now: UnixTime) -> Outcome<()> {
    let upsert = "INSERT INTO enrollment_allowances (application_id, user_id, granted_at, expires_at)
        VALUES (?1, ?2, ?3, ?4) ON CONFLICT (application_id, user_id)
        DO UPDATE SET granted_at = excluded.granted_at, expires_at = excluded.expires_at";
    let [application, user_id] = key(user);
    let params = params![application, user_id, now.as_millis(), until.as_millis()];
    execute(connection, upsert, params).map(|_| ())
}

/// Whether the user may begin an enrolment at `now` that rests on nothing else.
pub(super) fn is_allowed(connection: &Connection, user: &UserKey, now: UnixTime) -> Outcome<bool> {
    let allowed = "SELECT 1 FROM enrollment_allowances
        WHERE application_id = ?1 AND user_id = ?2 AND expires_at > ?3";
    let [application, user_id] = key(user);
    let params = params![application, user_id, now.as_millis()];
    Ok(optional(connection, allowed, params, |_| Ok(()))?.is_some())
}

/// Takes a user's permission away. Whether there was one, good or over.
pub(super) fn forget(connection: &Connection, user: &UserKey) -> Outcome<bool> {
    let forget = "DELETE FROM enrollment_allowances WHERE application_id = ?1 AND user_id = ?2";
    Ok(execute(connection, forget, key(user))? == 1)
}
