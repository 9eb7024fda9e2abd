//! Who may ask what of a node: a certificate of the authority is not enough.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;
use ringwall_api::auth::{Authentication, User};
use ringwall_api::{ApiError, ErrorCode};
use ringwall_base::{NodeId, encoding};
use ringwall_testkit::{Cluster, WITHIN};
use ringwall_transport::{Callers, NodeIdentity, Request, Transport, TransportConfig};
use serde_json::{Value, json};

/// Returns a node that holds a certificate of the authority and knows the cluster's name, and nothing more.
async fn stranger(cluster: &Cluster, id: NodeId) -> Transport {
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
    };
    let config = TransportConfig {
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

fn is_refused(answer: &Result<Bytes, ApiError>, why: &str) -> bool {
    let refused = |error: &ApiError| error.code == ErrorCode::Security && error.status == 403;
    matches!(answer, Err(error) if refused(error) && error.reason.contains(why))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_holds_only_a_certificate_reaches_discovery_and_join() {
    let cluster = Cluster::start_with(1, &[("transport.member_wait", "100ms")]).await;
    let stranger = stranger(&cluster, NodeId::random()).await;
    let node = target(&cluster, 0, &stranger);
    let system = Authentication::system();
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
            _ => assert!(
                is_refused(&answer, "is for members of this cluster only"),
                "{action}: {answer:?}"
            ),
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
        "shard": shard, "state_version": 0, "through": "itself", "body": [], "now_ms": 0, "fetch": false,
        "time_left_ms": 1000, "allow_partial": true,
    });
    let nothing = Value::Null;
    BTreeMap::from([
        (
            "cluster:admin/nodes/reload_secure_settings[n]",
            json!({"nodes": [], "password": "guess"}),
        ),
        (
            "cluster:admin/tasks/cancel[n]",
            json!({"filter": filter, "wait_for_completion": false, "timeout_ms": 0}),
        ),
        ("cluster:monitor/nodes/info[n]", nothing.clone()),
        ("cluster:monitor/nodes/ssl[n]", nothing.clone()),
        ("cluster:monitor/nodes/stats[n]", nothing),
        (
            "cluster:monitor/task/get[n]",
            json!({"task": {"node": "n", "id": 1}, "wait_for_completion": false, "timeout_ms": 0}),
        ),
        (
            "cluster:monitor/tasks/lists[n]",
            json!({"filter": filter, "detailed": false, "wait_for_completion": false, "timeout_ms": 0}),
        ),
        (
            "internal:security/service_account/file_tokens",
            json!("elastic/kibana"),
        ),
        (
            "indices:data/read/get[s]",
            json!({"shard": shard, "state_version": 0, "through": "itself", "requests": []}),
        ),
        ("indices:data/read/search[phase/query]", search.clone()),
        ("indices:data/read/search[phase/count]", search),
        (
            "indices:data/read/search[phase/fetch/id]",
            json!({"context": 0, "docs": [], "time_left_ms": 1000}),
        ),
        (
            "indices:data/read/search[free_context]",
            json!({"context": 0}),
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
    let mut nobody = Authentication::system();
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
