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

/// An administrator acts while the user changes its own password again and again: what was acknowledged to
/// the administrator stands, whatever was under way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_administrator_does_outlives_the_user_s_own_changes() {
    let cluster = Cluster::start(2).await;
    for round in 0..ROUNDS {
        let act = ACTS[round % ACTS.len()];
        let name = format!("jo{round}");
        let path = format!("/_security/user/{name}");
        let user = json!({"password": "password-0", "roles": ["superuser"]});
        let (status, body) = cluster.put(0, &path, user).await;
        assert_eq!(status, 200, "{body}");
        let (status, key) = send_json(
            &cluster,
            Some((&name, "password-0")),
            0,
            Method::POST,
            "/_security/api_key",
            json!({"name": "k"}),
        )
        .await;
        assert_eq!(status, 200, "{key}");
        let id = key["id"].as_str().unwrap().to_owned();
        let acted = std::sync::atomic::AtomicBool::new(false);
        let begun = tokio::sync::Notify::new();
        let own = async {
            let mut password = "password-0".to_owned();
            let mut changes = 0;
            loop {
                let stop = acted.load(std::sync::atomic::Ordering::SeqCst);
                let next = format!("password-{}", changes + 1);
                let login = Some((name.as_str(), password.as_str()));
                let keys = format!("/_security/api_key/{id}");
                let update = json!({"metadata": {"n": changes}});
                let (changed, _) = tokio::join!(
                    send_json(
                        &cluster,
                        login,
                        1,
                        Method::PUT,
                        "/_security/user/_password",
                        json!({"password": next})
                    ),
                    send_json(&cluster, login, 1, Method::PUT, &keys, update),
                );
                if changed.0 == 200 {
                    password = next;
                }
                changes += 1;
                if changes == 2 {
                    begun.notify_one();
                }
                if stop {
                    return password;
                }
            }
        };
        let administrator = async {
            begun.notified().await;
            let (status, body) = match act {
                "disable" => {
                    cluster
                        .put(0, &format!("{path}/_disable"), Value::Null)
                        .await
                }
                "demote" => cluster.put(0, &path, json!({"roles": ["viewer"]})).await,
                "reset" => {
                    let body = json!({"password": "by-the-administrator"});
                    cluster.put(0, &format!("{path}/_password"), body).await
                }
                "delete" => cluster.delete(0, &path).await,
                _ => {
                    let body = json!({"ids": [id]});
                    let everyone = Some(("elastic", PASSWORD));
                    send_json(
                        &cluster,
                        everyone,
                        0,
                        Method::DELETE,
                        "/_security/api_key",
                        body,
                    )
                    .await
                }
            };
            acted.store(true, std::sync::atomic::Ordering::SeqCst);
            assert_eq!(status, 200, "{act}: {body}");
        };
        let (password, ()) = tokio::join!(own, administrator);
        let (status, shown) = cluster.get(0, &path).await;
        let user = &shown[&name];
        match act {
            "disable" => assert_eq!(user["enabled"], false, "round {round}: {shown}"),
            "demote" => assert_eq!(user["roles"], json!(["viewer"]), "round {round}: {shown}"),
            "delete" => assert_eq!(status, 404, "round {round}: {shown}"),
            "reset" => {
                // Its own change that came first is over; one that came later knew the new password not.
                let login = Some((name.as_str(), "by-the-administrator"));
                let path = "/_security/_authenticate";
                let (status, body) =
                    send_json(&cluster, login, 0, Method::GET, path, Value::Null).await;
                assert_eq!(status, 200, "round {round}: {body}");
            }
            _ => {
                let (_, keys) = cluster.get(0, &format!("/_security/api_key?id={id}")).await;
                assert_eq!(
                    keys["api_keys"][0]["invalidated"], true,
                    "round {round}: {keys}"
                );
            }
        }
        if matches!(act, "demote" | "invalidate") {
            let login = Some((name.as_str(), password.as_str()));
            let path = "/_security/_authenticate";
            let (status, body) =
                send_json(&cluster, login, 0, Method::GET, path, Value::Null).await;
            assert_eq!(
                status, 200,
                "{act}: the user's own password was lost: {body}"
            );
        }
    }
    cluster.stop().await;
}

const ACTS: [&str; 5] = ["disable", "demote", "reset", "delete", "invalidate"];
const ROUNDS: usize = 10;

async fn send_json(
    cluster: &Cluster,
    login: Option<(&str, &str)>,
    number: usize,
    method: Method,
    path: &str,
    body: Value,
) -> (u16, Value) {
    let answer = cluster.send_as(login, number, method, path, body).await;
    (answer.status.as_u16(), answer.json())
}
