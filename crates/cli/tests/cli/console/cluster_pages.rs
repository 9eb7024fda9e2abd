//! The pages of the cluster in a browser: nodes, tasks, settings, allocation.

use http::{Method, StatusCode};
use serde_json::json;

use super::process::ConsoleProcess;
use super::superuser;
use crate::running::Quickstart;

pub fn show_nodes_tasks_settings_and_shards(console: &ConsoleProcess, cluster: &Quickstart) {
    let mut browser = superuser(console, cluster);
    let page = browser.get("/cluster");
    for part in ["node-1", "master", "data_hot", " of ", "/_nodes/stats"] {
        assert!(page.text.contains(part), "{part} in {}", page.text);
    }
    tasks_are_listed_and_cancelled(console, cluster);
    a_setting_is_changed_and_taken_back(console, cluster);
    a_copy_without_a_place_is_told_of(console, cluster);
}

fn tasks_are_listed_and_cancelled(console: &ConsoleProcess, cluster: &Quickstart) {
    let mut browser = superuser(console, cluster);
    let page = browser.get("/cluster/tasks?q=tasks/lists");
    assert!(
        page.text.contains("cluster:monitor/tasks/lists") && page.text.contains("Cancel the task"),
        "{}",
        page.text
    );
    // One that waits for a minute between its batches.
    let body =
        json!({"source": {"index": "slow-source", "size": 1}, "dest": {"index": "slow-copy"}});
    for number in 0..3 {
        let path = format!("/slow-source/_doc/{number}?refresh=true");
        let put = cluster.ask(0, Method::PUT, &path, Some(json!({"a": number})));
        assert_eq!(put.status, 201, "{:?}", put.json());
    }
    let path = "/_reindex?wait_for_completion=false&requests_per_second=0.01";
    let begun = cluster.ask(0, Method::POST, path, Some(body));
    assert_eq!(begun.status, 200, "{:?}", begun.json());
    let id = begun.json()["task"].as_str().unwrap().to_owned();
    let page = browser.get("/cluster/tasks?q=reindex");
    assert!(page.text.contains(&id), "{id} in {}", page.text);
    let mut ann = console.browser();
    ann.log_in("ann", "ann-password").goes_to("/");
    let seen = ann.get("/cluster/tasks?q=reindex");
    assert!(
        seen.text.contains(&id) && !seen.text.contains("Cancel the task"),
        "{}",
        seen.text
    );
    let page = ann.post("/cluster/tasks/cancel", &[("id", &id)]);
    assert_eq!(page.status, StatusCode::FORBIDDEN, "{}", page.text);
    browser
        .post("/cluster/tasks/cancel", &[("id", &id)])
        .goes_to("/cluster/tasks");
    // It ends; then there is nothing to cancel.
    let path = format!("/_tasks/{id}?wait_for_completion=true");
    let ended = cluster.ask(0, Method::GET, &path, None).json();
    assert_eq!(ended["completed"], true, "{ended}");
    let page = browser.post("/cluster/tasks/cancel", &[("id", &id)]);
    assert_eq!(page.status, StatusCode::CONFLICT, "{}", page.text);
    for index in ["slow-source", "slow-copy"] {
        let path = format!("/{index}?ignore_unavailable=true");
        assert_eq!(cluster.ask(0, Method::DELETE, &path, None).status, 200);
    }
}

fn a_setting_is_changed_and_taken_back(console: &ConsoleProcess, cluster: &Quickstart) {
    let set = || {
        cluster.ask(
            0,
            Method::GET,
            "/_cluster/settings?flat_settings=true",
            None,
        )
    };
    let mut browser = superuser(console, cluster);
    let page = browser.get("/cluster/settings?q=max_buckets");
    assert!(page.text.contains("default"), "{}", page.text);
    let fields = |value: &'static str, place: &'static str| {
        [
            ("name", "search.max_buckets"),
            ("value", value),
            ("place", place),
        ]
    };
    let there = "/cluster/settings?q=search.max_buckets";
    for place in ["persistent", "transient"] {
        browser
            .post("/cluster/settings", &fields("1234", place))
            .goes_to(there);
        let told = set().json();
        assert_eq!(told[place]["search.max_buckets"], "1234", "{told}");
        let page = browser.get(there);
        assert!(page.text.contains("1234") && page.text.contains(place));
        browser
            .post("/cluster/settings", &fields("", place))
            .goes_to(there);
        let told = set().json();
        assert!(told[place]["search.max_buckets"].is_null(), "{told}");
    }
    for (fields, status) in [
        (fields("many", "persistent"), StatusCode::BAD_REQUEST),
        (fields("1234", "eternal"), StatusCode::BAD_REQUEST),
    ] {
        let page = browser.post("/cluster/settings", &fields);
        assert_eq!(page.status, status, "{}", page.text);
    }
    let mut ann = console.browser();
    ann.log_in("ann", "ann-password").goes_to("/");
    let page = ann.get("/cluster/settings");
    assert!(
        page.status == StatusCode::OK && !page.text.contains("Change a setting"),
        "{}",
        page.text
    );
    ann.get("/dev-tools");
    let page = ann.post("/cluster/settings", &fields("1234", "persistent"));
    assert_eq!(page.status, StatusCode::FORBIDDEN);
}

fn a_copy_without_a_place_is_told_of(console: &ConsoleProcess, cluster: &Quickstart) {
    let settings = json!({"settings": {"number_of_replicas": 1}});
    let put = cluster.ask(0, Method::PUT, "/lonely", Some(settings));
    assert_eq!(put.status, 200, "{:?}", put.json());
    let page = superuser(console, cluster).get("/cluster/allocation?q=lonely");
    for part in ["INDEX_CREATED", "replica", "UNASSIGNED", "another node"] {
        assert!(page.text.contains(part), "{part} in {}", page.text);
    }
    assert_eq!(cluster.ask(0, Method::DELETE, "/lonely", None).status, 200);
}
