//! The server's next key: made in time, taken by devices, and receipts hold across the change.

use std::{sync::Arc, time::Duration};

use countersign::{
    random::SystemRandom,
    server_keys::{Rotation, ServerKeys},
};
use countersign_agent::UserVerification;
use countersign_proto::{
    device::GetAccountResponse,
    link::PairingLink,
    login::RedeemChallengeResponse,
    receipt::{self, Expected, Refusal, VerifiedReceipt},
    time::UnixTime,
    trust::ServerKey,
};

use crate::world::{Backend, ByHand, Device, START, World};

/// The first key reaches a day back from its making, is valid for 365 days, and the next one is made 90 days
/// before its end.
const RENEWED_AFTER: Duration = Duration::from_hours((365 - 90 - 1) * 24);
/// How far ahead a new key begins.
const LEAD: Duration = Duration::from_mins(2);
/// How often the server looks.
const UPKEEP: Duration = Duration::from_mins(1);

/// Moves the clock, and waits until the upkeep that is due then has been done: it sleeps again.
async fn upkeep_at(world: &World, to: UnixTime) {
    world.clock.set(to);
    world.each_asleep_until(to.plus(UPKEEP)).await;
}

fn keys_made(world: &World) -> i64 {
    let count = "SELECT count(*) FROM server_keys";
    world.database().query_row(count, [], |row| row.get(0)).expect("a table of the server")
}

fn key_of(account: GetAccountResponse, link: &PairingLink) -> ServerKey {
    ServerKey::open(&account.server_key.expect("a key"), link.root_key).expect("the root vouches for it")
}

fn verified(
    world: &World,
    redeemed: &RedeemChallengeResponse,
    min: Option<u64>,
) -> Result<VerifiedReceipt, Refusal> {
    let expected = Expected { min_key_version: min, ..Expected::default() };
    receipt::verify(redeemed.receipt.as_ref().expect("a receipt"), world.server_id(), &expected)
}

async fn log_in(backend: &Backend, device: &Device, attempt: &str) -> RedeemChallengeResponse {
    let (challenge, match_code) = backend.create("anna", attempt).await;
    let shown = device.account.challenge(&challenge.challenge_id).await.expect("it is trusted");
    device.account.approve(&shown, &match_code, UserVerification::None).await.expect("it counts");
    backend.redeem(&challenge.challenge_id, "anna", attempt).await.expect("approved")
}

#[tokio::test]
async fn the_next_key_is_made_90_days_before_the_end_and_begins_two_minutes_later() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let link = backend.start_enrollment("anna").await.uri.parse().expect("a link");
    let device: ByHand = world.enroll_by_hand(&backend, "anna", 1).await;
    let key = async || key_of(device.account(&world).await.expect("its account"), &link);
    let first = key().await;
    assert_eq!((first.version, first.not_before), (1, START.minus(Duration::from_hours(24))));
    assert_eq!(first.not_after, first.not_before.plus(Duration::from_hours(365 * 24)));

    world.each_asleep_until(START.plus(UPKEEP)).await;
    let early = START.plus(RENEWED_AFTER).minus(Duration::from_millis(1));
    upkeep_at(&world, early).await;
    assert_eq!(keys_made(&world), 1, "not yet");
    let due = early.plus(UPKEEP);
    upkeep_at(&world, due).await;
    assert_eq!(keys_made(&world), 2);
    world.clock.set(due.plus(LEAD).minus(Duration::from_millis(1)));
    assert_eq!(key().await, first, "the next one has been made and does not sign yet");
    world.clock.set(due.plus(LEAD));
    let second = key().await;
    assert_eq!((second.version, second.not_before), (2, due.plus(LEAD)));
    assert_eq!(second.not_after, second.not_before.plus(Duration::from_hours(365 * 24)));
    assert_ne!(second.key, first.key);
}

#[tokio::test]
async fn devices_take_the_next_key_and_receipts_hold_across_the_change() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll(&backend, "anna").await;
    let before = log_in(&backend, &device, "before").await;
    world.each_asleep_until(START.plus(UPKEEP)).await;
    let due = START.plus(RENEWED_AFTER);
    upkeep_at(&world, due).await;

    // Asked under the old key, answered under the new one.
    world.clock.set(due.plus(LEAD).minus(Duration::from_secs(1)));
    let (challenge, match_code) = backend.create("anna", "across").await;
    world.clock.set(due.plus(LEAD));
    device.account.refresh().await.expect("it takes the new key");
    let id = challenge.challenge_id.as_str();
    let shown = device.account.challenge(id).await.expect("created before the new key began");
    device.account.approve(&shown, &match_code, UserVerification::None).await.expect("it counts");
    let across = backend.redeem(id, "anna", "across").await.expect("approved");
    assert_eq!(across.receipt.as_ref().expect("a receipt").server_keys.len(), 2);
    assert_eq!(verified(&world, &across, None).expect("it holds").key_version, 1);
    let too_old = verified(&world, &across, Some(2));
    assert!(matches!(too_old, Err(Refusal::ServerKeyTooOld { .. })), "{too_old:?}");

    // What was signed before the change holds for ever, unless the verifier asks for more.
    assert_eq!(verified(&world, &before, None).expect("it holds").key_version, 1);
    assert!(verified(&world, &before, Some(2)).is_err());
    // Bound under the new key, all of it is: nothing is left of the old one.
    let newer = world.enroll(&backend, "bob").await;
    let (challenge, match_code) = backend.create("bob", "after").await;
    let shown = newer.account.challenge(&challenge.challenge_id).await.expect("it is trusted");
    newer.account.approve(&shown, &match_code, UserVerification::None).await.expect("it counts");
    let after = backend.redeem(&challenge.challenge_id, "bob", "after").await.expect("approved");
    assert_eq!(verified(&world, &after, Some(2)).expect("it holds").key_version, 2);
}

#[tokio::test]
async fn a_device_that_slept_through_the_change_asks_for_the_new_key() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll(&backend, "anna").await;
    world.each_asleep_until(START.plus(UPKEEP)).await;
    let due = START.plus(RENEWED_AFTER);
    upkeep_at(&world, due).await;
    world.clock.set(due.plus(LEAD));
    let redeemed = log_in(&backend, &device, "after").await;
    assert_eq!(verified(&world, &redeemed, None).expect("it holds").key_version, 1, "its binding's");
}

#[tokio::test]
async fn a_restart_keeps_the_keys() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    world.each_asleep_until(START.plus(UPKEEP)).await;
    let due = START.plus(RENEWED_AFTER);
    upkeep_at(&world, due).await;
    world.clock.set(due.plus(LEAD));
    let key = device.account(&world).await.expect("its account").server_key;
    let server_id = world.server_id().to_owned();
    let world = world.restart().await;
    let device = device.reconnected(&world).await;
    assert_eq!(device.account(&world).await.expect("its account").server_key, key);
    assert_eq!(world.server_id(), server_id);
    assert_eq!(keys_made(&world), 2);
}

#[tokio::test]
async fn a_key_of_a_time_that_was_wrong_is_followed_by_a_higher_one() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let link = backend.start_enrollment("otto").await.uri.parse().expect("a link");
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    // Started with a clock that is behind all keys, which makes one for that time; then the clock is right.
    world.clock.set(START.minus(Duration::from_hours(400 * 24)));
    let world = world.restart().await;
    assert_eq!(keys_made(&world), 2);
    world.clock.set(START);
    let world = world.restart().await;
    world.clock.set(START.plus(LEAD));
    let device = device.reconnected(&world).await;
    let key = key_of(device.account(&world).await.expect("its account"), &link);
    assert_eq!(key.version, 3, "no device is offered a lower version than it may have seen");
}

/// Makes the next key beside the servers, as `countersign server-key rotate` does.
async fn rotate(world: &World) -> Rotation {
    let foundation = world.foundation();
    let (clock, random) = (Arc::new(world.clock.clone()), Arc::new(SystemRandom));
    let keys = ServerKeys::open(Arc::clone(&foundation.store) as _, foundation.keyring, clock, random).await;
    keys.expect("they open").rotate().await.expect("the next is made")
}

#[tokio::test]
async fn a_key_that_the_operator_makes_takes_over_in_two_minutes_and_nothing_breaks() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll(&backend, "anna").await;
    let sleeper = world.enroll(&backend, "bob").await;
    let before = log_in(&backend, &device, "before").await;
    world.each_asleep_until(START.plus(UPKEEP)).await;
    // Half a minute after the servers have looked, so that they know of it only at their next look.
    let made_at = START.plus(Duration::from_secs(30));
    world.clock.set(made_at);
    let Rotation::Made(key) = rotate(&world).await else { panic!("the first has begun long ago") };
    assert_eq!((key.version, key.not_before), (2, made_at.plus(LEAD)));
    assert_eq!(key.not_after, key.not_before.plus(Duration::from_hours(365 * 24)));
    assert_eq!(rotate(&world).await, Rotation::UnderWay(key.clone()), "one at a time");
    assert_eq!(keys_made(&world), 2);

    // The old one signs until the new one begins, also on a server that knows both.
    upkeep_at(&world, START.plus(UPKEEP)).await;
    let meanwhile = log_in(&backend, &device, "meanwhile").await;
    assert_eq!(verified(&world, &meanwhile, None).expect("it holds").key_version, 1);
    assert_eq!(meanwhile.receipt.as_ref().expect("a receipt").server_keys.len(), 1);
    upkeep_at(&world, START.plus(UPKEEP).plus(UPKEEP)).await;

    // Asked under the old key, answered under the new one.
    world.clock.set(key.not_before.minus(Duration::from_millis(1)));
    let (challenge, match_code) = backend.create("anna", "across").await;
    world.clock.set(key.not_before);
    let id = challenge.challenge_id.as_str();
    let shown = device.account.challenge(id).await.expect("created before the new key began");
    device.account.approve(&shown, &match_code, UserVerification::None).await.expect("it counts");
    let across = backend.redeem(id, "anna", "across").await.expect("approved");
    let signed_by = |redeemed: &RedeemChallengeResponse| {
        let keys = redeemed.receipt.as_ref().expect("a receipt").server_keys.iter();
        let root = redeemed.receipt.as_ref().expect("a receipt").root_key.as_ref();
        let root = countersign_proto::key::VerificationKey::from_wire(root).expect("a key");
        keys.map(|key| ServerKey::open(key, root).expect("vouched for").version).collect::<Vec<_>>()
    };
    assert_eq!(signed_by(&across), [1, 2]);

    // Devices that were enrolled before follow: one that was there all the time, and one that was not.
    let after = log_in(&backend, &device, "after").await;
    assert_eq!(signed_by(&after), [1, 2], "its binding is the first one's");
    let (challenge, match_code) = backend.create("bob", "after").await;
    let shown = sleeper.account.challenge(&challenge.challenge_id).await.expect("it asks for the key");
    sleeper.account.approve(&shown, &match_code, UserVerification::None).await.expect("it counts");
    let slept = backend.redeem(&challenge.challenge_id, "bob", "after").await.expect("approved");
    assert_eq!(signed_by(&slept), [1, 2]);
    let newcomer = world.enroll(&backend, "carl").await;
    let (challenge, match_code) = backend.create("carl", "after").await;
    let shown = newcomer.account.challenge(&challenge.challenge_id).await.expect("it is trusted");
    newcomer.account.approve(&shown, &match_code, UserVerification::None).await.expect("it counts");
    let new = backend.redeem(&challenge.challenge_id, "carl", "after").await.expect("approved");
    assert_eq!(signed_by(&new), [2], "nothing is left of the old one");

    for redeemed in [&before, &meanwhile, &across, &after, &slept, &new] {
        verified(&world, redeemed, None).expect("it holds, now as before");
    }
    for old in [&before, &meanwhile, &across, &after] {
        let too_old = verified(&world, old, Some(2));
        assert!(matches!(too_old, Err(Refusal::ServerKeyTooOld { .. })), "{too_old:?}");
    }
    let Rotation::Made(third) = rotate(&world).await else { panic!("the second has begun") };
    assert_eq!(third.version, 3);
}
