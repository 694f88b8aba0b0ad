//! Challenges whose records are replaced, and decisions and settlements that are moved from one to another.

use countersign_domain::{
    challenge::ChallengeRecord,
    id::ChallengeId,
    record,
    state::{Settled, State},
};
use countersign_proto::common::{DenialReason, ErrorReason};
use countersign_test_peers::Value;
use data_encoding::HEXLOWER;

use crate::world::{World, refused};

/// Puts what is stored of one challenge in the place of another.
async fn copy_record(world: &World, from: &str, to: &str) {
    let Some(shared) = &world.shared else {
        let [from, to] = [from, to].map(|id| challenge_id(id).to_bytes());
        let copied =
            "UPDATE challenges SET record = (SELECT record FROM challenges WHERE id = ?1) WHERE id = ?2";
        assert_eq!(world.database().execute(copied, [from, to]), Ok(1));
        return;
    };
    let [from, to] = [from, to].map(challenge_key);
    assert_eq!(shared.command(&["COPY", &from, &to, "REPLACE"]).await, Value::Integer(1));
}

/// Where a challenge lies in Redis. The hash tag is the top 10 bits of the user's tag, which are those of the id.
fn challenge_key(id: &str) -> String {
    let id = challenge_id(id);
    format!("countersign:{{{:03x}}}c{}", id.user().0 >> 54, HEXLOWER.encode(&id.to_bytes()))
}

fn challenge_id(id: &str) -> ChallengeId {
    id.parse().expect("an id of the server's")
}

#[tokio::test]
async fn an_approval_that_was_moved_to_another_challenge_lets_nobody_in() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let (first, match_code) = backend.create("anna", "one").await;
    let asked = device.challenge(&world, &first.challenge_id).await.expect("it was asked");
    device.respond(&device.approval(&asked, &match_code)).await.expect("it counts");
    let (second, _) = backend.create("anna", "two").await;
    copy_record(&world, &first.challenge_id, &second.challenge_id).await;
    let redeemed = backend.redeem(&second.challenge_id, "anna", "two").await;
    refused(redeemed, ErrorReason::NotYourApproval);
    let redeemed = backend.redeem(&second.challenge_id, "anna", "one").await.expect_err("not its own");
    assert!(redeemed.message().contains("not proven by its signatures"), "{redeemed:?}");
    backend.redeem(&first.challenge_id, "anna", "one").await.expect("its own");
}

/// What is stored of a challenge.
async fn stored_record(world: &World, id: &str) -> ChallengeRecord {
    let stored = match &world.shared {
        None => {
            let stored = "SELECT record FROM challenges WHERE id = ?1";
            let id = challenge_id(id).to_bytes();
            world.database().query_row(stored, [id], |row| row.get(0)).expect("it is there")
        }
        Some(shared) => match shared.command(&["GET", &challenge_key(id)]).await {
            Value::Bulk(stored) => stored,
            other => panic!("{other:?}"),
        },
    };
    record::decode::<ChallengeRecord>(&stored).expect("the server's own form")
}

/// Puts `record` in the place of what is stored of the challenge.
async fn replace_record(world: &World, id: &str, record: &ChallengeRecord) {
    /// Bytes that need not be text, sent as hex.
    const REPLACE: &str =
        "local bytes = ARGV[1]:gsub('..', function(hex) return string.char(tonumber(hex, 16)) end)
        return redis.call('SET', KEYS[1], bytes, 'XX', 'KEEPTTL')";
    let record = record::encode(record);
    let Some(shared) = &world.shared else {
        let replaced = "UPDATE challenges SET record = ?1 WHERE id = ?2";
        let id = challenge_id(id).to_bytes();
        assert_eq!(world.database().execute(replaced, (record, id)), Ok(1));
        return;
    };
    let (key, record) = (challenge_key(id), HEXLOWER.encode(&record));
    let replaced = shared.command(&["EVAL", REPLACE, "1", &key, &record]).await;
    assert_eq!(replaced, Value::Simple("OK".to_owned()));
}

#[tokio::test]
async fn a_decision_or_a_settlement_that_was_moved_to_another_challenge_lets_nobody_in() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let (first, match_code) = backend.create("anna", "one").await;
    let asked = device.challenge(&world, &first.challenge_id).await.expect("it was asked");
    device.respond(&device.approval(&asked, &match_code)).await.expect("it counts");
    let (second, _) = backend.create("anna", "two").await;
    let asked = device.challenge(&world, &second.challenge_id).await.expect("it was asked");
    device.respond(&device.denial(&asked, DenialReason::Mistake)).await.expect("it counts");
    let approved = stored_record(&world, &first.challenge_id).await;
    let denied = stored_record(&world, &second.challenge_id).await;
    let [moved, own] = [&approved, &denied].map(|of| of.state.settled().expect("it was answered"));

    let mut let_in = Vec::new();
    for (name, decision, settlement) in [
        ("both", moved, moved),
        ("the decision alone", moved, own),
        ("the settlement alone", own, moved),
        ("neither, but called an approval", own, own),
    ] {
        let settled = Settled { by: decision.by.clone(), ..settlement.clone() };
        let state = State::Approved { settled, redeemed_at: None, is_over: false };
        replace_record(&world, &second.challenge_id, &ChallengeRecord { state, ..denied.clone() }).await;
        match backend.redeem(&second.challenge_id, "anna", "two").await {
            Ok(_) => let_in.push(name),
            Err(refusal) => {
                assert!(refusal.message().contains("not proven by its signatures"), "{refusal:?}");
            }
        }
    }
    assert_eq!(let_in, [""; 0]);
    backend.redeem(&first.challenge_id, "anna", "one").await.expect("its own");
}
