//! `GET /_cat/shards[/{index}]`.

use ringwall_api::ApiResult;
use ringwall_api::indices::ShardRow;

use super::{CatTable, Cell, Column, column, extra, shard_table};
use crate::request::RestRequest;

pub const SHARDS_PARAMS: &[&str] = &["expand_wildcards"];

/// The copies of shards.
pub struct Shards;

impl CatTable for Shards {
    type Row = ShardRow;

    const COLUMNS: &'static [Column<ShardRow>] = &[
        column("index", &["i", "idx"], "index name", |row| {
            row.index.clone().into()
        }),
        column("shard", &["s", "sh"], "shard number", |row| {
            row.shard.into()
        }),
        column(
            "prirep",
            &["p", "pr", "primaryOrReplica"],
            "primary or replica",
            |row| if row.primary { "p" } else { "r" }.into(),
        ),
        column("state", &["st"], "shard state", |row| {
            row.state.clone().into()
        }),
        column("docs", &["d", "dc"], "number of documents", |row| {
            row.docs.into()
        }),
        column("store", &["sto"], "store size", size),
        column("dataset", &[], "total size of the dataset", size),
        column("ip", &[], "ip of the node that holds it", |row| {
            row.node_ip.clone().into()
        }),
        column("node", &["n"], "name of the node that holds it", |row| {
            row.node_name.clone().into()
        }),
        extra("id", &[], "id of the node that holds it", |row| {
            row.node_id.clone().into()
        }),
        extra(
            "unassigned.reason",
            &["ur"],
            "why it is unassigned",
            |row| row.unassigned_reason.clone().into(),
        ),
    ];

    async fn rows(request: &RestRequest) -> ApiResult<Vec<ShardRow>> {
        Ok(shard_table(request).await?.rows)
    }
}

fn size(row: &ShardRow) -> Cell {
    row.store_bytes.map_or(Cell::None, Cell::Bytes)
}
