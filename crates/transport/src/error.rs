//! What can go wrong between nodes, and how it looks to a client.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use ringwall_api::{ApiError, ErrorCode};
use ringwall_base::NodeId;
use ringwall_tls::HandshakeFailure;

use crate::config::DEFAULT_PROFILE;
use crate::handshake::Refusal;
use crate::identity::NodeIdentity;

/// The transport cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("no address to bind the transport to; set {}", host_settings(profile))]
    NoAddress { profile: String },
    /// Source: Elasticsearch reference, "Networking".
    #[error(
        "Failed to bind to [{}]: every port of [{}] is taken on {addresses:?}; \
         stop the other process or widen the range",
        display_ports(ports),
        port_setting(profile)
    )]
    PortsTaken {
        profile: String,
        ports: RangeInclusive<u16>,
        addresses: Vec<std::net::IpAddr>,
    },
    #[error(
        "Failed to bind to [{address}]: {source}; check {} and [{}]",
        host_settings(profile),
        port_setting(profile)
    )]
    Bind {
        profile: String,
        address: SocketAddr,
        source: std::io::Error,
    },
}

fn host_settings(profile: &str) -> String {
    match profile {
        DEFAULT_PROFILE => "[transport.host] or [network.host]".to_owned(),
        profile => format!("[transport.profiles.{profile}.bind_host]"),
    }
}

fn port_setting(profile: &str) -> String {
    match profile {
        DEFAULT_PROFILE => "transport.port".to_owned(),
        profile => format!("transport.profiles.{profile}.port"),
    }
}

/// An action has two handlers.
#[derive(Debug, thiserror::Error)]
#[error("transport handlers for action [{0}] is already registered")]
pub struct DuplicateAction(pub &'static str);

/// No link to an address came up. Cheap to clone: all who waited for one dial get the same error.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    #[error("failed to resolve host [{address}]: {reason}")]
    Resolve { address: String, reason: String },
    #[error("cannot connect to [{address}]: {reason}")]
    Tcp { address: String, reason: String },
    #[error("[{address}] {stage} timed out after [{}ms]", after.as_millis())]
    Timeout {
        address: String,
        /// What was waited for: `host resolution`, `connect`, `handshake`.
        stage: &'static str,
        after: Duration,
    },
    /// TLS failed on either side; the text tells who and why.
    #[error("{0}")]
    Tls(Box<HandshakeFailure>),
    /// The peer is trusted, but one side will not talk with the other.
    #[error("handshake with [{node}] at [{address}] failed: {refusal}")]
    Refused {
        address: String,
        node: Arc<NodeIdentity>,
        refusal: Refusal,
    },
    /// The peer is no transport of ours, or closed before it introduced itself.
    #[error("handshake with [{address}] failed: {reason}")]
    Handshake { address: String, reason: String },
    #[error("the transport is shutting down")]
    ShuttingDown,
}

impl ConnectError {
    /// Returns a short constant name, for metrics and for limiting repeated log lines.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Resolve { .. } => "resolve",
            Self::Tcp { .. } => "tcp",
            Self::Timeout { .. } => "timeout",
            Self::Tls(failure) => failure.reason().kind(),
            Self::Refused { refusal, .. } => refusal.kind(),
            Self::Handshake { .. } => "handshake",
            Self::ShuttingDown => "shutting_down",
        }
    }

    /// Returns the error for a client: without the names of this node's files.
    fn public_reason(&self) -> String {
        match self {
            Self::Tls(failure) => format!("[{}] tls handshake failed", failure.peer()),
            other => other.to_string(),
        }
    }
}

/// A request brought no response.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// Nothing tells where the node is. Not sent.
    #[error("[{node}] Node not connected")]
    NotConnected { node: NodeId },
    /// The node cannot be reached. Not sent.
    #[error("[{node}] connect failed: {source}")]
    Connect { node: NodeId, source: ConnectError },
    /// `sent` tells whether the node may have acted on the request.
    #[error("[{node}][{action}] request timed out after [{}ms]", after.as_millis())]
    Timeout {
        node: NodeId,
        action: &'static str,
        after: Duration,
        sent: bool,
    },
    /// The link closed. The node may have acted on the request.
    #[error("[{node}][{action}] disconnected: {reason}")]
    Disconnected {
        node: NodeId,
        action: &'static str,
        reason: String,
    },
    /// The node answered with an error.
    #[error("{0}")]
    Remote(ApiError),
    /// Too many requests wait for a turn on the link. Not sent.
    #[error("[{node}][{action}] rejected: {queued} requests are already waiting for the link")]
    Rejected {
        node: NodeId,
        action: &'static str,
        queued: usize,
    },
    /// The request or its response is larger than a message may be.
    #[error(
        "[{node}][{action}] message of [{bytes}] bytes is larger than the limit of [{limit}] bytes"
    )]
    TooLarge {
        node: NodeId,
        action: &'static str,
        bytes: u64,
        limit: usize,
    },
    /// The node's answer makes no sense.
    #[error("[{node}][{action}] invalid response: {reason}")]
    Invalid {
        node: NodeId,
        action: &'static str,
        reason: String,
    },
    /// Not sent.
    #[error("the transport is shutting down")]
    ShuttingDown,
}

impl SendError {
    /// Returns whether the node may have acted on the request although no answer came.
    pub fn outcome_unknown(&self) -> bool {
        match self {
            Self::Timeout { sent, .. } => *sent,
            Self::Disconnected { .. } | Self::Invalid { .. } | Self::TooLarge { .. } => true,
            Self::NotConnected { .. }
            | Self::Connect { .. }
            | Self::Remote(_)
            | Self::Rejected { .. }
            | Self::ShuttingDown => false,
        }
    }
}

impl From<SendError> for ApiError {
    fn from(error: SendError) -> Self {
        let code = match &error {
            SendError::Remote(remote) => return remote.clone(),
            SendError::Connect { node, source } => {
                let reason = format!("[{node}] {}", source.public_reason());
                return ApiError::new(ErrorCode::ConnectTransport, reason);
            }
            SendError::NotConnected { .. } => ErrorCode::NodeNotConnected,
            SendError::Timeout { .. } => ErrorCode::ReceiveTimeout,
            SendError::Disconnected { .. } | SendError::ShuttingDown => ErrorCode::NodeDisconnected,
            SendError::Rejected { .. } => ErrorCode::Rejected,
            SendError::TooLarge { .. } => ErrorCode::ContentTooLong,
            SendError::Invalid { .. } => ErrorCode::IllegalState,
        };
        ApiError::new(code, error.to_string())
    }
}

pub(crate) fn display_ports(ports: &RangeInclusive<u16>) -> String {
    if ports.start() == ports.end() {
        ports.start().to_string()
    } else {
        format!("{}-{}", ports.start(), ports.end())
    }
}
