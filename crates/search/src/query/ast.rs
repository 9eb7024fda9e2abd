//! The query DSL as a tree, independent of any index. Source: Elasticsearch reference, "Query DSL".

use ringwall_index::geo::GeoPoint;
use serde_json::Value;

use super::min_match::MinimumShouldMatch;

/// A parsed query.
#[derive(Debug, Clone, PartialEq)]
pub enum Query {
    MatchAll {
        boost: f32,
    },
    MatchNone,
    Match(MatchQuery),
    MatchPhrase(PhraseQuery),
    MultiMatch(MultiMatchQuery),
    Term {
        field: String,
        value: Value,
        case_insensitive: bool,
        boost: f32,
    },
    Terms {
        field: String,
        values: Vec<Value>,
        boost: f32,
    },
    Range(RangeQuery),
    Exists {
        field: String,
        boost: f32,
    },
    Pattern(PatternQuery),
    Fuzzy(FuzzyQuery),
    Ids {
        values: Vec<String>,
        boost: f32,
    },
    Bool(BoolQuery),
    ConstantScore {
        filter: Box<Query>,
        boost: f32,
    },
    DisMax {
        queries: Vec<Query>,
        tie_breaker: f32,
        boost: f32,
    },
    Boosting {
        positive: Box<Query>,
        negative: Box<Query>,
        negative_boost: f32,
        boost: f32,
    },
    QueryString(QueryStringQuery),
    Geo(GeoQuery),
}

impl Query {
    /// Returns how deep the query nests; 1 for a leaf.
    pub(crate) fn depth(&self) -> usize {
        let deepest = |queries: &mut dyn Iterator<Item = &Query>| {
            queries.map(Query::depth).max().unwrap_or(0)
        };
        1 + match self {
            Self::Bool(query) => deepest(
                &mut [&query.must, &query.should, &query.filter, &query.must_not]
                    .into_iter()
                    .flatten(),
            ),
            Self::ConstantScore { filter, .. } => filter.depth(),
            Self::DisMax { queries, .. } => deepest(&mut queries.iter()),
            Self::Boosting {
                positive, negative, ..
            } => positive.depth().max(negative.depth()),
            _ => 0,
        }
    }
}

/// `bool`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BoolQuery {
    pub must: Vec<Query>,
    pub should: Vec<Query>,
    pub filter: Vec<Query>,
    pub must_not: Vec<Query>,
    pub minimum_should_match: Option<MinimumShouldMatch>,
    /// `None` is 1.
    pub boost: Option<f32>,
}

/// How the terms of an analyzed text combine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Operator {
    #[default]
    Or,
    And,
}

/// What a text without terms matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ZeroTerms {
    #[default]
    None,
    All,
}

/// The options that `match` and the queries built on it share.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MatchOptions {
    pub operator: Operator,
    pub minimum_should_match: Option<MinimumShouldMatch>,
    pub fuzziness: Option<FuzzyOptions>,
    pub analyzer: Option<String>,
    pub zero_terms: ZeroTerms,
    /// A value of the wrong type matches nothing instead of being an error.
    pub lenient: bool,
}

/// `match` and `match_bool_prefix`.
#[derive(Debug, Clone, PartialEq)]
pub struct MatchQuery {
    pub field: String,
    pub value: Value,
    pub options: MatchOptions,
    /// The last term is a prefix (`match_bool_prefix`).
    pub last_is_prefix: bool,
    pub boost: f32,
}

/// `match_phrase` and `match_phrase_prefix`.
#[derive(Debug, Clone, PartialEq)]
pub struct PhraseQuery {
    pub field: String,
    pub value: Value,
    pub slop: u32,
    pub analyzer: Option<String>,
    pub zero_terms: ZeroTerms,
    /// The last term is a prefix, expanded to at most so many terms.
    pub prefix_expansions: Option<usize>,
    pub lenient: bool,
    pub boost: f32,
}

/// How `multi_match` combines its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MultiMatchKind {
    #[default]
    BestFields,
    MostFields,
    Phrase,
    PhrasePrefix,
    BoolPrefix,
}

/// `multi_match`.
#[derive(Debug, Clone, PartialEq)]
pub struct MultiMatchQuery {
    /// Field patterns with their boosts; empty means every field.
    pub fields: Vec<(String, f32)>,
    pub value: Value,
    pub kind: MultiMatchKind,
    pub options: MatchOptions,
    pub slop: u32,
    pub max_expansions: usize,
    /// `None` is the default of the kind: 0 for best fields, 1 for most fields.
    pub tie_breaker: Option<f32>,
    pub boost: f32,
}

/// `range`.
#[derive(Debug, Clone, PartialEq)]
pub struct RangeQuery {
    pub field: String,
    pub lower: Option<RangeBound>,
    pub upper: Option<RangeBound>,
    pub format: Option<String>,
    pub time_zone: Option<String>,
    pub boost: f32,
}

/// One end of a range.
#[derive(Debug, Clone, PartialEq)]
pub struct RangeBound {
    pub value: Value,
    pub inclusive: bool,
}

/// What the terms of a field are tested against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatternKind {
    Prefix,
    Wildcard,
    Regexp,
}

/// `prefix`, `wildcard` and `regexp`.
#[derive(Debug, Clone, PartialEq)]
pub struct PatternQuery {
    pub kind: PatternKind,
    pub field: String,
    pub value: String,
    pub case_insensitive: bool,
    pub boost: f32,
}

/// `fuzzy`.
#[derive(Debug, Clone, PartialEq)]
pub struct FuzzyQuery {
    pub field: String,
    pub value: String,
    pub options: FuzzyOptions,
    pub boost: f32,
}

/// How many edits a fuzzy term may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fuzziness {
    Edits(u8),
    /// No edits below `low` characters, one below `high`, two from there.
    Auto {
        low: usize,
        high: usize,
    },
}

impl Fuzziness {
    /// Returns the edits allowed for a term.
    pub fn edits(self, term: &str) -> u8 {
        match self {
            Self::Edits(edits) => edits,
            Self::Auto { low, high } => match term.chars().count() {
                n if n < low => 0,
                n if n < high => 1,
                _ => 2,
            },
        }
    }
}

/// The options of fuzzy terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FuzzyOptions {
    pub fuzziness: Fuzziness,
    pub prefix_length: usize,
    pub max_expansions: usize,
    pub transpositions: bool,
}

impl Default for FuzzyOptions {
    fn default() -> Self {
        Self {
            fuzziness: Fuzziness::Auto { low: 3, high: 6 },
            prefix_length: 0,
            max_expansions: 50,
            transpositions: true,
        }
    }
}

/// `query_string` and `simple_query_string`: the text stays text until the mapping is known,
/// because field names with wildcards and default fields depend on it.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryStringQuery {
    pub query: String,
    /// Field patterns with their boosts; empty means every field.
    pub fields: Vec<(String, f32)>,
    /// The forgiving syntax of `simple_query_string`.
    pub simple: bool,
    pub default_operator: Operator,
    pub allow_leading_wildcard: bool,
    /// Prefixes on text fields are analyzed: `well-kn*` is `well` and a prefix `kn`.
    pub analyze_wildcard: bool,
    pub phrase_slop: u32,
    pub fuzzy: FuzzyOptions,
    pub options: MatchOptions,
    pub most_fields: bool,
    pub tie_breaker: f32,
    pub time_zone: Option<String>,
    pub boost: f32,
}

/// Documents with a point in an area.
#[derive(Debug, Clone, PartialEq)]
pub struct GeoQuery {
    pub field: String,
    pub area: Area,
    /// A field that is not mapped matches nothing, where it is an error otherwise.
    pub ignore_unmapped: bool,
    /// Whether what does not lie on the earth is refused.
    pub strict: bool,
    pub boost: f32,
}

/// A part of the surface of the earth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Area {
    Around {
        point: GeoPoint,
        metres: f64,
    },
    /// Degrees. Where the left end is greater than the right one, the box crosses the date line.
    Box {
        top: f64,
        left: f64,
        bottom: f64,
        right: f64,
    },
}

impl Area {
    /// Returns the name of the query that asks for it.
    pub fn query_name(&self) -> &'static str {
        match self {
            Self::Around { .. } => "geo_distance",
            Self::Box { .. } => "geo_bounding_box",
        }
    }

    /// Returns whether the point lies in it.
    pub fn contains(&self, point: &GeoPoint) -> bool {
        match self {
            Self::Around {
                point: centre,
                metres,
            } => centre.distance(point) <= *metres,
            Self::Box {
                top,
                left,
                bottom,
                right,
            } => {
                let between = match left <= right {
                    true => (*left..=*right).contains(&point.lon),
                    false => point.lon >= *left || point.lon <= *right,
                };
                between && (*bottom..=*top).contains(&point.lat)
            }
        }
    }
}
