//! `GET /_cat/repositories` and `GET /_cat/snapshots[/{repository}]`: there are no snapshots, and so no rows.

use ringwall_api::cluster::{GetRepositoriesRequest, GetSnapshotsRequest};
use ringwall_api::{ApiError, ApiResult, ErrorCode};

use super::{CatTable, Cell, Column, column};
use crate::request::RestRequest;

/// Places that snapshots are written to.
pub struct Repositories;

/// Snapshots.
pub struct Snapshots;

/// A row that no table has.
pub enum Never {}

impl CatTable for Repositories {
    type Row = Never;

    const COLUMNS: &'static [Column<Never>] = &[
        column("id", &["repoId"], "unique repository id", none),
        column("type", &["t"], "repository type", none),
    ];

    async fn rows(request: &RestRequest) -> ApiResult<Vec<Never>> {
        request.params.hint_flags(&["local"])?;
        request.params.hint_times(&["master_timeout"])?;
        request.execute(GetRepositoriesRequest).await?;
        Ok(Vec::new())
    }
}

impl CatTable for Snapshots {
    type Row = Never;

    const COLUMNS: &'static [Column<Never>] = &[
        column("id", &["snapshot"], "unique snapshot", none),
        column("repository", &["re", "repo"], "repository name", none),
        column("status", &["s"], "snapshot name", none),
        column(
            "start_epoch",
            &["ste", "startEpoch"],
            "start time in seconds since 1970-01-01 00:00:00",
            none,
        ),
        column(
            "start_time",
            &["sti", "startTime"],
            "start time in HH:MM:SS",
            none,
        ),
        column(
            "end_epoch",
            &["ete", "endEpoch"],
            "end time in seconds since 1970-01-01 00:00:00",
            none,
        ),
        column(
            "end_time",
            &["eti", "endTime"],
            "end time in HH:MM:SS",
            none,
        ),
        column("duration", &["dur"], "duration", none),
        column("indices", &["i"], "number of indices", none),
        column(
            "successful_shards",
            &["ss"],
            "number of successful shards",
            none,
        ),
        column("failed_shards", &["fs"], "number of failed shards", none),
        column("total_shards", &["ts"], "number of total shards", none),
    ];

    async fn rows(request: &RestRequest) -> ApiResult<Vec<Never>> {
        request.params.hint_flags(&["ignore_unavailable"])?;
        request.params.hint_times(&["master_timeout"])?;
        let named = request.path_list("repository");
        request.execute(GetSnapshotsRequest).await?;
        match named
            .iter()
            .find(|name| !name.contains('*') && *name != "_all")
        {
            Some(name) => Err(ApiError::new(
                ErrorCode::RepositoryMissing,
                format!("[{name}] missing"),
            )),
            None => Ok(Vec::new()),
        }
    }
}

fn none(row: &Never) -> Cell {
    match *row {}
}
