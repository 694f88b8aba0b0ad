//! The script touches no other keys than it declares, and they all share a slot: on a Cluster a key of another
//! slot of the same node would be written, and lost when the slots move.

use std::{collections::BTreeSet, sync::Arc};

use countersign::store::{Challenges, Wakeups as _};
use countersign_domain::{
    id::{ApplicationId, UserTag},
    operation::{Cancel, RevokeFactor},
};
use countersign_test_peers::redis_or_skip;

use super::{
    login::{challenge_of, create, log_in},
    monitor::Monitor,
};
use crate::fixture::{LIFETIME, Redis, START, TestClock, USER, device_tag};

#[tokio::test(flavor = "multi_thread")]
async fn a_script_touches_no_key_but_those_that_it_declares_in_one_slot() {
    if !redis_or_skip() {
        return;
    }
    let clock = TestClock::with_redis(START);
    let redis = Redis::server(&clock).await;
    let mut monitor = Monitor::of(&redis.nodes()[0]).await;
    everything_happens(&redis, &clock).await;

    let (mut declared, mut touched) = (Vec::new(), BTreeSet::new());
    let mut published = 0;
    for command in monitor.commands().await {
        let keys = monitor.keys(&command).await;
        if !command.is_of_script {
            let is_one = keys.iter().map(|key| hash_tag(key)).collect::<BTreeSet<_>>().len() <= 1;
            assert!(is_one, "{keys:?} lie in several slots: {command:?}");
            declared = keys;
            continue;
        }
        published += usize::from(command.words[0].eq_ignore_ascii_case("PUBLISH"));
        for key in keys {
            assert!(declared.contains(&key), "{key} is not among {declared:?}: {command:?}");
            touched.insert(kind(&key));
        }
    }
    // Otherwise this would have shown less than it seems to.
    assert_eq!(touched, BTreeSet::from(['u', 'c', 'a', 'w', 'p']), "and the probe of a new connection");
    assert!(published > 0);
}

/// Everything that the script is called for.
async fn everything_happens(redis: &Redis, clock: &TestClock) {
    let store = redis.store().await;
    store.watch(UserTag(USER)).await.expect("an answer");
    log_in(&store, USER, 1, clock).await;
    let store: Arc<dyn Challenges> = store;
    for n in 2..=4 {
        // Each pushes out the one before.
        store.update(create(&challenge_of(USER, n, clock), n)).await.expect("an answer");
    }
    let id = |n| challenge_of(USER, n, clock).id;
    store.view(id(2)).await.expect("an answer");
    let cancel = Cancel { challenge: id(4), application: ApplicationId::new(1, 1) };
    store.update(cancel).await.expect("an answer");
    store.update(create(&challenge_of(USER, 5, clock), 5)).await.expect("an answer");
    let revoke = RevokeFactor { user: UserTag(USER), factor: device_tag(1) };
    store.update(revoke).await.expect("an answer");
    clock.advance(LIFETIME);
    store.view(id(5)).await.expect("an answer");
}

fn hash_tag(key: &str) -> &str {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
    tag.unwrap_or_else(|| panic!("{key} has no hash tag")).0
}

/// The letter that tells what lies under a key.
fn kind(key: &str) -> char {
    let (_, rest) = key.split_once('}').unwrap_or_else(|| panic!("{key} has no hash tag"));
    rest.chars().next().expect("a kind")
}
