//! Who waits in this process for something to change.
//!
//! Register first, then read what is stored, then wait: so no change is missed. A wake-up only says 'read
//! again'; what is true is what the store says.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Notify;

/// Waiters by what they wait for.
#[derive(Debug)]
pub struct Waiters<K: Copy + Eq + Hash>(Mutex<HashMap<K, Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    notify: Arc<Notify>,
    registrations: usize,
}

/// One who waits. Dropping it takes him off the list.
#[derive(Debug)]
pub struct Registration<K: Copy + Eq + Hash> {
    waiters: Arc<Waiters<K>>,
    key: K,
    notify: Arc<Notify>,
}

impl<K: Copy + Eq + Hash> Default for Waiters<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Copy + Eq + Hash> Waiters<K> {
    /// Puts somebody on the list of those who wait for `key`.
    pub fn register(self: &Arc<Self>, key: K) -> Registration<K> {
        let mut waiters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = waiters.entry(key).or_default();
        waiting.registrations += 1;
        let notify = Arc::clone(&waiting.notify);
        Registration { waiters: Arc::clone(self), key, notify }
    }

    /// Tells everybody who waits for `key` to read again.
    pub fn wake(&self, key: K) {
        let waiters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = waiters.get(&key) {
            waiting.notify.notify_waiters();
        }
    }

    /// Tells everybody to read again.
    pub fn wake_all(&self) {
        let waiters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for waiting in waiters.values() {
            waiting.notify.notify_waiters();
        }
    }
}

impl<K: Copy + Eq + Hash> Registration<K> {
    /// What ends at the next wake-up. Wake-ups count from the moment this is called, not first polled.
    pub fn woken(&self) -> impl Future<Output = ()> + '_ {
        self.notify.notified()
    }
}

impl<K: Copy + Eq + Hash> Drop for Registration<K> {
    fn drop(&mut self) {
        let mut waiters = self.waiters.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = waiters.get_mut(&self.key) {
            waiting.registrations -= 1;
            if waiting.registrations == 0 {
                waiters.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wake_up_between_registration_and_wait_is_not_missed() {
        let waiters = Arc::new(Waiters::default());
        let registration = waiters.register(1);
        let woken = registration.woken();
        waiters.wake(1);
        woken.await;
    }

    #[tokio::test]
    async fn a_wake_up_is_for_everybody_who_waits_for_that_and_for_nobody_else() {
        let waiters = Arc::new(Waiters::default());
        let [first, second, other] = [1, 1, 2].map(|key| waiters.register(key));
        let (first_woken, second_woken, other_woken) = (first.woken(), second.woken(), other.woken());
        waiters.wake(1);
        first_woken.await;
        second_woken.await;
        tokio::select! {
            biased;
            () = other_woken => panic!("woken for another key"),
            () = std::future::ready(()) => {}
        }
    }

    #[test]
    fn the_list_is_empty_when_everybody_has_gone() {
        let waiters = Arc::new(Waiters::default());
        let registrations = [1, 1, 2].map(|key| waiters.register(key));
        drop(registrations);
        assert!(waiters.0.lock().expect("not poisoned").is_empty());
    }
}
