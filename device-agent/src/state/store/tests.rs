use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    thread,
};

use tempfile::TempDir;

use super::*;
use crate::random::SystemRandom;

pub(super) const NAME: &str = "0123";
pub(super) const SEED: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI";

pub(super) fn record() -> Record {
    let json = format!(
        r#"{{
            "format": 1, "origin": "https://login.example.org",
            "root_key": "iojjiTcpzRkqiClxQYrPd0fzRvVoN_dj6qTAV4mmJ1U",
            "application_id": "app_1", "application_name": "Example",
            "user_id": "anna", "account_name": "anna@example.org",
            "secret_key": "{SEED}", "device_id": "dev_1", "device_name": "Laptop",
            "sequence": 0, "clock_offset_ms": 0, "server_keys": [], "pending_change": null
        }}"#
    );
    parse_record(json.as_bytes()).expect("a good record")
}

/// A directory without a passphrase.
pub(super) fn open(directory: &Path) -> Store {
    match Store::open(directory, Arc::new(SystemRandom)).expect("opens") {
        Opened::Open(store) => store,
        Opened::Sealed(_) => panic!("it is locked"),
    }
}

/// A store with one record.
pub(super) fn stored() -> (TempDir, Store) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(&directory.path().join("a/b"));
    store.read_or_create(NAME, record).expect("creates");
    (directory, store)
}

fn overwrite(store: &Store, content: &str) {
    fs::write(store.path(NAME), content).expect("writes");
}

fn fault(store: &Store) -> StateFault {
    store.read(NAME).err().expect("a fault")
}

#[test]
fn what_is_kept_is_read_back_and_kept_once() {
    let (_directory, store) = stored();
    let again = store.read_or_create(NAME, || panic!("there is one")).expect("reads");
    assert!(encode(&again) == encode(&record()));
    assert_eq!(store.names().expect("lists"), [NAME]);
    assert!(store.read("4567").expect("reads").is_none());
}

#[test]
fn a_file_that_others_may_read_and_a_directory_that_they_may_change_are_refused() {
    let (_directory, store) = stored();
    for mode in [0o640, 0o604, 0o620] {
        fs::set_permissions(store.path(NAME), Permissions::from_mode(mode)).expect("sets");
        let text = fault(&store).to_string();
        assert!(text.contains(&format!("mode {mode:03o}")) && text.contains("chmod 600"), "{text}");
    }
    fs::set_permissions(store.directory.path(), Permissions::from_mode(0o720)).expect("sets");
    let refused =
        Store::open(store.directory.path(), Arc::new(SystemRandom)).err().expect("a fault").to_string();
    assert!(refused.contains("chmod 700"), "{refused}");
}

#[test]
fn a_damaged_file_is_told_without_its_content() {
    let (_directory, store) = stored();
    let good = String::from_utf8(encode(&record()).to_vec()).expect("text");
    let quoted = format!("\"{SEED}\"");
    let damaged = [
        String::new(),
        good.replace(&quoted, &format!("{{\"{SEED}\": 1}}")),
        good.replace(SEED, &SEED[1..]),
        good.replace("\"sequence\": 0", &format!("\"sequence\": {quoted}")),
        good.replace("\"sequence\"", &format!("{quoted}: 1, \"sequence\"")),
        good.replace("\"format\": 1", "\"format\": 2"),
        good.replace("\"format\": 1", "\"format\": 3"),
    ];
    for content in damaged {
        overwrite(&store, &content);
        let fault = fault(&store);
        assert!(matches!(fault, StateFault::Damaged { .. }), "{fault}");
        assert!(!format!("{fault} {fault:?}").contains(&SEED[1..]), "{fault}");
    }
}

#[test]
fn a_crash_while_writing_leaves_the_old_file() {
    let (_directory, store) = stored();
    fs::write(store.path(NAME).with_extension("new"), "half a rec").expect("writes");
    assert_eq!(store.names().expect("lists"), [NAME]);
    let updated: Result<_, StateFault> = store.update(NAME, |record| {
        record.sequence = 7;
        Ok(())
    });
    assert!(updated.expect("updates").is_some());
    assert_eq!(store.read(NAME).expect("reads").expect("is there").sequence, 7);
}

#[test]
fn a_change_that_fails_changes_nothing() {
    let (_directory, store) = stored();
    let failed: Result<Option<()>, StateFault> = store.update(NAME, |record| {
        record.sequence = 7;
        Err(StateFault::NoDirectory)
    });
    assert!(failed.is_err());
    assert_eq!(store.read(NAME).expect("reads").expect("is there").sequence, 0);
}

#[test]
fn a_record_that_is_too_long_to_be_read_back_is_not_written() {
    let (_directory, store) = stored();
    let grown: Result<_, StateFault> = store.update(NAME, |record| {
        record.pending_change = Some(Bytes(vec![0; 1 << 20]));
        Ok(())
    });
    let fault = grown.expect_err("it is refused").to_string();
    assert!(fault.contains("0123.json") && fault.contains("1048576 are allowed"), "{fault}");
    assert!(store.read(NAME).expect("reads").expect("is there").pending_change.is_none());
}

#[test]
fn changes_by_many_at_once_are_all_there() {
    const PROCESSES: u64 = 4;
    const CHANGES: u64 = 25;
    let (_directory, store) = stored();
    thread::scope(|scope| {
        for _ in 0..PROCESSES {
            // A lock belongs to an open file, so that each store is like a process of its own.
            let store = open(store.directory.path());
            scope.spawn(move || {
                for _ in 0..CHANGES {
                    let updated: Result<_, StateFault> = store.update(NAME, |record| {
                        record.sequence += 1;
                        Ok(())
                    });
                    assert!(updated.expect("updates").is_some());
                }
            });
        }
    });
    assert_eq!(store.read(NAME).expect("reads").expect("is there").sequence, PROCESSES * CHANGES);
}
