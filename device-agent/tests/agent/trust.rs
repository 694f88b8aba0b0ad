//! Which challenges may be shown.

use std::time::Duration;

use countersign_agent::{Distrust, Error, VerifiedChallenge};
use countersign_proto::{envelope::EnvelopeFault, statement::ChallengeStatement};
use prost::Message as _;

use crate::{
    script::{CHALLENGE, DAY, NOW, server_key},
    server::Stage,
};

/// What the device says of a good challenge in which `change` was made before it was signed.
async fn outcome(change: impl FnOnce(&mut ChallengeStatement)) -> Result<VerifiedChallenge, Error> {
    let (stage, account) = Stage::enrolled().await;
    {
        let mut script = stage.server.script();
        let mut statement = script.challenge();
        change(&mut statement);
        script.ask(&statement);
    }
    account.challenge(CHALLENGE).await
}

async fn distrust(change: impl FnOnce(&mut ChallengeStatement)) -> Distrust {
    match outcome(change).await {
        Err(Error::Untrusted(distrust)) => distrust,
        other => panic!("expected distrust: {other:?}"),
    }
}

#[tokio::test]
async fn every_field_of_a_good_challenge_is_shown() {
    let challenge = outcome(|_| ()).await.unwrap();
    assert_eq!(challenge.id(), CHALLENGE);
    assert_eq!(challenge.match_code_digits(), 3);
    assert_eq!(challenge.time_left(), Duration::from_secs(90));
    let shown: Vec<_> =
        challenge.shown().into_iter().map(|line| (line.label, line.value, line.is_detail)).collect();
    let server = shown.last().unwrap().1.clone();
    let expected = [
        ("Purpose", "let a browser or program log in", false),
        ("Application", "Example (app_1)", false),
        ("Account", "anna@example.org (user anna)", false),
        ("IP address", "203.0.113.7", true),
        ("Moon phase", "waxing", true),
        ("Asked at", "2026-11-18T11:06:40Z", false),
        ("Answer until", "2026-11-18T11:08:40Z (90 s left)", false),
        ("Match code", "3 digits, as the login page shows them", false),
        ("PIN or biometric", "not required", false),
        ("Challenge", "chl_1", false),
        ("Login attempt", "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk", false),
        ("Server", server.as_str(), false),
    ];
    let shown: Vec<_> = shown.iter().map(|(label, value, detail)| (&**label, &**value, *detail)).collect();
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn a_challenge_for_somebody_else_is_not_shown() {
    assert_eq!(distrust(|c| c.server_id = "another".into()).await, Distrust::OtherServer("challenge"));
    assert_eq!(distrust(|c| c.application_id = "app_2".into()).await, Distrust::OtherApplication);
    assert_eq!(distrust(|c| c.user_id = "otto".into()).await, Distrust::OtherUser);
    assert_eq!(distrust(|c| c.challenge_id = "chl_2".into()).await, Distrust::OtherChallenge);
}

#[tokio::test]
async fn what_may_not_be_shown_or_lives_too_long_is_refused() {
    let deceptive = distrust(|c| c.details[0].value = "203.0.113.7\u{202e}".into()).await;
    assert!(matches!(deceptive, Distrust::Envelope { fault: EnvelopeFault::Field(_), .. }), "{deceptive}");
    let longer = NOW.plus(Duration::from_mins(10) + Duration::from_millis(1));
    assert_eq!(distrust(|c| c.expires_at = Some(longer.to_wire())).await, Distrust::LifetimeTooLong);
}

#[tokio::test]
async fn a_change_after_the_signature_is_seen() {
    let (stage, account) = Stage::enrolled().await;
    {
        let mut script = stage.server.script();
        let mut statement = script.challenge();
        script.ask(&statement);
        statement.details[0].value = "198.51.100.1".into();
        script.challenges[0].envelope.as_mut().unwrap().payload = statement.encode_to_vec();
    }
    let changed = account.challenge(CHALLENGE).await;
    let is_seen =
        matches!(changed, Err(Error::Untrusted(Distrust::Envelope { fault: EnvelopeFault::Signature, .. })));
    assert!(is_seen, "{changed:?}");
    assert!(matches!(account.pending().await, Err(Error::Untrusted(_))));

    // Without the hint which key it was, the server is asked for its key once, and that is all.
    stage.server.take_calls();
    stage.server.script().challenges[0].envelope.as_mut().unwrap().signatures[0].keyid.clear();
    let changed = account.challenge(CHALLENGE).await;
    assert!(matches!(changed, Err(Error::Untrusted(Distrust::ServerKeyUnknown))), "{changed:?}");
    assert_eq!(stage.server.take_calls(), ["GetChallenge", "GetAccount"]);
}

#[tokio::test]
async fn an_unknown_field_is_refused_although_it_is_signed() {
    let (stage, account) = Stage::enrolled().await;
    {
        let mut script = stage.server.script();
        let statement = script.challenge();
        script.ask(&statement);
        let signer = script.present_key.key.clone();
        let envelope = script.challenges[0].envelope.as_mut().unwrap();
        // Field 100, varint 1.
        envelope.payload.extend([0xa0, 0x06, 0x01]);
        resign(envelope, &signer);
    }
    let refused = account.challenge(CHALLENGE).await;
    let is_closed = matches!(
        refused,
        Err(Error::Untrusted(Distrust::Envelope { fault: EnvelopeFault::NotCanonical(_), .. }))
    );
    assert!(is_closed, "{refused:?}");
}

fn resign(envelope: &mut countersign_proto::statement::Envelope, key: &countersign_proto::key::SigningKey) {
    use ed25519_dalek::Signer as _;
    let signed =
        countersign_proto::envelope::pre_authentication_encoding(&envelope.payload_type, &envelope.payload);
    envelope.signatures[0].sig = key.sign(&signed).to_bytes().to_vec();
}

#[tokio::test]
async fn what_is_listed_is_verified_like_what_is_fetched() {
    let (stage, account) = Stage::enrolled().await;
    assert!(account.pending().await.unwrap().is_empty());
    {
        let mut script = stage.server.script();
        let statement = script.challenge();
        script.ask(&statement);
    }
    let pending = account.pending().await.unwrap();
    assert_eq!(pending[0].id(), CHALLENGE);
    // The id that finds it and the signed one are not the same.
    stage.server.script().challenges[0].challenge_id = "chl_2".into();
    assert!(matches!(account.pending().await, Err(Error::Untrusted(Distrust::OtherChallenge))));
}

#[tokio::test]
async fn a_challenge_is_looked_for_in_all_accounts() {
    let (stage, _) = Stage::enrolled().await;
    let none = stage.agent.find_challenge(CHALLENGE).await;
    assert!(matches!(none, Err(Error::ChallengeNotFound(_))), "{none:?}");
    {
        let mut script = stage.server.script();
        let statement = script.challenge();
        script.ask(&statement);
    }
    let agent = stage.agent.clone();
    let elsewhere = tokio::spawn(async move { agent.find_challenge(CHALLENGE).await });
    let (account, challenge) = elsewhere.await.unwrap().unwrap();
    assert_eq!((account.user_id(), challenge.id()), ("anna", CHALLENGE));

    // Signed well, but by a key that no root vouched for.
    {
        let mut script = stage.server.script();
        let statement = script.challenge();
        script.ask_signed_by(&statement, &server_key(9, NOW.minus(DAY), NOW.plus(DAY)));
    }
    let unknown = stage.agent.find_challenge(CHALLENGE).await;
    assert!(matches!(unknown, Err(Error::Untrusted(Distrust::ServerKeyUnknown))), "{unknown:?}");
}
