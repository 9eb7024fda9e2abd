//! JSON to [`Agg`]. Everything that is not understood is an error. Source: Elasticsearch reference, "Aggregations".

use ringwall_api::{ApiError, ErrorCode};
use ringwall_base::TimeValue;
use serde_json::Value;

use super::spec::*;
use crate::parse::{
    Object, bool_of, did_you_mean, f64_of, malformed, parsing, scalar_text, text_of,
};
use crate::query::parse_query;
use crate::time::{Unit, Zone};

/// Parses an `aggs` object.
pub fn parse_aggs(value: &Value) -> Result<Vec<Agg>, ApiError> {
    parse_at(value, 0)
}

/// Every aggregation understood.
const AGG_NAMES: [&str; 20] = [
    "avg",
    "cardinality",
    "date_histogram",
    "date_range",
    "extended_stats",
    "filter",
    "filters",
    "global",
    "histogram",
    "max",
    "min",
    "missing",
    "percentile_ranks",
    "percentiles",
    "range",
    "stats",
    "sum",
    "terms",
    "top_hits",
    "value_count",
];

/// Aggregations nest at most so deep.
const MAX_DEPTH: usize = 20;

fn parse_at(value: &Value, depth: usize) -> Result<Vec<Agg>, ApiError> {
    if depth > MAX_DEPTH {
        return Err(ApiError::illegal_argument(format!(
            "aggregations are nested deeper than [{MAX_DEPTH}] levels"
        )));
    }
    let Value::Object(members) = value else {
        return Err(malformed("aggregations", "START_OBJECT", value));
    };
    members
        .iter()
        .map(|(name, body)| parse_one(name, body, depth))
        .collect()
}

fn parse_one(name: &str, body: &Value, depth: usize) -> Result<Agg, ApiError> {
    if name.is_empty() || name.contains(['[', ']', '>']) {
        return Err(parsing(format!(
            "Invalid aggregation name [{name}]. Aggregation names cannot contain '[', ']' or '>'"
        )));
    }
    let Value::Object(members) = body else {
        return Err(parsing(format!(
            "Aggregation definition for [{name}] starts with a [{}], expected a [START_OBJECT].",
            crate::parse::token_name(body)
        )));
    };
    let mut subs = None;
    let mut meta = None;
    let mut kind: Option<(&str, &Value)> = None;
    for (key, value) in members {
        match key.as_str() {
            "aggs" | "aggregations" if subs.is_none() => {
                subs = Some(parse_at(value, depth + 1)?);
            }
            "aggs" | "aggregations" => {
                return Err(parsing(format!(
                    "Found two sub aggregation definitions under [{name}]"
                )));
            }
            "meta" => match value {
                Value::Object(members) => meta = Some(members.clone()),
                other => return Err(malformed("meta", "START_OBJECT", other)),
            },
            other => {
                if let Some((first, _)) = kind {
                    return Err(parsing(format!(
                        "Found two aggregation type definitions in [{name}]: [{first}] and [{other}]"
                    )));
                }
                kind = Some((other, value));
            }
        }
    }
    let Some((type_name, body)) = kind else {
        return Err(parsing(format!(
            "Missing definition for aggregation [{name}]"
        )));
    };
    let agg = Agg {
        name: name.to_owned(),
        kind: parse_kind(name, type_name, body)?,
        subs: subs.unwrap_or_default(),
        meta,
    };
    check(&agg, type_name, depth)?;
    Ok(agg)
}

/// Checks what concerns the place of an aggregation and its sub-aggregations.
fn check(agg: &Agg, type_name: &str, depth: usize) -> Result<(), ApiError> {
    let is_leaf = matches!(
        agg.kind,
        AggKind::Metric { .. }
            | AggKind::Cardinality { .. }
            | AggKind::Percentiles { .. }
            | AggKind::TopHits(_)
    );
    if is_leaf && !agg.subs.is_empty() {
        return Err(ApiError::new(
            ErrorCode::AggregationExecution,
            format!(
                "Aggregator [{}] of type [{type_name}] cannot accept sub-aggregations",
                agg.name
            ),
        )
        .with_status(400));
    }
    if agg.kind == AggKind::Global && depth > 0 {
        return Err(ApiError::new(
            ErrorCode::AggregationExecution,
            format!(
                "Aggregation [{}] cannot have a global sub-aggregation. Global aggregations can \
                 only be defined as top level aggregations",
                agg.name
            ),
        )
        .with_status(400));
    }
    let order = match &agg.kind {
        AggKind::Terms(spec) => &spec.order,
        AggKind::Histogram(spec) => &spec.order,
        AggKind::DateHistogram(spec) => &spec.order,
        _ => return Ok(()),
    };
    order.iter().try_for_each(|order| check_order(agg, order))
}

fn check_order(agg: &Agg, order: &Order) -> Result<(), ApiError> {
    let OrderBy::Metric { path, value } = &order.by else {
        return Ok(());
    };
    let invalid = |why: &str| {
        ApiError::new(
            ErrorCode::AggregationExecution,
            format!(
                "Invalid aggregation order path [{}{}]. {why}",
                path.join(">"),
                value.as_ref().map(|v| format!(".{v}")).unwrap_or_default()
            ),
        )
        .with_status(400)
    };
    let mut subs = &agg.subs;
    for (index, name) in path.iter().enumerate() {
        let found = subs.iter().find(|sub| sub.name == *name).ok_or_else(|| {
            invalid(&format!(
                "The provided aggregation [{name}] either does not exist, or is a pipeline \
                 aggregation and cannot be used to sort the buckets."
            ))
        })?;
        let last = index + 1 == path.len();
        if !last && !found.is_single_bucket() {
            return Err(invalid(
                "Buckets can only be sorted on a sub-aggregator path that is built out of zero or \
                 more single-bucket aggregations within the path and a final single-bucket or a \
                 metrics aggregation at the path end.",
            ));
        }
        if last && !super::order::is_sortable(found, value.as_deref()) {
            return Err(invalid(
                "The final aggregation must be single-bucket or a metric with the named value.",
            ));
        }
        subs = &found.subs;
    }
    Ok(())
}

fn parse_kind(agg: &str, name: &str, body: &Value) -> Result<AggKind, ApiError> {
    let metric = |kind| metric(agg, name, body, kind);
    match name {
        "avg" => metric(MetricKind::Avg),
        "min" => metric(MetricKind::Min),
        "max" => metric(MetricKind::Max),
        "sum" => metric(MetricKind::Sum),
        "value_count" => metric(MetricKind::ValueCount),
        "stats" => metric(MetricKind::Stats),
        "extended_stats" => metric(MetricKind::ExtendedStats { sigma: 2.0 }),
        "cardinality" => cardinality(agg, name, body),
        "percentiles" => percentiles(name, body, false),
        "percentile_ranks" => percentiles(name, body, true),
        "terms" => terms(body),
        "histogram" => histogram(body),
        "date_histogram" => super::parse_date::date_histogram(body),
        "range" => range(name, body, false),
        "date_range" => range(name, body, true),
        "filter" => Ok(AggKind::Filter(parse_query(body)?)),
        "filters" => filters(body),
        "missing" => {
            let mut object = Object::new(name, body)?;
            let field = text_of(name, "field", object.require("field")?)?;
            object.finish()?;
            Ok(AggKind::Missing { field })
        }
        "global" => {
            Object::new(name, body)?.finish()?;
            Ok(AggKind::Global)
        }
        "top_hits" => {
            let source = crate::request::parse_top_hits(body)?;
            Ok(AggKind::TopHits(Box::new(TopHitsSpec { source })))
        }
        unknown => Err(parsing(format!(
            "Unknown aggregation type [{unknown}]{}",
            did_you_mean(unknown, AGG_NAMES)
        ))
        .caused_by(ApiError::new(
            ErrorCode::NamedObjectNotFound,
            format!("unknown field [{unknown}]"),
        ))),
    }
}

/// Takes `field` and `missing`.
pub(super) fn value_source(name: &str, object: &mut Object<'_>) -> Result<ValueSource, ApiError> {
    let field = object.take("field").ok_or_else(|| {
        ApiError::illegal_argument(format!(
            "Required one of fields [field, script], but none were specified for [{name}] \
             (scripts are not supported)"
        ))
    })?;
    Ok(ValueSource {
        field: text_of(name, "field", field)?,
        missing: object.take("missing").cloned(),
    })
}

fn metric(agg: &str, name: &str, body: &Value, kind: MetricKind) -> Result<AggKind, ApiError> {
    let mut object = Object::new(name, body)?;
    let source = value_source(name, &mut object)?;
    let kind = match kind {
        MetricKind::ExtendedStats { sigma } => MetricKind::ExtendedStats {
            sigma: object.f64("sigma")?.unwrap_or(sigma),
        },
        other => other,
    };
    if let MetricKind::ExtendedStats { sigma } = kind
        && sigma < 0.0
    {
        return Err(ApiError::illegal_argument(format!(
            "[sigma] must be greater than or equal to 0. Found [{sigma:?}] in [{agg}]"
        )));
    }
    object.finish()?;
    Ok(AggKind::Metric { kind, source })
}

fn cardinality(agg: &str, name: &str, body: &Value) -> Result<AggKind, ApiError> {
    let mut object = Object::new(name, body)?;
    let source = value_source(name, &mut object)?;
    let threshold = object.i64("precision_threshold")?.unwrap_or(3_000);
    object.finish()?;
    if threshold < 0 {
        return Err(ApiError::illegal_argument(format!(
            "[precisionThreshold] must be greater than or equal to 0. Found [{threshold}] in [{agg}]"
        )));
    }
    Ok(AggKind::Cardinality {
        source,
        precision_threshold: threshold.min(40_000) as u32,
    })
}

fn percentiles(name: &str, body: &Value, ranks: bool) -> Result<AggKind, ApiError> {
    let mut object = Object::new(name, body)?;
    let source = value_source(name, &mut object)?;
    let points = if ranks {
        numbers(name, "values", object.require("values")?)?
    } else {
        match object.take("percents") {
            Some(value) => numbers(name, "percents", value)?,
            None => vec![1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0],
        }
    };
    if !ranks && points.iter().any(|p| !(0.0..=100.0).contains(p)) {
        return Err(ApiError::illegal_argument(
            "percent must be in [0,100] for [percentiles]",
        ));
    }
    let keyed = object.bool("keyed")?.unwrap_or(true);
    let mut compression = 100.0;
    if let Some(value) = object.take("tdigest") {
        let mut tdigest = Object::new("tdigest", value)?;
        compression = tdigest.f64("compression")?.unwrap_or(compression);
        tdigest.finish()?;
    }
    object.finish()?;
    Ok(AggKind::Percentiles {
        source,
        points,
        ranks,
        keyed,
        compression,
    })
}

fn numbers(name: &str, key: &str, value: &Value) -> Result<Vec<f64>, ApiError> {
    let Value::Array(items) = value else {
        return Ok(vec![f64_of(name, key, value)?]);
    };
    if items.is_empty() {
        return Err(ApiError::illegal_argument(format!(
            "[{key}] must not be empty in [{name}]"
        )));
    }
    items.iter().map(|item| f64_of(name, key, item)).collect()
}

fn terms(body: &Value) -> Result<AggKind, ApiError> {
    let name = "terms";
    let mut object = Object::new(name, body)?;
    let source = value_source(name, &mut object)?;
    let size = object.usize("size")?.unwrap_or(10);
    if size == 0 {
        return Err(ApiError::illegal_argument(
            "[size] must be greater than 0. Found [0] in [terms]",
        ));
    }
    let default_shard_size = size.saturating_mul(3) / 2 + 10;
    let shard_size = object.usize("shard_size")?.unwrap_or(default_shard_size);
    let min_doc_count = object.usize("min_doc_count")?.unwrap_or(1) as u64;
    let include = term_filter(&mut object, "include")?;
    let exclude = term_filter(&mut object, "exclude")?;
    let format = object.text("format")?;
    let order = orders(
        object.take("order"),
        &[(OrderBy::Count, false), (OrderBy::Key, true)],
    )?;
    object.only("show_term_doc_count_error", "false")?;
    object.only("shard_min_doc_count", "0")?;
    // Both only choose a way of computing the same answer.
    object.text("execution_hint")?;
    object.text("collect_mode")?;
    object.finish()?;
    Ok(AggKind::Terms(TermsSpec {
        source,
        size,
        shard_size: shard_size.max(size),
        min_doc_count,
        order,
        include,
        exclude,
        format,
    }))
}

fn term_filter(object: &mut Object<'_>, key: &'static str) -> Result<Option<TermFilter>, ApiError> {
    match object.take(key) {
        None => Ok(None),
        Some(Value::Array(items)) => Ok(Some(TermFilter::Values(items.clone()))),
        Some(Value::String(text)) => Ok(Some(TermFilter::Regexp(text.clone()))),
        Some(other) => Err(ApiError::illegal_argument(format!(
            "[terms] supports an array of values or a regular expression for [{key}], got [{}]",
            crate::parse::token_name(other)
        ))),
    }
}

/// Reads `order`: an object or an array of objects. Ties go to the key, ascending.
pub(super) fn orders(
    value: Option<&Value>,
    default: &[(OrderBy, bool)],
) -> Result<Vec<Order>, ApiError> {
    let mut orders = Vec::new();
    match value {
        None => {
            for (by, ascending) in default {
                orders.push(Order {
                    by: by.clone(),
                    ascending: *ascending,
                });
            }
        }
        Some(Value::Array(items)) => {
            for item in items {
                one_order(item, &mut orders)?;
            }
        }
        Some(one) => one_order(one, &mut orders)?,
    }
    if orders.iter().all(|order| order.by != OrderBy::Key) {
        orders.push(Order {
            by: OrderBy::Key,
            ascending: true,
        });
    }
    Ok(orders)
}

fn one_order(value: &Value, orders: &mut Vec<Order>) -> Result<(), ApiError> {
    let Value::Object(members) = value else {
        return Err(malformed("order", "START_OBJECT", value));
    };
    for (path, direction) in members {
        let text = scalar_text(direction).unwrap_or_default();
        let ascending = match text.to_ascii_lowercase().as_str() {
            "asc" => true,
            "desc" => false,
            _ => {
                return Err(parsing(format!(
                    "Unknown order direction [{text}] for [{path}], expected [asc] or [desc]"
                )));
            }
        };
        orders.push(Order {
            by: OrderBy::parse(path)?,
            ascending,
        });
    }
    Ok(())
}

fn histogram(body: &Value) -> Result<AggKind, ApiError> {
    let name = "histogram";
    let mut object = Object::new(name, body)?;
    let source = value_source(name, &mut object)?;
    let interval = f64_of(name, "interval", object.require("interval")?)?;
    if interval <= 0.0 {
        return Err(ApiError::illegal_argument(format!(
            "[interval] must be >0 for histogram aggregation [{interval}]"
        )));
    }
    let spec = HistogramSpec {
        source,
        interval,
        offset: object.f64("offset")?.unwrap_or(0.0),
        min_doc_count: object.usize("min_doc_count")?.unwrap_or(0) as u64,
        extended_bounds: number_bounds(&mut object, "extended_bounds")?,
        hard_bounds: number_bounds(&mut object, "hard_bounds")?,
        order: orders(object.take("order"), &[(OrderBy::Key, true)])?,
        keyed: object.bool("keyed")?.unwrap_or(false),
    };
    object.finish()?;
    Ok(AggKind::Histogram(Box::new(spec)))
}

fn number_bounds(
    object: &mut Object<'_>,
    key: &'static str,
) -> Result<Option<(f64, f64)>, ApiError> {
    let Some(value) = object.take(key) else {
        return Ok(None);
    };
    let mut bounds = Object::new(key, value)?;
    let min = bounds.f64("min")?.unwrap_or(f64::INFINITY);
    let max = bounds.f64("max")?.unwrap_or(f64::NEG_INFINITY);
    bounds.finish()?;
    let open = (key == "hard_bounds").then_some((f64::NEG_INFINITY, f64::INFINITY));
    let bounds = match open {
        Some((low, high)) => (
            if min.is_finite() { min } else { low },
            if max.is_finite() { max } else { high },
        ),
        None => (min, max),
    };
    if bounds.0.is_finite() && bounds.1.is_finite() && bounds.0 > bounds.1 {
        return Err(ApiError::illegal_argument(format!(
            "[{key}.min][{min}] cannot be greater than [{key}.max][{max}] for histogram aggregation"
        )));
    }
    Ok(Some(bounds))
}

fn range(name: &str, body: &Value, date: bool) -> Result<AggKind, ApiError> {
    let mut object = Object::new(name, body)?;
    let source = value_source(name, &mut object)?;
    let keyed = object.bool("keyed")?.unwrap_or(false);
    let (mut format, mut zone) = (None, None);
    if date {
        format = object.text("format")?;
        zone = object.text("time_zone")?;
        Zone::parse_or_utc(zone.as_deref())?;
    }
    let items = match object.require("ranges")? {
        Value::Array(items) if !items.is_empty() => items,
        _ => {
            return Err(ApiError::illegal_argument(format!(
                "No [ranges] specified for the [{name}] aggregation"
            )));
        }
    };
    let ranges = items
        .iter()
        .map(|item| range_item(item, date))
        .collect::<Result<_, _>>()?;
    object.finish()?;
    Ok(AggKind::Range(RangeSpec {
        source,
        date,
        ranges,
        keyed,
        format,
        zone,
    }))
}

fn range_item(item: &Value, date: bool) -> Result<RangeItem, ApiError> {
    let mut object = Object::new("ranges", item)?;
    let key = object.text("key")?;
    let mut end = |end: &'static str| -> Result<Option<Value>, ApiError> {
        match object.take(end) {
            Some(value) if !date => Ok(Some(f64_of("ranges", end, value)?.into())),
            other => Ok(other.cloned()),
        }
    };
    let item = RangeItem {
        key,
        from: end("from")?,
        to: end("to")?,
    };
    object.finish()?;
    Ok(item)
}

fn filters(body: &Value) -> Result<AggKind, ApiError> {
    let mut object = Object::new("filters", body)?;
    let mut keyed = true;
    let filters: Vec<(Option<String>, crate::query::Query)> = match object.require("filters")? {
        Value::Object(members) => members
            .iter()
            .map(|(name, query)| Ok((Some(name.clone()), parse_query(query)?)))
            .collect::<Result<_, ApiError>>()?,
        Value::Array(items) => {
            keyed = false;
            items
                .iter()
                .map(|query| Ok((None, parse_query(query)?)))
                .collect::<Result<_, ApiError>>()?
        }
        other => return Err(malformed("filters", "START_OBJECT", other)),
    };
    if filters.is_empty() {
        return Err(ApiError::illegal_argument("[filters] cannot be empty"));
    }
    let other_key = object.text("other_bucket_key")?;
    let other_bucket = match object.take("other_bucket") {
        Some(value) => bool_of("filters", "other_bucket", value)?,
        None => other_key.is_some(),
    };
    object.only("keyed", if keyed { "true" } else { "false" })?;
    object.finish()?;
    Ok(AggKind::Filters(FiltersSpec {
        filters,
        other: other_bucket.then(|| other_key.unwrap_or_else(|| "_other_".to_owned())),
        keyed,
    }))
}

/// Reads a length of time as milliseconds: `90m`, `-6h`, `1.5h` is refused.
pub(super) fn millis_of(key: &str, text: &str) -> Result<i64, ApiError> {
    let (sign, digits) = match text.as_bytes().first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        _ => (1, text),
    };
    let value: TimeValue = digits
        .parse()
        .map_err(|error| ApiError::illegal_argument(format!("[{key}]: {error}")))?;
    value
        .duration()
        .and_then(|duration| i64::try_from(duration.as_millis()).ok())
        .map(|millis| sign * millis)
        .ok_or_else(|| ApiError::illegal_argument(format!("[{key}] is out of range: [{text}]")))
}

/// Returns the calendar unit of a name such as `month` or `1M`.
pub(super) fn calendar_unit(text: &str) -> Option<Unit> {
    Some(match text {
        "second" | "1s" => Unit::Second,
        "minute" | "1m" => Unit::Minute,
        "hour" | "1h" => Unit::Hour,
        "day" | "1d" => Unit::Day,
        "week" | "1w" => Unit::Week,
        "month" | "1M" => Unit::Month,
        "quarter" | "1q" => Unit::Quarter,
        "year" | "1y" => Unit::Year,
        _ => return None,
    })
}
