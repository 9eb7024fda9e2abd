//! `GET /_cat/segments[/{index}]`.

use ringwall_api::cluster::ClusterStateRequest;
use ringwall_api::indices::{Segment, SegmentsRequest};
use ringwall_api::{ApiResult, IndicesOptions, IndicesTarget};

use super::{CatTable, Cell, Column, column, extra};
use crate::handlers::nodes::host_of;
use crate::request::RestRequest;

/// The segments of shards.
pub struct Segments;

pub struct Row {
    index: String,
    shard: u32,
    primary: bool,
    ip: Option<String>,
    node: String,
    /// Where it stands in the list of the copy: segments have no generations.
    place: u64,
    segment: Segment,
}

impl CatTable for Segments {
    type Row = Row;

    const COLUMNS: &'static [Column<Row>] = &[
        column("index", &["i", "idx"], "index name", |row| {
            row.index.clone().into()
        }),
        column("shard", &["s", "sh"], "shard name", |row| row.shard.into()),
        column(
            "prirep",
            &["p", "pr", "primaryOrReplica"],
            "primary or replica",
            |row| if row.primary { "p" } else { "r" }.into(),
        ),
        column("ip", &[], "ip of node where it lives", |row| {
            row.ip.clone().into()
        }),
        extra("id", &[], "unique id of node where it lives", |row| {
            row.node.clone().into()
        }),
        column("segment", &["seg"], "segment name", |row| {
            row.segment.name.clone().into()
        }),
        column("generation", &["g", "gen"], "segment generation", |row| {
            row.place.into()
        }),
        column(
            "docs.count",
            &["dc", "docsCount"],
            "number of docs in segment",
            |row| row.segment.docs.into(),
        ),
        column(
            "docs.deleted",
            &["dd", "docsDeleted"],
            "number of deleted docs in segment",
            |row| row.segment.deleted_docs.into(),
        ),
        column("size", &["si"], "segment size in bytes", |row| {
            Cell::Bytes(row.segment.bytes)
        }),
        // Elasticsearch says 0 as well since version 8.
        column(
            "size.memory",
            &["sm", "sizeMemory"],
            "segment memory in bytes",
            |_| 0_u64.into(),
        ),
        column(
            "committed",
            &["ic", "isCommitted"],
            "is segment committed",
            |_| "true".into(),
        ),
        column(
            "searchable",
            &["is", "isSearchable"],
            "is segment searched",
            |_| "true".into(),
        ),
        column("version", &["v", "ver"], "version", |row| {
            row.segment.version.clone().into()
        }),
        column(
            "compound",
            &["ico", "isCompound"],
            "is segment compound",
            |_| "false".into(),
        ),
    ];

    async fn rows(request: &RestRequest) -> ApiResult<Vec<Row>> {
        let indices = request.indices(IndicesOptions::default())?;
        let answer = request.execute(SegmentsRequest { indices }).await?;
        let state = request
            .execute(ClusterStateRequest {
                metrics: vec!["nodes".to_owned()],
                indices: IndicesTarget::default(),
            })
            .await?;
        let nodes = &state.state["nodes"];
        let rows = answer.copies.into_iter().flat_map(|copy| {
            let address = nodes[&copy.node]["transport_address"].as_str();
            let ip = address.map(|address| host_of(address).to_owned());
            let segments = copy.segments.into_iter().zip(0_u64..);
            segments.map(move |(segment, place)| Row {
                index: copy.index.clone(),
                shard: copy.shard,
                primary: copy.primary,
                ip: ip.clone(),
                node: copy.node.clone(),
                place,
                segment,
            })
        });
        let mut rows: Vec<Row> = rows.collect();
        rows.sort_by(|one, other| {
            let key = |row: &Row| (row.index.clone(), row.shard, !row.primary, row.place);
            key(one).cmp(&key(other))
        });
        Ok(rows)
    }
}
