//! `countersign app`: beside a running server and before any.

use std::os::unix::fs::PermissionsExt as _;

use countersign_proto::{
    common::{FactorType, TotpAlgorithm},
    login::{GetApplicationRequest, Policy, PolicyProfile},
};
use serde_json::{Value, json};

use crate::{
    people::{Application, Backend},
    program::{Place, soon},
};

/// What a setting changes in the policy that backends are told.
type Change = fn(&mut Policy);

async fn policy(backend: &Backend) -> Policy {
    let answer = soon(backend.login.clone().get_application(GetApplicationRequest {})).await;
    answer.expect("it is served").into_inner().policy.expect("a policy")
}

async fn listed(place: &Place) -> Vec<Value> {
    let printed = place.run_configured(&["app", "list", "--json"]).await.succeeded();
    serde_json::from_str(&printed).expect("a JSON array")
}

/// `prefix` and then only letters and digits of its alphabet.
fn assert_is(value: &str, prefix: &str, chars: usize, alphabet: &str) {
    let rest = value.strip_prefix(prefix).unwrap_or_else(|| panic!("{value} is no {prefix}"));
    assert!(rest.len() == chars && rest.chars().all(|c| alphabet.contains(c)), "{value}");
}

#[tokio::test]
async fn the_first_command_makes_the_data_directory_and_a_server_finds_the_application() {
    let place = Place::new("");
    // By a wrong configuration nothing is made, and nobody is told that there is nobody.
    let device = "dev_01234567-89ab-8def-8123-456789abcdef";
    let commands: [&[&str]; 8] = [
        &["app", "list"],
        &["app", "set", "Shop", "match_code_digits=4"],
        &["app", "key", "add", "Shop"],
        &["user", "show", "Shop", "anna"],
        &["user", "unlock", "Shop", "anna"],
        &["server-key", "list"],
        &["server-key", "rotate"],
        &["push", "test", device],
    ];
    for command in commands {
        let reason = place.run_configured(command).await.failed();
        assert!(
            reason.starts_with("there is no database data/countersign.sqlite: set server.data_dir"),
            "{reason}"
        );
        assert!(!place.path("data").exists(), "{command:?}");
    }
    let printed = place.run_configured(&["app", "create", "Shop"]).await.succeeded();
    let lines: Vec<_> = printed.lines().collect();
    let [id, "name            Shop", key, "Keep the key now: it is shown only this once."] = lines[..] else {
        panic!("{printed}")
    };
    let id = id.strip_prefix("application_id  ").expect("the id");
    let api_key = key.strip_prefix("api_key         ").expect("the key");
    assert_is(id, "app_", 36, "0123456789abcdef-");
    assert_is(api_key, "csk_", 16 + 1 + 32, "abcdefghijklmnopqrstuvwxyz234567_");
    for (name, mode) in [("data", 0o700), ("data/master.key", 0o600), ("data/countersign.sqlite", 0o600)] {
        let metadata = std::fs::metadata(place.path(name)).expect("it was made");
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "{name}");
    }

    let server = place.serve().await;
    let application = Application { id: id.to_owned(), api_key: api_key.to_owned() };
    let backend = application.connect(server.address).await;
    let answer = soon(backend.login.clone().get_application(GetApplicationRequest {})).await;
    let answer = answer.expect("it is served").into_inner();
    assert_eq!((answer.application_id.as_str(), answer.name.as_str()), (id, "Shop"));
    assert_eq!(answer.server_id, server.id);
    server.stop().await;
}

#[tokio::test]
async fn an_application_made_beside_a_running_server_counts_at_once() {
    let place = Place::new("");
    let server = place.serve().await;
    let printed = place.run_configured(&["app", "create", "Shop", "--json"]).await.succeeded();
    assert_eq!(printed.lines().count(), 1);
    let printed: Value = serde_json::from_str(&printed).expect("JSON");
    let printed = printed.as_object().expect("an object");
    assert_eq!(printed.keys().collect::<Vec<_>>(), ["api_key", "application_id", "name"]);
    assert_eq!(printed["name"], "Shop");
    let text = |key: &str| printed[key].as_str().expect("a text").to_owned();
    let application = Application { id: text("application_id"), api_key: text("api_key") };
    let backend = application.connect(server.address).await;
    assert_eq!(policy(&backend).await.match_code_digits, 3);
    server.stop().await;
}

#[tokio::test]
async fn a_name_that_is_taken_or_cannot_be_shown_makes_no_application() {
    let place = Place::new("");
    Application::create(&place, "Shop").await;
    let refused = async |name: &str| place.run_configured(&["app", "create", name]).await.failed();
    assert_eq!(
        refused("Shop").await,
        "there is an application of this name already; `countersign app list` shows them"
    );
    for (name, problem) in [
        ("", "must not be empty"),
        (&"x".repeat(129), "is longer than the 128 characters that are allowed"),
        (
            "Shop\u{202e}pohS",
            "contains U+202E; control, line-break and bidirectional characters are not allowed",
        ),
        ("Sh\nop", "contains U+000A; control, line-break and bidirectional characters are not allowed"),
        ("Sh\u{7}op", "contains U+0007; control, line-break and bidirectional characters are not allowed"),
    ] {
        assert_eq!(refused(name).await, format!("the name {problem}"));
    }
    assert_eq!(listed(&place).await.len(), 1);
}

#[tokio::test]
async fn each_field_of_the_policy_holds_at_the_very_next_call() {
    let place = Place::new("");
    let server = place.serve().await;
    let application = Application::create(&place, "Shop").await;
    let backend = application.connect(server.address).await;
    let mut expected = policy(&backend).await;
    let changes: [(&str, Change); 10] = [
        ("challenge_lifetime=5s", |policy| {
            policy.challenge_lifetime = Some(std::time::Duration::from_secs(5).into());
        }),
        ("match_code_digits=4", |policy| policy.match_code_digits = 4),
        ("match_code_optional=true", |policy| policy.match_code_optional = true),
        ("user_verification_required=true", |policy| policy.user_verification_required = true),
        ("allowed_factors=device,totp", |policy| {
            policy.allowed_factors = vec![FactorType::Device.into(), FactorType::Totp.into()];
        }),
        ("max_pending_challenges=10", |policy| policy.max_pending_challenges = 10),
        ("enrollment_confirmation=false", |policy| policy.enrollment_confirmation = false),
        ("totp_digits=8", |policy| policy.totp_digits = 8),
        ("totp_algorithm=SHA256", |policy| policy.totp_algorithm = TotpAlgorithm::Sha256.into()),
        ("profile=nist-sp-800-63b-4", |policy| {
            policy.profile = PolicyProfile::NistSp80063b4.into();
            policy.match_code_digits = 6;
            policy.match_code_optional = false;
        }),
    ];
    for (setting, change) in changes {
        let printed = place.run_configured(&["app", "set", "Shop", setting]).await.succeeded();
        assert!(printed.starts_with("Shop: ") && printed.contains(setting), "{printed}");
        change(&mut expected);
        assert_eq!(policy(&backend).await, expected, "{setting}");
    }
    // Several at once; and what the floor hid comes back with it.
    place.run_configured(&["app", "set", "Shop", "profile=none", "challenge_lifetime=600"]).await.succeeded();
    expected.profile = 0;
    expected.match_code_digits = 4;
    expected.match_code_optional = true;
    expected.challenge_lifetime = Some(std::time::Duration::from_mins(10).into());
    assert_eq!(policy(&backend).await, expected);

    let listed = listed(&place).await;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["application_id"], application.id);
    assert_eq!(listed[0]["name"], "Shop");
    assert_eq!(listed[0]["policy"], serde_json::to_value(expected).expect("JSON"));
    let printed = place.run_configured(&["app", "list"]).await.succeeded();
    let line = "Shop  challenge_lifetime=600s match_code_digits=4 match_code_optional=true \
                user_verification_required=true allowed_factors=device,totp max_pending_challenges=10 enrollment_confirmation=false \
                totp_digits=8 totp_algorithm=SHA256 profile=none\n";
    assert_eq!(printed, format!("{}  {line}", application.id));
    server.stop().await;
}

#[tokio::test]
async fn a_bad_setting_says_what_is_allowed_and_changes_nothing() {
    let place = Place::new("");
    let server = place.serve().await;
    let application = Application::create(&place, "Shop").await;
    let backend = application.connect(server.address).await;
    let before = policy(&backend).await;
    let fields = "challenge_lifetime, match_code_digits, match_code_optional, user_verification_required, \
                  allowed_factors, max_pending_challenges, enrollment_confirmation, totp_digits, totp_algorithm, profile";
    for (setting, reason) in [
        ("challenge_lifetime=4s", "challenge_lifetime is \"4s\"; allowed is 5s to 600s".to_owned()),
        ("challenge_lifetime=601", "challenge_lifetime is \"601\"; allowed is 5s to 600s".to_owned()),
        ("challenge_lifetime=2m", "challenge_lifetime is \"2m\"; allowed is 5s to 600s".to_owned()),
        ("match_code_digits=1", "match_code_digits is \"1\"; allowed is 2 to 6".to_owned()),
        ("match_code_digits=7", "match_code_digits is \"7\"; allowed is 2 to 6".to_owned()),
        ("match_code_optional=yes", "match_code_optional is \"yes\"; allowed is true or false".to_owned()),
        (
            "user_verification_required=",
            "user_verification_required is \"\"; allowed is true or false".to_owned(),
        ),
        ("max_pending_challenges=0", "max_pending_challenges is \"0\"; allowed is 1 to 10".to_owned()),
        ("max_pending_challenges=11", "max_pending_challenges is \"11\"; allowed is 1 to 10".to_owned()),
        (
            "enrollment_confirmation=1",
            "enrollment_confirmation is \"1\"; allowed is true or false".to_owned(),
        ),
        (
            "allowed_factors=device,sms",
            "allowed_factors is \"device,sms\"; allowed is all, or some of device, totp and recovery_code with commas \
             between"
                .to_owned(),
        ),
        ("profile=best", "profile is \"best\"; allowed is none or nist-sp-800-63b-4".to_owned()),
        ("colour=blue", format!("the policy field \"colour\" is not known; allowed are {fields}")),
        ("blue", "\"blue\" is not of the form KEY=VALUE, such as match_code_digits=4".to_owned()),
    ] {
        // A good one before it is not taken either.
        let set = place.run_configured(&["app", "set", "Shop", "match_code_digits=6", setting]).await;
        assert_eq!(set.failed(), reason);
        assert_eq!(policy(&backend).await, before, "{setting}");
    }
    let unknown = place.run_configured(&["app", "set", "Shoe", "match_code_digits=6"]).await;
    let reason = "there is no application of this name; `countersign app list` shows them";
    assert_eq!(unknown.failed(), reason);
    let nothing = place.run_configured(&["app", "set", "Shop"]).await;
    assert_eq!(nothing.status.code(), Some(2), "a wrong command line: {nothing:?}");
    server.stop().await;
}

#[tokio::test]
async fn applications_are_listed_in_both_forms() {
    let place = Place::new("");
    // A first start makes the data directory.
    place.serve().await.stop().await;
    assert_eq!(listed(&place).await, Vec::<Value>::new());
    let mut ids = Vec::new();
    for name in ["Shop", "Bank"] {
        ids.push((name, Application::create(&place, name).await.id));
    }
    let mut found: Vec<_> = listed(&place).await.iter().map(|one| one["name"].clone()).collect();
    found.sort_by_key(ToString::to_string);
    assert_eq!(json!(found), json!(["Bank", "Shop"]));
    let printed = place.run_configured(&["app", "list"]).await.succeeded();
    for (name, id) in ids {
        assert!(printed.lines().any(|line| line.starts_with(&format!("{id}  {name}  "))), "{printed}");
    }
}

#[tokio::test]
async fn an_operator_permits_one_enrolment_to_a_user_without_factors() {
    let place = Place::new("");
    let server = place.serve().await;
    let application = Application::create(&place, "Shop").await;
    let backend = application.connect(server.address).await;
    let device = backend.enroll("anna").await.expect("the first");
    let refused = backend.start_enrollment("anna").await.expect_err("there is a factor");
    assert_eq!(refused.code(), tonic::Code::PermissionDenied);
    backend.revoke("anna", device.account.device_id()).await.expect("it is Anna's");
    let refused = backend.start_enrollment("anna").await.expect_err("there was a factor");
    assert!(refused.message().contains("countersign user allow-enrollment"), "{refused:?}");
    for unknown in [["Bank", "anna"], ["Shop", ""]] {
        let [application, user] = unknown;
        let told = place.run_configured(&["user", "allow-enrollment", application, user]).await.failed();
        let reason = if user.is_empty() { "user_id" } else { "there is no application of this name" };
        assert!(told.contains(reason), "{told}");
    }
    let printed = place.run_configured(&["user", "allow-enrollment", "Shop", "anna"]).await.succeeded();
    assert!(
        printed.starts_with("Shop: anna may begin one enrolment without an approval until 2"),
        "{printed}"
    );
    backend.enroll("anna").await.expect("it is permitted");
    backend.start_enrollment("anna").await.expect_err("it has been used");
    server.stop().await;
}
