//! What every test of the stores begins with: the stores, a clock, and things to put into them.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use countersign::{
    clock::ManualClock,
    store::{
        Applications, Challenges, Devices, Enrollments, Secrets,
        applications::{ApiKeyRow, Application},
        devices::UserKey,
        sqlite::{Options, SqliteStore},
    },
};
use countersign_domain::{
    UnixTime,
    challenge::{AskedDevice, ChallengeRecord, DeviceTag},
    id::{ApplicationId, ChallengeId, DeviceId},
    operation::{AttemptTag, Create, CreateOutcome, Decide, DecideOutcome, Redeem, RedeemOutcome, Signed},
    policy::Policy,
    state::{State, Verdict},
};
use countersign_proto::{
    envelope,
    key::SigningKey,
    receipt::attempt_digest,
    statement::{ChallengeStatement, Purpose},
};
use prost::Message as _;
use tempfile::TempDir;

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
    pub(crate) enrollments: Arc<dyn Enrollments>,
    pub(crate) secrets: Arc<dyn Secrets>,
    pub(crate) clock: ManualClock,
    directory: Option<TempDir>,
}

/// A store in memory.
pub(crate) fn in_memory() -> Stores {
    let clock = ManualClock::new(START);
    let store = SqliteStore::open_in_memory(Arc::new(clock.clone()), Options::default());
    Stores::of(store.expect("a store in memory"), clock, None)
}

/// A store in a file.
pub(crate) fn in_a_file() -> Stores {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = ManualClock::new(START);
    Stores::of(open(&database(&directory), &clock), clock, Some(directory))
}

/// Where a test's database lies.
pub(crate) fn database(directory: &TempDir) -> PathBuf {
    directory.path().join("countersign.sqlite")
}

/// Opens a file.
pub(crate) fn open(path: &Path, clock: &ManualClock) -> SqliteStore {
    SqliteStore::open(path, Arc::new(clock.clone()), Options::default()).expect("a store in a file")
}

impl Stores {
    fn of(store: SqliteStore, clock: ManualClock, directory: Option<TempDir>) -> Self {
        let store = Arc::new(store);
        Self {
            challenges: store.clone(),
            applications: store.clone(),
            devices: store.clone(),
            enrollments: store.clone(),
            secrets: store,
            clock,
            directory,
        }
    }

    /// The same after a restart. What is in memory has no other life than this one.
    pub(crate) fn reopened(mut self) -> Self {
        let Some(directory) = self.directory.take() else { return self };
        let clock = self.clock.clone();
        drop(self);
        Self::of(open(&database(&directory), &clock), clock, Some(directory))
    }

    /// Where the file lies.
    pub(crate) fn path(&self) -> PathBuf {
        database(self.directory.as_ref().expect("these stores lie in a file"))
    }

    /// Asks, for an attempt, and says what came of it.
    pub(crate) async fn create(&self, attempt: &str, challenge: &ChallengeRecord) -> CreateOutcome {
        let create = Create { attempt: attempt_tag(attempt), challenge: challenge.clone(), max_pending: 1 };
        self.challenges.update(create).await.expect("an answer")
    }

    /// Asks devices 1 to `devices` for a login of attempt `attempt`.
    pub(crate) async fn ask(&self, attempt: &str, n: u64, devices: u64) -> ChallengeRecord {
        let challenge = challenge(attempt, n, devices, &self.clock);
        assert!(matches!(self.create(attempt, &challenge).await, CreateOutcome::Created(_)));
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

/// The tag of an attempt.
pub(crate) fn attempt_tag(attempt: &str) -> AttemptTag {
    AttemptTag(attempt_digest(attempt))
}

/// Device `n` of the user.
pub(crate) fn device_id(n: u64) -> DeviceId {
    DeviceId::new(USER, n)
}

/// Its tag.
pub(crate) fn device_tag(n: u64) -> DeviceTag {
    let mut tag = [0; 32];
    tag[..8].copy_from_slice(&n.to_be_bytes());
    DeviceTag(tag)
}

/// Challenge `n`, asked now of devices 1 to `devices` for `attempt`.
pub(crate) fn challenge(attempt: &str, n: u64, devices: u64, clock: &ManualClock) -> ChallengeRecord {
    use countersign::clock::Clock as _;
    let id = ChallengeId::new(USER, n);
    let application_id = ApplicationId::new(1, 1);
    let created_at = clock.now();
    let expires_at = created_at.plus(LIFETIME);
    let statement = ChallengeStatement {
        server_id: "server".into(),
        challenge_id: id.to_string(),
        application_id: application_id.to_string(),
        user_id: USER_ID.into(),
        purpose: Purpose::Login.into(),
        created_at: Some(created_at.to_wire()),
        expires_at: Some(expires_at.to_wire()),
        attempt_sha256: attempt_digest(attempt).to_vec(),
        ..ChallengeStatement::default()
    };
    let asked = (1..=devices).map(|n| AskedDevice {
        id: device_id(n),
        name: format!("device {n}"),
        tag: device_tag(n),
        bound_at: START,
        has_push_target: true,
    });
    ChallengeRecord {
        id,
        application_id,
        request_sha256: [1; 32],
        created_at,
        expires_at,
        challenge: envelope::sign(&statement, &SigningKey::from_bytes(&[1; 32])).encode_to_vec(),
        asked: asked.collect(),
        state: State::Pending,
    }
}

/// Device `n` answers, with a settlement that was signed at the start and says so when it is signed anew.
pub(crate) fn decision(challenge: ChallengeId, n: u64, verdict: Verdict) -> Decide {
    Decide {
        challenge,
        device: device_tag(n),
        verdict,
        decision: vec![1],
        settlement: Signed { at: START, envelope: b"signed beforehand".to_vec() },
        sign: Arc::new(|at| at.to_string().into_bytes()),
    }
}

/// `attempt` redeems.
pub(crate) fn redemption(challenge: ChallengeId, attempt: &str) -> Redeem {
    Redeem {
        challenge,
        application: ApplicationId::new(1, 1),
        user_id: USER_ID.into(),
        attempt_id: attempt.into(),
        purpose: Purpose::Login,
    }
}
