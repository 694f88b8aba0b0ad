//! What the operator's command line does of one user, on the servers that run beside it.

use std::{sync::Arc, time::Duration};

use countersign::{
    operator::{Operator, Unreached},
    random::SystemRandom,
    store::{Applications as _, applications::Application, redis::RedisConfig},
};
use countersign_proto::{
    common::{ChallengeState, ErrorReason},
    login::EnrollmentState,
};

use crate::world::{Backend, Candidate, START, World, enrolling, refused};

/// How often a server finishes what is left over.
const UPKEEP: Duration = Duration::from_mins(1);

/// The command line with this Redis in its configuration.
async fn operator(world: &World, redis: Option<RedisConfig>) -> Operator {
    let (clock, random) = (Arc::new(world.clock.clone()), Arc::new(SystemRandom));
    Operator::open(&world.foundation(), redis, clock, random).await.expect("it opens beside the servers")
}

/// The servers' own Redis, if they have one.
fn own(world: &World) -> Option<RedisConfig> {
    world.shared.as_ref().map(|shared| RedisConfig::of_url(shared.url()))
}

/// What a configuration says that is another one than the servers'.
fn anothers(world: &World) -> (Option<RedisConfig>, Unreached) {
    match &world.shared {
        Some(_) => (None, Unreached::InRedis),
        // It is not even asked.
        None => (Some(RedisConfig::of_url("redis://127.0.0.1:1")), Unreached::InDataDirectory),
    }
}

async fn application(world: &World, backend: &Backend) -> Application {
    let id = backend.application_id.parse().expect("an id");
    world.foundation().store.by_id(id).await.expect("an answer").expect("it is there")
}

#[tokio::test]
async fn what_backends_are_told_of_a_user_is_shown_with_what_is_pending() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let other = world.backend("Bank").await;
    world.enroll(&backend, "anna").await;
    world.enroll(&other, "anna").await;
    let (challenge, _) = backend.create("anna", "attempt-1").await;
    other.create("anna", "attempt-1").await;
    let application = application(&world, &backend).await;
    let operator = operator(&world, own(&world)).await;
    let known = operator.show(&application, "anna").await.expect("she is known");
    assert_eq!(known.user, backend.user("anna").await);
    assert_eq!(known.pending, Ok(vec![backend.state(&challenge.challenge_id).await]));
    let nobody = operator.show(&application, "nobody").await.expect("an answer");
    assert_eq!((nobody.user.factors.len(), nobody.user.had_factors), (0, false));
    assert_eq!(nobody.pending, Ok(Vec::new()));

    backend.cancel(&challenge.challenge_id).await.expect("it is pending");
    assert_eq!(operator.show(&application, "anna").await.expect("known").pending, Ok(Vec::new()));
}

#[tokio::test]
async fn a_factor_that_the_operator_revokes_answers_nothing_on_any_server_from_then_on() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let lost = world.enroll_by_hand(&backend, "anna", 1).await;
    let kept = world.enroll_by_hand(&backend, "anna", 2).await;
    let (challenge, match_code) = backend.create("anna", "attempt-1").await;
    let asked = lost.challenge(&world, &challenge.challenge_id).await.expect("it was asked");
    let application = application(&world, &backend).await;
    let operator = operator(&world, own(&world)).await;
    for _ in 0..2 {
        let revoked = operator.revoke(&application, "anna", &lost.device_id).await.expect("it is Anna's");
        assert_eq!(revoked.in_force, Ok(()));
        assert_eq!(revoked.user, backend.user("anna").await);
        assert_eq!(revoked.user.factors.len(), 1);
    }
    // Successive calls go to all servers.
    for _ in &world.apps {
        refused(lost.respond(&lost.approval(&asked, &match_code)).await, ErrorReason::ChallengeNotFound);
        refused(lost.challenge(&world, &challenge.challenge_id).await, ErrorReason::ChallengeNotFound);
        refused(lost.account(&world).await, ErrorReason::CredentialInvalid);
    }
    assert!(kept.respond(&kept.approval(&asked, &match_code)).await.expect("the other's").accepted);
    let elsewhere = operator.revoke(&application, "bob", &kept.device_id).await.expect_err("not Bob's");
    assert_eq!(elsewhere.to_string(), "the user has no such factor");
}

#[tokio::test]
async fn by_another_configuration_the_directory_has_it_and_a_server_sees_to_the_rest() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let lost = world.enroll_by_hand(&backend, "anna", 1).await;
    let (first, first_code) = backend.create("anna", "attempt-1").await;
    let asked = lost.challenge(&world, &first.challenge_id).await.expect("it was asked");
    let bobs = world.enroll_by_hand(&backend, "bob", 2).await;
    let (second, second_code) = backend.create("bob", "attempt-2").await;
    let asked_bob = bobs.challenge(&world, &second.challenge_id).await.expect("it was asked");
    world.each_asleep_until(START.plus(UPKEEP)).await;

    let application = application(&world, &backend).await;
    let (redis, why) = anothers(&world);
    let operator = operator(&world, redis).await;
    assert_eq!(operator.show(&application, "anna").await.expect("known").pending, Err(why.clone()));
    for (user_id, device) in [("anna", &lost), ("bob", &bobs)] {
        let revoked = operator.revoke(&application, user_id, &device.device_id).await.expect("it is theirs");
        assert_eq!(revoked.in_force, Err(why.clone()));
        assert_eq!(revoked.user.factors, []);
    }
    // As it says: a challenge that is pending takes the answer yet, and lets nobody in.
    assert!(lost.respond(&lost.approval(&asked, &first_code)).await.expect("it is taken yet").accepted);
    assert_eq!(backend.state(&first.challenge_id).await.state(), ChallengeState::Approved);
    refused(backend.redeem(&first.challenge_id, "anna", "attempt-1").await, ErrorReason::ApprovalExpired);

    world.clock.set(START.plus(UPKEEP));
    world.each_asleep_until(START.plus(UPKEEP).plus(UPKEEP)).await;
    refused(bobs.respond(&bobs.approval(&asked_bob, &second_code)).await, ErrorReason::ChallengeNotFound);
    assert_eq!(backend.state(&second.challenge_id).await.state(), ChallengeState::Pending);
}

#[tokio::test]
async fn an_allowed_enrolment_is_one_that_begins_within_24_hours() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let application = application(&world, &backend).await;
    let operator = operator(&world, own(&world)).await;
    let end = START.plus(Duration::from_hours(24));
    for (seed, user_id) in [(1, "anna"), (2, "bob")] {
        world.enroll_by_hand(&backend, user_id, seed).await;
        refused(backend.try_start(enrolling(user_id)).await, ErrorReason::StepUpRequired);
        assert_eq!(operator.allow_enrollment(&application, user_id).await.expect("known"), end);
    }

    world.clock.set(end.minus(Duration::from_secs(1)));
    let started = backend.try_start(enrolling("anna")).await.expect("one second is left");
    world.clock.set(end);
    refused(backend.try_start(enrolling("bob")).await, ErrorReason::StepUpRequired);
    // What was begun in time is completed.
    let candidate = Candidate::open(&world, &started.uri, 3).await;
    let code = candidate.enroll().await.expect("it is taken").confirmation_code;
    let enrollment_id = started.enrollment.expect("an enrolment").enrollment_id;
    let confirmed = backend.confirm(&enrollment_id, &code).await.expect("the right code");
    assert_eq!(confirmed.state(), EnrollmentState::Completed);
    assert_eq!(backend.user("anna").await.factors.len(), 2);

    // One, and not one more.
    operator.allow_enrollment(&application, "bob").await.expect("known");
    let started = backend.try_start(enrolling("bob")).await.expect("it is allowed");
    let code =
        Candidate::open(&world, &started.uri, 4).await.enroll().await.expect("taken").confirmation_code;
    let enrollment_id = started.enrollment.expect("an enrolment").enrollment_id;
    backend.confirm(&enrollment_id, &code).await.expect("the right code");
    refused(backend.try_start(enrolling("bob")).await, ErrorReason::StepUpRequired);
}
