//! Who is turned away, and what the logs of both ends say.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use ringwall_base::{IpFilter, IpRule, encoding};
use ringwall_transport::{ConnectError, HANDSHAKE_ACTION, Refusal, Transport, TransportConfig};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::*;

#[tokio::test]
async fn another_cluster_is_refused_and_both_ends_say_why() {
    let logs = Logs::capture();
    let a = node("a").await;
    let mut foreign = identity("b");
    foreign.cluster_name = "other".to_owned();
    let b = node_with(config(), foreign).await;
    let error = a.probe(&address(&b), PATIENCE).await.unwrap_err();
    let ConnectError::Refused { refusal, node, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(matches!(refusal, Refusal::ClusterName { .. }));
    assert_eq!(node.name, "b");
    let dialler = logs
        .only("remote cluster name [other] does not match local cluster name [ring]")
        .await;
    assert!(
        dialler.contains(" WARN ") && dialler.contains("handshake with [{b}{"),
        "{dialler}"
    );
    assert!(dialler.contains(&address(&b)) && dialler.contains("set the same [cluster.name]"));
    let acceptor = logs
        .only("remote cluster name [ring] does not match local cluster name [other]")
        .await;
    assert!(
        acceptor.contains("refused connection from node [{a}{"),
        "{acceptor}"
    );
    assert!(a.connected_nodes().is_empty());

    for _ in 0..5 {
        assert!(a.probe(&address(&b), PATIENCE).await.is_err());
    }
    assert_eq!(logs.matching("does not match").len(), 2);
}

#[tokio::test]
async fn a_copied_node_id_is_refused() {
    let logs = Logs::capture();
    let a = node("a").await;
    let mut copy = identity("copy");
    copy.id = id(&a);
    let b = node_with(config(), copy).await;
    let error = a.probe(&address(&b), PATIENCE).await.unwrap_err();
    assert_eq!(error.kind(), "duplicate_node_id");
    for part in [
        "the remote node [a] has the id",
        "the remote node [copy] has the id",
    ] {
        let line = logs.only(part).await;
        assert!(line.contains("empty [path.data] of the copy"), "{line}");
    }
}

#[tokio::test]
async fn an_http_client_is_told_that_this_is_no_http_port() {
    let logs = Logs::capture();
    let a = node("a").await;
    let mut tcp = TcpStream::connect(address(&a)).await.unwrap();
    tcp.write_all(b"GET /_cat/nodes HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("This is not an HTTP port\n"), "{answer}");
    let line = logs.only("This is not an HTTP port").await;
    assert!(
        line.contains(&tcp.local_addr().unwrap().to_string()),
        "{line}"
    );
}

#[tokio::test]
async fn other_protocols_are_named_and_closed() {
    for (bytes, expected) in [
        (
            &b"\x16\x03\x01\x02\x00hello"[..],
            "disable it on the dialling side (xpack.security.transport.ssl.enabled)",
        ),
        (
            b"ES\0\0\0\x2dhello",
            "peer speaks the Elasticsearch transport protocol",
        ),
        (
            b"HTTP/1.1 200 OK\r\n",
            "received HTTP response on transport port",
        ),
        (
            b"\x01\x02\xff\x04",
            "invalid internal transport message format, got (1,2,ff,4)",
        ),
    ] {
        let logs = Logs::capture();
        let a = node("a").await;
        let mut tcp = TcpStream::connect(address(&a)).await.unwrap();
        tcp.write_all(bytes).await.unwrap();
        let mut rest = Vec::new();
        // Closed or reset: both are a refusal.
        let _ = tcp.read_to_end(&mut rest).await;
        assert!(rest.is_empty());
        logs.only(expected).await;
    }
}

#[tokio::test]
async fn a_silent_peer_is_closed_in_time() {
    let logs = Logs::capture();
    let hasty = TransportConfig {
        handshake_timeout: Duration::from_millis(100),
        ..config()
    };
    let a = node_with(hasty, identity("a")).await;
    let mut mute = TcpStream::connect(address(&a)).await.unwrap();
    let closed = tokio::time::timeout(PATIENCE, mute.read_u8())
        .await
        .unwrap();
    assert!(closed.is_err());
    logs.only("handshake_timeout").await;
}

#[tokio::test]
async fn a_peer_that_does_not_introduce_itself_is_closed_in_time() {
    let logs = Logs::capture();
    let hasty = TransportConfig {
        // The stranger opens his connection before.
        handshake_timeout: 3 * SECOND,
        ..config()
    };
    let a = node_with(hasty, identity("a")).await;
    let stranger = Stranger::dial(&a).await;
    tokio::time::timeout(PATIENCE, stranger.closed)
        .await
        .unwrap()
        .unwrap();
    let line = logs.only("did not introduce itself").await;
    assert!(line.contains("handshake_timeout[3000ms]"), "{line}");
}

#[tokio::test]
async fn no_action_runs_before_the_handshake() {
    let logs = Logs::capture();
    let a = node("a").await;
    let mut stranger = Stranger::dial(&a).await;
    let (status, body) = stranger.ask(ECHO, b"secret").await;
    assert_eq!(status, 500);
    assert!(!body.windows(6).any(|part| part == b"secret"));
    tokio::time::timeout(PATIENCE, stranger.closed)
        .await
        .unwrap()
        .unwrap();
    let line = logs.only("is not [internal:transport/handshake]").await;
    assert!(line.contains("[indices:data/read/echo]"), "{line}");
}

#[tokio::test]
async fn a_malformed_handshake_is_refused() {
    let logs = Logs::capture();
    let a = node("a").await;
    let mut stranger = Stranger::dial(&a).await;
    let (status, _) = stranger.ask(HANDSHAKE_ACTION, b"junk").await;
    assert_eq!(status, 500);
    tokio::time::timeout(PATIENCE, stranger.closed)
        .await
        .unwrap()
        .unwrap();
    logs.only("its handshake is malformed").await;
}

#[tokio::test]
async fn an_oversized_handshake_is_refused() {
    let a = node("a").await;
    let mut stranger = Stranger::dial(&a).await;
    let (status, _) = stranger.ask(HANDSHAKE_ACTION, &vec![0; 100_000]).await;
    assert_eq!(status, 500);
    tokio::time::timeout(PATIENCE, stranger.closed)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn an_incompatible_version_is_refused_with_a_typed_answer() {
    let logs = Logs::capture();
    // One of the future, and one of before keys.
    for (version, min, name) in [(9, 8, "future\nnode"), (2, 1, "old node")] {
        // Of another: the log tells a cause once for each address.
        let a = node("a").await;
        let mut stranger = Stranger::dial(&a).await;
        let node = serde_json::to_value(identity(name)).unwrap();
        let hello = json!({
            "protocol_version": version, "min_protocol_version": min, "node": node, "link": "data",
        });
        let (status, body) = stranger
            .ask(HANDSHAKE_ACTION, &encoding::encode(&hello))
            .await;
        assert_eq!(status, 200);
        let welcome: serde_json::Value = encoding::decode(&body).unwrap();
        assert_eq!(welcome["node"]["name"], "a");
        let refusal = welcome["refusal"].as_str().unwrap();
        let ours = ringwall_transport::PROTOCOL_VERSION;
        let expected = format!(
            "Received message from unsupported version: [{version}] minimal compatible version is: [{ours}]"
        );
        assert!(refusal.starts_with(&expected), "{refusal}");
        let cure = "stop all nodes, upgrade all of them, and start them again";
        assert!(refusal.ends_with(cure), "{refusal}");
        let line = logs
            .only(&format!("unsupported version: [{version}]"))
            .await;
        let shown = name.replace('\n', "\u{fffd}");
        assert!(line.contains(&format!("node [{{{shown}}}{{")), "{line}");
        assert!(line.contains(cure), "{line}");
        tokio::time::timeout(PATIENCE, stranger.closed)
            .await
            .unwrap()
            .unwrap();
    }
}

/// A later version that still speaks ours, and says more than we know.
#[tokio::test]
async fn a_later_version_that_speaks_ours_too_is_let_in() {
    let logs = Logs::capture();
    let a = node("a").await;
    let mut later = Stranger::dial(&a).await;
    let mut node = serde_json::to_value(identity("later")).unwrap();
    node["new_field"] = json!([1]);
    let hello = json!({
        "protocol_version": 9, "min_protocol_version": 1, "node": node, "link": "data", "more": {},
    });
    let (status, body) = later.ask(HANDSHAKE_ACTION, &encoding::encode(&hello)).await;
    assert_eq!(status, 200);
    let welcome: serde_json::Value = encoding::decode(&body).unwrap();
    assert_eq!(welcome["refusal"], json!(null));
    let (status, body) = later.ask(ECHO, b"in our version").await;
    assert_eq!((status, body.as_ref()), (200, &b"in our version"[..]));
    assert!(logs.matching("").is_empty());
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed() {
    let logs = Logs::capture();
    let narrow = TransportConfig {
        max_connections: 1,
        ..config()
    };
    let (a, b) = (node("a").await, node_with(narrow, identity("b")).await);
    a.set_address(id(&b), &address(&b));
    assert_eq!(a.send(id(&b), ECHO, request("x")).await.unwrap(), "x");
    assert!(a.send(id(&b), URGENT, request("x")).await.is_err());
    logs.only("[1] connections are open already").await;
    // The place is free again after the first has gone.
    a.disconnect(id(&b));
    let urgent = async {
        while a.send(id(&b), URGENT, request("x")).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, urgent).await.unwrap();
}

/// Speaks HTTP/2 but is no node.
struct Stranger {
    sender: hyper::client::conn::http2::SendRequest<Full<Bytes>>,
    closed: tokio::task::JoinHandle<()>,
}

impl Stranger {
    async fn dial(to: &Transport) -> Self {
        let tcp = TcpStream::connect(address(to)).await.unwrap();
        let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        let (sender, connection) = builder.handshake(TokioIo::new(tcp)).await.unwrap();
        let closed = tokio::spawn(async move {
            let _ = connection.await;
        });
        Self { sender, closed }
    }

    async fn ask(&mut self, action: &str, body: &[u8]) -> (u16, Bytes) {
        let request = http::Request::post("http://node/")
            .header("action", action)
            .header("timeout-ms", "10000")
            .header("authentication-length", "0")
            .body(Full::from(body.to_vec()))
            .unwrap();
        let response = self.sender.send_request(request).await.unwrap();
        let status = response.status().as_u16();
        (
            status,
            response.into_body().collect().await.unwrap().to_bytes(),
        )
    }
}

#[tokio::test]
async fn an_address_that_a_rule_denies_is_closed_without_a_byte() {
    let logs = Logs::capture();
    let closed_shop = TransportConfig {
        filter: IpFilter {
            deny: vec![IpRule::All],
            deny_setting: "xpack.security.transport.filter.deny".to_owned(),
            ..IpFilter::default()
        }
        .into(),
        ..config()
    };
    let a = node_with(closed_shop, identity("a")).await;
    let mut tcp = TcpStream::connect(address(&a)).await.unwrap();
    let mut rest = Vec::new();
    // Closed or reset: both are a refusal.
    let _ = tcp.read_to_end(&mut rest).await;
    assert!(rest.is_empty());
    let line = logs.only("xpack.security.transport.filter.deny").await;
    assert!(line.contains("the rule [_all]"), "{line}");
}
