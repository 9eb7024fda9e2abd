//! Access and refresh tokens, on every node of a cluster.

use ringwall_testkit::{Cluster, Method};
use serde_json::{Value, json};

const TOKEN: &str = "/_security/oauth2/token";
const ME: &str = "/_security/_authenticate";
const APP: Option<(&str, &str)> = Some(("app", "a-password"));
const OTHER: Option<(&str, &str)> = Some(("other", "a-password"));

/// A cluster with `app`, who manages tokens and acts as others, `other`, who manages tokens and grants keys, `deputy`, and
/// `ann`, who may read `logs`.
async fn start() -> Cluster {
    let cluster = Cluster::start(2).await;
    let (status, body) = cluster
        .put(0, "/logs/_doc/1?refresh=true", json!({"n": 1}))
        .await;
    assert_eq!(status, 201, "{body}");
    let app = json!({
        "cluster": ["manage_token", "manage_own_api_key", "grant_api_key"],
        "run_as": ["ann", "deputy"],
    });
    let granter = json!({"cluster": ["manage_token", "grant_api_key"]});
    let deputy = json!({"cluster": ["manage_token", "manage_own_api_key"]});
    let reader = json!({"indices": [{"names": ["logs"], "privileges": ["read"]}]});
    for (path, body) in [
        ("/_security/role/app", app),
        ("/_security/role/reader", reader),
        ("/_security/role/granter", granter),
        ("/_security/role/deputy", deputy),
        ("/_security/user/deputy", user("deputy")),
        ("/_security/user/app", user("app")),
        ("/_security/user/other", user("granter")),
        ("/_security/user/ann", user("reader")),
    ] {
        let (status, body) = cluster.put(0, path, body).await;
        assert_eq!(status, 200, "{path}: {body}");
    }
    cluster
}

fn user(role: &str) -> Value {
    json!({"password": "a-password", "roles": [role]})
}

fn password_of_ann() -> Value {
    json!({"grant_type": "password", "username": "ann", "password": "a-password"})
}

fn refresh_of(pair: &Value) -> Value {
    json!({"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]})
}

async fn by(
    cluster: &Cluster,
    login: Option<(&str, &str)>,
    method: Method,
    path: &str,
    body: Value,
) -> (u16, Value) {
    let answer = cluster.send_as(login, 1, method, path, body).await;
    (answer.status.as_u16(), answer.json())
}

/// As who comes with the access token of a pair, on a node.
async fn bearing(
    cluster: &Cluster,
    pair: &Value,
    node: usize,
    method: Method,
    path: &str,
    body: Value,
) -> (u16, Value) {
    let header = format!("Bearer {}", pair["access_token"].as_str().unwrap());
    let answer = cluster
        .send_with(Some(&header), node, method, path, body)
        .await;
    (answer.status.as_u16(), answer.json())
}

async fn get(cluster: &Cluster, pair: &Value, node: usize, path: &str) -> (u16, Value) {
    bearing(cluster, pair, node, Method::GET, path, Value::Null).await
}

async fn issued(cluster: &Cluster, login: Option<(&str, &str)>, body: Value) -> Value {
    let (status, pair) = by(cluster, login, Method::POST, TOKEN, body).await;
    assert_eq!(status, 200, "{pair}");
    pair
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_its_user_on_every_node_until_it_is_invalidated() {
    let cluster = start().await;
    let pair = issued(&cluster, APP, password_of_ann()).await;
    assert_eq!(
        (&pair["type"], &pair["expires_in"]),
        (&json!("Bearer"), &json!(1200))
    );
    assert_eq!(
        pair["authentication"]["authentication_type"], "realm",
        "{pair}"
    );
    for node in [0, 1] {
        let (status, me) = get(&cluster, &pair, node, ME).await;
        let told = (&me["username"], &me["roles"], &me["authentication_type"]);
        assert_eq!(
            (status, told),
            (200, (&json!("ann"), &json!(["reader"]), &json!("token"))),
            "{me}"
        );
        assert_eq!(get(&cluster, &pair, node, "/logs/_count").await.0, 200);
        assert_eq!(get(&cluster, &pair, node, "/_cluster/health").await.0, 403);
    }
    // It is no password: with it the password cannot be changed.
    let body = json!({"password": "b-password"});
    let path = "/_security/user/_password";
    assert_eq!(
        bearing(&cluster, &pair, 0, Method::PUT, path, body).await.0,
        403
    );
    // What a user began with its password goes on with a token of it, and the other way round.
    let scroll = "/logs/_search?scroll=1m&size=1";
    let (_, begun) = get(&cluster, &pair, 0, scroll).await;
    let next = json!({"scroll_id": begun["_scroll_id"]});
    let ann = Some(("ann", "a-password"));
    assert_eq!(
        by(&cluster, ann, Method::POST, "/_search/scroll", next.clone())
            .await
            .0,
        200
    );
    assert_eq!(
        by(&cluster, APP, Method::POST, "/_search/scroll", next)
            .await
            .0,
        403
    );

    let end = json!({"token": pair["access_token"]});
    let (status, ended) = by(&cluster, APP, Method::DELETE, TOKEN, end.clone()).await;
    assert_eq!(
        (status, &ended["invalidated_tokens"]),
        (200, &json!(1)),
        "{ended}"
    );
    for node in [0, 1] {
        let (status, refused) = get(&cluster, &pair, node, ME).await;
        let reason = &refused["error"]["reason"];
        assert_eq!(
            (status, reason),
            (401, &json!("token expired")),
            "{refused}"
        );
    }
    let (_, ended) = by(&cluster, APP, Method::DELETE, TOKEN, end).await;
    assert_eq!(ended["previously_invalidated_tokens"], 1, "{ended}");
    // The refresh token of the pair is another.
    let next = issued(&cluster, APP, refresh_of(&pair)).await;
    assert_eq!(get(&cluster, &next, 0, ME).await.0, 200);
    let of_ann = json!({"username": "ann", "realm_name": "default_native"});
    let (_, ended) = by(&cluster, APP, Method::DELETE, TOKEN, of_ann).await;
    assert_eq!(ended["error_count"], 0, "{ended}");
    assert_eq!(get(&cluster, &next, 0, ME).await.0, 401);
    let (status, refused) = by(&cluster, APP, Method::POST, TOKEN, refresh_of(&next)).await;
    let why = "token has been invalidated";
    assert_eq!(
        (status, &refused["error_description"]),
        (400, &json!(why)),
        "{refused}"
    );
    // What is not there is not found, nor what is of the other kind.
    let foreign = json!({"token": next["refresh_token"]});
    assert_eq!(
        by(&cluster, APP, Method::DELETE, TOKEN, foreign).await.0,
        404
    );
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_refreshes_at_once_all_get_the_same_pair() {
    let cluster = start().await;
    let pair = issued(&cluster, APP, password_of_ann()).await;
    let refresh = |node: usize| {
        let body = refresh_of(&pair);
        let cluster = &cluster;
        async move {
            let answer = cluster.send_as(APP, node, Method::POST, TOKEN, body).await;
            (answer.status.as_u16(), answer.json())
        }
    };
    let answers = tokio::join!(refresh(0), refresh(1), refresh(0), refresh(1));
    let answers = [answers.0, answers.1, answers.2, answers.3];
    let first = &answers[0].1;
    for (status, answer) in &answers {
        assert_eq!(*status, 200, "{answer}");
        assert_eq!(answer["access_token"], first["access_token"]);
        assert_eq!(answer["refresh_token"], first["refresh_token"]);
    }
    assert_ne!(first["refresh_token"], pair["refresh_token"]);
    assert_eq!(get(&cluster, first, 1, ME).await.0, 200);
    // Nobody else refreshes, not even whose token it is.
    for login in [OTHER, Some(("elastic", ringwall_testkit::PASSWORD))] {
        let (status, refused) = by(&cluster, login, Method::POST, TOKEN, refresh_of(first)).await;
        let why = "tokens must be refreshed by the creating client";
        assert_eq!(
            (status, &refused["error_description"]),
            (400, &json!(why)),
            "{refused}"
        );
    }
    // An access token refreshes nothing.
    let body = json!({"grant_type": "refresh_token", "refresh_token": first["access_token"]});
    let (status, refused) = by(&cluster, APP, Method::POST, TOKEN, body).await;
    assert_eq!(
        (status, &refused["error"]),
        (400, &json!("invalid_grant")),
        "{refused}"
    );
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_demoted_disabled_or_deleted_keeps_nothing_by_a_token() {
    let cluster = start().await;
    let pair = issued(&cluster, APP, password_of_ann()).await;
    let role = json!({"roles": []});
    assert_eq!(cluster.put(0, "/_security/user/ann", role).await.0, 200);
    assert_eq!(get(&cluster, &pair, 1, "/logs/_count").await.0, 403);
    assert_eq!(
        cluster
            .put(0, "/_security/user/ann/_disable", Value::Null)
            .await
            .0,
        200
    );
    assert_eq!(get(&cluster, &pair, 1, ME).await.0, 401);
    let (status, refused) = by(&cluster, APP, Method::POST, TOKEN, refresh_of(&pair)).await;
    assert_eq!(
        (status, &refused["error"]),
        (400, &json!("invalid_grant")),
        "{refused}"
    );
    assert_eq!(
        cluster
            .put(0, "/_security/user/ann/_enable", Value::Null)
            .await
            .0,
        200
    );
    assert_eq!(get(&cluster, &pair, 1, ME).await.0, 200);
    assert_eq!(cluster.delete(0, "/_security/user/ann").await.0, 200);
    assert_eq!(get(&cluster, &pair, 1, ME).await.0, 401);
    // Whoever has the name next is somebody else.
    assert_eq!(
        cluster
            .put(0, "/_security/user/ann", user("reader"))
            .await
            .0,
        200
    );
    assert_eq!(get(&cluster, &pair, 1, ME).await.0, 401);
    assert_eq!(
        by(&cluster, APP, Method::POST, TOKEN, refresh_of(&pair))
            .await
            .0,
        400
    );
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_gives_no_more_than_what_it_was_made_with() {
    let cluster = start().await;
    // Of an API key.
    let key = json!({"name": "k", "role_descriptors": {"r": {"cluster": ["manage_token", "manage_own_api_key"]}}});
    let (_, key) = by(&cluster, APP, Method::POST, "/_security/api_key", key).await;
    let header = format!("ApiKey {}", key["encoded"].as_str().unwrap());
    let own = json!({"grant_type": "client_credentials"});
    let of_key = cluster
        .send_with(Some(&header), 1, Method::POST, TOKEN, own.clone())
        .await
        .json();
    assert_eq!(of_key.get("refresh_token"), None, "{of_key}");
    let (_, me) = get(&cluster, &of_key, 0, ME).await;
    let told = (&me["authentication_type"], &me["api_key"]["id"]);
    assert_eq!(told, (&json!("token"), &key["id"]), "{me}");
    for body in [
        json!({"name": "more"}),
        json!({"name": "more", "role_descriptors": {"r": {"cluster": ["all"]}}}),
    ] {
        let (status, refused) = bearing(
            &cluster,
            &of_key,
            0,
            Method::POST,
            "/_security/api_key",
            body,
        )
        .await;
        let reason = refused["error"]["reason"].to_string();
        assert!(
            status == 400 && reason.contains("derived api keys"),
            "{refused}"
        );
    }
    let path = format!("/_security/api_key/{}", key["id"].as_str().unwrap());
    assert_eq!(
        bearing(
            &cluster,
            &of_key,
            0,
            Method::PUT,
            &path,
            json!({"metadata": {"a": 1}})
        )
        .await
        .0,
        400
    );
    let grant = json!({"grant_type": "access_token", "access_token": of_key["access_token"], "api_key": {"name": "g"}});
    let (status, refused) = by(
        &cluster,
        APP,
        Method::POST,
        "/_security/api_key/grant",
        grant,
    )
    .await;
    assert_eq!(status, 400, "{refused}");
    let ids = json!({"ids": [key["id"]], "owner": true});
    assert_eq!(
        by(&cluster, APP, Method::DELETE, "/_security/api_key", ids)
            .await
            .0,
        200
    );
    assert_eq!(get(&cluster, &of_key, 0, ME).await.0, 401);

    // Of who acts as another.
    let mut headers = http::HeaderMap::new();
    headers.insert("es-security-runas-user", "deputy".parse().unwrap());
    headers.insert("content-type", "application/json".parse().unwrap());
    let client = cluster.client(0, APP);
    let body = own.to_string().into();
    let acting = client
        .send(Method::POST, TOKEN, headers, body)
        .await
        .unwrap()
        .json();
    let (status, me) = get(&cluster, &acting, 1, ME).await;
    let who = (&me["username"], &me["authentication_type"]);
    assert_eq!(
        (status, who),
        (200, (&json!("deputy"), &json!("token"))),
        "{me}"
    );
    let grant = || {
        let grant = json!({
            "grant_type": "access_token", "access_token": acting["access_token"], "api_key": {"name": "g"},
        });
        by(
            &cluster,
            OTHER,
            Method::POST,
            "/_security/api_key/grant",
            grant,
        )
    };
    let (status, granted) = grant().await;
    assert_eq!(status, 200, "{granted}");
    // The right to act is looked at with each use: here of a token of a token.
    let of_app = issued(&cluster, APP, own.clone()).await;
    let mut headers = http::HeaderMap::new();
    headers.insert("es-security-runas-user", "ann".parse().unwrap());
    let bearer = format!("Bearer {}", of_app["access_token"].as_str().unwrap());
    headers.insert("authorization", bearer.parse().unwrap());
    let stranger = cluster.client(1, None);
    let send =
        |path: &'static str| stranger.send(Method::GET, path, headers.clone(), Default::default());
    assert_eq!(send("/logs/_count").await.unwrap().status.as_u16(), 200);
    let less = json!({"cluster": ["manage_token"]});
    assert_eq!(cluster.put(0, "/_security/role/app", less).await.0, 200);
    for path in ["/logs/_count", ME] {
        assert_eq!(send(path).await.unwrap().status.as_u16(), 403, "{path}");
        assert_eq!(get(&cluster, &acting, 1, path).await.0, 403, "{path}");
    }
    let (status, refused) = grant().await;
    let reason = refused["error"]["reason"].to_string();
    assert!(
        status == 403 && reason.contains("unauthorized to run as [deputy]"),
        "{refused}"
    );
    // And no second act on top of the first.
    let bearer = format!("Bearer {}", acting["access_token"].as_str().unwrap());
    headers.insert("authorization", bearer.parse().unwrap());
    let answer = stranger
        .send(Method::GET, ME, headers, Default::default())
        .await
        .unwrap();
    assert_eq!(answer.status.as_u16(), 400);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_holder_makes_keys_that_outlive_the_token() {
    let cluster = start().await;
    let own = json!({"grant_type": "client_credentials"});
    let of_app = issued(&cluster, APP, own).await;
    let (status, key) = bearing(
        &cluster,
        &of_app,
        1,
        Method::POST,
        "/_security/api_key",
        json!({"name": "k"}),
    )
    .await;
    assert_eq!(status, 200, "{key}");
    let of_ann = issued(&cluster, APP, password_of_ann()).await;
    let grant = |token: &Value, more: Value| {
        let mut grant =
            json!({"grant_type": "access_token", "access_token": token, "api_key": {"name": "g"}});
        grant
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        by(
            &cluster,
            APP,
            Method::POST,
            "/_security/api_key/grant",
            grant,
        )
    };
    let (status, granted) = grant(&of_ann["access_token"], json!({})).await;
    assert_eq!(status, 200, "{granted}");
    let (status, refused) = grant(&json!("x"), json!({})).await;
    let cause = &refused["error"]["caused_by"];
    let why = "unable to authenticate user [_bearer_token] for action [cluster:admin/xpack/security/api_key/grant]";
    assert_eq!((status, &cause["reason"]), (403, &json!(why)), "{refused}");
    let client = json!({"client_authentication": {"scheme": "SharedSecret", "value": "x"}});
    let (status, refused) = grant(&of_ann["access_token"], client).await;
    let reason = refused["error"]["reason"].to_string();
    assert!(
        status == 400 && reason.contains("[client_authentication] not supported"),
        "{refused}"
    );
    let all = json!({"realm_name": "default_native"});
    assert_eq!(by(&cluster, OTHER, Method::DELETE, TOKEN, all).await.0, 200);
    assert_eq!(get(&cluster, &of_ann, 0, ME).await.0, 401);
    for key in [&key, &granted] {
        let header = format!("ApiKey {}", key["encoded"].as_str().unwrap());
        let answer = cluster
            .send_with(Some(&header), 0, Method::GET, ME, Value::Null)
            .await;
        assert_eq!(answer.status.as_u16(), 200);
    }
    // A key and a token are asked for as one thing of their user.
    let (_, keys) = by(
        &cluster,
        APP,
        Method::GET,
        "/_security/api_key?owner=true",
        Value::Null,
    )
    .await;
    assert_eq!(keys["api_keys"][0]["name"], "k", "{keys}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_can_be_off_and_bounded_and_short() {
    let off = Cluster::start_with(1, &[("xpack.security.authc.token.enabled", "false")]).await;
    let own = json!({"grant_type": "client_credentials"});
    let (status, refused) = off.post(0, TOKEN, own.clone()).await;
    let told = (
        &refused["error"]["type"],
        &refused["error"]["disabled.feature"],
    );
    let expected = (
        &json!("feature_not_enabled_exception"),
        &json!("security_tokens"),
    );
    assert_eq!((status, told), (400, expected), "{refused}");
    off.stop().await;
    let few = Cluster::start_with(
        1,
        &[
            ("xpack.security.authc.token.max_tokens", "1"),
            ("xpack.security.authc.token.timeout", "1h"),
        ],
    )
    .await;
    let (status, pair) = few.post(0, TOKEN, own.clone()).await;
    assert_eq!((status, &pair["expires_in"]), (200, &json!(3600)), "{pair}");
    let (status, refused) = few.post(0, TOKEN, own.clone()).await;
    assert_eq!(status, 400, "{refused}");
    let ended = few
        .send_as(
            Some(("elastic", ringwall_testkit::PASSWORD)),
            0,
            Method::DELETE,
            TOKEN,
            json!({"token": pair["access_token"]}),
        )
        .await;
    assert_eq!(ended.status.as_u16(), 200);
    // What has ended makes room.
    let (status, pair) = few.post(0, TOKEN, own).await;
    assert_eq!(status, 200, "{pair}");
    few.stop().await;
}
