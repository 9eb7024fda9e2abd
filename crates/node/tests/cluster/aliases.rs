//! Aliases, through the HTTPS interface.

use ringwall_testkit::{Cluster, Method};
use serde_json::{Value, json};

/// A name stands for one thing: an index, or an alias of indices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_aliases_are_checked_and_taken_once() {
    let cluster = Cluster::start(1).await;
    let create = async |index: &str, aliases: Value| {
        let path = format!("/{index}");
        cluster.put(0, &path, json!({"aliases": aliases})).await
    };
    let (status, body) = create("base", json!({"w": {"is_write_index": true}})).await;
    assert_eq!(status, 200, "{body}");
    for (index, aliases, status, kind, reason) in [
        (
            "n",
            json!({"base": {}}),
            400,
            "invalid_alias_name_exception",
            "Invalid alias name [base]: an index or data stream exists with the same name as the alias",
        ),
        (
            "n",
            json!({"a*": {}}),
            400,
            "invalid_alias_name_exception",
            "Invalid alias name [a*]: must not contain the following characters \
          [' ','\"','*',',','/','<','>','?','\\','|']",
        ),
        (
            "n",
            json!({"_all": {}}),
            400,
            "invalid_alias_name_exception",
            "Invalid alias name [_all]: must not start with '_', '-', or '+'",
        ),
        (
            "n",
            json!({"": {}}),
            400,
            "illegal_argument_exception",
            "alias name is required",
        ),
        (
            "n",
            json!({"n": {}}),
            400,
            "illegal_argument_exception",
            "alias name [n] self-conflicts with index name",
        ),
        (
            "n",
            json!({"w": {"is_write_index": true}}),
            500,
            "illegal_state_exception",
            "alias [w] has more than one write index [base,n]",
        ),
        (
            "n",
            json!({"w": {"is_hidden": true}}),
            500,
            "illegal_state_exception",
            "alias [w] has is_hidden set to true on indices [n] but does not have is_hidden set to true on indices \
          [base]; alias must have the same is_hidden setting on all indices",
        ),
        (
            "n",
            json!({"a": {"x": 1}}),
            400,
            "illegal_argument_exception",
            "Unknown field [x] in alias [a]",
        ),
        (
            "n",
            json!([]),
            400,
            "parse_exception",
            "key [aliases] must be an object",
        ),
        (
            "w",
            json!({}),
            400,
            "invalid_index_name_exception",
            "Invalid index name [w], already exists as alias",
        ),
    ] {
        let (answered, body) = create(index, aliases.clone()).await;
        let error = &body["error"];
        assert_eq!(
            (answered, error["type"].as_str(), error["reason"].as_str()),
            (status, Some(kind), Some(reason)),
            "{index} {aliases}: {body}"
        );
        assert_eq!(cluster.get(0, "/n").await.0, 404);
    }
    // A refused index leaves nothing behind, and a write to the alias goes to its index.
    let (status, body) = cluster.put(0, "/w/_doc/1", json!({"k": "x"})).await;
    assert_eq!((status, &body["_index"]), (201, &json!("base")), "{body}");
    cluster.stop().await;
}

/// Somebody with a key for one name only.
struct Holder<'a> {
    cluster: &'a Cluster,
    header: String,
}

impl<'a> Holder<'a> {
    async fn of(cluster: &'a Cluster, name: &str) -> Self {
        let privileges = ["read", "write", "view_index_metadata"];
        Self::with(cluster, name, &privileges).await
    }

    async fn with(cluster: &'a Cluster, name: &str, privileges: &[&str]) -> Self {
        let role = json!({"indices": [{"names": [name], "privileges": privileges}]});
        let wanted = json!({"name": name, "role_descriptors": {"r": role}});
        let (status, made) = cluster.post(0, "/_security/api_key", wanted).await;
        assert_eq!(status, 200, "{made}");
        let header = format!("ApiKey {}", made["encoded"].as_str().unwrap());
        Self { cluster, header }
    }

    async fn ask(&self, node: usize, method: Method, path: &str, body: Value) -> (u16, Value) {
        let answer = self
            .cluster
            .send_with(Some(&self.header), node, method, path, body)
            .await;
        (answer.status.as_u16(), answer.json())
    }
}

fn ids(found: &Value) -> Vec<&str> {
    let hits = found["hits"]["hits"]
        .as_array()
        .unwrap_or_else(|| panic!("{found}"));
    let mut ids: Vec<&str> = hits
        .iter()
        .map(|hit| hit["_id"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_filtered_alias_hides_is_not_read_through_it() {
    let cluster = Cluster::start(2).await;
    let body = json!({
        "settings": {"number_of_shards": 3, "number_of_replicas": 1, "refresh_interval": -1},
        "mappings": {"properties": {"k": {"type": "keyword"}, "n": {"type": "long"}}},
        "aliases": {
            "only-x": {"filter": {"term": {"k": "x"}}}, "only-y": {"filter": {"term": {"k": "y"}}},
            "plain": {}, "veiled": {"is_hidden": true},
        },
    });
    let (status, answer) = cluster.put(0, "/i", body).await;
    assert_eq!(status, 200, "{answer}");
    cluster.wait_for_status(0, "green").await;
    let lines: String = (0..30)
        .map(|n| {
            let k = ["x", "y", "z"][n % 3];
            format!("{{\"index\":{{\"_id\":\"{k}{n}\"}}}}\n{{\"k\":\"{k}\",\"n\":{n}}}\n")
        })
        .collect();
    let (status, answer) = cluster.post(0, "/i/_bulk", Value::String(lines)).await;
    assert_eq!(
        (status, &answer["errors"]),
        (200, &json!(false)),
        "{answer}"
    );
    let holder = Holder::of(&cluster, "only-x").await;
    let get = async |node, path: &str| holder.ask(node, Method::GET, path, Value::Null).await;
    // Before any refresh documents are read from the translog, afterwards from the index.
    for refreshed in [false, true] {
        for node in [0, 1] {
            for (path, expected) in [
                ("/only-x/_doc/x0", 200),
                ("/only-x/_doc/y1", 404),
                ("/only-x/_source/z2", 404),
                ("/only-x/_source/x0", 200),
                ("/only-x/_doc/nothing", 404),
                ("/i/_doc/x0", 403),
                ("/only-y/_doc/y1", 403),
                ("/plain/_doc/x0", 403),
                ("/i/_search", 403),
                ("/i/_count", 403),
                ("/plain/_search", 403),
                ("/only-x,i/_search", 403),
            ] {
                let (status, body) = get(node, path).await;
                assert_eq!(
                    status, expected,
                    "{path} on {node}, refreshed {refreshed}: {body}"
                );
            }
            let docs = json!({"docs": [{"_index": "only-x", "_id": "x0"}, {"_index": "only-x", "_id": "y1"},
                {"_index": "i", "_id": "x3"}, {"_index": "plain", "_id": "x3"}]});
            let (_, body) = holder.ask(node, Method::POST, "/_mget", docs).await;
            let found: Vec<bool> = body["docs"]
                .as_array()
                .unwrap()
                .iter()
                .map(|doc| doc["found"] == true)
                .collect();
            assert_eq!(found, [true, false, false, false], "{body}");
        }
        let (status, _) = cluster.post(0, "/i/_refresh", Value::Null).await;
        assert_eq!(status, 200);
    }
    let xs: Vec<String> = (0..30)
        .filter(|n| n % 3 == 0)
        .map(|n| format!("x{n}"))
        .collect();
    let mut xs: Vec<&str> = xs.iter().map(String::as_str).collect();
    xs.sort_unstable();
    for node in [0, 1] {
        let aggs = json!({"size": 50, "aggs": {"all": {"global": {}, "aggs": {
            "k": {"terms": {"field": "k", "min_doc_count": 0}}}}}});
        for path in [
            "/only-x/_search",
            "/*/_search",
            "/_search",
            "/only-*/_search",
        ] {
            let (status, body) = holder.ask(node, Method::POST, path, aggs.clone()).await;
            assert_eq!((status, ids(&body)), (200, xs.clone()), "{path}: {body}");
            assert_eq!(body["hits"]["total"]["value"], 10, "{body}");
            let all = &body["aggregations"]["all"];
            assert_eq!(
                all["k"]["buckets"],
                json!([{"key": "x", "doc_count": 10}]),
                "{path}: {body}"
            );
        }
        assert_eq!(get(node, "/only-x/_count").await.1["count"], 10);
        assert_eq!(
            get(node, "/only-x/_search?q=k:y").await.1["hits"]["total"]["value"],
            0
        );
        let lines =
            "{\"index\":\"only-x\"}\n{\"query\":{\"term\":{\"k\":\"y\"}}}\n{}\n{\"size\":0}\n";
        let (_, body) = holder
            .ask(node, Method::POST, "/_msearch", Value::String(lines.into()))
            .await;
        let totals: Vec<&Value> = body["responses"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| &r["hits"]["total"]["value"])
            .collect();
        assert_eq!(totals, [&json!(0), &json!(10)], "{body}");
        for (path, expected) in [
            ("/only-x,only-y/_count", 20),
            ("/only-x,i/_count", 30),
            ("/only-x,plain/_count", 30),
            ("/i*/_count", 30),
            ("/only-*/_count", 20),
            ("/veil*/_count", 0),
            ("/veiled/_count", 30),
            ("/plai*/_count", 30),
        ] {
            let (status, body) = cluster.get(node, path).await;
            assert_eq!(
                (status, &body["count"]),
                (200, &json!(expected)),
                "{path}: {body}"
            );
        }
    }
    // An update reads before it writes: it finds what a read finds.
    let change = json!({"doc": {"n": 99}});
    let post = async |path: &str, body: Value| holder.ask(1, Method::POST, path, body).await;
    let (status, body) = post("/only-x/_update/y1?_source=true", change.clone()).await;
    assert_eq!(
        (status, &body["error"]["type"]),
        (404, &json!("document_missing_exception")),
        "{body}"
    );
    let (status, body) = post(
        "/only-x/_update/y1",
        json!({"doc": {"n": 99}, "doc_as_upsert": true}),
    )
    .await;
    assert_eq!(status, 409, "{body}");
    let (status, body) = post("/only-x/_update/x0?_source=true", change).await;
    assert_eq!(
        (status, &body["get"]["_source"]["n"]),
        (200, &json!(99)),
        "{body}"
    );
    let lines = "{\"update\":{\"_index\":\"only-x\",\"_id\":\"z2\",\"_source\":true}}\n{\"doc\":{\"n\":1}}\n\
                 {\"update\":{\"_index\":\"i\",\"_id\":\"z2\"}}\n{\"doc\":{\"n\":1}}\n";
    let (_, body) = post("/_bulk", Value::String(lines.into())).await;
    let statuses: Vec<&Value> = body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["update"]["status"])
        .collect();
    assert_eq!(statuses, [&json!(404), &json!(403)], "{body}");
    let (_, body) = cluster.get(0, "/i/_doc/y1").await;
    assert_eq!(body["_source"]["n"], 1, "{body}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_routing_of_an_alias_is_that_of_what_goes_through_it() {
    let cluster = Cluster::start(1).await;
    let body = json!({
        "settings": {"number_of_shards": 5, "number_of_replicas": 0},
        "aliases": {"a": {"routing": "a"}, "bc": {"search_routing": "b,c", "index_routing": "b"}, "plain": {}},
    });
    let (status, answer) = cluster.put(0, "/i", body).await;
    assert_eq!(status, 200, "{answer}");
    let (_, shown) = cluster.get(0, "/i/_alias").await;
    let expected = json!({"a": {"index_routing": "a", "search_routing": "a"},
        "bc": {"index_routing": "b", "search_routing": "b,c"}, "plain": {}});
    assert_eq!(shown["i"]["aliases"], expected);
    for (path, expected) in [
        ("/a/_doc/1", 201),
        ("/a/_doc/1?routing=a", 200),
        ("/a/_doc/1?routing=z", 400),
        ("/bc/_doc/2", 201),
    ] {
        let (status, body) = cluster.put(0, path, json!({"n": 1})).await;
        assert_eq!(status, expected, "{path}: {body}");
    }
    let (status, body) = cluster
        .post(0, "/a/_update/1", json!({"doc": {"n": 2}}))
        .await;
    assert_eq!(status, 200, "{body}");
    for (path, expected) in [
        ("/a/_doc/1", 200),
        ("/i/_doc/1?routing=a", 200),
        ("/a/_doc/1?routing=z", 400),
        ("/bc/_doc/2", 200),
        ("/i/_doc/2?routing=b", 200),
    ] {
        let (status, body) = cluster.get(0, path).await;
        assert_eq!(status, expected, "{path}: {body}");
    }
    let (_, body) = cluster.get(0, "/a/_doc/1").await;
    assert_eq!(
        (&body["_routing"], &body["_source"]["n"]),
        (&json!("a"), &json!(2)),
        "{body}"
    );
    let docs =
        json!({"docs": [{"_index": "a", "_id": "1"}, {"_index": "a", "_id": "1", "routing": "z"}]});
    let (_, body) = cluster.post(0, "/_mget", docs).await;
    assert_eq!(
        (
            &body["docs"][0]["found"],
            body["docs"][1]["error"].is_object()
        ),
        (&json!(true), true),
        "{body}"
    );
    cluster.post(0, "/i/_refresh", Value::Null).await;
    let shards = async |path: &str| {
        let (status, body) = cluster.get(0, path).await;
        assert_eq!(status, 200, "{path}: {body}");
        (
            body["_shards"]["total"].as_u64().unwrap(),
            body["count"].as_u64().unwrap(),
        )
    };
    assert_eq!(shards("/a/_count").await.0, 1);
    assert_eq!(shards("/a/_count?routing=a").await.0, 1);
    assert_eq!(shards("/a/_count?routing=b").await, (0, 0));
    assert_eq!(shards("/bc/_count?routing=b,x").await.0, 1);
    assert_eq!(shards("/a,plain/_count").await, (5, 2));
    let (status, body) = cluster.delete(0, "/a/_doc/1?routing=z").await;
    assert_eq!(status, 400, "{body}");
    let (status, body) = cluster.delete(0, "/a/_doc/1").await;
    assert_eq!(status, 200, "{body}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_that_cannot_be_used_are_refused() {
    let cluster = Cluster::start(1).await;
    for filter in [
        json!({"nonsense": {}}),
        json!({"term": {"unmapped": "x"}}),
        json!({"range": {"n": {"gte": "abc"}}}),
        json!({"bool": {"must_not": {"exists": {"field": "unmapped"}}}}),
    ] {
        let body = json!({"mappings": {"properties": {"n": {"type": "long"}}}, "aliases": {"a": {"filter": filter}}});
        let (status, body) = cluster.put(0, "/i", body).await;
        let error = &body["error"];
        assert_eq!(
            (status, &error["type"], &error["reason"]),
            (
                400,
                &json!("illegal_argument_exception"),
                &json!("failed to parse filter for alias [a]")
            ),
            "{filter}: {body}"
        );
        assert!(error["caused_by"]["reason"].is_string(), "{body}");
        assert_eq!(cluster.get(0, "/i").await.0, 404);
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aliases_of_indices_that_exist_change_together_or_not_at_all() {
    let cluster = Cluster::start(2).await;
    let settings = json!({"settings": {"number_of_replicas": 0}, "mappings": {"properties": {"k": {"type": "keyword"}}}});
    for index in ["one", "two", "old"] {
        let (status, body) = cluster.put(0, &format!("/{index}"), settings.clone()).await;
        assert_eq!(status, 200, "{body}");
    }
    for (index, k) in [("one", "x"), ("one", "y"), ("two", "x")] {
        let path = format!("/{index}/_doc?refresh=true");
        cluster.post(0, &path, json!({"k": k})).await;
    }
    let actions = async |actions: Value| {
        cluster
            .post(0, "/_aliases", json!({"actions": actions}))
            .await
    };
    let filter = json!({"term": {"k": "x"}});
    let (status, body) = actions(json!([
        {"add": {"indices": ["one", "two"], "aliases": ["all", "both"]}},
        {"add": {"index": "one", "alias": "only-x", "filter": filter}},
        {"remove_index": {"index": "old"}},
        {"add": {"index": "two", "alias": "old"}},
        {"remove": {"index": "one", "alias": "never"}},
    ]))
    .await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(
        (&body["errors"], &body["action_results"][4]["status"]),
        (&json!(true), &json!(404))
    );
    // Acknowledged: every node knows.
    let count = async |name: &str| {
        let (_, found) = cluster.get(1, &format!("/{name}/_count")).await;
        found["count"].as_u64()
    };
    assert_eq!(count("all").await, Some(3));
    assert_eq!(count("only-x").await, Some(1));
    assert_eq!(count("old").await, Some(1));

    for (wrong, status, reason) in [
        (json!([]), 400, "No action specified"),
        (
            json!([{"add": {"index": "none", "alias": "a"}}]),
            404,
            "no such index [none]",
        ),
        (
            json!([{"add": {"index": "both", "alias": "a"}}]),
            400,
            "matches an alias",
        ),
        (
            json!([{"add": {"index": "one", "alias": "two"}}]),
            400,
            "same name as the alias",
        ),
        (
            json!([{"add": {"index": "one", "alias": "a b"}}]),
            400,
            "must not contain",
        ),
        (
            json!([{"add": {"index": "one", "alias": "a", "filter": {"none": {}}}}]),
            400,
            "filter for alias [a]",
        ),
        (
            json!([{"add": {"index": "one", "alias": "a", "routing": "1,2"}}]),
            400,
            "routing values",
        ),
        (
            json!([
                {"add": {"index": "one", "alias": "w", "is_write_index": true}},
                {"add": {"index": "two", "alias": "w", "is_write_index": true}},
            ]),
            500,
            "more than one write index [one,two]",
        ),
        (
            json!([
                {"add": {"index": "one", "alias": "w"}},
                {"remove": {"index": "one", "alias": "never", "must_exist": true}},
            ]),
            404,
            "aliases [never] missing",
        ),
        (
            json!([{"remove": {"index": "one", "alias": "never"}}]),
            404,
            "aliases [never] missing",
        ),
    ] {
        let (got, body) = actions(wrong.clone()).await;
        let told = body["error"]["reason"].as_str().unwrap_or_default();
        assert!(
            got == status && told.contains(reason),
            "{wrong}: {got} {body}"
        );
    }
    let (status, _) = cluster.get(0, "/_alias/w").await;
    assert_eq!(status, 404, "nothing of a refused change is left");

    let put = json!({"routing": "1"});
    assert_eq!(cluster.put(0, "/one/_alias/routed", put).await.0, 200);
    let (_, shown) = cluster.get(1, "/one/_alias/r*").await;
    let routed = json!({"index_routing": "1", "search_routing": "1"});
    assert_eq!(shown, json!({"one": {"aliases": {"routed": routed}}}));
    let (status, shown) = cluster.get(0, "/_alias/both,never").await;
    assert_eq!(
        (status, &shown["error"]),
        (404, &json!("alias [never] missing"))
    );
    assert!(shown["one"]["aliases"].get("both").is_some());
    let head = async |path: &str| cluster.send(0, Method::HEAD, path, Value::Null).await.0;
    assert_eq!(
        (head("/_alias/both").await, head("/_alias/never").await),
        (200, 404)
    );
    assert_eq!(cluster.delete(0, "/one/_alias/routed").await.0, 200);
    assert_eq!(cluster.delete(0, "/one/_alias/routed").await.0, 404);
    assert_eq!(cluster.delete(0, "/*/_alias/_all").await.0, 200);
    let (_, shown) = cluster.get(0, "/_alias").await;
    assert_eq!(
        shown,
        json!({"one": {"aliases": {}}, "two": {"aliases": {}}})
    );
    cluster.stop().await;
}

/// Whoever gives a name takes what others write to it: the right to index and name is needed, and nobody comes at an
/// index by an alias.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aliases_change_within_the_rights_of_the_caller() {
    let cluster = Cluster::start(1).await;
    let settings =
        json!({"settings": {"number_of_replicas": 0}, "aliases": {"mine-x": {}, "theirs-x": {}}});
    for index in ["mine-1", "theirs-1"] {
        assert_eq!(
            cluster
                .put(0, &format!("/{index}"), settings.clone())
                .await
                .0,
            200
        );
    }
    let key = Holder::with(&cluster, "mine-*", &["manage"]).await;
    let ask =
        async |method: Method, path: &str, body: Value| key.ask(0, method, path, body).await.0;
    let none = || Value::Null;
    assert_eq!(ask(Method::PUT, "/mine-1/_alias/mine-2", none()).await, 200);
    assert_eq!(
        ask(Method::PUT, "/mine-1/_alias/theirs-2", none()).await,
        403
    );
    assert_eq!(
        ask(Method::PUT, "/theirs-1/_alias/mine-3", none()).await,
        403
    );
    assert_eq!(
        ask(Method::DELETE, "/mine-1/_alias/theirs-x", none()).await,
        403
    );
    assert_eq!(
        ask(Method::DELETE, "/theirs-1/_alias/mine-x", none()).await,
        403
    );
    // By the alias that it may use it does not come at the other's index.
    assert_eq!(ask(Method::PUT, "/mine-x/_alias/mine-4", none()).await, 403);
    assert_eq!(ask(Method::DELETE, "/mine-x/_alias/*", none()).await, 400);
    let both = json!({"actions": [
        {"add": {"index": "mine-1", "alias": "mine-5"}},
        {"add": {"index": "theirs-1", "alias": "mine-5"}},
    ]});
    assert_eq!(ask(Method::POST, "/_aliases", both).await, 403);
    // A pattern means what the caller may change.
    assert_eq!(ask(Method::DELETE, "/mine-1/_alias/*", none()).await, 200);
    let (_, left) = cluster.get(0, "/_alias").await;
    assert_eq!(left["mine-1"]["aliases"], json!({"theirs-x": {}}));
    assert_eq!(
        left["theirs-1"]["aliases"],
        json!({"mine-x": {}, "theirs-x": {}})
    );
    cluster.stop().await;
}

/// The answers were asked of Elasticsearch 8.19, see `tests/oracle/resolve-index.txt`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_expressions_stand_for_is_told() {
    let cluster = Cluster::start(1).await;
    for (index, body) in [
        ("ri1", json!({"aliases": {"ri-a": {}}})),
        ("ri2", json!({"aliases": {"ri-a": {}, "ri-w": {}}})),
        (
            "ri3",
            json!({"settings": {"index.hidden": true}, "aliases": {"ri-b": {}, "ri-h": {"is_hidden": true}}}),
        ),
    ] {
        let (status, answer) = cluster.put(0, &format!("/{index}"), body).await;
        assert_eq!(status, 200, "{answer}");
    }
    let one = json!({"name": "ri1", "aliases": ["ri-a"], "attributes": ["open"]});
    let two = json!({"name": "ri2", "aliases": ["ri-a", "ri-w"], "attributes": ["open"]});
    let three =
        json!({"name": "ri3", "aliases": ["ri-b", "ri-h"], "attributes": ["hidden", "open"]});
    let a = json!({"name": "ri-a", "indices": ["ri1", "ri2"]});
    let b = json!({"name": "ri-b", "indices": ["ri3"]});
    let h = json!({"name": "ri-h", "indices": ["ri3"]});
    let w = json!({"name": "ri-w", "indices": ["ri2"]});
    for (asked, indices, aliases) in [
        ("ri1", json!([one]), json!([])),
        ("ri*", json!([one, two]), json!([a, b, w])),
        ("ri-a", json!([]), json!([a])),
        ("ri-a,ri1", json!([one]), json!([a])),
        ("ri*,-ri1", json!([two]), json!([a, b, w])),
        ("ri*,-ri-a", json!([one, two]), json!([b, w])),
        ("ri2,ri1,ri1", json!([one, two]), json!([])),
        ("ri-none*", json!([]), json!([])),
        ("ri-none?ignore_unavailable=true", json!([]), json!([])),
        ("ri3", json!([three]), json!([])),
        ("ri-h", json!([]), json!([h])),
        (
            "ri*?expand_wildcards=all",
            json!([one, two, three]),
            json!([a, b, h, w]),
        ),
    ] {
        let (status, answer) = cluster.get(0, &format!("/_resolve/index/{asked}")).await;
        let expected = json!({"indices": indices, "aliases": aliases, "data_streams": []});
        assert_eq!((status, answer), (200, expected), "{asked}");
    }
    for asked in ["ri-none", "ri-none,ri1", "ri-none*?allow_no_indices=false"] {
        let (status, answer) = cluster.get(0, &format!("/_resolve/index/{asked}")).await;
        assert_eq!(status, 404, "{answer}");
    }
    cluster.stop().await;
}
