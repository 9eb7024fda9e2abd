//! Who is let in, and what each may do, through the HTTPS interface.

use ringwall_testkit::{Cluster, Method, PASSWORD};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_are_known_by_password_and_bound_by_roles_on_every_node() {
    let cluster = Cluster::start(2).await;
    for login in [None, Some(("elastic", "wrong")), Some(("nobody", PASSWORD))] {
        let refused = cluster
            .send_as(login, 1, Method::GET, "/", Value::Null)
            .await;
        assert_eq!(refused.status.as_u16(), 401, "{login:?}");
        let challenge = refused.headers["www-authenticate"].to_str().unwrap();
        assert!(
            challenge.starts_with("Basic realm=\"security\""),
            "{challenge}"
        );
        let body = refused.json();
        assert_eq!(body["error"]["type"], "security_exception", "{body}");
        assert_eq!(body["status"], 401);
        // Also where there is no such route: a stranger learns nothing.
        let nowhere = cluster
            .send_as(login, 0, Method::GET, "/_nowhere", Value::Null)
            .await;
        assert_eq!(nowhere.status.as_u16(), 401);
    }
    let (status, body) = cluster.get(1, "/_security/_authenticate").await;
    assert_eq!(
        (status, &body["username"]),
        (200, &json!("elastic")),
        "{body}"
    );

    cluster
        .put(0, "/open/_doc/1?refresh=true", json!({"n": 1}))
        .await;
    for (name, role) in [
        ("reader", "viewer"),
        ("writer", "superuser"),
        ("editor", "editor"),
    ] {
        let user = json!({"password": format!("{name}-password"), "roles": [role]});
        let (status, body) = cluster
            .put(0, &format!("/_security/user/{name}"), user)
            .await;
        assert_eq!((status, &body["created"]), (200, &json!(true)), "{body}");
    }
    let reader = Some(("reader", "reader-password"));
    let writer = Some(("writer", "writer-password"));
    // As in Elasticsearch, editors edit in the console; data they only read.
    let editor = Some(("editor", "editor-password"));
    let document = json!({"n": 2});
    let bulk = Value::String("{\"index\":{}}\n{\"n\":3}\n".into());
    for (login, method, path, body, expected) in [
        (reader, Method::GET, "/open/_search", Value::Null, 200),
        (reader, Method::GET, "/open/_doc/1", Value::Null, 200),
        (reader, Method::POST, "/open/_doc", document.clone(), 403),
        (editor, Method::GET, "/open/_search", Value::Null, 200),
        (editor, Method::POST, "/open/_doc", document.clone(), 403),
        (reader, Method::DELETE, "/open", Value::Null, 403),
        (reader, Method::GET, "/_security/user", Value::Null, 403),
        (
            reader,
            Method::PUT,
            "/_security/user/other",
            json!({"password": "secret1", "roles": []}),
            403,
        ),
        (writer, Method::POST, "/open/_doc", document, 201),
    ] {
        let answer = cluster.send_as(login, 1, method.clone(), path, body).await;
        assert_eq!(
            answer.status.as_u16(),
            expected,
            "{login:?} {method} {path}: {}",
            answer.json()
        );
    }
    // A composite request is let in; its parts are judged one by one.
    let answer = cluster
        .send_as(reader, 1, Method::POST, "/open/_bulk", bulk)
        .await
        .json();
    assert_eq!(
        answer["status"]
            .as_u64()
            .or(answer["items"][0]["index"]["status"].as_u64()),
        Some(403),
        "{answer}"
    );

    // A user changes its own password; the old one, although remembered, no longer counts.
    let change = json!({"password": "another-password"});
    let path = "/_security/user/_password";
    let answer = cluster.send_as(reader, 0, Method::PUT, path, change).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.json());
    for number in 0..2 {
        wait_for(&cluster, number, reader, 401).await;
        wait_for(&cluster, number, Some(("reader", "another-password")), 200).await;
    }
    let (status, _) = cluster.delete(0, "/_security/user/writer").await;
    assert_eq!(status, 200);
    wait_for(&cluster, 1, writer, 401).await;
    cluster.stop().await;
}

/// The other node applies a change a moment later than the one that answered.
async fn wait_for(cluster: &Cluster, number: usize, login: Option<(&str, &str)>, expected: u16) {
    let deadline = tokio::time::Instant::now() + ringwall_testkit::WITHIN;
    loop {
        let path = "/_security/_authenticate";
        let answer = cluster
            .send_as(login, number, Method::GET, path, Value::Null)
            .await;
        if answer.status.as_u16() == expected {
            return;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "{login:?} on {number}: {}",
            answer.json()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_is_seen_by_every_node() {
    let cluster = Cluster::start(3).await;
    for round in 0..20 {
        let (asked, other) = (round % 3, (round + 1) % 3);
        let path = format!("/index-{round}");
        let (status, body) = cluster.put(asked, &path, json!({})).await;
        assert_eq!(
            (status, &body["acknowledged"]),
            (200, &json!(true)),
            "{body}"
        );
        assert_eq!(cluster.get(other, &path).await.0, 200, "round {round}");
        let (status, body) = cluster.delete(asked, &path).await;
        assert_eq!(
            (status, &body["acknowledged"]),
            (200, &json!(true)),
            "{body}"
        );
        assert_eq!(cluster.get(other, &path).await.0, 404, "round {round}");
    }
    let user = json!({"password": "first-password", "roles": ["viewer"]});
    cluster.put(0, "/_security/user/jo", user).await;
    let login = Some(("jo", "first-password"));
    let path = "/_security/_authenticate";
    let known = cluster
        .send_as(login, 1, Method::GET, path, Value::Null)
        .await;
    assert_eq!(known.status.as_u16(), 200);
    cluster.delete(2, "/_security/user/jo").await;
    let gone = cluster
        .send_as(login, 1, Method::GET, path, Value::Null)
        .await;
    assert_eq!(gone.status.as_u16(), 401);
    cluster.stop().await;
}
