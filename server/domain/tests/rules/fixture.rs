//! A store in memory, and something to put into it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use countersign_domain::{
    UnixTime,
    challenge::{AskedDevice, ChallengeRecord, FactorTag, Wakeup},
    code::{CodeFactor, CodeKind, Codes},
    id::{ApplicationId, ChallengeId, DeviceId, FactorId, UserTag},
    operation::{
        AttemptTag, Create, CreateOutcome, Decide, Finding, Loaded, Lookup, Operation, PreparedSettlement,
        Redeem, Signed, Transition, VerifyCode, Writes,
    },
    record,
    standing::Holds,
    state::Verdict,
    user::UserRecord,
};
use countersign_proto::{
    receipt::attempt_digest,
    statement::{ChallengeStatement, Envelope, Purpose},
    statement_form::Statement,
};
use prost::Message as _;

/// The one user.
pub(crate) const USER: UserTag = UserTag(7);
/// What the application calls him.
pub(crate) const USER_ID: &str = "anna";
/// A right answer.
pub(crate) const APPROVE: Verdict = Verdict::Approve { match_code_is_right: true };
/// An approval with the wrong match code.
pub(crate) const WRONG_CODE: Verdict = Verdict::Approve { match_code_is_right: false };
/// Every answer.
pub(crate) const VERDICTS: [Verdict; 4] = [APPROVE, WRONG_CODE, Verdict::DenyNotMe, Verdict::DenyMistake];

/// `seconds` after the tests' beginning.
pub(crate) fn at(seconds: i64) -> UnixTime {
    UnixTime::from_millis(1_795_000_000_000 + seconds * 1000)
}

/// The application that asks.
pub(crate) fn application() -> ApplicationId {
    ApplicationId::new(1, 1)
}

/// The id of device `n`.
pub(crate) fn device_id(n: u8) -> DeviceId {
    DeviceId::new(USER.0, u64::from(n))
}

/// The tag of device `n`.
pub(crate) fn tag(n: u8) -> FactorTag {
    FactorTag([n; 32])
}

/// Device `n`, bound long ago.
pub(crate) fn device(n: u8) -> AskedDevice {
    AskedDevice {
        id: device_id(n),
        name: format!("device {n}"),
        tag: tag(n),
        bound_at: at(-1_000_000),
        has_push_target: true,
    }
}

/// Attempt `n`'s id, as the application has it.
pub(crate) fn attempt_id(n: u8) -> String {
    format!("attempt {n}")
}

/// The id of challenge `n`.
pub(crate) fn challenge_id(n: u64) -> ChallengeId {
    ChallengeId::new(USER.0, n)
}

/// Challenge `n`, asked by attempt `n` of devices 1 and 2 for a minute.
pub(crate) fn create(n: u8, now: UnixTime) -> Create {
    let expires_at = now.plus(Duration::from_mins(1));
    let statement = ChallengeStatement {
        server_id: "server".into(),
        challenge_id: challenge_id(n.into()).to_string(),
        application_id: application().to_string(),
        user_id: USER_ID.into(),
        purpose: Purpose::Login.into(),
        created_at: Some(now.to_wire()),
        expires_at: Some(expires_at.to_wire()),
        attempt_sha256: attempt_digest(&attempt_id(n)).to_vec(),
        ..ChallengeStatement::default()
    };
    let envelope = Envelope {
        payload: statement.encode_to_vec(),
        payload_type: ChallengeStatement::PAYLOAD_TYPE.into(),
        signatures: Vec::new(),
    };
    let challenge = ChallengeRecord {
        id: challenge_id(n.into()),
        application_id: application(),
        request_sha256: [n; 32],
        created_at: now,
        expires_at,
        challenge: envelope.encode_to_vec(),
        asked: vec![device(1), device(2)],
        codes: Codes { kinds: vec![CodeKind::Totp], wrong: 0 },
        wakeup: Wakeup::Sending,
        state: countersign_domain::state::State::Pending,
    };
    Create { attempt: AttemptTag([n; 32]), challenge, max_pending: 1, copy: Holds::default() }
}

/// What stands for a signed settlement: the verdict and the time that are signed in it.
pub(crate) fn settlement(verdict: Verdict, at: UnixTime) -> Vec<u8> {
    format!("{verdict:?} at {at}").into_bytes()
}

/// Device `device` answers challenge `n`, with a settlement that was signed at `signed_at`.
pub(crate) fn decide(n: u64, device: u8, verdict: Verdict, signed_at: UnixTime) -> Decide {
    Decide {
        challenge: challenge_id(n),
        device: tag(device),
        verdict,
        decision: format!("{device} says {verdict:?}").into_bytes(),
        settlement: Signed { at: signed_at, envelope: settlement(verdict, signed_at) },
        sign: Arc::new(move |at| settlement(verdict, at)),
    }
}

/// The code that device `n` shows.
pub(crate) fn code_of(n: u8) -> CodeFactor {
    CodeFactor { id: FactorId::Device(device_id(n)), tag: tag(n) }
}

/// What stands for a settlement by a code: whether it let in, and the time that is signed in it.
pub(crate) fn code_settlement(is_right: bool, at: UnixTime) -> Vec<u8> {
    format!("a code, {is_right}, at {at}").into_bytes()
}

/// A code for challenge `n`: right, device `n`'s, or wrong; with a settlement that was signed at `signed_at`.
pub(crate) fn verify_code(n: u64, right: Option<u8>, signed_at: UnixTime) -> VerifyCode {
    let is_right = right.is_some();
    let settlement = PreparedSettlement {
        signed: Signed { at: signed_at, envelope: code_settlement(is_right, signed_at) },
        sign: Arc::new(move |at| code_settlement(is_right, at)),
    };
    VerifyCode {
        challenge: challenge_id(n),
        application: application(),
        kind: CodeKind::Totp,
        finding: match right {
            Some(device) => Finding::Right(code_of(device), settlement),
            None => Finding::Wrong(settlement),
        },
        copy: Holds::default(),
    }
}

/// What was superseded by a challenge that was made.
pub(crate) fn made(outcome: &CreateOutcome) -> Vec<ChallengeId> {
    match outcome {
        CreateOutcome::Created { superseded, .. } => superseded.clone(),
        other => panic!("nothing was made: {other:?}"),
    }
}

/// Attempt `attempt` redeems challenge `n`.
pub(crate) fn redeem(n: u64, attempt: u8) -> Redeem {
    Redeem {
        challenge: challenge_id(n),
        application: application(),
        user_id: USER_ID.into(),
        attempt_id: attempt_id(attempt),
        purpose: Purpose::Login,
    }
}

/// Keeps encoded records, and applies what operations want written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Store {
    users: BTreeMap<UserTag, Vec<u8>>,
    challenges: BTreeMap<ChallengeId, Vec<u8>>,
    attempts: BTreeMap<AttemptTag, ChallengeId>,
}

impl Store {
    /// Lets `operation` happen at `now`.
    pub(crate) fn run<O: Operation>(&mut self, operation: &O, now: UnixTime) -> O::Outcome {
        let transition = self.transition(operation, now);
        self.write(operation.subject().user, transition.writes);
        transition.outcome
    }

    /// What `operation` would come to at `now`.
    pub(crate) fn peek<O: Operation>(&self, operation: &O, now: UnixTime) -> O::Outcome {
        self.transition(operation, now).outcome
    }

    /// What `operation` would come to at `now`, and what it would have written.
    pub(crate) fn transition<O: Operation>(&self, operation: &O, now: UnixTime) -> Transition<O::Outcome> {
        let challenge = match operation.subject().challenge {
            Lookup::None => None,
            Lookup::Id(id) => Some(id),
            Lookup::Attempt(attempt) => self.attempts.get(&attempt).copied(),
        };
        let challenge = challenge.and_then(|id| self.challenge(id));
        operation.apply(Loaded { user: self.user(), challenge }, now)
    }

    /// Asserts that `operation` gives the same as `outcome` once more, and that nothing is left to write.
    pub(crate) fn settled<O: Operation<Outcome: PartialEq + std::fmt::Debug>>(
        &self,
        operation: &O,
        now: UnixTime,
        outcome: &O::Outcome,
    ) {
        let transition = self.transition(operation, now);
        assert_eq!(&transition.outcome, outcome, "the same question, another answer");
        assert_eq!(transition.writes, Writes::default(), "the same question wrote something");
    }

    fn write(&mut self, user: UserTag, writes: Writes) {
        assert_eq!(
            writes.is_empty(),
            writes == Writes::default(),
            "an attempt leads to a new challenge only"
        );
        if let Some(record) = writes.user {
            self.users.insert(user, record::encode(&record));
        }
        if let Some(challenge) = writes.challenge {
            self.challenges.insert(challenge.id, record::encode(&challenge));
            if let Some(attempt) = writes.attempt {
                self.attempts.insert(attempt, challenge.id);
            }
        }
    }

    /// The user record; empty when there is none.
    pub(crate) fn user(&self) -> UserRecord {
        let read = |bytes: &Vec<u8>| record::decode(bytes).expect("as it was written");
        self.users.get(&USER).map(read).unwrap_or_default()
    }

    /// The challenge record, as it is stored.
    pub(crate) fn challenge(&self, id: ChallengeId) -> Option<ChallengeRecord> {
        self.challenges.get(&id).map(|bytes| record::decode(bytes).expect("as it was written"))
    }

    /// Forgets what can no longer be read, as a store's cleaning does.
    pub(crate) fn clean(&mut self, now: UnixTime) {
        let gone = |store: &Self, id| store.challenge(id).is_none_or(|c| now >= c.readable_until());
        let ids: Vec<_> = self.challenges.keys().copied().filter(|&id| gone(self, id)).collect();
        for id in ids {
            self.challenges.remove(&id);
            self.attempts.retain(|_, challenge| *challenge != id);
        }
        if self.user().keep_until().is_none_or(|until| now >= until) {
            self.users.remove(&USER);
        }
    }
}
