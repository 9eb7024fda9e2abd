//! Reading on page by page. Source: Elasticsearch reference, "Scroll API".

use serde::{Deserialize, Serialize};

/// The next page of a search that was begun with `scroll`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrollRequest {
    pub scroll_id: String,
    /// How long the scroll is kept from now on, milliseconds; `None`: as it was asked for last.
    pub keep_alive_ms: Option<u64>,
}

/// Ends scrolls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClearScrollRequest {
    pub scroll_ids: Vec<String>,
}

/// Ends every scroll of the cluster, whoever began it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClearAllScrollsRequest {}

/// What was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClearedContexts {
    /// Shards on which something was open.
    pub freed: u64,
}
