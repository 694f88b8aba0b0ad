//! `countersign serve` on a Redis that is away, refuses it, or would lose challenges.

mod older;

use countersign_test_peers::{RedisOptions, RedisServer, redis_or_skip};
use tonic::Code;
use tonic_types::StatusExt as _;

use self::older::OlderRedis;
use crate::{
    people::Application,
    program::{Ended, Place},
};

/// Of whoever may use it, right or wrong.
const PASSWORD: &str = "correct-horse-battery";

/// What a server with this URL and these lines of its section says when it refuses to start. It tells no
/// password, whatever it logs.
async fn refused(url: &str, more: &str) -> String {
    let place = Place::new(&format!("[log]\nfilter = \"trace\"\n[redis]\nurl = {url:?}\n{more}"));
    let Ended { status, stdout, stderr } = place.run_configured(&["serve"]).await;
    assert_eq!((status.code(), stdout.as_str()), (Some(1), ""), "{stderr}");
    assert!(!stderr.contains(PASSWORD), "{stderr}");
    // The log of everything comes before it.
    let reason = stderr.lines().last().and_then(|line| line.strip_prefix("countersign: Redis at "));
    let (address, reason) = reason.and_then(|reason| reason.split_once(' ')).expect("where, and why");
    assert!(url.contains(address), "{address}");
    assert_eq!(stderr.matches(reason).count(), 1, "told once: {stderr}");
    reason.to_owned()
}

/// With a Redis of these options, at whose URL a user logs in.
async fn refused_on(options: RedisOptions, user: &str, more: &str) -> String {
    let redis = options.start().await.expect("it starts");
    refused(&format!("redis://{user}127.0.0.1:{}", redis.port()), more).await
}

#[tokio::test]
async fn a_redis_that_would_forget_challenges_is_refused_in_a_sentence() {
    if !redis_or_skip() {
        return;
    }
    for policy in ["allkeys-lru", "volatile-ttl"] {
        let evicting = RedisServer::options().arg("maxmemory-policy", policy);
        assert_eq!(
            refused_on(evicting, "", "").await,
            format!(
                "cannot be used: its maxmemory-policy is {policy}, with which it forgets challenges when memory is \
                 short: set maxmemory-policy noeviction"
            )
        );
    }
    assert_eq!(
        refused_on(RedisServer::options().arg("appendonly", "no"), "", "").await,
        "cannot be used: it keeps no append-only file, so that a restart loses every challenge and revocation under \
         way: set appendonly yes, or allow that with redis.allow_without_append_only_file = true"
    );
    let master = RedisServer::start().await.expect("it starts");
    let replica = RedisServer::options().arg("replicaof", &format!("127.0.0.1 {}", master.port()));
    assert_eq!(
        refused_on(replica, "", "").await,
        "cannot be used: it is a replica, which takes no writes: point redis.url at the master"
    );
}

#[tokio::test]
async fn a_redis_that_is_too_old_is_refused() {
    let older = OlderRedis::start("6.0.16").await;
    assert_eq!(
        refused(&older.url(), "").await,
        "cannot be used: it is version 6.0.16, and challenges need 6.2 or later: upgrade it"
    );
}

#[tokio::test]
async fn without_an_append_only_file_it_starts_where_that_is_allowed() {
    if !redis_or_skip() {
        return;
    }
    let redis = RedisServer::options().arg("appendonly", "no").start().await.expect("it starts");
    let place =
        Place::new(&format!("[redis]\nurl = {:?}\nallow_without_append_only_file = true\n", redis.url()));
    logs_in_and_tells_no_password(&place).await;
}

#[tokio::test]
async fn a_user_without_the_right_password_or_permission_is_refused() {
    if !redis_or_skip() {
        return;
    }
    let locked = || RedisServer::options().user("default", "another-password", "~* &* +@all");
    let wrong = refused_on(locked(), &format!(":{PASSWORD}@"), "").await;
    assert!(wrong.starts_with("cannot be used: it refuses user and password: "), "{wrong}");
    let unknown = refused_on(locked(), &format!("nobody:{PASSWORD}@"), "").await;
    assert!(unknown.starts_with("cannot be used: it refuses user and password: "), "{unknown}");
    let none = refused_on(locked(), "", "").await;
    assert!(none.starts_with("cannot be used: it refuses user and password: NOAUTH"), "{none}");
    let reader = RedisServer::options().user("reader", PASSWORD, "~* &* +@read");
    let not_permitted = refused_on(reader, &format!("reader:{PASSWORD}@"), "").await;
    let needed = "cannot be used: its user may not do what is needed: ";
    assert!(not_permitted.starts_with(needed) && not_permitted.contains("NOPERM"), "{not_permitted}");
    let deaf = RedisServer::options().user("deaf", PASSWORD, "~* resetchannels +@all");
    let not_permitted = refused_on(deaf, &format!("deaf:{PASSWORD}@"), "").await;
    assert!(not_permitted.starts_with(needed) && not_permitted.contains("channel"), "{not_permitted}");
}

#[tokio::test]
async fn a_user_who_may_use_only_the_prefix_is_enough_and_his_password_is_told_nobody() {
    if !redis_or_skip() {
        return;
    }
    let rules = "~countersign:* &countersign:* +@all -@admin";
    let redis = RedisServer::options().user("default", "another-password", "~* &* +@all");
    let redis = redis.user("countersign", PASSWORD, rules).start().await.expect("it starts");
    let in_the_url = format!("url = \"redis://countersign:{PASSWORD}@127.0.0.1:{}/2\"\n", redis.port());
    let in_a_file = format!(
        "url = \"redis://127.0.0.1:{}\"\nusername = \"countersign\"\npassword_file = \"password\"\ndatabase = 2\n",
        redis.port()
    );
    for section in [in_the_url, in_a_file] {
        let place = Place::new(&format!("[log]\nfilter = \"trace\"\n[redis]\n{section}"));
        place.write("password", format!("{PASSWORD}\n"));
        logs_in_and_tells_no_password(&place).await;
    }
}

#[tokio::test]
async fn tls_is_spoken_with_the_authority_that_is_configured() {
    if !redis_or_skip() {
        return;
    }
    let redis = RedisServer::options().tls().start().await.expect("it starts");
    logs_in_and_tells_no_password(&Place::new(&tls_section(&redis, None))).await;
}

/// The section for a Redis that speaks TLS, with the client certificate of `client`.
fn tls_section(redis: &RedisServer, client: Option<&RedisServer>) -> String {
    let ca_file = redis.ca_file().expect("it has one").display().to_string();
    let section = format!("[redis]\nurl = {:?}\nca_file = {ca_file:?}\n", redis.url());
    let Some(client) = client else { return section };
    let [certificate, key] =
        client.client_files().expect("it has them").map(|file| file.display().to_string());
    format!("{section}certificate_file = {certificate:?}\nprivate_key_file = {key:?}\n")
}

#[tokio::test]
async fn a_redis_that_asks_for_a_certificate_is_shown_the_one_that_is_configured() {
    if !redis_or_skip() {
        return;
    }
    let redis = RedisServer::options().tls().arg("tls-auth-clients", "yes").start().await.expect("it starts");
    let other = RedisServer::options().tls().start().await.expect("it starts");
    logs_in_and_tells_no_password(&Place::new(&tls_section(&redis, Some(&redis)))).await;
    for (client, told) in [
        (
            None,
            "does not answer: it asks for a certificate: set redis.certificate_file and redis.private_key_file",
        ),
        (Some(&other), "does not answer: it refuses the certificate in redis.certificate_file ("),
    ] {
        let place = Place::new(&tls_section(&redis, client));
        let server = place.serve().await;
        server.logged(told).await;
        let application = Application::create(&place, "Shop").await;
        let backend = application.connect(server.address).await;
        backend.enroll("anna").await.expect("it is enrolled");
        let refused = backend.create("anna", "attempt-1").await.expect_err("there is no Redis for it");
        assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
        let stderr = server.stop().await.stderr;
        assert_eq!(stderr.matches(told).count(), 1, "told once: {stderr}");
    }
}

async fn logs_in_and_tells_no_password(place: &Place) {
    let server = place.serve().await;
    let application = Application::create(place, "Shop").await;
    let backend = application.connect(server.address).await;
    let device = backend.enroll("anna").await.expect("it is enrolled");
    let (challenge, match_code) = backend.create("anna", "attempt-1").await.expect("it is created");
    device.approve(&challenge.challenge_id, &match_code).await.expect("it counts");
    backend.redeem(&challenge.challenge_id, "anna", "attempt-1").await.expect("approved");
    let ended = server.stop().await;
    assert!(!ended.stderr.contains(PASSWORD) && !ended.stdout.contains(PASSWORD), "{ended:?}");
}

#[tokio::test]
async fn while_redis_is_away_calls_are_refused_and_once_it_is_there_they_work() {
    if !redis_or_skip() {
        return;
    }
    let redis = RedisServer::options().user("default", PASSWORD, "~* &* +@all").start().await;
    let redis = redis.expect("it starts");
    redis.kill();
    let url = format!("redis://:{PASSWORD}@127.0.0.1:{}", redis.port());
    let place = Place::new(&format!("[redis]\nurl = {url:?}\n"));
    let server = place.serve().await;
    server.logged("challenges cannot be reached").await;
    let application = Application::create(&place, "Shop").await;
    let backend = application.connect(server.address).await;
    // What needs no challenges goes on.
    let device = backend.enroll("anna").await.expect("it is enrolled");
    let refused = backend.create("anna", "attempt-1").await.expect_err("there is no Redis");
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    let details = refused.get_error_details();
    assert_eq!(details.error_info().map(|info| info.reason.as_str()), Some("STORE_UNAVAILABLE"));
    assert!(details.retry_info().is_some_and(|info| info.retry_delay.is_some()), "{refused:?}");

    redis.restart().await.expect("it starts");
    server.logged("Redis answers").await;
    let (challenge, match_code) = backend.create("anna", "attempt-1").await.expect("it is created");
    device.approve(&challenge.challenge_id, &match_code).await.expect("it counts");
    backend.redeem(&challenge.challenge_id, "anna", "attempt-1").await.expect("approved");
    let ended = server.stop().await;
    assert!(!ended.stderr.contains(PASSWORD), "{ended:?}");
}
