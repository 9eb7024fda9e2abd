//! `GET /_cat/allocation`.

use std::collections::BTreeMap;

use ringwall_api::cluster::ClusterStateRequest;
use ringwall_api::nodes::{NodeStats, NodesStatsRequest};
use ringwall_api::{ApiResult, IndicesTarget};
use serde_json::Value;

use super::super::nodes::{host_of, percent};
use super::{CatTable, Cell, Column, column, role_letters};
use crate::request::RestRequest;

/// Nodes with their shards and disks.
pub struct Allocation;

pub struct Row {
    shards: u64,
    /// `None`: of the shards that are on no node.
    node: Option<NodeStats>,
}

impl Row {
    fn of_node<C: Into<Cell>>(&self, cell: impl Fn(&NodeStats) -> C) -> Cell {
        self.node
            .as_ref()
            .map_or(Cell::None, |node| cell(node).into())
    }
}

fn used(node: &NodeStats) -> u64 {
    node.disk_total_bytes.saturating_sub(node.disk_free_bytes)
}

fn host(row: &Row) -> Cell {
    row.of_node(|node| host_of(&node.transport_address).to_owned())
}

impl CatTable for Allocation {
    type Row = Row;

    const COLUMNS: &'static [Column<Row>] = &[
        column("shards", &["s"], "number of shards on the node", |row| {
            row.shards.into()
        }),
        column(
            "disk.indices",
            &["di", "diskIndices"],
            "disk used by indices",
            |row| row.of_node(|node| Cell::Bytes(node.numbers.store_bytes)),
        ),
        column(
            "disk.used",
            &["du", "diskUsed"],
            "disk used in total",
            |row| row.of_node(|node| Cell::Bytes(used(node))),
        ),
        column(
            "disk.avail",
            &["da", "diskAvail"],
            "disk available",
            |row| row.of_node(|node| Cell::Bytes(node.disk_free_bytes)),
        ),
        column("disk.total", &["dt", "diskTotal"], "disk capacity", |row| {
            row.of_node(|node| Cell::Bytes(node.disk_total_bytes))
        }),
        column(
            "disk.percent",
            &["dp", "diskPercent"],
            "disk used in percent",
            |row| row.of_node(|node| percent(used(node), node.disk_total_bytes)),
        ),
        column("host", &["h"], "host name", host),
        column("ip", &[], "ip address", host),
        column("node", &["n"], "node name", |row| match &row.node {
            Some(node) => node.name.clone().into(),
            None => "UNASSIGNED".into(),
        }),
        column(
            "node.role",
            &["r", "role", "nodeRole"],
            "node roles",
            |row| row.of_node(|node| role_letters(&node.roles)),
        ),
    ];

    async fn rows(request: &RestRequest) -> ApiResult<Vec<Row>> {
        let nodes = Vec::new();
        let stats = request
            .execute(NodesStatsRequest {
                nodes,
                by_copy: false,
            })
            .await?;
        let state = request
            .execute(ClusterStateRequest {
                metrics: vec!["routing_table".to_owned()],
                indices: IndicesTarget::default(),
            })
            .await?;
        let (by_node, unassigned) = shards_by_node(&state.state);
        let nodes = stats.nodes.into_iter().map(|(id, node)| Row {
            shards: by_node.get(&id).copied().unwrap_or(0),
            node: Some(node),
        });
        let nowhere = (unassigned > 0).then_some(Row {
            shards: unassigned,
            node: None,
        });
        Ok(nodes.chain(nowhere).collect())
    }
}

/// Counts the shard copies of a routing table by node, and those on none.
fn shards_by_node(state: &Value) -> (BTreeMap<String, u64>, u64) {
    let mut by_node = BTreeMap::new();
    let mut unassigned = 0;
    let indices = state["routing_table"]["indices"].as_object();
    let copies = indices
        .into_iter()
        .flat_map(|indices| indices.values())
        .filter_map(|index| index["shards"].as_object())
        .flat_map(|shards| shards.values())
        .filter_map(Value::as_array)
        .flatten();
    for copy in copies {
        match copy["node"].as_str() {
            Some(node) => *by_node.entry(node.to_owned()).or_insert(0) += 1,
            None => unassigned += 1,
        }
    }
    (by_node, unassigned)
}
