//! Redis is killed and started again in the middle of many logins.

use std::sync::Arc;

use countersign_proto::common::ChallengeState;
use tokio::{sync::mpsc, task::JoinSet};

use crate::{
    backend::Backend,
    fixture::{Device, IMPATIENT, Login, Servers, is_away},
    soon,
};

/// People who log in at the same time, and how often each.
const PEOPLE: usize = 20;
const LOGINS: usize = 15;
/// After how many logins Redis is killed, and when again.
const KILLED_AFTER: [usize; 2] = [60, 160];

/// One person logs in, again and again, through both servers. Tells of each login how often the store was away.
async fn log_in(
    servers: Arc<Servers>,
    backends: Arc<[Backend; 2]>,
    device: Device,
    user: String,
    done: mpsc::UnboundedSender<usize>,
) {
    let [first, second] = &*backends;
    for n in 0..LOGINS {
        let attempt = format!("{user}-{n}");
        let (login, away_at_first) = servers.again(0, || Login::try_ask(first, &user, &attempt)).await;
        let answered = async { servers.again(0, || device.approve(&login)).await };
        let waited = async { servers.again(1, || second.wait_for(login.id(), 60)).await };
        let ((answer, away_for_device), (waited, away_for_waiter)) = tokio::join!(answered, waited);
        assert_eq!(answer.state, ChallengeState::Approved);
        assert_eq!(waited.state(), ChallengeState::Approved);
        let (redeemed, away_at_last) = servers.again(1, || login.redeem(second)).await;
        let (repeated, _) = servers.again(1, || Login::try_ask(second, &user, &attempt)).await;
        assert_eq!(repeated.id(), login.id());
        let (redeemed_again, _) = servers.again(0, || login.redeem(first)).await;
        assert_eq!(redeemed, redeemed_again);
        let away = away_at_first + away_for_device + away_for_waiter + away_at_last;
        done.send(away).expect("the test counts");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_login_under_way_gets_its_one_outcome_when_redis_is_killed() {
    let Some(servers) = Servers::start_or_skip(IMPATIENT).await else { return };
    let servers = Arc::new(servers);
    let backends = Arc::new([servers.backend(0).await, servers.backend(1).await]);
    let (done, mut logins) = mpsc::unbounded_channel();
    let mut people = JoinSet::new();
    for n in 0..PEOPLE {
        let user = format!("user-{n}");
        let device = servers.enroll(&backends[0], &user).await;
        people.spawn(log_in(Arc::clone(&servers), Arc::clone(&backends), device, user, done.clone()));
    }
    drop(done);
    let (mut count, mut away) = (0, 0);
    while let Some(was_away) = soon(logins.recv()).await {
        (count, away) = (count + 1, away + was_away);
        if KILLED_AFTER.contains(&count) {
            servers.redis.kill();
            // Those who call now are told so, before it is there again.
            let probe = Login::try_ask(&backends[0], "user-0", "probe");
            assert!(is_away(probe).await);
            soon(servers.redis.restart()).await.expect("it starts");
        }
    }
    while let Some(person) = soon(people.join_next()).await {
        person.expect("each login has one outcome");
    }
    assert_eq!(count, PEOPLE * LOGINS);
    assert!(away > 0, "nobody noticed");
}
