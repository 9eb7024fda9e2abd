//! `GET /_cat/thread_pool[/{thread_pools}]`.

use ringwall_api::ApiResult;
use ringwall_api::nodes::{NodeStats, NodesStatsRequest, ThreadPoolStats};
use ringwall_base::glob::{self, Syntax};

use super::super::nodes::host_of;
use super::{CatTable, Cell, Column, column, extra};
use crate::request::RestRequest;

/// The pools of threads of each node.
pub struct ThreadPools;

pub struct Row {
    id: String,
    node: String,
    address: String,
    pool: ThreadPoolStats,
}

impl CatTable for ThreadPools {
    type Row = Row;

    const COLUMNS: &'static [Column<Row>] = &[
        column("node_name", &["nn"], "node name", |row| {
            row.node.clone().into()
        }),
        extra("node_id", &["id"], "node id", |row| row.id.clone().into()),
        extra("host", &["h"], "host name", |row| {
            host_of(&row.address).into()
        }),
        extra("ip", &["i"], "ip address", |row| {
            host_of(&row.address).into()
        }),
        column("name", &["n"], "pool name", |row| {
            row.pool.name.clone().into()
        }),
        column("active", &["a"], "threads at work", |row| {
            Cell::Number(row.pool.active)
        }),
        column("queue", &["q"], "pieces of work that wait", |row| {
            Cell::Number(row.pool.queue)
        }),
        column(
            "rejected",
            &["r"],
            "pieces of work refused since the start",
            |row| Cell::Number(row.pool.rejected),
        ),
        extra(
            "largest",
            &["l"],
            "the most threads at work at a time",
            |row| Cell::Number(row.pool.largest),
        ),
        extra(
            "completed",
            &["c"],
            "pieces of work done since the start",
            |row| Cell::Number(row.pool.completed),
        ),
        extra(
            "max",
            &["mx"],
            "the most threads that work at a time",
            |row| Cell::Number(row.pool.threads),
        ),
        extra("size", &["sz"], "number of threads", |row| {
            Cell::Number(row.pool.threads)
        }),
    ];

    async fn rows(request: &RestRequest) -> ApiResult<Vec<Row>> {
        let wanted = request.path_list("thread_pools");
        let nodes = Vec::new();
        let stats = request
            .execute(NodesStatsRequest {
                nodes,
                by_copy: false,
            })
            .await?;
        let is_wanted = |name: &str| {
            let mut patterns = wanted.iter();
            wanted.is_empty() || patterns.any(|pattern| glob::matches(pattern, name, Syntax::Star))
        };
        let rows = stats
            .nodes
            .into_iter()
            .flat_map(|(id, node)| of_node(id, node));
        Ok(rows.filter(|row| is_wanted(&row.pool.name)).collect())
    }
}

fn of_node(id: String, node: NodeStats) -> impl Iterator<Item = Row> {
    let pools = node.thread_pools.into_iter();
    pools.map(move |pool| Row {
        id: id.clone(),
        node: node.name.clone(),
        address: node.transport_address.clone(),
        pool,
    })
}
