//! API keys and tokens of service accounts, on every node of a cluster.

use ringwall_testkit::{Cluster, Method, PASSWORD};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_works_on_every_node_within_its_roles_until_it_is_invalidated() {
    let cluster = Cluster::start(2).await;
    cluster
        .put(0, "/logs/_doc/1?refresh=true", json!({"n": 1}))
        .await;
    cluster
        .put(0, "/other/_doc/1?refresh=true", json!({"n": 1}))
        .await;
    let wanted = json!({
        "name": "reader", "expiration": "1d", "metadata": {"team": "a"},
        "role_descriptors": {"r": {"indices": [{"names": "logs*", "privileges": ["read"]}]}},
    });
    let (status, made) = cluster.post(0, "/_security/api_key", wanted).await;
    assert_eq!(status, 200, "{made}");
    let (id, encoded) = (
        made["id"].as_str().unwrap(),
        made["encoded"].as_str().unwrap(),
    );
    assert!(made["expiration"].is_u64(), "{made}");
    let header = format!("ApiKey {encoded}");
    let ask = |node: usize, method: Method, path: &'static str, body: Value| {
        let (cluster, header) = (&cluster, header.clone());
        async move {
            let answer = cluster
                .send_with(Some(&header), node, method, path, body)
                .await;
            (answer.status.as_u16(), answer.json())
        }
    };
    for (node, method, path, body, expected) in [
        (1, Method::GET, "/_security/_authenticate", Value::Null, 200),
        (1, Method::GET, "/logs/_search", Value::Null, 200),
        (0, Method::GET, "/logs/_doc/1", Value::Null, 200),
        (1, Method::GET, "/other/_search", Value::Null, 403),
        (1, Method::POST, "/logs/_doc", json!({"n": 2}), 403),
        (1, Method::GET, "/_cluster/health", Value::Null, 403),
        (
            1,
            Method::POST,
            "/_security/api_key",
            json!({"name": "more"}),
            403,
        ),
    ] {
        let (status, answer) = ask(node, method.clone(), path, body).await;
        assert_eq!(status, expected, "{method} {path}: {answer}");
    }
    let (_, who) = ask(1, Method::GET, "/_security/_authenticate", Value::Null).await;
    assert_eq!(who["username"], "elastic");
    assert_eq!(who["authentication_type"], "api_key");
    assert_eq!(who["api_key"], json!({"id": id, "name": "reader"}));
    assert_eq!(who["roles"], json!([]));

    let (status, found) = cluster
        .get(1, &format!("/_security/api_key?id={id}&with_limited_by"))
        .await;
    assert_eq!(status, 200);
    let key = &found["api_keys"][0];
    assert_eq!(
        (&key["username"], &key["realm"]),
        (&json!("elastic"), &json!("reserved"))
    );
    assert_eq!(
        key["role_descriptors"]["r"]["indices"][0]["names"],
        json!(["logs*"])
    );
    assert_eq!(key["limited_by"][0]["superuser"]["cluster"], json!(["all"]));
    assert!(
        !found
            .to_string()
            .contains(made["api_key"].as_str().unwrap())
    );
    for (path, expected) in [
        ("/_security/api_key?name=read*", 1),
        ("/_security/api_key?name=x*", 0),
        ("/_security/api_key?owner=true", 1),
        ("/_security/api_key?username=ann", 0),
    ] {
        let (_, found) = cluster.get(0, path).await;
        assert_eq!(
            found["api_keys"].as_array().unwrap().len(),
            expected,
            "{path}"
        );
    }
    assert_eq!(cluster.get(0, "/_security/api_key?id=nope").await.0, 404);

    let update = json!({"role_descriptors": {"r": {"indices": [{"names": "other", "privileges": ["read"]}]}}});
    let path = format!("/_security/api_key/{id}");
    let (status, updated) = cluster.put(1, &path, update.clone()).await;
    assert_eq!(
        (status, &updated["updated"]),
        (200, &json!(true)),
        "{updated}"
    );
    assert_eq!(cluster.put(1, &path, update).await.1["updated"], false);
    assert_eq!(
        ask(0, Method::GET, "/other/_search", Value::Null).await.0,
        200
    );
    assert_eq!(
        ask(0, Method::GET, "/logs/_search", Value::Null).await.0,
        403
    );

    let end = |body: Value| {
        let login = Some(("elastic", PASSWORD));
        cluster.send_as(login, 0, Method::DELETE, "/_security/api_key", body)
    };
    assert_eq!(end(json!({})).await.status.as_u16(), 400);
    let ended = end(json!({"ids": [id]})).await.json();
    assert_eq!(ended["invalidated_api_keys"], json!([id]));
    assert_eq!(
        end(json!({"ids": [id]})).await.json()["previously_invalidated_api_keys"],
        json!([id])
    );
    let (status, refused) = ask(1, Method::GET, "/logs/_search", Value::Null).await;
    assert_eq!(status, 401);
    let why = format!("API key: api key [{id}] has been invalidated");
    assert_eq!(
        refused["error"]["additional_unsuccessful_credentials"], why,
        "{refused}"
    );
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_keys_are_refused_with_a_reason() {
    let cluster = Cluster::start(1).await;
    for (body, part) in [
        (json!({}), "api key name is required"),
        (json!({"name": "_x"}), "underscore"),
        (json!({"name": "x", "expiration": "0s"}), "[expiration]"),
        (json!({"name": "x", "expiration": "soon"}), "[expiration]"),
        (json!({"name": "x", "metadata": {"_a": 1}}), "[_a]"),
        (
            json!({"name": "x", "role_descriptors": {"r": {"cluster": ["monitr"]}}}),
            "[monitr]",
        ),
        (json!({"name": "x", "roles": {}}), "[roles]"),
    ] {
        let (status, answer) = cluster.post(0, "/_security/api_key", body).await;
        assert_eq!(status, 400, "{answer}");
        assert!(answer.to_string().contains(part), "{part}: {answer}");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn service_accounts_get_tokens_through_the_api() {
    let cluster = Cluster::start(2).await;
    let path = "/_security/service/elastic/kibana/credential/token/t1";
    let (status, made) = cluster.post(0, path, Value::Null).await;
    assert_eq!((status, &made["created"]), (200, &json!(true)), "{made}");
    let header = format!("Bearer {}", made["token"]["value"].as_str().unwrap());
    let who = cluster
        .send_with(
            Some(&header),
            1,
            Method::GET,
            "/_security/_authenticate",
            Value::Null,
        )
        .await;
    assert_eq!(
        who.json()["token"],
        json!({"name": "t1", "type": "_service_account_index"})
    );
    assert_eq!(cluster.post(1, path, Value::Null).await.0, 409);
    let nobody = "/_security/service/elastic/nobody/credential/token/t1";
    assert_eq!(cluster.post(1, nobody, Value::Null).await.0, 400);
    let (_, made) = cluster
        .post(
            0,
            "/_security/service/elastic/kibana/credential/token",
            Value::Null,
        )
        .await;
    assert!(
        made["token"]["name"]
            .as_str()
            .unwrap()
            .starts_with("token_"),
        "{made}"
    );
    let (_, listed) = cluster
        .get(1, "/_security/service/elastic/kibana/credential")
        .await;
    assert_eq!(
        (&listed["count"], &listed["tokens"]["t1"]),
        (&json!(2), &json!({})),
        "{listed}"
    );
    assert_eq!(listed["nodes_credentials"]["_nodes"]["successful"], 2);
    let (_, accounts) = cluster.get(0, "/_security/service/elastic").await;
    assert!(
        accounts["elastic/kibana"]["role_descriptor"]["cluster"].is_array(),
        "{accounts}"
    );
    assert_eq!(cluster.delete(0, path).await, (200, json!({"found": true})));
    assert_eq!(cluster.delete(0, path).await.0, 404);
    let refused = cluster
        .send_with(Some(&header), 1, Method::GET, "/", Value::Null)
        .await;
    assert_eq!(refused.status.as_u16(), 401);
    // Enrolling is off unless it is asked for.
    let (status, answer) = cluster.get(0, "/_security/enroll/node").await;
    assert_eq!(status, 403);
    assert!(
        answer
            .to_string()
            .contains("xpack.security.enrollment.enabled"),
        "{answer}"
    );
    cluster.stop().await;
}
