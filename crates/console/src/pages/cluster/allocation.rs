//! `/cluster/allocation`: how full the nodes are, and the copies that are not where they should be.

use maud::{Markup, html};
use serde_json::Value;

use crate::cluster::Call;
use crate::context::{Context, PageResult};
use crate::forms;
use crate::listing::{Listed, Listing};
use crate::pages::index;
use crate::pages::overview::text;

pub async fn list(context: &Context<'_>) -> PageResult {
    let (nodes, shards) = futures::try_join!(
        context.ask(Call::get("/_cat/allocation?format=json")),
        context.ask(Call::get(SHARDS)),
    )?;
    let rows = shards.as_array().into_iter().flatten();
    let restless = rows.filter(|shard| shard["state"] != "STARTED");
    let listed = Listed::of(context.request, restless, |shard| {
        shard["index"].as_str().unwrap_or_default()
    });
    let listing = Listing {
        title: "Allocation",
        path: "/cluster/allocation",
        caption: "Copies of shards that are not started",
        heads: &["Index", "Shard", "Copy", "State", "Node", "Why"],
        create: None,
        switch: None,
    };
    let above = html! {
        (super::tabs(context).await)
        (node_table(&nodes))
        h2 { "Copies that are not started" }
    };
    let row = |shard: &&Value| {
        let name = text(&shard["index"]);
        let reason = text(&shard["unassigned.reason"]);
        html! {
            th scope="row" { a href=(context.link(&index::path(&name))) { (name) } }
            td.number { (text(&shard["shard"])) }
            td { (index::copy(shard)) }
            td { (index::shard_state(shard)) }
            td { (text(&shard["node"])) }
            td { (explained(&reason)) }
        }
    };
    listing.page(context, &listed, above, row).await
}

fn node_table(nodes: &Value) -> Markup {
    let rows = html! {
        @for node in nodes.as_array().into_iter().flatten() {
            tr {
                th scope="row" { (text(&node["node"])) }
                td.number { (text(&node["shards"])) }
                td.number { (text(&node["disk.indices"])) }
                td.number { (text(&node["disk.used"])) }
                td.number { (text(&node["disk.avail"])) }
                td.number { (text(&node["disk.percent"])) }
            }
        }
    };
    let heads = [
        "Node",
        "Shards",
        "Size of indices",
        "Disk used",
        "Disk left",
        "Disk %",
    ];
    forms::table("Shards and disks of the nodes", &heads, rows)
}

/// Returns the reason that the cluster gives, with what it means.
fn explained(reason: &str) -> Markup {
    let known = REASONS.iter().find(|(name, _)| *name == reason);
    html! {
        @if !reason.is_empty() {
            code { (reason) }
            @if let Some((_, meaning)) = known { ": " (meaning) }
        }
    }
}

const SHARDS: &str = "/_cat/shards?format=json&expand_wildcards=all&h=index,shard,prirep,state,node,unassigned.reason";

/// Source: the published names of `unassigned.reason`.
const REASONS: &[(&str, &str)] = &[
    (
        "INDEX_CREATED",
        "the index is new, and no node may hold this copy yet; a replica needs another node than its primary",
    ),
    (
        "REPLICA_ADDED",
        "a replica was added, and no node may hold it yet",
    ),
    ("NODE_LEFT", "the node that held it has left the cluster"),
    (
        "NODE_RESTARTING",
        "the node that holds it restarts, and is waited for",
    ),
    (
        "ALLOCATION_FAILED",
        "a node tried to start it and failed; its log says why",
    ),
    (
        "PRIMARY_FAILED",
        "its primary failed, from which it is made",
    ),
];
