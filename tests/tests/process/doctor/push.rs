//! Push: a provider that cannot be reached or has another time, and devices that nobody serves any more.

use countersign::{
    clock::{Clock as _, SystemClock},
    doctor::Severity::{Problem, Warning},
};
use countersign_fakes::{apns::ApnsStandIn, fcm::FcmStandIn};
use countersign_proto::statement::{DeviceProfile, PushTarget, push_target};

use super::{Patient, assert_one};
use crate::people::Application;

const TOPIC: &str = "org.example.login";

fn section(patient: &Patient, apple: &ApnsStandIn, topic: &str) -> String {
    let key = apple.signing_key();
    let key_file = patient.write("apns.p8", &key.private_key_pem);
    let ca_file = patient.write("apns-ca.pem", apple.ca_pem());
    format!(
        "[apns]\nprivate_key_file = {key_file:?}\nkey_id = {:?}\nteam_id = {:?}\ntopics = [{topic:?}]\n\
         production_url = {:?}\nca_file = {ca_file:?}\n",
        key.key_id,
        key.team_id,
        apple.base_url()
    )
}

#[tokio::test]
async fn a_provider_is_reached_without_a_push_and_its_time_compared_where_it_tells_it() {
    let patient = Patient::new("").await;
    let hour_behind = || SystemClock.now().as_seconds() - 3600;
    let apple = ApnsStandIn::start(&[TOPIC], hour_behind).await.expect("a port is free");
    patient.configure(&section(&patient, &apple, TOPIC));
    assert_eq!(patient.findings().await, []);
    let asked = apple.next_request().await;
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("GET", "/"));
    assert!(!asked.headers.contains_key("authorization"), "no provider token is used up");

    apple.tell_date();
    patient.one("clock", Problem, "the push provider's says ", "NTP").await;
    let on_time =
        ApnsStandIn::start(&[TOPIC], || SystemClock.now().as_seconds()).await.expect("a port is free");
    on_time.tell_date();
    patient.configure(&section(&patient, &on_time, TOPIC));
    assert_eq!(patient.findings().await, []);
}

#[tokio::test]
async fn a_provider_that_is_away_or_shows_another_certificate_is_told() {
    let patient = Patient::new("").await;
    let now = || SystemClock.now().as_seconds();
    let [one, other] = [ApnsStandIn::start(&[TOPIC], now).await, ApnsStandIn::start(&[TOPIC], now).await];
    let (one, other) = (one.expect("a port is free"), other.expect("a port is free"));
    let configured = section(&patient, &one, TOPIC);
    patient.configure(&configured.replace(&one.base_url(), &other.base_url()));
    let fix = "apns.ca_file";
    patient.one("push", Problem, "APNs cannot be reached: the connection to APNs failed: ", fix).await;
    patient.configure(&configured.replace(&one.base_url(), "https://localhost:1"));
    patient.one("push", Problem, "APNs cannot be reached: ", "port 443").await;
}

#[tokio::test]
async fn devices_whose_topic_is_configured_no_more_are_counted() {
    let patient = Patient::new("").await;
    let apple =
        ApnsStandIn::start(&[TOPIC], || SystemClock.now().as_seconds()).await.expect("a port is free");
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
    patient.configure(&section(&patient, &apple, "org.example.other"));
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
async fn a_service_account_that_google_does_not_know_is_told() {
    let patient = Patient::new("").await;
    let now = || SystemClock.now().as_seconds();
    let google = FcmStandIn::start(now).await.expect("a port is free");
    patient.configure(&fcm_section(&patient, &google));
    assert_eq!(patient.findings().await, []);
    google.next_token_request().await;

    // Two hours behind, its assertion is from the future there.
    let behind = FcmStandIn::start(move || now() - 7200).await.expect("a port is free");
    patient.configure(&fcm_section(&patient, &behind));
    patient.one("push", Problem, "Google gives no access token for FCM: ", "service account").await;
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
