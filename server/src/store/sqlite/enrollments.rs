//! Enrolments under way.

mod row;
mod take;

use std::time::Duration;

use countersign_domain::{
    UnixTime,
    enrollment::{Event, State},
    id::{ApplicationId, DeviceId, EnrollmentId},
};
use rusqlite::{Connection, params};

use self::row::{By, Found, find, open_of_user, set_state};
use super::{
    SqliteStore,
    columns::{all, execute, optional},
    devices::count_in_use,
    failure::Outcome,
};
use crate::store::{
    StoreFuture,
    devices::{Bound, DeviceRow, UserKey},
    enrollments::{
        ConfirmOutcome, EnrollmentRow, Enrollments, MAX_DEVICES, NewEnrollment, TakeOutcome, Taking,
    },
};

/// How long an enrolment is kept once its time is over.
const KEPT_AFTER_EXPIRY: Duration = Duration::from_hours(24);
/// Enrolments that one call of `clean` looks at.
const CLEANED_AT_ONCE: i64 = 200;

impl Enrollments for SqliteStore {
    fn start(&self, enrollment: NewEnrollment) -> StoreFuture<'_, bool> {
        self.write("enrollments.start", move |connection, now| start(connection, &enrollment, now))
    }

    fn by_token(&self, token_tag: [u8; 32]) -> StoreFuture<'_, Option<EnrollmentRow>> {
        self.see(By::Token(token_tag))
    }

    fn by_id(
        &self,
        application: ApplicationId,
        enrollment: EnrollmentId,
    ) -> StoreFuture<'_, Option<EnrollmentRow>> {
        let found = self.see(By::Id(enrollment));
        Box::pin(async move { Ok(found.await?.filter(|row| row.user.application == application)) })
    }

    fn of_device(&self, device: DeviceId) -> StoreFuture<'_, Option<State>> {
        let found = self.see(By::Device(device));
        Box::pin(async move { Ok(found.await?.map(|row| row.state)) })
    }

    fn take(&self, taking: Taking) -> StoreFuture<'_, TakeOutcome> {
        self.write("enrollments.take", move |connection, now| take::take(connection, &taking, now))
    }

    fn confirm(
        &self,
        application: ApplicationId,
        enrollment: EnrollmentId,
        public_key: [u8; 32],
        code_is_right: bool,
        bound: Bound,
    ) -> StoreFuture<'_, ConfirmOutcome> {
        self.write("enrollments.confirm", move |connection, now| {
            let found = sealed(connection, By::Id(enrollment), now)?;
            match found.filter(|row| row.user.application == application) {
                Some(row) => confirm(connection, row, public_key, code_is_right.then_some(&bound)),
                None => Ok(ConfirmOutcome::NotFound),
            }
        })
    }

    fn source_sha256(&self, device: DeviceId) -> StoreFuture<'_, Option<[u8; 32]>> {
        self.read("enrollments.source_sha256", move |connection, _| {
            let source = "SELECT source_sha256 FROM devices WHERE id = ?1";
            optional(connection, source, [device.to_string()], |row| Ok(row.get(0)?))
        })
    }

    fn clean(&self) -> StoreFuture<'_, usize> {
        self.write("enrollments.clean", clean)
    }
}

impl SqliteStore {
    /// Reads an enrolment. One whose time is seen to be over is sealed before anybody hears of it.
    fn see(&self, by: By) -> StoreFuture<'_, Option<EnrollmentRow>> {
        Box::pin(async move {
            let read = move |connection: &Connection, now| {
                // The device is read while the statement for its enrolment has not ended: of the same moment.
                let found = find(connection, by)?;
                let is_over = |row: &EnrollmentRow| row.state.at(now, row.expires_at) != row.state;
                Ok(match found {
                    Some(row) if is_over(&row) => Found::ToBeSealed,
                    Some(row) => Found::Known(Box::new(row)),
                    None => Found::Missing,
                })
            };
            match self.read("enrollments.see", read).await? {
                Found::Known(row) => Ok(Some(*row)),
                Found::Missing => Ok(None),
                Found::ToBeSealed => {
                    self.write("enrollments.seal", move |connection, now| sealed(connection, by, now)).await
                }
            }
        })
    }
}

/// An enrolment with its expiry sealed.
fn sealed(connection: &Connection, by: By, now: UnixTime) -> Outcome<Option<EnrollmentRow>> {
    let Some(mut row) = find(connection, by)? else { return Ok(None) };
    let state = row.state.at(now, row.expires_at);
    move_to(connection, &mut row, state)?;
    Ok(Some(row))
}

fn move_to(connection: &Connection, row: &mut EnrollmentRow, state: State) -> Outcome<()> {
    if state != row.state {
        set_state(connection, row.id, state)?;
        row.state = state;
    }
    Ok(())
}

/// Ends every open enrolment of a user: those whose time is over have expired, the others are superseded.
pub(super) fn supersede_open(connection: &Connection, user: &UserKey, now: UnixTime) -> Outcome<()> {
    for mut row in open_of_user(connection, user)? {
        let state = row.state.at(now, row.expires_at).after(Event::Supersede);
        move_to(connection, &mut row, state)?;
    }
    Ok(())
}

/// Forgets every enrolment of a user.
pub(super) fn forget_user_enrollments(connection: &Connection, user: &UserKey) -> Outcome<()> {
    let forget = "DELETE FROM enrollments WHERE application_id = ?1 AND user_id = ?2";
    execute(connection, forget, [&user.application.to_string(), &user.user_id]).map(|_| ())
}

fn start(connection: &Connection, new: &NewEnrollment, now: UnixTime) -> Outcome<bool> {
    if row::exists(connection, new)? {
        // This very call was made before, and its answer was lost.
        return Ok(true);
    }
    if count_in_use(connection, &new.user)? >= MAX_DEVICES {
        return Ok(false);
    }
    supersede_open(connection, &new.user, now)?;
    row::insert(connection, new)?;
    Ok(true)
}

/// `bound` is there when the code was right.
fn confirm(
    connection: &Connection,
    mut row: EnrollmentRow,
    public_key: [u8; 32],
    bound: Option<&Bound>,
) -> Outcome<ConfirmOutcome> {
    let device = match &row.device {
        Some(device) if device.public_key == public_key => device.id,
        _ => return Ok(ConfirmOutcome::Confirmed(Box::new(row))),
    };
    let is_awaited = matches!(row.state, State::Confirming { .. });
    if let Some(bound) = bound.filter(|_| is_awaited) {
        if count_in_use(connection, &row.user)? >= MAX_DEVICES {
            let superseded = row.state.after(Event::Supersede);
            move_to(connection, &mut row, superseded)?;
            return Ok(ConfirmOutcome::TooManyDevices);
        }
        let bind = "UPDATE devices SET bound_at = ?2, binding = ?3 WHERE id = ?1 AND bound_at IS NULL";
        execute(connection, bind, params![device.to_string(), bound.at.as_millis(), bound.envelope])?;
        row.device = row.device.map(|device| DeviceRow { bound: Some(bound.clone()), ..device });
    }
    let state = row.state.after(Event::Confirm { code_is_right: bound.is_some() });
    move_to(connection, &mut row, state)?;
    Ok(ConfirmOutcome::Confirmed(Box::new(row)))
}

/// Looks at the oldest only, which are the first whose time was over.
fn clean(connection: &Connection, now: UnixTime) -> Outcome<usize> {
    let oldest = "SELECT sequence, device_id, expires_at FROM enrollments ORDER BY sequence LIMIT ?1";
    let oldest = all(connection, oldest, [CLEANED_AT_ONCE], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?, UnixTime::from_millis(row.get(2)?)))
    })?;
    let mut cleaned = 0;
    for (sequence, device, _) in
        oldest.into_iter().filter(|(_, _, expires_at)| now >= expires_at.plus(KEPT_AFTER_EXPIRY))
    {
        cleaned += execute(connection, "DELETE FROM enrollments WHERE sequence = ?1", [sequence])?;
        if let Some(device) = device {
            execute(connection, "DELETE FROM devices WHERE id = ?1 AND bound_at IS NULL", [device])?;
        }
    }
    Ok(cleaned)
}
