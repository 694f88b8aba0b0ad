//! What servers on the same challenges tell each other.

use std::{future::Future, pin::Pin};

use countersign_domain::id::{ChallengeId, UserTag};

use super::StoreFuture;

/// What a server learns of changes that another one made. It says 'read again': what is true is in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wakeup {
    /// This challenge is pending no more.
    Ended(ChallengeId),
    /// Something may have been missed: whoever waits for whatever reads it again.
    Gap,
}

/// Wake-ups from other servers. One that is lost costs whoever waits a poll, never an answer.
pub trait Wakeups: Send + Sync {
    /// Asks to be told when a challenge of this user ends, for longer than any call waits. Register first, then
    /// read what is stored.
    fn watch(&self, user: UserTag) -> StoreFuture<'_, ()>;

    /// Tells `tell` of every wake-up. Runs until it is dropped.
    fn listen<'a>(
        &'a self,
        tell: &'a (dyn Fn(Wakeup) + Send + Sync),
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
}
