//! From the files alone to what they say: fields to bytes to signature, and bytes to fields.

use countersign_proto::{
    envelope::{self, payload_digest, pre_authentication_encoding},
    key::{SigningKey, VerificationKey},
    link::PairingLink,
    receipt::{self, Expected},
    statement::{Envelope, Purpose, Receipt},
};
use ed25519_dalek::Signer as _;
use prost::Message as _;
use serde_json::{Value, from_value};

use super::{
    file,
    format::{
        AcceptedStatement, Encoding, ExpectedValues, Keys, Links, Receipts, Signatures, Statements, WireKey,
        hex, unhex,
    },
    reasons,
};
use crate::cases::Kind;

fn public_key(text: &str) -> VerificationKey {
    VerificationKey::from_bytes(&unhex(text)).expect("a good key")
}

fn signing_key(keys: &Keys, name: &str) -> SigningKey {
    let key = keys.accepted.iter().find(|key| key.name == name).expect("the name of a key");
    SigningKey::from_bytes(&unhex(&key.seed).try_into().expect("32 bytes"))
}

#[test]
fn keys() {
    let keys: Keys = file("keys.json");
    assert!(!keys.accepted.is_empty() && !keys.rejected.is_empty());
    for key in &keys.accepted {
        let public = VerificationKey::of(&signing_key(&keys, &key.name));
        assert_eq!(hex(&public.to_bytes()), key.public_key, "{}", key.name);
        assert_eq!(public_key(&key.public_key).thumbprint(), key.thumbprint, "{}", key.name);
    }
    for key in &keys.rejected {
        let wire = key.key.as_ref().map(WireKey::to_wire);
        let fault = VerificationKey::from_wire(wire.as_ref()).expect_err(&key.name);
        assert_eq!(reasons::key(fault), key.reason, "{}", key.name);
    }
}

#[test]
fn links() {
    let links: Links = file("links.json");
    assert!(!links.accepted.is_empty() && !links.rejected.is_empty());
    for expected in &links.accepted {
        let link: PairingLink = expected.link.parse().expect(&expected.name);
        assert_eq!(link.to_string(), expected.link);
        assert_eq!(link.page_origin, expected.page_origin);
        assert_eq!(link.api_origin(), expected.api_origin);
        assert_eq!(link.token.reveal(), expected.token);
        assert_eq!(hex(&link.token.digest()), expected.token_sha256);
        assert_eq!(hex(&link.root_key.to_bytes()), expected.root_key);
        assert_eq!(link.root_key.thumbprint(), expected.server_id);
    }
    for expected in &links.rejected {
        let fault = expected.link.parse::<PairingLink>().expect_err(&expected.name);
        assert_eq!(reasons::link(&fault), expected.reason, "{}", expected.name);
    }
}

#[test]
fn encodings() {
    let mut content: Value = file("pae.json");
    let encodings: Vec<Encoding> = from_value(content["encodings"].take()).expect("a list of encodings");
    assert!(!encodings.is_empty());
    for expected in encodings {
        let found = pre_authentication_encoding(&expected.payload_type, &unhex(&expected.payload));
        assert_eq!(hex(&found), expected.pae, "{}", expected.name);
    }
}

#[test]
fn signatures() {
    let keys: Keys = file("keys.json");
    let signatures: Signatures = file("signatures.json");
    assert!(!signatures.accepted.is_empty() && !signatures.rejected.is_empty());
    for expected in &signatures.accepted {
        let signature = signing_key(&keys, &expected.name).sign(&unhex(&expected.message)).to_bytes();
        assert_eq!(hex(&signature), expected.signature, "{}", expected.name);
        assert!(holds(&expected.public_key, &expected.message, &expected.signature), "{}", expected.name);
    }
    for expected in &signatures.rejected {
        let good_key = VerificationKey::from_bytes(&unhex(&expected.public_key)).is_ok();
        assert_eq!(good_key, expected.reason == "signature", "{}", expected.name);
        assert!(!holds(&expected.public_key, &expected.message, &expected.signature), "{}", expected.name);
    }
}

/// The strict rules, over a bare message.
fn holds(public_key: &str, message: &str, signature: &str) -> bool {
    let bytes = unhex(public_key).try_into().expect("32 bytes");
    let key = ed25519_dalek::VerifyingKey::from_bytes(&bytes).expect("a point");
    let signature = ed25519_dalek::Signature::from_slice(&unhex(signature));
    signature.is_ok_and(|signature| key.verify_strict(&unhex(message), &signature).is_ok())
}

#[test]
fn accepted_statements() {
    let keys: Keys = file("keys.json");
    let statements: Statements = file("statements.json");
    for kind in Kind::all() {
        assert!(statements.accepted.iter().any(|expected| expected.statement == kind.name), "{}", kind.name);
    }
    for expected in &statements.accepted {
        to_bytes(expected, &signing_key(&keys, &expected.signer));
        let second =
            expected.second_signer.as_ref().map(|name| signing_key(&keys, name).sign(&unhex(&expected.pae)));
        let found = expected.envelope.signatures.get(1).map(|signature| signature.sig.clone());
        assert_eq!(found, second.map(|second| second.to_bytes().to_vec()), "{}", expected.name);
        to_fields(expected);
    }
}

/// Fields to payload, to what is signed, to signature, to envelope.
fn to_bytes(expected: &AcceptedStatement, key: &SigningKey) {
    let name = &expected.name;
    let kind = Kind::named(&expected.statement);
    assert_eq!(kind.payload_type, expected.payload_type, "{name}");
    // What JSON cannot say begins with its bytes.
    let payload = match &expected.fields {
        Value::Null => {
            assert!(name.contains("a kind that is not known"), "{name} has no fields");
            unhex(&expected.payload)
        }
        fields => (kind.encode)(fields.clone()),
    };
    assert_eq!(hex(&payload), expected.payload, "{name}");
    let signed = pre_authentication_encoding(kind.payload_type, &payload);
    assert_eq!(hex(&signed), expected.pae, "{name}");
    assert_eq!(hex(&key.sign(&signed).to_bytes()), expected.signature, "{name}");
    assert_eq!(hex(&VerificationKey::of(key).to_bytes()), expected.public_key, "{name}");
    assert_eq!(hex(&expected.envelope.signatures[0].sig), expected.signature, "{name}");
}

/// Envelope bytes to envelope, verified, to fields.
fn to_fields(expected: &AcceptedStatement) {
    let name = &expected.name;
    let envelope = Envelope::decode(unhex(&expected.envelope_bytes).as_slice()).expect("an envelope");
    assert_eq!(envelope, expected.envelope, "{name}");
    assert_eq!(hex(&envelope.payload), expected.payload, "{name}");
    assert_eq!(hex(&payload_digest(&envelope)), expected.payload_sha256, "{name}");
    let key = public_key(&expected.public_key);
    if expected.second_signer.is_none() {
        assert_eq!(envelope::verify(&envelope, key), Ok(()), "{name}");
    }
    let fields = (Kind::named(&expected.statement).open)(&envelope, key);
    assert_eq!(fields.as_ref(), Ok(&expected.fields), "{name}");
}

#[test]
fn rejected_statements() {
    let statements: Statements = file("statements.json");
    assert!(!statements.rejected.is_empty());
    for expected in &statements.rejected {
        let kind = Kind::named(&expected.statement);
        let fault =
            (kind.open)(&expected.envelope, public_key(&expected.public_key)).expect_err(&expected.name);
        assert_eq!(reasons::envelope(&fault), expected.refusal, "{}", expected.name);
    }
}

#[test]
fn receipts() {
    let receipts: Receipts = file("receipts.json");
    assert!(!receipts.accepted.is_empty() && !receipts.rejected.is_empty());
    for expected in &receipts.accepted {
        let verified = receipt::verify(&expected.receipt, &expected.server_id, &known(&expected.expected))
            .unwrap_or_else(|refusal| panic!("{}: {refusal}", expected.name));
        assert_eq!(verified.settlement.state().as_str_name(), expected.state, "{}", expected.name);
        assert_eq!(reasons::proof(&verified.by), expected.proof, "{}", expected.name);
        assert_eq!(verified.key_version, expected.key_version, "{}", expected.name);
    }
    for expected in &receipts.rejected {
        let receipt: Receipt = from_value(expected.receipt.clone()).expect("protobuf JSON");
        let refusal = receipt::verify(&receipt, &expected.server_id, &known(&expected.expected))
            .expect_err(&expected.name);
        assert_eq!(reasons::receipt(&refusal), expected.refusal, "{}", expected.name);
    }
}

fn known(expected: &ExpectedValues) -> Expected<'_> {
    Expected {
        application_id: expected.application_id.as_deref(),
        user_id: expected.user_id.as_deref(),
        attempt_id: expected.attempt_id.as_deref(),
        purpose: expected.purpose.as_deref().map(|name| Purpose::from_str_name(name).expect("a purpose")),
        min_key_version: expected.min_key_version,
    }
}
