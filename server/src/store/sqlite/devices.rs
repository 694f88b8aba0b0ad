//! Users' devices.

mod changes;
mod row;

use std::time::Duration;

use countersign_domain::{
    UnixTime,
    challenge::FactorTag,
    id::{DeviceId, FactorId},
    user::Successor,
};
use countersign_proto::{common::PushState, statement::PushTarget};
use rusqlite::{Connection, params};

pub(super) use self::row::{by_id, count_in_use};
use super::{
    SqliteStore,
    admission::had_factors,
    allowances,
    codes::{Summary, forget_user_codes, in_use as codes_in_use, summary},
    columns::{all, execute, optional, optional_time, parsed, time},
    enrollments::{forget_user_enrollments, supersede_open},
    failure::Outcome,
    hold_copies,
};
use crate::store::{
    StoreFuture,
    devices::{
        ChangeOutcome, DeviceRow, Devices, FormerKey, Goodbye, KeyChange, ProfileChange, RevokeOutcome,
        TombstoneDue, UserDevices, UserKey,
    },
};

/// When a device was last seen is kept to this.
const SEEN_STEP: Duration = Duration::from_hours(1);

impl Devices for SqliteStore {
    fn of_user(&self, user: UserKey) -> StoreFuture<'_, UserDevices> {
        self.read_together("devices.of_user", move |connection, _| {
            let params = [&user.application.to_string(), &user.user_id];
            let mut devices = all(connection, row::EVER_BOUND, params, row::device)?;
            let had_factors = !devices.is_empty() || had_factors(connection, &user)?;
            devices.retain(|device| device.revoked_at.is_none());
            let Summary { totp, recovery, holds } = summary(connection, &user)?;
            Ok(UserDevices { devices, had_factors, totp, recovery, holds })
        })
    }

    fn by_id(&self, device: DeviceId) -> StoreFuture<'_, Option<DeviceRow>> {
        self.read("devices.by_id", move |connection, _| by_id(connection, device))
    }

    fn revoke(
        &self,
        user: UserKey,
        device: DeviceId,
        public_key: [u8; 32],
        tag: FactorTag,
    ) -> StoreFuture<'_, RevokeOutcome> {
        self.write("devices.revoke", move |connection, now| {
            let found = by_id(connection, device)?
                .filter(|row| row.user == user && row.public_key == public_key && row.bound.is_some());
            let Some(row) = found else { return Ok(RevokeOutcome::NotFound) };
            let revoked_at = row.revoked_at.unwrap_or(now);
            if row.revoked_at.is_none() {
                end(connection, &row, tag, now)?;
            }
            Ok(RevokeOutcome::Revoked(revoked(&row, tag, revoked_at)))
        })
    }

    fn delete_user(&self, user: UserKey, factors: Vec<TombstoneDue>) -> StoreFuture<'_, bool> {
        self.write("devices.delete_user", move |connection, now| {
            let params = [&user.application.to_string(), &user.user_id];
            let in_use = "SELECT id FROM devices WHERE application_id = ?1 AND user_id = ?2
                AND bound_at IS NOT NULL AND revoked_at IS NULL";
            let mut in_use: Vec<FactorId> = all(connection, in_use, params, |row| parsed(row, 0))?;
            in_use.extend(codes_in_use(connection, &user)?);
            if !in_use.iter().all(|id| factors.iter().any(|due| due.factor == *id)) {
                return Ok(false);
            }
            for due in &factors {
                let revoked_at = due.revoked_at.max(now);
                mark_due(connection, &TombstoneDue { revoked_at, ..due.clone() })?;
            }
            forget_user_enrollments(connection, &user)?;
            forget_user_codes(connection, &user)?;
            allowances::forget(connection, &user)?;
            hold_copies::forget(connection, &user)?;
            let forget = "DELETE FROM bindings WHERE device_id IN
                (SELECT id FROM devices WHERE application_id = ?1 AND user_id = ?2)";
            execute(connection, forget, params)?;
            let forget = "DELETE FROM devices WHERE application_id = ?1 AND user_id = ?2";
            execute(connection, forget, params)?;
            Ok(true)
        })
    }

    fn tombstones_due(&self) -> StoreFuture<'_, Vec<TombstoneDue>> {
        self.read("devices.tombstones_due", |connection, _| {
            let due = "SELECT * FROM tombstones_due ORDER BY revoked_at";
            all(connection, due, [], |row| {
                let factor: FactorId = parsed(row, "factor_id")?;
                let successor: Option<[u8; 32]> = row.get("successor")?;
                let bound_at = optional_time(row, "successor_bound_at")?;
                Ok(TombstoneDue {
                    factor,
                    user: factor.user(),
                    tag: FactorTag(row.get("tag")?),
                    successor: successor
                        .zip(bound_at)
                        .map(|(tag, bound_at)| Successor { tag: FactorTag(tag), bound_at }),
                    revoked_at: time(row, "revoked_at")?,
                })
            })
        })
    }

    fn tombstone_stands(&self, tag: FactorTag) -> StoreFuture<'_, ()> {
        self.write("devices.tombstone_stands", move |connection, _| {
            let done = "DELETE FROM tombstones_due WHERE tag = ?1";
            execute(connection, done, [tag.0]).map(|_| ())
        })
    }

    fn change_profile(&self, change: ProfileChange) -> StoreFuture<'_, ChangeOutcome> {
        self.write("devices.change_profile", move |connection, now| {
            changes::profile(connection, &change, now)
        })
    }

    fn replace_key(&self, change: KeyChange) -> StoreFuture<'_, ChangeOutcome> {
        self.write("devices.replace_key", move |connection, now| changes::key(connection, &change, now))
    }

    fn take_leave(&self, goodbye: Goodbye) -> StoreFuture<'_, ChangeOutcome> {
        self.write("devices.take_leave", move |connection, now| changes::goodbye(connection, &goodbye, now))
    }

    fn ended_by(
        &self,
        device: DeviceId,
        public_key: [u8; 32],
        payload_sha256: [u8; 32],
    ) -> StoreFuture<'_, Option<DeviceRow>> {
        self.read_together("devices.ended_by", move |connection, now| {
            changes::ended_by(connection, device, public_key, payload_sha256, now)
        })
    }

    fn former_keys(&self, device: DeviceId) -> StoreFuture<'_, Vec<FormerKey>> {
        self.read("devices.former_keys", move |connection, _| {
            let former =
                "SELECT public_key, binding FROM bindings WHERE device_id = ?1 ORDER BY sequence DESC";
            all(connection, former, [device.to_string()], |row| {
                Ok(FormerKey { public_key: row.get(0)?, binding: row.get(1)? })
            })
        })
    }

    fn target_gone(
        &self,
        device: DeviceId,
        target: PushTarget,
        since: Option<UnixTime>,
    ) -> StoreFuture<'_, ()> {
        self.write("devices.target_gone", move |connection, _| {
            // Compared as what it means, since two versions may write it in different ways.
            let is_still = |row: &DeviceRow| row.push_target.as_ref() == Some(&target);
            if by_id(connection, device)?.is_some_and(|row| is_still(&row)) {
                let update = "UPDATE devices SET push_state = ?2
                    WHERE id = ?1 AND (?3 IS NULL OR push_target_at IS NULL OR push_target_at <= ?3)";
                let gone = PushState::Gone.as_str_name();
                let since = since.map(UnixTime::as_millis);
                execute(connection, update, params![device.to_string(), gone, since])?;
            }
            Ok(())
        })
    }

    fn note_used(&self, device: DeviceId, at: UnixTime) -> StoreFuture<'_, ()> {
        let hour = hour_of(at);
        self.note("devices.note_used", move |connection, _| {
            let update = "UPDATE devices SET last_used_at = max(coalesce(last_used_at, ?2), ?2),
                last_seen_at = max(coalesce(last_seen_at, ?3), ?3) WHERE id = ?1";
            execute(connection, update, params![device.to_string(), at.as_millis(), hour.as_millis()])
                .map(|_| ())
        })
    }

    fn note_seen(&self, device: DeviceId, at: UnixTime) -> StoreFuture<'_, ()> {
        let hour = hour_of(at);
        Box::pin(async move {
            // Most calls come within an hour of the last one: they cost no write.
            let read = move |connection: &Connection, _| is_seen_before(connection, device, hour);
            if !self.read("devices.note_seen", read).await? {
                return Ok(());
            }
            self.note("devices.note_seen", move |connection, _| {
                let update = "UPDATE devices SET last_seen_at = ?2
                    WHERE id = ?1 AND (last_seen_at IS NULL OR last_seen_at < ?2)";
                execute(connection, update, params![device.to_string(), hour.as_millis()]).map(|_| ())
            })
            .await
        })
    }
}

fn hour_of(at: UnixTime) -> UnixTime {
    let step = i64::try_from(SEEN_STEP.as_millis()).expect("an hour has few milliseconds");
    UnixTime::from_millis(at.as_millis().div_euclid(step) * step)
}

/// Whether there is such a device and its last call came before `hour`.
fn is_seen_before(connection: &Connection, device: DeviceId, hour: UnixTime) -> Outcome<bool> {
    let older = "SELECT 1 FROM devices WHERE id = ?1 AND (last_seen_at IS NULL OR last_seen_at < ?2)";
    let params = params![device.to_string(), hour.as_millis()];
    Ok(optional(connection, older, params, |_| Ok(()))?.is_some())
}

/// A device is in use no more: its tombstone is due, and the user's open enrolments end.
fn end(connection: &Connection, row: &DeviceRow, tag: FactorTag, now: UnixTime) -> Outcome<()> {
    let update = "UPDATE devices SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL";
    execute(connection, update, params![row.id.to_string(), now.as_millis()])?;
    mark_due(connection, &revoked(row, tag, now))?;
    supersede_open(connection, &row.user, now)
}

fn revoked(row: &DeviceRow, tag: FactorTag, revoked_at: UnixTime) -> TombstoneDue {
    let factor = FactorId::Device(row.id);
    TombstoneDue { factor, user: row.id.user(), tag, successor: None, revoked_at }
}

/// A revocation takes the place of a change of key.
pub(super) fn mark_due(connection: &Connection, due: &TombstoneDue) -> Outcome<()> {
    let insert = "INSERT INTO tombstones_due (tag, factor_id, successor, successor_bound_at, revoked_at)
        VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (tag) DO UPDATE
        SET successor = NULL, successor_bound_at = NULL WHERE excluded.successor IS NULL";
    let successor = due.successor.as_ref();
    let params = params![
        due.tag.0,
        due.factor.to_string(),
        successor.map(|successor| successor.tag.0),
        successor.map(|successor| successor.bound_at.as_millis()),
        due.revoked_at.as_millis()
    ];
    execute(connection, insert, params).map(|_| ())
}

/// Whether the key is a device's, or ever was.
pub(super) fn is_key_known(connection: &Connection, public_key: [u8; 32]) -> Outcome<bool> {
    let known = "SELECT 1 FROM devices WHERE public_key = ?1
        UNION ALL SELECT 1 FROM bindings WHERE public_key = ?1";
    Ok(optional(connection, known, [public_key], |_| Ok(()))?.is_some())
}
