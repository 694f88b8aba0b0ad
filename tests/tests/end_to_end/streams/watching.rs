//! What a backend sees of a challenge.

use std::sync::Arc;

use countersign_domain::policy::Policy;
use countersign_fakes::apns::Answer;
use countersign_proto::{
    common::{ChallengeState, DenialReason, ErrorReason},
    login::{Challenge, DeliveryState, Wakeup},
};
use tokio::sync::Notify;

use crate::{
    soon::soon,
    world::{Changes, DEVICE_TOKEN, World, apns_profile, at, other_id, refused},
};

/// The next change.
async fn next(changes: &mut Changes) -> Challenge {
    soon(changes.next()).await.expect("no refusal").expect("it goes on")
}

async fn is_over(changes: &mut Changes) {
    assert_eq!(soon(changes.next()).await.expect("no refusal"), None);
}

#[tokio::test]
async fn each_change_is_told_until_it_is_settled() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    device.send_change(&device.change(1, apns_profile(DEVICE_TOKEN))).await.expect("a good target");
    let release = Arc::new(Notify::new());
    world.apple.answer_next(Answer::AcceptWhen(Arc::clone(&release)));
    let (created, match_code) = backend.create("anna", "attempt-1").await;
    let id = created.challenge_id.as_str();
    let mut changes = backend.watch(id).await.expect("its own");
    let first = next(&mut changes).await;
    assert_eq!(first, created, "the challenge now");

    soon(world.apple.next_request()).await;
    release.notify_one();
    assert_eq!(next(&mut changes).await.deliveries[0].state(), DeliveryState::Accepted);
    let asked = device.challenge(&world, id).await.expect("it was asked");
    let fetched = next(&mut changes).await;
    assert_eq!(
        (fetched.deliveries[0].state(), fetched.state()),
        (DeliveryState::Fetched, ChallengeState::Pending)
    );
    device.challenge(&world, id).await.expect("again, which changes nothing");
    device.respond(&device.approval(&asked, &match_code)).await.expect("it counts");
    let approved = next(&mut changes).await;
    assert_eq!(approved, backend.state(id).await);
    assert_eq!(approved.state(), ChallengeState::Approved);
    is_over(&mut changes).await;
}

#[tokio::test]
async fn what_is_settled_is_told_once() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    world.enroll_by_hand(&backend, "anna", 1).await;
    let id = backend.create("anna", "attempt-1").await.0.challenge_id;
    let cancelled = backend.cancel(&id).await.expect("its own");
    let mut changes = backend.watch(&id).await.expect("its own");
    assert_eq!(next(&mut changes).await, cancelled);
    is_over(&mut changes).await;
}

#[tokio::test]
async fn a_stream_ends_with_the_challenges_time() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    world.enroll_by_hand(&backend, "anna", 1).await;
    let id = backend.create("anna", "attempt-1").await.0.challenge_id;
    let mut changes = backend.watch(&id).await.expect("its own");
    assert_eq!(next(&mut changes).await.state(), ChallengeState::Pending);
    world.clock.asleep_until(at(120)).await;
    world.clock.set(at(120));
    assert_eq!(next(&mut changes).await.state(), ChallengeState::Expired);
    is_over(&mut changes).await;
}

#[tokio::test]
async fn nobody_watches_what_is_not_his() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let other = world.backend("Bank").await;
    world.enroll_by_hand(&backend, "anna", 1).await;
    let id = backend.create("anna", "attempt-1").await.0.challenge_id;
    for refusal in [other.watch(&id).await, backend.watch(&other_id(&id)).await, backend.watch("chl_1").await]
    {
        refused(refusal.map(drop), ErrorReason::ChallengeNotFound);
    }
}

#[tokio::test]
async fn it_was_not_me_is_told_to_who_watches_another_challenge_of_the_user() {
    let world = World::start().await;
    if world.shared.is_some() {
        // Of two servers the one that has the stream may not be the one that gets the answer: it reads again after a while.
        return;
    }
    let policy = Policy { max_pending_challenges: 2, ..Policy::default() };
    let backend = world.backend_with("Shop", policy).await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    device.send_change(&device.change(1, apns_profile(DEVICE_TOKEN))).await.expect("a good target");
    let (watched, _) = backend.create("anna", "attempt-1").await;
    let (denied, _) = backend.create("anna", "attempt-2").await;
    let mut changes = backend.watch(&watched.challenge_id).await.expect("its own");
    assert_eq!(next(&mut changes).await.wakeup(), Wakeup::Sending);
    let asked = device.challenge(&world, &denied.challenge_id).await.expect("it was asked");
    device.respond(&device.denial(&asked, DenialReason::NotMe)).await.expect("it counts");
    loop {
        let told = next(&mut changes).await;
        assert_eq!(told.state(), ChallengeState::Pending);
        if told.wakeup() == Wakeup::Blocked {
            break;
        }
    }
}
