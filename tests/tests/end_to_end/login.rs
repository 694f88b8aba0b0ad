//! A login, from the question to the receipt.

mod delivery;
mod ends;
mod expiry;
mod match_code;
mod shown;
mod waiting;

use countersign_agent::UserVerification;
use countersign_proto::{
    common::ChallengeState,
    login::DeliveryState,
    receipt::{self, Expected},
};

use crate::world::{World, at};

#[tokio::test]
async fn a_login_is_asked_pushed_approved_and_redeemed_with_a_receipt() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_with_push(&backend, "anna").await;

    let (challenge, match_code) = backend.create("anna", "attempt-1").await;
    assert_eq!(challenge.state(), ChallengeState::Pending);
    assert_eq!(match_code.len(), 3);
    let pushed = world.apple.next_request().await;
    assert!(pushed.path.starts_with("/3/device/"), "{}", pushed.path);

    let shown = device.account.challenge(&challenge.challenge_id).await.expect("it was asked");
    assert_eq!(backend.state(&challenge.challenge_id).await.deliveries[0].state(), DeliveryState::Fetched);
    let waiting = backend.wait_for(&challenge.challenge_id, 25);
    let answering = device.account.approve(&shown, &match_code, UserVerification::None);
    let (settled, answer) = world.meanwhile(waiting, at(25), answering).await;
    assert!(answer.expect("it counts").accepted);
    assert_eq!(settled.expect("it is told").state(), ChallengeState::Approved);

    let redeemed = backend.redeem(&challenge.challenge_id, "anna", "attempt-1").await.expect("approved");
    let expected = Expected {
        application_id: Some(&backend.application_id),
        user_id: Some("anna"),
        attempt_id: Some("attempt-1"),
        ..Expected::default()
    };
    let proof = redeemed.receipt.as_ref().expect("a receipt");
    let verified = receipt::verify(proof, world.server_id(), &expected).expect("it proves it");
    assert_eq!(verified.by.binding().expect("a device approved").device_id, device.account.device_id());
    let again = backend.redeem(&challenge.challenge_id, "anna", "attempt-1").await;
    assert_eq!(again.expect("as often as asked"), redeemed);
}
