//! `GET /_cat/recovery[/{index}]`.

use jiff::Timestamp;
use ringwall_api::ApiResult;
use ringwall_api::indices::{CopyRecovery, RecoveryNode};

use super::{CatTable, Cell, Column, column, extra};
use crate::handlers::indices::recovery::{percent, recoveries, took};
use crate::handlers::nodes::host_of;
use crate::request::RestRequest;

/// How copies came to be what they are.
pub struct Recovery;

impl CatTable for Recovery {
    type Row = CopyRecovery;

    const COLUMNS: &'static [Column<CopyRecovery>] = &[
        column("index", &["i", "idx"], "index name", |row| {
            row.index.clone().into()
        }),
        column("shard", &["s", "sh"], "shard name", |row| row.shard.into()),
        extra("start_time", &["start"], "recovery start time", |row| {
            written(Some(row.started_ms))
        }),
        extra(
            "start_time_millis",
            &["start_millis"],
            "recovery start time in epoch milliseconds",
            |row| row.started_ms.into(),
        ),
        extra("stop_time", &["stop"], "recovery stop time", |row| {
            written(row.stopped_ms)
        }),
        extra(
            "stop_time_millis",
            &["stop_millis"],
            "recovery stop time in epoch milliseconds",
            |row| row.stopped_ms.map_or(Cell::None, Into::into),
        ),
        column("time", &["t", "ti"], "recovery time", |row| {
            took(row).into()
        }),
        column("type", &["ty"], "recovery type", |row| {
            row.kind.as_str().to_ascii_lowercase().into()
        }),
        column("stage", &["st"], "recovery stage", |row| {
            row.counts.stage.as_str().to_ascii_lowercase().into()
        }),
        column("source_host", &["shost"], "source host", |row| {
            host(row.source.as_ref()).into()
        }),
        column("source_node", &["snode"], "source node name", |row| {
            name(row.source.as_ref()).into()
        }),
        column("target_host", &["thost"], "target host", |row| {
            host(Some(&row.target)).into()
        }),
        column("target_node", &["tnode"], "target node name", |row| {
            name(Some(&row.target)).into()
        }),
        // There are no snapshots.
        column("repository", &["rep"], "repository", |_| "n/a".into()),
        column("snapshot", &["snap"], "snapshot", |_| "n/a".into()),
        column("files", &["f"], "number of files to recover", |row| {
            row.counts.files.into()
        }),
        column("files_recovered", &["fr"], "files recovered", |row| {
            row.counts.files_copied.into()
        }),
        column(
            "files_percent",
            &["fp"],
            "percent of files recovered",
            |row| percent(row.counts.files_copied, row.counts.files).into(),
        ),
        column("files_total", &["tf"], "total number of files", |row| {
            row.counts.files.into()
        }),
        column("bytes", &["b"], "number of bytes to recover", |row| {
            Cell::Bytes(row.counts.bytes)
        }),
        column("bytes_recovered", &["br"], "bytes recovered", |row| {
            Cell::Bytes(row.counts.bytes_copied)
        }),
        column(
            "bytes_percent",
            &["bp"],
            "percent of bytes recovered",
            |row| percent(row.counts.bytes_copied, row.counts.bytes).into(),
        ),
        column("bytes_total", &["tb"], "total number of bytes", |row| {
            Cell::Bytes(row.counts.bytes)
        }),
        column(
            "translog_ops",
            &["to"],
            "number of translog ops to recover",
            |row| row.counts.operations.into(),
        ),
        column(
            "translog_ops_recovered",
            &["tor"],
            "translog ops recovered",
            |row| row.counts.operations.into(),
        ),
        column(
            "translog_ops_percent",
            &["top"],
            "percent of translog ops recovered",
            |_| "100.0%".into(),
        ),
    ];

    async fn rows(request: &RestRequest) -> ApiResult<Vec<CopyRecovery>> {
        request.params.hint_flags(&["detailed"])?;
        recoveries(request).await
    }
}

fn host(node: Option<&RecoveryNode>) -> String {
    node.map_or("n/a", |node| host_of(&node.transport_address))
        .to_owned()
}

fn name(node: Option<&RecoveryNode>) -> String {
    node.map_or("n/a", |node| node.name.as_str()).to_owned()
}

fn written(millis: Option<u64>) -> Cell {
    let at =
        millis.and_then(|millis| Timestamp::from_millisecond(i64::try_from(millis).ok()?).ok());
    at.map_or(Cell::None, |at| format!("{at:.3}").into())
}
