//! Reading and writing columns.

use std::str::FromStr;

use countersign_domain::UnixTime;
use rusqlite::{Connection, Params, Row, RowIndex};

use super::failure::{Failure, Outcome};

/// All rows of a query.
pub(super) fn all<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnMut(&Row<'_>) -> Outcome<T>,
) -> Outcome<Vec<T>> {
    connection.prepare_cached(sql)?.query_and_then(params, read)?.collect()
}

/// The first row of a query, when there is one.
pub(super) fn optional<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnMut(&Row<'_>) -> Outcome<T>,
) -> Outcome<Option<T>> {
    connection.prepare_cached(sql)?.query_and_then(params, read)?.next().transpose()
}

/// Runs a statement. Returns how many rows it changed.
pub(super) fn execute(connection: &Connection, sql: &str, params: impl Params) -> Outcome<usize> {
    Ok(connection.prepare_cached(sql)?.execute(params)?)
}

/// Something that is kept as text.
pub(super) fn parsed<T: FromStr>(row: &Row<'_>, column: impl RowIndex) -> Outcome<T> {
    row.get_ref(column)?.as_str().ok().and_then(|text| text.parse().ok()).ok_or(Failure::Damaged("an id"))
}

/// A time.
pub(super) fn time(row: &Row<'_>, column: impl RowIndex) -> Outcome<UnixTime> {
    Ok(UnixTime::from_millis(row.get(column)?))
}

/// A time that may be missing.
pub(super) fn optional_time(row: &Row<'_>, column: impl RowIndex) -> Outcome<Option<UnixTime>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(UnixTime::from_millis))
}

/// An enumeration of the contract, kept by its name.
pub(super) fn named<T>(
    row: &Row<'_>,
    column: impl RowIndex,
    from_name: impl FnOnce(&str) -> Option<T>,
) -> Outcome<T> {
    let name = row.get_ref(column)?.as_str().ok();
    name.and_then(from_name).ok_or(Failure::Damaged("the name of a value"))
}
