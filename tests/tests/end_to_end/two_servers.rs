//! What one server does holds at the other at once. The clock stands still, so that nothing is seen only because a
//! server looked again after a while.

use countersign_fakes::apns::Answer;
use countersign_proto::{
    common::{ChallengeState, DenialReason, ErrorReason},
    device::device_service_client::DeviceServiceClient,
    login::{
        Delivery, DeliveryState, GetApplicationRequest, create_challenge_response::Outcome,
        login_service_client::LoginServiceClient, user_service_client::UserServiceClient,
    },
    statement::DeviceProfile,
};
use countersign_test_peers::redis_or_skip;

use crate::{
    soon::soon,
    world::{Backend, Bearer, ByHand, Changes, DEVICE_TOKEN, World, apns_profile, asking, at, refused},
};

/// The same backend, at this server only.
async fn at_server(world: &World, server: usize, backend: &Backend) -> Backend {
    let channel = world.endpoint(server).connect().await.expect("it listens");
    let bearer = Bearer(format!("Bearer {}", backend.api_key).parse().expect("ASCII"));
    Backend {
        application_id: backend.application_id.clone(),
        api_key: backend.api_key.clone(),
        data: backend.data.clone(),
        login: LoginServiceClient::with_interceptor(channel.clone(), bearer.clone()),
        users: UserServiceClient::with_interceptor(channel, bearer),
    }
}

/// The same device, at this server only.
async fn device_at(world: &World, server: usize, device: &ByHand) -> ByHand {
    let channel = world.endpoint(server).connect().await.expect("it listens");
    ByHand { client: DeviceServiceClient::new(channel), ..device.clone() }
}

#[tokio::test]
async fn successive_calls_go_to_different_servers() {
    if !redis_or_skip() {
        return;
    }
    let mut world = World::start().await;
    let backend = world.backend("Shop").await;
    let first = world.apps.remove(0);
    first.shutdown();
    first.ended().await;
    let mut served = Vec::new();
    for _ in 0..4 {
        served.push(backend.login.clone().get_application(GetApplicationRequest {}).await.is_ok());
    }
    assert!(served == [true, false, true, false] || served == [false, true, false, true], "{served:?}");
}

#[tokio::test]
async fn whoever_waits_at_one_server_is_woken_by_whatever_ends_the_challenge_at_the_other() {
    if !redis_or_skip() {
        return;
    }
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let (here, there) = (at_server(&world, 0, &backend).await, at_server(&world, 1, &backend).await);
    let device = device_at(&world, 1, &device).await;
    for end in [
        ChallengeState::Denied,
        ChallengeState::Approved,
        ChallengeState::Cancelled,
        ChallengeState::Superseded,
    ] {
        let (challenge, match_code) = there.create("anna", end.as_str_name()).await;
        let id = challenge.challenge_id.as_str();
        let asked = device.challenge(&world, id).await.expect("it was asked");
        let act = async {
            let done = match end {
                ChallengeState::Denied => {
                    device.respond(&device.denial(&asked, DenialReason::NotMe)).await.map(drop)
                }
                ChallengeState::Approved => {
                    device.respond(&device.approval(&asked, &match_code)).await.map(drop)
                }
                ChallengeState::Cancelled => there.cancel(id).await.map(drop),
                _ => there.try_create(asking("anna", "newer")).await.map(drop),
            };
            done.expect("it is done");
        };
        let (told, ()) = world.meanwhile(here.wait_for(id, 25), at(25), act).await;
        assert_eq!(told.expect("it is told").state(), end);
    }
    let (challenge, _) = there.create("anna", "deleted").await;
    let wait = here.wait_for(&challenge.challenge_id, 25);
    let (told, deleted) = world.meanwhile(wait, at(25), there.delete("anna")).await;
    deleted.expect("forgotten");
    assert_eq!(told.expect("it is told").state(), ChallengeState::Cancelled);
}

#[tokio::test]
async fn a_decision_at_one_server_ends_the_wake_ups_of_the_other() {
    if !redis_or_skip() {
        return;
    }
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let here = at_server(&world, 0, &backend).await;
    let device = device_at(&world, 1, &world.enroll_by_hand(&backend, "anna", 1).await).await;
    device.send_change(&device.change(1, apns_profile(DEVICE_TOKEN))).await.expect("a good target");
    world.apple.answer_next(Answer::refuse(503, "ServiceUnavailable"));
    let (challenge, _) = here.create("anna", "attempt-1").await;
    let id = challenge.challenge_id.as_str();
    assert!(soon(world.apple.next_request()).await.body.to_string().contains(id));
    let next_try = world.clock.asleep(|until| until > at(0) && until <= at(1)).await;

    let asked = device.challenge(&world, id).await.expect("it was asked");
    let denial = device.denial(&asked, DenialReason::Mistake);
    let (told, denied) = world.meanwhile(here.wait_for(id, 25), at(25), device.respond(&denial)).await;
    denied.expect("it counts");
    assert_eq!(told.expect("it is told").state(), ChallengeState::Denied);
    world.clock.set(next_try);
    let (next, _) = here.create("anna", "attempt-2").await;
    let pushed = soon(world.apple.next_request()).await.body.to_string();
    assert!(pushed.contains(&next.challenge_id), "the first was tried again: {pushed}");
}

#[tokio::test]
async fn a_revocation_at_one_server_is_in_force_at_the_other() {
    if !redis_or_skip() {
        return;
    }
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let (here, there) = (at_server(&world, 0, &backend).await, at_server(&world, 1, &backend).await);
    let lost = device_at(&world, 1, &world.enroll_by_hand(&backend, "anna", 1).await).await;
    let (approved, match_code) = there.create("anna", "approved").await;
    let asked = lost.challenge(&world, &approved.challenge_id).await.expect("it was asked");
    lost.respond(&lost.approval(&asked, &match_code)).await.expect("it counts");
    let (pending, match_code) = there.create("anna", "pending").await;
    let id = pending.challenge_id.as_str();
    let asked = lost.challenge(&world, id).await.expect("it was asked");

    here.revoke("anna", &lost.device_id).await.expect("it is Anna's");
    refused(lost.respond(&lost.approval(&asked, &match_code)).await, ErrorReason::ChallengeNotFound);
    refused(lost.challenge(&world, id).await, ErrorReason::ChallengeNotFound);
    refused(lost.account(&world).await, ErrorReason::CredentialInvalid);
    let change = lost.change(1, DeviceProfile::default());
    refused(lost.send_change(&change).await, ErrorReason::CredentialInvalid);
    let redeemed = there.redeem(&approved.challenge_id, "anna", "approved").await;
    refused(redeemed, ErrorReason::ApprovalExpired);
    assert!(there.user("anna").await.factors.is_empty());
    let created = there.try_create(asking("anna", "later")).await.expect("an answer");
    assert!(matches!(created.outcome, Some(Outcome::NotEnrolled(_))), "{created:?}");
}

#[tokio::test]
async fn a_stream_at_one_server_tells_of_what_happens_at_the_other() {
    if !redis_or_skip() {
        return;
    }
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let (here, there) = (at_server(&world, 0, &backend).await, at_server(&world, 1, &backend).await);
    let enrolled = world.enroll_by_hand(&backend, "anna", 1).await;
    let other = world.enroll_by_hand(&backend, "anna", 2).await;
    let other = device_at(&world, 1, &other).await;
    let mut events = device_at(&world, 0, &enrolled).await.subscribe(&world).await.expect("its own");

    let (challenge, match_code) = there.create("anna", "attempt-1").await;
    let id = challenge.challenge_id.as_str();
    assert_eq!(events.challenge().await.challenge_id, id);
    let mut changes = here.watch(id).await.expect("its own");
    let delivered = async |changes: &mut Changes| {
        let challenge = soon(changes.next()).await.expect("no refusal").expect("it is pending");
        challenge.deliveries.iter().map(Delivery::state).collect::<Vec<_>>()
    };
    assert_eq!(delivered(&mut changes).await, [DeliveryState::Fetched, DeliveryState::NoTarget]);
    let asked = other.challenge(&world, id).await.expect("it was asked");
    assert_eq!(delivered(&mut changes).await, [DeliveryState::Fetched; 2]);
    other.respond(&other.approval(&asked, &match_code)).await.expect("it counts");
    assert_eq!(events.challenge().await.state(), ChallengeState::Approved);
    let approved = soon(changes.next()).await.expect("no refusal").expect("a change");
    assert_eq!(approved.state(), ChallengeState::Approved);

    there.revoke("anna", &enrolled.device_id).await.expect("it is Anna's");
    refused::<()>(Err(events.end().await), ErrorReason::CredentialInvalid);
}

#[tokio::test]
async fn an_api_key_is_known_to_both_once_it_is_made() {
    if !redis_or_skip() {
        return;
    }
    let world = World::start().await;
    for name in ["Shop", "Bank"] {
        let backend = world.backend(name).await;
        for server in [0, 1] {
            let backend = at_server(&world, server, &backend).await;
            let told = backend.login.clone().get_application(GetApplicationRequest {}).await;
            assert_eq!(told.expect("a good key").into_inner().name, name);
        }
    }
}
