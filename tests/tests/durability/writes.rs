//! The writes that are acknowledged: for each person a challenge, its answer, a redemption, a revocation.

use std::{sync::Arc, time::Duration};

use countersign::{
    clock::{Clock as _, SystemClock},
    store::{Challenges, StoreError},
};
use countersign_domain::{
    UnixTime,
    challenge::{AskedDevice, ChallengeRecord, FactorTag, Wakeup},
    code::Codes,
    id::{ApplicationId, ChallengeId, DeviceId, UserTag},
    operation::{
        AttemptTag, Create, CreateOutcome, Decide, DecideOutcome, Redeem, RedeemOutcome, RevokeFactor, Signed,
    },
    standing::Holds,
    state::{Denial, SettledBy, State, Verdict},
};
use countersign_proto::{
    envelope,
    key::SigningKey,
    receipt::attempt_digest,
    statement::{ChallengeStatement, Purpose},
};
use prost::Message as _;

const LIFETIME: Duration = Duration::from_mins(5);

/// One write of a person, in the order in which they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Created,
    Decided,
    Redeemed,
    Revoked,
}

impl Step {
    pub(crate) const ALL: [Self; 4] = [Self::Created, Self::Decided, Self::Redeemed, Self::Revoked];
}

/// Somebody with one device, of whom a login is asked: the even ones approve, the odd ones deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Person(pub(crate) u64);

impl Person {
    fn user(self) -> UserTag {
        // Spread over all buckets, as tags are that come from a hash.
        UserTag(self.0.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    fn challenge(self) -> ChallengeId {
        ChallengeId::new(self.user().0, self.0)
    }

    fn device(self) -> FactorTag {
        let mut tag = [1; 32];
        tag[..8].copy_from_slice(&self.0.to_be_bytes());
        FactorTag(tag)
    }

    fn approves(self) -> bool {
        self.0.is_multiple_of(2)
    }

    /// Whether this person comes to this step.
    pub(crate) fn takes(self, step: Step) -> bool {
        step != Step::Redeemed || self.approves()
    }

    /// Writes one step. It returns once the store has acknowledged it.
    pub(crate) async fn write(self, step: Step, store: &Arc<dyn Challenges>) -> Result<(), StoreError> {
        match step {
            Step::Created => {
                let (attempt, max_pending) = (AttemptTag(self.device().0), 1);
                let challenge = self.asked(SystemClock.now());
                let outcome =
                    store.update(Create { attempt, challenge, max_pending, copy: Holds::default() }).await?;
                assert!(matches!(outcome, CreateOutcome::Created { .. }), "{self:?}: {outcome:?}");
            }
            Step::Decided => {
                let outcome = store.update(self.decision()).await?;
                let is_accepted = matches!(outcome, DecideOutcome::Settled { accepted: true, .. });
                assert!(is_accepted, "{self:?}: {outcome:?}");
            }
            Step::Redeemed => {
                let outcome = store.update(self.redemption()).await?;
                assert!(matches!(outcome, RedeemOutcome::Redeemed(_)), "{self:?}: {outcome:?}");
            }
            Step::Revoked => {
                store.update(RevokeFactor { user: self.user(), factor: self.device() }).await?;
            }
        }
        Ok(())
    }

    /// Which steps the store knows of. What it knows must be what was written, and in the order of the steps.
    pub(crate) async fn found(self, store: &Arc<dyn Challenges>) -> Vec<Step> {
        let challenge = store.view(self.challenge()).await.expect("the store answers");
        let subject = self.revoked_subject();
        let (loaded, _) = store.load(subject).await.expect("the store answers");
        let mut found = match challenge.map(|challenge| challenge.state) {
            None => Vec::new(),
            Some(State::Pending) => vec![Step::Created],
            Some(State::Approved { settled, redeemed_at, .. }) if self.approves() => {
                assert!(
                    matches!(&settled.by, SettledBy::Device { decision, .. } if *decision == self.signed()),
                    "{self:?}"
                );
                let redeemed = redeemed_at.map(|_| Step::Redeemed);
                [Some(Step::Created), Some(Step::Decided), redeemed].into_iter().flatten().collect()
            }
            Some(State::Denied { reason: Denial::Mistake, settled }) if !self.approves() => {
                assert!(
                    matches!(&settled.by, SettledBy::Device { decision, .. } if *decision == self.signed()),
                    "{self:?}"
                );
                vec![Step::Created, Step::Decided]
            }
            Some(other) => panic!("nobody wrote this of {self:?}: {other:?}"),
        };
        if loaded.user.is_revoked(self.device()) {
            found.push(Step::Revoked);
        }
        let in_order: Vec<_> = Step::ALL.into_iter().filter(|step| self.takes(*step)).collect();
        assert_eq!(found, in_order[..found.len()], "{self:?} lost an earlier write, and kept a later one");
        found
    }

    fn revoked_subject(self) -> countersign_domain::operation::Subject {
        use countersign_domain::operation::Operation as _;
        RevokeFactor { user: self.user(), factor: self.device() }.subject()
    }

    fn asked(self, now: UnixTime) -> ChallengeRecord {
        let application_id = ApplicationId::new(1, 1);
        let expires_at = now.plus(LIFETIME);
        let statement = ChallengeStatement {
            server_id: "server".into(),
            challenge_id: self.challenge().to_string(),
            application_id: application_id.to_string(),
            user_id: self.name(),
            purpose: Purpose::Login.into(),
            created_at: Some(now.to_wire()),
            expires_at: Some(expires_at.to_wire()),
            attempt_sha256: attempt_digest(&self.name()).to_vec(),
            ..ChallengeStatement::default()
        };
        let device = AskedDevice {
            id: DeviceId::new(self.user().0, self.0),
            name: "phone".into(),
            tag: self.device(),
            bound_at: now,
            has_push_target: true,
        };
        ChallengeRecord {
            id: self.challenge(),
            application_id,
            request_sha256: [1; 32],
            created_at: now,
            expires_at,
            challenge: envelope::sign(&statement, &SigningKey::from_bytes(&[1; 32])).encode_to_vec(),
            asked: vec![device],
            codes: Codes::default(),
            wakeup: Wakeup::Sending,
            state: State::Pending,
        }
    }

    fn decision(self) -> Decide {
        let verdict = if self.approves() {
            Verdict::Approve { match_code_is_right: true }
        } else {
            Verdict::DenyMistake
        };
        Decide {
            challenge: self.challenge(),
            device: self.device(),
            verdict,
            decision: self.signed(),
            settlement: Signed { at: SystemClock.now(), envelope: b"settled".to_vec() },
            sign: Arc::new(|at| at.to_string().into_bytes()),
        }
    }

    fn signed(self) -> Vec<u8> {
        self.name().into_bytes()
    }

    fn redemption(self) -> Redeem {
        Redeem {
            challenge: self.challenge(),
            application: ApplicationId::new(1, 1),
            user_id: self.name(),
            attempt_id: self.name(),
            purpose: Purpose::Login,
        }
    }

    /// User and attempt are called alike.
    fn name(self) -> String {
        format!("person-{}", self.0)
    }
}
