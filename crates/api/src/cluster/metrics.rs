//! The numbers of the cluster for Prometheus.

use serde::{Deserialize, Serialize};

/// `GET /_prometheus/metrics`, of the node that answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricsRequest;

/// The text format 0.0.4.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricsResponse {
    pub text: String,
}
