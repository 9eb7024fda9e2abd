//! Roles made through the API and in `roles.yml`, in force on every node.

use ringwall_testkit::{Cluster, Method};
use serde_json::{Value, json};

const JO: Option<(&str, &str)> = Some(("jo", "jo-password"));

async fn status(cluster: &Cluster, node: usize, path: &str) -> u16 {
    let answer = cluster
        .send_as(JO, node, Method::GET, path, Value::Null)
        .await;
    answer.status.as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_is_made_changed_and_deleted_and_each_counts_everywhere_at_once() {
    let cluster = Cluster::start(2).await;
    for index in ["logs-1", "secret"] {
        cluster
            .put(0, &format!("/{index}/_doc/1?refresh=true"), json!({"n": 1}))
            .await;
    }
    let user = json!({"password": "jo-password", "roles": ["reader", "gone"]});
    cluster.put(0, "/_security/user/jo", user).await;
    // A role that nobody has made yet grants nothing, and is told.
    let refused = cluster
        .send_as(JO, 1, Method::GET, "/logs-1/_search", Value::Null)
        .await;
    let refused = refused.json().to_string();
    assert!(
        refused.contains("(assigned roles [gone,reader] were not found)"),
        "{refused}"
    );

    let reads = |index: &str| json!({"indices": [{"names": [index], "privileges": ["read"]}]});
    let put = async |role: Value| cluster.put(0, "/_security/role/reader", role).await;
    let (code, body) = put(reads("logs-*")).await;
    assert_eq!((code, body), (200, json!({"role": {"created": true}})));
    assert_eq!(status(&cluster, 1, "/logs-1/_search").await, 200);
    assert_eq!(status(&cluster, 1, "/secret/_search").await, 403);

    // What was granted is gone on the other node when the answer is there.
    let (_, body) = put(reads("secret")).await;
    assert_eq!(body, json!({"role": {"created": false}}));
    assert_eq!(status(&cluster, 1, "/logs-1/_search").await, 403);
    assert_eq!(status(&cluster, 1, "/secret/_search").await, 200);

    let (_, body) = cluster.get(1, "/_security/role/reader,nobody").await;
    let shown = json!({"reader": {
        "cluster": [], "indices": [{"names": ["secret"], "privileges": ["read"], "allow_restricted_indices": false}],
        "applications": [], "run_as": [], "metadata": {}, "transient_metadata": {"enabled": true},
    }});
    assert_eq!(body, shown);
    let (_, all) = cluster.get(1, "/_security/role").await;
    assert_eq!(all["superuser"]["metadata"]["_reserved"], json!(true));
    assert_eq!(
        cluster.get(1, "/_security/role/nobody").await,
        (404, json!({}))
    );

    // A key keeps to what its owner could when it was made.
    let made = cluster
        .send_as(
            JO,
            0,
            Method::POST,
            "/_security/api_key",
            json!({"name": "k"}),
        )
        .await;
    assert_eq!(made.status.as_u16(), 403, "{}", made.json());

    let (code, _) = cluster.delete(1, "/_security/role/reader").await;
    assert_eq!(code, 200);
    assert_eq!(status(&cluster, 0, "/secret/_search").await, 403);
    let (code, body) = cluster.delete(0, "/_security/role/reader").await;
    assert_eq!((code, body), (404, json!({"found": false})));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_roles_at_once_and_what_cannot_be_stored_is_told_for_each() {
    let cluster = Cluster::start(1).await;
    let roles = json!({"roles": {
        "a": {"cluster": ["all"]}, "b": {"cluster": ["nope"]}, "superuser": {},
        "c": {"indices": [{"names": ["x"], "privileges": ["read"], "query": {"nonsense": {}}}]},
    }});
    let (code, body) = cluster.post(0, "/_security/role", roles).await;
    assert_eq!((code, &body["created"]), (200, &json!(["a"])), "{body}");
    assert_eq!(body["errors"]["count"], 3, "{body}");
    let reason = |name: &str| body["errors"]["details"][name]["reason"].to_string();
    assert!(reason("b").contains("unknown cluster privilege [nope]"));
    assert!(reason("superuser").contains("is reserved"));
    assert!(reason("c").contains("failed to parse field 'query'"));
    let roles = json!({"roles": {"a": {"cluster": ["all"]}, "d": {"cluster": ["monitor"]}}});
    let (_, body) = cluster.post(0, "/_security/role", roles).await;
    assert_eq!(body, json!({"noop": ["a"], "created": ["d"]}));
    let names = json!({"names": ["a", "nobody", "superuser"]});
    let (_, body) = cluster
        .send(0, Method::DELETE, "/_security/role", names)
        .await;
    assert_eq!(
        (&body["deleted"], &body["not_found"]),
        (&json!(["a"]), &json!(["nobody"])),
        "{body}"
    );
    assert_eq!(body["errors"]["count"], 1);
    for (method, path, body, part) in [
        (
            Method::PUT,
            "/_security/role/superuser",
            json!({}),
            "is reserved",
        ),
        (
            Method::DELETE,
            "/_security/role/superuser",
            Value::Null,
            "is reserved and cannot be deleted",
        ),
        (
            Method::PUT,
            "/_security/role/r",
            json!({"foo": 1}),
            "unexpected field [foo]",
        ),
        (
            Method::PUT,
            "/_security/role/_r",
            json!({}),
            "no handler found",
        ),
    ] {
        let (code, body) = cluster.send(0, method, path, body).await;
        let text = body.to_string();
        assert!(code == 400 && text.contains(part), "{path}: {text}");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_of_the_file_count_on_their_node_and_callers_may_ask_what_they_hold() {
    let mut cluster = Cluster::start(1).await;
    cluster.stop_node(0).await;
    let roles = "reader:\n  cluster: [ monitor ]\n  indices:\n    - names: [ 'logs-*' ]\n      privileges: [ read ]\n";
    std::fs::write(cluster.config(0).join("roles.yml"), roles).unwrap();
    cluster.start_node(0).await;
    cluster.wait_for_nodes(1).await;
    let user = json!({"password": "jo-password", "roles": ["reader"]});
    cluster.put(0, "/_security/user/jo", user).await;
    cluster.put(0, "/logs-1/_doc/1", json!({"n": 1})).await;
    assert_eq!(status(&cluster, 0, "/logs-1/_search").await, 200);
    assert_eq!(status(&cluster, 0, "/other/_search").await, 403);
    // Those of files are not shown.
    assert_eq!(cluster.get(0, "/_security/role/reader").await.0, 404);

    let ask = async |path: &str, body: Value| {
        let answer = cluster.send_as(JO, 0, Method::POST, path, body).await;
        (answer.status.as_u16(), answer.json())
    };
    let question = json!({"cluster": ["monitor"], "index": [{"names": ["logs-*", "x"], "privileges": ["read"]}]});
    let (code, body) = ask("/_security/user/_has_privileges", question.clone()).await;
    let held = json!({
        "username": "jo", "has_all_requested": false, "cluster": {"monitor": true},
        "index": {"logs-*": {"read": true}, "x": {"read": false}}, "application": {},
    });
    assert_eq!((code, body), (200, held));
    let (code, body) = ask("/_security/user/elastic/_has_privileges", question).await;
    assert!(
        code == 400 && body.to_string().contains("of their own account"),
        "{body}"
    );
    let answer = cluster
        .send_as(
            JO,
            0,
            Method::GET,
            "/_security/user/_privileges",
            Value::Null,
        )
        .await;
    let held = json!({
        "cluster": ["monitor"], "global": [], "applications": [], "run_as": [],
        "indices": [{"names": ["logs-*"], "privileges": ["read"], "allow_restricted_indices": false}],
    });
    assert_eq!(answer.json(), held);
    cluster.stop().await;
}

/// Kibana keeps its own privileges in the cluster, and those of nobody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn privileges_of_applications_are_kept_and_asked_about() {
    let cluster = Cluster::start(1).await;
    let role = json!({
        "global": {"application": {"manage": {"applications": ["kibana-*"]}}},
        "applications": [{"application": "kibana-.kibana", "privileges": ["read"], "resources": ["space:a"]}],
    });
    let (status, body) = cluster.put(0, "/_security/role/kibana", role).await;
    assert_eq!(status, 200, "{body}");
    let user = json!({"password": "jo-password", "roles": ["kibana"]});
    cluster.put(0, "/_security/user/jo", user).await;
    let ask = async |method: Method, path: &str, body: Value| {
        let answer = cluster.send_as(JO, 0, method, path, body).await;
        (answer.status.as_u16(), answer.json())
    };
    let path = "/_security/privilege";
    let read = json!({"read": {"actions": ["saved:get/*"], "metadata": {"a": 1}}});
    let made = ask(Method::PUT, path, json!({"kibana-.kibana": read})).await;
    assert_eq!(
        made,
        (200, json!({"kibana-.kibana": {"read": {"created": true}}}))
    );
    let other = ask(Method::PUT, path, json!({"other": read})).await;
    assert_eq!(other.0, 403, "{}", other.1);
    assert_eq!(ask(Method::GET, path, Value::Null).await.0, 403);
    let shown = json!({"kibana-.kibana": {"read": {
        "application": "kibana-.kibana", "name": "read", "actions": ["saved:get/*"], "metadata": {"a": 1},
    }}});
    for of in ["kibana-.kibana", "kibana-*", "kibana-.kibana/read,gone"] {
        let found = ask(Method::GET, &format!("{path}/{of}"), Value::Null).await;
        assert_eq!(found, (200, shown.clone()), "{of}");
    }
    assert_eq!(cluster.get(0, path).await, (200, shown));
    assert_eq!(
        cluster.get(0, &format!("{path}/gone")).await,
        (404, json!({}))
    );
    let question = json!({"application": [{
        "application": "kibana-.kibana", "privileges": ["read", "saved:get/x", "saved:put/x"], "resources": ["space:a", "b"],
    }]});
    let (_, held) = ask(Method::POST, "/_security/user/_has_privileges", question).await;
    assert_eq!(
        held["application"]["kibana-.kibana"],
        json!({
            "space:a": {"read": true, "saved:get/x": true, "saved:put/x": false},
            "b": {"read": false, "saved:get/x": false, "saved:put/x": false},
        })
    );
    let (status, body) = cluster
        .put(0, path, json!({"myapp": {"Read": {"actions": ["a"]}}}))
        .await;
    assert_eq!(status, 400, "{body}");
    let gone = format!("{path}/kibana-.kibana/read,gone");
    let found = json!({"kibana-.kibana": {"gone": {"found": false}, "read": {"found": true}}});
    assert_eq!(cluster.delete(0, &gone).await, (200, found));
    assert_eq!(cluster.delete(0, &gone).await.0, 404);
    cluster.stop().await;
}
