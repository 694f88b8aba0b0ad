//! What every test of the stores begins with: the stores, a clock, and things to put into them.

mod clock;
mod records;
mod redis;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use countersign::{
    clock::ManualClock,
    store::{
        Allowances, Applications, Challenges, Codes, Devices, Enrollments, HoldCopies, Secrets,
        applications::{ApiKeyRow, Application},
        devices::UserKey,
        sqlite::{Options, SqliteStore},
    },
};
use countersign_domain::{
    UnixTime,
    challenge::ChallengeRecord,
    id::{ApplicationId, ChallengeId},
    operation::{Create, CreateOutcome, DecideOutcome, RedeemOutcome},
    policy::Policy,
    standing::Holds,
    state::{State, Verdict},
};
use countersign_test_peers::redis_or_skip;
use tempfile::TempDir;

pub(crate) use self::{
    clock::TestClock,
    records::{attempt_tag, challenge, code, decision, device_id, device_tag, redemption, superseded},
    redis::{Redis, config as redis_config},
};

/// When every test begins.
pub(crate) const START: UnixTime = UnixTime::from_millis(1_795_000_000_000);
/// The life of a challenge.
pub(crate) const LIFETIME: Duration = Duration::from_mins(2);
/// The user whom challenges ask.
pub(crate) const USER: u64 = 7;
/// The person's id.
pub(crate) const USER_ID: &str = "anna";
/// What the device signs in place of an approval.
pub(crate) const APPROVE: Verdict = Verdict::Approve { match_code_is_right: true };

/// One implementation of every store, and the clock that it reads.
pub(crate) struct Stores {
    pub(crate) challenges: Arc<dyn Challenges>,
    pub(crate) applications: Arc<dyn Applications>,
    pub(crate) devices: Arc<dyn Devices>,
    pub(crate) codes: Arc<dyn Codes>,
    pub(crate) allowances: Arc<dyn Allowances>,
    pub(crate) hold_copies: Arc<dyn HoldCopies>,
    pub(crate) enrollments: Arc<dyn Enrollments>,
    pub(crate) secrets: Arc<dyn Secrets>,
    pub(crate) clock: TestClock,
    place: Place,
    /// Challenges that were created and are not forgotten.
    kept: AtomicUsize,
}

/// Where the stores lie.
enum Place {
    Memory,
    File(TempDir),
    /// Challenges; the rest in memory.
    Redis(Redis),
}

/// A store in memory.
pub(crate) async fn in_memory() -> Option<Stores> {
    let clock = TestClock::new(START);
    Some(Stores::of(memory(&clock), clock, Place::Memory))
}

/// A store in a file.
pub(crate) async fn in_a_file() -> Option<Stores> {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = TestClock::new(START);
    let store = open(&database(&directory), clock.of_this_process());
    Some(Stores::of(store, clock, Place::File(directory)))
}

/// Challenges in Redis. `None`: there is no Redis here.
pub(crate) async fn on_redis() -> Option<Stores> {
    if !redis_or_skip() {
        return None;
    }
    let clock = TestClock::with_redis(START);
    let redis = Redis::server(&clock).await;
    Some(Stores::of(memory(&clock), clock, Place::Memory).with_challenges_in(redis).await)
}

/// Challenges in a Redis Cluster. `None`: there is no Redis here.
pub(crate) async fn on_a_cluster() -> Option<Stores> {
    if !redis_or_skip() {
        return None;
    }
    let clock = TestClock::with_redis(START);
    let redis = Redis::cluster(&clock).await;
    Some(Stores::of(memory(&clock), clock, Place::Memory).with_challenges_in(redis).await)
}

/// Where a test's database lies.
pub(crate) fn database(directory: &TempDir) -> PathBuf {
    directory.path().join("countersign.sqlite")
}

/// Opens a file.
pub(crate) fn open(path: &Path, clock: &ManualClock) -> SqliteStore {
    SqliteStore::open(path, Arc::new(clock.clone()), Options::default()).expect("a store in a file")
}

fn memory(clock: &TestClock) -> SqliteStore {
    let clock = Arc::new(clock.of_this_process().clone());
    SqliteStore::open_in_memory(clock, Options::default()).expect("a store in memory")
}

impl Stores {
    fn of(store: SqliteStore, clock: TestClock, place: Place) -> Self {
        let store = Arc::new(store);
        Self {
            challenges: store.clone(),
            applications: store.clone(),
            devices: store.clone(),
            codes: store.clone(),
            allowances: store.clone(),
            hold_copies: store.clone(),
            enrollments: store.clone(),
            secrets: store,
            clock,
            place,
            kept: AtomicUsize::new(0),
        }
    }

    async fn with_challenges_in(self, redis: Redis) -> Self {
        Self { challenges: redis.store().await, place: Place::Redis(redis), ..self }
    }

    /// The same after a restart, of Redis as well. What is in memory has no other life than this one.
    pub(crate) async fn reopened(mut self) -> Self {
        match std::mem::replace(&mut self.place, Place::Memory) {
            Place::Memory => self,
            Place::File(directory) => {
                let clock = self.clock.clone();
                drop(self);
                let store = open(&database(&directory), clock.of_this_process());
                Self::of(store, clock, Place::File(directory))
            }
            Place::Redis(redis) => {
                redis.restart().await;
                self.with_challenges_in(redis).await
            }
        }
    }

    /// Where the file lies.
    pub(crate) fn path(&self) -> PathBuf {
        match &self.place {
            Place::File(directory) => database(directory),
            _ => panic!("these stores do not lie in a file"),
        }
    }

    /// Cleans `times` times, and sees `forgotten` challenges go meanwhile, of all that [`Self::create`] made.
    pub(crate) async fn forgets(&self, forgotten: usize, times: usize) {
        let mut cleaned = 0;
        for _ in 0..times {
            cleaned += self.challenges.clean().await.expect("an answer");
        }
        let kept = self.kept.fetch_sub(forgotten, Ordering::Relaxed) - forgotten;
        match &self.place {
            Place::Memory | Place::File(_) => assert_eq!(cleaned, forgotten),
            // There each key ends by itself.
            Place::Redis(redis) => assert_eq!((cleaned, redis.keys('c').await.len()), (0, kept)),
        }
    }

    /// Asks, for an attempt, and says what came of it.
    pub(crate) async fn create(&self, attempt: &str, challenge: &ChallengeRecord) -> CreateOutcome {
        let create = Create {
            attempt: attempt_tag(attempt),
            challenge: challenge.clone(),
            max_pending: 1,
            copy: Holds::default(),
        };
        let outcome = self.challenges.update(create).await.expect("an answer");
        self.kept.fetch_add(usize::from(matches!(outcome, CreateOutcome::Created { .. })), Ordering::Relaxed);
        outcome
    }

    /// Asks devices 1 to `devices` for a login of attempt `attempt`.
    pub(crate) async fn ask(&self, attempt: &str, n: u64, devices: u64) -> ChallengeRecord {
        let challenge = challenge(attempt, n, devices, &self.clock);
        assert!(matches!(self.create(attempt, &challenge).await, CreateOutcome::Created { .. }));
        challenge
    }

    /// Device `n` answers.
    pub(crate) async fn decide(&self, challenge: ChallengeId, n: u64, verdict: Verdict) -> DecideOutcome {
        self.challenges.update(decision(challenge, n, verdict)).await.expect("an answer")
    }

    /// The state as it is shown; `None`: there is no such challenge.
    pub(crate) async fn state(&self, challenge: ChallengeId) -> Option<State> {
        self.challenges.view(challenge).await.expect("an answer").map(|record| record.state)
    }

    /// The attempt redeems.
    pub(crate) async fn redeem(&self, challenge: ChallengeId, attempt: &str) -> RedeemOutcome {
        self.challenges.update(redemption(challenge, attempt)).await.expect("an answer")
    }

    /// An application by this name.
    pub(crate) async fn application(&self, n: u64, name: &str) -> (Application, ApiKeyRow) {
        let application = Application {
            id: ApplicationId::new(n, n),
            name: name.into(),
            policy: Policy::default(),
            created_at: START,
        };
        let key = ApiKeyRow { id: format!("key{n}"), tag: [1; 32] };
        let created = self.applications.create(application.clone(), key.clone()).await;
        assert_eq!(created, Ok(true));
        (application, key)
    }

    /// A user of a new application.
    pub(crate) async fn user(&self) -> UserKey {
        let (application, _) = self.application(1, "Shop").await;
        UserKey { application: application.id, user_id: USER_ID.into() }
    }
}
