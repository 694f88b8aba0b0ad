//! Public keys, and signatures under them, that a careless verifier takes.

use countersign_proto::{
    key::{KeyFault, SigningKey},
    statement::PublicKey,
};
use curve25519_dalek::{
    Scalar,
    constants::{ED25519_BASEPOINT_COMPRESSED, EIGHT_TORSION},
};
use ed25519_dalek::Signer as _;
use sha2::{Digest as _, Sha512};

use crate::fixture::{key, public};

/// The order of the base point, little-endian (RFC 8032, section 5.1).
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// What the signatures are over.
pub(crate) const MESSAGE: &[u8] = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world";

/// A key that is not taken, and why.
pub(crate) struct KeyCase {
    pub(crate) name: String,
    pub(crate) key: Option<PublicKey>,
    pub(crate) fault: KeyFault,
}

/// A signature over [`MESSAGE`] that is not taken.
pub(crate) struct SignatureCase {
    pub(crate) name: &'static str,
    /// The public key, as 32 bytes that need not be a good one.
    pub(crate) public_key: [u8; 32],
    pub(crate) signature: Vec<u8>,
    /// The key is at fault; otherwise the signature is.
    pub(crate) key_fault: Option<KeyFault>,
}

/// The eight encodings of the points whose order divides 8.
fn small_order() -> [[u8; 32]; 8] {
    EIGHT_TORSION.map(|point| point.compress().to_bytes())
}

/// Other bytes that careless readers take for one of those points: y written as y + p, and a sign where x is 0.
fn small_order_not_canonical() -> [[u8; 32]; 6] {
    let with_ends = |first: u8, middle: u8, last: u8| {
        let mut bytes = [middle; 32];
        bytes[0] = first;
        bytes[31] = last;
        bytes
    };
    [
        with_ends(0x01, 0x00, 0x80),
        with_ends(0xec, 0xff, 0xff),
        with_ends(0xed, 0xff, 0x7f),
        with_ends(0xed, 0xff, 0xff),
        with_ends(0xee, 0xff, 0x7f),
        with_ends(0xee, 0xff, 0xff),
    ]
}

/// Keys that no verifier may take.
pub(crate) fn keys() -> Vec<KeyCase> {
    let case = |name: String, key: Option<PublicKey>, fault| KeyCase { name, key, fault };
    let ed25519 = |bytes: &[u8]| Some(PublicKey { algorithm: 1, key: bytes.to_vec() });
    let good = public("device").to_bytes();
    let mut off_curve = [0; 32];
    off_curve[0] = 2;
    // y = 3 is on the curve, and may be written in one way only.
    let mut y_above_p = [0xff; 32];
    y_above_p[0] = 0xf0;
    y_above_p[31] = 0x7f;
    let mut cases = vec![
        case("no key".into(), None, KeyFault::Missing),
        case(
            "no algorithm".into(),
            Some(PublicKey { algorithm: 0, key: good.to_vec() }),
            KeyFault::Algorithm,
        ),
        case(
            "an unknown algorithm".into(),
            Some(PublicKey { algorithm: 2, key: good.to_vec() }),
            KeyFault::Algorithm,
        ),
        case("no bytes".into(), ed25519(&[]), KeyFault::Malformed),
        case("31 bytes".into(), ed25519(&good[..31]), KeyFault::Malformed),
        case("33 bytes".into(), ed25519(&[&good[..], &[0]].concat()), KeyFault::Malformed),
        case("not a point of the curve".into(), ed25519(&off_curve), KeyFault::Malformed),
        case("y = 3 written as p + 3".into(), ed25519(&y_above_p), KeyFault::Malformed),
    ];
    for (number, bytes) in small_order().into_iter().enumerate() {
        cases.push(case(format!("small order, encoding {number}"), ed25519(&bytes), KeyFault::Weak));
    }
    for (number, bytes) in small_order_not_canonical().into_iter().enumerate() {
        let name = format!("small order, not canonical, encoding {number}");
        cases.push(case(name, ed25519(&bytes), KeyFault::Malformed));
    }
    cases
}

/// `signature` with S + L in the place of S: the same equation holds.
pub(crate) fn malleated(signature: &[u8]) -> Vec<u8> {
    let mut malleated = signature.to_vec();
    let mut carry = 0;
    for (byte, order) in malleated[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        [*byte, _] = sum.to_le_bytes();
        carry = sum >> 8;
    }
    malleated
}

/// A signature by `key` whose R is the identity: S is k times the secret, the equation holds.
pub(crate) fn with_small_order_r(key: &SigningKey, message: &[u8]) -> Vec<u8> {
    let r = small_order()[0];
    let public = key.verifying_key();
    let hash = Sha512::new().chain_update(r).chain_update(public.as_bytes()).chain_update(message).finalize();
    let challenge = Scalar::from_bytes_mod_order_wide(&hash.into());
    [r, (challenge * key.to_scalar()).to_bytes()].concat()
}

/// Signatures over [`MESSAGE`] that no verifier may take.
pub(crate) fn signatures() -> Vec<SignatureCase> {
    let device = key("device");
    let public_key = public("device").to_bytes();
    let good = device.sign(MESSAGE).to_bytes();
    let of = |name, signature: Vec<u8>| SignatureCase { name, public_key, signature, key_fault: None };
    let mut changed = good;
    changed[0] ^= 1;
    let mut one = [0; 32];
    one[0] = 1;
    // S = 1 and R = B: holds for every message under a key that is the identity.
    let forged = [ED25519_BASEPOINT_COMPRESSED.to_bytes(), one].concat();
    vec![
        of("empty", Vec::new()),
        of("63 bytes", good[..63].to_vec()),
        of("65 bytes", [&good[..], &[0]].concat()),
        of("one bit of R changed", changed.to_vec()),
        of("malleable: S + L in the place of S", malleated(&good)),
        of("R of small order: the identity", with_small_order_r(&device, MESSAGE)),
        of("by another key", key("second-device").sign(MESSAGE).to_bytes().to_vec()),
        SignatureCase {
            name: "a weak key, under which this signature fits every message",
            public_key: small_order()[0],
            signature: forged,
            key_fault: Some(KeyFault::Weak),
        },
    ]
}
