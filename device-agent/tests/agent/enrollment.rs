//! From a link to an account.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, sync::Arc, time::Duration};

use countersign_agent::{Distrust, Error, ErrorReason, Platform, Random};
use countersign_proto::{
    envelope::EnvelopeFault,
    key::{SigningKey, VerificationKey},
    trust::ServerKeyFault,
};
use tonic::Code;

use crate::{
    script::{DAY, DEVICE, NOW, link, refusal, server_key, server_key_vouched_by},
    server::{Stage, agent},
};

#[tokio::test]
async fn an_offer_is_shown_and_accepted_with_a_fresh_key_that_stays() {
    let stage = Stage::new().await;
    let offer = stage.agent.inspect(&stage.server.link()).await.unwrap();
    assert_eq!(offer.application_name(), "Example");
    assert_eq!(offer.account_name(), "anna@example.org");
    assert_eq!(offer.time_left(), Duration::from_mins(10));
    assert_eq!(stage.server.take_calls(), ["GetOffer"], "nothing is agreed to by looking");

    let enrolled = stage.agent.accept(&offer, "Anna's laptop", Platform::Desktop).await.unwrap();
    assert_eq!(enrolled.confirmation_code(), Some("123456"));
    assert!(!format!("{enrolled:?}").contains("123456"));
    let statement = stage.server.script().enrollments[0].clone();
    assert_eq!((statement.device_name.as_str(), statement.platform()), ("Anna's laptop", Platform::Desktop));

    let again = agent(stage.directory.path(), &stage.clock);
    let account = again.account(DEVICE).unwrap();
    assert_eq!((account.application_id(), account.user_id()), ("app_1", "anna"));
    assert_eq!(account.device_name().unwrap(), "Anna's laptop");
    account.refresh().await.expect("the server checks the call by the enrolled key");
    assert!(matches!(again.account("dev_2"), Err(Error::AccountNotFound(_))));
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_with_the_same_key() {
    let stage = Stage::new().await;
    let offer = stage.agent.inspect(&stage.server.link()).await.unwrap();
    stage.server.script().lost_answers = 1;
    let lost = stage.agent.accept(&offer, "Laptop", Platform::Desktop).await;
    assert!(matches!(lost, Err(Error::Unreachable { .. })), "{lost:?}");
    assert!(stage.agent.accounts().unwrap().is_empty());

    // Another process, as after a crash.
    let again = agent(stage.directory.path(), &stage.clock);
    let offer = again.inspect(&stage.server.link()).await.unwrap();
    let enrolled = again.accept(&offer, "Laptop", Platform::Desktop).await.unwrap();
    assert_eq!(enrolled.account.device_id(), DEVICE);
    let script = stage.server.script();
    assert_eq!(script.enrollments[0].public_key, script.enrollments[1].public_key);
    assert_eq!(again.accounts().unwrap().len(), 1);
}

#[tokio::test]
async fn the_key_lies_where_only_its_owner_reads_it() {
    let stage = Stage::new().await;
    let directory = stage.directory.path().join("made/by/the/agent");
    let agent = agent(&directory, &stage.clock);
    let offer = agent.inspect(&stage.server.link()).await.unwrap();
    agent.accept(&offer, "Laptop", Platform::Desktop).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    let files: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 2, "the account and the lock");
    assert!(files.iter().all(|file| mode(file) == 0o600));
}

struct Nines;

impl Random for Nines {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(9);
    }
}

#[tokio::test]
async fn the_key_is_made_of_nothing_but_randomness() {
    let stage = Stage::new().await;
    let agent = stage.agent.clone().with_random(Arc::new(Nines));
    let offer = agent.inspect(&stage.server.link()).await.unwrap();
    agent.accept(&offer, "Laptop", Platform::Desktop).await.unwrap();
    let expected = VerificationKey::of(&SigningKey::from_bytes(&[9; 32])).to_wire();
    assert_eq!(stage.server.script().enrollments[0].public_key, Some(expected));
}

#[tokio::test]
async fn an_account_without_a_name_is_shown_by_the_person_s_id() {
    let stage = Stage::new().await;
    stage.server.script().offer.account_name.clear();
    stage.server.script().offer.user_id = "anna\u{202e}".into();
    let offer = stage.agent.inspect(&stage.server.link()).await.unwrap();
    assert_eq!(offer.account_name(), "anna\u{fffd}");
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_not_kept() {
    let stage = Stage::new().await;
    let offer = stage.agent.inspect(&stage.server.link()).await.unwrap();
    let accept = async || stage.agent.accept(&offer, "Laptop", Platform::Desktop).await;
    stage.server.script().account.device_id = "dev_\n1".into();
    assert!(matches!(accept().await, Err(Error::Unintelligible { .. })));
    assert!(stage.agent.accounts().unwrap().is_empty());
    stage.server.script().account.device_id = DEVICE.into();
    accept().await.unwrap();
    stage.server.script().account.device_id = "dev_2".into();
    assert!(matches!(accept().await, Err(Error::Unintelligible { .. })), "one key, one device");
}

#[tokio::test]
async fn a_name_that_may_not_be_shown_makes_no_key() {
    let stage = Stage::new().await;
    let offer = stage.agent.inspect(&stage.server.link()).await.unwrap();
    let refused = stage.agent.accept(&offer, "a\u{202e}b", Platform::Desktop).await;
    assert!(matches!(refused, Err(Error::Field(ref fault)) if fault.field == "device_name"), "{refused:?}");
    assert_eq!(fs::read_dir(stage.directory.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn an_offer_that_the_link_does_not_vouch_for_is_not_shown() {
    let stage = Stage::new().await;
    let inspect = async || stage.agent.inspect(&stage.server.link()).await.unwrap_err();
    let good = server_key(1, NOW.minus(DAY), NOW.plus(DAY));

    let other_root = SigningKey::from_bytes(&[2; 32]);
    stage.server.script().offer_signed_by =
        server_key_vouched_by(&other_root, 1, NOW.minus(DAY), NOW.plus(DAY));
    let error = inspect().await;
    assert!(matches!(error, Error::Untrusted(Distrust::ServerKey(ServerKeyFault::Envelope(_)))), "{error}");

    let mut mixed = server_key(2, NOW.minus(DAY), NOW.plus(DAY));
    mixed.statement = good.statement.clone();
    stage.server.script().offer_signed_by = mixed;
    let error = inspect().await;
    assert!(
        matches!(error, Error::Untrusted(Distrust::Envelope { fault: EnvelopeFault::KeyId, .. })),
        "{error}"
    );

    stage.server.script().offer_signed_by = server_key(1, NOW.minus(2 * DAY), NOW.minus(DAY));
    let error = inspect().await;
    assert!(matches!(error, Error::Untrusted(Distrust::ServerKeyNotValid { .. })), "{error}");

    stage.server.script().offer_signed_by = good;
    stage.server.script().offer.token_sha256 = vec![0; 32];
    assert!(matches!(inspect().await, Error::Untrusted(Distrust::OtherToken)));

    stage.server.script().offer.server_id = "another".into();
    assert!(matches!(inspect().await, Error::Untrusted(Distrust::OtherServer("offer"))));
}

#[tokio::test]
async fn the_end_of_a_link_is_told() {
    let stage = Stage::new().await;
    stage.clock.set(NOW.plus(Duration::from_mins(10)));
    let error = stage.agent.inspect(&stage.server.link()).await.unwrap_err();
    assert!(matches!(error, Error::OfferExpired { .. }), "{error}");

    let no = refusal(Code::Unauthenticated, "ENROLLMENT_TOKEN_INVALID", "the link is not valid any more");
    stage.server.script().refusal = Some(no);
    let error = stage.agent.inspect(&stage.server.link()).await.unwrap_err();
    assert!(error.is_refused(ErrorReason::EnrollmentTokenInvalid), "{error}");
    assert_eq!(error.to_string(), "the link is not valid any more (ENROLLMENT_TOKEN_INVALID)");
}

#[tokio::test]
async fn what_is_no_link_and_who_is_not_there_are_told_apart() {
    let stage = Stage::new().await;
    let mut elsewhere = link(&stage.server.origin());
    elsewhere.root_key = VerificationKey::of(&SigningKey::from_bytes(&[2; 32]));
    let error = stage.agent.inspect(&elsewhere.to_string()).await.unwrap_err();
    assert!(matches!(error, Error::Untrusted(Distrust::ServerKey(_))), "{error}");
    assert!(matches!(stage.agent.inspect("https://example.org").await, Err(Error::Link(_))));

    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = link(&format!("http://{free}")).to_string();
    let error = stage.agent.inspect(&nobody).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}
