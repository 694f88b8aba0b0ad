//! Rows of the table of enrolments.

use countersign_domain::{
    enrollment::State,
    id::{ChallengeId, DeviceId, EnrollmentId},
};
use countersign_proto::{common::FactorType, login::EnrollmentState};
use rusqlite::{Connection, Row, params};

use crate::store::{
    devices::UserKey,
    enrollments::{EnrollmentRow, NewEnrollment, NewFactor},
    sqlite::{
        admission::Admission,
        codes::totp_by_id,
        columns::{all, execute, named, optional, parsed, time},
        devices,
        failure::{Failure, Outcome},
    },
};

/// How an enrolment is found.
#[derive(Clone, Copy, Debug)]
pub(super) enum By {
    /// By its token's tag.
    Token([u8; 32]),
    /// By its id.
    Id(EnrollmentId),
    /// By the device that took it.
    Device(DeviceId),
}

/// What a read saw.
pub(super) enum Found {
    /// None.
    Missing,
    /// One that stands as it is.
    Known(Box<EnrollmentRow>),
    /// One whose time is over and whose state does not say so yet.
    ToBeSealed,
}

/// An enrolment as it is stored, with its device.
pub(super) fn find(connection: &Connection, by: By) -> Outcome<Option<EnrollmentRow>> {
    let read = |row: &Row<'_>| enrollment(connection, row);
    match by {
        By::Token(tag) => optional(connection, "SELECT * FROM enrollments WHERE token_tag = ?1", [tag], read),
        By::Device(id) => {
            let by_device = "SELECT * FROM enrollments WHERE device_id = ?1";
            optional(connection, by_device, [id.to_string()], read)
        }
        By::Id(id) => optional(connection, "SELECT * FROM enrollments WHERE id = ?1", [id.to_string()], read),
    }
}

/// Those of a user that are open, as they are stored.
pub(super) fn open_of_user(connection: &Connection, user: &UserKey) -> Outcome<Vec<EnrollmentRow>> {
    let of_user = "SELECT * FROM enrollments WHERE application_id = ?1 AND user_id = ?2
        AND state IN ('ENROLLMENT_STATE_PENDING', 'ENROLLMENT_STATE_CONFIRMING')";
    let params = [&user.application.to_string(), &user.user_id];
    all(connection, of_user, params, |row| enrollment(connection, row))
}

/// Whether this very enrolment is there already.
pub(super) fn exists(connection: &Connection, new: &NewEnrollment) -> Outcome<bool> {
    // An id is 122 random bits: no other enrolment has it.
    let same = "SELECT 1 FROM enrollments WHERE id = ?1";
    let same = optional(connection, same, [new.id.to_string()], |_| Ok(()))?;
    Ok(same.is_some())
}

/// Stores a new one.
pub(super) fn insert(connection: &Connection, new: &NewEnrollment, admission: Admission) -> Outcome<()> {
    let insert = "INSERT INTO enrollments (id, application_id, user_id, account_name, type, token_tag, offer,
        totp_id, authorized_by, by_allowance, state, wrong_codes, created_at, expires_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 0, ?12, ?13)";
    let (token_tag, offer, totp) = match &new.factor {
        NewFactor::Device { token_tag, offer } => (Some(token_tag), Some(offer), None),
        NewFactor::Totp(enrolling) => (None, None, Some(enrolling.id.to_string())),
    };
    let authorized_by = match admission {
        Admission::Authorization(challenge) => Some(challenge.to_string()),
        Admission::FirstFactor | Admission::Allowance => None,
    };
    let params = params![
        new.id.to_string(),
        new.user.application.to_string(),
        new.user.user_id,
        new.account_name,
        new.factor.factor_type().as_str_name(),
        token_tag,
        offer,
        totp,
        authorized_by,
        admission == Admission::Allowance,
        EnrollmentState::Pending.as_str_name(),
        new.created_at.as_millis(),
        new.expires_at.as_millis(),
    ];
    execute(connection, insert, params).map(|_| ())
}

/// Stores a new state.
pub(super) fn set_state(connection: &Connection, id: EnrollmentId, state: State) -> Outcome<()> {
    let wrong_codes = match state {
        State::Confirming { wrong_codes } | State::AwaitingTotp { wrong_codes } => Some(wrong_codes),
        _ => None,
    };
    let update = "UPDATE enrollments SET state = ?2, wrong_codes = coalesce(?3, wrong_codes) WHERE id = ?1";
    let params = params![id.to_string(), state.to_wire().as_str_name(), wrong_codes];
    execute(connection, update, params).map(|_| ())
}

fn enrollment(connection: &Connection, row: &Row<'_>) -> Outcome<EnrollmentRow> {
    let device_id: Option<String> = row.get("device_id")?;
    let totp_id = row.get::<_, Option<String>>("totp_id")?.or(device_id.clone());
    let device = match device_id.map(|id| id.parse::<DeviceId>()) {
        None => None,
        Some(Ok(id)) => devices::by_id(connection, id)?,
        Some(Err(_)) => return Err(Failure::Damaged("an id")),
    };
    Ok(EnrollmentRow {
        id: parsed(row, "id")?,
        user: UserKey { application: parsed(row, "application_id")?, user_id: row.get("user_id")? },
        account_name: row.get("account_name")?,
        factor_type: factor_type(row)?,
        offer: row.get::<_, Option<_>>("offer")?.unwrap_or_default(),
        state: state(row)?,
        created_at: time(row, "created_at")?,
        expires_at: time(row, "expires_at")?,
        device,
        totp: totp_id.map(|id| totp_by_id(connection, &id)).transpose()?.flatten(),
    })
}

/// What an enrolment rests on.
pub(super) fn admission(connection: &Connection, id: EnrollmentId) -> Outcome<Admission> {
    let admission = "SELECT authorized_by, by_allowance FROM enrollments WHERE id = ?1";
    let admission = optional(connection, admission, [id.to_string()], |row| {
        let authorized_by: Option<String> = row.get(0)?;
        Ok(match authorized_by.map(|id| id.parse::<ChallengeId>()) {
            Some(Ok(challenge)) => Admission::Authorization(challenge),
            Some(Err(_)) => return Err(Failure::Damaged("an id")),
            None if row.get(1)? => Admission::Allowance,
            None => Admission::FirstFactor,
        })
    })?;
    admission.ok_or(Failure::Damaged("an enrolment"))
}

fn factor_type(row: &Row<'_>) -> Outcome<FactorType> {
    named(row, "type", FactorType::from_str_name)
}

fn state(row: &Row<'_>) -> Outcome<State> {
    Ok(match named(row, "state", EnrollmentState::from_str_name)? {
        EnrollmentState::Pending if factor_type(row)? == FactorType::Totp => {
            State::AwaitingTotp { wrong_codes: row.get("wrong_codes")? }
        }
        EnrollmentState::Pending => State::Pending,
        EnrollmentState::Confirming => State::Confirming { wrong_codes: row.get("wrong_codes")? },
        EnrollmentState::Completed => State::Completed,
        EnrollmentState::Expired => State::Expired,
        EnrollmentState::Superseded => State::Superseded,
        EnrollmentState::Failed => State::Failed,
        EnrollmentState::Unspecified => return Err(Failure::Damaged("the state of an enrolment")),
    })
}
