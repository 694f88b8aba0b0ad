//! What can be asked, and what can be answered.

use std::sync::Arc;

use countersign::store::Challenges;
use countersign_domain::{
    UnixTime,
    challenge::{ChallengeRecord, FactorTag},
    id::ChallengeId,
    operation::{
        Cancel, CodeTold, Create, CreateOutcome, Decide, DecideOutcome, Fetch, Loaded, Operation, Redeem,
        RedeemOutcome, ReplaceKey, RevokeFactor, Stand, Subject, Transition, Unlock, VerifyCode, View,
        Writes,
    },
    standing::{Holds, Standing},
};

/// One operation.
#[derive(Clone, Debug)]
pub(super) enum Call {
    Create(Create),
    Decide(Decide),
    Cancel(Cancel),
    Redeem(Redeem),
    View(View),
    Fetch(Fetch),
    Revoke(RevokeFactor),
    ReplaceKey(ReplaceKey),
    Code(VerifyCode),
    Stand(Stand),
    Unlock(Unlock),
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Create(CreateOutcome),
    Decide(DecideOutcome),
    Cancel(Option<ChallengeRecord>),
    Redeem(RedeemOutcome),
    View(Option<ChallengeRecord>),
    Fetch(Option<ChallengeRecord>),
    Revoke,
    ReplaceKey,
    Code(Option<CodeTold>),
    Stand(Standing),
    Unlock(UnixTime),
}

impl Call {
    pub(super) fn subject(&self) -> Subject {
        match self {
            Self::Create(call) => call.subject(),
            Self::Decide(call) => call.subject(),
            Self::Cancel(call) => call.subject(),
            Self::Redeem(call) => call.subject(),
            Self::View(call) => call.subject(),
            Self::Fetch(call) => call.subject(),
            Self::Revoke(call) => call.subject(),
            Self::ReplaceKey(call) => call.subject(),
            Self::Code(call) => call.subject(),
            Self::Stand(call) => call.subject(),
            Self::Unlock(call) => call.subject(),
        }
    }

    /// The pure function.
    pub(super) fn apply(&self, loaded: Loaded, now: UnixTime) -> (Answer, Writes) {
        fn applied<T>(transition: Transition<T>, answer: impl FnOnce(T) -> Answer) -> (Answer, Writes) {
            (answer(transition.outcome), transition.writes)
        }
        match self {
            Self::Create(call) => applied(call.apply(loaded, now), Answer::Create),
            Self::Decide(call) => applied(call.apply(loaded, now), Answer::Decide),
            Self::Cancel(call) => applied(call.apply(loaded, now), Answer::Cancel),
            Self::Redeem(call) => applied(call.apply(loaded, now), Answer::Redeem),
            Self::View(call) => applied(call.apply(loaded, now), Answer::View),
            Self::Fetch(call) => applied(call.apply(loaded, now), Answer::Fetch),
            Self::Revoke(call) => applied(call.apply(loaded, now), |()| Answer::Revoke),
            Self::ReplaceKey(call) => applied(call.apply(loaded, now), |()| Answer::ReplaceKey),
            Self::Code(call) => applied(call.apply(loaded, now), Answer::Code),
            Self::Stand(call) => applied(call.apply(loaded, now), Answer::Stand),
            Self::Unlock(call) => applied(call.apply(loaded, now), Answer::Unlock),
        }
    }

    /// Asks a store, in the way that the server does.
    pub(super) async fn ask(self, store: &Arc<dyn Challenges>) -> Answer {
        let answer = match self {
            Self::Create(call) => store.update(call).await.map(Answer::Create),
            Self::Decide(call) => store.update(call).await.map(Answer::Decide),
            Self::Cancel(call) => store.update(call).await.map(Answer::Cancel),
            Self::Redeem(call) => store.update(call).await.map(Answer::Redeem),
            Self::View(call) => store.read(call).await.map(Answer::View),
            Self::Fetch(call) => store.read(call).await.map(Answer::Fetch),
            Self::Revoke(call) => store.update(call).await.map(|()| Answer::Revoke),
            Self::ReplaceKey(call) => store.update(call).await.map(|()| Answer::ReplaceKey),
            Self::Code(call) => store.update(call).await.map(Answer::Code),
            Self::Stand(call) => store.read(call).await.map(Answer::Stand),
            Self::Unlock(call) => store.update(call).await.map(Answer::Unlock),
        };
        answer.expect("an answer")
    }
}

impl Call {
    /// The copy of lock and block that it was given.
    pub(super) fn copy(&self) -> Option<Holds> {
        match self {
            Self::Create(call) => Some(call.copy),
            Self::Code(call) => Some(call.copy),
            _ => None,
        }
    }

    /// The device and key that speaks, and of which challenge.
    pub(super) fn speaker(&self) -> Option<(ChallengeId, FactorTag)> {
        match self {
            Self::Decide(call) => Some((call.challenge, call.device)),
            Self::Fetch(call) => Some((call.challenge, call.device)),
            _ => None,
        }
    }
}

impl Answer {
    /// The challenge that was told.
    pub(super) fn challenge(&self) -> Option<&ChallengeRecord> {
        match self {
            Self::Create(CreateOutcome::Repeated(challenge) | CreateOutcome::Created { challenge, .. })
            | Self::Decide(DecideOutcome::Settled { challenge, .. })
            | Self::Redeem(RedeemOutcome::NotApproved(challenge) | RedeemOutcome::Redeemed(challenge)) => {
                Some(challenge)
            }
            Self::Cancel(challenge) | Self::View(challenge) | Self::Fetch(challenge) => challenge.as_ref(),
            Self::Code(told) => told.as_ref().map(|told| &*told.challenge),
            Self::Create(_)
            | Self::Decide(_)
            | Self::Redeem(_)
            | Self::Revoke
            | Self::ReplaceKey
            | Self::Stand(_)
            | Self::Unlock(_) => None,
        }
    }
}
