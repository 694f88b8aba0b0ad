//! What a random sequence is made of.

use countersign_domain::state::Verdict;
use proptest::prelude::*;

use crate::fixture::VERDICTS;

/// Attempts that ask.
const ATTEMPTS: u8 = 6;
/// Devices that a sequence may speak of; there are fewer, so that it also speaks of one that was never bound.
const DEVICES: usize = 6;

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
        /// Whether the directory was read before the latest revocations.
        has_old_devices: bool,
    },
    /// A device answers.
    Decide {
        /// Of which challenge.
        challenge: usize,
        /// Which device.
        device: usize,
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
        /// Which device.
        device: usize,
    },
    /// A code is typed.
    Code {
        /// For which challenge.
        challenge: usize,
        /// Whose it is; `None`: nobody's.
        right: Option<u8>,
        /// How old the signed settlement is, negative: how far ahead.
        signed_millis_ago: i64,
    },
    /// Somebody unlocks the user.
    Unlock,
    /// A device is revoked for good.
    Revoke(usize),
    /// One more device is bound.
    Bind,
    /// The store forgets what can no longer be read.
    Clean,
}

/// Any step. Most concern the newest challenges, and most clocks go forward a little.
pub(crate) fn steps() -> impl Strategy<Value = Step> {
    let challenge = || prop_oneof![4 => Just(0_usize), 3 => 1..3_usize, 1 => 3..9_usize];
    let device = || 0..DEVICES;
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
    );
    let verdict = prop::sample::select(VERDICTS.to_vec());
    prop_oneof![
        6 => clock.prop_map(Step::Clock),
        6 => create.prop_map(
            |(attempt, content, lifetime_seconds, max_pending, signed_millis_ago, has_old_devices)| {
                Step::Create {
                    attempt, content, lifetime_seconds, max_pending, signed_millis_ago, has_old_devices
                }
            }
        ),
        6 => (challenge(), device(), verdict, signed()).prop_map(
            |(challenge, device, verdict, signed_millis_ago)| {
                Step::Decide { challenge, device, verdict, signed_millis_ago }
            }
        ),
        1 => challenge().prop_map(Step::Cancel),
        4 => (challenge(), prop::bool::weighted(0.8)).prop_map(|(challenge, is_right_attempt)| {
            Step::Redeem { challenge, is_right_attempt }
        }),
        3 => challenge().prop_map(Step::View),
        2 => (challenge(), device()).prop_map(|(challenge, device)| Step::Fetch { challenge, device }),
        5 => (challenge(), prop::option::weighted(0.2, 0..6_u8), signed()).prop_map(
            |(challenge, right, signed_millis_ago)| Step::Code { challenge, right, signed_millis_ago }
        ),
        1 => Just(Step::Unlock),
        2 => (0..DEVICES).prop_map(Step::Revoke),
        1 => Just(Step::Bind),
        1 => Just(Step::Clean),
    ]
}
