//! The benchmark's own code logs users in, on a server within this process, on either store: so that it still can when
//! it is next wanted.

use std::{sync::Arc, time::Duration};

use countersign::{
    app::App,
    applications,
    clock::SystemClock,
    config::{self, Overrides},
    foundation::{Foundation, Opener},
    random::SystemRandom,
};
use countersign_load::{
    command::{Command, Load, Method, Target},
    generator::Generator,
    installation,
    redis::Redis,
    stand_in,
};
use countersign_test_peers::redis_or_skip;
use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_mins(2);
/// Logins at least, and commands that each needs of Redis at least: a load and a commit to create, to decide and to
/// redeem.
const LOGINS: u64 = 20 + 8;
const COMMANDS_A_LOGIN: u64 = 6;

#[tokio::test(flavor = "multi_thread")]
async fn what_the_benchmark_measures_can_be_done() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    timeout(DEADLINE, drive(&directory, None)).await.expect("it ends in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_benchmark_measures_can_be_done_on_redis() {
    if !redis_or_skip() {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut redis = Redis::start(directory.path()).await.expect("it starts");
    let before = redis.commands().await.expect("it answers");
    timeout(DEADLINE, drive(&directory, Some(&redis.url))).await.expect("it ends in time");
    // What the table tells of Redis can be read, and it was this one that was used.
    assert!(redis.ping().await.expect("it answers") < DEADLINE);
    assert!(redis.used_memory().await.expect("it answers") > 0);
    assert!(redis.usage().expect("it runs").resident_bytes > 0);
    let commands = redis.commands().await.expect("it answers") - before;
    assert!(commands > LOGINS * COMMANDS_A_LOGIN, "{commands} commands");
}

async fn drive(directory: &TempDir, redis_url: Option<&str>) {
    let (apple, wakes) = stand_in::start().await.expect("ports are free");
    let apns = stand_in::description(&apple, &wakes).expect("it listens");
    let telling = tokio::spawn(async move { stand_in::tell_of_pushes(&apple, wakes).await });
    let file = installation::configure(directory.path(), &apns).expect("it is written");
    let environment = redis_url.map(|url| ("COUNTERSIGN_REDIS_URL".into(), url.into()));
    let config = config::load(Some(&file), environment, Overrides::default()).expect("a good configuration");
    let app = App::start(config, Arc::new(SystemClock), Arc::new(SystemRandom)).await.expect("it starts");
    let api_key = create_application(directory).await;

    let target = Target { server: app.address(), wakes: Some(apns.wakes), api_key, users: 5 };
    let (mut generator, enrolled) = Generator::enroll(&target).await.expect("they enrol");
    assert_eq!(enrolled.done, 5);
    for load in [Load::Rate { per_second: 20, seconds: 1 }, Load::InFlight { logins: 8, seconds: 0 }] {
        let logged_in = generator.obey(Command::LogIn(load)).await.expect("it is done");
        assert_eq!((logged_in.failed, logged_in.failure), (0, None));
        assert!(logged_in.done >= 8 && logged_in.whole.max >= logged_in.decided.p50);
    }
    let by_code = generator.obey(Command::LogInByCode { logins: 4 }).await.expect("it is done");
    assert_eq!((by_code.done, by_code.failed, by_code.failure), (10, 0, None), "two codes of each of five");
    let further = generator.obey(Command::LogInByCode { logins: 4 }).await.expect("it is done");
    // Five more if a step has ended meanwhile.
    assert!(further.done <= 5 && further.done + further.failed == 10, "no code is used twice: {further:?}");
    for method in [Method::Health, Method::Application] {
        let call = Command::Call { method, in_flight: 1, seconds: 1 };
        assert!(generator.obey(call).await.expect("it is done").done > 0);
    }
    for command in [Command::Ask, Command::Wait, Command::Withdraw] {
        assert_eq!(generator.obey(command).await.expect("it is done").done, 5);
    }
    assert_eq!(generator.obey(Command::Ask).await.expect("it is done").done, 5);
    for command in [Command::Watch { of_challenge: 2 }, Command::SettleInTurn { at: app.address() }] {
        assert_eq!(generator.obey(command).await.expect("it is done").done, 10);
    }
    for command in [Command::Subscribe { of_device: 2 }, Command::Announce] {
        assert_eq!(generator.obey(command).await.expect("it is done").done, 10);
    }

    app.shutdown();
    app.ended().await;
    telling.abort();
}

/// As `countersign app create` does; its API key.
async fn create_application(directory: &TempDir) -> String {
    let data = directory.path().join("data");
    let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
    let foundation =
        Foundation::open(&data, &data.join("master.key"), Opener::CommandLine, clock, random.clone());
    let foundation = foundation.expect("it opens beside the server");
    let created = applications::create(&foundation, "Load".to_owned(), &SystemClock, random).await;
    created.expect("the name is free").api_key.expose_secret().to_owned()
}
