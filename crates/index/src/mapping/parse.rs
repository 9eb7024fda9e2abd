//! JSON to [`ObjectMapping`], refusing what it does not understand.

use std::sync::Arc;

use ringwall_api::ApiError;
use serde_json::{Map, Value};

use super::field::SLOT_KEY;
use super::{
    Dynamic, DynamicTemplates, FieldMapping, FieldType, MAX_NAME_BYTES, MAX_NAME_PARTS,
    ObjectMapping, Property, RootOptions, mapping_error,
};
use crate::Analyzer;
use crate::dates::DateFormat;

/// Who wrote the JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Client,
    /// With private keys.
    Stored,
}

/// Reads a whole mapping.
pub(super) fn parse_root(
    json: &Value,
    form: Form,
) -> Result<(ObjectMapping, RootOptions), ApiError> {
    let mut options = RootOptions::default();
    let Some(members) = members_or_null(json) else {
        return Err(mapping_error(format!(
            "Expected map for mapping definition but got {}",
            kind(json)
        )));
    };
    let mut root = ObjectMapping::default();
    for (key, value) in members {
        match key.as_str() {
            "dynamic" => root.dynamic = Some(parse_dynamic(value)?),
            "properties" => parse_properties(&mut root, value, "", form)?,
            _ => parse_root_option(&mut options, key, value)?,
        }
    }
    Ok((root, options))
}

fn parse_root_option(options: &mut RootOptions, key: &str, value: &Value) -> Result<(), ApiError> {
    match key {
        "date_detection" => options.date_detection = boolean(key, value)?,
        "numeric_detection" => options.numeric_detection = boolean(key, value)?,
        "dynamic_date_formats" => options.dynamic_date_formats = parse_date_formats(value)?,
        "_routing" => {
            for (name, value) in object(key, value)? {
                match name.as_str() {
                    "required" => options.routing_required = boolean(name, value)?,
                    other => return Err(unknown_metadata(other, key)),
                }
            }
        }
        "_source" => {
            for (name, value) in object(key, value)? {
                match name.as_str() {
                    "enabled" => options.source_enabled = boolean(name, value)?,
                    other => return Err(unknown_metadata(other, key)),
                }
            }
            if !options.source_enabled {
                return Err(mapping_error(
                    "[_source] cannot be disabled: replication, updates and reindexing need it",
                ));
            }
        }
        "_meta" => {
            object(key, value)?;
        }
        "dynamic_templates" => {
            let check = |definition: &Map<String, Value>| {
                parse_property(definition, "__dynamic__", Form::Client).map(drop)
            };
            options.dynamic_templates = Arc::new(DynamicTemplates::parse(value, check)?);
        }
        other => {
            return Err(mapping_error(format!(
                "Root mapping definition has unsupported parameters:  [{other} : {}]",
                java_text(value)
            )));
        }
    }
    options.given.insert(key.to_owned(), value.clone());
    Ok(())
}

fn parse_date_formats(value: &Value) -> Result<Vec<DateFormat>, ApiError> {
    let list = match value {
        Value::Array(items) => items.iter().collect(),
        one => vec![one],
    };
    list.into_iter()
        .map(|item| match item.as_str() {
            Some(spec) => DateFormat::compile(spec),
            None => Err(mapping_error(
                "[dynamic_date_formats] must be a string or a list of strings",
            )),
        })
        .collect()
}

fn parse_properties(
    parent: &mut ObjectMapping,
    json: &Value,
    path: &str,
    form: Form,
) -> Result<(), ApiError> {
    let Some(members) = members_or_null(json) else {
        return Err(mapping_error(format!(
            "Expected map for property [properties] on field [{path}] but got a {}",
            kind(json)
        )));
    };
    for (name, definition) in members {
        check_name(name)?;
        let full = join(path, name);
        if full.split('.').count() > MAX_NAME_PARTS || full.len() > MAX_NAME_BYTES {
            let shown: String = full.chars().take(100).collect();
            return Err(mapping_error(format!(
                "the name of the field [{shown}] is too long: at most [{MAX_NAME_PARTS}] parts and [{MAX_NAME_BYTES}] bytes"
            )));
        }
        let Value::Object(definition) = definition else {
            return Err(mapping_error(format!(
                "Expected map for property [{name}] but got a {}",
                kind(definition)
            )));
        };
        let property = parse_property(definition, &full, form)?;
        insert_dotted(parent, name, property, path)?;
    }
    Ok(())
}

/// Puts `a.b.c` into the objects `a` and `b`, making them as needed.
fn insert_dotted(
    parent: &mut ObjectMapping,
    name: &str,
    property: Property,
    path: &str,
) -> Result<(), ApiError> {
    let Some((first, rest)) = name.split_once('.') else {
        return match (parent.properties.get_mut(name), property) {
            (Some(Property::Object(there)), Property::Object(new)) => {
                for (name, property) in new.properties {
                    insert_dotted(there, &name, property, &join(path, first_part(&name)))?;
                }
                Ok(())
            }
            (Some(_), _) => Err(mapping_error(format!(
                "field [{}] is defined more than once",
                join(path, name)
            ))),
            (None, property) => {
                parent.properties.insert(name.to_owned(), property);
                Ok(())
            }
        };
    };
    let inner = parent
        .properties
        .entry(first.to_owned())
        .or_insert_with(|| Property::Object(Box::default()));
    match inner {
        Property::Object(object) => insert_dotted(object, rest, property, &join(path, first)),
        Property::Field(_) => Err(mapping_error(format!(
            "can't merge a non object mapping [{}] with an object mapping",
            join(path, first)
        ))),
    }
}

fn parse_property(
    definition: &Map<String, Value>,
    path: &str,
    form: Form,
) -> Result<Property, ApiError> {
    match definition.get("type") {
        None if definition.contains_key("properties")
            || definition.contains_key("dynamic")
            || definition.contains_key("enabled")
            || definition.is_empty() =>
        {
            parse_object(definition, path, form)
        }
        None => Err(mapping_error(format!(
            "No type specified for field [{}]",
            last_part(path)
        ))),
        Some(Value::String(name)) if name == "object" => parse_object(definition, path, form),
        Some(Value::String(name)) => {
            let field_type = FieldType::from_name(name).ok_or_else(|| {
                mapping_error(format!(
                    "The mapper type [{name}] declared on field [{}] does not exist. It might have \
                     been created within a future version or requires a plugin to be installed. \
                     Check the documentation.",
                    last_part(path)
                ))
            })?;
            parse_field(field_type, definition, path, form, true)
                .map(|field| Property::Field(Arc::new(field)))
        }
        Some(_) => Err(mapping_error(format!(
            "The type of field [{path}] must be a string"
        ))),
    }
}

fn parse_object(
    definition: &Map<String, Value>,
    path: &str,
    form: Form,
) -> Result<Property, ApiError> {
    let mut parsed = ObjectMapping::default();
    for (key, value) in definition {
        match key.as_str() {
            "type" => {}
            "dynamic" => parsed.dynamic = Some(parse_dynamic(value)?),
            "enabled" => parsed.disabled = !boolean(key, value)?,
            "properties" => parse_properties(&mut parsed, value, path, form)?,
            other => {
                return Err(mapping_error(format!(
                    "Mapping definition for [{}] has unsupported parameters:  [{other} : {}]",
                    last_part(path),
                    java_text(value)
                )));
            }
        }
    }
    Ok(Property::Object(Box::new(parsed)))
}

fn parse_field(
    field_type: FieldType,
    definition: &Map<String, Value>,
    path: &str,
    form: Form,
    multi_fields: bool,
) -> Result<FieldMapping, ApiError> {
    let mut field = FieldMapping::new(path, field_type);
    let mut search_analyzer = None;
    let mut search_quote_analyzer = None;
    for (key, value) in definition {
        match key.as_str() {
            "type" => continue,
            "fields" | "copy_to" if field_type == FieldType::GeoPoint => {
                return Err(mapping_error(format!(
                    "[{key}] of the geo_point field [{path}] is not supported"
                )));
            }
            "fields" if multi_fields => {
                parse_multi_fields(&mut field, value, form)?;
                continue;
            }
            SLOT_KEY if form == Form::Stored => {
                field.text_slot = value.as_u64().and_then(|slot| u16::try_from(slot).ok());
                continue;
            }
            // What is stored was taken before there were bounds.
            "meta" if form == Form::Stored => {}
            "search_quote_analyzer" if field_type == FieldType::Text => {
                search_quote_analyzer = Some(analyzer(value, path)?);
            }
            "search_analyzer" if field_type == FieldType::Text => {
                search_analyzer = Some(analyzer(value, path)?);
            }
            key => parse_parameter(&mut field, key, value)?,
        }
        field.definition.insert(key.clone(), value.clone());
    }
    field.search_analyzer = search_analyzer.unwrap_or(field.analyzer);
    field.search_quote_analyzer = search_quote_analyzer.unwrap_or(field.search_analyzer);
    if field_type == FieldType::ScaledFloat && !definition.contains_key("scaling_factor") {
        return Err(mapping_error(format!(
            "Field [{path}] misses required parameter [scaling_factor]"
        )));
    }
    drop_defaults(&mut field);
    Ok(field)
}

fn parse_parameter(field: &mut FieldMapping, key: &str, value: &Value) -> Result<(), ApiError> {
    use FieldType as T;
    let field_type = field.field_type;
    let number = field_type.is_numeric();
    let path = field.path.clone();
    match key {
        "meta" => check_meta(value)?,
        "store" => field.store = boolean(key, value)?,
        "copy_to" if field_type != T::Binary => field.copy_to = string_list(key, value, &path)?,
        "index" if !matches!(field_type, T::Binary | T::Wildcard) => {
            field.index = boolean(key, value)?;
        }
        "doc_values" if !matches!(field_type, T::Text | T::Wildcard) => {
            field.doc_values = boolean(key, value)?;
        }
        "norms" if matches!(field_type, T::Text | T::Keyword) => {
            field.norms = boolean(key, value)?;
        }
        "analyzer" if field_type == T::Text => field.analyzer = analyzer(value, &path)?,
        "index_options" if matches!(field_type, T::Text | T::Keyword) => {
            one_of(
                key,
                value,
                &["docs", "freqs", "positions", "offsets"],
                &path,
            )?;
        }
        "position_increment_gap" if field_type == T::Text => {
            let gap = u32::try_from(whole(key, value, &path)?).ok();
            let gap = gap.filter(|gap| *gap <= MAX_POSITION_GAP);
            field.position_increment_gap = gap.ok_or_else(|| {
                mapping_error(format!(
                    "[position_increment_gap] of field [{path}] must be at most [{MAX_POSITION_GAP}]"
                ))
            })?;
        }
        "eager_global_ordinals" if matches!(field_type, T::Text | T::Keyword) => {
            boolean(key, value)?;
        }
        "split_queries_on_whitespace" if field_type == T::Keyword && value == false => {}
        "similarity" if matches!(field_type, T::Text | T::Keyword) => {
            one_of(key, value, &["BM25"], &path)?;
        }
        "ignore_above" if matches!(field_type, T::Keyword | T::Wildcard) => {
            field.ignore_above = Some(whole(key, value, &path)?);
        }
        "ignore_malformed" if field_type.may_ignore_malformed() => {
            field.ignore_malformed = boolean(key, value)?;
        }
        // Only whether a height may be there, which nothing looks at.
        "ignore_z_value" if field_type == T::GeoPoint && boolean(key, value)? => {}
        "coerce" if number => field.coerce = boolean(key, value)?,
        "null_value" if !matches!(field_type, T::Text | T::Binary) => {
            field.null_value = (!value.is_null()).then(|| value.clone());
            check_null_value(field)?;
        }
        "format" if field_type == T::Date => {
            let spec = string(key, value, &path)?;
            field.format =
                DateFormat::compile(spec).map_err(|error| mapping_error(error.reason))?;
        }
        "locale" if field_type == T::Date => {
            one_of(key, value, &["en", "en_US", "en-US", "ROOT", ""], &path)?;
        }
        "scaling_factor" if field_type == T::ScaledFloat => {
            field.scaling_factor = value
                .as_f64()
                .filter(|factor| *factor > 0.0 && factor.is_finite())
                .ok_or_else(|| {
                    mapping_error(format!(
                        "[scaling_factor] must be a positive number, got [{}]",
                        java_text(value)
                    ))
                })?;
        }
        other => {
            return Err(mapping_error(format!(
                "unknown parameter [{other}] on mapper [{}] of type [{}]",
                field.name(),
                field_type.name()
            )));
        }
    }
    Ok(())
}

/// Source: Elasticsearch reference, "meta".
fn check_meta(value: &Value) -> Result<(), ApiError> {
    let entries = object("meta", value)?;
    if entries.len() > 5 {
        return Err(mapping_error(format!(
            "[meta] can't have more than 5 entries, but got {}",
            entries.len()
        )));
    }
    for (name, value) in entries {
        let (kept, most) = (name.encode_utf16().count(), 20);
        if kept > most {
            return Err(mapping_error(format!(
                "[meta] keys can't be longer than {most} chars, but got [{kept}]"
            )));
        }
        let Value::String(text) = value else {
            return Err(mapping_error(format!(
                "[meta] values can only be strings, but got {}[{}]",
                kind(value),
                java_text(value)
            )));
        };
        let (kept, most) = (text.encode_utf16().count(), 50);
        if kept > most {
            return Err(mapping_error(format!(
                "[meta] values can't be longer than {most} chars, but got [{kept}] for field [{name}]"
            )));
        }
    }
    Ok(())
}

fn check_null_value(field: &FieldMapping) -> Result<(), ApiError> {
    let Some(value) = &field.null_value else {
        return Ok(());
    };
    crate::field::scalar::check_null_value(field, value).map_err(|reason| {
        mapping_error(format!(
            "Error parsing [null_value] on field [{}]: {reason}",
            field.path
        ))
    })
}

fn parse_multi_fields(field: &mut FieldMapping, json: &Value, form: Form) -> Result<(), ApiError> {
    let path = field.path.clone();
    for (name, definition) in object("fields", json)? {
        check_name(name)?;
        if name.contains('.') {
            return Err(mapping_error(format!(
                "Field name [{name}] which is a multi field of [{}] cannot contain '.'",
                last_part(&path)
            )));
        }
        let definition = object(name, definition)?;
        let full = join(&path, name);
        let type_name = definition
            .get("type")
            .and_then(Value::as_str)
            .ok_or_else(|| mapping_error(format!("No type specified for property [{name}]")))?;
        let field_type = FieldType::from_name(type_name).ok_or_else(|| {
            mapping_error(format!(
                "The mapper type [{type_name}] declared on field [{name}] does not exist. It might \
                 have been created within a future version or requires a plugin to be installed. \
                 Check the documentation."
            ))
        })?;
        let sub = parse_field(field_type, definition, &full, form, false)?;
        field.fields.insert(name.clone(), Arc::new(sub));
    }
    Ok(())
}

/// So that the places of a long array of values stay numbers of 32 bits.
const MAX_POSITION_GAP: u32 = 10_000;

/// Leaves out of the shown definition what only repeats a default, as Elasticsearch does.
fn drop_defaults(field: &mut FieldMapping) {
    let fresh = FieldMapping::new(&field.path, field.field_type);
    let is_default = |key: &str| match key {
        "index" => field.index == fresh.index,
        "doc_values" => field.doc_values == fresh.doc_values,
        "store" => field.store == fresh.store,
        "norms" => field.norms == fresh.norms,
        "coerce" => field.coerce == fresh.coerce,
        "search_analyzer" => field.search_analyzer == field.analyzer,
        "search_quote_analyzer" => field.search_quote_analyzer == field.search_analyzer,
        "position_increment_gap" => field.position_increment_gap == fresh.position_increment_gap,
        "null_value" => field.null_value.is_none(),
        _ => false,
    };
    let keys: Vec<String> = field
        .definition
        .keys()
        .filter(|key| is_default(key))
        .cloned()
        .collect();
    for key in keys {
        field.definition.shift_remove(&key);
    }
}

fn parse_dynamic(value: &Value) -> Result<Dynamic, ApiError> {
    let text = java_text(value);
    match text.to_ascii_lowercase().as_str() {
        "true" => Ok(Dynamic::True),
        "false" => Ok(Dynamic::False),
        "strict" => Ok(Dynamic::Strict),
        "runtime" => Err(mapping_error(
            "[dynamic] value [runtime] is not supported: use true, false or strict",
        )),
        _ => Err(mapping_error(format!(
            "Could not convert [dynamic] to boolean: Failed to parse value [{text}] as only \
             [true], [false] or [strict] are allowed."
        ))),
    }
}

fn check_name(name: &str) -> Result<(), ApiError> {
    if name.is_empty() {
        return Err(ApiError::illegal_argument(
            "field name cannot be an empty string",
        ));
    }
    if name.split('.').any(|part| part.trim().is_empty()) {
        return Err(mapping_error(format!(
            "field name [{name}] cannot contain only whitespace, start or end with '.', or have \
             empty parts"
        )));
    }
    if name.contains(['\0', '\u{1}']) {
        return Err(mapping_error(format!(
            "field name [{}] contains a control character",
            name.escape_default()
        )));
    }
    Ok(())
}

fn analyzer(value: &Value, path: &str) -> Result<Analyzer, ApiError> {
    let name = string("analyzer", value, path)?;
    Analyzer::from_name(name).ok_or_else(|| {
        mapping_error(format!(
            "analyzer [{name}] has not been configured in mappings"
        ))
    })
}

fn members_or_null(json: &Value) -> Option<&Map<String, Value>> {
    static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    match json {
        Value::Object(members) => Some(members),
        Value::Null => Some(&EMPTY),
        _ => None,
    }
}

fn object<'a>(key: &str, value: &'a Value) -> Result<&'a Map<String, Value>, ApiError> {
    value
        .as_object()
        .ok_or_else(|| mapping_error(format!("[{key}] must be an object")))
}

fn boolean(key: &str, value: &Value) -> Result<bool, ApiError> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::String(text) if text == "true" => Ok(true),
        Value::String(text) if text == "false" => Ok(false),
        other => Err(mapping_error(format!(
            "Could not convert [{key}] to boolean: Failed to parse value [{}] as only [true] or \
             [false] are allowed.",
            java_text(other)
        ))),
    }
}

fn whole(key: &str, value: &Value, path: &str) -> Result<usize, ApiError> {
    let number = match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    };
    number
        .and_then(|number| usize::try_from(number).ok())
        .filter(|number| *number <= i32::MAX as usize)
        .ok_or_else(|| {
            mapping_error(format!(
                "Failed to parse value [{}] of parameter [{key}] on field [{path}]: expected a \
                 whole number, zero or more",
                java_text(value)
            ))
        })
}

fn string<'a>(key: &str, value: &'a Value, path: &str) -> Result<&'a str, ApiError> {
    value.as_str().ok_or_else(|| {
        mapping_error(format!(
            "parameter [{key}] on field [{path}] must be a string"
        ))
    })
}

fn one_of(key: &str, value: &Value, allowed: &[&str], path: &str) -> Result<(), ApiError> {
    let text = string(key, value, path)?;
    if allowed.contains(&text) {
        return Ok(());
    }
    Err(mapping_error(format!(
        "Unknown value [{text}] for field [{key}] - accepted values are [{}]",
        allowed.join(", ")
    )))
}

fn string_list(key: &str, value: &Value, path: &str) -> Result<Vec<String>, ApiError> {
    match value {
        Value::Array(items) => items
            .iter()
            .map(|item| string(key, item, path).map(str::to_owned))
            .collect(),
        one => Ok(vec![string(key, one, path)?.to_owned()]),
    }
}

fn unknown_metadata(name: &str, field: &str) -> ApiError {
    mapping_error(format!(
        "unknown parameter [{name}] on metadata field [{field}]"
    ))
}

fn kind(json: &Value) -> &'static str {
    match json {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "map",
    }
}

/// The text Java shows for a value: strings without quotes.
fn java_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn first_part(path: &str) -> &str {
    path.split('.').next().unwrap_or(path)
}

fn last_part(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}
