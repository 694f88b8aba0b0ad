//! Who writes the database, but does not have the master key, can refuse logins; he can let nobody in.

mod challenges;
mod codes;

use std::time::Duration;

use countersign_proto::{
    common::{ChallengeState, ErrorReason},
    login::create_challenge_response::Outcome,
};

use crate::world::{Candidate, START, World, asking, at, refused};

#[tokio::test]
async fn a_device_that_was_moved_to_another_user_is_bound_to_nobody() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let started = backend.start_enrollment("mallory").await;
    let candidate = Candidate::open(&world, &started.uri, 1).await;
    let code = candidate.enroll().await.expect("it is taken").confirmation_code;
    let moved = "UPDATE devices SET user_id = 'anna' WHERE user_id = 'mallory'";
    assert_eq!(world.database().execute(moved, []), Ok(1));
    let enrollment_id = started.enrollment.expect("an enrolment").enrollment_id;
    refused(backend.confirm(&enrollment_id, &code).await, ErrorReason::EnrollmentNotFound);
    assert!(backend.user("anna").await.factors.is_empty());
    assert!(backend.user("mallory").await.factors.is_empty());
}

#[tokio::test]
async fn an_enrolment_that_was_moved_or_opened_again_enrols_nobody() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let started = backend.start_enrollment("mallory").await;
    let candidate = Candidate::open(&world, &started.uri, 1).await;
    let move_to = |user: &str| {
        let moved = "UPDATE enrollments SET user_id = ?1";
        assert_eq!(world.database().execute(moved, [user]), Ok(1));
    };
    move_to("anna");
    refused(candidate.enroll().await, ErrorReason::EnrollmentTokenInvalid);
    move_to("mallory");
    world.clock.set(at(600));
    let reopened =
        "UPDATE enrollments SET expires_at = expires_at + 600000, state = 'ENROLLMENT_STATE_PENDING'";
    assert_eq!(world.database().execute(reopened, []), Ok(1));
    refused(candidate.enroll().await, ErrorReason::EnrollmentTokenInvalid);
}

#[tokio::test]
async fn a_device_whose_binding_is_not_the_servers_is_not_asked() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    world.enroll_by_hand(&backend, "mallory", 1).await;
    world.enroll_by_hand(&backend, "anna", 2).await;
    // Bound to somebody else, as the signed binding says; then with another's binding.
    let moved = "UPDATE devices SET user_id = 'anna' WHERE user_id = 'mallory'";
    assert_eq!(world.database().execute(moved, []), Ok(1));
    let (challenge, _) = backend.create("anna", "one").await;
    assert_eq!(challenge.deliveries.len(), 1);
    let forged = "UPDATE devices SET binding = (SELECT binding FROM devices WHERE sequence = 2)";
    assert_eq!(world.database().execute(forged, []), Ok(2));
    let (challenge, _) = backend.create("anna", "two").await;
    assert_eq!(challenge.deliveries.len(), 1, "the one whose binding it is");
    let forged = "UPDATE devices SET binding = x'00'";
    assert_eq!(world.database().execute(forged, []), Ok(2));
    let created = backend.try_create(asking("anna", "three")).await.expect("an answer");
    assert!(matches!(created.outcome, Some(Outcome::NotEnrolled(_))), "{created:?}");
}

#[tokio::test]
async fn a_start_with_a_clock_that_is_years_ahead_leaves_no_server_that_cannot_sign() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    world.enroll_by_hand(&backend, "anna", 1).await;
    // A key is made for that time; then the clock is set right again, and the first key comes to its end.
    let ahead = START.plus(Duration::from_hours(10 * 365 * 24));
    world.clock.set(ahead);
    world.each_asleep_until(ahead.plus(Duration::from_mins(1))).await;
    let near_the_end = START.plus(Duration::from_hours(300 * 24));
    world.clock.set(near_the_end);
    let world = world.restart().await;
    let backend = world.reconnect(&backend).await;
    let long_after = START.plus(Duration::from_hours(400 * 24));
    world.clock.set(long_after);
    let (challenge, _) = backend.create("anna", "late").await;
    assert_eq!(challenge.state(), ChallengeState::Pending);
}
