//! Redis runs, and takes no writes: its memory is full, or it cannot save.

use countersign_proto::common::ChallengeState;

use crate::{
    backend::Backend,
    captured_log::CapturedLog,
    fixture::{Device, Login, PATIENT, Servers, is_away},
    soon,
};

/// Writes of each kind that are refused.
const REFUSED: usize = 50;

/// Refuses what writes while it must, serves what reads, and goes on by itself afterwards.
struct Refusing {
    servers: Servers,
    backends: [Backend; 2],
    device: Device,
    login: Login,
}

impl Refusing {
    async fn start_or_skip() -> Option<Self> {
        let servers = Servers::start_or_skip(PATIENT).await?;
        let backends = [servers.backend(0).await, servers.backend(1).await];
        let device = servers.enroll(&backends[0], "anna").await;
        let login = Login::ask(&backends[0], "anna", "attempt").await;
        Some(Self { servers, backends, device, login })
    }

    /// `reason`: what Redis calls it.
    async fn refuses(&self, log: &CapturedLog, reason: &str) {
        let Self { backends: [backend, other], device, login, .. } = self;
        for _ in 0..REFUSED {
            assert!(is_away(Login::try_ask(backend, "anna", "another")).await);
            assert!(is_away(device.approve(login)).await);
            assert!(is_away(other.cancel(login.id())).await);
        }
        for backend in [backend, other] {
            assert_eq!(soon(backend.state(login.id())).await.state(), ChallengeState::Pending);
        }
        let complaints = log.text().lines().filter(|line| line.contains("the store refused")).count();
        // One of each kind of write and server, and that again if this took longer than ten seconds.
        assert!((1..=20).contains(&complaints), "{complaints} complaints");
        assert!(log.text().contains(reason), "the reason is told");
    }

    async fn goes_on(&self) {
        soon(self.device.approve(&self.login)).await.expect("it is approved");
        soon(self.login.redeem(&self.backends[1])).await.expect("it was approved");
    }
}

#[tokio::test]
async fn a_full_redis_refuses_writes_serves_reads_and_goes_on_when_there_is_room() {
    let log = CapturedLog::start();
    let Some(refusing) = Refusing::start_or_skip().await else { return };
    refusing.servers.redis(&["CONFIG", "SET", "maxmemory", "1"]).await;
    refusing.refuses(&log, "OOM").await;
    refusing.servers.redis(&["CONFIG", "SET", "maxmemory", "0"]).await;
    refusing.goes_on().await;
}

#[tokio::test]
async fn a_redis_that_cannot_save_refuses_writes_serves_reads_and_goes_on_when_it_may() {
    let log = CapturedLog::start();
    let Some(refusing) = Refusing::start_or_skip().await else { return };
    let servers = &refusing.servers;
    // No snapshot can take the place of a directory.
    std::fs::create_dir(servers.redis.directory().join("dump.rdb")).expect("it can be made");
    servers.redis(&["CONFIG", "SET", "save", "3600 1"]).await;
    servers.redis(&["BGSAVE"]).await;
    soon(servers.redis.logged("Background saving error")).await;
    refusing.refuses(&log, "MISCONF").await;
    servers.redis(&["CONFIG", "SET", "stop-writes-on-bgsave-error", "no"]).await;
    refusing.goes_on().await;
}
