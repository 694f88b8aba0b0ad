//! How a user stands: reading it, and letting codes and pushes through again.

use super::{Loaded, Lookup, Operation, Subject, Transition, Writes};
use crate::{
    UnixTime,
    id::UserTag,
    standing::{Holds, Standing},
};

/// Reads how a user stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stand {
    /// Who.
    pub user: UserTag,
}

/// Lets a user's codes and pushes through again. Comes to the moment from which that holds: a lock or block of
/// before it counts no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unlock {
    /// Who.
    pub user: UserTag,
    /// Lock and block as they were copied elsewhere: lifted as well, whatever the clock shows.
    pub copy: Holds,
}

impl Operation for Stand {
    type Outcome = Standing;

    fn subject(&self) -> Subject {
        Subject { user: self.user, challenge: Lookup::None }
    }

    fn apply(&self, loaded: Loaded, now: UnixTime) -> Transition<Standing> {
        let mut standing = loaded.user.standing;
        standing.prune(now);
        Transition::unchanged(standing)
    }
}

impl Operation for Unlock {
    type Outcome = UnixTime;

    fn subject(&self) -> Subject {
        Subject { user: self.user, challenge: Lookup::None }
    }

    fn apply(&self, loaded: Loaded, now: UnixTime) -> Transition<UnixTime> {
        let mut user = loaded.user;
        user.prune(now);
        user.standing.heed(self.copy);
        user.standing.unlock(now);
        let unlocked_at = user.standing.unlocked_at.unwrap_or(now);
        Transition { outcome: unlocked_at, writes: Writes { user: Some(user), ..Writes::default() } }
    }
}
