//! `GET /_cat/health`.

use jiff::Timestamp;
use ringwall_api::ApiResult;
use ringwall_api::cluster::HealthResponse;

use super::super::cluster::{active_percent, health_now};
use super::{CatTable, Cell, Column, column};
use crate::request::RestRequest;

/// The health of the cluster in one line.
pub struct Health;

pub struct Row {
    health: HealthResponse,
    /// Unless it is to be left out.
    now: Option<Timestamp>,
}

impl CatTable for Health {
    type Row = Row;

    const COLUMNS: &'static [Column<Row>] = &[
        column(
            "epoch",
            &["t", "time"],
            "seconds since 1970-01-01 00:00:00",
            |row| row.now.map(|now| now.as_second().to_string()).into(),
        ),
        column(
            "timestamp",
            &["ts", "hms", "hhmmss"],
            "time in HH:MM:SS",
            |row| {
                row.now
                    .map(|now| now.strftime("%H:%M:%S").to_string())
                    .into()
            },
        ),
        column("cluster", &["cl"], "cluster name", |row| {
            row.health.cluster_name.clone().into()
        }),
        column("status", &["st"], "health status", |row| {
            row.health.status.as_str().into()
        }),
        column(
            "node.total",
            &["nt", "nodeTotal"],
            "total number of nodes",
            |row| row.health.number_of_nodes.into(),
        ),
        column(
            "node.data",
            &["nd", "nodeData"],
            "number of nodes that can store data",
            |row| row.health.number_of_data_nodes.into(),
        ),
        column(
            "shards",
            &["sh", "shards.total", "shardsTotal"],
            "total number of active shards",
            |row| row.health.active_shards.into(),
        ),
        column(
            "pri",
            &["p", "shards.primary", "shardsPrimary"],
            "number of active primary shards",
            |row| row.health.active_primary_shards.into(),
        ),
        column(
            "relo",
            &["r", "shards.relocating", "shardsRelocating"],
            "number of relocating shards",
            |row| row.health.relocating_shards.into(),
        ),
        column(
            "init",
            &["i", "shards.initializing", "shardsInitializing"],
            "number of initializing shards",
            |row| row.health.initializing_shards.into(),
        ),
        column(
            "unassign",
            &["u", "shards.unassigned", "shardsUnassigned"],
            "number of unassigned shards",
            |row| row.health.unassigned_shards.into(),
        ),
        column(
            "pending_tasks",
            &["pt", "pendingTasks"],
            "number of pending tasks",
            |row| row.health.number_of_pending_tasks.into(),
        ),
        column(
            "max_task_wait_time",
            &["mtwt", "maxTaskWaitTime"],
            "longest wait of a pending task",
            |_| "-".into(),
        ),
        column(
            "active_shards_percent",
            &["asp", "activeShardsPercent"],
            "active shards in percent",
            |row| Cell::from(format!("{:.1}%", active_percent(&row.health))),
        ),
    ];

    async fn rows(request: &RestRequest) -> ApiResult<Vec<Row>> {
        let health = request.execute(health_now()).await?;
        let with_time = request.params.flag("ts", true)?;
        let now = with_time.then(Timestamp::now);
        Ok(vec![Row { health, now }])
    }
}
