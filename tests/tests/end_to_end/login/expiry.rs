//! Time runs out, once and for all.

use std::time::Duration;

use countersign_proto::common::{ChallengeState, ErrorReason};

use crate::world::{START, World, asking, at, metadata_of, refused, refused_field};

#[tokio::test]
async fn a_waiter_is_told_at_the_expiry_and_a_late_answer_too_whatever_the_clock_does() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let mut request = asking("anna", "attempt-1");
    request.lifetime = Some(Duration::from_secs(10).into());
    let (challenge, match_code) = backend.create_as(request).await;
    let id = challenge.challenge_id.as_str();
    assert_eq!(challenge.expires_at, Some(at(10).to_wire()));
    assert_eq!(challenge.time_left, Some(Duration::from_secs(10).into()));
    let asked = device.challenge(&world, id).await.expect("it was asked");

    world.clock.set(at(10).minus(Duration::from_millis(1)));
    assert_eq!(backend.state(id).await.state(), ChallengeState::Pending);
    world.clock.set(START);
    let expire = async { world.clock.set(at(10)) };
    let (expired, ()) = world.meanwhile(backend.wait_for(id, 60), at(10), expire).await;
    let expired = expired.expect("it is told");
    assert_eq!((expired.state(), expired.time_left), (ChallengeState::Expired, None));

    for now in [at(10), START] {
        world.clock.set(now);
        let late = device.respond(&device.approval(&asked, &match_code)).await.expect("a good form");
        assert_eq!((late.accepted, late.state()), (false, ChallengeState::Expired));
        assert_eq!(backend.state(id).await.state(), ChallengeState::Expired);
        assert_eq!(device.challenge(&world, id).await.expect("readable").state(), ChallengeState::Expired);
        assert_eq!(device.list(&world).await.expect("nothing"), []);
        let refusal =
            refused(backend.redeem(id, "anna", "attempt-1").await, ErrorReason::ChallengeNotApproved);
        assert_eq!(metadata_of(&refusal, "state"), "EXPIRED");
        assert_eq!(backend.cancel(id).await.expect("its own").state(), ChallengeState::Expired);
    }
}

#[tokio::test]
async fn a_device_that_is_too_late_seals_the_expiry() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let (challenge, match_code) = backend.create("anna", "attempt-1").await;
    let asked = device.challenge(&world, &challenge.challenge_id).await.expect("it was asked");
    world.clock.set(at(120));
    let late = device.respond(&device.approval(&asked, &match_code)).await.expect("a good form");
    assert_eq!((late.accepted, late.state()), (false, ChallengeState::Expired));
    world.clock.set(START);
    assert_eq!(backend.state(&challenge.challenge_id).await.state(), ChallengeState::Expired);
}

#[tokio::test]
async fn an_expired_challenge_is_readable_for_a_quarter_of_an_hour() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    world.enroll_by_hand(&backend, "anna", 1).await;
    let (challenge, _) = backend.create("anna", "attempt-1").await;
    let readable = Duration::from_mins(15);
    world.clock.set(at(120).plus(readable).minus(Duration::from_millis(1)));
    assert_eq!(backend.state(&challenge.challenge_id).await.state(), ChallengeState::Expired);
    world.clock.set(at(120).plus(readable));
    refused(backend.wait_for(&challenge.challenge_id, 0).await, ErrorReason::ChallengeNotFound);
}

#[tokio::test]
async fn a_lifetime_is_five_seconds_to_ten_minutes() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    world.enroll_by_hand(&backend, "anna", 1).await;
    let with = |millis: u64| {
        let mut request = asking("anna", &format!("attempt-{millis}"));
        request.lifetime = Some(Duration::from_millis(millis).into());
        request
    };
    for millis in [0, 4_999, 600_001] {
        refused_field(backend.try_create(with(millis)).await, "lifetime");
    }
    for millis in [5_000, 600_000] {
        let (challenge, _) = backend.create_as(with(millis)).await;
        assert_eq!(challenge.expires_at, Some(START.plus(Duration::from_millis(millis)).to_wire()));
    }
    let mut negative = with(0);
    negative.lifetime = Some(pbjson_types::Duration { seconds: -10, nanos: 0 });
    refused_field(backend.try_create(negative).await, "lifetime");
}
