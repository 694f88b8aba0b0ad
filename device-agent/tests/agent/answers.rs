//! Approving and denying.

use countersign_agent::{
    Account, Answer, ChallengeState, Denial, DenialReason, Error, UserVerification, VerifiedChallenge,
};
use countersign_proto::{
    device::RespondResponse,
    envelope,
    statement::{ChallengeStatement, Verdict},
};
use tonic::Code;

use crate::{
    script::{CHALLENGE, DEVICE, NOW, refusal, server_id},
    server::Stage,
};

async fn asked(change: impl FnOnce(&mut ChallengeStatement)) -> (Stage, Account, VerifiedChallenge) {
    let (stage, account) = Stage::enrolled().await;
    {
        let mut script = stage.server.script();
        let mut statement = script.challenge();
        change(&mut statement);
        script.ask(&statement);
    }
    let challenge = account.challenge(CHALLENGE).await.unwrap();
    stage.server.take_calls();
    (stage, account, challenge)
}

#[tokio::test]
async fn an_approval_signs_the_challenge_and_what_was_typed() {
    let (stage, account, challenge) = asked(|_| ()).await;
    let answer = account.approve(&challenge, "042", UserVerification::Pin).await.unwrap();
    assert_eq!(answer, Answer { accepted: true, state: ChallengeState::Approved, denial_reason: None });
    let script = stage.server.script();
    let decision = &script.decisions[0];
    let digest = envelope::payload_digest(script.challenges[0].envelope.as_ref().unwrap());
    assert_eq!(decision.server_id, server_id());
    assert_eq!(decision.challenge_sha256, digest);
    assert_eq!((decision.challenge_id.as_str(), decision.device_id.as_str()), (CHALLENGE, DEVICE));
    assert_eq!((decision.verdict(), decision.match_code.as_str()), (Verdict::Approve, "042"));
    assert_eq!(decision.user_verification(), UserVerification::Pin);
    assert_eq!(decision.decided_at, Some(NOW.to_wire()));
}

#[tokio::test]
async fn a_denial_says_why_and_needs_no_code() {
    let (stage, account, challenge) = asked(|_| ()).await;
    for (denial, reason) in [(Denial::NotMe, DenialReason::NotMe), (Denial::Mistake, DenialReason::Mistake)] {
        stage.server.script().respond = RespondResponse {
            accepted: true,
            state: ChallengeState::Denied.into(),
            denial_reason: reason.into(),
        };
        let answer = account.deny(&challenge, denial).await.unwrap();
        let expected = Answer { accepted: true, state: ChallengeState::Denied, denial_reason: Some(reason) };
        assert_eq!(answer, expected);
        let decision = stage.server.script().decisions.pop().unwrap();
        assert_eq!((decision.verdict(), decision.denial_reason()), (Verdict::Deny, reason));
    }
}

#[tokio::test]
async fn a_code_of_another_form_is_not_sent_unless_that_is_wanted() {
    let (stage, account, challenge) = asked(|_| ()).await;
    for code in ["", "04", "0421", "04a", "٠٤٢", " 42"] {
        let refused = account.approve(&challenge, code, UserVerification::None).await;
        assert!(matches!(refused, Err(Error::MatchCode { digits: 3 })), "{code:?}: {refused:?}");
    }
    assert!(stage.server.take_calls().is_empty());
    account.approve_as_typed(&challenge, "04a", UserVerification::None).await.unwrap();
    assert_eq!(stage.server.script().decisions[0].match_code, "04a");
}

#[tokio::test]
async fn a_challenge_without_a_code_takes_none() {
    let (_stage, account, challenge) = asked(|challenge| challenge.match_code_digits = 0).await;
    let refused = account.approve(&challenge, "042", UserVerification::None).await;
    assert!(matches!(refused, Err(Error::MatchCodeNotAsked)), "{refused:?}");
    account.approve(&challenge, "", UserVerification::None).await.unwrap();
}

#[tokio::test]
async fn a_required_pin_or_biometric_cannot_be_passed_over() {
    let (stage, account, challenge) = asked(|challenge| challenge.user_verification_required = true).await;
    let refused = account.approve(&challenge, "042", UserVerification::None).await;
    assert!(matches!(refused, Err(Error::UserVerificationRequired)), "{refused:?}");
    assert!(stage.server.take_calls().is_empty());
    account.approve(&challenge, "042", UserVerification::Biometric).await.unwrap();
}

#[tokio::test]
async fn who_comes_second_is_told_the_answer_that_won() {
    let (stage, account, challenge) = asked(|_| ()).await;
    // State 99 is one of a later server.
    for (state, known) in [(6, ChallengeState::Expired), (99, ChallengeState::Unspecified)] {
        stage.server.script().respond = RespondResponse { accepted: false, state, denial_reason: 0 };
        let answer = account.approve(&challenge, "042", UserVerification::None).await.unwrap();
        assert_eq!(answer, Answer { accepted: false, state: known, denial_reason: None });
    }
    let gone = refusal(Code::NotFound, "CHALLENGE_NOT_FOUND", "there is no such challenge");
    stage.server.script().refusal = Some(gone);
    let gone = account.deny(&challenge, Denial::NotMe).await;
    assert!(matches!(gone, Err(Error::ChallengeNotFound(_))), "{gone:?}");
}

#[tokio::test]
async fn an_account_answers_only_what_it_fetched() {
    let (_stage, _account, challenge) = asked(|_| ()).await;
    let other = Stage::new().await;
    other.server.script().account.device_id = "dev_2".into();
    let offer = other.agent.inspect(&other.server.link()).await.unwrap();
    let enrolled = other.agent.accept(&offer, "Other", countersign_agent::Platform::Desktop).await.unwrap();
    let refused = enrolled.account.deny(&challenge, Denial::NotMe).await;
    assert!(matches!(refused, Err(Error::OtherAccount)), "{refused:?}");
}
