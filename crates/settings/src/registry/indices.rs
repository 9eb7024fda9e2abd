//! Indices, search, recovery and the pools that do the work.

use ringwall_base::{ByteSizeValue, TimeValue};

use super::Section;
use crate::setting::Setting;

pub static AUTO_CREATE_INDEX: Setting<String> = Setting::new(
    "action.auto_create_index",
    "Whether writing to a missing index makes it: `true`, `false`, or patterns of which the first \
     that fits decides, as in `+logs-*,-*`.",
)
.default("true")
.dynamic()
.example("+logs-*,-*");

pub static DESTRUCTIVE_REQUIRES_NAME: Setting<bool> = Setting::new(
    "action.destructive_requires_name",
    "Whether indices may be deleted only by their full names, not by wildcards.",
)
.default("true")
.dynamic();

pub static MAX_SHARDS_PER_NODE: Setting<usize> = Setting::new(
    "cluster.max_shards_per_node",
    "Bound on the shards of all open indices, times the number of data nodes.",
)
.default("1000")
.at_least(1)
.dynamic();

pub static NODE_CONCURRENT_RECOVERIES: Setting<usize> = Setting::new(
    "cluster.routing.allocation.node_concurrent_recoveries",
    "How many shard copies a node sends, and receives, at a time.",
)
.default("2")
.between(1, 1000)
.dynamic();

pub static NODE_LEFT_DELAYED_TIMEOUT: Setting<TimeValue> = Setting::new(
    "cluster.routing.allocation.node_left.delayed_timeout",
    "How long the copies of a node that left wait for its return before others are made.",
)
.default("1m")
.at_least(0)
.ours();

pub static RECOVERY_MAX_BYTES_PER_SEC: Setting<ByteSizeValue> = Setting::new(
    "indices.recovery.max_bytes_per_sec",
    "Bound on the traffic of shard recoveries per node and second.",
)
.default("40mb")
.dynamic();

pub static RECOVERY_CHUNK_SIZE: Setting<ByteSizeValue> = Setting::new(
    "indices.recovery.chunk_size",
    "Size of the pieces in which files are sent.",
)
.default("512kb")
.between(1, 64 << 20)
.dynamic();

pub static RECOVERY_MAX_CONCURRENT_FILE_CHUNKS: Setting<usize> = Setting::new(
    "indices.recovery.max_concurrent_file_chunks",
    "How many pieces of files are under way at a time.",
)
.default("2")
.between(1, 8)
.dynamic();

pub static RECOVERY_MAX_CONCURRENT_OPERATIONS: Setting<usize> = Setting::new(
    "indices.recovery.max_concurrent_operations",
    "How many batches of operations are under way at a time.",
)
.default("1")
.between(1, 4)
.dynamic();

pub static RECOVERY_INTERNAL_ACTION_TIMEOUT: Setting<TimeValue> = Setting::new(
    "indices.recovery.internal_action_timeout",
    "Time for one step of a recovery.",
)
.default("15m")
.at_least(1)
.dynamic();

pub static RECOVERY_RETRY_DELAY: Setting<TimeValue> = Setting::new(
    "indices.recovery.retry_delay_network",
    "Wait before a recovery is tried again after a network failure.",
)
.default("5s")
.at_least(0)
.dynamic();

pub static QUERY_MAX_CLAUSE_COUNT: Setting<usize> = Setting::new(
    "indices.query.bool.max_clause_count",
    "Largest number of clauses in one query.",
)
.default("4096")
.between(1, 1 << 20);

pub static QUERY_MAX_NESTED_DEPTH: Setting<usize> = Setting::new(
    "indices.query.bool.max_nested_depth",
    "How deep `bool` queries may be nested.",
)
.default("30")
.between(1, 1000);

pub static SEARCH_MAX_BUCKETS: Setting<usize> = Setting::new(
    "search.max_buckets",
    "Largest number of aggregation buckets in one response.",
)
.default("65536")
.at_least(1)
.dynamic();

pub static SEARCH_DEFAULT_KEEP_ALIVE: Setting<TimeValue> = Setting::new(
    "search.default_keep_alive",
    "How long a search context lives when the request does not say.",
)
.default("5m")
.at_least(1)
.dynamic();

pub static SEARCH_MAX_KEEP_ALIVE: Setting<TimeValue> = Setting::new(
    "search.max_keep_alive",
    "Longest life of a search context that a request may ask for.",
)
.default("24h")
.at_least(1)
.dynamic();

pub static SEARCH_MAX_OPEN_SCROLL_CONTEXT: Setting<usize> = Setting::new(
    "search.max_open_scroll_context",
    "Largest number of open scrolls per node.",
)
.default("500")
.at_least(1)
.dynamic();

pub static SEARCH_DEFAULT_TIMEOUT: Setting<TimeValue> = Setting::new(
    "search.default_search_timeout",
    "Time that a shard may spend on a search which does not say; -1 is without bound.",
)
.default("-1")
.dynamic();

pub static INDEXING_MEMORY_LIMIT: Setting<ByteSizeValue> = Setting::new(
    "indexing_pressure.memory.limit",
    "Bound on the bytes of documents being indexed on this node; further requests are answered 429.",
)
.default("256mb")
.at_least(1 << 20);

pub static INDEX_BUFFER_SIZE: Setting<ByteSizeValue> = Setting::new(
    "indices.memory.index_buffer_size",
    "Memory for documents that are indexed but not yet in a segment, shared by all shards.",
)
.default("256mb")
.at_least(16 << 20);

pub static SHARD_CLOSE_IDLE_AFTER: Setting<TimeValue> = Setting::new(
    "indices.memory.shard_inactive_time",
    "After how long without writes a shard gives its index buffer back.",
)
.default("5m")
.at_least(1);

pub(super) static SECTION: Section = Section {
    title: "Indices, search and recovery",
    intro: "Limits of one node. Settings of an index (`index.*`) are given when it is made, not here.",
    settings: &[
        &AUTO_CREATE_INDEX,
        &DESTRUCTIVE_REQUIRES_NAME,
        &MAX_SHARDS_PER_NODE,
        &NODE_CONCURRENT_RECOVERIES,
        &NODE_LEFT_DELAYED_TIMEOUT,
        &RECOVERY_MAX_BYTES_PER_SEC,
        &RECOVERY_CHUNK_SIZE,
        &RECOVERY_MAX_CONCURRENT_FILE_CHUNKS,
        &RECOVERY_MAX_CONCURRENT_OPERATIONS,
        &RECOVERY_INTERNAL_ACTION_TIMEOUT,
        &RECOVERY_RETRY_DELAY,
        &QUERY_MAX_CLAUSE_COUNT,
        &QUERY_MAX_NESTED_DEPTH,
        &SEARCH_MAX_BUCKETS,
        &SEARCH_DEFAULT_KEEP_ALIVE,
        &SEARCH_MAX_KEEP_ALIVE,
        &SEARCH_MAX_OPEN_SCROLL_CONTEXT,
        &SEARCH_DEFAULT_TIMEOUT,
        &INDEXING_MEMORY_LIMIT,
        &INDEX_BUFFER_SIZE,
        &SHARD_CLOSE_IDLE_AFTER,
    ],
};

pub static NODE_PROCESSORS: Setting<usize> = Setting::new(
    "node.processors",
    "Number of processors that the sizes of the thread pools are based on.",
)
.computed(
    || processors().to_string(),
    "(the processors of this machine)",
)
.between(1, 4096);

pub static SEARCH_POOL_SIZE: Setting<usize> = Setting::new(
    "thread_pool.search.size",
    "Number of searches that run at a time.",
)
.computed(
    || (processors() * 3 / 2 + 1).to_string(),
    "(processors * 3 / 2 + 1)",
)
.between(1, 4096);

pub static SEARCH_POOL_QUEUE_SIZE: Setting<usize> = Setting::new(
    "thread_pool.search.queue_size",
    "Number of searches that wait; further ones are answered 429.",
)
.default("1000")
.between(1, 1 << 20);

pub static WRITE_POOL_SIZE: Setting<usize> = Setting::new(
    "thread_pool.write.size",
    "Number of indexing requests that run at a time.",
)
.computed(|| processors().to_string(), "(processors)")
.between(1, 4096);

pub static WRITE_POOL_QUEUE_SIZE: Setting<usize> = Setting::new(
    "thread_pool.write.queue_size",
    "Number of indexing requests that wait; further ones are answered 429.",
)
.default("10000")
.between(1, 1 << 20);

pub(super) static THREAD_POOL_SECTION: Section = Section {
    title: "Thread pools",
    intro: "How much work a node does at a time, and how much waits.",
    settings: &[
        &NODE_PROCESSORS,
        &SEARCH_POOL_SIZE,
        &SEARCH_POOL_QUEUE_SIZE,
        &WRITE_POOL_SIZE,
        &WRITE_POOL_QUEUE_SIZE,
    ],
};

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
