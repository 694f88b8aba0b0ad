//! Records come back as they were written, and nothing else is taken for one.

use countersign_domain::{
    UnixTime,
    challenge::{AskedDevice, ChallengeRecord, FactorTag, Wakeup},
    code::{CodeFactor, CodeKind, Codes},
    id::{ApplicationId, ChallengeId, DeviceId, FactorId, OtpId, RecoveryId},
    record::{InvalidRecord, decode, encode},
    standing::Standing,
    state::{Denial, Settled, SettledBy, State},
    user::{OpenChallenge, Successor, Tombstone, UserRecord},
};
use proptest::{collection::vec, prelude::*};

fn times() -> impl Strategy<Value = UnixTime> {
    any::<i64>().prop_map(UnixTime::from_millis)
}

fn settled() -> impl Strategy<Value = Settled> {
    let device = (any::<[u64; 2]>(), vec(any::<u8>(), 0..400)).prop_map(|([head, random], decision)| {
        SettledBy::Device { id: DeviceId::new(head, random), decision }
    });
    let code = (factors(), any::<[u8; 32]>())
        .prop_map(|(id, tag)| SettledBy::Code(CodeFactor { id, tag: FactorTag(tag) }));
    let by = prop_oneof![device, code, Just(SettledBy::Server)];
    (by, times(), vec(any::<u8>(), 0..400)).prop_map(|(by, settled_at, settlement)| Settled {
        by,
        settled_at,
        settlement,
    })
}

fn factors() -> impl Strategy<Value = FactorId> {
    let ids = |[head, random]: [u64; 2]| {
        [
            FactorId::Totp(OtpId::new(head, random)),
            FactorId::Device(DeviceId::new(head, random)),
            FactorId::Recovery(RecoveryId::new(head, random)),
        ]
    };
    (any::<[u64; 2]>(), 0..3_usize).prop_map(move |(random, n)| ids(random)[n])
}

fn wakeups() -> impl Strategy<Value = Wakeup> {
    times().prop_flat_map(|until| {
        prop::sample::select(vec![
            Wakeup::Sending,
            Wakeup::NoDevice,
            Wakeup::HeldBack { until },
            Wakeup::Blocked,
        ])
    })
}

fn standings() -> impl Strategy<Value = Standing> {
    let times_or_none = || prop::option::of(times());
    let since = (times_or_none(), times_or_none(), times_or_none(), times_or_none(), times_or_none());
    (any::<u32>(), vec(times(), 0..5), since).prop_map(
        |(failures, unanswered, (locked_at, push_blocked_at, unlocked_at, held_back_until, noted_at))| {
            Standing {
                failures,
                locked_at,
                push_blocked_at,
                unlocked_at,
                unanswered,
                held_back_until,
                noted_at,
            }
        },
    )
}

fn states() -> impl Strategy<Value = State> {
    let reasons = prop::sample::select(vec![
        Denial::NotMe,
        Denial::Mistake,
        Denial::WrongMatchCode,
        Denial::TooManyCodes,
    ]);
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
            tag: FactorTag(tag),
            bound_at,
            has_push_target: true,
        }
    })
}

fn challenges() -> impl Strategy<Value = ChallengeRecord> {
    let fields = (any::<u64>(), any::<[u8; 32]>(), times(), times());
    let kinds = prop::sample::subsequence(vec![CodeKind::Totp, CodeKind::Recovery], 0..=2);
    let codes = (kinds, any::<u32>()).prop_map(|(kinds, wrong)| Codes { kinds, wrong });
    (fields, vec(any::<u8>(), 0..700), vec(devices(), 0..10), codes, wakeups(), states()).prop_map(
        |((random, request_sha256, created_at, expires_at), challenge, asked, codes, wakeup, state)| {
            ChallengeRecord {
                id: ChallengeId::new(7, random),
                application_id: ApplicationId::new(random, 7),
                request_sha256,
                created_at,
                expires_at,
                challenge,
                asked,
                codes,
                wakeup,
                state,
            }
        },
    )
}

fn users() -> impl Strategy<Value = UserRecord> {
    let open = (any::<u64>(), times(), any::<bool>()).prop_map(|(random, expires_at, is_over)| {
        OpenChallenge { id: ChallengeId::new(7, random), expires_at, is_over }
    });
    let tombstones = (any::<[u8; 32]>(), proptest::option::of((any::<[u8; 32]>(), times())), times())
        .prop_map(|(tag, successor, until)| {
            let successor = successor.map(|(tag, bound_at)| Successor { tag: FactorTag(tag), bound_at });
            Tombstone { tag: FactorTag(tag), successor, until }
        });
    (vec(open, 0..10), vec(tombstones, 0..10), standings())
        .prop_map(|(open, tombstones, standing)| UserRecord { open, tombstones, standing })
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
        prop_assume!(format != 1 && format != 2);
        let mut bytes = encode(&user);
        prop_assert_eq!(bytes[0], 2);
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
        for format in [1, 2] {
            bytes[0] = format;
            let _ = decode::<UserRecord>(&bytes);
            let _ = decode::<ChallengeRecord>(&bytes);
        }
    }
}
