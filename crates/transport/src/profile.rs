//! What a listener accepts connections with. Source: Elasticsearch reference, "Networking" (transport profiles).

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use ringwall_base::SharedIpFilter;
use ringwall_tls::{HandshakeFailure, SslContext};

use crate::config::{DEFAULT_PROFILE, ProfileConfig};
use crate::refusal::RefusalLog;

/// A transport profile while the node runs.
pub(crate) struct Profile {
    name: String,
    pub(crate) filter: SharedIpFilter,
    pub(crate) tls: Option<Arc<SslContext>>,
}

impl Profile {
    pub(crate) fn new(config: &ProfileConfig) -> Arc<Self> {
        Arc::new(Self {
            name: config.name.clone(),
            filter: config.filter.clone(),
            tls: config.tls.clone(),
        })
    }

    /// Returns whether it is the one that other nodes dial.
    pub(crate) fn is_default(&self) -> bool {
        self.name == DEFAULT_PROFILE
    }

    /// Warns about a peer that was refused.
    pub(crate) fn refuse(
        &self,
        log: &RefusalLog,
        peer: SocketAddr,
        why: &'static str,
        line: impl fmt::Display,
    ) {
        match self.shown() {
            None => log.inbound(peer, why, line),
            Some(name) => log.inbound_at(name, peer, why, line),
        }
    }

    /// Warns about a handshake that failed.
    pub(crate) fn refuse_handshake(&self, log: &RefusalLog, failure: &HandshakeFailure) {
        log.handshake(failure, self.shown());
    }

    /// Returns the name, where it tells something.
    fn shown(&self) -> Option<&str> {
        (!self.is_default()).then_some(self.name.as_str())
    }
}

/// Where a profile listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundProfile {
    pub name: String,
    /// All with the same port; not empty.
    pub addresses: Vec<SocketAddr>,
    /// `host:port` that those who use the profile dial.
    pub publish_address: String,
}
