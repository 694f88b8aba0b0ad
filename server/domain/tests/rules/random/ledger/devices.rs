//! Devices, the keys that they have had, and who may therefore answer what they were asked.

use countersign_domain::{
    UnixTime,
    challenge::{AskedDevice, ChallengeRecord, FactorTag},
    operation::ReplaceKey,
    user::{Successor, TOMBSTONE_STANDS},
};

use crate::fixture::{USER, device, tag};

/// Every key that a device has or had. Number n, whose tag is `tag(n)`, at index n.
pub(crate) struct Devices(Vec<Key>);

/// A device under one of its keys.
struct Key {
    asked: AskedDevice,
    over: Option<Over>,
}

/// That a key counts no more.
struct Over {
    /// The key that took over; `None`: the device was revoked.
    successor: Option<usize>,
    /// When the tombstone was put up.
    at: UnixTime,
    /// The latest time on the clock since.
    latest: UnixTime,
    /// Whether the store lost it.
    is_lost: bool,
}

/// What has become of a device that was asked.
pub(crate) struct Fate {
    /// The device under the key that was asked, and under each that took over from it.
    keys: Vec<AskedDevice>,
    is_revoked: bool,
    /// Whether the store must know of all that.
    is_certain: bool,
}

impl Over {
    /// Whether nothing has given a reason to forget the tombstone.
    fn stands(&self) -> bool {
        !self.is_lost && self.latest < self.at.plus(TOMBSTONE_STANDS)
    }
}

impl Default for Devices {
    fn default() -> Self {
        Self((0..3).map(|n| Key { asked: device(n), over: None }).collect())
    }
}

impl Devices {
    /// How many keys there have been.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The device that has key `n`, or had it, under that key.
    pub(crate) fn of_key(&self, n: usize) -> Option<&AskedDevice> {
        self.0.get(n).map(|key| &key.asked)
    }

    /// Whether answers with key `n` count no more.
    pub(crate) fn is_over(&self, n: usize) -> bool {
        self.0[n].over.is_some()
    }

    /// Whether another key took over from key `n`.
    pub(crate) fn has_successor(&self, n: usize) -> bool {
        self.0.get(n).and_then(|key| key.over.as_ref()).is_some_and(|over| over.successor.is_some())
    }

    /// The devices that the directory names, each under its key; or what it named before the latest revocations and
    /// changes of keys, as far back as a creation can have read it.
    pub(crate) fn in_directory(&self, is_old: bool) -> Vec<AskedDevice> {
        let is_named = |key: &Key| match &key.over {
            None => true,
            Some(over) => is_old && over.stands(),
        };
        let took_over = |n: usize| {
            let from = |key: &Key| key.over.as_ref().is_some_and(|over| over.successor == Some(n));
            self.0.iter().any(|key| from(key) && is_named(key))
        };
        let named = self.0.iter().enumerate().filter(|(n, key)| is_named(key) && !took_over(*n));
        named.map(|(_, key)| key.asked.clone()).collect()
    }

    /// Whether one of these counts no more under the key that it was named with.
    pub(crate) fn are_outdated(&self, named: &[AskedDevice]) -> bool {
        named.iter().any(|device| self.is_over(number(device.tag)))
    }

    /// One more device is bound.
    pub(crate) fn bind(&mut self, now: UnixTime) {
        let asked = AskedDevice { bound_at: now, ..device(self.next()) };
        self.0.push(Key { asked, over: None });
    }

    /// A device is revoked under its key `n`.
    pub(crate) fn revoke(&mut self, n: usize, now: UnixTime) -> Option<FactorTag> {
        let key = self.0.get_mut(n)?;
        key.over = Some(Over { successor: None, at: now, latest: now, is_lost: false });
        Some(key.asked.tag)
    }

    /// Another key takes over from key `n`; again: the same one. `None`: the device has been revoked.
    pub(crate) fn replace(&mut self, n: usize, now: UnixTime) -> Option<ReplaceKey> {
        let next = self.len();
        let successor = match &self.0.get(n)?.over {
            None => next,
            Some(over) => over.successor?,
        };
        if successor == next {
            let asked = AskedDevice { tag: tag(self.next()), bound_at: now, ..self.0[n].asked.clone() };
            self.0.push(Key { asked, over: None });
        }
        self.0[n].over = Some(Over { successor: Some(successor), at: now, latest: now, is_lost: false });
        let AskedDevice { tag: successor, bound_at, .. } = self.0[successor].asked;
        Some(ReplaceKey {
            user: USER,
            device: self.0[n].asked.tag,
            successor: Successor { tag: successor, bound_at },
        })
    }

    /// The clock shows another time.
    pub(crate) fn see(&mut self, now: UnixTime) {
        for over in self.over() {
            over.latest = over.latest.max(now);
        }
    }

    /// The store has lost everything.
    pub(crate) fn lose(&mut self) {
        for over in self.over() {
            over.is_lost = true;
        }
    }

    /// What has become of a device that was asked.
    pub(crate) fn fate(&self, asked: &AskedDevice) -> Fate {
        let mut fate = Fate { keys: vec![asked.clone()], is_revoked: false, is_certain: true };
        let mut key = &self.0[number(asked.tag)];
        while let Some(over) = &key.over {
            fate.is_certain &= over.stands();
            let Some(successor) = over.successor else {
                fate.is_revoked = true;
                break;
            };
            key = &self.0[successor];
            let last = fate.keys.last().expect("it began with one");
            let bound_at = last.bound_at.max(key.asked.bound_at);
            fate.keys.push(AskedDevice { bound_at, ..key.asked.clone() });
        }
        fate
    }

    /// Whether key `n` is heard about a challenge that can be read; `None`: a tombstone may have been forgotten.
    pub(crate) fn may_answer(&self, n: usize, made: &ChallengeRecord) -> Option<bool> {
        let Some(of_key) = self.of_key(n) else { return Some(false) };
        let Some(asked) = made.asked.iter().find(|asked| asked.id == of_key.id) else { return Some(false) };
        let fate = self.fate(asked);
        if !fate.is_certain {
            return if fate.under(tag_of(n)).is_some() { None } else { Some(false) };
        }
        let present = fate.present().filter(|present| present.bound_at < made.expires_at);
        Some(present.is_some_and(|present| present.tag == tag_of(n)))
    }

    /// The time before which key `n` settles none of what its device was asked.
    pub(crate) fn bound_at(&self, n: usize, made: &ChallengeRecord) -> UnixTime {
        let of_key = &self.0[n].asked;
        let asked =
            made.asked.iter().find(|asked| asked.id == of_key.id).expect("only who was asked settles");
        self.fate(asked).under(of_key.tag).expect("its key took over").bound_at
    }

    /// Asserts that a challenge names each device under the key that it has now.
    pub(crate) fn are_named(&self, record: &ChallengeRecord, made: &ChallengeRecord) {
        assert_eq!(record.asked.len(), made.asked.len());
        for (named, asked) in record.asked.iter().zip(&made.asked) {
            let fate = self.fate(asked);
            if fate.is_certain {
                assert_eq!(named, fate.present().unwrap_or(asked));
            } else {
                assert!(fate.keys.contains(named), "{named:?}");
            }
        }
    }

    fn over(&mut self) -> impl Iterator<Item = &mut Over> {
        self.0.iter_mut().filter_map(|key| key.over.as_mut())
    }

    fn next(&self) -> u8 {
        u8::try_from(self.len()).expect("few keys")
    }
}

impl Fate {
    /// Whether it was revoked; `None`: a tombstone may have been forgotten.
    pub(crate) fn is_revoked(&self) -> Option<bool> {
        self.is_certain.then_some(self.is_revoked)
    }

    /// The device as it was, is or will be under one of its keys.
    pub(crate) fn under(&self, tag: FactorTag) -> Option<&AskedDevice> {
        self.keys.iter().find(|device| device.tag == tag)
    }

    fn present(&self) -> Option<&AskedDevice> {
        self.keys.last().filter(|_| !self.is_revoked)
    }
}

/// The tag of key `n`.
pub(crate) fn tag_of(n: usize) -> FactorTag {
    tag(u8::try_from(n).expect("few keys"))
}

fn number(tag: FactorTag) -> usize {
    tag.0[0].into()
}
