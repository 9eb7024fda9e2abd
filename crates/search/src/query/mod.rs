//! Queries: the DSL as a tree, its parsers, and its execution on a shard. Source: Elasticsearch reference, "Query DSL".
//!
//! A kind of query lives in one room, a file with what it holds, how it is read and how it compiles ([`kind::Kind`]).
//! [`QUERIES`] names them all, [`Query`] lists what they hold. What rooms share stands beside them.

// What kinds share.
mod compile;
mod custom;
mod edits;
mod graph;
mod kind;
pub mod min_match;
mod parse;
mod phrase;
mod ranges;
mod regexp;
mod similarity;
mod text;
mod values;
mod words;

// The rooms.
mod bool_query;
mod boosting;
mod constant_score;
mod dis_max;
mod exists;
mod fuzzy;
mod geo;
mod ids;
mod intervals;
mod match_all;
mod match_phrase;
mod match_query;
mod multi_match;
mod pattern;
mod query_string;
mod range;
mod term;
mod terms;

use self::kind::{Kind, Parse};

pub use bool_query::BoolQuery;
pub use boosting::BoostingQuery;
pub(crate) use compile::{Compiled, compile_root};
pub use constant_score::ConstantScoreQuery;
pub(crate) use custom::counts_fast;
pub use dis_max::DisMaxQuery;
pub use exists::ExistsQuery;
pub use fuzzy::FuzzyQuery;
pub use geo::GeoQuery;
pub(crate) use geo::geo_unit;
pub use ids::IdsQuery;
pub use intervals::IntervalsQuery;
pub use match_all::{MatchAllQuery, MatchNoneQuery};
pub use match_phrase::PhraseQuery;
pub use match_query::MatchQuery;
pub use multi_match::MultiMatchQuery;
pub use parse::{check_query_depth, parse_query};
pub(crate) use pattern::PatternKind;
pub use pattern::PatternQuery;
pub use query_string::QueryStringQuery;
pub use range::RangeQuery;
pub(crate) use regexp::TermPattern;
pub use term::TermQuery;
pub use terms::TermsQuery;
pub(crate) use values::date_value;

/// Every query understood, by its name in a request, in the order of names.
const QUERIES: &[(&str, Parse)] = &[
    ("bool", bool_query::parse),
    ("boosting", boosting::parse),
    ("constant_score", constant_score::parse),
    ("dis_max", dis_max::parse),
    ("exists", exists::parse),
    ("fuzzy", fuzzy::parse),
    ("geo_bounding_box", geo::parse_bounding_box),
    ("geo_distance", geo::parse_distance),
    ("ids", ids::parse),
    ("intervals", intervals::parse),
    ("match", |given| match_query::parse(given, false)),
    ("match_all", match_all::parse),
    ("match_bool_prefix", |given| match_query::parse(given, true)),
    ("match_none", match_all::parse_none),
    ("match_phrase", |given| match_phrase::parse(given, false)),
    ("match_phrase_prefix", |given| {
        match_phrase::parse(given, true)
    }),
    ("multi_match", multi_match::parse),
    ("prefix", |given| pattern::parse(given, PatternKind::Prefix)),
    ("query_string", query_string::parse),
    ("range", range::parse),
    ("regexp", |given| pattern::parse(given, PatternKind::Regexp)),
    ("simple_query_string", query_string::parse_simple),
    ("term", term::parse),
    ("terms", terms::parse),
    ("wildcard", |given| {
        pattern::parse(given, PatternKind::Wildcard)
    }),
];

/// A parsed query, independent of any index.
///
/// An enum, where aggregations are trait objects: the texts of `query_string` become other queries, the fast ways of a search
/// look for some kinds, and requests are compared.
#[derive(Debug, Clone, PartialEq)]
pub enum Query {
    Bool(BoolQuery),
    Boosting(BoostingQuery),
    ConstantScore(ConstantScoreQuery),
    DisMax(DisMaxQuery),
    Exists(ExistsQuery),
    Fuzzy(FuzzyQuery),
    Geo(GeoQuery),
    Ids(IdsQuery),
    Intervals(IntervalsQuery),
    Match(MatchQuery),
    MatchAll(MatchAllQuery),
    MatchNone(MatchNoneQuery),
    MatchPhrase(PhraseQuery),
    MultiMatch(MultiMatchQuery),
    Pattern(PatternQuery),
    QueryString(QueryStringQuery),
    Range(RangeQuery),
    Term(TermQuery),
    Terms(TermsQuery),
}

impl Query {
    fn kind(&self) -> &dyn Kind {
        match self {
            Self::Bool(query) => query,
            Self::Boosting(query) => query,
            Self::ConstantScore(query) => query,
            Self::DisMax(query) => query,
            Self::Exists(query) => query,
            Self::Fuzzy(query) => query,
            Self::Geo(query) => query,
            Self::Ids(query) => query,
            Self::Intervals(query) => query,
            Self::Match(query) => query,
            Self::MatchAll(query) => query,
            Self::MatchNone(query) => query,
            Self::MatchPhrase(query) => query,
            Self::MultiMatch(query) => query,
            Self::Pattern(query) => query,
            Self::QueryString(query) => query,
            Self::Range(query) => query,
            Self::Term(query) => query,
            Self::Terms(query) => query,
        }
    }

    /// Returns the query of everything.
    pub(crate) fn all(boost: f32) -> Self {
        Self::MatchAll(MatchAllQuery { boost })
    }

    /// See [`Kind::seek`].
    pub(crate) fn seek(
        &self,
        shard: &crate::shard::Shard<'_>,
        sought: &mut crate::highlight::Sought,
    ) -> Result<(), ringwall_api::ApiError> {
        self.kind().seek(shard, sought)
    }

    /// See [`Kind::needs_several`].
    pub(crate) fn needs_several(&self) -> bool {
        self.kind().needs_several()
    }

    /// Returns how deep the query nests; 1 for a leaf.
    pub(crate) fn depth(&self) -> usize {
        let parts = self.kind().parts().into_iter();
        1 + parts.map(Self::depth).max().unwrap_or(0)
    }

    /// Returns the score of every match, when it is the same and known without running the query.
    pub(crate) fn constant_score(&self) -> Option<tantivy::Score> {
        self.kind().constant_score()
    }
}

/// Returns the names of the queries, in their order.
pub fn query_names() -> impl Iterator<Item = &'static str> {
    QUERIES.iter().map(|(name, _)| *name)
}
