//! From the tables to the files.

use countersign_proto::{
    envelope::{payload_digest, pre_authentication_encoding},
    key::VerificationKey,
    link::{EnrollmentToken, PairingLink},
    receipt,
};
use data_encoding::BASE64URL_NOPAD;
use ed25519_dalek::Signer as _;
use prost::Message as _;
use serde_json::{Value, json, to_value};

use super::{
    format::{
        AcceptedKey, AcceptedLink, AcceptedReceipt, AcceptedSignature, AcceptedStatement, Encoding,
        ExpectedValues, Keys, Links, Receipts, RejectedKey, RejectedLink, RejectedReceipt, RejectedSignature,
        RejectedStatement, Signatures, Statements, Vectors, WireKey, hex,
    },
    reasons,
};
use crate::{
    cases::{self, Kind, StatementCase, receipts::ReceiptCase},
    fixture::{KEYS, TOKEN, key, public},
};

/// Each file's name and content.
pub(super) fn all() -> [(&'static str, Value); 6] {
    let json = |content: Result<Value, serde_json::Error>| content.expect("it can be JSON");
    [
        ("keys.json", json(to_value(keys()))),
        ("links.json", json(to_value(links()))),
        ("pae.json", json!({ "encodings": encodings() })),
        ("signatures.json", json(to_value(signatures()))),
        ("statements.json", json(to_value(statements()))),
        ("receipts.json", json(to_value(receipts()))),
    ]
}

fn keys() -> Keys {
    let accepted = KEYS.map(|(name, seed)| {
        let bytes = public(name).to_bytes();
        let x = BASE64URL_NOPAD.encode(&bytes);
        AcceptedKey {
            name: name.into(),
            seed: hex(&[seed; 32]),
            public_key: hex(&bytes),
            jwk: format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#),
            thumbprint: public(name).thumbprint(),
        }
    });
    let rejected = cases::keys::keys().into_iter().map(|case| RejectedKey {
        name: case.name,
        key: case.key.as_ref().map(WireKey::of),
        reason: reasons::key(case.fault).into(),
    });
    Vectors { accepted: accepted.into(), rejected: rejected.collect() }
}

fn links() -> Links {
    let link = |page_origin: &str, api_origin: Option<&str>| PairingLink {
        page_origin: page_origin.into(),
        token: EnrollmentToken::from_random(TOKEN),
        root_key: public("root"),
        api_origin: api_origin.map(Into::into),
    };
    let accepted = |name: &str, link: PairingLink| AcceptedLink {
        name: name.into(),
        link: link.to_string(),
        page_origin: link.page_origin.clone(),
        api_origin: link.api_origin().into(),
        token: link.token.reveal().into(),
        token_sha256: hex(&link.token.digest()),
        root_key: hex(&link.root_key.to_bytes()),
        server_id: link.root_key.thumbprint(),
    };
    let good = link("https://login.example.org", None).to_string();
    let k = BASE64URL_NOPAD.encode(&public("root").to_bytes());
    let weak = BASE64URL_NOPAD.encode(&[0; 32]);
    let rejected = [
        ("no fragment", "https://login.example.org/device".to_owned(), "address"),
        ("plain http that is not loopback", good.replace("https:", "http:"), "address"),
        ("another path", good.replace("/device", "/devices"), "address"),
        ("a user in front of the host", good.replace("login.", "login@"), "address"),
        ("an API origin of another scheme", format!("{good}&s=ftp%3A%2F%2Fapi.example.org"), "address"),
        ("an API origin with a path", format!("{good}&s=https%3A%2F%2Fapi.example.org%2Fv1"), "address"),
        ("version 2", good.replace("v=1", "v=2"), "version"),
        ("no version", good.replace("v=1&", ""), "parameter"),
        (
            "no token",
            good.replace(&format!("t={}&", EnrollmentToken::from_random(TOKEN).reveal()), ""),
            "parameter",
        ),
        ("an unknown parameter", format!("{good}&x=1"), "parameter"),
        ("a parameter twice", format!("{good}&v=1"), "parameter"),
        ("a token of 31 characters", good.replacen("t=A", "t=", 1), "token"),
        ("a token in lower case", good.replacen("t=A", "t=a", 1), "token"),
        ("a root key that is cut off", good[..good.len() - 1].into(), "root_key"),
        ("a root key with padding", format!("{good}="), "root_key"),
        ("a weak root key", good.replace(&k, &weak), "root_key"),
    ];
    Vectors {
        accepted: vec![
            accepted("page and API at one origin", link("https://login.example.org", None)),
            accepted(
                "an API origin of its own",
                link("https://login.example.org", Some("https://api.example.org:8443")),
            ),
            accepted("loopback", link("http://127.0.0.1:8080", None)),
        ],
        rejected: rejected
            .map(|(name, link, reason)| RejectedLink { name: name.into(), link, reason: reason.into() })
            .into(),
    }
}

fn encodings() -> Vec<Encoding> {
    [
        ("the one that DSSE publishes", "http://example.com/HelloWorld", "hello world"),
        ("empty", "", ""),
        ("lengths are of bytes", "application/ä", "ö ü"),
    ]
    .map(|(name, payload_type, payload)| Encoding {
        name: name.into(),
        payload_type: payload_type.into(),
        payload: hex(payload.as_bytes()),
        pae: hex(&pre_authentication_encoding(payload_type, payload.as_bytes())),
    })
    .into()
}

fn signatures() -> Signatures {
    let message = cases::keys::MESSAGE;
    let accepted = KEYS.map(|(name, _)| AcceptedSignature {
        name: name.into(),
        public_key: hex(&public(name).to_bytes()),
        message: hex(message),
        signature: hex(&key(name).sign(message).to_bytes()),
    });
    let rejected = cases::keys::signatures().into_iter().map(|case| RejectedSignature {
        name: case.name.into(),
        public_key: hex(&case.public_key),
        message: hex(message),
        signature: hex(&case.signature),
        reason: if case.key_fault.is_some() { "key" } else { "signature" }.into(),
    });
    Vectors { accepted: accepted.into(), rejected: rejected.collect() }
}

fn statements() -> Statements {
    let mut vectors = Vectors { accepted: Vec::new(), rejected: Vec::new() };
    let cases = [cases::forms::cases(), cases::envelopes::cases(), cases::encodings::cases()];
    for case in cases.into_iter().flatten() {
        let key = public(case.signer);
        match &case.fault {
            None => vectors.accepted.push(accepted_statement(&case, key)),
            Some(fault) => vectors.rejected.push(RejectedStatement {
                refusal: reasons::expected(fault),
                name: case.name,
                statement: case.kind.into(),
                public_key: hex(&key.to_bytes()),
                envelope: case.envelope,
            }),
        }
    }
    vectors
}

fn accepted_statement(case: &StatementCase, key: VerificationKey) -> AcceptedStatement {
    let kind = Kind::named(case.kind);
    let envelope = case.envelope.clone();
    AcceptedStatement {
        name: case.name.clone(),
        statement: case.kind.into(),
        signer: case.signer.into(),
        second_signer: case.second_signer.map(Into::into),
        fields: (kind.open)(&envelope, key).expect("the case is one that is taken"),
        payload_type: kind.payload_type.into(),
        payload: hex(&envelope.payload),
        payload_sha256: hex(&payload_digest(&envelope)),
        pae: hex(&pre_authentication_encoding(kind.payload_type, &envelope.payload)),
        public_key: hex(&key.to_bytes()),
        signature: hex(&envelope.signatures[0].sig),
        envelope_bytes: hex(&envelope.encode_to_vec()),
        envelope,
    }
}

fn receipts() -> Receipts {
    let mut vectors = Vectors { accepted: Vec::new(), rejected: Vec::new() };
    for ReceiptCase { name, receipt, knowledge, refusal } in cases::receipts::cases() {
        let server_id = knowledge.server_id();
        let expected = ExpectedValues {
            application_id: knowledge.application_id.map(Into::into),
            user_id: knowledge.user_id.map(Into::into),
            attempt_id: knowledge.attempt_id.map(Into::into),
            purpose: knowledge.purpose.map(|purpose| purpose.as_str_name().into()),
            min_key_version: knowledge.min_key_version,
        };
        if let Some(refusal) = refusal {
            let receipt = to_value(receipt).expect("protobuf JSON");
            let refusal = reasons::receipt(&refusal);
            vectors.rejected.push(RejectedReceipt { name, server_id, expected, receipt, refusal });
        } else {
            let verified = receipt::verify(&receipt, &server_id, &knowledge.expected()).expect("it holds");
            let state = verified.settlement.state().as_str_name().into();
            let proof = reasons::proof(&verified.by).into();
            let key_version = verified.key_version;
            let accepted = AcceptedReceipt { name, server_id, expected, receipt, state, proof, key_version };
            vectors.accepted.push(accepted);
        }
    }
    vectors
}
