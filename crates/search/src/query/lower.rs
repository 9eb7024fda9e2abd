//! The trees of `query_string` and `simple_query_string` to plain queries, once the fields of the
//! shard are known. Source: data.md section 5.2.

use ringwall_api::ApiError;
use serde_json::Value;

use super::ast::*;
use super::syntax::{Clause, Leaf, Node, Role, Test};
use super::{lucene, simple, text};
use crate::shard::Shard;

/// Turns a text query into the queries it stands for.
pub(super) fn lower(shard: &Shard<'_>, query: &QueryStringQuery) -> Result<Query, ApiError> {
    let root = if query.simple {
        simple::parse(&query.query, query.default_operator)
    } else {
        lucene::parse(
            &query.query,
            query.default_operator,
            query.allow_leading_wildcard,
        )?
    };
    let lowering = Lowering { shard, query };
    let lowered = match root {
        Node::Group { clauses, boost } => {
            lowering.group(clauses, boost, query.options.minimum_should_match.as_ref())?
        }
        leaf => lowering.node(leaf)?,
    };
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
}

impl Lowering<'_> {
    fn node(&self, node: Node) -> Result<Query, ApiError> {
        match node {
            Node::Group { clauses, boost } => self.group(clauses, boost, None),
            Node::Leaf(leaf) => self.leaf(&leaf),
        }
    }

    fn group(
        &self,
        mut clauses: Vec<Clause>,
        boost: f32,
        minimum: Option<&super::min_match::MinimumShouldMatch>,
    ) -> Result<Query, ApiError> {
        if clauses.is_empty() {
            return Ok(Query::MatchNone);
        }
        // One clause needs no boolean query around it: cheaper, and fit for skipping.
        if clauses.len() == 1 && boost == 1.0 && clauses[0].role != Role::MustNot {
            let clause = clauses.remove(0);
            return self.node(clause.node);
        }
        let mut query = BoolQuery {
            boost: Some(boost),
            minimum_should_match: minimum.cloned(),
            ..BoolQuery::default()
        };
        for clause in clauses {
            let lowered = self.node(clause.node)?;
            match clause.role {
                Role::Must => query.must.push(lowered),
                Role::Should => query.should.push(lowered),
                Role::MustNot => query.must_not.push(lowered),
            }
        }
        Ok(Query::Bool(query))
    }

    fn leaf(&self, leaf: &Leaf) -> Result<Query, ApiError> {
        if leaf.test == Test::All {
            return Ok(Query::MatchAll { boost: leaf.boost });
        }
        if leaf.test == Test::Exists {
            return Ok(Query::Exists {
                field: leaf.field.clone().unwrap_or_default(),
                boost: leaf.boost,
            });
        }
        let fields = match &leaf.field {
            Some(field) => text::expand_fields(self.shard, &[(field.clone(), 1.0)]),
            None => text::expand_fields(self.shard, &self.query.fields),
        };
        let mut queries: Vec<Query> = fields
            .into_iter()
            .filter_map(|(field, boost, lenient)| {
                self.leaf_on(leaf, &field, boost * leaf.boost, lenient)
            })
            .collect();
        match queries.len() {
            0 => Ok(Query::MatchNone),
            1 => Ok(queries.remove(0)),
            _ => Ok(Query::DisMax {
                queries,
                tie_breaker: if self.query.most_fields {
                    1.0
                } else {
                    self.query.tie_breaker
                },
                boost: 1.0,
            }),
        }
    }

    /// The query of a leaf on one field; `None` when a pattern chose a field that cannot take it.
    fn leaf_on(&self, leaf: &Leaf, field: &str, boost: f32, from_pattern: bool) -> Option<Query> {
        let lenient = from_pattern || self.query.options.lenient;
        let has_terms = self.shard.has_terms(field);
        if lenient && !has_terms && !matches!(leaf.test, Test::Terms(_) | Test::Phrase { .. }) {
            return None;
        }
        let field = field.to_owned();
        let options = MatchOptions {
            operator: self.query.default_operator,
            minimum_should_match: None,
            lenient,
            ..self.query.options.clone()
        };
        Some(match &leaf.test {
            Test::All => Query::MatchAll { boost },
            Test::Exists => Query::Exists { field, boost },
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
            Test::Prefix(text) => self.pattern(PatternKind::Prefix, field, text, boost),
            Test::Wildcard(text) => self.pattern(PatternKind::Wildcard, field, text, boost),
            Test::Regexp(text) => self.pattern(PatternKind::Regexp, field, text, boost),
            Test::Range { lower, upper } => Query::Range(RangeQuery {
                field,
                lower: lower.clone(),
                upper: upper.clone(),
                format: None,
                time_zone: self.query.time_zone.clone(),
                boost,
            }),
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
