//! From the root key to a server key.

use countersign_proto::{
    envelope::{self, EnvelopeFault},
    time::UnixTime,
    trust::{ServerKey, ServerKeyFault},
};

use crate::fixture::{at, call, key, public, server_key};

fn time(wire: Option<&pbjson_types::Timestamp>) -> UnixTime {
    UnixTime::from_wire(wire).expect("a good time")
}

#[test]
fn the_root_vouches_for_a_server_key() {
    let statement = server_key();
    let opened = ServerKey::open(&envelope::sign(&statement, &key("root")), public("root"));
    let not_before = time(statement.not_before.as_ref());
    let not_after = time(statement.not_after.as_ref());
    assert_eq!(opened, Ok(ServerKey { version: 1, key: public("server-1"), not_before, not_after }));
}

#[test]
fn its_life_begins_with_the_first_moment_and_ends_before_the_last() {
    let key = ServerKey::open(&envelope::sign(&server_key(), &key("root")), public("root")).expect("good");
    let millis = |time: UnixTime, more| UnixTime::from_millis(time.as_millis() + more);
    assert!(!key.is_valid_at(millis(key.not_before, -1)));
    assert!(key.is_valid_at(key.not_before));
    assert!(key.is_valid_at(millis(key.not_after, -1)));
    assert!(!key.is_valid_at(key.not_after));
}

#[test]
fn nobody_else_vouches_and_nothing_else_is_vouched_for() {
    let refused = |envelope| ServerKey::open(&envelope, public("root")).expect_err("not to be trusted");
    let by_itself = refused(envelope::sign(&server_key(), &key("server-1")));
    assert_eq!(by_itself, ServerKeyFault::Envelope(EnvelopeFault::KeyId));

    let mut misnamed = server_key();
    misnamed.server_id = public("other-root").thumbprint();
    assert_eq!(refused(envelope::sign(&misnamed, &key("root"))), ServerKeyFault::OtherServer);

    let another_kind = refused(envelope::sign(&call(), &key("root")));
    assert!(matches!(another_kind, ServerKeyFault::Envelope(EnvelopeFault::PayloadType { .. })));

    let mut too_long = server_key();
    too_long.not_after = at(337 * 86_400);
    let too_long = refused(envelope::sign(&too_long, &key("root")));
    assert!(
        matches!(too_long, ServerKeyFault::Envelope(EnvelopeFault::Field(fault)) if fault.field == "not_after")
    );
}
