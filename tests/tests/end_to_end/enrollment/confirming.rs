//! The confirmation code: what the person types on the page with the QR code.

use std::time::Duration;

use countersign_agent::{AccountState, Platform};
use countersign_proto::{
    common::ErrorReason,
    login::{AwaitEnrollmentRequest, EnrollmentState, create_challenge_response::Outcome},
};

use crate::world::{ByHand, Candidate, START, World, asking, enrolling, other_code, refused, refused_field};

#[tokio::test]
async fn until_it_is_confirmed_a_device_is_asked_and_told_nothing() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let confirmed = world.enroll_by_hand(&backend, "anna", 1).await;
    let started = backend.start_enrollment("anna").await;
    let candidate = Candidate::open(&world, &started.uri, 2).await;
    let enrolled = candidate.enroll().await.expect("it is taken");
    let device = candidate.enrolled(&enrolled);

    let (challenge, match_code) = backend.create("anna", "attempt-1").await;
    assert_eq!(challenge.deliveries.len(), 1);
    assert_eq!(challenge.deliveries[0].device_id, confirmed.device_id);
    assert_eq!(device.list(&world).await.expect("nothing"), []);
    let reason = ErrorReason::ChallengeNotFound;
    refused(device.challenge(&world, &challenge.challenge_id).await, reason);
    let asked = confirmed.challenge(&world, &challenge.challenge_id).await.expect("it was asked");
    refused(device.respond(&device.approval(&asked, &match_code)).await, reason);
    let account = device.account(&world).await.expect("its account").account.expect("an account");
    assert_eq!(account.state(), AccountState::Confirming);
    assert_eq!(backend.user("anna").await.factors.len(), 1);

    let id = started.enrollment.expect("an enrolment").enrollment_id;
    backend.confirm(&id, &enrolled.confirmation_code).await.expect("the right code");
    let account = device.account(&world).await.expect("its account").account.expect("an account");
    assert_eq!(account.state(), AccountState::Active);
    // What was asked before does not ask it now.
    refused(device.challenge(&world, &challenge.challenge_id).await, reason);
    assert_eq!(backend.create("anna", "attempt-2").await.0.deliveries.len(), 2);
}

#[tokio::test]
async fn an_unconfirmed_first_device_is_no_factor() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let started = backend.start_enrollment("anna").await;
    Candidate::open(&world, &started.uri, 1).await.enroll().await.expect("it is taken");
    let user = backend.user("anna").await;
    assert_eq!((user.factors.len(), user.had_factors), (0, false));
    let asked = backend.try_create(asking("anna", "attempt-1")).await.expect("an outcome");
    let Some(Outcome::NotEnrolled(nobody)) = asked.outcome else { panic!("{asked:?}") };
    assert!(!nobody.had_factors);
}

#[tokio::test]
async fn three_wrong_codes_end_it_and_what_is_no_code_is_no_try() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let started = backend.start_enrollment("anna").await;
    let id = started.enrollment.expect("an enrolment").enrollment_id;
    let before = backend.confirm(&id, "nothing yet").await.expect("no device has come");
    assert_eq!(before.state(), EnrollmentState::Pending);
    let candidate = Candidate::open(&world, &started.uri, 1).await;
    let enrolled = candidate.enroll().await.expect("it is taken");
    let code = &enrolled.confirmation_code;
    assert!(code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
    for _ in 0..2 {
        for malformed in ["", "12345", "1234567", "12345a", "１２３４５６", "12.456"] {
            refused_field(backend.confirm(&id, malformed).await, "code");
        }
        let told = backend.confirm(&id, &other_code(code)).await.expect("a try");
        assert_eq!(told.state(), EnrollmentState::Confirming);
        assert!(told.factor.is_some());
    }
    let failed = backend.confirm(&id, &other_code(code)).await.expect("the third");
    assert_eq!((failed.state(), failed.factor), (EnrollmentState::Failed, None));
    assert_eq!(backend.confirm(&id, code).await.expect("too late").state(), EnrollmentState::Failed);
    let device = candidate.enrolled(&enrolled);
    refused(device.account(&world).await, ErrorReason::CredentialInvalid);
    assert_eq!(candidate.enroll().await.expect("the same key").confirmation_code, "");
    assert!(!backend.user("anna").await.had_factors);
}

#[tokio::test]
async fn a_code_may_be_typed_in_groups_and_any_code_is_told_completed_afterwards() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let started = backend.start_enrollment("anna").await;
    let candidate = Candidate::open(&world, &started.uri, 1).await;
    let code = candidate.enroll().await.expect("it is taken").confirmation_code;
    let id = started.enrollment.expect("an enrolment").enrollment_id;
    let grouped = format!(" {} - {} ", &code[..3], &code[3..]);
    let completed = backend.confirm(&id, &grouped).await.expect("the right code");
    assert_eq!(completed.state(), EnrollmentState::Completed);
    for any in [code.as_str(), &other_code(&code), ""] {
        assert_eq!(backend.confirm(&id, any).await.expect("it is done"), completed);
    }
}

#[tokio::test]
async fn whoever_waits_is_woken_by_device_and_code() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let (agent, _state) = world.agent();
    let started = backend.start_enrollment("anna").await;
    let id = started.enrollment.expect("an enrolment").enrollment_id;
    let offer = agent.inspect(&started.uri).await.expect("a good offer");
    // It reads again every quarter of a second: the clock of one server stands still, so only a wake-up can answer.
    // What another server did is seen when it reads again.
    let look = Duration::from_millis(250);
    let changed = || {
        if world.shared.is_some() {
            world.clock.advance(look);
        }
    };
    let wait = backend.wait_for_enrollment(&id, EnrollmentState::Unspecified, 25);
    let accept = async {
        let enrolled = agent.accept(&offer, "Anna's Pixel", Platform::Android).await;
        changed();
        enrolled
    };
    let (told, enrolled) = world.meanwhile(wait, START.plus(look), accept).await;
    let (told, enrolled) = (told.expect("it is told"), enrolled.expect("it is taken"));
    assert_eq!(told.state(), EnrollmentState::Confirming);
    assert_eq!(told.factor.expect("the new factor").name, "Anna's Pixel");
    let known = backend.wait_for_enrollment(&id, EnrollmentState::Pending, 25).await;
    assert_eq!(known.expect("at once").state(), EnrollmentState::Confirming);

    let code = enrolled.confirmation_code().expect("one is asked for");
    let wait = backend.wait_for_enrollment(&id, EnrollmentState::Confirming, 25);
    let confirm = async {
        backend.confirm(&id, code).await.expect("the right code");
        changed();
    };
    let (told, ()) = world.meanwhile(wait, world.now().plus(look), confirm).await;
    assert_eq!(told.expect("it is told").state(), EnrollmentState::Completed);
    assert_eq!(enrolled.account.refresh().await.expect("in use").state, AccountState::Active);
}

#[tokio::test]
async fn a_waiter_sees_what_another_process_changed_and_the_end_of_its_wait() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let started = backend.start_enrollment("anna").await;
    let id = started.enrollment.expect("an enrolment").enrollment_id;
    let look = Duration::from_millis(250);
    let database = world.database();
    let superseded = async {
        let change = "UPDATE enrollments SET state = 'ENROLLMENT_STATE_SUPERSEDED'";
        assert_eq!(database.execute(change, []).expect("a column of the enrolment"), 1);
        world.clock.advance(look);
    };
    let wait = backend.wait_for_enrollment(&id, EnrollmentState::Pending, 25);
    let (told, ()) = world.meanwhile(wait, START.plus(look), superseded).await;
    assert_eq!(told.expect("it is told").state(), EnrollmentState::Superseded);

    let unknown = AwaitEnrollmentRequest { enrollment_id: id.clone(), wait: None, known_state: 99 };
    refused_field(backend.users.clone().await_enrollment(unknown).await, "known_state");
    refused_field(backend.wait_for_enrollment(&id, EnrollmentState::Pending, 61).await, "wait");
}

#[tokio::test]
async fn ten_devices_are_the_most() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let mut devices: Vec<ByHand> = Vec::new();
    for seed in 1..=10 {
        devices.push(world.enroll_by_hand(&backend, "anna", seed).await);
    }
    backend.allow_enrollment("anna").await;
    let refusal = backend.try_start(enrolling("anna")).await;
    refused(refusal, ErrorReason::FactorLimitReached);
    assert_eq!(backend.create("anna", "attempt-1").await.0.deliveries.len(), 10);
    backend.revoke("anna", &devices[0].device_id).await.expect("it is Anna's");
    world.enroll_by_hand(&backend, "anna", 11).await;
    assert_eq!(backend.user("anna").await.factors.len(), 10);
    world.enroll_by_hand(&backend, "bob", 12).await;
}
