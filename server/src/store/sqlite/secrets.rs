//! Sealed values and server keys.

use rusqlite::{Connection, params};

use super::{
    SqliteStore,
    columns::{all, execute, optional, time},
    failure::{Failure, Outcome},
};
use crate::store::{
    StoreFuture,
    secrets::{Secrets, ServerKeyRow},
};

impl Secrets for SqliteStore {
    fn sealed(&self, name: &'static str) -> StoreFuture<'_, Option<Vec<u8>>> {
        self.read("secrets.sealed", move |connection, _| sealed(connection, name))
    }

    fn put_if_absent(&self, name: &'static str, value: Vec<u8>) -> StoreFuture<'_, Vec<u8>> {
        self.write("secrets.put_if_absent", move |connection, _| {
            let insert =
                "INSERT INTO sealed_values (name, sealed) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING";
            execute(connection, insert, params![name, value])?;
            sealed(connection, name)?.ok_or(Failure::Damaged("a sealed value"))
        })
    }

    fn replace(&self, name: &'static str, old: Option<Vec<u8>>, new: Vec<u8>) -> StoreFuture<'_, bool> {
        self.write("secrets.replace", move |connection, _| {
            let replaced = match &old {
                None => {
                    let insert = "INSERT INTO sealed_values (name, sealed) VALUES (?1, ?2)
                        ON CONFLICT (name) DO NOTHING";
                    execute(connection, insert, params![name, new])?
                }
                Some(old) => {
                    let update = "UPDATE sealed_values SET sealed = ?3 WHERE name = ?1 AND sealed = ?2";
                    execute(connection, update, params![name, old, new])?
                }
            };
            Ok(replaced == 1)
        })
    }

    fn server_keys(&self) -> StoreFuture<'_, Vec<ServerKeyRow>> {
        self.read("secrets.server_keys", |connection, _| server_keys(connection))
    }

    fn add_server_key(&self, key: ServerKeyRow) -> StoreFuture<'_, bool> {
        self.write("secrets.add_server_key", move |connection, _| {
            let insert = "INSERT INTO server_keys (version, sealed_key, statement, not_before, not_after)
                VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (version) DO NOTHING";
            let times = (key.not_before.as_millis(), key.not_after.as_millis());
            let version = key.version.cast_signed();
            let params = params![version, key.sealed_key, key.statement, times.0, times.1];
            Ok(execute(connection, insert, params)? == 1)
        })
    }
}

/// All server keys, lowest version first.
pub(super) fn server_keys(connection: &Connection) -> Outcome<Vec<ServerKeyRow>> {
    let keys = "SELECT version, sealed_key, statement, not_before, not_after
        FROM server_keys ORDER BY version";
    all(connection, keys, [], |row| {
        let version: i64 = row.get(0)?;
        Ok(ServerKeyRow {
            version: version.cast_unsigned(),
            sealed_key: row.get(1)?,
            statement: row.get(2)?,
            not_before: time(row, 3)?,
            not_after: time(row, 4)?,
        })
    })
}

/// A sealed value.
pub(super) fn sealed(connection: &Connection, name: &str) -> Outcome<Option<Vec<u8>>> {
    let by_name = "SELECT sealed FROM sealed_values WHERE name = ?1";
    optional(connection, by_name, [name], |row| Ok(row.get(0)?))
}
