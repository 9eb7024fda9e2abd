//! Peers whose certificates are made to cost much.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ringwall_pki::{
    CaParams, CertificateAuthority, DistinguishedName, KeySpec, NodeCertParams, pem,
};
use ringwall_testkit::{Cluster, WITHIN};
use ringwall_tls::{
    ConfiguredPath, KeySource, SslConfig, SslContext, TrustSource, VerificationMode,
};
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::TcpSocket;
use tokio::task::JoinSet;

/// Sixteen peers without any credential. Taken by their names alone, the certificates of each make more paths than can
/// be tried in seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_works_on_under_peers_that_show_costly_certificates() {
    let cluster = Cluster::start(3).await;
    let nodes = cluster.nodes.iter().flatten();
    let ports: Vec<SocketAddr> = nodes
        .map(|running| running.node.local().publish_address.parse().unwrap())
        .collect();
    let directory = tempfile::tempdir().unwrap();
    let stranger = stranger(directory.path());
    let tried = Arc::new(AtomicUsize::new(0));
    let mut peers = JoinSet::new();
    for number in 0..PEERS {
        let port = ports[number % ports.len()];
        let (stranger, tried) = (Arc::clone(&stranger), Arc::clone(&tried));
        peers.spawn(async move {
            loop {
                let socket = TcpSocket::new_v4().unwrap();
                socket.bind("127.0.0.9:0".parse().unwrap()).unwrap();
                // Closed or reset: both are a refusal.
                if let Ok(tcp) = socket.connect(port).await
                    && let Ok(mut stream) = stranger.connect(tcp, "127.0.0.1", port, WITHIN).await
                {
                    let _ = stream.read(&mut [0; 1]).await;
                }
                tried.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let index = json!({"settings": {"number_of_replicas": 2}});
    let (status, answer) = cluster.put(0, "/i", index).await;
    assert_eq!(status, 200, "{answer}");
    let mut written = 0;
    // What each of them began is over more than once.
    while tried.load(Ordering::Relaxed) < 4 * PEERS {
        let path = format!("/i/_doc/{written}");
        let (status, answer) = cluster.put(written % 3, &path, json!({})).await;
        assert_eq!(status, 201, "{answer}");
        written += 1;
    }
    peers.shutdown().await;
    cluster.wait_for_nodes(3).await;
    cluster.wait_for_status(0, "green").await;
    cluster.stop().await;
}

/// Returns a context that shows ten certificates: authorities of one name, each of which may have signed any other.
fn stranger(directory: &Path) -> Arc<SslContext> {
    let key = KeySpec::EcP256;
    let authorities: Vec<CertificateAuthority> = (1..10)
        .map(|_| {
            let dn = DistinguishedName::parse("CN=One Name").unwrap();
            let params = CaParams {
                dn,
                key,
                ..CaParams::default()
            };
            CertificateAuthority::generate(&params).unwrap()
        })
        .collect();
    let params = NodeCertParams {
        key,
        ..NodeCertParams::default()
    };
    let leaf = authorities[0].issue(&params).unwrap();
    let mut chain = vec![leaf.certificate.clone()];
    chain.extend(authorities.iter().map(|ca| ca.certificate().clone()));
    let write = |name: &str, text: &str| {
        std::fs::write(directory.join(name), text).unwrap();
        ConfiguredPath::new(name, directory)
    };
    let key = pem::encode_private_key(&leaf.key, None).unwrap();
    let key = KeySource::Pem {
        key: write("stranger.key", key.expose()),
        passphrase: None,
        certificate: write("stranger.crt", &pem::encode_certificates(&chain)),
    };
    let mut config = SslConfig::new("stranger", key, TrustSource::default());
    config.verification_mode = VerificationMode::None;
    SslContext::load(config, &[]).unwrap()
}

const PEERS: usize = 16;
