//! A device becomes a user's.

mod confirming;
mod ends;
mod keys;

use countersign_agent::{AccountState, ErrorReason, Platform};
use countersign_domain::policy::Policy;
use countersign_proto::{
    device::GetOfferRequest, envelope, login::EnrollmentState, statement::BindingStatement, trust::ServerKey,
};

use crate::world::{Candidate, START, World, at, enrolling, public, refused, refused_field};

#[tokio::test]
async fn an_offer_is_the_same_bytes_each_time_until_its_link_is_over() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let started = backend.start_enrollment("anna").await;
    let candidate = Candidate::open(&world, &started.uri, 1).await;
    let request = GetOfferRequest { token: candidate.link.token.reveal().to_owned() };
    let mut client = candidate.client.clone();
    world.clock.set(at(60));
    assert_eq!(Candidate::open(&world, &started.uri, 1).await.offer, candidate.offer);
    let enrolled = candidate.enroll().await.expect("it is taken");
    assert_eq!(Candidate::open(&world, &started.uri, 1).await.offer, candidate.offer, "after it was used");
    let id = started.enrollment.expect("an enrolment").enrollment_id;
    backend.confirm(&id, &enrolled.confirmation_code).await.expect("the right code");
    assert_eq!(
        Candidate::open(&world, &started.uri, 1).await.offer,
        candidate.offer,
        "after it was confirmed"
    );
    world.clock.set(at(600));
    refused(client.get_offer(request).await, ErrorReason::EnrollmentTokenInvalid);
    refused(candidate.enroll().await, ErrorReason::EnrollmentTokenInvalid);
}

#[tokio::test]
async fn a_token_that_is_none_is_refused_like_an_unknown_one() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let started = backend.start_enrollment("anna").await;
    let candidate = Candidate::open(&world, &started.uri, 1).await;
    let token = candidate.link.token.reveal();
    let mut client = candidate.client.clone();
    let lower = token.to_lowercase();
    for token in ["", "A", "A4DQOBYHA4DQOBYHA4DQOBYHA4DQOBYH", &lower, &format!("{token}A"), &token[..31]] {
        let reason = ErrorReason::EnrollmentTokenInvalid;
        refused(client.get_offer(GetOfferRequest { token: token.to_owned() }).await, reason);
        // The token is looked at before anything else of the request.
        let mut request = candidate.request(&candidate.statement());
        (request.token, request.public_key, request.enrollment) = (token.to_owned(), None, None);
        refused(candidate.send(request).await, reason);
    }
}

#[tokio::test]
async fn a_link_enrols_one_device_and_tells_the_other() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let started = backend.start_enrollment("anna").await;
    let first = Candidate::open(&world, &started.uri, 1).await;
    let second = Candidate::open(&world, &started.uri, 2).await;
    let enrolled = first.enroll().await.expect("it is taken");
    refused(second.enroll().await, ErrorReason::EnrollmentTokenUsed);
    let mut renamed = first.statement();
    "Another name".clone_into(&mut renamed.device_name);
    assert_eq!(first.send(first.request(&renamed)).await.expect("the same key"), enrolled);
    let (agent, _state) = world.agent();
    let offer = agent.inspect(&started.uri).await.expect("still shown");
    let late = agent.accept(&offer, "Late", Platform::Desktop).await.expect_err("used");
    assert!(late.is_refused(ErrorReason::EnrollmentTokenUsed), "{late}");

    let id = started.enrollment.expect("an enrolment").enrollment_id;
    backend.confirm(&id, &enrolled.confirmation_code).await.expect("the right code");
    refused(second.enroll().await, ErrorReason::EnrollmentTokenUsed);
    let again = first.enroll().await.expect("the same key");
    assert_eq!(again.confirmation_code, "", "it has ended");
    let account = again.account.expect("an account");
    assert_eq!(account.state(), AccountState::Active);
    assert_eq!(account.device_id, enrolled.account.expect("an account").device_id);
    assert_eq!(backend.user("anna").await.factors.len(), 1);
}

#[tokio::test]
async fn without_confirmation_the_device_is_in_use_at_once() {
    let world = World::start().await;
    let policy = Policy { enrollment_confirmation: false, ..Policy::default() };
    let backend = world.backend_with("Shop", policy).await;
    let started = backend.start_enrollment("anna").await;
    let candidate = Candidate::open(&world, &started.uri, 1).await;
    let enrolled = candidate.enroll().await.expect("it is taken");
    assert_eq!(enrolled.confirmation_code, "");
    assert_eq!(enrolled.account.as_ref().expect("an account").state(), AccountState::Active);
    let id = started.enrollment.expect("an enrolment").enrollment_id;
    assert_eq!(backend.enrollment(&id).await.state(), EnrollmentState::Completed);
    let device = candidate.enrolled(&enrolled);
    let (challenge, match_code) = backend.create("anna", "attempt-1").await;
    let asked = device.challenge(&world, &challenge.challenge_id).await.expect("it was asked");
    assert!(device.respond(&device.approval(&asked, &match_code)).await.expect("it counts").accepted);
    backend.redeem(&challenge.challenge_id, "anna", "attempt-1").await.expect("approved");
}

#[tokio::test]
async fn the_binding_is_the_servers_signed_word() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let started = backend.start_enrollment("anna").await;
    let candidate = Candidate::open(&world, &started.uri, 1).await;
    let request = candidate.request(&candidate.statement());
    let source = envelope::payload_digest(request.enrollment.as_ref().expect("signed"));
    let enrolled = candidate.send(request).await.expect("it is taken");
    let id = started.enrollment.expect("an enrolment").enrollment_id;
    world.clock.set(at(30));
    let completed = backend.confirm(&id, &enrolled.confirmation_code).await.expect("the right code");
    let device = candidate.enrolled(&enrolled);
    let user = backend.user("anna").await;
    assert!(user.had_factors);
    assert_eq!(completed.factor.as_ref(), user.factors.first());
    let factor = &user.factors[0];
    assert_eq!((factor.factor_id.as_str(), factor.name.as_str()), (device.device_id.as_str(), "Device 1"));
    assert_eq!(factor.created_at, Some(START.to_wire()));
    let described = factor.device.as_ref().expect("a device");
    assert_eq!(described.public_key, Some(public(&device.key)));

    let key = device.account(&world).await.expect("its account").server_key.expect("a key");
    let key = ServerKey::open(&key, candidate.link.root_key).expect("the root vouches for it");
    let binding: BindingStatement =
        envelope::open(described.binding.as_ref().expect("a binding"), key.key).expect("it holds");
    let expected = BindingStatement {
        server_id: world.server_id().to_owned(),
        application_id: backend.application_id.clone(),
        user_id: "anna".to_owned(),
        device_id: device.device_id,
        public_key: Some(public(&device.key)),
        source_sha256: source.to_vec(),
        platform: Platform::Desktop.into(),
        bound_at: Some(at(30).to_wire()),
    };
    assert_eq!(binding, expected);
}

#[tokio::test]
async fn a_beginning_that_is_malformed_is_refused_by_its_field() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let mut untyped = enrolling("anna");
    untyped.r#type = 0;
    let mut unknown = enrolling("anna");
    unknown.r#type = 3;
    let mut deceiving = enrolling("anna");
    "a\u{202e}".clone_into(&mut deceiving.account_name);
    let mut long = enrolling("anna");
    long.account_name = "a".repeat(129);
    for (request, field) in [
        (enrolling(""), "user_id"),
        (untyped, "type"),
        (unknown, "type"),
        (deceiving, "account_name"),
        (long, "account_name"),
    ] {
        refused_field(backend.try_start(request).await, field);
    }
}
