//! A look at a database from outside, beside whoever works with it: it changes nothing and makes no file.

use std::path::Path;

use countersign_proto::statement::PushTarget;
use rusqlite::{Connection, OpenFlags};

use super::{
    columns::all,
    failure::{Failure, Outcome},
    schema::{self, Contents},
    secrets::{sealed, server_keys},
};
use crate::store::secrets::ServerKeyRow;

/// How many faults of a file are told.
const MOST_FAULTS: usize = 5;

/// A database that is read and never written.
pub struct Inspection(Connection);

/// What SQLite says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InspectionError(String);

impl Inspection {
    /// Opens the file at `path`, which must be there.
    pub fn open(path: &Path) -> Result<Self, InspectionError> {
        // Whoever has it open keeps an index of the log beside it. Where there is none SQLite would make one, but not
        // for a file that it is told nobody changes: whoever closed it last has copied the log into it.
        let index = path.with_extension("sqlite-shm");
        let flags =
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mode = if index.exists() { "mode=ro" } else { "immutable=1" };
        let uri = format!("{}?{mode}", uri_of(path));
        let open = || {
            let connection = Connection::open_with_flags(uri, flags)?;
            connection.busy_timeout(std::time::Duration::from_secs(5))?;
            Ok(connection)
        };
        Ok(Self(open().map_err(|error: rusqlite::Error| InspectionError::from(Failure::from(error)))?))
    }

    /// Whether it is a database of ours, in a layout that this version knows.
    pub fn contents(&self) -> Result<Contents, InspectionError> {
        schema::contents(&self.0).map_err(|error| InspectionError::from(Failure::from(error)))
    }

    /// What is wrong with the file, in SQLite's words; nothing when it is whole. Reads all of it.
    pub fn faults(&self) -> Result<Vec<String>, InspectionError> {
        let check = format!("PRAGMA integrity_check({MOST_FAULTS})");
        let words = all(&self.0, &check, [], |row| Ok(row.get::<_, String>(0)?));
        let mut faults = words.map_err(InspectionError::from)?;
        faults.retain(|words| words != "ok");
        let orphans: Outcome<Vec<String>> = all(&self.0, "PRAGMA foreign_key_check", [], |row| {
            Ok(format!(
                "a row of {} refers to none of {}",
                row.get::<_, String>(0)?,
                row.get::<_, String>(2)?
            ))
        });
        faults.extend(orphans.map_err(InspectionError::from)?);
        faults.truncate(MOST_FAULTS);
        Ok(faults)
    }

    /// A sealed value.
    pub fn sealed(&self, name: &str) -> Result<Option<Vec<u8>>, InspectionError> {
        sealed(&self.0, name).map_err(InspectionError::from)
    }

    /// All server keys, lowest version first.
    pub fn server_keys(&self) -> Result<Vec<ServerKeyRow>, InspectionError> {
        server_keys(&self.0).map_err(InspectionError::from)
    }

    /// Where the devices in use want to be woken.
    pub fn push_targets(&self) -> Result<Vec<PushTarget>, InspectionError> {
        let targets = "SELECT push_target FROM devices
            WHERE push_target IS NOT NULL AND revoked_at IS NULL AND bound_at IS NOT NULL";
        let read = all(&self.0, targets, [], |row| {
            let text: String = row.get(0)?;
            serde_json::from_str(&text).map_err(|_| Failure::Damaged("a push target"))
        });
        read.map_err(InspectionError::from)
    }
}

impl From<Failure> for InspectionError {
    fn from(failure: Failure) -> Self {
        Self(failure.to_string())
    }
}

/// A path as SQLite's URI of a file (<https://www.sqlite.org/uri.html>): any bytes, and none of them mean anything else.
pub(super) fn uri_of(path: &Path) -> String {
    use std::{fmt::Write as _, os::unix::ffi::OsStrExt as _};
    // With an empty authority, lest a path that begins with two slashes names one.
    let mut uri = String::from(if path.is_absolute() { "file://" } else { "file:" });
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            write!(uri, "%{byte:02X}").expect("a text takes it");
        }
    }
    uri
}
