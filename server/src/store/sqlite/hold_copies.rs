//! Copies of lock and block.

use countersign_domain::{UnixTime, standing::Holds};
use rusqlite::{Connection, params};

use super::{
    SqliteStore,
    admission::key,
    columns::{execute, optional, optional_time},
    failure::Outcome,
};
use crate::store::{HoldCopies, StoreFuture, devices::UserKey};

impl HoldCopies for SqliteStore {
    fn copy(&self, user: UserKey, holds: Holds) -> StoreFuture<'_, ()> {
        self.write("hold_copies.copy", move |connection, _| copy(connection, &user, holds))
    }

    fn lift(&self, user: UserKey, at: UnixTime) -> StoreFuture<'_, ()> {
        self.write("hold_copies.lift", move |connection, _| lift(connection, &user, at))
    }
}

/// What was copied and not lifted.
pub(super) fn of_user(connection: &Connection, user: &UserKey) -> Outcome<Holds> {
    Ok(read(connection, user)?.0)
}

/// Copies what is newer than the last unlocking.
fn copy(connection: &Connection, user: &UserKey, copied: Holds) -> Outcome<()> {
    let (stands, unlocked_at) = read(connection, user)?;
    let newer = |at: &UnixTime| unlocked_at.is_none_or(|unlocked_at| *at > unlocked_at);
    write(
        connection,
        user,
        Holds {
            locked_at: copied.locked_at.filter(newer).or(stands.locked_at),
            push_blocked_at: copied.push_blocked_at.filter(newer).or(stands.push_blocked_at),
        },
        unlocked_at,
    )
}

/// Lifts what began until `at`.
fn lift(connection: &Connection, user: &UserKey, at: UnixTime) -> Outcome<()> {
    let (stands, unlocked_at) = read(connection, user)?;
    let later = |began: &UnixTime| *began > at;
    let holds = Holds {
        locked_at: stands.locked_at.filter(later),
        push_blocked_at: stands.push_blocked_at.filter(later),
    };
    write(connection, user, holds, unlocked_at.max(Some(at)))
}

/// Forgets the copies of a user, and when he was unlocked.
pub(super) fn forget(connection: &Connection, user: &UserKey) -> Outcome<()> {
    let forget = "DELETE FROM user_standings WHERE application_id = ?1 AND user_id = ?2";
    execute(connection, forget, key(user)).map(|_| ())
}

fn read(connection: &Connection, user: &UserKey) -> Outcome<(Holds, Option<UnixTime>)> {
    let of_user = "SELECT locked_at, push_blocked_at, unlocked_at FROM user_standings
        WHERE application_id = ?1 AND user_id = ?2";
    let stored = optional(connection, of_user, key(user), |row| {
        let holds = Holds { locked_at: optional_time(row, 0)?, push_blocked_at: optional_time(row, 1)? };
        Ok((holds, optional_time(row, 2)?))
    })?;
    Ok(stored.unwrap_or_default())
}

fn write(
    connection: &Connection,
    user: &UserKey,
    holds: Holds,
    unlocked_at: Option<UnixTime>,
) -> Outcome<()> {
    let upsert =
        "INSERT INTO user_standings (application_id, user_id, locked_at, push_blocked_at, unlocked_at)
        VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (application_id, user_id) DO UPDATE SET
        locked_at = excluded.locked_at, push_blocked_at = excluded.push_blocked_at,
        unlocked_at = excluded.unlocked_at";
    let [application, user_id] = key(user);
    let [locked_at, blocked_at, unlocked_at] =
        [holds.locked_at, holds.push_blocked_at, unlocked_at].map(|at| at.map(UnixTime::as_millis));
    execute(connection, upsert, params![application, user_id, locked_at, blocked_at, unlocked_at]).map(|_| ())
}
