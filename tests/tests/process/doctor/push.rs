//! Push: a provider that takes no credentials, cannot be reached or has another time, and devices that nobody serves any
//! more.

use std::time::Duration;

use countersign::{
    clock::{Clock as _, SystemClock},
    doctor::Severity::{Problem, Warning},
};
use countersign_fakes::{
    apns::{Answer, ApnsStandIn},
    fcm::FcmStandIn,
};
use countersign_proto::statement::{DeviceProfile, PushTarget, push_target};

use super::{Patient, assert_one};
use crate::{people::Application, program::soon};

const TOPIC: &str = "org.example.login";
const OTHER_TOPIC: &str = "org.example.other";

fn section(patient: &Patient, apple: &ApnsStandIn, topic: &str) -> String {
    let key = apple.signing_key();
    let key_file = patient.write("apns.p8", &key.private_key_pem);
    let ca_file = patient.write("apns-ca.pem", apple.ca_pem());
    format!(
        "[apns]\nprivate_key_file = {key_file:?}\nkey_id = {:?}\nteam_id = {:?}\ntopics = [{topic:?}]\n\
         production_url = {url:?}\nsandbox_url = {url:?}\nca_file = {ca_file:?}\n",
        key.key_id,
        key.team_id,
        url = apple.base_url()
    )
}

#[tokio::test]
async fn apple_is_asked_in_both_environments_for_a_device_that_there_is_not_and_its_time_compared() {
    let patient = Patient::new("").await;
    let hour_behind = || SystemClock.now().as_seconds() - 3600;
    let apple = ApnsStandIn::start(&[TOPIC], hour_behind).await.expect("a port is free");
    patient.configure(&section(&patient, &apple, TOPIC));
    assert_eq!(patient.findings().await, []);
    let asked = [soon(apple.next_request()).await, soon(apple.next_request()).await];
    for request in &asked {
        assert_eq!(request.path, format!("/3/device/{}", "0".repeat(64)));
        assert_eq!(
            (&request.headers["apns-topic"], request.status),
            (&TOPIC.parse().expect("one"), Some(400))
        );
    }

    apple.tell_date();
    patient.one("clock", Problem, "the push provider's says ", "NTP").await;
    let on_time =
        ApnsStandIn::start(&[TOPIC], || SystemClock.now().as_seconds()).await.expect("a port is free");
    on_time.tell_date();
    patient.configure(&section(&patient, &on_time, TOPIC));
    // Its key is another one with the same id: the token that is stored is not of it.
    assert_eq!(patient.findings().await, []);
}

#[tokio::test]
async fn the_provider_token_is_the_servers() {
    let patient = Patient::new("").await;
    let now = || SystemClock.now().as_seconds();
    let apple = ApnsStandIn::start(&[TOPIC], now).await.expect("a port is free");
    patient.configure(&section(&patient, &apple, TOPIC));
    let server = patient.place.serve().await;
    let backend = Application::create(&patient.place, "Bank").await.connect(server.address).await;
    let device = backend.enroll("anna").await.expect("it is enrolled");
    let apns =
        push_target::Apns { device_token: "00fc13ad".to_owned(), topic: TOPIC.to_owned(), sandbox: false };
    let target = PushTarget { target: Some(push_target::Target::Apns(apns)) };
    let profile = DeviceProfile { push_target: Some(target), ..DeviceProfile::default() };
    device.account.change_profile(profile).await.expect("a good target");
    backend.create("anna", "attempt-1").await.expect("it is created");
    let of_server = soon(apple.next_request()).await;
    assert_eq!(of_server.status, Some(200));
    // Ten minutes later Apple would not take another one.
    let later = SystemClock.now().plus(Duration::from_mins(10));
    assert_eq!(patient.findings_at(later).await, []);
    assert_eq!(soon(apple.next_request()).await.headers["authorization"], of_server.headers["authorization"]);
    server.stop().await;
}

#[tokio::test]
async fn what_apple_says_of_the_credentials_is_told_with_what_helps() {
    let patient = Patient::new("").await;
    let now = || SystemClock.now().as_seconds();
    let apple = ApnsStandIn::start(&[TOPIC], now).await.expect("a port is free");
    let configured = section(&patient, &apple, TOPIC);
    patient.configure(&configured);
    for (status, reason, fix) in [
        (403, "InvalidProviderToken", "the key was revoked"),
        (403, "ExpiredProviderToken", "Set this machine's clock right"),
        (403, "MissingProviderToken", "see [apns]"),
        (403, "BadCertificate", "see [apns]"),
        (400, "TopicDisallowed", "The key may not push to this app"),
        (400, "DeviceTokenNotForTopic", "The key may not push to this app"),
        (429, "TooManyRequests", "It passes by itself"),
        (429, "TooManyProviderTokenUpdates", "give each its own"),
        (503, "ServiceUnavailable", "status page"),
    ] {
        let answer = Answer::refuse(status, reason);
        apple.answer_next(answer.clone());
        apple.answer_next(answer);
        let told = if reason == "ExpiredProviderToken" {
            "APNs refused the provider token as expired".to_owned()
        } else {
            format!("{status} {reason}, at {}, topic {TOPIC}; {0}, topic {TOPIC}", apple.base_url())
        };
        patient.one("push", Problem, &format!("APNs takes no push: {told}"), fix).await;
    }
    assert_eq!(patient.findings().await, []);
    // The stand-in itself: a topic that is not the key's, and a key that it does not know.
    patient.configure(&configured.replace(TOPIC, OTHER_TOPIC));
    patient.one("push", Problem, "400 TopicDisallowed", "which apps it is for").await;
    for wrong in [
        configured.replace(&apple.signing_key().key_id, "OTHERKEY00"),
        configured.replace(&apple.signing_key().team_id, "OTHERTEAM0"),
    ] {
        patient.configure(&wrong);
        patient.one("push", Problem, "403 InvalidProviderToken", "do not belong together").await;
    }
}

#[tokio::test]
async fn a_key_file_that_is_put_right_is_found_good_at_once_though_its_id_stays() {
    let patient = Patient::new("").await;
    let now = || SystemClock.now().as_seconds();
    let [apple, other] = [ApnsStandIn::start(&[TOPIC], now).await, ApnsStandIn::start(&[TOPIC], now).await];
    let (apple, other) = (apple.expect("a port is free"), other.expect("a port is free"));
    patient.configure(&section(&patient, &apple, TOPIC));
    patient.write("apns.p8", &other.signing_key().private_key_pem);
    patient.one("push", Problem, "403 InvalidProviderToken", "do not belong together").await;
    patient.write("apns.p8", &apple.signing_key().private_key_pem);
    assert_eq!(patient.findings().await, []);
}

#[tokio::test]
async fn a_key_of_one_environment_is_told_for_the_other_only() {
    let patient = Patient::new("").await;
    let now = || SystemClock.now().as_seconds();
    let apple = ApnsStandIn::start(&[TOPIC], now).await.expect("a port is free");
    let configured = section(&patient, &apple, TOPIC);
    let nowhere = format!("sandbox_url = {:?}", apple.base_url());
    patient.configure(&configured.replace(&nowhere, "sandbox_url = \"https://localhost:1\""));
    let what = "the connection to APNs failed: ";
    patient.one("push", Warning, what, "firewall").await;
    apple.answer_next(Answer::refuse(403, "BadEnvironmentKeyIdInToken"));
    let findings = patient.findings().await;
    assert_one(&findings[..1], "push", Problem, "403 BadEnvironmentKeyIdInToken", "Make one for both");
    assert_one(&findings[1..], "push", Warning, what, "firewall");
}

#[tokio::test]
async fn a_provider_that_is_away_or_shows_another_certificate_is_told() {
    let patient = Patient::new("").await;
    let now = || SystemClock.now().as_seconds();
    let [one, other] = [ApnsStandIn::start(&[TOPIC], now).await, ApnsStandIn::start(&[TOPIC], now).await];
    let (one, other) = (one.expect("a port is free"), other.expect("a port is free"));
    let configured = section(&patient, &one, TOPIC);
    patient.configure(&configured.replace(&one.base_url(), &other.base_url()));
    let what = "APNs takes no push: the connection to APNs failed: ";
    patient.one("push", Problem, what, "ca_file").await;
    patient.configure(&configured.replace(&one.base_url(), "https://localhost:1"));
    patient.one("push", Problem, what, "port 443").await;
    one.answer_next(Answer::Hangup);
    one.answer_next(Answer::Hangup);
    patient.configure(&configured);
    patient.one("push", Problem, what, "port 443").await;
}

#[tokio::test]
async fn without_the_servers_provider_token_apple_is_not_asked() {
    let patient = Patient::new("").await;
    let now = || SystemClock.now().as_seconds();
    let apple = ApnsStandIn::start(&[TOPIC], now).await.expect("a port is free");
    patient.configure(&section(&patient, &apple, TOPIC));
    std::fs::remove_file(patient.place.path("master.key")).expect("it is there");
    let findings = patient.findings().await;
    assert_one(&findings[..1], "keys", Problem, "is missing", "put the file back");
    let what = "APNs was not asked whether it takes the credentials: the master key file";
    assert_one(&findings[1..], "push", Warning, what, "as the server's user");
    std::fs::remove_file(patient.place.database()).expect("it is there");
    let findings = patient.findings().await;
    assert_one(&findings[..1], "database", Problem, "there is no database", "server.data_dir");
    assert_one(&findings[1..], "push", Warning, "there is no good database", "database");
    assert!(!patient.place.database().exists(), "none is made");
    assert_eq!(apple.connections(), 0);
}

#[tokio::test]
async fn devices_whose_topic_is_configured_no_more_are_counted() {
    let patient = Patient::new("").await;
    let apple = ApnsStandIn::start(&[TOPIC, OTHER_TOPIC], || SystemClock.now().as_seconds())
        .await
        .expect("a port is free");
    patient.configure(&section(&patient, &apple, TOPIC));
    let server = patient.place.serve().await;
    let backend = Application::create(&patient.place, "Bank").await.connect(server.address).await;
    for user_id in ["anna", "bob"] {
        let device = backend.enroll(user_id).await.expect("it is enrolled");
        let apns = push_target::Apns {
            device_token: "00fc13ad".to_owned(),
            topic: TOPIC.to_owned(),
            sandbox: false,
        };
        let target = PushTarget { target: Some(push_target::Target::Apns(apns)) };
        let profile = DeviceProfile { push_target: Some(target), ..DeviceProfile::default() };
        device.account.change_profile(profile).await.expect("a good target");
    }
    assert_eq!(patient.findings().await, []);
    patient.configure(&section(&patient, &apple, OTHER_TOPIC));
    let findings = patient.findings().await;
    let what = "2 devices are to be woken under the APNs topic org.example.login, which is not configured";
    assert_one(&findings, "push", Warning, what, "add \"org.example.login\" to apns.topics");
    patient.configure("");
    patient.one("push", Warning, what, "apns.topics").await;
    server.stop().await;
}

fn fcm_section(patient: &Patient, google: &FcmStandIn) -> String {
    let account = patient.write("fcm.json", google.service_account().to_string());
    let ca_file = patient.write("fcm-ca.pem", google.ca_pem());
    let base_url = google.base_url();
    format!("[fcm]\nservice_account_file = {account:?}\nbase_url = {base_url:?}\nca_file = {ca_file:?}\n")
}

#[tokio::test]
async fn google_is_asked_to_validate_a_message_and_its_time_compared() {
    let patient = Patient::new("").await;
    let now = || SystemClock.now().as_seconds();
    let google = FcmStandIn::start(now).await.expect("a port is free");
    patient.configure(&fcm_section(&patient, &google));
    assert_eq!(patient.findings().await, []);
    let asked = soon(google.next_validation()).await;
    assert_eq!((&asked.body["validate_only"], asked.status), (&true.into(), Some(400)));

    // Within what Google allows an assertion.
    let behind = FcmStandIn::start(move || now() - 240).await.expect("a port is free");
    behind.tell_date();
    patient.configure(&fcm_section(&patient, &behind));
    patient.one("clock", Problem, "the push provider's says ", "NTP").await;
    let far_behind = FcmStandIn::start(move || now() - 7200).await.expect("a port is free");
    patient.configure(&fcm_section(&patient, &far_behind));
    patient
        .one("push", Problem, "FCM takes no push: Google's token endpoint answered 400", "clock right")
        .await;
}

#[tokio::test]
async fn what_google_says_of_the_service_account_is_told_with_what_helps() {
    let patient = Patient::new("").await;
    let google = FcmStandIn::start(|| SystemClock.now().as_seconds()).await.expect("a port is free");
    let configured = fcm_section(&patient, &google);
    patient.configure(&configured);
    for (error, description, what, fix) in [
        (
            "invalid_grant",
            "Invalid JWT Signature.",
            "(the service account's key was revoked)",
            "Make a new one",
        ),
        ("invalid_grant", "Invalid grant: account not found", "(there is no such service account", "Make a"),
        ("unauthorized_client", "", "answered 400 unauthorized_client", "make a new key file"),
    ] {
        google.answer_token(Answer::refuse_token(400, error, description));
        patient.one("push", Problem, what, fix).await;
    }
    for (http_status, status, code, fix) in [
        (401, "UNAUTHENTICATED", "UNAUTHENTICATED", "Google refuses the access token"),
        (403, "PERMISSION_DENIED", "PERMISSION_DENIED", "enable the API"),
        (404, "NOT_FOUND", "NOT_FOUND", "There is no such project"),
        (429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", "It passes by itself"),
        (503, "UNAVAILABLE", "UNAVAILABLE", "status page"),
        (400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "report it"),
    ] {
        google.answer_next(Answer::refuse_fcm(http_status, status, code));
        patient.one("push", Problem, &format!("FCM takes no push: {http_status} {code}, at "), fix).await;
    }
    // These are about the token.
    for (http_status, status, code) in
        [(404, "NOT_FOUND", "UNREGISTERED"), (403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH")]
    {
        google.answer_next(Answer::refuse_fcm(http_status, status, code));
        assert_eq!(patient.findings().await, []);
    }
    google.answer_next(Answer::Accept);
    assert_eq!(patient.findings().await, []);

    let mut of_another_project = google.service_account().clone();
    of_another_project["project_id"] = "another-project".into();
    patient.write("fcm.json", of_another_project.to_string());
    patient.one("push", Problem, "FCM takes no push: 404", "There is no such project").await;
    patient.write("fcm.json", google.service_account().to_string());
    // Tokens are still given: it is only FCM that is away.
    patient.configure(
        &configured
            .replace(&format!("base_url = {:?}", google.base_url()), "base_url = \"https://localhost:1\""),
    );
    patient.one("push", Problem, "FCM takes no push: the connection to FCM failed: ", "port 443").await;
}

#[tokio::test]
async fn devices_of_a_provider_that_is_configured_no_more_are_counted() {
    let patient = Patient::new("").await;
    let google = FcmStandIn::start(|| SystemClock.now().as_seconds()).await.expect("a port is free");
    patient.configure(&fcm_section(&patient, &google));
    let server = patient.place.serve().await;
    let backend = Application::create(&patient.place, "Bank").await.connect(server.address).await;
    let device = backend.enroll("anna").await.expect("it is enrolled");
    let registration_token = format!("{}:APA91b{}", "c".repeat(22), "x".repeat(134));
    let fcm = push_target::Fcm { registration_token };
    let target = PushTarget { target: Some(push_target::Target::Fcm(fcm)) };
    let profile = DeviceProfile { push_target: Some(target), ..DeviceProfile::default() };
    device.account.change_profile(profile).await.expect("a good target");
    patient.configure("");
    patient.one("push", Warning, "1 device is to be woken through FCM", "fcm.service_account_file").await;
    server.stop().await;
}
