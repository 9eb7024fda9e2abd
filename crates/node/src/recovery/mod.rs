//! Bringing a copy up to date from its primary. See `docs/decisions/0003`.

pub mod messages;
pub mod rate;
pub mod source;
pub mod target;

use std::sync::Arc;

use ringwall_transport::{DuplicateAction, InboundContext, TypedHandler};

use self::messages::{
    CANCEL, ChunkRequest, FILE_CHUNK, FINALIZE, OPERATIONS, OperationsRequest, START, StartRequest,
    StepRequest, TRACK,
};
use crate::services::Services;
pub use rate::RecoveryRate;
pub use source::RecoverySessions;

/// Registers the source's side with the transport.
pub fn register(services: &Arc<Services>) -> Result<(), DuplicateAction> {
    let transport = &services.transport;
    let shared = services.clone();
    transport.register(
        START,
        TypedHandler::new(move |context: InboundContext, request: StartRequest| {
            let services = shared.clone();
            async move { source::start(&services, context.peer.id, request).await }
        }),
    )?;
    let shared = services.clone();
    transport.register(
        FILE_CHUNK,
        TypedHandler::new(move |_, request: ChunkRequest| {
            let services = shared.clone();
            async move { source::file_chunk(&services, request).await }
        }),
    )?;
    let shared = services.clone();
    transport.register(
        OPERATIONS,
        TypedHandler::new(move |_, request: OperationsRequest| {
            let services = shared.clone();
            async move { source::operations(&services, request).await }
        }),
    )?;
    let shared = services.clone();
    transport.register(
        TRACK,
        TypedHandler::new(move |_, request: StepRequest| {
            let services = shared.clone();
            async move { source::track(&services, &request) }
        }),
    )?;
    let shared = services.clone();
    transport.register(
        FINALIZE,
        TypedHandler::new(move |_, request: StepRequest| {
            let services = shared.clone();
            async move { source::finalize(&services, &request) }
        }),
    )?;
    let shared = services.clone();
    transport.register(
        CANCEL,
        TypedHandler::new(move |_, request: StepRequest| {
            let services = shared.clone();
            async move {
                services.recoveries.remove(request.recovery_id);
                Ok(())
            }
        }),
    )
}
