//! `[fcm]`.

use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};

use super::*;

/// A key file as Google hands it out, with `change` made to it.
fn account(change: impl FnOnce(&mut Value)) -> String {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("makes a key");
    let mut account = json!({
        "type": "service_account",
        "project_id": "example-login",
        "private_key_id": "0123456789abcdef",
        "private_key": key.serialize_pem(),
        "client_email": "push@example-login.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
        "universe_domain": "googleapis.com",
    });
    change(&mut account);
    account.to_string()
}

fn loaded(section: &str, account: &str) -> Result<Config, ConfigError> {
    let files = Files::new(&format!("[fcm]\n{section}"));
    files.write_certificate();
    files.write("account.json", account);
    files.load(&[], Overrides::default())
}

fn refusal(section: &str, account: &str) -> String {
    let error = loaded(section, account).expect_err(section).to_string();
    error.split_once(": ").expect("a place").1.to_owned()
}

const FILE: &str = "service_account_file = \"DIR/account.json\"\n";

#[test]
fn a_key_file_is_all_that_it_takes_and_the_key_is_not_printed() {
    let account = account(|_| {});
    let config = loaded(FILE, &account).expect("allowed");
    let fcm = config.fcm.as_ref().expect("set");
    assert_eq!((fcm.base_url.as_str(), &fcm.ca_pem), ("https://fcm.googleapis.com", &None));
    assert!(!format!("{config:?}").contains("PRIVATE KEY"));

    let more = format!("{FILE}base_url = \"https://localhost:2197\"\nca_file = \"DIR/cert.pem\"");
    let config = loaded(&more, &account).expect("allowed");
    let fcm = config.fcm.expect("set");
    assert_eq!(fcm.base_url, "https://localhost:2197");
    assert!(fcm.ca_pem.is_some_and(|pem| pem.contains("BEGIN CERTIFICATE")));
}

#[test]
fn what_is_wrong_with_a_key_file_is_told_without_what_stands_in_it() {
    let set = |name: &'static str, value: &str| {
        let value = value.to_owned();
        account(move |account| account[name] = value.into())
    };
    let p256 = KeyPair::generate().expect("makes a key").serialize_pem();
    for (account, why) in [
        ("s3cret".to_owned(), "it is none by line 1, column 1"),
        ("{\n\"type\": \"authorized_user\"}".to_owned(), "it is none by line 2, column 26"),
        (set("type", "authorized_user"), "its type is another"),
        (set("project_id", "../s3cret"), "its project_id is no project's"),
        (set("private_key", "s3cret"), "its private_key is no RSA key in PEM form"),
        (set("private_key", &p256), "its private_key is no RSA key in PEM form"),
        (set("token_uri", "http://localhost/s3cret"), "its token_uri is no https URL"),
    ] {
        let refusal = refusal(FILE, &account);
        assert!(refusal.starts_with("fcm.service_account_file = "), "{refusal}");
        let allowed = "must be the JSON key file of a service account, as Google hands it out";
        assert!(refusal.ends_with(&format!("{allowed}: {why}")), "{refusal}");
        assert!(!refusal.contains("s3cret"), "{refusal}");
    }
}

#[test]
fn each_other_setting_is_refused_with_what_is_allowed() {
    let account = account(|_| {});
    let with = |more: &str| refusal(&format!("{FILE}{more}"), &account);
    assert_eq!(
        with("base_url = \"http://localhost\""),
        "fcm.base_url = \"http://localhost\": must be an origin: https://HOST or https://HOST:PORT with no path \
         after it"
    );
    assert!(
        with("ca_file = \"DIR/account.json\"")
            .ends_with("must be a PEM file with one or more certificates (BEGIN CERTIFICATE)")
    );
    for alone in ["base_url = \"https://localhost:1\"", "ca_file = \"DIR/cert.pem\""] {
        let needs =
            "needs fcm.service_account_file, which is not set: push through FCM takes a service account";
        assert!(refusal(alone, &account).ends_with(needs), "{alone}");
    }
    let missing = refusal("service_account_file = \"DIR/missing.json\"", &account);
    assert!(missing.contains("must be a file that the server can read"), "{missing}");
}
