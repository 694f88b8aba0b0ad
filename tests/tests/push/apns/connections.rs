//! What may happen to connections: each costs a retry, not the wake-up.

use std::{net::Ipv4Addr, sync::Arc};

use countersign::push::Outcome;
use countersign_fakes::apns::{Answer, ConnectionFault};
use tokio::{net::TcpListener, sync::Notify};

use super::{SHORT, Scene, TOKEN, push, retry, soon, stand_in};

impl Scene {
    /// Pushes `count` times at once; all must be accepted.
    async fn burst(&self, count: usize) {
        let pushes = (0..count).map(|_| {
            let apns = Arc::clone(&self.apns);
            tokio::spawn(async move { push(&apns, TOKEN).await })
        });
        for push in pushes.collect::<Vec<_>>() {
            assert_eq!(push.await.expect("it does not panic"), Outcome::Accepted);
        }
    }
}

#[tokio::test]
async fn one_connection_serves_all() {
    let scene = Scene::new().await;
    scene.burst(50).await;
    scene.burst(50).await;
    assert_eq!(scene.apple.connections(), 1);
}

#[tokio::test]
async fn nothing_overtakes_the_first_answer() {
    let scene = Scene::new().await;
    let told = Arc::new(Notify::new());
    scene.apple.answer_next(Answer::AcceptWhen(Arc::clone(&told)));
    let first = async {
        let request = scene.apple.next_request().await;
        told.notify_one();
        request
    };
    let ((), first) = soon(async { tokio::join!(scene.burst(20), first) }).await;
    assert_eq!(first.answered_before, 0);
    for _ in 1..20 {
        assert!(scene.apple.next_request().await.answered_before > 0);
    }
    assert_eq!(scene.apple.connections(), 1);
}

#[tokio::test]
async fn a_provider_that_allows_one_stream_gets_all_on_one_connection() {
    let scene = Scene::new().await;
    scene.apple.allow_one_stream();
    scene.burst(20).await;
    scene.burst(20).await;
    assert_eq!(scene.apple.connections(), 1);
}

#[tokio::test]
async fn a_request_below_a_goaway_is_sent_again_at_once() {
    let scene = Scene::new().await;
    scene.apple.fail_next_connection(ConnectionFault::GoingAway);
    assert_eq!(scene.push().await, Outcome::Accepted);
    assert_eq!(scene.apple.connections(), 2);
}

#[tokio::test]
async fn after_a_goaway_the_next_connection_is_taken() {
    let scene = Scene::new().await;
    scene.apple.answer_next(Answer::AcceptAndGoAway);
    assert_eq!(scene.push().await, Outcome::Accepted);
    scene.burst(10).await;
    assert_eq!(scene.apple.connections(), 2);
}

#[tokio::test]
async fn a_goaway_that_covers_the_request_leaves_it_unknown() {
    let scene = Scene::new().await;
    scene.apple.answer_next(Answer::GoAwayInstead);
    retry(&scene.push().await);
    assert_eq!(scene.push().await, Outcome::Accepted);
    // The repetition may follow a push that was taken: both are the same one to Apple.
    let (first, second) = (scene.apple.next_request().await, scene.apple.next_request().await);
    for name in ["apns-id", "apns-collapse-id"] {
        assert_eq!(first.headers[name], second.headers[name]);
    }
    assert_eq!(first.body, second.body);
}

#[tokio::test]
async fn a_refused_stream_is_opened_again_at_once() {
    let scene = Scene::new().await;
    for _ in 0..3 {
        scene.apple.answer_next(Answer::RefuseStream);
    }
    assert_eq!(scene.push().await, Outcome::Accepted);
    assert_eq!(scene.apple.connections(), 1);
}

#[tokio::test]
async fn streams_that_are_always_refused_are_left_for_later() {
    let scene = Scene::new().await;
    for _ in 0..4 {
        scene.apple.answer_next(Answer::RefuseStream);
    }
    let outcome = scene.push().await;
    assert!(retry(&outcome).1.contains("did not process"), "{outcome:?}");
    assert_eq!(scene.push().await, Outcome::Accepted);
}

#[tokio::test]
async fn a_burst_with_refused_streams_arrives() {
    let scene = Scene::new().await;
    assert_eq!(scene.push().await, Outcome::Accepted);
    for _ in 0..3 {
        scene.apple.answer_next(Answer::RefuseStream);
    }
    scene.burst(30).await;
    assert_eq!(scene.apple.connections(), 1);
}

#[tokio::test]
async fn a_broken_connection_costs_a_retry() {
    let scene = Scene::new().await;
    scene.apple.answer_next(Answer::Hangup);
    let outcome = scene.push().await;
    assert!(retry(&outcome).1.starts_with("the connection to APNs failed"), "{outcome:?}");
    assert_eq!(scene.push().await, Outcome::Accepted);
    assert_eq!(scene.apple.connections(), 2);
}

#[tokio::test]
async fn a_dead_connection_is_left_after_one_time_limit() {
    let scene = Scene::with(|config| config.time_limits = SHORT).await;
    assert_eq!(scene.push().await, Outcome::Accepted);
    scene.apple.answer_next(Answer::Freeze);
    assert_eq!(retry(&scene.push().await).1, "APNs did not answer in time");
    assert_eq!(scene.push().await, Outcome::Accepted);
    assert_eq!(scene.apple.connections(), 2);
}

#[tokio::test]
async fn a_connection_that_answers_others_is_kept() {
    let scene = Scene::with(|config| config.time_limits = SHORT).await;
    assert_eq!(scene.push().await, Outcome::Accepted);
    scene.apple.next_request().await;
    scene.apple.answer_device("5170", Answer::Silence);
    let silent = push(&scene.apns, "5170");
    let other = async {
        assert_eq!(scene.apple.next_request().await.device_token, "5170");
        scene.push().await
    };
    let (silent, other) = tokio::join!(silent, other);
    assert_eq!((retry(&silent).1, other), ("APNs did not answer in time", Outcome::Accepted));
    scene.burst(5).await;
    assert_eq!(scene.apple.connections(), 1);
}

#[tokio::test]
async fn a_first_request_without_an_answer_is_not_waited_for() {
    let scene = Scene::with(|config| config.time_limits = SHORT).await;
    scene.apple.answer_device("5170", Answer::Silence);
    let other = async {
        assert_eq!(scene.apple.next_request().await.device_token, "5170");
        scene.push().await
    };
    tokio::select! {
        biased;
        other = other => assert_eq!(other, Outcome::Accepted),
        silent = push(&scene.apns, "5170") => panic!("it is waited for: {silent:?}"),
    }
}

#[tokio::test]
async fn a_provider_that_never_finishes_tls_costs_a_retry() {
    let scene = Scene::with(|config| config.time_limits = SHORT).await;
    scene.apple.fail_next_connection(ConnectionFault::SilentHandshake);
    retry(&scene.push().await);
    assert_eq!(scene.push().await, Outcome::Accepted);
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    drop(listener);
    let scene =
        Scene::with(|config| config.production_url = format!("https://localhost:{}", address.port())).await;
    let outcome = scene.push().await;
    assert!(retry(&outcome).1.contains("refused"), "{outcome:?}");
}

#[tokio::test]
async fn a_certificate_of_another_authority_gets_no_request() {
    let elsewhere = Scene::new().await;
    let stranger = stand_in(&elsewhere.clock).await;
    let scene = Scene::with(|config| config.production_url = stranger.base_url()).await;
    let outcome = scene.push().await;
    let (_, reason) = retry(&outcome);
    assert!(reason.contains("certificate"), "{reason}");
    // Whoever reads the log learns neither the device token nor the provider token.
    assert!(!reason.contains(TOKEN) && !reason.contains("bearer"), "{reason}");
    assert_eq!(stranger.connections(), 1);
}
