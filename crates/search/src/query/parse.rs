//! JSON to [`Query`]. Everything that is not understood is an error. Source: Elasticsearch reference, "Query DSL".

use ringwall_api::{ApiError, ErrorCode};
use serde_json::Value;

use super::ast::*;
use super::min_match::MinimumShouldMatch;
use crate::parse::{
    Object, did_you_mean, f64_of, malformed, parsing, scalar_text, text_of, texts_of, token_name,
};

/// Parses a query object, which has exactly one member: the name of the query.
pub fn parse_query(value: &Value) -> Result<Query, ApiError> {
    parse_at(value, 0)
}

/// Every query name understood.
pub const QUERY_NAMES: [&str; 24] = [
    "bool",
    "boosting",
    "constant_score",
    "dis_max",
    "exists",
    "fuzzy",
    "geo_bounding_box",
    "geo_distance",
    "ids",
    "match",
    "match_all",
    "match_bool_prefix",
    "match_none",
    "match_phrase",
    "match_phrase_prefix",
    "multi_match",
    "prefix",
    "query_string",
    "range",
    "regexp",
    "simple_query_string",
    "term",
    "terms",
    "wildcard",
];

/// No query nests deeper, whatever `indices.query.bool.max_nested_depth` says: parsing and compiling
/// go as deep on the stack.
const MAX_DEPTH: usize = 64;

fn parse_at(value: &Value, depth: usize) -> Result<Query, ApiError> {
    if depth >= MAX_DEPTH {
        return Err(too_deep());
    }
    let Value::Object(members) = value else {
        return Err(parsing(format!(
            "[_na] query malformed, must start with start_object but found [{}]",
            token_name(value)
        )));
    };
    let mut entries = members.iter();
    let Some((name, body)) = entries.next() else {
        return Err(ApiError::illegal_argument(
            "query malformed, empty clause found",
        ));
    };
    if entries.next().is_some() {
        return Err(parsing(format!(
            "[{name}] malformed query, expected [END_OBJECT] but found [FIELD_NAME]"
        )));
    }
    dispatch(name, body, depth)
}

/// Refuses queries that nest deeper than `indices.query.bool.max_nested_depth`, leaves counted.
pub fn check_query_depth(query: &Query, most: usize) -> Result<(), ApiError> {
    if query.depth() > most {
        return Err(too_deep());
    }
    Ok(())
}

fn too_deep() -> ApiError {
    ApiError::illegal_argument(
        "The nested depth of the query exceeds the maximum nested depth for queries set in \
         [indices.query.bool.max_nested_depth]",
    )
}

fn dispatch(name: &str, body: &Value, depth: usize) -> Result<Query, ApiError> {
    match name {
        "match_all" => match_all(body),
        "match_none" => {
            let mut object = Object::new(name, body)?;
            object.boost()?;
            object.finish()?;
            Ok(Query::MatchNone)
        }
        "match" => match_query("match", body, false),
        "match_bool_prefix" => match_query("match_bool_prefix", body, true),
        "match_phrase" => match_phrase("match_phrase", body, false),
        "match_phrase_prefix" => match_phrase("match_phrase_prefix", body, true),
        "multi_match" => multi_match(body),
        "term" => term(body),
        "terms" => terms(body),
        "range" => range(body),
        "geo_bounding_box" => super::geo::parse_bounding_box(body),
        "geo_distance" => super::geo::parse_distance(body),
        "exists" => {
            let mut object = Object::new(name, body)?;
            let field = text_of(name, "field", object.require("field")?)?;
            let boost = object.boost()?;
            object.finish()?;
            Ok(Query::Exists { field, boost })
        }
        "prefix" => pattern(PatternKind::Prefix, body),
        "wildcard" => pattern(PatternKind::Wildcard, body),
        "regexp" => pattern(PatternKind::Regexp, body),
        "fuzzy" => fuzzy(body),
        "ids" => ids(body),
        "bool" => bool_query(body, depth),
        "constant_score" => {
            let mut object = Object::new(name, body)?;
            let filter = Box::new(parse_at(object.require("filter")?, depth + 1)?);
            let boost = object.boost()?;
            object.finish()?;
            Ok(Query::ConstantScore { filter, boost })
        }
        "dis_max" => dis_max(body, depth),
        "boosting" => boosting(body, depth),
        "query_string" => super::string_options::query_string(body),
        "simple_query_string" => super::string_options::simple_query_string(body),
        unknown => Err(unknown_query(unknown)),
    }
}

fn unknown_query(name: &str) -> ApiError {
    parsing(format!(
        "unknown query [{name}]{}",
        did_you_mean(name, QUERY_NAMES)
    ))
    .caused_by(ApiError::new(
        ErrorCode::NamedObjectNotFound,
        format!("unknown field [{name}]"),
    ))
}

fn match_all(body: &Value) -> Result<Query, ApiError> {
    let mut object = Object::new("match_all", body)?;
    let boost = object.boost()?;
    object.finish()?;
    Ok(Query::MatchAll { boost })
}

/// The body `{"field": X}` of most leaf queries; X is an object of options or the short form.
fn single_field<'a>(name: &str, body: &'a Value) -> Result<(&'a str, &'a Value), ApiError> {
    let Value::Object(members) = body else {
        return Err(malformed(name, "START_OBJECT", body));
    };
    let mut entries = members.iter();
    let Some((field, value)) = entries.next() else {
        return Err(parsing(format!(
            "[{name}] query malformed, no field name given"
        )));
    };
    if let Some((second, _)) = entries.next() {
        return Err(parsing(format!(
            "[{name}] query doesn't support multiple fields, found [{field}] and [{second}]"
        )));
    }
    Ok((field, value))
}

/// Refuses null and arrays where one value is expected.
fn scalar(name: &str, value: &Value) -> Result<Value, ApiError> {
    match value {
        Value::Array(_) => Err(parsing(format!(
            "[{name}] query does not support array of values"
        ))),
        Value::Object(_) => Err(parsing(format!(
            "[{name}] query does not support an object as value"
        ))),
        Value::Null => Err(ApiError::illegal_argument("value cannot be null")),
        other => Ok(other.clone()),
    }
}

fn match_query(name: &str, body: &Value, last_is_prefix: bool) -> Result<Query, ApiError> {
    let (field, value) = single_field(name, body)?;
    let field = field.to_owned();
    if !value.is_object() {
        return Ok(Query::Match(MatchQuery {
            field,
            value: scalar(name, value)?,
            options: MatchOptions::default(),
            last_is_prefix,
            boost: 1.0,
        }));
    }
    let mut object = Object::new(name, value)?;
    let value = scalar(name, object.require("query")?)?;
    let options = match_options(&mut object)?;
    let boost = object.boost()?;
    object.finish()?;
    Ok(Query::Match(MatchQuery {
        field,
        value,
        options,
        last_is_prefix,
        boost,
    }))
}

/// Takes the members shared by `match` and `multi_match`.
fn match_options(object: &mut Object<'_>) -> Result<MatchOptions, ApiError> {
    let operator = operator(object, "operator")?;
    let minimum_should_match = object
        .take("minimum_should_match")
        .map(MinimumShouldMatch::parse)
        .transpose()?;
    let fuzziness = fuzzy_options(object, false)?;
    object.bool("auto_generate_synonyms_phrase_query")?;
    Ok(MatchOptions {
        operator,
        minimum_should_match,
        fuzziness,
        analyzer: object.text("analyzer")?,
        zero_terms: zero_terms(object)?,
        lenient: object.bool("lenient")?.unwrap_or(false),
    })
}

/// Takes an `and`/`or` member.
pub(super) fn operator(object: &mut Object<'_>, key: &'static str) -> Result<Operator, ApiError> {
    match object.text(key)?.map(|t| t.to_ascii_lowercase()).as_deref() {
        None | Some("or") => Ok(Operator::Or),
        Some("and") => Ok(Operator::And),
        Some(other) => Err(ApiError::illegal_argument(format!(
            "No enum constant org.elasticsearch.index.query.Operator.{}, expected [and] or [or] \
             for [{key}]",
            other.to_ascii_uppercase()
        ))),
    }
}

fn zero_terms(object: &mut Object<'_>) -> Result<ZeroTerms, ApiError> {
    match object.text("zero_terms_query")?.as_deref() {
        None | Some("none" | "NONE") => Ok(ZeroTerms::None),
        Some("all" | "ALL") => Ok(ZeroTerms::All),
        Some(other) => Err(parsing(format!(
            "Unsupported zero_terms_query value [{other}], expected [none] or [all]"
        ))),
    }
}

/// Takes the fuzzy members. Without `fuzziness` the result is `None` unless `always`.
pub(super) fn fuzzy_options(
    object: &mut Object<'_>,
    always: bool,
) -> Result<Option<FuzzyOptions>, ApiError> {
    let fuzziness = object.take("fuzziness").map(parse_fuzziness).transpose()?;
    let defaults = FuzzyOptions::default();
    let options = FuzzyOptions {
        fuzziness: fuzziness.unwrap_or(defaults.fuzziness),
        prefix_length: object
            .usize("prefix_length")?
            .unwrap_or(defaults.prefix_length),
        max_expansions: object
            .usize("max_expansions")?
            .unwrap_or(defaults.max_expansions),
        transpositions: object
            .bool(if always {
                "transpositions"
            } else {
                "fuzzy_transpositions"
            })?
            .unwrap_or(true),
    };
    if !always {
        object.only("fuzzy_rewrite", "top_terms_blended_freqs_50")?;
    }
    Ok((always || fuzziness.is_some()).then_some(options))
}

/// Reads `0`, `1`, `2`, `AUTO` or `AUTO:low,high`.
pub(super) fn parse_fuzziness(value: &Value) -> Result<Fuzziness, ApiError> {
    let text = scalar_text(value).unwrap_or_default();
    let invalid = || {
        ApiError::illegal_argument(format!(
            "invalid [fuzziness] value [{text}], expected 0, 1, 2, AUTO or AUTO:[low],[high]"
        ))
    };
    let upper = text.to_ascii_uppercase();
    if upper == "AUTO" {
        return Ok(Fuzziness::Auto { low: 3, high: 6 });
    }
    if let Some(bounds) = upper.strip_prefix("AUTO:") {
        let (low, high) = bounds.split_once(',').ok_or_else(invalid)?;
        let low: usize = low.trim().parse().map_err(|_| invalid())?;
        let high: usize = high.trim().parse().map_err(|_| invalid())?;
        if low > high {
            return Err(invalid());
        }
        return Ok(Fuzziness::Auto { low, high });
    }
    match text.parse::<f64>() {
        Ok(edits) if (0.0..=2.0).contains(&edits) && edits.fract() == 0.0 => {
            Ok(Fuzziness::Edits(edits as u8))
        }
        _ => Err(invalid()),
    }
}

fn match_phrase(name: &str, body: &Value, prefix: bool) -> Result<Query, ApiError> {
    let (field, value) = single_field(name, body)?;
    let mut query = PhraseQuery {
        field: field.to_owned(),
        value: Value::Null,
        slop: 0,
        analyzer: None,
        zero_terms: ZeroTerms::None,
        prefix_expansions: prefix.then_some(50),
        lenient: false,
        boost: 1.0,
    };
    if !value.is_object() {
        query.value = scalar(name, value)?;
        return Ok(Query::MatchPhrase(query));
    }
    let mut object = Object::new(name, value)?;
    query.value = scalar(name, object.require("query")?)?;
    query.slop = slop(&mut object, "slop")?;
    query.analyzer = object.text("analyzer")?;
    query.zero_terms = zero_terms(&mut object)?;
    query.boost = object.boost()?;
    if prefix && let Some(expansions) = object.usize("max_expansions")? {
        query.prefix_expansions = Some(expansions);
    }
    object.finish()?;
    Ok(Query::MatchPhrase(query))
}

/// Takes a phrase slop.
pub(super) fn slop(object: &mut Object<'_>, key: &'static str) -> Result<u32, ApiError> {
    let slop = object.usize(key)?.unwrap_or(0);
    u32::try_from(slop).map_err(|_| ApiError::illegal_argument(format!("[{key}] is too large")))
}

fn multi_match(body: &Value) -> Result<Query, ApiError> {
    let name = "multi_match";
    let mut object = Object::new(name, body)?;
    let value = scalar(name, object.require("query")?)?;
    let fields = field_list(&mut object, name)?;
    let kind = match object.text("type")?.as_deref() {
        None | Some("best_fields") => MultiMatchKind::BestFields,
        Some("most_fields") => MultiMatchKind::MostFields,
        Some("phrase") => MultiMatchKind::Phrase,
        Some("phrase_prefix") => MultiMatchKind::PhrasePrefix,
        Some("bool_prefix") => MultiMatchKind::BoolPrefix,
        Some(other) => {
            return Err(parsing(format!(
                "[multi_match] supports [best_fields, most_fields, phrase, phrase_prefix, \
                 bool_prefix] as [type], got [{other}]"
            )));
        }
    };
    let max_expansions = match object.take("max_expansions") {
        Some(value) => f64_of(name, "max_expansions", value)?.max(0.0) as usize,
        None => 50,
    };
    let options = match_options(&mut object)?;
    let is_phrase = matches!(kind, MultiMatchKind::Phrase | MultiMatchKind::PhrasePrefix);
    if is_phrase && options.fuzziness.is_some() {
        return Err(parsing(
            "Fuzziness not allowed for type [phrase] and [phrase_prefix] in [multi_match]",
        ));
    }
    if kind == MultiMatchKind::BoolPrefix && object.take("slop").is_some() {
        return Err(parsing(
            "[slop] not allowed for type [bool_prefix] in [multi_match]",
        ));
    }
    let query = MultiMatchQuery {
        fields,
        value,
        kind,
        options,
        slop: slop(&mut object, "slop")?,
        max_expansions,
        tie_breaker: object.f64("tie_breaker")?.map(|t| t as f32),
        boost: object.boost()?,
    };
    object.finish()?;
    Ok(Query::MultiMatch(query))
}

/// Takes `fields`: a text or a list of `name`, `name^boost` and patterns.
pub(super) fn field_list(
    object: &mut Object<'_>,
    name: &str,
) -> Result<Vec<(String, f32)>, ApiError> {
    let Some(value) = object.take("fields") else {
        return Ok(Vec::new());
    };
    if value
        .as_array()
        .is_some_and(|items| items.iter().any(Value::is_null))
    {
        return Err(parsing(format!(
            "[{name}] field name in [fields] cannot be null"
        )));
    }
    texts_of(name, "fields", value)?
        .iter()
        .map(|text| parse_field_boost(name, text))
        .collect()
}

fn parse_field_boost(name: &str, text: &str) -> Result<(String, f32), ApiError> {
    let Some((field, boost)) = text.rsplit_once('^') else {
        return Ok((text.to_owned(), 1.0));
    };
    match boost.parse::<f32>() {
        Ok(boost) if boost >= 0.0 && boost.is_finite() => Ok((field.to_owned(), boost)),
        _ => Err(ApiError::illegal_argument(format!(
            "[{name}] field [{text}] has a bad boost [{boost}], expected a positive number"
        ))),
    }
}

fn term(body: &Value) -> Result<Query, ApiError> {
    let name = "term";
    let (field, value) = single_field(name, body)?;
    let field = field.to_owned();
    if !value.is_object() {
        return Ok(Query::Term {
            field,
            value: scalar(name, value)?,
            case_insensitive: false,
            boost: 1.0,
        });
    }
    let mut object = Object::new(name, value)?;
    let value = scalar(name, object.require("value")?)?;
    let case_insensitive = object.bool("case_insensitive")?.unwrap_or(false);
    let boost = object.boost()?;
    object.finish()?;
    Ok(Query::Term {
        field,
        value,
        case_insensitive,
        boost,
    })
}

fn terms(body: &Value) -> Result<Query, ApiError> {
    let name = "terms";
    let mut object = Object::new(name, body)?;
    let boost = object.boost()?;
    let rest = object.take_rest();
    let [(field, values)] = rest.as_slice() else {
        return Err(parsing(
            "[terms] query requires exactly one field, with an array of values",
        ));
    };
    let Value::Array(items) = values else {
        return Err(parsing(if values.is_object() {
            "[terms] lookup of terms in another document is not supported".to_owned()
        } else {
            format!(
                "[terms] query does not support [{}], expected an array",
                token_name(values)
            )
        }));
    };
    let values = items
        .iter()
        .map(|item| scalar(name, item))
        .collect::<Result<_, _>>()?;
    Ok(Query::Terms {
        field: (*field).to_owned(),
        values,
        boost,
    })
}

fn range(body: &Value) -> Result<Query, ApiError> {
    let name = "range";
    let (field, value) = single_field(name, body)?;
    let mut object = Object::new(name, value)?;
    let include_lower = object.bool("include_lower")?.unwrap_or(true);
    let include_upper = object.bool("include_upper")?.unwrap_or(true);
    let lower = bound(
        name,
        &mut object,
        &[("gte", true), ("gt", false), ("from", include_lower)],
    )?;
    let upper = bound(
        name,
        &mut object,
        &[("lte", true), ("lt", false), ("to", include_upper)],
    )?;
    let query = RangeQuery {
        field: field.to_owned(),
        lower,
        upper,
        format: object.text("format")?,
        time_zone: object.text("time_zone")?,
        boost: object.boost()?,
    };
    object.finish()?;
    Ok(Query::Range(query))
}

fn bound(
    name: &str,
    object: &mut Object<'_>,
    keys: &[(&'static str, bool)],
) -> Result<Option<RangeBound>, ApiError> {
    let mut found: Option<(&str, RangeBound)> = None;
    for (key, inclusive) in keys {
        let Some(value) = object.take(key) else {
            continue;
        };
        if let Some((first, _)) = &found {
            return Err(parsing(format!(
                "[range] query does not support both [{first}] and [{key}]"
            )));
        }
        let bound = RangeBound {
            value: scalar(name, value)?,
            inclusive: *inclusive,
        };
        found = Some((key, bound));
    }
    Ok(found.map(|(_, bound)| bound))
}

fn pattern(kind: PatternKind, body: &Value) -> Result<Query, ApiError> {
    let name = match kind {
        PatternKind::Prefix => "prefix",
        PatternKind::Wildcard => "wildcard",
        PatternKind::Regexp => "regexp",
    };
    let (field, value) = single_field(name, body)?;
    let mut query = PatternQuery {
        kind,
        field: field.to_owned(),
        value: String::new(),
        case_insensitive: false,
        boost: 1.0,
    };
    if value.is_object() {
        let mut object = Object::new(name, value)?;
        let alternative = match kind {
            PatternKind::Wildcard => object.text("wildcard")?,
            PatternKind::Prefix | PatternKind::Regexp => None,
        };
        query.value = match alternative {
            Some(text) => text,
            None => text_of(name, "value", object.require("value")?)?,
        };
        query.case_insensitive = object.bool("case_insensitive")?.unwrap_or(false);
        query.boost = object.boost()?;
        constant_rewrite(&mut object)?;
        if kind == PatternKind::Regexp {
            object.only("flags", "ALL")?;
            object.usize("max_determinized_states")?;
        }
        object.finish()?;
    } else {
        query.value = text_of(name, "value", &scalar(name, value)?)?;
    }
    Ok(Query::Pattern(query))
}

/// Takes `rewrite`, of which the forms that score every match alike are supported.
pub(super) fn constant_rewrite(object: &mut Object<'_>) -> Result<(), ApiError> {
    match object.text("rewrite")?.as_deref() {
        None | Some("constant_score" | "constant_score_blended" | "constant_score_boolean") => {
            Ok(())
        }
        Some(other) => Err(ApiError::illegal_argument(format!(
            "only [constant_score], [constant_score_blended] and [constant_score_boolean] are \
             supported for [rewrite], got [{other}]"
        ))),
    }
}

fn fuzzy(body: &Value) -> Result<Query, ApiError> {
    let name = "fuzzy";
    let (field, value) = single_field(name, body)?;
    let mut query = FuzzyQuery {
        field: field.to_owned(),
        value: String::new(),
        options: FuzzyOptions::default(),
        boost: 1.0,
    };
    if !value.is_object() {
        query.value = text_of(name, "value", &scalar(name, value)?)?;
        return Ok(Query::Fuzzy(query));
    }
    let mut object = Object::new(name, value)?;
    query.value = text_of(name, "value", object.require("value")?)?;
    query.options = fuzzy_options(&mut object, true)?.unwrap_or_default();
    query.boost = object.boost()?;
    object.only("rewrite", "top_terms_blended_freqs_50")?;
    object.finish()?;
    Ok(Query::Fuzzy(query))
}

fn ids(body: &Value) -> Result<Query, ApiError> {
    let mut object = Object::new("ids", body)?;
    let values = texts_of("ids", "values", object.require("values")?)?;
    let boost = object.boost()?;
    object.finish()?;
    Ok(Query::Ids { values, boost })
}

fn bool_query(body: &Value, depth: usize) -> Result<Query, ApiError> {
    let mut object = Object::new("bool", body)?;
    let query = BoolQuery {
        must: clauses(object.take("must"), depth)?,
        should: clauses(object.take("should"), depth)?,
        filter: clauses(object.take("filter"), depth)?,
        must_not: clauses(object.take("must_not"), depth)?,
        minimum_should_match: object
            .take("minimum_should_match")
            .map(MinimumShouldMatch::parse)
            .transpose()?,
        boost: Some(object.boost()?),
    };
    object.finish()?;
    Ok(Query::Bool(query))
}

fn clauses(value: Option<&Value>, depth: usize) -> Result<Vec<Query>, ApiError> {
    match value {
        None => Ok(Vec::new()),
        Some(Value::Array(items)) => items.iter().map(|q| parse_at(q, depth + 1)).collect(),
        Some(one) => Ok(vec![parse_at(one, depth + 1)?]),
    }
}

fn dis_max(body: &Value, depth: usize) -> Result<Query, ApiError> {
    let mut object = Object::new("dis_max", body)?;
    let queries = clauses(Some(object.require("queries")?), depth)?;
    if queries.is_empty() {
        return Err(parsing(
            "[dis_max] requires 'queries' field with at least one clause",
        ));
    }
    let tie_breaker = object.f64("tie_breaker")?.unwrap_or(0.0) as f32;
    let boost = object.boost()?;
    object.finish()?;
    Ok(Query::DisMax {
        queries,
        tie_breaker,
        boost,
    })
}

fn boosting(body: &Value, depth: usize) -> Result<Query, ApiError> {
    let mut object = Object::new("boosting", body)?;
    let positive = Box::new(parse_at(object.require("positive")?, depth + 1)?);
    let negative = Box::new(parse_at(object.require("negative")?, depth + 1)?);
    let negative_boost = f64_of(
        "boosting",
        "negative_boost",
        object.require("negative_boost")?,
    )? as f32;
    if negative_boost < 0.0 {
        return Err(ApiError::illegal_argument(
            "[boosting] query requires [negative_boost] to be set to be a positive value",
        ));
    }
    let boost = object.boost()?;
    object.finish()?;
    Ok(Query::Boosting {
        positive,
        negative,
        negative_boost,
        boost,
    })
}
