//! The fetch phase: reads the documents that made it into the page. Source: Elasticsearch reference, "Retrieve
//! selected fields from a search" and "Search API".

use std::collections::BTreeSet;
use std::sync::Arc;

use ringwall_api::{ApiError, ErrorCode};
use ringwall_base::{encoding, json};
use ringwall_index::dates::DateFormat;
use ringwall_index::field::ShownAs;
use ringwall_index::geo::GeoPoint;
use ringwall_index::schema::{PRIMARY_TERM, SEQ_NO, VERSION, decode_ip};
use ringwall_index::{FieldMapping, IndexError, Leaf, Mapping, Searcher};
use serde_json::{Map, Value};

use crate::columns::{Values, text_of};
use crate::engine_error;
use crate::fetched_metadata;
use crate::fields::{FieldKind, FieldRef};
use crate::highlight::Highlighter;
use crate::query::Query;
use crate::request::{FieldAndFormat, SearchSource};
use crate::result::{DocAddress, FetchedHit};
use crate::shard::{Shard, ShardContext};
use crate::source_filter;

/// Reads documents that [`crate::query_phase`] found with the same searcher, in the order given.
///
/// # Errors
/// `search_context_missing_exception` when an address is not one of this searcher;
/// `task_cancelled_exception` when [`ShardContext::control`] says so; `circuit_breaking_exception`
/// when it has no memory for them.
pub fn fetch_phase(
    searcher: &Searcher,
    source: &SearchSource,
    docs: &[DocAddress],
    context: &ShardContext<'_>,
) -> Result<Vec<FetchedHit>, ApiError> {
    let context = &context.however_late();
    let shard = Shard::new(searcher, context)?;
    let highlighter = Highlighter::of(&shard, source, &source.query)?;
    let read = |doc: &DocAddress| {
        shard.pulse.check();
        // What was found in time is shown, however late it is.
        shard.pulse.outcome()?;
        let hit = fetch(&shard, source, highlighter.as_ref(), *doc)?;
        shard.pulse.charge(encoding::size(&hit))?;
        Ok(hit)
    };
    docs.iter().map(read).collect()
}

/// Refuses a format that is none, or not of the field, before any document is read.
fn check_formats(shard: &Shard<'_>, source: &SearchSource) -> Result<(), ApiError> {
    for wanted in &source.docvalue_fields {
        for (_, field) in docvalue_fields(shard, wanted)? {
            let refused = |_| field.no_formats();
            match field.dates() {
                None => date_format(None, wanted.format.as_deref()).map_err(refused)?,
                own => date_format(own, wanted.format.as_deref())?,
            };
        }
    }
    for wanted in &source.fields {
        fetched_metadata::check(shard, wanted)?;
        let mapped = shard.mapped_matching(&wanted.field);
        for mapping in mapped.filter_map(|field| shard.mapping().resolved(&field.path)) {
            shown_as(mapping, wanted).map_err(|error| ApiError {
                reason: format!("error fetching [{}]: {}", mapping.path, error.reason),
                ..error
            })?;
        }
    }
    Ok(())
}

/// How `fields` shows a field. A pattern's format is for those that have formats.
fn shown_as(mapping: &FieldMapping, wanted: &FieldAndFormat) -> Result<ShownAs, ApiError> {
    let is_pattern = wanted.field.contains('*');
    let format = wanted.format.as_deref();
    let format = format.filter(|_| !is_pattern || mapping.field_type.has_formats());
    mapping.shown_as(format)
}

/// Refuses more columns than `index.max_docvalue_fields_search`, where names that stand for none do
/// not count, and what no document could be shown by.
pub(crate) fn check_shown_fields(shard: &Shard<'_>, source: &SearchSource) -> Result<(), ApiError> {
    let most = shard.context.limits.max_docvalue_fields;
    let mut fields: BTreeSet<&str> = BTreeSet::new();
    for wanted in &source.docvalue_fields {
        shard.pulse.proceed()?;
        let mapped = shard.mapped_matching(&wanted.field);
        fields.extend(mapped.map(|field| &*field.path));
    }
    if fields.len() <= most {
        return check_formats(shard, source);
    }
    Err(ApiError::illegal_argument(format!(
        "Trying to retrieve too many docvalue_fields. Must be less than or equal to: [{most}] but \
         was [{}]. This limit can be set by changing the [index.max_docvalue_fields_search] index \
         level setting.",
        fields.len()
    )))
}

/// Reads a document as the hit of a `top_hits` aggregation, without score and sort values. `query` is that of the search.
pub(crate) fn hit_object(
    shard: &Shard<'_>,
    source: &SearchSource,
    query: &Query,
    address: DocAddress,
) -> Result<Map<String, Value>, ApiError> {
    let highlighter = Highlighter::of(shard, source, query)?;
    let hit = fetch(shard, source, highlighter.as_ref(), address)?;
    let mut object = Map::new();
    object.insert("_index".to_owned(), shard.context.index.into());
    object.insert("_id".to_owned(), hit.id.into());
    let optional = [
        ("_routing", hit.routing.map(Value::from)),
        ("_version", hit.version.map(Value::from)),
        ("_seq_no", hit.seq_no.map(Value::from)),
        ("_primary_term", hit.primary_term.map(Value::from)),
        (
            "_ignored",
            (!hit.ignored.is_empty()).then(|| hit.ignored.into()),
        ),
        ("fields", hit.fields),
        ("ignored_field_values", hit.ignored_values),
        ("highlight", hit.highlight),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            object.insert(name.to_owned(), value);
        }
    }
    if let Some(text) = hit.source {
        let value =
            json::parse(&text).map_err(|_| ApiError::internal("the stored _source is not JSON"))?;
        object.insert("_source".to_owned(), value);
    }
    Ok(object)
}

fn fetch(
    shard: &Shard<'_>,
    source: &SearchSource,
    highlighter: Option<&Highlighter<'_>>,
    address: DocAddress,
) -> Result<FetchedHit, ApiError> {
    let segment = shard
        .segments()
        .get(address.segment as usize)
        .filter(|segment| address.doc < segment.reader.max_doc())
        .ok_or_else(|| {
            ApiError::new(
                ErrorCode::SearchContextMissing,
                "the document to fetch is not part of this search context",
            )
        })?;
    let reader = &segment.reader;
    let stored = shard
        .searcher()
        .document(tantivy::DocAddress::new(segment.ordinal, address.doc))
        .map_err(|error| match error {
            IndexError::Request(refusal) => *refusal,
            error => engine_error(&error),
        })?;
    let filter = source.source_filter.clone().unwrap_or_default();
    let mut hit = FetchedHit {
        id: stored.id,
        routing: stored.routing,
        version: None,
        seq_no: None,
        primary_term: None,
        source: source_filter::apply(&stored.source, &filter)?,
        fields: None,
        ignored: stored.ignored,
        ignored_values: None,
        highlight: None,
    };
    if source.version {
        hit.version = Some(number(reader, VERSION, address.doc)?);
    }
    if source.seq_no_primary_term {
        hit.seq_no = Some(number(reader, SEQ_NO, address.doc)?.cast_signed());
        hit.primary_term = Some(number(reader, PRIMARY_TERM, address.doc)?);
    }
    let mut fields = Map::new();
    let mut ignored = Map::new();
    for wanted in &source.docvalue_fields {
        docvalues(shard, reader, address.doc, wanted, &mut fields)?;
    }
    let stored_fields = source.stored_fields.as_deref().unwrap_or_default();
    if !(source.fields.is_empty() && stored_fields.is_empty() && highlighter.is_none()) {
        let document: Value = json::parse(&stored.source)
            .map_err(|_| ApiError::internal("the stored _source is not JSON"))?;
        for wanted in &source.fields {
            if let Some(values) =
                fetched_metadata::values(shard, reader, address.doc, &hit, wanted)?
            {
                fields.insert(wanted.field.clone(), values);
            }
            let mapped = shard.mapped_matching(&wanted.field);
            let left_out = Some(&mut ignored);
            source_fields(shard, &document, wanted, mapped, &mut fields, left_out)?;
            if wanted.include_unmapped {
                unmapped(shard, &document, "", &wanted.field, &mut fields);
            }
        }
        for pattern in stored_fields {
            let wanted = FieldAndFormat {
                field: pattern.clone(),
                format: None,
                include_unmapped: false,
            };
            let mapped = shard.mapped_matching(pattern).filter(|field| field.store);
            source_fields(shard, &document, &wanted, mapped, &mut fields, None)?;
        }
        if let Some(highlighter) = highlighter {
            hit.highlight = highlighter.of_document(reader, address.doc, &document)?;
        }
    }
    // Asked for but without values, the member is absent.
    if !fields.is_empty() {
        hit.fields = Some(Value::Object(fields));
    }
    if !ignored.is_empty() {
        hit.ignored_values = Some(Value::Object(ignored));
    }
    Ok(hit)
}

pub(crate) fn number(reader: &Leaf<'_>, name: &str, doc: u32) -> Result<u64, ApiError> {
    let column = reader
        .fast_fields()
        .u64(name)
        .map_err(|e| engine_error(&e))?;
    column
        .first(doc)
        .ok_or_else(|| engine_error(&format!("document {doc} has no {name}")))
}

fn docvalues(
    shard: &Shard<'_>,
    reader: &Leaf<'_>,
    doc: u32,
    wanted: &FieldAndFormat,
    fields: &mut Map<String, Value>,
) -> Result<(), ApiError> {
    for (name, field) in docvalue_fields(shard, wanted)? {
        let values = match field.kind {
            FieldKind::Index => vec![shard.context.index.into()],
            _ => column_json(&field, reader, doc, wanted.format.as_deref())?,
        };
        if !values.is_empty() {
            fields.insert(name, Value::Array(values));
        }
    }
    Ok(())
}

/// The fields that a name or pattern stands for; those of a pattern that have no columns are left
/// out.
fn docvalue_fields<'a>(
    shard: &Shard<'a>,
    wanted: &FieldAndFormat,
) -> Result<Vec<(String, FieldRef<'a>)>, ApiError> {
    if wanted.field.contains('*') {
        return Ok(shard
            .mapped_matching(&wanted.field)
            .filter_map(|mapping| Some((mapping.path.to_string(), shard.field(&mapping.path)?)))
            .filter(|(_, field)| field.check_doc_values().is_ok())
            .collect());
    }
    let Some(field) = shard.field(&wanted.field) else {
        return Ok(Vec::new());
    };
    field.check_doc_values()?;
    Ok(vec![(wanted.field.clone(), field)])
}

fn column_json(
    field: &FieldRef<'_>,
    reader: &Leaf<'_>,
    doc: u32,
    format: Option<&str>,
) -> Result<Vec<Value>, ApiError> {
    let mut found = Vec::new();
    match field.values(reader)? {
        Values::None => {}
        Values::Same => {}
        Values::Text(column) => {
            let mut ords: Vec<u64> = column.ords().values_for_doc(doc).collect();
            ords.sort_unstable();
            ords.dedup();
            for ord in ords {
                let text = text_of(&column, ord)?;
                found.push(match field.kind {
                    FieldKind::Ip => decode_ip(&text).map_or(text, |ip| ip.to_string()).into(),
                    _ => text.into(),
                });
            }
        }
        Values::Number(numbers) if !numbers.is_integer() => {
            let mut values = Vec::new();
            numbers.doubles(doc, |value| values.push(value));
            values.sort_by(f64::total_cmp);
            found.extend(values.into_iter().map(Value::from));
        }
        Values::Number(numbers) if numbers.is_unsigned() => {
            let mut values = Vec::new();
            numbers.unsigned(doc, |value| values.push(value));
            values.sort_unstable();
            found.extend(values.into_iter().map(Value::from));
        }
        Values::Number(numbers) => {
            let mut values = Vec::new();
            numbers.longs(doc, |value| values.push(value));
            values.sort_unstable();
            let dates = date_format(field.dates(), format)?;
            for value in values {
                found.push(match (field.kind, &dates) {
                    (FieldKind::Boolean, _) => (value != 0).into(),
                    (FieldKind::Point, _) => {
                        let point = GeoPoint::decode(value);
                        format!("{:?}, {:?}", point.lat, point.lon).into()
                    }
                    (_, Some(format)) => format.format(value).into(),
                    _ => value.into(),
                });
            }
        }
    }
    Ok(found)
}

fn date_format(
    own: Option<&DateFormat>,
    asked: Option<&str>,
) -> Result<Option<DateFormat>, ApiError> {
    match (own, asked) {
        (None, Some(_)) => Err(ApiError::illegal_argument(
            "a [format] is supported on date fields only",
        )),
        (Some(_), Some(asked)) => DateFormat::compile(asked).map(Some),
        (own, None) => Ok(own.cloned()),
    }
}

/// The values of `fields`, read from `_source` through the mapping; what a field leaves out goes to `left_out`.
fn source_fields<'a>(
    shard: &Shard<'_>,
    document: &Value,
    wanted: &FieldAndFormat,
    mapped: impl Iterator<Item = &'a Arc<FieldMapping>>,
    fields: &mut Map<String, Value>,
    mut left_out: Option<&mut Map<String, Value>>,
) -> Result<(), ApiError> {
    for mapping in mapped {
        let Some(named) = shard.mapping().resolved(&mapping.path) else {
            continue;
        };
        let (name, mapping) = (&mapping.path, named);
        let how = shown_as(mapping, wanted)?;
        let mut found = Vec::new();
        if mapping.field_type.reads_whole() {
            collect_whole(document, &mapping.path, &mut found);
            let all = found.into_iter().flat_map(|v| mapping.shown_all(v, &how));
            let all: Vec<Value> = all.collect();
            if !all.is_empty() {
                fields.insert(name.to_string(), all.into());
            }
            continue;
        }
        collect(document, source_path(shard.mapping(), mapping), &mut found);
        let mut values = Vec::with_capacity(found.len());
        let mut ignored = Vec::new();
        for value in found {
            match mapping.shown(value, &how) {
                Some(value) => values.push(value),
                None => ignored.push(value.clone()),
            }
        }
        if let (false, Some(left_out)) = (ignored.is_empty(), &mut left_out) {
            left_out.insert(name.to_string(), Value::Array(ignored));
        }
        if !values.is_empty() {
            fields.insert(name.to_string(), Value::Array(values));
        }
    }
    Ok(())
}

/// As [`collect`], for values that are lists or objects themselves.
fn collect_whole<'v>(value: &'v Value, path: &str, found: &mut Vec<&'v Value>) {
    match value {
        _ if path.is_empty() => found.push(value),
        Value::Array(items) => items
            .iter()
            .for_each(|item| collect_whole(item, path, found)),
        Value::Object(members) => {
            for (name, member) in members {
                match path.strip_prefix(name.as_str()) {
                    Some("") => collect_whole(member, "", found),
                    Some(rest) => {
                        if let Some(rest) = rest.strip_prefix('.') {
                            collect_whole(member, rest, found);
                        }
                    }
                    None => {}
                }
            }
        }
        _ => {}
    }
}

/// Adds the leaves of a document whose path matches and that the mapping does not know.
fn unmapped(
    shard: &Shard<'_>,
    value: &Value,
    path: &str,
    pattern: &str,
    fields: &mut Map<String, Value>,
) {
    match value {
        Value::Array(items) => items
            .iter()
            .for_each(|item| unmapped(shard, item, path, pattern, fields)),
        Value::Object(members) => {
            for (name, member) in members {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                unmapped(shard, member, &path, pattern, fields);
            }
        }
        Value::Null => {}
        leaf => {
            if shard.mapping().field(path).is_some() || !source_filter::name_matches(pattern, path)
            {
                return;
            }
            let values = fields
                .entry(path.to_owned())
                .or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(values) = values {
                values.push(leaf.clone());
            }
        }
    }
}

/// A multi-field has the values of the field around it.
pub(crate) fn source_path<'a>(mapping: &Mapping, field: &'a FieldMapping) -> &'a str {
    match field.path.rsplit_once('.') {
        Some((parent, _)) if mapping.field(parent).is_some() => parent,
        _ => &field.path,
    }
}

/// Gathers the values at a path, through arrays and names that contain dots.
pub(crate) fn collect<'v>(value: &'v Value, path: &str, found: &mut Vec<&'v Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, path, found)),
        Value::Object(members) if !path.is_empty() => {
            for (name, member) in members {
                match path.strip_prefix(name.as_str()) {
                    Some("") => collect(member, "", found),
                    Some(rest) => {
                        if let Some(rest) = rest.strip_prefix('.') {
                            collect(member, rest, found);
                        }
                    }
                    None => {}
                }
            }
        }
        Value::Null => {}
        leaf if path.is_empty() => found.push(leaf),
        _ => {}
    }
}
