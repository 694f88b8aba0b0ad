//! Streams have places of their own.

use std::time::Duration;

use countersign::wire::Limits;
use countersign_proto::common::{ChallengeState, ErrorReason};
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::told;
use crate::{
    soon::soon,
    world::{ByHand, World, refused},
};

/// Longer than a test's calls take, and short enough to wait for.
const SHORT: Duration = Duration::from_secs(1);

/// The devices `1..=count` of Anna's, all at the first server: each counts its own.
async fn devices(world: &World, count: u8) -> Vec<ByHand> {
    let backend = world.backend("Shop").await;
    let mut devices = Vec::new();
    for seed in 1..=count {
        let device = world.enroll_by_hand(&backend, "anna", seed).await;
        devices.push(device.over(world.endpoint(0).connect().await.expect("it listens")));
    }
    devices
}

#[tokio::test]
async fn a_device_has_so_many_streams_and_no_more() {
    let world = World::start_with("[limits]\nopen_streams_per_device = 2\n").await;
    let [device, other] = devices(&world, 2).await.try_into().ok().expect("two");
    let _first = device.subscribe(&world).await.expect("the first");
    let _second = device.subscribe(&world).await.expect("the second");
    refused(device.subscribe(&world).await.map(drop), ErrorReason::RateLimited);
    let _others = other.subscribe(&world).await.expect("another device's");
}

#[tokio::test]
async fn an_address_has_so_many_streams_and_all_have_so_many_while_calls_go_on() {
    for limits in ["open_streams = 2\n", "open_streams = 9\nopen_streams_per_address = 2\n"] {
        let world = World::start_with(&format!("[limits]\n{limits}")).await;
        let [device, other, third] = devices(&world, 3).await.try_into().ok().expect("three");
        let _first = device.subscribe(&world).await.expect("the first");
        let _second = other.subscribe(&world).await.expect("the second");
        refused(third.subscribe(&world).await.map(drop), ErrorReason::RateLimited);
        third.list(&world).await.expect("a call is no stream");
    }
}

#[tokio::test]
async fn streams_outlive_the_time_and_the_places_of_calls() {
    let limits = Limits { call: SHORT, calls_per_peer: 1, ..Limits::default() };
    let world = World::start_within(Some(limits), "").await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let mut events = device.subscribe(&world).await.expect("it is its device");
    // A stream that counts as a call, and was opened later, has come to its end by now.
    let mut health = HealthClient::new(world.channel().await);
    let watch = health.watch(HealthCheckRequest::default()).await;
    let mut watch = watch.expect("a stream beside the other").into_inner();
    let ended = loop {
        if let Err(status) = soon(watch.message()).await {
            break status;
        }
    };
    assert_eq!(ended.code(), Code::DeadlineExceeded);
    let challenge = backend.create("anna", "attempt-1").await.0.challenge_id;
    assert_eq!(told(&events.challenge().await), (challenge.as_str(), ChallengeState::Pending));
}
