//! Once there was a factor, the next one needs an approval, or an operator.

use std::time::Duration;

use countersign_proto::{
    common::ErrorReason,
    login::{Authorization, EnrollmentState, StartEnrollmentRequest},
};
use tokio::task::JoinSet;

use super::{
    approved, asking_to_manage, enrolling_totp,
    totp::{code, enroll_first, id},
};
use crate::world::{Backend, ByHand, Candidate, World, asking, at, enrolling, redeeming, refused};

/// Tries to begin both kinds of enrolments, and to get a recovery code.
async fn nothing_is_begun(backend: &Backend, user_id: &str, authorization: Option<Authorization>) {
    for request in [enrolling(user_id), enrolling_totp(user_id, None)] {
        let request = StartEnrollmentRequest { authorization: authorization.clone(), ..request };
        refused(backend.try_start(request).await, ErrorReason::StepUpRequired);
    }
    refused(backend.issue(user_id, authorization).await, ErrorReason::StepUpRequired);
}

async fn anna_with_a_device() -> (World, Backend, ByHand) {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    // The permission with which the fixture enrols.
    world.database().execute("DELETE FROM enrollment_allowances", []).expect("a table");
    (world, backend, device)
}

#[tokio::test]
async fn without_an_approval_nothing_is_begun_also_once_the_last_factor_has_gone() {
    let (_world, backend, device) = anna_with_a_device().await;
    nothing_is_begun(&backend, "anna", None).await;
    backend.revoke("anna", &device.device_id).await.expect("it is Anna's");
    nothing_is_begun(&backend, "anna", None).await;
    backend.delete("anna").await.expect("she is forgotten");
    backend.try_start(enrolling("anna")).await.expect("as if there had been none");
}

#[tokio::test]
async fn an_approval_that_is_not_this_one_begins_nothing() {
    let (world, backend, device) = anna_with_a_device().await;
    let login = approved(&world, &backend, &device, asking("anna", "login")).await;
    nothing_is_begun(&backend, "anna", Some(login)).await;

    let good = approved(&world, &backend, &device, asking_to_manage("anna", "manage")).await;
    let other_attempt = Authorization { attempt_id: "another".into(), ..good.clone() };
    nothing_is_begun(&backend, "anna", Some(other_attempt)).await;
    for challenge_id in ["", "chl_0", "chl_ffffffff-ffff-8fff-bfff-ffffffffffff"] {
        let unknown = Authorization { challenge_id: challenge_id.into(), ..good.clone() };
        nothing_is_begun(&backend, "anna", Some(unknown)).await;
    }
    nothing_is_begun(&backend, "bob", Some(good.clone())).await;
    let other = world.backend("Bank").await;
    nothing_is_begun(&other, "anna", Some(good.clone())).await;

    // Pending, denied, approved and not redeemed.
    let (challenge, match_code) = backend.create_as(asking_to_manage("anna", "open")).await;
    let open = Authorization { challenge_id: challenge.challenge_id.clone(), attempt_id: "open".into() };
    nothing_is_begun(&backend, "anna", Some(open.clone())).await;
    let asked = device.challenge(&world, &challenge.challenge_id).await.expect("it was asked");
    device.respond(&device.approval(&asked, &match_code)).await.expect("it counts");
    nothing_is_begun(&backend, "anna", Some(open)).await;

    let started = backend.try_start(enrolling_totp("anna", Some(good))).await;
    started.expect("the good one begins an enrolment");
}

#[tokio::test]
async fn an_approval_is_good_for_ten_minutes_after_its_time_to_be_redeemed() {
    let (world, backend, device) = anna_with_a_device().await;
    let approval = approved(&world, &backend, &device, asking_to_manage("anna", "manage")).await;
    let last = at(720).minus(Duration::from_millis(1));
    world.clock.set(last);
    // A redemption that comes too late takes nothing back.
    let mut late = redeeming(&approval.challenge_id, "anna", "manage");
    late.purpose = countersign_proto::statement::Purpose::ManageFactors.into();
    refused(backend.try_redeem(late).await, ErrorReason::ApprovalExpired);
    backend.try_start(enrolling_totp("anna", Some(approval.clone()))).await.expect("it is in time");
    world.clock.set(at(720));
    nothing_is_begun(&backend, "anna", Some(approval)).await;
}

#[tokio::test]
async fn an_approval_by_a_device_that_is_revoked_since_begins_nothing() {
    let (world, backend, device) = anna_with_a_device().await;
    let approval = approved(&world, &backend, &device, asking_to_manage("anna", "manage")).await;
    let started =
        backend.try_start(enrolling_totp("anna", Some(approval.clone()))).await.expect("it is good");
    backend.revoke("anna", &device.device_id).await.expect("it is Anna's");
    nothing_is_begun(&backend, "anna", Some(approval)).await;
    // And what it had begun has ended.
    let ended = backend.confirm(id(&started), &code(&started, 0)).await.expect("an answer");
    assert_eq!(ended.state(), EnrollmentState::Superseded);
}

#[tokio::test]
async fn one_approval_makes_one_factor_however_many_race_for_it() {
    let (world, backend, device) = anna_with_a_device().await;
    let approval = approved(&world, &backend, &device, asking_to_manage("anna", "manage")).await;
    let totp = backend.try_start(enrolling_totp("anna", Some(approval.clone()))).await.expect("it is good");
    let link = StartEnrollmentRequest { authorization: Some(approval.clone()), ..enrolling("anna") };
    let link = backend.try_start(link).await.expect("it is good");
    let second = Candidate::open(&world, &link.uri, 2).await;
    let taken = second.enroll().await.expect("it is taken");
    let mut racers = JoinSet::new();
    for n in 0..30 {
        let users = backend.users.clone();
        let (totp_id, totp_code) = (id(&totp).to_owned(), code(&totp, 0));
        let (link_id, link_code) = (id(&link).to_owned(), taken.confirmation_code.clone());
        let approval = approval.clone();
        racers.spawn(async move {
            use countersign_proto::login::{ConfirmEnrollmentRequest, IssueRecoveryCodeRequest};
            let confirm = |enrollment_id, code| ConfirmEnrollmentRequest { enrollment_id, code };
            let mut users = users;
            match n % 3 {
                0 => users.confirm_enrollment(confirm(totp_id, totp_code)).await.map(drop),
                1 => users.confirm_enrollment(confirm(link_id, link_code)).await.map(drop),
                _ => {
                    let request =
                        IssueRecoveryCodeRequest { user_id: "anna".into(), authorization: Some(approval) };
                    users.issue_recovery_code(request).await.map(drop)
                }
            }
        });
    }
    while let Some(raced) = racers.join_next().await {
        if let Err(status) = raced.expect("it does not panic") {
            refused::<()>(Err(status), ErrorReason::StepUpRequired);
        }
    }
    assert_eq!(backend.user("anna").await.factors.len(), 2);
    nothing_is_begun(&backend, "anna", Some(approval)).await;
}

#[tokio::test]
async fn the_first_factor_ends_every_enrolment_that_nobody_approved() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let link = backend.try_start(enrolling("anna")).await.expect("the first");
    let candidate = Candidate::open(&world, &link.uri, 1).await;
    let taken = candidate.enroll().await.expect("it is taken");
    enroll_first(&backend, "anna").await;
    let ended = backend.confirm(id(&link), &taken.confirmation_code).await.expect("an answer");
    assert_eq!(ended.state(), EnrollmentState::Superseded);
    assert_eq!(backend.user("anna").await.factors.len(), 1);
}

#[tokio::test]
async fn an_operator_permits_one_enrolment_which_is_used_up_by_its_end() {
    let (world, backend, device) = anna_with_a_device().await;
    backend.revoke("anna", &device.device_id).await.expect("it is Anna's");
    nothing_is_begun(&backend, "anna", None).await;
    backend.allow_enrollment("anna").await;
    // A page that is loaded again begins anew.
    backend.try_start(enrolling_totp("anna", None)).await.expect("it is permitted");
    enroll_first(&backend, "anna").await;
    nothing_is_begun(&backend, "anna", None).await;
    let world = world.restart().await;
    let backend = world.reconnect(&backend).await;
    nothing_is_begun(&backend, "anna", None).await;
}
