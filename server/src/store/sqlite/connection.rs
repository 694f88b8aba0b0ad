//! Connections: how they are opened, and that they keep what they promise.

use std::{
    fs::OpenOptions,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, FileControl, MAIN_DB, config::DbConfig};

use super::schema::{self, Contents};

/// Why the database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Made by a later version.
    #[error(
        "the database {path} has schema {found}, made by a newer Countersign; this one knows schema {known}: \
         run the newer version, or restore a backup from before it"
    )]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i32,
        /// The newest that this server knows.
        known: i32,
    },
    /// Made by an earlier version, and whoever opens it may not change that.
    #[error(
        "the database {path} has schema {found}, made by an older Countersign; this one needs schema {known}: stop \
         every older server and start one of this version, which brings the database up to date"
    )]
    OlderSchema {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i32,
        /// The one that is needed.
        known: i32,
    },
    /// Another program's.
    #[error("{path} is a database of another program; give Countersign a data directory of its own")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A file system or build that cannot keep what was acknowledged.
    #[error("the database {path} does not accept {setting}: it is {found:?}")]
    Setting {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        setting: &'static str,
        /// What it is instead.
        found: String,
    },
    /// The file system refused.
    #[error("the database {path} cannot be opened: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// SQLite refused.
    #[error("the database {path} cannot be opened: {source}")]
    Sql {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
}

/// Where a database lies, and how long to wait for others that write to it.
pub(super) struct Opener<'a> {
    /// `None`: in memory.
    pub(super) path: Option<&'a Path>,
    pub(super) busy_timeout: Duration,
    /// Whether an older layout is brought up to date.
    pub(super) migrate: bool,
}

impl Opener<'_> {
    /// A connection that writes, to a database that has our tables; and whether this call made them.
    pub(super) fn writer(&self) -> Result<(Connection, bool), OpenError> {
        if let Some(path) = self.path {
            // SQLite's own files get the same permissions; who may read them is the operator's choice.
            let mut options = OpenOptions::new();
            options.create(true).append(true).mode(0o600);
            options.open(path).map_err(|source| OpenError::Io { path: self.shown(), source })?;
        }
        let mut connection = self.connect()?;
        self.refuse_others(&connection)?;
        if self.path.is_some() {
            self.keep_log(&connection)?;
        }
        let is_new = schema::create(&mut connection).map_err(|source| self.sql(source))?;
        if self.migrate {
            schema::migrate(&mut connection).map_err(|source| self.sql(source))?;
        }
        // Another process, of another version, may have been faster to make it.
        self.refuse_others(&connection)?;
        self.refuse_older(&connection)?;
        Ok((connection, is_new))
    }

    fn refuse_others(&self, connection: &Connection) -> Result<(), OpenError> {
        match schema::contents(connection).map_err(|source| self.sql(source))? {
            Contents::Empty | Contents::Ours | Contents::Older(_) => Ok(()),
            Contents::Newer(found) => {
                let known = schema::VERSION;
                Err(OpenError::NewerSchema { path: self.shown(), found, known })
            }
            Contents::Foreign => Err(OpenError::Foreign { path: self.shown() }),
        }
    }

    fn refuse_older(&self, connection: &Connection) -> Result<(), OpenError> {
        match schema::contents(connection).map_err(|source| self.sql(source))? {
            Contents::Older(found) => {
                Err(OpenError::OlderSchema { path: self.shown(), found, known: schema::VERSION })
            }
            _ => Ok(()),
        }
    }

    /// A connection that cannot write.
    pub(super) fn reader(&self) -> Result<Connection, OpenError> {
        let connection = self.connect()?;
        connection.pragma_update(None, "query_only", true).map_err(|source| self.sql(source))?;
        Ok(connection)
    }

    /// `synchronous=FULL` syncs the log at each commit; with `NORMAL` a power cut takes commits back.
    fn keep_log(&self, connection: &Connection) -> Result<(), OpenError> {
        let sql = |source| self.sql(source);
        // The first, because changing the mode must not find an automatic checkpoint of its own to make.
        connection.pragma_update(None, "wal_autocheckpoint", 0).map_err(sql)?;
        let mode: String =
            connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0)).map_err(sql)?;
        if mode != "wal" {
            return Err(OpenError::Setting { path: self.shown(), setting: "journal_mode=WAL", found: mode });
        }
        connection.pragma_update(None, "synchronous", "FULL").map_err(sql)?;
        let synchronous: i64 =
            connection.pragma_query_value(None, "synchronous", |row| row.get(0)).map_err(sql)?;
        if synchronous != 2 {
            let found = synchronous.to_string();
            return Err(OpenError::Setting { path: self.shown(), setting: "synchronous=FULL", found });
        }
        connection.pragma_update(None, "journal_size_limit", -1).map_err(sql)?;
        let mut persist = 1;
        connection.file_control(Some(MAIN_DB), FileControl::PersistWal(&mut persist)).map_err(sql)
    }

    fn connect(&self) -> Result<Connection, OpenError> {
        let open = || {
            let connection = match self.path {
                Some(path) => Connection::open(path)?,
                None => Connection::open_in_memory()?,
            };
            connection.busy_timeout(self.busy_timeout)?;
            connection.pragma_update(None, "foreign_keys", true)?;
            // A plan that may depend on a parameter's value costs a compilation whenever another value is bound.
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
            connection.set_prepared_statement_cache_capacity(64);
            Ok(connection)
        };
        open().map_err(|source| self.sql(source))
    }

    fn sql(&self, source: rusqlite::Error) -> OpenError {
        OpenError::Sql { path: self.shown(), source }
    }

    pub(super) fn shown(&self) -> PathBuf {
        self.path.unwrap_or(Path::new(":memory:")).to_owned()
    }
}
