//! Documents read by their ids. Source: Elasticsearch reference, "Multi get API".

use serde::{Deserialize, Serialize};

use crate::ApiError;
use crate::document::{GetRequest, GetResult};

/// Reads several documents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MultiGetRequest {
    pub items: Vec<GetRequest>,
    /// Which copies to ask.
    pub preference: Option<String>,
}

/// One answer per item, in request order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MultiGetResponse {
    pub items: Vec<MultiGetItem>,
}

/// A document, or why it could not be read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MultiGetItem {
    pub index: String,
    pub id: String,
    pub outcome: Result<GetResult, ApiError>,
}
