//! `_nodes`.

use std::collections::BTreeMap;

use ringwall_api::ApiResult;
use ringwall_api::nodes::{NodeInfo, NodesInfoRequest};
use serde_json::{Map, Value, json};

use crate::handlers::indices::nested;
use crate::handlers::nodes::{envelope, host_of, keep, split};
use crate::request::{RestRequest, RestResponse};

/// Query parameters of `_nodes`.
pub const INFO_PARAMS: &[&str] = &["flat_settings", "timeout"];

/// `GET /_nodes[/{node_id}][/{metric}]`. One path part alone may be either.
pub async fn info(mut request: RestRequest) -> ApiResult<RestResponse> {
    request.limit_time("timeout")?;
    let (nodes, metrics) = split(&request, INFO_METRICS);
    let flat = request.params.flag("flat_settings", false)?;
    let asks = metrics.is_empty()
        || metrics
            .iter()
            .any(|metric| OWN_METRICS.contains(&metric.as_str()));
    let info = request.execute(NodesInfoRequest { nodes, asks }).await?;
    let nodes: Map<String, Value> = info
        .nodes
        .iter()
        .map(|(id, node)| {
            (
                id.clone(),
                keep(info_json(node, flat), INFO_METRICS, &metrics),
            )
        })
        .collect();
    Ok(RestResponse::json(envelope(&info.cluster_name, nodes)))
}

fn info_json(node: &NodeInfo, flat: bool) -> Value {
    let own = node.own.as_ref();
    let host = host_of(&node.transport_address);
    let mut body = json!({
        "name": node.name,
        "transport_address": node.transport_address,
        "host": host,
        "ip": host,
        "version": ringwall_base::COMPATIBLE_VERSION,
        "build_flavor": "default",
        "build_type": "tar",
        "build_hash": format!("ringwall-{}", node.version),
        "roles": node.roles,
        "attributes": node.attributes,
        "settings": settings_json(node, flat),
        "transport": transport_json(node),
        "plugins": [],
        "modules": [],
    });
    if let Some(address) = &node.http_address {
        body["http"] = json!({
            "bound_address": own.map_or_else(|| vec![address.clone()], |own| own.http_bound.clone()),
            "publish_address": address,
        });
        if let Some(own) = own {
            body["http"]["max_content_length_in_bytes"] = own.max_content_length.into();
        }
    }
    body
}

/// The settings of a node that did not answer are not known, but for its name.
pub(crate) fn settings_json(node: &NodeInfo, flat: bool) -> Value {
    let mut settings = node
        .own
        .as_ref()
        .map_or_else(BTreeMap::new, |own| own.settings.clone());
    settings.insert("node.name".to_owned(), node.name.as_str().into());
    match flat {
        true => json!(settings),
        false => nested(settings),
    }
}

/// The listener that other nodes dial is no profile, as in Elasticsearch.
fn transport_json(node: &NodeInfo) -> Value {
    let profiles = node.own.iter().flat_map(|own| &own.profiles);
    let (default, further): (Vec<_>, Vec<_>) = profiles.partition(|(name, _)| *name == "default");
    let bound = default.first().map(|(_, default)| &default.bound);
    let profiles: Map<String, Value> = further
        .into_iter()
        .map(|(name, addresses)| {
            let addresses = json!({
                "bound_address": addresses.bound,
                "publish_address": addresses.published,
            });
            (name.clone(), addresses)
        })
        .collect();
    json!({
        "bound_address": bound.unwrap_or(&vec![node.transport_address.clone()]),
        "publish_address": node.transport_address,
        "profiles": profiles,
    })
}

/// What only the node itself knows.
const OWN_METRICS: &[&str] = &["_all", "settings", "transport", "http"];

const INFO_METRICS: &[&str] = &[
    "_all",
    "settings",
    "os",
    "process",
    "jvm",
    "thread_pool",
    "transport",
    "http",
    "plugins",
    "modules",
    "ingest",
    "aggregations",
    "indices",
];
