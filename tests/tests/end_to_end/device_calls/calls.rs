//! Call statements: any fault is one refusal.

use std::time::Duration;

use countersign_proto::{
    common::ErrorReason,
    device::{GetAccountRequest, GetChallengeRequest, ListChallengesRequest, SubscribeRequest},
    envelope,
    key::SigningKey,
    statement::{CallStatement, Envelope, PublicKey},
};
use prost::Message as _;
use tonic::{Request, Status, metadata::MetadataValue};

use crate::world::{
    ByHand, CALL_KEY, GET_ACCOUNT, GET_CHALLENGE, KEY_KEY, LIST_CHALLENGES, SUBSCRIBE, World, at,
    metadata_of, other_id, public, refused, sealed, with_unknown_field,
};

const METHODS: [&str; 4] = [GET_ACCOUNT, LIST_CHALLENGES, SUBSCRIBE, GET_CHALLENGE];

/// Calls `method` with these metadata entries.
async fn call(device: &ByHand, method: &str, entries: &[(&'static str, Vec<u8>)]) -> Result<(), Status> {
    let mut client = device.client.clone();
    let mut request = Request::new(());
    for (name, bytes) in entries {
        request.metadata_mut().append_bin(*name, MetadataValue::from_bytes(bytes));
    }
    match method {
        GET_ACCOUNT => client.get_account(request.map(|()| GetAccountRequest {})).await.map(drop),
        LIST_CHALLENGES => client.list_challenges(request.map(|()| ListChallengesRequest {})).await.map(drop),
        SUBSCRIBE => client.subscribe(request.map(|()| SubscribeRequest {})).await.map(drop),
        _ => {
            let message = GetChallengeRequest { challenge_id: "chl_0".to_owned() };
            client.get_challenge(request.map(|()| message)).await.map(drop)
        }
    }
}

/// The two entries of a call.
fn entries(call: &Envelope, key: &PublicKey) -> Vec<(&'static str, Vec<u8>)> {
    vec![(CALL_KEY, call.encode_to_vec()), (KEY_KEY, key.encode_to_vec())]
}

#[tokio::test]
async fn every_fault_of_a_call_statement_is_the_same_refusal() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let (own, stranger) = (public(&device.key), SigningKey::from_bytes(&[9; 32]));
    let mut sentences = Vec::new();
    for method in METHODS {
        let good = device.call(method, world.now());
        let signed = device.sign(&good);
        let [call_entry, key_entry] = entries(&signed, &own).try_into().expect("two");
        let mut twice_signed = signed.clone();
        twice_signed.signatures.push(signed.signatures[0].clone());
        let mut unsigned = signed.clone();
        unsigned.signatures.clear();
        let mut misnamed = signed.clone();
        "somebody".clone_into(&mut misnamed.signatures[0].keyid);
        let other_method = METHODS.into_iter().find(|other| *other != method).expect("three");
        let sign = |change: fn(&mut CallStatement)| {
            let mut statement = good.clone();
            change(&mut statement);
            entries(&device.sign(&statement), &own)
        };
        let weak = PublicKey { algorithm: 1, key: vec![0; 32] };
        let faults = [
            vec![],
            vec![call_entry.clone()],
            vec![key_entry.clone()],
            vec![call_entry.clone(), call_entry.clone(), key_entry.clone()],
            vec![call_entry.clone(), key_entry.clone(), key_entry.clone()],
            vec![(CALL_KEY, vec![0xff; 20]), key_entry.clone()],
            vec![call_entry.clone(), (KEY_KEY, vec![0xff; 20])],
            vec![(CALL_KEY, vec![]), key_entry.clone()],
            vec![call_entry.clone(), (KEY_KEY, vec![])],
            entries(&signed, &weak),
            entries(&signed, &public(&stranger)),
            entries(&envelope::sign(&good, &stranger), &own),
            entries(&twice_signed, &own),
            entries(&unsigned, &own),
            entries(&misnamed, &own),
            entries(&with_unknown_field(&device.key, &good), &own),
            entries(&sealed(&device.key, "text/plain", signed.payload.clone()), &own),
            entries(&device.sign(&device.call(other_method, world.now())), &own),
            sign(|call| "another".clone_into(&mut call.server_id)),
            sign(|call| "dev_0".clone_into(&mut call.device_id)),
            sign(|call| call.method.clear()),
            sign(|call| call.issued_at = None),
            // A wrong time tells the server's only when all else is right.
            sign(|call| {
                "another".clone_into(&mut call.server_id);
                call.issued_at = Some(at(3600).to_wire());
            }),
        ];
        for (index, fault) in faults.into_iter().enumerate() {
            let status = call(&device, method, &fault).await;
            assert!(status.is_err(), "{method}: fault {index}");
            sentences.push(refused(status, ErrorReason::CredentialInvalid).message().to_owned());
        }
        let answered = call(&device, method, &entries(&signed, &own)).await;
        if method == GET_CHALLENGE {
            refused(answered, ErrorReason::ChallengeNotFound);
        } else {
            answered.expect("without fault");
        }
    }
    sentences.dedup();
    assert_eq!(sentences.len(), 1, "{sentences:?}");
}

#[tokio::test]
async fn a_minute_is_the_most_that_a_time_may_differ() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    world.clock.set(at(1000));
    let own = public(&device.key);
    for method in METHODS {
        let at_time = async |time| {
            call(&device, method, &entries(&device.sign(&device.call(method, time)), &own)).await
        };
        let minute = Duration::from_mins(1);
        let more = Duration::from_millis(60_001);
        for time in [at(1000).minus(minute), at(1000).plus(minute)] {
            let answered = at_time(time).await;
            assert!(answered.is_ok() || method == GET_CHALLENGE, "{answered:?}");
        }
        for time in [at(1000).minus(more), at(1000).plus(more), at(100_000)] {
            let refusal = refused(at_time(time).await, ErrorReason::ClockSkew);
            assert_eq!(metadata_of(&refusal, "server_time"), at(1000).as_seconds().to_string());
        }
    }
}

#[tokio::test]
async fn a_key_that_nobody_knows_learns_nothing() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    let (challenge, match_code) = backend.create("anna", "attempt-1").await;
    let asked = device.challenge(&world, &challenge.challenge_id).await.expect("it was asked");
    let other_id = other_id(&device.device_id);
    let stranger = SigningKey::from_bytes(&[9; 32]);
    for unknown in [
        ByHand { key: stranger.clone(), ..device.clone() },
        ByHand { device_id: other_id, key: stranger, ..device.clone() },
    ] {
        refused(unknown.account(&world).await, ErrorReason::CredentialInvalid);
        let change = unknown.change(1, countersign_proto::statement::DeviceProfile::default());
        refused(unknown.send_change(&change).await, ErrorReason::CredentialInvalid);
        let reason = ErrorReason::ChallengeNotFound;
        refused(unknown.challenge(&world, &challenge.challenge_id).await, reason);
        refused(unknown.respond(&unknown.approval(&asked, &match_code)).await, reason);
        assert_eq!(unknown.list(&world).await.expect("nothing"), []);
    }
}
