//! What analyzers make of texts. Source: Elasticsearch reference, "Analyze API".

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::IndicesTarget;

/// Which texts are analyzed, and how. At most one way is set; nothing is the default analyzer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Analyze {
    pub texts: Vec<String>,
    /// By its name.
    pub analyzer: Option<String>,
    /// By its name.
    pub normalizer: Option<String>,
    /// As the field of this path is analyzed.
    pub field: Option<String>,
    /// A name, or an object with a `type`.
    pub tokenizer: Option<Value>,
    /// As the tokenizer, each; without one they are those of a normalizer.
    pub char_filters: Vec<Value>,
    pub filters: Vec<Value>,
    /// Whether it is told what each part did.
    pub explain: bool,
}

/// Analyzes texts with what is there without an index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnalyzeRequest {
    pub ask: Analyze,
}

/// Analyzes texts with what an index has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnalyzeInIndexRequest {
    /// Exactly one.
    pub indices: IndicesTarget,
    pub ask: Analyze,
}

/// The tokens of all texts, one behind the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnalyzeResponse {
    pub tokens: Vec<AnalyzeToken>,
    /// What each part did, if that was asked for.
    pub detail: Option<AnalyzeDetail>,
}

/// A token, with where it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnalyzeToken {
    pub token: String,
    /// UTF-16 units before it and to its end, with the texts before counted.
    pub start_offset: u64,
    pub end_offset: u64,
    #[serde(rename = "type")]
    pub kind: String,
    pub position: u64,
    /// How many positions it spans.
    pub position_length: u64,
}

/// What the parts of an analyzer did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum AnalyzeDetail {
    /// An analyzer that is not made of parts, by its name.
    Whole(String),
    Parts {
        /// Names, and what each made of each text.
        char_filters: Vec<(String, Vec<String>)>,
        /// Names and tokens: the tokenizer, then the filters.
        stages: Vec<(String, Vec<AnalyzeToken>)>,
    },
}
