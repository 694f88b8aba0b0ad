//! `ChangeDevice` with a new key.

use std::time::Duration;

use countersign_agent::UserVerification;
use countersign_proto::{
    common::{ChallengeState, ErrorReason},
    device::ChangeDeviceRequest,
    envelope,
    key::SigningKey,
    receipt::{self, Expected},
    statement::{BindingStatement, DeviceProfile, PublicKey, Receipt},
};

use crate::world::{ByHand, Candidate, World, public, refused};

/// The binding in a receipt that verifies from the server id alone.
fn proven(world: &World, receipt: Option<Receipt>) -> BindingStatement {
    let receipt = receipt.expect("a receipt");
    receipt::verify(&receipt, world.server_id(), &Expected::default()).expect("it verifies");
    envelope::read(&receipt.binding.expect("a binding")).expect("what was verified")
}

async fn refused_everywhere(world: &World, device: &ByHand, challenge: &str) {
    assert_eq!(device.list(world).await.expect("nothing"), []);
    refused(device.challenge(world, challenge).await, ErrorReason::ChallengeNotFound);
    refused(device.account(world).await, ErrorReason::CredentialInvalid);
    let change = device.change(99, DeviceProfile::default());
    refused(device.send_change(&change).await, ErrorReason::CredentialInvalid);
    refused(device.unenroll(99).await, ErrorReason::CredentialInvalid);
    refused(device.hand_over(99, &device.with_key(99)).await, ErrorReason::CredentialInvalid);
}

#[tokio::test]
async fn what_is_pending_is_answered_with_the_new_key_and_no_more_with_the_old_one() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let old = world.enroll_by_hand(&backend, "anna", 1).await;
    let (challenge, match_code) = backend.create("anna", "attempt-1").await;
    let id = challenge.challenge_id.as_str();
    let asked = old.challenge(&world, id).await.expect("it was asked");

    let (between, new) = (old.with_key(51), old.with_key(52));
    let account = old.hand_over(1, &between).await.expect("both signed");
    assert_eq!((account.sequence, account.device_id.as_str()), (1, old.device_id.as_str()));
    between.hand_over(2, &new).await.expect("both signed");
    for former in [&old, &between] {
        refused_everywhere(&world, former, id).await;
        refused(former.respond(&former.approval(&asked, &match_code)).await, ErrorReason::ChallengeNotFound);
    }
    assert_eq!(backend.state(id).await.state(), ChallengeState::Pending);
    assert_eq!(new.list(&world).await.expect("it is asked")[0].challenge_id, id);
    let asked = new.challenge(&world, id).await.expect("it is asked");
    assert!(new.respond(&new.approval(&asked, &match_code)).await.expect("it counts").accepted);
    let redeemed = backend.redeem(id, "anna", "attempt-1").await.expect("it lets in");
    let binding = proven(&world, redeemed.receipt);
    assert_eq!(binding.public_key, Some(public(&new.key)));
    let brought_it = envelope::sign(&between.handing_over(2, &new), &between.key);
    assert_eq!(binding.source_sha256, envelope::payload_digest(&brought_it));

    let (challenge, match_code) = backend.create("anna", "attempt-2").await;
    let asked = new.challenge(&world, &challenge.challenge_id).await.expect("it was asked");
    refused_everywhere(&world, &old, &challenge.challenge_id).await;
    assert!(new.respond(&new.approval(&asked, &match_code)).await.expect("it counts").accepted);
}

#[tokio::test]
async fn an_approval_with_the_old_key_is_redeemed_and_proven_after_the_change() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let old = world.enroll_by_hand(&backend, "anna", 1).await;
    let (challenge, match_code) = backend.create("anna", "attempt-1").await;
    let id = challenge.challenge_id.as_str();
    let asked = old.challenge(&world, id).await.expect("it was asked");
    let decision = old.approval(&asked, &match_code);
    old.respond(&decision).await.expect("it counts");
    let new = old.with_key(51);
    old.hand_over(1, &new).await.expect("both signed");
    new.hand_over(2, &old.with_key(52)).await.expect("both signed");
    let redeemed = backend.redeem(id, "anna", "attempt-1").await.expect("it lets in");
    assert_eq!(proven(&world, redeemed.receipt).public_key, Some(public(&old.key)));

    // Until the device is revoked.
    backend.revoke("anna", &old.device_id).await.expect("it is Anna's");
    refused(backend.redeem(id, "anna", "attempt-1").await, ErrorReason::ApprovalExpired);
}

#[tokio::test]
async fn a_revocation_after_a_change_ends_every_key_of_the_device() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let old = world.enroll_by_hand(&backend, "anna", 1).await;
    let id = backend.create("anna", "attempt-1").await.0.challenge_id;
    let new = old.with_key(51);
    old.hand_over(1, &new).await.expect("both signed");
    backend.revoke("anna", &old.device_id).await.expect("it is Anna's");
    refused_everywhere(&world, &old, &id).await;
    refused_everywhere(&world, &new, &id).await;
}

#[tokio::test]
async fn the_same_change_gets_the_same_answer_for_a_day_with_the_key_that_it_ended() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let old = world.enroll_by_hand(&backend, "anna", 1).await;
    let new = old.with_key(51);
    let account = old.hand_over(7, &new).await.expect("both signed");
    let world = world.restart().await;
    let (old, new) = (old.reconnected(&world).await, new.reconnected(&world).await);
    assert_eq!(old.hand_over(7, &new).await.expect("again"), account);
    refused(old.hand_over(8, &new).await, ErrorReason::CredentialInvalid);
    // Who knows the payload, but not the key that it ended.
    refused(old.with_key(52).hand_over(7, &new).await, ErrorReason::CredentialInvalid);
    for sequence in [1, 7] {
        refused(new.hand_over(sequence, &old.with_key(53)).await, ErrorReason::SequenceUsed);
    }
    world.clock.advance(Duration::from_secs(24 * 3600 - 1));
    assert_eq!(old.hand_over(7, &new).await.expect("again"), account);
    world.clock.advance(Duration::from_secs(1));
    refused(old.hand_over(7, &new).await, ErrorReason::CredentialInvalid);
}

#[tokio::test]
async fn both_keys_sign_and_the_new_one_is_fresh_and_strong() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let other = world.enroll_by_hand(&backend, "anna", 2).await;
    let new = device.with_key(51);
    let send = async |key: PublicKey, signers: &[&SigningKey]| {
        let mut change = device.handing_over(1, &new);
        change.change = Some(countersign_proto::statement::device_change_statement::Change::NewKey(key));
        let mut signed = envelope::sign(&change, signers[0]);
        for signer in &signers[1..] {
            signed.signatures.extend(envelope::sign(&change, signer).signatures);
        }
        let request = ChangeDeviceRequest { public_key: Some(public(&device.key)), change: Some(signed) };
        device.client.clone().change_device(request).await
    };
    let key = || public(&new.key);
    for signers in [
        &[&device.key][..],
        &[&new.key, &device.key],
        &[&device.key, &device.key],
        &[&device.key, &other.key],
        &[&device.key, &new.key, &new.key],
    ] {
        refused(send(key(), signers).await, ErrorReason::CredentialInvalid);
    }
    let both = [&device.key, &new.key];
    let not_acceptable = ErrorReason::KeyNotAcceptable;
    refused(send(PublicKey { algorithm: 1, key: vec![0; 32] }, &both).await, not_acceptable);
    refused(send(PublicKey { algorithm: 2, ..key() }, &both).await, not_acceptable);
    let started = backend.start_enrollment("bob").await;
    let candidate = Candidate::open(&world, &started.uri, 3).await;
    refused(send(candidate.link.root_key.to_wire(), &both).await, not_acceptable);
    for known in [&device, &other] {
        refused(device.hand_over(1, known).await, not_acceptable);
    }
    device.hand_over(1, &new).await.expect("no sequence was used");
    // The key that it had is known for ever: to other devices, and to itself.
    refused(new.hand_over(2, &device).await, not_acceptable);
    let started = backend.start_enrollment("bob").await;
    let again = Candidate::open(&world, &started.uri, 1).await;
    refused(again.enroll().await, not_acceptable);
}

#[tokio::test]
async fn an_unconfirmed_device_has_nothing_to_hand_over() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let started = backend.start_enrollment("anna").await;
    let candidate = Candidate::open(&world, &started.uri, 1).await;
    let device = candidate.enrolled(&candidate.enroll().await.expect("it is taken"));
    crate::world::refused_field(device.hand_over(1, &device.with_key(51)).await, "new_key");
    crate::world::refused_field(device.unenroll(1).await, "unenroll");
}

#[tokio::test]
async fn of_two_changes_at_once_one_is_made() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let (left, right) = (device.with_key(51), device.with_key(52));
    let outcomes = tokio::join!(device.hand_over(1, &left), device.hand_over(1, &right));
    let (winner, lost) = match outcomes {
        (Ok(_), Err(lost)) => (left, lost),
        (Err(lost), Ok(_)) => (right, lost),
        both => panic!("one of them is made: {both:?}"),
    };
    refused(Err::<(), _>(lost), ErrorReason::CredentialInvalid);
    winner.account(&world).await.expect("it is in force");
}

/// The store of challenges takes no writes, or takes them again.
async fn break_challenges(world: &World, is_broken: bool) {
    if let Some(shared) = &world.shared {
        let memory = if is_broken { "1" } else { "0" };
        shared.command(&["CONFIG", "SET", "maxmemory", memory]).await;
        return;
    }
    let statement = if is_broken {
        "CREATE TRIGGER broken BEFORE UPDATE ON users BEGIN SELECT RAISE(ABORT, 'broken'); END"
    } else {
        "DROP TRIGGER broken"
    };
    world.database().execute_batch(statement).expect("the database is there");
}

#[tokio::test]
async fn a_change_that_broke_between_the_stores_is_finished_by_the_same_call_or_by_the_server() {
    for is_sent_again in [true, false] {
        let world = World::start().await;
        let backend = world.backend("Shop").await;
        let old = world.enroll_by_hand(&backend, "anna", 1).await;
        let (challenge, match_code) = backend.create("anna", "attempt-1").await;
        let id = challenge.challenge_id.as_str();
        let new = old.with_key(51);
        break_challenges(&world, true).await;
        refused(old.hand_over(1, &new).await, ErrorReason::StoreUnavailable);
        break_challenges(&world, false).await;
        let due = "SELECT count(*) FROM tombstones_due WHERE successor IS NOT NULL";
        let count = || world.database().query_row(due, [], |row| row.get::<_, i64>(0)).expect("a count");
        assert_eq!(count(), 1);
        refused(new.challenge(&world, id).await, ErrorReason::ChallengeNotFound);
        if is_sent_again {
            old.hand_over(1, &new).await.expect("again");
            assert_eq!(count(), 0);
            finished(&world, &backend, &new, id, &match_code).await;
        } else {
            let world = world.restart().await;
            let backend = world.reconnect(&backend).await;
            finished(&world, &backend, &new.reconnected(&world).await, id, &match_code).await;
        }
    }
}

async fn finished(world: &World, backend: &crate::world::Backend, new: &ByHand, id: &str, match_code: &str) {
    let asked = new.challenge(world, id).await.expect("it is asked");
    assert!(new.respond(&new.approval(&asked, match_code)).await.expect("it counts").accepted);
    backend.redeem(id, "anna", "attempt-1").await.expect("it lets in");
}

#[tokio::test]
async fn the_agent_changes_its_key_and_goes_on() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll(&backend, "anna").await;
    let (challenge, match_code) = backend.create("anna", "attempt-1").await;
    let id = challenge.challenge_id.as_str();
    let before = backend.user("anna").await.factors.remove(0);
    device.account.rotate_key().await.expect("it is changed");
    let after = backend.user("anna").await.factors.remove(0);
    assert_eq!(before.factor_id, after.factor_id);
    let key = |factor: countersign_proto::login::Factor| factor.device.expect("a device").binding;
    assert_ne!(key(before), key(after));
    let asked = device.account.challenge(id).await.expect("it is asked");
    let answer = device.account.approve(&asked, &match_code, UserVerification::None).await;
    assert!(answer.expect("it counts").accepted);
    backend.redeem(id, "anna", "attempt-1").await.expect("it lets in");
    device.account.unenroll().await.expect("it goes");
    assert_eq!(backend.user("anna").await.factors, []);
    device.account.refresh().await.expect_err("its keys are gone");
}
