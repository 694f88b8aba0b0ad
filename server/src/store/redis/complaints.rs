//! What Redis refused, logged without flooding the log: a Redis that refuses one write refuses them all.

use std::{
    collections::HashMap,
    mem::{Discriminant, discriminant},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::failure::Failure;

/// How long a complaint of the same kind and operation is not repeated.
const QUIET_FOR: Duration = Duration::from_secs(10);

/// When each kind was logged last. One that others alternate with is known all the same: under overload, calls of
/// one operation fail now for this reason and now for that.
#[derive(Default)]
pub(super) struct Complaints(Mutex<HashMap<(&'static str, Discriminant<Failure>), Instant>>);

impl Complaints {
    /// Logs a failure of `operation`. That there is no connection has been logged by the link.
    pub(super) fn log(&self, operation: &'static str, failure: &Failure) {
        if matches!(failure, Failure::Down) {
            return;
        }
        if self.is_due(operation, failure) {
            let what = match failure {
                Failure::Unknown => "the store did not answer",
                _ => "the store refused",
            };
            tracing::error!(store.operation = operation, store.error = %failure, "{what}");
        }
    }

    fn is_due(&self, operation: &'static str, failure: &Failure) -> bool {
        let mut logged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = (operation, discriminant(failure));
        let is_due = logged.get(&kind).is_none_or(|at| at.elapsed() >= QUIET_FOR);
        if is_due {
            logged.insert(kind, Instant::now());
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn reasons_that_alternate_are_each_told_once_in_a_while() {
        let complaints = Complaints::default();
        let due = |failure| complaints.is_due("load", &failure);
        assert!(due(Failure::Overloaded) && due(Failure::Unknown));
        assert!(!due(Failure::Overloaded) && !due(Failure::Unknown));
        tokio::time::advance(QUIET_FOR).await;
        assert!(due(Failure::Overloaded) && due(Failure::Unknown));
    }
}
