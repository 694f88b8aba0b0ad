//! One login, as a store sees it.

use std::sync::Arc;

use countersign::store::{Challenges, redis::RedisStore};
use countersign_domain::{
    challenge::ChallengeRecord,
    id::{ChallengeId, DeviceId, UserTag},
    operation::{Create, CreateOutcome, DecideOutcome, RedeemOutcome},
    standing::Holds,
};
use countersign_proto::login::DeliveryState;

use crate::fixture::{APPROVE, TestClock, attempt_tag, challenge, decision, redemption, superseded};

/// Challenge `n` of user `user`.
pub(super) fn challenge_of(user: u64, n: u64, clock: &TestClock) -> ChallengeRecord {
    let mut challenge = challenge(&n.to_string(), n, 1, clock);
    challenge.id = ChallengeId::new(user, n);
    for device in &mut challenge.asked {
        device.id = DeviceId::new(user, 1);
    }
    challenge
}

/// The call that asks for it.
pub(super) fn create(challenge: &ChallengeRecord, n: u64) -> Create {
    let attempt = attempt_tag(&format!("{} {n}", challenge.id.user().0));
    Create { attempt, challenge: challenge.clone(), max_pending: 1, copy: Holds::default() }
}

/// User `user` logs in by challenge `n`: the store does what it must at each step.
pub(super) async fn log_in(store: &Arc<RedisStore>, user: u64, n: u64, clock: &TestClock) -> ChallengeId {
    let store: Arc<dyn Challenges> = store.clone();
    let challenge = challenge_of(user, n, clock);
    let (id, device) = (challenge.id, challenge.asked[0].id);
    let created = store.update(create(&challenge, n)).await;
    assert_eq!(superseded(created.expect("an answer")), []);
    let repeated = store.update(create(&challenge, n)).await;
    assert_eq!(repeated, Ok(CreateOutcome::Repeated(Box::new(challenge))));
    assert_eq!(store.open(UserTag(user)).await, Ok(vec![id]));
    assert_eq!(store.note_delivery(id, device, DeliveryState::Accepted).await, Ok(()));
    assert_eq!(store.deliveries(id).await, Ok(vec![(device, DeliveryState::Accepted)]));
    let decided = store.update(decision(id, 1, APPROVE)).await;
    assert!(matches!(decided, Ok(DecideOutcome::Settled { accepted: true, first: true, .. })), "{decided:?}");
    let redeemed = store.update(redemption(id, &n.to_string())).await;
    assert!(matches!(redeemed, Ok(RedeemOutcome::Redeemed(_))), "{redeemed:?}");
    id
}
