//! How the cluster fares, with causes and cures. Source: Elasticsearch reference, "Health API".

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

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
