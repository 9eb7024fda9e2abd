//! `_segments`.

use std::collections::BTreeMap;

use ringwall_api::indices::{CopySegments, Segment, SegmentsRequest};
use ringwall_api::{ApiResult, IndicesOptions};
use serde_json::{Map, Value, json};

use crate::handlers::shards_json;
use crate::render::humanize;
use crate::request::{RestRequest, RestResponse};

/// `GET [/{index}]/_segments`.
pub async fn segments(request: RestRequest) -> ApiResult<RestResponse> {
    let indices = request.indices(IndicesOptions::default())?;
    let human = request.params.flag("human", false)?;
    let answer = request.execute(SegmentsRequest { indices }).await?;
    let mut by_index: BTreeMap<String, BTreeMap<u32, Vec<Value>>> = BTreeMap::new();
    for copy in &answer.copies {
        let shards = by_index.entry(copy.index.clone()).or_default();
        shards.entry(copy.shard).or_default().push(copy_json(copy));
    }
    let indices: Map<String, Value> = by_index
        .into_iter()
        .map(|(index, shards)| {
            let shards = shards
                .into_iter()
                .map(|(shard, copies)| (shard.to_string(), copies.into()));
            (index, json!({"shards": shards.collect::<Map<_, Value>>()}))
        })
        .collect();
    let mut body = json!({
        "_shards": shards_json(answer.counts, &answer.failures, false),
        "indices": indices,
    });
    if human {
        humanize(&mut body);
    }
    Ok(RestResponse::json(body))
}

fn copy_json(copy: &CopySegments) -> Value {
    let segments = copy.segments.iter().enumerate();
    json!({
        "routing": {"state": "STARTED", "primary": copy.primary, "node": copy.node},
        "num_committed_segments": copy.segments.len(),
        "num_search_segments": copy.segments.len(),
        "segments": segments
            .map(|(place, segment)| (segment.name.clone(), segment_json(place, segment)))
            .collect::<Map<_, _>>(),
    })
}

/// Segments have no generations; where one stands in the list takes the place of it.
fn segment_json(place: usize, segment: &Segment) -> Value {
    json!({
        "generation": place,
        "num_docs": segment.docs,
        "deleted_docs": segment.deleted_docs,
        "size_in_bytes": segment.bytes,
        "committed": true,
        "search": true,
        "version": segment.version,
        "compound": false,
        "attributes": {},
    })
}
