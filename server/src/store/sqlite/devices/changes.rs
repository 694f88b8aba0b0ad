//! What a device changes of itself by a signed statement.

use std::time::Duration;

use countersign_domain::{
    UnixTime,
    id::{DeviceId, FactorId},
};
use countersign_proto::common::PushState;
use rusqlite::{Connection, params};

use super::{by_id, end, is_key_known, mark_due, row::written};
use crate::store::{
    devices::{ChangeOutcome, DeviceRow, Goodbye, KeyChange, ProfileChange, TombstoneDue},
    sqlite::{
        columns::{execute, optional},
        failure::Outcome,
    },
};

/// For how long a change that ended a key is told to have been made, to whoever has that key.
const TOLD_FOR: Duration = Duration::from_hours(24);

/// A device tells something new of itself.
pub(super) fn profile(
    connection: &Connection,
    change: &ProfileChange,
    now: UnixTime,
) -> Outcome<ChangeOutcome> {
    let Some(mut row) = in_use(connection, change.device, change.public_key)? else {
        return Ok(ChangeOutcome::NotFound);
    };
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

/// A new key takes over.
pub(super) fn key(connection: &Connection, change: &KeyChange, now: UnixTime) -> Outcome<ChangeOutcome> {
    let Some(mut row) = in_use(connection, change.device, change.public_key)? else {
        return Ok(ChangeOutcome::NotFound);
    };
    let Some(bound) = row.bound.take() else { return Ok(ChangeOutcome::NotFound) };
    if change.sequence <= row.sequence {
        return Ok(ChangeOutcome::SequenceUsed);
    }
    if is_key_known(connection, change.new_key)? {
        return Ok(ChangeOutcome::KeyKnown);
    }
    let id = row.id.to_string();
    let keep = "INSERT INTO bindings (device_id, public_key, bound_at, binding, replaced_at, replaced_by)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let former = params![
        id,
        row.public_key,
        bound.at.as_millis(),
        bound.envelope,
        now.as_millis(),
        change.payload_sha256
    ];
    execute(connection, keep, former)?;
    let update = "UPDATE devices SET public_key = ?2, source_sha256 = ?3, bound_at = ?4, binding = ?5,
        change_sequence = ?6, change_sha256 = ?3 WHERE id = ?1";
    let params = params![
        id,
        change.new_key,
        change.payload_sha256,
        change.bound.at.as_millis(),
        change.bound.envelope,
        change.sequence.cast_signed()
    ];
    execute(connection, update, params)?;
    let due = TombstoneDue {
        factor: FactorId::Device(row.id),
        user: row.id.user(),
        tag: change.tag,
        successor: Some(change.successor),
        revoked_at: now,
    };
    mark_due(connection, &due)?;
    (row.public_key, row.sequence) = (change.new_key, change.sequence);
    row.bound = Some(change.bound.clone());
    Ok(ChangeOutcome::Changed(Box::new(row)))
}

/// A device says goodbye.
pub(super) fn goodbye(connection: &Connection, goodbye: &Goodbye, now: UnixTime) -> Outcome<ChangeOutcome> {
    let row = in_use(connection, goodbye.device, goodbye.public_key)?.filter(|row| row.bound.is_some());
    let Some(mut row) = row else { return Ok(ChangeOutcome::NotFound) };
    if goodbye.sequence <= row.sequence {
        return Ok(ChangeOutcome::SequenceUsed);
    }
    end(connection, &row, goodbye.tag, now)?;
    let update = "UPDATE devices SET change_sequence = ?2, change_sha256 = ?3 WHERE id = ?1";
    let params = params![row.id.to_string(), goodbye.sequence.cast_signed(), goodbye.payload_sha256];
    execute(connection, update, params)?;
    (row.revoked_at, row.sequence) = (Some(now), goodbye.sequence);
    Ok(ChangeOutcome::Changed(Box::new(row)))
}

/// See [`Devices::ended_by`](crate::store::Devices::ended_by).
pub(super) fn ended_by(
    connection: &Connection,
    id: DeviceId,
    public_key: [u8; 32],
    payload_sha256: [u8; 32],
    now: UnixTime,
) -> Outcome<Option<DeviceRow>> {
    let since = now.minus(TOLD_FOR).as_millis();
    let ended = "SELECT 1 FROM devices WHERE id = ?1 AND (
            EXISTS (SELECT 1 FROM bindings WHERE device_id = ?1 AND public_key = ?2 AND replaced_by = ?3
                AND replaced_at > ?4)
            OR public_key = ?2 AND change_sha256 = ?3 AND revoked_at > ?4)";
    let params = params![id.to_string(), public_key, payload_sha256, since];
    match optional(connection, ended, params, |_| Ok(()))? {
        Some(()) => by_id(connection, id),
        None => Ok(None),
    }
}

fn in_use(connection: &Connection, id: DeviceId, public_key: [u8; 32]) -> Outcome<Option<DeviceRow>> {
    let row = by_id(connection, id)?;
    Ok(row.filter(|row| row.public_key == public_key && row.revoked_at.is_none()))
}
