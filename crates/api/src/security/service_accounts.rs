//! Service accounts and enrolment. Source: Elasticsearch reference, "Service accounts" and "Enroll node API".

use std::collections::BTreeMap;

use ringwall_base::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `GET /_security/service[/{namespace}[/{service}]]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GetServiceAccountsRequest {
    pub namespace: Option<String>,
    pub service: Option<String>,
}

/// Role descriptors by principal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetServiceAccountsResponse {
    pub accounts: BTreeMap<String, Value>,
}

/// `POST /_security/service/{namespace}/{service}/credential/token[/{name}]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CreateServiceTokenRequest {
    /// Such as `elastic/kibana`.
    pub principal: String,
    /// One is made up where there is none.
    pub name: Option<String>,
}

/// The only time that the secret is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CreateServiceTokenResponse {
    pub name: String,
    /// What goes behind `Authorization: Bearer`.
    #[serde(with = "crate::secret_text")]
    pub bearer: SecretString,
}

/// `DELETE /_security/service/{namespace}/{service}/credential/token/{name}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeleteServiceTokenRequest {
    pub principal: String,
    pub name: String,
}

/// `found: false` goes with status 404.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeleteServiceTokenResponse {
    pub found: bool,
}

/// `GET /_security/service/{namespace}/{service}/credential`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetServiceCredentialsRequest {
    pub principal: String,
}

/// Names of tokens, nothing of their secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetServiceCredentialsResponse {
    pub tokens: Vec<String>,
    /// Names of tokens in files, each with the names of the nodes that have it.
    pub file_tokens: BTreeMap<String, Vec<String>>,
    pub nodes_asked: usize,
    pub nodes_failed: usize,
}

/// `GET /_security/enroll/node`: everything that a new node needs to join.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnrollNodeRequest;

/// Certificates and keys as base64 of DER, keys as PKCS#8.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnrollNodeResponse {
    #[serde(with = "crate::secret_text")]
    pub http_ca_key: SecretString,
    pub http_ca_cert: String,
    pub transport_ca_cert: String,
    #[serde(with = "crate::secret_text")]
    pub transport_key: SecretString,
    pub transport_cert: String,
    /// Transport addresses of all nodes.
    pub nodes_addresses: Vec<String>,
}

/// `GET /_security/enroll/kibana`: a token for the console.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnrollKibanaRequest;

/// The token of `elastic/kibana`, and the CA that issued the node's HTTP certificate, as base64 of DER.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnrollKibanaResponse {
    pub token_name: String,
    #[serde(with = "crate::secret_text")]
    pub token: SecretString,
    pub http_ca: String,
}
