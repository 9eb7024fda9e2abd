//! What names stand for. Source: Elasticsearch reference, "Resolve index API".

use serde::{Deserialize, Serialize};

use crate::IndicesTarget;

/// Tells what index expressions stand for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResolveIndexRequest {
    pub indices: IndicesTarget,
}

/// Each list by name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ResolveIndexResponse {
    pub indices: Vec<FoundIndex>,
    pub aliases: Vec<FoundAlias>,
}

/// An index that an expression stands for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoundIndex {
    pub name: String,
    pub aliases: Vec<String>,
    pub hidden: bool,
    #[serde(default)]
    pub closed: bool,
}

/// An alias that an expression stands for, with all that is behind it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoundAlias {
    pub name: String,
    pub indices: Vec<String>,
}
