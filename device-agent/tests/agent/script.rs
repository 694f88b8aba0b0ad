//! What the scripted server knows, says, and has been told.

use std::{
    collections::{HashMap, VecDeque},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use countersign_agent::{ChallengeState, Clock};
use countersign_proto::{
    common::TotpAlgorithm,
    device::{Account, AccountState, Challenge, RespondResponse, SubscribeResponse, TotpSecret},
    envelope,
    key::{SigningKey, VerificationKey},
    link::{EnrollmentToken, PairingLink},
    statement::{
        ChallengeStatement, DecisionStatement, Detail, DetailKind, EnrollmentStatement, Envelope,
        OfferStatement, Purpose, ServerKeyStatement,
    },
    time::UnixTime,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

pub(crate) const NOW: UnixTime = UnixTime::from_millis(1_795_000_000_000);
pub(crate) const DAY: Duration = Duration::from_hours(24);
pub(crate) const CHALLENGE: &str = "chl_1";
pub(crate) const DEVICE: &str = "dev_1";

/// A clock that a test moves. Nobody waits on it: a pause is over at once.
#[derive(Clone)]
pub(crate) struct ManualClock(Arc<AtomicI64>);

/// Where a test says what a stream tells.
pub(crate) type Stream = UnboundedSender<Result<SubscribeResponse, Status>>;

/// A server's signing key with the root's word for it.
#[derive(Clone)]
pub(crate) struct ServerKey {
    pub(crate) key: SigningKey,
    pub(crate) statement: Envelope,
}

/// A server's mind. Tests change it between calls.
pub(crate) struct Script {
    pub(crate) now: UnixTime,
    pub(crate) offer: OfferStatement,
    pub(crate) offer_signed_by: ServerKey,
    pub(crate) present_key: ServerKey,
    pub(crate) account: Account,
    /// The device that the answer to `GetAccount` speaks of instead.
    pub(crate) other_device: Option<String>,
    /// What a new device makes codes of.
    pub(crate) totp: Option<TotpSecret>,
    pub(crate) challenges: Vec<Challenge>,
    pub(crate) respond: RespondResponse,
    /// Carries out this many calls, and loses the answers.
    pub(crate) lost_answers: usize,
    /// Says no to the next call.
    pub(crate) refusal: Option<Status>,
    /// Takes no call's time for right.
    pub(crate) skewed_for_ever: bool,
    /// Methods in the order of their calls.
    pub(crate) calls: Vec<&'static str>,
    pub(crate) enrollments: Vec<EnrollmentStatement>,
    pub(crate) decisions: Vec<DecisionStatement>,
    pub(crate) changes: Vec<Envelope>,
    /// Streams that will be opened, in this order. Further ones tell nothing.
    pub(crate) streams: VecDeque<UnboundedReceiver<Result<SubscribeResponse, Status>>>,
    /// Kept, so that these go on.
    pub(crate) silent_streams: Vec<Stream>,
}

impl ManualClock {
    pub(crate) fn new(now: UnixTime) -> Self {
        Self(Arc::new(AtomicI64::new(now.as_millis())))
    }

    pub(crate) fn set(&self, now: UnixTime) {
        self.0.store(now.as_millis(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixTime {
        UnixTime::from_millis(self.0.load(Ordering::SeqCst))
    }

    fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::ready(()))
    }
}

impl Script {
    pub(crate) fn new(now: UnixTime) -> Self {
        let first = server_key(1, now.minus(DAY), now.plus(DAY));
        let offer = OfferStatement {
            server_id: server_id(),
            application_id: "app_1".into(),
            application_name: "Example".into(),
            user_id: "anna".into(),
            account_name: "anna@example.org".into(),
            token_sha256: token().digest().to_vec(),
            expires_at: Some(now.plus(Duration::from_mins(10)).to_wire()),
        };
        let account = Account {
            device_id: DEVICE.into(),
            state: AccountState::Active.into(),
            device_name: "Anna's laptop".into(),
            ..Account::default()
        };
        Self {
            now,
            offer,
            offer_signed_by: first.clone(),
            present_key: first,
            account,
            other_device: None,
            totp: Some(TotpSecret {
                // Of RFC 6238, appendix B.
                secret: b"12345678901234567890".to_vec(),
                algorithm: TotpAlgorithm::Sha1.into(),
                digits: 8,
                period: Some(Duration::from_secs(30).into()),
            }),
            challenges: Vec::new(),
            respond: RespondResponse {
                accepted: true,
                state: ChallengeState::Approved.into(),
                ..RespondResponse::default()
            },
            lost_answers: 0,
            refusal: None,
            skewed_for_ever: false,
            calls: Vec::new(),
            enrollments: Vec::new(),
            decisions: Vec::new(),
            changes: Vec::new(),
            streams: VecDeque::new(),
            silent_streams: Vec::new(),
        }
    }

    /// A good challenge that was created just now.
    pub(crate) fn challenge(&self) -> ChallengeStatement {
        let detail =
            |kind: i32, label: &str, value: &str| Detail { kind, label: label.into(), value: value.into() };
        ChallengeStatement {
            server_id: server_id(),
            challenge_id: CHALLENGE.into(),
            application_id: "app_1".into(),
            user_id: "anna".into(),
            purpose: Purpose::Login.into(),
            created_at: Some(self.now.to_wire()),
            expires_at: Some(self.now.plus(Duration::from_mins(2)).to_wire()),
            details: vec![
                detail(DetailKind::IpAddress.into(), "IP address", "203.0.113.7"),
                detail(4711, "Moon phase", "waxing"),
            ],
            match_code_digits: 3,
            user_verification_required: false,
            attempt_sha256: vec![9; 32],
        }
    }

    /// The next stream that will be opened.
    pub(crate) fn stream(&mut self) -> Stream {
        let (stream, told) = unbounded_channel();
        self.streams.push_back(told);
        stream
    }

    /// An event: what is asked, as it is now.
    pub(crate) fn event(&self, state: ChallengeState) -> SubscribeResponse {
        let challenge = self.challenges.first().cloned();
        let challenge = challenge.map(|challenge| Challenge { state: state.into(), ..challenge });
        SubscribeResponse { challenge }
    }

    /// Asks `statement`, signed by the present key.
    pub(crate) fn ask(&mut self, statement: &ChallengeStatement) {
        let signer = self.present_key.clone();
        self.ask_signed_by(statement, &signer);
    }

    /// Asks `statement`, signed by any key.
    pub(crate) fn ask_signed_by(&mut self, statement: &ChallengeStatement, signer: &ServerKey) {
        self.challenges = vec![Challenge {
            challenge_id: statement.challenge_id.clone(),
            envelope: Some(envelope::sign(statement, &signer.key)),
            state: ChallengeState::Pending.into(),
            time_left: Some(pbjson_types::Duration { seconds: 90, nanos: 0 }),
            ..Challenge::default()
        }];
    }
}

pub(crate) fn root() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

pub(crate) fn server_id() -> String {
    VerificationKey::of(&root()).thumbprint()
}

pub(crate) fn token() -> EnrollmentToken {
    EnrollmentToken::from_random([7; 20])
}

/// The link to a server at `origin`.
pub(crate) fn link(origin: &str) -> PairingLink {
    PairingLink {
        page_origin: origin.into(),
        token: token(),
        root_key: VerificationKey::of(&root()),
        api_origin: None,
    }
}

/// A server key that the root vouches for.
pub(crate) fn server_key(version: u8, not_before: UnixTime, not_after: UnixTime) -> ServerKey {
    server_key_vouched_by(&root(), version, not_before, not_after)
}

pub(crate) fn server_key_vouched_by(
    root: &SigningKey,
    version: u8,
    not_before: UnixTime,
    not_after: UnixTime,
) -> ServerKey {
    let key = SigningKey::from_bytes(&[100 + version; 32]);
    let statement = ServerKeyStatement {
        server_id: VerificationKey::of(root).thumbprint(),
        version: version.into(),
        public_key: Some(VerificationKey::of(&key).to_wire()),
        not_before: Some(not_before.to_wire()),
        not_after: Some(not_after.to_wire()),
    };
    let statement = envelope::sign(&statement, root);
    ServerKey { key, statement }
}

/// A refusal as the contract has it.
pub(crate) fn refusal(code: Code, reason: &str, message: &str) -> Status {
    refusal_with(code, reason, message, HashMap::new())
}

pub(crate) fn refusal_with(
    code: Code,
    reason: &str,
    message: &str,
    metadata: HashMap<String, String>,
) -> Status {
    let details = ErrorDetails::with_error_info(reason, "countersign", metadata);
    Status::with_error_details(code, message, details)
}
