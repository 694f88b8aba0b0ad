//! Redis runs, and has forgotten something.

use countersign_agent::{Error, UserVerification};
use countersign_proto::common::{ChallengeState, ErrorReason};
use countersign_test_peers::Value;

use crate::{
    fixture::{Login, PATIENT, Servers},
    refused::refused,
    soon,
};

#[tokio::test(flavor = "multi_thread")]
async fn forgotten_scripts_are_sent_again() {
    let Some(servers) = Servers::start_or_skip(PATIENT).await else { return };
    let (backend, other) = (servers.backend(0).await, servers.backend(1).await);
    let device = servers.enroll(&backend, "anna").await;
    servers.redis(&["SCRIPT", "FLUSH"]).await;
    let login = Login::ask(&backend, "anna", "attempt").await;
    servers.redis(&["SCRIPT", "FLUSH"]).await;
    let answer = soon(device.approve(&login)).await.expect("it is approved");
    assert_eq!(answer.state, ChallengeState::Approved);
    servers.redis(&["SCRIPT", "FLUSH"]).await;
    soon(login.redeem(&other)).await.expect("it was approved");
}

#[tokio::test(flavor = "multi_thread")]
async fn forgotten_challenges_are_not_found_and_let_nobody_in() {
    let Some(servers) = Servers::start_or_skip(PATIENT).await else { return };
    let (backend, other) = (servers.backend(0).await, servers.backend(1).await);
    let device = servers.enroll(&backend, "anna").await;
    servers.enroll(&backend, "bert").await;
    let approved = Login::ask(&backend, "anna", "approved").await;
    let shown = device.account.challenge(approved.id()).await.expect("it can be read");
    device.approve(&approved).await.expect("it is approved");
    let waited_for = Login::ask(&backend, "bert", "waited for").await;
    let expires_at = servers.clock.expiry();
    let (waits, id) = (servers.backend(1).await, waited_for.id().to_owned());
    let waiting = tokio::spawn(async move { waits.wait_for(&id, 60).await });
    servers.clock.asleep_until(expires_at, 1).await;

    servers.redis(&["FLUSHALL"]).await;
    for backend in [&backend, &other] {
        for login in [&approved, &waited_for] {
            refused(login.redeem(backend).await, ErrorReason::ChallengeNotFound);
            refused(backend.wait_for(login.id(), 25).await, ErrorReason::ChallengeNotFound);
            refused(backend.cancel(login.id()).await, ErrorReason::ChallengeNotFound);
        }
    }
    let answered = device.account.approve(&shown, &approved.match_code, UserVerification::None).await;
    assert!(matches!(answered, Err(Error::ChallengeNotFound(_))), "{answered:?}");
    // The poll finds it out for who waits.
    servers.clock.advance(crate::wake_ups::LONGEST_POLL);
    refused(soon(waiting).await.expect("it does not panic"), ErrorReason::ChallengeNotFound);

    let asked_again = Login::ask(&other, "anna", "approved").await;
    assert_ne!(asked_again.id(), approved.id());
    device.approve(&asked_again).await.expect("it is approved");
    asked_again.redeem(&backend).await.expect("it was approved");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_that_redis_lost_is_heeded_by_redemptions() {
    let Some(servers) = Servers::start_or_skip(PATIENT).await else { return };
    let (backend, other) = (servers.backend(0).await, servers.backend(1).await);
    let device = servers.enroll(&backend, "anna").await;
    let login = Login::ask(&backend, "anna", "attempt").await;
    device.approve(&login).await.expect("it is approved");
    let Value::Array(keys) = servers.redis(&["KEYS", "countersign:*}u[0-9a-f]*"]).await else {
        panic!("no list")
    };
    let [Value::Bulk(key)] = keys.as_slice() else { panic!("one user: {keys:?}") };
    let key = std::str::from_utf8(key).expect("a name");
    // What a crash of Redis with appendfsync everysec may do: the record is the one of before the revocation.
    servers.redis(&["COPY", key, "before"]).await;
    backend.revoke("anna", device.account.device_id()).await.expect("it is revoked");
    servers.redis(&["COPY", "before", key, "REPLACE"]).await;
    for backend in [&backend, &other] {
        refused(login.redeem(backend).await, ErrorReason::ApprovalExpired);
    }
}
