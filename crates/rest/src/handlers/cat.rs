//! `_cat/*`: tables for people. Source: Elasticsearch reference, "Compact and aligned text (CAT) APIs".

use ringwall_api::cluster::{
    ClusterStateRequest, NodeInfo, NodeStats, NodesInfoRequest, NodesStatsRequest,
    ShardTableRequest,
};
use ringwall_api::indices::GetIndexRequest;
use ringwall_api::{ApiResult, IndicesOptions, IndicesTarget};
use ringwall_base::glob::{self, Syntax};
use serde_json::Value;

use super::cluster::{active_percent, health_now, health_status};
use super::nodes::{host_of, percent};
use super::search::{count_request, exact_total};
use crate::cat_table::{Cell, Column, Table, column, extra, help, respond};
use crate::json::check_keys;
use crate::request::{RestRequest, RestResponse};

/// Query parameters beyond those of every cat API.
pub const INDICES_PARAMS: &[&str] = &[
    "expand_wildcards",
    "health",
    "pri",
    "include_unloaded_segments",
];
pub const NODES_PARAMS: &[&str] = &["full_id", "include_unloaded_segments"];
pub const SHARDS_PARAMS: &[&str] = &["expand_wildcards"];

/// `GET /_cat`: nothing but the list of paths.
pub async fn overview(_: RestRequest) -> ApiResult<RestResponse> {
    let mut text = "=^.^=\n".to_owned();
    let tables = crate::routes::ROUTES
        .iter()
        .filter(|row| row.family == "cat");
    for path in tables.flat_map(|row| row.paths) {
        if path.starts_with("/_cat/") {
            text.push_str(path);
            text.push('\n');
        }
    }
    Ok(RestResponse::text(text))
}

/// `GET /_cat/health`.
pub async fn health(request: RestRequest) -> ApiResult<RestResponse> {
    if let Some(help) = help(&request, HEALTH)? {
        return Ok(help);
    }
    let health = request.execute(health_now()).await?;
    let now = jiff::Timestamp::now();
    let with_time = request.params.flag("ts", true)?;
    let row = vec![
        if with_time {
            Cell::from(now.as_second().to_string())
        } else {
            Cell::None
        },
        if with_time {
            Cell::from(now.strftime("%H:%M:%S").to_string())
        } else {
            Cell::None
        },
        health.cluster_name.clone().into(),
        health.status.as_str().into(),
        health.number_of_nodes.into(),
        health.number_of_data_nodes.into(),
        health.active_shards.into(),
        health.active_primary_shards.into(),
        health.relocating_shards.into(),
        health.initializing_shards.into(),
        health.unassigned_shards.into(),
        health.number_of_pending_tasks.into(),
        "-".into(),
        format!("{:.1}%", active_percent(&health)).into(),
    ];
    respond(
        &request,
        Table {
            columns: HEALTH,
            rows: vec![row],
        },
    )
}

/// `GET /_cat/indices[/{index}]`.
pub async fn indices(request: RestRequest) -> ApiResult<RestResponse> {
    if let Some(help) = help(&request, INDICES)? {
        return Ok(help);
    }
    let wanted_health = request
        .params
        .text("health")
        .map(health_status)
        .transpose()?;
    let primaries_only = request.params.flag("pri", false)?;
    // There is nothing unloaded.
    request.params.hint_flags(&["include_unloaded_segments"])?;
    let table = shard_table(&request).await?;
    let rows = table
        .indices
        .into_iter()
        .filter(|row| wanted_health.is_none_or(|wanted| wanted == row.health))
        .map(|row| {
            vec![
                row.health.as_str().into(),
                "open".into(),
                row.index.into(),
                row.uuid.into(),
                row.primaries.into(),
                row.replicas.into(),
                row.docs.into(),
                row.deleted_docs.into(),
                Cell::Bytes(match primaries_only {
                    true => row.primary_store_bytes,
                    false => row.store_bytes,
                }),
                Cell::Bytes(row.primary_store_bytes),
                Cell::Bytes(row.primary_store_bytes),
            ]
        })
        .collect();
    respond(
        &request,
        Table {
            columns: INDICES,
            rows,
        },
    )
}

/// `GET /_cat/shards[/{index}]`.
pub async fn shards(request: RestRequest) -> ApiResult<RestResponse> {
    if let Some(help) = help(&request, SHARDS)? {
        return Ok(help);
    }
    let table = shard_table(&request).await?;
    let rows = table
        .rows
        .into_iter()
        .map(|row| {
            vec![
                row.index.into(),
                row.shard.into(),
                if row.primary { "p" } else { "r" }.into(),
                row.state.into(),
                row.docs.into(),
                row.store_bytes.map_or(Cell::None, Cell::Bytes),
                row.store_bytes.map_or(Cell::None, Cell::Bytes),
                row.node_ip.into(),
                row.node_name.into(),
                row.node_id.into(),
                row.unassigned_reason.into(),
            ]
        })
        .collect();
    respond(
        &request,
        Table {
            columns: SHARDS,
            rows,
        },
    )
}

/// `GET /_cat/nodes`.
pub async fn nodes(request: RestRequest) -> ApiResult<RestResponse> {
    if let Some(help) = help(&request, NODES)? {
        return Ok(help);
    }
    let full_id = request.params.flag("full_id", false)?;
    request.params.hint_flags(&["include_unloaded_segments"])?;
    let info = request
        .execute(NodesInfoRequest {
            nodes: Vec::new(),
            asks: false,
        })
        .await?;
    let stats = request
        .execute(NodesStatsRequest { nodes: Vec::new() })
        .await?;
    let rows = info
        .nodes
        .iter()
        .map(|(id, node)| {
            let id = if full_id {
                id
            } else {
                id.get(..4).unwrap_or(id)
            };
            node_row(
                id,
                node,
                stats
                    .nodes
                    .get(id)
                    .or_else(|| by_name(&stats.nodes, &node.name)),
            )
        })
        .collect();
    respond(
        &request,
        Table {
            columns: NODES,
            rows,
        },
    )
}

/// `GET /_cat/master`.
pub async fn master(request: RestRequest) -> ApiResult<RestResponse> {
    if let Some(help) = help(&request, MASTER)? {
        return Ok(help);
    }
    let info = request
        .execute(NodesInfoRequest {
            nodes: Vec::new(),
            asks: false,
        })
        .await?;
    let rows = info
        .nodes
        .iter()
        .filter(|(_, node)| node.is_master)
        .map(|(id, node)| {
            let host = host_of(&node.transport_address);
            vec![
                id.clone().into(),
                host.into(),
                host.into(),
                node.name.clone().into(),
            ]
        })
        .collect();
    respond(
        &request,
        Table {
            columns: MASTER,
            rows,
        },
    )
}

/// `GET /_cat/nodeattrs`.
pub async fn nodeattrs(request: RestRequest) -> ApiResult<RestResponse> {
    if let Some(help) = help(&request, NODEATTRS)? {
        return Ok(help);
    }
    let info = request
        .execute(NodesInfoRequest {
            nodes: Vec::new(),
            asks: false,
        })
        .await?;
    let mut rows = Vec::new();
    for node in info.nodes.values() {
        let host = host_of(&node.transport_address);
        for (attribute, value) in &node.attributes {
            rows.push(vec![
                node.name.clone().into(),
                host.into(),
                host.into(),
                attribute.clone().into(),
                value.clone().into(),
            ]);
        }
    }
    respond(
        &request,
        Table {
            columns: NODEATTRS,
            rows,
        },
    )
}

/// `GET /_cat/allocation`.
pub async fn allocation(request: RestRequest) -> ApiResult<RestResponse> {
    if let Some(help) = help(&request, ALLOCATION)? {
        return Ok(help);
    }
    let stats = request
        .execute(NodesStatsRequest { nodes: Vec::new() })
        .await?;
    let state = request
        .execute(ClusterStateRequest {
            metrics: vec!["routing_table".to_owned()],
            indices: IndicesTarget::default(),
        })
        .await?;
    let (by_node, unassigned) = shards_by_node(&state.state);
    let mut rows: Vec<Vec<Cell>> = stats
        .nodes
        .iter()
        .map(|(id, node)| {
            let used = node.disk_total_bytes.saturating_sub(node.disk_free_bytes);
            let host = host_of(&node.transport_address);
            vec![
                by_node.get(id).copied().unwrap_or(0).into(),
                Cell::Bytes(node.store_bytes),
                Cell::Bytes(used),
                Cell::Bytes(node.disk_free_bytes),
                Cell::Bytes(node.disk_total_bytes),
                percent(used, node.disk_total_bytes).into(),
                host.into(),
                host.into(),
                node.name.clone().into(),
                role_letters(&node.roles).into(),
            ]
        })
        .collect();
    if unassigned > 0 {
        let mut row = vec![Cell::None; ALLOCATION.len()];
        row[0] = unassigned.into();
        row[8] = "UNASSIGNED".into();
        rows.push(row);
    }
    respond(
        &request,
        Table {
            columns: ALLOCATION,
            rows,
        },
    )
}

/// `GET /_cat/aliases[/{name}]`.
pub async fn aliases(request: RestRequest) -> ApiResult<RestResponse> {
    if let Some(help) = help(&request, ALIASES)? {
        return Ok(help);
    }
    let wanted = request.path_list("name");
    let indices = request.indices(hidden_too())?;
    let described = request
        .execute(GetIndexRequest {
            indices,
            with_defaults: false,
        })
        .await?;
    let mut rows = Vec::new();
    for index in &described.indices {
        let Some(aliases) = index.aliases.as_object() else {
            continue;
        };
        for (alias, properties) in aliases {
            if wanted.is_empty()
                || wanted
                    .iter()
                    .any(|name| glob::matches(name, alias, Syntax::Star))
            {
                rows.push(alias_row(alias, &index.name, properties));
            }
        }
    }
    respond(
        &request,
        Table {
            columns: ALIASES,
            rows,
        },
    )
}

/// `GET|POST /_cat/count[/{index}]`.
pub async fn count(request: RestRequest) -> ApiResult<RestResponse> {
    if let Some(help) = help(&request, COUNT)? {
        return Ok(help);
    }
    let body = request.body_object()?;
    check_keys("cat_count", &body, &["query"])?;
    let indices = request.indices(IndicesOptions::default())?;
    let counted = request
        .execute(count_request(indices, body, None, None))
        .await?;
    let count = exact_total(&counted)?;
    let now = jiff::Timestamp::now();
    let row = vec![
        now.as_second().to_string().into(),
        now.strftime("%H:%M:%S").to_string().into(),
        count.into(),
    ];
    respond(
        &request,
        Table {
            columns: COUNT,
            rows: vec![row],
        },
    )
}

async fn shard_table(
    request: &RestRequest,
) -> ApiResult<ringwall_api::cluster::ShardTableResponse> {
    let indices = request.indices(hidden_too())?;
    request.execute(ShardTableRequest { indices }).await
}

fn hidden_too() -> IndicesOptions {
    IndicesOptions {
        expand_hidden: true,
        ..IndicesOptions::default()
    }
}

fn by_name<'a>(
    stats: &'a std::collections::BTreeMap<String, NodeStats>,
    name: &str,
) -> Option<&'a NodeStats> {
    stats.values().find(|node| node.name == name)
}

fn node_row(id: &str, node: &NodeInfo, stats: Option<&NodeStats>) -> Vec<Cell> {
    let memory = stats.map(|stats| percent(stats.resident_bytes, stats.total_memory_bytes));
    let load = |i: usize| stats.map_or(Cell::None, |stats| Cell::Decimal(stats.load_average[i]));
    vec![
        host_of(&node.transport_address).into(),
        memory.into(),
        memory.into(),
        stats.map(|stats| stats.cpu_percent).into(),
        load(0),
        load(1),
        load(2),
        role_letters(&node.roles).into(),
        if node.is_master { "*" } else { "-" }.into(),
        node.name.clone().into(),
        id.into(),
        node.http_address.clone().into(),
        node.version.clone().into(),
    ]
}

fn alias_row(alias: &str, index: &str, properties: &Value) -> Vec<Cell> {
    let text = |name: &str| match properties.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(flag)) => flag.to_string(),
        _ => "-".to_owned(),
    };
    let filter = if properties.get("filter").is_some() {
        "*"
    } else {
        "-"
    };
    vec![
        alias.into(),
        index.into(),
        filter.into(),
        text("index_routing").into(),
        text("search_routing").into(),
        text("is_write_index").into(),
    ]
}

/// Counts the shard copies of a routing table by node, and those on none.
fn shards_by_node(state: &Value) -> (std::collections::BTreeMap<String, u64>, u64) {
    let mut by_node = std::collections::BTreeMap::new();
    let mut unassigned = 0;
    let indices = state["routing_table"]["indices"].as_object();
    let copies = indices
        .into_iter()
        .flat_map(|indices| indices.values())
        .filter_map(|index| index["shards"].as_object())
        .flat_map(|shards| shards.values())
        .filter_map(Value::as_array)
        .flatten();
    for copy in copies {
        match copy["node"].as_str() {
            Some(node) => *by_node.entry(node.to_owned()).or_insert(0) += 1,
            None => unassigned += 1,
        }
    }
    (by_node, unassigned)
}

/// Returns one letter a role, sorted; `-` for none. Source: Elasticsearch reference, "cat nodes API".
fn role_letters(roles: &[String]) -> String {
    let mut letters: Vec<char> = roles
        .iter()
        .filter_map(|role| {
            let (_, letter) = ROLE_LETTERS.iter().find(|(name, _)| name == role)?;
            Some(*letter)
        })
        .collect();
    letters.sort_unstable();
    if letters.is_empty() {
        return "-".to_owned();
    }
    letters.into_iter().collect()
}

const ROLE_LETTERS: &[(&str, char)] = &[
    ("data_cold", 'c'),
    ("data", 'd'),
    ("data_frozen", 'f'),
    ("data_hot", 'h'),
    ("ingest", 'i'),
    ("ml", 'l'),
    ("master", 'm'),
    ("remote_cluster_client", 'r'),
    ("data_content", 's'),
    ("transform", 't'),
    ("voting_only", 'v'),
    ("data_warm", 'w'),
];

const HEALTH: &[Column] = &[
    column("epoch", &["t", "time"], "seconds since 1970-01-01 00:00:00"),
    column("timestamp", &["ts", "hms", "hhmmss"], "time in HH:MM:SS"),
    column("cluster", &["cl"], "cluster name"),
    column("status", &["st"], "health status"),
    column("node.total", &["nt", "nodeTotal"], "total number of nodes"),
    column(
        "node.data",
        &["nd", "nodeData"],
        "number of nodes that can store data",
    ),
    column(
        "shards",
        &["sh", "shards.total", "shardsTotal"],
        "total number of active shards",
    ),
    column(
        "pri",
        &["p", "shards.primary", "shardsPrimary"],
        "number of active primary shards",
    ),
    column(
        "relo",
        &["r", "shards.relocating", "shardsRelocating"],
        "number of relocating shards",
    ),
    column(
        "init",
        &["i", "shards.initializing", "shardsInitializing"],
        "number of initializing shards",
    ),
    column(
        "unassign",
        &["u", "shards.unassigned", "shardsUnassigned"],
        "number of unassigned shards",
    ),
    column(
        "pending_tasks",
        &["pt", "pendingTasks"],
        "number of pending tasks",
    ),
    column(
        "max_task_wait_time",
        &["mtwt", "maxTaskWaitTime"],
        "longest wait of a pending task",
    ),
    column(
        "active_shards_percent",
        &["asp", "activeShardsPercent"],
        "active shards in percent",
    ),
];

const INDICES: &[Column] = &[
    column("health", &["h"], "current health status"),
    column("status", &["s"], "open or close"),
    column("index", &["i", "idx"], "index name"),
    column("uuid", &["id"], "index uuid"),
    column(
        "pri",
        &["p", "shards.primary", "shardsPrimary"],
        "number of primary shards",
    ),
    column(
        "rep",
        &["r", "shards.replica", "shardsReplica"],
        "number of replica shards",
    ),
    column("docs.count", &["dc", "docsCount"], "available documents"),
    column("docs.deleted", &["dd", "docsDeleted"], "deleted documents"),
    column(
        "store.size",
        &["ss", "storeSize"],
        "store size of primaries and replicas",
    ),
    column("pri.store.size", &[], "store size of primaries"),
    column("dataset.size", &[], "total size of the dataset"),
];

const SHARDS: &[Column] = &[
    column("index", &["i", "idx"], "index name"),
    column("shard", &["s", "sh"], "shard number"),
    column(
        "prirep",
        &["p", "pr", "primaryOrReplica"],
        "primary or replica",
    ),
    column("state", &["st"], "shard state"),
    column("docs", &["d", "dc"], "number of documents"),
    column("store", &["sto"], "store size"),
    column("dataset", &[], "total size of the dataset"),
    column("ip", &[], "ip of the node that holds it"),
    column("node", &["n"], "name of the node that holds it"),
    extra("id", &[], "id of the node that holds it"),
    extra("unassigned.reason", &["ur"], "why it is unassigned"),
];

const NODES: &[Column] = &[
    column("ip", &["i"], "ip address"),
    column(
        "heap.percent",
        &["hp", "heapPercent"],
        "memory of the process in percent of all",
    ),
    column(
        "ram.percent",
        &["rp", "ramPercent"],
        "memory of the process in percent of all",
    ),
    column("cpu", &[], "recent cpu usage in percent"),
    column("load_1m", &["l"], "1m load average"),
    column("load_5m", &[], "5m load average"),
    column("load_15m", &[], "15m load average"),
    column(
        "node.role",
        &["r", "role", "nodeRole"],
        "m:master, d:data, i:ingest, -:coordinating only, ...",
    ),
    column("master", &["m"], "*:elected master"),
    column("name", &["n"], "node name"),
    extra("id", &["nodeId"], "unique node id"),
    extra("http_address", &["http"], "bound http address"),
    extra("version", &["v"], "version of the program"),
];

const MASTER: &[Column] = &[
    column("id", &[], "node id"),
    column("host", &["h"], "host name"),
    column("ip", &[], "ip address"),
    column("node", &["n"], "node name"),
];

const NODEATTRS: &[Column] = &[
    column("node", &["name"], "node name"),
    column("host", &["h"], "host name"),
    column("ip", &["i"], "ip address"),
    column("attr", &["attr.name"], "attribute"),
    column("value", &["attr.value"], "value"),
];

const ALLOCATION: &[Column] = &[
    column("shards", &["s"], "number of shards on the node"),
    column(
        "disk.indices",
        &["di", "diskIndices"],
        "disk used by indices",
    ),
    column("disk.used", &["du", "diskUsed"], "disk used in total"),
    column("disk.avail", &["da", "diskAvail"], "disk available"),
    column("disk.total", &["dt", "diskTotal"], "disk capacity"),
    column(
        "disk.percent",
        &["dp", "diskPercent"],
        "disk used in percent",
    ),
    column("host", &["h"], "host name"),
    column("ip", &[], "ip address"),
    column("node", &["n"], "node name"),
    column("node.role", &["r", "role", "nodeRole"], "node roles"),
];

const ALIASES: &[Column] = &[
    column("alias", &["a"], "alias name"),
    column("index", &["i", "idx"], "index the alias points to"),
    column("filter", &["f", "fi"], "whether it has a filter"),
    column("routing.index", &["ri", "routingIndex"], "index routing"),
    column("routing.search", &["rs", "routingSearch"], "search routing"),
    column(
        "is_write_index",
        &["w", "isWriteIndex"],
        "whether writes go to this index",
    ),
];

const COUNT: &[Column] = &[
    column("epoch", &["t", "time"], "seconds since 1970-01-01 00:00:00"),
    column("timestamp", &["ts", "hms", "hhmmss"], "time in HH:MM:SS"),
    column(
        "count",
        &["dc", "docs.count", "docsCount"],
        "the document count",
    ),
];
