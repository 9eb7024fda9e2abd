//! Bringing a copy up to date from its primary. See `docs/decisions/0003`.

pub mod messages;
pub mod progress;
pub mod rate;
pub mod source;
pub mod target;

use std::sync::Arc;

use ringwall_transport::DuplicateAction;

use self::messages::{
    CANCEL, ChunkRequest, FILE_CHUNK, FINALIZE, OPERATIONS, OperationsRequest, START, StartRequest,
    StepRequest, TRACK,
};
use crate::node_actions::for_members;
use crate::services::Services;
pub use progress::RecoveryLog;
pub use rate::RecoveryRate;
pub use source::RecoverySessions;

/// Registers the source's side with the transport.
pub fn register(services: &Arc<Services>) -> Result<(), DuplicateAction> {
    for_members(
        services,
        START,
        async |services, context, request: StartRequest| {
            source::start(&services, context.peer.id, request).await
        },
    )?;
    for_members(
        services,
        FILE_CHUNK,
        async |services, context, request: ChunkRequest| {
            source::file_chunk(&services, context.peer.id, request).await
        },
    )?;
    for_members(
        services,
        OPERATIONS,
        async |services, context, request: OperationsRequest| {
            source::operations(&services, context.peer.id, request).await
        },
    )?;
    for_members(
        services,
        TRACK,
        async |services, context, request: StepRequest| {
            source::track(&services, context.peer.id, &request)
        },
    )?;
    for_members(
        services,
        FINALIZE,
        async |services, context, request: StepRequest| {
            source::finalize(&services, context.peer.id, &request).await
        },
    )?;
    for_members(
        services,
        CANCEL,
        async |services, context, request: StepRequest| {
            let sessions = &services.recoveries;
            sessions.cancel(request.recovery_id, context.peer.id);
            Ok(())
        },
    )
}
