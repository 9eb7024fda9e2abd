//! A copy takes operations from its primary.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ringwall_api::{ApiError, ApiResult, ErrorCode};
use ringwall_base::{AllocationId, SeqNo, ShardId, Term, encoding};
use ringwall_index::Operation;

use super::messages::{
    CheckpointRequest, RefreshCopyRequest, ReplicaRequest, ReplicaResponse, ResyncRequest,
};
use crate::services::Services;
use crate::shards::LocalShard;

/// How long a copy waits for the mapping that operations were made with.
const MAPPING_WAIT: Duration = Duration::from_secs(10);

/// Applies operations and makes them durable.
pub async fn replicate(services: &Services, request: ReplicaRequest) -> ApiResult<ReplicaResponse> {
    let shard = copy(services, &request.shard, &request.allocation_id)?;
    shard.check_replica_term(request.primary_term)?;
    services
        .shards
        .ensure_mapping(&shard, request.mapping_version, MAPPING_WAIT)
        .await?;
    let term = request.primary_term;
    let global_checkpoint = request.global_checkpoint;
    let operations = decode_operations(&request.operations)?;
    let disk = services.disk.clone();
    let local_checkpoint = services
        .pools
        .write
        .run(move || -> ApiResult<SeqNo> {
            // Rather no copy than one that fails in the middle.
            disk.check_last_room()?;
            // Again under the operation: a resync may have come between.
            let _admitted = shard.admit(term)?;
            apply_all(&shard, &operations)?;
            if request.refresh {
                shard.refresh()?;
            }
            shard.engine.set_global_checkpoint(global_checkpoint);
            Ok(shard.engine.persisted_local_checkpoint())
        })
        .await??;
    Ok(ReplicaResponse { local_checkpoint })
}

/// Compares histories with a new primary, takes what is missing, and follows it from then on.
///
/// # Errors
/// `illegal_state_exception` when this copy holds an operation that the new primary does not:
/// one that was never acknowledged. The primary then has the copy rebuilt.
pub async fn resync(services: &Services, request: ResyncRequest) -> ApiResult<ReplicaResponse> {
    let shard = copy(services, &request.shard, &request.allocation_id)?;
    services
        .shards
        .ensure_mapping(&shard, request.mapping_version, MAPPING_WAIT)
        .await?;
    let operations = decode_operations(&request.operations)?;
    let local_checkpoint = services
        .pools
        .write
        .run(move || -> ApiResult<SeqNo> {
            shard.follow(request.primary_term, || {
                check_history(&shard, request.global_checkpoint, &operations)
            })?;
            let _admitted = shard.admit(request.primary_term)?;
            apply_all(&shard, &operations)?;
            shard
                .engine
                .set_global_checkpoint(request.global_checkpoint);
            Ok(shard.engine.persisted_local_checkpoint())
        })
        .await??;
    Ok(ReplicaResponse { local_checkpoint })
}

/// Learns how far every copy has come.
pub async fn sync_checkpoint(services: &Services, request: CheckpointRequest) -> ApiResult<()> {
    let shard = copy(services, &request.shard, &request.allocation_id)?;
    shard.check_replica_term(request.primary_term)?;
    shard
        .engine
        .set_global_checkpoint(request.global_checkpoint);
    Ok(())
}

/// Makes what has been applied visible to search.
pub async fn refresh(services: &Services, request: RefreshCopyRequest) -> ApiResult<()> {
    let shard = copy(services, &request.shard, &request.allocation_id)?;
    services.pools.disk.run(move || shard.refresh()).await?
}

/// Reads a message's operations. Their sources are slices of it.
pub fn decode_operations(bytes: &Bytes) -> ApiResult<Vec<Operation>> {
    encoding::decode_shared(bytes).map_err(|error| ApiError::internal(error.to_string()))
}

/// Every operation of ours above the checkpoint must be one of the primary's: the same number
/// under the same term is the same operation.
pub fn history_matches(ours: &[(SeqNo, Term)], primary: impl Fn(SeqNo) -> Option<Term>) -> bool {
    ours.iter()
        .all(|(seq_no, term)| primary(*seq_no) == Some(*term))
}

fn check_history(
    shard: &LocalShard,
    global_checkpoint: SeqNo,
    operations: &[Operation],
) -> ApiResult<()> {
    let ours = shard.engine.op_terms_above(global_checkpoint)?;
    let theirs = |seq_no| {
        operations
            .binary_search_by_key(&seq_no, |operation| operation.seq_no)
            .ok()
            .map(|i| operations[i].primary_term)
    };
    if history_matches(&ours, theirs) {
        return Ok(());
    }
    Err(ApiError::new(
        ErrorCode::IllegalState,
        format!(
            "the copy of {} holds operations that its new primary does not; it must be rebuilt",
            shard.id
        ),
    ))
}

fn apply_all(shard: &LocalShard, operations: &[Operation]) -> ApiResult<()> {
    for operation in operations {
        shard.engine.apply(operation)?;
    }
    shard.engine.sync()?;
    Ok(())
}

fn copy(
    services: &Services,
    shard: &ShardId,
    allocation_id: &AllocationId,
) -> ApiResult<Arc<LocalShard>> {
    services
        .shards
        .get(shard)
        .filter(|local| local.allocation_id == *allocation_id)
        .ok_or_else(|| {
            ApiError::new(
                ErrorCode::ShardNotFound,
                format!("no copy [{allocation_id}] of {shard} on this node"),
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_matches_by_number_and_term() {
        let primary = |seq_no| match seq_no {
            5 => Some(1),
            6 => Some(2),
            _ => None,
        };
        assert!(history_matches(&[], primary));
        assert!(history_matches(&[(5, 1), (6, 2)], primary));
        assert!(!history_matches(&[(6, 1)], primary));
        assert!(!history_matches(&[(7, 1)], primary));
    }
}
