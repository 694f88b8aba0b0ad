//! The master key and the server keys.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    time::Duration,
};

use countersign::{
    clock::{Clock as _, SystemClock},
    doctor::Severity::{Problem, Warning},
};

use rusqlite::Connection;

use super::{Patient, assert_one};
use crate::program::Ended;

const DAY: Duration = Duration::from_hours(24);

#[tokio::test]
async fn a_master_key_that_is_exposed_missing_cut_or_anothers_is_told() {
    let patient = Patient::new("").await;
    let path = patient.place.path("master.key");
    let key = fs::read(&path).expect("it is there");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("it is ours");
    patient.one("keys", Problem, "has mode 0640", &format!("chmod 600 {}", path.display())).await;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("it is ours");
    for (content, what) in [
        (&key[..31], "is not a master key"),
        (&[7; 32], "the master key does not open this database"),
        (&key[..], ""),
    ] {
        fs::write(&path, content).expect("it is ours");
        if what.is_empty() {
            assert_eq!(patient.findings().await, []);
        } else {
            patient.one("keys", Problem, what, "back").await;
        }
    }
    fs::remove_file(&path).expect("it is there");
    patient.one("keys", Problem, "is missing", "put the file back from your backup").await;
    assert!(!path.exists(), "none is made");
    fs::create_dir(&path).expect("there is room");
    patient.one("keys", Problem, "is not a regular file", "put the file back from your backup").await;
}

#[tokio::test]
async fn a_master_key_that_this_user_may_not_read_is_told() {
    let patient = Patient::new("").await;
    patient.place.open_to_all();
    let data = patient.place.path("data");
    // To be root is what it takes to give files away.
    if chown(&data, Some(65_534), None).is_ok() {
        for entry in fs::read_dir(&data).expect("it is there") {
            chown(entry.expect("it can be read").path(), Some(65_534), None).expect("given away");
        }
    }
    let run = patient.place.run_as_nobody(&["doctor", "--config", "countersign.toml"]).await;
    let Some(Ended { status, stdout, .. }) = run else { return };
    assert_eq!(status.code(), Some(1));
    let told = format!("PROBLEM  keys: the master key file {}", patient.path("master.key"));
    assert!(stdout.contains(&told) && stdout.contains("Permission denied"), "{stdout}");
    assert!(stdout.contains("fix: run this as the server's user; `ls -l` shows"), "{stdout}");
    assert!(stdout.contains("\n1 problem, "), "{stdout}");
}

#[tokio::test]
async fn a_server_key_that_somebody_changed_in_the_database_is_told() {
    let patient = Patient::new("").await;
    patient.place.serve().await.stop().await;
    let connection = Connection::open(patient.place.database()).expect("it opens");
    for (column, of) in [
        ("sealed_key", "server_keys"),
        ("statement", "server_keys"),
        ("sealed", "sealed_values WHERE name = 'root_key'"),
        ("sealed", "sealed_values WHERE name = 'user_tag_key'"),
    ] {
        let (table, condition) = of.split_once(' ').unwrap_or((of, ""));
        let read = format!("SELECT {column} FROM {of}");
        let kept: Vec<u8> = connection.query_row(&read, [], |row| row.get(0)).expect("there is one");
        let set = format!("UPDATE {table} SET {column} = ?1 {condition}");
        let mut changed = kept.clone();
        *changed.last_mut().expect("it is long") ^= 1;
        assert_eq!(connection.execute(&set, [changed]), Ok(1));
        patient
            .one("keys", Problem, "the master key does not open this database", "put the master key back")
            .await;
        assert_eq!(connection.execute(&set, [kept]), Ok(1));
        assert_eq!(patient.findings().await, []);
    }
}

#[tokio::test]
async fn server_keys_that_end_soon_or_are_not_valid_are_told() {
    let patient = Patient::new("").await;
    // The command that made the application made no server key; the first start does.
    patient.place.serve().await.stop().await;
    let now = SystemClock.now();
    assert_eq!(patient.findings_at(now.plus(DAY * 303)).await, []);
    let late = patient.findings_at(now.plus(DAY * 310)).await;
    assert_one(
        &late,
        "keys",
        Warning,
        "the last server key, version 1, ends in 53 days",
        "server-key rotate",
    );
    let ended = patient.findings_at(now.plus(DAY * 365)).await;
    assert_one(&ended, "keys", Problem, "no server key is valid now", "set the clock right");
    let mut early = patient.findings_at(now.minus(DAY * 2)).await;
    // By such a clock what was just written is of another day, too.
    assert_eq!(early.remove(0).0, "clock");
    assert_one(&early, "keys", Problem, "no server key is valid now", "set the clock right");
}
