//! Sizes as Elasticsearch writes them: `512b`, `100mb`, `1gb` (1024-based).

use std::fmt;
use std::str::FromStr;

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteSizeValue(u64);

impl ByteSizeValue {
    /// Returns a size of so many bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// Returns a size of so many mebibytes.
    pub const fn from_mb(mb: u64) -> Self {
        Self(mb << 20)
    }

    /// Returns the size in bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

/// The text is not a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "failed to parse value [{0}] as a size in bytes: unit is missing or unrecognized \
     (expected a number followed by one of b, kb, mb, gb, tb, pb)"
)]
pub struct InvalidByteSize(pub String);

const UNITS: [(&str, u32); 6] = [
    ("kb", 10),
    ("mb", 20),
    ("gb", 30),
    ("tb", 40),
    ("pb", 50),
    ("b", 0),
];

impl FromStr for ByteSizeValue {
    type Err = InvalidByteSize;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidByteSize(text.to_owned());
        let trimmed = text.trim().to_ascii_lowercase();
        if trimmed == "0" {
            return Ok(Self(0));
        }
        let (number, shift) = UNITS
            .iter()
            .find_map(|(unit, shift)| Some((trimmed.strip_suffix(unit)?, *shift)))
            .ok_or_else(invalid)?;
        let number = number.trim();
        if let Ok(whole) = number.parse::<u64>() {
            return whole.checked_mul(1 << shift).map(Self).ok_or_else(invalid);
        }
        let fraction: f64 = number.parse().map_err(|_| invalid())?;
        if !fraction.is_finite() || fraction < 0.0 {
            return Err(invalid());
        }
        Ok(Self((fraction * (1u64 << shift) as f64) as u64))
    }
}

impl fmt::Display for ByteSizeValue {
    /// Writes the size with one decimal in the largest unit that keeps it at least 1: `1.5kb`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, shift) = [("pb", 50), ("tb", 40), ("gb", 30), ("mb", 20), ("kb", 10)]
            .into_iter()
            .find(|(_, shift)| self.0 >= 1 << shift)
            .unwrap_or(("b", 0));
        let tenths = (u128::from(self.0) * 10) >> shift;
        if tenths.is_multiple_of(10) {
            write!(f, "{}{unit}", tenths / 10)
        } else {
            write!(f, "{}.{}{unit}", tenths / 10, tenths % 10)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_prints() {
        for (text, bytes) in [("100mb", 100 << 20), ("1b", 1), ("0", 0), ("1.5kb", 1536)] {
            assert_eq!(text.parse::<ByteSizeValue>().unwrap().bytes(), bytes);
        }
        assert_eq!(ByteSizeValue::from_bytes(1536).to_string(), "1.5kb");
        assert_eq!(ByteSizeValue::from_bytes(0).to_string(), "0b");
        for text in ["5", "mb", "-1kb", ""] {
            assert!(text.parse::<ByteSizeValue>().is_err(), "{text}");
        }
    }
}
