//! Ten thousand people wait at one server, and are answered through another: some of them as they are outside tests, from
//! enrolment to signed decision, the rest by a store like the servers', which is quicker.

use std::{sync::Arc, time::Duration};

use countersign::store::{Challenges, redis::RedisStore};
use countersign_domain::{
    challenge::{AskedDevice, ChallengeRecord, FactorTag, Wakeup},
    code::Codes,
    id::{ApplicationId, ChallengeId, DeviceId},
    operation::{AttemptTag, Create, CreateOutcome, Decide, DecideOutcome, Signed},
    standing::Holds,
    state::{State, Verdict},
};
use countersign_proto::{common::ChallengeState, login::Challenge};
use tokio::task::{JoinHandle, JoinSet};
use tonic::Status;

use crate::{
    backend::Backend,
    fixture::{Device, Login, PATIENT, START, Servers},
    soon,
};

const PEOPLE: u64 = 10_000 - WITH_DEVICES as u64;
/// How many of the ten thousand have devices, and answer by them.
const WITH_DEVICES: usize = 100;
/// Connections of login backends, each of which may have a thousand calls.
const CONNECTIONS: usize = 16;
/// How many begin to wait at a time; of all of them a whole number of times.
const ARRIVE_TOGETHER: usize = 450;
/// Writers of the test.
const WRITERS: u64 = 16;
/// Other than while they wait for the first wake-up, nobody polls and nothing expires.
const LIFETIME: Duration = Duration::from_mins(10);
/// How many commands a server may have under way when all who wait read again: each read is two, and some are
/// the server's own.
const UNDER_WAY: usize = 2 * 256 + 16;

struct People {
    servers: Servers,
    /// As the server has it through which they are answered.
    store: Arc<RedisStore>,
    waiting: JoinSet<Result<Challenge, Status>>,
    with_devices: Vec<Person>,
}

/// Somebody with a device.
struct Person {
    device: Device,
    login: Login,
    waiting: JoinHandle<Result<Challenge, Status>>,
}

impl People {
    /// All of them wait at server 1.
    async fn waiting_or_skip() -> Option<Self> {
        let servers = Servers::start_or_skip(PATIENT).await?;
        let store = Arc::new(servers.store().await);
        let application = servers.application.id;
        each(&store, move |store, n| async move { ask(&store, application, n).await }).await;
        let mut logins = Vec::new();
        let backend = servers.backend(0).await;
        for n in 0..WITH_DEVICES {
            let user = format!("user-{n}");
            let device = servers.enroll(&backend, &user).await;
            logins.push((device, Login::ask(&backend, &user, "attempt").await));
        }
        let mut backends = Vec::new();
        for _ in 0..CONNECTIONS {
            backends.push(Arc::new(servers.backend(1).await));
        }
        let mut waiting = JoinSet::new();
        for (n, backend) in (0..PEOPLE).zip(backends.iter().cycle()) {
            let backend: Arc<Backend> = Arc::clone(backend);
            waiting.spawn(async move { backend.wait_for(&challenge(n).to_string(), 60).await });
            // They come as fast as they are taken: more would only wait for their turn, for too long at last.
            if waiting.len().is_multiple_of(ARRIVE_TOGETHER) {
                tokio::select! {
                    () = servers.clock.asleep_until(START.plus(LIFETIME), waiting.len()) => {}
                    Some(ended) = waiting.join_next() => panic!("it does not wait: {ended:?}"),
                }
            }
        }
        let mut with_devices = Vec::new();
        for ((device, login), waits) in logins.into_iter().zip(backends.iter().cycle()) {
            let (waits, id) = (Arc::clone(waits), login.id().to_owned());
            let waiting = tokio::spawn(async move { waits.wait_for(&id, 60).await });
            with_devices.push(Person { device, login, waiting });
        }
        servers.clock.asleep_until(servers.clock.expiry(), WITH_DEVICES).await;
        Some(Self { servers, store, waiting, with_devices })
    }

    /// Each is answered, though the clock stands still: nobody polls.
    async fn answered(mut self) {
        for Person { device, login, waiting } in self.with_devices {
            device.approve(&login).await.expect("it is approved");
            let answered = soon(waiting).await.expect("it does not panic").expect("an answer");
            assert_eq!(answered.state(), ChallengeState::Approved);
        }
        assert!(self.waiting.try_join_next().is_none(), "the others wait on");
        each(&self.store, |store, n| async move { approve(&store, n).await }).await;
        while let Some(answered) = soon(self.waiting.join_next()).await {
            let answered = answered.expect("it does not panic").expect("an answer");
            assert_eq!(answered.state(), ChallengeState::Approved);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_who_wait_read_again_in_turns_after_a_cut_and_are_woken_by_another_server() {
    let Some(people) = People::waiting_or_skip().await else { return };
    let (servers, all) = (&people.servers, usize::try_from(PEOPLE).expect("it fits"));
    servers.proxies[1].cut();
    // Who has read again goes back to sleep.
    servers.clock.asleep_until(START.plus(LIFETIME), 2 * all).await;
    servers.clock.asleep_until(servers.clock.expiry(), 2 * WITH_DEVICES).await;
    let most = servers.proxies[1].most_under_way();
    assert!((1..=UNDER_WAY).contains(&most), "{most} commands under way");
    people.answered().await;
}

/// Does it for each of them, some at a time.
async fn each<F>(store: &Arc<RedisStore>, act: impl Fn(Arc<RedisStore>, u64) -> F + Clone + Send + 'static)
where
    F: Future<Output = ()> + Send,
{
    let mut writers = JoinSet::new();
    for first in 0..WRITERS {
        let (store, act) = (Arc::clone(store), act.clone());
        writers.spawn(async move {
            let mut n = first;
            while n < PEOPLE {
                act(Arc::clone(&store), n).await;
                n += WRITERS;
            }
        });
    }
    while let Some(written) = soon(writers.join_next()).await {
        written.expect("it is written");
    }
}

fn challenge(n: u64) -> ChallengeId {
    // Spread over all buckets, as tags are that come from a hash.
    ChallengeId::new(n.wrapping_mul(0x9E37_79B9_7F4A_7C15), n)
}

fn device(n: u64) -> FactorTag {
    let mut tag = [1; 32];
    tag[..8].copy_from_slice(&n.to_be_bytes());
    FactorTag(tag)
}

async fn ask(store: &Arc<RedisStore>, application_id: ApplicationId, n: u64) {
    let store: Arc<dyn Challenges> = Arc::clone(store) as _;
    let asked = AskedDevice {
        id: DeviceId::new(challenge(n).user().0, n),
        name: "phone".to_owned(),
        tag: device(n),
        bound_at: START,
        has_push_target: false,
    };
    let challenge = ChallengeRecord {
        id: challenge(n),
        application_id,
        request_sha256: [1; 32],
        created_at: START,
        expires_at: START.plus(LIFETIME),
        challenge: vec![1; 400],
        asked: vec![asked],
        codes: Codes::default(),
        wakeup: Wakeup::Sending,
        state: State::Pending,
    };
    let create =
        Create { attempt: AttemptTag(device(n).0), challenge, max_pending: 1, copy: Holds::default() };
    let outcome = store.update(create).await.expect("an answer");
    assert!(matches!(outcome, CreateOutcome::Created { .. }), "{outcome:?}");
}

async fn approve(store: &Arc<RedisStore>, n: u64) {
    let store: Arc<dyn Challenges> = Arc::clone(store) as _;
    let decide = Decide {
        challenge: challenge(n),
        device: device(n),
        verdict: Verdict::Approve { match_code_is_right: true },
        decision: vec![1; 200],
        settlement: Signed { at: START, envelope: vec![1; 200] },
        sign: Arc::new(|_| vec![1; 200]),
    };
    let outcome = store.update(decide).await.expect("an answer");
    assert!(matches!(outcome, DecideOutcome::Settled { accepted: true, .. }), "{outcome:?}");
}
