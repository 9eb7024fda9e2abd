//! `GET /_cat/plugins`: empty, for there is no way to add one.

use ringwall_api::ApiResult;

use super::{CatTable, Column, all_nodes, column, extra};
use crate::request::RestRequest;

/// The plugins of nodes.
pub struct Plugins;

/// There is none.
pub enum Row {}

impl CatTable for Plugins {
    type Row = Row;

    const COLUMNS: &'static [Column<Row>] = &[
        extra("id", &[], "node id", |row| match *row {}),
        column("name", &["n"], "node name", |row| match *row {}),
        column("component", &["c"], "plugin", |row| match *row {}),
        column(
            "version",
            &["v"],
            "version of the plugin",
            |row| match *row {},
        ),
        extra("description", &["d"], "what it does", |row| match *row {}),
        extra("type", &["t"], "kind of the plugin", |row| match *row {}),
    ];

    async fn rows(request: &RestRequest) -> ApiResult<Vec<Row>> {
        request.params.hint_flags(&["include_bootstrap"])?;
        // Who may not ask about nodes is not told that there are none either.
        all_nodes(request).await?;
        Ok(Vec::new())
    }
}
