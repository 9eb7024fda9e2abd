//! Which clusters have what an index expression names. Source: Elasticsearch reference, "Resolve cluster API".

use serde::{Deserialize, Serialize};

use crate::IndicesTarget;

/// Asks whether this cluster has any of the indices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResolveClusterRequest {
    pub indices: IndicesTarget,
}

/// See [`ResolveClusterRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolveClusterResponse {
    /// One of them is open.
    pub matching: bool,
}
