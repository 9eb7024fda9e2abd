//! `GET /_cat/aliases[/{name}]`.

use ringwall_api::ApiResult;
use ringwall_api::indices::GetIndexRequest;
use ringwall_base::glob::{self, Syntax};
use serde_json::Value;

use super::{CatTable, Cell, Column, all_indices, column};
use crate::request::RestRequest;

/// Aliases, one row per index of each.
pub struct Aliases;

pub struct Row {
    alias: String,
    index: String,
    properties: Value,
}

impl Row {
    fn text(&self, name: &str) -> Cell {
        match self.properties.get(name) {
            Some(Value::String(text)) => text.clone().into(),
            Some(Value::Bool(flag)) => flag.to_string().into(),
            _ => "-".into(),
        }
    }
}

impl CatTable for Aliases {
    type Row = Row;

    const COLUMNS: &'static [Column<Row>] = &[
        column("alias", &["a"], "alias name", |row| {
            row.alias.clone().into()
        }),
        column("index", &["i", "idx"], "index the alias points to", |row| {
            row.index.clone().into()
        }),
        column("filter", &["f", "fi"], "whether it has a filter", |row| {
            let filter = row.properties.get("filter");
            filter.map_or("-", |_| "*").into()
        }),
        column(
            "routing.index",
            &["ri", "routingIndex"],
            "index routing",
            |row| row.text("index_routing"),
        ),
        column(
            "routing.search",
            &["rs", "routingSearch"],
            "search routing",
            |row| row.text("search_routing"),
        ),
        column(
            "is_write_index",
            &["w", "isWriteIndex"],
            "whether writes go to this index",
            |row| row.text("is_write_index"),
        ),
    ];

    async fn rows(request: &RestRequest) -> ApiResult<Vec<Row>> {
        let wanted = request.path_list("name");
        let indices = request.indices(all_indices())?;
        let described = request
            .execute(GetIndexRequest {
                indices,
                with_defaults: false,
            })
            .await?;
        let is_wanted = |alias: &str| {
            let mut names = wanted.iter();
            wanted.is_empty() || names.any(|name| glob::matches(name, alias, Syntax::Star))
        };
        let mut rows = Vec::new();
        for index in described.indices {
            let Value::Object(aliases) = index.aliases else {
                continue;
            };
            let aliases = aliases.into_iter().filter(|(alias, _)| is_wanted(alias));
            rows.extend(aliases.map(|(alias, properties)| Row {
                alias,
                index: index.name.clone(),
                properties,
            }));
        }
        Ok(rows)
    }
}
