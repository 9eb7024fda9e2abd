//! Dials an address once, exactly as a node does, and tells everything that was seen. For tools.

use std::net::SocketAddr;

use crate::config::TransportConfig;
use crate::core::Core;
use crate::dial::{Seen, dial_and_tell, resolve};
use crate::error::ConnectError;
use crate::identity::NodeIdentity;
use crate::link::LinkKind;

/// What came of dialling one address.
#[derive(Debug, Clone)]
pub struct Examined {
    /// The name or address that was dialled, which TLS verifies.
    pub host: String,
    pub address: SocketAddr,
    pub seen: Seen,
    /// Who answered as a node, or why nobody did.
    pub result: Result<NodeIdentity, ConnectError>,
}

/// Dials each address of `host:port`, nothing is kept. Listens nowhere; of `config`, the TLS context and the
/// timeouts count, and each step has its own.
///
/// `local` should have an id of its own: the peer refuses that of a node which runs elsewhere.
/// Errors: the name has no address.
pub async fn examine(
    config: TransportConfig,
    local: NodeIdentity,
    address: &str,
) -> Result<Vec<Examined>, ConnectError> {
    let targets = resolve(address, config.connect_timeout).await?;
    let core = Core::new(config, local);
    let dials = targets.iter().take(MAX_ADDRESSES).map(async |target| {
        let (link, seen) = dial_and_tell(&core, target, LinkKind::Cluster, None).await;
        let result = link.map(|link| {
            link.close();
            NodeIdentity::clone(&link.identity())
        });
        Examined {
            host: target.host.clone(),
            address: target.address,
            seen,
            result,
        }
    });
    let examined = futures::future::join_all(dials).await;
    core.stopping.cancel();
    core.stopped.cancel();
    core.tasks.close();
    core.tasks.wait().await;
    Ok(examined)
}

/// A name may stand for many nodes.
const MAX_ADDRESSES: usize = 8;
