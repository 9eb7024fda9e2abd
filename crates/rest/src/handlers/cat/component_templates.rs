//! `GET /_cat/component_templates[/{name}]`.

use ringwall_api::ApiResult;
use ringwall_api::indices::{GetComponentTemplatesRequest, GetIndexTemplatesRequest, GetTemplates};
use serde_json::{Map, Value, json};

use super::super::indices::flattened;
use super::templates::listed;
use super::{CatTable, Cell, Column, column};
use crate::request::RestRequest;

/// The parts that templates share.
pub struct ComponentTemplates;

pub struct Row {
    name: String,
    body: Map<String, Value>,
    /// Names of the templates that are composed of it.
    included_in: Vec<String>,
}

impl Row {
    /// Returns an object of the template.
    fn part(&self, name: &str) -> Option<&Map<String, Value>> {
        self.body.get("template")?.get(name)?.as_object()
    }
}

impl CatTable for ComponentTemplates {
    type Row = Row;

    const COLUMNS: &'static [Column<Row>] = &[
        column("name", &["n"], "component name", |row| {
            row.name.clone().into()
        }),
        column("version", &["v"], "version", |row| {
            let version = row.body.get("version").and_then(Value::as_i64);
            version.map(|version| version.to_string()).into()
        }),
        column("alias_count", &["a"], "number of aliases", |row| {
            Cell::Number(row.part("aliases").map_or(0, Map::len) as u64)
        }),
        // As Elasticsearch counts: fields at the top, and whatever else the mapping says.
        column("mapping_count", &["m"], "number of mappings", |row| {
            let mappings = row.part("mappings").into_iter().flatten();
            let counts = mappings.map(|(key, value)| match value {
                Value::Object(fields) if key == "properties" => fields.len(),
                _ => 1,
            });
            Cell::Number(counts.sum::<usize>() as u64)
        }),
        column("settings_count", &["s"], "number of settings", |row| {
            let settings = row.body.get("template").and_then(|t| t.get("settings"));
            let settings = settings.map(flattened).unwrap_or_default();
            Cell::Number(settings.len() as u64)
        }),
        column("metadata_count", &["me"], "number of metadata", |row| {
            let meta = row.body.get("_meta").and_then(Value::as_object);
            Cell::Number(meta.map_or(0, Map::len) as u64)
        }),
        column(
            "included_in",
            &["i"],
            "templates that are composed of it",
            |row| listed(Some(&json!(row.included_in))).into(),
        ),
    ];

    async fn rows(request: &RestRequest) -> ApiResult<Vec<Row>> {
        let names = request.path_list("name");
        let components = request
            .execute(GetComponentTemplatesRequest(GetTemplates { names }))
            .await?;
        let all = GetTemplates { names: Vec::new() };
        let templates = request.execute(GetIndexTemplatesRequest(all)).await?;
        let components = components.templates.into_iter();
        let rows = components.map(|(name, body)| {
            let uses = |template: &Map<String, Value>| {
                let parts = template.get("composed_of").and_then(Value::as_array);
                parts.is_some_and(|parts| parts.iter().any(|part| part == name.as_str()))
            };
            let users = templates.templates.iter().filter(|(_, body)| uses(body));
            Row {
                included_in: users.map(|(name, _)| name.clone()).collect(),
                name,
                body,
            }
        });
        Ok(rows.collect())
    }
}
