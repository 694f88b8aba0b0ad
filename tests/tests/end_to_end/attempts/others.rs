//! Another application's ids are like ids that never were.

use countersign_proto::{
    common::{ChallengeState, ErrorReason},
    login::EnrollmentState,
};

use crate::world::{ByHand, Candidate, World, other_id, refused};

#[tokio::test]
async fn nothing_crosses_an_application() {
    let world = World::start().await;
    let (shop, other) = (world.backend("Shop").await, world.backend("Other").await);
    let device = world.enroll_by_hand(&shop, "anna", 1).await;
    let (challenge, match_code) = shop.create("anna", "attempt-1").await;
    let asked = device.challenge(&world, &challenge.challenge_id).await.expect("it was asked");
    let open = shop.start_enrollment("bob").await;
    let candidate = Candidate::open(&world, &open.uri, 2).await;
    let code = candidate.enroll().await.expect("it is taken").confirmation_code;
    let open = open.enrollment.expect("an enrolment").enrollment_id;

    for approved in [false, true] {
        if approved {
            device.respond(&device.approval(&asked, &match_code)).await.expect("it counts");
        }
        for id in [
            challenge.challenge_id.as_str(),
            "",
            "chl_",
            "chl_0",
            &other_id(&challenge.challenge_id),
            &device.device_id,
            &open,
            "\u{0}",
        ] {
            let reason = ErrorReason::ChallengeNotFound;
            let unknown = refused(other.wait_for(id, 25).await, reason);
            assert_eq!(refused(other.cancel(id).await, reason).message(), unknown.message());
            let redeemed = other.redeem(id, "anna", "attempt-1").await;
            assert_eq!(refused(redeemed, reason).message(), unknown.message());
        }
    }
    for id in [open.as_str(), "", "enr_0", &other_id(&open), &challenge.challenge_id] {
        let reason = ErrorReason::EnrollmentNotFound;
        refused(other.wait_for_enrollment(id, EnrollmentState::Pending, 25).await, reason);
        refused(other.confirm(id, &code).await, reason);
    }
    for id in [device.device_id.as_str(), "", "dev_0", &other_id(&device.device_id), &challenge.challenge_id]
    {
        refused(other.revoke("anna", id).await, ErrorReason::FactorNotFound);
        refused(shop.revoke("bob", id).await, ErrorReason::FactorNotFound);
    }
    assert_eq!(other.user("anna").await.factors, []);
    other.delete("anna").await.expect("nobody there");

    assert_eq!(shop.state(&challenge.challenge_id).await.state(), ChallengeState::Approved);
    assert_eq!(shop.user("anna").await.factors.len(), 1);
    assert_eq!(shop.confirm(&open, &code).await.expect("its own").state(), EnrollmentState::Completed);
}

#[tokio::test]
async fn a_device_of_another_user_sees_and_answers_nothing() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let anna = world.enroll_by_hand(&backend, "anna", 1).await;
    let bob = world.enroll_by_hand(&backend, "bob", 2).await;
    let (challenge, match_code) = backend.create("anna", "attempt-1").await;
    let asked = anna.challenge(&world, &challenge.challenge_id).await.expect("it was asked");
    let reason = ErrorReason::ChallengeNotFound;
    refused(bob.challenge(&world, &challenge.challenge_id).await, reason);
    assert_eq!(bob.list(&world).await.expect("nothing"), []);
    refused(bob.respond(&bob.approval(&asked, &match_code)).await, reason);
    // Nor under Anna's name with his own key.
    let pretending = ByHand { device_id: anna.device_id.clone(), ..bob.clone() };
    refused(pretending.respond(&pretending.approval(&asked, &match_code)).await, reason);
    refused(pretending.challenge(&world, &challenge.challenge_id).await, reason);
    assert_eq!(pretending.list(&world).await.expect("nothing"), []);
    refused(pretending.account(&world).await, ErrorReason::CredentialInvalid);
    assert_eq!(backend.state(&challenge.challenge_id).await.state(), ChallengeState::Pending);
}
