//! The form of the files, as `proto/vectors/README.md` describes it.

use countersign_proto::statement::{Envelope, PublicKey, Receipt};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A file of accepted and rejected vectors.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Vectors<A, R> {
    pub(crate) accepted: Vec<A>,
    pub(crate) rejected: Vec<R>,
}

pub(crate) type Keys = Vectors<AcceptedKey, RejectedKey>;
pub(crate) type Links = Vectors<AcceptedLink, RejectedLink>;
pub(crate) type Signatures = Vectors<AcceptedSignature, RejectedSignature>;
pub(crate) type Statements = Vectors<AcceptedStatement, RejectedStatement>;
pub(crate) type Receipts = Vectors<AcceptedReceipt, RejectedReceipt>;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcceptedKey {
    pub(crate) name: String,
    pub(crate) seed: String,
    pub(crate) public_key: String,
    pub(crate) jwk: String,
    pub(crate) thumbprint: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RejectedKey {
    pub(crate) name: String,
    pub(crate) key: Option<WireKey>,
    pub(crate) reason: String,
}

/// A `PublicKey` whose algorithm may be one that has no name.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WireKey {
    pub(crate) algorithm: i32,
    pub(crate) bytes: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcceptedLink {
    pub(crate) name: String,
    pub(crate) link: String,
    pub(crate) page_origin: String,
    pub(crate) api_origin: String,
    pub(crate) token: String,
    pub(crate) token_sha256: String,
    pub(crate) root_key: String,
    pub(crate) server_id: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RejectedLink {
    pub(crate) name: String,
    pub(crate) link: String,
    pub(crate) reason: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Encoding {
    pub(crate) name: String,
    pub(crate) payload_type: String,
    pub(crate) payload: String,
    pub(crate) pae: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcceptedSignature {
    pub(crate) name: String,
    pub(crate) public_key: String,
    pub(crate) message: String,
    pub(crate) signature: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RejectedSignature {
    pub(crate) name: String,
    pub(crate) public_key: String,
    pub(crate) message: String,
    pub(crate) signature: String,
    pub(crate) reason: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcceptedStatement {
    pub(crate) name: String,
    pub(crate) statement: String,
    pub(crate) signer: String,
    pub(crate) second_signer: Option<String>,
    pub(crate) fields: Value,
    pub(crate) payload_type: String,
    pub(crate) payload: String,
    pub(crate) payload_sha256: String,
    pub(crate) pae: String,
    pub(crate) public_key: String,
    pub(crate) signature: String,
    pub(crate) envelope: Envelope,
    pub(crate) envelope_bytes: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RejectedStatement {
    pub(crate) name: String,
    pub(crate) statement: String,
    pub(crate) public_key: String,
    pub(crate) envelope: Envelope,
    pub(crate) refusal: Value,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcceptedReceipt {
    pub(crate) name: String,
    pub(crate) server_id: String,
    pub(crate) expected: ExpectedValues,
    pub(crate) receipt: Receipt,
    pub(crate) state: String,
    pub(crate) proof: String,
    pub(crate) key_version: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RejectedReceipt {
    pub(crate) name: String,
    pub(crate) server_id: String,
    pub(crate) expected: ExpectedValues,
    pub(crate) receipt: Value,
    pub(crate) refusal: Value,
}

/// What the verifier knows; what is left out is not compared.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectedValues {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) application_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) attempt_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) purpose: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) min_key_version: Option<u64>,
}

impl WireKey {
    pub(crate) fn of(key: &PublicKey) -> Self {
        Self { algorithm: key.algorithm, bytes: hex(&key.key) }
    }

    pub(crate) fn to_wire(&self) -> PublicKey {
        PublicKey { algorithm: self.algorithm, key: unhex(&self.bytes) }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    HEXLOWER.decode(text.as_bytes()).expect("hexadecimal digits in lower case")
}
