//! Creating, describing and maintaining indices. Source: Elasticsearch reference, "Index APIs".

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::IndicesTarget;
use crate::document::ShardCounts;
use crate::search::{SearchCounts, ShardFailure};

/// Creates an index. The body parts are as the client sent them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CreateIndexRequest {
    /// Exactly one name; wildcards are not expanded.
    pub index: IndicesTarget,
    /// An object: nested (`{"index":{"number_of_shards":1}}`) or flat keys, with or without `index.`.
    pub settings: Value,
    pub mappings: Value,
    pub aliases: Value,
    /// Copies to wait for; `None` means the primary.
    pub wait_for_active_shards: Option<u32>,
    pub timeout_ms: u64,
    /// Made by a write to a missing index: an index that exists meanwhile is no error.
    pub auto: bool,
}

impl CreateIndexRequest {
    pub(crate) fn alias_names(&self) -> Vec<String> {
        let aliases = self.aliases.as_object();
        aliases.map_or_else(Vec::new, |aliases| aliases.keys().cloned().collect())
    }
}

/// The answer to creating an index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CreateIndexResponse {
    pub acknowledged: bool,
    pub shards_acknowledged: bool,
    pub index: String,
}

/// Deletes indices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeleteIndexRequest {
    pub indices: IndicesTarget,
    pub timeout_ms: u64,
}

/// `acknowledged: false` means committed, but not applied by every node in time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Acknowledged {
    pub acknowledged: bool,
}

/// Describes indices: aliases, mappings and settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetIndexRequest {
    pub indices: IndicesTarget,
    /// Also the settings that nobody set.
    pub with_defaults: bool,
}

/// Describes fields of indices by their paths and patterns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetFieldMappingsRequest {
    pub indices: IndicesTarget,
    pub fields: Vec<String>,
    /// Also the parameters that nobody set.
    pub with_defaults: bool,
}

/// Definitions by index and path; a metadata field has an empty one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetFieldMappingsResponse {
    pub indices: BTreeMap<String, BTreeMap<String, Map<String, Value>>>,
}

/// One entry per index, by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GetIndexResponse {
    pub indices: Vec<IndexDescription>,
}

/// What `GET /{index}` shows of an index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndexDescription {
    pub name: String,
    pub aliases: Value,
    pub mappings: Value,
    /// `{"index": {...}}`, every leaf a string.
    pub settings: Value,
    /// As `settings`.
    pub defaults: Option<Value>,
}

/// Changes aliases: all of the actions, or none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpdateAliasesRequest {
    /// Of all actions together.
    pub indices: IndicesTarget,
    pub actions: Vec<AliasAction>,
    pub timeout_ms: u64,
}

/// One action of a change of aliases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AliasAction {
    pub kind: AliasActionKind,
    /// Index expressions.
    pub indices: Vec<String>,
    /// Names; patterns too where aliases are removed.
    pub aliases: Vec<String>,
    /// What an alias narrows, as at the creation of an index; an object.
    pub body: Value,
    /// Whether nothing to remove fails the whole change.
    pub must_exist: Option<bool>,
}

/// What an action does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AliasActionKind {
    Add,
    Remove,
    /// Deletes the index.
    RemoveIndex,
}

impl AliasActionKind {
    /// Returns its name in requests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Remove => "remove",
            Self::RemoveIndex => "remove_index",
        }
    }
}

impl UpdateAliasesRequest {
    /// Names that the caller needs the right to. What a pattern matches is authorized where it is expanded.
    pub(crate) fn alias_names(&self) -> Vec<String> {
        let names = self.actions.iter().flat_map(|action| &action.aliases);
        names.filter(|name| !is_pattern(name)).cloned().collect()
    }
}

/// Returns whether the name of an alias to remove stands for several.
pub fn is_pattern(alias: &str) -> bool {
    alias == "_all" || alias.contains('*')
}

/// What became of each action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpdateAliasesResponse {
    pub acknowledged: bool,
    pub results: Vec<AliasActionResult>,
}

/// What became of an action: `missing` when there was no such alias to remove.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AliasActionResult {
    pub kind: AliasActionKind,
    pub indices: Vec<String>,
    pub aliases: Vec<String>,
    pub missing: bool,
}

/// Adds fields to the mapping of indices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PutMappingRequest {
    pub indices: IndicesTarget,
    pub mappings: Value,
    pub timeout_ms: u64,
}

/// Closes indices: nothing in them is read or written until they are opened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CloseIndexRequest {
    pub indices: IndicesTarget,
    /// Copies to wait for; `None` as the index says.
    pub wait_for_active_shards: Option<u32>,
    pub timeout_ms: u64,
}

/// The indices that were open before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CloseIndexResponse {
    pub acknowledged: bool,
    pub shards_acknowledged: bool,
    pub indices: Vec<String>,
}

/// Opens closed indices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenIndexRequest {
    pub indices: IndicesTarget,
    /// Copies to wait for; `None` as the index says.
    pub wait_for_active_shards: Option<u32>,
    pub timeout_ms: u64,
}

/// See [`OpenIndexRequest`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenIndexResponse {
    pub acknowledged: bool,
    pub shards_acknowledged: bool,
}

/// Makes a new index and has an alias write to it, if the index that it writes to now is as the conditions say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RolloverRequest {
    /// The alias.
    pub target: IndicesTarget,
    /// `None`: the name of the old index with its number grown by one.
    pub new_index: Option<String>,
    /// As of [`CreateIndexRequest`], like the next two.
    pub settings: Value,
    pub mappings: Value,
    pub aliases: Value,
    /// None at all: whatever the index is like.
    pub conditions: Vec<RolloverCondition>,
    /// Only tells what would be.
    pub dry_run: bool,
    pub wait_for_active_shards: Option<u32>,
    pub timeout_ms: u64,
}

impl RolloverRequest {
    pub(crate) fn alias_names(&self) -> Vec<String> {
        let aliases = self.aliases.as_object();
        aliases.map_or_else(Vec::new, |aliases| aliases.keys().cloned().collect())
    }
}

/// One condition on the old index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloverCondition {
    pub measure: RolloverMeasure,
    /// It must hold, or the index is not rolled over; of all others one is enough.
    pub is_min: bool,
    /// Reached: milliseconds, documents or bytes.
    pub value: u64,
    /// As the client wrote it: `[max_age: 7d]`.
    pub shown: String,
}

/// What is measured of the old index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RolloverMeasure {
    /// Since its creation, milliseconds.
    Age,
    /// Documents in primaries.
    Docs,
    /// Bytes of primaries.
    Size,
    /// Documents of the primary that has most.
    PrimaryShardDocs,
    /// Bytes of the largest primary.
    PrimaryShardSize,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RolloverResponse {
    pub acknowledged: bool,
    pub shards_acknowledged: bool,
    pub old_index: String,
    pub new_index: String,
    pub rolled_over: bool,
    /// Whether each condition holds, by its text.
    pub conditions: BTreeMap<String, bool>,
}

/// Puts a block on indices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AddIndexBlockRequest {
    pub indices: IndicesTarget,
    /// `metadata`, `read`, `read_only` or `write`.
    pub block: String,
    pub timeout_ms: u64,
}

/// The indices that did not have the block before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AddIndexBlockResponse {
    pub acknowledged: bool,
    /// Writes that began before are over.
    pub shards_acknowledged: bool,
    pub indices: Vec<String>,
}

/// Changes settings of indices: the dynamic ones, and of closed indices those that are not final.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpdateSettingsRequest {
    pub indices: IndicesTarget,
    pub settings: Value,
    /// Leaves settings as they are that somebody has set.
    #[serde(default)]
    pub preserve_existing: bool,
    /// Closes open indices for the change, if it needs that, and opens them again.
    #[serde(default)]
    pub reopen: bool,
    pub timeout_ms: u64,
}

/// Makes every acknowledged write visible to search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RefreshRequest {
    pub indices: IndicesTarget,
}

/// Commits the index files and starts a new translog.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FlushRequest {
    pub indices: IndicesTarget,
}

/// Counts of shard copies that did what was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BroadcastResponse {
    pub shards: ShardCounts,
    pub failures: Vec<ShardFailure>,
}

/// Asks every copy for its numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndicesStatsRequest {
    pub indices: IndicesTarget,
}

/// One entry per shard copy that answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndicesStatsResponse {
    pub counts: ShardCounts,
    pub shards: Vec<ShardStats>,
    pub failures: Vec<ShardFailure>,
}

/// Numbers of one shard copy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardStats {
    pub index: String,
    pub shard: u32,
    pub primary: bool,
    /// The node id that holds the copy.
    pub node: String,
    /// Live documents visible to search.
    pub docs: u64,
    pub deleted_docs: u64,
    pub store_bytes: u64,
    pub translog_ops: u64,
    pub max_seq_no: i64,
    pub local_checkpoint: i64,
    pub global_checkpoint: i64,
    pub segments: u64,
    #[serde(default)]
    pub search: SearchCounts,
}

/// Tells what index expressions stand for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResolveIndexRequest {
    pub indices: IndicesTarget,
}

/// Each list by name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ResolveIndexResponse {
    pub indices: Vec<FoundIndex>,
    pub aliases: Vec<FoundAlias>,
}

/// An index that an expression stands for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoundIndex {
    pub name: String,
    pub aliases: Vec<String>,
    pub hidden: bool,
    #[serde(default)]
    pub closed: bool,
}

/// An alias that an expression stands for, with all that is behind it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoundAlias {
    pub name: String,
    pub indices: Vec<String>,
}
