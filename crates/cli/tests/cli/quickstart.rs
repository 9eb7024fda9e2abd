//! `ringwall quickstart`, with real nodes.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use http::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::json;

use crate::home::{ringwall, run};
use crate::running::{Quickstart, is_running, signal};

const CORPUS: u64 = 5_926;

#[test]
fn a_cluster_is_set_up_filled_stopped_and_started_again() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = fs::canonicalize(temporary.path()).unwrap().join("cluster");
    let arguments = ["--nodes", "3", "--http-port", "0"];
    let cluster = Quickstart::start(&dir, &arguments);

    let mode = fs::metadata(dir.join("quickstart.json"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(cluster.told["username"], "elastic");
    assert_eq!(cluster.told["ca"], dir.join("ca/ca.crt").to_str().unwrap());
    for (position, node) in cluster.told["nodes"].as_array().unwrap().iter().enumerate() {
        let name = format!("node-{}", position + 1);
        assert_eq!(node["name"], *name);
        assert_eq!(node["home"], dir.join(name).to_str().unwrap());
        assert!(
            node["http"]
                .as_str()
                .unwrap()
                .starts_with("https://127.0.0.1:")
        );
    }
    assert!(cluster.pids().into_iter().all(is_running));

    // Every node answers for the whole cluster.
    for node in 0..3 {
        let health = cluster
            .ask(node, Method::GET, "/_cluster/health", None)
            .json();
        assert_eq!(
            (&health["status"], &health["number_of_nodes"]),
            (&json!("green"), &json!(3))
        );
        let count = cluster
            .ask(node, Method::GET, "/addresses/_count", None)
            .json();
        assert_eq!(count["count"], CORPUS, "{count}");
    }
    let login = cluster.console_login_page();
    assert!(login.contains("Password"), "{login}");
    let query = json!({"query": {"match_phrase": {"text": "freedom of the press"}}});
    let found = cluster
        .ask(1, Method::POST, "/addresses/_search", Some(query))
        .json();
    assert!(
        found["hits"]["total"]["value"].as_u64().unwrap() > 0,
        "{found}"
    );
    let note = json!({"text": "of the first run"});
    let created = cluster.ask(2, Method::PUT, "/notes/_doc/1?refresh=true", Some(note));
    assert_eq!(created.status, StatusCode::CREATED);

    // One command at a time.
    let second = run(ringwall().args(["quickstart", "--dir"]).arg(&dir), "");
    assert_eq!(second.status, 69, "{second:?}");
    assert!(
        second.stderr.contains("another quickstart runs in"),
        "{second:?}"
    );

    let told = cluster.told.clone();
    let outcome = cluster.stop();
    assert_eq!(outcome.status, 0, "{outcome:?}");
    assert_eq!(outcome.stderr, "");
    assert_eq!(
        outcome.stdout.matches("\n  curl --cacert ").count(),
        3,
        "{outcome:?}"
    );
    assert!(outcome.stdout.contains(told["password"].as_str().unwrap()));
    assert!(!outcome.stdout.contains('\x1b'));
    assert!(!dir.join("quickstart.json").exists());

    // The same command: the same cluster with its data, and nothing is loaded again.
    let cluster = Quickstart::start(&dir, &arguments);
    assert_eq!(cluster.told["password"], told["password"]);
    for node in 0..3 {
        assert_eq!(
            cluster.told["nodes"][node]["http"],
            told["nodes"][node]["http"]
        );
    }
    let count = cluster
        .ask(0, Method::GET, "/addresses/_count", None)
        .json();
    assert_eq!(count["count"], CORPUS);
    assert_eq!(cluster.told["console"], told["console"]);
    assert!(cluster.console_login_page().contains("Password"));
    let note = cluster.ask(1, Method::GET, "/notes/_doc/1", None).json();
    assert_eq!(note["_source"]["text"], "of the first run", "{note}");

    // Whatever happens to the command, its nodes do not stay behind.
    cluster.kill();
}

#[test]
fn documents_of_a_file_are_loaded_on_one_node() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("Books.ndjson");
    fs::write(&data, "{\"title\":\"Emma\"}\n{\"title\":\"Persuasion\"}\n").unwrap();
    let site = dir.path().join("site");
    let data = data.to_str().unwrap();
    let arguments = [
        "--nodes",
        "1",
        "--http-port",
        "0",
        "--no-console",
        "--data",
        data,
    ];
    let cluster = Quickstart::start(&site, &arguments);
    assert_eq!(cluster.told["index"], "books");
    assert!(cluster.told["console"].is_null());
    assert!(!site.join("console").exists());
    let count = cluster.ask(0, Method::GET, "/books/_count", None).json();
    assert_eq!(count["count"], 2, "{count}");
    let health = cluster.ask(0, Method::GET, "/_cluster/health", None).json();
    assert_eq!(health["status"], "green");

    // The last node that dies takes the command along; before, it is told.
    let pid = cluster.pids()[0];
    signal(pid, Signal::KILL);
    let outcome = cluster.stop_after_its_nodes();
    assert_eq!(outcome.status, 69, "{outcome:?}");
    assert!(
        outcome.stderr.contains("node-1 ended with signal: 9"),
        "{outcome:?}"
    );
    assert!(outcome.stderr.contains("no node is left"), "{outcome:?}");
}

#[test]
fn a_node_that_cannot_start_is_reported_with_its_log() {
    let dir = tempfile::tempdir().unwrap();
    let site = dir.path().join("site");
    let mut command = ringwall();
    command
        .args(["quickstart", "--nodes", "1", "--http-port", "0", "--dir"])
        .arg(&site);
    let outcome = run(command.arg("-Enode.nmae=x"), "");
    assert_eq!(outcome.status, 69, "{outcome:?}");
    assert!(
        outcome
            .stderr
            .contains("ERROR: node-1 ended with exit status"),
        "{outcome:?}"
    );
    assert!(outcome.stderr.contains("node.name"), "{outcome:?}");
    assert!(!site.join("quickstart.json").exists());
}

#[test]
fn mistakes_are_told_before_anything_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let site = dir.path().join("site");
    for (arguments, status) in [
        (["--nodes", "0"].as_slice(), 64),
        (&["--http-port", "70000"], 64),
        (&["--data", "/nowhere.ndjson"], 74),
    ] {
        let mut command = ringwall();
        command
            .args(["quickstart", "--dir"])
            .arg(&site)
            .args(arguments);
        let outcome = run(&mut command, "");
        assert_eq!(outcome.status, status, "{outcome:?}");
        assert!(!site.exists());
    }
    fs::write(dir.path().join("letter.txt"), "dear").unwrap();
    let outcome = run(ringwall().args(["quickstart", "--dir"]).arg(dir.path()), "");
    assert_eq!(outcome.status, 73, "{outcome:?}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}
