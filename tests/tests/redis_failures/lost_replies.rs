//! Redis has written, and its answer is lost on the way.

use countersign_agent::Denial;
use countersign_proto::common::{ChallengeState, ErrorReason};

use crate::{
    fixture::{IMPATIENT, Login, PATIENT, Servers, is_away},
    refused::refused,
    soon,
};

/// What every commit calls.
const COMMIT: &str = "EVALSHA";

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_makes_one_challenge_and_wakes_the_device_once() {
    let Some(servers) = Servers::start_or_skip(PATIENT).await else { return };
    let (backend, other) = (servers.backend(0).await, servers.backend(1).await);
    servers.enroll_with_push(&backend, "anna").await;
    let lost = servers.proxies[0].lose_reply_to(COMMIT);
    let login = soon(Login::try_ask(&backend, "anna", "attempt")).await.expect("the first outcome");
    soon(lost.happened()).await;
    let push = soon(servers.apple.next_request()).await;
    assert!(push.body.to_string().contains(login.id()), "{push:?}");
    let repeated = Login::ask(&backend, "anna", "attempt").await;
    assert_eq!((repeated.id(), &repeated.match_code), (login.id(), &login.match_code));
    // The next push is one for the next challenge.
    let next = Login::ask(&other, "anna", "another").await;
    let push = soon(servers.apple.next_request()).await;
    assert!(push.body.to_string().contains(next.id()), "{push:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_wakes_the_device_also_when_another_write_hides_that_it_happened() {
    let Some(servers) = Servers::start_or_skip(PATIENT).await else { return };
    let (backend, other) = (servers.backend(0).await, servers.backend(1).await);
    servers.enroll_with_push(&backend, "anna").await;
    let second = servers.enroll(&backend, "anna").await;
    let lost = servers.proxies[0].lose_reply_to(COMMIT);
    let no_connection = servers.proxies[0].lose_reply_to("INFO");
    let asking = tokio::spawn(async move { Login::try_ask(&backend, "anna", "attempt").await });
    soon(lost.happened()).await;
    soon(no_connection.happened()).await;
    servers.proxies[0].refuse();
    // The user record has another version when the server looks for its own.
    soon(other.revoke("anna", second.account.device_id())).await.expect("it is revoked");
    servers.proxies[0].pass();
    let login = soon(asking).await.expect("it does not panic").expect("the first outcome");
    let push = soon(servers.apple.next_request()).await;
    assert!(push.body.to_string().contains(login.id()), "{push:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_whose_outcome_nobody_learned_wakes_the_device_when_it_is_asked_again() {
    let Some(servers) = Servers::start_or_skip(IMPATIENT).await else { return };
    let (backend, other) = (servers.backend(0).await, servers.backend(1).await);
    servers.enroll_with_push(&backend, "anna").await;
    let lost = servers.proxies[0].lose_reply_to(COMMIT);
    let no_connection = servers.proxies[0].lose_reply_to("INFO");
    let asking = tokio::spawn(async move { is_away(Login::try_ask(&backend, "anna", "attempt")).await });
    soon(lost.happened()).await;
    soon(no_connection.happened()).await;
    servers.proxies[0].refuse();
    assert!(soon(asking).await.expect("it does not panic"));
    let login = Login::ask(&other, "anna", "attempt").await;
    let push = soon(servers.apple.next_request()).await;
    assert!(push.body.to_string().contains(login.id()), "{push:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_accepted_and_stands() {
    let Some(servers) = Servers::start_or_skip(PATIENT).await else { return };
    let (backend, other) = (servers.backend(0).await, servers.backend(1).await);
    let device = servers.enroll(&backend, "anna").await;
    let login = Login::ask(&backend, "anna", "attempt").await;
    let expires_at = servers.clock.expiry();
    let (waits, id) = (servers.backend(1).await, login.id().to_owned());
    let waiting = tokio::spawn(async move { waits.wait_for(&id, 60).await });
    servers.clock.asleep_until(expires_at, 1).await;

    let lost = servers.proxies[0].lose_reply_to(COMMIT);
    let answer = soon(device.approve(&login)).await.expect("the first outcome");
    soon(lost.happened()).await;
    assert_eq!(answer.state, ChallengeState::Approved);
    // Whoever waits elsewhere has been told all the same.
    let heard = soon(waiting).await.expect("it does not panic").expect("an answer");
    assert_eq!(heard.state(), ChallengeState::Approved);
    let shown = device.account.challenge(login.id()).await.expect("it can be read");
    let denied = device.account.deny(&shown, Denial::NotMe).await.expect("it is told what won");
    assert_eq!(denied.state, ChallengeState::Approved);
    login.redeem(&other).await.expect("it was approved");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_and_a_redemption_are_told_as_they_happened() {
    let Some(servers) = Servers::start_or_skip(PATIENT).await else { return };
    let (backend, other) = (servers.backend(0).await, servers.backend(1).await);
    let device = servers.enroll(&backend, "anna").await;
    let cancelled = Login::ask(&backend, "anna", "cancelled").await;
    let lost = servers.proxies[0].lose_reply_to(COMMIT);
    let answer = soon(backend.cancel(cancelled.id())).await.expect("the first outcome");
    soon(lost.happened()).await;
    assert_eq!(answer.state(), ChallengeState::Cancelled);
    assert_eq!(other.state(cancelled.id()).await.state(), ChallengeState::Cancelled);

    let login = Login::ask(&backend, "anna", "redeemed").await;
    device.approve(&login).await.expect("it is approved");
    let lost = servers.proxies[0].lose_reply_to(COMMIT);
    let redeemed = soon(login.redeem(&backend)).await.expect("the first outcome");
    soon(lost.happened()).await;
    assert_eq!(login.redeem(&other).await.expect("the same"), redeemed);
    refused(other.redeem(login.id(), "anna", "other").await, ErrorReason::NotYourApproval);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_is_in_force() {
    let Some(servers) = Servers::start_or_skip(PATIENT).await else { return };
    let (backend, other) = (servers.backend(0).await, servers.backend(1).await);
    let device = servers.enroll(&backend, "anna").await;
    let login = Login::ask(&backend, "anna", "attempt").await;
    device.approve(&login).await.expect("it is approved");
    let lost = servers.proxies[0].lose_reply_to(COMMIT);
    let user = soon(backend.revoke("anna", device.account.device_id())).await.expect("the first outcome");
    soon(lost.happened()).await;
    assert!(user.factors.is_empty() && user.had_factors);
    refused(login.redeem(&other).await, ErrorReason::ApprovalExpired);
}
