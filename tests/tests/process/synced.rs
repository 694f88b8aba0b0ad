//! What was decided is on the disk before anybody is told: seen by strace, because a page cache survives `kill -9`.

mod trace;

use std::{fs, io::Write as _, process::Stdio};

use tokio::process::Command;

use self::trace::{Event, events};
use crate::{
    people::Application,
    program::{Place, soon},
};

/// Logins that are made, one after the other.
const LOGINS: usize = 10;
/// Started, looked at, taken, confirmed.
const ANSWERS_OF_AN_ENROLMENT: usize = 4;
/// Of a login: created, fetched, approved, redeemed.
const ANSWERS_OF_A_LOGIN: usize = 4;
/// Of which these change what must last: the challenge, the decision, the redemption.
const COMMITS_OF_A_LOGIN: usize = 3;

/// Whether the test can be made here; it must be possible where the project is checked as a whole.
pub(crate) async fn is_there_strace() -> bool {
    let mut command = Command::new("strace");
    let run = soon(command.arg("-V").stdout(Stdio::null()).status()).await;
    let Err(error) = run else { return true };
    let message = format!("strace cannot be run, so this is not tested: {error}\n");
    std::io::stderr().write_all(message.as_bytes()).expect("standard error");
    assert!(std::env::var_os("CI").is_none(), "strace is needed here");
    false
}

#[tokio::test]
async fn the_log_is_synced_between_each_commit_and_its_answer_on_the_socket() {
    if !is_there_strace().await {
        return;
    }
    let place = Place::new("");
    let application = Application::create(&place, "Shop").await;
    let to = place.path("trace");
    let calls = "trace=pwrite64,fdatasync,fsync,write,writev,sendto,sendmsg";
    let server = place.serve_traced(calls, &to).await;
    let backend = application.connect(server.address).await;
    let device = backend.enroll("anna").await.expect("it is enrolled");
    for n in 0..LOGINS {
        let attempt = format!("attempt-{n}");
        let (challenge, match_code) = backend.create("anna", &attempt).await.expect("it is created");
        let answer = device.approve(&challenge.challenge_id, &match_code).await.expect("it is answered");
        assert!(answer.accepted);
        backend.redeem(&challenge.challenge_id, "anna", &attempt).await.expect("approved");
    }
    server.stop().await;

    let trace = fs::read_to_string(&to).expect("a trace");
    // Whether a record is not synced yet; how many were since the last answer; and that for each answer.
    let (mut is_dirty, mut commits, mut answers) = (false, 0, Vec::new());
    for event in events(&trace) {
        match event {
            Event::ChallengeWritten => is_dirty = true,
            Event::LogSynced => {
                commits += usize::from(is_dirty);
                is_dirty = false;
            }
            Event::Answered => {
                assert!(!is_dirty, "answer {} came before the log was synced\n{trace}", answers.len());
                answers.push(std::mem::take(&mut commits));
            }
        }
    }
    assert_eq!(answers.len(), ANSWERS_OF_AN_ENROLMENT + LOGINS * ANSWERS_OF_A_LOGIN, "{answers:?}");
    let logins = &answers[ANSWERS_OF_AN_ENROLMENT..];
    for login in logins.chunks(ANSWERS_OF_A_LOGIN) {
        let with_commit = login.iter().filter(|commits| **commits > 0).count();
        assert!(with_commit >= COMMITS_OF_A_LOGIN, "{answers:?}");
    }
}
