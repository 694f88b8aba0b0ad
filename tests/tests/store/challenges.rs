//! Challenges, one thing after the other.

use std::{ops::RangeInclusive, time::Duration};

use countersign_domain::{
    challenge::{ChallengeRecord, READABLE_AFTER_EXPIRY, REDEEM_WITHIN},
    id::{ApplicationId, ChallengeId, UserTag},
    operation::{
        Cancel, Create, CreateOutcome, DecideOutcome, Loaded, Lookup, Redeem, RedeemOutcome, RevokeFactor,
        Subject,
    },
    standing::Holds,
    state::{State, Verdict},
    user::UserRecord,
};
use countersign_proto::login::DeliveryState;

use crate::fixture::{
    APPROVE, LIFETIME, START, Stores, USER, attempt_tag, challenge, device_id, device_tag, redemption,
    superseded,
};

/// How much longer than a challenge can be read its key is there: Redis forgets a key after its last
/// millisecond.
const KEYS_LINGER: Duration = Duration::from_millis(1);

pub(crate) async fn an_attempt_gets_one_challenge_also_after_a_restart(stores: Stores) {
    let first = stores.ask("attempt", 1, 1).await;
    let stores = stores.reopened().await;
    stores.clock.advance(Duration::from_secs(9));
    let again = challenge("attempt", 2, 1, &stores.clock);
    assert_eq!(stores.create("attempt", &again).await, CreateOutcome::Repeated(Box::new(first.clone())));
    let other = ChallengeRecord { request_sha256: [2; 32], ..again };
    assert_eq!(stores.create("attempt", &other).await, CreateOutcome::AttemptReused);
    assert_eq!(stores.state(other.id).await, None);

    let _ = stores.decide(first.id, 1, Verdict::DenyMistake).await;
    let CreateOutcome::Repeated(settled) =
        stores.create("attempt", &challenge("attempt", 3, 1, &stores.clock)).await
    else {
        panic!("the attempt has asked before");
    };
    assert_eq!(settled.id, first.id);
    assert!(matches!(settled.state, State::Denied { .. }));
}

pub(crate) async fn the_newest_is_open_and_the_one_it_pushed_out_is_superseded(stores: Stores) {
    let first = stores.ask("one", 1, 1).await;
    let second = challenge("two", 2, 1, &stores.clock);
    assert_eq!(superseded(stores.create("two", &second).await), [first.id]);
    assert_eq!(stores.challenges.open(UserTag(USER)).await, Ok(vec![second.id]));
    assert_eq!(stores.challenges.open(UserTag(USER + 1)).await, Ok(vec![]));
    let DecideOutcome::Settled { accepted, first: is_first, challenge } =
        stores.decide(first.id, 1, APPROVE).await
    else {
        panic!("the device was asked");
    };
    assert_eq!((accepted, is_first, challenge.state), (false, false, State::Superseded));
    let stores = stores.reopened().await;
    assert_eq!(stores.state(first.id).await, Some(State::Superseded));
    assert_eq!(stores.state(second.id).await, Some(State::Pending));
    let cancel = Cancel { challenge: second.id, application: ApplicationId::new(1, 1) };
    let cancelled = stores.challenges.update(cancel).await.expect("an answer").expect("the challenge");
    assert_eq!(cancelled.state, State::Cancelled);
    assert_eq!(stores.challenges.open(UserTag(USER)).await, Ok(vec![]));
}

pub(crate) async fn open_ones_are_listed_newest_first_and_the_oldest_is_pushed_out(stores: Stores) {
    let ask = async |n: u64| {
        let attempt = n.to_string();
        let challenge = challenge(&attempt, n, 1, &stores.clock);
        let create =
            Create { attempt: attempt_tag(&attempt), challenge, max_pending: 2, copy: Holds::default() };
        stores.challenges.update(create).await.expect("an answer")
    };
    // Ids whose order is not the order of asking.
    let id = |n| ChallengeId::new(USER, n);
    assert_eq!(superseded(ask(2).await), []);
    assert_eq!(superseded(ask(3).await), []);
    assert_eq!(stores.challenges.open(UserTag(USER)).await, Ok(vec![id(3), id(2)]));
    assert_eq!(superseded(ask(1).await), [id(2)]);
    assert_eq!(stores.challenges.open(UserTag(USER)).await, Ok(vec![id(1), id(3)]));
}

pub(crate) async fn expiry_that_was_seen_stands_when_the_clock_steps_back(stores: Stores) {
    let seen = stores.ask("attempt", 1, 1).await;
    stores.clock.set(seen.expires_at);
    assert_eq!(stores.state(seen.id).await, Some(State::Expired));
    stores.clock.set(START);
    assert_eq!(stores.state(seen.id).await, Some(State::Expired));
    let DecideOutcome::Settled { accepted, challenge, .. } = stores.decide(seen.id, 1, APPROVE).await else {
        panic!("the device was asked");
    };
    assert_eq!((accepted, challenge.state), (false, State::Expired));
    let stores = stores.reopened().await;
    assert_eq!(stores.state(seen.id).await, Some(State::Expired));

    let unseen = stores.ask("unseen", 2, 1).await;
    stores.clock.set(unseen.expires_at);
    stores.clock.set(START);
    assert_eq!(stores.state(unseen.id).await, Some(State::Pending));
}

pub(crate) async fn a_wait_before_the_commit_makes_no_old_settlement(stores: Stores) {
    let asked = stores.ask("attempt", 1, 1).await;
    stores.clock.advance(Duration::from_secs(30));
    let now = stores.clock.now();
    let DecideOutcome::Settled { accepted, challenge, .. } = stores.decide(asked.id, 1, APPROVE).await else {
        panic!("the device was asked");
    };
    assert!(accepted);
    let settled = challenge.state.settled().expect("it is settled");
    assert_eq!((settled.settled_at, settled.settlement.clone()), (now, now.to_string().into_bytes()));
}

pub(crate) async fn a_revoked_device_is_answered_as_if_it_had_not_been_asked(stores: Stores) {
    let asked = stores.ask("attempt", 1, 2).await;
    let revoke = RevokeFactor { user: UserTag(USER), factor: device_tag(1) };
    stores.challenges.update(revoke).await.expect("an answer");
    let stores = stores.reopened().await;
    assert_eq!(stores.decide(asked.id, 1, APPROVE).await, DecideOutcome::NotFound);
    assert_eq!(stores.decide(asked.id, 3, APPROVE).await, DecideOutcome::NotFound);
    let again = challenge("again", 2, 2, &stores.clock);
    assert_eq!(stores.create("again", &again).await, CreateOutcome::Stale);
    let other = stores.decide(asked.id, 2, APPROVE).await;
    assert!(matches!(other, DecideOutcome::Settled { accepted: true, first: true, .. }));
}

pub(crate) async fn an_approval_is_redeemed_by_its_attempt_and_user_in_time(stores: Stores) {
    let asked = stores.ask("attempt", 1, 1).await;
    assert!(matches!(stores.redeem(asked.id, "attempt").await, RedeemOutcome::NotApproved(_)));
    let _ = stores.decide(asked.id, 1, APPROVE).await;
    assert_eq!(stores.redeem(asked.id, "another").await, RedeemOutcome::NotYours);
    let first = stores.redeem(asked.id, "attempt").await;
    let RedeemOutcome::Redeemed(redeemed) = &first else { panic!("it is approved") };
    assert!(matches!(redeemed.state, State::Approved { redeemed_at: Some(START), .. }));
    let stores = stores.reopened().await;
    stores.clock.advance(Duration::from_secs(1));
    assert_eq!(stores.redeem(asked.id, "attempt").await, first);
    let stranger = Redeem { user_id: "bob".into(), ..redemption(asked.id, "attempt") };
    assert_eq!(stores.challenges.update(stranger).await, Ok(RedeemOutcome::NotYours));
    stores.clock.set(START.plus(REDEEM_WITHIN));
    assert_eq!(stores.redeem(asked.id, "attempt").await, RedeemOutcome::TooLate);
}

pub(crate) async fn fetched_is_never_overwritten(stores: Stores) {
    let asked = stores.ask("attempt", 1, 2).await;
    let note = async |challenge, device, state| {
        stores.challenges.note_delivery(challenge, device_id(device), state).await.expect("an answer");
    };
    note(asked.id, 1, DeliveryState::Queued).await;
    note(asked.id, 2, DeliveryState::Queued).await;
    note(asked.id, 2, DeliveryState::Fetched).await;
    note(asked.id, 2, DeliveryState::Accepted).await;
    note(asked.id, 1, DeliveryState::Failed).await;
    let nowhere = ChallengeId::new(USER, 99);
    note(nowhere, 1, DeliveryState::Queued).await;
    assert_eq!(stores.challenges.deliveries(nowhere).await, Ok(vec![]));
    let stores = stores.reopened().await;
    let noted = vec![(device_id(1), DeliveryState::Failed), (device_id(2), DeliveryState::Fetched)];
    assert_eq!(stores.challenges.deliveries(asked.id).await, Ok(noted));
}

pub(crate) async fn cleaning_forgets_what_can_be_read_no_more(stores: Stores) {
    let asked = stores.ask("attempt", 1, 1).await;
    let noted = stores.challenges.note_delivery(asked.id, device_id(1), DeliveryState::Queued);
    noted.await.expect("an answer");
    stores.clock.set(START.plus(LIFETIME + READABLE_AFTER_EXPIRY).minus(Duration::from_millis(1)));
    stores.forgets(0, 1).await;
    assert_eq!(stores.state(asked.id).await, Some(State::Expired));
    stores.clock.advance(Duration::from_millis(1));
    assert_eq!(stores.state(asked.id).await, None);
    stores.clock.advance(KEYS_LINGER);
    stores.forgets(1, 1).await;
    assert_eq!(stores.challenges.deliveries(asked.id).await, Ok(vec![]));

    // It is forgotten, not only hidden: a clock that steps back does not bring it back.
    stores.clock.set(START);
    assert_eq!(stores.state(asked.id).await, None);
    let subject = Subject { user: UserTag(USER), challenge: Lookup::Id(asked.id) };
    let (loaded, _) = stores.challenges.load(subject).await.expect("an answer");
    assert_eq!(loaded.user, UserRecord::default());
}

pub(crate) async fn more_than_one_cleaning_can_take_is_forgotten_in_turns(stores: Stores) {
    // Each of another user, so that none is superseded and user records are cleaned as well.
    let ask = async |users: RangeInclusive<u64>| {
        let mut asked = Vec::new();
        for n in users {
            let id = ChallengeId::new(n, n);
            let challenge = ChallengeRecord { id, ..challenge("attempt", n, 1, &stores.clock) };
            let created = stores.create(&id.to_string(), &challenge).await;
            assert_eq!(superseded(created), []);
            asked.push(challenge);
        }
        asked
    };
    let loaded = async |id: ChallengeId| {
        let subject = Subject { user: id.user(), challenge: Lookup::Id(id) };
        stores.challenges.load(subject).await.expect("an answer").0
    };
    let old = ask(301..=750).await;
    stores.clock.advance(Duration::from_secs(1));
    let young = ask(1..=300).await;
    stores.clock.set(START.plus(LIFETIME + READABLE_AFTER_EXPIRY));
    stores.clock.advance(KEYS_LINGER);
    stores.forgets(old.len(), 4).await;
    for challenge in old {
        assert_eq!(loaded(challenge.id).await, Loaded::default());
    }
    for challenge in young {
        let kept = loaded(challenge.id).await;
        assert!(kept.user.listed(challenge.id).is_some() && kept.challenge == Some(challenge));
    }
}

pub(crate) async fn an_attempt_whose_challenge_can_be_read_no_more_asks_anew(stores: Stores) {
    let first = stores.ask("attempt", 1, 1).await;
    stores.clock.set(START.plus(LIFETIME + READABLE_AFTER_EXPIRY));
    let second = challenge("attempt", 2, 1, &stores.clock);
    assert_eq!(superseded(stores.create("attempt", &second).await), []);
    assert_eq!(stores.create("attempt", &second).await, CreateOutcome::Repeated(Box::new(second.clone())));
    assert_eq!(stores.state(first.id).await, None);
}
