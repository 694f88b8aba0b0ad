//! Changes of the device, each made once however often it is sent.

use countersign_agent::{Account, DeviceProfile, Distrust, Error, ErrorReason};
use countersign_proto::envelope;
use countersign_proto::statement::{
    DeviceChangeStatement, PushTarget,
    device_change_statement::Change,
    push_target::{Apns, Target},
};
use tonic::Code;

use crate::{
    script::refusal,
    server::{Server, Stage, agent},
};

fn named(name: &str) -> DeviceProfile {
    DeviceProfile { device_name: Some(name.into()), ..DeviceProfile::default() }
}

fn sequences(server: &Server) -> Vec<u64> {
    let script = server.script();
    let read = |change| envelope::read::<DeviceChangeStatement>(change).unwrap().sequence;
    script.changes.iter().map(read).collect()
}

async fn refused(account: &Account, profile: DeviceProfile) -> Error {
    account.change_profile(profile).await.unwrap_err()
}

#[tokio::test]
async fn each_change_counts_up() {
    let (stage, account) = Stage::enrolled().await;
    let apns =
        Apns { device_token: "0123456789abcdef".into(), topic: "org.example.app".into(), sandbox: true };
    let profile = DeviceProfile {
        push_target: Some(PushTarget { target: Some(Target::Apns(apns)) }),
        app_version: Some("2.1.0".into()),
        locale: Some("de".into()),
        ..DeviceProfile::default()
    };
    account.change_profile(profile.clone()).await.unwrap();
    account.change_profile(named("Anna's phone")).await.unwrap();
    assert_eq!(sequences(&stage.server), [1, 2]);
    let first: DeviceChangeStatement = envelope::read(&stage.server.script().changes[0]).unwrap();
    assert_eq!(first.change, Some(Change::Profile(profile)));
}

#[tokio::test]
async fn a_change_whose_answer_was_lost_is_sent_again_byte_for_byte() {
    let (stage, account) = Stage::enrolled().await;
    stage.server.script().lost_answers = 1;
    assert!(matches!(refused(&account, named("Lost")).await, Error::Unreachable { .. }));

    let another_process = agent(stage.directory.path(), &stage.clock);
    another_process.accounts().unwrap()[0].refresh().await.unwrap();
    {
        let script = stage.server.script();
        assert_eq!(script.changes.len(), 2);
        assert_eq!(script.changes[0], script.changes[1]);
    }
    account.change_profile(named("Next")).await.unwrap();
    assert_eq!(sequences(&stage.server), [1, 1, 2], "what was acknowledged is not sent again");
}

#[tokio::test]
async fn a_change_that_is_refused_is_not_kept() {
    let (stage, account) = Stage::enrolled().await;
    let no = refusal(Code::InvalidArgument, "INVALID_FIELD", "the topic is not configured");
    stage.server.script().refusal = Some(no);
    assert!(refused(&account, named("No")).await.is_refused(ErrorReason::InvalidField));
    account.refresh().await.unwrap();
    assert!(stage.server.script().changes.is_empty());

    // A refusal that passes leaves it due.
    let later = refusal(Code::Unavailable, "STORE_UNAVAILABLE", "the store does not answer");
    stage.server.script().refusal = Some(later);
    assert!(refused(&account, named("Later")).await.is_refused(ErrorReason::StoreUnavailable));
    account.refresh().await.unwrap();
    assert_eq!(sequences(&stage.server), [2]);
}

#[tokio::test]
async fn a_state_that_is_older_than_the_server_s_catches_up() {
    let (stage, account) = Stage::enrolled().await;
    stage.server.script().account.sequence = 41;
    account.change_profile(named("Restored")).await.unwrap();
    assert_eq!(sequences(&stage.server), [1, 42]);
}

#[tokio::test]
async fn a_bad_change_is_not_signed_and_an_answer_for_another_device_not_taken() {
    let (stage, account) = Stage::enrolled().await;
    let locale = DeviceProfile { locale: Some("de_DE".into()), ..DeviceProfile::default() };
    assert!(matches!(refused(&account, locale).await, Error::Field(_)));
    assert!(stage.server.take_calls().is_empty());

    stage.server.script().other_device = Some("dev_2".into());
    let error = account.refresh().await.unwrap_err();
    assert!(matches!(error, Error::Untrusted(Distrust::OtherDevice)), "{error}");
}

/// The only account's file.
fn state(stage: &Stage) -> serde_json::Value {
    let files = std::fs::read_dir(stage.directory.path()).unwrap().map(|entry| entry.unwrap().path());
    let file = files.into_iter().find(|path| path.extension().is_some_and(|end| end == "json")).unwrap();
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

#[tokio::test]
async fn both_keys_are_kept_until_a_change_of_key_is_answered() {
    let (stage, account) = Stage::enrolled().await;
    let before = state(&stage);
    stage.server.script().lost_answers = 1;
    assert!(matches!(account.rotate_key().await.unwrap_err(), Error::Unreachable { .. }));
    let between = state(&stage);
    assert_eq!(between["secret_key"], before["secret_key"]);
    assert!(between["next_key"].is_string());

    // Whatever is called next finishes it first.
    let another_process = agent(stage.directory.path(), &stage.clock);
    another_process.accounts().unwrap()[0].pending().await.unwrap();
    let after = state(&stage);
    assert_eq!((&after["secret_key"], after.get("next_key")), (&between["next_key"], None));
    let script = stage.server.script();
    assert_eq!(script.changes.len(), 2);
    assert_eq!(script.changes[0], script.changes[1]);
}

#[tokio::test]
async fn a_change_of_key_that_is_refused_leaves_the_key_that_was() {
    let (stage, account) = Stage::enrolled().await;
    let before = state(&stage);
    stage.server.script().refusal = Some(refusal(Code::InvalidArgument, "KEY_NOT_ACCEPTABLE", "known"));
    assert!(account.rotate_key().await.unwrap_err().is_refused(ErrorReason::KeyNotAcceptable));
    assert_eq!(state(&stage)["secret_key"], before["secret_key"]);
    assert_eq!(state(&stage).get("next_key"), None);
}
