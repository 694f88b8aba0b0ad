//! The tables, and what tells that a file holds them.

use rusqlite::Connection;

/// Marks a file as Countersign's (`file` and SQLite's own tools show it): "CSGN".
const APPLICATION_ID: i32 = 0x4353_474e;
/// The layout that this server reads and writes.
pub(super) const VERSION: i32 = 2;
/// What leads from each layout to the next, from the first on. Written down for good.
const STEPS: [&str; 1] = [include_str!("schema/from_1_to_2.sql")];

/// What a database file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// Nothing yet.
    Empty,
    /// Our tables in the layout that we know.
    Ours,
    /// Our tables in an older layout.
    Older(i32),
    /// Our tables in a layout that came later.
    Newer(i32),
    /// Something else.
    Foreign,
}

/// Looks what the database holds; changes nothing.
pub(super) fn contents(connection: &Connection) -> rusqlite::Result<Contents> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(match (number("application_id")?, number("user_version")?) {
        (0, 0) if tables == 0 => Contents::Empty,
        (APPLICATION_ID, VERSION) => Contents::Ours,
        (APPLICATION_ID, version) if version > VERSION => Contents::Newer(version),
        (APPLICATION_ID, version) if version > 0 => Contents::Older(version),
        _ => Contents::Foreign,
    })
}

/// Makes the tables in an empty database. Returns whether this call made them: another process may have been
/// faster.
pub(super) fn create(connection: &mut Connection) -> rusqlite::Result<bool> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    if contents(&transaction)? != Contents::Empty {
        return Ok(false);
    }
    transaction.execute_batch(include_str!("schema.sql"))?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    Ok(true)
}

/// Brings the tables of an older layout up to this one, in one transaction: all of it or nothing.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    // Another process may have been faster.
    let Contents::Older(found) = contents(&transaction)? else { return Ok(()) };
    for step in STEPS.iter().skip(usize::try_from(found - 1).unwrap_or_default()) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    tracing::info!(schema.from = found, schema.to = VERSION, "the database has a newer layout now");
    Ok(())
}
