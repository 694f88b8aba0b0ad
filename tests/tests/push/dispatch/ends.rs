//! How a wake-up ends, and who hears of it.

use std::{sync::Arc, time::Duration};

use countersign::push::dispatch::{Channels, Dispatcher};
use countersign_fakes::apns::Answer;
use countersign_proto::{login::DeliveryState, time::UnixTime};
use serde_json::json;
use tokio::sync::Notify;

use super::{CHALLENGE, Stage, Told, told};
use crate::{
    apns::{Scene, target},
    captured_log::CapturedLog,
    soon::soon,
};

#[tokio::test]
async fn a_target_that_is_gone_is_told() {
    let stage = Stage::new().await;
    let body = json!({"reason": "Unregistered", "timestamp": 1_794_999_000_000_i64});
    stage.apple().answer_next(Answer::refuse_with(410, &body));
    stage.wake(&["a0"]);
    assert_eq!(stage.told().await, told("a0", DeliveryState::Failed));
    let since = Some(UnixTime::from_millis(1_794_999_000_000));
    let gone = Told::Gone { device_id: "a0".to_owned(), target: target("a0"), since };
    assert_eq!(stage.told().await, gone);
    stage.all_ended().await;
}

#[tokio::test]
async fn what_serves_nothing_is_not_repeated() {
    let stage = Stage::new().await;
    for (status, reason) in [(403, "InvalidProviderToken"), (413, "PayloadTooLarge")] {
        stage.apple().answer_next(Answer::refuse(status, reason));
        stage.wake(&["a0"]);
        assert_eq!(stage.told().await, told("a0", DeliveryState::Failed));
        stage.all_ended().await;
        assert!(stage.nothing_more_told().await);
    }
}

#[tokio::test]
async fn without_a_provider_the_device_is_told_as_failed() {
    let stage = Stage::on(Scene::new().await, Channels::default());
    stage.wake(&["a0"]);
    assert_eq!(stage.told().await, told("a0", DeliveryState::Failed));
    stage.all_ended().await;
}

#[tokio::test]
async fn a_settled_challenge_wakes_nobody_any_more() {
    let stage = Stage::new().await;
    // One is in back-off, one waits for its answer.
    stage.apple().answer_device("a0", Answer::refuse(503, "Shutdown"));
    stage.wake(&["a0"]);
    stage.back_off().await;
    stage.apple().answer_device("a1", Answer::Silence);
    stage.wake(&["a1"]);
    for device in ["a0", "a1"] {
        assert_eq!(soon(stage.apple().next_request()).await.device_token, device);
    }
    stage.dispatcher.settled("chl_other");
    stage.dispatcher.settled(CHALLENGE);
    stage.all_ended().await;
    assert!(stage.nothing_more_told().await);
    // The id is free again: a later call begins anew.
    stage.wake(&["a2"]);
    assert_eq!(stage.told().await, told("a2", DeliveryState::Accepted));
}

#[tokio::test]
async fn a_drain_waits_for_what_is_in_flight() {
    let stage = Stage::new().await;
    let answer = Arc::new(Notify::new());
    stage.apple().answer_next(Answer::AcceptWhen(Arc::clone(&answer)));
    stage.wake(&["a0"]);
    let drain = tokio::spawn({
        let dispatcher = Arc::clone(&stage.dispatcher);
        async move { dispatcher.drain(Duration::from_secs(20)).await }
    });
    soon(stage.apple().next_request()).await;
    assert!(!drain.is_finished());
    answer.notify_one();
    soon(drain).await.expect("it does not panic");
    assert_eq!(stage.told().await, told("a0", DeliveryState::Accepted));
}

#[tokio::test]
async fn a_drain_ends_at_its_limit() {
    let stage = Stage::new().await;
    stage.apple().answer_next(Answer::Silence);
    stage.wake(&["a0"]);
    soon(stage.apple().next_request()).await;
    let limit = Duration::from_secs(20);
    let move_the_clock = async {
        stage.back_off().await;
        stage.scene.clock.advance(limit);
    };
    soon(async { tokio::join!(stage.dispatcher.drain(limit), move_the_clock) }).await;
    assert_eq!(stage.told().await, told("a0", DeliveryState::Failed));
    assert!(stage.nothing_more_told().await);
}

#[tokio::test]
async fn one_too_many_fails_at_once() {
    let stage = Stage::new().await;
    stage.apple().answer_next(Answer::Silence);
    let names: Vec<String> = (0..Dispatcher::CAPACITY).map(|at| format!("{at:06x}")).collect();
    stage.wake(&names.iter().map(String::as_str).collect::<Vec<_>>());
    stage.wake(&["a0"]);
    assert_eq!(stage.told().await, told("a0", DeliveryState::Failed));
    stage.dispatcher.settled(CHALLENGE);
    stage.all_ended().await;
    assert!(stage.nothing_more_told().await);
}

#[tokio::test]
async fn a_failure_is_logged_once_with_its_reason_and_no_secret_at_any_level() {
    let log = CapturedLog::start();
    let stage = Stage::new().await;
    let (lost, gone) = ("beef".repeat(16), "cafe".repeat(16));
    stage.apple().answer_device(&lost, Answer::refuse(503, "Shutdown").retry_after("600"));
    stage.apple().answer_device(&gone, Answer::refuse(410, "Unregistered"));
    stage.wake_targets([("dev_lost", target(&lost)), ("dev_gone", target(&gone))]);
    stage.all_ended().await;

    let text = log.text();
    assert!(text.contains("TRACE") && text.contains("h2::"), "the libraries' logs are in it");
    for (device, reason) in [("dev_lost", "503 Shutdown"), ("dev_gone", "410 Unregistered")] {
        let lines = text.lines().filter(|line| line.contains(reason));
        let lines: Vec<_> = lines.filter(|line| line.contains(device)).collect();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("WARN") && lines[0].contains("push.attempts=1"), "{lines:?}");
    }
    let jwt = soon(stage.apple().next_request()).await.headers["authorization"].clone();
    let jwt = jwt.to_str().expect("ASCII").trim_start_matches("bearer ").to_owned();
    for secret in [lost.as_str(), gone.as_str(), jwt.as_str(), "PRIVATE KEY"] {
        assert!(!text.contains(secret), "{secret} was logged");
    }
}
