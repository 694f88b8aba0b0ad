//! `countersign push test`, beside a server, against the stand-ins.

use countersign::clock::{Clock as _, SystemClock};
use countersign_fakes::{
    apns::{Answer, ApnsStandIn, ConnectionFault},
    fcm::FcmStandIn,
};
use countersign_proto::statement::push_target::{Apns, Fcm};
use countersign_proto::statement::{DeviceProfile, PushTarget, push_target::Target};

use crate::{
    people::{Application, Device},
    program::{Ended, Place, Server, soon},
};

pub(crate) const TOPIC: &str = "org.example.login";
pub(crate) const DEVICE_TOKEN: &str = "00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0";
pub(crate) const REGISTRATION_TOKEN: &str = "eK3pWq9xT0-aB7_dZmLs1R:APA91bHx2Vt6QyR0cNfJ8uLkEwGz4oXiS5dMbP7aTqYhC3nU9vKjWrF1\
    sDgZlXeOpI8mBtHyQuVa6NcRkLwJfSzE2xGoT5iPdMbY";

/// An installation with both providers and one device.
struct Scene {
    place: Place,
    apple: ApnsStandIn,
    google: FcmStandIn,
    server: Server,
    application: Application,
    device: Device,
}

impl Scene {
    async fn start() -> Self {
        let now = || SystemClock.now().as_seconds();
        let apple = ApnsStandIn::start(&[TOPIC], now).await.expect("a port is free");
        let google = FcmStandIn::start(now).await.expect("a port is free");
        let place = configured(&apple, &google);
        let server = place.serve().await;
        let application = Application::create(&place, "Shop").await;
        let backend = application.connect(server.address).await;
        let device = backend.enroll("anna").await.expect("it is enrolled");
        Self { place, apple, google, server, application, device }
    }

    async fn tell(&self, target: Option<Target>) {
        let profile = DeviceProfile { push_target: Some(PushTarget { target }), ..DeviceProfile::default() };
        soon(self.device.account.change_profile(profile)).await.expect("a good target");
    }

    async fn tell_fcm(&self) {
        let registration_token = REGISTRATION_TOKEN.to_owned();
        self.tell(Some(Target::Fcm(Fcm { registration_token }))).await;
    }

    async fn tell_apns(&self) {
        let (device_token, topic) = (DEVICE_TOKEN.to_owned(), TOPIC.to_owned());
        self.tell(Some(Target::Apns(Apns { device_token, topic, sandbox: false }))).await;
    }

    fn device_id(&self) -> String {
        self.device.account.device_id().to_owned()
    }

    async fn test(&self) -> Ended {
        self.place.run_configured(&["push", "test", &self.device_id()]).await
    }

    /// Answer and advice of a test that the provider did not take.
    async fn not_taken(&self) -> (String, String) {
        let ended = self.test().await;
        assert_eq!((ended.status.code(), ended.stderr.as_str()), (Some(1), ""), "{ended:?}");
        for secret in [REGISTRATION_TOKEN, DEVICE_TOKEN, "ya29.", "PRIVATE KEY"] {
            assert!(!ended.stdout.contains(secret), "{ended:?}");
        }
        let (told, advice) = ended.stdout.trim_end().rsplit_once('\n').expect("lines");
        let answer = told.lines().find_map(|line| line.strip_prefix("answer    ")).expect("an answer");
        (answer.to_owned(), advice.to_owned())
    }
}

/// A place whose server wakes devices through both.
pub(crate) fn configured(apple: &ApnsStandIn, google: &FcmStandIn) -> Place {
    let place = Place::new(&sections(apple, google));
    place.write("apns.p8", &apple.signing_key().private_key_pem);
    place.write("fcm.json", google.service_account().to_string());
    place.write("ca.pem", format!("{}{}", apple.ca_pem(), google.ca_pem()));
    place
}

fn sections(apple: &ApnsStandIn, google: &FcmStandIn) -> String {
    let key = apple.signing_key();
    format!(
        "[apns]\nprivate_key_file = \"apns.p8\"\nkey_id = {:?}\nteam_id = {:?}\ntopics = [{TOPIC:?}]\n\
         production_url = {url:?}\nsandbox_url = {url:?}\nca_file = \"ca.pem\"\n\
         [fcm]\nservice_account_file = \"fcm.json\"\nbase_url = {google:?}\nca_file = \"ca.pem\"\n",
        key.key_id,
        key.team_id,
        url = apple.base_url(),
        google = google.base_url(),
    )
}

#[tokio::test]
async fn a_push_that_is_taken_is_told_with_what_to_look_at_if_nothing_shows() {
    let scene = Scene::start().await;
    scene.tell_fcm().await;
    let printed = scene.test().await.succeeded();
    let device_id = scene.device_id();
    assert!(printed.starts_with(&format!("device    {device_id} (")), "{printed}");
    assert!(printed.contains("of user \"anna\")\nprovider  FCM\nanswer    accepted\n"), "{printed}");
    assert!(printed.contains("notification settings"), "{printed}");
    let push = soon(scene.google.next_request()).await;
    assert_eq!((push.device_token.as_str(), push.status), (REGISTRATION_TOKEN, Some(200)));
    let data = &push.body["message"]["data"];
    assert_eq!(data["d"], device_id);
    assert!(data["c"].as_str().is_some_and(|id| id.starts_with("chl_")), "{data}");

    scene.tell_apns().await;
    let printed = scene.test().await.succeeded();
    assert!(printed.contains("provider  APNs\nanswer    accepted\n"), "{printed}");
    let push = soon(scene.apple.next_request()).await;
    assert_eq!((push.device_token.as_str(), push.status), (DEVICE_TOKEN, Some(200)));
    assert_eq!(push.body["countersign"]["d"], device_id);
}

#[tokio::test]
async fn what_google_answers_is_told_with_what_to_do_about_it() {
    let scene = Scene::start().await;
    scene.tell_fcm().await;
    for (http_status, status, code, answer, advice) in [
        (404, "NOT_FOUND", "UNREGISTERED", "gone: 404 UNREGISTERED", "app was removed"),
        (
            403,
            "PERMISSION_DENIED",
            "SENDER_ID_MISMATCH",
            "wrong settings: 403 SENDER_ID_MISMATCH",
            "another Firebase project",
        ),
        (
            401,
            "UNAUTHENTICATED",
            "THIRD_PARTY_AUTH_ERROR",
            "wrong settings: 401 THIRD_PARTY_AUTH_ERROR",
            "APNs token instead",
        ),
        (403, "PERMISSION_DENIED", "PERMISSION_DENIED", "wrong settings: 403 PERMISSION_DENIED", "the role"),
        (404, "NOT_FOUND", "NOT_FOUND", "wrong settings: 404 NOT_FOUND", "project_id"),
        (400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "refused: 400 INVALID_ARGUMENT", "report it"),
        (503, "UNAVAILABLE", "UNAVAILABLE", "not now: 503 UNAVAILABLE", "passes by itself"),
        (
            429,
            "RESOURCE_EXHAUSTED",
            "QUOTA_EXCEEDED",
            "not now: 429 QUOTA_EXCEEDED (to be asked again in 60 s)",
            "fewer pushes",
        ),
    ] {
        scene.google.answer_next(Answer::refuse_fcm(http_status, status, code));
        let told = scene.not_taken().await;
        assert_eq!(told.0, answer);
        assert!(told.1.contains(advice), "{told:?}");
    }
    // A test takes nothing away: the target is still there.
    assert!(scene.test().await.succeeded().contains("answer    accepted"));
}

#[tokio::test]
async fn a_revoked_key_and_a_connection_that_breaks_are_told_with_what_to_do_about_them() {
    let scene = Scene::start().await;
    scene.tell_fcm().await;
    scene.google.answer_token(Answer::refuse_token(400, "invalid_grant", "Invalid JWT Signature."));
    let (answer, advice) = scene.not_taken().await;
    assert!(answer.ends_with("400 invalid_grant (the service account's key was revoked)"), "{answer}");
    assert!(advice.contains("Make a new one"), "{advice}");
    scene.google.answer_next(Answer::Hangup);
    let (answer, advice) = scene.not_taken().await;
    assert!(answer.starts_with("not now: the connection to FCM failed"), "{answer}");
    assert!(advice.contains("firewall"), "{advice}");

    scene.tell_apns().await;
    scene.apple.fail_next_connection(ConnectionFault::GoingAway);
    assert!(scene.test().await.succeeded().contains("answer    accepted"));
    scene.apple.answer_next(Answer::refuse(403, "InvalidProviderToken"));
    let (answer, advice) = scene.not_taken().await;
    assert_eq!(answer, "wrong settings: 403 InvalidProviderToken");
    assert!(advice.contains("do not belong together"), "{advice}");
    scene.apple.answer_next(Answer::refuse(400, "BadDeviceToken"));
    assert!(scene.not_taken().await.1.contains("sandbox"));
    // The authority of nobody.
    scene.place.write("ca.pem", scene.google.ca_pem());
    let (answer, advice) = scene.not_taken().await;
    assert!(answer.contains("certificate") && advice.contains("ca_file"), "{answer} {advice}");
}

#[tokio::test]
async fn without_a_device_or_a_target_nothing_is_sent_and_the_reason_told() {
    let scene = Scene::start().await;
    let test = async |device: &str| scene.place.run_configured(&["push", "test", device]).await.failed();
    assert!(test("anna").await.starts_with("\"anna\" is no device's id"));
    let other = scene.device_id().replace("dev_", "dev_0");
    assert!(test(&other).await.contains("is no device's id"));
    let nobody = "dev_01234567-89ab-8def-8123-456789abcdef";
    assert_eq!(
        test(nobody).await,
        format!("there is no device {nobody}; `countersign user show` has those of a user")
    );
    let id = scene.device_id();
    assert!(test(&id).await.starts_with(&format!("the device {id} has told no push target")));

    scene.tell_fcm().await;
    scene.place.write("countersign.toml", "[server]\ndata_dir = \"data\"\n");
    assert!(test(&id).await.contains("[fcm] is not configured"));
    scene.place.write(
        "countersign.toml",
        format!(
            "[server]\nlisten = \"127.0.0.1:0\"\ndata_dir = \"data\"\n{}",
            sections(&scene.apple, &scene.google)
        ),
    );
    let backend = scene.application.connect(scene.server.address).await;
    soon(backend.revoke("anna", &id)).await.expect("it is the user's");
    assert_eq!(test(&id).await, format!("the device {id} was revoked: it is woken no more"));
    assert_eq!((scene.apple.connections(), scene.google.connections()), (0, 0));
}
