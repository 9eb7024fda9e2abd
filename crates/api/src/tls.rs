//! What every node uses TLS with, and how the cluster fares altogether.

use std::collections::BTreeMap;
use std::fmt;

use ringwall_base::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ApiError;

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

/// `POST /_nodes[/{node_id}]/reload_secure_settings`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ReloadSecureSettingsRequest {
    /// Node filters as of `GET /_nodes`; empty means all.
    pub nodes: Vec<String>,
    /// Of the keystores, where they have one.
    #[serde(with = "crate::secret_text")]
    pub password: SecretString,
}

impl fmt::Debug for ReloadSecureSettingsRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReloadSecureSettingsRequest")
            .field("nodes", &self.nodes)
            .finish_non_exhaustive()
    }
}

/// One entry per node, by node id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReloadSecureSettingsResponse {
    pub cluster_name: String,
    pub nodes: BTreeMap<String, ReloadedNode>,
}

/// What a node read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReloadedNode {
    pub name: String,
    /// Why the node goes on with what it had.
    pub error: Option<ApiError>,
    pub setting_names: Vec<String>,
    pub keystore_path: String,
    /// SHA-256 of the file, lower-case hex.
    pub keystore_digest: Option<String>,
    /// Milliseconds since the epoch.
    pub keystore_modified_ms: Option<u64>,
}

/// `GET /_health_report[/{indicator}]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HealthReportRequest {
    pub indicator: Option<String>,
    /// With details, impacts and diagnoses.
    pub verbose: bool,
    /// Most resources that a diagnosis names.
    pub size: usize,
}

/// As published, by the names of the indicators.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HealthReportResponse {
    pub cluster_name: String,
    /// The worst of the indicators; `None` when one was asked for.
    pub status: Option<String>,
    pub indicators: BTreeMap<String, Value>,
}

/// `GET /_prometheus/metrics`, of the node that answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricsRequest;

/// The text format 0.0.4.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricsResponse {
    pub text: String,
}
