//! Percentiles by an HDR histogram: counts of values that are alike in their first digits. Source: Elasticsearch reference,
//! "Percentiles aggregation" (HDR histogram); hdrhistogram.org.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Counts of values, each of which falls into a slot. A power of two and the next have 2^`bits` slots between them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hdr {
    bits: u8,
    zeros: u64,
    /// By the upper bits of values, whose order is theirs.
    slots: BTreeMap<u64, u64>,
    /// Whether there was a negative value, which has no slot.
    pub(super) negative: bool,
}

/// What a slot takes, with its share of the tree.
pub(super) const SLOT_BYTES: u64 = 32;

impl Hdr {
    /// Returns a histogram of nothing that tells values apart by so many decimal digits, at most 5.
    pub fn new(digits: u8) -> Self {
        let slots = 2.0 * 10f64.powi(i32::from(digits.min(5)));
        Self {
            bits: slots.log2().ceil() as u8 - 1,
            zeros: 0,
            slots: BTreeMap::new(),
            negative: false,
        }
    }

    /// Adds a value.
    pub fn insert(&mut self, value: f64) {
        if value == 0.0 {
            self.zeros += 1;
        } else if value < 0.0 {
            self.negative = true;
        } else if value.is_finite() {
            *self.slots.entry(self.slot(value)).or_default() += 1;
        }
    }

    /// Adds all values of another.
    pub fn merge(&mut self, other: &Self) {
        self.negative |= other.negative;
        self.zeros = self.zeros.saturating_add(other.zeros);
        for (slot, count) in &other.slots {
            let ours = self.slots.entry(*slot).or_default();
            *ours = ours.saturating_add(*count);
        }
    }

    /// Returns the value that so many percent of the values are not above: the end of its slot.
    pub fn percentile(&self, percent: f64) -> Option<f64> {
        let total = self.total();
        if total == 0 {
            return None;
        }
        // A hair less: what is exactly a count must not become the next one by rounding.
        let below = percent.next_down().clamp(0.0, 100.0) * total as f64 / 100.0;
        let wanted = (below.ceil() as u64).max(1);
        let mut seen = self.zeros;
        if seen >= wanted {
            return Some(0.0);
        }
        for (slot, count) in &self.slots {
            seen = seen.saturating_add(*count);
            if seen >= wanted {
                let lowest = self.lowest(*slot);
                return Some(match percent == 0.0 {
                    true => lowest,
                    false => lowest + self.width(*slot) - self.unit(),
                });
            }
        }
        None
    }

    /// Returns how many percent of the values are not above this one.
    pub fn rank(&self, value: f64) -> Option<f64> {
        let total = self.total();
        if total == 0 {
            return None;
        }
        let slots = match value > 0.0 {
            true => self.slots.range(..=self.slot(value)),
            false => self.slots.range(..0),
        };
        let zeros = if value >= 0.0 { self.zeros } else { 0 };
        let count = slots.fold(zeros, |sum, (_, count)| sum.saturating_add(*count));
        Some(count as f64 * 100.0 / total as f64)
    }

    fn total(&self) -> u64 {
        let add = |sum: u64, count: &u64| sum.saturating_add(*count);
        self.slots.values().fold(self.zeros, add)
    }

    fn slot(&self, value: f64) -> u64 {
        value.to_bits() >> (MANTISSA - self.bits)
    }

    fn lowest(&self, slot: u64) -> f64 {
        f64::from_bits(slot << (MANTISSA - self.bits))
    }

    fn width(&self, slot: u64) -> f64 {
        self.lowest(slot + 1) - self.lowest(slot)
    }

    /// The width of the narrowest slots: values are told apart by no less.
    fn unit(&self) -> f64 {
        let first = self.slots.keys().next();
        first.map_or(0.0, |slot| self.width(*slot))
    }
}

/// Bits after the first of a double.
const MANTISSA: u8 = 52;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(digits: u8, values: &[f64]) -> Hdr {
        let mut hdr = Hdr::new(digits);
        values.iter().for_each(|value| hdr.insert(*value));
        hdr
    }

    /// As Elasticsearch 8.19 answers.
    #[test]
    fn percentiles_are_ends_of_slots() {
        let values = [1.0, 4.0, 4.0, 6.0, 10.0, 25.0];
        for (digits, expected) in [
            (0, [1.0, 7.0, 15.0, 31.0]),
            (1, [1.0, 4.1875, 10.4375, 25.9375]),
            (
                3,
                [1.0, 4.002_929_687_5, 10.006_835_937_5, 25.014_648_437_5],
            ),
        ] {
            let hdr = of(digits, &values);
            let found = [1.0, 50.0, 75.0, 99.0].map(|percent| hdr.percentile(percent).unwrap());
            assert_eq!(found, expected, "{digits}");
        }
        let hdr = of(3, &values);
        assert_eq!(hdr.percentile(0.0), Some(1.0));
        assert_eq!(hdr.percentile(100.0), Some(25.014_648_437_5));
        let ranks = [4.0, 6.0, 100.0, -1.0].map(|value| hdr.rank(value).unwrap());
        assert_eq!(ranks, [50.0, 400.0 / 6.0, 100.0, 0.0]);
        let days = of(3, &[1_704_067_200_000.0]);
        assert_eq!(days.percentile(50.0), Some(1_704_028_274_688.0));
    }

    #[test]
    fn histograms_merge_like_one_stream() {
        let (left, right) = ([0.0, 3.5, 1e9], [0.25, 0.0, 7.0, 7.001]);
        let mut merged = of(2, &left);
        merged.merge(&of(2, &right));
        let all: Vec<f64> = left.into_iter().chain(right).collect();
        assert_eq!(merged, of(2, &all));
        assert_eq!(merged.percentile(1.0), Some(0.0));
        assert_eq!(merged.rank(0.0), Some(200.0 / 7.0));
        assert!(of(2, &[1.0, -1.0]).negative && !merged.negative);
        assert_eq!(Hdr::new(3).percentile(50.0), None);
        assert_eq!(Hdr::new(3).rank(1.0), None);
    }
}
