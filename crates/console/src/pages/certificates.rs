//! `/certificates`: every certificate in use, of the nodes and of the console, those that end soon first.

use std::cmp::Ordering;

use maud::{Markup, html};
use serde_json::Value;

use super::overview::text;
use crate::cluster::Call;
use crate::context::{Context, PageResult};
use crate::{forms, layout};

pub async fn show(context: &Context<'_>) -> PageResult {
    let answer = context.ask(Call::get("/_ssl/nodes")).await?;
    let nodes: Vec<&Value> = answer["nodes"]
        .as_object()
        .map(|nodes| nodes.values().collect())
        .unwrap_or_default();
    let content = html! {
        (problems(&answer, &nodes))
        (table(&rows(&nodes)))
        (refusals(&nodes))
        (console(context))
    };
    Ok(layout::page(context, "Certificates", content).await)
}

struct Row<'a> {
    node: String,
    context: String,
    certificate: &'a Value,
}

fn rows<'a>(nodes: &[&'a Value]) -> Vec<Row<'a>> {
    let mut rows = Vec::new();
    for node in nodes {
        for context in array(&node["contexts"]) {
            rows.extend(array(&context["certificates"]).map(|certificate| Row {
                node: text(&node["name"]),
                context: text(&context["name"]),
                certificate,
            }));
        }
    }
    // A store that is keystore and truststore tells of its CA twice.
    let mut seen = std::collections::BTreeSet::new();
    rows.retain(|row| {
        let names = ["path", "fingerprint_sha256"].map(|name| text(&row.certificate[name]));
        seen.insert((row.node.clone(), row.context.clone(), names))
    });
    rows.sort_by(|a, b| {
        let days = |row: &Row<'_>| row.certificate["days_left"].as_f64();
        days(a).partial_cmp(&days(b)).unwrap_or(Ordering::Equal)
    });
    rows
}

fn table(rows: &[Row<'_>]) -> Markup {
    let body = html! {
        @for row in rows {
            @let certificate = row.certificate;
            tr {
                td { (row.node) }
                td { code { (row.context) } }
                th scope="row" {
                    (text(&certificate["subject_dn"]))
                    @if certificate["has_private_key"] == true { " " span.tag { "own" } }
                    @if certificate["is_ca"] == true { " " span.tag { "CA" } }
                }
                td { (text(&certificate["issuer"])) }
                td { (text(&certificate["expiry"])) }
                td.number { (days(certificate["days_left"].as_i64())) }
                td { (text(&certificate["path"])) }
                td { code { (text(&certificate["serial_number"])) } }
            }
        }
    };
    let heads = [
        "Node",
        "Used for",
        "Subject",
        "Issuer",
        "Ends",
        "Days left",
        "File",
        "Serial number",
    ];
    forms::table("Certificates of the nodes", &heads, body)
}

/// Returns the days with what they mean, in words and not by colour alone.
fn days(left: Option<i64>) -> Markup {
    html! {
        @match left {
            None => {},
            Some(left) if left < 0 => { span.status.red { (left) " expired" } }
            Some(left) if left <= 7 => { span.status.red { (left) " soon" } }
            Some(left) if left <= 30 => { span.status.yellow { (left) " renew" } }
            Some(left) => { (left) }
        }
    }
}

/// Returns which nodes did not answer, and which did not take up their files.
fn problems(answer: &Value, nodes: &[&Value]) -> Markup {
    html! {
        @for failure in array(&answer["_nodes"]["failures"]) {
            p.problem role="alert" {
                "Node " (text(&failure["node_id"])) " did not answer: " (text(&failure["reason"]))
            }
        }
        @for node in nodes {
            @for context in array(&node["contexts"]).filter(|context| context["reload_error"].is_string()) {
                p.problem role="alert" {
                    "Node " (text(&node["name"])) " goes on with the old files of " code { (text(&context["name"])) } ": "
                    (text(&context["reload_error"]))
                }
            }
        }
    }
}

/// Returns whom the nodes refused of late.
fn refusals(nodes: &[&Value]) -> Markup {
    let all: Vec<(String, &Value)> = nodes
        .iter()
        .flat_map(|node| {
            array(&node["recent_refusals"]).map(|refusal| (text(&node["name"]), refusal))
        })
        .collect();
    let rows = html! {
        @for (node, refusal) in &all {
            tr {
                td { (text(&refusal["at"])) }
                td { (node) }
                td { (text(&refusal["layer"])) }
                td { (text(&refusal["peer"])) }
                td.wide { (text(&refusal["message"])) }
            }
        }
    };
    html! {
        h2 { "Refused of late" }
        @if all.is_empty() {
            p { "The nodes have refused nobody since they started." }
        } @else {
            (forms::table("Peers that nodes refused", &["When", "Node", "Layer", "Peer", "Why, and what to do"], rows))
        }
    }
}

/// Returns the console's own certificates.
fn console(context: &Context<'_>) -> Markup {
    let sides = [&context.app.server_tls, &context.app.cluster.tls().cloned()];
    let now = std::time::SystemTime::now();
    let now = now
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let rows = html! {
        @for side in sides.into_iter().flatten() {
            @for entry in side.certificates() {
                tr {
                    td { code { (side.name()) } }
                    th scope="row" {
                        (entry.info.subject)
                        @if entry.has_private_key { " " span.tag { "own" } }
                    }
                    td { (entry.info.issuer) }
                    td { (entry.info.not_after) }
                    td.number { (days(Some((entry.info.not_after.as_second() - now).div_euclid(86_400)))) }
                    td { (entry.path) }
                }
            }
        }
    };
    html! {
        h2 { "This console" }
        @for side in sides.into_iter().flatten() {
            @if let Some(error) = side.last_reload_error() {
                p.problem role="alert" {
                    "The console goes on with the old files of " code { (side.name()) } ": " (crate::words::of_console(&error))
                }
            }
        }
        @if sides.iter().all(|side| side.is_none()) {
            p { "It uses no TLS, on neither side." }
        } @else {
            (forms::table(
                "Certificates of this console",
                &["Used for", "Subject", "Issuer", "Ends", "Days left", "File"],
                rows,
            ))
        }
    }
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
