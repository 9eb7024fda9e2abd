//! Applying an update to a mapping. Source: Elasticsearch reference, "Update mapping API".

use std::sync::Arc;

use ringwall_api::{ApiError, ErrorCode};
use serde_json::Value;

use super::{
    FieldMapping, Mapping, MappingLimits, ObjectMapping, Property, RootOptions, java_text,
};
use crate::field::parameter::Change;

/// Returns `base` with the update; slots are given to new text fields in the order of their paths.
pub(super) fn merge(
    base: &Mapping,
    root: ObjectMapping,
    options: RootOptions,
    limits: &MappingLimits,
) -> Result<Mapping, ApiError> {
    let mut merged = base.root.clone();
    merge_object(&mut merged, root, "")?;
    let merged_options = merge_options(&base.options, options);
    let mut next_slot = base.text_slots();
    assign_slots(&mut merged, &mut next_slot);
    let mapping = Mapping {
        analysis: base.analysis.clone(),
        ..Mapping::from_parts(merged, merged_options)
    };
    check_limits(&mapping, base, limits)?;
    check_copy_to(&mapping)?;
    check_aliases(&mapping)?;
    Ok(mapping)
}

fn merge_options(base: &RootOptions, update: RootOptions) -> RootOptions {
    let given = |key: &str| update.given.contains_key(key);
    let mut merged = base.clone();
    if given("date_detection") {
        merged.date_detection = update.date_detection;
    }
    if given("numeric_detection") {
        merged.numeric_detection = update.numeric_detection;
    }
    if given("_routing") {
        merged.routing_required = update.routing_required;
    }
    if given("dynamic_date_formats") {
        merged.dynamic_date_formats = update.dynamic_date_formats;
    }
    if given("dynamic_templates") {
        merged.dynamic_templates = update.dynamic_templates;
    }
    merged.given.extend(update.given);
    // No templates are not shown as a list of none.
    if merged
        .given
        .get("dynamic_templates")
        .and_then(Value::as_array)
        .is_some_and(Vec::is_empty)
    {
        merged.given.remove("dynamic_templates");
    }
    merged
}

fn merge_object(
    base: &mut ObjectMapping,
    update: ObjectMapping,
    path: &str,
) -> Result<(), ApiError> {
    if update.dynamic.is_some() {
        base.dynamic = update.dynamic;
    }
    if update.disabled != base.disabled && !base.properties.is_empty() {
        return Err(ApiError::illegal_argument(format!(
            "the [enabled] parameter can't be updated for the object mapping [{path}]"
        )));
    }
    base.disabled = update.disabled;
    for (name, property) in update.properties {
        let full = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        match base.properties.get_mut(&name) {
            None => {
                base.properties.insert(name, property);
            }
            Some(there) => merge_property(there, property, &full)?,
        }
    }
    Ok(())
}

fn merge_property(base: &mut Property, update: Property, path: &str) -> Result<(), ApiError> {
    match (base, update) {
        (Property::Object(base), Property::Object(update)) => merge_object(base, *update, path),
        (Property::Field(base), Property::Field(update)) => {
            let merged = merge_field(base, &update)?;
            *base = Arc::new(merged);
            Ok(())
        }
        (Property::Object(_), Property::Field(_)) => Err(ApiError::illegal_argument(format!(
            "can't merge a non object mapping [{path}] with an object mapping"
        ))),
        (Property::Field(_), Property::Object(_)) => Err(ApiError::illegal_argument(format!(
            "can't merge a non object mapping [{path}] with an object mapping"
        ))),
    }
}

fn merge_field(base: &FieldMapping, update: &FieldMapping) -> Result<FieldMapping, ApiError> {
    if base.field_type != update.field_type {
        return Err(ApiError::illegal_argument(format!(
            "mapper [{}] cannot be changed from type [{}] to [{}]",
            base.path,
            base.field_type.name(),
            update.field_type.name()
        )));
    }
    check_fixed_parameters(base, update)?;
    let mut merged = update.clone();
    merged.text_slot = base.text_slot;
    merged.fields = base.fields.clone();
    for (name, sub) in &update.fields {
        let sub = match base.fields.get(name) {
            Some(there) => merge_field(there, sub)?,
            None => (**sub).clone(),
        };
        merged.fields.insert(name.clone(), Arc::new(sub));
    }
    Ok(merged)
}

/// Refuses changes of what is baked into the index.
fn check_fixed_parameters(base: &FieldMapping, update: &FieldMapping) -> Result<(), ApiError> {
    let mut conflicts = Vec::new();
    for parameter in base.field_type.mapper().parameters() {
        let (old, new) = ((parameter.value)(base), (parameter.value)(update));
        let refused = match parameter.change {
            Change::Allowed => false,
            Change::Refused => old != new,
            Change::OffOnly => old != new && new == Value::Bool(true),
        };
        if refused {
            conflicts.push(format!(
                "\tCannot update parameter [{}] from [{}] to [{}]",
                parameter.name,
                java_text(&old),
                java_text(&new)
            ));
        }
    }
    if conflicts.is_empty() {
        return Ok(());
    }
    Err(ApiError::illegal_argument(format!(
        "Mapper for [{}] conflicts with existing mapper:\n{}",
        base.path,
        conflicts.join("\n")
    )))
}

/// Gives a slot to each indexed text field without one.
fn assign_slots(object: &mut ObjectMapping, next: &mut u16) {
    let mut names: Vec<String> = object.properties.keys().cloned().collect();
    names.sort();
    for name in names {
        match object.properties.get_mut(&name) {
            Some(Property::Object(inner)) => assign_slots(inner, next),
            Some(Property::Field(field)) if needs_slot(field) => {
                assign_field_slots(Arc::make_mut(field), next);
            }
            _ => {}
        }
    }
}

fn needs_slot(field: &FieldMapping) -> bool {
    let lacks = |field: &FieldMapping| {
        field.field_type.has_slot() && field.index && field.text_slot.is_none()
    };
    lacks(field) || field.fields.values().any(|sub| lacks(sub))
}

fn assign_field_slots(field: &mut FieldMapping, next: &mut u16) {
    if field.field_type.has_slot() && field.index && field.text_slot.is_none() {
        field.text_slot = Some(*next);
        *next = next.saturating_add(1);
    }
    for sub in field.fields.values_mut() {
        if needs_slot(sub) {
            assign_field_slots(Arc::make_mut(sub), next);
        }
    }
}

fn check_limits(mapping: &Mapping, base: &Mapping, limits: &MappingLimits) -> Result<(), ApiError> {
    let total = mapping.total_fields();
    if total > limits.total_fields && total > base.total_fields() {
        return Err(ApiError::illegal_argument(format!(
            "Limit of total fields [{}] has been exceeded while adding new fields [{}]",
            limits.total_fields,
            total - base.total_fields()
        )));
    }
    let too_deep = depth_exceeded(&mapping.root, limits.depth, String::new());
    match too_deep {
        None => Ok(()),
        Some(path) => Err(ApiError::illegal_argument(format!(
            "Limit of mapping depth [{}] has been exceeded due to object field [{path}]",
            limits.depth
        ))),
    }
}

fn depth_exceeded(object: &ObjectMapping, left: usize, path: String) -> Option<String> {
    if left == 0 {
        return Some(path);
    }
    object
        .properties
        .iter()
        .find_map(|(name, property)| match property {
            Property::Object(inner) => {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                depth_exceeded(inner, left - 1, path)
            }
            Property::Field(_) => None,
        })
}

fn check_aliases(mapping: &Mapping) -> Result<(), ApiError> {
    for field in mapping.fields() {
        let Some(target) = field.alias_of() else {
            continue;
        };
        let wrong = match mapping.field(target) {
            _ if *target == *field.path => "an alias cannot refer to itself",
            None => "an alias must refer to an existing field in the mappings",
            Some(other) if other.alias_of().is_some() => "an alias cannot refer to another alias",
            Some(_) => continue,
        };
        return Err(ApiError::new(
            ErrorCode::MapperParsing,
            format!(
                "Invalid [path] value [{target}] for field alias [{}]: {wrong}.",
                field.path
            ),
        ));
    }
    Ok(())
}

fn check_copy_to(mapping: &Mapping) -> Result<(), ApiError> {
    for field in mapping.fields() {
        for target in &field.copy_to {
            if mapping.is_object(target) {
                return Err(ApiError::illegal_argument(format!(
                    "Cannot copy to field [{target}] since it is mapped as an object"
                )));
            }
        }
    }
    Ok(())
}
