//! Enrolments under way.

mod confirm;
mod row;
mod take;

use std::time::Duration;

use countersign_domain::{
    UnixTime,
    enrollment::{Event, State},
    id::{ApplicationId, DeviceId, EnrollmentId, FactorId},
};
use countersign_proto::common::FactorType;
use rusqlite::Connection;

use self::row::{By, Found, admission, find, open_of_user, set_state};
use super::{
    SqliteStore,
    admission::{Admission, admit, had_factors, use_up},
    codes::{count_confirmed_totp, insert_totp, is_in_force},
    columns::{all, execute, optional},
    devices::count_in_use,
    failure::Outcome,
};
use crate::store::{
    StoreFuture,
    codes::MAX_TOTP_SECRETS,
    devices::{Bound, UserKey},
    enrollments::{
        ConfirmOutcome, EnrollmentRow, Enrollments, MAX_DEVICES, NewEnrollment, NewFactor, StartOutcome,
        TakeOutcome, Taking,
    },
};

/// How long an enrolment is kept once its time is over.
const KEPT_AFTER_EXPIRY: Duration = Duration::from_hours(24);
/// Enrolments that one call of `clean` looks at.
const CLEANED_AT_ONCE: i64 = 200;

impl Enrollments for SqliteStore {
    fn start(&self, enrollment: NewEnrollment) -> StoreFuture<'_, StartOutcome> {
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
                Some(row) => {
                    confirm::confirm(connection, row, public_key, code_is_right.then_some(&bound), now)
                }
                None => Ok(ConfirmOutcome::NotFound),
            }
        })
    }

    fn confirm_totp(
        &self,
        application: ApplicationId,
        enrollment: EnrollmentId,
        step: Option<u64>,
    ) -> StoreFuture<'_, ConfirmOutcome> {
        self.write("enrollments.confirm_totp", move |connection, now| {
            let found = sealed(connection, By::Id(enrollment), now)?;
            match found.filter(|row| row.user.application == application) {
                Some(row) => confirm::confirm_totp(connection, row, step, now),
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

/// Ends the open enrolments of a user that rest on nothing but that there was no factor yet, `but` this one.
pub(super) fn supersede_without_admission(
    connection: &Connection,
    user: &UserKey,
    but: Option<EnrollmentId>,
    now: UnixTime,
) -> Outcome<()> {
    for mut row in open_of_user(connection, user)?.into_iter().filter(|row| Some(row.id) != but) {
        if admission(connection, row.id)? == Admission::FirstFactor {
            let state = row.state.at(now, row.expires_at).after(Event::Supersede);
            move_to(connection, &mut row, state)?;
        }
    }
    Ok(())
}

/// Uses up what an enrolment that is about to be completed rests on. `false`: it has been used elsewhere.
fn may_complete(connection: &Connection, row: &EnrollmentRow, now: UnixTime) -> Outcome<bool> {
    let is_first = !had_factors(connection, &row.user)?;
    let admission = admission(connection, row.id)?;
    let may = use_up(connection, &row.user, admission, &row.id.to_string(), now)?;
    if may && is_first {
        supersede_without_admission(connection, &row.user, Some(row.id), now)?;
    }
    Ok(may)
}

/// Whether the user has as many factors of this type as allowed.
fn is_full(connection: &Connection, user: &UserKey, factor_type: FactorType) -> Outcome<bool> {
    Ok(match factor_type {
        FactorType::Totp => count_confirmed_totp(connection, user)? >= MAX_TOTP_SECRETS,
        _ => count_in_use(connection, user)? >= MAX_DEVICES,
    })
}

/// Forgets every enrolment of a user.
pub(super) fn forget_user_enrollments(connection: &Connection, user: &UserKey) -> Outcome<()> {
    let forget = "DELETE FROM enrollments WHERE application_id = ?1 AND user_id = ?2";
    execute(connection, forget, [&user.application.to_string(), &user.user_id]).map(|_| ())
}

fn start(connection: &Connection, new: &NewEnrollment, now: UnixTime) -> Outcome<StartOutcome> {
    if row::exists(connection, new)? {
        // This very call was made before, and its answer was lost.
        return Ok(StartOutcome::Started);
    }
    if !new.approved_by.map_or(Ok(true), |by| is_in_force(connection, by))? {
        return Ok(StartOutcome::StepUpRequired);
    }
    let Some(admission) = admit(connection, &new.user, new.authorization, now)? else {
        return Ok(StartOutcome::StepUpRequired);
    };
    let factor_type = new.factor.factor_type();
    if is_full(connection, &new.user, factor_type)? {
        return Ok(StartOutcome::TooMany);
    }
    for mut row in
        open_of_user(connection, &new.user)?.into_iter().filter(|row| row.factor_type == factor_type)
    {
        let state = row.state.at(now, row.expires_at).after(Event::Supersede);
        move_to(connection, &mut row, state)?;
    }
    if let NewFactor::Totp(enrolling) = &new.factor {
        insert_totp(connection, FactorId::Totp(enrolling.id), &new.user, &enrolling.totp, now)?;
    }
    row::insert(connection, new, admission)?;
    Ok(StartOutcome::Started)
}

/// Looks at the oldest only, which are the first whose time was over.
fn clean(connection: &Connection, now: UnixTime) -> Outcome<usize> {
    let over_since = now.minus(KEPT_AFTER_EXPIRY).as_millis();
    execute(connection, "DELETE FROM authorizations_used WHERE used_at <= ?1", [over_since])?;
    let oldest =
        "SELECT sequence, device_id, totp_id, expires_at FROM enrollments ORDER BY sequence LIMIT ?1";
    let oldest = all(connection, oldest, [CLEANED_AT_ONCE], |row| {
        let ids = [row.get::<_, Option<String>>(1)?, row.get(2)?];
        Ok((row.get::<_, i64>(0)?, ids, UnixTime::from_millis(row.get(3)?)))
    })?;
    let mut cleaned = 0;
    for (sequence, [device, totp], _) in
        oldest.into_iter().filter(|(_, _, expires_at)| now >= expires_at.plus(KEPT_AFTER_EXPIRY))
    {
        cleaned += execute(connection, "DELETE FROM enrollments WHERE sequence = ?1", [sequence])?;
        if let Some(totp) = totp {
            execute(connection, "DELETE FROM totp_secrets WHERE id = ?1 AND confirmed_at IS NULL", [totp])?;
        }
        if let Some(device) = device {
            let unbound = "DELETE FROM totp_secrets WHERE id = ?1
                AND id IN (SELECT id FROM devices WHERE bound_at IS NULL)";
            execute(connection, unbound, [&device])?;
            execute(connection, "DELETE FROM devices WHERE id = ?1 AND bound_at IS NULL", [device])?;
        }
    }
    Ok(cleaned)
}
