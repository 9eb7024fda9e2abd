//! What is remembered of earlier requests. Source: Elasticsearch reference, "Clear cache API".

use serde::{Deserialize, Serialize};

use crate::IndicesTarget;

/// Forgets what copies remember of earlier requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClearCacheRequest {
    pub indices: IndicesTarget,
    /// Which documents filters let through; nothing else is remembered.
    pub filters: bool,
}
