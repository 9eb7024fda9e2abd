//! Aggregations as they are asked for. Source: Elasticsearch reference, "Aggregations".

use ringwall_api::ApiError;
use serde_json::{Map, Value};

use crate::query::Query;
use crate::time::{Unit, Zone};

/// One named aggregation with the aggregations inside its buckets.
#[derive(Debug, Clone, PartialEq)]
pub struct Agg {
    pub name: String,
    pub kind: AggKind,
    pub subs: Vec<Agg>,
    /// Echoed in the answer.
    pub meta: Option<Map<String, Value>>,
}

impl Agg {
    /// Visits the queries of this aggregation and those inside it.
    pub(crate) fn each_query(
        &self,
        visit: &mut dyn FnMut(&Query) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        match &self.kind {
            AggKind::Filter(query) => visit(query)?,
            AggKind::Filters(spec) => {
                for (_, query) in &spec.filters {
                    visit(query)?;
                }
            }
            _ => {}
        }
        self.subs.iter().try_for_each(|sub| sub.each_query(visit))
    }
}

/// Where values come from: a field, and what stands for documents without it.
#[derive(Debug, Clone, PartialEq)]
pub struct ValueSource {
    pub field: String,
    pub missing: Option<Value>,
}

/// What an aggregation computes.
#[derive(Debug, Clone, PartialEq)]
pub enum AggKind {
    Metric {
        kind: MetricKind,
        source: ValueSource,
    },
    Cardinality {
        source: ValueSource,
        precision_threshold: u32,
    },
    Percentiles {
        source: ValueSource,
        /// Percentages (`percentiles`) or values (`percentile_ranks`).
        points: Vec<f64>,
        ranks: bool,
        keyed: bool,
        compression: f64,
    },
    Terms(TermsSpec),
    Histogram(Box<HistogramSpec>),
    DateHistogram(Box<DateHistogramSpec>),
    Range(RangeSpec),
    Filter(Query),
    Filters(FiltersSpec),
    Missing {
        field: String,
    },
    Global,
    TopHits(Box<TopHitsSpec>),
}

/// The metrics that are computed from sums and extremes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MetricKind {
    Avg,
    Min,
    Max,
    Sum,
    ValueCount,
    Stats,
    ExtendedStats { sigma: f64 },
}

/// `terms`.
#[derive(Debug, Clone, PartialEq)]
pub struct TermsSpec {
    pub source: ValueSource,
    pub size: usize,
    pub shard_size: usize,
    pub min_doc_count: u64,
    pub order: Vec<Order>,
    pub include: Option<TermFilter>,
    pub exclude: Option<TermFilter>,
    pub format: Option<String>,
}

/// Which terms make buckets.
#[derive(Debug, Clone, PartialEq)]
pub enum TermFilter {
    /// Exactly these values.
    Values(Vec<Value>),
    /// A Lucene regular expression over the whole term.
    Regexp(String),
}

/// One key of the order of buckets.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    pub by: OrderBy,
    pub ascending: bool,
}

/// What buckets are ordered by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderBy {
    Count,
    Key,
    /// Single-bucket aggregations on the way, then the metric: `a>b.avg`.
    Metric {
        path: Vec<String>,
        value: Option<String>,
    },
}

/// `histogram`.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramSpec {
    pub source: ValueSource,
    pub interval: f64,
    pub offset: f64,
    pub min_doc_count: u64,
    pub extended_bounds: Option<(f64, f64)>,
    pub hard_bounds: Option<(f64, f64)>,
    pub order: Vec<Order>,
    pub keyed: bool,
}

/// The width of the buckets of `date_histogram`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateInterval {
    Calendar(Unit),
    /// Milliseconds.
    Fixed(i64),
}

/// `date_histogram`.
#[derive(Debug, Clone, PartialEq)]
pub struct DateHistogramSpec {
    pub source: ValueSource,
    pub interval: DateInterval,
    pub zone: Zone,
    /// Milliseconds.
    pub offset: i64,
    pub format: Option<String>,
    pub min_doc_count: u64,
    /// Dates, date math or numbers, resolved by the shard.
    pub extended_bounds: Option<(Value, Value)>,
    pub hard_bounds: Option<(Value, Value)>,
    pub order: Vec<Order>,
    pub keyed: bool,
}

/// `range` and `date_range`.
#[derive(Debug, Clone, PartialEq)]
pub struct RangeSpec {
    pub source: ValueSource,
    pub date: bool,
    pub ranges: Vec<RangeItem>,
    pub keyed: bool,
    pub format: Option<String>,
    pub zone: Option<String>,
}

/// One bucket of a range aggregation: from inclusive, to exclusive.
#[derive(Debug, Clone, PartialEq)]
pub struct RangeItem {
    pub key: Option<String>,
    pub from: Option<Value>,
    pub to: Option<Value>,
}

/// `filters`.
#[derive(Debug, Clone, PartialEq)]
pub struct FiltersSpec {
    /// Names (when keyed) and queries, in the order of the answer.
    pub filters: Vec<(Option<String>, Query)>,
    /// The key of the bucket of what no filter matches, if wanted.
    pub other: Option<String>,
    pub keyed: bool,
}

/// `top_hits`.
#[derive(Debug, Clone, PartialEq)]
pub struct TopHitsSpec {
    pub source: crate::SearchSource,
}

impl Agg {
    /// Returns the name in the answer: `name`, or `type#name` with `typed_keys`.
    pub fn key(&self, typed: Option<&str>) -> String {
        match typed {
            Some(kind) => format!("{kind}#{}", self.name),
            None => self.name.clone(),
        }
    }

    /// Returns whether a bucket order may go through this aggregation.
    pub fn is_single_bucket(&self) -> bool {
        matches!(
            self.kind,
            AggKind::Filter(_) | AggKind::Missing { .. } | AggKind::Global
        )
    }
}

impl OrderBy {
    /// Reads `_count`, `_key`, or a path such as `a>b.avg`.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        match text {
            "_count" => return Ok(Self::Count),
            "_key" | "_term" | "_time" => return Ok(Self::Key),
            "" => return Err(ApiError::illegal_argument("[order] names nothing")),
            _ => {}
        }
        let mut path: Vec<String> = text.split('>').map(|part| part.trim().to_owned()).collect();
        let last = path.pop().unwrap_or_default();
        let (name, value) = match last.split_once('.') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (last, None),
        };
        path.push(name);
        Ok(Self::Metric { path, value })
    }
}
