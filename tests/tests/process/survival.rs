//! `kill -9` under load: what was acknowledged is there afterwards.

use std::{net::SocketAddr, sync::Arc};

use countersign_agent::{Denial, Error, ErrorReason};
use countersign_proto::{
    common::ChallengeState,
    login::{EnrollmentState, RedeemChallengeResponse},
};
use countersign_test_peers::{RedisServer, redis_or_skip};
use tokio::{sync::mpsc, task::JoinSet};

use crate::{
    people::{Application, Backend, Device, told},
    program::{Place, soon},
};

/// Logins that go on at the same time.
const WORKERS: usize = 6;
/// After how many acknowledgements the server is killed, round by round.
const KILLED_AFTER: [usize; 4] = [31, 64, 97, 150];

/// What a client has been told by the server, or is about to ask for.
enum Event {
    Enrolled {
        user: String,
        device: Arc<Device>,
    },
    Created {
        challenge: Asked,
        match_code: String,
        device: Arc<Device>,
    },
    /// By whichever call: to the device, or to the backend that waited.
    Told {
        challenge: Asked,
        state: ChallengeState,
    },
    Redeemed {
        challenge: Asked,
        answer: Box<RedeemChallengeResponse>,
    },
    /// Sent, and not answered yet.
    Revoking {
        device_id: String,
    },
    Revoked {
        user: String,
        device: Arc<Device>,
    },
}

#[derive(Clone)]
struct Asked {
    id: String,
    user: String,
    attempt: String,
}

/// Everything that one user can do, in order, until the server is gone.
async fn work(backend: Backend, worker: String, told_of: mpsc::UnboundedSender<Event>) -> String {
    for n in 0.. {
        if let Err(end) = one_user(&backend, format!("{worker}-{n}"), &told_of).await {
            return end;
        }
    }
    unreachable!("the server is killed before so many users are through")
}

async fn one_user(
    backend: &Backend,
    user: String,
    told_of: &mpsc::UnboundedSender<Event>,
) -> Result<(), String> {
    let tell = |event| told_of.send(event).map_err(|_| "nobody listens".to_owned());
    let device = Arc::new(backend.enroll(&user).await?);
    tell(Event::Enrolled { user: user.clone(), device: Arc::clone(&device) })?;

    for approves in [true, false] {
        let attempt = format!("{user}-{approves}");
        let (challenge, match_code) = backend.create(&user, &attempt).await.map_err(told)?;
        let challenge = Asked { id: challenge.challenge_id, user: user.clone(), attempt: attempt.clone() };
        let created = Event::Created {
            challenge: challenge.clone(),
            match_code: match_code.clone(),
            device: Arc::clone(&device),
        };
        tell(created)?;
        let wait = async {
            let state = backend.wait_for(&challenge.id, 25).await.map_err(told)?.state();
            tell(Event::Told { challenge: challenge.clone(), state })
        };
        let answer = async {
            let answer = if approves {
                device.approve(&challenge.id, &match_code).await
            } else {
                let shown = device.account.challenge(&challenge.id).await.map_err(told)?;
                device.account.deny(&shown, Denial::Mistake).await
            };
            tell(Event::Told { challenge: challenge.clone(), state: answer.map_err(told)?.state })
        };
        tokio::try_join!(wait, answer)?;
        if approves {
            let answer = backend.redeem(&challenge.id, &user, &attempt).await.map_err(told)?;
            tell(Event::Redeemed { challenge, answer: Box::new(answer) })?;
        }
    }
    let device_id = device.account.device_id().to_owned();
    tell(Event::Revoking { device_id: device_id.clone() })?;
    backend.revoke(&user, &device_id).await.map_err(told)?;
    tell(Event::Revoked { user, device })
}

/// Lets workers loose on the server, kills it after `count` acknowledgements, and returns all that there were.
async fn killed_under_load(
    place: &Place,
    listen: &str,
    application: &Application,
    round: usize,
) -> (Vec<Event>, SocketAddr) {
    let count = KILLED_AFTER[round];
    let server = place.serve_with(&["--listen", listen]).await;
    let address = server.address;
    let (sender, mut told_of) = mpsc::unbounded_channel();
    let mut workers = JoinSet::new();
    for worker in 0..WORKERS {
        let backend = application.connect(address).await;
        workers.spawn(work(backend, format!("user-{round}-{worker}"), sender.clone()));
    }
    drop(sender);

    let mut events = Vec::new();
    while events.iter().filter(|event| !matches!(event, Event::Revoking { .. })).count() < count {
        events.push(soon(told_of.recv()).await.expect("the workers go on"));
        assert!(workers.try_join_next().is_none(), "a worker ended before the server did");
    }
    server.signal("KILL").await;
    let ended = server.ended().await;
    assert_eq!(ended.status.code(), None, "it did not die of the signal: {ended:?}");
    // What was acknowledged just before the end counts like the rest.
    while let Some(event) = soon(told_of.recv()).await {
        events.push(event);
    }
    assert_eq!(soon(workers.join_all()).await.len(), WORKERS);
    (events, address)
}

/// Whether somebody was about to revoke the device, acknowledged or not.
fn may_be_revoked(events: &[Event], device: &str) -> bool {
    events.iter().any(|event| matches!(event, Event::Revoking { device_id } if device_id == device))
}

/// Everything that was acknowledged, one event after the other. Redemptions can be repeated for two minutes, and
/// `is_fresh` tells that these are not over.
async fn check(backend: &Backend, events: &[Event], is_fresh: bool) {
    for event in events {
        match event {
            Event::Enrolled { user, device } => {
                let enrollment = backend.enrollment(&device.enrollment_id).await;
                assert_eq!(enrollment.state(), EnrollmentState::Completed);
                let device_id = device.account.device_id();
                let is_there =
                    backend.user(user).await.factors.iter().any(|factor| factor.factor_id == device_id);
                assert!(is_there || may_be_revoked(events, device_id), "{user}'s device is lost");
            }
            Event::Created { challenge, match_code, .. } => {
                let (again, code) = backend.create(&challenge.user, &challenge.attempt).await.expect("known");
                assert_eq!((&again.challenge_id, &code), (&challenge.id, match_code));
            }
            Event::Told { challenge, state } => {
                assert_eq!(backend.state(&challenge.id).await.state(), *state, "of {}", challenge.attempt);
            }
            Event::Redeemed { challenge, answer } => {
                let state = backend.state(&challenge.id).await;
                assert!(state.redeemed_at.is_some(), "of {}", challenge.attempt);
                let factor = &answer.settlement.as_ref().expect("a settlement").factor_id;
                if is_fresh && !may_be_revoked(events, factor) {
                    let again = backend.redeem(&challenge.id, &challenge.user, &challenge.attempt).await;
                    assert_eq!(again.as_ref().ok(), Some(&**answer), "{again:?}");
                }
            }
            Event::Revoking { .. } => {}
            Event::Revoked { user, device } => {
                let user = backend.user(user).await;
                assert!(user.factors.is_empty() && user.had_factors, "{user:?}");
                let device = device.reconnected();
                let refused = soon(device.account.refresh()).await;
                let Err(Error::Refused(refusal)) = refused else { panic!("a revoked device: {refused:?}") };
                assert!(refusal.is(ErrorReason::CredentialInvalid), "{refusal:?}");
            }
        }
    }
}

/// What nobody was told of has one outcome as well: the answer to the same decision, sent again, is what the
/// backend reads.
async fn settle_the_rest(backend: &Backend, events: &[Event]) -> usize {
    let is_told = |id: &str| {
        events.iter().any(|event| matches!(event, Event::Told { challenge, .. } if challenge.id == id))
    };
    let mut settled = 0;
    for event in events {
        let Event::Created { challenge, match_code, device } = event else { continue };
        if is_told(&challenge.id) {
            continue;
        }
        let answer =
            soon(device.reconnected().approve(&challenge.id, match_code)).await.expect("it can be answered");
        assert_ne!(answer.state, ChallengeState::Pending);
        assert_eq!(backend.state(&challenge.id).await.state(), answer.state);
        settled += 1;
    }
    settled
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kill_9_under_load() {
    survives_kill_9_under_load(Place::new("")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kill_9_under_load_on_redis() {
    if !redis_or_skip() {
        return;
    }
    let redis = RedisServer::start().await.expect("it starts");
    survives_kill_9_under_load(Place::new(&format!("[redis]\nurl = {:?}\n", redis.url()))).await;
}

async fn survives_kill_9_under_load(place: Place) {
    let application = Application::create(&place, "Shop").await;
    // The devices know the server by its address, so it keeps its port.
    let mut listen = "127.0.0.1:0".to_owned();
    let mut rounds: Vec<Vec<Event>> = Vec::new();
    let mut unanswered = 0;
    for round in 0..KILLED_AFTER.len() {
        let (events, address) = killed_under_load(&place, &listen, &application, round).await;
        rounds.push(events);
        listen = address.to_string();

        let server = place.serve_with(&["--listen", &listen]).await;
        let backend = application.connect(address).await;
        for (index, events) in rounds.iter().enumerate() {
            check(&backend, events, index == round).await;
        }
        let events = &rounds[round];
        unanswered += settle_the_rest(&backend, events).await;
        check(&backend, events, true).await;
        server.stop().await;
    }
    let count = |is: fn(&Event) -> bool| rounds.iter().flatten().filter(|event| is(event)).count();
    assert!(count(|event| matches!(event, Event::Redeemed { .. })) > 20);
    assert!(count(|event| matches!(event, Event::Revoked { .. })) > 20);
    assert!(unanswered > 0, "the server never died between a question and its answer");
}
