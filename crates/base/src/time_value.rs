//! Durations as Elasticsearch writes them: `500ms`, `5s`, `1m`, `-1`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A duration setting. `-1` means "never" or "unset", as the setting documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeValue(Option<Duration>);

impl TimeValue {
    /// The value written `-1`.
    pub const NEVER: Self = Self(None);

    /// Returns a value of so many milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(Some(Duration::from_millis(millis)))
    }

    /// Returns a value of so many seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(Some(Duration::from_secs(secs)))
    }

    /// Returns the duration, or `None` for `-1`.
    pub const fn duration(self) -> Option<Duration> {
        self.0
    }
}

/// The text is not a time value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "failed to parse value [{0}] as a time value: unit is missing or unrecognized \
     (expected a number followed by one of d, h, m, s, ms, micros, nanos)"
)]
pub struct InvalidTimeValue(pub String);

const UNITS: [(&str, u64); 7] = [
    ("nanos", 1),
    ("micros", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
    ("d", 86_400 * 1_000_000_000),
];

impl FromStr for TimeValue {
    type Err = InvalidTimeValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidTimeValue(text.to_owned());
        // `M` means months elsewhere: it is never taken for minutes.
        if text.trim_end().ends_with('M') {
            return Err(invalid());
        }
        let trimmed = text.trim().to_ascii_lowercase();
        match trimmed.as_str() {
            "-1" => return Ok(Self::NEVER),
            "0" => return Ok(Self::from_millis(0)),
            _ => {}
        }
        let split = trimmed
            .find(|c: char| !c.is_ascii_digit())
            .ok_or_else(invalid)?;
        let (number, unit) = trimmed.split_at(split);
        let number: u64 = number.parse().map_err(|_| invalid())?;
        let (_, nanos) = UNITS
            .iter()
            .find(|(name, _)| *name == unit.trim())
            .ok_or_else(invalid)?;
        let nanos = number.checked_mul(*nanos).ok_or_else(invalid)?;
        Ok(Self(Some(Duration::from_nanos(nanos))))
    }
}

impl fmt::Display for TimeValue {
    /// Writes the value in the largest unit that loses nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(duration) = self.0 else {
            return f.write_str("-1");
        };
        let nanos = duration.as_nanos();
        if nanos == 0 {
            return f.write_str("0s");
        }
        let (unit, size) = UNITS
            .iter()
            .rev()
            .find(|(_, size)| nanos.is_multiple_of(u128::from(*size)))
            .unwrap_or(&UNITS[0]);
        write!(f, "{}{unit}", nanos / u128::from(*size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_prints() {
        for text in ["500ms", "5s", "1m", "2h", "1d", "-1", "7micros"] {
            assert_eq!(text.parse::<TimeValue>().unwrap().to_string(), text);
        }
        assert_eq!("60s".parse::<TimeValue>().unwrap().to_string(), "1m");
        for text in ["5", "5 weeks", "", "s", "99999999999999d", "1M", "1 M"] {
            assert!(text.parse::<TimeValue>().is_err(), "{text}");
        }
    }
}
