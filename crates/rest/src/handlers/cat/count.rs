//! `GET|POST /_cat/count[/{index}]`.

use jiff::Timestamp;
use ringwall_api::{ApiResult, IndicesOptions};

use super::super::search::{count_request, exact_total};
use super::{CatTable, Column, column};
use crate::json::check_keys;
use crate::request::RestRequest;

/// The number of documents.
pub struct Count;

pub struct Row {
    now: Timestamp,
    count: u64,
}

impl CatTable for Count {
    type Row = Row;

    const COLUMNS: &'static [Column<Row>] = &[
        column(
            "epoch",
            &["t", "time"],
            "seconds since 1970-01-01 00:00:00",
            |row| row.now.as_second().to_string().into(),
        ),
        column(
            "timestamp",
            &["ts", "hms", "hhmmss"],
            "time in HH:MM:SS",
            |row| row.now.strftime("%H:%M:%S").to_string().into(),
        ),
        column(
            "count",
            &["dc", "docs.count", "docsCount"],
            "the document count",
            |row| row.count.into(),
        ),
    ];

    async fn rows(request: &RestRequest) -> ApiResult<Vec<Row>> {
        let body = request.body_object()?;
        check_keys("cat_count", &body, &["query"])?;
        let indices = request.indices(IndicesOptions::default())?;
        let counted = request
            .execute(count_request(indices, body, None, None))
            .await?;
        let count = exact_total(&counted)?;
        let now = Timestamp::now();
        Ok(vec![Row { now, count }])
    }
}
