//! The match code: one try, and what is no code is no try.

use countersign_agent::{Error, UserVerification};
use countersign_domain::policy::Policy;
use countersign_proto::common::{ChallengeState, DenialReason, ErrorReason};

use crate::world::{World, asking, other_code, refused, refused_field};

#[tokio::test]
async fn a_wrong_code_denies_and_no_answer_is_accepted_after_it() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let first = world.enroll_by_hand(&backend, "anna", 1).await;
    let second = world.enroll_by_hand(&backend, "anna", 2).await;
    let (challenge, match_code) = backend.create("anna", "attempt-1").await;
    let id = challenge.challenge_id.as_str();
    let asked = first.challenge(&world, id).await.expect("it was asked");

    let wrong = first.approval(&asked, &other_code(&match_code));
    let right = first.approval(&asked, &match_code);
    let others = second.approval(&asked, &match_code);
    let mistake = second.denial(&asked, DenialReason::Mistake);
    for (device, answer) in
        [(&first, &wrong), (&first, &right), (&first, &wrong), (&second, &others), (&second, &mistake)]
    {
        let told = device.respond(answer).await.expect("a good form");
        assert!(!told.accepted);
        assert_eq!(told.state(), ChallengeState::Denied);
        assert_eq!(told.denial_reason(), DenialReason::WrongMatchCode);
    }
    let settled = backend.state(id).await;
    assert_eq!(settled.state(), ChallengeState::Denied);
    assert_eq!(settled.denial_reason(), DenialReason::WrongMatchCode);
    assert_eq!(settled.settlement.expect("a settlement").factor_id, first.device_id);
}

#[tokio::test]
async fn the_agent_tells_a_wrong_code_and_sends_no_code_of_another_form() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll(&backend, "anna").await;
    let (challenge, match_code) = backend.create("anna", "attempt-1").await;
    let shown = device.account.challenge(&challenge.challenge_id).await.expect("it was asked");
    let malformed = device.account.approve(&shown, "12", UserVerification::None).await;
    assert!(matches!(malformed, Err(Error::MatchCode { digits: 3 })), "{malformed:?}");
    let wrong = other_code(&match_code);
    let answer = device.account.approve(&shown, &wrong, UserVerification::None).await.expect("it is sent");
    assert!(!answer.accepted);
    assert_eq!(answer.denial_reason, Some(DenialReason::WrongMatchCode));
}

#[tokio::test]
async fn what_is_no_code_is_refused_and_no_try() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let (challenge, match_code) = backend.create("anna", "attempt-1").await;
    let asked = device.challenge(&world, &challenge.challenge_id).await.expect("it was asked");
    let [padded, signed, longer] = [" {}", "+{}", "{}0"].map(|form| form.replace("{}", &match_code));
    let shorter = &match_code[..2];
    // Arabic-Indic, full-width and mathematical digits, which a person may see as the right ones.
    let malformed =
        ["", shorter, &padded, &signed, &longer, "12a", "1 2", "-12", "1.2", "12\n", "١٢٣", "１２３", "𝟏𝟐𝟑"];
    for code in malformed {
        refused(device.respond(&device.approval(&asked, code)).await, ErrorReason::MatchCodeRequired);
    }
    assert_eq!(backend.state(&challenge.challenge_id).await.state(), ChallengeState::Pending);
    let answer = device.respond(&device.approval(&asked, &match_code)).await.expect("the right code");
    assert!(answer.accepted);
    // Also once it is settled.
    refused(device.respond(&device.approval(&asked, "12")).await, ErrorReason::MatchCodeRequired);
}

#[tokio::test]
async fn without_a_code_only_where_the_policy_allows_it() {
    let world = World::start().await;
    let strict = world.backend("Shop").await;
    let none = |attempt: &str| {
        let mut request = asking("anna", attempt);
        request.match_code_digits = Some(0);
        request
    };
    refused_field(strict.try_create(none("attempt-1")).await, "match_code_digits");

    let policy = Policy { match_code_optional: true, ..Policy::default() };
    let backend = world.backend_with("Call centre", policy).await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let (challenge, match_code) = backend.create_as(none("attempt-1")).await;
    assert_eq!(match_code, "");
    let asked = device.challenge(&world, &challenge.challenge_id).await.expect("it was asked");
    let with_code = device.approval(&asked, "123");
    refused(device.respond(&with_code).await, ErrorReason::MatchCodeRequired);
    assert!(device.respond(&device.approval(&asked, "")).await.expect("none was asked for").accepted);
}

#[tokio::test]
async fn as_many_digits_as_the_request_wants() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll(&backend, "anna").await;
    for digits in 2..=6 {
        let mut request = asking("anna", &format!("attempt-{digits}"));
        request.match_code_digits = Some(digits);
        let (challenge, match_code) = backend.create_as(request).await;
        assert_eq!(match_code.len(), digits as usize);
        let shown = device.account.challenge(&challenge.challenge_id).await.expect("it was asked");
        let answer = device.account.approve(&shown, &match_code, UserVerification::None).await;
        assert!(answer.expect("the right code").accepted);
    }
    for digits in [1, 7, u32::MAX] {
        let mut request = asking("anna", "attempt-x");
        request.match_code_digits = Some(digits);
        refused_field(backend.try_create(request).await, "match_code_digits");
    }
}
