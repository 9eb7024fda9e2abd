//! Every row of the table of routes, asked of a node: by nobody, by a user without rights, and by one with all of them.

use http::header::ALLOW;
use ringwall_rest::http_client::HttpResponse;
use ringwall_rest::routes::{ROUTES, Route, TakesBody};
use ringwall_testkit::{Method, PASSWORD};

use super::*;

/// Rows that every user may use, since they tell nothing, or only of the caller; and what they answer.
const OPEN: &[(&str, u16)] = &[
    ("/_cat", 200),
    ("/_security/_authenticate", 200),
    ("/_security/user/_has_privileges", 200),
    // That of another user.
    ("/_security/user/{username}/_has_privileges", 400),
    ("/_security/user/_password", 200),
    ("/_security/user/_privileges", 200),
];

const NOBODY: (&str, &str) = ("without-rights", "a-long-password");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_refuses_strangers_and_users_without_rights() {
    let cluster = Cluster::start(1).await;
    let user = json!({"password": NOBODY.1, "roles": []});
    let path = format!("/_security/user/{}", NOBODY.0);
    let (status, answer) = cluster.put(0, &path, user).await;
    assert_eq!(status, 200, "{answer}");
    let (stranger, user) = (cluster.client(0, None), cluster.client(0, Some(NOBODY)));
    for (route, path) in paths() {
        for method in route.methods {
            let row = format!("{method} {path}");
            let ask = |client| send(client, method, (route, path), NOBODY.1);
            let answer = ask(&stranger).await;
            assert_eq!(answer.status, 401, "{row}");
            let answer = ask(&user).await;
            let open = OPEN.iter().find(|(open, _)| *open == path);
            let expected = open.map_or(403, |(_, status)| *status);
            assert_eq!(answer.status, expected, "{row} {}", text(&answer));
        }
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_is_answered_to_who_may_do_everything() {
    let cluster = Cluster::start(1).await;
    let client = cluster.client(0, Some(("elastic", PASSWORD)));
    let stranger = cluster.client(0, None);
    for (route, path) in paths() {
        for method in route.methods {
            let row = format!("{method} {path}");
            let answer = send(&client, method, (route, path), PASSWORD).await;
            let words = text(&answer);
            let status = answer.status.as_u16();
            let refused = [401, 405].contains(&status) || words.contains("security_exception");
            assert!(status < 500 && !refused, "{row} {status} {words}");
            assert!(!words.contains("no handler found"), "{row} {words}");
        }
        let answer = send(&client, &Method::HEAD, (route, path), PASSWORD).await;
        let takes = methods(path);
        match takes.contains(&Method::HEAD) {
            true => assert_ne!(answer.status, 405, "{path}"),
            false => assert_eq!(answer.status, 405, "{path}"),
        }
        assert!(answer.body.is_empty(), "{path}");
        // Browsers ask without credentials.
        let answer = send(&stranger, &Method::OPTIONS, (route, path), "").await;
        let allowed = answer.headers.get(ALLOW).unwrap().to_str().unwrap();
        let mut allowed: Vec<&str> = allowed.split(',').collect();
        let mut expected: Vec<&str> = takes.iter().map(|method| method.as_str()).collect();
        allowed.sort_unstable();
        expected.sort_unstable();
        assert_eq!((answer.status.as_u16(), allowed), (200, expected), "{path}");
    }
    cluster.stop().await;
}

/// Whoever comes without credentials, where that is allowed, is a user without rights, and changes no password.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_refuses_who_comes_without_credentials_as_a_user_without_rights() {
    let lobby = ("xpack.security.authc.anonymous.roles", "lobby");
    let cluster = Cluster::start_with(1, &[lobby]).await;
    let (status, answer) = cluster.put(0, "/_security/role/lobby", json!({})).await;
    assert_eq!(status, 200, "{answer}");
    let stranger = cluster.client(0, None);
    for (route, path) in paths() {
        for method in route.methods {
            let answer = send(&stranger, method, (route, path), NOBODY.1).await;
            let open = OPEN.iter().find(|(open, _)| *open == path);
            let open = open.filter(|(open, _)| !open.ends_with("_password"));
            let expected = open.map_or(403, |(_, status)| *status);
            assert_eq!(answer.status, expected, "{method} {path} {}", text(&answer));
        }
    }
    cluster.stop().await;
}

/// What is new is audited as everything else is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_is_audited() {
    let on = ("xpack.security.audit.enabled", "true");
    let all = ("xpack.security.audit.logfile.events.include", "_all");
    let mut cluster = Cluster::start_with(1, &[on, all]).await;
    let user = json!({"password": NOBODY.1, "roles": []});
    cluster
        .put(0, &format!("/_security/user/{}", NOBODY.0), user)
        .await;
    let (stranger, user) = (cluster.client(0, None), cluster.client(0, Some(NOBODY)));
    for (route, path) in paths() {
        for method in route.methods {
            for client in [&stranger, &user] {
                send(client, method, (route, path), NOBODY.1).await;
            }
        }
    }
    let log = cluster
        .config(0)
        .parent()
        .unwrap()
        .join("logs/test_audit.json");
    cluster.stop_node(0).await;
    let log = std::fs::read_to_string(log).unwrap();
    let events: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for (route, path) in paths() {
        for method in route.methods {
            let row = row(method, path);
            let told: Vec<&str> = events
                .iter()
                .filter(|event| event["opaque_id"] == row.as_str())
                .map(|event| event["event.action"].as_str().unwrap())
                .collect();
            let is_open = OPEN.iter().any(|(open, _)| *open == path);
            let decided = match (path, is_open) {
                // It performs nothing.
                ("/_cat", _) => None,
                (_, true) => Some("access_granted"),
                (_, false) => Some("access_denied"),
            };
            let known = ["anonymous_access_denied", "authentication_success"];
            for expected in known.into_iter().chain(decided) {
                // Refused before it was decided: it is not about the caller.
                let is_bad = path == "/_security/user/{username}/_has_privileges";
                assert!(
                    is_bad || told.contains(&expected),
                    "{row}: {expected} is not in {told:?}"
                );
            }
        }
    }
}

fn paths() -> impl Iterator<Item = (&'static Route, &'static str)> {
    let rows = ROUTES.iter();
    rows.flat_map(|route| route.paths.iter().map(move |path| (route, *path)))
}

/// Returns what the path takes, by all of its rows.
fn methods(path: &str) -> Vec<Method> {
    let rows = ROUTES.iter().filter(|row| row.paths.contains(&path));
    rows.flat_map(|row| row.methods.iter().cloned()).collect()
}

async fn send(
    client: &ringwall_rest::http_client::HttpClient,
    method: &Method,
    (route, template): (&Route, &str),
    password: &str,
) -> HttpResponse {
    let parts = template.split('/').map(|part| match part {
        "{task_id}" => "a:1",
        part if part.starts_with("{metric") => "_all",
        part if part.starts_with('{') => "a",
        part => part,
    });
    let mut path = parts.collect::<Vec<_>>().join("/");
    if template.ends_with("/_approve") {
        path += "?key=a";
    } else if template.ends_with("/_rethrottle") {
        path += "?requests_per_second=1";
    } else if route.takes("timeout") {
        // Health would wait for an index that is not there.
        path += "?timeout=1s";
    }
    let has_body = route.takes_body != TakesBody::Never
        && *method != Method::HEAD
        && *method != Method::OPTIONS;
    let body = match template.rsplit('/').next() {
        Some("_password") => json!({"password": password}).to_string(),
        Some("_has_privileges") => json!({"cluster": ["monitor"]}).to_string(),
        _ => "{}\n".to_owned(),
    };
    let (kind, body) = match has_body {
        true => (Some("application/json"), body),
        false => (None, String::new()),
    };
    let mut headers = http::HeaderMap::new();
    headers.insert("x-opaque-id", row(method, template).parse().unwrap());
    if let Some(kind) = kind {
        headers.insert("content-type", kind.parse().unwrap());
    }
    let body = bytes::Bytes::from(body);
    client
        .send(method.clone(), &path, headers, body)
        .await
        .unwrap()
}

fn row(method: &Method, template: &str) -> String {
    format!("{method} {template}")
}

fn text(answer: &HttpResponse) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}
