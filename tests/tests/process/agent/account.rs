//! A device that changes, and leaves.

use std::process::Stdio;

use countersign_proto::login::CodeResult;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use super::{Stage, failed, files};
use crate::program::soon;

#[tokio::test]
async fn a_device_has_another_name_at_the_server_too() {
    let (stage, [device]) = Stage::enrolled(["anna"]).await;
    let said = stage.run(&["rename", "Anna's old laptop"]).await.succeeded();
    assert_eq!(said, format!("Anna's old laptop ({device}) has another name.\n"));
    assert_eq!(stage.factors("anna").await[0].name, "Anna's old laptop");
    let renamed = stage.json(&["rename", "Laptop"]).await;
    assert_eq!(renamed["account"]["device_name"], "Laptop");

    let (code, why) = failed(stage.run(&["rename", ""]).await);
    assert_eq!(code, 2, "{why}");
    assert_eq!(stage.factors("anna").await[0].name, "Laptop");
}

#[tokio::test]
async fn a_device_with_a_new_key_answers_what_was_asked_before() {
    let (stage, [device]) = Stage::enrolled(["anna"]).await;
    let key = |factors: &[countersign_proto::login::Factor]| {
        factors[0].device.clone().expect("a device").public_key.expect("a key")
    };
    let before = key(&stage.factors("anna").await);
    let (challenge, match_code) = stage.backend.create("anna", "attempt-1").await.expect("it is created");
    let said = stage.run(&["rotate-key"]).await.succeeded();
    assert_eq!(said, format!("Laptop ({device}) has a new key.\n"));
    assert_ne!(key(&stage.factors("anna").await), before);
    let id = challenge.challenge_id.as_str();
    let said = stage.run(&["approve", id, "--match-code", &match_code]).await.succeeded();
    assert!(said.ends_with(&format!("Challenge {id}: approved\n")), "{said}");
    stage.backend.redeem(id, "anna", "attempt-1").await.expect("it was approved");
}

#[tokio::test]
async fn a_device_leaves_only_when_its_person_says_so() {
    let (stage, [device]) = Stage::enrolled(["anna"]).await;
    let before = files(&stage.state());
    let mut asked = stage.agent(&["unenroll"]);
    let mut asked = asked
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it can be run");
    asked.stdin.take().expect("a pipe").write_all(b"no\n").await.expect("it reads");
    let declined = soon(asked.wait_with_output()).await.expect("it ends");
    let said = String::from_utf8(declined.stdout).expect("text");
    assert!(said.contains("anna@example.org (Shop)") && said.contains("The device stays"), "{said}");
    assert_eq!((declined.status.code(), files(&stage.state())), (Some(1), before));
    assert_eq!(stage.factors("anna").await.len(), 1);

    let (challenge, match_code) = stage.backend.create("anna", "attempt-1").await.expect("it is created");
    let id = challenge.challenge_id.as_str();
    stage.run(&["approve", id, "--match-code", &match_code]).await.succeeded();
    assert_eq!(stage.json(&["unenroll", "--yes"]).await, json!({ "unenrolled": device }));
    assert_eq!(stage.factors("anna").await, []);
    stage.backend.redeem(id, "anna", "attempt-1").await.expect_err("who approved it is gone");
    assert_eq!(files(&stage.state()).into_keys().collect::<Vec<_>>(), ["lock"]);
    let said = stage.run(&["accounts"]).await.succeeded();
    assert!(said.starts_with("No account yet"), "{said}");
}

#[tokio::test]
async fn the_code_that_is_shown_logs_in_once() {
    let (stage, [device]) = Stage::enrolled(["anna"]).await;
    let codes = stage.json(&["code"]).await;
    let shown = &codes["codes"][0];
    assert_eq!((&shown["device_id"], &shown["account_name"]), (&json!(device), &json!("anna@example.org")));
    let code = shown["code"].as_str().expect("a text");
    assert_eq!(stage.log_in_by(code, "anna").await, i32::from(CodeResult::Accepted));
    let (challenge, _) = stage.backend.create("anna", "another").await.expect("it is created");
    let again = countersign_proto::login::VerifyCodeRequest {
        challenge_id: challenge.challenge_id,
        code: code.to_owned(),
        ..Default::default()
    };
    let again = stage.backend.login.clone().verify_code(again).await.expect("an answer").into_inner();
    assert_eq!(again.result(), CodeResult::AlreadyUsed);

    // The server is not needed to show one.
    let Stage { place, server, .. } = stage;
    server.stop().await;
    let arguments = ["--state-dir", super::STATE, "code"];
    let mut agent = crate::program::program(place.directory(), super::AGENT, &arguments);
    let said = crate::program::ended(&mut agent).await.succeeded();
    assert!(said.contains("  anna@example.org (Shop), for another "), "{said}");
}

#[tokio::test]
async fn of_several_accounts_the_one_that_is_meant_must_be_named() {
    let (stage, [annas, berts]) = Stage::enrolled(["anna", "bert"]).await;
    for command in
        [&["rename", "Other"][..], &["rotate-key"], &["push-target", "--none"], &["unenroll", "--yes"]]
    {
        let (code, why) = failed(stage.run(command).await);
        assert_eq!(code, 2);
        assert_eq!(why, "error: there are several accounts: choose one by --account\n", "{command:?}");
    }
    stage.run(&["--account", &berts, "rename", "Bert's"]).await.succeeded();
    assert_eq!(stage.factors("anna").await[0].name, "Laptop");
    assert_eq!(stage.factors("bert").await[0].name, "Bert's");
    stage.run(&["--account", &annas, "unenroll", "--yes"]).await.succeeded();
    let left = stage.json(&["accounts"]).await;
    assert_eq!((&left["accounts"][0]["device_id"], &left["accounts"][1]), (&json!(berts), &json!(null)));
}
