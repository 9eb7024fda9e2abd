//! The answer to a search, written as it is read.

use ringwall_api::search::{SearchHit, SearchResponse};
use serde_json::Value;

use crate::handlers::shards_json;
use crate::json;

/// Writes a search answer; `status` is added inside `_msearch`.
pub(crate) fn write_search(
    out: &mut Vec<u8>,
    response: &SearchResponse,
    total_as_int: bool,
    status: Option<u16>,
) {
    out.push(b'{');
    for (name, id) in [
        ("_scroll_id", &response.scroll_id),
        ("pit_id", &response.pit_id),
    ] {
        if let Some(id) = id {
            json::push_string(out, name);
            out.push(b':');
            json::push_string(out, id);
            out.push(b',');
        }
    }
    let head = format!(
        "\"took\":{},\"timed_out\":{}",
        response.took_ms, response.timed_out
    );
    out.extend_from_slice(head.as_bytes());
    if let Some(early) = response.terminated_early {
        out.extend_from_slice(format!(",\"terminated_early\":{early}").as_bytes());
    }
    let shards = shards_json(response.shards, &response.failures, true);
    out.extend_from_slice(format!(",\"_shards\":{shards},\"hits\":{{").as_bytes());
    if let Some(total) = response.total {
        let total = if total_as_int {
            format!("\"total\":{},", total.value)
        } else {
            let relation = if total.exact { "eq" } else { "gte" };
            format!(
                "\"total\":{{\"value\":{},\"relation\":\"{relation}\"}},",
                total.value
            )
        };
        out.extend_from_slice(total.as_bytes());
    } else if total_as_int {
        out.extend_from_slice(b"\"total\":-1,");
    }
    out.extend_from_slice(b"\"max_score\":");
    write_score(out, response.max_score);
    out.extend_from_slice(b",\"hits\":[");
    for (position, hit) in response.hits.iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        write_hit(out, hit);
    }
    out.extend_from_slice(b"]}");
    if let Some(aggregations) = &response.aggregations {
        out.extend_from_slice(format!(",\"aggregations\":{aggregations}").as_bytes());
    }
    if let Some(status) = status {
        out.extend_from_slice(format!(",\"status\":{status}").as_bytes());
    }
    out.push(b'}');
}

fn write_hit(out: &mut Vec<u8>, hit: &SearchHit) {
    out.extend_from_slice(b"{\"_index\":");
    json::push_string(out, &hit.index);
    out.extend_from_slice(b",\"_id\":");
    json::push_string(out, &hit.id);
    if let Some(version) = hit.version {
        out.extend_from_slice(format!(",\"_version\":{version}").as_bytes());
    }
    if let (Some(seq_no), Some(term)) = (hit.seq_no, hit.primary_term) {
        out.extend_from_slice(format!(",\"_seq_no\":{seq_no},\"_primary_term\":{term}").as_bytes());
    }
    out.extend_from_slice(b",\"_score\":");
    write_score(out, hit.score);
    if let Some(routing) = &hit.routing {
        out.extend_from_slice(b",\"_routing\":");
        json::push_string(out, routing);
    }
    if !hit.ignored.is_empty() {
        let ignored = Value::from(hit.ignored.clone());
        out.extend_from_slice(format!(",\"_ignored\":{ignored}").as_bytes());
    }
    if let Some(source) = &hit.source {
        out.extend_from_slice(b",\"_source\":");
        out.extend_from_slice(source);
    }
    if let Some(fields) = &hit.fields {
        out.extend_from_slice(format!(",\"fields\":{fields}").as_bytes());
    }
    if let Some(values) = &hit.ignored_values {
        out.extend_from_slice(format!(",\"ignored_field_values\":{values}").as_bytes());
    }
    if let Some(highlight) = &hit.highlight {
        out.extend_from_slice(format!(",\"highlight\":{highlight}").as_bytes());
    }
    if let Some(sort) = &hit.sort {
        out.extend_from_slice(format!(",\"sort\":{}", Value::Array(sort.clone())).as_bytes());
    }
    out.push(b'}');
}

fn write_score(out: &mut Vec<u8>, score: Option<f32>) {
    match score.filter(|score| score.is_finite()) {
        // `{:?}` writes the shortest text that reads back as the same 32-bit number, with a point.
        Some(score) => out.extend_from_slice(format!("{score:?}").as_bytes()),
        None => out.extend_from_slice(b"null"),
    }
}
