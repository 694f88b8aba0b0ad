//! How long `AwaitChallenge` waits.

use std::time::Duration;

use countersign_proto::{
    common::ChallengeState,
    login::{AwaitChallengeRequest, create_challenge_response::Outcome},
};
use tonic::Request;

use crate::world::{World, asking, at, refused_field};

#[tokio::test]
async fn a_wait_of_none_tells_the_state_now() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    world.enroll_by_hand(&backend, "anna", 1).await;
    let (challenge, _) = backend.create("anna", "attempt-1").await;
    // The clock stands still: had it waited at all, nothing would come.
    assert_eq!(backend.state(&challenge.challenge_id).await.state(), ChallengeState::Pending);
}

#[tokio::test]
async fn a_wait_that_is_over_tells_pending() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    world.enroll_by_hand(&backend, "anna", 1).await;
    let (challenge, _) = backend.create("anna", "attempt-1").await;
    let over = async { world.clock.set(at(7)) };
    let (told, ()) = world.meanwhile(backend.wait_for(&challenge.challenge_id, 7), at(7), over).await;
    let told = told.expect("it is told");
    assert_eq!(told.state(), ChallengeState::Pending);
    assert_eq!(told.time_left, Some(Duration::from_secs(113).into()));
}

#[tokio::test]
async fn without_a_wish_it_waits_for_25_seconds() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    world.enroll_by_hand(&backend, "anna", 1).await;
    let (challenge, _) = backend.create("anna", "attempt-1").await;
    let request = AwaitChallengeRequest { challenge_id: challenge.challenge_id, wait: None };
    let mut client = backend.login.clone();
    let over = async { world.clock.set(at(25)) };
    let (told, ()) = world.meanwhile(client.await_challenge(request), at(25), over).await;
    let told = told.expect("it is told").into_inner().challenge.expect("a challenge");
    assert_eq!(told.state(), ChallengeState::Pending);
}

#[tokio::test]
async fn more_than_a_minute_is_refused() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    world.enroll_by_hand(&backend, "anna", 1).await;
    let (challenge, _) = backend.create("anna", "attempt-1").await;
    let with = |seconds, nanos| AwaitChallengeRequest {
        challenge_id: challenge.challenge_id.clone(),
        wait: Some(pbjson_types::Duration { seconds, nanos }),
    };
    for (seconds, nanos) in [(60, 1), (61, 0), (i64::MAX, 0), (-1, 0), (0, -1), (1, i32::MAX)] {
        refused_field(backend.login.clone().await_challenge(with(seconds, nanos)).await, "wait");
    }
}

#[tokio::test]
async fn a_caller_with_a_deadline_is_answered_a_second_before_it() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    world.enroll_by_hand(&backend, "anna", 1).await;
    let (challenge, _) = backend.create("anna", "attempt-1").await;
    let mut request = Request::new(AwaitChallengeRequest {
        challenge_id: challenge.challenge_id,
        wait: Some(Duration::from_mins(1).into()),
    });
    request.set_timeout(Duration::from_secs(45));
    let mut client = backend.login.clone();
    let over = async {
        // What the way here took is off the caller's time as well.
        let until = world.clock.asleep(|until| until > at(24) && until <= at(44)).await;
        world.clock.set(until);
    };
    let (told, ()) = tokio::join!(client.await_challenge(request), over);
    let told = told.expect("it is told").into_inner().challenge.expect("a challenge");
    assert_eq!(told.state(), ChallengeState::Pending);
}

#[tokio::test]
async fn nobody_to_ask_is_an_outcome_that_tells_whether_there_was_somebody() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let asked = backend.try_create(asking("anna", "attempt-1")).await.expect("an outcome");
    let Some(Outcome::NotEnrolled(nobody)) = asked.outcome else { panic!("{asked:?}") };
    assert!(!nobody.had_factors);
    assert_eq!(asked.match_code, "");

    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    backend.revoke("anna", &device.device_id).await.expect("it is Anna's");
    let asked = backend.try_create(asking("anna", "attempt-2")).await.expect("an outcome");
    let Some(Outcome::NotEnrolled(nobody)) = asked.outcome else { panic!("{asked:?}") };
    assert!(nobody.had_factors);
}
