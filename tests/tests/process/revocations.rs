//! What the command line revokes while somebody waits or streams with it, at servers that are other processes.

use std::time::{Duration, Instant};

use countersign_agent::Subscription;
use countersign_proto::{
    common::{ChallengeState, ErrorReason},
    login::{
        AwaitEnrollmentRequest, CancelChallengeRequest, Challenge, EnrollmentState, GetApplicationRequest,
        WatchChallengeRequest, WatchChallengeResponse,
    },
};
use countersign_test_peers::redis_or_skip;
use serde_json::Value;
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt as _;

use crate::{
    people::{Application, Backend},
    program::{Place, Server, soon},
    servers::Two,
};

/// Long before any stream tells that it is alive (25 s) and any call that waits has its answer.
const BEFORE_ANY_SIGN_OF_LIFE: Duration = Duration::from_secs(10);

struct Changes(Streaming<WatchChallengeResponse>);

impl Changes {
    async fn of(backend: &Backend, challenge: &Challenge) -> Self {
        let request = WatchChallengeRequest { challenge_id: challenge.challenge_id.clone() };
        let changes = soon(backend.login.clone().watch_challenge(request)).await.expect("its own");
        let mut changes = Self(changes.into_inner());
        let first = changes.next().await.expect("no refusal").expect("the challenge now");
        assert_eq!(first.state(), ChallengeState::Pending);
        changes
    }

    async fn next(&mut self) -> Result<Option<Challenge>, Status> {
        Ok(soon(self.0.message()).await?.map(|change| change.challenge.expect("a challenge")))
    }
}

/// Another key of the application, by the command line.
async fn another_key(place: &Place, application: &Application) -> Application {
    let printed = place.run_configured(&["app", "key", "add", "Shop", "--json"]).await.succeeded();
    let printed: Value = serde_json::from_str(&printed).expect("JSON");
    Application { api_key: printed["api_key"].as_str().expect("a text").to_owned(), ..application.clone() }
}

fn is_refused<T: std::fmt::Debug>(told: Result<T, Status>) {
    let refusal = told.expect_err("the key was revoked");
    let reason = refusal.get_error_details().error_info().map(|info| info.reason.clone());
    assert_eq!(
        (refusal.code(), reason.as_deref()),
        (Code::Unauthenticated, Some("CREDENTIAL_INVALID")),
        "{refusal:?}"
    );
}

/// What becomes of all of these calls, which wait at the same time.
async fn all_at_once<T: Send + 'static>(calls: Vec<impl Future<Output = T> + Send + 'static>) -> Vec<T> {
    let tasks: Vec<_> = calls.into_iter().map(tokio::spawn).collect();
    let mut told = Vec::new();
    for task in tasks {
        told.push(soon(task).await.expect("it does not panic"));
    }
    told
}

async fn who_waits_with_a_revoked_key_is_told_nothing_more(
    place: &Place,
    servers: &[Server],
    application: Application,
) {
    let with_new_key = another_key(place, &application).await;
    let mut old = Vec::new();
    for server in servers {
        old.push(application.connect(server.address).await);
    }
    let new = with_new_key.connect(servers[0].address).await;
    new.enroll("anna").await.expect("it is enrolled");
    new.enroll("bob").await.expect("it is enrolled");
    let (cancelled, _) = new.create("anna", "attempt-1").await.expect("it is created");
    let (pending, _) = new.create("bob", "attempt-1").await.expect("it is created");
    let enrollment = new.start_enrollment("carol").await.expect("it is begun").enrollment.expect("it");

    let (mut told, mut silent, mut waiting, mut enrolling) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for backend in &old {
        told.push(Changes::of(backend, &cancelled).await);
        silent.push(Changes::of(backend, &pending).await);
        for challenge in [&cancelled, &pending] {
            let (backend, id) = (backend.clone(), challenge.challenge_id.clone());
            waiting.push(async move { backend.wait_for(&id, 60).await });
        }
        let request = AwaitEnrollmentRequest {
            enrollment_id: enrollment.enrollment_id.clone(),
            known_state: EnrollmentState::Pending.into(),
            wait: Some(Duration::from_mins(1).into()),
        };
        let mut users = backend.users.clone();
        enrolling.push(async move { users.await_enrollment(request).await });
    }
    let mut of_new_key = Changes::of(&new, &cancelled).await;
    let revoke = async {
        for backend in &old {
            // On the same connection, so that it comes to the server after those that wait.
            let call = GetApplicationRequest {};
            soon(backend.login.clone().get_application(call)).await.expect("it is in force");
        }
        let key = application.api_key.as_str();
        place.run_configured(&["app", "key", "revoke", "Shop", key]).await.succeeded();
        let revoked_at = Instant::now();
        let cancel = CancelChallengeRequest { challenge_id: cancelled.challenge_id.clone() };
        soon(new.login.clone().cancel_challenge(cancel)).await.expect("the new key is in force");
        revoked_at
    };
    let (waited, enrolled, revoked_at) = tokio::join!(all_at_once(waiting), all_at_once(enrolling), revoke);
    for changes in told.iter_mut().chain(&mut silent) {
        is_refused(changes.next().await);
        assert_eq!(changes.next().await.expect("it is over"), None);
    }
    waited.into_iter().for_each(is_refused);
    enrolled.into_iter().for_each(is_refused);
    let after = revoked_at.elapsed();
    assert!(after < BEFORE_ANY_SIGN_OF_LIFE, "{after:?}");
    let change = of_new_key.next().await.expect("its key is in force").expect("a change");
    assert_eq!(change.state(), ChallengeState::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_with_a_revoked_key_beside_an_embedded_server_is_told_nothing_more() {
    let place = Place::new("");
    let server = place.serve().await;
    let application = Application::create(&place, "Shop").await;
    let servers = [server];
    who_waits_with_a_revoked_key_is_told_nothing_more(&place, &servers, application).await;
    for server in servers {
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_with_a_revoked_key_is_told_nothing_more_by_any_of_the_servers_on_redis() {
    if !redis_or_skip() {
        return;
    }
    let Two { redis: _redis, place, servers, application, .. } = Two::start().await;
    who_waits_with_a_revoked_key_is_told_nothing_more(&place, &servers, application).await;
    for server in servers {
        server.stop().await;
    }
}

/// The stream ends with the refusal that the contract has for it, and tells nothing before.
async fn is_over(stream: &mut Subscription, revoked_at: Instant) {
    let refusal = soon(stream.next()).await.expect_err("the device was revoked");
    assert!(refusal.is_refused(ErrorReason::CredentialInvalid), "{refusal}");
    let after = revoked_at.elapsed();
    assert!(after < BEFORE_ANY_SIGN_OF_LIFE, "{after:?}");
}

#[tokio::test]
async fn a_device_that_the_command_line_revokes_beside_an_embedded_server_hears_no_more() {
    let place = Place::new("");
    let server = place.serve().await;
    let backend = Application::create(&place, "Shop").await.connect(server.address).await;
    let lost = backend.enroll("anna").await.expect("it is enrolled");
    let mut silent = soon(lost.account.subscribe()).await.expect("it is its device");
    let id = lost.account.device_id();
    place.run_configured(&["user", "revoke", "Shop", "anna", id]).await.succeeded();
    is_over(&mut silent, Instant::now()).await;
    server.stop().await;
}

#[tokio::test]
async fn a_device_that_the_command_line_revokes_beside_servers_on_redis_hears_no_more_of_either() {
    if !redis_or_skip() {
        return;
    }
    let Two { redis: _redis, place, servers, application: _, backends: [a, b] } = Two::start().await;
    // With the servers' configuration, and without it, when the challenges are out of the command's reach.
    for (backend, user, reaches_redis) in [(a, "anna", true), (b, "bob", false)] {
        let lost = backend.enroll(user).await.expect("it is enrolled");
        let mut silent = soon(lost.account.subscribe()).await.expect("it is its device");
        let revoke = ["user", "revoke", "Shop", user, lost.account.device_id()];
        if reaches_redis {
            place.run_configured(&revoke).await.succeeded();
        } else {
            let revoked = place.run(&[&revoke[..], &["--data-dir", "data"]].concat()).await;
            assert_eq!(revoked.status.code(), Some(1), "not in force yet: {revoked:?}");
        }
        is_over(&mut silent, Instant::now()).await;
    }
    for server in servers {
        server.stop().await;
    }
}
