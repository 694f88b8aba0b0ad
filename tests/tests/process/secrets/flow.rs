//! Everything that brings secrets to the server, well and badly.

mod codes;

use std::sync::Arc;

use countersign::clock::{Clock as _, SystemClock};
use countersign_agent::{Agent, Denial, Platform, UserVerification};
use countersign_fakes::{
    apns::{Answer, ApnsStandIn},
    fcm::FcmStandIn,
};
use countersign_proto::{
    common::ChallengeState,
    login::{CreateChallengeRequest, LoginSource, StartEnrollmentRequest},
    statement::{Detail, DeviceProfile, PushTarget, push_target},
};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde_json::Value;

use super::search::Secrets;
use crate::{
    people::{Application, Backend, Device, channel, created, told},
    program::{Place, Server, soon},
};

const TOPIC: &str = "org.example.login";
const DEVICE_TOKEN: &str = "00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0";
const REGISTRATION_TOKEN: &str = "eK3pWq9xT0-aB7_dZmLs1R:APA91bHx2Vt6QyR0cNfJ8uLkEwGz4oXiS5dMbP7aTqYhC3nU9vKjWrF1\
    sDgZlXeOpI8mBtHyQuVa6NcRkLwJfSzE2xGoT5iPdMbY";
const ACCOUNT_NAME: &str = "account-name-of-anna@example.org";
const BINDING_MESSAGE: &str = "Message that only Anna may read";
const IP_ADDRESS: &str = "2001:db8:77ab:1234:5678:9abc:def0:4321";
const USER_AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0";
const LOCATION: &str = "Location that only Anna may read";
const DETAIL: &str = "Detail that only Anna may read";

/// What came of it.
pub(super) struct Flow {
    pub(super) secrets: Secrets,
    /// Standard error of the server.
    pub(super) log: String,
    /// What the callers were told when they were refused.
    pub(super) errors: Vec<String>,
    /// Standard output of the server.
    pub(super) printed: String,
    pub(super) challenge_ids: Vec<String>,
}

/// A flow under way.
struct Scene {
    place: Place,
    apple: ApnsStandIn,
    google: FcmStandIn,
    server: Server,
    application: Application,
    backend: Backend,
    secrets: Secrets,
    errors: Vec<String>,
    challenge_ids: Vec<String>,
}

impl Flow {
    /// With a log of this format, and `more` of a configuration.
    pub(super) async fn run(format: &str, more: &str) -> Self {
        let mut scene = Scene::start(format, more).await;
        scene.call_with_bad_keys().await;
        let device = scene.enroll().await;
        scene.wake(&device).await;
        scene.wake_through_google(&device).await;
        scene.log_in(&device).await;
        scene.refuse(&device).await;
        Box::pin(scene.use_codes(&device)).await;
        scene.rotate_key(&device).await;
        scene.revoke(&device).await;
        scene.end().await
    }
}

impl Scene {
    async fn start(format: &str, more: &str) -> Self {
        let place = Place::bare();
        let apple = ApnsStandIn::start(&[TOPIC], || SystemClock.now().as_seconds()).await;
        let apple = apple.expect("a port is free");
        let key = apple.signing_key().clone();
        place.write("apns.p8", &key.private_key_pem);
        place.write("apns-ca.pem", apple.ca_pem());
        let url = apple.base_url();
        let google = FcmStandIn::start(|| SystemClock.now().as_seconds()).await.expect("a port is free");
        place.write("fcm.json", google.service_account().to_string());
        place.write("fcm-ca.pem", google.ca_pem());
        let configuration = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\ndata_dir = \"data\"\n\
             [log]\nfilter = \"trace\"\nformat = {format:?}\n{more}\
             [apns]\nprivate_key_file = \"apns.p8\"\nkey_id = {key_id:?}\nteam_id = {team_id:?}\n\
             topics = [{TOPIC:?}]\nproduction_url = {url:?}\nsandbox_url = {url:?}\nca_file = \"apns-ca.pem\"\n\
             [fcm]\nservice_account_file = \"fcm.json\"\nbase_url = {google:?}\nca_file = \"fcm-ca.pem\"\n",
            google = google.base_url(),
            key_id = key.key_id,
            team_id = key.team_id,
        );
        place.write("countersign.toml", configuration);
        let server = place.serve().await;
        let application = Application::create(&place, "Shop").await;
        let backend = application.connect(server.address).await;

        let mut secrets = Secrets::default();
        secrets.add_text("the API key", &application.api_key);
        let (_, secret) = application.api_key.rsplit_once('_').expect("csk_<id>_<secret>");
        secrets.add_text("the API key's secret", secret);
        let master_key = std::fs::read(place.path("data/master.key")).expect("it was made");
        secrets.add_bytes("the master key", &master_key);
        let pem: String = key.private_key_pem.lines().filter(|line| !line.starts_with("---")).collect();
        secrets.add_bytes("the APNs key", &BASE64.decode(pem.as_bytes()).expect("PEM"));
        secrets.add_text("the APNs key's first line", &pem[32..64]);
        let account_key = google.service_account()["private_key"].as_str().expect("PEM");
        let pem: String = account_key.lines().filter(|line| !line.starts_with("---")).collect();
        secrets.add_bytes("the service account's key", &BASE64.decode(pem.as_bytes()).expect("PEM"));
        secrets.add_text("the service account's key's middle", &pem[400..464]);
        for (name, text) in [
            ("the account's name", ACCOUNT_NAME),
            ("the binding message", BINDING_MESSAGE),
            ("the IP address", IP_ADDRESS),
            ("the user agent", USER_AGENT),
            ("the location", LOCATION),
            ("a detail", DETAIL),
            ("the device token", DEVICE_TOKEN),
            ("the registration token", REGISTRATION_TOKEN),
        ] {
            secrets.add_text(name, text);
        }
        let (errors, challenge_ids) = (Vec::new(), Vec::new());
        Self { place, apple, google, server, application, backend, secrets, errors, challenge_ids }
    }

    /// Keeps what a caller was told; it must have been refused.
    fn refused<T: std::fmt::Debug>(&mut self, result: Result<T, impl std::fmt::Debug + ToString>) {
        let error = result.expect_err("it is refused");
        self.errors.push(format!("{error:?} {}", error.to_string()));
    }

    async fn call_with_bad_keys(&mut self) {
        let last = if self.application.api_key.ends_with('a') { "b" } else { "a" };
        let wrong = format!("{}{last}", &self.application.api_key[..self.application.api_key.len() - 1]);
        let unknown = format!("csk_{}_{}", "q".repeat(16), "x7".repeat(16));
        let malformed = "csk_this-is-not-a-key-but-a-password".to_owned();
        for (name, key) in
            [("a wrong key", wrong), ("an unknown key", unknown), ("a mistyped key", malformed)]
        {
            self.secrets.add_text(name, &key);
            let channel = channel(self.server.address).await;
            let refused = soon(Backend::new(channel, &key).create("anna", "attempt-0")).await;
            self.refused(refused);
        }
    }

    /// By a wrong link, with a name that cannot be shown, with wrong confirmation codes, and then rightly.
    async fn enroll(&mut self) -> Device {
        let request = StartEnrollmentRequest {
            user_id: "anna".to_owned(),
            r#type: countersign_proto::common::FactorType::Device.into(),
            account_name: ACCOUNT_NAME.to_owned(),
            authorization: None,
        };
        let started = soon(self.backend.users.clone().start_enrollment(request)).await;
        let started = started.expect("it starts").into_inner();
        let link = started.uri;
        let (_, token) = link.split_once("&t=").expect("a token");
        let token = &token[..32];
        self.secrets.add_text("the link", &link);
        self.secrets.add_text("the enrolment token", token);
        self.secrets.add_text("the QR code", &started.qr_svg[..started.qr_svg.len().min(400)]);

        let state = tempfile::tempdir().expect("a temporary directory");
        let agent = Agent::open(state.path()).expect("an empty directory");
        let mistyped = token.chars().rev().collect::<String>();
        self.secrets.add_text("a mistyped token", &mistyped);
        let refused = soon(agent.inspect(&link.replace(token, &mistyped))).await;
        self.refused(refused);

        let offer = soon(agent.inspect(&link)).await.expect("a good offer");
        let enrolled =
            soon(agent.accept(&offer, "Anna's Pixel", Platform::Android)).await.expect("it is taken");
        self.second_device_is_refused(&link).await;
        let code = enrolled.confirmation_code().expect("the policy asks for one").to_owned();
        self.secrets.add_digits("the confirmation code", &code);
        let enrollment_id = started.enrollment.expect("an enrolment").enrollment_id;
        let wrong = other_digits(&code);
        self.secrets.add_digits("a wrong confirmation code", &wrong);
        for code in [&wrong, &code] {
            soon(self.backend.confirm(&enrollment_id, code)).await.expect("it is looked at");
        }
        let device = Device { account: enrolled.account, state: Arc::new(state), enrollment_id };
        self.secrets.add_bytes("the device's key", &secret_key_of(&device));
        device
    }

    async fn second_device_is_refused(&mut self, link: &str) {
        let state = tempfile::tempdir().expect("a temporary directory");
        let agent = Agent::open(state.path()).expect("an empty directory");
        let offer = soon(agent.inspect(link)).await.expect("it is shown again");
        let refused = soon(agent.accept(&offer, "Somebody's Pixel", Platform::Android)).await.map(|_| ());
        self.refused(refused);
    }

    async fn create(&mut self, attempt_id: &str) -> (String, String) {
        let request = CreateChallengeRequest {
            user_id: "anna".to_owned(),
            attempt_id: attempt_id.to_owned(),
            source: Some(LoginSource {
                ip_address: IP_ADDRESS.to_owned(),
                user_agent: USER_AGENT.to_owned(),
                location: LOCATION.to_owned(),
            }),
            binding_message: BINDING_MESSAGE.to_owned(),
            details: vec![Detail { kind: 0, label: "For".to_owned(), value: DETAIL.to_owned() }],
            match_code_digits: Some(6),
            ..CreateChallengeRequest::default()
        };
        let response = soon(self.backend.login.clone().create_challenge(request)).await;
        let (challenge, match_code) = created(response.expect("it is created").into_inner());
        self.secrets.add_digits("a match code", &match_code);
        self.secrets.add_text("an attempt's id", attempt_id);
        self.challenge_ids.push(challenge.challenge_id.clone());
        (challenge.challenge_id, match_code)
    }

    /// The device is woken, also through a provider that fails in several ways.
    async fn wake(&mut self, device: &Device) {
        let profile = || {
            let apns = push_target::Apns {
                device_token: DEVICE_TOKEN.to_owned(),
                topic: TOPIC.to_owned(),
                sandbox: false,
            };
            let target = PushTarget { target: Some(push_target::Target::Apns(apns)) };
            DeviceProfile { push_target: Some(target), ..DeviceProfile::default() }
        };
        let mut unknown = profile();
        if let Some(push_target::Target::Apns(apns)) =
            unknown.push_target.as_mut().and_then(|target| target.target.as_mut())
        {
            "org.example.other".clone_into(&mut apns.topic);
        }
        let refused = soon(device.account.change_profile(unknown)).await;
        self.refused(refused);
        soon(device.account.change_profile(profile())).await.expect("a good target");

        let failures = [
            Answer::Accept,
            Answer::refuse(403, "InvalidProviderToken"),
            Answer::refuse(400, "PayloadEmpty"),
            Answer::refuse(400, "NeverHeardOf"),
            Answer::Reply { status: 502, headers: Vec::new(), body: b"<html>".to_vec() },
            Answer::Hangup,
            // The last, for afterwards there is nothing to wake.
            Answer::refuse(410, "Unregistered"),
        ];
        for (n, failure) in failures.into_iter().enumerate() {
            self.apple.answer_next(failure);
            let (challenge_id, _) = self.create(&format!("attempt-of-wake-up-{n}")).await;
            let request = soon(self.apple.next_request()).await;
            let token = request.headers["authorization"].to_str().expect("ASCII");
            let token = token.strip_prefix("bearer ").expect("a provider token");
            self.secrets.add_text("a provider token", token);
            let signature = token.rsplit('.').next().expect("three parts");
            self.secrets.add_text("a provider token's signature", signature);
            // Ends what is tried again.
            let challenge = soon(device.account.challenge(&challenge_id)).await.expect("it was asked");
            soon(device.account.deny(&challenge, Denial::Mistake)).await.expect("it counts");
        }
    }

    /// The device is woken through Google, also when that fails in several ways; at last its target is gone.
    async fn wake_through_google(&mut self, device: &Device) {
        let fcm = push_target::Fcm { registration_token: REGISTRATION_TOKEN.to_owned() };
        let target = PushTarget { target: Some(push_target::Target::Fcm(fcm)) };
        let profile = DeviceProfile { push_target: Some(target), ..DeviceProfile::default() };
        soon(device.account.change_profile(profile)).await.expect("a good target");
        for (n, answer) in [
            Answer::Accept,
            Answer::refuse_fcm(403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH"),
            Answer::Hangup,
            Answer::refuse_fcm(404, "NOT_FOUND", "UNREGISTERED"),
        ]
        .into_iter()
        .enumerate()
        {
            self.google.answer_next(answer);
            let (challenge_id, _) = self.create(&format!("attempt-of-google-{n}")).await;
            let request = soon(self.google.next_request()).await;
            let token = request.headers["authorization"].to_str().expect("ASCII");
            self.secrets.add_text("an access token", token.strip_prefix("Bearer ").expect("an access token"));
            // Ends what is tried again.
            let challenge = soon(device.account.challenge(&challenge_id)).await.expect("it was asked");
            soon(device.account.deny(&challenge, Denial::Mistake)).await.expect("it counts");
        }
        let form = soon(self.google.next_token_request()).await.body;
        let (_, assertion) = form.as_str().expect("a form").rsplit_once('=').expect("fields");
        self.secrets.add_text("an assertion", assertion);
        let signature = assertion.rsplit('.').next().expect("three parts");
        self.secrets.add_text("an assertion's signature", signature);
    }

    /// Approved and redeemed; denied; a wrong match code.
    async fn log_in(&mut self, device: &Device) {
        let (id, match_code) = self.create("attempt-that-is-approved").await;
        assert!(soon(device.approve(&id, &match_code)).await.expect("it counts").accepted);
        soon(self.backend.redeem(&id, "anna", "attempt-that-is-approved")).await.expect("approved");
        let refused = soon(self.backend.redeem(&id, "anna", "attempt-of-an-attacker")).await;
        self.secrets.add_text("an attacker's attempt", "attempt-of-an-attacker");
        self.refused(refused);

        let (id, _) = self.create("attempt-that-is-denied").await;
        let challenge = soon(device.account.challenge(&id)).await.expect("it was asked");
        soon(device.account.deny(&challenge, Denial::NotMe)).await.expect("it counts");
        let refused = soon(self.backend.redeem(&id, "anna", "attempt-that-is-denied")).await;
        self.refused(refused);

        let (id, match_code) = self.create("attempt-with-a-wrong-code").await;
        let wrong = other_digits(&match_code);
        self.secrets.add_digits("a wrong match code", &wrong);
        let answer = soon(device.approve(&id, &wrong)).await.expect("it counts");
        assert_eq!(answer.state, ChallengeState::Denied);
    }

    /// What is refused for its form, with secrets in it.
    async fn refuse(&mut self, device: &Device) {
        let (id, match_code) = self.create("attempt-that-stays").await;
        let challenge = soon(device.account.challenge(&id)).await.expect("it was asked");
        let long = format!("{match_code}{match_code}");
        for typed in [&long, "", "six  digits"] {
            let answer = device.account.approve_as_typed(&challenge, typed, UserVerification::None);
            let refused = soon(answer).await;
            self.refused(refused);
        }
        self.secrets.add_text("a match code typed twice", &long);

        let request = CreateChallengeRequest {
            user_id: "anna".to_owned(),
            attempt_id: "attempt-with-a-bad-message".to_owned(),
            binding_message: format!("{BINDING_MESSAGE}\u{7}"),
            source: Some(LoginSource { ip_address: format!("{IP_ADDRESS}x"), ..LoginSource::default() }),
            ..CreateChallengeRequest::default()
        };
        let refused = soon(self.backend.login.clone().create_challenge(request)).await;
        self.refused(refused);
    }

    async fn rotate_key(&mut self, device: &Device) {
        soon(device.account.rotate_key()).await.expect("it is taken");
        self.secrets.add_bytes("the device's next key", &secret_key_of(device));
    }

    async fn revoke(&mut self, device: &Device) {
        let device_id = device.account.device_id();
        soon(self.backend.revoke("anna", device_id)).await.expect("it is hers");
        let refused = soon(device.account.refresh()).await;
        self.refused(refused);
        let refused = soon(device.account.challenge(&self.challenge_ids[0].clone())).await.map(|_| ());
        self.refused(refused);
        let refused = soon(self.backend.revoke("anna", "dev_nonsense")).await;
        self.refused(refused);
    }

    async fn end(self) -> Flow {
        let Self { server, secrets, errors, challenge_ids, place, .. } = self;
        let ended = server.stop().await;
        drop(place);
        Flow { secrets, log: ended.stderr, errors, printed: ended.stdout, challenge_ids }
    }
}

/// As many digits, each another one.
fn other_digits(digits: &str) -> String {
    digits.chars().map(|digit| if digit == '9' { '0' } else { char::from(digit as u8 + 1) }).collect()
}

/// The 32 secret bytes that lie in the device's state.
fn secret_key_of(device: &Device) -> Vec<u8> {
    secret_at(device, "/secret_key")
}

/// The bytes that stand there in the device's state.
pub(super) fn secret_at(device: &Device, pointer: &str) -> Vec<u8> {
    for entry in std::fs::read_dir(device.state.path()).expect("the state directory") {
        let content = std::fs::read_to_string(entry.expect("an entry").path()).map_err(told);
        let record: Option<Value> = content.ok().and_then(|content| serde_json::from_str(&content).ok());
        if let Some(secret) = record.as_ref().and_then(|record| record.pointer(pointer)?.as_str()) {
            return BASE64URL_NOPAD.decode(secret.as_bytes()).expect("base64url");
        }
    }
    panic!("the device has no {pointer}")
}
