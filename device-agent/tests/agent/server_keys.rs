//! A server's keys come and go.

use std::time::Duration;

use countersign_agent::{Account, Distrust, Error};
use countersign_proto::{statement::ChallengeStatement, time::UnixTime};

use crate::{
    script::{CHALLENGE, DAY, NOW, ServerKey, server_key},
    server::Stage,
};

const MINUTE: Duration = Duration::from_mins(1);

fn challenge_at(stage: &Stage, created_at: UnixTime) -> ChallengeStatement {
    ChallengeStatement {
        created_at: Some(created_at.to_wire()),
        expires_at: Some(created_at.plus(2 * MINUTE).to_wire()),
        ..stage.server.script().challenge()
    }
}

/// What the device says at `now` of a challenge that `signer` signed at `created_at`.
async fn outcome(
    stage: &Stage,
    account: &Account,
    signer: &ServerKey,
    created_at: UnixTime,
    now: UnixTime,
) -> Result<(), Distrust> {
    let statement = challenge_at(stage, created_at);
    stage.server.script().ask_signed_by(&statement, signer);
    stage.set_time(now);
    match account.challenge(CHALLENGE).await {
        Ok(_) => Ok(()),
        Err(Error::Untrusted(distrust)) => Err(distrust),
        Err(other) => panic!("{other}"),
    }
}

/// A device that has heard of the second key, which is in force from two minutes after [`NOW`].
async fn with_two_keys() -> (Stage, Account, ServerKey, ServerKey) {
    let (stage, account) = Stage::enrolled().await;
    let first = stage.server.script().present_key.clone();
    let second = server_key(2, NOW.plus(2 * MINUTE), NOW.plus(90 * DAY));
    stage.server.script().present_key = second.clone();
    account.refresh().await.unwrap();
    stage.server.take_calls();
    (stage, account, first, second)
}

#[tokio::test]
async fn an_unknown_key_is_asked_for_once() {
    let (stage, account) = Stage::enrolled().await;
    let second = server_key(2, NOW, NOW.plus(90 * DAY));
    stage.server.script().present_key = second.clone();
    assert_eq!(outcome(&stage, &account, &second, NOW, NOW).await, Ok(()));
    assert_eq!(stage.server.take_calls(), ["GetChallenge", "GetAccount"]);
    assert_eq!(outcome(&stage, &account, &second, NOW, NOW).await, Ok(()));
    assert_eq!(stage.server.take_calls(), ["GetChallenge"], "it is kept");
}

#[tokio::test]
async fn a_lower_version_and_another_key_of_the_same_are_refused() {
    let (stage, account, first, _) = with_two_keys().await;
    stage.server.script().present_key = first;
    let rolled_back = account.refresh().await;
    let expected = Distrust::ServerKeyRolledBack { offered: 1, known: 2 };
    assert!(matches!(rolled_back, Err(Error::Untrusted(ref found)) if *found == expected), "{rolled_back:?}");

    stage.server.script().present_key = server_key(2, NOW, NOW.plus(80 * DAY));
    let exchanged = account.refresh().await;
    assert!(matches!(exchanged, Err(Error::Untrusted(Distrust::ServerKeyExchanged(2)))), "{exchanged:?}");
}

#[tokio::test]
async fn a_key_signs_in_its_time_only() {
    let (stage, account) = Stage::enrolled().await;
    let first = stage.server.script().present_key.clone();
    let end = NOW.plus(DAY);
    let before_end = end.minus(Duration::from_millis(1));
    assert_eq!(outcome(&stage, &account, &first, before_end, before_end).await, Ok(()));
    let late = Distrust::ServerKeyNotValid { version: 1, at: end };
    assert_eq!(outcome(&stage, &account, &first, end, end).await, Err(late));
    let too_early = NOW.minus(DAY).minus(Duration::from_millis(1));
    let early = Distrust::ServerKeyNotValid { version: 1, at: too_early };
    assert_eq!(outcome(&stage, &account, &first, too_early, NOW).await, Err(early));
}

#[tokio::test]
async fn the_key_before_counts_for_what_it_signed_in_time_until_that_expires() {
    let (stage, account, first, second) = with_two_keys().await;
    let next = NOW.plus(2 * MINUTE);
    let in_time = next.minus(Duration::from_millis(1));
    let expires_at = in_time.plus(2 * MINUTE);
    let replaced = Err(Distrust::ServerKeyReplaced(1));

    assert_eq!(outcome(&stage, &account, &first, NOW, NOW).await, Ok(()));
    assert_eq!(outcome(&stage, &account, &first, in_time, next).await, Ok(()));
    let last_moment = expires_at.minus(Duration::from_millis(1));
    assert_eq!(outcome(&stage, &account, &first, in_time, last_moment).await, Ok(()));
    assert_eq!(outcome(&stage, &account, &first, in_time, expires_at).await, replaced);
    assert_eq!(outcome(&stage, &account, &first, next, next).await, replaced);
    assert_eq!(outcome(&stage, &account, &second, next, next).await, Ok(()));
}

#[tokio::test]
async fn a_key_that_no_challenge_can_need_is_forgotten() {
    let (stage, account, first, _) = with_two_keys().await;
    let forgotten_at = NOW.plus(12 * MINUTE);
    stage.set_time(forgotten_at);
    account.refresh().await.unwrap();
    let unknown = outcome(&stage, &account, &first, NOW, forgotten_at).await;
    assert_eq!(unknown, Err(Distrust::ServerKeyUnknown));
}
