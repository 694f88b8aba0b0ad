//! Redis is down for ten seconds, and people go on to log in at the rate at which they did.

use std::{sync::Arc, time::Duration};

use countersign_agent::Denial;
use countersign_proto::{common::ChallengeState, login::Challenge};
use tokio::{
    task::{JoinHandle, JoinSet},
    time::{Instant, interval},
};
use tonic::Status;

use crate::{
    backend::Backend,
    fixture::{Device, Login, Servers, is_away},
    soon,
};

const OUTAGE: Duration = Duration::from_secs(10);
/// How many come in a second, whatever became of those before.
const PER_SECOND: u32 = 10;
const COME: u32 = PER_SECOND * 10;
/// How long an operation on the store may take, in milliseconds: as where nothing is configured.
const TIME_LIMIT: u32 = 1000;
/// What calls made while Redis is down may take. A call has three operations at most, and the first of them that
/// finds Redis away is the last.
const LONGEST_CALL: Duration = Duration::from_millis(2 * TIME_LIMIT as u64);
const AT_ONCE: Duration = Duration::from_millis(TIME_LIMIT as u64 / 4);

/// How far somebody's login was when Redis went down. The next call of it comes while Redis is down.
#[derive(Clone, Copy)]
enum Stage {
    New,
    /// Asked for; somebody waits for it since.
    Asked,
    /// Asked for; nobody waits for it yet.
    Unwatched,
    Approved,
}

const STAGES: [Stage; 4] = [Stage::New, Stage::Asked, Stage::Unwatched, Stage::Approved];

struct Person {
    user: String,
    device: Device,
    stage: Stage,
    login: Option<Login>,
    waiting: Option<JoinHandle<Result<Challenge, Status>>>,
}

struct Scene {
    servers: Servers,
    backends: [Arc<Backend>; 2],
}

impl Person {
    /// Comes as far as `stage`.
    async fn at(scene: Arc<Scene>, user: String, stage: Stage) -> Self {
        let [here, there] = &scene.backends;
        let device = scene.servers.enroll(here, &user).await;
        let mut person = Self { user, device, stage, login: None, waiting: None };
        if !matches!(stage, Stage::New) {
            let asked = scene.servers.again(0, || Login::try_ask(here, &person.user, "attempt")).await;
            let login = person.login.insert(asked.0);
            if matches!(stage, Stage::Approved) {
                scene.servers.again(0, || person.device.approve(login)).await;
            }
            if matches!(stage, Stage::Asked) {
                let (waits, id) = (Arc::clone(there), login.id().to_owned());
                person.waiting = Some(tokio::spawn(async move { waits.wait_for(&id, 60).await }));
            }
        }
        person
    }

    /// The next call of the login is told that the store is away. How long that took.
    async fn is_put_off(&self, scene: &Scene) -> Duration {
        let [here, there] = &scene.backends;
        let began = Instant::now();
        let is_away = match (self.stage, &self.login) {
            (Stage::New, _) | (_, None) => is_away(Login::try_ask(here, &self.user, "attempt")).await,
            (Stage::Asked, Some(login)) => is_away(self.device.approve(login)).await,
            (Stage::Unwatched, Some(login)) => is_away(there.wait_for(login.id(), 25)).await,
            (Stage::Approved, Some(login)) => is_away(login.redeem(there)).await,
        };
        assert!(is_away, "Redis is down");
        began.elapsed()
    }

    /// The same calls again come to the one outcome, whichever server they are made to.
    async fn logs_in(self, scene: Arc<Scene>) {
        let Scene { servers, backends: [here, there] } = &*scene;
        let (login, _) = servers.again(0, || Login::try_ask(here, &self.user, "attempt")).await;
        let (repeated, _) = servers.again(1, || Login::try_ask(there, &self.user, "attempt")).await;
        for before in self.login.iter().chain([&repeated]) {
            assert_eq!((before.id(), &before.match_code), (login.id(), &login.match_code));
        }
        let answered = servers.again(0, || self.device.approve(&login));
        let waited = servers.again(1, || there.wait_for(login.id(), 25));
        let ((answer, _), (waited, _)) = tokio::join!(answered, waited);
        assert_eq!((answer.state, waited.state()), (ChallengeState::Approved, ChallengeState::Approved));
        if let Some(waiting) = self.waiting {
            let heard = soon(waiting).await.expect("it does not panic").expect("an answer");
            assert_eq!(heard.state(), ChallengeState::Approved);
        }
        let (redeemed, _) = servers.again(1, || login.redeem(there)).await;
        let (redeemed_again, _) = servers.again(0, || login.redeem(here)).await;
        assert_eq!(redeemed, redeemed_again);
        let denied = async || {
            let shown = self.device.account.challenge(login.id()).await?;
            self.device.account.deny(&shown, Denial::NotMe).await
        };
        assert_eq!(servers.again(0, denied).await.0.state, ChallengeState::Approved, "a second outcome");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_put_off_at_once_and_all_logins_come_to_their_one_outcome() {
    let Some(servers) = Servers::start_or_skip(TIME_LIMIT).await else { return };
    let backends = [Arc::new(servers.backend(0).await), Arc::new(servers.backend(1).await)];
    let expires_at = servers.clock.expiry();
    let scene = Arc::new(Scene { servers, backends });
    let mut people = JoinSet::new();
    for (n, stage) in (0..COME).zip(STAGES.into_iter().cycle()) {
        people.spawn(Person::at(Arc::clone(&scene), format!("user-{n}"), stage));
    }
    let people = soon(people.join_all()).await;
    let waiting = people.iter().filter(|person| person.waiting.is_some()).count();
    scene.servers.clock.asleep_until(expires_at, waiting).await;

    scene.servers.redis.kill();
    let down_since = Instant::now();
    let mut arrivals = interval(Duration::from_secs(1) / PER_SECOND);
    let mut put_off = JoinSet::new();
    for person in people {
        arrivals.tick().await;
        let scene = Arc::clone(&scene);
        put_off.spawn(async move { (down_since.elapsed(), person.is_put_off(&scene).await, person) });
    }
    // The first came at once, so this one would come when the time is over.
    arrivals.tick().await;
    let put_off = soon(put_off.join_all()).await;
    assert!(down_since.elapsed() >= OUTAGE);
    soon(scene.servers.redis.restart()).await.expect("it starts");
    arrivals.reset();

    let slowest = put_off.iter().map(|(_, took, _)| *took).max().expect("people came");
    assert!(slowest <= LONGEST_CALL, "one waited for {slowest:?}");
    let came_later = put_off.iter().filter(|(came, ..)| *came > LONGEST_CALL);
    let mut later: Vec<Duration> = came_later.map(|(_, took, _)| *took).collect();
    later.sort_unstable();
    let median = later[later.len() / 2];
    assert!(median <= AT_ONCE, "once it is known that Redis is down, calls took {median:?}");

    let mut logins = JoinSet::new();
    for (_, _, person) in put_off {
        arrivals.tick().await;
        logins.spawn(person.logs_in(Arc::clone(&scene)));
    }
    assert_eq!(soon(logins.join_all()).await.len(), COME as usize);
}
