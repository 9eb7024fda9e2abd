//! The same over mutual TLS.

use std::path::Path;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use ringwall_tls::{ConfiguredPath, KeySource, SslConfig, SslContext, TrustSource};
use ringwall_transport::{ConnectError, ConnectionEvent, Transport, TransportConfig};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::*;

pub type Ca = CertifiedIssuer<'static, KeyPair>;

pub fn ca(name: &str) -> Ca {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Writes a node's key and certificate, and the CAs it trusts.
pub fn write_files(dir: &Path, name: &str, issuer: &Ca, trusted: &[&Ca]) {
    let mut params =
        CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    std::fs::write(dir.join("node.key"), key.serialize_pem()).unwrap();
    std::fs::write(dir.join("node.crt"), certificate.pem()).unwrap();
    write_trust(dir, trusted);
}

pub fn write_trust(dir: &Path, trusted: &[&Ca]) {
    let pems: String = trusted.iter().map(|ca| ca.pem()).collect();
    std::fs::write(dir.join("ca.crt"), pems).unwrap();
}

/// Returns the context of the files in a directory.
pub fn tls_context(dir: &Path) -> Arc<SslContext> {
    context(dir, true)
}

fn context(dir: &Path, with_key: bool) -> Arc<SslContext> {
    let path = |file: &str| ConfiguredPath::new(file, dir);
    let key = match with_key {
        true => KeySource::Pem {
            key: path("node.key"),
            passphrase: None,
            certificate: path("node.crt"),
        },
        false => KeySource::None,
    };
    let trust = TrustSource::Pem(vec![path("ca.crt")]);
    let config = SslConfig::new("xpack.security.transport.ssl", key, trust);
    SslContext::load(config, &[]).unwrap()
}

struct TlsNode {
    transport: Transport,
    tls: Arc<SslContext>,
    dir: TempDir,
}

async fn tls_node(name: &str, issuer: &Ca, trusted: &[&Ca], with_key: bool) -> TlsNode {
    let dir = tempfile::tempdir().unwrap();
    write_files(dir.path(), name, issuer, trusted);
    let tls = context(dir.path(), with_key);
    let config = TransportConfig {
        tls: Some(Arc::clone(&tls)),
        ..config()
    };
    let transport = node_with(config, identity(name)).await;
    TlsNode {
        transport,
        tls,
        dir,
    }
}

#[tokio::test]
async fn three_nodes_talk_over_mutual_tls() {
    let logs = Logs::capture();
    let ca = ca("ring CA");
    let mut nodes = Vec::new();
    for name in ["a", "b", "c"] {
        nodes.push(tls_node(name, &ca, &[&ca], true).await);
    }
    for from in &nodes {
        for to in &nodes {
            assert_eq!(
                ask(&from.transport, &to.transport, "hello").await.unwrap(),
                "hello"
            );
        }
    }
    let port = nodes[1].transport.bound_addresses()[0].port();
    let by_name = nodes[0]
        .transport
        .probe(&format!("localhost:{port}"), PATIENCE)
        .await
        .unwrap();
    assert_eq!(by_name.name, "b");
    assert!(logs.matching("").is_empty());
}

#[tokio::test]
async fn big_bodies_cross_tls() {
    let ca = ca("ring CA");
    let (a, b) = (
        tls_node("a", &ca, &[&ca], true).await,
        tls_node("b", &ca, &[&ca], true).await,
    );
    let (a, b) = (&a.transport, &b.transport);
    a.set_address(id(b), &address(b));
    let body = bytes::Bytes::from(vec![42; 8 << 20]);
    assert!(a.send(id(b), ECHO, request(body.clone())).await.unwrap() == body);
}

#[tokio::test]
async fn a_node_of_another_ca_is_refused_and_both_ends_say_why() {
    let logs = Logs::capture();
    let (ours, theirs) = (ca("our CA"), ca("their CA"));
    let a = tls_node("a", &ours, &[&ours, &theirs], true).await;
    let b = tls_node("b", &theirs, &[&theirs], true).await;
    // b does not trust a; a would trust b.
    let error = a
        .transport
        .probe(&address(&b.transport), PATIENCE)
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectError::Tls(_)), "{error:?}");
    let acceptor = logs.only("failed to establish trust with client at").await;
    assert!(
        acceptor.contains("CN=a") && acceptor.contains("our CA"),
        "{acceptor}"
    );
    let dialler = logs
        .only(&format!("peer.address=\"{}\"", address(&b.transport)))
        .await;
    assert!(dialler.contains("unknown_ca"), "{dialler}");

    // And the other way round it is the dialler that refuses.
    let error = b
        .transport
        .probe(&address(&a.transport), PATIENCE)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), "untrusted_issuer");
    logs.only("failed to establish trust with server at").await;
    eventually("the acceptor tells too", || logs.matching("").len() == 4).await;
}

#[tokio::test]
async fn a_node_without_a_certificate_is_refused_and_told() {
    let logs = Logs::capture();
    let ca = ca("ring CA");
    let a = tls_node("a", &ca, &[&ca], false).await;
    let b = tls_node("b", &ca, &[&ca], true).await;
    let error = a
        .transport
        .probe(&address(&b.transport), PATIENCE)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), "peer_rejected_us", "{error}");
    assert!(
        error.to_string().contains("certificate_required"),
        "{error}"
    );
    logs.only("the client did not provide a certificate").await;
}

#[tokio::test]
async fn cluster_name_refusals_name_the_certificate() {
    let logs = Logs::capture();
    let ca = ca("ring CA");
    let a = tls_node("a", &ca, &[&ca], true).await;
    let b = tls_node("b", &ca, &[&ca], true).await;
    b.transport
        .update_local(|local| local.cluster_name = "other".to_owned());
    assert!(
        a.transport
            .probe(&address(&b.transport), PATIENCE)
            .await
            .is_err()
    );
    let dialler = logs.only("local cluster name [ring]").await;
    assert!(dialler.contains("with certificate [CN=b]"), "{dialler}");
    let acceptor = logs.only("local cluster name [other]").await;
    assert!(acceptor.contains("with certificate [CN=a]"), "{acceptor}");
}

#[tokio::test]
async fn a_node_without_tls_and_one_with_do_not_talk() {
    let logs = Logs::capture();
    let ca = ca("ring CA");
    let with = tls_node("with", &ca, &[&ca], true).await;
    let without = node("without").await;
    let error = without
        .probe(&address(&with.transport), PATIENCE)
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("xpack.security.transport.ssl.enabled"),
        "{error}"
    );
    logs.only("received plaintext").await;
    logs.only("this node's transport TLS is off: the node there may require TLS")
        .await;

    let error = with
        .transport
        .probe(&address(&without), PATIENCE)
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectError::Tls(_)), "{error:?}");
    logs.only("SSL/TLS request received but SSL/TLS is not enabled on this node")
        .await;
    eventually("the dialler tells too", || logs.matching("").len() == 4).await;
}

#[tokio::test]
async fn an_http_client_on_the_tls_port_is_closed_without_a_byte() {
    let logs = Logs::capture();
    let ca = ca("ring CA");
    let a = tls_node("a", &ca, &[&ca], true).await;
    let mut tcp = tokio::net::TcpStream::connect(address(&a.transport))
        .await
        .unwrap();
    tcp.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _ = tcp.read_to_end(&mut answer).await;
    assert!(answer.is_empty());
    logs.only("received plaintext").await;
}

#[tokio::test]
async fn removing_a_ca_closes_the_links_behind_it_on_both_ends() {
    let (ours, theirs) = (ca("our CA"), ca("their CA"));
    let both = [&ours, &theirs];
    let a = tls_node("a", &ours, &both, true).await;
    let b = tls_node("b", &theirs, &both, true).await;
    let c = tls_node("c", &ours, &both, true).await;
    for (from, to) in [(&a, &b), (&b, &a), (&a, &c)] {
        assert_eq!(ask(&from.transport, &to.transport, "x").await.unwrap(), "x");
    }
    let (mut events_a, mut events_b) = (a.transport.events(), b.transport.events());
    write_trust(a.dir.path(), &[&ours]);
    a.tls.reload();
    let (lost, reason) = next_disconnect(&mut events_a).await;
    assert_eq!(lost, id(&b.transport));
    assert!(reason.contains("no longer trusted"), "{reason}");
    // b's own link to a is closed by a.
    assert_eq!(next_disconnect(&mut events_b).await.0, id(&a.transport));
    assert_eq!(a.transport.connected_nodes().len(), 1);
    assert_eq!(ask(&a.transport, &c.transport, "y").await.unwrap(), "y");
    assert!(ask(&a.transport, &b.transport, "y").await.is_err());
    assert!(ask(&b.transport, &a.transport, "y").await.is_err());

    // Trust returns, and the nodes with it.
    write_trust(a.dir.path(), &both);
    a.tls.reload();
    assert_eq!(ask(&a.transport, &b.transport, "z").await.unwrap(), "z");
    assert_eq!(
        next_event(&mut events_a).await,
        ConnectionEvent::Connected(id(&b.transport))
    );
}

#[tokio::test]
async fn an_examination_tells_what_was_seen_and_keeps_nothing() {
    let ca = ca("CA");
    let other = self::ca("Other CA");
    let node = tls_node("a", &ca, &[&ca], true).await;
    let examine = async |tls: Option<Arc<SslContext>>, cluster: &str, address: &str| {
        let mut local = identity("doctor");
        local.cluster_name = cluster.to_owned();
        let config = TransportConfig { tls, ..config() };
        let mut found = ringwall_transport::examine(config, local, address)
            .await
            .unwrap();
        assert_eq!(found.len(), 1);
        found.remove(0)
    };
    let address = address(&node.transport);
    let good = examine(Some(Arc::clone(&node.tls)), "ring", &address).await;
    assert_eq!(good.result.unwrap().id, id(&node.transport));
    assert_eq!(good.seen.protocol, Some("TLSv1.3"));
    assert!(good.seen.certificate.unwrap().names("127.0.0.1"));
    assert!(node.transport.connected_nodes().is_empty());

    let refused = examine(Some(Arc::clone(&node.tls)), "other", &address).await;
    assert!(matches!(refused.result, Err(ConnectError::Refused { .. })));
    assert!(refused.seen.cipher_suite.is_some());

    // It is trusted here, but does not trust this side: told although its refusal comes late.
    let dir = tempfile::tempdir().unwrap();
    write_files(dir.path(), "stranger", &other, &[&ca]);
    let rejected = examine(Some(context(dir.path(), true)), "ring", &address).await;
    let Err(ConnectError::Tls(failure)) = rejected.result else {
        panic!("{:?}", rejected.result);
    };
    assert_eq!(failure.reason().kind(), "peer_rejected_us");

    let plain = examine(None, "ring", &address).await;
    assert!(plain.result.is_err() && plain.seen.protocol.is_none());
    let local = identity("doctor");
    let unresolved = ringwall_transport::examine(config(), local, "no-port").await;
    assert!(matches!(unresolved, Err(ConnectError::Resolve { .. })));
}
