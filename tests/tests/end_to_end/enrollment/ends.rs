//! How an enrolment ends without a device.

use std::time::Duration;

use countersign_agent::Error;
use countersign_proto::{common::ErrorReason, login::EnrollmentState};

use crate::world::{Candidate, START, World, at, other_code, refused};

#[tokio::test]
async fn after_ten_minutes_it_has_expired_for_good() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let untouched = backend.start_enrollment("bob").await;
    let started = backend.start_enrollment("anna").await;
    assert_eq!(started.enrollment.as_ref().expect("one").expires_at, Some(at(600).to_wire()));
    let candidate = Candidate::open(&world, &started.uri, 1).await;
    let code = candidate.enroll().await.expect("it is taken").confirmation_code;
    let ids = [untouched.enrollment, started.enrollment].map(|one| one.expect("an enrolment").enrollment_id);
    world.clock.set(at(600).minus(Duration::from_millis(1)));
    assert_eq!(backend.enrollment(&ids[0]).await.state(), EnrollmentState::Pending);
    assert_eq!(backend.enrollment(&ids[1]).await.state(), EnrollmentState::Confirming);
    for now in [at(600), START] {
        world.clock.set(now);
        for id in &ids {
            let expired = backend.enrollment(id).await;
            assert_eq!((expired.state(), expired.factor), (EnrollmentState::Expired, None));
            let confirmed = backend.confirm(id, &code).await.expect("it is told");
            assert_eq!(confirmed.state(), EnrollmentState::Expired);
        }
        refused(candidate.enroll().await, ErrorReason::EnrollmentTokenInvalid);
        let (agent, _state) = world.agent();
        let late = agent.inspect(&untouched.uri).await.expect_err("it is over");
        assert!(late.is_refused(ErrorReason::EnrollmentTokenInvalid), "{late}");
    }
    assert!(!backend.user("anna").await.had_factors);
}

#[tokio::test]
async fn a_waiter_is_told_that_it_has_expired() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let started = backend.start_enrollment("anna").await;
    let id = started.enrollment.expect("an enrolment").enrollment_id;
    let expire = async { world.clock.set(at(600)) };
    let wait = backend.wait_for_enrollment(&id, EnrollmentState::Pending, 25);
    let (told, ()) = world.meanwhile(wait, START.plus(Duration::from_millis(250)), expire).await;
    assert_eq!(told.expect("it is told").state(), EnrollmentState::Expired);
}

#[tokio::test]
async fn a_newer_one_takes_its_place_and_its_waiter_is_told() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let look = Duration::from_millis(250);
    for is_taken in [false, true] {
        let user = format!("anna-{is_taken}");
        let started = backend.start_enrollment(&user).await;
        let id = started.enrollment.expect("an enrolment").enrollment_id;
        let candidate = Candidate::open(&world, &started.uri, 1 + u8::from(is_taken)).await;
        let mut known = EnrollmentState::Pending;
        let mut code = "123456".to_owned();
        if is_taken {
            code = candidate.enroll().await.expect("it is taken").confirmation_code;
            known = EnrollmentState::Confirming;
        }
        let start = async {
            let newer = backend.start_enrollment(&user).await;
            world.clock.advance(look);
            newer
        };
        let next_look = world.now().plus(look);
        let wait = backend.wait_for_enrollment(&id, known, 25);
        let (told, newer) = world.meanwhile(wait, next_look, start).await;
        let told = told.expect("it is told");
        assert_eq!((told.state(), told.factor), (EnrollmentState::Superseded, None));
        let confirmed = backend.confirm(&id, &code).await.expect("it is told");
        assert_eq!(confirmed.state(), EnrollmentState::Superseded);
        if is_taken {
            let again = candidate.enroll().await.expect("the same key");
            assert_eq!(again.confirmation_code, "");
            let device = candidate.enrolled(&again);
            refused(device.account(&world).await, ErrorReason::CredentialInvalid);
        } else {
            refused(candidate.enroll().await, ErrorReason::EnrollmentTokenInvalid);
            let (agent, _state) = world.agent();
            let gone = agent.inspect(&started.uri).await.expect_err("superseded");
            assert!(matches!(gone, Error::Refused(_)), "{gone}");
        }
        let newer = newer.enrollment.expect("an enrolment");
        assert_eq!(backend.enrollment(&newer.enrollment_id).await.state(), EnrollmentState::Pending);
    }
}

#[tokio::test]
async fn one_of_another_user_goes_on() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let bob = backend.start_enrollment("bob").await.enrollment.expect("an enrolment").enrollment_id;
    let anna = world.enroll_by_hand(&backend, "anna", 1).await;
    backend.revoke("anna", &anna.device_id).await.expect("it is Anna's");
    assert_eq!(backend.enrollment(&bob).await.state(), EnrollmentState::Pending);
}

#[tokio::test]
async fn a_wrong_code_is_a_try_also_across_a_restart() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let started = backend.start_enrollment("anna").await;
    let id = started.enrollment.expect("an enrolment").enrollment_id;
    let candidate = Candidate::open(&world, &started.uri, 1).await;
    let code = candidate.enroll().await.expect("it is taken").confirmation_code;
    let wrong = other_code(&code);
    for _ in 0..2 {
        assert_eq!(backend.confirm(&id, &wrong).await.expect("a try").state(), EnrollmentState::Confirming);
    }
    let world = world.restart().await;
    let backend = world.reconnect(&backend).await;
    assert_eq!(backend.confirm(&id, &wrong).await.expect("the third").state(), EnrollmentState::Failed);
}
