//! Coordination's messages over the transport.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use ringwall_api::ApiError;
use ringwall_base::NodeKey;
use ringwall_coordination::{
    Coordination, JOINING_RPCS, MEMBER_RPCS, NetworkError, PeerInfo, PeerNetwork, Sender,
};
use ringwall_transport::{
    Callers, DuplicateAction, InboundContext, NodeIdentity, Request, SendError, Transport,
};

/// The network as coordination sees it.
pub struct TransportPeers(pub Transport);

impl PeerNetwork for TransportPeers {
    fn probe(&self, address: String, timeout: Duration) -> BoxFuture<'_, Result<PeerInfo, String>> {
        Box::pin(async move {
            match self.0.probe(&address, timeout).await {
                Ok(identity) => Ok(peer_info(&identity)),
                Err(error) => Err(error.to_string()),
            }
        })
    }

    fn send(
        &self,
        to: &PeerInfo,
        rpc: &'static str,
        body: Bytes,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<Bytes, NetworkError>> {
        let node = to.id;
        self.0.set_address(node, &to.transport_address);
        Box::pin(async move {
            let request = Request {
                body,
                authentication: None,
                timeout,
            };
            self.0.send(node, rpc, request).await.map_err(network_error)
        })
    }

    fn proven_key(&self, peer: &PeerInfo) -> Option<NodeKey> {
        self.0.proven_key(peer.id, &peer.ephemeral_id)
    }
}

/// Registers coordination's actions.
pub fn register(
    transport: &Transport,
    coordination: &Arc<Coordination>,
) -> Result<(), DuplicateAction> {
    let open = JOINING_RPCS.map(|action| (action, Callers::Anyone));
    let closed = MEMBER_RPCS.map(|action| (action, Callers::Members));
    for (action, callers) in open.into_iter().chain(closed) {
        let coordination = coordination.clone();
        let handler = move |context: InboundContext, body: Bytes| {
            let coordination = coordination.clone();
            async move {
                coordination
                    .handle_rpc(action, sender(&context.peer), body)
                    .await
                    .map_err(|error| ApiError::internal(error.to_string()))
            }
        };
        transport.register(action, callers, handler)?;
    }
    Ok(())
}

/// Returns who sends a request, as its link has shown.
pub fn sender(peer: &NodeIdentity) -> Sender {
    Sender {
        id: peer.id,
        key: peer.key,
    }
}

/// Returns what coordination knows of a node that introduced itself.
pub fn peer_info(identity: &NodeIdentity) -> PeerInfo {
    let has = |role: &str| identity.roles.iter().any(|r| r == role);
    PeerInfo {
        id: identity.id,
        ephemeral_id: identity.ephemeral_id.clone(),
        name: identity.name.clone(),
        transport_address: identity.publish_address.clone(),
        master_eligible: has("master"),
        voting_only: has("voting_only"),
        roles: identity.roles.iter().cloned().collect(),
        attributes: identity.attributes.clone(),
        http_address: identity.http_address.clone(),
        version: identity.version.clone(),
        key: identity.key,
    }
}

fn network_error(error: SendError) -> NetworkError {
    match error {
        SendError::Timeout { .. } => NetworkError::Timeout,
        SendError::Connect { source, .. } if source.kind() == "timeout" => {
            NetworkError::NoConnection(source.to_string())
        }
        SendError::Remote(remote) => NetworkError::Remote(remote.reason),
        other => NetworkError::Unreachable(other.to_string()),
    }
}
