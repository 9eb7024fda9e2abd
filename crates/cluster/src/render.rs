//! The state as `GET /_cluster/state` and `GET /{index}` show it. Secrets are not part of it.

use ringwall_base::{COMPATIBLE_VERSION, NodeId};
use serde_json::{Map, Value, json};

use crate::ClusterState;
use crate::metadata::IndexMetadata;
use crate::routing::{CopyState, ShardCopy};

impl ClusterState {
    /// Returns the parts named by `metrics` (`_all`, `version`, `master_node`, `nodes`,
    /// `metadata`, `routing_table`, `routing_nodes`, `blocks`); empty means all. `None` of the indices means all, an empty
    /// list none. `mapping` turns a stored mapping into the form clients see.
    pub fn render(
        &self,
        metrics: &[String],
        indices: Option<&[String]>,
        master: Option<NodeId>,
        mapping: impl Fn(&Value) -> Value,
    ) -> Value {
        let wanted =
            |metric: &str| metrics.is_empty() || metrics.iter().any(|m| m == metric || m == "_all");
        let chosen =
            |name: &str| indices.is_none_or(|indices| indices.iter().any(|index| index == name));
        let mut body = Map::new();
        body.insert("cluster_name".into(), self.cluster_name.clone().into());
        body.insert(
            "cluster_uuid".into(),
            self.cluster_uuid.as_deref().unwrap_or("_na_").into(),
        );
        if wanted("version") {
            body.insert("version".into(), self.version.into());
        }
        if wanted("master_node") {
            body.insert("master_node".into(), master.map(|id| id.to_string()).into());
        }
        if wanted("blocks") {
            body.insert("blocks".into(), self.render_blocks(chosen));
        }
        if wanted("nodes") {
            body.insert("nodes".into(), self.render_nodes());
        }
        if wanted("metadata") {
            body.insert("metadata".into(), self.render_metadata(chosen, mapping));
        }
        if wanted("routing_table") {
            body.insert("routing_table".into(), self.render_routing(chosen));
        }
        if wanted("routing_nodes") {
            body.insert("routing_nodes".into(), self.render_routing_nodes(chosen));
        }
        Value::Object(body)
    }

    fn render_nodes(&self) -> Value {
        let nodes = self
            .nodes
            .values()
            .map(|node| {
                let shown = json!({
                    "name": node.name,
                    "ephemeral_id": node.ephemeral_id,
                    "transport_address": node.transport_address,
                    "attributes": node.attributes,
                    "roles": node.roles,
                    "version": node.version,
                });
                (node.id.to_string(), shown)
            })
            .collect();
        Value::Object(nodes)
    }

    fn render_metadata(
        &self,
        chosen: impl Fn(&str) -> bool,
        mapping: impl Fn(&Value) -> Value,
    ) -> Value {
        let indices = self
            .indices
            .values()
            .filter(|index| chosen(&index.id.name))
            .map(|index| (index.id.name.clone(), render_index(index, &mapping)))
            .collect();
        json!({
            "cluster_uuid": self.cluster_uuid.as_deref().unwrap_or("_na_"),
            "templates": Value::Object(
                self.templates
                    .legacy
                    .iter()
                    .map(|(name, template)| (name.clone(), template.to_json().into()))
                    .collect(),
            ),
            "indices": Value::Object(indices),
        })
    }

    /// Returns the copies by the nodes that have them, and those that are on none.
    fn render_routing_nodes(&self, chosen: impl Fn(&str) -> bool) -> Value {
        let nodes = self.nodes.keys().map(|node| (node.to_string(), json!([])));
        let mut nodes: Map<String, Value> = nodes.collect();
        let mut unassigned = Vec::new();
        for (name, routing) in self.routing.iter().filter(|(name, _)| chosen(name)) {
            for (number, shard) in routing.shards.iter().enumerate() {
                for copy in &shard.copies {
                    let shown = render_copy(name, number, copy);
                    let node = copy.node.and_then(|node| nodes.get_mut(&node.to_string()));
                    match node.and_then(Value::as_array_mut) {
                        Some(own) => own.push(shown),
                        None => unassigned.push(shown),
                    }
                }
            }
        }
        json!({"unassigned": unassigned, "nodes": nodes})
    }

    fn render_routing(&self, chosen: impl Fn(&str) -> bool) -> Value {
        let mut indices = Map::new();
        for (name, routing) in self.routing.iter().filter(|(name, _)| chosen(name)) {
            let shards = routing
                .shards
                .iter()
                .enumerate()
                .map(|(number, shard)| {
                    let copies = shard
                        .copies
                        .iter()
                        .map(|copy| render_copy(name, number, copy))
                        .collect();
                    (number.to_string(), Value::Array(copies))
                })
                .collect();
            indices.insert(name.clone(), json!({"shards": Value::Object(shards)}));
        }
        json!({"indices": indices})
    }
}

/// Returns `{"index": {...}}` with nested keys and text leaves, the facts of creation included.
pub fn render_settings(index: &IndexMetadata) -> Value {
    let settings = &index.settings;
    let mut nested = Map::new();
    let facts = [
        ("creation_date", index.creation_date_ms.to_string()),
        ("number_of_shards", settings.number_of_shards().to_string()),
        (
            "number_of_replicas",
            settings.number_of_replicas().to_string(),
        ),
        ("uuid", index.id.uuid.clone()),
        ("provided_name", index.id.name.clone()),
        ("version.created", internal_version()),
    ];
    for (key, value) in facts {
        insert_nested(&mut nested, key, value.into());
    }
    for (key, value) in settings.iter() {
        let key = key.strip_prefix("index.").unwrap_or(key);
        insert_nested(&mut nested, key, value.to_json());
    }
    json!({"index": nested})
}

/// Returns the settings that nobody set, in the form of [`render_settings`].
pub fn render_default_settings(index: &IndexMetadata) -> Value {
    let mut nested = Map::new();
    for (key, value) in index.settings.defaults() {
        let key = key.strip_prefix("index.").unwrap_or(key);
        insert_nested(&mut nested, key, value.into());
    }
    json!({"index": nested})
}

pub(crate) fn insert_nested(object: &mut Map<String, Value>, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            object.insert(key.to_owned(), value);
        }
        Some((head, rest)) => {
            let inner = object
                .entry(head)
                .or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                insert_nested(inner, rest, value);
            }
        }
    }
}

/// Returns the version as one number: 8.17.0 is 8170099.
fn internal_version() -> String {
    let mut parts = COMPATIBLE_VERSION
        .split('.')
        .map(|part| part.parse::<u32>().unwrap_or(0));
    let (major, minor, patch) = (
        parts.next().unwrap_or(0),
        parts.next().unwrap_or(0),
        parts.next().unwrap_or(0),
    );
    (major * 1_000_000 + minor * 10_000 + patch * 100 + 99).to_string()
}

fn render_index(index: &IndexMetadata, mapping: impl Fn(&Value) -> Value) -> Value {
    let terms: Map<String, Value> = index
        .shards
        .iter()
        .enumerate()
        .map(|(number, shard)| (number.to_string(), shard.primary_term.into()))
        .collect();
    let in_sync: Map<String, Value> = index
        .shards
        .iter()
        .enumerate()
        .map(|(number, shard)| {
            let ids: Vec<&str> = shard.in_sync.keys().map(|id| id.0.as_str()).collect();
            (number.to_string(), json!(ids))
        })
        .collect();
    let aliases: Vec<&String> = index.aliases.keys().collect();
    json!({
        "version": 1,
        "mapping_version": index.mapping_version,
        "settings_version": index.settings_version,
        "state": if index.is_closed { "close" } else { "open" },
        "settings": render_settings(index),
        "mappings": {"_doc": mapping(&index.mapping)},
        "aliases": aliases,
        "primary_terms": terms,
        "in_sync_allocations": in_sync,
    })
}

fn render_copy(index: &str, shard: usize, copy: &ShardCopy) -> Value {
    let state = match copy.state {
        CopyState::Unassigned => "UNASSIGNED",
        CopyState::Initializing => "INITIALIZING",
        CopyState::Started => "STARTED",
    };
    let mut shown = json!({
        "state": state,
        "primary": copy.primary,
        "node": copy.node.map(|node| node.to_string()),
        "relocating_node": null,
        "shard": shard,
        "index": index,
    });
    if let Some(id) = &copy.allocation_id {
        shown["allocation_id"] = json!({"id": id.0});
    }
    if let Some(info) = &copy.unassigned {
        shown["unassigned_info"] = json!({
            "reason": info.reason.as_str(),
            "details": info.details,
            "failed_attempts": info.failed_allocations,
            "delayed": info.delayed_until_ms.is_some(),
        });
    }
    shown
}
