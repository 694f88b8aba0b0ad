//! Google's bad days, and that the one provider's are not the other's.

use std::{sync::Arc, time::Duration};

use countersign::push::{TimeLimits, dispatch::Channels};
use countersign_fakes::fcm::{Answer, ConnectionFault, FcmStandIn};
use countersign_proto::login::DeliveryState;

use super::{Stage, Told, expires_at, told};
use crate::{
    apns::{self, START, Scene},
    captured_log::CapturedLog,
    fcm::{self, TOKEN},
    soon::soon,
};

/// A stage with Google's stand-in beside Apple's.
struct Both {
    stage: Stage,
    google: FcmStandIn,
}

/// No limit but the challenge's end.
const NONE: TimeLimits = TimeLimits { connect: Duration::from_hours(1), answer: Duration::from_hours(1) };

impl Both {
    async fn new() -> Self {
        Self::within(TimeLimits::default()).await
    }

    /// With these time limits of both.
    async fn within(time_limits: TimeLimits) -> Self {
        let scene = Scene::with(|config| config.time_limits = time_limits).await;
        let google = fcm::stand_in(&scene.clock).await;
        let mut config = fcm::config_of(&google);
        config.time_limits = time_limits;
        let client = fcm::client(&config, &scene.clock);
        let channels = Channels { apns: Some(Arc::clone(&scene.apns) as _), fcm: Some(client) };
        Self { stage: Stage::on(scene, channels), google }
    }

    /// Wakes devices at Google.
    fn wake_at_google(&self, devices: &[&str]) {
        self.stage.wake_targets(devices.iter().map(|device| (*device, fcm::target(TOKEN))));
    }

    /// Begins to wake `dead` devices that get no answer, then `alive`, which must all be woken meanwhile.
    async fn only_the_dead_fail(&self, alive: &[&str], dead: usize) {
        for _ in alive {
            assert!(matches!(self.stage.told().await, Told::State { state: DeliveryState::Accepted, .. }));
        }
        self.stage.scene.clock.set(expires_at());
        for _ in 0..dead {
            assert!(matches!(self.stage.told().await, Told::State { state: DeliveryState::Failed, .. }));
        }
        self.stage.all_ended().await;
    }
}

#[tokio::test]
async fn google_is_asked_again_until_it_takes_the_push() {
    let both = Both::new().await;
    for _ in 0..3 {
        both.google.answer_next(Answer::refuse_fcm(503, "UNAVAILABLE", "UNAVAILABLE"));
    }
    both.wake_at_google(&["dev_1"]);
    let first = soon(both.google.next_request()).await;
    let mut waits = Vec::new();
    for _ in 0..3 {
        let next = both.stage.back_off().await;
        waits.push(next.since(both.stage.scene.clock_now()).as_millis());
        both.stage.scene.clock.set(next);
        let repetition = soon(both.google.next_request()).await;
        for field in ["token", "data"] {
            assert_eq!(repetition.body["message"][field], first.body["message"][field]);
        }
    }
    assert_eq!(both.stage.told().await, told("dev_1", DeliveryState::Accepted));
    assert_eq!(waits, [250, 500, 1000]);
}

#[tokio::test]
async fn retry_after_is_honoured_of_google_and_of_its_token_endpoint() {
    let both = Both::new().await;
    let seconds = |seconds| START.plus(Duration::from_secs(seconds));
    both.google.answer_token(Answer::refuse_token(503, "backend_error", "").retry_after("20"));
    both.google
        .answer_next(Answer::refuse_fcm(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED").retry_after("30"));
    both.wake_at_google(&["dev_1"]);
    for expected in [seconds(20), seconds(50)] {
        let next = both.stage.back_off().await;
        assert_eq!(next, expected);
        both.stage.scene.clock.set(next);
    }
    assert_eq!(both.stage.told().await, told("dev_1", DeliveryState::Accepted));
    // A wait beyond the expiry is not begun.
    both.google
        .answer_next(Answer::refuse_fcm(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED").retry_after("90"));
    both.wake_at_google(&["dev_1"]);
    assert_eq!(both.stage.told().await, told("dev_1", DeliveryState::Failed));
}

#[tokio::test]
async fn retries_at_google_stop_at_the_expiry() {
    let both = Both::new().await;
    for _ in 0..100 {
        both.google.answer_next(Answer::refuse_fcm(500, "INTERNAL", "INTERNAL"));
    }
    both.wake_at_google(&["dev_1"]);
    let mut attempts = 0;
    let end = loop {
        soon(both.google.next_request()).await;
        attempts += 1;
        tokio::select! {
            told = both.stage.told() => break told,
            next = both.stage.back_off() => both.stage.scene.clock.set(next),
        }
    };
    assert_eq!(end, told("dev_1", DeliveryState::Failed));
    assert_eq!(attempts, 20);
    assert!(both.stage.scene.clock_now() < expires_at());
}

#[tokio::test]
async fn a_token_endpoint_that_says_nothing_ends_at_the_expiry_and_delays_no_device_of_apple() {
    let both = Both::within(NONE).await;
    both.google.answer_token(Answer::Silence);
    let dead: Vec<String> = (0..300).map(|at| format!("dev_{at}")).collect();
    both.wake_at_google(&dead.iter().map(String::as_str).collect::<Vec<_>>());
    soon(both.google.next_token_request()).await;
    both.stage.wake(&["a0", "a1", "a2"]);
    both.only_the_dead_fail(&["a0", "a1", "a2"], dead.len()).await;
}

#[tokio::test]
async fn a_google_that_says_nothing_delays_no_device_of_apple() {
    let both = Both::within(NONE).await;
    both.google.answer_next(Answer::Silence);
    both.wake_at_google(&["dev_1"]);
    soon(both.google.next_request()).await;
    both.stage.wake(&["a0", "a1", "a2"]);
    both.only_the_dead_fail(&["a0", "a1", "a2"], 1).await;
}

#[tokio::test]
async fn an_apple_that_says_nothing_delays_no_device_of_google() {
    let both = Both::within(NONE).await;
    both.stage.apple().fail_next_connection(ConnectionFault::SilentHandshake);
    let dead: Vec<String> = (0..300).map(|at| format!("{at:04x}")).collect();
    both.stage.wake(&dead.iter().map(String::as_str).collect::<Vec<_>>());
    both.wake_at_google(&["dev_1", "dev_2", "dev_3"]);
    both.only_the_dead_fail(&["dev_1", "dev_2", "dev_3"], dead.len()).await;
}

#[tokio::test]
async fn a_target_that_is_gone_at_google_is_told() {
    let both = Both::new().await;
    both.google.answer_next(Answer::refuse_fcm(404, "NOT_FOUND", "UNREGISTERED"));
    both.wake_at_google(&["dev_1"]);
    assert_eq!(both.stage.told().await, told("dev_1", DeliveryState::Failed));
    let gone = Told::Gone { device_id: "dev_1".to_owned(), target: fcm::target(TOKEN), since: None };
    assert_eq!(both.stage.told().await, gone);
}

#[tokio::test]
async fn what_serves_nothing_is_told_and_logged_once_with_its_reason_and_no_secret() {
    let log = CapturedLog::start();
    let both = Both::new().await;
    both.google.answer_token(Answer::refuse_token(400, "invalid_grant", "Invalid JWT Signature."));
    both.google.answer_next(Answer::refuse_fcm(403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH"));
    let reasons = [("dev_1", "the service account's key was revoked"), ("dev_2", "403 SENDER_ID_MISMATCH")];
    for (device, reason) in reasons {
        both.wake_at_google(&[device]);
        assert_eq!(both.stage.told().await, told(device, DeliveryState::Failed));
        both.stage.all_ended().await;
        assert!(both.stage.nothing_more_told().await);
        let text = log.text();
        let lines: Vec<_> = text.lines().filter(|line| line.contains(reason)).collect();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("WARN") && lines[0].contains(device), "{lines:?}");
        // A key that is put right is asked for again after a second.
        both.stage.scene.clock.advance(Duration::from_secs(1));
    }
    let text = log.text();
    assert!(!text.contains(TOKEN) && !text.contains("ya29."), "a secret was logged");
}

#[tokio::test]
async fn a_device_of_the_other_provider_is_never_sent_to_this_one() {
    let scene = Scene::new().await;
    let apns = Arc::clone(&scene.apns);
    let stage = Stage::on(scene, Channels { apns: Some(apns), fcm: None });
    stage.wake_targets([("dev_1", fcm::target(TOKEN)), ("dev_2", apns::target("a0"))]);
    let mut ends = vec![stage.told().await, stage.told().await];
    ends.sort_by_key(|told| format!("{told:?}"));
    assert_eq!(ends, [told("dev_1", DeliveryState::Failed), told("dev_2", DeliveryState::Accepted)]);
    assert_eq!(soon(stage.apple().next_request()).await.device_token, "a0");
}
