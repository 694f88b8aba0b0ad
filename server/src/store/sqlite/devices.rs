//! Users' devices.

mod row;

use std::time::Duration;

use countersign_domain::{
    UnixTime,
    challenge::DeviceTag,
    id::{DeviceId, FactorId},
};
use countersign_proto::{common::PushState, statement::PushTarget};
use rusqlite::{Connection, params};

use self::row::written;
pub(super) use self::row::{by_id, count_in_use};
use super::{
    SqliteStore,
    admission::had_factors,
    codes::{Summary, forget_user_codes, in_use as codes_in_use, summary},
    columns::{all, execute, optional, parsed, time},
    enrollments::{forget_user_enrollments, supersede_open},
    failure::Outcome,
};
use crate::store::{
    StoreFuture,
    devices::{
        ChangeOutcome, DeviceRow, Devices, ProfileChange, RevokeOutcome, TombstoneDue, UserDevices, UserKey,
    },
};

/// When a device was last seen is kept to this.
const SEEN_STEP: Duration = Duration::from_hours(1);

impl Devices for SqliteStore {
    fn of_user(&self, user: UserKey) -> StoreFuture<'_, UserDevices> {
        self.read("devices.of_user", move |connection, _| {
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
        tag: DeviceTag,
    ) -> StoreFuture<'_, RevokeOutcome> {
        self.write("devices.revoke", move |connection, now| {
            let found = by_id(connection, device)?
                .filter(|row| row.user == user && row.public_key == public_key && row.bound.is_some());
            let Some(row) = found else { return Ok(RevokeOutcome::NotFound) };
            let revoked_at = row.revoked_at.unwrap_or(now);
            let due = TombstoneDue { factor: FactorId::Device(device), user: device.user(), tag, revoked_at };
            if row.revoked_at.is_none() {
                let update = "UPDATE devices SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL";
                execute(connection, update, params![device.to_string(), now.as_millis()])?;
                mark_due(connection, &due)?;
                supersede_open(connection, &user, now)?;
            }
            Ok(RevokeOutcome::Revoked(due))
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
            let forget = "DELETE FROM devices WHERE application_id = ?1 AND user_id = ?2";
            execute(connection, forget, params)?;
            Ok(true)
        })
    }

    fn tombstones_due(&self) -> StoreFuture<'_, Vec<TombstoneDue>> {
        self.read("devices.tombstones_due", |connection, _| {
            let due = "SELECT factor_id, tag, revoked_at FROM tombstones_due ORDER BY revoked_at";
            all(connection, due, [], |row| {
                let factor: FactorId = parsed(row, 0)?;
                let tag = DeviceTag(row.get(1)?);
                Ok(TombstoneDue { factor, user: factor.user(), tag, revoked_at: time(row, 2)? })
            })
        })
    }

    fn tombstone_stands(&self, factor: FactorId) -> StoreFuture<'_, ()> {
        self.write("devices.tombstone_stands", move |connection, _| {
            let done = "DELETE FROM tombstones_due WHERE factor_id = ?1";
            execute(connection, done, [factor.to_string()]).map(|_| ())
        })
    }

    fn change_profile(&self, change: ProfileChange) -> StoreFuture<'_, ChangeOutcome> {
        self.write("devices.change_profile", move |connection, now| change_profile(connection, &change, now))
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
        self.write_unhurried("devices.note_used", move |connection, _| {
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
            self.write_unhurried("devices.note_seen", move |connection, _| {
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

pub(super) fn mark_due(connection: &Connection, due: &TombstoneDue) -> Outcome<()> {
    let insert = "INSERT INTO tombstones_due (factor_id, tag, revoked_at) VALUES (?1, ?2, ?3)
        ON CONFLICT (factor_id) DO NOTHING";
    let params = params![due.factor.to_string(), due.tag.0, due.revoked_at.as_millis()];
    execute(connection, insert, params).map(|_| ())
}

fn change_profile(connection: &Connection, change: &ProfileChange, now: UnixTime) -> Outcome<ChangeOutcome> {
    let found = by_id(connection, change.device)?
        .filter(|row| row.public_key == change.public_key && row.revoked_at.is_none());
    let Some(mut row) = found else { return Ok(ChangeOutcome::NotFound) };
    // Compared here rather than in SQL, whose integers have a sign.
    if change.sequence <= row.sequence {
        let last = "SELECT change_sha256 FROM devices WHERE id = ?1";
        let id = change.device.to_string();
        let last = optional(connection, last, [id], |row| Ok(row.get::<_, Option<[u8; 32]>>(0)?))?;
        let is_repeated = change.sequence == row.sequence && last == Some(Some(change.payload_sha256));
        let outcome =
            if is_repeated { ChangeOutcome::Changed(Box::new(row)) } else { ChangeOutcome::SequenceUsed };
        return Ok(outcome);
    }
    apply(change, &mut row);
    let update = "UPDATE devices SET name = ?2, push_target = ?3, push_state = ?4, app_version = ?5,
        locale = ?6, change_sequence = ?7, change_sha256 = ?8,
        push_target_at = coalesce(?9, push_target_at) WHERE id = ?1";
    let params = params![
        row.id.to_string(),
        row.name,
        row.push_target.as_ref().map(written).transpose()?,
        row.push_state.as_str_name(),
        row.app_version,
        row.locale,
        row.sequence.cast_signed(),
        change.payload_sha256,
        change.profile.push_target.is_some().then_some(now.as_millis()),
    ];
    execute(connection, update, params)?;
    Ok(ChangeOutcome::Changed(Box::new(row)))
}

fn apply(change: &ProfileChange, row: &mut DeviceRow) {
    let profile = change.profile.clone();
    row.sequence = change.sequence;
    if let Some(name) = profile.device_name {
        row.name = name;
    }
    if let Some(target) = profile.push_target {
        // A target that is nowhere: the device pulls from now on.
        row.push_target = Some(target).filter(|target| target.target.is_some());
        row.push_state = if row.push_target.is_some() { PushState::Ok } else { PushState::None };
    }
    if let Some(app_version) = profile.app_version {
        row.app_version = app_version;
    }
    if let Some(locale) = profile.locale {
        row.locale = locale;
    }
}
