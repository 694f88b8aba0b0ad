//! What a random sequence is made of.

use countersign_domain::state::Verdict;
use proptest::{collection::vec, prelude::*};

use crate::fixture::{APPROVE, VERDICTS};

/// Attempts that ask.
const ATTEMPTS: u8 = 6;
/// Keys that a sequence may speak of; there are fewer at first, so that it also speaks of one that was never bound.
const KEYS: usize = 8;

/// One thing that happens. `challenge` counts back from the newest.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// The clock goes by so many milliseconds, or steps back.
    Clock(i64),
    /// An attempt asks.
    Create {
        /// Which attempt.
        attempt: u8,
        /// What it asks, in short.
        content: u8,
        /// How long it is to live.
        lifetime_seconds: u32,
        /// What its application's policy says.
        max_pending: usize,
        /// How old the time in it is, negative: how far ahead.
        signed_millis_ago: i64,
        /// Whether the directory was read before the latest revocations, changes of keys and unlocking.
        has_old_directory: bool,
        /// What may answer.
        asks: Asks,
    },
    /// A device answers.
    Decide {
        /// Of which challenge.
        challenge: usize,
        /// With which key.
        key: usize,
        /// What it says.
        verdict: Verdict,
        /// How old the signed settlement is, negative: how far ahead.
        signed_millis_ago: i64,
    },
    /// The application withdraws one.
    Cancel(usize),
    /// The application redeems one, by its attempt or by another.
    Redeem {
        /// Of which challenge.
        challenge: usize,
        /// Whether by the attempt that asked.
        is_right_attempt: bool,
    },
    /// The application reads one.
    View(usize),
    /// A device reads one.
    Fetch {
        /// Of which challenge.
        challenge: usize,
        /// With which key.
        key: usize,
    },
    /// A code is typed.
    Code {
        /// For which challenge.
        challenge: usize,
        /// What it is found to be.
        code: Code,
        /// Whether the directory was read before the latest unlocking.
        has_old_directory: bool,
        /// How old the signed settlement is, negative: how far ahead.
        signed_millis_ago: i64,
    },
    /// Lock and block are copied to the directory: as they are, or as they were when the store last lost everything.
    Copy {
        /// Whether it comes late.
        is_late: bool,
    },
    /// Somebody unlocks the user.
    Unlock,
    /// The device with this key is revoked for good.
    Revoke(usize),
    /// The device with this key gets another one.
    ReplaceKey(usize),
    /// One more device is bound.
    Bind,
    /// The store loses everything.
    Lose,
    /// The store forgets what can no longer be read.
    Clean,
}

/// What may answer a challenge.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asks {
    /// Devices and codes.
    All,
    /// Devices.
    Devices,
    /// Codes.
    Codes,
    /// Nothing.
    Nobody,
}

/// What a code is found to be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Code {
    /// It has not been compared yet.
    NotCompared,
    /// Nobody's.
    Wrong,
    /// That of the device with this key.
    Of(usize),
}

/// Sequences of some 60 steps at most, and with how many wrong codes they begin: in every other one, so many that codes
/// are soon locked.
pub(crate) fn sequences() -> impl Strategy<Value = (u32, Vec<Step>)> {
    let steps = vec(prop_oneof![24 => steps().prop_map(|step| vec![step]), 1 => rows()], 1..50);
    (prop_oneof![Just(0), 96..100_u32], steps.prop_map(|rows| rows.concat()))
}

/// What would be too rare at random: a challenge with wrong codes, and what becomes of a lock then; a device that is
/// asked, gets another key, and answers.
fn rows() -> impl Strategy<Value = Vec<Step>> {
    let create = |attempt, asks, has_old_directory| Step::Create {
        attempt,
        content: 0,
        lifetime_seconds: 60,
        max_pending: 1,
        signed_millis_ago: 0,
        has_old_directory,
        asks,
    };
    let code =
        || Step::Code { challenge: 0, code: Code::Wrong, has_old_directory: false, signed_millis_ago: 0 };
    let copy = |is_late| Step::Copy { is_late };
    let between = prop_oneof![
        Just(vec![]),
        Just(vec![copy(false)]),
        Just(vec![copy(false), Step::Lose]),
        Just(vec![Step::Lose, create(0, Asks::All, false), copy(true), code()]),
        Just(vec![copy(false), Step::Unlock])
    ];
    let lock =
        (0..ATTEMPTS, between, any::<bool>()).prop_map(move |(attempt, between, has_old_directory)| {
            let before = [create(attempt, Asks::All, false), code(), code(), code(), code()];
            let attempt = (attempt + 1) % ATTEMPTS;
            let after = [create(attempt, Asks::Codes, has_old_directory), code()];
            [&before[..], &between, &after].concat()
        });
    let new_key = (0..ATTEMPTS, 0..KEYS, 0..KEYS).prop_map(move |(attempt, old, new)| {
        let decide = |key| Step::Decide { challenge: 0, key, verdict: APPROVE, signed_millis_ago: 0 };
        let fetch = Step::Fetch { challenge: 0, key: new };
        let asked = create(attempt, Asks::All, false);
        vec![asked, Step::ReplaceKey(old), decide(old), fetch, decide(new), Step::Clock(180_000), redeem()]
    });
    prop_oneof![lock, new_key]
}

fn redeem() -> Step {
    Step::Redeem { challenge: 0, is_right_attempt: true }
}

/// Any step. Most concern the newest challenges, and most clocks go forward a little.
fn steps() -> impl Strategy<Value = Step> {
    let challenge = || prop_oneof![4 => Just(0_usize), 3 => 1..3_usize, 1 => 3..9_usize];
    let key = || 0..KEYS;
    let signed = || prop_oneof![4 => Just(0), 2 => -2_500..2_500_i64, 1 => -700_000..700_000_i64];
    let clock = prop_oneof![
        6 => 0..5_000_i64,
        3 => 5_000..130_000_i64,
        2 => -130_000..0_i64,
        1 => -2_000_000..2_000_000_i64,
    ];
    let create = (
        0..ATTEMPTS,
        prop_oneof![6 => Just(0), 1 => Just(1_u8)],
        prop_oneof![3 => 5..130_u32, 1 => 130..=600_u32],
        1..=3_usize,
        signed(),
        prop::bool::weighted(0.1),
        prop_oneof![12 => Just(Asks::All), 1 => Just(Asks::Devices), 2 => Just(Asks::Codes), 1 => Just(Asks::Nobody)],
    );
    let code =
        prop_oneof![7 => Just(Code::Wrong), 2 => key().prop_map(Code::Of), 1 => Just(Code::NotCompared)];
    let verdict = prop::sample::select(VERDICTS.to_vec());
    prop_oneof![
        6 => clock.prop_map(Step::Clock),
        6 => create.prop_map(
            |(attempt, content, lifetime_seconds, max_pending, signed_millis_ago, has_old_directory, asks)| {
                Step::Create {
                    attempt, content, lifetime_seconds, max_pending, signed_millis_ago, has_old_directory, asks
                }
            }
        ),
        6 => (challenge(), key(), verdict, signed()).prop_map(
            |(challenge, key, verdict, signed_millis_ago)| {
                Step::Decide { challenge, key, verdict, signed_millis_ago }
            }
        ),
        1 => challenge().prop_map(Step::Cancel),
        4 => (challenge(), prop::bool::weighted(0.8)).prop_map(|(challenge, is_right_attempt)| {
            Step::Redeem { challenge, is_right_attempt }
        }),
        3 => challenge().prop_map(Step::View),
        2 => (challenge(), key()).prop_map(|(challenge, key)| Step::Fetch { challenge, key }),
        5 => (challenge(), code, prop::bool::weighted(0.1), signed()).prop_map(
            |(challenge, code, has_old_directory, signed_millis_ago)| {
                Step::Code { challenge, code, has_old_directory, signed_millis_ago }
            }
        ),
        2 => any::<bool>().prop_map(|is_late| Step::Copy { is_late }),
        1 => Just(Step::Unlock),
        1 => key().prop_map(Step::Revoke),
        2 => key().prop_map(Step::ReplaceKey),
        1 => Just(Step::Bind),
        1 => Just(Step::Lose),
        1 => Just(Step::Clean),
    ]
}
