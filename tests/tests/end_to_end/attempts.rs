//! A login attempt: asking is repeatable, and the attempt alone may redeem.

mod others;
mod redeeming;

use countersign_proto::{
    common::{ChallengeState, ErrorReason},
    login::LoginSource,
};

use crate::world::{World, asking, refused};

#[tokio::test]
async fn the_same_attempt_gets_the_same_challenge_and_match_code_whatever_happens_meanwhile() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let (challenge, match_code) = backend.create("anna", "attempt-1").await;
    assert_eq!(backend.create("anna", "attempt-1").await, (challenge.clone(), match_code.clone()));

    let world = world.restart().await;
    let backend = world.reconnect(&backend).await;
    let device = device.reconnected(&world).await;
    assert_eq!(backend.create("anna", "attempt-1").await, (challenge.clone(), match_code.clone()));
    let asked = device.challenge(&world, &challenge.challenge_id).await.expect("it was asked");
    device.respond(&device.approval(&asked, &match_code)).await.expect("the code from before counts");
    let (settled, same_code) = backend.create("anna", "attempt-1").await;
    assert_eq!(settled, backend.state(&challenge.challenge_id).await);
    assert_eq!((settled.state(), same_code), (ChallengeState::Approved, match_code));

    // Also when there is nobody to ask any more.
    backend.revoke("anna", &device.device_id).await.expect("it is Anna's");
    let (again, _) = backend.create("anna", "attempt-1").await;
    assert_eq!(again.challenge_id, challenge.challenge_id);
}

#[tokio::test]
async fn the_same_attempt_with_other_content_is_refused() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    world.enroll_by_hand(&backend, "anna", 1).await;
    let (challenge, _) = backend.create("anna", "attempt-1").await;
    let mut message = asking("anna", "attempt-1");
    message.binding_message = "another".to_owned();
    let mut digits = asking("anna", "attempt-1");
    digits.match_code_digits = Some(4);
    let mut source = asking("anna", "attempt-1");
    source.source = Some(LoginSource { location: "Bern".to_owned(), ..LoginSource::default() });
    let mut verified = asking("anna", "attempt-1");
    verified.user_verification_required = true;
    for other in [message, digits, source, verified] {
        refused(backend.try_create(other).await, ErrorReason::AttemptReused);
    }
    assert_eq!(backend.state(&challenge.challenge_id).await.state(), ChallengeState::Pending);
    assert_eq!(backend.create("anna", "attempt-1").await.0.challenge_id, challenge.challenge_id);
}

#[tokio::test]
async fn an_attempt_is_of_one_user_and_one_application() {
    let world = World::start().await;
    let (shop, bank) = (world.backend("Shop").await, world.backend("Bank").await);
    world.enroll_by_hand(&shop, "anna", 1).await;
    world.enroll_by_hand(&shop, "bob", 2).await;
    world.enroll_by_hand(&bank, "anna", 3).await;
    let mut ids = Vec::new();
    for (backend, user) in [(&shop, "anna"), (&shop, "bob"), (&bank, "anna")] {
        ids.push(backend.create(user, "attempt-1").await.0.challenge_id);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3);
}
