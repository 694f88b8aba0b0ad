//! A factor counts no more, or a device no more under the key that it had.

use super::{Loaded, Lookup, Operation, Subject, Transition, Writes};
use crate::{
    UnixTime,
    challenge::FactorTag,
    id::UserTag,
    user::{Successor, UserRecord},
};

/// Puts up a tombstone for a device and key, or another factor, before the revocation is acknowledged. It stands for as
/// long as any challenge that asked the device can be read, see [`TOMBSTONE_STANDS`](crate::user::TOMBSTONE_STANDS).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevokeFactor {
    /// Whose factor.
    pub user: UserTag,
    /// Which device and key, or which other factor.
    pub factor: FactorTag,
}

impl Operation for RevokeFactor {
    type Outcome = ();

    fn subject(&self) -> Subject {
        Subject { user: self.user, challenge: Lookup::None }
    }

    fn apply(&self, loaded: Loaded, now: UnixTime) -> Transition<()> {
        changed(&loaded, now, |user| user.revoke(self.factor, now))
    }
}

/// Puts up a tombstone for a key of a device with the key that answers in its place, before the change is
/// acknowledged. It stands for as long as the one of a revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplaceKey {
    /// Whose device.
    pub user: UserTag,
    /// The device and the key that it had.
    pub device: FactorTag,
    /// The device and the key that it has.
    pub successor: Successor,
}

impl Operation for ReplaceKey {
    type Outcome = ();

    fn subject(&self) -> Subject {
        Subject { user: self.user, challenge: Lookup::None }
    }

    fn apply(&self, loaded: Loaded, now: UnixTime) -> Transition<()> {
        changed(&loaded, now, |user| user.replace(self.device, self.successor, now))
    }
}

fn changed(loaded: &Loaded, now: UnixTime, change: impl FnOnce(&mut UserRecord)) -> Transition<()> {
    let mut user = loaded.user.clone();
    user.prune(now);
    change(&mut user);
    let user = (user != loaded.user).then_some(user);
    let concerns_devices = user.is_some();
    Transition { outcome: (), writes: Writes { user, concerns_devices, ..Writes::default() } }
}
