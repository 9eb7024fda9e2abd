//! What a running cluster tells: to people on the terminal, to programs in `quickstart.json`.

use std::path::PathBuf;
use std::time::Duration;

use ringwall_base::fs::write_atomic;
use serde_json::json;
use zeroize::Zeroizing;

use super::cluster::shell_quoted;
use super::console::Console;
use super::load::Loaded;
use super::processes::Processes;
use super::site::{Site, remove_if_there};
use crate::commands::online::ELASTIC;
use crate::error::CommandError;
use crate::terminal::Terminal;

/// Writes `DIR/quickstart.json`, whole or not at all, readable by the owner only.
pub(super) fn write(
    site: &Site,
    processes: &Processes,
    console: Option<&Console>,
) -> Result<(), CommandError> {
    let nodes: Vec<_> = site
        .nodes()
        .iter()
        .map(|node| {
            json!({
                "name": node.name,
                "http": node.url(),
                "transport": node.transport.to_string(),
                "home": node.home,
                "pid": processes.pid(&node.name),
            })
        })
        .collect();
    let content = json!({
        "nodes": nodes,
        "ca": site.ca_file(),
        "username": ELASTIC,
        "password": site.state().password.expose(),
        "index": site.state().index,
        "console": console.map(Console::url),
    });
    let text = Zeroizing::new(format!("{content:#}\n"));
    let path = file(site);
    write_atomic(&path, text.as_bytes(), 0o600).map_err(|error| CommandError::io(&path, &error))
}

/// Removes the file: it is there only while the cluster runs.
pub(super) fn remove(site: &Site) -> Result<(), CommandError> {
    remove_if_there(&file(site))
}

/// Prints where the cluster is and what to try.
pub(super) fn print(
    site: &Site,
    loaded: Option<&Loaded>,
    console: Option<&Console>,
    took: Duration,
    terminal: &mut Terminal,
) {
    let Some(first) = site.nodes().first() else {
        return;
    };
    let nodes = site.nodes().len();
    let seconds = took.as_secs_f64();
    let documents = loaded.map_or_else(String::new, |loaded| {
        format!(
            ", {} documents in the index [{}]",
            loaded.documents, loaded.index
        )
    });
    terminal.out(format!(
        "\nThe cluster is up after {seconds:.1} s: {nodes} nodes{documents}\n"
    ));
    let password = site.state().password.expose();
    for (label, value) in [
        ("address", first.url().as_str()),
        ("CA file", &site.ca_file().display().to_string()),
        ("user", ELASTIC),
        ("password", password),
    ] {
        terminal.result(format!("  {label:<9} {value}"));
    }
    if let Some(console) = console {
        terminal.result(format!("  {:<9} {}", "console", console.url()));
    }
    terminal.out("\nTry:");
    for line in curl_lines(site, &first.url()) {
        terminal.out(format!("  {line}"));
    }
    terminal.out("\nCtrl-C stops the nodes; the same command starts them again.");
}

/// Returns three lines for a shell: the nodes, a search, an aggregation.
fn curl_lines(site: &Site, url: &str) -> Vec<String> {
    let index = site.state().index.as_deref().unwrap_or("_all");
    let password = site.state().password.expose();
    let ca = shell_quoted(&site.ca_file());
    let curl = format!("curl --cacert {ca} -u {ELASTIC}:{password}");
    let with_body = |path: &str, body: &str| {
        format!("{curl} -H 'Content-Type: application/json' '{url}{path}' -d '{body}'")
    };
    let nodes = format!("{curl} '{url}/_cat/nodes?v'");
    if index != "addresses" {
        return vec![
            nodes,
            format!("{curl} '{url}/{index}/_count?pretty'"),
            with_body(&format!("/{index}/_search?pretty"), r#"{"size":3}"#),
        ];
    }
    let search = with_body(
        "/addresses/_search?pretty",
        r#"{"size":3,"_source":["president","year"],"query":{"match":{"text":"freedom of the press"}}}"#,
    );
    let aggregation = with_body(
        "/addresses/_search?pretty",
        r#"{"size":0,"query":{"match":{"text":"railroad"}},"aggs":{"who":{"terms":{"field":"president"}}}}"#,
    );
    vec![nodes, search, aggregation]
}

fn file(site: &Site) -> PathBuf {
    site.dir().join("quickstart.json")
}
