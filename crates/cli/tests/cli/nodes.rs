//! `ringwall nodes`, against a cluster that runs.

use std::fs;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use serde_json::json;

use crate::home::{Home, Outcome, ringwall, run};
use crate::running::Quickstart;

/// Far more than a start and a join take on a busy machine.
const WITHIN: Duration = Duration::from_secs(120);

fn nodes(cluster: &Quickstart, arguments: &[&str]) -> Outcome {
    let mut command = ringwall();
    command
        .env("ES_HOME", cluster.home(0))
        .env_remove("ES_PATH_CONF")
        .arg("nodes")
        .args(arguments)
        .args(["--url", cluster.url(0)]);
    run(&mut command, "")
}

#[test]
fn nodes_are_listed_approved_and_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Quickstart::one_node(dir.path());
    let nodes = |arguments: &[&str]| nodes(&cluster, arguments);
    let listed = nodes(&["list"]).quiet();
    assert_eq!(listed.lines().count(), 1, "{listed}");
    assert!(listed.trim_end().ends_with(" in the cluster"), "{listed}");
    let own = listed.split(' ').nth(1).unwrap().to_owned();

    let none = nodes(&["approve", "es-9"]);
    assert_eq!(none.status, 65, "{none:?}");
    assert!(
        none.stderr.contains("no node [es-9] waits to be approved"),
        "{none:?}"
    );
    let (id, key) = (
        "-AAAAAAAAAAAAAAAAAAAAQ",
        "--EBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE",
    );
    let approved = nodes(&["approve", id, "--key", key]).quiet();
    assert!(
        approved.contains(&format!("Node [{id}] may join with the key [{key}].")),
        "{approved}"
    );
    let listed = nodes(&["list"]).quiet();
    assert!(listed.contains(&format!("{id} {key} away")), "{listed}");
    let forgotten = nodes(&["forget", id]).quiet();
    assert!(forgotten.contains("is forgotten"), "{forgotten}");
    for (wanted, why) in [(id, "no node"), (own.as_str(), "in the cluster")] {
        let refused = nodes(&["forget", wanted]);
        assert_eq!(refused.status, 65, "{refused:?}");
        assert!(refused.stderr.contains(why), "{refused:?}");
    }
    assert_eq!(nodes(&["forget", "../x"]).status, 64);
}

/// A node that comes for the first time, with the certificates of the first; killed when dropped.
struct Newcomer {
    child: Child,
    _home: Home,
}

impl Newcomer {
    fn start(cluster: &Quickstart, name: &str) -> Self {
        let home = Home::new();
        let config = home.path().join("config");
        for entry in fs::read_dir(cluster.home(0).join("config")).unwrap() {
            let file = entry.unwrap();
            fs::copy(file.path(), config.join(file.file_name())).unwrap();
        }
        let yml = config.join("elasticsearch.yml");
        let own = ["node.name:", "http.port:", "transport.port:"];
        let mut text: String = fs::read_to_string(&yml)
            .unwrap()
            .lines()
            .filter(|line| !own.iter().any(|key| line.starts_with(key)))
            .map(|line| format!("{line}\n"))
            .collect();
        text.push_str(&format!(
            "node.name: {name}\nhttp.port: 0\ntransport.port: 0\n"
        ));
        fs::write(&yml, text).unwrap();
        let child = home
            .tool("elasticsearch")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, _home: home }
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_node_that_waits_is_approved_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Quickstart::one_node(dir.path());
    let setting = json!({"persistent": {"cluster.membership.approval": true}});
    let set = cluster.ask(0, Method::PUT, "/_cluster/settings", Some(setting));
    assert_eq!(set.status, StatusCode::OK);
    let _newcomer = Newcomer::start(&cluster, "es-4");
    let begun = Instant::now();
    let line = |part: &str| loop {
        let listed = nodes(&cluster, &["list"]).quiet();
        let mut lines = listed.lines().filter(|line| line.starts_with("es-4 "));
        match lines.find(|line| line.contains(part)) {
            Some(line) => return line.to_owned(),
            None => assert!(begun.elapsed() < WITHIN, "no [{part}] in {listed}"),
        }
    };
    let waits = line(" waits for approval, at 127.0.0.1:");
    let words: Vec<&str> = waits.split(' ').collect();
    let approved = nodes(&cluster, &["approve", "es-4"]).quiet();
    let expected = format!("Node [{}] may join with the key [{}].", words[1], words[2]);
    assert!(approved.contains(&expected), "{approved}");
    let joined = line(" in the cluster");
    assert!(joined.starts_with(&words[..3].join(" ")), "{joined}");
}
