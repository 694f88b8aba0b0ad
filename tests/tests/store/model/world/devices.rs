//! Users' devices: which are bound, under which keys, and who answers with one.

use std::{collections::HashMap, time::Duration};

use countersign_domain::{
    UnixTime,
    challenge::{AskedDevice, FactorTag},
    id::{ChallengeId, DeviceId, UserTag},
    operation::{ReplaceKey, RevokeFactor},
    user::{Successor, TOMBSTONE_STANDS},
};

use super::World;
use crate::{
    fixture::{START, device_tag},
    model::call::Call,
};

/// A user, as the directory knows him.
pub(super) struct User {
    pub(super) tag: UserTag,
    bound: Vec<Bound>,
    /// Keys that count no more, and since when.
    over: Vec<(Bound, UnixTime)>,
    /// By a key's number, the number of the key that took over and when it was bound.
    successors: HashMap<u64, (u64, UnixTime)>,
    /// Numbers of devices and keys begin here.
    first: u64,
    keys_ever: u64,
}

/// A device with a key of it; both have numbers.
#[derive(Clone, Copy)]
struct Bound {
    device: u64,
    key: u64,
}

impl User {
    /// A user with three devices, whose numbers and keys begin with `first`.
    pub(super) fn new(tag: UserTag, first: u64) -> Self {
        let bound = (first..first + 3).map(|n| Bound { device: n, key: n }).collect();
        Self { tag, bound, over: Vec::new(), successors: HashMap::new(), first, keys_ever: 3 }
    }

    /// No tombstone stands any more: the directory is not read so late that it names such a key.
    pub(super) fn forget_tombstones(&mut self) {
        self.over.clear();
    }

    fn new_key(&mut self) -> u64 {
        self.keys_ever += 1;
        self.first + self.keys_ever - 1
    }
}

impl World {
    /// The devices that the directory would name. It may have been read before a revocation or a change of a key, for
    /// as long as its tombstone stands.
    pub(super) fn asked(&mut self, user: usize) -> Vec<AskedDevice> {
        if self.random.one_in(16) {
            return Vec::new();
        }
        let (now, owner) = (self.clock.now(), self.users[user].tag.0);
        let mut named = self.users[user].bound.clone();
        if self.random.one_in(6) {
            let stands = |at: UnixTime| now < at.plus(TOMBSTONE_STANDS);
            let over = self.users[user].over.iter().filter(|(_, at)| stands(*at));
            named.extend(over.map(|(bound, _)| bound));
        }
        let mut asked = Vec::new();
        for Bound { device, key } in named {
            // Never bound after now, but where the clock stepped back; never of another user, but where somebody
            // wrote to the store.
            let bound_at = if self.random.one_in(12) { now.plus(Duration::from_secs(30)) } else { START };
            let owner = if self.random.one_in(20) { owner + 1 } else { owner };
            asked.push(AskedDevice {
                id: DeviceId::new(owner, device),
                name: format!("device {device}"),
                tag: device_tag(key),
                bound_at,
                has_push_target: true,
            });
        }
        asked
    }

    pub(super) fn revoke(&mut self) -> Call {
        let now = self.clock.now();
        let user = self.random.below(self.users.len());
        let user = &mut self.users[user];
        let place = self.random.below(user.bound.len());
        let gone = if self.random.one_in(5) && !user.over.is_empty() {
            self.random.pick(&user.over).0
        } else {
            let new = user.new_key();
            std::mem::replace(&mut user.bound[place], Bound { device: new, key: new })
        };
        user.over.push((gone, now));
        Call::Revoke(RevokeFactor { user: user.tag, factor: device_tag(gone.key) })
    }

    /// One of the user's devices gets another key; or a change of before is finished once more.
    pub(super) fn replace_key(&mut self, user: usize) -> Call {
        let place = self.random.below(self.users[user].bound.len());
        let (is_again, is_ahead) = (self.random.one_in(5), self.random.one_in(12));
        let now = self.clock.now();
        let user = &mut self.users[user];
        let mut replaced = user.over.iter().filter(|(bound, _)| user.successors.contains_key(&bound.key));
        let old = match replaced.next_back() {
            Some((bound, _)) if is_again => *bound,
            _ => user.bound[place],
        };
        if !user.successors.contains_key(&old.key) {
            let new = user.new_key();
            let bound_at = if is_ahead { now.plus(Duration::from_secs(30)) } else { now };
            user.successors.insert(old.key, (new, bound_at));
            user.bound[place].key = new;
        }
        user.over.push((old, now));
        let (new, bound_at) = user.successors[&old.key];
        let successor = Successor { tag: device_tag(new), bound_at };
        Call::ReplaceKey(ReplaceKey { user: user.tag, device: device_tag(old.key), successor })
    }

    /// Mostly the key with which a device answers that the challenge asked.
    pub(super) fn asked_number(&mut self, challenge: ChallengeId) -> u64 {
        let asked = self.made.iter().find(|made| made.challenge.id == challenge);
        let asked = asked.map_or(&[][..], |made| &made.challenge.asked);
        if asked.is_empty() || self.random.one_in(6) {
            return self.some_key();
        }
        // A tag is made of the key's number.
        let tag = self.random.pick(asked).tag.0;
        let mut key = u64::from_be_bytes(*tag.first_chunk().expect("32 bytes"));
        while let Some(new) = self.successor(key)
            && !self.random.one_in(4)
        {
            key = new;
        }
        key
    }

    pub(super) fn asked_key(&mut self, challenge: ChallengeId) -> FactorTag {
        device_tag(self.asked_number(challenge))
    }

    pub(super) fn some_key(&mut self) -> u64 {
        let user = self.random.below(self.users.len());
        self.users[user].first + self.random.below(4) as u64
    }

    fn successor(&self, key: u64) -> Option<u64> {
        self.users.iter().find_map(|user| user.successors.get(&key)).map(|(new, _)| *new)
    }
}
