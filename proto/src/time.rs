//! A point in time, as the wire and the stores keep it.

use std::{fmt, time::Duration};

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted. Shown as RFC 3339.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnixTime(i64);

/// A timestamp that is missing, out of protobuf's range or not normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid google.protobuf.Timestamp")]
pub struct InvalidTimestamp;

impl UnixTime {
    /// From milliseconds since the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Later by `duration`; stays at the end of time.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Earlier by `duration`; stays at the beginning of time.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long it is from `earlier` to here; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Reads a wire timestamp, rounded down to the millisecond.
    pub fn from_wire(wire: Option<&pbjson_types::Timestamp>) -> Result<Self, InvalidTimestamp> {
        // Protobuf's range: years 1 to 9999.
        const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
        let wire = wire.ok_or(InvalidTimestamp)?;
        if !SECONDS.contains(&wire.seconds) || !(0..1_000_000_000).contains(&wire.nanos) {
            return Err(InvalidTimestamp);
        }
        Ok(Self(wire.seconds * 1000 + i64::from(wire.nanos / 1_000_000)))
    }

    /// As a wire timestamp.
    pub fn to_wire(self) -> pbjson_types::Timestamp {
        pbjson_types::Timestamp {
            seconds: self.as_seconds(),
            nanos: i32::try_from(self.0.rem_euclid(1000) * 1_000_000).expect("below 10^9"),
        }
    }
}

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::from_timestamp_millis(self.0) {
            Some(time) => f.write_str(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
            None => write!(f, "{} ms", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_keeps_milliseconds_and_refuses_what_is_not_normalised() {
        let time = UnixTime::from_millis(1_795_000_000_123);
        assert_eq!(UnixTime::from_wire(Some(&time.to_wire())), Ok(time));
        assert_eq!(time.to_string(), "2026-11-18T11:06:40.123Z");
        let before_epoch = UnixTime::from_millis(-1);
        assert_eq!(before_epoch.to_wire().nanos, 999_000_000);
        assert_eq!(UnixTime::from_wire(Some(&before_epoch.to_wire())), Ok(before_epoch));
        for (seconds, nanos) in [(0, -1), (0, 1_000_000_000), (i64::MAX, 0), (i64::MIN, 0)] {
            let wire = pbjson_types::Timestamp { seconds, nanos };
            assert_eq!(UnixTime::from_wire(Some(&wire)), Err(InvalidTimestamp));
        }
        assert_eq!(UnixTime::from_wire(None), Err(InvalidTimestamp));
    }
}
