//! How far wake-ups came, as the application sees it. A restart of the server is the event that all of them have
//! ended: it waits for those that are under way.

use std::sync::Arc;

use countersign_agent::{Denial, UserVerification};
use countersign_fakes::apns::Answer;
use countersign_proto::{
    common::{ChallengeState, PushState},
    login::{Challenge, Delivery, DeliveryState},
    statement::{DeviceProfile, PushTarget},
};
use tokio::sync::Notify;

use crate::{
    soon::soon,
    world::{DEVICE_TOKEN, REGISTRATION_TOKEN, World, apns_profile, fcm_profile},
};

fn states(challenge: &Challenge) -> Vec<DeliveryState> {
    challenge.deliveries.iter().map(Delivery::state).collect()
}

#[tokio::test]
async fn queued_then_accepted_then_fetched() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    device.send_change(&device.change(1, apns_profile(DEVICE_TOKEN))).await.expect("a good target");
    let release = Arc::new(Notify::new());
    world.apple.answer_next(Answer::AcceptWhen(Arc::clone(&release)));

    let (challenge, _) = backend.create("anna", "attempt-1").await;
    assert_eq!(states(&challenge), [DeliveryState::Queued]);
    assert_eq!(challenge.deliveries[0].device_id, device.device_id);
    assert_eq!(challenge.deliveries[0].device_name, "Device 1");
    let pushed = soon(world.apple.next_request()).await;
    assert_eq!(pushed.device_token, DEVICE_TOKEN);
    let id = challenge.challenge_id.as_str();
    assert_eq!(states(&backend.state(id).await), [DeliveryState::Queued]);
    release.notify_one();

    let world = world.restart().await;
    let backend = world.reconnect(&backend).await;
    let device = device.reconnected(&world).await;
    assert_eq!(states(&backend.state(id).await), [DeliveryState::Accepted]);
    assert_eq!(device.list(&world).await.expect("listed").len(), 1);
    assert_eq!(states(&backend.state(id).await), [DeliveryState::Fetched]);
}

#[tokio::test]
async fn what_was_fetched_stays_so_when_apple_answers_late() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    device.send_change(&device.change(1, apns_profile(DEVICE_TOKEN))).await.expect("a good target");
    let release = Arc::new(Notify::new());
    world.apple.answer_next(Answer::AcceptWhen(Arc::clone(&release)));
    let (challenge, _) = backend.create("anna", "attempt-1").await;
    soon(world.apple.next_request()).await;
    device.challenge(&world, &challenge.challenge_id).await.expect("it was asked");
    release.notify_one();
    let world = world.restart().await;
    let backend = world.reconnect(&backend).await;
    assert_eq!(states(&backend.state(&challenge.challenge_id).await), [DeliveryState::Fetched]);
}

#[tokio::test]
async fn a_target_that_is_gone_fails_and_is_told_until_there_is_a_new_one() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    device.send_change(&device.change(1, apns_profile(DEVICE_TOKEN))).await.expect("a good target");
    world.apple.answer_next(Answer::refuse(410, "Unregistered"));
    let (challenge, _) = backend.create("anna", "attempt-1").await;
    soon(world.apple.next_request()).await;

    let world = world.restart().await;
    let backend = world.reconnect(&backend).await;
    let device = device.reconnected(&world).await;
    assert_eq!(states(&backend.state(&challenge.challenge_id).await), [DeliveryState::Failed]);
    let push_state = async || {
        let user = backend.user("anna").await;
        user.factors[0].device.as_ref().expect("a device").push_state()
    };
    assert_eq!(push_state().await, PushState::Gone);
    let told = device.account(&world).await.expect("its account").account.expect("an account");
    assert_eq!(told.push_state(), PushState::Gone);
    let (next, _) = backend.create("anna", "attempt-2").await;
    assert_eq!(states(&next), [DeliveryState::NoTarget], "nobody is woken there any more");

    device.send_change(&device.change(2, apns_profile(DEVICE_TOKEN))).await.expect("a good target");
    assert_eq!(push_state().await, PushState::Ok);
    let (next, _) = backend.create("anna", "attempt-3").await;
    assert_eq!(states(&next), [DeliveryState::Queued]);
}

#[tokio::test]
async fn a_device_without_a_target_pulls() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let (challenge, _) = backend.create("anna", "attempt-1").await;
    assert_eq!(states(&challenge), [DeliveryState::NoTarget]);
    device.challenge(&world, &challenge.challenge_id).await.expect("it was asked");
    assert_eq!(states(&backend.state(&challenge.challenge_id).await), [DeliveryState::Fetched]);

    device.send_change(&device.change(1, apns_profile(DEVICE_TOKEN))).await.expect("a good target");
    let none = DeviceProfile { push_target: Some(PushTarget::default()), ..DeviceProfile::default() };
    let account = device.send_change(&device.change(2, none)).await.expect("it pulls again");
    assert_eq!(account.push_state(), PushState::None);
    let (challenge, _) = backend.create("anna", "attempt-2").await;
    assert_eq!(states(&challenge), [DeliveryState::NoTarget]);
}

#[tokio::test]
async fn a_device_is_woken_through_google_and_a_target_that_is_gone_is_told() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    device.send_change(&device.change(1, fcm_profile(REGISTRATION_TOKEN))).await.expect("a good target");
    let (first, _) = backend.create("anna", "attempt-1").await;
    assert_eq!(states(&first), [DeliveryState::Queued]);
    let pushed = soon(world.google.next_request()).await;
    assert_eq!((pushed.device_token.as_str(), pushed.status), (REGISTRATION_TOKEN, Some(200)));
    assert_eq!(pushed.body["message"]["data"]["c"], first.challenge_id);
    assert_eq!(pushed.body["message"]["data"]["d"], device.device_id);
    device.challenge(&world, &first.challenge_id).await.expect("it was asked");
    assert_eq!(states(&backend.state(&first.challenge_id).await), [DeliveryState::Fetched]);

    world.google.answer_next(Answer::refuse_fcm(404, "NOT_FOUND", "UNREGISTERED"));
    let (second, _) = backend.create("anna", "attempt-2").await;
    soon(world.google.next_request()).await;
    let world = world.restart().await;
    let backend = world.reconnect(&backend).await;
    assert_eq!(states(&backend.state(&second.challenge_id).await), [DeliveryState::Failed]);
    let user = backend.user("anna").await;
    assert_eq!(user.factors[0].device.as_ref().expect("a device").push_state(), PushState::Gone);
}

#[tokio::test]
async fn a_target_that_was_replaced_before_google_called_it_gone_is_kept() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    device.send_change(&device.change(1, fcm_profile(REGISTRATION_TOKEN))).await.expect("a good target");
    let release = Arc::new(Notify::new());
    let gone = Answer::refuse_fcm(404, "NOT_FOUND", "UNREGISTERED");
    world.google.answer_next(Answer::After(Arc::clone(&release), Box::new(gone)));
    let (first, _) = backend.create("anna", "attempt-1").await;
    soon(world.google.next_request()).await;
    let new = REGISTRATION_TOKEN.replace("APA91b", "APA91c");
    device.send_change(&device.change(2, fcm_profile(&new))).await.expect("a good target");
    release.notify_one();

    let world = world.restart().await;
    let backend = world.reconnect(&backend).await;
    assert_eq!(states(&backend.state(&first.challenge_id).await), [DeliveryState::Failed]);
    let user = backend.user("anna").await;
    assert_eq!(user.factors[0].device.as_ref().expect("a device").push_state(), PushState::Ok);
    let (second, _) = backend.create("anna", "attempt-2").await;
    assert_eq!(states(&second), [DeliveryState::Queued]);
    assert_eq!(soon(world.google.next_request()).await.device_token, new);
}

#[tokio::test]
async fn a_dead_provider_delays_neither_the_answer_nor_the_other_device_and_the_first_answer_wins() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let phone = world.enroll_with_push(&backend, "anna").await;
    let tablet = world.enroll(&backend, "anna").await;
    let (at_apple, at_google) = (&phone.account, &tablet.account);
    at_google.change_profile(fcm_profile(REGISTRATION_TOKEN)).await.expect("a good target");
    world.google.answer_token(Answer::Silence);

    let (challenge, match_code) = backend.create("anna", "attempt-1").await;
    assert_eq!(states(&challenge), [DeliveryState::Queued, DeliveryState::Queued]);
    soon(world.google.next_token_request()).await;
    let pushed = soon(world.apple.next_request()).await;
    assert_eq!(pushed.body["countersign"]["c"], challenge.challenge_id);
    let shown = [at_apple, at_google].map(|account| account.challenge(&challenge.challenge_id));
    let [at_apple_shown, at_google_shown] = shown;
    let (approved, denied) =
        (at_apple_shown.await.expect("asked"), at_google_shown.await.expect("asked too"));
    at_apple.approve(&approved, &match_code, UserVerification::None).await.expect("it is the first answer");
    let late = at_google.deny(&denied, Denial::NotMe).await.expect("it is told what came of it");
    assert!(!late.accepted);
    let settled = backend.state(&challenge.challenge_id).await;
    assert_eq!(settled.state(), ChallengeState::Approved);
}
