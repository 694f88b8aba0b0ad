//! The time is checked at the commit: what was decided by a time that has passed meanwhile is decided again.

use std::{sync::Arc, sync::Mutex, time::Duration};

use countersign::store::{Challenges, StoreError, redis::RedisStore};
use countersign_domain::{
    UnixTime,
    operation::{Operation, View, Writes},
    state::{State, Verdict},
};
use countersign_test_peers::redis_or_skip;

use super::login::{challenge_of, create};
use crate::fixture::{APPROVE, LIFETIME, Redis, START, TestClock, USER, decision};

/// A login that is pending, and what it lies in.
struct Pending {
    clock: TestClock,
    store: Arc<RedisStore>,
    // Ends with the test.
    _redis: Redis,
}

async fn pending() -> Pending {
    let clock = TestClock::with_redis(START);
    let redis = Redis::server(&clock).await;
    let store = redis.store().await;
    let challenge = challenge_of(USER, 1, &clock);
    (store.clone() as Arc<dyn Challenges>).update(create(&challenge, 1)).await.expect("an answer");
    Pending { clock, store, _redis: redis }
}

impl Pending {
    /// A device answers, and `meanwhile` happens between the first load and its commit. Returns the times that
    /// the answer was decided by, and how the challenge stands in the end.
    async fn decide(
        &self,
        verdict: Verdict,
        mut meanwhile: impl FnMut(&TestClock) + Send + 'static,
    ) -> (Result<(), StoreError>, Vec<UnixTime>, State) {
        let id = challenge_of(USER, 1, &self.clock).id;
        let (decide, times) = (decision(id, 1, verdict), Arc::new(Mutex::new(Vec::new())));
        let (seen, clock) = (times.clone(), self.clock.clone());
        let apply = Box::new(move |loaded, now| -> Writes {
            seen.lock().expect("nobody panics while holding it").push(now);
            let writes = decide.apply(loaded, now).writes;
            meanwhile(&clock);
            writes
        });
        let committed = self.store.commit(decision(id, 1, verdict).subject(), apply).await;
        let (loaded, _) = self.store.load(View { challenge: id }.subject()).await.expect("an answer");
        let times = times.lock().expect("nobody panics while holding it").clone();
        (committed, times, loaded.challenge.expect("it is there").state)
    }
}

/// Something that happens the first time only.
fn once(mut happens: impl FnMut(&TestClock) + Send + 'static) -> impl FnMut(&TestClock) + Send + 'static {
    let mut first = true;
    move |clock: &TestClock| {
        if std::mem::take(&mut first) {
            happens(clock);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn within_two_seconds_it_stands() {
    if redis_or_skip() {
        for steps in [1_999, -2_000] {
            let pending = pending().await;
            let to = UnixTime::from_millis(START.as_millis() + steps);
            let (committed, times, state) = pending.decide(APPROVE, once(move |clock| clock.set(to))).await;
            assert_eq!((committed, times), (Ok(()), vec![START]));
            assert!(matches!(state, State::Approved { .. }), "{state:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_longer_wait_it_is_decided_by_the_new_time() {
    if redis_or_skip() {
        for steps in [2_000, -2_001] {
            let pending = pending().await;
            let to = UnixTime::from_millis(START.as_millis() + steps);
            let (committed, times, state) = pending.decide(APPROVE, once(move |clock| clock.set(to))).await;
            assert_eq!((committed, times), (Ok(()), vec![START, to]));
            assert!(matches!(state, State::Approved { .. }), "{state:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_expiry_overtakes_is_too_late() {
    if redis_or_skip() {
        let pending = pending().await;
        let over = START.plus(LIFETIME);
        let just_before = over.minus(Duration::from_millis(1));
        pending.clock.set(just_before);
        let (committed, times, state) = pending.decide(APPROVE, once(move |clock| clock.set(over))).await;
        assert_eq!((committed, times), (Ok(()), vec![just_before, over]));
        assert_eq!(state, State::Expired);
    }
}
