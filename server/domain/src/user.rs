//! The user record: what must be known of all of a user's challenges to change one.

use std::time::Duration;

use countersign_proto::time::UnixTime;
use serde::{Deserialize, Serialize};

use crate::{
    challenge::{AskedDevice, ChallengeRecord, FactorTag, READABLE_AFTER_EXPIRY},
    id::ChallengeId,
    policy::MAX_LIFETIME,
    standing::Standing,
};

/// How long a tombstone stands: until the longest challenge that may have asked the device can no longer be
/// read, which is well after it could be redeemed, and after any creation that read the directory before the
/// revocation is over.
pub const TOMBSTONE_STANDS: Duration = MAX_LIFETIME.saturating_add(READABLE_AFTER_EXPIRY);

/// What is short-lived about one user. Absent and empty are the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRecord {
    /// Unsettled challenges, oldest first. One that is neither listed nor settled has been superseded.
    pub open: Vec<OpenChallenge>,
    /// Devices and keys whose answers count no more, and other factors whose codes do not.
    pub tombstones: Vec<Tombstone>,
    /// What was wrong, refused, or left unanswered.
    pub standing: Standing,
}

/// An unsettled challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenChallenge {
    /// Which.
    pub id: ChallengeId,
    /// When its time is over.
    pub expires_at: UnixTime,
    /// Whether a write has seen its time over. It has expired then, wherever the clock steps afterwards.
    pub is_over: bool,
}

/// A factor that has been revoked, or a device's key that has been replaced by another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// Which device and key, or which other factor.
    pub tag: FactorTag,
    /// The key that answers in its place. None: the factor has been revoked.
    pub successor: Option<Successor>,
    /// By then no challenge that asked it can be read any more.
    pub until: UnixTime,
}

/// A device with the key that took over from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Successor {
    /// Which device and key.
    pub tag: FactorTag,
    /// No settlement by it is earlier.
    pub bound_at: UnixTime,
}

impl UserRecord {
    /// The challenge's entry. If it has none and nothing settled it, it was superseded.
    pub fn listed(&self, id: ChallengeId) -> Option<&OpenChallenge> {
        self.open.iter().find(|open| open.id == id)
    }

    /// Whether the device has been revoked. A device that only changed its key has not.
    pub fn is_revoked(&self, tag: FactorTag) -> bool {
        self.heir(tag).is_none()
    }

    /// Whether answers under this device and key count no more: it has been revoked, or another key answers.
    pub fn is_over(&self, tag: FactorTag) -> bool {
        self.tombstone(tag).is_some()
    }

    /// The device that was asked, with the key under which it answers now. `None`: it has been revoked.
    pub fn present(&self, asked: &AskedDevice) -> Option<AskedDevice> {
        let (tag, bound_at) = self.heir(asked.tag)?;
        let bound_at = bound_at.map_or(asked.bound_at, |at| at.max(asked.bound_at));
        Some(AskedDevice { tag, bound_at, ..asked.clone() })
    }

    /// The end of the chain of keys that `tag` begins, and the latest time at which one of them took over.
    fn heir(&self, tag: FactorTag) -> Option<(FactorTag, Option<UnixTime>)> {
        let mut heir = (tag, None);
        // Each tombstone leads on once: whoever writes the store can make no ring of them.
        for _ in 0..=self.tombstones.len() {
            let Some(tombstone) = self.tombstone(heir.0) else { return Some(heir) };
            let successor = tombstone.successor?;
            heir = (successor.tag, heir.1.max(Some(successor.bound_at)));
        }
        None
    }

    fn tombstone(&self, tag: FactorTag) -> Option<&Tombstone> {
        self.tombstones.iter().find(|tombstone| tombstone.tag == tag)
    }

    /// Lists a new challenge. Returns the oldest unexpired ones that no longer fit and are so superseded.
    pub fn open(&mut self, challenge: &ChallengeRecord, most: usize, now: UnixTime) -> Vec<ChallengeId> {
        let unexpired = |open: &&OpenChallenge| !open.has_expired(now);
        let excess = (self.open.iter().filter(unexpired).count() + 1).saturating_sub(most);
        let pushed_out: Vec<_> =
            self.open.iter().filter(unexpired).take(excess).map(|open| open.id).collect();
        self.open.retain(|open| !pushed_out.contains(&open.id));
        self.open.push(OpenChallenge { id: challenge.id, expires_at: challenge.expires_at, is_over: false });
        pushed_out
    }

    /// Takes a challenge off the list because it has been settled.
    pub fn close(&mut self, id: ChallengeId) {
        self.open.retain(|open| open.id != id);
    }

    /// Puts up a tombstone, from `now` for [`TOMBSTONE_STANDS`]; longer where a listed challenge can be read
    /// for longer, because the clock stepped back after its creation. One that stands is never shortened.
    ///
    /// A revocation takes a successor away, and none comes after it.
    pub fn revoke(&mut self, tag: FactorTag, now: UnixTime) {
        self.bury(tag, None, now);
    }

    /// Like [`Self::revoke`], but from now on the device answers with the key of `successor`, also to what the old one
    /// was asked.
    pub fn replace(&mut self, tag: FactorTag, successor: Successor, now: UnixTime) {
        self.bury(tag, Some(successor), now);
    }

    fn bury(&mut self, tag: FactorTag, successor: Option<Successor>, now: UnixTime) {
        let listed = self.open.iter().map(|open| open.expires_at.plus(READABLE_AFTER_EXPIRY)).max();
        let until = now.plus(TOMBSTONE_STANDS).max(listed.unwrap_or(now));
        match self.tombstones.iter_mut().find(|tombstone| tombstone.tag == tag) {
            Some(tombstone) => {
                tombstone.until = tombstone.until.max(until);
                // The first change of a key stands, and a revocation ends all.
                tombstone.successor = tombstone.successor.filter(|_| successor.is_some());
            }
            None => self.tombstones.push(Tombstone { tag, successor, until }),
        }
    }

    /// Seals what is over at `now`, and forgets what no longer matters: challenges that cannot be read any
    /// more, tombstones that nothing can reach.
    ///
    /// Sealing comes with forgetting because a tombstone may go only once all that it holds off has ended for
    /// good: were the clock to step back, the device could answer again.
    pub fn prune(&mut self, now: UnixTime) {
        for open in &mut self.open {
            open.is_over = open.has_expired(now);
        }
        self.open.retain(|open| now < open.expires_at.plus(READABLE_AFTER_EXPIRY));
        self.tombstones.retain(|tombstone| now < tombstone.until);
        self.standing.prune(now);
    }

    /// Whether there is anything to keep.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty() && self.tombstones.is_empty() && self.standing == Standing::default()
    }

    /// Until when there is anything to keep.
    pub fn keep_until(&self) -> Option<UnixTime> {
        let open = self.open.iter().map(|open| open.expires_at.plus(READABLE_AFTER_EXPIRY));
        let tombstones = self.tombstones.iter().map(|tombstone| tombstone.until);
        open.chain(tombstones).chain(self.standing.keep_until()).max()
    }
}

impl OpenChallenge {
    /// Whether its time is over at `now`, or was when it was last looked at.
    pub fn has_expired(&self, now: UnixTime) -> bool {
        self.is_over || now >= self.expires_at
    }
}
