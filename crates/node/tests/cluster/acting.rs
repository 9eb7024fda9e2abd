//! Acting as another user, keys granted to others, and lists of users, roles and keys by queries.

use ringwall_testkit::{Cluster, Method};
use serde_json::{Value, json};

/// Who may act as another is that other, and nobody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_acts_as_another_whom_its_role_names() {
    let cluster = Cluster::start(2).await;
    cluster
        .put(0, "/logs/_doc/1?refresh=true", json!({"n": 1}))
        .await;
    let boss = json!({"cluster": ["monitor", "manage_own_api_key"], "run_as": ["ann*", "gone"]});
    cluster.put(0, "/_security/role/boss", boss).await;
    let reader = json!({"cluster": ["manage_own_api_key"], "indices": [{"names": ["logs"], "privileges": ["read"]}]});
    cluster.put(0, "/_security/role/reader", reader).await;
    for (name, role, enabled) in [
        ("boss", "boss", true),
        ("ann", "reader", true),
        ("bob", "reader", true),
        ("ann-off", "reader", false),
    ] {
        let user = json!({"password": "a-password", "roles": [role], "enabled": enabled});
        let (status, body) = cluster
            .put(0, &format!("/_security/user/{name}"), user)
            .await;
        assert_eq!(status, 200, "{body}");
    }
    let ask = async |name: &str, method: Method, path: &str, body: &str| {
        let mut headers = http::HeaderMap::new();
        headers.insert("es-security-runas-user", name.parse().unwrap());
        if !body.is_empty() {
            headers.insert("content-type", "application/json".parse().unwrap());
        }
        let client = cluster.client(1, Some(("boss", "a-password")));
        let body = bytes::Bytes::copy_from_slice(body.as_bytes());
        let answer = client.send(method, path, headers, body).await.unwrap();
        (answer.status.as_u16(), answer.json())
    };
    let me = "/_security/_authenticate";
    let (status, who) = ask("ann", Method::GET, me, "").await;
    let realm = json!({"name": "default_native", "type": "native"});
    assert_eq!(
        (
            status,
            &who["username"],
            &who["roles"],
            &who["lookup_realm"],
            &who["authentication_realm"]
        ),
        (200, &json!("ann"), &json!(["reader"]), &realm, &realm),
        "{who}"
    );
    assert_eq!(ask("ann", Method::GET, "/logs/_count", "").await.0, 200);
    let (status, refused) = ask("ann", Method::GET, "/_cluster/health", "").await;
    let reason = refused["error"]["reason"].to_string();
    let told = "is unauthorized for user [boss] run as [ann] with effective roles [reader], this action is granted by";
    assert!(status == 403 && reason.contains(told), "{reason}");
    for name in ["bob", "boss", "elastic", "gone", "ann-gone", "_system"] {
        for path in [
            me,
            "/logs/_count",
            "/_cluster/health",
            "/_security/user/_privileges",
        ] {
            let (status, refused) = ask(name, Method::GET, path, "").await;
            let reason = refused["error"]["reason"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            let told = format!(
                "is unauthorized for user [boss] with effective roles [boss], because user [boss] is unauthorized to run as [{name}]"
            );
            assert!(
                status == 403 && reason.ends_with(&told),
                "{name} {path}: {status} {refused}"
            );
        }
    }
    for name in ["ann-off", ""] {
        assert_eq!(ask(name, Method::GET, me, "").await.0, 401, "{name}");
    }
    // What is made belongs to whom it was made as, and has that user's rights.
    let (status, key) = ask("ann", Method::POST, "/_security/api_key", r#"{"name":"k"}"#).await;
    assert_eq!(status, 200, "{key}");
    let (_, found) = cluster
        .post(
            0,
            "/_security/_query/api_key",
            json!({"query": {"term": {"username": "ann"}}}),
        )
        .await;
    assert_eq!(found["api_keys"][0]["id"], key["id"], "{found}");
    let header = format!("ApiKey {}", key["encoded"].as_str().unwrap());
    let health = cluster
        .send_with(
            Some(&header),
            0,
            Method::GET,
            "/_cluster/health",
            Value::Null,
        )
        .await;
    assert_eq!(health.status.as_u16(), 403);
    // A key may act as well, and makes nothing by it that would outlive it.
    let own = cluster
        .send_as(
            Some(("boss", "a-password")),
            0,
            Method::POST,
            "/_security/api_key",
            json!({"name": "of-boss"}),
        )
        .await
        .json();
    let own = format!("ApiKey {}", own["encoded"].as_str().unwrap());
    let by_key = async |name: &str, method: Method, path: &str, body: Value| {
        let mut headers = http::HeaderMap::new();
        headers.insert("es-security-runas-user", name.parse().unwrap());
        headers.insert("authorization", own.parse().unwrap());
        let mut text = String::new();
        if !body.is_null() {
            headers.insert("content-type", "application/json".parse().unwrap());
            text = body.to_string();
        }
        let client = cluster.client(1, None);
        let answer = client
            .send(method, path, headers, text.into())
            .await
            .unwrap();
        (answer.status.as_u16(), answer.json())
    };
    let (status, who) = by_key("ann", Method::GET, me, Value::Null).await;
    assert_eq!((status, &who["lookup_realm"]), (200, &realm), "{who}");
    assert_eq!(who["authentication_realm"]["name"], "_es_api_key", "{who}");
    assert_eq!(who["authentication_type"], "api_key", "{who}");
    assert_eq!(by_key("bob", Method::GET, me, Value::Null).await.0, 403);
    let (status, refused) = by_key(
        "ann",
        Method::POST,
        "/_security/api_key",
        json!({"name": "k2"}),
    )
    .await;
    assert_eq!(status, 400, "{refused}");
    let path = format!("/_security/api_key/{}", key["id"].as_str().unwrap());
    let (status, refused) = by_key("ann", Method::PUT, &path, json!({"metadata": {"a": 1}})).await;
    assert_eq!(status, 400, "{refused}");
    let (status, _) = by_key(
        "ann",
        Method::POST,
        "/_security/user/_password",
        json!({"password": "another"}),
    )
    .await;
    assert_eq!(status, 403);
    // The right is looked at with every request.
    let none = json!({"cluster": ["monitor"]});
    cluster.put(0, "/_security/role/boss", none).await;
    assert_eq!(ask("ann", Method::GET, me, "").await.0, 403);
    cluster.stop().await;
}

/// Lists show what a query finds, and of API keys to most only their own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_roles_and_keys_are_found_by_queries_and_changed_together() {
    let cluster = Cluster::start(1).await;
    let role = json!({"cluster": ["manage_own_api_key"], "metadata": {"team": "red"}});
    cluster.put(0, "/_security/role/keys", role).await;
    for name in ["ann", "bob"] {
        let user = json!({"password": "a-password", "roles": ["keys"], "full_name": name});
        cluster
            .put(0, &format!("/_security/user/{name}"), user)
            .await;
    }
    let ask = async |name: &str, path: &str, body: Value| {
        let login = Some((name, "a-password"));
        let answer = cluster.send_as(login, 0, Method::POST, path, body).await;
        (answer.status.as_u16(), answer.json())
    };
    let mut ids = Vec::new();
    for name in ["ann", "bob"] {
        let (_, key) = ask(
            name,
            "/_security/api_key",
            json!({"name": format!("of-{name}")}),
        )
        .await;
        ids.push(key["id"].clone());
    }
    let users = json!({"query": {"term": {"roles": "keys"}}, "sort": [{"username": {"order": "desc"}}], "size": 1});
    let (_, found) = cluster.post(0, "/_security/_query/user", users).await;
    assert_eq!(
        (&found["total"], &found["count"]),
        (&json!(2), &json!(1)),
        "{found}"
    );
    assert_eq!(found["users"][0]["username"], "bob");
    assert_eq!(found["users"][0]["_sort"], json!(["bob"]));
    let roles = json!({"query": {"term": {"metadata.team": "red"}}});
    let (_, found) = cluster.post(0, "/_security/_query/role", roles).await;
    assert_eq!(found["roles"][0]["name"], "keys", "{found}");
    let (_, found) = cluster.get(0, "/_security/_query/api_key").await;
    assert_eq!(found["total"], 2, "{found}");
    // Who manages only its own sees only its own, whatever it asks for.
    let all = json!({"query": {"match_all": {}}});
    let (status, found) = ask("ann", "/_security/_query/api_key", all.clone()).await;
    assert_eq!(
        (status, &found["total"], &found["api_keys"][0]["id"]),
        (200, &json!(1), &ids[0]),
        "{found}"
    );
    for path in ["/_security/_query/user", "/_security/_query/role"] {
        assert_eq!(ask("ann", path, all.clone()).await.0, 403);
    }
    let (status, body) = cluster
        .post(
            0,
            "/_security/_query/user",
            json!({"query": {"term": {"password": "x"}}}),
        )
        .await;
    assert_eq!(status, 400, "{body}");

    let change = json!({"ids": [ids[0], ids[1], ids[0]], "metadata": {"a": 1}});
    let (status, body) = ask("ann", "/_security/api_key/_bulk_update", change.clone()).await;
    assert_eq!(
        (status, &body["updated"], &body["noops"]),
        (200, &json!([ids[0]]), &json!([])),
        "{body}"
    );
    let told = &body["errors"]["details"][ids[1].as_str().unwrap()];
    assert_eq!(told["type"], "resource_not_found_exception", "{body}");
    let (_, body) = ask("ann", "/_security/api_key/_bulk_update", change).await;
    assert_eq!(body["noops"], json!([ids[0]]), "{body}");
    let (status, body) = ask("ann", "/_security/api_key/_bulk_update", json!({"ids": []})).await;
    assert_eq!(status, 400, "{body}");
    cluster.stop().await;
}

/// A key is made for the user whose credentials are given, with the rights of that user.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_granted_to_who_gives_credentials() {
    let cluster = Cluster::start(1).await;
    cluster
        .put(
            0,
            "/_security/role/granter",
            json!({"cluster": ["grant_api_key"]}),
        )
        .await;
    cluster
        .put(
            0,
            "/_security/role/boss",
            json!({"cluster": ["monitor"], "run_as": ["ann"]}),
        )
        .await;
    for (name, roles) in [
        ("granter", json!(["granter"])),
        ("ann", json!([])),
        ("boss", json!(["boss"])),
    ] {
        let user = json!({"password": "a-password", "roles": roles});
        cluster
            .put(0, &format!("/_security/user/{name}"), user)
            .await;
    }
    let grant = async |by: &str, body: Value| {
        let login = Some((by, "a-password"));
        let answer = cluster
            .send_as(login, 0, Method::POST, "/_security/api_key/grant", body)
            .await;
        (answer.status.as_u16(), answer.json())
    };
    let of = |name: &str, password: &str| json!({"grant_type": "password", "username": name, "password": password, "api_key": {"name": "k"}});
    let as_other = |name: &str| {
        let mut body = of("boss", "a-password");
        body["run_as"] = name.into();
        body
    };
    for (body, owner, health) in [
        (of("boss", "a-password"), "boss", 200),
        (of("ann", "a-password"), "ann", 403),
        (as_other("ann"), "ann", 403),
    ] {
        let (status, key) = grant("granter", body).await;
        assert_eq!(status, 200, "{key}");
        let header = format!("ApiKey {}", key["encoded"].as_str().unwrap());
        let ask = async |path: &str| {
            cluster
                .send_with(Some(&header), 0, Method::GET, path, Value::Null)
                .await
        };
        assert_eq!(
            ask("/_security/_authenticate").await.json()["username"],
            owner
        );
        assert_eq!(
            ask("/_cluster/health").await.status.as_u16(),
            health,
            "{owner}"
        );
    }
    // One answer for all credentials that do not hold.
    for name in ["ann", "nobody", "_system"] {
        let (status, refused) = grant("granter", of(name, "wrong")).await;
        let error = &refused["error"];
        assert_eq!(
            (status, &error["reason"]),
            (403, &json!("Failed to authenticate api key grant")),
            "{refused}"
        );
        let cause = format!(
            "unable to authenticate user [{name}] for action [cluster:admin/xpack/security/api_key/grant]"
        );
        assert_eq!(error["caused_by"]["reason"], cause, "{refused}");
    }
    for name in ["granter", "nobody", "elastic"] {
        let (status, refused) = grant("granter", as_other(name)).await;
        let reason = refused["error"]["reason"].to_string();
        let told = format!("because user [boss] is unauthorized to run as [{name}]");
        assert!(status == 403 && reason.contains(&told), "{refused}");
    }
    assert_eq!(grant("boss", of("ann", "a-password")).await.0, 403);
    for (body, told) in [
        (
            json!({"api_key": {"name": "k"}}),
            "[grant_type] is required",
        ),
        (
            json!({"grant_type": "x", "api_key": {"name": "k"}}),
            "grant_type [x] is not supported",
        ),
        (
            json!({"grant_type": "password", "access_token": "t", "api_key": {"name": "k"}}),
            "1: [username] is required for grant_type [password];2: [password] is required for grant_type [password];3: \
             [access_token] is not supported for grant_type [password];",
        ),
    ] {
        let (status, refused) = grant("granter", body).await;
        let reason = refused["error"]["reason"].as_str().unwrap();
        assert!(status == 400 && reason.contains(told), "{refused}");
    }
    cluster.stop().await;
}

/// Requests without credentials have the rights of their roles, and so has every user beside its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_without_credentials_have_the_roles_configured() {
    let roles = ("xpack.security.authc.anonymous.roles", "lobby");
    let name = ("xpack.security.authc.anonymous.username", "guest");
    let exception = ("xpack.security.authc.anonymous.authz_exception", "false");
    for (settings, refusal) in [
        (vec![roles, name], 403),
        (vec![roles, name, exception], 401),
    ] {
        let cluster = Cluster::start_with(1, &settings).await;
        cluster
            .put(0, "/logs/_doc/1?refresh=true", json!({"n": 1}))
            .await;
        let lobby = json!({"indices": [{"names": ["logs"], "privileges": ["read"]}]});
        cluster.put(0, "/_security/role/lobby", lobby).await;
        let user = json!({"password": "a-password", "roles": []});
        cluster.put(0, "/_security/user/ann", user).await;
        let ask = async |login: Option<(&str, &str)>, path: &str| {
            cluster
                .send_as(login, 0, Method::GET, path, Value::Null)
                .await
        };
        let who = ask(None, "/_security/_authenticate").await.json();
        assert_eq!(
            (&who["username"], &who["roles"]),
            (&json!("guest"), &json!(["lobby"])),
            "{who}"
        );
        assert_eq!(who["authentication_type"], "anonymous");
        assert_eq!(
            who["authentication_realm"],
            json!({"name": "__anonymous", "type": "__anonymous"})
        );
        assert_eq!(ask(None, "/logs/_count").await.status.as_u16(), 200);
        for path in ["/_cluster/health", "/other/_count", "/_security/user"] {
            let refused = ask(None, path).await;
            assert_eq!(refused.status.as_u16(), refusal, "{path}");
            assert_eq!(
                refused.headers.contains_key("www-authenticate"),
                refusal == 401,
                "{path}"
            );
        }
        let ann = Some(("ann", "a-password"));
        assert_eq!(ask(ann, "/logs/_count").await.status.as_u16(), 200);
        // Who logs in knows what it may do: its refusals stay as they are.
        assert_eq!(ask(ann, "/_cluster/health").await.status.as_u16(), 403);
        assert_eq!(
            ask(Some(("ann", "wrong")), "/logs/_count")
                .await
                .status
                .as_u16(),
            401
        );
        let (_, xpack) = cluster.get(0, "/_xpack").await;
        assert_eq!(xpack["features"]["security"]["enabled"], true);
        let (_, found) = cluster.get(0, "/_security/user/guest").await;
        assert_eq!(found["guest"]["metadata"]["_reserved"], true, "{found}");
        let (status, refused) = cluster
            .put(
                0,
                "/_security/user/guest",
                json!({"password": "a-password", "roles": []}),
            )
            .await;
        let told =
            "Validation Failed: 1: user [guest] is anonymous and cannot be modified via the API;";
        assert_eq!((status, &refused["error"]["reason"]), (400, &json!(told)));
        let (status, _) = cluster.delete(0, "/_security/user/guest").await;
        assert_eq!(status, 400);
        cluster.stop().await;
    }
}
