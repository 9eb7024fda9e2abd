//! The audit log of whole nodes.

use std::path::PathBuf;

use ringwall_testkit::{Cluster, Method, PASSWORD};
use serde_json::{Value, json};

const ON: (&str, &str) = ("xpack.security.audit.enabled", "true");
const ALL: (&str, &str) = ("xpack.security.audit.logfile.events.include", "_all");
const BODIES: (&str, &str) = (
    "xpack.security.audit.logfile.events.emit_request_body",
    "true",
);

fn log_of(cluster: &Cluster, number: usize) -> PathBuf {
    let home = cluster.config(number);
    home.parent().unwrap().join("logs/test_audit.json")
}

/// Asks until what was written is what is looked for; a test that looks for what never comes does not end.
async fn events(cluster: &Cluster, query: &str, enough: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    loop {
        let (status, answer) = cluster.get(0, &format!("/_security/audit?{query}")).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["_nodes"]["failed"], 0, "{answer}");
        let events = answer["events"].as_array().unwrap();
        if enough(events) {
            return events.clone();
        }
        tokio::task::yield_now().await;
    }
}

async fn put_user(cluster: &Cluster, name: &str, roles: Value) {
    let user = json!({"password": "a-password", "roles": roles});
    let path = format!("/_security/user/{name}");
    let (status, body) = cluster.put(0, &path, user).await;
    assert_eq!(status, 200, "{body}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_on_any_node_is_found_newest_first_and_page_by_page() {
    let cluster = Cluster::start_with(2, &[ON]).await;
    cluster
        .put(0, "/logs/_doc/1?refresh=true", json!({"n": 1}))
        .await;
    let reader = json!({"indices": [{"names": ["logs"], "privileges": ["read"]}]});
    cluster.put(0, "/_security/role/reader", reader).await;
    put_user(&cluster, "ann", json!(["reader"])).await;
    let ann = Some(("ann", "a-password"));
    for number in 0..6 {
        let path = ["/logs/_search", "/secret/_search"][number % 2];
        let answer = cluster
            .send_as(ann, number % 2, Method::GET, path, Value::Null)
            .await;
        assert_eq!(answer.status.as_u16(), [200, 403][number % 2]);
    }
    let answer = cluster
        .send_as(Some(("ann", "wrong")), 1, Method::GET, "/", Value::Null)
        .await;
    assert_eq!(answer.status.as_u16(), 401);
    let all = events(&cluster, "user=ann&size=1000", |events| events.len() == 7).await;
    let kinds: Vec<&str> = all
        .iter()
        .map(|event| event["event.action"].as_str().unwrap())
        .collect();
    let expected = [
        "authentication_failed",
        "access_denied",
        "access_granted",
        "access_denied",
        "access_granted",
        "access_denied",
        "access_granted",
    ];
    assert_eq!(kinds, expected);
    assert_eq!(all[1]["indices"], json!(["secret"]));
    assert_ne!(all[1]["node.id"], all[2]["node.id"]);
    // One at a time.
    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let path = format!("/_security/audit?user=ann&size=1{after}");
        let (_, answer) = cluster.get(0, &path).await;
        seen.extend(answer["events"].as_array().unwrap().clone());
        let Some(next) = answer["next"].as_str() else {
            break;
        };
        after = format!("&after={next}");
    }
    assert_eq!(seen, all);
    let change = events(&cluster, "type=put_user", |events| !events.is_empty()).await;
    assert_eq!(change[0]["put"]["user"]["name"], "ann");
    assert_eq!(change[0]["user.name"], "elastic");
    let (_, of_node) = cluster
        .get(0, "/_security/audit?user=ann&node=_local&type=access_*")
        .await;
    assert_eq!(of_node["events"].as_array().unwrap().len(), 3, "{of_node}");
    let (_, none) = cluster
        .get(0, "/_security/audit?user=ann&to=2020-01-01")
        .await;
    assert_eq!(none["events"], json!([]), "{none}");
    let (_, found) = cluster
        .get(0, "/_security/audit?user=ann&index=sec*&from=2020-01-01")
        .await;
    assert_eq!(found["events"].as_array().unwrap().len(), 3, "{found}");
    for (query, status) in [
        ("from=yesterday", 400),
        ("size=0", 400),
        ("size=1001", 400),
        ("after=x", 400),
    ] {
        assert_eq!(
            cluster.get(0, &format!("/_security/audit?{query}")).await.0,
            status,
            "{query}"
        );
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_manages_security_reads_the_log_and_nobody_else() {
    let cluster = Cluster::start_with(1, &[]).await;
    for (name, privilege) in [
        ("auditor", "manage_security"),
        ("reader", "read_security"),
        ("watcher", "monitor"),
    ] {
        let role = json!({"cluster": [privilege]});
        cluster
            .put(0, &format!("/_security/role/{name}"), role)
            .await;
        put_user(&cluster, name, json!([name])).await;
    }
    for (name, status) in [("auditor", 200), ("reader", 403), ("watcher", 403)] {
        let login = Some((name, "a-password"));
        let answer = cluster
            .send_as(login, 0, Method::GET, "/_security/audit", Value::Null)
            .await;
        assert_eq!(answer.status.as_u16(), status, "{name}");
        if status == 200 {
            // It is off, and says so.
            let body = answer.json();
            assert_eq!(
                body["nodes_without_log"].as_array().unwrap().len(),
                1,
                "{body}"
            );
        }
    }
    cluster.stop().await;
}

/// Bodies of requests with secrets, each with the path that takes it.
fn secret_bodies() -> Vec<(Method, &'static str, Value)> {
    let secret = "hunter2-canary";
    let hash = "$2a$04$hunter2-canary";
    let grant = json!({"grant_type": "password", "username": "ann", "password": secret, "api_key": {"name": "k"}});
    let by_token =
        json!({"grant_type": "access_token", "access_token": secret, "api_key": {"name": "k"}});
    let mut bodies = vec![
        (
            Method::PUT,
            "/_security/user/ann",
            json!({"password": secret, "roles": []}),
        ),
        (
            Method::PUT,
            "/_security/user/eve",
            json!({"password_hash": hash, "roles": []}),
        ),
        (
            Method::PUT,
            "/_security/user/ann/_password",
            json!({"password": secret}),
        ),
        (
            Method::POST,
            "/_security/user/elastic/_password",
            json!({"password_hash": hash}),
        ),
        (Method::POST, "/_security/api_key/grant", grant),
        (Method::POST, "/_security/api_key/grant", by_token),
        (
            Method::POST,
            "/_nodes/reload_secure_settings",
            json!({"secure_settings_password": secret}),
        ),
        (
            Method::POST,
            "/_security/oauth2/token",
            json!({"grant_type": "password", "username": "ann", "password": secret}),
        ),
        (
            Method::DELETE,
            "/_security/oauth2/token",
            json!({"token": secret}),
        ),
        (
            Method::DELETE,
            "/_security/oauth2/token",
            json!({"refresh_token": secret}),
        ),
    ];
    // Where nothing of the kind is expected, it is refused; and not written either.
    let routes = ringwall_rest::routes::ROUTES.iter();
    for route in routes.filter(|route| route.family == "security") {
        for method in route
            .methods
            .iter()
            .filter(|method| **method != Method::GET)
        {
            bodies.push((
                method.clone(),
                route.paths[0],
                json!({"nested": [{"Password": secret, "api_key": secret}]}),
            ));
        }
    }
    bodies
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_written_whatever_is_done_with_it() {
    let mut cluster = Cluster::start_with(1, &[ON, ALL, BODIES]).await;
    for (method, path, body) in secret_bodies() {
        let path = path.replace(['{', '}'], "");
        for login in [
            None,
            Some(("elastic", "hunter2-canary")),
            Some(("elastic", PASSWORD)),
        ] {
            cluster
                .send_as(login, 0, method.clone(), &path, body.clone())
                .await;
        }
    }
    let path = "/_security/_authenticate?access_token=hunter2-canary";
    cluster
        .send_as(
            Some(("elastic", PASSWORD)),
            0,
            Method::GET,
            path,
            Value::Null,
        )
        .await;
    for header in [
        "ApiKey aHVudGVyMi1jYW5hcnk6aHVudGVyMi1jYW5hcnk=",
        "Bearer hunter2-canary",
    ] {
        cluster
            .send_with(Some(header), 0, Method::GET, "/", Value::Null)
            .await;
    }
    let log = log_of(&cluster, 0);
    cluster.stop_node(0).await;
    let text = std::fs::read_to_string(log).unwrap();
    assert!(text.contains("\"request.body\""), "{text}");
    for secret in [
        "hunter2-canary",
        "aHVudGVyMi1jYW5hcnk",
        "a-password",
        PASSWORD,
    ] {
        let line = text.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret} is written: {line:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_follows_the_settings() {
    let cluster = Cluster::start_with(1, &[ON]).await;
    let set = async |settings: Value| {
        cluster
            .put(0, "/_cluster/settings", json!({"persistent": settings}))
            .await
    };
    let base = "xpack.security.audit.logfile.events";
    for (key, value, reason) in [
        (
            "include",
            json!(["nope"]),
            "invalid event name specified [nope]",
        ),
        (
            "exclude",
            json!(["nope"]),
            "invalid event name specified [nope]",
        ),
        ("ignore_filters.p.users", json!(["/el(/"]), "/el(/"),
        ("ignore_filters.p.nope", json!(["x"]), "not recognized"),
    ] {
        let (status, answer) = set(json!({format!("{base}.{key}"): value})).await;
        assert_eq!(status, 400, "{answer}");
        assert!(answer.to_string().contains(reason), "{answer}");
    }
    let (status, answer) = set(json!({"xpack.security.audit.enabled": false})).await;
    assert_eq!(status, 400, "{answer}");
    put_user(&cluster, "ann", json!(["superuser"])).await;
    let ignored = json!({
        format!("{base}.ignore_filters.p.users"): ["an*"],
        format!("{base}.ignore_filters.p.actions"): ["cluster:monitor/*"],
    });
    assert_eq!(set(ignored).await.0, 200);
    let ann = Some(("ann", "a-password"));
    for path in ["/_cluster/health", "/_cluster/settings", "/_security/user"] {
        let answer = cluster
            .send_as(ann, 0, Method::GET, path, Value::Null)
            .await;
        assert_eq!(answer.status.as_u16(), 200);
    }
    let told = events(&cluster, "user=ann", |events| !events.is_empty()).await;
    let actions: Vec<&str> = told
        .iter()
        .map(|event| event["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["cluster:admin/xpack/security/user/get"]);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_takes_no_events_is_told_and_loses_none_where_requests_are_refused() {
    let refuse = ("xpack.security.audit.logfile.queue.when_full", "refuse");
    let small = ("xpack.security.audit.logfile.queue.size", "1mb");
    let cluster = Cluster::start_with(2, &[ON, ALL, BODIES, refuse, small]).await;
    events(&cluster, "size=1", |events| !events.is_empty()).await;
    let log = log_of(&cluster, 0);
    let moved = log.with_extension("moved");
    std::fs::rename(&log, &moved).unwrap();
    std::fs::create_dir(&log).unwrap();
    let long = json!({"query": {"match": {"text": "x".repeat(50_000)}}});
    let mut answered = 0;
    loop {
        let (status, answer) = cluster.post(0, "/_search", long.clone()).await;
        if status == 503 && answer["error"]["type"] == "audit_log_full_exception" {
            break;
        }
        assert_eq!(status, 200, "{answer}");
        answered += 1;
    }
    assert!((5..100).contains(&answered), "{answered}");
    let (_, health) = cluster.get(1, "/_health_report/audit_log").await;
    assert_eq!(
        health["indicators"]["audit_log"]["status"], "red",
        "{health}"
    );
    std::fs::remove_dir(&log).unwrap();
    while cluster.get(0, "/_security/_authenticate").await.0 != 200 {
        tokio::task::yield_now().await;
    }
    let found = events(
        &cluster,
        "type=access_granted&action=indices:data/read/search&node=_local&size=1000",
        |events| events.len() >= answered,
    );
    assert_eq!(found.await.len(), answered);
    let (_, stats) = cluster.get(1, "/_nodes/stats").await;
    for (_, node) in stats["nodes"].as_object().unwrap() {
        assert_eq!(node["audit"]["lost"], 0, "{node}");
    }
    cluster.stop().await;
}
