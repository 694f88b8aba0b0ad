//! What servers on the same challenges tell each other.

use std::{future::Future, pin::Pin};

use countersign_domain::id::{ChallengeId, UserTag};

use super::StoreFuture;

/// What a server learns of changes that another one made. It says 'read again': what is true is in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wakeup {
    /// This challenge is pending no more.
    Ended(ChallengeId),
    /// The user's devices have a new challenge, or one of them was revoked.
    Devices(UserTag),
    /// A wake-up for this challenge has come farther.
    Delivery(ChallengeId),
    /// Something may have been missed: whoever waits for whatever reads it again.
    Gap,
}

/// Wake-ups from other servers. One that is lost costs whoever waits a poll, never an answer.
pub trait Wakeups: Send + Sync {
    /// Asks to be told when a challenge of this user ends, and of what concerns his devices, for longer than any call
    /// or stream waits. Register first, then read what is stored.
    fn watch(&self, user: UserTag) -> StoreFuture<'_, ()>;

    /// Asks to be told how far the wake-ups for this user's challenges come, for longer than a challenge lives.
    fn watch_deliveries(&self, user: UserTag) -> StoreFuture<'_, ()>;

    /// Tells `tell` of every wake-up. Runs until it is dropped.
    fn listen<'a>(
        &'a self,
        tell: &'a (dyn Fn(Wakeup) + Send + Sync),
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
}
