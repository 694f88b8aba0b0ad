//! Ten thousand open streams at one server, opened by another process: this one. Each of them tells what it is open for.

use std::{net::SocketAddr, time::Duration};

use countersign_load::{
    command::{Command, Target},
    generator::Generator,
};
use countersign_test_peers::{RedisServer, redis_or_skip};
use tokio::time::timeout;

use crate::{
    people::Application,
    program::{Place, Server},
};

const STREAMS: u32 = 10_000;
/// Each with a device, and with a challenge at a time. An enrolment takes a debug build as long as opening five streams.
const USERS: u32 = 1000;
const STREAMS_OF_USER: u32 = STREAMS / USERS;
/// For ten thousand signed calls of a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_mins(5);

/// Fails the test when what is waited for does not come.
async fn patiently<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it comes in time")
}

/// With this section about where challenges lie. A backend, which has one address, may have as many streams as an
/// operator lets it; and so may a device.
fn place(store: &str) -> Place {
    let of_address = format!("open_streams_per_address = {STREAMS}");
    let of_device = format!("open_streams_per_device = {STREAMS_OF_USER}");
    Place::new(&format!("[limits]\n{of_address}\n{of_device}\n{store}"))
}

/// All streams go to `server`. What they tell is decided at the server at `decided_at`.
async fn ten_thousand_streams_tell(place: &Place, server: &Server, decided_at: SocketAddr) {
    let api_key = Application::create(place, "Shop").await.api_key;
    // A busy machine takes its time.
    place.run_configured(&["app", "set", "Shop", "challenge_lifetime=600s"]).await.succeeded();
    let target = Target { server: server.address, wakes: None, api_key, users: USERS };
    let (mut generator, _) = patiently(Generator::enroll(&target)).await.expect("they enrol");
    // Of devices: each tells of the challenge of its own user.
    let open = patiently(generator.obey(Command::Subscribe { of_device: STREAMS_OF_USER })).await;
    assert_eq!(open.expect("all are open").done, STREAMS);
    let told = patiently(generator.obey(Command::Announce)).await.expect("each tells");
    assert_eq!(told.done, STREAMS);
    // Of a backend: each tells how its own challenge ended, and ends. One half are approved by their devices, the others
    // withdrawn.
    assert_eq!(patiently(generator.obey(Command::Ask)).await.expect("all are pending").done, USERS);
    let open = patiently(generator.obey(Command::Watch { of_challenge: STREAMS_OF_USER })).await;
    assert_eq!(open.expect("all are open").done, STREAMS);
    let told = patiently(generator.obey(Command::SettleInTurn { at: decided_at })).await;
    assert_eq!(told.expect("each tells").done, STREAMS);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_streams_of_devices_and_then_of_a_backend_on_the_embedded_store() {
    let place = place("");
    let server = place.serve().await;
    ten_thousand_streams_tell(&place, &server, server.address).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_streams_of_devices_and_then_of_a_backend_tell_what_was_decided_at_another_server() {
    if !redis_or_skip() {
        return;
    }
    let redis = RedisServer::start().await.expect("it starts");
    // A busy machine's disk makes Redis wait; that is not what this is about.
    let place = place(&format!("[redis]\nurl = {:?}\ntime_limit_ms = 10000\n", redis.url()));
    let (server, other) = (place.serve().await, place.serve().await);
    ten_thousand_streams_tell(&place, &server, other.address).await;
    for server in [server, other] {
        server.stop().await;
    }
}
