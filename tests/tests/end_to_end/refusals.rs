//! Every reason for a refusal is provoked, and each has what common.proto says of it.

use std::collections::BTreeSet;

use countersign_domain::policy::Policy;
use countersign_proto::{
    common::{DenialReason, ErrorReason},
    device::GetAccountRequest,
    statement::{DecisionStatement, DeviceProfile},
};
use tonic::Status;

use crate::world::{
    Backend, ByHand, Candidate, GET_ACCOUNT, World, asking, at, enrolling, redeeming, refused,
    with_unknown_field,
};

/// The reasons that were met.
#[derive(Default)]
struct Met(BTreeSet<&'static str>);

impl Met {
    #[track_caller]
    fn meet<T: std::fmt::Debug>(&mut self, reason: ErrorReason, result: Result<T, Status>) {
        refused(result, reason);
        self.0.insert(reason.as_str_name());
    }
}

/// The names of all reasons that the contract has.
fn all_reasons() -> BTreeSet<&'static str> {
    let known = (1..1000).filter_map(|number| ErrorReason::try_from(number).ok());
    known.map(|reason| reason.as_str_name()).collect()
}

#[tokio::test]
async fn every_reason_of_the_contract_is_provoked_and_complete() {
    let world = World::start().await;
    let policy = Policy { max_pending_challenges: 10, ..Policy::default() };
    let backend = world.backend_with("Shop", policy).await;
    let mut met = Met::default();
    of_requests(&world, &backend, &mut met).await;
    of_enrolments(&world, &backend, &mut met).await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    of_a_device(&world, &backend, &device, &mut met).await;
    of_redemptions(&world, &backend, &device, &mut met).await;
    of_the_store(&world, &backend, &mut met).await;
    of_a_server_that_goes_away(&world, &backend, &mut met).await;
    of_a_clock_that_jumps(&mut met).await;
    assert_eq!(met.0, all_reasons());
}

async fn of_requests(world: &World, backend: &Backend, met: &mut Met) {
    met.meet(ErrorReason::InvalidField, backend.try_create(asking("", "a")).await);
    let wrong_key = format!("{}a", &backend.api_key[..backend.api_key.len() - 1]);
    let other = if wrong_key == backend.api_key { wrong_key.replace('a', "b") } else { wrong_key };
    let stranger = world.connect(backend.application_id.clone(), &other).await;
    met.meet(ErrorReason::CredentialInvalid, stranger.cancel("chl_0").await);
    met.meet(ErrorReason::ChallengeNotFound, backend.cancel("chl_0").await);
    met.meet(ErrorReason::EnrollmentNotFound, backend.confirm("enr_0", "123456").await);
    met.meet(ErrorReason::FactorNotFound, backend.revoke("anna", "dev_0").await);
}

async fn of_enrolments(world: &World, backend: &Backend, met: &mut Met) {
    let started = backend.start_enrollment("zoe").await;
    let first = Candidate::open(world, &started.uri, 50).await;
    let second = Candidate::open(world, &started.uri, 51).await;
    let mut unknown = first.request(&first.statement());
    "A4DQOBYHA4DQOBYHA4DQOBYHA4DQOBYH".clone_into(&mut unknown.token);
    met.meet(ErrorReason::EnrollmentTokenInvalid, first.send(unknown).await);
    let mut foreign = first.statement();
    foreign.offer_sha256 = vec![0; 32];
    met.meet(ErrorReason::StatementMismatch, first.send(first.request(&foreign)).await);
    let mut strange = first.request(&first.statement());
    strange.enrollment = Some(with_unknown_field(&first.key, &first.statement()));
    met.meet(ErrorReason::StatementNotSupported, first.send(strange).await);
    let mut weak = first.request(&first.statement());
    weak.public_key.as_mut().expect("a key").key = vec![0; 32];
    met.meet(ErrorReason::KeyNotAcceptable, first.send(weak).await);
    first.enroll().await.expect("it is taken");
    met.meet(ErrorReason::EnrollmentTokenUsed, second.enroll().await);
    for seed in 60..70 {
        world.enroll_by_hand(backend, "max", seed).await;
    }
    met.meet(ErrorReason::StepUpRequired, backend.try_start(enrolling("max")).await);
    backend.allow_enrollment("max").await;
    met.meet(ErrorReason::FactorLimitReached, backend.try_start(enrolling("max")).await);
}

async fn of_a_device(world: &World, backend: &Backend, device: &ByHand, met: &mut Met) {
    let early = device.proven(GetAccountRequest {}, &device.call(GET_ACCOUNT, at(3600)));
    met.meet(ErrorReason::ClockSkew, device.client.clone().get_account(early).await);
    device.send_change(&device.change(2, DeviceProfile::default())).await.expect("a rising sequence");
    let used = device.change(1, DeviceProfile::default());
    met.meet(ErrorReason::SequenceUsed, device.send_change(&used).await);

    let mut request = asking("anna", "verified");
    request.user_verification_required = true;
    let (challenge, match_code) = backend.create_as(request.clone()).await;
    "another".clone_into(&mut request.binding_message);
    met.meet(ErrorReason::AttemptReused, backend.try_create(request).await);
    let asked = device.challenge(world, &challenge.challenge_id).await.expect("it was asked");
    let unverified = device.approval(&asked, &match_code);
    met.meet(ErrorReason::UserVerificationRequired, device.respond(&unverified).await);
    let without_code = DecisionStatement { match_code: String::new(), ..unverified };
    met.meet(ErrorReason::MatchCodeRequired, device.respond(&without_code).await);
    device.respond(&device.denial(&asked, DenialReason::Mistake)).await.expect("it counts");
}

async fn of_redemptions(world: &World, backend: &Backend, device: &ByHand, met: &mut Met) {
    let (challenge, match_code) = backend.create("anna", "redeemed").await;
    let id = challenge.challenge_id.as_str();
    met.meet(ErrorReason::ChallengeNotApproved, backend.redeem(id, "anna", "redeemed").await);
    let asked = device.challenge(world, id).await.expect("it was asked");
    device.respond(&device.approval(&asked, &match_code)).await.expect("it counts");
    met.meet(ErrorReason::NotYourApproval, backend.try_redeem(redeeming(id, "anna", "another")).await);
    world.clock.set(at(120));
    met.meet(ErrorReason::ApprovalExpired, backend.redeem(id, "anna", "redeemed").await);
}

/// Another process holds the write lock for longer than the server waits; then a table has gone.
async fn of_the_store(world: &World, backend: &Backend, met: &mut Met) {
    let database = world.database();
    database.execute_batch("BEGIN IMMEDIATE").expect("the lock is free");
    let refused = backend.try_start(enrolling("otto")).await;
    database.execute_batch("ROLLBACK").expect("it is held");
    met.meet(ErrorReason::RateLimited, refused);
    database.execute_batch("ALTER TABLE devices RENAME TO away").expect("a table of the server");
    let refused = backend.try_create(asking("anna", "away")).await;
    database.execute_batch("ALTER TABLE away RENAME TO devices").expect("it was renamed");
    met.meet(ErrorReason::StoreUnavailable, refused);
    backend.create("anna", "back").await;
}

/// A year later than the last key ends, and before the next one begins.
async fn of_a_clock_that_jumps(met: &mut Met) {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    world.clock.set(at(400 * 24 * 60 * 60));
    met.meet(ErrorReason::ServerClock, backend.try_create(asking("anna", "late")).await);
}

async fn of_a_server_that_goes_away(world: &World, backend: &Backend, met: &mut Met) {
    let (challenge, _) = backend.create("anna", "waiting").await;
    let wait = backend.wait_for(&challenge.challenge_id, 25);
    let (told, ()) = world.meanwhile(wait, at(145), async { world.shutdown() }).await;
    met.meet(ErrorReason::ShuttingDown, told);
}

#[tokio::test]
async fn whoever_waits_for_an_enrolment_is_told_of_the_shutdown_too() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let id = backend.start_enrollment("anna").await.enrollment.expect("an enrolment").enrollment_id;
    let wait = backend.wait_for_enrollment(&id, countersign_proto::login::EnrollmentState::Pending, 25);
    let next_look = at(0).plus(std::time::Duration::from_millis(250));
    let (told, ()) = world.meanwhile(wait, next_look, async { world.shutdown() }).await;
    refused(told, ErrorReason::ShuttingDown);
}
