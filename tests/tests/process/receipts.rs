//! `countersign receipt verify`: what a backend keeps of an approval, checked with no server at hand.

use std::ops::Range;

use countersign_proto::{
    login::{CreateChallengeRequest, LoginSource},
    statement::{Envelope, KeyAlgorithm, PublicKey, Receipt},
};
use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::{
    people::{Application, created},
    program::{Ended, Place, soon},
};

/// Where the login came from, which the person was shown.
const ADDRESS: &str = "203.0.113.77";

/// An approved login's receipt in a file, with no server left.
struct Kept {
    place: Place,
    receipt: Receipt,
    server_id: String,
    application_id: String,
    device_id: String,
}

impl Kept {
    async fn new() -> Self {
        let place = Place::new("");
        let application = Application::create(&place, "Shop").await;
        let server = place.serve().await;
        let backend = application.connect(server.address).await;
        let device = backend.enroll("anna").await.expect("it is enrolled");
        let request = CreateChallengeRequest {
            user_id: "anna".to_owned(),
            attempt_id: "attempt-1".to_owned(),
            source: Some(LoginSource { ip_address: ADDRESS.to_owned(), ..LoginSource::default() }),
            ..CreateChallengeRequest::default()
        };
        let response = soon(backend.login.clone().create_challenge(request)).await.expect("it is created");
        let (challenge, match_code) = created(response.into_inner());
        let answer = device.approve(&challenge.challenge_id, &match_code).await.expect("it counts");
        assert!(answer.accepted);
        let redeemed = backend.redeem(&challenge.challenge_id, "anna", "attempt-1").await.expect("approved");
        let server_id = server.id.clone();
        server.stop().await;
        let receipt = redeemed.receipt.expect("a receipt");
        place.write("receipt.json", serde_json::to_string(&receipt).expect("JSON"));
        let device_id = device.account.device_id().to_owned();
        Self { place, receipt, server_id, application_id: application.id, device_id }
    }

    async fn verify(&self, options: &[&str]) -> Ended {
        self.place.run(&[&["receipt", "verify", "receipt.json"], options].concat()).await
    }

    async fn verify_pinned(&self) -> Ended {
        self.verify(&["--server-id", &self.server_id]).await
    }

    /// What it is refused for, told in words.
    async fn refused(&self, options: &[&str]) -> String {
        let ended = self.verify(options).await;
        assert_eq!((ended.status.code(), ended.stderr.as_str()), (Some(1), ""), "{ended:?}");
        ended.stdout.strip_prefix("REFUSED: ").expect("a refusal").trim_end().to_owned()
    }
}

/// The message as the JSON mapping of protobuf has it, written field by field.
fn as_grpcurl_prints(receipt: &Receipt) -> Value {
    let envelope = |envelope: &Envelope| {
        let signatures = envelope.signatures.iter();
        let signatures = signatures.map(|one| json!({ "sig": BASE64.encode(&one.sig), "keyid": one.keyid }));
        json!({
            "payload": BASE64.encode(&envelope.payload),
            "payloadType": envelope.payload_type,
            "signatures": signatures.collect::<Vec<_>>(),
        })
    };
    let one = |part: &Option<Envelope>| envelope(part.as_ref().expect("it is there"));
    let PublicKey { algorithm, key } = receipt.root_key.as_ref().expect("a root key");
    assert_eq!(*algorithm, i32::from(KeyAlgorithm::Ed25519));
    json!({
        "challenge": one(&receipt.challenge),
        "decision": one(&receipt.decision),
        "settlement": one(&receipt.settlement),
        "binding": one(&receipt.binding),
        "serverKeys": receipt.server_keys.iter().map(envelope).collect::<Vec<_>>(),
        "rootKey": { "algorithm": "KEY_ALGORITHM_ED25519", "key": BASE64.encode(key) },
    })
}

#[tokio::test]
async fn a_receipt_is_told_in_words_to_whoever_pinned_the_server() {
    let kept = Kept::new().await;
    let told = kept.verify_pinned().await.succeeded();
    assert!(told.starts_with("APPROVED at 20"), "{told}");
    for fact in [
        "to           let a browser or program log in",
        "user         anna",
        &format!("application  {}", kept.application_id),
        &format!("by device    {}", kept.device_id),
        "match code   typed on the device, 3 digits",
        "server key version 1",
    ] {
        assert!(told.contains(fact), "{fact}: {told}");
    }
    assert!(told.lines().any(|line| line.starts_with("  shown ") && line.ends_with(ADDRESS)), "{told}");

    // As grpcurl prints it, with line breaks, it is read as well.
    let printed = as_grpcurl_prints(&kept.receipt);
    let written = std::fs::read_to_string(kept.place.path("receipt.json")).expect("it is there");
    assert_eq!(serde_json::from_str::<Value>(&written).expect("JSON"), printed);
    kept.place.write("receipt.json", serde_json::to_string_pretty(&printed).expect("JSON"));
    assert_eq!(kept.verify_pinned().await.succeeded(), told);
}

#[tokio::test]
async fn without_the_right_server_id_it_proves_nothing() {
    let kept = Kept::new().await;
    let unanchored = kept.verify(&[]).await;
    assert_eq!((unanchored.status.code(), unanchored.stderr.as_str()), (Some(1), ""), "{unanchored:?}");
    assert!(unanchored.stdout.starts_with("UNANCHORED: "), "{unanchored:?}");
    assert!(unanchored.stdout.contains(&kept.server_id), "{unanchored:?}");

    let mut other = kept.server_id.clone().into_bytes();
    other[0] = if other[0] == b'A' { b'B' } else { b'A' };
    let other = String::from_utf8(other).expect("ASCII");
    for id in [other.as_str(), "", "nonsense", "-begins-as-one-in-64-does"] {
        let reason = kept.refused(&["--server-id", id]).await;
        assert_eq!(reason, "the root key is not the pinned one: this receipt comes from another server");
    }
    let old = kept.refused(&["--server-id", &kept.server_id, "--min-key-version", "2"]).await;
    assert_eq!(old, "signed under server key version 1, which is below the 2 that is asked for");
    kept.verify(&["--server-id", &kept.server_id, "--min-key-version", "1"]).await.succeeded();
}

/// Where the address stands in the signed bytes.
fn address_in(payload: &[u8]) -> Range<usize> {
    let start = payload.windows(ADDRESS.len()).position(|window| window == ADDRESS.as_bytes());
    let start = start.expect("it was shown, so it was signed");
    start..start + ADDRESS.len()
}

#[tokio::test]
async fn a_changed_byte_of_the_address_that_was_shown_is_refused_in_words() {
    let kept = Kept::new().await;
    let payload = kept.receipt.challenge.as_ref().expect("a challenge").payload.clone();
    let mut json = as_grpcurl_prints(&kept.receipt);
    for position in address_in(&payload) {
        let mut changed = payload.clone();
        changed[position] ^= 1;
        json["challenge"]["payload"] = BASE64.encode(&changed).into();
        kept.place.write("receipt.json", json.to_string());
        let reason = kept.refused(&["--server-id", &kept.server_id]).await;
        assert!(reason.starts_with("the challenge does not hold: "), "byte {position}: {reason}");
        // Nor without a server id: what holds together is checked anyhow.
        assert_eq!(kept.refused(&[]).await, reason);
    }
}

#[tokio::test]
async fn what_is_no_receipt_is_named() {
    let kept = Kept::new().await;
    for content in ["", "nonsense", "[]", "{\"challenge\": 1}", "{\"rootkey\": {}}"] {
        kept.place.write("receipt.json", content);
        let reason = kept.verify_pinned().await.failed();
        assert!(
            reason.starts_with("receipt.json is not a receipt in protobuf JSON: "),
            "{content}: {reason}"
        );
    }
    kept.place.write("receipt.json", "{}");
    assert!(
        kept.refused(&["--server-id", &kept.server_id]).await.starts_with("the root key cannot be used: ")
    );
    std::fs::remove_file(kept.place.path("receipt.json")).expect("it is there");
    let reason = kept.verify_pinned().await.failed();
    assert!(reason.starts_with("receipt.json cannot be read: "), "{reason}");
}
