//! What is signed while a device comes into use, and by it afterwards.

use countersign_proto::{
    envelope::EnvelopeFault,
    key::KeyFault,
    statement::{
        DeviceChangeStatement, DeviceProfile, PublicKey, PushTarget,
        device_change_statement::{Change, Unenroll},
        push_target::{Apns, Fcm, Target},
    },
};

use super::{super::Fault, StatementCase, Table};
use crate::fixture::{Login, at, call, device_change, enrollment, offer, public, server_key};

pub(super) fn cases() -> Vec<StatementCase> {
    [
        server_keys(),
        offers(),
        enrollments(),
        bindings(),
        calls(),
        changes(),
        new_keys(),
        profiles(),
        push_targets(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The identity: signatures that anybody can make verify under it.
fn weak() -> PublicKey {
    let mut key = vec![0; 32];
    key[0] = 1;
    PublicKey { algorithm: 1, key }
}

fn out_of_range() -> pbjson_types::Timestamp {
    pbjson_types::Timestamp { seconds: 0, nanos: 1_000_000_000 }
}

fn server_keys() -> Vec<StatementCase> {
    const DAY: i64 = 86_400;
    Table::new("the first server key", server_key(), "root")
        .takes("a life of 366 days", |s| s.not_after = at(336 * DAY))
        .refuses("server_id", "empty", |s| s.server_id.clear())
        .refuses("version", "zero", |s| s.version = 0)
        .refuses("public_key", "missing", |s| s.public_key = None)
        .refuses("public_key", "weak", |s| s.public_key = Some(weak()))
        .refuses("not_before", "missing", |s| s.not_before = None)
        .refuses("not_after", "missing", |s| s.not_after = None)
        .refuses("not_after", "equal to not_before", |s| s.not_after = s.not_before)
        .refuses("not_after", "before not_before", |s| s.not_after = at(-31 * DAY))
        .refuses("not_after", "366 days and a second later", |s| s.not_after = at(336 * DAY + 1))
        .cases
}

fn offers() -> Vec<StatementCase> {
    Table::new("an offer", offer(), "server-1")
        .takes("no account name", |s| s.account_name.clear())
        .takes("names of 128 characters, a user id of 256 bytes", |s| {
            s.application_name = "ä".repeat(128);
            s.account_name = "ö".repeat(128);
            s.user_id = "u".repeat(256);
        })
        .refuses("server_id", "empty", |s| s.server_id.clear())
        .refuses("application_id", "empty", |s| s.application_id.clear())
        .refuses("application_name", "empty", |s| s.application_name.clear())
        .refuses("application_name", "129 characters", |s| s.application_name = "a".repeat(129))
        .refuses("application_name", "a line break", |s| s.application_name = "Example\nBank".into())
        .refuses("user_id", "empty", |s| s.user_id.clear())
        .refuses("user_id", "257 bytes", |s| s.user_id = "u".repeat(257))
        .refuses("user_id", "129 characters of two bytes", |s| s.user_id = "ä".repeat(129))
        .refuses("account_name", "129 characters", |s| s.account_name = "a".repeat(129))
        .refuses("account_name", "a right-to-left override", |s| s.account_name = "a\u{202e}b".into())
        .refuses("token_sha256", "empty", |s| s.token_sha256.clear())
        .refuses("token_sha256", "31 bytes", |s| s.token_sha256.truncate(31))
        .refuses("expires_at", "missing", |s| s.expires_at = None)
        .cases
}

fn enrollments() -> Vec<StatementCase> {
    Table::new("an enrolment", enrollment(), "device")
        .takes("a device name of 64 characters", |s| s.device_name = "ä".repeat(64))
        .refuses("server_id", "empty", |s| s.server_id.clear())
        .refuses("offer_sha256", "33 bytes", |s| s.offer_sha256.push(0))
        .refuses("public_key", "missing", |s| s.public_key = None)
        .refuses("public_key", "of no algorithm", |s| s.public_key.get_or_insert_default().algorithm = 0)
        .refuses("public_key", "of an unknown algorithm", |s| {
            s.public_key.get_or_insert_default().algorithm = 2;
        })
        .refuses("public_key", "31 bytes", |s| s.public_key.get_or_insert_default().key.truncate(31))
        .refuses("public_key", "weak", |s| s.public_key = Some(weak()))
        .refuses("device_name", "empty", |s| s.device_name.clear())
        .refuses("device_name", "65 characters", |s| s.device_name = "a".repeat(65))
        .refuses("device_name", "a control character", |s| s.device_name = "Anna\u{7}".into())
        .refuses("platform", "unset", |s| s.platform = 0)
        .refuses("platform", "unknown", |s| s.platform = 5)
        .refuses("platform", "negative", |s| s.platform = -1)
        .cases
}

fn bindings() -> Vec<StatementCase> {
    Table::new("a binding", Login::approved().binding, "server-1")
        .refuses("server_id", "empty", |s| s.server_id.clear())
        .refuses("application_id", "empty", |s| s.application_id.clear())
        .refuses("user_id", "empty", |s| s.user_id.clear())
        .refuses("device_id", "empty", |s| s.device_id.clear())
        .refuses("public_key", "missing", |s| s.public_key = None)
        .refuses("public_key", "weak", |s| s.public_key = Some(weak()))
        .refuses("source_sha256", "empty", |s| s.source_sha256.clear())
        .refuses("platform", "unset", |s| s.platform = 0)
        .refuses("bound_at", "missing", |s| s.bound_at = None)
        .refuses("bound_at", "a billion nanoseconds", |s| s.bound_at = Some(out_of_range()))
        .cases
}

fn calls() -> Vec<StatementCase> {
    Table::new("a call", call(), "device")
        .refuses("server_id", "empty", |s| s.server_id.clear())
        .refuses("device_id", "empty", |s| s.device_id.clear())
        .refuses("method", "empty", |s| s.method.clear())
        .refuses("issued_at", "missing", |s| s.issued_at = None)
        .refuses("issued_at", "a billion nanoseconds", |s| s.issued_at = Some(out_of_range()))
        .cases
}

fn changes() -> Vec<StatementCase> {
    Table::new("a change of all that a device tells", device_change(), "device")
        .takes("the highest sequence", |s| s.sequence = u64::MAX)
        .takes("an empty profile", |s| s.change = Some(Change::Profile(DeviceProfile::default())))
        .refuses("server_id", "empty", |s| s.server_id.clear())
        .refuses("device_id", "empty", |s| s.device_id.clear())
        .refuses("sequence", "zero", |s| s.sequence = 0)
        .refuses("change", "missing", |s| s.change = None)
        .cases
}

fn new_keys() -> Vec<StatementCase> {
    let new_key = |key| DeviceChangeStatement { change: Some(Change::NewKey(key)), ..device_change() };
    let goodbye = DeviceChangeStatement { change: Some(Change::Unenroll(Unenroll {})), ..device_change() };
    let mut cases =
        Table::of_two("a new key", new_key(public("second-device").to_wire()), "device", "second-device")
            .refuses_envelope(
                "a new key that the old one alone signed",
                EnvelopeFault::SignatureCount(1),
                |e| {
                    e.signatures.truncate(1);
                },
            )
            .refuses_envelope("a new key, which signed first", EnvelopeFault::KeyId, |e| {
                e.signatures.reverse();
            })
            .refuses_envelope("a new key that did not sign", EnvelopeFault::Signature, |e| {
                e.signatures[1].sig[0] ^= 1;
            })
            .with(
                "DeviceChangeStatement: a weak new key".to_owned(),
                Some(Fault::Is(EnvelopeFault::NewKey(KeyFault::Weak))),
                |s| s.change = Some(Change::NewKey(weak())),
            )
            .refuses("sequence", "zero with a new key", |s| s.sequence = 0)
            .cases;
    cases.extend(Table::new("goodbye", goodbye, "device").cases);
    cases
}

/// Changes the profile.
fn profile(change: impl Fn(&mut DeviceProfile)) -> impl Fn(&mut DeviceChangeStatement) {
    move |statement| match &mut statement.change {
        Some(Change::Profile(profile)) => change(profile),
        _ => panic!("the fixture has a profile"),
    }
}

fn profiles() -> Vec<StatementCase> {
    let name = "profile.device_name";
    let version = "profile.app_version";
    let mut table = Table::new("the profile as it was", device_change(), "device")
        .takes(
            "a version and a locale that are set to nothing",
            profile(|p| {
                p.app_version = Some(String::new());
                p.locale = Some(String::new());
            }),
        )
        .takes("a version of 32 characters", profile(|p| p.app_version = Some("1".repeat(32))))
        .refuses(name, "set to nothing", profile(|p| p.device_name = Some(String::new())))
        .refuses(name, "65 characters", profile(|p| p.device_name = Some("a".repeat(65))))
        .refuses(name, "a line separator", profile(|p| p.device_name = Some("a\u{2028}b".into())))
        .refuses(version, "33 characters", profile(|p| p.app_version = Some("1".repeat(33))))
        .refuses(version, "a tab", profile(|p| p.app_version = Some("1\t2".into())));
    for good in ["pt-BR", "zh-Hans-CN", "es-419", "de-1996"] {
        table = table.takes(&format!("locale {good}"), profile(|p| p.locale = Some(good.into())));
    }
    for bad in ["d", "de_DE", "de-", "-de", "1de", "de--CH", "abcdefghi", "de-abcdefghi", "dé"] {
        table = table.refuses("profile.locale", bad, profile(|p| p.locale = Some(bad.into())));
    }
    let long = |last: &str| ["de", &"-abcdefg".repeat(4), last].concat();
    let (longest, too_long) = (long("a"), long("-a"));
    table
        .takes("a locale of 35 characters", profile(|p| p.locale = Some(longest.clone())))
        .refuses("profile.locale", "36 characters", profile(|p| p.locale = Some(too_long.clone())))
        .cases
}

/// Changes the push target.
fn apns(change: impl Fn(&mut Apns)) -> impl Fn(&mut DeviceChangeStatement) {
    profile(move |profile| match &mut profile.push_target {
        Some(PushTarget { target: Some(Target::Apns(apns)) }) => change(apns),
        _ => panic!("the fixture has a push target"),
    })
}

/// Puts one of FCM in the push target's place.
fn fcm(registration_token: &str) -> impl Fn(&mut DeviceChangeStatement) {
    let fcm = Fcm { registration_token: registration_token.to_owned() };
    let target = PushTarget { target: Some(Target::Fcm(fcm)) };
    profile(move |profile| profile.push_target = Some(target.clone()))
}

fn push_targets() -> Vec<StatementCase> {
    let token = "profile.push_target.apns.device_token";
    let topic = "profile.push_target.apns.topic";
    let fcm_token = "profile.push_target.fcm.registration_token";
    Table::new("the push target as it was", device_change(), "device")
        .takes("a push target that is taken away", profile(|p| p.push_target = Some(PushTarget::default())))
        .takes(
            "the shortest token, production",
            apns(|a| {
                a.device_token = "0123ABcd".into();
                a.sandbox = false;
            }),
        )
        .takes(
            "the longest token and topic",
            apns(|a| {
                a.device_token = "f".repeat(256);
                a.topic = "t".repeat(128);
            }),
        )
        .refuses(token, "7 digits", apns(|a| a.device_token = "0123456".into()))
        .refuses(token, "257 digits", apns(|a| a.device_token = "0".repeat(257)))
        .refuses(token, "not hexadecimal", apns(|a| a.device_token = "0123456g".into()))
        .refuses(token, "a path", apns(|a| a.device_token = "../../../3".into()))
        .refuses(topic, "empty", apns(|a| a.topic.clear()))
        .refuses(topic, "129 characters", apns(|a| a.topic = "t".repeat(129)))
        .refuses(topic, "a line break", apns(|a| a.topic = "org.example\r\n".into()))
        .takes(
            "a registration token of FCM",
            fcm(&format!("c{}:APA91b{}", "aZ0_-".repeat(4), "x".repeat(128))),
        )
        .takes("an installation id of Firebase", fcm("cAzZ09_-aaaaaaaaaaaaaa"))
        .takes("the longest registration token", fcm(&"t".repeat(4096)))
        .refuses(fcm_token, "21 characters", fcm(&"t".repeat(21)))
        .refuses(fcm_token, "4097 characters", fcm(&"t".repeat(4097)))
        .refuses(fcm_token, "empty", fcm(""))
        .refuses(fcm_token, "a quotation mark", fcm("cAzZ09_-aaaaaaaaaaaaa\""))
        .cases
}
