//! How long to wait between two attempts.

use std::time::Duration;

use crate::random::{self, Random};

/// Before the second attempt, at most.
const FIRST: Duration = Duration::from_millis(500);
/// Between later attempts, at most.
const LONGEST: Duration = Duration::from_secs(15);

/// The wait after the `attempts`th attempt (1: the first) failed: twice as long each time, of which the
/// second half is left to chance so that devices whose pushes failed together do not come back together. No
/// shorter than `asked`, the provider's own wish.
pub(super) fn wait(attempts: u32, asked: Option<Duration>, random: &dyn Random) -> Duration {
    let whole = FIRST.saturating_mul(1 << attempts.saturating_sub(1).min(10)).min(LONGEST);
    let jitter = part(whole / 2, random);
    match asked {
        Some(asked) if asked > whole / 2 + jitter => asked.saturating_add(jitter),
        _ => whole / 2 + jitter,
    }
}

/// Between nothing and `whole`.
fn part(whole: Duration, random: &dyn Random) -> Duration {
    whole.mul_f64(f64::from(u32::from_le_bytes(random::bytes(random))) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives the same byte for ever.
    struct Constant(u8);

    impl Random for Constant {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    #[test]
    fn doubles_up_to_its_limit_between_half_and_whole() {
        for (attempts, least, most) in
            [(1, 250, 500), (2, 500, 1000), (3, 1000, 2000), (6, 7500, 15_000), (u32::MAX, 7500, 15_000)]
        {
            assert_eq!(wait(attempts, None, &Constant(0)), Duration::from_millis(least));
            assert_eq!(wait(attempts, None, &Constant(0xff)), Duration::from_millis(most));
        }
    }

    #[test]
    fn never_shorter_than_the_provider_asked() {
        let asked = Duration::from_secs(30);
        assert_eq!(wait(1, Some(asked), &Constant(0)), asked);
        assert_eq!(wait(1, Some(asked), &Constant(0xff)), asked + Duration::from_millis(250));
        assert_eq!(wait(1, Some(Duration::ZERO), &Constant(0)), Duration::from_millis(250));
        assert_eq!(wait(1, Some(Duration::MAX), &Constant(0xff)), Duration::MAX);
    }
}
