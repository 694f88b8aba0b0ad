//! A device takes a link.

use countersign_domain::{
    UnixTime,
    enrollment::{Event, State},
    id::FactorId,
};
use countersign_proto::common::PushState;
use rusqlite::{Connection, params};

use super::{
    may_complete, move_to,
    row::{By, find},
    sealed,
};
use crate::store::{
    enrollments::{EnrollmentRow, MAX_DEVICES, TakeOutcome, Taking},
    sqlite::{
        codes::insert_totp,
        columns::execute,
        devices::{count_in_use, is_key_known},
        failure::{Failure, Outcome},
    },
};

/// A device takes the link, or is told why not.
pub(super) fn take(connection: &Connection, taking: &Taking, now: UnixTime) -> Outcome<TakeOutcome> {
    let by = By::Id(taking.enrollment);
    let Some(mut row) = sealed(connection, by, now)? else { return Ok(TakeOutcome::NotFound) };
    if let Some(refused) = refusal(connection, &row, taking)? {
        return Ok(refused);
    }
    if row.device.is_none() {
        if taking.bound.is_some() && !may_complete(connection, &row, now)? {
            let superseded = row.state.after(Event::Supersede);
            move_to(connection, &mut row, superseded)?;
            return Ok(TakeOutcome::NotFound);
        }
        insert_device(connection, &row, taking, now)?;
        insert_totp(connection, FactorId::Device(taking.device), &row.user, &taking.totp, now)?;
        let update = "UPDATE enrollments SET device_id = ?2 WHERE id = ?1 AND device_id IS NULL";
        execute(connection, update, [row.id.to_string(), taking.device.to_string()])?;
        let state = row.state.after(Event::Take { confirmation_wanted: taking.bound.is_none() });
        move_to(connection, &mut row, state)?;
        row = find(connection, by)?.ok_or(Failure::Damaged("an enrolment"))?;
    }
    Ok(TakeOutcome::Taken(Box::new(row)))
}

fn refusal(connection: &Connection, row: &EnrollmentRow, taking: &Taking) -> Outcome<Option<TakeOutcome>> {
    if let Some(device) = &row.device {
        let is_same = device.public_key == taking.public_key;
        return Ok((!is_same).then_some(TakeOutcome::TakenByOther));
    }
    if row.state != State::Pending {
        return Ok(Some(TakeOutcome::NotFound));
    }
    if is_key_known(connection, taking.public_key)? {
        return Ok(Some(TakeOutcome::KeyKnown));
    }
    let is_full = count_in_use(connection, &row.user)? >= MAX_DEVICES;
    Ok(is_full.then_some(TakeOutcome::TooMany))
}

fn insert_device(
    connection: &Connection,
    row: &EnrollmentRow,
    taking: &Taking,
    now: UnixTime,
) -> Outcome<()> {
    let insert = "INSERT INTO devices (id, application_id, user_id, account_name, name, platform, public_key,
        source_sha256, created_at, bound_at, binding, push_state, app_version, locale, change_sequence)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, '', '', 0)";
    let params = params![
        taking.device.to_string(),
        row.user.application.to_string(),
        row.user.user_id,
        row.account_name,
        taking.name,
        taking.platform.as_str_name(),
        taking.public_key,
        taking.source_sha256,
        now.as_millis(),
        taking.bound.as_ref().map(|bound| bound.at.as_millis()),
        taking.bound.as_ref().map(|bound| &bound.envelope),
        PushState::None.as_str_name(),
    ];
    execute(connection, insert, params).map(|_| ())
}
