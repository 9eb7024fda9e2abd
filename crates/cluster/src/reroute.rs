//! What an operator decides about copies when the rules cannot: `POST /_cluster/reroute`.
//! Source: the published reference of the cluster reroute API.

use ringwall_api::cluster::{ForcedPrimary, RerouteCommand};
use ringwall_api::{ApiError, ErrorCode};
use ringwall_base::{AllocationId, NodeId};

use crate::ClusterState;
use crate::routing::{CopyState, RecoverySource};

/// Carries out one command. Refused, it changes nothing.
pub(crate) fn apply(
    state: &mut ClusterState,
    command: &RerouteCommand,
    allocation_id: AllocationId,
) -> Result<(), ApiError> {
    let (index, number) = (&command.index, command.shard);
    let metadata = state
        .indices
        .get(index)
        .ok_or_else(|| ApiError::index_not_found(index))?;
    let node = node_of(state, command)?;
    if metadata.shards.get(number as usize).is_none() {
        return Err(match command.kind {
            ForcedPrimary::Stale => no_data(command, None),
            ForcedPrimary::Empty => ApiError::new(ErrorCode::ShardNotFound, "no such shard")
                .with("index_uuid", metadata.id.uuid.clone())
                .with("shard", number.to_string())
                .with("index", index.clone()),
        });
    }
    let fresh = metadata.shards[number as usize].in_sync.is_empty();
    // Invariant: routing has an entry for exactly the shards of `indices`.
    let shard = &mut state
        .routing
        .get_mut(index)
        .expect("routing of an index")
        .shards[number as usize];
    let name = command.kind.as_str();
    let Some(copy) = shard
        .copies
        .iter_mut()
        .find(|copy| copy.primary && copy.state == CopyState::Unassigned)
    else {
        return Err(ApiError::illegal_argument(format!(
            "[{name}] primary [{index}][{number}] is already assigned"
        )));
    };
    if command.kind == ForcedPrimary::Stale && fresh {
        return Err(no_data(command, None));
    }
    if !fresh && !command.accept_data_loss {
        let what = match command.kind {
            ForcedPrimary::Stale => "a stale",
            ForcedPrimary::Empty => "an empty",
        };
        return Err(ApiError::illegal_argument(format!(
            "[{name}] allocating {what} primary for [{index}][{number}] can result in data loss. Please confirm \
             by setting the accept_data_loss parameter to true"
        )));
    }
    copy.state = CopyState::Initializing;
    copy.node = Some(node);
    copy.allocation_id = Some(allocation_id);
    copy.recovery_source = match command.kind {
        ForcedPrimary::Stale => RecoverySource::StaleStore,
        ForcedPrimary::Empty => RecoverySource::EmptyStore,
    };
    if let Some(metadata) = state.indices.get_mut(index) {
        metadata.shards[number as usize].primary_term += 1;
    }
    Ok(())
}

fn node_of(state: &ClusterState, command: &RerouteCommand) -> Result<NodeId, ApiError> {
    let wanted = &command.node;
    let found = state
        .nodes
        .values()
        .find(|node| node.name == *wanted || node.id.to_string() == *wanted);
    match (found, command.kind) {
        (Some(node), _) if node.is_data() => Ok(node.id),
        (Some(_), _) => Err(ApiError::illegal_argument(format!(
            "[{}] can only be done on data nodes, not [{wanted}]",
            command.kind.as_str()
        ))),
        (None, ForcedPrimary::Stale) => Err(no_data(command, Some(wanted))),
        (None, ForcedPrimary::Empty) => Err(ApiError::illegal_argument(format!(
            "failed to resolve [{wanted}], no matching nodes"
        ))),
    }
}

fn no_data(command: &RerouteCommand, node: Option<&str>) -> ApiError {
    let node = node.map_or("any node".to_owned(), |node| format!("node [{node}]"));
    ApiError::illegal_argument(format!(
        "No data for shard [{}] of index [{}] found on {node}",
        command.shard, command.index
    ))
}
