//! A device is taken away, or a user forgotten.

use countersign_agent::UserVerification;
use countersign_proto::{
    common::{ChallengeState, ErrorReason},
    login::{EnrollmentState, create_challenge_response::Outcome},
    statement::DeviceProfile,
};

use crate::world::{Candidate, World, asking, at, refused};

#[tokio::test]
async fn revoked_between_ask_and_answer_a_device_answers_nothing() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let lost = world.enroll_by_hand(&backend, "anna", 1).await;
    let kept = world.enroll_by_hand(&backend, "anna", 2).await;
    let (challenge, match_code) = backend.create("anna", "attempt-1").await;
    let id = challenge.challenge_id.as_str();
    let asked = lost.challenge(&world, id).await.expect("it was asked");
    let user = backend.revoke("anna", &lost.device_id).await.expect("it is Anna's");
    assert_eq!(user, backend.user("anna").await);
    assert_eq!(user.factors.iter().map(|factor| &factor.factor_id).collect::<Vec<_>>(), [&kept.device_id]);

    let reason = ErrorReason::ChallengeNotFound;
    refused(lost.respond(&lost.approval(&asked, &match_code)).await, reason);
    refused(lost.challenge(&world, id).await, reason);
    assert_eq!(lost.list(&world).await.expect("nothing"), []);
    refused(lost.account(&world).await, ErrorReason::CredentialInvalid);
    let change = lost.change(1, DeviceProfile::default());
    refused(lost.send_change(&change).await, ErrorReason::CredentialInvalid);
    assert_eq!(backend.state(id).await.state(), ChallengeState::Pending);
    assert!(kept.respond(&kept.approval(&asked, &match_code)).await.expect("the other's").accepted);
    let next = backend.create("anna", "attempt-2").await.0;
    assert_eq!(next.deliveries.len(), 1, "the revoked one is asked no more");
}

#[tokio::test]
async fn revoked_again_it_is_the_same_answer_also_after_a_restart() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let user = backend.revoke("anna", &device.device_id).await.expect("it is Anna's");
    assert_eq!((user.factors.len(), user.had_factors), (0, true));
    assert_eq!(backend.revoke("anna", &device.device_id).await.expect("again"), user);
    let world = world.restart().await;
    let backend = world.reconnect(&backend).await;
    assert_eq!(backend.revoke("anna", &device.device_id).await.expect("again"), user);
    let device = device.reconnected(&world).await;
    refused(device.account(&world).await, ErrorReason::CredentialInvalid);
}

#[tokio::test]
async fn a_revocation_ends_open_enrolments() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    for is_taken in [false, true] {
        let started = backend.start_enrollment("anna").await;
        let id = started.enrollment.expect("an enrolment").enrollment_id;
        let candidate = Candidate::open(&world, &started.uri, 2 + u8::from(is_taken)).await;
        let mut code = String::new();
        if is_taken {
            code = candidate.enroll().await.expect("it is taken").confirmation_code;
        }
        let revoked = if is_taken {
            let another = backend.user("anna").await.factors.remove(0).factor_id;
            backend.revoke("anna", &another).await
        } else {
            backend.revoke("anna", &device.device_id).await
        };
        revoked.expect("it is Anna's");
        assert_eq!(backend.enrollment(&id).await.state(), EnrollmentState::Superseded);
        if is_taken {
            assert_eq!(backend.confirm(&id, &code).await.expect("told").state(), EnrollmentState::Superseded);
        } else {
            refused(candidate.enroll().await, ErrorReason::EnrollmentTokenInvalid);
            world.enroll_by_hand(&backend, "anna", 10).await;
        }
    }
    assert_eq!(backend.user("anna").await.factors, []);
}

#[tokio::test]
async fn a_deleted_user_is_forgotten_and_whoever_waits_is_told() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll(&backend, "anna").await;
    let others = world.enroll_by_hand(&backend, "bob", 2).await;
    let open = backend.start_enrollment("anna").await.enrollment.expect("an enrolment").enrollment_id;
    let (challenge, match_code) = backend.create("anna", "attempt-1").await;
    let id = challenge.challenge_id.as_str();
    let shown = device.account.challenge(id).await.expect("it was asked");
    let (told, deleted) = world.meanwhile(backend.wait_for(id, 25), at(25), backend.delete("anna")).await;
    deleted.expect("forgotten");
    assert_eq!(told.expect("it is told").state(), ChallengeState::Cancelled);

    let user = backend.user("anna").await;
    assert_eq!((user.factors.len(), user.had_factors), (0, false));
    let asked = backend.try_create(asking("anna", "attempt-2")).await.expect("an outcome");
    let Some(Outcome::NotEnrolled(nobody)) = asked.outcome else { panic!("{asked:?}") };
    assert!(!nobody.had_factors);
    refused(
        backend.wait_for_enrollment(&open, EnrollmentState::Pending, 0).await,
        ErrorReason::EnrollmentNotFound,
    );
    device.account.approve(&shown, &match_code, UserVerification::None).await.expect_err("it is gone");
    let gone = device.account.refresh().await.expect_err("it is gone");
    assert!(gone.is_refused(ErrorReason::CredentialInvalid), "{gone}");
    refused(backend.revoke("anna", device.account.device_id()).await, ErrorReason::FactorNotFound);
    backend.delete("anna").await.expect("again");
    backend.delete("nobody").await.expect("of whom nothing is known");
    assert_eq!(backend.user("bob").await.factors[0].factor_id, others.device_id);
    world.enroll_by_hand(&backend, "anna", 3).await;
}

#[tokio::test]
async fn an_approval_of_a_deleted_user_lets_nobody_in() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let (challenge, match_code) = backend.create("anna", "attempt-1").await;
    let asked = device.challenge(&world, &challenge.challenge_id).await.expect("it was asked");
    device.respond(&device.approval(&asked, &match_code)).await.expect("it counts");
    backend.delete("anna").await.expect("forgotten");
    let redeemed = backend.redeem(&challenge.challenge_id, "anna", "attempt-1").await;
    refused(redeemed, ErrorReason::ApprovalExpired);
}
