//! When it tries again.

use std::time::Duration;

use countersign::push::{apns::TimeLimits, dispatch::Wanted};
use countersign_fakes::apns::{Answer, ConnectionFault};
use countersign_proto::{login::DeliveryState, statement::push_target::Target};

use super::{Stage, Told, expires_at, told};
use crate::{
    apns::{START, Scene, client, config_of, stand_in, target},
    soon::soon,
};

#[tokio::test]
async fn a_push_that_fails_is_repeated_until_it_is_accepted() {
    let stage = Stage::new().await;
    for _ in 0..4 {
        stage.apple().answer_next(Answer::refuse(503, "ServiceUnavailable"));
    }
    stage.wake(&["a0"]);
    let first = soon(stage.apple().next_request()).await;
    let mut waits = Vec::new();
    for _ in 0..4 {
        let next = stage.back_off().await;
        waits.push(next.since(stage.scene.clock_now()).as_millis());
        stage.scene.clock.set(next);
        let repetition = soon(stage.apple().next_request()).await;
        for name in ["apns-id", "apns-collapse-id", "apns-expiration"] {
            assert_eq!(repetition.headers[name], first.headers[name]);
        }
        assert_eq!(repetition.body, first.body);
    }
    assert_eq!(stage.told().await, told("a0", DeliveryState::Accepted));
    assert_eq!(waits, [250, 500, 1000, 2000]);
    stage.all_ended().await;
    assert!(stage.nothing_more_told().await);
}

#[tokio::test]
async fn no_repetition_goes_out_for_what_is_wanted_no_more() {
    for (wanted, end) in [(Wanted::Blocked, Some(told("a0", DeliveryState::Failed))), (Wanted::Settled, None)]
    {
        let stage = Stage::new().await;
        stage.apple().answer_next(Answer::refuse(503, "ServiceUnavailable"));
        stage.wanted([wanted]);
        stage.wake(&["a0"]);
        soon(stage.apple().next_request()).await;
        stage.scene.clock.set(stage.back_off().await);
        stage.all_ended().await;
        assert_eq!(stage.told.lock().await.try_recv().ok(), end, "{wanted:?}");
        // The next request is another challenge's.
        stage.wake(&["a1"]);
        assert_eq!(soon(stage.apple().next_request()).await.device_token, "a1", "{wanted:?}");
    }
}

#[tokio::test]
async fn while_the_store_does_not_say_no_repetition_goes_out_but_later() {
    let stage = Stage::new().await;
    stage.apple().answer_next(Answer::refuse(503, "ServiceUnavailable"));
    stage.wanted([Wanted::Unknown, Wanted::Unknown]);
    stage.wake(&["a0"]);
    soon(stage.apple().next_request()).await;
    let mut waits = Vec::new();
    for _ in 0..3 {
        let next = stage.back_off().await;
        waits.push(next.since(stage.scene.clock_now()).as_millis());
        stage.scene.clock.set(next);
    }
    assert_eq!(waits, [250, 500, 1000]);
    assert_eq!(stage.told().await, told("a0", DeliveryState::Accepted));
    assert_eq!(soon(stage.apple().next_request()).await.device_token, "a0");
    stage.wake(&["a1"]);
    assert_eq!(soon(stage.apple().next_request()).await.device_token, "a1", "only two attempts were made");
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let stage = Stage::new().await;
    stage.apple().answer_next(Answer::refuse(429, "TooManyRequests").retry_after("30"));
    stage.wake(&["a0"]);
    let next = stage.back_off().await;
    assert_eq!(next, START.plus(Duration::from_secs(30)));
    stage.scene.clock.set(next);
    assert_eq!(stage.told().await, told("a0", DeliveryState::Accepted));
}

#[tokio::test]
async fn a_wait_beyond_the_expiry_is_not_begun() {
    let stage = Stage::new().await;
    stage.apple().answer_next(Answer::refuse(429, "TooManyRequests").retry_after("120"));
    stage.wake(&["a0"]);
    assert_eq!(stage.told().await, told("a0", DeliveryState::Failed));
    stage.all_ended().await;
}

#[tokio::test]
async fn retries_stop_at_the_expiry() {
    let stage = Stage::new().await;
    for _ in 0..100 {
        stage.apple().answer_next(Answer::refuse(500, "InternalServerError"));
    }
    stage.wake(&["a0"]);
    let mut attempts = 0;
    let end = loop {
        soon(stage.apple().next_request()).await;
        attempts += 1;
        tokio::select! {
            told = stage.told() => break told,
            next = stage.back_off() => stage.scene.clock.set(next),
        }
    };
    assert_eq!(end, told("a0", DeliveryState::Failed));
    // 250 ms doubling up to 7.5 s: 12 s for the first seven, then 7.5 s each.
    assert_eq!(attempts, 20);
    assert!(stage.scene.clock_now() < expires_at());
    stage.all_ended().await;
}

#[tokio::test]
async fn an_attempt_without_an_answer_ends_at_the_expiry() {
    // No other limit ends it.
    let hour = Duration::from_hours(1);
    let time_limits = TimeLimits { connect: hour, answer: hour };
    let stage = Stage::of(Scene::with(|config| config.time_limits = time_limits).await);
    stage.apple().answer_next(Answer::Silence);
    stage.wake(&["a0"]);
    soon(stage.apple().next_request()).await;
    stage.scene.clock.set(expires_at());
    assert_eq!(stage.told().await, told("a0", DeliveryState::Failed));
    stage.all_ended().await;
}

#[tokio::test]
async fn a_dead_provider_delays_nobody_else() {
    let alive = Scene::new().await;
    let dead = stand_in(&alive.clock).await;
    let mut config = config_of(&alive.apple);
    config.sandbox_url = dead.base_url();
    config.ca_pem = Some(format!("{}{}", alive.apple.ca_pem(), dead.ca_pem()));
    dead.fail_next_connection(ConnectionFault::SilentHandshake);
    let apns = client(&config, &alive.tokens, &alive.clock);
    let stage = Stage::of(Scene { apns, ..alive });

    let names: Vec<String> = (0..300).map(|at| format!("{at:04x}")).collect();
    let at_the_dead_one = names.iter().map(|name| {
        let Target::Apns(mut target) = target(name) else { unreachable!("it is one of APNs") };
        target.sandbox = true;
        (name.as_str(), Target::Apns(target))
    });
    stage.wake_targets(at_the_dead_one);
    stage.wake(&["a0", "a1", "a2"]);
    let mut woken = Vec::new();
    for _ in 0..3 {
        match stage.told().await {
            Told::State { device_id, state: DeliveryState::Accepted } => woken.push(device_id),
            other => panic!("{other:?}"),
        }
    }
    woken.sort_unstable();
    assert_eq!(woken, ["a0", "a1", "a2"]);
    stage.scene.clock.set(expires_at());
    for _ in 0..300 {
        assert!(matches!(stage.told().await, Told::State { state: DeliveryState::Failed, .. }));
    }
    stage.all_ended().await;
}

#[tokio::test]
async fn a_device_that_is_never_answered_delays_no_other() {
    let stage = Stage::new().await;
    stage.wake(&["a0"]);
    assert_eq!(stage.told().await, told("a0", DeliveryState::Accepted));
    stage.apple().answer_device("a1", Answer::Silence);
    stage.wake(&["a1", "a2"]);
    assert_eq!(stage.told().await, told("a2", DeliveryState::Accepted));
    stage.dispatcher.settled(super::CHALLENGE);
    stage.all_ended().await;
}
