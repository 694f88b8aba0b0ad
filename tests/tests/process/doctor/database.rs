//! The database: missing, another's, a newer or older version's, damaged.

use std::{
    fs::{self, File},
    os::unix::fs::{FileExt as _, PermissionsExt as _},
};

use countersign::doctor::Severity::{Problem, Warning};
use rusqlite::Connection;

use super::Patient;
use crate::program::Ended;

/// Closed with its log copied into it.
fn change(patient: &Patient, sql: &str) {
    let connection = Connection::open(patient.place.database()).expect("it opens");
    connection.execute_batch(sql).expect("it is changed");
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("it is copied");
}

#[tokio::test]
async fn one_that_is_missing_empty_or_anothers_is_told() {
    let patient = Patient::new("").await;
    change(&patient, "PRAGMA application_id = 1");
    let fix = "a directory of its own";
    patient.one("database", Problem, "is no database of Countersign's", fix).await;
    for name in ["data/countersign.sqlite-wal", "data/countersign.sqlite-shm"] {
        let _ = fs::remove_file(patient.place.path(name));
    }
    fs::write(patient.place.database(), "").expect("it is ours");
    patient.one("database", Problem, "is no database of Countersign's", fix).await;
    fs::write(patient.place.database(), "x".repeat(8192)).expect("it is ours");
    patient
        .one("database", Problem, "cannot be read: file is not a database", "restore the latest backup")
        .await;
    fs::remove_file(patient.place.database()).expect("it is there");
    patient.one("database", Problem, "there is no database ", "restore it from a backup").await;
}

#[tokio::test]
async fn one_that_this_user_may_not_read_is_told() {
    let patient = Patient::new("").await;
    patient.place.open_to_all();
    fs::set_permissions(patient.place.path("data"), fs::Permissions::from_mode(0o755)).expect("it is ours");
    let run = patient.place.run_as_nobody(&["doctor", "--config", "countersign.toml"]).await;
    let Some(Ended { status, stdout, .. }) = run else { return };
    assert_eq!(status.code(), Some(1));
    let told =
        format!("PROBLEM  database: the database {} cannot be read: ", patient.place.database().display());
    assert!(stdout.contains(&told) && stdout.contains("fix: run this as the server's user"), "{stdout}");
    assert!(stdout.contains("\n1 problem, "), "{stdout}");
}

#[tokio::test]
async fn one_of_a_newer_version_is_told() {
    let patient = Patient::new("").await;
    change(&patient, "PRAGMA user_version = 1000000");
    patient
        .one("database", Problem, "has schema 1000000, made by a newer Countersign", "run the newer version")
        .await;
}

/// The first layout, as the server of that time made it.
const LAYOUT_1: &str = include_str!("../../store/layouts/1.sql");

#[tokio::test]
async fn one_of_an_older_version_is_told_until_a_server_has_brought_it_up_to_date() {
    let patient = Patient::new("").await;
    for name in ["countersign.sqlite", "countersign.sqlite-wal", "countersign.sqlite-shm"] {
        let _ = fs::remove_file(patient.place.path("data").join(name));
    }
    change(&patient, LAYOUT_1);
    change(
        &patient,
        "PRAGMA application_id = 0x4353474e; PRAGMA user_version = 1; PRAGMA journal_mode = WAL",
    );
    let what = "has schema 1, made by an older Countersign";
    patient.one("database", Warning, what, "make a backup, and start one of this version").await;
    let told = patient.place.run_configured(&["doctor"]).await.succeeded();
    assert!(told.ends_with("\n0 problems, 1 warning\n"), "a server starts on it: {told}");
    patient.place.serve().await.stop().await;
    assert_eq!(patient.findings().await, []);
}

#[tokio::test]
async fn one_that_is_damaged_is_told_beside_a_running_server_too() {
    let patient = Patient::new("").await;
    change(
        &patient,
        "PRAGMA foreign_keys = OFF; INSERT INTO api_keys VALUES ('x', 'app_gone', zeroblob(32))",
    );
    let what = "is damaged: a row of api_keys refers to none of applications";
    patient.one("database", Problem, what, "restore the latest backup").await;
    change(&patient, "DELETE FROM api_keys WHERE id = 'x'");
    assert_eq!(patient.findings().await, []);

    let server = patient.place.serve().await;
    // One index now says another thing than its table.
    let connection = Connection::open(patient.place.database()).expect("it opens");
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'devices_of_user'";
    let page: u32 = connection.query_row(sql, [], |row| row.get(0)).expect("it is there");
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("it is copied");
    drop(connection);
    let file = File::options().write(true).open(patient.place.database()).expect("it is ours");
    file.write_all_at(&[0xff; 64], u64::from(page - 1) * 4096).expect("it is written");
    patient.one("database", Problem, "is damaged: ", "restore the latest backup").await;
    server.signal("KILL").await;
}
