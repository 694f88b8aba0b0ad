//! The embedded store's files: who may open them, and what becomes of them.

use std::{fs, os::unix::fs::PermissionsExt as _, sync::Arc};

use countersign::{
    clock::ManualClock,
    store::{
        Applications, Devices as _, Enrollments, Secrets,
        enrollments::{ConfirmOutcome, MAX_DEVICES, StartOutcome, TakeOutcome},
        sqlite::{DataDirectory, OpenError, Options, SqliteStore},
    },
};
use countersign_proto::common::FactorType;
use rusqlite::Connection;

use crate::{
    enrolling::{bound, bytes, taking},
    fixture::{self, START, database},
};

fn refusal(path: &std::path::Path) -> String {
    let clock = Arc::new(ManualClock::new(START));
    match SqliteStore::open(path, clock, Options::default()) {
        Ok(_) => panic!("it must not be opened"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_second_server_is_refused_until_the_first_has_gone() {
    let parent = tempfile::tempdir().expect("a directory");
    let path = parent.path().join("data");
    let directory = DataDirectory::open(&path).expect("a data directory");
    let mode = fs::metadata(&path).expect("it was made").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let first = directory.lock_exclusive().expect("nobody has it");
    let second = DataDirectory::open(&path).expect("a data directory");
    let refused = second.lock_exclusive().expect_err("the first has it").to_string();
    assert!(refused.starts_with("another Countersign server runs on the data directory"), "{refused}");
    assert!(refused.contains(&path.display().to_string()), "{refused}");
    drop(first);
    let _taken = second.lock_exclusive().expect("the first has gone");
}

#[tokio::test]
async fn the_first_start_is_told_from_the_next_and_a_ping_writes() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = database(&directory);
    for is_new in [true, false] {
        let store = fixture::open(&path, &ManualClock::new(START));
        assert_eq!(store.is_new(), is_new);
        assert_eq!(store.ping().await, Ok(()));
    }
    for name in ["countersign.sqlite", "countersign.sqlite-wal"] {
        let mode = fs::metadata(directory.path().join(name)).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_newer_schema_is_refused_in_a_sentence() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = database(&directory);
    drop(fixture::open(&path, &ManualClock::new(START)));
    let database = Connection::open(&path).expect("the database");
    database.pragma_update(None, "user_version", 3).expect("a version");
    let refused = refusal(&path);
    assert!(
        refused.contains("has schema 3, made by a newer Countersign; this one knows schema 2"),
        "{refused}"
    );
}

/// What `sqlite_schema` says.
fn schema(database: &Connection) -> Vec<[Option<String>; 4]> {
    let all = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name";
    let mut statement = database.prepare(all).expect("a statement");
    let rows = statement.query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]));
    rows.expect("rows").collect::<Result<_, _>>().expect("rows")
}

#[tokio::test]
async fn an_older_layout_is_brought_up_to_date_and_keeps_what_it_held() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = database(&directory);
    let old = Connection::open(&path).expect("a database");
    old.execute_batch(include_str!("layouts/1.sql")).expect("the tables of layout 1");
    old.pragma_update(None, "application_id", 0x4353_474e).expect("it is written");
    old.pragma_update(None, "user_version", 1).expect("it is written");
    old.execute_batch(
        "INSERT INTO applications VALUES ('app_00000000-0000-8001-8400-000000000001', 'Shop',
            '{\"challenge_lifetime_seconds\":120,\"match_code_digits\":4,\"match_code_optional\":false,
            \"user_verification_required\":false,\"max_pending_challenges\":1,
            \"enrollment_confirmation\":true,\"profile\":\"None\"}', 1);
        INSERT INTO enrollments VALUES (7, 'enr_00000000-0000-8000-8400-000000000001',
            'app_00000000-0000-8001-8400-000000000001', 'anna', 'Anna', zeroblob(32), x'01',
            'ENROLLMENT_STATE_SUPERSEDED', 0, 1, 2, NULL);
        INSERT INTO tombstones_due VALUES ('dev_00000000-0000-8000-9c00-000000000001', zeroblob(32), 5);",
    )
    .expect("rows of layout 1");
    drop(old);

    // Beside a server that may be of the older version nothing is changed.
    let clock = ManualClock::new(START);
    let beside = Options { migrate: false, ..Options::default() };
    let refused = SqliteStore::open(&path, Arc::new(clock.clone()), beside).err().expect("it is too old");
    let refused = refused.to_string();
    assert!(
        refused.contains("has schema 1, made by an older Countersign; this one needs schema 2"),
        "{refused}"
    );

    let store = fixture::open(&path, &clock);
    assert!(!store.is_new());
    let applications = store.list().await.expect("an answer");
    let policy = &applications[0].policy;
    assert_eq!((policy.match_code_digits, policy.totp_digits), (4, 6));
    let found = Enrollments::by_token(&store, [0; 32]).await.expect("an answer").expect("the enrolment");
    assert_eq!(
        (found.account_name.as_str(), found.factor_type, found.offer),
        ("Anna", FactorType::Device, vec![1])
    );
    let due = store.tombstones_due().await.expect("an answer");
    assert_eq!(due.iter().map(|due| due.revoked_at.as_millis()).collect::<Vec<_>>(), [5]);
    drop(store);

    let other = tempfile::tempdir().expect("a directory");
    drop(fixture::open(&database(&other), &clock));
    let [migrated, fresh] =
        [&path, &database(&other)].map(|path| schema(&Connection::open(path).expect("the database")));
    assert_eq!(migrated, fresh);
}

#[test]
fn another_programs_database_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = database(&directory);
    let foreign = Connection::open(&path).expect("a database");
    foreign.execute_batch("CREATE TABLE theirs (a)").expect("a table");
    drop(foreign);
    let before = fs::read(&path).expect("the file");
    let refused = refusal(&path);
    assert!(refused.contains("is a database of another program"), "{refused}");
    assert_eq!(fs::read(&path).expect("the file"), before);
    fs::write(&path, "not a database, but long enough to be asked whether it is one".repeat(20))
        .expect("a file");
    let refused = refusal(&path);
    assert!(refused.contains("cannot be opened") && refused.contains("not a database"), "{refused}");
}

#[tokio::test]
async fn the_command_line_writes_beside_a_running_server() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = database(&directory);
    let clock = ManualClock::new(START);
    let (server, command_line) = (fixture::open(&path, &clock), fixture::open(&path, &clock));
    for n in 0..20_u8 {
        let old = n.checked_sub(1).map(|before| vec![before]);
        let (by_server, by_command_line) = tokio::join!(
            server.replace("server", old.clone(), vec![n]),
            command_line.replace("command line", old, vec![n])
        );
        assert_eq!((by_server, by_command_line), (Ok(true), Ok(true)));
        assert_eq!(server.sealed("command line").await, Ok(Some(vec![n])));
        assert_eq!(command_line.sealed("server").await, Ok(Some(vec![n])));
    }
    drop(command_line);
    assert_eq!(server.ping().await, Ok(()));
    assert_eq!(server.list().await, Ok(vec![]));
}

#[tokio::test]
async fn a_writer_that_never_lets_go_makes_the_store_busy() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = database(&directory);
    let options = Options { busy_timeout: std::time::Duration::ZERO, ..Options::default() };
    let store = SqliteStore::open(&path, Arc::new(ManualClock::new(START)), options).expect("a store");
    let beside = Connection::open(&path).expect("the database");
    beside.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    assert_eq!(store.replace("a", None, vec![1]).await, Err(countersign::store::StoreError::Busy));
    assert_eq!(store.sealed("a").await, Ok(None));
    beside.execute_batch("COMMIT").expect("the lock is let go");
    assert_eq!(store.replace("a", None, vec![1]).await, Ok(true));
}

#[tokio::test]
async fn the_log_is_overwritten_and_never_truncated() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = database(&directory);
    let log = directory.path().join("countersign.sqlite-wal");
    let length = || fs::metadata(&log).expect("the log").len();
    let clock = ManualClock::new(START);
    let store = fixture::open(&path, &clock);
    let mut lengths = Vec::new();
    for n in 0..60 {
        // 256 pages each: 60 MiB in all.
        let old = (n > 0).then(|| vec![n - 1; 1 << 20]);
        store.replace("large", old, vec![n; 1 << 20]).await.expect("an answer");
        lengths.push(length());
    }
    assert!(lengths.is_sorted(), "{lengths:?}");
    let longest = lengths[59];
    assert!(longest < 12 << 20, "{longest}");
    drop(store);
    assert_eq!(length(), longest);
    let store = fixture::open(&path, &clock);
    assert_eq!(store.sealed("large").await, Ok(Some(vec![59; 1 << 20])));
    store.replace("small", None, vec![1]).await.expect("an answer");
    assert_eq!(length(), longest);
}

#[tokio::test]
async fn devices_that_another_process_brought_count_at_the_end_of_an_enrolment() {
    let stores = fixture::in_a_file().await.expect("files are everywhere");
    let user = stores.user().await;
    stores.enroll(1, &user).await;
    let [confirming, pending] = [stores.start(2, &user).await, crate::enrolling::new_enrollment(3, &user)];
    assert!(matches!(stores.enrollments.take(taking(&confirming, 2, 2)).await, Ok(TakeOutcome::Taken(_))));
    let beside = Connection::open(stores.path()).expect("the database");
    for n in 2..=u64::try_from(MAX_DEVICES).expect("a small number") {
        let copy =
            "INSERT INTO devices (id, application_id, user_id, account_name, name, platform, public_key,
            source_sha256, created_at, bound_at, binding, push_state, app_version, locale, change_sequence)
            SELECT ?1, application_id, user_id, account_name, name, platform, ?2, source_sha256, created_at,
            bound_at, binding, push_state, app_version, locale, change_sequence
            FROM devices WHERE bound_at IS NOT NULL LIMIT 1";
        let id = fixture::device_id(100 + n).to_string();
        beside.execute(copy, rusqlite::params![id, bytes(2, 100 + n)]).expect("a copy");
    }
    let confirm =
        stores.enrollments.confirm(user.application, confirming.id, bytes(2, 2), true, bound(START));
    assert_eq!(confirm.await, Ok(ConfirmOutcome::TooMany));
    assert_eq!(stores.enrollments.start(pending).await, Ok(StartOutcome::TooMany));
    let open = "UPDATE enrollments SET state = 'ENROLLMENT_STATE_PENDING', device_id = NULL";
    beside.execute(open, []).expect("an enrolment that waits for a device");
    let another = stores.enrollments.take(taking(&confirming, 4, 4)).await;
    assert_eq!(another, Ok(TakeOutcome::TooMany));
}

#[test]
fn a_path_that_cannot_be_made_is_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("missing").join("countersign.sqlite");
    let clock = Arc::new(ManualClock::new(START));
    let refused = SqliteStore::open(&path, clock, Options::default()).err().expect("no such directory");
    assert!(matches!(refused, OpenError::Io { .. }), "{refused}");
    assert!(refused.to_string().contains(&path.display().to_string()), "{refused}");
}
