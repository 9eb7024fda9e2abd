//! Which nodes and which of their sections a path asks for.

use serde_json::{Map, Value, json};

use crate::params::split_list;
use crate::request::RestRequest;

/// The section of a metric, which for one has another name, as in Elasticsearch.
pub(crate) fn section(metric: &str) -> &str {
    match metric {
        "breaker" => "breakers",
        other => other,
    }
}

pub(crate) fn split(request: &RestRequest, known: &[&str]) -> (Vec<String>, Vec<String>) {
    let first = request.path_list("node_id");
    match request.path("metric") {
        Some(metrics) => (first, split_list(metrics)),
        None if !first.is_empty() && first.iter().all(|part| known.contains(&part.as_str())) => {
            (Vec::new(), first)
        }
        None => (first, Vec::new()),
    }
}

pub(crate) fn envelope(cluster_name: &str, nodes: Map<String, Value>) -> Value {
    json!({
        "_nodes": {"total": nodes.len(), "successful": nodes.len(), "failed": 0},
        "cluster_name": cluster_name,
        "nodes": nodes,
    })
}

/// Drops the sections that were not asked for.
pub(crate) fn keep(mut node: Value, sections: &[&str], wanted: &[String]) -> Value {
    let all = wanted.is_empty() || wanted.iter().any(|metric| metric == "_all");
    if let (false, Value::Object(object)) = (all, &mut node) {
        object.retain(|key, _| {
            !sections.contains(&key.as_str()) || wanted.iter().any(|metric| metric == key)
        });
    }
    node
}

/// Returns the host of `host:port`.
pub(crate) fn host_of(address: &str) -> &str {
    address
        .rsplit_once(':')
        .map_or(address, |(host, _)| host)
        .trim_start_matches('[')
        .trim_end_matches(']')
}
