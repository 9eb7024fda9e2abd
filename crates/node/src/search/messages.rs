//! What the coordinating node of a search and the data nodes send one another.

use std::sync::Arc;

use bytes::Bytes;
use ringwall_api::{ApiResult, Through};
use ringwall_base::ShardId;
use ringwall_search::{DocAddress, FetchedHit, ShardPlace, ShardQueryResult};
use ringwall_transport::NodeAction;
use serde::{Deserialize, Serialize};

use super::readers::ReaderId;
use super::reading::Reading;

/// Finds, counts and orders the documents of shards, all that a node is asked for by a search.
pub const QUERY: NodeAction<QueryRequest, Vec<ApiResult<QueryResponse>>> =
    NodeAction::new("indices:data/read/search[query][n]");
/// What the task of one of these shards is called.
pub const QUERY_SHARD: &str = "indices:data/read/search[phase/query]";
/// Reads the documents of a page that shards of a node have found.
pub const FETCH: NodeAction<FetchRequest, Vec<ApiResult<FetchResponse>>> =
    NodeAction::new("indices:data/read/search[fetch][n]");
/// What the task of one of these shards is called.
pub const FETCH_SHARD: &str = "indices:data/read/search[phase/fetch/id]";
/// Gives up searchers of which nothing is read. Returns how many there were.
pub const FREE: NodeAction<FreeRequest, u64> =
    NodeAction::new("indices:data/read/search[free_context]");

/// See [`QUERY`]. One answer per shard, in order.
#[derive(Debug, Serialize, Deserialize)]
pub struct QueryRequest {
    pub search: Arc<NodeSearch>,
    pub shards: Vec<ShardQuery>,
}

/// What is asked of every shard.
#[derive(Debug, Serialize, Deserialize)]
pub struct NodeSearch {
    /// The request body, JSON text.
    #[serde(with = "ringwall_base::encoding::shared")]
    pub body: Bytes,
    /// The same as read, once for all shards.
    #[serde(skip)]
    pub read: Reading,
    /// What `now` means, milliseconds since the epoch.
    pub now_ms: i64,
    /// The only shard of the search: its page is read at once.
    pub fetch: bool,
    /// Milliseconds until nobody waits any more.
    pub time_left_ms: u64,
    /// A search that ran out of time answers with what it has.
    pub allow_partial: bool,
    /// The search is read on; for so long it is kept, milliseconds.
    #[serde(default)]
    pub scroll_ms: Option<u64>,
    /// For how long a point in time is kept from now on, milliseconds; `None`: as long as before.
    #[serde(default)]
    pub keep_alive_ms: Option<u64>,
}

/// A shard to search.
#[derive(Debug, Serialize, Deserialize)]
pub struct ShardQuery {
    pub shard: ShardId,
    /// Of the cluster state by which the node holds a copy in service.
    pub state_version: u64,
    /// By which name the search came to the index, which decides what it sees.
    pub through: Through,
    /// Where the shard stands among those of the search.
    #[serde(default)]
    pub place: ShardPlace,
    /// The point in time that is searched, whose shard it is.
    #[serde(default)]
    pub reader: Option<ReaderId>,
}

/// A shard, and what is asked of it.
pub struct Asked {
    pub search: Arc<NodeSearch>,
    pub target: ShardQuery,
}

impl QueryRequest {
    /// Returns what is asked, shard by shard.
    pub fn parts(self) -> Vec<Asked> {
        let search = self.search;
        let part = |target| Asked {
            search: Arc::clone(&search),
            target,
        };
        self.shards.into_iter().map(part).collect()
    }
}

/// What a shard found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QueryResponse {
    pub result: ShardQueryResult,
    /// For [`FETCH`]; `None` when nothing was found or the page is here.
    pub context: Option<u64>,
    /// Of a search that is read on.
    #[serde(default)]
    pub reader: Option<ReaderId>,
    /// The page, by [`QueryRequest::fetch`]: one per document of `result`.
    pub page: Option<Vec<FetchedHit>>,
}

/// See [`FETCH`]. One answer per shard, in order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FetchRequest {
    pub shards: Vec<ShardFetch>,
    pub time_left_ms: u64,
}

/// What is read of a shard.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ShardFetch {
    /// See [`QueryResponse::context`].
    pub context: u64,
    pub docs: Vec<DocAddress>,
}

/// One per address, in order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FetchResponse {
    pub hits: Vec<FetchedHit>,
}

/// See [`FREE`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FreeRequest {
    pub contexts: Vec<u64>,
}
