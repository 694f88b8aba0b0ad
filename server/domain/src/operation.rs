//! What can happen to a user's challenges, each as one pure function.
//!
//! A store loads what [`Operation::subject`] names, calls [`Operation::apply`] with its own clock, and commits
//! what is to be written by compare-and-set; if something changed meanwhile it loads and calls again. An
//! operation therefore may be applied more than once, and answers the same question the same way.

mod cancel;
mod create;
mod decide;
mod fetch;
mod redeem;
mod revoke;
mod stand;
mod verify_code;
mod view;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

pub use self::{
    cancel::Cancel,
    create::{Create, CreateOutcome},
    decide::{Decide, DecideOutcome, SignSettlement, Signed},
    fetch::Fetch,
    redeem::{Redeem, RedeemOutcome},
    revoke::{ReplaceKey, RevokeFactor},
    stand::{Stand, Unlock},
    verify_code::{CodeAnswer, CodeTold, Finding, PreparedSettlement, VerifyCode},
    view::View,
};
use crate::{
    UnixTime,
    challenge::{AskedDevice, ChallengeRecord, FactorTag, Wakeup},
    id::{ChallengeId, UserTag},
    standing::Holds,
    state::{Event, SettledBy},
    user::UserRecord,
};

/// One thing that can happen.
pub trait Operation: Send + Sync + 'static {
    /// What came of it.
    type Outcome: Send + 'static;

    /// What it is about.
    fn subject(&self) -> Subject;

    /// What becomes of what was loaded, at `now`.
    fn apply(&self, loaded: Loaded, now: UnixTime) -> Transition<Self::Outcome>;
}

/// What an operation is about: what a store loads for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Whose record.
    pub user: UserTag,
    /// Which challenge besides.
    pub challenge: Lookup,
}

/// How a challenge is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// None is needed.
    None,
    /// By its id.
    Id(ChallengeId),
    /// By the attempt that asked for it.
    Attempt(AttemptTag),
}

/// HMAC over application, user and attempt: leads from an attempt to its challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AttemptTag(pub [u8; 32]);

/// What a store had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Empty when the store had none.
    pub user: UserRecord,
    /// The challenge that was looked up.
    pub challenge: Option<ChallengeRecord>,
}

/// What came of an operation, and what must be stored before anybody is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition<T> {
    /// To be told once the writes are committed.
    pub outcome: T,
    /// To be committed together, if nothing changed since the load.
    pub writes: Writes,
}

/// What to store. Nothing of it unset: nothing to commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Writes {
    /// In place of the user record.
    pub user: Option<UserRecord>,
    /// New, or in place of the one with its id.
    pub challenge: Option<ChallengeRecord>,
    /// With a new challenge: the attempt that leads to it from now on. It may have led to an older one that
    /// can no longer be read.
    pub attempt: Option<AttemptTag>,
    /// The commit must come before this: at or after it, the operation would come to something else.
    pub before: Option<UnixTime>,
    /// Challenges that are pending no more with this: whoever waits for one of them, on whatever server, reads
    /// it again.
    pub ended: Vec<ChallengeId>,
    /// Whether the user's devices must hear of something else: a challenge is new, or one of them was revoked.
    /// Whoever serves them, on whatever server, reads again.
    pub concerns_devices: bool,
}

impl Writes {
    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.user.is_none() && self.challenge.is_none()
    }
}

impl<T> Transition<T> {
    /// An outcome that changes nothing.
    fn unchanged(outcome: T) -> Self {
        Self { outcome, writes: Writes::default() }
    }
}

/// A challenge that can be read, with its user, and whether either has changed.
struct Open {
    user: UserRecord,
    challenge: ChallengeRecord,
    changed: bool,
    /// See [`Writes::before`].
    before: Option<UnixTime>,
    /// Whether it was pending until now.
    ended: bool,
}

impl Open {
    /// Seals on sight what has come to pass: a pending challenge that is not listed was superseded, one whose
    /// time is over has expired.
    ///
    /// `Err` when there is no challenge that can be read, with what must be written before that is told: a
    /// challenge too old to be read was seen past its expiry as well.
    fn at(loaded: Loaded, now: UnixTime) -> Result<Self, Box<Writes>> {
        let Loaded { user, challenge } = loaded;
        let challenge = challenge.ok_or_else(Box::default)?;
        let is_readable = now < challenge.readable_until();
        let mut open = Self { user, challenge, changed: false, before: None, ended: false };
        match open.user.listed(open.challenge.id) {
            None => {
                open.happen(Event::Supersede);
            }
            Some(listed) if listed.has_expired(now) => {
                open.happen(Event::Expire);
            }
            Some(_) => {}
        }
        if is_readable { Ok(open) } else { Err(Box::new(open.commit(now, |_| ()).writes)) }
    }

    /// The device with this tag, when it was asked, under this key or one that this key took over from, and has not
    /// been revoked since.
    /// A device of another user does not count: its tag is good, but was copied here from another challenge.
    fn device(&self, tag: FactorTag) -> Option<AskedDevice> {
        let asked = told(&self.challenge, &self.user).asked_device(tag).cloned();
        asked.filter(|device| !self.user.is_over(tag) && device.id.user() == self.challenge.id.user())
    }

    /// Whether the device that settled it has been revoked since. The directory is asked as well; here it is
    /// asked in the write itself, so that a revocation that is acknowledged first is heeded.
    fn is_settled_by_revoked(&self) -> bool {
        self.challenge.state.settled().is_some_and(|settled| match &settled.by {
            SettledBy::Device { id, .. } => {
                let mut asked = self.challenge.asked.iter();
                asked.any(|device| device.id == *id && self.user.is_revoked(device.tag))
            }
            SettledBy::Code(factor) => self.user.is_revoked(factor.tag),
            SettledBy::Server => false,
        })
    }

    /// Takes over a lock or block that was copied elsewhere, should the store have lost it.
    fn heed(&mut self, copy: Holds) {
        let before = self.user.standing.holds();
        self.user.standing.heed(copy);
        self.changed |= self.user.standing.holds() != before;
    }

    /// Lets `event` happen if nothing else has. Returns whether it did.
    fn happen(&mut self, event: Event) -> bool {
        let before = match event {
            Event::Settle(..) | Event::AcceptCode(_) | Event::RefuseCodes(_) | Event::Cancel => {
                Some(self.challenge.expires_at)
            }
            Event::Supersede | Event::Expire => None,
        };
        let Ok(state) = self.challenge.state.clone().after(event) else { return false };
        self.challenge.state = state;
        self.user.close(self.challenge.id);
        (self.changed, self.ended, self.before) = (true, true, before);
        true
    }

    /// The outcome, with what changed to be written.
    fn commit<T>(mut self, now: UnixTime, outcome: impl FnOnce(&ChallengeRecord) -> T) -> Transition<T> {
        let outcome = outcome(&told(&self.challenge, &self.user));
        if !self.changed {
            return Transition::unchanged(outcome);
        }
        self.user.prune(now);
        let ended = self.ended.then_some(self.challenge.id).into_iter().collect();
        let (user, challenge) = (Some(self.user), Some(self.challenge));
        let writes = Writes { user, challenge, before: self.before, ended, ..Writes::default() };
        Transition { outcome, writes }
    }
}

/// The challenge as it is told: while codes are locked, as one that takes none; while pushes are blocked, as one for
/// which nobody is woken any more, although it was made before; and the devices with the keys that they have now.
fn told<'a>(challenge: &'a ChallengeRecord, user: &UserRecord) -> Cow<'a, ChallengeRecord> {
    let mut told = Cow::Borrowed(challenge);
    if user.standing.locked_at.is_some() {
        told.to_mut().codes.kinds.clear();
    }
    let is_blocked = user.standing.push_blocked_at.is_some();
    if is_blocked && challenge.state.is_pending() && challenge.wakeup == Wakeup::Sending {
        told.to_mut().wakeup = Wakeup::Blocked;
    }
    if challenge.asked.iter().any(|device| user.is_over(device.tag)) {
        for device in &mut told.to_mut().asked {
            if let Some(present) = user.present(device) {
                *device = present;
            }
        }
    }
    told
}
