//! What the embedded store asks of the operating system, seen by strace, which also makes it fail.
//!
//! A crash of the process loses nothing that the system was given, so only a trace shows that an answer waits
//! for the disk.

mod trace;

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Output},
    sync::Arc,
};

use countersign::{
    clock::ManualClock,
    store::{
        Secrets, StoreError,
        sqlite::{Options, SqliteStore},
    },
};
use rusqlite::Connection;

use self::trace::{Event, events};
use crate::fixture::{START, database, open};

/// Tells the child process where its database lies.
const CHILD_DATABASE: &str = "COUNTERSIGN_TEST_CHILD_DATABASE";
/// Commits that the child makes, one after the other.
const COMMITS: u8 = 40;

/// Runs in a process of its own, which the tests below start: commits, and says so after each answer.
#[tokio::test]
async fn child() {
    let Some(path) = std::env::var_os(CHILD_DATABASE) else { return };
    let store = open(Path::new(&path), &ManualClock::new(START));
    let mut last = None;
    for n in 0..COMMITS {
        let replaced = store.replace("n", last.clone(), vec![n]).await;
        if replaced == Ok(true) {
            last = Some(vec![n]);
        }
        let answer = match replaced {
            Ok(replaced) => {
                assert!(replaced, "nobody else writes");
                format!("answer: {n} committed\n")
            }
            Err(StoreError::Unavailable) => format!("answer: {n} unavailable\n"),
            Err(StoreError::Busy) => format!("answer: {n} busy\n"),
        };
        // Not by a macro, whose output the test harness may keep for itself.
        std::io::stdout().write_all(answer.as_bytes()).expect("somebody listens");
    }
}

/// Runs the child under strace with these arguments. `None`: there is no strace here.
fn traced(database: &Path, arguments: &[&str]) -> Option<Output> {
    let this = std::env::current_exe().expect("the path of the tests");
    let child = ["--exact", "synced::child", "--nocapture", "--test-threads=1"];
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-s", "64"]).args(arguments).arg(this).args(child);
    match command.env(CHILD_DATABASE, database).output() {
        Ok(output) => Some(output),
        Err(error) => {
            let message = format!("strace cannot be run, so this is not tested: {error}\n");
            std::io::stderr().write_all(message.as_bytes()).expect("standard error");
            assert!(std::env::var_os("CI").is_none(), "strace is needed here");
            None
        }
    }
}

/// What the child said.
fn answers(output: &Output) -> Vec<(u8, String)> {
    let text = String::from_utf8_lossy(&output.stdout);
    let answers = text.lines().filter_map(|line| line.split_once("answer: ")?.1.split_once(' '));
    answers.map(|(n, answer)| (n.parse().expect("a number"), answer.to_owned())).collect()
}

fn stored(path: &Path) -> u8 {
    let connection = Connection::open(path).expect("the database");
    let value = "SELECT sealed FROM sealed_values WHERE name = 'n'";
    connection.query_row(value, [], |row| row.get::<_, [u8; 1]>(0)).expect("a value")[0]
}

#[test]
fn the_log_is_synced_between_each_commit_and_its_answer() {
    let directory = tempfile::tempdir().expect("a directory");
    let trace = directory.path().join("trace");
    let calls = "trace=pwrite64,write,fdatasync,fsync";
    let to = trace.to_str().expect("a path in UTF-8");
    let Some(output) = traced(&database(&directory), &["-e", calls, "-o", to]) else { return };
    assert!(output.status.success(), "{output:?}");
    let trace = fs::read_to_string(&trace).expect("a trace");
    let (mut is_written, mut is_synced, mut answered) = (false, false, 0);
    for event in events(&trace) {
        match event {
            Event::LogWritten => (is_written, is_synced) = (true, false),
            Event::LogSynced => is_synced = true,
            Event::Answered => {
                assert!(is_written && is_synced, "answer {answered} came before the log was synced\n{trace}");
                (is_written, is_synced) = (false, false);
                answered += 1;
            }
        }
    }
    assert_eq!(answered, COMMITS);
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_room_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = database(&directory);
    drop(open(&path, &ManualClock::new(START)));
    let log = format!("{}-wal", path.display());
    // Of the writes to the log, from the 21st on for a while.
    let full = "inject=pwrite64:error=ENOSPC:when=21..30";
    let Some(output) = traced(&path, &["-P", &log, "-e", "trace=pwrite64", "-e", full]) else { return };
    assert!(output.status.success(), "{output:?}");
    let answers = answers(&output);
    assert_eq!(answers.len(), usize::from(COMMITS));
    let is_refused = |(_, answer): &&(u8, String)| answer == "unavailable";
    let refused: Vec<_> = answers.iter().filter(is_refused).map(|(n, _)| *n).collect();
    assert!((1..=10).contains(&refused.len()), "{answers:?}");
    assert!(refused.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{answers:?}");
    assert_eq!(answers[0].1, "committed");
    assert_eq!(stored(&path), COMMITS - 1);
}

#[test]
fn a_failed_sync_ends_the_process_before_anybody_is_answered() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = database(&directory);
    drop(open(&path, &ManualClock::new(START)));
    let log = format!("{}-wal", path.display());
    let fails = "inject=fdatasync:error=EIO:when=10";
    let Some(output) = traced(&path, &["-P", &log, "-e", "trace=fdatasync", "-e", fails]) else { return };
    assert_eq!(output.status.code(), Some(74), "{output:?}");
    let answers = answers(&output);
    assert!((1..COMMITS.into()).contains(&answers.len()), "{answers:?}");
    assert!(answers.iter().all(|(_, answer)| answer == "committed"), "{answers:?}");
    // What was answered is there; what was not may be.
    let last = answers.last().expect("some were answered").0;
    assert!((last..=last + 1).contains(&stored(&path)));
    let store = SqliteStore::open(&path, Arc::new(ManualClock::new(START)), Options::default());
    assert!(!store.expect("it recovers").is_new());
}
