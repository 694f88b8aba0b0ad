//! Who waits in this process for something to change.
//!
//! Register first, then read what is stored, then wait: so no change is missed. A wake-up says 'read again'; what
//! is true is what the store says. Whoever has just committed a change that is the last one hands it over as well,
//! and spares them the reading.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, futures::OwnedNotified};

/// Waiters by what they wait for, and what they are handed at its end.
#[derive(Debug)]
pub struct Waiters<K: Copy + Eq + Hash, E = ()>(Mutex<HashMap<K, Waiting<E>>>);

#[derive(Debug)]
struct Waiting<E> {
    notify: Arc<Notify>,
    registrations: usize,
    end: Option<Arc<E>>,
}

/// One who waits. Dropping it takes him off the list.
#[derive(Debug)]
pub struct Registration<K: Copy + Eq + Hash, E = ()> {
    waiters: Arc<Waiters<K, E>>,
    key: K,
    notify: Arc<Notify>,
}

impl<K: Copy + Eq + Hash, E> Default for Waiters<K, E> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<E> Default for Waiting<E> {
    fn default() -> Self {
        Self { notify: Arc::default(), registrations: 0, end: None }
    }
}

impl<K: Copy + Eq + Hash, E> Waiters<K, E> {
    /// Puts somebody on the list of those who wait for `key`.
    pub fn register(self: &Arc<Self>, key: K) -> Registration<K, E> {
        let mut waiters = self.waiting();
        let waiting = waiters.entry(key).or_default();
        waiting.registrations += 1;
        let notify = Arc::clone(&waiting.notify);
        Registration { waiters: Arc::clone(self), key, notify }
    }

    /// Tells everybody who waits for `key` to read again.
    pub fn wake(&self, key: K) {
        if let Some(waiting) = self.waiting().get(&key) {
            waiting.notify.notify_waiters();
        }
    }

    /// Hands to everybody who waits for `key` how it ended, exactly as it was committed.
    pub fn hand(&self, key: K, end: &E)
    where
        E: Clone,
    {
        if let Some(waiting) = self.waiting().get_mut(&key) {
            waiting.end = Some(Arc::new(end.clone()));
            waiting.notify.notify_waiters();
        }
    }

    /// Tells everybody to read again.
    pub fn wake_all(&self) {
        let waiters = self.waiting();
        for waiting in waiters.values() {
            waiting.notify.notify_waiters();
        }
    }

    /// What somebody waits for at the moment, each once.
    pub fn awaited(&self) -> Vec<K> {
        self.waiting().keys().copied().collect()
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<K, Waiting<E>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Copy + Eq + Hash, E> Registration<K, E> {
    /// What is waited for.
    pub fn key(&self) -> K {
        self.key
    }

    /// What ends at the next wake-up. Wake-ups count from the moment this is called, not first polled.
    pub fn woken(&self) -> impl Future<Output = ()> + '_ {
        self.notify.notified()
    }

    /// The same, to be kept beside the registration.
    pub fn woken_owned(&self) -> OwnedNotified {
        Arc::clone(&self.notify).notified_owned()
    }

    /// How it ended, if it was handed over. Whoever registered and then read that it had not ended yet was handed
    /// it after that.
    pub fn end(&self) -> Option<Arc<E>> {
        self.waiters.waiting().get(&self.key).and_then(|waiting| waiting.end.clone())
    }
}

impl<K: Copy + Eq + Hash, E> Drop for Registration<K, E> {
    fn drop(&mut self) {
        let mut waiters = self.waiters.waiting();
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
        let waiters = Arc::<Waiters<i32>>::default();
        let registration = waiters.register(1);
        let woken = registration.woken();
        waiters.wake(1);
        woken.await;
    }

    #[tokio::test]
    async fn an_end_is_handed_to_everybody_who_waits_for_that_and_to_nobody_else() {
        let waiters = Arc::<Waiters<i32, &str>>::default();
        let [first, second, other] = [1, 1, 2].map(|key| waiters.register(key));
        let (first_woken, second_woken) = (first.woken(), second.woken());
        waiters.hand(1, &"end");
        waiters.hand(3, &"of what nobody waits for");
        first_woken.await;
        second_woken.await;
        for (registration, end) in [(&first, Some("end")), (&second, Some("end")), (&other, None)] {
            assert_eq!(registration.end().as_deref().copied(), end);
        }
        drop((first, second));
        assert_eq!(waiters.register(1).end(), None, "it is kept for nobody");
    }

    #[tokio::test]
    async fn a_wake_up_is_for_everybody_who_waits_for_that_and_for_nobody_else() {
        let waiters = Arc::<Waiters<i32>>::default();
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
        let waiters = Arc::<Waiters<i32>>::default();
        let registrations = [1, 1, 2].map(|key| waiters.register(key));
        let mut awaited = waiters.awaited();
        awaited.sort_unstable();
        assert_eq!(awaited, [1, 2]);
        drop(registrations);
        assert!(waiters.awaited().is_empty());
    }
}
