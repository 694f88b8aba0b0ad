//! Ten thousand open streams at one server, opened by another process: this one. Each of them tells of a challenge.

use std::time::Duration;

use countersign_load::{
    command::{Command, Target},
    generator::Generator,
};
use countersign_test_peers::{RedisServer, redis_or_skip};
use tokio::time::timeout;

use crate::{people::Application, program::Place};

const DEVICES: u32 = 500;
const STREAMS_OF_DEVICE: u32 = 20;
/// For ten thousand signed calls of a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_mins(5);

/// Fails the test when what is waited for does not come.
async fn patiently<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it comes in time")
}

/// With this section about where challenges lie.
async fn ten_thousand_streams_tell_of_a_challenge(store: &str) {
    let place = Place::new(&format!("[limits]\nopen_streams_per_device = {STREAMS_OF_DEVICE}\n{store}"));
    let server = place.serve().await;
    let api_key = Application::create(&place, "Shop").await.api_key;
    let target = Target { server: server.address, wakes: None, api_key, users: DEVICES };
    let (mut generator, _) = patiently(Generator::enroll(&target)).await.expect("they enrol");
    let open = patiently(generator.obey(Command::Subscribe { of_device: STREAMS_OF_DEVICE })).await;
    assert_eq!(open.expect("all are open").done, DEVICES * STREAMS_OF_DEVICE);
    // Each of the challenge of its own user.
    let told = patiently(generator.obey(Command::Announce)).await.expect("each tells");
    assert_eq!(told.done, DEVICES * STREAMS_OF_DEVICE);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_streams_on_the_embedded_store() {
    ten_thousand_streams_tell_of_a_challenge("").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_streams_on_redis() {
    if !redis_or_skip() {
        return;
    }
    let redis = RedisServer::start().await.expect("it starts");
    ten_thousand_streams_tell_of_a_challenge(&format!("[redis]\nurl = {:?}\n", redis.url())).await;
}
