//! `ChangeDevice` with goodbye.

use std::time::Duration;

use countersign_proto::{common::ErrorReason, statement::DeviceProfile};

use crate::world::{World, refused};

#[tokio::test]
async fn a_device_that_says_goodbye_is_gone_everywhere() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let kept = world.enroll_by_hand(&backend, "anna", 2).await;
    let (challenge, match_code) = backend.create("anna", "attempt-1").await;
    let id = challenge.challenge_id.as_str();
    let asked = device.challenge(&world, id).await.expect("it was asked");
    device.unenroll(1).await.expect("it goes");

    let user = backend.user("anna").await;
    assert_eq!(user.factors.iter().map(|factor| &factor.factor_id).collect::<Vec<_>>(), [&kept.device_id]);
    refused(device.respond(&device.approval(&asked, &match_code)).await, ErrorReason::ChallengeNotFound);
    refused(device.account(&world).await, ErrorReason::CredentialInvalid);
    let change = device.change(2, DeviceProfile::default());
    refused(device.send_change(&change).await, ErrorReason::CredentialInvalid);
    assert!(kept.respond(&kept.approval(&asked, &match_code)).await.expect("the other's").accepted);
    backend.revoke("anna", &device.device_id).await.expect("it is revoked already");
}

#[tokio::test]
async fn an_approval_before_goodbye_lets_nobody_in_after_it() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let (challenge, match_code) = backend.create("anna", "attempt-1").await;
    let id = challenge.challenge_id.as_str();
    let asked = device.challenge(&world, id).await.expect("it was asked");
    device.respond(&device.approval(&asked, &match_code)).await.expect("it counts");
    device.unenroll(1).await.expect("it goes");
    refused(backend.redeem(id, "anna", "attempt-1").await, ErrorReason::ApprovalExpired);
}

#[tokio::test]
async fn the_same_goodbye_gets_the_same_answer_for_a_day() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    device.send_change(&device.change(3, DeviceProfile::default())).await.expect("a rising sequence");
    refused(device.unenroll(3).await, ErrorReason::SequenceUsed);
    device.unenroll(4).await.expect("it goes");
    let world = world.restart().await;
    let device = device.reconnected(&world).await;
    device.unenroll(4).await.expect("again");
    refused(device.unenroll(5).await, ErrorReason::CredentialInvalid);
    world.clock.advance(Duration::from_secs(24 * 3600 - 1));
    device.unenroll(4).await.expect("again");
    world.clock.advance(Duration::from_secs(1));
    refused(device.unenroll(4).await, ErrorReason::CredentialInvalid);
}
