//! A code comes: it completes an enrolment, or is a try.

use countersign_domain::{
    UnixTime,
    enrollment::{Event, State},
};
use rusqlite::{Connection, params};

use super::{is_full, may_complete, move_to};
use crate::store::{
    devices::{Bound, DeviceRow},
    enrollments::{ConfirmOutcome, EnrollmentRow},
    sqlite::{codes, columns::execute, failure::Outcome},
};

/// `bound` is there when the code was right.
pub(super) fn confirm(
    connection: &Connection,
    mut row: EnrollmentRow,
    public_key: [u8; 32],
    bound: Option<&Bound>,
    now: UnixTime,
) -> Outcome<ConfirmOutcome> {
    let device = match &row.device {
        Some(device) if device.public_key == public_key => device.id,
        _ => return Ok(ConfirmOutcome::Confirmed(Box::new(row))),
    };
    let is_awaited = matches!(row.state, State::Confirming { .. });
    if let Some(bound) = bound.filter(|_| is_awaited) {
        if let Some(ended) = ended_instead(connection, &mut row, now)? {
            return Ok(ended);
        }
        let bind = "UPDATE devices SET bound_at = ?2, binding = ?3 WHERE id = ?1 AND bound_at IS NULL";
        execute(connection, bind, params![device.to_string(), bound.at.as_millis(), bound.envelope])?;
        row.device = row.device.map(|device| DeviceRow { bound: Some(bound.clone()), ..device });
    }
    let state = row.state.after(Event::Confirm { code_is_right: bound.is_some() });
    move_to(connection, &mut row, state)?;
    Ok(ConfirmOutcome::Confirmed(Box::new(row)))
}

/// `step` is there when the code was right.
pub(super) fn confirm_totp(
    connection: &Connection,
    mut row: EnrollmentRow,
    step: Option<u64>,
    now: UnixTime,
) -> Outcome<ConfirmOutcome> {
    let awaited = row.totp.as_ref().filter(|_| matches!(row.state, State::AwaitingTotp { .. }));
    let Some(secret) = awaited.map(|totp| totp.id) else {
        return Ok(ConfirmOutcome::Confirmed(Box::new(row)));
    };
    if let Some(step) = step {
        if let Some(ended) = ended_instead(connection, &mut row, now)? {
            return Ok(ended);
        }
        codes::confirm_totp(connection, secret, step, now)?;
    }
    let state = row.state.after(Event::Confirm { code_is_right: step.is_some() });
    move_to(connection, &mut row, state)?;
    Ok(ConfirmOutcome::Confirmed(Box::new(row)))
}

/// An enrolment whose code was right is superseded all the same where there is no room any more, or where what
/// it rests on has been used.
fn ended_instead(
    connection: &Connection,
    row: &mut EnrollmentRow,
    now: UnixTime,
) -> Outcome<Option<ConfirmOutcome>> {
    let is_full = is_full(connection, &row.user, row.factor_type)?;
    if !is_full && may_complete(connection, row, now)? {
        return Ok(None);
    }
    let superseded = row.state.after(Event::Supersede);
    move_to(connection, row, superseded)?;
    let outcome =
        if is_full { ConfirmOutcome::TooMany } else { ConfirmOutcome::Confirmed(Box::new(row.clone())) };
    Ok(Some(outcome))
}
