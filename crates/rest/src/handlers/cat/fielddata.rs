//! `GET /_cat/fielddata[/{fields}]`: empty, for the values of fields are read from the files of the index, and none is
//! built in memory.

use ringwall_api::ApiResult;
use ringwall_api::nodes::NodesStatsRequest;

use super::{CatTable, Column, column};
use crate::request::RestRequest;

/// Memory that fields take.
pub struct Fielddata;

/// There is none.
pub enum Row {}

impl CatTable for Fielddata {
    type Row = Row;

    const COLUMNS: &'static [Column<Row>] = &[
        column("id", &[], "node id", |row| match *row {}),
        column("host", &["h"], "host name", |row| match *row {}),
        column("ip", &[], "ip address", |row| match *row {}),
        column("node", &["n"], "node name", |row| match *row {}),
        column("field", &["f"], "field name", |row| match *row {}),
        column("size", &["s"], "memory that it takes", |row| match *row {}),
    ];

    async fn rows(request: &RestRequest) -> ApiResult<Vec<Row>> {
        let nodes = Vec::new();
        // Who may not ask about nodes is not told that there are none either.
        request.params.text("fields");
        request
            .execute(NodesStatsRequest {
                nodes,
                by_copy: false,
            })
            .await?;
        Ok(Vec::new())
    }
}
