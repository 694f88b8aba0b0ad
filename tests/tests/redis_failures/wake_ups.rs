//! Messages between servers, and what is done about those that are lost.

mod ten_thousand;

use std::time::Duration;

use countersign_proto::{common::ChallengeState, login::Challenge};
use countersign_test_peers::Value;
use tokio::task::JoinHandle;
use tonic::Status;

use crate::{
    fixture::{Device, Login, PATIENT, Servers},
    soon,
};

/// By then whoever waits has read again by himself.
pub(crate) const LONGEST_POLL: Duration = Duration::from_secs(20);

/// A login that somebody waits for at server 1.
struct Waiting {
    servers: Servers,
    device: Device,
    login: Login,
    call: JoinHandle<Result<Challenge, Status>>,
}

impl Waiting {
    async fn start_or_skip() -> Option<Self> {
        let servers = Servers::start_or_skip(PATIENT).await?;
        let (backend, waits) = (servers.backend(0).await, servers.backend(1).await);
        let device = servers.enroll(&backend, "anna").await;
        let login = Login::ask(&backend, "anna", "attempt").await;
        let expires_at = servers.clock.expiry();
        let id = login.id().to_owned();
        let call = tokio::spawn(async move { waits.wait_for(&id, 60).await });
        servers.clock.asleep_until(expires_at, 1).await;
        Some(Self { servers, device, login, call })
    }

    /// The device approves at server 0.
    async fn approve(&self) {
        self.device.approve(&self.login).await.expect("it is approved");
    }

    async fn hears_of_it(self) {
        let heard = soon(self.call).await.expect("it does not panic").expect("an answer");
        assert_eq!(heard.state(), ChallengeState::Approved);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_at_one_server_wakes_who_waits_at_another() {
    let Some(waiting) = Waiting::start_or_skip().await else { return };
    waiting.approve().await;
    waiting.hears_of_it().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_while_the_channel_is_cut_is_heard_of_once_it_is_there_again() {
    let Some(waiting) = Waiting::start_or_skip().await else { return };
    let proxy = &waiting.servers.proxies[1];
    // Nothing gets through, so that the decision comes before the new subscription.
    proxy.refuse();
    waiting.approve().await;
    proxy.pass();
    waiting.hears_of_it().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_after_the_channel_was_cut_is_heard_of() {
    let Some(waiting) = Waiting::start_or_skip().await else { return };
    waiting.servers.proxies[1].cut();
    waiting.approve().await;
    waiting.hears_of_it().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wake_up_that_is_lost_on_a_channel_that_stays_open_costs_a_poll() {
    let Some(waiting) = Waiting::start_or_skip().await else { return };
    let proxy = &waiting.servers.proxies[1];
    let connections = proxy.connections();
    let lost = proxy.lose_message(waiting.login.id());
    waiting.approve().await;
    soon(lost.happened()).await;
    assert!(!waiting.call.is_finished());
    waiting.servers.clock.advance(LONGEST_POLL);
    assert_eq!(proxy.connections(), connections, "the channel has been opened anew");
    waiting.hears_of_it().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_brings_no_pings_any_more_is_opened_anew_and_all_who_wait_read_again() {
    let Some(waiting) = Waiting::start_or_skip().await else { return };
    let proxy = &waiting.servers.proxies[1];
    let connections = proxy.connections();
    // With its connection as it is.
    proxy.swallow_messages();
    let lost = proxy.lose_message(waiting.login.id());
    waiting.approve().await;
    soon(lost.happened()).await;
    assert!(!waiting.call.is_finished());
    // It takes the server ten seconds to miss its pings. The clock stands still, so that nobody polls.
    assert_eq!(soon(proxy.connections_beyond(connections)).await, connections + 1, "the channel alone");
    waiting.hears_of_it().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_never_sent_costs_a_poll() {
    let Some(waiting) = Waiting::start_or_skip().await else { return };
    // Redis does not know any more whom to tell.
    let Value::Array(sets) = waiting.servers.redis(&["KEYS", "countersign:*}w[0-9a-f]*"]).await else {
        panic!("no list")
    };
    let [Value::Bulk(set)] = sets.as_slice() else { panic!("one user: {sets:?}") };
    waiting.servers.redis(&["DEL", std::str::from_utf8(set).expect("a name")]).await;
    waiting.approve().await;
    assert!(!waiting.call.is_finished());
    waiting.servers.clock.advance(LONGEST_POLL);
    waiting.hears_of_it().await;
}
