//! A code is typed on the login page.

use std::fmt;

use countersign_proto::time::UnixTime;

use super::{Loaded, Lookup, Open, Operation, SignSettlement, Signed, Subject, Transition};
use crate::{
    challenge::ChallengeRecord,
    code::{CodeFactor, CodeKind, TRIES},
    id::{ApplicationId, ChallengeId},
    standing::Holds,
    state::{Event, Settled, SettledBy},
};

/// A code for a challenge. Whoever asks for this has compared the code with what the user's factors would show, and
/// has used up one that is right; whether a code is still wanted, and may count, is checked here, in the write
/// itself.
#[derive(Clone)]
pub struct VerifyCode {
    /// Which.
    pub challenge: ChallengeId,
    /// Whose.
    pub application: ApplicationId,
    /// Its kind.
    pub kind: CodeKind,
    /// What the code turned out to be.
    pub finding: Finding,
    /// Lock and block as they were copied elsewhere.
    pub copy: Holds,
}

/// What a code turned out to be.
#[derive(Clone)]
pub enum Finding {
    /// It has not been compared yet: should it be?
    NotCompared,
    /// No factor's. If it was one too many, this denies the challenge.
    Wrong(PreparedSettlement),
    /// This factor's.
    Right(CodeFactor, PreparedSettlement),
}

/// A settlement, signed beforehand, and the means to sign it anew.
#[derive(Clone)]
pub struct PreparedSettlement {
    /// Signed beforehand.
    pub signed: Signed,
    /// Signs it anew, should its time not fit.
    pub sign: SignSettlement,
}

/// What came of a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeTold {
    /// What it was.
    pub answer: CodeAnswer,
    /// The challenge as it is now.
    pub challenge: Box<ChallengeRecord>,
}

/// What a code was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeAnswer {
    /// Too late: the challenge was settled before.
    NotPending,
    /// Not looked at: the user's codes are locked.
    LockedOut,
    /// The challenge takes no code of this kind, or the factor has been revoked.
    NotTaken,
    /// It is to be compared.
    Compare,
    /// Wrong. The challenge is denied if it was one too many.
    Wrong {
        /// Lock and block, as they are now.
        holds: Holds,
    },
    /// Right: the challenge is approved by it.
    Accepted,
}

impl Operation for VerifyCode {
    /// `None`: the application has none of this id.
    type Outcome = Option<CodeTold>;

    fn subject(&self) -> Subject {
        Subject { user: self.challenge.user(), challenge: Lookup::Id(self.challenge) }
    }

    fn apply(&self, loaded: Loaded, now: UnixTime) -> Transition<Option<CodeTold>> {
        let mut open = match Open::at(loaded, now) {
            Ok(open) if open.challenge.application_id == self.application => open,
            Ok(_) => return Transition::unchanged(None),
            Err(writes) => return Transition { outcome: None, writes: *writes },
        };
        open.heed(self.copy);
        let holds = open.user.standing.holds();
        if !open.challenge.state.is_pending() {
            return tell(open, now, CodeAnswer::NotPending);
        }
        if holds.locked_at.is_some() {
            return tell(open, now, CodeAnswer::LockedOut);
        }
        let is_revoked = match &self.finding {
            Finding::Right(factor, _) => open.user.is_revoked(factor.tag),
            Finding::NotCompared | Finding::Wrong(_) => false,
        };
        if is_revoked || !open.challenge.codes.kinds.contains(&self.kind) {
            return tell(open, now, CodeAnswer::NotTaken);
        }
        match &self.finding {
            Finding::NotCompared => tell(open, now, CodeAnswer::Compare),
            Finding::Wrong(settlement) => wrong(open, settlement, now),
            Finding::Right(factor, settlement) => {
                let settled = settlement.settled(SettledBy::Code(*factor), &open.challenge, now);
                open.happen(Event::AcceptCode(settled));
                open.user.standing.succeed();
                tell(open, now, CodeAnswer::Accepted)
            }
        }
    }
}

fn tell(open: Open, now: UnixTime, answer: CodeAnswer) -> Transition<Option<CodeTold>> {
    open.commit(now, |challenge| Some(CodeTold { answer, challenge: Box::new(challenge.clone()) }))
}

/// One try less, for this challenge and for the user.
fn wrong(mut open: Open, settlement: &PreparedSettlement, now: UnixTime) -> Transition<Option<CodeTold>> {
    open.user.standing.fail(now);
    open.challenge.codes.wrong += 1;
    (open.changed, open.before) = (true, Some(open.challenge.expires_at));
    if open.challenge.codes.wrong >= TRIES {
        let settled = settlement.settled(SettledBy::Server, &open.challenge, now);
        open.happen(Event::RefuseCodes(settled));
    }
    let holds = open.user.standing.holds();
    tell(open, now, CodeAnswer::Wrong { holds })
}

impl PreparedSettlement {
    fn settled(&self, by: SettledBy, challenge: &ChallengeRecord, now: UnixTime) -> Settled {
        let (settled_at, settlement) = self.signed.or_anew(&self.sign, challenge, challenge.created_at, now);
        Settled { by, settled_at, settlement }
    }
}

impl fmt::Debug for VerifyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyCode").field("challenge", &self.challenge).finish_non_exhaustive()
    }
}
