//! JSON to [`ObjectMapping`], refusing what it does not understand.

use std::sync::Arc;

use ringwall_api::ApiError;
use serde_json::{Map, Value};

use super::field::SLOT_KEY;
use super::value::{boolean, java_text, kind, object};
use super::{
    Dynamic, DynamicTemplates, FieldMapping, FieldType, MAX_NAME_BYTES, MAX_NAME_PARTS,
    ObjectMapping, Property, RootOptions, mapping_error,
};
use crate::dates::DateFormat;
use crate::field::parameter::{self, Kept};

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
    for (key, value) in definition {
        match key.as_str() {
            "type" => continue,
            "fields" if !field_type.mapper().has_multi_fields() => {
                return Err(mapping_error(format!(
                    "[fields] of the {} field [{path}] is not supported",
                    field_type.name()
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
            // Older versions took what had no effect.
            "index_options" | "norms"
                if form == Form::Stored && field_type == FieldType::KEYWORD => {}
            key => match field_type.parameter(key) {
                Some(parameter) => (parameter.read)(&mut field, key, value)?,
                None => return Err(parameter::unknown(&field, key)),
            },
        }
        field.definition.insert(key.clone(), value.clone());
    }
    field_type.mapper().finish(&mut field)?;
    drop_defaults(&mut field);
    Ok(field)
}

/// Leaves out of the shown definition what only repeats a default, as Elasticsearch does.
fn drop_defaults(field: &mut FieldMapping) {
    let fresh = FieldMapping::new(&field.path, field.field_type);
    let repeats = |key: &String| match field.field_type.parameter(key) {
        None => false,
        Some(parameter) => match parameter.kept {
            Kept::Always => false,
            Kept::UnlessDefault => (parameter.value)(field) == (parameter.value)(&fresh),
            Kept::Unless(drops) => drops(field),
        },
    };
    let keys: Vec<String> = field
        .definition
        .keys()
        .filter(|key| repeats(key))
        .cloned()
        .collect();
    for key in keys {
        field.definition.shift_remove(&key);
    }
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
        if type_name == "alias" {
            let reason = "Type [alias] cannot be used in multi field";
            return Err(mapping_error(reason));
        }
        let sub = parse_field(field_type, definition, &full, form, false)?;
        field.fields.insert(name.clone(), Arc::new(sub));
    }
    Ok(())
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
    if name.contains(['\0', '\u{1}', '\u{2}']) {
        return Err(mapping_error(format!(
            "field name [{}] contains a control character",
            name.escape_default()
        )));
    }
    Ok(())
}

fn members_or_null(json: &Value) -> Option<&Map<String, Value>> {
    static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    match json {
        Value::Object(members) => Some(members),
        Value::Null => Some(&EMPTY),
        _ => None,
    }
}

fn unknown_metadata(name: &str, field: &str) -> ApiError {
    mapping_error(format!(
        "unknown parameter [{name}] on metadata field [{field}]"
    ))
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
