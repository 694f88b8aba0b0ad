//! From challenges in the data directory to challenges in Redis, and back.

use countersign_agent::ErrorReason;
use countersign_test_peers::{RedisServer, redis_or_skip};
use tonic_types::StatusExt as _;

use crate::{
    people::{Application, Backend, Device},
    program::{Ended, Place},
};

const IN_USE: &str = "another Countersign server runs on the data directory data: stop that one, or give this one \
                      another; several can share one when each has its challenges in Redis (redis.url)";

async fn log_in(backend: &Backend, device: &Device, attempt: &str) {
    let (challenge, match_code) = backend.create("anna", attempt).await.expect("it is created");
    let answer = device.reconnected().approve(&challenge.challenge_id, &match_code).await;
    assert!(answer.expect("it counts").accepted);
    backend.redeem(&challenge.challenge_id, "anna", attempt).await.expect("approved");
}

#[tokio::test]
async fn a_data_directory_serves_with_and_without_redis_at_once() {
    if !redis_or_skip() {
        return;
    }
    let redis = RedisServer::start().await.expect("it starts");
    let url = redis.url();
    let with_redis = [("COUNTERSIGN_REDIS_URL", url.as_str())];
    let place = Place::new("");
    let application = Application::create(&place, "Shop").await;
    let server = place.serve().await;
    let (address, server_id) = (server.address, server.id.clone());
    let backend = application.connect(address).await;
    let device = backend.enroll("anna").await.expect("it is enrolled");
    log_in(&backend, &device, "embedded").await;
    let (mut left, _) = backend.create("anna", "left-embedded").await.expect("it is created");
    server.stop().await;

    for (name, environment) in [("on-redis", &with_redis[..]), ("embedded-again", &[])] {
        let server = place.serve_in(environment, &["--listen", &address.to_string()]).await;
        assert_eq!(server.id, server_id);
        let backend = application.connect(address).await;
        // What was pending stays behind: somebody who still waits for it logs in again.
        let gone = backend.redeem(&left.challenge_id, "anna", "left").await.expect_err("it stayed behind");
        let reason = gone.get_error_details().error_info().map(|info| info.reason.clone());
        assert_eq!(
            reason.as_deref(),
            ErrorReason::ChallengeNotFound.as_str_name().strip_prefix("ERROR_REASON_")
        );
        log_in(&backend, &device, name).await;
        (left, _) = backend.create("anna", &format!("left-{name}")).await.expect("it is created");
        server.stop().await;
    }
}

#[tokio::test]
async fn servers_with_and_without_redis_do_not_share_a_directory() {
    if !redis_or_skip() {
        return;
    }
    let redis = RedisServer::start().await.expect("it starts");
    let url = redis.url();
    let with_redis = [("COUNTERSIGN_REDIS_URL", url.as_str())];
    let place = Place::new("");

    let server = place.serve_in(&with_redis, &[]).await;
    let beside = place.serve_in(&with_redis, &[]).await;
    assert_eq!(place.run_configured(&["serve"]).await.failed(), IN_USE);
    server.stop().await;
    assert_eq!(place.run_configured(&["serve"]).await.failed(), IN_USE, "one of them is left");
    beside.stop().await;

    let server = place.serve().await;
    let refused: Ended = place.run_in(&with_redis, &["serve"]).await;
    assert_eq!(refused.failed(), IN_USE);
    server.stop().await;
}
