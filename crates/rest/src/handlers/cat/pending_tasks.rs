//! `GET /_cat/pending_tasks`.

use ringwall_api::ApiResult;
use ringwall_api::cluster::PendingTask;

use super::super::cluster::pending;
use super::{CatTable, Cell, Column, column};
use crate::request::RestRequest;

/// Changes of the cluster state that are not made yet.
pub struct PendingTasks;

impl CatTable for PendingTasks {
    type Row = PendingTask;

    const COLUMNS: &'static [Column<PendingTask>] = &[
        column("insertOrder", &["o"], "order in which they came", |task| {
            Cell::Number(task.insert_order)
        }),
        column("timeInQueue", &["t"], "how long it has waited", |task| {
            Cell::Nanos(task.in_queue_ms.saturating_mul(1_000_000))
        }),
        column("priority", &["p"], "priority", |_| "NORMAL".into()),
        column("source", &["s"], "what changes", |task| {
            task.source.clone().into()
        }),
    ];

    async fn rows(request: &RestRequest) -> ApiResult<Vec<PendingTask>> {
        Ok(pending(request).await?.tasks)
    }
}
