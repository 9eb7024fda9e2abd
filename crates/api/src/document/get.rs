//! A document read by its id. Source: Elasticsearch reference, "Get API".

use bytes::Bytes;
use ringwall_base::{SeqNo, Term};
use serde::{Deserialize, Serialize};

use crate::IndicesTarget;
use crate::document::SourceFilter;

/// Reads one document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetRequest {
    /// Exactly one index.
    pub index: IndicesTarget,
    pub id: String,
    pub routing: Option<String>,
    /// Which copy to ask; of no interest to the one that is asked.
    #[serde(skip)]
    pub preference: Option<String>,
    /// Sees the latest write even before a refresh.
    pub realtime: bool,
    pub refresh: bool,
    pub source: SourceFilter,
    pub version: Option<u64>,
}

/// A document, or the news that there is none (`found: false`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetResult {
    pub index: String,
    pub id: String,
    pub found: bool,
    pub version: u64,
    pub seq_no: SeqNo,
    pub primary_term: Term,
    pub routing: Option<String>,
    /// The filtered `_source`, JSON text.
    #[serde(with = "ringwall_base::encoding::shared::option", default)]
    pub source: Option<Bytes>,
}
