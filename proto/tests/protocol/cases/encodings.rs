//! Payloads that decode to a good challenge, or nearly, but are not its one canonical encoding.

use countersign_proto::{envelope::EnvelopeFault, statement::ChallengeStatement, statement_form::Statement};
use prost::Message as _;

use super::{Fault, StatementCase};
use crate::fixture::{Login, key, sign_bytes};

const NAME: &str = ChallengeStatement::NAME;

/// `attempt_sha256`, the last field: tag, length and 32 bytes.
const LAST_FIELD: usize = 34;

/// `created_at`: 1795000000 seconds.
const CREATED_AT_FIELD: &[u8] = &[0x32, 6, 0x08, 0xc0, 0x8d, 0xf6, 0xd7, 6];
/// The same, with nanos 0.
const CREATED_AT_WITH_NANOS: &[u8] = &[0x32, 8, 0x08, 0xc0, 0x8d, 0xf6, 0xd7, 6, 0x10, 0];

fn good() -> Vec<u8> {
    Login::approved().challenge.encode_to_vec()
}

/// The good payload with `bytes` in the place of `replaced` bytes at `position`.
fn spliced(position: usize, replaced: usize, bytes: &[u8]) -> Vec<u8> {
    let mut payload = good();
    payload.splice(position..position + replaced, bytes.iter().copied());
    payload
}

/// The good payload with its one occurrence of `from` exchanged for `to`.
fn replaced(from: &[u8], to: &[u8]) -> Vec<u8> {
    let payload = good();
    let mut found = (0..payload.len()).filter(|&at| payload[at..].starts_with(from));
    let position = found.next().expect("bytes of the payload");
    assert_eq!(found.next(), None, "more than one occurrence");
    spliced(position, from.len(), to)
}

/// The good payload with `bytes` before its last field.
fn before_last(bytes: &[u8]) -> Vec<u8> {
    spliced(good().len() - LAST_FIELD, 0, bytes)
}

/// The good payload with `bytes` behind its last field.
fn behind(bytes: &[u8]) -> Vec<u8> {
    spliced(good().len(), 0, bytes)
}

/// Everything that decodes, or is passed over, and is not how the statement is written.
fn not_canonical() -> Vec<(&'static str, Vec<u8>)> {
    let payload = good();
    let first_field = &payload[..45];
    let last_field = &payload[payload.len() - LAST_FIELD..];
    let reordered = [&payload[45..], first_field].concat();
    vec![
        ("an unknown field", behind(&[0x60, 1])),
        ("an unknown field of a high number", behind(&[0xa0, 0x06, 1])),
        ("an unknown group", behind(&[0xf3, 0x06, 0xf4, 0x06])),
        ("an unknown field in a detail", replaced(b"\x42\x1c\x08\x02", b"\x42\x1e\x20\x01\x08\x02")),
        ("a field twice", behind(last_field)),
        ("the first field twice", spliced(0, 0, first_field)),
        ("created_at twice", replaced(CREATED_AT_FIELD, &[CREATED_AT_FIELD, CREATED_AT_FIELD].concat())),
        ("fields in another order", reordered),
        ("a default written out", before_last(&[0x50, 0])),
        ("nanos 0 written out in a timestamp", replaced(CREATED_AT_FIELD, CREATED_AT_WITH_NANOS)),
        ("a length with a longer varint than needed", spliced(1, 1, &[0xab, 0])),
        ("a tag with a longer varint than needed", spliced(0, 1, &[0x8a, 0])),
        ("a number with a longer varint than needed", replaced(&[0x48, 3], &[0x48, 0x83, 0])),
        (
            "an enum value above 32 bits whose low bits are LOGIN",
            replaced(&[0x28, 1, 0x32], &[0x28, 0x81, 0x80, 0x80, 0x80, 0x10, 0x32]),
        ),
        (
            "a uint32 above 32 bits whose low bits are 3",
            replaced(&[0x48, 3], &[0x48, 0x83, 0x80, 0x80, 0x80, 0x10]),
        ),
        ("a bool that is 2", before_last(&[0x50, 2])),
    ]
}

/// What cannot be read as the message at all.
fn undecodable() -> Vec<(&'static str, Vec<u8>)> {
    let payload = good();
    vec![
        ("a trailing byte", behind(&[0])),
        ("cut off by one byte", payload[..payload.len() - 1].to_vec()),
        (
            "a tag above 32 bits whose low bits are that of server_id",
            spliced(0, 1, &[0x8a, 0x80, 0x80, 0x80, 0x10]),
        ),
        (
            "a varint of eleven bytes",
            behind(&[0x60, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
        ),
        ("text that is not UTF-8", replaced(b"u-4711", b"u-47\xff1")),
        ("a number where text is due", spliced(0, 45, &[0x08, 1])),
        ("field number 0", spliced(0, 0, &[0x00, 1])),
        ("a group that does not end", behind(&[0xf3, 0x06])),
        ("no protobuf", b"not a statement".to_vec()),
    ]
}

/// Each rightly signed.
pub(crate) fn cases() -> Vec<StatementCase> {
    let case = |what: &str, payload: Vec<u8>, fault| StatementCase {
        name: format!("encoding: {what}"),
        kind: NAME,
        signer: "server-1",
        second_signer: None,
        envelope: sign_bytes(ChallengeStatement::PAYLOAD_TYPE, &payload, &key("server-1")),
        fault: Some(Fault::Is(fault)),
    };
    let not_canonical = not_canonical().into_iter();
    let undecodable = undecodable().into_iter();
    not_canonical
        .map(|(what, payload)| case(what, payload, EnvelopeFault::NotCanonical(NAME)))
        .chain(undecodable.map(|(what, payload)| case(what, payload, EnvelopeFault::Undecodable(NAME))))
        .collect()
}
