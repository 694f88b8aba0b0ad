//! Redis becomes a replica of another one, as after a failover.

use crate::{
    fixture::{IMPATIENT, Login, Servers, is_away},
    soon,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_became_a_replica_is_left_until_it_is_a_master_again() {
    let Some(servers) = Servers::start_or_skip(IMPATIENT).await else { return };
    let (backend, other) = (servers.backend(0).await, servers.backend(1).await);
    let device = servers.enroll(&backend, "anna").await;
    let (login, _) = servers.again(0, || Login::try_ask(&backend, "anna", "attempt")).await;
    // Nothing listens on port 1, so it keeps what it has.
    servers.redis(&["REPLICAOF", "127.0.0.1", "1"]).await;
    assert!(is_away(device.approve(&login)).await);
    // The connection is given up, and none to a replica taken: reads are refused as well from then on.
    assert!(is_away(backend.wait_for(login.id(), 0)).await);
    servers.redis(&["REPLICAOF", "NO", "ONE"]).await;
    servers.again(0, || device.approve(&login)).await;
    soon(servers.again(1, || login.redeem(&other))).await;
}
