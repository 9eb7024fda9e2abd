//! What a reload of the trust costs the requests of a node with many links: all of them are verified again.
//!
//!     cargo bench -p ringwall-transport [-- LINKS]
//!
//! Everything is in this process. Latencies in milliseconds: median, 99.9th, slowest.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use ringwall_base::NodeId;
use ringwall_tls::{ConfiguredPath, KeySource, SslConfig, SslContext, TrustSource};
use ringwall_transport::{
    Callers, InboundContext, NodeIdentity, Request, Transport, TransportConfig,
};

type Ca = CertifiedIssuer<'static, KeyPair>;

const ECHO: &str = "indices:data/read/echo";
const URGENT: &str = "internal:cluster/echo";
const WITHIN: Duration = Duration::from_secs(30);
const MEASURED: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() {
    let links = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .next()
        .unwrap_or(1000usize);
    let (ca, next) = (authority("CA"), authority("next CA"));
    let files = tempfile::tempdir().expect("a temporary directory");
    write(files.path(), &ca, &[&ca]);
    let tls = context(files.path());
    let server = node(&tls, "server").await;
    let address = server.local().publish_address.clone();
    let mut clients = Vec::new();
    // Each has one link for urgent messages and one for data.
    for number in 0..links.div_ceil(2) {
        let client = node(&context(files.path()), &format!("client-{number}")).await;
        client.set_address(server.local().id, &address);
        for action in [ECHO, URGENT] {
            ask(&client, &server, action).await;
        }
        clients.push(client);
    }
    println!("{} links", server.links().len());
    let quiet = latencies(&clients[0], &server).await;
    println!("quiet:    {}", summary(quiet));

    let reloading = latencies(&clients[0], &server);
    let reload = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        write(files.path(), &ca, &[&ca, &next]);
        let again = Arc::clone(&tls);
        let begun = Instant::now();
        tokio::task::spawn_blocking(move || again.reload())
            .await
            .expect("no panic");
        let verifying = server.clone();
        tokio::task::spawn_blocking(move || verifying.reverify_links())
            .await
            .expect("no panic");
        begun.elapsed()
    };
    let (reloading, took) = tokio::join!(reloading, reload);
    println!("reloaded: {}", summary(reloading));
    println!(
        "reload, and every link verified once more: {:.1} ms",
        took.as_secs_f64() * 1000.0
    );
}

async fn latencies(client: &Transport, server: &Transport) -> Vec<f64> {
    let ends = Instant::now() + MEASURED;
    let mut taken = Vec::new();
    while Instant::now() < ends {
        let begun = Instant::now();
        ask(client, server, ECHO).await;
        taken.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    taken
}

fn summary(mut taken: Vec<f64>) -> String {
    taken.sort_by(f64::total_cmp);
    let at = |share: f64| taken[((taken.len() - 1) as f64 * share) as usize];
    format!(
        "{:.3} / {:.3} / {:.3} ({} requests)",
        at(0.5),
        at(0.999),
        at(1.0),
        taken.len()
    )
}

async fn ask(client: &Transport, server: &Transport, action: &'static str) {
    let request = Request {
        body: Bytes::from_static(&[7; 1024]),
        authentication: None,
        timeout: WITHIN,
    };
    let answer = client.send(server.local().id, action, request).await;
    answer.expect("an answer");
}

async fn node(tls: &Arc<SslContext>, name: &str) -> Transport {
    let config = TransportConfig {
        bind: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
        ports: 0..=0,
        tls: Some(Arc::clone(tls)),
        max_connections: 100_000,
        ..TransportConfig::default()
    };
    let identity = NodeIdentity {
        id: NodeId::random(),
        ephemeral_id: ringwall_base::random_uuid(),
        name: name.to_owned(),
        cluster_name: "bench".to_owned(),
        version: "0.1.0".to_owned(),
        roles: vec!["data".to_owned()],
        publish_address: String::new(),
        cluster_uuid: None,
        http_address: None,
        attributes: [("transport_tls".to_owned(), "required".to_owned())].into(),
        key: None,
    };
    let transport = Transport::bind(config, identity)
        .await
        .expect("a free port");
    let echo = |_context: InboundContext, body: Bytes| async { Ok(body) };
    for action in [ECHO, URGENT] {
        transport
            .register(action, Callers::Anyone, echo)
            .expect("a new action");
    }
    transport.start();
    transport
}

fn context(files: &Path) -> Arc<SslContext> {
    let path = |name: &str| ConfiguredPath::new(name, files);
    let key = KeySource::Pem {
        key: path("node.key"),
        passphrase: None,
        certificate: path("node.crt"),
    };
    let trust = TrustSource::Pem(vec![path("ca.crt")]);
    let config = SslConfig::new("xpack.security.transport.ssl", key, trust);
    SslContext::load(config, &["h2"]).expect("usable files")
}

fn authority(name: &str) -> Ca {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA")
}

/// Writes what is trusted, and a node certificate unless there is one.
fn write(files: &Path, issuer: &Ca, trusted: &[&Ca]) {
    let put = |name: &str, text: String| {
        std::fs::write(files.join(name), text).expect("a writable directory");
    };
    put("ca.crt", trusted.iter().map(|ca| ca.pem()).collect());
    if files.join("node.key").exists() {
        return;
    }
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.use_authority_key_identifier_extension = true;
    params.subject_alt_names = vec![SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST))];
    let certificate = params.signed_by(&key, issuer).expect("a certificate");
    put("node.key", key.serialize_pem());
    put("node.crt", certificate.pem());
}
