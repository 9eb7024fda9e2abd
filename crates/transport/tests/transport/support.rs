//! Nodes, a proxy that can fail, captured logs.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use ringwall_api::ApiError;
use ringwall_base::NodeId;
use ringwall_transport::{
    Callers, ConnectionEvent, InboundContext, KeepAlive, NodeIdentity, Request, SendError,
    Transport, TransportConfig,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};

pub const SECOND: Duration = Duration::from_secs(1);
/// Long enough for a busy machine; only a failing test waits so long.
pub const PATIENCE: Duration = Duration::from_secs(120);
pub const ECHO: &str = "indices:data/read/echo";
pub const URGENT: &str = "internal:cluster/echo";

pub fn identity(name: &str) -> NodeIdentity {
    NodeIdentity {
        id: NodeId::random(),
        ephemeral_id: ringwall_base::random_uuid(),
        name: name.to_owned(),
        cluster_name: "ring".to_owned(),
        version: "0.1.0".to_owned(),
        roles: vec!["master".to_owned(), "data".to_owned()],
        publish_address: String::new(),
        cluster_uuid: None,
        http_address: None,
        attributes: [("rack".to_owned(), "r1".to_owned())].into(),
        key: None,
    }
}

pub fn config() -> TransportConfig {
    TransportConfig {
        ports: 0..=0,
        connect_timeout: PATIENCE,
        handshake_timeout: PATIENCE,
        connect_wait: PATIENCE,
        redial_interval: PATIENCE,
        keep_alive: KeepAlive {
            interval: SECOND,
            timeout: PATIENCE,
        },
        shutdown_grace: Duration::from_millis(200),
        ..TransportConfig::default()
    }
}

/// Returns a started node that echoes.
pub async fn node(name: &str) -> Transport {
    node_with(config(), identity(name)).await
}

pub async fn node_with(config: TransportConfig, identity: NodeIdentity) -> Transport {
    let transport = Transport::bind(config, identity).await.unwrap();
    transport.register(ECHO, Callers::Anyone, echo).unwrap();
    transport.register(URGENT, Callers::Anyone, echo).unwrap();
    transport.start();
    transport
}

pub async fn echo(_context: InboundContext, body: Bytes) -> Result<Bytes, ApiError> {
    Ok(body)
}

pub fn address(transport: &Transport) -> String {
    transport.local().publish_address.clone()
}

pub fn id(transport: &Transport) -> NodeId {
    transport.local().id
}

pub fn request(body: impl Into<Bytes>) -> Request<'static> {
    Request {
        body: body.into(),
        authentication: None,
        timeout: PATIENCE,
    }
}

/// Sends an echo from one node to another, whose address becomes known.
pub async fn ask(from: &Transport, to: &Transport, body: &'static str) -> Result<Bytes, SendError> {
    from.set_address(id(to), &address(to));
    from.send(id(to), ECHO, request(body)).await
}

pub async fn next_event(events: &mut broadcast::Receiver<ConnectionEvent>) -> ConnectionEvent {
    let next = tokio::time::timeout(PATIENCE, events.recv()).await;
    next.expect("an event in time").unwrap()
}

pub async fn next_disconnect(
    events: &mut broadcast::Receiver<ConnectionEvent>,
) -> (NodeId, String) {
    loop {
        if let ConnectionEvent::Disconnected { node, reason } = next_event(events).await {
            return (node, reason);
        }
    }
}

/// Waits until something holds.
pub async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .unwrap_or_else(|_| panic!("{what}"));
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Line {
    Open,
    /// Bytes are swallowed: a half-open link.
    Dead,
    /// Connections are reset.
    Cut,
}

/// Stands between two nodes.
pub struct Proxy {
    pub address: String,
    pub accepted: Arc<AtomicUsize>,
    line: watch::Sender<Line>,
}

impl Proxy {
    pub async fn to(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            address: listener.local_addr().unwrap().to_string(),
            accepted: Arc::default(),
            line: watch::Sender::new(Line::Open),
        };
        let (accepted, line) = (Arc::clone(&proxy.accepted), proxy.line.clone());
        tokio::spawn(async move {
            while let Ok((inbound, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::SeqCst);
                let outbound = TcpStream::connect(&target).await.unwrap();
                tokio::spawn(carry(inbound, outbound, line.subscribe()));
            }
        });
        proxy
    }

    pub fn set(&self, line: Line) {
        self.line.send_replace(line);
    }
}

async fn carry(mut inbound: TcpStream, mut outbound: TcpStream, mut line: watch::Receiver<Line>) {
    let failed = tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut inbound, &mut outbound) => return,
        line = line.wait_for(|line| *line != Line::Open) => line.map(|line| *line),
    };
    if let Ok(Line::Dead) = failed {
        let _ = line.wait_for(|line| *line == Line::Cut).await;
    }
}

/// The warnings of this thread, that is, of one test with its runtime of one thread.
pub struct Logs {
    lines: Arc<Mutex<Vec<u8>>>,
    _guard: tracing::subscriber::DefaultGuard,
}

impl Logs {
    pub fn capture() -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Sink(Arc::clone(&lines));
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::WARN)
            .with_ansi(false)
            .with_writer(move || sink.clone())
            .finish();
        Self {
            lines,
            _guard: tracing::subscriber::set_default(subscriber),
        }
    }

    pub fn matching(&self, part: &str) -> Vec<String> {
        let text = String::from_utf8(self.lines.lock().clone()).unwrap();
        text.lines()
            .filter(|line| line.contains(part))
            .map(str::to_owned)
            .collect()
    }

    /// Waits for the one warning that holds the text.
    pub async fn only(&self, part: &str) -> String {
        let seen = || !self.matching(part).is_empty();
        if !seen() {
            eventually_or(seen, || format!("no [{part}] in {:?}", self.matching(""))).await;
        }
        let lines = self.matching(part);
        assert_eq!(lines.len(), 1, "{lines:#?}");
        lines[0].clone()
    }
}

async fn eventually_or(holds: impl Fn() -> bool, complaint: impl Fn() -> String) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .unwrap_or_else(|_| panic!("{}", complaint()));
}

#[derive(Clone)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
