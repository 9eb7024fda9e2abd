//! `GET /_cat/indices[/{index}]`.

use ringwall_api::ApiResult;
use ringwall_api::indices::IndexRow;

use super::super::cluster::health_status;
use super::{CatTable, Cell, Column, column, shard_table};
use crate::request::RestRequest;

pub const INDICES_PARAMS: &[&str] = &[
    "expand_wildcards",
    "health",
    "pri",
    "include_unloaded_segments",
];

/// Indices with their documents and sizes.
pub struct Indices;

pub struct Row {
    index: IndexRow,
    primaries_only: bool,
}

impl Row {
    /// Of what is closed nothing is told, as in Elasticsearch.
    fn of_open(&self, cell: Cell) -> Cell {
        match self.index.closed {
            true => Cell::None,
            false => cell,
        }
    }
}

impl CatTable for Indices {
    type Row = Row;

    const COLUMNS: &'static [Column<Row>] = &[
        column("health", &["h"], "current health status", |row| {
            row.index.health.as_str().into()
        }),
        column("status", &["s"], "open or close", |row| {
            if row.index.closed { "close" } else { "open" }.into()
        }),
        column("index", &["i", "idx"], "index name", |row| {
            row.index.index.clone().into()
        }),
        column("uuid", &["id"], "index uuid", |row| {
            row.index.uuid.clone().into()
        }),
        column(
            "pri",
            &["p", "shards.primary", "shardsPrimary"],
            "number of primary shards",
            |row| row.index.primaries.into(),
        ),
        column(
            "rep",
            &["r", "shards.replica", "shardsReplica"],
            "number of replica shards",
            |row| row.index.replicas.into(),
        ),
        column(
            "docs.count",
            &["dc", "docsCount"],
            "available documents",
            |row| row.of_open(Cell::Number(row.index.docs)),
        ),
        column(
            "docs.deleted",
            &["dd", "docsDeleted"],
            "deleted documents",
            |row| row.of_open(Cell::Number(row.index.deleted_docs)),
        ),
        column(
            "store.size",
            &["ss", "storeSize"],
            "store size of primaries and replicas",
            |row| {
                row.of_open(Cell::Bytes(match row.primaries_only {
                    true => row.index.primary_store_bytes,
                    false => row.index.store_bytes,
                }))
            },
        ),
        column("pri.store.size", &[], "store size of primaries", |row| {
            row.of_open(Cell::Bytes(row.index.primary_store_bytes))
        }),
        column("dataset.size", &[], "total size of the dataset", |row| {
            row.of_open(Cell::Bytes(row.index.primary_store_bytes))
        }),
    ];

    async fn rows(request: &RestRequest) -> ApiResult<Vec<Row>> {
        let params = &request.params;
        let wanted = params.text("health").map(health_status).transpose()?;
        let primaries_only = params.flag("pri", false)?;
        // There is nothing unloaded.
        params.hint_flags(&["include_unloaded_segments"])?;
        let indices = shard_table(request).await?.indices.into_iter();
        Ok(indices
            .filter(|index| wanted.is_none_or(|wanted| wanted == index.health))
            .map(|index| Row {
                index,
                primaries_only,
            })
            .collect())
    }
}
