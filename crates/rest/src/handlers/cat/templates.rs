//! `GET /_cat/templates[/{name}]`: those of the older kind, then composable ones, as in Elasticsearch.

use ringwall_api::ApiResult;
use ringwall_api::indices::{
    GetIndexTemplatesRequest, GetLegacyTemplatesRequest, GetTemplates, TemplatesResponse,
};
use serde_json::{Map, Value};

use super::{CatTable, Cell, Column, column};
use crate::request::RestRequest;

/// Templates of indices.
pub struct Templates;

pub struct Row {
    name: String,
    body: Map<String, Value>,
    /// The field that says which of two wins.
    order: &'static str,
}

impl CatTable for Templates {
    type Row = Row;

    const COLUMNS: &'static [Column<Row>] = &[
        column("name", &["n"], "template name", |row| {
            row.name.clone().into()
        }),
        column(
            "index_patterns",
            &["t"],
            "patterns of the names of indices",
            |row| listed(row.body.get("index_patterns")).into(),
        ),
        column(
            "order",
            &["o", "p"],
            "order or priority among templates",
            |row| number(row.body.get(row.order).unwrap_or(&Value::from(0))),
        ),
        column("version", &["v"], "version", |row| {
            row.body.get("version").map_or(Cell::None, number)
        }),
        column(
            "composed_of",
            &["c"],
            "components, in the order in which they are laid over one another",
            |row| match row.body.get("composed_of") {
                None => "".into(),
                components => listed(components).into(),
            },
        ),
    ];

    async fn rows(request: &RestRequest) -> ApiResult<Vec<Row>> {
        let names = request.path_list("name");
        let wanted = || GetTemplates {
            names: names.clone(),
        };
        let legacy = request.execute(GetLegacyTemplatesRequest(wanted())).await?;
        let composable = request.execute(GetIndexTemplatesRequest(wanted())).await?;
        let rows = |found: TemplatesResponse, order| {
            let found = found.templates.into_iter();
            found.map(move |(name, body)| Row { name, body, order })
        };
        let legacy = rows(legacy, "order");
        Ok(legacy.chain(rows(composable, "priority")).collect())
    }
}

/// Writes texts as `[a, b]`.
pub(super) fn listed(texts: Option<&Value>) -> String {
    let texts = texts.and_then(Value::as_array).into_iter().flatten();
    let texts: Vec<&str> = texts.filter_map(Value::as_str).collect();
    format!("[{}]", texts.join(", "))
}

fn number(value: &Value) -> Cell {
    match value.as_u64() {
        Some(number) => Cell::Number(number),
        // A negative one.
        None => value.to_string().into(),
    }
}
