//! Certificates in use by the node that answers. Source: Elasticsearch reference, "SSL certificate API".

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `GET /_ssl/certificates`, of the node that answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SslCertificatesRequest;

/// Source: Elasticsearch reference, "SSL certificate API": an array of objects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SslCertificatesResponse {
    pub certificates: Value,
}
