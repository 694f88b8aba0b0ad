//! A device's answers count no more.

use super::{Loaded, Lookup, Operation, Subject, Transition, Writes};
use crate::{UnixTime, challenge::DeviceTag, id::UserTag};

/// Puts up a tombstone for a device and key, before the revocation is acknowledged. It stands for as long as
/// any challenge that asked the device can be read, see [`TOMBSTONE_STANDS`](crate::user::TOMBSTONE_STANDS).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevokeDevice {
    /// Whose device.
    pub user: UserTag,
    /// Which device and key.
    pub device: DeviceTag,
}

impl Operation for RevokeDevice {
    type Outcome = ();

    fn subject(&self) -> Subject {
        Subject { user: self.user, challenge: Lookup::None }
    }

    fn apply(&self, loaded: Loaded, now: UnixTime) -> Transition<()> {
        let mut user = loaded.user.clone();
        user.prune(now);
        user.revoke(self.device, now);
        let user = (user != loaded.user).then_some(user);
        let concerns_devices = user.is_some();
        Transition { outcome: (), writes: Writes { user, concerns_devices, ..Writes::default() } }
    }
}
