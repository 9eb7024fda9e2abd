//! Document and field level security: whatever the way a reader comes, it finds the filter of the whole.

use std::collections::{BTreeMap, BTreeSet};

use ringwall_testkit::{Cluster, Method};
use serde_json::{Map, Value, json};

const JO: (&str, &str) = ("jo", "jo-password");
/// Every leaf of the index.
const LEAVES: [&str; 6] = ["k", "n", "t", "t.raw", "o.a", "o.b"];

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        ((self.0 >> 33) as usize) % sides
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())]
    }
}

type Doc = Map<String, Value>;
type Passes = fn(&Doc) -> bool;

/// Queries of roles, with what they let through.
fn queries() -> Vec<(Value, Passes)> {
    vec![
        (json!({"term": {"k": "x"}}), |d| d["k"] == "x"),
        (json!({"terms": {"k": ["y", "z"]}}), |d| d["k"] != "x"),
        (json!({"range": {"n": {"gte": 5}}}), |d| {
            d["n"].as_u64() >= Some(5)
        }),
        (
            json!({"bool": {"must_not": [{"term": {"o.a": "p"}}]}}),
            |d| d["o"]["a"] != "p",
        ),
        (json!({"match": {"t": "red"}}), |d| {
            d["t"].as_str().unwrap().contains("red")
        }),
        // What is hidden from the user counts for the role all the same. Of jo the team is "y".
        (
            json!({"template": {"source": {"term": {"k": "{{_user.metadata.team}}"}}}}),
            |d| d["k"] == "y",
        ),
        (
            json!({"template": {"source": r#"{"terms":{"k":{{#toJson}}_user.metadata.teams{{/toJson}}}}"#}}),
            |d| d["k"] == "y" || d["k"] == "z",
        ),
        (json!({"bool": {"must_not": {"match_all": {}}}}), |_| false),
    ]
}

/// Field security, with the leaves that it grants.
fn grants() -> Vec<(Value, Vec<&'static str>)> {
    vec![
        (json!({"grant": ["*"]}), LEAVES.to_vec()),
        (json!({"grant": []}), vec![]),
        (json!({"grant": ["k", "n"]}), vec!["k", "n"]),
        (json!({"grant": ["o.*"], "except": ["o.b"]}), vec!["o.a"]),
        (
            json!({"grant": ["*"], "except": ["k", "t*"]}),
            vec!["n", "o.a", "o.b"],
        ),
        (json!({"grant": ["t", "o"]}), vec!["t"]),
        (json!({"grant": ["/(k|t\\..*)/"]}), vec!["k", "t.raw"]),
    ]
}

/// What one group of index privileges shows.
struct Group {
    written: Value,
    passes: Option<Passes>,
    leaves: Option<Vec<&'static str>>,
}

fn group(dice: &mut Dice, names: &str) -> Group {
    let mut written =
        json!({"names": [names], "privileges": ["read", "write", "view_index_metadata", "manage"]});
    let (queries, grants) = (queries(), grants());
    let query = (dice.roll(4) > 0).then(|| &queries[dice.roll(queries.len())]);
    let fields = (dice.roll(4) > 0).then(|| &grants[dice.roll(grants.len())]);
    if let Some((query, _)) = query {
        written["query"] = match dice.roll(2) {
            0 => query.clone(),
            _ => query.to_string().into(),
        };
    }
    if let Some((fields, _)) = fields {
        written["field_security"] = fields.clone();
    }
    Group {
        written,
        passes: query.map(|(_, passes)| *passes),
        leaves: fields.map(|(_, leaves)| leaves.clone()),
    }
}

/// What a caller sees.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    docs: BTreeMap<String, Doc>,
    leaves: BTreeSet<&'static str>,
    narrowed: bool,
}

impl Seen {
    fn all(docs: &BTreeMap<String, Doc>) -> Self {
        Self {
            docs: docs.clone(),
            leaves: LEAVES.into_iter().collect(),
            narrowed: false,
        }
    }

    /// Groups open what any of them opens.
    fn narrowed_by(mut self, groups: &[Group]) -> Self {
        if groups.iter().all(|group| group.passes.is_some()) {
            self.narrowed = true;
            self.docs
                .retain(|_, doc| groups.iter().any(|group| (group.passes.unwrap())(doc)));
        }
        if groups.iter().all(|group| group.leaves.is_some()) {
            self.narrowed = true;
            self.leaves.retain(|leaf| {
                let mut granted = groups
                    .iter()
                    .flat_map(|group| group.leaves.as_ref().unwrap());
                granted.any(|granted| granted == leaf)
            });
        }
        self
    }

    fn source(&self, id: &str) -> Value {
        let doc = &self.docs[id];
        let mut source = Map::new();
        for name in ["k", "n", "t"] {
            if self.leaves.contains(name) {
                source.insert(name.to_owned(), doc[name].clone());
            }
        }
        let mut inside = Map::new();
        for name in ["a", "b"] {
            if self.leaves.contains(format!("o.{name}").as_str()) {
                inside.insert(name.to_owned(), doc["o"][name].clone());
            }
        }
        if !inside.is_empty() {
            source.insert("o".to_owned(), inside.into());
        }
        source.into()
    }

    fn sources(&self) -> BTreeMap<String, Value> {
        self.docs
            .keys()
            .map(|id| (id.clone(), self.source(id)))
            .collect()
    }

    fn ids(&self, passes: impl Fn(&Doc) -> bool) -> BTreeSet<String> {
        let seen = self.docs.iter().filter(|(_, doc)| passes(doc));
        seen.map(|(id, _)| id.clone()).collect()
    }

    /// Buckets of the keywords.
    fn buckets(&self) -> BTreeMap<String, u64> {
        let mut buckets = BTreeMap::new();
        if self.leaves.contains("k") {
            for doc in self.docs.values() {
                *buckets
                    .entry(doc["k"].as_str().unwrap().to_owned())
                    .or_insert(0) += 1;
            }
        }
        buckets
    }
}

fn documents(dice: &mut Dice, count: usize) -> BTreeMap<String, Doc> {
    let mut docs = BTreeMap::new();
    for id in 0..count {
        let doc = json!({
            "k": dice.one(&["x", "y", "z"]), "n": dice.roll(10), "t": dice.one(&["red ink", "blue ink"]),
            "o": {"a": dice.one(&["p", "q"]), "b": dice.roll(3)},
        });
        docs.insert(id.to_string(), doc.as_object().unwrap().clone());
    }
    docs
}

/// Asks as one caller.
struct Asker<'a> {
    cluster: &'a Cluster,
    authorization: Option<String>,
    node: usize,
}

impl Asker<'_> {
    async fn ask(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let answer = match &self.authorization {
            Some(header) => {
                let header = Some(header.as_str());
                self.cluster
                    .send_with(header, self.node, method, path, body)
                    .await
            }
            None => {
                self.cluster
                    .send_as(Some(JO), self.node, method, path, body)
                    .await
            }
        };
        (answer.status.as_u16(), answer.json())
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(Method::POST, path, body).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// Reads in every way there is, and compares with what is to be seen. `name` is the index or an alias.
    async fn check(&self, name: &str, seen: &Seen, all: &BTreeMap<String, Doc>, why: &str) {
        let path = |end: &str| format!("/{name}/{end}");
        let found = self.post(&path("_search"), json!({"size": 100})).await;
        assert_eq!(hits(&found), seen.sources(), "search: {why}");
        assert_eq!(
            found["hits"]["total"]["value"],
            seen.docs.len(),
            "total: {why}"
        );
        let count = self.post(&path("_count"), json!({})).await;
        assert_eq!(count["count"], seen.docs.len(), "count: {why}");
        for id in all.keys() {
            let (status, got) = self
                .ask(Method::GET, &path(&format!("_doc/{id}")), Value::Null)
                .await;
            let expected = seen.docs.contains_key(id).then(|| seen.source(id));
            assert_eq!(
                status,
                if expected.is_some() { 200 } else { 404 },
                "get: {why}"
            );
            assert_eq!(got.get("_source").cloned(), expected, "get: {why}");
        }
        let ids: Vec<&String> = all.keys().collect();
        let got = self.post(&path("_mget"), json!({"ids": ids})).await;
        for doc in got["docs"].as_array().unwrap() {
            let expected = seen.docs.contains_key(doc["_id"].as_str().unwrap());
            assert_eq!(doc["found"], expected, "mget: {why}");
            let id = doc["_id"].as_str().unwrap();
            let source = expected.then(|| seen.source(id));
            assert_eq!(doc.get("_source").cloned(), source, "mget: {why}");
        }
        self.check_queries(name, seen, why).await;
        self.check_fields(name, seen, why).await;
        self.check_highlights(name, seen, why).await;
        self.check_reading_on(name, seen, why).await;
        self.check_aggregations(name, seen, why).await;
        self.check_mapping(name, seen, why).await;
        self.check_updates(name, seen, all, why).await;
    }

    /// A query about what is hidden finds nothing.
    async fn check_queries(&self, name: &str, seen: &Seen, why: &str) {
        let queries: [(&str, Value, Passes); 5] = [
            ("k", json!({"term": {"k": "x"}}), |d| d["k"] == "x"),
            ("n", json!({"range": {"n": {"lt": 5}}}), |d| {
                d["n"].as_u64() < Some(5)
            }),
            ("o.b", json!({"exists": {"field": "o.b"}}), |_| true),
            ("t", json!({"match": {"t": "blue"}}), |d| {
                d["t"] == "blue ink"
            }),
            ("t.raw", json!({"prefix": {"t.raw": "red"}}), |d| {
                d["t"] == "red ink"
            }),
        ];
        for (leaf, query, passes) in queries {
            let body = json!({"size": 100, "query": query});
            let found = self.post(&format!("/{name}/_search"), body).await;
            let found: BTreeSet<String> = hits(&found).into_keys().collect();
            let expected = seen.ids(|doc| seen.leaves.contains(leaf) && passes(doc));
            assert_eq!(found, expected, "{query}: {why}");
        }
        let text = json!({"size": 100, "query": {"query_string": {"query": "x OR red"}}});
        let found = self.post(&format!("/{name}/_search"), text).await;
        let by = |leaf: &str, is_so: bool| seen.leaves.contains(leaf) && is_so;
        let expected = seen.ids(|d| by("k", d["k"] == "x") || by("t", d["t"] == "red ink"));
        let found: BTreeSet<String> = hits(&found).into_keys().collect();
        assert_eq!(found, expected, "query string: {why}");
    }

    /// What is read beside `_source`, and sort values.
    async fn check_fields(&self, name: &str, seen: &Seen, why: &str) {
        let body = json!({"size": 100, "fields": ["*"], "docvalue_fields": ["n", "k", "o.*"], "_source": ["o.*", "k"]});
        let found = self.post(&format!("/{name}/_search"), body).await;
        let mut expected = seen.leaves.clone();
        if !expected.contains("t") {
            // The values of a multi-field are read from its field.
            expected.remove("t.raw");
        }
        for hit in found["hits"]["hits"].as_array().unwrap() {
            let fields: BTreeSet<&str> = hit
                .get("fields")
                .and_then(Value::as_object)
                .map(|fields| fields.keys().map(String::as_str).collect())
                .unwrap_or_default();
            assert_eq!(fields, expected, "fields: {why}");
            let mut source = seen.source(hit["_id"].as_str().unwrap());
            source
                .as_object_mut()
                .unwrap()
                .retain(|name, _| ["o", "k"].contains(&name.as_str()));
            let shown = hit.get("_source").cloned().unwrap_or(json!({}));
            assert_eq!(shown, source, "_source filter: {why}");
        }
        let body =
            json!({"size": 100, "sort": [{"n": {"order": "desc", "unmapped_type": "long"}}]});
        let found = self.post(&format!("/{name}/_search"), body).await;
        for hit in found["hits"]["hits"].as_array().unwrap() {
            let n = &seen.docs[hit["_id"].as_str().unwrap()]["n"];
            let is_shown = seen.leaves.contains("n");
            assert_eq!(hit["sort"][0] == *n, is_shown, "sort: {hit}: {why}");
        }
    }

    /// Every text is shown where nothing is found in it, by each name that there is.
    async fn check_highlights(&self, name: &str, seen: &Seen, why: &str) {
        let names = ["k", "n", "t", "t.raw", "o.a", "o.b"];
        let fields: serde_json::Map<String, Value> = names
            .iter()
            .map(|name| ((*name).to_owned(), json!({})))
            .collect();
        let body = json!({"size": 100, "_source": false, "highlight": {
            "no_match_size": 20, "require_field_match": false, "fields": fields}});
        let found = self.post(&format!("/{name}/_search"), body).await;
        for hit in found["hits"]["hits"].as_array().unwrap() {
            let source = seen.source(hit["_id"].as_str().unwrap());
            let text = |name: &str| {
                let path = name.trim_end_matches(".raw").replace('.', "/");
                let value = source.pointer(&format!("/{path}"))?;
                seen.leaves.contains(name).then(|| {
                    let text = value.as_str().map(str::to_owned);
                    (
                        name.to_owned(),
                        json!([text.unwrap_or_else(|| value.to_string())]),
                    )
                })
            };
            let expected: serde_json::Map<String, Value> =
                names.iter().filter_map(|name| text(name)).collect();
            let shown = hit.get("highlight").cloned().unwrap_or(json!({}));
            assert_eq!(shown, Value::Object(expected), "highlight: {why}");
        }
    }

    async fn check_reading_on(&self, name: &str, seen: &Seen, why: &str) {
        let mut page = self
            .post(&format!("/{name}/_search?scroll=1m"), json!({"size": 4}))
            .await;
        let mut found = BTreeMap::new();
        loop {
            let hits = hits(&page);
            if hits.is_empty() {
                break;
            }
            found.extend(hits);
            let id = page["_scroll_id"].clone();
            page = self
                .post("/_search/scroll", json!({"scroll": "1m", "scroll_id": id}))
                .await;
        }
        assert_eq!(found, seen.sources(), "scroll: {why}");
        let id = page["_scroll_id"].clone();
        self.ask(Method::DELETE, "/_search/scroll", json!({"scroll_id": id}))
            .await;
        let pit = self
            .post(&format!("/{name}/_pit?keep_alive=1m"), Value::Null)
            .await;
        let body = json!({"size": 100, "pit": {"id": pit["id"], "keep_alive": "1m"}});
        let found = self.post("/_search", body).await;
        assert_eq!(hits(&found), seen.sources(), "point in time: {why}");
        self.ask(Method::DELETE, "/_pit", json!({"id": pit["id"]}))
            .await;
    }

    async fn check_aggregations(&self, name: &str, seen: &Seen, why: &str) {
        let body = json!({"size": 0, "query": {"match_all": {}}, "aggs": {
            "k": {"terms": {"field": "k", "min_doc_count": 0}}, "n": {"sum": {"field": "n"}},
            "all": {"global": {}, "aggs": {"k": {"terms": {"field": "k"}}, "c": {"value_count": {"field": "n"}}}},
            "top": {"filter": {"match_all": {}}, "aggs": {"hits": {"top_hits": {"size": 100}}}},
        }});
        let found = self.post(&format!("/{name}/_search"), body).await;
        let found = &found["aggregations"];
        for terms in [&found["k"], &found["all"]["k"]] {
            assert_eq!(buckets(terms), seen.buckets(), "terms: {why}");
        }
        assert_eq!(found["all"]["doc_count"], seen.docs.len(), "global: {why}");
        let sees_n = seen.leaves.contains("n");
        let sum: f64 = seen.docs.values().filter_map(|doc| doc["n"].as_f64()).sum();
        assert_eq!(
            found["n"]["value"],
            if sees_n { sum } else { 0.0 },
            "sum: {why}"
        );
        let count = if sees_n { seen.docs.len() } else { 0 };
        assert_eq!(found["all"]["c"]["value"], count, "value_count: {why}");
        assert_eq!(
            hits(&found["top"]["hits"]),
            seen.sources(),
            "top_hits: {why}"
        );
    }

    async fn check_mapping(&self, name: &str, seen: &Seen, why: &str) {
        for path in ["_mapping", ""] {
            let (status, shown) = self
                .ask(Method::GET, &format!("/{name}/{path}"), Value::Null)
                .await;
            assert_eq!(status, 200, "{shown}");
            let mut leaves = BTreeSet::new();
            let properties = shown["i"]["mappings"]["properties"].clone();
            collect("", &properties, &mut leaves);
            // A multi-field is part of its field.
            let mut expected: BTreeSet<String> =
                seen.leaves.iter().map(|l| (*l).to_owned()).collect();
            if !seen.leaves.contains("t") {
                expected.remove("t.raw");
            }
            assert_eq!(leaves, expected, "mapping: {why}");
        }
        let (_, shown) = self
            .ask(
                Method::GET,
                &format!("/{name}/_mapping/field/*"),
                Value::Null,
            )
            .await;
        let shown: BTreeSet<&str> = shown["i"]["mappings"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .filter(|name| !name.starts_with('_'))
            .collect();
        assert_eq!(shown, seen.leaves, "field mapping: {why}");
        let path = format!("/{name}/_field_caps?fields=*&filters=-metadata,-parent");
        let (_, told) = self.ask(Method::GET, &path, Value::Null).await;
        let told: BTreeSet<&str> = told["fields"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(told, seen.leaves, "field caps: {why}");
    }

    /// An update that does not see all would write back less, and tell of what is hidden.
    async fn check_updates(&self, name: &str, seen: &Seen, all: &BTreeMap<String, Doc>, why: &str) {
        let (id, doc) = all.iter().next().unwrap();
        // Nothing changes.
        let body = json!({"doc": {"n": doc["n"]}, "_source": true});
        let (status, answer) = self
            .ask(Method::POST, &format!("/{name}/_update/{id}"), body)
            .await;
        let lines = format!(
            "{{\"update\":{{\"_id\":\"{id}\"}}}}\n{{\"doc\":{{\"n\":{}}}}}\n",
            doc["n"]
        );
        let (_, bulk) = self
            .ask(Method::POST, &format!("/{name}/_bulk"), lines.into())
            .await;
        let bulk = &bulk["items"][0]["update"];
        if !seen.narrowed {
            assert_eq!(
                (status, &bulk["status"]),
                (200, &json!(200)),
                "{answer} {bulk}: {why}"
            );
            return;
        }
        let refusal =
            "Can't execute an update request if field or document level security is enabled";
        assert_eq!(
            (
                status,
                &answer["error"]["reason"],
                &bulk["status"],
                &bulk["error"]["reason"]
            ),
            (400, &json!(refusal), &json!(400), &json!(refusal)),
            "update: {why}"
        );
        let (status, answer) = self
            .ask(Method::PUT, &format!("/{name}/_alias/free"), Value::Null)
            .await;
        assert!(status == 400 || status == 403, "alias: {answer}: {why}");
    }
}

fn hits(answer: &Value) -> BTreeMap<String, Value> {
    let hits = answer["hits"]["hits"].as_array().unwrap().iter();
    let hit = |hit: &Value| {
        let source = hit.get("_source").cloned().unwrap_or(json!({}));
        (hit["_id"].as_str().unwrap().to_owned(), source)
    };
    hits.map(hit).collect()
}

fn buckets(terms: &Value) -> BTreeMap<String, u64> {
    let buckets = terms["buckets"].as_array().unwrap().iter();
    let bucket = |bucket: &Value| {
        let key = bucket["key"].as_str().unwrap().to_owned();
        (key, bucket["doc_count"].as_u64().unwrap())
    };
    buckets.map(bucket).collect()
}

fn collect(parent: &str, properties: &Value, leaves: &mut BTreeSet<String>) {
    for (name, field) in properties.as_object().into_iter().flatten() {
        let path = format!("{parent}{name}");
        match field.get("properties") {
            Some(inside) => collect(&format!("{path}."), inside, leaves),
            None => {
                collect(&format!("{path}."), &field["fields"], leaves);
                leaves.insert(path);
            }
        }
    }
}

async fn index(cluster: &Cluster, docs: &BTreeMap<String, Doc>) {
    let body = json!({
        "settings": {"number_of_shards": 2, "number_of_replicas": 0},
        "mappings": {"properties": {
            "k": {"type": "keyword"}, "n": {"type": "long"},
            "t": {"type": "text", "fields": {"raw": {"type": "keyword"}}},
            "o": {"properties": {"a": {"type": "keyword"}, "b": {"type": "long"}}},
        }},
        "aliases": {"low": {"filter": {"range": {"n": {"lt": 7}}}}},
    });
    let (status, body) = cluster.put(0, "/i", body).await;
    assert_eq!(status, 200, "{body}");
    let lines: String = docs
        .iter()
        .map(|(id, doc)| {
            format!(
                "{{\"index\":{{\"_id\":\"{id}\"}}}}\n{}\n",
                Value::Object(doc.clone())
            )
        })
        .collect();
    let (_, body) = cluster.post(0, "/i/_bulk?refresh=true", lines.into()).await;
    assert_eq!(body["errors"], false, "{body}");
}

/// For roles at random: by the index and by a filtered alias, with a password and with an API key that has less.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_to_read_shows_the_filter_of_the_whole() {
    let cluster = Cluster::start(2).await;
    let mut dice = Dice(16);
    let docs = documents(&mut dice, 12);
    index(&cluster, &docs).await;
    let user = json!({"password": JO.1, "roles": ["r0", "r1", "keys"], "metadata": {"team": "y", "teams": ["y", "z"]}});
    cluster.put(0, "/_security/user/jo", user).await;
    let keys = json!({"cluster": ["manage_own_api_key"]});
    cluster.put(0, "/_security/role/keys", keys).await;
    for round in 0..ROUNDS {
        let mut groups = Vec::new();
        for role in ["r0", "r1"] {
            let mut of_role = vec![group(&mut dice, "i")];
            if dice.roll(4) == 0 {
                of_role.push(group(&mut dice, "i*"));
            }
            let mut written: Vec<Value> =
                of_role.iter().map(|group| group.written.clone()).collect();
            // The alias is granted as the index is.
            let by_alias: Vec<Value> = written
                .iter()
                .map(|group| {
                    let mut group = group.clone();
                    group["names"] = json!(["low"]);
                    group
                })
                .collect();
            written.extend(by_alias);
            let body = json!({"indices": written});
            let (status, body) = cluster
                .put(0, &format!("/_security/role/{role}"), body)
                .await;
            assert_eq!(status, 200, "{body}");
            groups.extend(of_role);
        }
        let written: Vec<&Value> = groups.iter().map(|group| &group.written).collect();
        let why = format!("round {round}: {}", json!(written));
        let seen = Seen::all(&docs).narrowed_by(&groups);
        let mut asker = Asker {
            cluster: &cluster,
            authorization: None,
            node: round % 2,
        };
        asker.check("i", &seen, &docs, &why).await;
        let mut low = seen.clone();
        low.docs.retain(|_, doc| doc["n"].as_u64() < Some(7));
        let found = asker.post("/low/_search", json!({"size": 100})).await;
        assert_eq!(hits(&found), low.sources(), "alias: {why}");
        // A key sees what both its own roles and its owner's show.
        let own = [group(&mut dice, "i")];
        let key = json!({"name": "k", "role_descriptors": {"own": {"indices": [own[0].written]}}});
        let key = asker.post("/_security/api_key", key).await;
        asker.authorization = Some(format!("ApiKey {}", key["encoded"].as_str().unwrap()));
        let why = format!("{why}; key: {}", own[0].written);
        asker.check("i", &seen.narrowed_by(&own), &docs, &why).await;
    }
    cluster.stop().await;
}

const ROUNDS: usize = 6;

/// What is open ends when a role shows less, and the next request shows what the role says by then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_role_counts_for_what_is_open() {
    let cluster = Cluster::start(1).await;
    let docs = documents(&mut Dice(7), 6);
    index(&cluster, &docs).await;
    let role = |query: Value| json!({"indices": [{"names": ["i"], "privileges": ["read"], "query": query}]});
    cluster
        .put(0, "/_security/role/r", role(json!({"match_all": {}})))
        .await;
    let user = json!({"password": JO.1, "roles": ["r"]});
    cluster.put(0, "/_security/user/jo", user).await;
    let asker = Asker {
        cluster: &cluster,
        authorization: None,
        node: 0,
    };
    let page = asker.post("/i/_search?scroll=1m", json!({"size": 2})).await;
    let pit = asker.post("/i/_pit?keep_alive=1m", Value::Null).await;
    let (status, _) = cluster
        .put(0, "/_security/role/r", role(json!({"term": {"k": "x"}})))
        .await;
    assert_eq!(status, 200);
    let body = json!({"scroll": "1m", "scroll_id": page["_scroll_id"]});
    let (status, answer) = asker.ask(Method::POST, "/_search/scroll", body).await;
    assert_eq!(status, 404, "{answer}");
    let body = json!({"pit": {"id": pit["id"]}});
    let (status, answer) = asker.ask(Method::POST, "/_search", body).await;
    assert_eq!(status, 404, "{answer}");
    let found = asker.post("/i/_search", json!({"size": 100})).await;
    let expected: BTreeSet<String> = docs
        .iter()
        .filter(|(_, doc)| doc["k"] == "x")
        .map(|(id, _)| id.clone())
        .collect();
    assert_eq!(hits(&found).into_keys().collect::<BTreeSet<_>>(), expected);
    cluster.stop().await;
}

/// A wider role that writes does not make a narrow one that reads see more, by an update or by what is told of the index.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_right_to_write_shows_nothing_that_reading_hides() {
    let cluster = Cluster::start(1).await;
    index(&cluster, &documents(&mut Dice(7), 6)).await;
    let read = json!({"indices": [{
        "names": ["i"], "privileges": ["read", "view_index_metadata"],
        "query": {"term": {"k": "x"}}, "field_security": {"grant": ["k", "t"]},
    }]});
    let write = json!({"indices": [{"names": ["i"], "privileges": ["write"]}]});
    for (name, role) in [("reads", read), ("writes", write)] {
        let path = format!("/_security/role/{name}");
        assert_eq!(cluster.put(0, &path, role).await.0, 200);
    }
    let user = json!({"password": JO.1, "roles": ["reads", "writes"]});
    cluster.put(0, "/_security/user/jo", user).await;
    let filtered = json!({"actions": [{"add": {
        "index": "i", "alias": "a", "filter": {"term": {"n": 4711}},
    }}]});
    let (status, answer) = cluster.post(0, "/_aliases", filtered).await;
    assert_eq!(status, 200, "{answer}");
    let asker = Asker {
        cluster: &cluster,
        authorization: None,
        node: 0,
    };
    for id in 0..6 {
        let body = json!({"doc": {}, "_source": true});
        let path = format!("/i/_update/{id}");
        let (status, answer) = asker.ask(Method::POST, &path, body).await;
        assert_eq!(
            (status, &answer["error"]["type"]),
            (400, &json!("security_exception")),
            "{answer}"
        );
        let lines =
            format!("{{\"update\":{{\"_id\":\"{id}\",\"_source\":true}}}}\n{{\"doc\":{{}}}}\n");
        let (_, bulk) = asker.ask(Method::POST, "/i/_bulk", lines.into()).await;
        assert_eq!(bulk["items"][0]["update"]["status"], 400, "{bulk}");
    }
    let (_, told) = asker.ask(Method::GET, "/i", Value::Null).await;
    assert_eq!(told["i"]["aliases"]["a"], json!({}), "{told}");
    cluster.stop().await;
}

/// What cannot be asked is refused when the role is made; what does not fit an index shows nothing of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_cannot_be_enforced_shows_nothing() {
    let cluster = Cluster::start(1).await;
    index(&cluster, &documents(&mut Dice(7), 6)).await;
    let role = |query: Value| json!({"indices": [{"names": ["i"], "privileges": ["read"], "query": query}]});
    for query in [
        json!({"nonsense": {"k": "x"}}),
        json!("not json"),
        json!([]),
        json!({"template": {"id": "stored"}}),
        json!({"template": {"source": "{{_user.password}}"}}),
    ] {
        let (status, answer) = cluster
            .put(0, "/_security/role/r", role(query.clone()))
            .await;
        let reason = "failed to parse field 'query' for indices [i] at index privilege [0] of role descriptor";
        let told = answer["error"]["reason"].as_str().unwrap_or_default();
        assert!(
            status == 400 && told.starts_with(reason),
            "{query}: {answer}"
        );
        assert_eq!(answer["error"]["type"], "parse_exception", "{answer}");
        let key = json!({"name": "k", "role_descriptors": {"r": role(query)}});
        let (status, answer) = cluster.post(0, "/_security/api_key", key).await;
        assert_eq!(status, 400, "{answer}");
    }
    let user = json!({"password": JO.1, "roles": ["r"], "metadata": {"n": "secret words"}});
    cluster.put(0, "/_security/user/jo", user).await;
    let asker = Asker {
        cluster: &cluster,
        authorization: None,
        node: 0,
    };
    let unfit = json!({"term": {"n": "secret words"}});
    let template = json!({"template": {"source": {"term": {"n": "{{_user.metadata.n}}"}}}});
    let missing = json!({"template": {"source": "{\"term\":{\"n\":{{_user.metadata.gone}}}}"}});
    for query in [unfit, template, missing] {
        let (status, answer) = cluster
            .put(0, "/_security/role/r", role(query.clone()))
            .await;
        assert_eq!(status, 200, "{answer}");
        for (method, path) in [
            (Method::GET, "/i/_search"),
            (Method::GET, "/i/_doc/1"),
            (Method::GET, "/i/_count"),
        ] {
            let (status, answer) = asker.ask(method, path, Value::Null).await;
            assert_eq!(status, 400, "{query} {path}: {answer}");
            assert!(!answer.to_string().contains("secret words"), "{answer}");
        }
    }
    cluster.stop().await;
}
