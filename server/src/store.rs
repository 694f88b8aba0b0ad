//! Where state lies: small traits, one for each kind of it.
//!
//! [`Challenges`] is short-lived: what the pure functions of `countersign_domain::operation` load and write.
//! The rest is the durable directory: [`Applications`], [`Devices`], [`Codes`], [`Enrollments`], [`Allowances`],
//! [`HoldCopies`], [`Secrets`].
//!
//! [`Wakeups`] tells of changes that another server made, where several share the challenges.
//!
//! Every change is a compare-and-set. What a method has acknowledged survives the process and the power.
//! Each method that changes something takes its time at the commit, from the store's own clock.

pub mod allowances;
pub mod applications;
pub mod challenges;
pub mod codes;
pub mod devices;
pub mod enrollments;
pub mod hold_copies;
pub mod redis;
pub mod secrets;
pub mod sqlite;
pub mod wakeups;

use std::{future::Future, pin::Pin};

pub use self::{
    allowances::Allowances, applications::Applications, challenges::Challenges, codes::Codes,
    devices::Devices, enrollments::Enrollments, hold_copies::HoldCopies, secrets::Secrets, wakeups::Wakeups,
};

/// What every method of a store returns.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Why a store gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It did not answer, and the outcome is unknown: the same call again finds it out. The cause has been
    /// logged by the store.
    #[error("the store did not answer")]
    Unavailable,
    /// Too much waits to be written; nothing was done.
    #[error("the store has too much to write")]
    Busy,
}
