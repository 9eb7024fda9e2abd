//! Creating, describing and maintaining indices.

pub mod aliases;
pub mod analyze;
pub mod blocks;
pub mod broadcast;
mod cache;
pub mod close;
pub mod create;
pub mod delete;
pub mod forcemerge;
pub mod get;
pub mod mapping;
pub mod recovery;
pub mod refresh;
pub mod resolve;
mod resolve_cluster;
pub mod rollover;
pub mod segments;
pub mod settings;
pub mod shard_stores;
pub mod shard_table;
pub mod stats;
pub mod templates;

use ringwall_api::{ApiError, ApiResult};
use ringwall_cluster::{ClusterState, IndexMetadata};
use ringwall_security::ResolvedIndices;

/// Returns the indices of a resolved target.
///
/// # Errors
/// One has been deleted since it was resolved.
pub(crate) fn concrete<'a>(
    state: &'a ClusterState,
    target: &ResolvedIndices,
) -> ApiResult<Vec<&'a IndexMetadata>> {
    target
        .names()
        .iter()
        .map(|name| {
            state
                .indices
                .get(name)
                .ok_or_else(|| ApiError::index_not_found(name))
        })
        .collect()
}
