//! How streams end.

use std::time::Duration;

use countersign::{foundation::Foundation, store::Applications as _};
use countersign_proto::{
    common::{ChallengeState, ErrorReason},
    device::SubscribeRequest,
    login::WatchChallengeRequest,
};
use tonic::Code;

use super::told;
use crate::{
    soon::soon,
    world::{SUBSCRIBE, World, at, refused},
};

#[tokio::test]
async fn a_revocation_ends_the_devices_streams_at_once_and_nobody_elses() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let lost = world.enroll_by_hand(&backend, "anna", 1).await;
    let kept = world.enroll_by_hand(&backend, "anna", 2).await;
    let mut of_lost =
        [lost.subscribe(&world).await, lost.subscribe(&world).await].map(|it| it.expect("its own"));
    let mut of_kept = kept.subscribe(&world).await.expect("it is its device");
    backend.revoke("anna", &lost.device_id).await.expect("it is Anna's");
    for events in &mut of_lost {
        refused::<()>(Err(events.end().await), ErrorReason::CredentialInvalid);
        assert_eq!(events.try_next().await.expect("it is over"), None);
    }
    refused(lost.subscribe(&world).await.map(drop), ErrorReason::CredentialInvalid);
    let challenge = backend.create("anna", "attempt-1").await.0.challenge_id;
    assert_eq!(told(&of_kept.challenge().await), (challenge.as_str(), ChallengeState::Pending));
}

#[tokio::test]
async fn who_is_forgotten_hears_no_more() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let mut events = device.subscribe(&world).await.expect("it is its device");
    backend.delete("anna").await.expect("forgotten");
    refused::<()>(Err(events.end().await), ErrorReason::CredentialInvalid);
}

#[tokio::test]
async fn a_stream_ends_within_15_minutes_and_can_be_opened_again() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let mut events = device.subscribe(&world).await.expect("it is its device");
    let end = world.clock.asleep(|until| until > at(11 * 60)).await;
    assert!(end > at(12 * 60) && end <= at(15 * 60), "{end}");
    world.clock.set(end);
    // A heartbeat is due too.
    while let Some(event) = events.try_next().await.expect("no refusal") {
        assert_eq!(event.challenge, None);
    }
    device.subscribe(&world).await.expect("again");
}

#[tokio::test]
async fn a_drain_ends_streams_with_a_word_to_call_again() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let challenge = backend.create("anna", "attempt-1").await.0.challenge_id;
    let mut events = device.subscribe(&world).await.expect("it is its device");
    events.challenge().await;
    let mut changes = backend.watch(&challenge).await.expect("its own");
    changes.next().await.expect("no refusal");
    world.shutdown();
    refused::<()>(Err(events.end().await), ErrorReason::ShuttingDown);
    let ended = loop {
        match soon(changes.next()).await {
            Ok(told) => assert_eq!(told.expect("it is pending").state(), ChallengeState::Pending),
            Err(status) => break status,
        }
    };
    refused::<()>(Err(ended), ErrorReason::ShuttingDown);
}

#[tokio::test]
async fn a_callers_own_time_limit_ends_his_stream() {
    /// Time enough to open it.
    const LIMIT: Duration = Duration::from_secs(2);
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let challenge_id = backend.create("anna", "attempt-1").await.0.challenge_id;
    let mut subscribing = device.proven(SubscribeRequest {}, &device.call(SUBSCRIBE, world.now()));
    subscribing.set_timeout(LIMIT);
    let mut watching = tonic::Request::new(WatchChallengeRequest { challenge_id });
    watching.set_timeout(LIMIT);
    let mut events = device.client.clone().subscribe(subscribing).await.expect("a stream").into_inner();
    let mut changes = backend.login.clone().watch_challenge(watching).await.expect("a stream").into_inner();
    let ended = loop {
        if let Err(status) = soon(events.message()).await {
            break status;
        }
    };
    assert_eq!(ended.code(), Code::DeadlineExceeded, "{ended:?}");
    let ended = loop {
        if let Err(status) = soon(changes.message()).await {
            break status;
        }
    };
    assert_eq!(ended.code(), Code::DeadlineExceeded, "{ended:?}");
}

#[tokio::test]
async fn a_watch_ends_when_the_api_key_that_opened_it_is_revoked_and_nobody_tells_the_server() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    world.enroll_by_hand(&backend, "anna", 1).await;
    let challenge = backend.create("anna", "attempt-1").await.0;
    let mut changes = backend.watch(&challenge.challenge_id).await.expect("its own");
    assert_eq!(soon(changes.next()).await.expect("no refusal"), Some(challenge));
    let application = backend.application_id.parse().expect("an id");
    let key_id = backend.api_key.split('_').nth(1).expect("its id").to_owned();
    let Foundation { store, .. } = world.foundation();
    assert_eq!(store.remove_key(application, key_id).await, Ok(true));
    // The clock that is passed in stands still: nothing is due.
    refused(soon(changes.next()).await, ErrorReason::CredentialInvalid);
}

/// As when Redis' data is flushed. Nobody is woken by that.
#[tokio::test]
async fn when_all_challenges_are_lost_a_watch_ends_and_a_devices_stream_goes_on() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let lost = backend.create("anna", "attempt-1").await.0.challenge_id;
    let mut events = device.subscribe(&world).await.expect("it is its device");
    assert_eq!(told(&events.challenge().await), (lost.as_str(), ChallengeState::Pending));
    let mut changes = backend.watch(&lost).await.expect("its own");
    soon(changes.next()).await.expect("no refusal").expect("the challenge now");
    world.forget_challenges().await;
    // Both wait, at the latest until the challenge's time is over.
    world.clock.asleep_until(at(120)).await;
    world.clock.asleep_until(at(120)).await;
    world.clock.set(at(120));
    refused(soon(changes.next()).await, ErrorReason::ChallengeNotFound);
    assert_eq!(soon(changes.next()).await.expect("it is over"), None);
    assert_eq!(events.event().await, None, "it is alive, and tells nothing of what it does not know");

    world.clock.asleep_until(at(145)).await;
    let next = backend.create("anna", "attempt-2").await.0.challenge_id;
    // Should nobody have told its server: it reads again before it tells that it is alive.
    world.clock.set(at(145));
    assert_eq!(told(&events.challenge().await), (next.as_str(), ChallengeState::Pending));
}
