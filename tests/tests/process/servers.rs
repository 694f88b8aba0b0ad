//! Several servers on one data directory, with challenges in Redis.

mod in_turn;

use std::time::{Duration, Instant};

use countersign_proto::{
    common::ChallengeState,
    login::{Challenge, GetApplicationRequest},
};
use countersign_test_peers::{RedisServer, redis_or_skip};

use countersign::store::sqlite::DataDirectory;

use crate::{
    people::{Application, Backend},
    program::{Place, Server, soon},
};

/// A waiter that nobody wakes reads again after 10 s at the soonest.
const BEFORE_ANY_POLL: Duration = Duration::from_secs(8);

/// Two servers, and a backend's connection to each.
pub(crate) struct Two {
    pub(crate) redis: RedisServer,
    pub(crate) place: Place,
    pub(crate) servers: [Server; 2],
    pub(crate) application: Application,
    pub(crate) backends: [Backend; 2],
}

impl Two {
    pub(crate) async fn start() -> Self {
        let redis = RedisServer::start().await.expect("it starts");
        let place = Place::new(&format!("[redis]\nurl = {:?}\n", redis.url()));
        let application = Application::create(&place, "Shop").await;
        let servers = [place.serve().await, place.serve().await];
        let backends =
            [application.connect(servers[0].address).await, application.connect(servers[1].address).await];
        Self { redis, place, servers, application, backends }
    }
}

/// Waits for a challenge at one server, does something else once that server has the call, and tells when the wait
/// was over.
async fn meanwhile<A>(
    waiting: &Backend,
    challenge_id: &str,
    act: impl Future<Output = A>,
) -> (Challenge, Instant, A) {
    let wait = async { (waiting.wait_for(challenge_id, 25).await, Instant::now()) };
    let act = async {
        // On the same connection, so that it comes to the server after the one that waits.
        let request = GetApplicationRequest {};
        waiting.login.clone().get_application(request).await.expect("it is served");
        act.await
    };
    let ((told, told_at), done) = Box::pin(soon(async { tokio::join!(wait, act) })).await;
    (told.expect("it is told"), told_at, done)
}

#[tokio::test]
async fn the_calls_of_one_login_may_go_to_different_servers() {
    if !redis_or_skip() {
        return;
    }
    let Two { redis: _redis, place: _place, servers, backends: [a, b], .. } = Two::start().await;
    assert_eq!(servers[0].id, servers[1].id);
    let device = a.enroll("anna").await.expect("it is enrolled");
    let (challenge, match_code) = a.create("anna", "attempt-1").await.expect("it is created");
    let id = challenge.challenge_id.as_str();
    let answer = async {
        let answer = device.approve(id, &match_code).await.expect("it counts");
        (answer, Instant::now())
    };
    let (told, told_at, (answer, answered_at)) = meanwhile(&b, id, answer).await;
    assert!(answer.accepted);
    assert_eq!(told.state(), ChallengeState::Approved);
    assert!(told_at.saturating_duration_since(answered_at) < BEFORE_ANY_POLL, "it was not woken");
    let redeemed = b.redeem(id, "anna", "attempt-1").await.expect("approved");
    assert_eq!(a.redeem(id, "anna", "attempt-1").await.expect("as often as asked"), redeemed);
    for server in servers {
        server.stop().await;
    }
}

#[tokio::test]
async fn when_one_is_killed_in_the_middle_of_a_login_the_other_goes_on() {
    if !redis_or_skip() {
        return;
    }
    let Two { redis: _redis, place, servers: [first, second], application, backends: [a, b] } =
        Two::start().await;
    let device = b.enroll("anna").await.expect("it is enrolled");
    let (challenge, match_code) = a.create("anna", "attempt-1").await.expect("it is created");
    let id = challenge.challenge_id.as_str();
    let answer = async {
        first.signal("KILL").await;
        device.approve(id, &match_code).await.expect("it counts")
    };
    let (told, _, answer) = meanwhile(&b, id, answer).await;
    assert!(answer.accepted);
    assert_eq!(told.state(), ChallengeState::Approved);
    assert_eq!(first.ended().await.status.code(), None, "it did not die of the signal");
    let redeemed = b.redeem(id, "anna", "attempt-1").await.expect("approved");

    let again = place.serve().await;
    let a = application.connect(again.address).await;
    assert_eq!(a.redeem(id, "anna", "attempt-1").await.expect("as often as asked"), redeemed);
    let (challenge, match_code) = a.create("anna", "attempt-2").await.expect("it is created");
    device.approve(&challenge.challenge_id, &match_code).await.expect("it counts");
    b.redeem(&challenge.challenge_id, "anna", "attempt-2").await.expect("approved");
    again.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn a_restart_of_everything_loses_nothing() {
    if !redis_or_skip() {
        return;
    }
    let Two { redis, place, servers, application, backends: [a, b] } = Two::start().await;
    let device = a.enroll("anna").await.expect("it is enrolled");
    let bobs = b.enroll("bob").await.expect("it is enrolled");
    let (pending, match_code) = b.create("anna", "pending").await.expect("it is created");
    let (approved, bobs_code) = a.create("bob", "approved").await.expect("it is created");
    bobs.approve(&approved.challenge_id, &bobs_code).await.expect("it counts");
    let address = servers[0].address;
    for server in servers {
        server.stop().await;
    }
    redis.restart().await.expect("it starts again");

    let first = place.serve_with(&["--listen", &address.to_string()]).await;
    let second = place.serve().await;
    let a = application.connect(first.address).await;
    let b = application.connect(second.address).await;
    assert_eq!(a.state(&approved.challenge_id).await.state(), ChallengeState::Approved);
    b.redeem(&approved.challenge_id, "bob", "approved").await.expect("approved");
    let (again, code) = b.create("anna", "pending").await.expect("the same attempt");
    assert_eq!((&again.challenge_id, &code), (&pending.challenge_id, &match_code));
    device.reconnected().approve(&pending.challenge_id, &match_code).await.expect("it counts");
    b.redeem(&pending.challenge_id, "anna", "pending").await.expect("approved");
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn three_that_start_at_once_on_an_empty_directory_are_one_installation() {
    if !redis_or_skip() {
        return;
    }
    let redis = RedisServer::start().await.expect("it starts");
    let place = Place::new(&format!("[redis]\nurl = {:?}\n", redis.url()));
    let (first, second, third) = tokio::join!(place.serve(), place.serve(), place.serve());
    assert_eq!([&second.id, &third.id], [&first.id; 2]);
    let application = Application::create(&place, "Shop").await;
    let device = application.connect(first.address).await.enroll("anna").await.expect("it is enrolled");
    let backend = application.connect(second.address).await;
    let (challenge, match_code) = backend.create("anna", "attempt-1").await.expect("it is created");
    device.approve(&challenge.challenge_id, &match_code).await.expect("it counts");
    let backend = application.connect(third.address).await;
    backend.redeem(&challenge.challenge_id, "anna", "attempt-1").await.expect("approved");
    for server in [first, second, third] {
        server.stop().await;
    }
}

/// The first layout of the database, as the servers of that time made it.
const LAYOUT_1: &str = include_str!("../store/layouts/1.sql");

#[tokio::test]
async fn a_newer_one_changes_nothing_under_older_ones_and_brings_the_database_up_to_date_once_they_have_ended()
 {
    if !redis_or_skip() {
        return;
    }
    let redis = RedisServer::start().await.expect("it starts");
    let place = Place::new(&format!("[redis]\nurl = {:?}\n", redis.url()));
    // It makes the master key.
    place.serve().await.stop().await;
    for name in ["countersign.sqlite", "countersign.sqlite-wal", "countersign.sqlite-shm"] {
        let _ = std::fs::remove_file(place.path("data").join(name));
    }
    let database = rusqlite::Connection::open(place.database()).expect("a database");
    database.execute_batch(LAYOUT_1).expect("the tables of layout 1");
    database.pragma_update(None, "application_id", 0x4353_474e).expect("it is written");
    database.pragma_update(None, "user_version", 1).expect("it is written");
    let layout = || database.pragma_query_value(None, "user_version", |row| row.get::<_, i32>(0));

    // An older server, as far as a newer one can tell: it has its challenges in Redis, and shares the directory.
    let older = DataDirectory::at(&place.path("data")).lock_shared().expect("nobody has it");
    let refused = place.run_configured(&["serve"]).await.failed();
    assert!(refused.contains("has schema 1, made by an older Countersign"), "{refused}");
    assert!(refused.contains("stop every older server and start one of this version"), "{refused}");
    assert_eq!(layout(), Ok(1));

    drop(older);
    let (first, second) = tokio::join!(place.serve(), place.serve());
    assert_eq!(layout(), Ok(2));
    for server in [first, second] {
        server.stop().await;
    }
}
