//! `/overview`: how the cluster is, why, and what to do.

use maud::{Markup, html};
use serde_json::Value;

use crate::cluster::Call;
use crate::context::{Context, PageResult};
use crate::{forms, layout};

pub async fn show(context: &Context<'_>) -> PageResult {
    let (health, report, nodes, shards) = futures::try_join!(
        context.ask(Call::get("/_cluster/health")),
        context.ask(Call::get("/_health_report")),
        context.ask(Call::get(NODES)),
        context.ask(Call::get("/_cat/allocation?format=json&bytes=b")),
    )?;
    let content = html! {
        (summary(&health))
        (causes(&report))
        (node_table(&nodes, &shards))
    };
    Ok(layout::page(context, "Overview", content).await)
}

const NODES: &str = "/_cat/nodes?format=json&h=name,ip,node.role,master,version,heap.percent,cpu";

fn summary(health: &Value) -> Markup {
    let status = text(&health["status"]);
    let number = |name: &str| text(&health[name]);
    html! {
        dl.figures {
            div {
                dt { "Cluster" }
                dd { (text(&health["cluster_name"])) }
            }
            div {
                dt { "Health" }
                dd { span class={ "status " (status_class(&status)) } { (status) } }
            }
            @for (name, key) in FIGURES {
                div {
                    dt { (name) }
                    dd { (number(key)) }
                }
            }
        }
    }
}

const FIGURES: &[(&str, &str)] = &[
    ("Nodes", "number_of_nodes"),
    ("Data nodes", "number_of_data_nodes"),
    ("Primary shards", "active_primary_shards"),
    ("Shards", "active_shards"),
    ("Relocating", "relocating_shards"),
    ("Initializing", "initializing_shards"),
    ("Unassigned", "unassigned_shards"),
    ("Pending tasks", "number_of_pending_tasks"),
];

/// Returns what is not well, with what it means and what to do.
fn causes(report: &Value) -> Markup {
    let indicators = report["indicators"].as_object();
    let ill: Vec<(&String, &Value)> = indicators
        .into_iter()
        .flatten()
        .filter(|(_, indicator)| indicator["status"] != "green")
        .collect();
    html! {
        h2 { "What is wrong" }
        @if ill.is_empty() {
            p { "Nothing: every indicator of the health report is green." }
        }
        @for (name, indicator) in ill {
            section.cause {
                h3 {
                    (name.replace('_', " ")) " "
                    @let status = text(&indicator["status"]);
                    span class={ "status " (status_class(&status)) } { (status) }
                }
                p { (text(&indicator["symptom"])) }
                @if let Some(impacts) = indicator["impacts"].as_array() {
                    ul { @for impact in impacts { li { (text(&impact["description"])) } } }
                }
                @for diagnosis in indicator["diagnosis"].as_array().into_iter().flatten() {
                    dl.diagnosis {
                        dt { "Cause" }
                        dd { (text(&diagnosis["cause"])) }
                        dt { "What to do" }
                        dd { (text(&diagnosis["action"])) }
                    }
                }
            }
        }
    }
}

fn node_table(nodes: &Value, shards: &Value) -> Markup {
    let of_node = |name: &str, column: &str| {
        let rows = shards.as_array().into_iter().flatten();
        let mut own = rows.filter(|row| row["node"] == name);
        own.next().map_or(String::new(), |row| text(&row[column]))
    };
    let rows = html! {
        @for node in nodes.as_array().into_iter().flatten() {
            @let name = text(&node["name"]);
            tr {
                th scope="row" {
                    (name)
                    @if node["master"] == "*" { " " span.tag { "master" } }
                }
                td { (text(&node["ip"])) }
                td { (text(&node["node.role"])) }
                td { (text(&node["version"])) }
                td.number { (of_node(&name, "shards")) }
                td.number { (text(&node["heap.percent"])) }
                td.number { (text(&node["cpu"])) }
                td.number { (of_node(&name, "disk.percent")) }
            }
        }
    };
    let heads = [
        "Name", "Address", "Roles", "Version", "Shards", "Heap %", "CPU %", "Disk %",
    ];
    html! {
        h2 { "Nodes" }
        (forms::table("Nodes of the cluster", &heads, rows))
    }
}

/// Returns a value as a cell shows it.
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Returns the class of a status; never text of others.
pub fn status_class(status: &str) -> &'static str {
    match status {
        "green" => "green",
        "yellow" => "yellow",
        "red" => "red",
        _ => "unknown",
    }
}
