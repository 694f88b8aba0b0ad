//! The database: that it is whole, ours, and of a layout that this version knows.

use std::fs;

use super::{Finding, Installation};
use crate::store::sqlite::{Contents, DataDirectory, Inspection};

const RESTORE: &str =
    "stop the servers, keep the damaged files, and restore the latest backup (docs/operations.md)";

pub(super) fn check(installation: &Installation) -> Vec<Finding> {
    let data_dir = &installation.config.server.data_dir;
    let database = DataDirectory::at(data_dir).database();
    if fs::read_dir(data_dir).is_err() {
        // The directory's check has said so.
        return Vec::new();
    }
    let shown = database.display();
    if !database.exists() {
        return vec![Finding::problem(
            format!("there is no database {shown}"),
            "a server that starts without it starts anew: no application and no device is known",
            "set server.data_dir to where it is, or restore it from a backup; before a first start there is none",
        )];
    }
    let inspected = Inspection::open(&database).and_then(|database| Ok((database.contents()?, database)));
    let (contents, inspection) = match inspected {
        Ok(inspected) => inspected,
        Err(error) => {
            return vec![Finding::problem(
                format!("the database {shown} cannot be read: {error}"),
                "no server starts on it",
                format!("run this as the server's user; if it is that already, {RESTORE}"),
            )];
        }
    };
    match contents {
        Contents::Ours => faults(&inspection, &shown.to_string()),
        Contents::Newer(version) => vec![Finding::problem(
            format!("the database {shown} has schema {version}, made by a newer Countersign"),
            "this version does not start on it",
            "run the newer version again, or restore a backup from before the upgrade",
        )],
        Contents::Older(version) => vec![Finding::warning(
            format!("the database {shown} has schema {version}, made by an older Countersign"),
            "the next server that starts on it brings it up to date, and older ones cannot read it then",
            "stop all older servers, make a backup, and start one of this version",
        )],
        Contents::Empty | Contents::Foreign => vec![Finding::problem(
            format!("{shown} is no database of Countersign's"),
            "no server starts on another program's file, and starts anew on an empty one",
            "set server.data_dir to a directory of its own, or restore the database from a backup",
        )],
    }
}

fn faults(inspection: &Inspection, shown: &str) -> Vec<Finding> {
    let words = match inspection.faults() {
        Ok(faults) if faults.is_empty() => return Vec::new(),
        Ok(faults) => faults.join("; "),
        Err(error) => error.to_string(),
    };
    vec![Finding::problem(
        format!("the database {shown} is damaged: {words}"),
        "what is stored on damaged pages cannot be read, or is wrong",
        RESTORE,
    )]
}
