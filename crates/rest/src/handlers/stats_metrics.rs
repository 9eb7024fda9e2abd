//! The names of metrics in the paths of statistics. One that does not exist is an error, not nothing.

use ringwall_api::{ApiError, ApiResult};
use ringwall_base::suggest;
use serde_json::Value;

/// Metrics that Elasticsearch knows, and those of them that there are numbers for.
pub struct Metrics {
    /// `metric` or `index metric`, for messages.
    pub what: &'static str,
    pub known: &'static [&'static str],
    pub provided: &'static [&'static str],
}

impl Metrics {
    /// Checks the names in a path; returns those that are shown, all if none is given.
    ///
    /// # Errors
    /// 400 for a name that does not exist or has no numbers here, and for `_all` beside others.
    pub fn check(&self, path: &str, given: &[String]) -> ApiResult<Vec<&'static str>> {
        if given.is_empty() || given == ["_all"] {
            return Ok(self.provided.to_vec());
        }
        if given.iter().any(|name| name == "_all") {
            return Err(ApiError::illegal_argument(format!(
                "request [{path}] contains _all and individual {}s [{}]",
                self.what,
                given.join(",")
            )));
        }
        let mut unknown: Vec<&str> = given.iter().map(String::as_str).collect();
        unknown.retain(|name| !self.known.contains(name));
        unknown.sort_unstable();
        unknown.dedup();
        if !unknown.is_empty() {
            return Err(self.unrecognized(path, &unknown));
        }
        let mut without: Vec<&str> = given.iter().map(String::as_str).collect();
        without.retain(|name| !self.provided.contains(name));
        if !without.is_empty() {
            return Err(ApiError::illegal_argument(format!(
                "request [{path}]: there are no numbers for {} [{}]; there are for [{}]",
                self.what,
                without.join(","),
                self.provided.join(", ")
            )));
        }
        let asked = |name: &&&str| given.iter().any(|given| given == **name);
        Ok(self.provided.iter().filter(asked).copied().collect())
    }

    fn unrecognized(&self, path: &str, unknown: &[&str]) -> ApiError {
        let named: Vec<String> = unknown
            .iter()
            .map(|name| {
                let near = suggest::nearest(name, self.known.iter().copied());
                match near.as_slice() {
                    [] => format!("[{name}]"),
                    [one] => format!("[{name}] -> did you mean [{one}]?"),
                    several => {
                        format!("[{name}] -> did you mean any of [{}]?", several.join(", "))
                    }
                }
            })
            .collect();
        let plural = if unknown.len() > 1 { "s" } else { "" };
        ApiError::illegal_argument(format!(
            "request [{path}] contains unrecognized {}{plural}: {}",
            self.what,
            named.join(", ")
        ))
    }
}

/// Drops the members of an object that are metrics and were not asked for.
pub fn keep(object: &mut Value, metrics: &Metrics, shown: &[&str], section_of: fn(&str) -> &str) {
    if let Value::Object(members) = object {
        members.retain(|key, _| {
            let is_of = |metric: &&&str| section_of(metric) == key;
            metrics
                .known
                .iter()
                .find(is_of)
                .is_none_or(|metric| shown.contains(metric))
        });
    }
}

/// Metrics of `_nodes/stats`. Source: Elasticsearch 8.19, asked.
pub const NODE: Metrics = Metrics {
    what: "metric",
    known: &[
        "indices",
        "os",
        "process",
        "jvm",
        "thread_pool",
        "fs",
        "transport",
        "http",
        "breaker",
        "script",
        "discovery",
        "ingest",
        "adaptive_selection",
        "script_cache",
        "indexing_pressure",
        "repositories",
        "allocations",
    ],
    provided: &[
        "indices",
        "os",
        "process",
        "jvm",
        "fs",
        "transport",
        "http",
        "breaker",
        "discovery",
        "indexing_pressure",
        "thread_pool",
        "ingest",
        "script",
        "script_cache",
        "repositories",
        "adaptive_selection",
    ],
};

/// Metrics of indices, of `_stats`. Source: Elasticsearch 8.19, asked.
pub const INDEX: Metrics = Metrics {
    what: "metric",
    known: INDEX_KNOWN,
    provided: INDEX_PROVIDED,
};

/// Metrics of the indices of a node, of `_nodes/stats/indices`.
pub const NODE_INDEX: Metrics = Metrics {
    what: "index metric",
    known: INDEX_KNOWN,
    provided: INDEX_PROVIDED,
};

const INDEX_PROVIDED: &[&str] = &[
    "docs",
    "store",
    "search",
    "flush",
    "segments",
    "translog",
    "shard_stats",
];

const INDEX_KNOWN: &[&str] = &[
    "docs",
    "store",
    "indexing",
    "get",
    "search",
    "merge",
    "refresh",
    "flush",
    "query_cache",
    "fielddata",
    "completion",
    "segments",
    "translog",
    "suggest",
    "request_cache",
    "recovery",
    "warmer",
    "bulk",
    "shard_stats",
    "mappings",
    "dense_vector",
    "sparse_vector",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(metrics: &Metrics, given: &str) -> Result<Vec<&'static str>, String> {
        let given: Vec<String> = given
            .split(',')
            .filter(|g| !g.is_empty())
            .map(str::to_owned)
            .collect();
        metrics.check("/p", &given).map_err(|error| error.reason)
    }

    #[test]
    fn names_are_known_or_refused() {
        assert_eq!(check(&INDEX, "").unwrap(), INDEX.provided);
        assert_eq!(check(&INDEX, "_all").unwrap(), INDEX.provided);
        assert_eq!(
            check(&NODE, "thread_pool,jvm,os").unwrap(),
            ["os", "jvm", "thread_pool"]
        );
        for (metrics, given, reason) in [
            (
                &INDEX,
                "doc",
                "request [/p] contains unrecognized metric: [doc] -> did you mean [docs]?",
            ),
            (
                &NODE,
                "b,jvm,a",
                "request [/p] contains unrecognized metrics: [a], [b]",
            ),
            (
                &NODE_INDEX,
                "nope",
                "request [/p] contains unrecognized index metric: [nope]",
            ),
            (
                &NODE,
                "_all,jvm",
                "request [/p] contains _all and individual metrics [_all,jvm]",
            ),
            (
                &NODE,
                "jvm,allocations",
                "request [/p]: there are no numbers for metric [allocations]; there are for [indices, os, process, jvm, \
                 fs, transport, http, breaker, discovery, indexing_pressure, thread_pool, ingest, script, script_cache, \
                 repositories, adaptive_selection]",
            ),
            (
                &NODE_INDEX,
                "warmer",
                "request [/p]: there are no numbers for index metric [warmer]; there are for [docs, store, search, flush, \
                 segments, translog, shard_stats]",
            ),
        ] {
            assert_eq!(check(metrics, given).unwrap_err(), reason);
        }
    }

    #[test]
    fn every_metric_with_numbers_exists() {
        for metrics in [&NODE, &INDEX, &NODE_INDEX] {
            assert!(
                metrics
                    .provided
                    .iter()
                    .all(|name| metrics.known.contains(name))
            );
        }
    }
}
