//! DSSE envelopes (Dead Simple Signing Envelope, protocol v1.0.2): a payload, its type and one signature; two where one
//! key hands over to another.
//!
//! The signature is over the pre-authentication encoding of type and payload, so that bytes are checked
//! exactly as they were received and read only afterwards.

use ed25519_dalek::Signer as _;
use sha2::{Digest as _, Sha256};

use crate::{
    key::{KeyFault, SigningKey, VerificationKey},
    statement::{Envelope, Signature},
    statement_form::{FieldFault, Statement},
};

/// Why an envelope does not hold. In the order in which it is checked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeFault {
    /// None, or not as many as are due.
    #[error("the envelope has {0} signatures; exactly one is allowed, and exactly two for a change of key")]
    SignatureCount(usize),
    /// The key that takes over cannot be taken.
    #[error("the new key is not acceptable: {0}")]
    NewKey(KeyFault),
    /// The `keyid` names another key than the one the signature is checked with.
    #[error("the signature's keyid names another key")]
    KeyId,
    /// Wrong key, changed payload or changed type.
    #[error("the signature does not verify")]
    Signature,
    /// A statement of another kind.
    #[error("the payload type is {found:?}; allowed here is {allowed:?}")]
    PayloadType {
        /// As received.
        found: String,
        /// What was expected.
        allowed: &'static str,
    },
    /// Not the protobuf message that the type names.
    #[error("the payload cannot be decoded as {0}")]
    Undecodable(&'static str),
    /// Unknown, repeated or reordered fields, written-out defaults, trailing bytes.
    #[error("the payload is not the canonical encoding of {0}")]
    NotCanonical(&'static str),
    /// Well encoded, with a value that is missing or not allowed.
    #[error(transparent)]
    Field(#[from] FieldFault),
}

/// DSSE's pre-authentication encoding: what is signed.
pub fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut encoding =
        format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    encoding.extend_from_slice(payload);
    encoding
}

/// Signs a statement.
pub fn sign<S: Statement>(statement: &S, key: &SigningKey) -> Envelope {
    let payload = statement.encode_to_vec();
    let sig = key.sign(&pre_authentication_encoding(S::PAYLOAD_TYPE, &payload)).to_bytes().to_vec();
    let keyid = VerificationKey::of(key).thumbprint();
    Envelope { payload, payload_type: S::PAYLOAD_TYPE.to_owned(), signatures: vec![Signature { sig, keyid }] }
}

/// Signs a statement that brings a new key: with the old one, then with the new one.
pub fn sign_with_both<S: Statement>(statement: &S, old: &SigningKey, new: &SigningKey) -> Envelope {
    let mut envelope = sign(statement, old);
    envelope.signatures.extend(sign(statement, new).signatures);
    envelope
}

/// Checks the one signature over the bytes as received. Says nothing about what they mean.
pub fn verify(envelope: &Envelope, key: VerificationKey) -> Result<(), EnvelopeFault> {
    let [signature] = envelope.signatures.as_slice() else {
        return Err(EnvelopeFault::SignatureCount(envelope.signatures.len()));
    };
    verify_one(envelope, signature, key)
}

fn verify_one(envelope: &Envelope, signature: &Signature, key: VerificationKey) -> Result<(), EnvelopeFault> {
    if !signature.keyid.is_empty() && signature.keyid != key.thumbprint() {
        return Err(EnvelopeFault::KeyId);
    }
    let signed = pre_authentication_encoding(&envelope.payload_type, &envelope.payload);
    if key.verifies(&signed, &signature.sig) { Ok(()) } else { Err(EnvelopeFault::Signature) }
}

/// How a verifier checks signatures.
pub trait CheckSignature {
    /// [`verify`], or the same answer from memory: that this very envelope was found good under this very key.
    fn check(&self, envelope: &Envelope, key: VerificationKey) -> Result<(), EnvelopeFault> {
        verify(envelope, key)
    }
}

/// Checks each signature whenever it is asked.
#[derive(Clone, Copy, Debug)]
pub struct Afresh;

impl CheckSignature for Afresh {}

/// Reads a payload whose signature has been checked: type, closed and canonical form, values.
pub fn read<S: Statement>(envelope: &Envelope) -> Result<S, EnvelopeFault> {
    if envelope.payload_type != S::PAYLOAD_TYPE {
        let found = envelope.payload_type.chars().take(128).collect();
        return Err(EnvelopeFault::PayloadType { found, allowed: S::PAYLOAD_TYPE });
    }
    let statement =
        S::decode(envelope.payload.as_slice()).map_err(|_| EnvelopeFault::Undecodable(S::NAME))?;
    // Decoding dropped what is unknown and cut numbers to size: what was not canonical now differs.
    if statement.encode_to_vec() != envelope.payload {
        return Err(EnvelopeFault::NotCanonical(S::NAME));
    }
    statement.check()?;
    Ok(statement)
}

/// [`verify`], then [`read`]. A statement that brings a new key has two signatures: that of `key`, then that of the
/// new one, so that nobody hands over to a key that is not his.
pub fn open<S: Statement>(envelope: &Envelope, key: VerificationKey) -> Result<S, EnvelopeFault> {
    let is_kind = envelope.payload_type == S::PAYLOAD_TYPE;
    match S::new_key(&envelope.payload).filter(|_| is_kind) {
        None => verify(envelope, key)?,
        Some(new_key) => {
            let [by_old, by_new] = envelope.signatures.as_slice() else {
                return Err(EnvelopeFault::SignatureCount(envelope.signatures.len()));
            };
            let new_key = VerificationKey::from_wire(Some(&new_key)).map_err(EnvelopeFault::NewKey)?;
            verify_one(envelope, by_old, key)?;
            verify_one(envelope, by_new, new_key)?;
        }
    }
    read(envelope)
}

/// SHA-256 of the payload's bytes as received: how one statement names another.
pub fn payload_digest(envelope: &Envelope) -> [u8; 32] {
    Sha256::digest(&envelope.payload).into()
}
