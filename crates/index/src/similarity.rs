//! How matches of a text score. Source: Elasticsearch reference, "Similarity settings".

use std::collections::BTreeMap;

use ringwall_api::ApiError;
use serde_json::{Map, Value};

/// The way matches of a field score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Similarity {
    Bm25 {
        k1: f32,
        b: f32,
    },
    /// Each match scores 1.
    Boolean,
}

impl Default for Similarity {
    fn default() -> Self {
        Self::Bm25 { k1: 1.2, b: 0.75 }
    }
}

/// The similarities of an index, by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Similarities(BTreeMap<String, Similarity>);

impl Similarities {
    /// Reads `index.similarity`: `{"name": {"type": ..., ...}}`; null for none.
    ///
    /// # Errors
    /// 400 for what does not exist, or is not supported here, by its name.
    pub fn parse(settings: &Value) -> Result<Self, ApiError> {
        let mut named = BTreeMap::new();
        let none = Map::new();
        for (name, given) in settings.as_object().unwrap_or(&none) {
            if BUILT_IN.contains(&name.as_str()) {
                return Err(ApiError::illegal_argument(format!(
                    "illegal value for [index.similarity.{name}] cannot redefine built-in similarity"
                )));
            }
            let given = given.as_object().unwrap_or(&none);
            named.insert(name.clone(), similarity(name, given)?);
        }
        Ok(Self(named))
    }

    /// Returns the similarity of this name.
    pub fn get(&self, name: &str) -> Option<Similarity> {
        match name {
            "BM25" => Some(Similarity::default()),
            "boolean" => Some(Similarity::Boolean),
            name => self.0.get(name).copied(),
        }
    }

    /// Returns the one of fields that name none.
    pub fn of_index(&self) -> Similarity {
        self.0.get("default").copied().unwrap_or_default()
    }
}

fn similarity(name: &str, given: &Map<String, Value>) -> Result<Similarity, ApiError> {
    let kind = given.get("type").and_then(Value::as_str).ok_or_else(|| {
        ApiError::illegal_argument(format!("Similarity [{name}] must have an associated type"))
    })?;
    let known: &[&str] = match kind {
        "BM25" => &["type", "k1", "b", "discount_overlaps"],
        "boolean" => &["type"],
        kind if ABSENT.contains(&kind) => {
            return Err(ApiError::illegal_argument(format!(
                "the similarity type [{kind}] of [{name}] is not supported by Ringwall"
            )));
        }
        kind => {
            return Err(ApiError::illegal_argument(format!(
                "Unknown Similarity type [{kind}] for [{name}]"
            )));
        }
    };
    let unknown: Vec<&str> = given
        .keys()
        .map(String::as_str)
        .filter(|key| !known.contains(key))
        .collect();
    if !unknown.is_empty() {
        return Err(ApiError::illegal_argument(format!(
            "Unknown settings for similarity of type [{kind}]: [{}]",
            unknown.join(", ")
        )));
    }
    if kind == "boolean" {
        return Ok(Similarity::Boolean);
    }
    let text = |key| given.get(key).and_then(Value::as_str);
    if text("discount_overlaps").is_some_and(|flag| flag != "true") {
        return Err(ApiError::illegal_argument(format!(
            "[discount_overlaps=false] of the similarity [{name}] is not supported by Ringwall"
        )));
    }
    let number = |key, default: f32| match text(key) {
        None => Ok(default),
        Some(text) => text.parse::<f32>().map_err(|_| {
            ApiError::illegal_argument(format!(
                "Failed to parse value [{text}] for setting [{key}]"
            ))
        }),
    };
    let (k1, b) = (number("k1", 1.2)?, number("b", 0.75)?);
    if !k1.is_finite() || k1 < 0.0 {
        return Err(ApiError::illegal_argument(format!(
            "illegal k1 value: {k1:?}, must be a non-negative finite value"
        )));
    }
    if !(0.0..=1.0).contains(&b) {
        return Err(ApiError::illegal_argument(format!(
            "illegal b value: {b:?}, must be between 0 and 1"
        )));
    }
    Ok(Similarity::Bm25 { k1, b })
}

const BUILT_IN: [&str; 2] = ["BM25", "boolean"];

/// Those that there are in Elasticsearch, and not here.
const ABSENT: [&str; 7] = [
    "DFI",
    "DFR",
    "IB",
    "LMDirichlet",
    "LMJelinekMercer",
    "classic",
    "scripted",
];

/// Returns a length as the index of Lucene keeps it, in one byte: exact up to 40, then with four significant bits.
pub(crate) fn kept_length(length: usize) -> i64 {
    /// Lengths below are kept as they are.
    const EXACT: u64 = 24;
    let length = (length as u64).min(i32::MAX as u64);
    if length < EXACT {
        return length.cast_signed();
    }
    let above = length - EXACT;
    let bits = u64::BITS - above.leading_zeros();
    let dropped = bits.saturating_sub(4);
    (EXACT + ((above >> dropped) << dropped)).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lengths_are_kept_as_the_search_library_keeps_them() {
        // Both have the table of Lucene.
        for length in [
            0, 1, 23, 24, 39, 40, 41, 42, 56, 57, 88, 100, 1000, 123_456, 9_999_999,
        ] {
            let kept = usize::try_from(kept_length(length)).unwrap();
            assert!(
                kept <= length && kept * 17 + 16 >= length * 16,
                "{length} {kept}"
            );
            assert_eq!(kept_length(kept), kept_length(length), "{length}");
        }
        assert_eq!([40, 41, 42, 43].map(kept_length), [40, 40, 42, 42]);
    }

    #[test]
    fn similarities_are_read_or_refused_by_name() {
        let mine = json!({"mine": {"type": "BM25", "k1": "2.0", "b": "0"}, "default": {"type": "boolean"}});
        let read = Similarities::parse(&mine).unwrap();
        assert_eq!(read.get("mine"), Some(Similarity::Bm25 { k1: 2.0, b: 0.0 }));
        assert_eq!(read.of_index(), Similarity::Boolean);
        assert_eq!(read.get("BM25"), Some(Similarity::default()));
        assert_eq!(read.get("none"), None);
        for (given, reason) in [
            (
                json!({"m": {"type": "nope"}}),
                "Unknown Similarity type [nope] for [m]",
            ),
            (
                json!({"m": {"type": "DFR"}}),
                "the similarity type [DFR] of [m] is not supported by Ringwall",
            ),
            (
                json!({"m": {"k1": "1"}}),
                "Similarity [m] must have an associated type",
            ),
            (
                json!({"m": {"type": "BM25", "kk": "1"}}),
                "Unknown settings for similarity of type [BM25]: [kk]",
            ),
            (
                json!({"m": {"type": "BM25", "k1": "-2.0"}}),
                "illegal k1 value: -2.0, must be a non-negative finite value",
            ),
            (
                json!({"m": {"type": "BM25", "b": "2.0"}}),
                "illegal b value: 2.0, must be between 0 and 1",
            ),
            (
                json!({"BM25": {"type": "boolean"}}),
                "illegal value for [index.similarity.BM25] cannot redefine built-in similarity",
            ),
        ] {
            assert_eq!(Similarities::parse(&given).unwrap_err().reason, reason);
        }
    }
}
