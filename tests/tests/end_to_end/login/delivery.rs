//! How far wake-ups came, as the application sees it. A restart of the server is the event that all of them have
//! ended: it waits for those that are under way.

use std::sync::Arc;

use countersign_fakes::apns::Answer;
use countersign_proto::{
    common::PushState,
    login::{Challenge, Delivery, DeliveryState},
    statement::{DeviceProfile, PushTarget},
};
use tokio::sync::Notify;

use crate::{
    soon::soon,
    world::{DEVICE_TOKEN, World, apns_profile},
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
