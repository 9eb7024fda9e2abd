//! Bucket aggregations on a segment: documents are counted by the keys of their buckets.

use ringwall_api::{ApiError, ErrorCode};
use tantivy::DocId;

use super::block::{Block, Entry};
use super::collector::Collector;
use super::partial::{Bucket, Buckets, Key, KeyKind, Partial, ValueFormat};
use super::spec::Agg;
use super::table::{BUCKET_BYTES, BucketTable, Cut, MAX_BUCKETS};
use crate::control::{Beat, Pulse};

/// Says which buckets a document is in, as numbers that are meaningful within one segment.
pub(super) trait Keyer {
    /// Adds the keys of a document. One that comes twice counts once.
    fn keys(&mut self, doc: DocId, keys: &mut Vec<u64>);

    /// Returns whether the order of the numbers of keys is that of the keys.
    fn keys_are_in_order(&self) -> bool {
        false
    }

    /// Returns the keys of buckets that are in the answer even without documents.
    fn keys_of_nothing(&self) -> Vec<u64> {
        Vec::new()
    }

    /// Prepares the names of keys.
    fn names(&self, keys: Vec<u64>) -> Result<Names, ApiError> {
        let _ = keys;
        Ok(Names::Longs)
    }
}

/// Counts documents by buckets, and hands them on to the aggregations inside.
pub(super) struct BucketCollector<K> {
    keyer: K,
    /// How keys read in the answer.
    pub(super) format: ValueFormat,
    /// See [`Buckets::bounds`].
    pub(super) bounds: Vec<(Option<f64>, Option<f64>)>,
    table: BucketTable,
    /// Buckets that memory was charged for.
    charged: usize,
    /// Counts buckets: one document may be in very many.
    beat: Beat,
    subs: Vec<Box<dyn Collector>>,
    /// What `subs` have not taken yet.
    waiting: Block,
    keys: Vec<u64>,
    overflow: bool,
}

impl<K: Keyer> BucketCollector<K> {
    /// Returns a collector of no buckets yet, for keys that are below `expected` for the most.
    pub(super) fn new(
        keyer: K,
        expected: usize,
        subs: Vec<Box<dyn Collector>>,
        pulse: &Pulse,
    ) -> Result<Self, ApiError> {
        let table = BucketTable::new(expected);
        pulse.charge(table.dense_bytes())?;
        Ok(Self {
            keyer,
            format: ValueFormat::Plain,
            bounds: Vec::new(),
            table,
            charged: 0,
            beat: pulse.beat(),
            subs,
            waiting: Block::default(),
            keys: Vec::new(),
            overflow: false,
        })
    }

    fn collect_one(&mut self, entry: Entry) {
        self.keys.clear();
        self.keyer.keys(entry.doc, &mut self.keys);
        if self.keys.len() > 1 {
            self.keys.sort_unstable();
            self.keys.dedup();
        }
        for key in &self.keys {
            if !self.beat.step() {
                return;
            }
            let Some(bucket) = self.table.count(entry.bucket, *key) else {
                self.overflow = true;
                return;
            };
            if self.table.buckets.len() > self.charged
                && !charge_ahead(&mut self.charged, &self.subs, self.beat.pulse())
            {
                return;
            }
            if !self.subs.is_empty() {
                self.waiting.push(Entry { bucket, ..entry }, &mut self.subs);
            }
        }
    }
}

impl<K: Keyer> Collector for BucketCollector<K> {
    fn bytes_each(&self) -> u64 {
        // Its own buckets are charged as they come.
        0
    }

    fn collect(&mut self, block: &[Entry]) {
        for entry in block {
            if self.overflow || self.beat.pulse().stopped() {
                return;
            }
            self.collect_one(*entry);
        }
    }

    fn finish(
        mut self: Box<Self>,
        agg: &Agg,
        parents: usize,
        alone: bool,
    ) -> Result<Vec<Partial>, ApiError> {
        if self.overflow {
            return Err(ApiError::new(
                ErrorCode::CircuitBreaking,
                format!(
                    "aggregation [{}] needs more than [{MAX_BUCKETS}] buckets on one segment: \
                     narrow the query or nest fewer bucket aggregations",
                    agg.name
                ),
            ));
        }
        self.waiting.flush(&mut self.subs);
        let count = self.table.buckets.len();
        let cut = agg.kind.cut();
        let cut = cut
            .filter(|_| alone && self.keyer.keys_are_in_order())
            .and_then(|cut| self.table.cut(cut, parents));
        let kept = cut.as_ref().map_or(count, Cut::kept);
        let each = size_of::<Bucket>() + KEY_BYTES + self.subs.len() * size_of::<Partial>();
        self.beat.pulse().charge((kept * each) as u64)?;
        let mut subs = std::mem::take(&mut self.subs)
            .into_iter()
            .zip(&agg.subs)
            .map(|(sub, agg)| {
                let mut partials = sub.finish(agg, count, alone)?;
                partials.resize(count, Partial::Empty);
                Ok(partials.into_iter())
            })
            .collect::<Result<Vec<_>, ApiError>>()?;
        let zero = self.keyer.keys_of_nothing();
        let is_kept = |bucket: usize| cut.as_ref().is_none_or(|cut| cut.keeps(bucket));
        let buckets = self.table.buckets.iter().enumerate();
        let kept = buckets.filter(|(bucket, _)| is_kept(*bucket));
        let mut wanted: Vec<u64> = kept.map(|(_, (_, key, _))| *key).collect();
        wanted.extend(&zero);
        let names = self.keyer.names(wanted)?;
        let mut results: Vec<Buckets> = Vec::with_capacity(parents);
        results.resize_with(parents, || Buckets {
            format: self.format.clone(),
            keys: names.kind(),
            bounds: self.bounds.clone(),
            ..Buckets::default()
        });
        for (result, other) in results
            .iter_mut()
            .zip(cut.iter().flat_map(|cut| &cut.others))
        {
            result.other_doc_count = *other;
        }
        for (bucket, (parent, key, doc_count)) in self.table.buckets.iter().enumerate() {
            self.beat.step();
            let subs = subs
                .iter_mut()
                .map(|partials| partials.next().unwrap_or_default());
            if !is_kept(bucket) {
                subs.for_each(drop);
                continue;
            }
            let subs = subs.collect();
            if let Some(result) = results.get_mut(*parent as usize) {
                result.buckets.push(Bucket {
                    key: names.get(*key),
                    doc_count: *doc_count,
                    subs,
                });
            }
        }
        for (parent, result) in results.iter_mut().enumerate() {
            for key in &zero {
                if !self.beat.step() {
                    break;
                }
                if !self.table.contains(parent as u32, *key) {
                    result.buckets.push(Bucket {
                        key: names.get(*key),
                        doc_count: 0,
                        subs: Vec::new(),
                    });
                }
            }
        }
        Ok(results.into_iter().map(Partial::Buckets).collect())
    }
}

/// Charges for some buckets more, with what their sub-aggregations keep of each; `false` means stop.
fn charge_ahead(charged: &mut usize, subs: &[Box<dyn Collector>], pulse: &Pulse) -> bool {
    let more = (*charged).clamp(MIN_CHARGED, MAX_CHARGED);
    *charged += more;
    let each = BUCKET_BYTES + subs.iter().map(|sub| sub.bytes_each()).sum::<u64>();
    pulse.charge(more as u64 * each).is_ok()
}

/// Buckets between two charges: few at first, for aggregations of few.
const MIN_CHARGED: usize = 64;
const MAX_CHARGED: usize = 65_536;
/// The text of a key, and its allocation.
const KEY_BYTES: usize = 32;

/// The keys of buckets by their numbers within a segment.
pub(super) enum Names {
    /// Sorted ordinals with their texts, and the text for documents without value.
    Texts {
        ords: Vec<u64>,
        texts: Vec<String>,
        missing: String,
    },
    Longs,
    Unsigned,
    Doubles,
}

impl Names {
    fn kind(&self) -> KeyKind {
        match self {
            Self::Texts { .. } => KeyKind::Text,
            Self::Longs | Self::Unsigned => KeyKind::Long,
            Self::Doubles => KeyKind::Double,
        }
    }

    fn get(&self, key: u64) -> Key {
        match self {
            Self::Texts {
                ords,
                texts,
                missing,
            } => Key::Text(match ords.binary_search(&key) {
                Ok(index) => texts.get(index).cloned().unwrap_or_default(),
                Err(_) => missing.clone(),
            }),
            Self::Longs => Key::Long(key as i64),
            Self::Unsigned => Key::unsigned(key),
            Self::Doubles => Key::Double(f64::from_bits(key)),
        }
    }
}
