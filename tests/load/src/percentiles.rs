//! How long things took.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What so many of all took at most, exactly: nothing is put into classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Percentiles {
    /// Half of all.
    pub p50: Duration,
    /// 99 of 100.
    pub p99: Duration,
    /// 999 of 1000.
    pub p999: Duration,
    /// All.
    pub max: Duration,
}

impl Percentiles {
    /// Of all `durations`; zero when there are none.
    pub fn of(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        // The nearest rank: the smallest that so many do not exceed.
        let at = |per_mille: usize| {
            let rank = (durations.len() * per_mille).div_ceil(1000);
            durations.get(rank.saturating_sub(1)).copied().unwrap_or_default()
        };
        Self { p50: at(500), p99: at(990), p999: at(999), max: at(1000) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_took_no_longer() {
        let ms = Duration::from_millis;
        let percentiles = Percentiles::of((1..=1000).rev().map(ms).collect());
        assert_eq!(percentiles, Percentiles { p50: ms(500), p99: ms(990), p999: ms(999), max: ms(1000) });
        let of_one = Percentiles::of(vec![ms(7)]);
        assert_eq!(of_one, Percentiles { p50: ms(7), p99: ms(7), p999: ms(7), max: ms(7) });
        assert_eq!(Percentiles::of(Vec::new()), Percentiles::default());
    }
}
