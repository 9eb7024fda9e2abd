//! Collecting aggregations over the documents of one segment. Every bucket of every level has a
//! number; the state of an aggregation is a list by the number of the bucket it stands in.

use ringwall_api::ApiError;
use tantivy::DocId;

use super::block::Entry;
use super::hdr::{Hdr, SLOT_BYTES};
use super::partial::{Partial, Stats, ValueFormat};
use super::sketch::Quantiles;
use super::spec::Agg;
use crate::columns::Numbers;
use crate::control::Pulse;

/// One aggregation on one segment. It is called for blocks of documents.
pub(crate) trait Collector {
    /// Returns about what is kept for each bucket that this stands in, bytes.
    fn bytes_each(&self) -> u64;

    /// Adds documents to their buckets.
    fn collect(&mut self, block: &[Entry]);

    /// Returns what was collected for each of `parents` buckets, or for the first ones if the others have nothing. `alone`:
    /// no other segment has any.
    fn finish(
        self: Box<Self>,
        agg: &Agg,
        parents: usize,
        alone: bool,
    ) -> Result<Vec<Partial>, ApiError>;
}

/// The field is not mapped: nothing ever comes.
pub(super) struct Nothing;

impl Collector for Nothing {
    fn bytes_each(&self) -> u64 {
        0
    }

    fn collect(&mut self, _: &[Entry]) {}

    fn finish(self: Box<Self>, _: &Agg, _: usize, _: bool) -> Result<Vec<Partial>, ApiError> {
        Ok(Vec::new())
    }
}

/// What is kept of the numbers of a bucket.
pub(super) trait Tally: Clone {
    /// Returns what it may come to hold beside itself, bytes, and how much of that each number adds.
    fn grows(&self) -> Growth {
        Growth::default()
    }

    /// Adds a number.
    fn add(&mut self, value: f64);

    /// Returns what goes to the coordinating node.
    ///
    /// # Errors
    /// 400 where there was a number that it does not take.
    fn into_partial(self, format: ValueFormat) -> Result<Partial, ApiError>;
}

/// The memory of a tally, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Growth {
    pub(super) each: u64,
    pub(super) most: u64,
}

impl Tally for Stats {
    fn add(&mut self, value: f64) {
        Stats::add(self, value);
    }

    fn into_partial(self, format: ValueFormat) -> Result<Partial, ApiError> {
        Ok(Partial::Stats {
            stats: self,
            format,
        })
    }
}

impl Tally for Quantiles {
    fn grows(&self) -> Growth {
        Growth {
            each: size_of::<(f64, f64)>() as u64,
            most: self.most_bytes(),
        }
    }

    fn add(&mut self, value: f64) {
        self.insert(value);
    }

    fn into_partial(self, format: ValueFormat) -> Result<Partial, ApiError> {
        Ok(Partial::Quantiles {
            sketch: self,
            format,
        })
    }
}

impl Tally for Hdr {
    fn grows(&self) -> Growth {
        Growth {
            each: SLOT_BYTES,
            most: u64::MAX,
        }
    }

    fn add(&mut self, value: f64) {
        self.insert(value);
    }

    fn into_partial(self, format: ValueFormat) -> Result<Partial, ApiError> {
        if self.negative {
            return Err(ApiError::illegal_argument(
                "[hdr] takes no negative values: use [tdigest]",
            ));
        }
        Ok(Partial::Hdr {
            sketch: self,
            format,
        })
    }
}

/// Adds up the numbers of a field.
pub(super) struct NumberCollector<T> {
    numbers: Option<Numbers>,
    /// Stands for documents without value.
    missing: Option<f64>,
    format: ValueFormat,
    /// A tally of nothing.
    empty: T,
    tallies: Vec<T>,
    pulse: Pulse,
    /// How many numbers there were.
    seen: u64,
    /// Bytes that were charged for what tallies hold.
    charged: u64,
}

impl<T: Tally> NumberCollector<T> {
    pub(super) fn new(
        numbers: Option<Numbers>,
        missing: Option<f64>,
        format: ValueFormat,
        empty: T,
        pulse: &Pulse,
    ) -> Self {
        Self {
            numbers,
            missing,
            format,
            empty,
            tallies: Vec::new(),
            pulse: pulse.clone(),
            seen: 0,
            charged: 0,
        }
    }

    /// Charges for what the tallies have grown; without room the search stops.
    fn charge(&mut self) {
        let Growth { each, most } = self.empty.grows();
        let tallies = self.tallies.len() as u64;
        let due = (self.seen * each).min(tallies.saturating_mul(most));
        if due > self.charged {
            let more = (due - self.charged).max(CHARGED_AT_ONCE);
            self.charged += more;
            // The search stops by itself.
            let _ = self.pulse.charge(more);
        }
    }
}

/// Bytes between two charges, at least.
const CHARGED_AT_ONCE: u64 = 4 << 10;

impl<T: Tally> Collector for NumberCollector<T> {
    fn bytes_each(&self) -> u64 {
        size_of::<T>() as u64
    }

    fn collect(&mut self, block: &[Entry]) {
        for entry in block {
            let tally = grow(&mut self.tallies, entry.bucket, || self.empty.clone());
            each_number(self.numbers.as_ref(), self.missing, entry.doc, |value| {
                self.seen += 1;
                tally.add(value);
            });
        }
        self.charge();
    }

    fn finish(self: Box<Self>, _: &Agg, _: usize, _: bool) -> Result<Vec<Partial>, ApiError> {
        let partial = |tally: T| tally.into_partial(self.format.clone());
        self.tallies.into_iter().map(partial).collect()
    }
}

/// Returns the element of a bucket, adding what lacks before it.
pub(super) fn grow<T>(list: &mut Vec<T>, bucket: u32, new: impl FnMut() -> T) -> &mut T {
    let place = bucket as usize;
    if list.len() <= place {
        list.resize_with(place + 1, new);
    }
    &mut list[place]
}

/// Calls `each` with the numbers of a document, or what stands for them.
pub(super) fn each_number(
    numbers: Option<&Numbers>,
    missing: Option<f64>,
    doc: DocId,
    mut each: impl FnMut(f64),
) {
    let mut any = false;
    if let Some(numbers) = numbers {
        numbers.doubles(doc, |value| {
            any = true;
            each(value);
        });
    }
    if !any && let Some(value) = missing {
        each(value);
    }
}
