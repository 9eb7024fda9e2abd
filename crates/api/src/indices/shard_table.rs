//! Every copy of every shard, for `_cat/shards` and `_cat/indices`.

use serde::{Deserialize, Serialize};

use crate::IndicesTarget;
use crate::cluster::HealthStatus;

/// Where every shard copy is, for `_cat/shards` and `_cat/indices`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardTableRequest {
    pub indices: IndicesTarget,
}

/// One row per shard copy, assigned or not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardTableResponse {
    pub rows: Vec<ShardRow>,
    /// One row per index.
    pub indices: Vec<IndexRow>,
}

/// A shard copy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardRow {
    pub index: String,
    pub shard: u32,
    pub primary: bool,
    /// `STARTED`, `INITIALIZING`, `RELOCATING` or `UNASSIGNED`.
    pub state: String,
    pub node_id: Option<String>,
    pub node_name: Option<String>,
    pub node_ip: Option<String>,
    pub docs: Option<u64>,
    pub store_bytes: Option<u64>,
    pub unassigned_reason: Option<String>,
}

/// An index with totals over its shards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndexRow {
    pub index: String,
    pub uuid: String,
    #[serde(default)]
    pub closed: bool,
    pub health: HealthStatus,
    pub primaries: u32,
    pub replicas: u32,
    /// Documents in primaries.
    pub docs: u64,
    pub deleted_docs: u64,
    pub store_bytes: u64,
    pub primary_store_bytes: u64,
}
