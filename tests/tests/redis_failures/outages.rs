//! Redis is away for a while.

use std::time::Duration;

use countersign_proto::common::ChallengeState;
use tokio::time::timeout;

use crate::{
    fixture::{IMPATIENT, Login, Servers, is_away},
    soon,
};

/// Calls while it is known that Redis is away.
const CALLS: u32 = 200;

/// How many connections two calls a second to each proxy's Redis would open at most while [`CALLS`] are answered on
/// a slow machine: the servers try to connect by themselves, at most eight times a second each.
const CONNECTIONS: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn servers_start_while_redis_is_down_and_serve_once_it_answers() {
    let Some(mut servers) = Servers::without_servers_or_skip().await else { return };
    servers.redis.kill();
    servers.start_both(IMPATIENT).await;
    let backend = servers.backend(0).await;
    let device = servers.enroll(&backend, "anna").await;
    assert!(is_away(Login::try_ask(&backend, "anna", "attempt")).await);
    soon(servers.redis.restart()).await.expect("it starts");
    let (login, _) = servers.again(0, || Login::try_ask(&backend, "anna", "attempt")).await;
    servers.again(0, || device.approve(&login)).await;
    let other = servers.backend(1).await;
    servers.again(1, || login.redeem(&other)).await;
}

/// Every call about challenges finds Redis away, at once: no call opens a connection or waits for one.
async fn all_fail_fast(servers: &Servers, login: &Login) {
    for server in 0..2 {
        let backend = servers.backend(server).await;
        // Whoever comes first may have to find it out.
        assert!(is_away(login.redeem(&backend)).await);
        let before = servers.proxies[server].connections();
        // If each of them waited for the time limit, they would take five times as long as is waited here.
        let in_time = Duration::from_millis(u64::from(IMPATIENT)) * CALLS / 5;
        let calls = async {
            for _ in 0..CALLS / 4 {
                assert!(is_away(Login::try_ask(&backend, &login.user, &login.attempt)).await);
                assert!(is_away(login.redeem(&backend)).await);
                assert!(is_away(backend.cancel(login.id())).await);
                assert!(is_away(backend.wait_for(login.id(), 25)).await);
            }
        };
        timeout(in_time, calls).await.expect("they do not wait");
        let opened = servers.proxies[server].connections() - before;
        assert!(opened < CONNECTIONS, "{opened} connections in {CALLS} calls");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_down_calls_fail_at_once_and_the_same_again_get_the_outcome() {
    let Some(servers) = Servers::start_or_skip(IMPATIENT).await else { return };
    let backend = servers.backend(0).await;
    let device = servers.enroll(&backend, "anna").await;
    let (login, _) = servers.again(0, || Login::try_ask(&backend, "anna", "attempt")).await;
    servers.again(0, || device.approve(&login)).await;
    servers.redis.kill();
    all_fail_fast(&servers, &login).await;
    soon(servers.redis.restart()).await.expect("it starts");
    let (repeated, _) = servers.again(0, || Login::try_ask(&backend, "anna", "attempt")).await;
    assert_eq!((repeated.id(), &repeated.match_code), (login.id(), &login.match_code));
    let (redeemed, _) = servers.again(0, || login.redeem(&backend)).await;
    let (redeemed_again, _) = servers.again(0, || login.redeem(&backend)).await;
    assert_eq!(redeemed, redeemed_again);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_stands_still_holds_up_nobody() {
    let Some(servers) = Servers::start_or_skip(IMPATIENT).await else { return };
    let backend = servers.backend(0).await;
    let device = servers.enroll(&backend, "anna").await;
    let (login, _) = servers.again(0, || Login::try_ask(&backend, "anna", "attempt")).await;
    soon(servers.redis.stop_signal()).await.expect("it stops");
    // Those that are under way when it stops are bounded as well.
    assert!(is_away(device.approve(&login)).await);
    all_fail_fast(&servers, &login).await;
    servers.redis.continue_signal().expect("it goes on");
    let (answer, _) = servers.again(0, || device.approve(&login)).await;
    assert_eq!(answer.state, ChallengeState::Approved);
    servers.again(0, || login.redeem(&backend)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_is_answered_over_an_outage() {
    let Some(servers) = Servers::start_or_skip(IMPATIENT).await else { return };
    let (backend, other) = (servers.backend(0).await, servers.backend(1).await);
    let device = servers.enroll(&backend, "anna").await;
    let (login, _) = servers.again(0, || Login::try_ask(&backend, "anna", "attempt")).await;
    let expires_at = servers.clock.expiry();
    let waiting = {
        let id = login.id().to_owned();
        tokio::spawn(async move { other.wait_for(&id, 60).await })
    };
    servers.clock.asleep_until(expires_at, 1).await;
    servers.redis.kill();
    assert!(is_away(login.redeem(&servers.backend(1).await)).await);
    soon(servers.redis.restart()).await.expect("it starts");
    servers.again(0, || device.approve(&login)).await;
    let answered = soon(waiting).await.expect("it does not panic").expect("an answer");
    assert_eq!(answered.state(), ChallengeState::Approved);
}
