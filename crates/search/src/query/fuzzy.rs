//! `fuzzy`, and the fuzzy terms of texts. Source: Elasticsearch reference, "Fuzzy query" and "Common options" (fuzziness).

use ringwall_api::ApiError;
use serde_json::Value;

use super::Query;
use super::compile::{Compiled, boosted, with_field};
use super::kind::{Definition, Kind};
use super::parse::{scalar, single_field};
use super::text::{fuzzy, near_word};
use crate::highlight::{Sought, What};
use crate::parse::{Object, scalar_text, text_of};
use crate::shard::Shard;

/// `fuzzy`.
#[derive(Debug, Clone, PartialEq)]
pub struct FuzzyQuery {
    pub field: String,
    pub value: String,
    pub options: FuzzyOptions,
    pub boost: f32,
}

/// How many edits a fuzzy term may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fuzziness {
    Edits(u8),
    /// No edits below `low` characters, one below `high`, two from there.
    Auto {
        low: usize,
        high: usize,
    },
}

impl Fuzziness {
    /// Returns the edits allowed for a term.
    pub fn edits(self, term: &str) -> u8 {
        match self {
            Self::Edits(edits) => edits,
            Self::Auto { low, high } => match term.chars().count() {
                n if n < low => 0,
                n if n < high => 1,
                _ => 2,
            },
        }
    }
}

/// The options of fuzzy terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FuzzyOptions {
    pub fuzziness: Fuzziness,
    pub prefix_length: usize,
    pub max_expansions: usize,
    pub transpositions: bool,
}

impl Default for FuzzyOptions {
    fn default() -> Self {
        Self {
            fuzziness: Fuzziness::Auto { low: 3, high: 6 },
            prefix_length: 0,
            max_expansions: 50,
            transpositions: true,
        }
    }
}

pub(super) fn parse(given: &Definition<'_>) -> Result<Query, ApiError> {
    let name = given.name;
    let (field, value) = single_field(name, given.body)?;
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

impl Kind for FuzzyQuery {
    fn compile(&self, shard: &Shard<'_>) -> Result<Compiled, ApiError> {
        with_field(shard, &self.field, |field| {
            fuzzy(shard, field, &field.normalized(&self.value)?, &self.options)
                .map(|compiled| boosted(compiled, self.boost))
        })
    }

    fn seek(&self, shard: &Shard<'_>, sought: &mut Sought) -> Result<(), ApiError> {
        let Some(field) = shard.field_of_words(&self.field) else {
            return Ok(());
        };
        let test = near_word(&field.normalized(&self.value)?, &self.options);
        sought.boosted(self.boost, |sought| {
            sought.add(shard, &field.name, What::Word(test))
        })
    }
}
