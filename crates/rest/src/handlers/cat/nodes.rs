//! `GET /_cat/nodes`.

use ringwall_api::ApiResult;
use ringwall_api::nodes::{NodeInfo, NodeStats, NodesStatsRequest};

use super::super::nodes::{host_of, percent};
use super::{CatTable, Cell, Column, all_nodes, column, extra, role_letters};
use crate::request::RestRequest;

pub const NODES_PARAMS: &[&str] = &["full_id", "include_unloaded_segments"];

/// Nodes with their load.
pub struct Nodes;

pub struct Row {
    id: String,
    node: NodeInfo,
    /// Of nodes that answered.
    stats: Option<NodeStats>,
}

impl Row {
    fn memory(&self) -> Cell {
        let stats = self.stats.as_ref();
        let memory = stats.map(|stats| percent(stats.resident_bytes, stats.total_memory_bytes));
        memory.into()
    }

    fn load(&self, which: usize) -> Cell {
        let stats = self.stats.as_ref();
        stats.map_or(Cell::None, |stats| Cell::Decimal(stats.load_average[which]))
    }
}

impl CatTable for Nodes {
    type Row = Row;

    const COLUMNS: &'static [Column<Row>] = &[
        column("ip", &["i"], "ip address", |row| {
            host_of(&row.node.transport_address).into()
        }),
        column(
            "heap.percent",
            &["hp", "heapPercent"],
            "memory of the process in percent of all",
            Row::memory,
        ),
        column(
            "ram.percent",
            &["rp", "ramPercent"],
            "memory of the process in percent of all",
            Row::memory,
        ),
        column("cpu", &[], "recent cpu usage in percent", |row| {
            row.stats.as_ref().map(|stats| stats.cpu_percent).into()
        }),
        column("load_1m", &["l"], "1m load average", |row| row.load(0)),
        column("load_5m", &[], "5m load average", |row| row.load(1)),
        column("load_15m", &[], "15m load average", |row| row.load(2)),
        column(
            "node.role",
            &["r", "role", "nodeRole"],
            "m:master, d:data, i:ingest, -:coordinating only, ...",
            |row| role_letters(&row.node.roles).into(),
        ),
        column("master", &["m"], "*:elected master", |row| {
            if row.node.is_master { "*" } else { "-" }.into()
        }),
        column("name", &["n"], "node name", |row| {
            row.node.name.clone().into()
        }),
        extra("id", &["nodeId"], "unique node id", |row| {
            row.id.clone().into()
        }),
        extra("http_address", &["http"], "bound http address", |row| {
            row.node.http_address.clone().into()
        }),
        extra("version", &["v"], "version of the program", |row| {
            row.node.version.clone().into()
        }),
    ];

    async fn rows(request: &RestRequest) -> ApiResult<Vec<Row>> {
        let full_id = request.params.flag("full_id", false)?;
        request.params.hint_flags(&["include_unloaded_segments"])?;
        let info = all_nodes(request).await?;
        let nodes = Vec::new();
        let mut stats = request
            .execute(NodesStatsRequest {
                nodes,
                by_copy: false,
            })
            .await?
            .nodes;
        let rows = info.nodes.into_iter().map(|(id, node)| Row {
            stats: stats.remove(&id),
            id: match full_id {
                true => id,
                false => id.get(..4).unwrap_or(&id).to_owned(),
            },
            node,
        });
        Ok(rows.collect())
    }
}
