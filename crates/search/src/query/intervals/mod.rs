//! `intervals`: words that stand near one another, by rules. Source: Elasticsearch reference, "Intervals query".

mod compile;
mod source;
mod spans;

use ringwall_api::ApiError;
use serde_json::Value;

use self::compile::{compile_rule, seek_rule};
pub use self::spans::Relation;
use super::Query;
use super::compile::Compiled;
use super::fuzzy::{Fuzziness, parse_fuzziness};
use super::kind::{Definition, Kind};
use super::parse::single_field;
use super::pattern::PatternKind;
use crate::highlight::Sought;
use crate::parse::{Object, failed_to_create, malformed, parsing, token_name};
use crate::shard::Shard;

/// `intervals`.
#[derive(Debug, Clone, PartialEq)]
pub struct IntervalsQuery {
    pub field: String,
    pub rule: Rule,
    pub boost: f32,
}

/// A rule that finds intervals.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    pub what: What,
    pub filter: Option<Box<(Relation, Rule)>>,
}

/// What a rule looks for.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    Match {
        text: String,
        near: Near,
        by: By,
    },
    /// Terms of a pattern.
    Pattern {
        kind: PatternKind,
        pattern: String,
        by: By,
    },
    Fuzzy {
        term: String,
        fuzziness: Fuzziness,
        prefix_length: usize,
        transpositions: bool,
        by: By,
    },
    Range {
        from: Option<Bound>,
        to: Option<Bound>,
        field: Option<String>,
    },
    AllOf {
        rules: Vec<Rule>,
        near: Near,
    },
    AnyOf(Vec<Rule>),
}

/// How parts stand to one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Near {
    /// Positions between them; `None`: any number.
    pub max_gaps: Option<u32>,
    pub ordered: bool,
}

/// Whose words, and how text becomes such.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// Another field than that of the query.
    pub field: Option<String>,
    pub analyzer: Option<String>,
}

/// An end of a range of terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    pub term: String,
    pub included: bool,
}

const RULES: [&str; 8] = [
    "all_of", "any_of", "fuzzy", "match", "prefix", "range", "regexp", "wildcard",
];

pub(super) fn parse(given: &Definition<'_>) -> Result<Query, ApiError> {
    let (field, value) = single_field(given.name, given.body)?;
    let Value::Object(members) = value else {
        return Err(expected_object(value));
    };
    let mut object = Object::of(given.name, members);
    let boost = object.boost()?;
    let rule = parse_rule(object.take_rest(), given.depth)?;
    let field = field.to_owned();
    Ok(Query::Intervals(IntervalsQuery { field, rule, boost }))
}

/// Rules nest as queries do: parsing and compiling go as deep on the stack.
const MAX_DEPTH: usize = 64;

fn parse_rule(members: Vec<(&str, &Value)>, depth: usize) -> Result<Rule, ApiError> {
    if depth >= MAX_DEPTH {
        return Err(ApiError::illegal_argument(format!(
            "[intervals] rules nest deeper than [{MAX_DEPTH}]"
        )));
    }
    let mut members = members.into_iter();
    let Some((name, body)) = members.next() else {
        return Err(parsing("Missing intervals from interval query definition"));
    };
    if let Some((other, _)) = members.next() {
        return Err(parsing(format!(
            "Only one interval rule can be specified, found [{name}] and [{other}]"
        )));
    }
    if !RULES.contains(&name) {
        let rules = RULES.join(", ");
        return Err(parsing(format!(
            "Unknown interval type [{name}], expecting one of [{rules}]"
        )));
    }
    let mut object = Object::new(name, body)?;
    let what = match name {
        "match" => What::Match {
            text: required(&mut object, "query")?,
            near: near(&mut object)?,
            by: by(&mut object)?,
        },
        "prefix" => pattern(&mut object, PatternKind::Prefix, "prefix")?,
        "wildcard" => pattern(&mut object, PatternKind::Wildcard, "pattern")?,
        "regexp" => pattern(&mut object, PatternKind::Regexp, "pattern")?,
        "fuzzy" => What::Fuzzy {
            term: required(&mut object, "term")?,
            fuzziness: match object.take("fuzziness") {
                Some(value) => parse_fuzziness(value)?,
                None => Fuzziness::Auto { low: 3, high: 6 },
            },
            prefix_length: object.usize("prefix_length")?.unwrap_or(0),
            transpositions: object.bool("transpositions")?.unwrap_or(true),
            by: by(&mut object)?,
        },
        "range" => What::Range {
            from: bound(&mut object, "gte", "gt")?,
            to: bound(&mut object, "lte", "lt")?,
            field: object.text("use_field")?,
        },
        "all_of" => What::AllOf {
            rules: rules(&mut object, name, depth)?,
            near: near(&mut object)?,
        },
        _ => What::AnyOf(rules(&mut object, name, depth)?),
    };
    let filter = match name {
        "match" | "all_of" | "any_of" => filter(&mut object, depth)?,
        _ => None,
    };
    object.finish()?;
    Ok(Rule { what, filter })
}

fn required(object: &mut Object<'_>, key: &'static str) -> Result<String, ApiError> {
    let missing = || ApiError::illegal_argument(format!("Required [{key}]"));
    object.text(key)?.ok_or_else(missing)
}

fn near(object: &mut Object<'_>) -> Result<Near, ApiError> {
    Ok(Near {
        // As in Elasticsearch less than none says nothing.
        max_gaps: object
            .i64("max_gaps")?
            .and_then(|gaps| (gaps >= 0).then(|| u32::try_from(gaps).unwrap_or(u32::MAX))),
        ordered: object.bool("ordered")?.unwrap_or(false),
    })
}

fn by(object: &mut Object<'_>) -> Result<By, ApiError> {
    Ok(By {
        field: object.text("use_field")?,
        analyzer: object.text("analyzer")?,
    })
}

fn pattern(
    object: &mut Object<'_>,
    kind: PatternKind,
    key: &'static str,
) -> Result<What, ApiError> {
    Ok(What::Pattern {
        kind,
        pattern: required(object, key)?,
        by: by(object)?,
    })
}

fn bound(
    object: &mut Object<'_>,
    inclusive: &'static str,
    exclusive: &'static str,
) -> Result<Option<Bound>, ApiError> {
    let ends = [
        (object.text(inclusive)?, true),
        (object.text(exclusive)?, false),
    ];
    match ends {
        [(Some(_), _), (Some(_), _)] => Err(ApiError::illegal_argument(format!(
            "Only one of [{inclusive}] and [{exclusive}] can be given in an interval [range]"
        ))),
        ends => {
            let given = ends
                .into_iter()
                .find_map(|(term, included)| Some((term?, included)));
            let Some((term, included)) = given else {
                return Err(ApiError::illegal_argument(format!(
                    "Either [{inclusive}] or [{exclusive}], but not both, must be specified for range query"
                )));
            };
            Ok(Some(Bound { term, included }))
        }
    }
}

fn rules(object: &mut Object<'_>, name: &str, depth: usize) -> Result<Vec<Rule>, ApiError> {
    let Some(given) = object.take("intervals") else {
        return Err(ApiError::illegal_argument("Required [intervals]"));
    };
    let Value::Array(list) = given else {
        return Err(malformed(name, "START_ARRAY", given));
    };
    let rule = |value: &Value| match value {
        Value::Object(members) => parse_rule(Object::of(name, members).rest(), depth + 1),
        other => Err(expected_object(other)),
    };
    list.iter().map(rule).collect()
}

fn filter(
    object: &mut Object<'_>,
    depth: usize,
) -> Result<Option<Box<(Relation, Rule)>>, ApiError> {
    let Some(given) = object.take("filter") else {
        return Ok(None);
    };
    let Value::Object(members) = given else {
        return Err(malformed("filter", "START_OBJECT", given));
    };
    let mut entries = members.iter();
    let (Some((name, body)), None) = (entries.next(), entries.next()) else {
        return Err(parsing("[filter] of [intervals] takes exactly one filter"));
    };
    if name == "script" {
        return Err(ApiError::illegal_argument(
            "[script] is not supported as a filter of [intervals]; use the other filters",
        ));
    }
    let known = Relation::NAMES.into_iter().find(|(known, _)| known == name);
    let Some((_, relation)) = known else {
        return Err(failed_to_create(format!("Unknown filter type [{name}]")));
    };
    let Value::Object(rule) = body else {
        return Err(expected_object(body));
    };
    let rule = parse_rule(Object::of(name, rule).rest(), depth + 1)?;
    Ok(Some(Box::new((relation, rule))))
}

fn expected_object(found: &Value) -> ApiError {
    let token = token_name(found);
    parsing(format!("Expected [START_OBJECT] but got [{token}]"))
}

impl Kind for IntervalsQuery {
    fn compile(&self, shard: &Shard<'_>) -> Result<Compiled, ApiError> {
        compile_rule(shard, self)
    }

    fn counts_its_clauses(&self) -> bool {
        true
    }

    fn seek(&self, shard: &Shard<'_>, sought: &mut Sought) -> Result<(), ApiError> {
        seek_rule(shard, self, sought)
    }
}
