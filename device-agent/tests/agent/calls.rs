//! Call statements, and a clock that is wrong.

use std::time::Duration;

use countersign_agent::{Error, ErrorReason};
use tonic::{Code, Status};

use crate::{
    script::{NOW, refusal},
    server::{Stage, agent},
};

const HOUR: Duration = Duration::from_hours(1);

#[tokio::test]
async fn a_wrong_clock_is_corrected_once_and_the_offset_kept() {
    for device_time in [NOW.minus(HOUR), NOW.plus(HOUR)] {
        let (stage, account) = Stage::enrolled().await;
        stage.clock.set(device_time);
        account.pending().await.unwrap();
        assert_eq!(stage.server.take_calls(), ["ListChallenges", "ListChallenges"]);
        let another_process = agent(stage.directory.path(), &stage.clock);
        another_process.accounts().unwrap()[0].pending().await.unwrap();
        assert_eq!(stage.server.take_calls(), ["ListChallenges"]);
    }
}

#[tokio::test]
async fn the_clock_is_set_by_every_answer_about_the_account() {
    let (stage, account) = Stage::enrolled().await;
    // Close enough to be taken, and too far off to judge by.
    stage.clock.set(NOW.minus(Duration::from_secs(40)));
    account.refresh().await.unwrap();
    // Another 40 seconds would be too much for a clock that was not set.
    stage.clock.set(NOW.minus(Duration::from_secs(80)));
    account.pending().await.unwrap();
    assert_eq!(stage.server.take_calls(), ["GetAccount", "ListChallenges"]);
}

#[tokio::test]
async fn a_server_that_never_takes_the_time_is_asked_twice_only() {
    let (stage, account) = Stage::enrolled().await;
    stage.server.script().skewed_for_ever = true;
    let error = account.pending().await.unwrap_err();
    assert!(error.is_refused(ErrorReason::ClockSkew), "{error}");
    assert_eq!(stage.server.take_calls().len(), 2);
}

#[tokio::test]
async fn failures_are_named_by_what_can_be_done() {
    let (stage, account) = Stage::enrolled().await;
    let fail = async |status: Status| {
        stage.server.script().refusal = Some(status);
        account.pending().await.unwrap_err()
    };
    let busy = fail(refusal(Code::Unavailable, "STORE_UNAVAILABLE", "the store does not answer")).await;
    assert!(busy.is_refused(ErrorReason::StoreUnavailable), "{busy}");
    let down = fail(Status::unavailable("no upstream")).await;
    assert!(matches!(down, Error::Unreachable { .. }), "{down}");
    let foreign = fail(Status::unimplemented("unknown\u{202e} service")).await;
    assert!(matches!(foreign, Error::Unintelligible { .. }), "{foreign}");
    assert!(!foreign.to_string().contains('\u{202e}'), "{foreign}");
}
