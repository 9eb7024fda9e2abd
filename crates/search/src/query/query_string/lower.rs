//! The trees of `query_string` and `simple_query_string` to plain queries, once the fields of the
//! shard are known. Source: Elasticsearch reference, "Query string query".

use std::cell::Cell;

use ringwall_api::ApiError;
use ringwall_index::Analyzer;
use serde_json::Value;

use super::syntax::{Clause, Leaf, Node, Role, Test};
use super::{QueryStringQuery, lucene, simple};
use crate::fields::FieldKind;
use crate::query::bool_query::BoolQuery;
use crate::query::compile::compile;
use crate::query::dis_max::DisMaxQuery;
use crate::query::exists::ExistsQuery;
use crate::query::fuzzy::{Fuzziness, FuzzyOptions, FuzzyQuery};
use crate::query::match_all::MatchNoneQuery;
use crate::query::match_phrase::PhraseQuery;
use crate::query::match_query::{MatchOptions, MatchQuery, Operator, ZeroTerms};
use crate::query::min_match::MinimumShouldMatch;
use crate::query::pattern::{PatternKind, PatternQuery};
use crate::query::range::{RangeQuery, Relation};
use crate::query::term::TermQuery;
use crate::query::{Query, text};
use crate::shard::{Shard, too_many_nested_clauses};

/// Turns a text query into the queries it stands for.
pub(super) fn lower(shard: &Shard<'_>, query: &QueryStringQuery) -> Result<Query, ApiError> {
    let clauses = shard.context.limits.max_clause_count;
    let root = if query.simple {
        simple::parse(&query.query, query.default_operator, clauses)?
    } else {
        lucene::parse(
            &query.query,
            query.default_operator,
            query.allow_leading_wildcard,
            clauses,
        )?
    };
    let lowering = Lowering {
        shard,
        query,
        made: Cell::new(0),
    };
    let lowered = match root {
        Node::Group { clauses, boost } => {
            lowering.group(clauses, boost, query.options.minimum_should_match.as_ref())
        }
        leaf => lowering.node(leaf),
    };
    shard.pulse.proceed()?;
    if lowering.made.get() > clauses {
        return Err(too_many_nested_clauses(clauses));
    }
    let lowered = lowered.unwrap_or(Query::MatchNone(MatchNoneQuery));
    if query.boost == 1.0 {
        return Ok(lowered);
    }
    Ok(Query::Bool(BoolQuery {
        must: vec![lowered],
        boost: Some(query.boost),
        ..BoolQuery::default()
    }))
}

struct Lowering<'a> {
    shard: &'a Shard<'a>,
    query: &'a QueryStringQuery,
    /// Conditions on fields made so far: each leaf is one for every field that it is about.
    made: Cell<usize>,
}

/// The queries of the parts of a text. `None`: analysis leaves nothing of the part, which then
/// counts as if it were not written.
impl Lowering<'_> {
    fn node(&self, node: Node) -> Option<Query> {
        match node {
            Node::Group { clauses, boost } => self.group(clauses, boost, None),
            Node::Leaf(leaf) => self.leaf(&leaf),
        }
    }

    fn group(
        &self,
        clauses: Vec<Clause>,
        boost: f32,
        minimum: Option<&MinimumShouldMatch>,
    ) -> Option<Query> {
        let mut lowered: Vec<(Role, Query)> = Vec::with_capacity(clauses.len());
        for clause in self.joined(clauses) {
            if let Some(query) = self.node(clause.node) {
                lowered.push((clause.role, query));
            }
        }
        // One clause needs no boolean query around it: cheaper, and fit for skipping.
        if let [(role, _)] = lowered.as_slice()
            && boost == 1.0
            && *role != Role::MustNot
        {
            return lowered.pop().map(|(_, query)| query);
        }
        if lowered.is_empty() {
            return None;
        }
        let mut query = BoolQuery {
            boost: Some(boost),
            minimum_should_match: minimum.cloned(),
            ..BoolQuery::default()
        };
        for (role, lowered) in lowered {
            match role {
                Role::Must => query.must.push(lowered),
                Role::Should => query.should.push(lowered),
                Role::MustNot => query.must_not.push(lowered),
            }
        }
        Some(Query::Bool(query))
    }

    /// Joins words that stand side by side into one text, as fields with a say in where terms end
    /// must see it. On one text field that makes no difference.
    fn joined(&self, clauses: Vec<Clause>) -> Vec<Clause> {
        let mut result: Vec<Clause> = Vec::with_capacity(clauses.len());
        for clause in clauses {
            if clause.bare
                && let Some(previous) = result.last_mut()
                && previous.bare
                && let (Node::Leaf(before), Node::Leaf(leaf)) = (&mut previous.node, &clause.node)
                && before.field == leaf.field
                && let (Test::Terms(text), Test::Terms(more)) = (&mut before.test, &leaf.test)
                && self.joins(leaf.field.as_deref())
            {
                text.push(' ');
                text.push_str(more);
                continue;
            }
            result.push(clause);
        }
        result
    }

    fn joins(&self, field: Option<&str>) -> bool {
        let fields = self.fields(field);
        match fields.as_slice() {
            [(only, ..)] => self
                .shard
                .field(only)
                .is_some_and(|field| field.kind == FieldKind::Keyword),
            fields => !fields.is_empty(),
        }
    }

    fn fields(&self, field: Option<&str>) -> Vec<(String, f32, bool)> {
        match field {
            Some(field) => text::expand_fields(self.shard, &[(field.to_owned(), 1.0)]),
            None => text::expand_fields(self.shard, &self.query.fields),
        }
    }

    fn leaf(&self, leaf: &Leaf) -> Option<Query> {
        if leaf.test == Test::All {
            return Some(Query::all(leaf.boost));
        }
        if leaf.test == Test::Exists {
            return Some(Query::Exists(ExistsQuery {
                field: leaf.field.clone().unwrap_or_default(),
                boost: leaf.boost,
            }));
        }
        let most = self.shard.context.limits.max_clause_count;
        if self.made.get() > most || !self.shard.pulse.check() {
            return None;
        }
        let fields = self.fields(leaf.field.as_deref());
        self.made.set(self.made.get() + fields.len().max(1));
        let found = fields.len();
        let fields: Vec<_> = fields
            .into_iter()
            .filter(|(field, ..)| !self.vanishes(field, &leaf.test))
            .collect();
        if found > 0 && fields.is_empty() {
            return None;
        }
        let mut queries: Vec<Query> = fields
            .into_iter()
            .filter_map(|(field, boost, lenient)| {
                self.leaf_on(leaf, &field, boost * leaf.boost, lenient)
            })
            .collect();
        Some(match queries.len() {
            0 => Query::MatchNone(MatchNoneQuery),
            1 => queries.remove(0),
            _ => Query::DisMax(DisMaxQuery {
                queries,
                tie_breaker: if self.query.most_fields {
                    1.0
                } else {
                    self.query.tie_breaker
                },
                boost: 1.0,
            }),
        })
    }

    /// Tells whether analysis leaves nothing of a text.
    fn vanishes(&self, field: &str, test: &Test) -> bool {
        let (Test::Terms(text) | Test::Phrase { text, .. }) = test else {
            return false;
        };
        self.analyzer(field)
            .is_some_and(|analyzer| analyzer.search_tokens(text, 1).is_ok_and(|t| t.is_empty()))
    }

    /// The analyzer of a text field, or the one that the query names.
    fn analyzer(&self, field: &str) -> Option<Analyzer> {
        let own = self.shard.field(field)?.search_analyzer().cloned()?;
        let named = self.query.options.analyzer.as_deref();
        let analysis = self.shard.mapping().analysis();
        Some(
            named
                .and_then(|name| analysis.analyzer(name))
                .unwrap_or(own),
        )
    }

    /// The query of a leaf on one field; `None` when a pattern chose a field that cannot take it.
    fn leaf_on(&self, leaf: &Leaf, field: &str, boost: f32, from_pattern: bool) -> Option<Query> {
        let lenient = from_pattern || self.query.options.lenient;
        let forgives = matches!(leaf.test, Test::Terms(_) | Test::Phrase { .. });
        let field = field.to_owned();
        let leaf_field = field.clone();
        let options = MatchOptions {
            operator: self.query.default_operator,
            minimum_should_match: None,
            lenient,
            ..self.query.options.clone()
        };
        let query = match &leaf.test {
            Test::All => Query::all(boost),
            Test::Exists => Query::Exists(ExistsQuery { field, boost }),
            Test::Terms(text) => Query::Match(MatchQuery {
                field,
                value: Value::String(text.clone()),
                options,
                last_is_prefix: false,
                boost,
            }),
            Test::Phrase { text, slop } => Query::MatchPhrase(PhraseQuery {
                field,
                value: Value::String(text.clone()),
                slop: slop.unwrap_or(self.query.phrase_slop),
                analyzer: options.analyzer,
                zero_terms: ZeroTerms::None,
                prefix_expansions: None,
                lenient,
                boost,
            }),
            Test::Fuzzy { text, edits } => Query::Fuzzy(FuzzyQuery {
                value: self.normalized(&field, text),
                field,
                options: FuzzyOptions {
                    fuzziness: edits.map_or(self.query.fuzzy.fuzziness, Fuzziness::Edits),
                    ..self.query.fuzzy
                },
                boost,
            }),
            Test::Prefix(text) => self.prefix(field, text, boost),
            Test::Wildcard(text) => self.pattern(PatternKind::Wildcard, field, text, boost),
            Test::Regexp(text) => self.pattern(PatternKind::Regexp, field, text, boost),
            Test::Range { lower, upper } => Query::Range(RangeQuery {
                field,
                lower: lower.clone(),
                upper: upper.clone(),
                format: None,
                time_zone: self
                    .query
                    .time_zone
                    .clone()
                    .filter(|_| self.is_date(&leaf_field)),
                relation: Relation::default(),
                boost,
            }),
        };
        // Other tests have no leniency of their own: whether they fit shows when they are compiled.
        let fits = !lenient || forgives || self.shard.apart(|| compile(self.shard, &query)).is_ok();
        fits.then_some(query)
    }

    /// `time_zone` concerns dates alone; the text may hold other ranges too.
    fn is_date(&self, field: &str) -> bool {
        self.shard
            .field(field)
            .is_some_and(|field| field.kind == FieldKind::Date)
    }

    /// A prefix, which `analyze_wildcard` breaks into terms before the last.
    fn prefix(&self, field: String, text: &str, boost: f32) -> Query {
        let analyzer = self
            .analyzer(&field)
            .filter(|_| self.query.analyze_wildcard);
        let Some(analyzer) = analyzer else {
            return self.pattern(PatternKind::Prefix, field, text, boost);
        };
        let most = self.shard.context.limits.max_clause_count;
        // Where there are more the query is refused for its clauses, and what an analyzer does not make finds nothing.
        let tokens = analyzer.search_tokens(text, most + 1).unwrap_or_default();
        let mut tokens: Vec<String> = tokens.into_iter().map(|t| t.text).collect();
        let Some(last) = tokens.pop() else {
            return Query::MatchNone(MatchNoneQuery);
        };
        let last = Query::Pattern(PatternQuery {
            kind: PatternKind::Prefix,
            field: field.clone(),
            value: last,
            case_insensitive: false,
            boost,
        });
        if tokens.is_empty() {
            return last;
        }
        let mut clauses: Vec<Query> = tokens
            .into_iter()
            .map(|token| {
                Query::Term(TermQuery {
                    field: field.clone(),
                    value: token.into(),
                    case_insensitive: false,
                    boost,
                })
            })
            .collect();
        clauses.push(last);
        let (must, should) = match self.query.default_operator {
            Operator::And => (clauses, Vec::new()),
            Operator::Or => (Vec::new(), clauses),
        };
        Query::Bool(BoolQuery {
            must,
            should,
            ..BoolQuery::default()
        })
    }

    fn pattern(&self, kind: PatternKind, field: String, text: &str, boost: f32) -> Query {
        let value = match kind {
            // A class such as \D would change its meaning.
            PatternKind::Regexp => text.to_owned(),
            _ => self.normalized(&field, text),
        };
        Query::Pattern(PatternQuery {
            kind,
            field,
            value,
            case_insensitive: false,
            boost,
        })
    }

    /// Terms of text fields are lower case, so parts of terms must be too.
    fn normalized(&self, field: &str, text: &str) -> String {
        if self.shard.lowercases(field) {
            text.to_lowercase()
        } else {
            text.to_owned()
        }
    }
}
