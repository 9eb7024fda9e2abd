//! Finding users, roles and API keys by queries over their fields: the small part of the query language that their
//! endpoints take. Source: Elasticsearch reference, "Query API key information API", "Query role API", "Query user API".

use std::cmp::Ordering;

use ringwall_api::security::{ListRequest, Listed, SortKey};
use ringwall_api::{ApiError, ApiResult, ErrorCode};
use ringwall_base::glob::{self, Syntax};
use serde_json::{Map, Value};

/// What can be asked about one kind of thing.
pub struct Fields {
    /// Names of fields; one that ends with a dot stands for all below it.
    pub known: &'static [&'static str],
    /// Those that order a list.
    pub sortable: &'static [&'static str],
    /// Those whose values are numbers. The values of all others are compared as texts.
    pub numbers: &'static [&'static str],
    /// Those of which `match` looks for words; of others it is `term`.
    pub words: &'static [&'static str],
    /// Those that `simple_query_string` looks into when it names none.
    pub text: &'static [&'static str],
}

/// One thing: what it is found by, and what is shown of it.
pub struct Item {
    /// Values by field; arrays match by any of theirs.
    pub fields: Map<String, Value>,
    pub shown: Value,
}

/// Returns the items that a request asks for.
///
/// # Errors
/// 400 for a query or field that is not supported, and for too large a window.
pub fn list(items: Vec<Item>, fields: &Fields, request: &ListRequest) -> ApiResult<Listed> {
    let window = request.from.saturating_add(request.size);
    if window > MAX_WINDOW {
        return Err(ApiError::illegal_argument(format!(
            "Result window is too large, from + size must be less than or equal to: [{MAX_WINDOW}] but was [{window}]."
        )));
    }
    let query = match &request.query {
        Some(query) => Query::parse(query, fields, 0)?,
        None => Query::All,
    };
    for key in &request.sort {
        check_field(&key.field, fields)?;
        if !fields
            .sortable
            .iter()
            .any(|known| covers(known, &key.field))
        {
            return Err(ApiError::illegal_argument(format!(
                "sorting is not supported for field [{}]",
                key.field
            )));
        }
    }
    if let Some(after) = &request.search_after {
        let (given, sorted) = (after.len(), request.sort.len());
        if sorted == 0 {
            return Err(ApiError::illegal_argument(
                "Sort must contain at least one field.",
            ));
        }
        if given != sorted {
            return Err(ApiError::illegal_argument(format!(
                "search_after has {given} value(s) but sort has {sorted}."
            )));
        }
    }
    let mut found: Vec<(Vec<Value>, Item)> = items
        .into_iter()
        .filter(|item| query.matches(&item.fields))
        .map(|item| (sort_values(&item, &request.sort), item))
        .collect();
    let total = found.len() as u64;
    found.sort_by(|(a, _), (b, _)| compare(a, b, &request.sort, fields));
    if let Some(after) = &request.search_after {
        found.retain(|(values, _)| {
            compare(values, after, &request.sort, fields) == Ordering::Greater
        });
    }
    let page = found.into_iter().skip(request.from).take(request.size);
    let shown = page.map(|(values, item)| {
        let mut shown = item.shown;
        if !values.is_empty() {
            shown["_sort"] = values.into();
        }
        shown
    });
    Ok(Listed {
        total,
        items: shown.collect(),
    })
}

/// Returns what an item is sorted by; of several values the first in the order that is asked for.
fn sort_values(item: &Item, sort: &[SortKey]) -> Vec<Value> {
    let value = |key: &SortKey| match item.fields.get(&key.field) {
        Some(Value::Array(values)) => {
            let best = |a: &&Value, b: &&Value| by_value(a, b);
            let values = values.iter().filter(|value| text(value).is_some());
            let first = match key.descending {
                true => values.max_by(best),
                false => values.min_by(best),
            };
            first.cloned().unwrap_or_default()
        }
        Some(value) if text(value).is_some() => value.clone(),
        _ => Value::Null,
    };
    sort.iter().map(value).collect()
}

/// What has no value comes last.
fn compare(a: &[Value], b: &[Value], sort: &[SortKey], fields: &Fields) -> Ordering {
    for ((a, b), key) in a.iter().zip(b).zip(sort) {
        let order = match (a, b) {
            (Value::Null, Value::Null) => Ordering::Equal,
            (Value::Null, _) => return Ordering::Greater,
            (_, Value::Null) => return Ordering::Less,
            (a, b) if fields.numbers.contains(&key.field.as_str()) => by_number(a, b),
            (a, b) => by_value(a, b),
        };
        let order = if key.descending {
            order.reverse()
        } else {
            order
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

fn by_number(a: &Value, b: &Value) -> Ordering {
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    number(a).total_cmp(&number(b))
}

fn by_value(a: &Value, b: &Value) -> Ordering {
    text(a).cmp(&text(b))
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    }
}

#[derive(Debug)]
enum Query {
    All,
    /// The value of a field is one of these.
    Terms(String, Vec<String>),
    /// A pattern with `*` and `?`.
    Wildcard(String, String),
    Exists(String),
    Range {
        field: String,
        is_number: bool,
        bounds: Vec<(Bound, Value)>,
    },
    /// Any of these words is in the text of a field.
    Words(String, Vec<String>),
    /// All of a list, at least so many of the next, none of the third.
    Bool {
        must: Vec<Query>,
        should: Vec<Query>,
        least: usize,
        must_not: Vec<Query>,
    },
}

#[derive(Debug, Clone, Copy)]
enum Bound {
    Gt,
    Gte,
    Lt,
    Lte,
}

impl Query {
    fn parse(written: &Value, fields: &Fields, depth: usize) -> ApiResult<Self> {
        if depth > MAX_DEPTH {
            return Err(ApiError::illegal_argument("the query is nested too deeply"));
        }
        let (kind, body) = only(written)?;
        match kind {
            "match_all" => Ok(Self::All),
            "term" | "match" => {
                let (field, value) = of_field(body, fields)?;
                let value = match value {
                    Value::Object(options) => options.get("value").or(options.get("query")),
                    value => Some(value),
                };
                let value = required(kind, value)?;
                Ok(
                    match kind == "match" && fields.words.contains(&field.as_str()) {
                        true => Self::Words(field, words(&value)),
                        false => Self::Terms(field, vec![value]),
                    },
                )
            }
            "terms" => {
                let (field, values) = of_field(body, fields)?;
                let values = values.as_array().ok_or_else(|| malformed(kind))?;
                let values = values.iter().map(|value| required(kind, Some(value)));
                Ok(Self::Terms(field, values.collect::<ApiResult<_>>()?))
            }
            "ids" => {
                let values = body["values"].as_array().ok_or_else(|| malformed(kind))?;
                let values = values.iter().map(|value| required(kind, Some(value)));
                Ok(Self::Terms(
                    ID.to_owned(),
                    values.collect::<ApiResult<_>>()?,
                ))
            }
            "prefix" | "wildcard" => {
                let (field, value) = of_field(body, fields)?;
                let value = match value {
                    Value::Object(options) => options.get("value").or(options.get("wildcard")),
                    value => Some(value),
                };
                let value = required(kind, value)?;
                Ok(match kind {
                    "prefix" => Self::Wildcard(field, escaped(&value) + "*"),
                    _ => Self::Wildcard(field, value),
                })
            }
            "exists" => {
                let field = required(kind, body.get("field"))?;
                check_field(&field, fields)?;
                Ok(Self::Exists(field))
            }
            "range" => {
                let (field, bounds) = of_field(body, fields)?;
                let bounds = bounds.as_object().ok_or_else(|| malformed(kind))?;
                let read = bounds.iter().map(|(name, value)| {
                    let bound = match name.as_str() {
                        "gt" => Bound::Gt,
                        "gte" => Bound::Gte,
                        "lt" => Bound::Lt,
                        "lte" => Bound::Lte,
                        other => return Err(unsupported_option(kind, other)),
                    };
                    match value {
                        Value::String(text) if fields.numbers.contains(&field.as_str()) => {
                            let number: Option<i64> = text.parse().ok();
                            let number = number.ok_or_else(|| {
                                ApiError::illegal_argument(format!(
                                    "[{text}] is not supported as a bound of [{field}]: give milliseconds since the epoch"
                                ))
                            })?;
                            Ok((bound, number.into()))
                        }
                        Value::Number(_) => Ok((bound, value.clone())),
                        Value::String(text) if !text.starts_with("now") => {
                            Ok((bound, value.clone()))
                        }
                        _ => Err(ApiError::illegal_argument(format!(
                            "[{value}] is not supported as a bound: give a number or a text"
                        ))),
                    }
                });
                let bounds = read.collect::<ApiResult<_>>()?;
                let is_number = fields.numbers.contains(&field.as_str());
                Ok(Self::Range {
                    field,
                    is_number,
                    bounds,
                })
            }
            "bool" => Self::parse_bool(body, fields, depth),
            "simple_query_string" => Self::parse_simple(body, fields),
            other => Err(ApiError::illegal_argument(format!(
                "Query type [{other}] is not currently supported in this context"
            ))),
        }
    }

    fn parse_bool(body: &Value, fields: &Fields, depth: usize) -> ApiResult<Self> {
        let (mut must, mut should, mut must_not, mut least) =
            (Vec::new(), Vec::new(), Vec::new(), None);
        for (name, value) in body.as_object().ok_or_else(|| malformed("bool"))? {
            let list = || -> ApiResult<Vec<Self>> {
                let one = std::slice::from_ref(value);
                let items = value.as_array().map_or(one, Vec::as_slice).iter();
                items
                    .map(|item| Self::parse(item, fields, depth + 1))
                    .collect()
            };
            match name.as_str() {
                "must" | "filter" => must.extend(list()?),
                "should" => should.extend(list()?),
                "must_not" => must_not.extend(list()?),
                "minimum_should_match" => {
                    let number = value.as_u64().ok_or_else(|| malformed("bool"))?;
                    least = Some(usize::try_from(number).unwrap_or(usize::MAX));
                }
                other => return Err(unsupported_option("bool", other)),
            }
        }
        let needed = usize::from(must.is_empty() && !should.is_empty());
        Ok(Self::Bool {
            must,
            should,
            least: least.unwrap_or(needed),
            must_not,
        })
    }

    /// Words, each in any of the fields: any word is enough, or all with `default_operator`.
    fn parse_simple(body: &Value, fields: &Fields) -> ApiResult<Self> {
        let kind = "simple_query_string";
        let options = body.as_object().ok_or_else(|| malformed(kind))?;
        let known = ["query", "fields", "default_operator"];
        if let Some(other) = options.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(unsupported_option(kind, other));
        }
        let words = required(kind, options.get("query"))?;
        if words.contains(['"', '(', ')', '|', '+', '~', '-', '\\']) {
            return Err(ApiError::illegal_argument(
                "[simple_query_string] takes words, which may end with [*], and no operators in this context",
            ));
        }
        let within: Vec<String> = match options.get("fields") {
            None => fields
                .text
                .iter()
                .map(|field| (*field).to_owned())
                .collect(),
            Some(list) => {
                let list = list.as_array().ok_or_else(|| malformed(kind))?;
                let list = list.iter().map(|field| required(kind, Some(field)));
                list.collect::<ApiResult<_>>()?
            }
        };
        within
            .iter()
            .try_for_each(|field| check_field(field, fields))?;
        let of_word = |word: &str| {
            let pattern = match word.strip_suffix('*') {
                Some(start) => escaped(start) + "*",
                None => escaped(word),
            };
            let each = within.iter();
            Self::Bool {
                must: Vec::new(),
                should: each
                    .map(|field| Self::Wildcard(field.clone(), pattern.clone()))
                    .collect(),
                least: 1,
                must_not: Vec::new(),
            }
        };
        let words: Vec<Self> = words.split_whitespace().map(of_word).collect();
        let least = match options.get("default_operator").and_then(Value::as_str) {
            None | Some("or" | "OR") => 1,
            Some("and" | "AND") => words.len(),
            Some(other) => return Err(unsupported_option(kind, other)),
        };
        Ok(Self::Bool {
            must: Vec::new(),
            should: words,
            least,
            must_not: Vec::new(),
        })
    }

    fn matches(&self, item: &Map<String, Value>) -> bool {
        let any = |field: &str, test: &dyn Fn(&Value) -> bool| match item.get(field) {
            Some(Value::Array(values)) => values.iter().any(test),
            Some(value) => test(value),
            None => false,
        };
        match self {
            Self::All => true,
            Self::Terms(field, wanted) => any(field, &|value| {
                text(value).is_some_and(|value| wanted.contains(&value))
            }),
            Self::Wildcard(field, pattern) => any(field, &|value| {
                text(value).is_some_and(|value| glob::matches(pattern, &value, Syntax::Wildcard))
            }),
            Self::Exists(field) => any(field, &|value| !value.is_null()),
            Self::Range {
                field,
                is_number,
                bounds,
            } => any(field, &|value| {
                let has_value = !value.is_null();
                has_value
                    && bounds.iter().all(|(bound, limit)| {
                        let order = match is_number {
                            true => by_number(value, limit),
                            false => by_value(value, limit),
                        };
                        match bound {
                            Bound::Gt => order == Ordering::Greater,
                            Bound::Gte => order != Ordering::Less,
                            Bound::Lt => order == Ordering::Less,
                            Bound::Lte => order != Ordering::Greater,
                        }
                    })
            }),
            Self::Words(field, wanted) => any(field, &|value| {
                text(value)
                    .is_some_and(|value| words(&value).iter().any(|word| wanted.contains(word)))
            }),
            Self::Bool {
                must,
                should,
                least,
                must_not,
            } => {
                must.iter().all(|query| query.matches(item))
                    && !must_not.iter().any(|query| query.matches(item))
                    && should.iter().filter(|query| query.matches(item)).count() >= *least
            }
        }
    }
}

/// The words of a text, in small letters.
fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric());
    words
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

fn only(written: &Value) -> ApiResult<(&str, &Value)> {
    let mut members = written.as_object().into_iter().flatten();
    match (members.next(), members.next()) {
        (Some((kind, body)), None) => Ok((kind, body)),
        _ => Err(ApiError::new(
            ErrorCode::Parsing,
            "a query is an object with the name of its type",
        )),
    }
}

/// Returns the field that a query is about, and what it says of it.
fn of_field<'v>(body: &'v Value, fields: &Fields) -> ApiResult<(String, &'v Value)> {
    let (field, value) = only(body)?;
    check_field(field, fields)?;
    Ok((field.to_owned(), value))
}

fn check_field(field: &str, fields: &Fields) -> ApiResult<()> {
    match fields.known.iter().any(|known| covers(known, field)) {
        true => Ok(()),
        false => Err(ApiError::illegal_argument(format!(
            "Field [{field}] is not allowed for querying or aggregation"
        ))),
    }
}

fn covers(known: &str, field: &str) -> bool {
    match known.ends_with('.') {
        true => field.len() > known.len() && field.starts_with(known),
        false => known == field,
    }
}

fn required(kind: &str, value: Option<&Value>) -> ApiResult<String> {
    value.and_then(text).ok_or_else(|| malformed(kind))
}

fn malformed(kind: &str) -> ApiError {
    ApiError::new(ErrorCode::Parsing, format!("[{kind}] query malformed"))
}

fn unsupported_option(kind: &str, option: &str) -> ApiError {
    ApiError::new(
        ErrorCode::Parsing,
        format!("[{kind}] query does not support [{option}] in this context"),
    )
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for symbol in text.chars() {
        if matches!(symbol, '*' | '?' | '\\') {
            escaped.push('\\');
        }
        escaped.push(symbol);
    }
    escaped
}

/// The field that `ids` is about.
pub const ID: &str = "_id";
const MAX_WINDOW: usize = 10_000;
const MAX_DEPTH: usize = 20;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FIELDS: Fields = Fields {
        known: &["name", "n", "on", "full", "metadata."],
        sortable: &["name", "n", "metadata."],
        numbers: &["n"],
        words: &["full"],
        text: &["name"],
    };

    fn ask(request: Value) -> ApiResult<Vec<String>> {
        let items = [
            json!({"_id": "1", "name": "ann", "n": 3, "on": true, "metadata.a": ["x", "y"], "full": "Ann Bell"}),
            json!({"_id": "2", "name": "bob", "n": 1, "on": false}),
            json!({"_id": "3", "name": "a*b", "n": 2, "on": true, "metadata.a": "z"}),
        ];
        let items = items.into_iter().map(|fields| Item {
            shown: json!({"name": fields["name"]}),
            fields: fields.as_object().unwrap().clone(),
        });
        let request: ListRequest = serde_json::from_value(request).unwrap();
        let found = list(items.collect(), &FIELDS, &request)?;
        Ok(found
            .items
            .iter()
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect())
    }

    fn by(query: Value) -> ApiResult<String> {
        let sort = [json!({"field": "name", "descending": false})];
        let request =
            json!({"query": query, "from": 0, "size": 10, "sort": sort, "search_after": null});
        ask(request).map(|names| names.join(" "))
    }

    #[test]
    fn queries_find_what_they_say() {
        for (query, expected) in [
            (json!({"match_all": {}}), "a*b ann bob"),
            (json!({"term": {"name": "ann"}}), "ann"),
            (json!({"term": {"name": {"value": "ann"}}}), "ann"),
            (json!({"terms": {"name": ["ann", "bob"]}}), "ann bob"),
            (json!({"term": {"on": false}}), "bob"),
            (json!({"term": {"metadata.a": "y"}}), "ann"),
            (json!({"ids": {"values": ["2", "9"]}}), "bob"),
            (json!({"prefix": {"name": "a"}}), "a*b ann"),
            (json!({"prefix": {"name": "a*"}}), "a*b"),
            (json!({"wildcard": {"name": "?nn"}}), "ann"),
            (json!({"exists": {"field": "metadata.a"}}), "a*b ann"),
            (json!({"range": {"n": {"gte": 2}}}), "a*b ann"),
            (json!({"range": {"n": {"gte": "2"}}}), "a*b ann"),
            (json!({"match": {"full": "bell x"}}), "ann"),
            (json!({"term": {"full": "bell"}}), ""),
            (json!({"range": {"n": {"gt": 1, "lt": 3}}}), "a*b"),
            (json!({"bool": {"must_not": {"term": {"on": true}}}}), "bob"),
            (
                json!({"bool": {"should": [{"term": {"n": 1}}, {"term": {"n": 2}}]}}),
                "a*b bob",
            ),
            (
                json!({"bool": {"filter": [{"term": {"on": true}}], "should": [{"term": {"n": 1}}]}}),
                "a*b ann",
            ),
            (
                json!({"simple_query_string": {"query": "bob an*"}}),
                "ann bob",
            ),
        ] {
            assert_eq!(by(query.clone()).unwrap(), expected, "{query}");
        }
    }

    #[test]
    fn what_is_not_supported_is_refused_and_named() {
        for (query, told) in [
            (
                json!({"match_phrase": {"name": "a"}}),
                "Query type [match_phrase] is not currently supported",
            ),
            (
                json!({"term": {"password": "a"}}),
                "Field [password] is not allowed",
            ),
            (
                json!({"exists": {"field": "metadata."}}),
                "Field [metadata.] is not allowed",
            ),
            (
                json!({"range": {"n": {"gte": "now-1d"}}}),
                "not supported as a bound",
            ),
            (json!({"bool": {"boost": 2}}), "does not support [boost]"),
            (
                json!({"simple_query_string": {"query": "a +b"}}),
                "no operators",
            ),
            (json!({}), "a query is an object"),
        ] {
            let error = by(query.clone()).unwrap_err();
            assert!(
                error.status == 400 && error.reason.contains(told),
                "{query}: {}",
                error.reason
            );
        }
    }

    #[test]
    fn a_date_is_no_bound_of_a_number() {
        let refused = by(json!({"range": {"n": {"lt": "2020-01-01"}}})).unwrap_err();
        assert!(refused.reason.contains("give milliseconds"), "{refused}");
    }

    #[test]
    fn values_of_all_kinds_have_one_order() {
        let values = [
            json!(9),
            json!("5"),
            json!(100),
            json!([7, "1"]),
            json!(true),
            json!({"x": 1}),
            json!([]),
        ];
        let item = |value: &Value| Item {
            fields: json!({"metadata.x": value}).as_object().unwrap().clone(),
            shown: json!({"v": value}),
        };
        for descending in [false, true] {
            let sort = json!([{"field": "metadata.x", "descending": descending}]);
            let request =
                json!({"query": null, "from": 0, "size": 1000, "sort": sort, "search_after": null});
            let request: ListRequest = serde_json::from_value(request).unwrap();
            // As many as sorting looks at closely.
            let items = (0..140).map(|n| item(&values[n % values.len()])).collect();
            let found = list(items, &FIELDS, &request).unwrap();
            let shown: Vec<&Value> = found
                .items
                .iter()
                .step_by(20)
                .map(|item| &item["v"])
                .collect();
            let expected = match descending {
                false => [
                    json!([7, "1"]),
                    json!(100),
                    json!("5"),
                    json!(9),
                    json!(true),
                ],
                true => [
                    json!(true),
                    json!(9),
                    json!([7, "1"]),
                    json!("5"),
                    json!(100),
                ],
            };
            assert_eq!(
                shown[..5],
                expected.iter().collect::<Vec<_>>(),
                "{descending}"
            );
        }
    }

    #[test]
    fn lists_are_in_order_and_read_on() {
        let sorted =
            |field: &str, descending: bool| json!([{"field": field, "descending": descending}]);
        let page = |from: usize, size: usize, sort: &Value, after: Value| {
            ask(
                json!({"query": null, "from": from, "size": size, "sort": sort, "search_after": after}),
            )
        };
        let by_number = sorted("n", true);
        assert_eq!(page(0, 2, &by_number, Value::Null).unwrap(), ["ann", "a*b"]);
        assert_eq!(page(1, 5, &by_number, Value::Null).unwrap(), ["a*b", "bob"]);
        assert_eq!(page(0, 5, &by_number, json!([2])).unwrap(), ["bob"]);
        assert!(page(0, 5, &by_number, json!([])).is_err());
        assert!(page(0, 5, &sorted("on", false), Value::Null).is_err());
        assert!(page(9_999, 2, &by_number, Value::Null).is_err());
    }
}
