//! What each query parameter and path variable means. One meaning per name; where an endpoint has another, it says so.

use self::Kind::{Choice, Flag, List, Number, Text, Time};

/// The values that a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`; a name alone is `true`.
    Flag,
    Number,
    Text,
    /// Separated by commas.
    List,
    /// A number with a unit, such as `30s`.
    Time,
    Choice(&'static [&'static str]),
}

/// Returns what a name means on the paths of an endpoint.
pub fn meaning(paths: &[&str], name: &str) -> Option<(Kind, &'static str)> {
    let special = SPECIAL.iter().find(|(prefix, known, ..)| {
        *known == name && paths.iter().any(|path| path.starts_with(prefix))
    });
    if let Some((_, _, kind, words)) = special {
        return Some((*kind, words));
    }
    let found = GENERAL.iter().find(|(known, ..)| *known == name);
    found.map(|(_, kind, words)| (*kind, *words))
}

/// By the begin of a path.
const SPECIAL: &[(&str, &str, Kind, &str)] = &[
    (
        "/_recovery",
        "active_only",
        Flag,
        "Only recoveries that go on.",
    ),
    (
        "/_cat/recovery",
        "active_only",
        Flag,
        "Only recoveries that go on.",
    ),
    (
        "/_recovery",
        "detailed",
        Flag,
        "Whether files are listed: none is told apart from the others.",
    ),
    (
        "/_cat/recovery",
        "detailed",
        Flag,
        "Taken and without effect.",
    ),
    (
        "/_validate/query",
        "explain",
        Flag,
        "Whether each index is told, with the reason where the query does not fit.",
    ),
    (
        "/_security/audit",
        "type",
        List,
        "Types of events, with `*`: of `event.action` or `event.type`.",
    ),
    (
        "/_security/audit",
        "user",
        List,
        "Users, with `*`: whoever acts, is acted as, or lets somebody act.",
    ),
    ("/_security/audit", "action", List, "Actions, with `*`."),
    ("/_security/audit", "index", List, "Indices, with `*`."),
    (
        "/_security/audit",
        "from",
        Text,
        "Events from then on: milliseconds since 1970, a date, or a time with its zone.",
    ),
    (
        "/_security/audit",
        "to",
        Text,
        "Events before then; as `from`.",
    ),
    (
        "/_security/audit",
        "node",
        List,
        "Nodes whose logs are read.",
    ),
    (
        "/_security/audit",
        "size",
        Number,
        "Events of a page, at most 1000.",
    ),
    (
        "/_security/audit",
        "after",
        Text,
        "The `next` of the page before.",
    ),
    (
        "/_security/audit",
        "timeout",
        Time,
        "How long the nodes may read, at most 60s.",
    ),
    (
        "/_cluster/health",
        "level",
        Choice(&["cluster", "indices", "shards"]),
        "How much detail the answer has.",
    ),
    (
        "/_nodes",
        "level",
        Choice(&["node", "indices", "shards"]),
        "How much detail the answer has.",
    ),
    (
        "/_cat",
        "format",
        Choice(&["text", "json", "yaml", "cbor", "smile"]),
        "The form of the table.",
    ),
    (
        "/_cat/indices",
        "health",
        Choice(&["green", "yellow", "red"]),
        "Only indices of this health.",
    ),
    (
        "/_cluster/reroute",
        "explain",
        Flag,
        "Whether the answer says why a command is possible or not.",
    ),
    (
        "/_health_report",
        "size",
        Number,
        "How many affected resources are listed.",
    ),
    (
        "/_security/api_key",
        "name",
        Text,
        "The name of API keys, with `*`.",
    ),
    ("/_security/api_key", "id", Text, "The id of an API key."),
    (
        "/_security/api_key",
        "username",
        Text,
        "The owner of API keys.",
    ),
    (
        "/_reindex",
        "refresh",
        Flag,
        "Whether the indices that were written to are refreshed in the end.",
    ),
    (
        "/{index}/_delete_by_query",
        "refresh",
        Flag,
        "Whether the indices that were written to are refreshed in the end.",
    ),
    (
        "/{index}/_update_by_query",
        "refresh",
        Flag,
        "Whether the indices that were written to are refreshed in the end.",
    ),
    (
        "/_security",
        "refresh",
        Choice(&["true", "false", "wait_for"]),
        "Taken as Elasticsearch does; a change is in force at once.",
    ),
    ("/_security", "name", Text, "A name."),
    (
        "/_component_template",
        "name",
        Text,
        "Names of templates, with `*`.",
    ),
    (
        "/_index_template",
        "name",
        Text,
        "Names of templates, with `*`.",
    ),
    ("/_template", "name", Text, "Names of templates, with `*`."),
    ("/_settings", "name", List, "Names of settings, with `*`."),
    ("/_tasks", "nodes", List, "Only tasks of these nodes."),
];

const GENERAL: &[(&str, Kind, &str)] = &[
    (
        "_source",
        List,
        "Whether, or which parts of, the source is returned.",
    ),
    (
        "_source_excludes",
        List,
        "Parts of the source that are left out.",
    ),
    (
        "_source_includes",
        List,
        "Parts of the source that are returned.",
    ),
    ("accept_enterprise", Flag, "Taken and without effect."),
    ("actions", List, "Only tasks of these actions, with `*`."),
    ("active_only", Flag, "Only keys that can be used."),
    ("alias", Text, "The name of an alias."),
    ("all_shards", Flag, "Whether every shard is told apart."),
    (
        "allow_no_indices",
        Flag,
        "Whether wildcards that match nothing are no error.",
    ),
    (
        "allow_partial_search_results",
        Flag,
        "Whether shards that fail leave an answer of the others.",
    ),
    (
        "analyze_wildcard",
        Flag,
        "Whether wildcards in `q` are analyzed.",
    ),
    ("analyzer", Text, "The analyzer of `q`."),
    ("application", List, "Names of applications."),
    ("batched_reduce_size", Number, "Taken and without effect."),
    (
        "block",
        Choice(&["metadata", "read", "read_only", "write"]),
        "The block.",
    ),
    (
        "bytes",
        Choice(&["b", "kb", "mb", "gb", "tb", "pb"]),
        "The unit of sizes.",
    ),
    ("categories", List, "Which parts are returned."),
    ("cause", Text, "Taken and without effect."),
    ("ccs_minimize_roundtrips", Flag, "Taken and without effect."),
    (
        "conflicts",
        Choice(&["abort", "proceed"]),
        "What is done about a document that was changed meanwhile.",
    ),
    ("create", Flag, "Whether one that is there is an error."),
    (
        "default_operator",
        Choice(&["and", "or"]),
        "How the words of `q` are joined.",
    ),
    ("detailed", Flag, "Whether tasks are described."),
    ("df", Text, "The field of `q` where it names none."),
    ("docvalue_fields", List, "Fields whose values are returned."),
    (
        "dry_run",
        Flag,
        "Whether nothing is done, and the answer only tells what would be.",
    ),
    ("error_trace", Flag, "Taken and without effect."),
    (
        "expand_wildcards",
        List,
        "What wildcards match: `open`, `hidden`, `all`, `none`.",
    ),
    (
        "explain",
        Flag,
        "Whether hits are returned with how their scores came about.",
    ),
    (
        "features",
        List,
        "Which parts are returned: `aliases`, `mappings`, `settings`.",
    ),
    ("fielddata", Flag, "Taken: columns are not kept in memory."),
    ("fields", List, "Paths of fields, with `*`."),
    (
        "filter_path",
        List,
        "Which parts of the answer are returned.",
    ),
    (
        "filters",
        List,
        "Kinds of fields that are left out: `-metadata`, `-parent`, `-multifield`; or shown alone: `+metadata`.",
    ),
    (
        "flat_settings",
        Flag,
        "Whether settings have dots instead of being nested.",
    ),
    ("flush", Flag, "Whether a flush follows."),
    (
        "forbid_closed_indices",
        Flag,
        "Whether an index that is closed is an error.",
    ),
    ("force", Flag, "Taken: every flush commits what there is."),
    (
        "format",
        Choice(&["json", "yaml", "cbor", "smile"]),
        "The form of the answer.",
    ),
    ("from", Number, "How many hits are passed over."),
    ("full_id", Flag, "Whether ids are written whole."),
    (
        "group_by",
        Choice(&["nodes", "parents", "none"]),
        "How tasks are grouped.",
    ),
    ("h", List, "Columns, by name or alias, with `*`."),
    ("help", Flag, "Whether the columns are described instead."),
    (
        "human",
        Flag,
        "Whether numbers are also returned in a form for people, where there are both.",
    ),
    ("id", Text, "The id of a document."),
    ("ids", List, "Ids."),
    (
        "if_primary_term",
        Number,
        "Only if the document has this primary term.",
    ),
    (
        "if_seq_no",
        Number,
        "Only if the document has this sequence number.",
    ),
    ("ignore_throttled", Flag, "Taken and without effect."),
    (
        "ignore_unavailable",
        Flag,
        "Whether indices that are missing are passed over.",
    ),
    ("include_bootstrap", Flag, "Taken and without effect."),
    (
        "include_defaults",
        Flag,
        "Whether settings that nobody set are returned too.",
    ),
    (
        "include_disk_info",
        Flag,
        "Refused when true: each node knows how much room it has.",
    ),
    (
        "include_source_on_error",
        Flag,
        "Taken: errors never quote a document.",
    ),
    (
        "include_unloaded_segments",
        Flag,
        "Taken and without effect.",
    ),
    (
        "include_unmapped",
        Flag,
        "Whether indices are told of that do not have a field.",
    ),
    (
        "include_yes_decisions",
        Flag,
        "Whether rules that allow are told too.",
    ),
    (
        "index",
        List,
        "Names of indices or aliases, with `*` and exclusions.",
    ),
    ("indicator", Text, "One indicator."),
    (
        "keep_alive",
        Time,
        "For how long a point in time is kept open.",
    ),
    (
        "keep_alive",
        Time,
        "For how long a point in time is kept open.",
    ),
    ("key", Text, "The fingerprint of the key that is approved."),
    (
        "lenient",
        Flag,
        "Whether values that do not fit a field are passed over.",
    ),
    (
        "level",
        Choice(&["cluster", "indices", "shards"]),
        "How much detail the answer has.",
    ),
    (
        "list_executed_pipelines",
        Flag,
        "Refused: there are no ingest pipelines.",
    ),
    (
        "local",
        Flag,
        "Taken: the node that answers uses its own state.",
    ),
    (
        "master_timeout",
        Time,
        "How long a master is waited for, where one is needed.",
    ),
    (
        "max_concurrent_searches",
        Number,
        "How many searches run at once.",
    ),
    (
        "max_concurrent_shard_requests",
        Number,
        "Taken and without effect.",
    ),
    ("max_docs", Number, "How many documents are done at most."),
    (
        "max_num_segments",
        Number,
        "So many segments may stay, at most.",
    ),
    ("metric", List, "Which parts are returned."),
    (
        "metric_of_indices",
        List,
        "Which numbers of indices are returned.",
    ),
    ("metrics", List, "Which parts are returned."),
    (
        "min_score",
        Number,
        "Only documents with at least this score.",
    ),
    ("name", List, "Names of aliases, with `*`."),
    ("namespace", Text, "The namespace of service accounts."),
    ("new_index", Text, "The name of the new index."),
    (
        "node_id",
        List,
        "Ids, names or addresses of nodes, or `_local`, `_master`, `_all`.",
    ),
    ("nodes", List, "Nodes."),
    (
        "only_expunge_deletes",
        Flag,
        "Whether only segments with many deleted documents are merged.",
    ),
    (
        "op_type",
        Choice(&["index", "create"]),
        "Whether a document that is there is replaced.",
    ),
    (
        "order",
        Number,
        "Where templates match the same index, the one with the higher number wins.",
    ),
    ("owner", Flag, "Only keys of the caller."),
    ("parent_task_id", Text, "Only tasks of this task."),
    (
        "pipeline",
        Text,
        "Only `_none`: there are no ingest pipelines.",
    ),
    ("pre_filter_shard_size", Number, "Taken and without effect."),
    ("preference", Text, "Which copies are asked first."),
    (
        "preserve_existing",
        Flag,
        "Whether settings that somebody has set stay as they are.",
    ),
    ("pretty", Flag, "Whether JSON is indented."),
    ("pri", Flag, "Only the numbers of primaries."),
    ("privilege", List, "Names of privileges."),
    ("q", Text, "A query in the language of query strings."),
    (
        "query",
        Flag,
        "Whether what filters have found is forgotten.",
    ),
    ("realm_name", Text, "The realm of owners."),
    ("realms", List, "Names of realms."),
    (
        "realtime",
        Flag,
        "Whether writes are seen before a refresh.",
    ),
    (
        "refresh",
        Choice(&["true", "false", "wait_for"]),
        "Whether the change is visible to search when it is answered.",
    ),
    (
        "reopen",
        Flag,
        "Whether open indices take what otherwise only closed ones take; analyzers and similarities only these take.",
    ),
    ("repository", List, "Names of repositories."),
    ("request", Flag, "Taken: answers are not kept."),
    ("request_cache", Flag, "Taken and without effect."),
    (
        "requests_per_second",
        Number,
        "How many documents are done in a second; -1 for as many as go.",
    ),
    ("require_alias", Flag, "Whether the index must be an alias."),
    (
        "rest_total_hits_as_int",
        Flag,
        "Whether the total is a number.",
    ),
    (
        "retry_failed",
        Flag,
        "Whether copies that could not be allocated are tried again.",
    ),
    (
        "retry_on_conflict",
        Number,
        "How often an update is tried again after a conflict.",
    ),
    ("rewrite", Flag, "As `explain`."),
    (
        "routing",
        Text,
        "What decides on the shard instead of the id.",
    ),
    (
        "s",
        List,
        "Columns to sort by, each with `:asc` or `:desc`.",
    ),
    (
        "scroll",
        Time,
        "For how long a search that is read on is kept open.",
    ),
    (
        "scroll",
        Time,
        "For how long a search that is read on is kept open.",
    ),
    (
        "scroll_id",
        Text,
        "What was returned with the page before, as `_scroll_id`.",
    ),
    (
        "scroll_id",
        Text,
        "What was returned with the page before, as `_scroll_id`.",
    ),
    ("scroll_size", Number, "How many documents a batch has."),
    ("search_timeout", Time, "How long a shard searches at most."),
    (
        "search_type",
        Choice(&["query_then_fetch"]),
        "How a search is made.",
    ),
    (
        "seq_no_primary_term",
        Flag,
        "Whether hits have their sequence number and term.",
    ),
    ("service", Text, "The name of a service."),
    ("size", Number, "How many hits are returned."),
    (
        "slices",
        Text,
        "Into how many parts the work is divided; `auto` for as many as there are shards.",
    ),
    (
        "sort",
        List,
        "Fields to sort by, each with `:asc` or `:desc`.",
    ),
    ("source", Text, "The body, where a request has none."),
    (
        "source_content_type",
        Text,
        "What `source` is: `application/json`.",
    ),
    (
        "status",
        List,
        "The health of shards that are listed: `green`, `yellow`, `red` or `all`.",
    ),
    ("stored_fields", List, "As in the body."),
    ("task_id", Text, "The id of a task, `node:number`."),
    (
        "terminate_after",
        Number,
        "After how many documents a shard stops.",
    ),
    ("thread_pools", List, "Names of pools of threads, with `*`."),
    (
        "time",
        Choice(&["d", "h", "m", "s", "ms", "micros", "nanos"]),
        "Taken: no table has a duration.",
    ),
    ("timeout", Time, "How long is waited at most."),
    (
        "track_scores",
        Flag,
        "Whether scores are computed although hits are sorted otherwise.",
    ),
    (
        "track_total_hits",
        Text,
        "Whether, or up to which number, hits are counted.",
    ),
    (
        "ts",
        Flag,
        "Whether the time is shown, in the table of health.",
    ),
    (
        "typed_keys",
        Flag,
        "Whether names of aggregations begin with their type.",
    ),
    ("types", List, "Only fields of these types."),
    ("username", List, "Names of users."),
    ("v", Flag, "Whether columns have headings."),
    (
        "verbose",
        Flag,
        "Whether details and diagnoses are returned.",
    ),
    (
        "version",
        Text,
        "Whether hits have their version; of a document, the version it must have.",
    ),
    (
        "version_type",
        Choice(&["internal", "external", "external_gte"]),
        "Who numbers versions.",
    ),
    (
        "wait_for_active_shards",
        Text,
        "How many copies must be there; `all` for each.",
    ),
    (
        "wait_for_completion",
        Flag,
        "Whether the answer waits until the tasks have ended.",
    ),
    (
        "wait_for_events",
        Choice(&["immediate", "urgent", "high", "normal", "low", "languid"]),
        "Taken: what was submitted before is applied before the answer.",
    ),
    (
        "wait_for_no_initializing_shards",
        Flag,
        "Waits until no copy is being built.",
    ),
    (
        "wait_for_no_relocating_shards",
        Flag,
        "Waits until no copy is being moved.",
    ),
    (
        "wait_for_nodes",
        Text,
        "Waits for a number of nodes: `3`, `>=3`, `le(3)`.",
    ),
    (
        "wait_for_status",
        Choice(&["green", "yellow", "red"]),
        "Waits until the health is at least this.",
    ),
    ("wait_if_ongoing", Flag, "Must be `true` with `force`."),
    (
        "with_limited_by",
        Flag,
        "Whether the rights of owners are returned too.",
    ),
    ("with_profile_uid", Flag, "Taken and without effect."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order_and_sentences_end() {
        assert!(GENERAL.is_sorted_by_key(|(name, ..)| *name));
        let general = GENERAL.iter().map(|(.., words)| words);
        let special = SPECIAL.iter().map(|(.., words)| words);
        for words in general.chain(special) {
            assert!(words.ends_with('.'), "{words}");
        }
    }

    #[test]
    fn an_endpoint_may_mean_something_of_its_own() {
        let general = meaning(&["/{index}/_search"], "explain").unwrap();
        let own = meaning(&["/_cluster/reroute"], "explain").unwrap();
        assert_ne!(general, own);
        assert_eq!(meaning(&["/_search"], "nothing"), None);
    }
}
