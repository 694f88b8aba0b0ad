//! What a backend is told of a user's devices, and how it is when they go.

use std::time::Duration;

use countersign::store::Applications as _;
use countersign_domain::policy::{Policy, Profile};
use countersign_proto::{
    common::ErrorReason,
    login::EnrollmentState,
    statement::{DeviceProfile, UserVerification},
};

use crate::world::{Backend, Candidate, START, World, asking, at, refused, refused_field};

/// Seconds after the beginning at which the device was last used, and last seen.
async fn last(backend: &Backend) -> (Option<u64>, Option<u64>) {
    let factor = backend.user("anna").await.factors.remove(0);
    let seconds = |time: pbjson_types::Timestamp| u64::try_from(time.seconds - START.as_seconds()).ok();
    let seen = factor.device.expect("a device").last_seen_at;
    (factor.last_used_at.and_then(seconds), seen.and_then(seconds))
}

#[tokio::test]
async fn a_device_is_seen_to_the_hour_and_used_to_the_second() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    assert_eq!(last(&backend).await, (None, None));
    // It is noted beside the answer; a server that ends has noted it.
    let again = async |world: World| {
        let world = world.restart().await;
        let backend = world.reconnect(&backend).await;
        let device = device.clone().reconnected(&world).await;
        (world, backend, device)
    };
    world.clock.set(at(1799));
    device.account(&world).await.expect("its account");
    let (world, backend, device) = again(world).await;
    assert_eq!(last(&backend).await, (None, Some(0)));
    world.clock.set(at(3700));
    device.send_change(&device.change(1, DeviceProfile::default())).await.expect("a change");
    let (world, backend, device) = again(world).await;
    assert_eq!(last(&backend).await, (None, Some(3600)));

    world.clock.set(at(7300));
    let (challenge, match_code) = backend.create("anna", "attempt-1").await;
    let asked = device.challenge(&world, &challenge.challenge_id).await.expect("it was asked");
    device.respond(&device.approval(&asked, &match_code)).await.expect("it counts");
    let (_world, backend, _) = again(world).await;
    assert_eq!(last(&backend).await, (Some(7300), Some(7200)));
}

#[tokio::test]
async fn a_deleted_users_enrolment_is_gone_for_whoever_waits() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let started = backend.start_enrollment("anna").await;
    let id = started.enrollment.expect("an enrolment").enrollment_id;
    let candidate = Candidate::open(&world, &started.uri, 1).await;
    let look = Duration::from_millis(250);
    let delete = async {
        backend.delete("anna").await.expect("forgotten");
        world.clock.advance(look);
    };
    let wait = backend.wait_for_enrollment(&id, EnrollmentState::Pending, 25);
    let (told, ()) = world.meanwhile(wait, START.plus(look), delete).await;
    refused(told, ErrorReason::EnrollmentNotFound);
    refused(candidate.enroll().await, ErrorReason::EnrollmentTokenInvalid);
}

#[tokio::test]
async fn whoever_waits_for_an_enrolment_with_a_revoked_key_does_not_even_hear_that_it_is_gone() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let started = backend.start_enrollment("anna").await;
    let id = started.enrollment.expect("an enrolment").enrollment_id;
    let look = Duration::from_millis(250);
    let revoke = async {
        backend.delete("anna").await.expect("forgotten");
        let application = backend.application_id.parse().expect("an id");
        let key_id = backend.api_key.split('_').nth(1).expect("its id").to_owned();
        assert_eq!(world.foundation().store.remove_key(application, key_id).await, Ok(true));
        world.clock.advance(look);
    };
    let wait = backend.wait_for_enrollment(&id, EnrollmentState::Pending, 25);
    let (told, ()) = world.meanwhile(wait, START.plus(look), revoke).await;
    refused(told, ErrorReason::CredentialInvalid);
}

#[tokio::test]
async fn a_device_that_was_never_confirmed_is_no_factor_to_revoke() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let started = backend.start_enrollment("anna").await;
    let candidate = Candidate::open(&world, &started.uri, 1).await;
    let enrolled = candidate.enroll().await.expect("it is taken");
    let device = candidate.enrolled(&enrolled);
    refused(backend.revoke("anna", &device.device_id).await, ErrorReason::FactorNotFound);
    let id = started.enrollment.expect("an enrolment").enrollment_id;
    let confirmed = backend.confirm(&id, &enrolled.confirmation_code).await.expect("the right code");
    assert_eq!(confirmed.state(), EnrollmentState::Completed);
}

#[tokio::test]
async fn a_profile_is_a_floor_under_policy_and_request() {
    let world = World::start().await;
    let policy = Policy {
        match_code_digits: 2,
        match_code_optional: true,
        profile: Profile::Nist800_63b4,
        ..Policy::default()
    };
    let backend = world.backend_with("Bank", policy).await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    for digits in [0, 2, 5] {
        let mut weaker = asking("anna", "weaker");
        weaker.match_code_digits = Some(digits);
        refused_field(backend.try_create(weaker).await, "match_code_digits");
    }
    let (challenge, match_code) = backend.create("anna", "attempt-1").await;
    assert_eq!(match_code.len(), 6);
    let asked = device.challenge(&world, &challenge.challenge_id).await.expect("it was asked");
    let mut approval = device.approval(&asked, &match_code);
    refused(device.respond(&approval).await, ErrorReason::UserVerificationRequired);
    approval.user_verification = UserVerification::DeviceLock.into();
    assert!(device.respond(&approval).await.expect("verified").accepted);
}

#[tokio::test]
async fn of_a_user_whom_somebody_invented_and_unlocked_nothing_is_left_a_day_later() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let upkeep = Duration::from_mins(1);
    world.each_asleep_until(START.plus(upkeep)).await;
    backend.unlock("invented").await;
    let known = || {
        let count = "SELECT count(*) FROM user_standings WHERE user_id = 'invented'";
        world.database().query_row(count, [], |row| row.get::<_, i64>(0)).expect("a number")
    };
    let not_yet = START.plus(Duration::from_hours(24) - Duration::from_millis(1));
    for (now, left) in [(not_yet, 1), (not_yet.plus(upkeep), 0)] {
        world.clock.set(now);
        world.each_asleep_until(now.plus(upkeep)).await;
        assert_eq!(known(), left, "at {now}");
    }
}
