//! Indices, search, recovery and the pools that do the work.

use ringwall_base::{ByteSizeValue, TimeValue};

use super::Section;
use crate::memory;
use crate::setting::Setting;
use crate::types::MemorySize;

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

pub static REPLICATION_COPY_TIMEOUT: Setting<TimeValue> = Setting::new(
    "indices.replication.copy_timeout",
    "How long a copy whose node answers may take for one message of its primary, before it is given up and rebuilt.",
)
.default("10s")
.at_least(100)
.dynamic()
.ours();

pub static REPLICATION_RECONNECT_TIME: Setting<TimeValue> = Setting::new(
    "indices.replication.reconnect_time",
    "For how long, since it was first sent, a message to a copy is sent again when the connection breaks, before the \
     copy is given up and rebuilt.",
)
.default("2s")
.at_least(0)
.dynamic()
.ours();

pub static REMEMBERED_WRITES: Setting<usize> = Setting::new(
    "indices.remembered_writes",
    "How many writes each shard copy remembers, to recognise those that a node sends again because it got no answer.",
)
.default("50000")
.between(2, 10_000_000)
.ours();

pub static READ_COPY_WAIT: Setting<TimeValue> = Setting::new(
    "indices.read.copy_wait",
    "How long a read by id or a search waits for a shard whose primary is just starting or moving, before it is \
     answered 503. A shard that no node is to have is not waited for.",
)
.default("5s")
.at_least(0)
.dynamic()
.ours();

pub static SEARCH_MAX_BUCKETS: Setting<usize> = Setting::new(
    "search.max_buckets",
    "Largest number of aggregation buckets in one response.",
)
.default("65536")
.at_least(1)
.dynamic();

pub static SEARCH_DEFAULT_TIMEOUT: Setting<TimeValue> = Setting::new(
    "search.default_search_timeout",
    "How long a shard searches when a request has no `timeout` of its own; then it answers with what \
     it has found. -1: until it is done.",
)
.default("-1")
.dynamic();

pub static SEARCH_DEFAULT_KEEP_ALIVE: Setting<TimeValue> = Setting::new(
    "search.default_keep_alive",
    "How long a node keeps what a search has found until its page is read.",
)
.default("5m")
.at_least(0)
.dynamic();

pub static SEARCH_MAX_KEEP_ALIVE: Setting<TimeValue> = Setting::new(
    "search.max_keep_alive",
    "Largest time for which a scroll or a point in time may be asked to be kept open.",
)
.default("24h")
.at_least(0)
.dynamic();

pub static SEARCH_MAX_OPEN_SCROLLS: Setting<usize> = Setting::new(
    "search.max_open_scroll_context",
    "Largest number of shards on which scrolls are open, on one node; further ones are answered 429.",
)
.default("500")
.at_least(0)
.dynamic();

pub static SEARCH_MAX_OPEN_PITS: Setting<usize> = Setting::new(
    "search.max_open_pit_context",
    "Largest number of shards on which points in time are open, on one node; further ones are answered 429.",
)
.default("500")
.at_least(0)
.dynamic()
.ours();

pub static TASK_RESULTS_MAX_COUNT: Setting<usize> = Setting::new(
    "task.results.max_count",
    "How many results of tasks begun with `wait_for_completion=false` a node keeps; the newest ones.",
)
.default("1000")
.at_least(0)
.dynamic()
.ours();

pub static TASK_RESULTS_MEMORY: Setting<MemorySize> = Setting::new(
    "task.results.memory.limit",
    "Bound on the bytes of the results that are kept of such tasks.",
)
.default("16mb")
.dynamic()
.ours();

pub static TASK_RESULTS_KEEP: Setting<TimeValue> = Setting::new(
    "task.results.keep",
    "For how long the results of such tasks are kept; a node that stops forgets them.",
)
.default("7d")
.at_least(0)
.dynamic()
.ours();

pub static SEARCH_DEFAULT_ALLOW_PARTIAL_RESULTS: Setting<bool> = Setting::new(
    "search.default_allow_partial_results",
    "Whether a search that lacks shards, or ran out of time, is answered with what there is when a \
     request does not say.",
)
.default("true")
.dynamic();

pub static MAX_CLAUSE_COUNT: Setting<usize> = Setting::new(
    "indices.query.bool.max_clause_count",
    "Bound on the clauses of a group of a query, and on the leaves of a whole one, with the terms of \
     analyzed texts.",
)
.computed(
    || max_clauses().to_string(),
    "(64 for each MB of half the memory, shared by the search threads; 1024 to 65536)",
)
.between(1, 1 << 20);

pub static MAX_NESTED_DEPTH: Setting<usize> = Setting::new(
    "indices.query.bool.max_nested_depth",
    "Bound on the levels of a query, its leaf counted.",
)
.default("30")
.between(1, 60);

pub static INDEXING_MEMORY_LIMIT: Setting<MemorySize> = Setting::new(
    "indexing_pressure.memory.limit",
    "Bound on the bytes of documents being indexed on this node, as coordinating node and primary; copies of other \
     nodes' primaries may take half as much again. Further requests are answered 429.",
)
.default("10%")
.at_least(1 << 20);

pub static INDEX_BUFFER_SIZE: Setting<MemorySize> = Setting::new(
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

pub static SCRUB_INTERVAL: Setting<TimeValue> = Setting::new(
    "indices.scrub.interval",
    "How often the files of each open shard copy are read and compared with their checksums, to find \
     what has gone bad on the disk; `-1` never. They are also checked whenever the copy opens.",
)
.default("1d")
.at_least(-1)
.dynamic();

pub static SCRUB_MAX_BYTES_PER_SEC: Setting<ByteSizeValue> = Setting::new(
    "indices.scrub.max_bytes_per_sec",
    "Bound on what is read for that per node and second; `0` is no bound.",
)
.default("10mb")
.dynamic();

pub(super) static SECTION: Section = Section {
    title: "Indices, search and recovery",
    intro: "Limits of one node. Settings of an index (`index.*`) are given when it is made, not here.",
    settings: &[
        &AUTO_CREATE_INDEX,
        &DESTRUCTIVE_REQUIRES_NAME,
        &MAX_SHARDS_PER_NODE,
        &NODE_CONCURRENT_RECOVERIES,
        &RECOVERY_MAX_BYTES_PER_SEC,
        &RECOVERY_CHUNK_SIZE,
        &REPLICATION_COPY_TIMEOUT,
        &REPLICATION_RECONNECT_TIME,
        &REMEMBERED_WRITES,
        &READ_COPY_WAIT,
        &SEARCH_MAX_BUCKETS,
        &SEARCH_DEFAULT_TIMEOUT,
        &SEARCH_DEFAULT_KEEP_ALIVE,
        &SEARCH_MAX_KEEP_ALIVE,
        &SEARCH_MAX_OPEN_SCROLLS,
        &SEARCH_MAX_OPEN_PITS,
        &SEARCH_DEFAULT_ALLOW_PARTIAL_RESULTS,
        &TASK_RESULTS_MAX_COUNT,
        &TASK_RESULTS_MEMORY,
        &TASK_RESULTS_KEEP,
        &MAX_CLAUSE_COUNT,
        &MAX_NESTED_DEPTH,
        &INDEXING_MEMORY_LIMIT,
        &INDEX_BUFFER_SIZE,
        &SHARD_CLOSE_IDLE_AFTER,
        &SCRUB_INTERVAL,
        &SCRUB_MAX_BYTES_PER_SEC,
    ],
};

/// Elasticsearch's formula, whose heap is by default half of the memory; the end is ours.
fn max_clauses() -> u64 {
    let megabytes = memory::available() / 2 / (1 << 20);
    let threads = (processors() * 3 / 2 + 1) as u64;
    (megabytes * 64 / threads).clamp(1_024, 65_536)
}

pub static NODE_PROCESSORS: Setting<f64> = Setting::new(
    "node.processors",
    "Number of processors that the sizes of the thread pools are based on; a fraction counts as a whole one.",
)
.computed(
    || processors().to_string(),
    "(the processors of this machine)",
)
.between(0, 4096)
.example("2");

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
