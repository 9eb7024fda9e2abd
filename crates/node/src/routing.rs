//! Which copy of which shard a request goes to.

use ringwall_api::{ApiError, ApiResult, ErrorCode, Through};
use ringwall_base::{ShardId, routing};
use ringwall_cluster::{ClusterState, IndexMetadata};
use ringwall_security::ResolvedIndices;

/// Returns the shard of a document.
pub fn shard_of(index: &IndexMetadata, id: &str, routing: Option<&str>) -> ShardId {
    let settings = &index.settings;
    let shard = routing::shard_for(
        routing.unwrap_or(id),
        settings.number_of_routing_shards(),
        settings.number_of_shards(),
    );
    ShardId {
        index: index.id.clone(),
        shard,
    }
}

/// Returns the index that a write to a name goes to: the index of that name, or the one that an
/// alias stands for. `None` when there is neither.
///
/// # Errors
/// The alias stands for several indices and none is its write index.
pub fn write_index<'a>(
    state: &'a ClusterState,
    name: &str,
) -> ApiResult<Option<&'a IndexMetadata>> {
    if let Some(index) = state.indices.get(name) {
        return Ok(Some(index));
    }
    let behind: Vec<&IndexMetadata> = state
        .indices
        .values()
        .filter(|index| index.aliases.contains_key(name))
        .collect();
    let marked = |index: &&IndexMetadata| index.aliases[name].is_write_index;
    if let Some(index) = behind.iter().find(|index| marked(index) == Some(true)) {
        return Ok(Some(index));
    }
    match behind.as_slice() {
        [] => Ok(None),
        [only] if marked(only) != Some(false) => Ok(Some(only)),
        _ => Err(ApiError::illegal_argument(format!(
            "no write index is defined for alias [{name}]. The write index may be explicitly \
             disabled using is_write_index=false or the alias points to multiple indices without \
             one being designated as a write index"
        ))),
    }
}

/// Returns the one index that a read by id is about, and by which name it was reached.
///
/// # Errors
/// It has been deleted since its name was resolved (404).
pub fn one_index<'a>(
    state: &'a ClusterState,
    indices: &ResolvedIndices,
) -> ApiResult<(&'a IndexMetadata, Through)> {
    let [name] = indices.names() else {
        return Err(ApiError::index_not_found(&indices.asked()));
    };
    let index = state.indices.get(name);
    let index = index.ok_or_else(|| ApiError::index_not_found(name))?;
    Ok((index, indices.through(name)))
}

/// Returns whether an error means that the state in use was out of date, so that a newer one may
/// show the way.
pub fn is_stale_routing(error: &ApiError) -> bool {
    matches!(
        error.code,
        ErrorCode::ShardNotInPrimaryMode | ErrorCode::ShardNotFound | ErrorCode::StalePrimary
    ) || is_broken_link(error)
}

/// Returns whether an error means that a node was not reached, the link to it broke, or that it does not take this
/// node for a member for the time being.
pub fn is_broken_link(error: &ApiError) -> bool {
    matches!(
        error.code,
        ErrorCode::NodeNotConnected
            | ErrorCode::NodeDisconnected
            | ErrorCode::ConnectTransport
            | ErrorCode::NotAMember
    )
}

/// Returns the error of a shard that no node serves.
pub fn no_copy(shard: &ShardId) -> ApiError {
    ApiError::new(
        ErrorCode::NoShardAvailable,
        format!("No shard available for {shard}"),
    )
    .with("index", shard.index.name.clone())
    .with("shard", shard.shard.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_known_yet_asks_again_or_elsewhere() {
        let refused = ApiError::new(ErrorCode::NotAMember, "no member");
        assert!(is_broken_link(&refused) && is_stale_routing(&refused));
        let forbidden = ApiError::new(ErrorCode::Security, "no right").with_status(403);
        assert!(!is_broken_link(&forbidden) && !is_stale_routing(&forbidden));
    }
}
