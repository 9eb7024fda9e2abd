//! Who may ask what of a node: a certificate of the authority is not enough.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;
use ringwall_api::auth::{Authentication, User};
use ringwall_api::{ApiError, ErrorCode};
use ringwall_base::{NodeId, NodeKey, encoding};
use ringwall_pki::IdentityKey;
use ringwall_testkit::{Cluster, Method, WITHIN};
use ringwall_transport::{Callers, NodeIdentity, Request, Transport, TransportConfig};
use serde_json::{Value, json};

/// Returns a node that holds a certificate of the authority and knows the cluster's name, and nothing more.
async fn stranger(cluster: &Cluster, id: NodeId) -> Transport {
    stranger_with(cluster, id, None).await
}

async fn stranger_with(cluster: &Cluster, id: NodeId, key: Option<Arc<IdentityKey>>) -> Transport {
    let identity = NodeIdentity {
        id,
        ephemeral_id: "stranger".to_owned(),
        name: "stranger".to_owned(),
        cluster_name: "test".to_owned(),
        version: ringwall_base::VERSION.to_owned(),
        roles: vec!["data".to_owned(), "master".to_owned()],
        publish_address: String::new(),
        cluster_uuid: None,
        http_address: None,
        attributes: BTreeMap::new(),
        key: key.as_ref().map(|key| key.public()),
    };
    let config = TransportConfig {
        key,
        ports: 0..=0,
        tls: Some(cluster.client_tls("CN=stranger", None, "h2")),
        ..TransportConfig::default()
    };
    let transport = Transport::bind(config, identity).await.unwrap();
    transport.start();
    transport
}

fn target(cluster: &Cluster, number: usize, from: &Transport) -> NodeId {
    let local = cluster.nodes[number].as_ref().unwrap().node.local();
    from.set_address(local.id, &local.publish_address);
    local.id
}

async fn ask(
    from: &Transport,
    to: NodeId,
    action: &'static str,
    user: Option<&Authentication>,
    body: Vec<u8>,
) -> Result<Bytes, ApiError> {
    let request = Request {
        body: body.into(),
        authentication: user,
        timeout: WITHIN,
    };
    from.send(to, action, request).await.map_err(ApiError::from)
}

/// As one who may ask again: the member may only have heard of it too late.
fn is_no_member(answer: &Result<Bytes, ApiError>) -> bool {
    matches!(answer, Err(error) if error.code == ErrorCode::NotAMember)
}

fn is_refused(answer: &Result<Bytes, ApiError>, why: &str) -> bool {
    let refused = |error: &ApiError| error.code == ErrorCode::Security && error.status == 403;
    matches!(answer, Err(error) if refused(error) && error.reason.contains(why))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_holds_only_a_certificate_reaches_discovery_and_join() {
    let cluster = Cluster::start_with(1, &[("transport.member_wait", "100ms")]).await;
    let stranger = stranger(&cluster, NodeId::random()).await;
    let node = target(&cluster, 0, &stranger);
    let system = ringwall_security::system::identity();
    let actions = cluster.nodes[0]
        .as_ref()
        .unwrap()
        .node
        .transport()
        .actions();
    assert!(actions.len() > 30, "{actions:?}");
    let asked = actions.into_iter().map(async |(action, callers)| {
        let answer = ask(&stranger, node, action, Some(&system), b"anything".to_vec()).await;
        (action, callers, answer)
    });
    let mut open = Vec::new();
    for (action, callers, answer) in join_all(asked).await {
        match callers {
            Callers::Anyone => open.push(action),
            _ => assert!(is_no_member(&answer), "{action}: {answer:?}"),
        }
    }
    let expected = [
        "internal:cluster/join",
        "internal:cluster/join/validate",
        "internal:cluster/request_peers",
    ];
    assert_eq!(open, expected);
    stranger.shutdown().await;
    cluster.stop().await;
}

/// What each action that is done for a user takes, well-formed: only so its user is looked at.
fn requests() -> BTreeMap<&'static str, Value> {
    let shard = json!({"index": {"name": "books", "uuid": "u"}, "shard": 0});
    let filter = json!({"nodes": [], "actions": [], "task": null, "parent": null});
    let search = json!({
        "search": {"body": [], "now_ms": 0, "fetch": false, "time_left_ms": 1000, "allow_partial": true},
        "shards": [{"shard": shard, "state_version": 0, "through": "itself"}],
    });
    let nothing = Value::Null;
    let reader = json!({"session": 1, "number": 1});
    BTreeMap::from([
        (
            "cluster:admin/nodes/reload_secure_settings[n]",
            json!({"nodes": [], "password": "guess"}),
        ),
        (
            "cluster:admin/tasks/cancel[n]",
            json!({"filter": filter, "wait_for_completion": false, "timeout_ms": 0}),
        ),
        (
            "cluster:admin/reindex/rethrottle[n]",
            json!({"filter": filter, "requests_per_second": null}),
        ),
        ("cluster:monitor/nodes/info[n]", nothing.clone()),
        ("cluster:monitor/nodes/membership[m]", nothing.clone()),
        ("cluster:monitor/nodes/ssl[n]", nothing.clone()),
        ("cluster:monitor/stats[n]", nothing.clone()),
        ("cluster:monitor/task[n]", nothing.clone()),
        (
            "cluster:monitor/nodes/stats[n]",
            json!({"nodes": [], "by_copy": false}),
        ),
        ("indices:monitor/recovery[n]", json!([[shard, "id"]])),
        ("indices:monitor/shard_stores[n]", json!([shard])),
        (
            "indices:data/read/open_reader_context",
            json!({"shard": shard, "state_version": 0, "through": "itself", "keep_alive_ms": 1000}),
        ),
        (
            "indices:data/read/search[phase/query/scroll]",
            json!({"reader": reader, "keep_alive_ms": null, "fetch": false, "time_left_ms": 1000}),
        ),
        (
            "indices:data/read/search[phase/fetch/id/scroll]",
            json!({"reader": reader, "docs": [], "time_left_ms": 1000}),
        ),
        (
            "indices:data/read/search[free_context/scroll]",
            json!({"readers": []}),
        ),
        ("indices:data/read/search[clear_scroll_contexts]", nothing),
        (
            "cluster:monitor/task/get[n]",
            json!({"task": {"node": "n", "id": 1}, "wait_for_completion": false, "timeout_ms": 0}),
        ),
        (
            "cluster:monitor/tasks/lists[n]",
            json!({"filter": filter, "detailed": false, "wait_for_completion": false, "timeout_ms": 0}),
        ),
        (
            "cluster:admin/xpack/security/audit/search[n]",
            json!({
                "filter": {"types": [], "users": [], "actions": [], "indices": [], "from_ms": null, "to_ms": null},
                "after": null, "size": 1, "time_left_ms": 0,
            }),
        ),
        (
            "internal:security/service_account/file_tokens",
            json!("elastic/kibana"),
        ),
        (
            "indices:data/read/get[s]",
            json!({"shard": shard, "state_version": 0, "through": "itself", "requests": []}),
        ),
        ("indices:data/read/search[query][n]", search),
        (
            "indices:data/read/search[fetch][n]",
            json!({"shards": [], "time_left_ms": 1000}),
        ),
        (
            "indices:data/read/search[free_context]",
            json!({"contexts": []}),
        ),
        (
            "indices:data/write/bulk[s]",
            json!({
                "shard": shard, "request": 1, "relay": false, "items": [], "refresh": "None",
                "wait_for_active_shards": null,
            }),
        ),
        (
            "internal:indices/broadcast[n]",
            json!({"work": "Stats", "shards": []}),
        ),
    ])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_action_that_is_done_for_a_user_looks_at_its_right() {
    let cluster = Cluster::start(2).await;
    let member = cluster.nodes[1].as_ref().unwrap().node.transport().clone();
    let node = target(&cluster, 0, &member);
    let mut nobody = ringwall_security::system::identity();
    nobody.authentication_type = ringwall_api::auth::AuthenticationType::Realm;
    nobody.user = Arc::new(User {
        username: "nobody".to_owned(),
        ..User::clone(&nobody.user)
    });
    let bodies = requests();
    let actions = cluster.nodes[0]
        .as_ref()
        .unwrap()
        .node
        .transport()
        .actions();
    for (action, _) in actions
        .iter()
        .filter(|(_, callers)| *callers == Callers::MembersForUsers)
    {
        let body = bodies
            .get(action)
            .unwrap_or_else(|| panic!("no request for {action}"));
        let body = encoding::encode(body);
        let answer = ask(&member, node, action, None, body.clone()).await;
        assert!(
            is_refused(&answer, "is done for a user only"),
            "{action}: {answer:?}"
        );
        let answer = ask(&member, node, action, Some(&nobody), body).await;
        assert!(
            is_refused(&answer, "is unauthorized for user [nobody]"),
            "{action}: {answer:?}"
        );
    }
    cluster.stop().await;
}

/// One message asks for shards of several indices; the right to one is none to another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_shard_of_a_search_needs_a_right_of_its_own() {
    let cluster = Cluster::start(2).await;
    let (status, answer) = cluster
        .put(
            0,
            "/_security/role/reads_open",
            json!({"indices": [{"names": ["open"], "privileges": ["read"]}]}),
        )
        .await;
    assert_eq!(status, 200, "{answer}");
    let mut shards = Vec::new();
    for index in ["open", "closed"] {
        let settings = json!({"settings": {"number_of_shards": 2, "number_of_replicas": 1}});
        let (status, answer) = cluster.put(0, &format!("/{index}"), settings).await;
        assert_eq!(status, 200, "{answer}");
        let (_, health) = cluster
            .get(
                0,
                &format!("/_cluster/health/{index}?wait_for_status=green&timeout=60s"),
            )
            .await;
        assert_eq!(health["status"], "green", "{health}");
        let state = cluster.nodes[0].as_ref().unwrap().node.cluster().state();
        let uuid = state.indices[index].id.uuid.clone();
        shards.push(json!({
            "shard": {"index": {"name": index, "uuid": uuid}, "shard": 0}, "state_version": 0, "through": "itself",
        }));
    }
    let mut reader = ringwall_security::system::identity();
    reader.authentication_type = ringwall_api::auth::AuthenticationType::Realm;
    reader.user = Arc::new(User {
        username: "reader".to_owned(),
        roles: vec!["reads_open".to_owned()],
        ..User::clone(&reader.user)
    });
    let member = cluster.nodes[1].as_ref().unwrap().node.transport().clone();
    let node = target(&cluster, 0, &member);
    let request = encoding::encode(&json!({
        "search": {"body": br#"{}"#, "now_ms": 0, "fetch": true, "time_left_ms": 60_000, "allow_partial": true},
        "shards": shards,
    }));
    let action = "indices:data/read/search[query][n]";
    let answers = ask(&member, node, action, Some(&reader), request)
        .await
        .unwrap();
    let answers: Vec<Result<Value, ApiError>> = encoding::decode(&answers).unwrap();
    assert_eq!(answers.len(), 2);
    assert!(answers[0].is_ok(), "{answers:?}");
    let refused = answers[1].as_ref().unwrap_err();
    assert_eq!((refused.code, refused.status), (ErrorCode::Security, 403));
    cluster.stop().await;
}

/// Asserts that a node does not talk to another, and says why.
async fn is_not_let_in(cluster: &Cluster, from: &Transport, why: &str) {
    let address = cluster.nodes[0]
        .as_ref()
        .unwrap()
        .node
        .local()
        .publish_address
        .clone();
    let refused = async {
        // The answer of who closes right after it is not always heard.
        loop {
            let told = from.probe(&address, WITHIN).await.unwrap_err().to_string();
            if told.contains(why) {
                return;
            }
        }
    };
    tokio::time::timeout(WITHIN, refused).await.unwrap();
    from.shutdown().await;
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

fn known_key(cluster: &Cluster, node: NodeId) -> Option<NodeKey> {
    let state = cluster.nodes[0].as_ref().unwrap().node.cluster().state();
    state.known_nodes.get(&node).map(|known| known.key)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_id_of_a_member_is_nobody_elses_while_it_runs_and_while_it_is_away() {
    let mut cluster = Cluster::start(2).await;
    let member = cluster.nodes[1].as_ref().unwrap().node.local();
    assert_eq!(known_key(&cluster, member.id), member.key);
    let own = || Some(Arc::new(IdentityKey::generate().unwrap().0));
    for away in [false, true] {
        if away {
            cluster.stop_node(1).await;
            cluster.wait_for_nodes(1).await;
        }
        let impostor = stranger_with(&cluster, member.id, own()).await;
        is_not_let_in(&cluster, &impostor, "has another key").await;
        // As a version without keys would.
        let old = stranger(&cluster, member.id).await;
        is_not_let_in(&cluster, &old, "shows no key").await;
    }
    // The node itself comes back.
    cluster.start_node(1).await;
    cluster.wait_for_nodes(2).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_lost_its_key_is_told_and_one_with_a_new_data_path_is_new() {
    let mut cluster = Cluster::start(2).await;
    let before = cluster.nodes[1].as_ref().unwrap().node.local();
    cluster.stop_node(1).await;
    let key = cluster.data(1).join("_state/node_key");
    let kept = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    cluster.start_node(1).await;
    let node = &cluster.nodes[1].as_ref().unwrap().node;
    // The node is told what an administrator does about it.
    let local = node.local();
    let cure = format!(
        "/_membership/{}/_approve?key={}",
        local.id,
        local.key.unwrap()
    );
    let told = async {
        let is_told = |refusal: ringwall_tls::ToldRefusal| {
            refusal
                .line
                .contains("is known by its key, and has another key")
                && refusal.line.contains(&format!("`POST {cure}`"))
        };
        while !node.transport().refusals().into_iter().any(is_told) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(WITHIN, told).await.unwrap();
    let other = &cluster.nodes[0].as_ref().unwrap().node;
    let is_told = |refusal: &ringwall_tls::ToldRefusal| refusal.why == "foreign_key";
    assert!(other.transport().refusals().iter().any(is_told));
    // As soon as the master has noticed that it is away.
    let approved = async {
        while cluster.post(0, &cure, Value::Null).await.0 != 200 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(WITHIN, approved).await.unwrap();
    cluster.wait_for_nodes(2).await;
    // Its old key is nothing any more.
    cluster.stop_node(1).await;
    std::fs::write(&key, kept).unwrap();
    cluster.start_node(1).await;
    let node = &cluster.nodes[1].as_ref().unwrap().node;
    let refused = async {
        while node.transport().refusals().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(WITHIN, refused).await.unwrap();
    cluster.stop_node(1).await;
    cluster.remove_data(1);
    cluster.start_node(1).await;
    cluster.wait_for_nodes(2).await;
    let after = cluster.nodes[1].as_ref().unwrap().node.local();
    assert_ne!((after.id, after.key), (before.id, before.key));
    assert_eq!(known_key(&cluster, after.id), after.key);
    assert_ne!(known_key(&cluster, before.id), None);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copied_data_path_is_refused_while_the_node_runs_and_may_move() {
    let mut cluster = Cluster::start(2).await;
    let local = cluster.nodes[1].as_ref().unwrap().node.local();
    cluster.stop_node(1).await;
    let copied = cluster.prepare_node();
    copy(&cluster.data(1), &cluster.data(copied));
    cluster.start_node(1).await;
    cluster.wait_for_nodes(2).await;
    cluster.start_node(copied).await;
    let twin = &cluster.nodes[copied].as_ref().unwrap().node;
    assert_eq!(twin.local().key, local.key);
    let why = tokio::time::timeout(WITHIN, twin.not_joined())
        .await
        .unwrap();
    assert!(why.contains("runs already, as [{node-1}"), "{why}");
    assert!(why.contains("empty the data path of the copy"), "{why}");
    let state = cluster.nodes[0].as_ref().unwrap().node.cluster().state();
    assert_eq!(state.nodes[&local.id].name, "node-1");
    // Without the other it is that node, on another machine.
    cluster.stop_node(copied).await;
    cluster.stop_node(1).await;
    cluster.remove_data(copied);
    copy(&cluster.data(1), &cluster.data(copied));
    cluster.start_node(copied).await;
    let moved = |state: &ringwall_cluster::ClusterState| {
        let node = state.nodes.get(&local.id);
        node.is_some_and(|node| node.name == format!("node-{copied}"))
    };
    let first = &cluster.nodes[0].as_ref().unwrap().node;
    assert!(first.wait_until(WITHIN, moved).await);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_alone_that_lost_its_key_goes_on_with_a_new_one() {
    let mut cluster = Cluster::start(1).await;
    cluster.stop_node(0).await;
    std::fs::remove_file(cluster.data(0).join("_state/node_key")).unwrap();
    cluster.start_node(0).await;
    cluster.wait_for_status(0, "green").await;
    let local = cluster.nodes[0].as_ref().unwrap().node.local();
    let node = &cluster.nodes[0].as_ref().unwrap().node;
    let entered = |state: &ringwall_cluster::ClusterState| {
        state.known_nodes.get(&local.id).map(|known| known.key) == local.key
    };
    assert!(node.wait_until(WITHIN, entered).await);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_node_waits_for_approval_where_that_is_asked_for() {
    let mut cluster = Cluster::start_with(1, &[("cluster.membership.approval", "true")]).await;
    let (status, view) = cluster.get(0, "/_membership").await;
    assert_eq!(
        (status, &view["approval"], &view["waiting"]),
        (200, &json!(true), &json!([]))
    );
    let founder = cluster.nodes[0].as_ref().unwrap().node.local();
    assert_eq!(
        view["nodes"][0]["key"],
        json!(founder.key.unwrap().to_string()),
        "{view}"
    );
    let number = cluster.prepare_node();
    cluster.start_node(number).await;
    let node = &cluster.nodes[number].as_ref().unwrap().node;
    let why = tokio::time::timeout(WITHIN, node.not_joined())
        .await
        .unwrap();
    let (id, key) = (node.local().id, node.local().key.unwrap());
    let cure = format!("/_membership/{id}/_approve?key={key}");
    assert!(why.contains(&format!("`POST {cure}`")), "{why}");
    let (_, view) = cluster.get(0, "/_membership").await;
    assert_eq!(
        view["waiting"][0]["name"],
        format!("node-{number}"),
        "{view}"
    );
    assert_eq!(view["waiting"][0]["key"], key.to_string(), "{view}");
    // Nobody lets nodes in without the right to.
    let user = json!({"password": "watcher-password", "roles": ["viewer"]});
    cluster.put(0, "/_security/user/watcher", user).await;
    let watcher = Some(("watcher", "watcher-password"));
    let refused = cluster
        .send_as(watcher, 0, Method::POST, &cure, Value::Null)
        .await;
    assert_eq!(refused.status.as_u16(), 403);
    for bad in [
        format!("/_membership/{id}/_approve"),
        format!("/_membership/{id}/_approve?key=x"),
    ] {
        assert_eq!(cluster.post(0, &bad, Value::Null).await.0, 400, "{bad}");
    }
    let (status, answer) = cluster.post(0, &cure, Value::Null).await;
    assert_eq!(
        (status, &answer["acknowledged"]),
        (200, &json!(true)),
        "{answer}"
    );
    cluster.wait_for_nodes(2).await;
    // It stays known, and can be forgotten when it is gone.
    let path = format!("/_membership/{id}");
    assert_eq!(cluster.delete(0, &path).await.0, 400);
    cluster.stop_node(number).await;
    cluster.wait_for_nodes(1).await;
    let forgotten = async {
        while cluster.delete(0, &path).await.0 != 200 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(WITHIN, forgotten).await.unwrap();
    assert_eq!(cluster.delete(0, &path).await.0, 404);
    cluster.stop().await;
}
