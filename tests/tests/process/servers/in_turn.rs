//! Two processes behind what spreads calls over them: of any two successive calls each goes to the other process.
//! (The end-to-end tests on Redis do so throughout, but with two servers in one process, whose clock they move.)

use countersign_agent::{Account, Agent, Answer, Denial, Error, Platform};
use countersign_domain::totp::{Algorithm, Parameters};
use countersign_proto::{
    common::{ChallengeState, DenialReason, FactorType},
    login::{CancelChallengeRequest, CodeResult, EnrollmentState, WatchChallengeRequest},
};
use countersign_test_peers::{Front, RedisServer, redis_or_skip};
use data_encoding::BASE32_NOPAD;
use tempfile::TempDir;
use tonic::transport::Endpoint;

use crate::{
    people::{Application, Backend, Device, told},
    program::{Place, Server, soon},
};

/// The processes and their only way in.
struct InTurn {
    _redis: RedisServer,
    place: Place,
    front: Front,
    servers: [Server; 2],
    backend: Backend,
}

impl InTurn {
    async fn start() -> Self {
        let redis = RedisServer::start().await.expect("it starts");
        let front = Front::start().await;
        let place = Place::bare();
        let configuration = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\ndata_dir = \"data\"\npublic_url = {:?}\n[redis]\nurl = {:?}\n",
            front.origin(),
            redis.url()
        );
        place.write("countersign.toml", configuration);
        let servers = [place.serve().await, place.serve().await];
        let endpoint = |server: &Server| {
            Endpoint::from_shared(format!("http://{}", server.address)).expect("an address")
        };
        front.lead_to(servers.iter().map(endpoint));
        let application = Application::create(&place, "Shop").await;
        let channel = Endpoint::from_shared(front.origin()).expect("an address");
        let channel = soon(channel.connect()).await.expect("it listens");
        let backend = Backend::new(channel, &application.api_key);
        Self { _redis: redis, place, front, servers, backend }
    }

    /// Ends both; each must have had its half of the calls.
    async fn end(self) {
        let calls = self.front.calls();
        assert!(calls[0].abs_diff(calls[1]) <= 1 && calls[0] > 4, "{calls:?}");
        for server in self.servers {
            server.stop().await;
        }
    }
}

async fn deny(device: &Device, challenge_id: &str, reason: Denial) -> Answer {
    let challenge = soon(device.account.challenge(challenge_id)).await.expect("it was asked");
    soon(device.account.deny(&challenge, reason)).await.expect("it counts")
}

/// As many digits, each another one.
fn other_digits(code: &str) -> String {
    code.bytes().map(|digit| char::from(b'0' + (digit - b'0' + 1) % 10)).collect()
}

#[tokio::test]
async fn each_way_in_and_out_of_a_challenge() {
    if !redis_or_skip() {
        return;
    }
    let world = InTurn::start().await;
    let backend = &world.backend;
    let device = backend.enroll("anna").await.expect("it is enrolled");

    let (challenge, match_code) = backend.create("anna", "approved").await.expect("it is created");
    let again = backend.create("anna", "approved").await.expect("the same attempt");
    assert_eq!((&again.0.challenge_id, &again.1), (&challenge.challenge_id, &match_code));
    let id = challenge.challenge_id;
    let answer = soon(device.approve(&id, &match_code)).await.expect("it counts");
    assert!(answer.accepted);
    let first = backend.redeem(&id, "anna", "approved").await.expect("approved");
    assert_eq!(backend.redeem(&id, "anna", "approved").await.expect("as often as asked"), first);
    // Whoever comes later is told what won, wherever he asks.
    for _ in 0..2 {
        let late = deny(&device, &id, Denial::Mistake).await;
        assert_eq!((late.accepted, late.state), (false, ChallengeState::Approved));
    }

    let (challenge, match_code) = backend.create("anna", "mistyped").await.expect("it is created");
    let wrong = soon(device.approve(&challenge.challenge_id, &other_digits(&match_code))).await;
    assert_eq!(wrong.expect("it counts").state, ChallengeState::Denied);
    let seen = backend.state(&challenge.challenge_id).await;
    assert_eq!(seen.denial_reason(), DenialReason::WrongMatchCode);

    let (older, _) = backend.create("anna", "older").await.expect("it is created");
    let (newer, _) = backend.create("anna", "newer").await.expect("it is created");
    assert_eq!(backend.state(&older.challenge_id).await.state(), ChallengeState::Superseded);
    let cancel = CancelChallengeRequest { challenge_id: newer.challenge_id.clone() };
    soon(backend.login.clone().cancel_challenge(cancel)).await.expect("it was pending");
    assert_eq!(backend.state(&newer.challenge_id).await.state(), ChallengeState::Cancelled);
    assert_eq!(soon(device.account.pending()).await.expect("none").len(), 0);

    // A stream at one process, the answer at the other.
    let (challenge, _) = backend.create("anna", "watched").await.expect("it is created");
    let watch = WatchChallengeRequest { challenge_id: challenge.challenge_id.clone() };
    let mut changes =
        soon(backend.login.clone().watch_challenge(watch)).await.expect("it is theirs").into_inner();
    let mut next = async || soon(changes.message()).await.expect("it goes on")?.challenge;
    assert_eq!(next().await.expect("the challenge").state(), ChallengeState::Pending);
    let answer = deny(&device, &challenge.challenge_id, Denial::NotMe).await;
    assert!(answer.accepted);
    while let Some(challenge) = next().await {
        assert!([ChallengeState::Pending, ChallengeState::Denied].contains(&challenge.state()));
    }
    let blocked = backend.user("anna").await;
    assert!(blocked.push_blocked_at.is_some(), "{blocked:?}");
    backend.unlock("anna").await;
    assert_eq!(backend.user("anna").await.push_blocked_at, None);
    world.end().await;
}

#[tokio::test]
async fn each_code() {
    if !redis_or_skip() {
        return;
    }
    let world = InTurn::start().await;
    let backend = &world.backend;
    let device = backend.enroll("anna").await.expect("it is enrolled");

    let authorization = backend.authorization("anna", "a sheet", &device).await;
    let issued = backend.issue("anna", Some(authorization.clone())).await.expect("it is issued");
    // One approval, one factor, whoever is asked.
    for _ in 0..2 {
        assert!(backend.issue("anna", Some(authorization.clone())).await.is_err());
    }
    let (challenge, _) = backend.create("anna", "on paper").await.expect("it is created");
    for _ in 0..2 {
        let (result, _) =
            backend.verify(&challenge.challenge_id, &issued.recovery_code).await.expect("an answer");
        assert_eq!(result, CodeResult::Accepted);
    }
    backend.redeem(&challenge.challenge_id, "anna", "on paper").await.expect("approved");

    let (challenge, _) = backend.create("anna", "no network").await.expect("it is created");
    let id = challenge.challenge_id;
    let wrong = other_digits(device.account.code().expect("it has codes").reveal());
    let (result, seen) = backend.verify(&id, &wrong).await.expect("an answer");
    assert_eq!((result, seen.code_tries_left), (CodeResult::Wrong, 4));
    let code = device.account.code().expect("it has codes");
    for _ in 0..2 {
        let (result, _) = backend.verify(&id, code.reveal()).await.expect("an answer");
        assert_eq!(result, CodeResult::Accepted);
    }
    backend.redeem(&id, "anna", "no network").await.expect("approved");
    let (challenge, _) = backend.create("anna", "a code of before").await.expect("it is created");
    let id = challenge.challenge_id;
    for _ in 0..2 {
        let (result, _) = backend.verify(&id, code.reveal()).await.expect("an answer");
        assert_eq!(result, CodeResult::AlreadyUsed);
        let (result, _) = backend.verify(&id, &issued.recovery_code).await.expect("an answer");
        assert!([CodeResult::AlreadyUsed, CodeResult::Wrong].contains(&result), "{result:?}");
    }

    // The tries of both processes are one count.
    let (challenge, _) = backend.create("anna", "guessed").await.expect("it is created");
    let id = challenge.challenge_id;
    let mut tries = Vec::new();
    for _ in 0..5 {
        tries.push(backend.verify(&id, &wrong).await.expect("an answer").1);
    }
    let left: Vec<_> = tries.iter().map(|seen| seen.code_tries_left).collect();
    assert_eq!(left, [4, 3, 2, 1, 0]);
    let seen = backend.state(&id).await;
    assert_eq!((seen.state(), seen.denial_reason()), (ChallengeState::Denied, DenialReason::TooManyCodes));
    world.end().await;
}

#[tokio::test]
async fn each_change_of_a_factor() {
    if !redis_or_skip() {
        return;
    }
    let world = InTurn::start().await;
    let backend = &world.backend;
    let device = backend.enroll("anna").await.expect("it is enrolled");

    // An authenticator app, and one more device, each by an approval.
    let authorization = backend.authorization("anna", "an app", &device).await;
    let started =
        backend.start_another("anna", FactorType::Totp, Some(authorization)).await.expect("it starts");
    let secret = BASE32_NOPAD.decode(started.setup_key.replace(' ', "").as_bytes()).expect("base32");
    let app = Parameters { algorithm: Algorithm::Sha1, digits: 6, period_seconds: 30 };
    let now = countersign::clock::Clock::now(&countersign::clock::SystemClock);
    let code = app.code_of_step(&secret, app.step_at(now));
    let enrollment_id = started.enrollment.expect("an enrolment").enrollment_id;
    let confirmed = backend.confirm(&enrollment_id, &code).await.expect("an answer");
    assert_eq!(confirmed.state(), EnrollmentState::Completed);

    let authorization = backend.authorization("anna", "a tablet", &device).await;
    let started =
        backend.start_another("anna", FactorType::Device, Some(authorization)).await.expect("it starts");
    let state = tempfile::tempdir().expect("a temporary directory");
    let tablet =
        enroll_by(backend, &state, &started.uri, started.enrollment.expect("one").enrollment_id).await;
    assert_eq!(backend.user("anna").await.factors.len(), 3);

    // A new key, and the challenge that was asked of the old one.
    let (challenge, match_code) = backend.create("anna", "across").await.expect("it is created");
    soon(device.account.rotate_key()).await.expect("it is taken");
    let answer = soon(device.approve(&challenge.challenge_id, &match_code)).await.expect("it counts");
    assert!(answer.accepted);
    backend.redeem(&challenge.challenge_id, "anna", "across").await.expect("approved");

    // Gone by its own wish, and by the backend's.
    let (challenge, match_code) = backend.create("anna", "gone").await.expect("it is created");
    let id = challenge.challenge_id;
    soon(tablet.unenroll()).await.expect("it says goodbye");
    backend.revoke("anna", device.account.device_id()).await.expect("it is hers");
    for _ in 0..2 {
        let refused = soon(device.approve(&id, &match_code)).await.expect_err("it was revoked");
        assert!(matches!(refused, Error::ChallengeNotFound(_)), "{refused:?}");
    }
    assert_eq!(backend.user("anna").await.factors.len(), 1);
    let permitted = world.place.run_configured(&["user", "allow-enrollment", "Shop", "anna"]).await;
    permitted.succeeded();
    backend.enroll("anna").await.expect("the operator permits it");
    world.end().await;
}

/// Takes the link on a device of its own, and confirms it.
async fn enroll_by(backend: &Backend, state: &TempDir, link: &str, enrollment_id: String) -> Account {
    let agent = Agent::open(state.path()).expect("an empty directory");
    let offer = soon(agent.inspect(link)).await.map_err(told).expect("a good offer");
    let enrolled = soon(agent.accept(&offer, "Anna's tablet", Platform::Android)).await.expect("it is taken");
    let code = enrolled.confirmation_code().expect("the policy asks for one").to_owned();
    backend.confirm(&enrollment_id, &code).await.expect("the right code");
    enrolled.account
}
