//! Records come back as they were written, and nothing else is taken for one.

use countersign_domain::{
    UnixTime,
    challenge::{AskedDevice, ChallengeRecord, DeviceTag},
    id::{ApplicationId, ChallengeId, DeviceId},
    record::{InvalidRecord, decode, encode},
    state::{Denial, Settled, State},
    user::{OpenChallenge, Tombstone, UserRecord},
};
use proptest::{collection::vec, prelude::*};

fn times() -> impl Strategy<Value = UnixTime> {
    any::<i64>().prop_map(UnixTime::from_millis)
}

fn settled() -> impl Strategy<Value = Settled> {
    (any::<[u64; 2]>(), times(), vec(any::<u8>(), 0..400), vec(any::<u8>(), 0..400)).prop_map(
        |([head, random], settled_at, decision, settlement)| Settled {
            device_id: DeviceId::new(head, random),
            settled_at,
            decision,
            settlement,
        },
    )
}

fn states() -> impl Strategy<Value = State> {
    let reasons = prop::sample::select(vec![Denial::NotMe, Denial::Mistake, Denial::WrongMatchCode]);
    let ends = vec![State::Pending, State::Cancelled, State::Superseded, State::Expired];
    prop_oneof![
        prop::sample::select(ends),
        (settled(), prop::option::of(times())).prop_map(|(settled, redeemed_at)| State::Approved {
            settled,
            redeemed_at,
            is_over: redeemed_at.is_none()
        }),
        (reasons, settled()).prop_map(|(reason, settled)| State::Denied { reason, settled }),
    ]
}

fn devices() -> impl Strategy<Value = AskedDevice> {
    (any::<u64>(), ".{0,64}", any::<[u8; 32]>(), times()).prop_map(|(random, name, tag, bound_at)| {
        AskedDevice {
            id: DeviceId::new(7, random),
            name,
            tag: DeviceTag(tag),
            bound_at,
            has_push_target: true,
        }
    })
}

fn challenges() -> impl Strategy<Value = ChallengeRecord> {
    let fields = (any::<u64>(), any::<[u8; 32]>(), times(), times());
    (fields, vec(any::<u8>(), 0..700), vec(devices(), 0..10), states()).prop_map(
        |((random, request_sha256, created_at, expires_at), challenge, asked, state)| ChallengeRecord {
            id: ChallengeId::new(7, random),
            application_id: ApplicationId::new(random, 7),
            request_sha256,
            created_at,
            expires_at,
            challenge,
            asked,
            state,
        },
    )
}

fn users() -> impl Strategy<Value = UserRecord> {
    let open = (any::<u64>(), times(), any::<bool>()).prop_map(|(random, expires_at, is_over)| {
        OpenChallenge { id: ChallengeId::new(7, random), expires_at, is_over }
    });
    let tombstones =
        (any::<[u8; 32]>(), times()).prop_map(|(tag, until)| Tombstone { tag: DeviceTag(tag), until });
    (vec(open, 0..10), vec(tombstones, 0..10)).prop_map(|(open, tombstones)| UserRecord { open, tombstones })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_record_comes_back(challenge in challenges(), user in users()) {
        prop_assert_eq!(decode(&encode(&challenge)), Ok(challenge));
        prop_assert_eq!(decode(&encode(&user)), Ok(user));
    }

    #[test]
    fn another_format_is_refused_by_its_number(user in users(), format: u8) {
        prop_assume!(format != 1);
        let mut bytes = encode(&user);
        prop_assert_eq!(bytes[0], 1);
        bytes[0] = format;
        prop_assert_eq!(decode::<UserRecord>(&bytes), Err(InvalidRecord::Format(format)));
    }

    #[test]
    fn cut_or_lengthened_bytes_are_damaged(challenge in challenges(), at: prop::sample::Index, more: u8) {
        let mut bytes = encode(&challenge);
        let cut = at.index(bytes.len());
        prop_assert_eq!(decode::<ChallengeRecord>(&bytes[..cut]), Err(InvalidRecord::Damaged));
        bytes.push(more);
        prop_assert_eq!(decode::<ChallengeRecord>(&bytes), Err(InvalidRecord::Damaged));
    }

    #[test]
    fn any_bytes_are_refused_or_read_without_a_panic(bytes in vec(any::<u8>(), 0..300)) {
        let _ = decode::<ChallengeRecord>(&bytes);
        let mut bytes = bytes;
        bytes.insert(0, 1);
        let _ = decode::<UserRecord>(&bytes);
        let _ = decode::<ChallengeRecord>(&bytes);
    }
}
