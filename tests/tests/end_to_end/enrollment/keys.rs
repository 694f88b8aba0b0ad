//! Which keys are taken, and that what is signed fits the offer.

use countersign_proto::{
    common::ErrorReason,
    device::EnrollRequest,
    envelope,
    key::{SigningKey, VerificationKey},
    login::EnrollmentState,
    statement::{CallStatement, EnrollmentStatement, PublicKey},
    trust::ServerKey,
};

use crate::world::{
    Candidate, GET_ACCOUNT, START, World, public, refused, refused_field, sealed, with_unknown_field,
};

const REFUSED: ErrorReason = ErrorReason::KeyNotAcceptable;

#[tokio::test]
async fn weak_malformed_and_foreign_keys_are_refused() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let started = backend.start_enrollment("anna").await;
    let candidate = Candidate::open(&world, &started.uri, 1).await;
    let good = candidate.request(&candidate.statement());
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut not_canonical = [0xff; 32];
    (not_canonical[0], not_canonical[31]) = (0xee, 0x7f);
    let keys: [&[u8]; 6] = [&identity, &[0; 32], &not_canonical, &[], &[1; 31], &[1; 33]];
    for key in keys {
        let public_key = Some(PublicKey { algorithm: 1, key: key.to_vec() });
        refused(candidate.send(EnrollRequest { public_key, ..good.clone() }).await, REFUSED);
    }
    for algorithm in [0, 2, -1] {
        let public_key = Some(PublicKey { algorithm, ..public(&candidate.key) });
        refused(candidate.send(EnrollRequest { public_key, ..good.clone() }).await, REFUSED);
    }
    refused_field(candidate.send(EnrollRequest { public_key: None, ..good.clone() }).await, "public_key");
    refused_field(candidate.send(EnrollRequest { enrollment: None, ..good.clone() }).await, "enrollment");
    candidate.send(good).await.expect("nothing of that has used the link");
}

#[tokio::test]
async fn keys_that_are_somebodys_are_refused() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let other = world.backend("Other").await;
    let device = world.enroll_by_hand(&backend, "anna", 1).await;
    for (backend, user) in [(&backend, "anna"), (&backend, "bob"), (&other, "anna")] {
        let started = backend.start_enrollment(user).await;
        refused(Candidate::open(&world, &started.uri, 1).await.enroll().await, REFUSED);
    }
    backend.revoke("anna", &device.device_id).await.expect("it is Anna's");
    let started = backend.start_enrollment("anna").await;
    let candidate = Candidate::open(&world, &started.uri, 1).await;
    refused(candidate.enroll().await, REFUSED);

    // The server's own, whose private halves nobody else has: they are refused before any signature.
    let server_key = device_key(&candidate, &world).await;
    for key in [candidate.link.root_key, server_key] {
        let mut request = candidate.request(&candidate.statement());
        request.public_key = Some(key.to_wire());
        refused(candidate.send(request).await, REFUSED);
    }
    let id = started.enrollment.expect("an enrolment").enrollment_id;
    assert_eq!(backend.enrollment(&id).await.state(), EnrollmentState::Pending);
}

/// The key that signs for the server at present.
async fn device_key(candidate: &Candidate, world: &World) -> VerificationKey {
    let backend = world.backend("Keys").await;
    let device = world.enroll_by_hand(&backend, "anna", 99).await;
    let statement = device.account(world).await.expect("its account").server_key.expect("a key");
    ServerKey::open(&statement, candidate.link.root_key).expect("the root vouches for it").key
}

#[tokio::test]
async fn what_is_signed_must_be_this_offer_this_server_and_this_key() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let started = backend.start_enrollment("anna").await;
    let candidate = Candidate::open(&world, &started.uri, 1).await;
    let others = backend.start_enrollment("bob").await;
    let other_offer = Candidate::open(&world, &others.uri, 2).await.offer;
    let statement = candidate.statement();
    let other_key = Some(public(&SigningKey::from_bytes(&[3; 32])));
    for mismatched in [
        EnrollmentStatement {
            offer_sha256: envelope::payload_digest(&other_offer).to_vec(),
            ..statement.clone()
        },
        EnrollmentStatement {
            server_id: VerificationKey::of(&candidate.key).thumbprint(),
            ..statement.clone()
        },
        EnrollmentStatement { public_key: other_key, ..statement.clone() },
    ] {
        let sent = candidate.send(candidate.request(&mismatched)).await;
        refused(sent, ErrorReason::StatementMismatch);
    }
    candidate.enroll().await.expect("nothing of that has used the link");
}

#[tokio::test]
async fn signature_and_form_are_checked_in_their_order() {
    let world = World::start().await;
    let backend = world.backend("Shop").await;
    let started = backend.start_enrollment("anna").await;
    let candidate = Candidate::open(&world, &started.uri, 1).await;
    let key = &candidate.key;
    let statement = candidate.statement();
    let good = candidate.request(&statement);
    let with = |envelope| EnrollRequest { enrollment: Some(envelope), ..good.clone() };

    let forged = envelope::sign(&statement, &SigningKey::from_bytes(&[3; 32]));
    let mut unsigned = envelope::sign(&statement, key);
    unsigned.signatures.clear();
    let mut twice = envelope::sign(&statement, key);
    twice.signatures.push(twice.signatures[0].clone());
    for envelope in [forged, unsigned, twice] {
        refused(candidate.send(with(envelope)).await, ErrorReason::CredentialInvalid);
    }
    let call = CallStatement {
        server_id: statement.server_id.clone(),
        device_id: "dev_1".to_owned(),
        method: GET_ACCOUNT.to_owned(),
        issued_at: Some(START.to_wire()),
    };
    let undecodable = sealed(key, &envelope::sign(&statement, key).payload_type, vec![0xff]);
    for envelope in [envelope::sign(&call, key), undecodable, with_unknown_field(key, &statement)] {
        refused(candidate.send(with(envelope)).await, ErrorReason::StatementNotSupported);
    }
    for (faulty, field) in [
        (EnrollmentStatement { device_name: String::new(), ..statement.clone() }, "device_name"),
        (EnrollmentStatement { device_name: "a\u{7}".to_owned(), ..statement.clone() }, "device_name"),
        (EnrollmentStatement { device_name: "a".repeat(65), ..statement.clone() }, "device_name"),
        (EnrollmentStatement { platform: 0, ..statement.clone() }, "platform"),
        (EnrollmentStatement { platform: 99, ..statement.clone() }, "platform"),
        (EnrollmentStatement { offer_sha256: vec![0; 31], ..statement.clone() }, "offer_sha256"),
    ] {
        refused_field(candidate.send(candidate.request(&faulty)).await, field);
    }
    candidate.enroll().await.expect("nothing of that has used the link");
}
