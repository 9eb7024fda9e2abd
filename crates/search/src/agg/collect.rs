//! Collecting aggregations over the documents of one segment. Every bucket of every level has a
//! number; the state of an aggregation is a list by the number of the bucket it stands in.

use ringwall_api::{ApiError, ErrorCode};
use tantivy::DocId;

use super::block::{Block, Entry};
use super::keyer::Keyer;
use super::partial::{Bucket, Buckets, Key, KeyKind, Partial, Stats, ValueFormat};
use super::sketch::{Distinct, HashedSet, Quantiles, hash_bytes, hash_u64};
use super::spec::{Agg, AggKind};
use super::table::{BUCKET_BYTES, BucketTable, Cut, MAX_BUCKETS};
use super::top_hits::TopHitsCollector;
use crate::columns::{Numbers, Values};
use crate::control::{Beat, Pulse};
use crate::engine_error;

/// One aggregation on one segment.
pub(crate) struct Node {
    pub(super) state: State,
}

/// What an aggregation has collected so far.
pub(super) enum State {
    /// The field is not mapped: nothing ever comes.
    Nothing,
    Stats {
        numbers: Option<Numbers>,
        missing: Option<f64>,
        stats: Vec<Stats>,
        format: ValueFormat,
    },
    Count {
        values: Values,
        missing: bool,
        counts: Vec<u64>,
    },
    Distinct {
        values: Values,
        missing: Option<u64>,
        /// Ordinals of texts, hashed only at the end.
        ords: Vec<HashedSet>,
        sketches: Vec<Distinct>,
        threshold: u32,
    },
    Quantiles {
        numbers: Option<Numbers>,
        missing: Option<f64>,
        sketches: Vec<Quantiles>,
        compression: f64,
        format: ValueFormat,
    },
    Buckets(Box<BucketState>),
    TopHits(Box<TopHitsCollector>),
}

pub(super) struct BucketState {
    pub(super) keyer: Keyer,
    pub(super) table: BucketTable,
    /// Buckets that memory was charged for.
    pub(super) charged: usize,
    /// Counts buckets: one document may be in very many.
    pub(super) beat: Beat,
    pub(super) subs: Vec<Node>,
    /// What `subs` have not taken yet.
    pub(super) waiting: Block,
    pub(super) keys: Vec<u64>,
    pub(super) overflow: bool,
    pub(super) format: ValueFormat,
    pub(super) bounds: Vec<(Option<f64>, Option<f64>)>,
    /// Terms without documents are buckets too (`min_doc_count` 0).
    pub(super) zero_buckets: bool,
}

impl Node {
    /// Returns about what is kept for each bucket that this stands in, bytes.
    fn bytes_each(&self) -> u64 {
        match &self.state {
            State::Nothing => 0,
            State::Stats { .. } => size_of::<Stats>() as u64,
            State::Count { .. } => size_of::<u64>() as u64,
            State::Distinct { .. } => (size_of::<Distinct>() + size_of::<HashedSet>()) as u64,
            State::Quantiles { .. } => size_of::<Quantiles>() as u64,
            // Its own buckets are charged as they come.
            State::Buckets(_) => 0,
            State::TopHits(_) => TOP_HITS_BYTES,
        }
    }

    /// Adds documents to their buckets.
    pub(super) fn collect(&mut self, block: &[Entry]) {
        match &mut self.state {
            State::Nothing => {}
            State::Stats {
                numbers,
                missing,
                stats,
                ..
            } => {
                for entry in block {
                    let stats = grow(stats, entry.bucket, Stats::default);
                    each_number(numbers.as_ref(), *missing, entry.doc, |value| {
                        stats.add(value);
                    });
                }
            }
            State::Count {
                values,
                missing,
                counts,
            } => {
                for entry in block {
                    let found = values.count(entry.doc);
                    let count = grow(counts, entry.bucket, || 0);
                    *count += if found == 0 && *missing { 1 } else { found };
                }
            }
            State::Distinct {
                values,
                missing,
                ords,
                sketches,
                threshold,
            } => {
                for entry in block {
                    let sketch = grow(sketches, entry.bucket, || Distinct::new(*threshold));
                    collect_distinct(values, *missing, *entry, sketch, ords);
                }
            }
            State::Quantiles {
                numbers,
                missing,
                sketches,
                compression,
                ..
            } => {
                for entry in block {
                    let sketch = grow(sketches, entry.bucket, || Quantiles::new(*compression));
                    each_number(numbers.as_ref(), *missing, entry.doc, |value| {
                        sketch.insert(value);
                    });
                }
            }
            State::Buckets(state) => state.collect(block),
            State::TopHits(collector) => {
                for entry in block {
                    collector.collect(entry.doc, entry.score, entry.bucket as usize);
                }
            }
        }
    }

    /// Returns what was collected for each of `parents` buckets. `alone`: no other segment has any.
    pub(crate) fn finish(
        self,
        agg: &Agg,
        parents: usize,
        alone: bool,
    ) -> Result<Vec<Partial>, ApiError> {
        let mut partials: Vec<Partial> = match self.state {
            State::Nothing => Vec::new(),
            State::Stats { stats, format, .. } => stats
                .into_iter()
                .map(|stats| Partial::Stats {
                    stats,
                    format: format.clone(),
                })
                .collect(),
            State::Count { counts, .. } => counts
                .into_iter()
                .map(|count| Partial::Stats {
                    stats: Stats::of_count(count),
                    format: ValueFormat::Plain,
                })
                .collect(),
            State::Distinct {
                values,
                mut ords,
                sketches,
                ..
            } => {
                ords.resize_with(sketches.len(), HashedSet::default);
                sketches
                    .into_iter()
                    .zip(ords)
                    .map(|(sketch, ords)| finish_distinct(&values, sketch, ords))
                    .collect::<Result<_, _>>()?
            }
            State::Quantiles {
                sketches, format, ..
            } => sketches
                .into_iter()
                .map(|sketch| Partial::Quantiles {
                    sketch,
                    format: format.clone(),
                })
                .collect(),
            State::Buckets(state) => return state.finish(agg, parents, alone),
            State::TopHits(collector) => collector.finish()?,
        };
        partials.resize(parents, Partial::Empty);
        Ok(partials)
    }
}

impl BucketState {
    fn collect(&mut self, block: &[Entry]) {
        for entry in block {
            if self.overflow || self.beat.pulse().stopped() {
                return;
            }
            self.collect_one(*entry);
        }
    }

    fn collect_one(&mut self, entry: Entry) {
        self.keys.clear();
        self.keyer.keys(entry.doc, &mut self.keys);
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

    fn finish(mut self, agg: &Agg, parents: usize, alone: bool) -> Result<Vec<Partial>, ApiError> {
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
        let cut = match &agg.kind {
            AggKind::Terms(spec) if alone && self.keyer.keys_are_in_order() => {
                self.table.cut(spec, parents)
            }
            _ => None,
        };
        let kept = cut.as_ref().map_or(count, Cut::kept);
        let each = size_of::<Bucket>() + KEY_BYTES + self.subs.len() * size_of::<Partial>();
        self.beat.pulse().charge((kept * each) as u64)?;
        let mut subs = self
            .subs
            .into_iter()
            .zip(&agg.subs)
            .map(|(node, agg)| Ok(node.finish(agg, count, alone)?.into_iter()))
            .collect::<Result<Vec<_>, ApiError>>()?;
        let zero = if self.zero_buckets {
            self.keyer.all_keys()
        } else {
            Vec::new()
        };
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
fn charge_ahead(charged: &mut usize, subs: &[Node], pulse: &Pulse) -> bool {
    let more = (*charged).clamp(MIN_CHARGED, MAX_CHARGED);
    *charged += more;
    let each = BUCKET_BYTES + subs.iter().map(Node::bytes_each).sum::<u64>();
    pulse.charge(more as u64 * each).is_ok()
}

/// Buckets between two charges: few at first, for aggregations of few.
const MIN_CHARGED: usize = 64;
const MAX_CHARGED: usize = 65_536;
/// The text of a key, and its allocation.
const KEY_BYTES: usize = 32;
/// The best documents of a bucket.
const TOP_HITS_BYTES: u64 = 512;

/// Returns the element of a bucket, adding what lacks before it.
fn grow<T>(list: &mut Vec<T>, bucket: u32, new: impl FnMut() -> T) -> &mut T {
    let place = bucket as usize;
    if list.len() <= place {
        list.resize_with(place + 1, new);
    }
    &mut list[place]
}

fn each_number(
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

fn collect_distinct(
    values: &Values,
    missing: Option<u64>,
    Entry { doc, bucket, .. }: Entry,
    sketch: &mut Distinct,
    ords: &mut Vec<HashedSet>,
) {
    let mut any = false;
    match values {
        // The only value of `_index` is given as `missing`.
        Values::None | Values::Same => {}
        Values::Text(column) => {
            let ords = grow(ords, bucket, HashedSet::default);
            for ord in column.ords().values_for_doc(doc) {
                any = true;
                ords.insert(ord);
            }
        }
        Values::Number(numbers) if numbers.is_unsigned() => numbers.unsigned(doc, |value| {
            any = true;
            sketch.insert(hash_u64(value));
        }),
        Values::Number(numbers) if numbers.is_integer() => numbers.longs(doc, |value| {
            any = true;
            sketch.insert(hash_long(value));
        }),
        Values::Number(numbers) => numbers.doubles(doc, |value| {
            any = true;
            sketch.insert(hash_double(value));
        }),
    }
    if !any && let Some(hash) = missing {
        sketch.insert(hash);
    }
}

/// The hash of an integer; equal doubles hash alike.
pub(super) fn hash_long(value: i64) -> u64 {
    hash_u64(value as u64)
}

/// The hash of a double; whole numbers hash as integers.
pub(super) fn hash_double(value: f64) -> u64 {
    let whole = value as i64;
    if whole as f64 == value {
        hash_long(whole)
    } else {
        hash_u64(value.to_bits())
    }
}

fn finish_distinct(
    values: &Values,
    mut sketch: Distinct,
    ords: HashedSet,
) -> Result<Partial, ApiError> {
    if let Values::Text(column) = values {
        let mut ords: Vec<u64> = ords.into_iter().collect();
        ords.sort_unstable();
        column
            .dictionary()
            .sorted_ords_to_term_cb(&ords, |term| sketch.insert(hash_bytes(term)))
            .map_err(|e| engine_error(&e))?;
    }
    Ok(Partial::Distinct(sketch))
}

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
