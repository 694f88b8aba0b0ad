//! The master key, and the server's keys that are sealed with it.

use std::{fs, os::unix::fs::MetadataExt as _, sync::Arc, time::Duration};

use countersign_domain::UnixTime;

use super::{Finding, Installation, counted};
use crate::{
    ids,
    keyring::{Keyring, KeyringError},
    server_keys::{self, ServerKeyInfo},
    store::sqlite::{Contents, DataDirectory, Inspection},
};

/// A server makes the next key 90 days before the end of the last: with less left, none has run for a month.
const OVERDUE: Duration = Duration::from_hours(60 * 24);

pub(super) fn check(installation: &Installation) -> Vec<Finding> {
    let server = &installation.config.server;
    let database = DataDirectory::at(&server.data_dir).database();
    let inspected = Inspection::open(&database).ok();
    let Some(inspection) = inspected.filter(|found| found.contents() == Ok(Contents::Ours)) else {
        // The database's check has said why.
        return Vec::new();
    };
    let keyring =
        match Keyring::load_or_create(&server.master_key_file, Arc::clone(&installation.random), false) {
            Ok(keyring) => keyring,
            Err(error) => return vec![no_master_key(&error)],
        };
    let mut findings: Vec<_> = others_key(installation).into_iter().collect();
    findings.extend(sealed(installation, &inspection, &keyring));
    findings
}

fn no_master_key(error: &KeyringError) -> Finding {
    let fix = match error {
        KeyringError::Missing { .. } | KeyringError::Length { .. } | KeyringError::NotAFile { .. } => {
            "put the file back from your backup of it, or set server.master_key_file to where it is: without it this \
             database opens to nobody (docs/operations.md)"
                .to_owned()
        }
        KeyringError::Exposed { path, .. } => format!("run `chmod 600 {}`", path.display()),
        KeyringError::Io { .. } => "run this as the server's user; `ls -l` shows whose the file is".to_owned(),
    };
    Finding::problem(
        error.to_string(),
        "no server starts without its master key, nor with one that others can read",
        fix,
    )
}

fn others_key(installation: &Installation) -> Option<Finding> {
    let server = &installation.config.server;
    let owner = fs::metadata(&server.data_dir).ok()?.uid();
    let keys_owner = fs::metadata(&server.master_key_file).ok()?.uid();
    // Within the directory, its own check has said so.
    let is_others = keys_owner != owner && !server.master_key_file.starts_with(&server.data_dir);
    is_others.then(|| {
        let path = server.master_key_file.display();
        Finding::problem(
            format!("the master key file {path} belongs to another user than the data directory"),
            "the server runs as the directory's user and cannot read it: it does not start",
            format!("run `chown {owner} {path}`"),
        )
    })
}

fn sealed(installation: &Installation, inspection: &Inspection, keyring: &Keyring) -> Vec<Finding> {
    let damaged = |reason: String| {
        vec![Finding::problem(
            format!("the master key does not open this database: {reason}"),
            "no server starts: the file is that of another installation, or the database was changed",
            "put the master key back that was in use when the database was made or backed up (docs/operations.md)",
        )]
    };
    let read = || {
        Ok((inspection.sealed(server_keys::ROOT)?, inspection.sealed(ids::NAME)?, inspection.server_keys()?))
    };
    let read: Result<_, crate::store::sqlite::InspectionError> = read();
    let (root, user_tags, rows) = match read {
        Ok(read) => read,
        Err(error) => return damaged(error.to_string()),
    };
    if let Some(error) = user_tags.and_then(|sealed| keyring.open(ids::PLACE, &sealed).err()) {
        return damaged(error.to_string());
    }
    // Before the first server has run there are none.
    let Some(root) = root else { return Vec::new() };
    match server_keys::inspect(keyring, &root, &rows) {
        Ok(keys) => validity(&keys, installation.clock.now()).into_iter().collect(),
        Err(error) => damaged(error.to_string()),
    }
}

fn validity(keys: &[ServerKeyInfo], now: UnixTime) -> Option<Finding> {
    let is_valid = |key: &&ServerKeyInfo| key.not_before <= now && now < key.not_after;
    let last = keys.last()?;
    if !keys.iter().any(|key| is_valid(&key)) {
        return Some(Finding::problem(
            format!(
                "no server key is valid now, {now}: the last is from {} to {}",
                last.not_before, last.not_after
            ),
            "nothing can be signed: no login and no enrolment",
            "set the clock right; a server that runs makes the next key by itself, within a minute",
        ));
    }
    let left = last.not_after.since(now);
    (left < OVERDUE).then(|| {
        Finding::warning(
            format!(
                "the last server key, version {}, ends in {}, at {}",
                last.version,
                counted(left.as_secs() / 86_400, "day"),
                last.not_after
            ),
            "a server makes the next one 90 days before: none has run for weeks, or it fails to",
            "start the server and see its log, or run `countersign server-key rotate`",
        )
    })
}
