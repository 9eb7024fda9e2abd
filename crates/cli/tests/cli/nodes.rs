//! `ringwall nodes`, against a cluster that runs.

use crate::home::{Outcome, ringwall, run};
use crate::running::Quickstart;

fn nodes(cluster: &Quickstart, arguments: &[&str]) -> Outcome {
    let mut command = ringwall();
    command
        .env("ES_HOME", cluster.home(0))
        .env_remove("ES_PATH_CONF")
        .arg("nodes")
        .args(arguments);
    run(&mut command, "")
}

#[test]
fn nodes_are_listed_approved_and_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("one.ndjson");
    std::fs::write(&data, "{\"a\":1}\n").unwrap();
    let arguments = [
        "--nodes",
        "1",
        "--http-port",
        "0",
        "--data",
        data.to_str().unwrap(),
    ];
    let cluster = Quickstart::start(&dir.path().join("site"), &arguments);
    let url = cluster.told["nodes"][0]["http"]
        .as_str()
        .unwrap()
        .to_owned();
    let nodes = |arguments: &[&str]| nodes(&cluster, &[arguments, &["--url", &url]].concat());
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
        "AAAAAAAAAAAAAAAAAAAAAQ",
        "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE",
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
