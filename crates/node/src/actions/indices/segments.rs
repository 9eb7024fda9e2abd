//! The segments of copies. Source: Elasticsearch reference, "Index segments API".

use std::sync::Arc;

use ringwall_api::indices::{CopySegments, Segment, SegmentsRequest, SegmentsResponse};
use ringwall_api::{ApiResult, RequestContext};
use ringwall_index::engine::{SegmentInfo, segment_version};
use ringwall_security::Resolved;

use crate::actions::Handler;
use crate::actions::indices::broadcast::{Work, broadcast, copies, counts};
use crate::actions::indices::concrete;
use crate::services::Services;

impl Handler<SegmentsRequest> for Services {
    async fn handle(
        services: Arc<Self>,
        context: RequestContext,
        request: Resolved<SegmentsRequest>,
    ) -> ApiResult<SegmentsResponse> {
        let state = services.cluster.state();
        let indices = concrete(&state, request.indices())?;
        let total = copies(&state, &indices).count();
        let user = &context.authentication;
        let answers = broadcast(&services, user, &state, &indices, Work::Segments).await;
        let (counts, failures) = counts(total, &answers);
        let copies = answers.into_iter().filter_map(|answer| {
            Some(CopySegments {
                index: answer.shard.index.name,
                shard: answer.shard.shard,
                primary: answer.primary,
                node: answer.node.to_string(),
                segments: answer.result.ok()?.segment_list,
            })
        });
        Ok(SegmentsResponse {
            counts,
            copies: copies.collect(),
            failures,
        })
    }
}

/// Returns segments as they are told, in the order of their names.
pub(crate) fn listed(segments: Vec<SegmentInfo>) -> Vec<Segment> {
    let mut listed: Vec<Segment> = segments
        .into_iter()
        .map(|segment| Segment {
            name: format!("_{}", segment.id),
            docs: segment.docs,
            deleted_docs: segment.deleted_docs,
            bytes: segment.bytes,
            version: segment_version().to_owned(),
        })
        .collect();
    listed.sort_by(|one, other| one.name.cmp(&other.name));
    listed
}
