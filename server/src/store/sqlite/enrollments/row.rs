//! Rows of the table of enrolments.

use countersign_domain::{
    enrollment::State,
    id::{DeviceId, EnrollmentId},
};
use countersign_proto::login::EnrollmentState;
use rusqlite::{Connection, Row, params};

use crate::store::{
    devices::UserKey,
    enrollments::{EnrollmentRow, NewEnrollment},
    sqlite::{
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
    let same = "SELECT 1 FROM enrollments WHERE id = ?1 AND token_tag = ?2";
    let same = optional(connection, same, params![new.id.to_string(), new.token_tag], |_| Ok(()))?;
    Ok(same.is_some())
}

/// Stores a new one.
pub(super) fn insert(connection: &Connection, new: &NewEnrollment) -> Outcome<()> {
    let insert =
        "INSERT INTO enrollments (id, application_id, user_id, account_name, token_tag, offer, state,
        wrong_codes, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8, ?9)";
    let params = params![
        new.id.to_string(),
        new.user.application.to_string(),
        new.user.user_id,
        new.account_name,
        new.token_tag,
        new.offer,
        State::Pending.to_wire().as_str_name(),
        new.created_at.as_millis(),
        new.expires_at.as_millis(),
    ];
    execute(connection, insert, params).map(|_| ())
}

/// Stores a new state.
pub(super) fn set_state(connection: &Connection, id: EnrollmentId, state: State) -> Outcome<()> {
    let wrong_codes = match state {
        State::Confirming { wrong_codes } => Some(wrong_codes),
        _ => None,
    };
    let update = "UPDATE enrollments SET state = ?2, wrong_codes = coalesce(?3, wrong_codes) WHERE id = ?1";
    let params = params![id.to_string(), state.to_wire().as_str_name(), wrong_codes];
    execute(connection, update, params).map(|_| ())
}

fn enrollment(connection: &Connection, row: &Row<'_>) -> Outcome<EnrollmentRow> {
    let device_id: Option<String> = row.get("device_id")?;
    let device = match device_id.map(|id| id.parse::<DeviceId>()) {
        None => None,
        Some(Ok(id)) => devices::by_id(connection, id)?,
        Some(Err(_)) => return Err(Failure::Damaged("an id")),
    };
    Ok(EnrollmentRow {
        id: parsed(row, "id")?,
        user: UserKey { application: parsed(row, "application_id")?, user_id: row.get("user_id")? },
        account_name: row.get("account_name")?,
        offer: row.get("offer")?,
        state: state(row)?,
        created_at: time(row, "created_at")?,
        expires_at: time(row, "expires_at")?,
        device,
    })
}

fn state(row: &Row<'_>) -> Outcome<State> {
    Ok(match named(row, "state", EnrollmentState::from_str_name)? {
        EnrollmentState::Pending => State::Pending,
        EnrollmentState::Confirming => State::Confirming { wrong_codes: row.get("wrong_codes")? },
        EnrollmentState::Completed => State::Completed,
        EnrollmentState::Expired => State::Expired,
        EnrollmentState::Superseded => State::Superseded,
        EnrollmentState::Failed => State::Failed,
        EnrollmentState::Unspecified => return Err(Failure::Damaged("the state of an enrolment")),
    })
}
