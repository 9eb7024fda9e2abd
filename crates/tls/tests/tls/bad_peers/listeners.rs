//! The same peers against both ports of whole nodes: nobody joins, everybody is named in the log, and nothing is
//! held when its time is over.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use ringwall_node::node::Node;
use ringwall_settings::Settings;
use ringwall_tls::{ClientAuthentication, VerificationMode};
use rustls::{ClientConfig, SupportedProtocolVersion};
use rustls_pki_types::ServerName;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::bytes::{self, Peer};
use super::certificates::Shown;
use super::{
    AUTHENTICATIONS, Bench, Gullible, MODES, PROTOCOLS, expected_of_client, identity, linger,
    provider,
};

#[tokio::test(flavor = "multi_thread")]
async fn nobody_joins_or_holds_a_place_and_everybody_is_named() {
    let log = Log::start();
    let bench = Arc::new(Bench::new());
    for mode in MODES {
        for authentication in AUTHENTICATIONS {
            let target = Target::start(&bench, mode, authentication, PATIENT).await;
            // Ports are used again, not so soon.
            log.0.lock().clear();
            let mut attacks = tokio::task::JoinSet::new();
            for (layer, address) in target.ports() {
                for (protocol, version) in PROTOCOLS {
                    for number in 0..bench.certificates.shown.len() {
                        let (bench, log) = (Arc::clone(&bench), log.clone());
                        attacks.spawn(async move {
                            let shown = &bench.certificates.shown[number];
                            let what = format!("{layer:?} {mode:?} {authentication:?} {protocol}");
                            let what = format!("{what}: {}", shown.name);
                            let expected = expected_of_client(shown, mode, authentication);
                            let from = show(layer, address, shown, version).await;
                            log.has(&what, from, expected.unwrap_or(layer.stranger()))
                                .await;
                        });
                    }
                }
                let others = |peer: &Peer| !peer.meets_the_deadline();
                for peer in bytes::peers().into_iter().filter(others) {
                    let what = format!("{layer:?} {mode:?} {authentication:?}: {}", peer.name);
                    attacks.spawn(say(layer, address, peer, log.clone(), what));
                }
            }
            attacks.join_all().await;
            target.is_as_before().await;
            target.node.stop().await;
        }
    }
    those_who_stop_speaking_are_closed(&bench, &log).await;
}

/// Beside the others, who must not meet the deadline on a machine that is busy. One log is for the whole process.
async fn those_who_stop_speaking_are_closed(bench: &Arc<Bench>, log: &Log) {
    let (mode, authentication) = (VerificationMode::Full, ClientAuthentication::Required);
    let target = Target::start(bench, mode, authentication, HASTY).await;
    log.0.lock().clear();
    let mut attacks = tokio::task::JoinSet::new();
    for (layer, address) in target.ports() {
        for peer in bytes::peers().into_iter().filter(Peer::meets_the_deadline) {
            let what = format!("{layer:?}: {}", peer.name);
            attacks.spawn(say(layer, address, peer, log.clone(), what));
        }
    }
    let (bench, log) = (Arc::clone(bench), log.clone());
    let transport = target.ports()[0].1;
    attacks.spawn(async move {
        let good = &bench.certificates.shown[0];
        let tcp = Layer::Transport.dial(transport).await;
        let from = tcp.local_addr().unwrap();
        let stream = shake(good, PROTOCOLS[0].1, tcp).await.unwrap();
        let line = "the peer sent no request in time";
        log.has("silent after its handshake", from, line).await;
        drop(stream);
    });
    attacks.join_all().await;
    target.is_as_before().await;
    target.node.stop().await;
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Layer {
    Transport,
    Http,
}

impl Layer {
    /// Dials from an address of its own: connections to two ports may have one port of the same address, and so may
    /// those of other tests in this process.
    async fn dial(self, address: SocketAddr) -> TcpStream {
        let from = match self {
            Self::Transport => "127.0.0.2:0",
            Self::Http => "127.0.0.3:0",
        };
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(from.parse().unwrap()).unwrap();
        socket.connect(address).await.unwrap()
    }

    /// What the log has of a peer that came through the handshake and then sent [`REQUEST`].
    fn stranger(self) -> &'static str {
        match self {
            Self::Transport => "received an HTTP request on the transport port",
            Self::Http => "",
        }
    }

    fn expected(self, peer: &Peer) -> &'static str {
        match (self, peer.name) {
            (Self::Transport, _) => peer.accepting,
            (Self::Http, "HTTP request" | "HTTP answer" | "HTTP/2") => {
                "received plaintext http traffic on an https channel|the client must use https://"
            }
            (Self::Http, "plaintext" | "SSLv2 hello" | "random bytes") => {
                "received plaintext traffic on an https channel"
            }
            (Self::Http, name) if name.contains("Elasticsearch") => {
                "on an https channel|a message of Elasticsearch's transport protocol"
            }
            (Self::Http, "silence") => "said nothing within [http.handshake_timeout]",
            (Self::Http, _) => peer.accepting,
        }
    }
}

/// A node with the certificate of the matrix, alone in its cluster.
struct Target {
    node: Node,
    files: usize,
    _home: tempfile::TempDir,
}

impl Target {
    async fn start(
        bench: &Bench,
        mode: VerificationMode,
        authentication: ClientAuthentication,
        handshake_timeout: &str,
    ) -> Self {
        let home = tempfile::tempdir().unwrap();
        let file = |name: &str| bench.directory.path().join(name).display().to_string();
        let mut settings: Vec<(String, String)> = [
            ("node.name", "target"),
            ("cluster.initial_master_nodes", "target"),
            ("http.port", "0"),
            ("transport.port", "0"),
            ("transport.handshake_timeout", handshake_timeout),
            ("http.handshake_timeout", handshake_timeout),
            // All of a layer come from one address.
            ("transport.max_handshake_failures", "1000000"),
            ("http.max_handshake_failures", "1000000"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        for layer in ["transport", "http"] {
            for (key, value) in [
                ("enabled", "true".to_owned()),
                ("key", file("node.key")),
                ("certificate", file("node.crt")),
                ("certificate_authorities", file("ca.crt")),
                ("certificate_revocation_lists", file("ca.crl")),
                ("verification_mode", format!("{mode:?}").to_lowercase()),
                (
                    "client_authentication",
                    format!("{authentication:?}").to_lowercase(),
                ),
            ] {
                settings.push((format!("xpack.security.{layer}.ssl.{key}"), value));
            }
        }
        let settings: Vec<(&str, &str)> = settings
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        let config = home.path().join("config");
        std::fs::create_dir_all(&config).unwrap();
        let settings = Settings::from_overrides(&config, &settings, None).unwrap();
        let node = Node::start(settings, home.path()).await.unwrap();
        let founded = node.wait_until(PATIENCE, |state| state.nodes.len() == 1);
        assert!(founded.await);
        Self {
            node,
            files: open_files(),
            _home: home,
        }
    }

    fn ports(&self) -> [(Layer, SocketAddr); 2] {
        let transport = self.node.local().publish_address.parse().unwrap();
        [
            (Layer::Transport, transport),
            (Layer::Http, self.node.http_addresses()[0]),
        ]
    }

    /// The cluster is what it was, and every place and file is given back.
    async fn is_as_before(&self) {
        let given_back = async {
            loop {
                let held = self.node.connections();
                if held.iter().all(|(_, count)| *count == 0) && open_files() <= self.files {
                    return;
                }
                tokio::time::sleep(POLL).await;
            }
        };
        let late = tokio::time::timeout(PATIENCE, given_back).await.is_err();
        let held = self.node.connections();
        assert!(!late, "{held:?}, files {} to {}", self.files, open_files());
        let alone = self
            .node
            .wait_until(PATIENCE, |state| state.nodes.len() == 1);
        assert!(alone.await);
    }
}

fn open_files() -> usize {
    Path::new("/proc/self/fd").read_dir().unwrap().count()
}

/// Dials, shows the certificate, sends a request, and waits until the node closes. Returns the own address.
async fn show(
    layer: Layer,
    address: SocketAddr,
    shown: &Shown,
    version: &'static SupportedProtocolVersion,
) -> SocketAddr {
    let tcp = layer.dial(address).await;
    let from = tcp.local_addr().unwrap();
    if let Ok(mut stream) = shake(shown, version, tcp).await {
        // A refusal may come first.
        let _ = stream.write_all(REQUEST).await;
        let closed = tokio::time::timeout(PATIENCE, linger(stream)).await;
        assert!(closed.is_ok(), "{layer:?}: {} is held", shown.name);
    }
    from
}

async fn shake(
    shown: &Shown,
    version: &'static SupportedProtocolVersion,
    tcp: TcpStream,
) -> std::io::Result<TlsStream<TcpStream>> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Gullible));
    let mut config = match shown.chain.is_empty() {
        true => builder.with_no_client_auth(),
        false => builder.with_client_cert_resolver(Arc::new(identity(shown))),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await
}

/// Behaves as the peer does until the log has it.
async fn say(layer: Layer, address: SocketAddr, peer: Peer, log: Log, what: String) {
    let expected = layer.expected(&peer);
    let tcp = layer.dial(address).await;
    let from = tcp.local_addr().unwrap();
    tokio::select! {
        () = log.has(&what, from, expected) => {}
        () = bytes::act(tcp, &peer) => unreachable!("the peer never ends first"),
    }
}

/// Everything that is logged in this process.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn start() -> Self {
        let log = Self::default();
        let writer = log.clone();
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .init();
        log
    }

    /// Waits for a line about this peer with all of these parts; `""` wants no warning.
    async fn has(&self, what: &str, from: SocketAddr, expected: &str) {
        let mark = format!("[{from}]");
        let lines = || -> Vec<String> {
            let text = self.0.lock();
            let text = String::from_utf8_lossy(&text);
            let about = text.lines().filter(|line| line.contains(&mark));
            about.map(str::to_owned).collect()
        };
        if expected.is_empty() {
            let warned = lines().into_iter().find(|line| line.contains(" WARN "));
            assert_eq!(warned, None, "{what}");
            return;
        }
        let found = async {
            while !lines()
                .iter()
                .any(|line| expected.split('|').all(|part| line.contains(part)))
            {
                tokio::time::sleep(POLL).await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, found).await;
        assert!(
            found.is_ok(),
            "{what}: no line with [{expected}] in {:#?}",
            lines()
        );
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Neither port speaks it on a connection that agreed on HTTP/2.
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: es\r\n\r\n";
/// Handshake timeouts: one that nobody meets, and one that who stops speaking does.
const PATIENT: &str = "10m";
const HASTY: &str = "3s";
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(10);
