//! Short-lived state: challenges and what must be known of a user to change one.

use std::sync::{Arc, Mutex};

use countersign_domain::{
    UnixTime,
    challenge::ChallengeRecord,
    id::{ChallengeId, DeviceId, UserTag},
    operation::{Loaded, Operation, Subject, View, Writes},
};
use countersign_proto::login::DeliveryState;

use super::{StoreError, StoreFuture};

/// Computes what to write from what was loaded. A store may call it more than once; the last call counts.
pub type Apply = Box<dyn FnMut(Loaded, UnixTime) -> Writes + Send>;

/// Loads, calls the pure function, and commits what it wants written.
pub trait Challenges: Send + Sync {
    /// Loads `subject`, calls `apply` with it and the store's clock, and commits the writes if nothing that
    /// was loaded has changed meanwhile; otherwise loads and calls again. Returns once the writes are safe.
    fn commit(&self, subject: Subject, apply: Apply) -> StoreFuture<'_, ()>;

    /// Loads `subject` as it was last committed, and the store's clock.
    fn load(&self, subject: Subject) -> StoreFuture<'_, (Loaded, UnixTime)>;

    /// The ids that the user record lists, newest first.
    fn open(&self, user: UserTag) -> StoreFuture<'_, Vec<ChallengeId>>;

    /// Notes how far a wake-up came, beside the record and without compare; only for challenges that exist.
    /// `FETCHED` is never overwritten by another state. [`Self::deliveries`] knows of it from then on; a process
    /// that dies in the next moments may take it along.
    fn note_delivery(
        &self,
        challenge: ChallengeId,
        device: DeviceId,
        state: DeliveryState,
    ) -> StoreFuture<'_, ()>;

    /// What was noted.
    fn deliveries(&self, challenge: ChallengeId) -> StoreFuture<'_, Vec<(DeviceId, DeliveryState)>>;

    /// The store's clock, by which challenges expire. Where several servers share a store it is not this
    /// machine's.
    fn time(&self) -> StoreFuture<'_, UnixTime>;

    /// Forgets what can no longer be read, a bounded number at a time. Returns how many challenges it forgot.
    fn clean(&self) -> StoreFuture<'_, usize>;
}

impl dyn Challenges {
    /// Lets `operation` happen.
    pub async fn update<O: Operation>(&self, operation: O) -> Result<O::Outcome, StoreError> {
        let subject = operation.subject();
        let outcome = Arc::new(Mutex::new(None));
        let slot = Arc::clone(&outcome);
        let apply = move |loaded, now| {
            let transition = operation.apply(loaded, now);
            *slot.lock().expect("nobody panics while holding it") = Some(transition.outcome);
            transition.writes
        };
        self.commit(subject, Box::new(apply)).await?;
        let outcome = outcome.lock().expect("nobody panics while holding it").take();
        // A store that acknowledged without calling would be broken; nothing is known of the outcome then.
        outcome.ok_or(StoreError::Unavailable)
    }

    /// Lets an `operation` happen that mostly writes nothing: it is tried on what was last committed, and only
    /// if it wants to write does it go the way of `update`.
    pub async fn read<O: Operation>(&self, operation: O) -> Result<O::Outcome, StoreError> {
        let (loaded, now) = self.load(operation.subject()).await?;
        let transition = operation.apply(loaded, now);
        if transition.writes.is_empty() { Ok(transition.outcome) } else { self.update(operation).await }
    }

    /// What `operation` would come to if it happened now. Nothing is written, so nothing may rest on it alone.
    pub async fn preview<O: Operation>(&self, operation: &O) -> Result<O::Outcome, StoreError> {
        let (loaded, now) = self.load(operation.subject()).await?;
        Ok(operation.apply(loaded, now).outcome)
    }

    /// Reads a challenge, and seals what has come to pass.
    pub async fn view(&self, challenge: ChallengeId) -> Result<Option<ChallengeRecord>, StoreError> {
        self.read(View { challenge }).await
    }
}
