//! Copies of lock and block, which outlive the store of challenges.

use countersign_domain::{UnixTime, standing::Holds};

use super::{StoreFuture, devices::UserKey};

/// Copies of lock and block. Whoever reads a user's devices or codes reads them along.
pub trait HoldCopies: Send + Sync {
    /// Copies lock and block. What is not newer than the last unlocking is dropped, unless that lies in the future, by a
    /// clock that was set back since; what is `None` stays as it is.
    fn copy(&self, user: UserKey, holds: Holds) -> StoreFuture<'_, ()>;

    /// Lifts the copies of lock and block. Those of what began until `at` count no more, which is when the user record was
    /// unlocked.
    fn lift(&self, user: UserKey, at: UnixTime) -> StoreFuture<'_, ()>;

    /// Forgets users of whom there is neither lock nor block, a day after they were unlocked: no copy that was read before
    /// comes as late as that. A bounded number at a time; returns how many it forgot.
    fn clean(&self) -> StoreFuture<'_, usize>;
}
