//! Templates of indices: composable ones, their components, and the older kind. Source: Elasticsearch reference, "Index
//! templates".

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Stores a template, whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PutTemplate {
    pub name: String,
    /// As the client sent it.
    pub body: Map<String, Value>,
    /// Refused where there is one of that name.
    pub create: bool,
    pub timeout_ms: u64,
}

/// Describes templates by names and patterns; none means all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetTemplates {
    pub names: Vec<String>,
}

/// Templates by name, in the order of the names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TemplatesResponse {
    pub templates: Vec<(String, Map<String, Value>)>,
}

/// Deletes templates by names and patterns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeleteTemplates {
    pub names: Vec<String>,
    pub timeout_ms: u64,
}

macro_rules! kind {
    ($put:ident, $get:ident, $delete:ident) => {
        #[doc = "See [`PutTemplate`]."]
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub struct $put(pub PutTemplate);
        #[doc = "See [`GetTemplates`]."]
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub struct $get(pub GetTemplates);
        #[doc = "See [`DeleteTemplates`]."]
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub struct $delete(pub DeleteTemplates);
    };
}

kind!(
    PutComponentTemplateRequest,
    GetComponentTemplatesRequest,
    DeleteComponentTemplatesRequest
);
kind!(
    PutIndexTemplateRequest,
    GetIndexTemplatesRequest,
    DeleteIndexTemplatesRequest
);
kind!(
    PutLegacyTemplateRequest,
    GetLegacyTemplatesRequest,
    DeleteLegacyTemplatesRequest
);

/// `POST /_index_template/_simulate_index/{index}`: what an index of that name would be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SimulateIndexRequest {
    pub index: String,
}

/// `POST /_index_template/_simulate[/{name}]`: what a stored template gives, or one in the body, which is checked as
/// if it were stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SimulateTemplateRequest {
    pub name: Option<String>,
    pub body: Option<Map<String, Value>>,
}

/// What templates give together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SimulateResponse {
    /// `None`: no template fits.
    pub template: Option<Simulated>,
}

/// See [`SimulateResponse`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Simulated {
    pub settings: Value,
    pub mappings: Value,
    pub aliases: Value,
    /// Other templates whose patterns overlap, with their patterns.
    pub overlapping: Vec<(String, Vec<String>)>,
}
