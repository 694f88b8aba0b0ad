//! What may happen to connections: each costs a retry, not the wake-up. The token has a connection of its own.

use std::net::Ipv4Addr;

use countersign::push::Outcome;
use countersign_fakes::fcm::{Answer, ConnectionFault};
use tokio::net::TcpListener;

use super::{SHORT, Scene, TOKEN, push, retry, stand_in};

/// The token's connection, and the first that pushes go on.
const BOTH: usize = 2;

#[tokio::test]
async fn one_connection_serves_all() {
    let scene = Scene::new().await;
    for _ in 0..2 {
        assert!(scene.burst(50).await.iter().all(|outcome| *outcome == Outcome::Accepted));
    }
    assert_eq!(scene.google.connections(), BOTH);
}

#[tokio::test]
async fn a_broken_connection_costs_a_retry_and_a_request_below_a_goaway_none() {
    let scene = Scene::new().await;
    scene.google.answer_next(Answer::Hangup);
    let outcome = scene.push().await;
    assert!(retry(&outcome).1.starts_with("the connection to FCM failed"), "{outcome:?}");
    scene.google.fail_next_connection(ConnectionFault::GoingAway);
    assert_eq!(scene.push().await, Outcome::Accepted);
    assert_eq!(scene.google.connections(), BOTH + 2);
}

#[tokio::test]
async fn after_a_goaway_the_next_connection_is_taken() {
    let scene = Scene::new().await;
    scene.google.answer_next(Answer::AcceptAndGoAway);
    assert_eq!(scene.push().await, Outcome::Accepted);
    assert!(scene.burst(10).await.iter().all(|outcome| *outcome == Outcome::Accepted));
    assert_eq!(scene.google.connections(), BOTH + 1);
}

#[tokio::test]
async fn a_goaway_that_covers_the_request_leaves_it_unknown() {
    let scene = Scene::new().await;
    scene.google.answer_next(Answer::GoAwayInstead);
    retry(&scene.push().await);
    assert_eq!(scene.push().await, Outcome::Accepted);
    // The repetition may follow a push that was taken: it has the same collapse key.
    let (first, second) = (scene.google.next_request().await, scene.google.next_request().await);
    assert_eq!(first.body, second.body);
}

#[tokio::test]
async fn a_refused_stream_is_opened_again_at_once() {
    let scene = Scene::new().await;
    for _ in 0..3 {
        scene.google.answer_next(Answer::RefuseStream);
    }
    assert_eq!(scene.push().await, Outcome::Accepted);
    assert_eq!(scene.google.connections(), BOTH);
}

#[tokio::test]
async fn a_dead_connection_is_left_after_one_time_limit() {
    let scene = Scene::with(|config| config.time_limits = SHORT).await;
    assert_eq!(scene.push().await, Outcome::Accepted);
    scene.google.answer_next(Answer::Freeze);
    assert_eq!(retry(&scene.push().await).1, "FCM did not answer in time");
    assert_eq!(scene.push().await, Outcome::Accepted);
    assert_eq!(scene.google.connections(), BOTH + 1);
}

#[tokio::test]
async fn a_provider_that_never_finishes_tls_costs_a_retry() {
    let scene = Scene::with(|config| config.time_limits = SHORT).await;
    scene.google.answer_next(Answer::Hangup);
    retry(&scene.push().await);
    scene.google.fail_next_connection(ConnectionFault::SilentHandshake);
    retry(&scene.push().await);
    assert_eq!(scene.push().await, Outcome::Accepted);
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    drop(listener);
    let nowhere = format!("https://localhost:{}", address.port());
    let scene = Scene::with(|config| config.base_url = nowhere).await;
    let outcome = scene.push().await;
    assert!(retry(&outcome).1.contains("refused"), "{outcome:?}");
}

#[tokio::test]
async fn a_certificate_of_another_authority_gets_no_request() {
    let elsewhere = Scene::new().await;
    let stranger = stand_in(&elsewhere.clock).await;
    let scene = Scene::with(|config| config.base_url = stranger.base_url()).await;
    let outcome = push(&scene.fcm, TOKEN).await;
    let (_, reason) = retry(&outcome);
    assert!(reason.contains("certificate"), "{reason}");
    // Whoever reads the log learns neither the device's token nor the access token.
    assert!(!reason.contains(TOKEN) && !reason.contains("Bearer"), "{reason}");
    assert_eq!(stranger.connections(), 1);
}
