//! The servers' clock and Redis' are not the same.

use std::time::Duration;

use countersign_proto::common::ErrorReason;

use crate::{
    captured_log::CapturedLog,
    fixture::{Login, PATIENT, START, Servers},
    refused::refused,
};

/// How often a server compares the clocks.
const ROUND: Duration = Duration::from_mins(1);
const WARNING: &str = "this machine's clock and Redis' differ";

/// Both servers compare the clocks for the `n`th time, when Redis' is so many milliseconds ahead.
async fn round(servers: &Servers, n: u32, ahead: i64) {
    servers.clock.asleep_until(START.plus(n * ROUND), 2).await;
    servers.clock.advance(ROUND);
    // Before any server runs: all of them are on this thread.
    servers.clock.of_redis().set(START.plus(n * ROUND).as_millis() + ahead);
    servers.clock.asleep_until(START.plus((n + 1) * ROUND), 2).await;
}

#[tokio::test]
async fn that_is_logged_by_each_server_and_beyond_two_seconds_no_login_begins() {
    let log = CapturedLog::start();
    let Some(servers) = Servers::start_or_skip(PATIENT).await else { return };
    let backend = servers.backend(0).await;
    servers.enroll(&backend, "anna").await;
    round(&servers, 1, 1000).await;
    assert!(!log.text().contains(WARNING), "a second is no warning");

    for (n, ahead, apart) in [(2, 1001, "1.001"), (3, -1500, "1.5")] {
        let before = log.text().len();
        round(&servers, n, ahead).await;
        let told = log.text().split_off(before);
        let warnings: Vec<_> = told.lines().filter(|line| line.contains(WARNING)).collect();
        assert_eq!(warnings.len(), 2, "one of each server: {warnings:?}");
        let apart = format!("clock.seconds_apart={apart}");
        assert!(warnings.iter().all(|line| line.contains(&apart)), "{warnings:?}");
        Login::ask(&backend, "anna", &format!("apart-{n}")).await;
    }
    for (n, ahead) in [(4, 2500), (5, -2500)] {
        round(&servers, n, ahead).await;
        refused(Login::try_ask(&backend, "anna", "too-far-apart").await, ErrorReason::ServerClock);
    }
    round(&servers, 6, 0).await;
    Login::ask(&backend, "anna", "too-far-apart").await;
}
