//! Copies of lock and block.

use std::time::Duration;

use countersign_domain::{UnixTime, standing::Holds};
use rusqlite::{Connection, params};

use super::{
    SqliteStore,
    admission::key,
    columns::{execute, optional, optional_time},
    failure::Outcome,
};
use crate::store::{HoldCopies, StoreFuture, devices::UserKey};

/// How long the time of an unlocking is kept for copies that were read before it and come late: far longer than any call
/// takes, or the pause of a machine.
const UNLOCKING_REMEMBERED_FOR: Duration = Duration::from_hours(24);
/// By so much the clock by which a user was unlocked may be ahead of this one with both of them right.
const CLOCKS_WITHIN: Duration = Duration::from_mins(1);
/// Users that one call of `clean` forgets.
const CLEANED_AT_ONCE: usize = 200;
/// What is no different from no row, once the last unlocking was until `?1`.
const SAYS_NOTHING: &str =
    "locked_at IS NULL AND push_blocked_at IS NULL AND coalesce(unlocked_at, ?1) <= ?1";

impl HoldCopies for SqliteStore {
    fn copy(&self, user: UserKey, holds: Holds) -> StoreFuture<'_, ()> {
        self.write("hold_copies.copy", move |connection, now| copy(connection, &user, holds, now))
    }

    fn lift(&self, user: UserKey, at: UnixTime) -> StoreFuture<'_, ()> {
        self.write("hold_copies.lift", move |connection, _| lift(connection, &user, at))
    }

    fn clean(&self) -> StoreFuture<'_, usize> {
        Box::pin(async move {
            // Mostly there is nothing to forget: looking costs the thread that writes no time.
            let is_any = self.read("hold_copies.clean", |connection, now| {
                let any = format!("SELECT 1 FROM user_standings WHERE {SAYS_NOTHING}");
                Ok(optional(connection, &any, [forgotten_to(now)], |_| Ok(()))?.is_some())
            });
            if !is_any.await? {
                return Ok(0);
            }
            self.write("hold_copies.clean", |connection, now| {
                let forget = format!(
                    "DELETE FROM user_standings WHERE rowid IN
                        (SELECT rowid FROM user_standings WHERE {SAYS_NOTHING} LIMIT {CLEANED_AT_ONCE})"
                );
                execute(connection, &forget, [forgotten_to(now)])
            })
            .await
        })
    }
}

/// When a user was unlocked before that.
fn forgotten_to(now: UnixTime) -> i64 {
    now.minus(UNLOCKING_REMEMBERED_FOR).as_millis()
}

/// What was copied and not lifted.
pub(super) fn of_user(connection: &Connection, user: &UserKey) -> Outcome<Holds> {
    Ok(read(connection, user)?.0)
}

/// Copies what is newer than the last unlocking. One that lies in the future was noted by a clock that was set back
/// since: then nothing tells what is newer, and all of it counts.
fn copy(connection: &Connection, user: &UserKey, copied: Holds, now: UnixTime) -> Outcome<()> {
    let (stands, unlocked_at) = read(connection, user)?;
    let since = unlocked_at.filter(|&unlocked_at| unlocked_at <= now.plus(CLOCKS_WITHIN));
    let newer = |at: &UnixTime| since.is_none_or(|since| *at > since);
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
