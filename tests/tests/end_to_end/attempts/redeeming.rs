//! One approval becomes one session: of whom, for what, and how long.

use std::time::Duration;

use countersign_proto::{
    common::{ChallengeState, ErrorReason},
    login::Challenge,
    statement::Purpose,
};

use crate::world::{Backend, ByHand, World, at, metadata_of, redeeming, refused};

/// A challenge that was approved just now.
async fn approved(world: &World, backend: &Backend, device: &ByHand, attempt: &str) -> Challenge {
    let (challenge, match_code) = backend.create("anna", attempt).await;
    let asked = device.challenge(world, &challenge.challenge_id).await.expect("it was asked");
    device.respond(&device.approval(&asked, &match_code)).await.expect("it counts");
    backend.state(&challenge.challenge_id).await
}

#[tokio::test]
async fn another_user_attempt_or_purpose_is_refused_before_the_state_is_told() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let (pending, _) = backend.create("anna", "attempt-0").await;
    let approved = approved(&world, &backend, &device, "attempt-1").await;
    for (id, attempt) in [(&pending.challenge_id, "attempt-0"), (&approved.challenge_id, "attempt-1")] {
        let mut other_purpose = redeeming(id, "anna", attempt);
        other_purpose.set_purpose(Purpose::ManageFactors);
        for request in [redeeming(id, "bob", attempt), redeeming(id, "anna", "attempt-2"), other_purpose] {
            refused(backend.try_redeem(request).await, ErrorReason::NotYourApproval);
        }
    }
    assert_eq!(backend.state(&approved.challenge_id).await.redeemed_at, None, "nobody else has redeemed it");
}

#[tokio::test]
async fn what_is_pending_is_told_as_pending() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    world.enroll_by_hand(&backend, "anna", 1).await;
    let (challenge, _) = backend.create("anna", "attempt-1").await;
    let redeemed = backend.redeem(&challenge.challenge_id, "anna", "attempt-1").await;
    let refusal = refused(redeemed, ErrorReason::ChallengeNotApproved);
    assert_eq!(metadata_of(&refusal, "state"), "PENDING");
}

#[tokio::test]
async fn redeemed_again_it_is_the_same_until_two_minutes_are_over() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let challenge = approved(&world, &backend, &device, "attempt-1").await;
    assert_eq!(challenge.redeem_before, Some(at(120).to_wire()));
    assert_eq!(challenge.redeemed_at, None);
    let id = challenge.challenge_id.as_str();
    world.clock.set(at(30));
    let first = backend.redeem(id, "anna", "attempt-1").await.expect("in time");
    world.clock.set(at(120).minus(Duration::from_millis(1)));
    assert_eq!(backend.redeem(id, "anna", "attempt-1").await.expect("in time"), first);
    let redeemed = backend.state(id).await;
    assert_eq!(redeemed.state(), ChallengeState::Approved);
    assert_eq!(redeemed.redeemed_at, Some(at(30).to_wire()), "the first time");
    refused(backend.redeem(id, "anna", "attempt-2").await, ErrorReason::NotYourApproval);

    world.clock.set(at(120));
    refused(backend.redeem(id, "anna", "attempt-1").await, ErrorReason::ApprovalExpired);
    assert_eq!(backend.state(id).await, redeemed);
}

#[tokio::test]
async fn an_approval_survives_a_restart_and_is_redeemed_alike() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let challenge = approved(&world, &backend, &device, "attempt-1").await;
    let first = backend.redeem(&challenge.challenge_id, "anna", "attempt-1").await.expect("approved");
    let world = world.restart().await;
    let backend = world.reconnect(&backend).await;
    let again = backend.redeem(&challenge.challenge_id, "anna", "attempt-1").await.expect("approved");
    assert_eq!(again, first);
}

#[tokio::test]
async fn an_approval_of_a_device_that_was_revoked_since_is_void() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let challenge = approved(&world, &backend, &device, "attempt-1").await;
    let id = challenge.challenge_id.as_str();
    backend.redeem(id, "anna", "attempt-1").await.expect("not revoked yet");
    backend.revoke("anna", &device.device_id).await.expect("it is Anna's");
    refused(backend.redeem(id, "anna", "attempt-1").await, ErrorReason::ApprovalExpired);
}
