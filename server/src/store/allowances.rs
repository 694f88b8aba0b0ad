//! An operator's permissions to enrol, for users who have lost every factor.

use countersign_domain::UnixTime;

use super::{StoreFuture, devices::UserKey};

/// Permissions to enrol without an authorization.
pub trait Allowances: Send + Sync {
    /// Lets the user complete one enrolment without an authorization that is begun before `until`. A later
    /// permission takes the place of the one before.
    fn allow_enrollment(&self, user: UserKey, until: UnixTime) -> StoreFuture<'_, ()>;
}
