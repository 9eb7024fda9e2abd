//! What every node uses TLS with.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `GET /_ssl/nodes[/{node_id}]` and `GET /_cat/certificates`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodesTlsRequest {
    /// Node filters as of `GET /_nodes`; empty means all.
    pub nodes: Vec<String>,
}

/// One entry per node, by node id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodesTlsResponse {
    pub cluster_name: String,
    pub nodes: BTreeMap<String, NodeTls>,
    /// Why a node did not answer, by its id.
    pub failures: BTreeMap<String, String>,
}

/// TLS of one node as it is in use, not as it lies on disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeTls {
    pub name: String,
    /// `off`, `dual_stack` or `required`.
    pub transport: String,
    pub contexts: Vec<TlsContextInfo>,
    pub links: Vec<TlsLink>,
    /// The last that it refused or was refused by, oldest first.
    pub refusals: Vec<TlsRefusal>,
}

/// A peer that was refused, or that refused this node, as the log tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsRefusal {
    /// Milliseconds since the epoch.
    pub at_ms: i64,
    /// `transport` or `http`.
    pub layer: String,
    /// The address that dialled, or that was dialled.
    pub peer: String,
    /// A short constant name of the cause, such as `untrusted_issuer`.
    pub reason: String,
    pub message: String,
}

/// One TLS context.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TlsContextInfo {
    /// The settings prefix.
    pub name: String,
    /// Successful reloads since the start of the node.
    pub reloads: u64,
    /// Why the files as they are now are not in use; the ones before them are.
    pub reload_error: Option<String>,
    pub certificates: Vec<TlsCertificate>,
    /// SHA-256 fingerprints, lower-case hex, of the certificates it trusts. A CA in the node's own chain is among
    /// `certificates` without being trusted.
    pub trusted: Vec<String>,
    pub revocation_lists: Vec<TlsRevocationList>,
}

/// A certificate revocation list in use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TlsRevocationList {
    /// As written in the setting.
    pub path: String,
    pub issuer: String,
    /// The cRLNumber, in decimal.
    pub number: String,
    /// Seconds since the epoch.
    pub this_update: i64,
    pub next_update: i64,
    /// Whether another list of the same authority and scope is newer, so that this one is not looked at.
    pub is_superseded: bool,
}

/// A certificate in use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TlsCertificate {
    /// As written in the setting.
    pub path: String,
    pub format: String,
    pub alias: Option<String>,
    pub subject: String,
    pub issuer: String,
    /// Lower-case hex.
    pub serial: String,
    /// Lower-case hex.
    pub sha256: String,
    /// Of who signed it, if that certificate is in the same context. Lower-case hex.
    pub issuer_sha256: Option<String>,
    pub has_private_key: bool,
    pub is_ca: bool,
    /// Seconds since the epoch.
    pub not_before: i64,
    pub not_after: i64,
}

/// A link to or from another node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TlsLink {
    pub node_id: String,
    pub node_name: String,
    /// Whether this node dialled.
    pub dialled: bool,
    pub encrypted: bool,
    /// Of the certificate that the other node showed.
    pub subject: Option<String>,
    pub issuer: Option<String>,
    pub serial: Option<String>,
    /// Seconds since the epoch.
    pub not_after: Option<i64>,
}
