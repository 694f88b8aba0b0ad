//! Accounts that a passphrase locks.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
};

use countersign_proto::login::CodeResult;
use serde_json::{Value, json};

use super::{AGENT, STATE, Stage, failed, files};
use crate::program::{ended, program};

const KEY_FILE: &str = "data-key";
const WRONG: i32 = 8;

/// The command's options that name the file `name`.
fn with<'a>(name: &'a str, command: &[&'a str]) -> Vec<&'a str> {
    [&["--passphrase-file", name], command].concat()
}

/// Two accounts and the passphrase that the file `old` holds; the devices' ids.
async fn locked() -> (Stage, [String; 2]) {
    let (stage, devices) = Stage::enrolled(["anna", "bert"]).await;
    stage.write_secret("old", "correct horse battery staple\n");
    stage.write_secret("new", "Tr0ub4dor&3\n");
    let said = stage.run(&with("old", &["passphrase", "set"])).await.succeeded();
    assert!(said.starts_with("The passphrase locks all accounts here."), "{said}");
    (stage, devices)
}

/// How many accounts the server knows the keys of.
async fn active(stage: &Stage, options: &[&str]) -> usize {
    let listed = stage.json(&[options, &["accounts"]].concat()).await;
    let accounts = listed["accounts"].as_array().expect("a list").clone();
    accounts.iter().filter(|account| account["state"] == "ACTIVE").count()
}

fn text_of(files: &std::collections::BTreeMap<String, Vec<u8>>) -> String {
    files.values().map(|content| String::from_utf8_lossy(content)).collect()
}

#[tokio::test]
async fn two_accounts_work_with_their_passphrase_and_nothing_of_them_lies_open() {
    let (stage, [annas, berts]) = locked().await;
    let assert_nothing_open = || {
        let text = text_of(&files(&stage.state()));
        for open in ["secret_key", "next_key", "totp", "anna", "bert", "Shop", annas.as_str(), berts.as_str()]
        {
            assert!(!text.contains(open), "{open}: {text}");
        }
    };
    assert_nothing_open();
    assert_eq!(active(&stage, &["--passphrase-file", "old"]).await, 2);
    let codes = stage.json(&with("old", &["code"])).await;
    let of_anna = codes["codes"].as_array().expect("a list").iter().find(|code| code["device_id"] == annas);
    let code = of_anna.expect("she has one")["code"].as_str().expect("a text");
    assert_eq!(stage.log_in_by(code, "anna").await, i32::from(CodeResult::Accepted));

    stage.run(&with("old", &["--account", &berts, "rotate-key"])).await.succeeded();
    let (challenge, match_code) = stage.backend.create("bert", "attempt-1").await.expect("it is created");
    let approve = ["approve", &challenge.challenge_id, "--match-code", &match_code];
    stage.run(&with("old", &approve)).await.succeeded();
    stage.backend.redeem(&challenge.challenge_id, "bert", "attempt-1").await.expect("it was approved");

    let third = stage.enroll("carl", &["--passphrase-file", "old"]).await;
    stage.run(&with("old", &["--account", &third, "unenroll", "--yes"])).await.succeeded();
    stage.run(&with("old", &["--account", &annas, "rename", "Anna's"])).await.succeeded();
    assert_nothing_open();
    assert_eq!(active(&stage, &["--passphrase-file", "old"]).await, 2);
}

#[tokio::test]
async fn a_wrong_passphrase_or_none_is_told_by_an_exit_code_of_its_own_and_changes_nothing() {
    let (stage, [device, _]) = locked().await;
    let before = files(&stage.state());
    let rename = ["--account", &device, "rename", "Mine"];
    let wrong = format!("error: this is not the passphrase of {STATE}, or data-key there was changed\n");
    for command in [&["code"][..], &rename, &["listen"], &["passphrase", "remove"]] {
        let ended = failed(stage.run(&with("new", command)).await);
        assert_eq!(ended, (WRONG, wrong.clone()), "{command:?}");
        let (code, why) = failed(stage.run(&[&["--json"], command].concat()).await);
        let error: Value = serde_json::from_str(&why).expect("JSON");
        assert_eq!((code, &error["error"]["kind"]), (WRONG, &json!("passphrase")), "{command:?}: {why}");
    }
    let change = with("new", &["passphrase", "change", "--new-passphrase-file", "new"]);
    assert_eq!(failed(stage.run(&change).await).0, WRONG);
    assert_eq!(files(&stage.state()), before);
    assert_eq!(stage.factors("anna").await[0].name, "Laptop");
}

#[tokio::test]
async fn a_passphrase_is_changed_and_removed() {
    let (stage, _) = locked().await;
    let change = with("old", &["passphrase", "change", "--new-passphrase-file", "new"]);
    let said = stage.run(&change).await.succeeded();
    assert_eq!(said, "Another passphrase locks all accounts here.\n");
    assert_eq!(failed(stage.run(&with("old", &["code"])).await).0, WRONG);
    // The environment names a file too, and nothing but a file.
    let mut agent = stage.agent(&["--json", "code"]);
    ended(agent.env("COUNTERSIGN_AGENT_PASSPHRASE_FILE", "new")).await.succeeded();
    assert_eq!(active(&stage, &["--passphrase-file", "new"]).await, 2);

    assert_eq!(stage.json(&with("new", &["passphrase", "remove"])).await, json!({ "passphrase": false }));
    assert!(!files(&stage.state()).contains_key(KEY_FILE));
    assert_eq!(active(&stage, &[]).await, 2);
    assert_eq!(stage.json(&with("new", &["passphrase", "set"])).await, json!({ "passphrase": true }));
    assert_eq!(active(&stage, &["--passphrase-file", "new"]).await, 2);
}

#[tokio::test]
async fn what_makes_no_sense_is_told_and_changes_nothing() {
    let (stage, _) = Stage::enrolled(["anna"]).await;
    stage.write_secret("good", "a line, with or without its end");
    stage.write_secret("empty", "\n");
    stage.write_secret("lines", "one\ntwo\n");
    let before = files(&stage.state());
    for (command, code, complaint) in [
        (with("empty", &["passphrase", "set"]), 2, "the passphrase must not be empty"),
        (with("lines", &["passphrase", "set"]), 2, "the passphrase must be one line"),
        (with("missing", &["passphrase", "set"]), 1, "cannot read missing: No such file"),
        (with("good", &["passphrase", "remove"]), 2, "have no passphrase"),
        (with("good", &["code"]), 2, "the accounts here have no passphrase"),
        (vec!["passphrase", "set"], WRONG, "a new passphrase is needed: give --passphrase-file"),
        (with("good", &["--account", "dev_1", "passphrase", "set"]), 2, "leave out --account and --ca"),
        (with("good", &["--ca", "good", "passphrase", "set"]), 2, "leave out --account and --ca"),
    ] {
        let (ended, why) = failed(stage.run(&command).await);
        assert!(ended == code && why.contains(complaint), "{command:?}: {ended} {why}");
        assert_eq!(files(&stage.state()), before, "{command:?}");
    }
    stage.run(&with("good", &["passphrase", "set"])).await.succeeded();
    let (code, why) = failed(stage.run(&with("good", &["passphrase", "change"])).await);
    assert!(code == WRONG && why.contains("a new passphrase is needed: give --new-passphrase-file"), "{why}");
    let (code, why) = failed(stage.run(&["code"]).await);
    assert!(code == WRONG && why.contains("the passphrase that locks the accounts here is needed"), "{why}");
    let (code, why) = failed(stage.run(&with("good", &["passphrase", "set"])).await);
    assert!(code == 2 && why.contains("`passphrase change` replaces it"), "{why}");
}

#[tokio::test]
async fn a_passphrase_file_that_others_may_read_is_refused_and_a_pipe_is_not() {
    let (stage, _) = locked().await;
    let before = files(&stage.state());
    for mode in [0o640, 0o604, 0o440] {
        fs::set_permissions(stage.place.path("new"), Permissions::from_mode(mode)).expect("sets");
        for command in
            [with("new", &["code"]), with("old", &["passphrase", "change", "--new-passphrase-file", "new"])]
        {
            let (code, why) = failed(stage.run(&command).await);
            assert!(
                code == 1 && why.contains(&format!("new has mode {mode:04o}")),
                "{command:?}: {code} {why}"
            );
        }
    }
    assert_eq!(files(&stage.state()), before);
    fs::set_permissions(stage.place.path("old"), Permissions::from_mode(0o400)).expect("sets");
    assert_eq!(active(&stage, &["--passphrase-file", "old"]).await, 2);

    fs::set_permissions(stage.place.path("old"), Permissions::from_mode(0o444)).expect("sets");
    let shell = format!("cat old | {AGENT} --state-dir {STATE} --passphrase-file /dev/stdin code");
    let said = ended(&mut program(stage.place.directory(), "sh", &["-c", &shell])).await.succeeded();
    assert!(said.contains("anna@example.org"), "{said}");
}

#[tokio::test]
async fn a_key_file_that_asks_for_gigabytes_is_refused_before_the_passphrase_is_read() {
    let (stage, _) = locked().await;
    let path = stage.state().join(KEY_FILE);
    let good = fs::read_to_string(&path).expect("reads");
    for (asked, complaint) in [
        ("\"memory_kib\": 4194304", "memory_kib is 4194304, and 65536 to 262144 are allowed"),
        ("\"memory_kib\": 4294967296", "is not as expected"),
        ("\"memory_kib\": 8", "memory_kib is 8, and 65536 to 262144 are allowed"),
    ] {
        fs::write(&path, good.replace("\"memory_kib\": 65536", asked)).expect("writes");
        let (code, why) = failed(stage.run(&with("missing", &["code"])).await);
        assert!(code == 1 && why.contains(KEY_FILE) && why.contains(complaint), "{why}");
    }
    fs::write(&path, good).expect("writes");
    assert_eq!(active(&stage, &["--passphrase-file", "old"]).await, 2);
}

#[tokio::test]
async fn a_changed_byte_in_any_sealed_file_is_found_out() {
    let (stage, _) = locked().await;
    let good = files(&stage.state());
    assert_eq!(good.len(), 4, "{:?}", good.keys());
    for (name, content) in &good {
        for part in 1..4 {
            let at = content.len() * part / 4;
            let mut bad = content.clone();
            let Some(byte) = bad.get_mut(at) else { continue };
            *byte ^= 1;
            fs::write(stage.state().join(name), bad).expect("writes");
            let (code, why) = failed(stage.run(&with("old", &["code"])).await);
            assert!(code == 1 || name == KEY_FILE && code == WRONG, "{name}, byte {at}: {code} {why}");
        }
        fs::write(stage.state().join(name), content).expect("writes");
    }
    assert_eq!(active(&stage, &["--passphrase-file", "old"]).await, 2);
}
