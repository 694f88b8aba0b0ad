//! Challenges and user records.

use std::sync::atomic::Ordering;

use countersign_domain::{
    UnixTime,
    challenge::ChallengeRecord,
    id::{ChallengeId, DeviceId, UserTag},
    operation::{AttemptTag, Loaded, Lookup, Subject, Writes},
    record,
    user::UserRecord,
};
use countersign_proto::login::DeliveryState;
use rusqlite::{Connection, Row, params};

use super::{
    SqliteStore,
    columns::{all, execute, optional},
    failure::{Failure, Outcome},
};
use crate::store::{
    StoreFuture,
    challenges::{Apply, Challenges},
};

/// Challenges, and user records, that one call of `clean` looks at.
const CLEANED_AT_ONCE: i64 = 200;

impl Challenges for SqliteStore {
    fn commit(&self, subject: Subject, mut apply: Apply) -> StoreFuture<'_, ()> {
        // One process writes at a time, so nothing that was loaded can change before it is written.
        self.write("challenges.commit", move |connection, now| {
            let writes = apply(load(connection, subject)?, now);
            store(connection, subject.user, &writes)
        })
    }

    fn load(&self, subject: Subject) -> StoreFuture<'_, (Loaded, UnixTime)> {
        self.read("challenges.load", move |connection, now| Ok((load(connection, subject)?, now)))
    }

    fn open(&self, user: UserTag) -> StoreFuture<'_, Vec<ChallengeId>> {
        self.read("challenges.open", move |connection, _| {
            let record = load(connection, Subject { user, challenge: Lookup::None })?.user;
            Ok(record.open.iter().rev().map(|open| open.id).collect())
        })
    }

    fn note_delivery(
        &self,
        challenge: ChallengeId,
        device: DeviceId,
        state: DeliveryState,
    ) -> StoreFuture<'_, ()> {
        let noted = self.writer.submit_unhurried(self.notes.job(challenge, device, state));
        Box::pin(std::future::ready(noted))
    }

    fn deliveries(&self, challenge: ChallengeId) -> StoreFuture<'_, Vec<(DeviceId, DeliveryState)>> {
        const DELIVERIES: &str = "SELECT device_id, state FROM deliveries
            WHERE challenge = (SELECT sequence FROM challenges WHERE id = ?1) ORDER BY device_id";
        let read = move |connection: &Connection, _| {
            all(connection, DELIVERIES, [challenge.to_bytes()], |row| {
                let state = DeliveryState::try_from(row.get::<_, i32>(1)?);
                let state = state.map_err(|_| Failure::Damaged("a delivery state"))?;
                Ok((DeviceId::from_bytes(row.get(0)?), state))
            })
        };
        if self.notes.are_coming(challenge) {
            // They are written before whatever is submitted now.
            return self.write("challenges.deliveries", read);
        }
        self.read("challenges.deliveries", read)
    }

    fn time(&self) -> StoreFuture<'_, UnixTime> {
        self.read("challenges.time", |_, now| Ok(now))
    }

    fn clean(&self) -> StoreFuture<'_, usize> {
        Box::pin(async move {
            let after = self.cleaned_users_to.load(Ordering::Relaxed);
            let clean = move |connection: &Connection, now| {
                Ok((clean_challenges(connection, now)?, clean_users(connection, after, now)?))
            };
            let (challenges, next) = self.write("challenges.clean", clean).await?;
            self.cleaned_users_to.store(next, Ordering::Relaxed);
            Ok(challenges)
        })
    }
}

/// In one statement, so that both records are from the same moment.
fn load(connection: &Connection, subject: Subject) -> Outcome<Loaded> {
    let user = subject.user.0.cast_signed();
    let loaded = |row: &Row<'_>| {
        let user = decoded(row, 0)?.unwrap_or_default();
        Ok(Loaded { user, challenge: decoded::<ChallengeRecord>(row, 1)? })
    };
    let found = match subject.challenge {
        Lookup::None => {
            let user_only = "SELECT (SELECT record FROM users WHERE tag = ?1), NULL";
            optional(connection, user_only, [user], loaded)
        }
        Lookup::Id(id) => {
            let by_id = "SELECT (SELECT record FROM users WHERE tag = ?1),
                (SELECT record FROM challenges WHERE id = ?2)";
            optional(connection, by_id, params![user, id.to_bytes()], loaded)
        }
        Lookup::Attempt(AttemptTag(tag)) => {
            let by_attempt = "SELECT (SELECT record FROM users WHERE tag = ?1),
                (SELECT record FROM challenges WHERE attempt = ?2)";
            optional(connection, by_attempt, params![user, tag], loaded)
        }
    };
    Ok(found?.unwrap_or_default())
}

/// The record in a column, if there is one.
fn decoded<T: record::Record>(row: &Row<'_>, column: usize) -> Outcome<Option<T>> {
    let bytes = row.get_ref(column)?.as_blob_or_null().map_err(|_| Failure::Damaged("a record"))?;
    Ok(bytes.map(record::decode).transpose()?)
}

fn store(connection: &Connection, user: UserTag, writes: &Writes) -> Outcome<()> {
    if let Some(record) = &writes.user {
        store_user(connection, user, record)?;
    }
    match &writes.challenge {
        Some(challenge) => store_challenge(connection, challenge, writes.attempt),
        None => Ok(()),
    }
}

fn store_user(connection: &Connection, user: UserTag, user_record: &UserRecord) -> Outcome<()> {
    let tag = user.0.cast_signed();
    match user_record.keep_until() {
        None => execute(connection, "DELETE FROM users WHERE tag = ?1", [tag])?,
        Some(keep_until) => {
            let upsert = "INSERT INTO users (tag, keep_until, record) VALUES (?1, ?2, ?3)
                ON CONFLICT (tag) DO UPDATE SET keep_until = excluded.keep_until, record = excluded.record";
            let params = params![tag, keep_until.as_millis(), record::encode(user_record)];
            execute(connection, upsert, params)?
        }
    };
    Ok(())
}

fn store_challenge(
    connection: &Connection,
    challenge: &ChallengeRecord,
    attempt: Option<AttemptTag>,
) -> Outcome<()> {
    if let Some(AttemptTag(tag)) = attempt {
        // It may still lead to a challenge that can be read no more and has not been cleaned away yet.
        let release = "UPDATE challenges SET attempt = NULL WHERE attempt = ?1 AND id <> ?2";
        execute(connection, release, params![tag, challenge.id.to_bytes()])?;
    }
    let upsert = "INSERT INTO challenges (id, attempt, readable_until, record) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (id) DO UPDATE SET record = excluded.record";
    let readable_until = challenge.readable_until().as_millis();
    let attempt = attempt.map(|AttemptTag(tag)| tag);
    let params = params![challenge.id.to_bytes(), attempt, readable_until, record::encode(challenge)];
    execute(connection, upsert, params)?;
    Ok(())
}

/// Looks at the oldest only: lives differ by minutes, so one that lives longer delays those behind it a bit.
fn clean_challenges(connection: &Connection, now: UnixTime) -> Outcome<usize> {
    let oldest = "DELETE FROM challenges WHERE readable_until <= ?1
        AND sequence IN (SELECT sequence FROM challenges ORDER BY sequence LIMIT ?2)";
    execute(connection, oldest, params![now.as_millis(), CLEANED_AT_ONCE])
}

/// Looks at the next user records behind `after`. Returns where to go on.
fn clean_users(connection: &Connection, after: i64, now: UnixTime) -> Outcome<i64> {
    let next = "SELECT tag, keep_until FROM users WHERE tag > ?1 ORDER BY tag LIMIT ?2";
    let users = all(connection, next, [after, CLEANED_AT_ONCE], |row| {
        Ok((row.get::<_, i64>(0)?, UnixTime::from_millis(row.get(1)?)))
    })?;
    for (tag, _) in users.iter().filter(|(_, keep_until)| *keep_until <= now) {
        execute(connection, "DELETE FROM users WHERE tag = ?1", [tag])?;
    }
    let is_last = users.len() < usize::try_from(CLEANED_AT_ONCE).unwrap_or(usize::MAX);
    Ok(users.last().filter(|_| !is_last).map_or(i64::MIN, |(tag, _)| *tag))
}
