//! Sketches that merge: distinct counts (exact, then HyperLogLog) and quantiles (exact, then
//! t-digest). Source: Elasticsearch reference, "Cardinality aggregation" and "Percentiles aggregation".

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use serde::{Deserialize, Serialize};

/// A set of values already hashed; they are their own hash.
pub(crate) type HashedSet = HashSet<u64, BuildHasherDefault<Identity>>;

/// Passes a 64-bit key through after one multiplication, which spreads small integers.
#[derive(Default, Clone, Copy)]
pub(crate) struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(26) ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 ^= self.0 >> 32;
    }
}

/// Returns a well mixed hash of a number. Stable: it crosses nodes.
pub(crate) fn hash_u64(value: u64) -> u64 {
    let mut x = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// Returns a well mixed hash of bytes. Stable: it crosses nodes.
pub(crate) fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut hash: u64 = 0xCBF2_9CE4_8422_2325 ^ hash_u64(bytes.len() as u64);
    for chunk in bytes.chunks(8) {
        let mut word = [0u8; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = hash_u64(hash ^ u64::from_le_bytes(word));
    }
    hash
}

/// Counts distinct values: exactly up to a threshold, then by HyperLogLog with 2^14 registers
/// (about 0.8 % error).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Distinct {
    threshold: u32,
    /// Sorted on the wire only by accident; a set of hashes while exact.
    exact: HashSet<u64>,
    registers: Option<Vec<u8>>,
}

const HLL_BITS: u32 = 14;
const HLL_REGISTERS: usize = 1 << HLL_BITS;

impl Distinct {
    /// Returns an empty count that is exact up to `threshold` values.
    pub fn new(threshold: u32) -> Self {
        Self {
            threshold,
            exact: HashSet::new(),
            registers: None,
        }
    }

    /// Adds a value by its hash.
    pub fn insert(&mut self, hash: u64) {
        match &mut self.registers {
            Some(registers) => set_register(registers, hash),
            None => {
                self.exact.insert(hash);
                if self.exact.len() > self.threshold as usize {
                    self.switch();
                }
            }
        }
    }

    /// Adds all values of another count.
    pub fn merge(&mut self, other: &Self) {
        for hash in &other.exact {
            self.insert(*hash);
        }
        let Some(theirs) = &other.registers else {
            return;
        };
        let ours = self.switch();
        for (ours, theirs) in ours.iter_mut().zip(theirs) {
            *ours = (*ours).max(*theirs);
        }
    }

    /// Returns the number of distinct values.
    pub fn estimate(&self) -> u64 {
        match &self.registers {
            None => self.exact.len() as u64,
            Some(registers) => estimate(registers),
        }
    }

    fn switch(&mut self) -> &mut Vec<u8> {
        let exact = std::mem::take(&mut self.exact);
        let registers = self.registers.get_or_insert_with(|| vec![0; HLL_REGISTERS]);
        // A peer may send a sketch of another size; ours is the size that counts.
        registers.resize(HLL_REGISTERS, 0);
        for hash in exact {
            set_register(registers, hash);
        }
        registers
    }
}

fn set_register(registers: &mut [u8], hash: u64) {
    let index = (hash >> (64 - HLL_BITS)) as usize;
    let rest = (hash << HLL_BITS) | (1 << (HLL_BITS - 1));
    let rank = rest.leading_zeros() as u8 + 1;
    if let Some(register) = registers.get_mut(index) {
        *register = (*register).max(rank);
    }
}

/// The estimator of Ertl (2017), which needs no bias table.
fn estimate(registers: &[u8]) -> u64 {
    let max_rank = 64 - HLL_BITS as usize + 1;
    let mut histogram = vec![0u32; max_rank + 1];
    for register in registers {
        histogram[usize::from(*register).min(max_rank)] += 1;
    }
    let m = HLL_REGISTERS as f64;
    let mut z = m * tau(1.0 - f64::from(histogram[max_rank]) / m);
    for rank in (1..max_rank).rev() {
        z = 0.5 * (z + f64::from(histogram[rank]));
    }
    z += m * sigma(f64::from(histogram[0]) / m);
    let alpha = 0.5 / std::f64::consts::LN_2;
    (alpha * m * m / z).round() as u64
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x).powi(2) * y;
        if z == before {
            return z / 3.0;
        }
    }
}

/// Quantiles of a stream: exact for few values, then a merging t-digest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    compression: f64,
    /// Centroids (mean, weight), sorted by mean after [`Quantiles::compress`].
    centroids: Vec<(f64, f64)>,
    sorted: bool,
    min: f64,
    max: f64,
}

impl Quantiles {
    /// Returns an empty sketch; a larger compression is more exact and larger.
    pub fn new(compression: f64) -> Self {
        Self {
            compression: compression.clamp(10.0, 10_000.0),
            centroids: Vec::new(),
            sorted: true,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        }
    }

    /// Adds a value.
    pub fn insert(&mut self, value: f64) {
        if value.is_finite() {
            self.add(value, 1.0);
        }
    }

    /// Adds all values of another sketch.
    pub fn merge(&mut self, other: &Self) {
        for (mean, weight) in &other.centroids {
            self.add(*mean, *weight);
        }
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// Returns the bytes that its values take at most.
    pub(super) fn most_bytes(&self) -> u64 {
        (self.compression * EXACT_FACTOR) as u64 * size_of::<(f64, f64)>() as u64
    }

    /// Returns the value below which the given fraction (0 to 1) of values lies, interpolated.
    pub fn quantile(&mut self, fraction: f64) -> Option<f64> {
        self.sort();
        let last = self.centroids.len().checked_sub(1)?;
        let total = self.total();
        // Each centroid sits in the middle of its weight; between centroids values are linear.
        let target = fraction.clamp(0.0, 1.0) * (total - 1.0);
        let mut before = 0.0;
        let mut previous = (0.0, self.min);
        for (index, (mean, weight)) in self.centroids.iter().enumerate() {
            let middle = before + (weight - 1.0) / 2.0;
            if target <= middle {
                return Some(interpolate(previous, (middle, *mean), target));
            }
            previous = (middle, *mean);
            before += weight;
            if index == last {
                return Some(interpolate(previous, (total - 1.0, self.max), target));
            }
        }
        Some(self.max)
    }

    /// Returns the fraction (0 to 1) of values that are at most `value`.
    pub fn rank(&mut self, value: f64) -> Option<f64> {
        self.sort();
        let total = self.total();
        if self.centroids.is_empty() {
            return None;
        }
        if value < self.min {
            return Some(0.0);
        }
        if value >= self.max {
            return Some(1.0);
        }
        let mut before = 0.0;
        let mut previous = (self.min, 0.0);
        for (mean, weight) in &self.centroids {
            let middle = before + weight / 2.0;
            if value < *mean {
                return Some(interpolate(previous, (*mean, middle), value) / total);
            }
            previous = (*mean, middle);
            before += weight;
        }
        Some(interpolate(previous, (self.max, total), value) / total)
    }

    /// Returns the median of the distances of values to their median.
    pub fn deviation(&mut self) -> Option<f64> {
        let median = self.quantile(0.5)?;
        let mut distances = Self::new(self.compression);
        for (mean, weight) in &self.centroids {
            distances.add((mean - median).abs(), *weight);
        }
        distances.quantile(0.5)
    }

    fn total(&self) -> f64 {
        self.centroids.iter().map(|(_, weight)| weight).sum()
    }

    fn add(&mut self, value: f64, weight: f64) {
        self.centroids.push((value, weight));
        self.sorted = false;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        if self.centroids.len() as f64 > self.compression * EXACT_FACTOR {
            self.compress();
        }
    }

    fn sort(&mut self) {
        if !self.sorted {
            self.centroids.sort_by(|a, b| a.0.total_cmp(&b.0));
            self.sorted = true;
        }
    }

    /// Joins neighbours while the arcsine scale function allows.
    fn compress(&mut self) {
        self.sort();
        let total = self.total();
        let limit = |q: f64| {
            let k =
                self.compression * (2.0 * q.clamp(0.0, 1.0) - 1.0).asin() / std::f64::consts::PI;
            let next = (k + 1.0) * std::f64::consts::PI / self.compression;
            if next >= std::f64::consts::FRAC_PI_2 {
                1.0
            } else {
                (next.sin() + 1.0) / 2.0
            }
        };
        let mut joined: Vec<(f64, f64)> = Vec::with_capacity(self.centroids.len() / 2);
        let mut before = 0.0;
        let mut bound = limit(0.0) * total;
        for (mean, weight) in &self.centroids {
            match joined.last_mut() {
                Some(last) if before + last.1 + weight <= bound => {
                    last.1 += weight;
                    last.0 += (mean - last.0) * weight / last.1;
                }
                last => {
                    if let Some(last) = last {
                        before += last.1;
                        bound = limit(before / total) * total;
                    }
                    joined.push((*mean, *weight));
                }
            }
        }
        self.centroids = joined;
    }
}

/// Values kept exactly, in multiples of the compression.
const EXACT_FACTOR: f64 = 20.0;

fn interpolate(from: (f64, f64), to: (f64, f64), at: f64) -> f64 {
    let width = to.0 - from.0;
    if width <= 0.0 {
        return to.1;
    }
    from.1 + (to.1 - from.1) * ((at - from.0) / width).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinct_is_exact_then_close() {
        let mut small = Distinct::new(3_000);
        for i in 0..2_000u64 {
            small.insert(hash_u64(i % 1_500));
        }
        assert_eq!(small.estimate(), 1_500);
        let mut large = Distinct::new(3_000);
        for i in 0..200_000u64 {
            large.insert(hash_bytes(format!("value-{i}").as_bytes()));
        }
        large.merge(&small);
        let error = (large.estimate() as f64 - 201_500.0).abs() / 201_500.0;
        assert!(error < 0.03, "{}", large.estimate());
    }

    #[test]
    fn quantiles_of_few_values_are_exact() {
        let mut sketch = Quantiles::new(100.0);
        for value in 1..=101 {
            sketch.insert(f64::from(value));
        }
        assert_eq!(sketch.quantile(0.5), Some(51.0));
        assert_eq!(sketch.quantile(0.0), Some(1.0));
        assert_eq!(sketch.quantile(1.0), Some(101.0));
        assert_eq!(sketch.quantile(0.99), Some(100.0));
        assert_eq!(sketch.rank(200.0), Some(1.0));
        assert_eq!(sketch.rank(0.0), Some(0.0));
        assert_eq!(sketch.deviation(), Some(25.0));
        assert_eq!(Quantiles::new(100.0).quantile(0.5), None);
        assert_eq!(Quantiles::new(100.0).deviation(), None);
    }

    #[test]
    fn quantiles_of_many_values_are_close() {
        let mut parts = [Quantiles::new(100.0), Quantiles::new(100.0)];
        for i in 0..200_000u64 {
            let value = (hash_u64(i) % 1_000_000) as f64;
            parts[(i % 2) as usize].insert(value);
        }
        let [mut left, right] = parts;
        left.merge(&right);
        for fraction in [0.01, 0.25, 0.5, 0.75, 0.99] {
            let found = left.quantile(fraction).unwrap();
            assert!(
                (found / 1_000_000.0 - fraction).abs() < 0.01,
                "{fraction}: {found}"
            );
        }
        assert!((left.rank(500_000.0).unwrap() - 0.5).abs() < 0.01);
        assert!((left.deviation().unwrap() - 250_000.0).abs() < 5_000.0);
    }
}
