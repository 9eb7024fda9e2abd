//! `/cluster`: the nodes and what they have left.

use maud::{Markup, html};
use serde_json::Value;

use crate::cluster::Call;
use crate::context::{Context, PageResult};
use crate::forms;
use crate::listing::{Listed, Listing};
use crate::pages::overview::text;

pub async fn list(context: &Context<'_>) -> PageResult {
    let (table, stats) = futures::try_join!(
        context.ask(Call::get(
            "/_cat/nodes?format=json&full_id=true&h=id,name,ip,master,version"
        )),
        context.ask(Call::get("/_nodes/stats/os,process,jvm,fs")),
    )?;
    let nodes = table.as_array().into_iter().flatten();
    let listed = Listed::of(context.request, nodes, |node| {
        node["name"].as_str().unwrap_or_default()
    });
    let listing = Listing {
        title: "Cluster",
        path: "/cluster",
        caption: "Nodes of the cluster",
        heads: &[
            "Name",
            "Address",
            "Version",
            "Roles",
            "CPU",
            "Load of 1, 5, 15 minutes",
            "Memory",
            "Disk",
            "Up for",
        ],
        create: None,
        switch: None,
    };
    let row = |node: &&Value| {
        let id = node["id"].as_str().unwrap_or_default();
        row(node, &stats["nodes"][id])
    };
    listing
        .page(context, &listed, super::tabs(context).await, row)
        .await
}

fn row(node: &Value, stats: &Value) -> Markup {
    let load = &stats["os"]["cpu"]["load_average"];
    let memory = &stats["jvm"]["mem"];
    let disk = &stats["fs"]["total"];
    let total = disk["total_in_bytes"].as_u64();
    let used = total.zip(disk["available_in_bytes"].as_u64());
    let used = used.map(|(total, left)| total.saturating_sub(left));
    let up = stats["jvm"]["uptime_in_millis"].as_u64();
    html! {
        th scope="row" {
            (text(&node["name"]))
            @if node["master"] == "*" { " " span.tag { "master" } }
        }
        td { (text(&node["ip"])) }
        td { (text(&node["version"])) }
        td { (forms::join(&stats["roles"])) }
        td.number { @if let Some(percent) = stats["os"]["cpu"]["percent"].as_u64() { (percent) " %" } }
        td.number { (text(&load["1m"])) " " (text(&load["5m"])) " " (text(&load["15m"])) }
        td.number { (share(memory["heap_used_in_bytes"].as_u64(), memory["heap_max_in_bytes"].as_u64())) }
        td.number { (share(used, total)) }
        td.number { (up.map(forms::duration).unwrap_or_default()) }
    }
}

/// Returns how much of something is used, as a bar and in words.
fn share(used: Option<u64>, total: Option<u64>) -> Markup {
    html! {
        @if let (Some(used), Some(total)) = (used, total) {
            (forms::bytes(used)) " of " (forms::bytes(total))
            br;
            meter min="0" max=(total) value=(used) aria-hidden="true" {}
        }
    }
}
