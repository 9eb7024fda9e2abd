//! The analyzers that fields name. Source: Elasticsearch reference, "Specify an analyzer".

use std::sync::Arc;

use ringwall_api::ApiError;

use super::{Family, FieldMapping, ObjectMapping, Property, mapping_error};
use crate::analysis::{Analysis, Analyzer};

/// Finds the analyzers of each field.
pub(super) fn resolve(object: &mut ObjectMapping, analysis: &Analysis) -> Result<(), ApiError> {
    for property in object.properties.values_mut() {
        match property {
            Property::Object(inner) => resolve(inner, analysis)?,
            Property::Field(field) => resolve_field(Arc::make_mut(field), analysis)?,
        }
    }
    Ok(())
}

fn resolve_field(field: &mut FieldMapping, analysis: &Analysis) -> Result<(), ApiError> {
    for inner in field.fields.values_mut() {
        resolve_field(Arc::make_mut(inner), analysis)?;
    }
    if let Some(name) = field.definition.get("normalizer").and_then(|n| n.as_str()) {
        let found = analysis.normalizer(name).ok_or_else(|| {
            mapping_error(format!(
                "normalizer [{name}] not found for field [{}]",
                field.name()
            ))
        })?;
        field.normalizer = Some(found);
    }
    if field.field_type.parameter("similarity").is_some() {
        let named = field.definition.get("similarity").and_then(|n| n.as_str());
        let similarities = analysis.similarities();
        field.similarity = match named {
            None => similarities.of_index(),
            Some(name) => similarities.get(name).ok_or_else(|| {
                mapping_error(format!(
                    "Unknown Similarity type [{name}] for field [{}]",
                    field.name()
                ))
            })?,
        };
    }
    let is_analyzed = field.field_type.parameter("analyzer").is_some();
    if !is_analyzed && field.field_type.family() != Some(Family::Text) {
        return Ok(());
    }
    let named = |key: &str| -> Result<Option<Analyzer>, ApiError> {
        let Some(name) = field.definition.get(key).and_then(|name| name.as_str()) else {
            return Ok(None);
        };
        let found = analysis.analyzer(name).ok_or_else(|| {
            let why = format!("analyzer [{name}] has not been configured in mappings");
            mapping_error(&why).caused_by(ApiError::illegal_argument(why))
        })?;
        Ok(Some(found))
    };
    let own = named("analyzer")?;
    let search = named("search_analyzer")?;
    let quote = named("search_quote_analyzer")?;
    let is_default = own.is_none() && search.is_none();
    let of_index = |name: &str| is_default.then(|| analysis.own(name)).flatten();
    let own = own.unwrap_or_else(|| analysis.analyzer("default").unwrap_or_default());
    let search = search
        .or_else(|| of_index("default_search"))
        .unwrap_or_else(|| own.clone());
    let quote = quote
        .or_else(|| of_index("default_search_quoted"))
        .unwrap_or_else(|| search.clone());
    if let (Analyzer::Custom(chain), false) = (
        &own,
        field.definition.contains_key("position_increment_gap"),
    ) && let Some(gap) = chain.gap()
    {
        field.position_increment_gap = gap;
    }
    field.analyzer = own;
    field.search_analyzer = search;
    field.search_quote_analyzer = quote;
    Ok(())
}
