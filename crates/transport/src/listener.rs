//! The accepting side: ports, the accept loop, and what a connection starts with.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ringwall_base::{Decision, Denied};
use ringwall_tls::{MaybeTlsStream, UnexpectedTls, listen};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::config::ProfileConfig;
use crate::core::Core;
use crate::error::BindError;
use crate::inbound;
use crate::profile::Profile;
use crate::sockets::{Listener, Network};

/// Listens on the first port that is free on every address.
pub(crate) async fn bind(
    config: &ProfileConfig,
    network: Option<&dyn Network>,
) -> Result<Vec<(Listener, SocketAddr)>, BindError> {
    if let Some(network) = network {
        return simulated(config, network).await;
    }
    let profile = config.name.clone();
    if config.bind.is_empty() {
        return Err(BindError::NoAddress { profile });
    }
    let bound = listen::bind(&config.bind, &config.ports).await;
    let bound = bound.map_err(|error| match error {
        listen::BindError::Bind { address, source } => BindError::Bind {
            profile,
            address,
            source,
        },
        listen::BindError::PortsTaken { ports, addresses } => BindError::PortsTaken {
            profile,
            ports,
            addresses,
        },
    })?;
    let with_address = |listener: TcpListener| {
        let address = listener.local_addr().ok()?;
        Some((Listener::Tcp(listener), address))
    };
    Ok(bound.into_iter().filter_map(with_address).collect())
}

async fn simulated(
    config: &ProfileConfig,
    network: &dyn Network,
) -> Result<Vec<(Listener, SocketAddr)>, BindError> {
    let mut listeners = Vec::new();
    for ip in &config.bind {
        let address = SocketAddr::new(*ip, *config.ports.start());
        let listening = network.listen(address).await;
        let acceptor = listening.map_err(|source| BindError::Bind {
            profile: config.name.clone(),
            address,
            source,
        })?;
        listeners.push((Listener::Simulated(acceptor), address));
    }
    Ok(listeners)
}

/// Returns the `host:port` that is to be dialled.
pub(crate) fn publish_address(config: &ProfileConfig, bound: &[SocketAddr]) -> String {
    let first = bound.first().copied();
    let port = config
        .publish_port
        .or(first.map(|address| address.port()))
        .unwrap_or(0);
    let host = match (&config.publish_host, first.map(|address| address.ip())) {
        (Some(host), _) => host.clone(),
        (None, Some(ip)) if !ip.is_unspecified() => ip.to_string(),
        (None, _) => outward_ip().to_string(),
    };
    match host.parse::<Ipv6Addr>() {
        Ok(ip) => format!("[{ip}]:{port}"),
        Err(_) => format!("{host}:{port}"),
    }
}

/// Accepts peers until the transport stops.
pub(crate) async fn accept_loop(core: Arc<Core>, profile: Arc<Profile>, mut listener: Listener) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = core.stopping.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Typically out of file descriptors: others must close first.
                tracing::warn!(%error, "cannot accept a transport connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let decision = profile.filter.decide(peer);
        if let Decision::Denied(denied) = &decision {
            refuse_denied(&core, &profile, peer, denied);
            continue;
        }
        let turn = core.handshakes.begin(peer.ip());
        let (core, profile) = (Arc::clone(&core), Arc::clone(&profile));
        let by_name = decision == Decision::ByName;
        let tasks = core.inbound_tasks.clone();
        tasks.spawn(async move {
            let let_in = async { !by_name || is_let_in(&core, &profile, peer).await };
            let let_in = tokio::select! {
                biased;
                let_in = let_in => let_in,
                () = turn.given_up() => false,
            };
            if let_in {
                inbound::serve(core, profile, socket, peer, turn).await;
            }
        });
    }
}

/// Decides by the name of the peer, which takes time. Nothing is said to it meanwhile.
async fn is_let_in(core: &Core, profile: &Profile, peer: SocketAddr) -> bool {
    let decided = profile.filter.denied_by_name(peer);
    match core.stopping.run_until_cancelled(decided).await {
        None => false,
        Some(None) => true,
        Some(Some(denied)) => {
            refuse_denied(core, profile, peer, &denied);
            false
        }
    }
}

fn refuse_denied(core: &Core, profile: &Profile, peer: SocketAddr, denied: &Denied) {
    let line = format!("closing connection from [{peer}]: {denied}");
    profile.refuse(&core.refusals, peer, "ip_filter", line);
}

/// What a connection starts with, after TLS where TLS is on. Source: RFC 9113 section 3.4 (the preface of HTTP/2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opening {
    /// A node of ours.
    Http2,
    Http1,
    /// We were dialled by something that answers like an HTTP server.
    HttpResponse,
    TlsHello([u8; 4]),
    /// A node of Elasticsearch or one of its old transport clients.
    Elasticsearch,
    Unknown([u8; 4]),
    /// The peer closed without a word, as health checks and port scanners do.
    Closed,
    /// The peer sent nothing, or not enough, in time.
    Silent,
}

impl Opening {
    /// Returns a short constant name, for limiting repeated log lines.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Http2 => "http2",
            Self::Http1 => "http",
            Self::HttpResponse => "http_response",
            Self::TlsHello(_) => "unexpected_tls",
            Self::Elasticsearch => "elasticsearch",
            Self::Unknown(_) => "unknown_protocol",
            Self::Closed => "closed",
            Self::Silent => "silent",
        }
    }

    /// Returns the line for the operator; `None` for what is everyday. Source: Elasticsearch reference, "Common
    /// SSL/TLS exceptions".
    pub(crate) fn explain(self, peer: SocketAddr) -> Option<String> {
        let text = match self {
            Self::Http2 | Self::Closed => return None,
            Self::Http1 => {
                "received an HTTP request on the transport port: This is not an HTTP port; \
                 send it to [http.port]"
                    .to_owned()
            }
            Self::HttpResponse => {
                "received HTTP response on transport port, ensure that transport port \
                 (not HTTP port) of a remote node is specified in the configuration"
                    .to_owned()
            }
            Self::TlsHello(first_bytes) => {
                let hello = UnexpectedTls { first_bytes, peer };
                format!("{hello} (xpack.security.transport.ssl.enabled)")
            }
            Self::Elasticsearch => {
                "peer speaks the Elasticsearch transport protocol, which this node does \
                 not support; nodes of both programs cannot form one cluster"
                    .to_owned()
            }
            Self::Unknown([a, b, c, d]) => {
                format!("invalid internal transport message format, got ({a:x},{b:x},{c:x},{d:x})")
            }
            Self::Silent => "handshake_timeout: the peer sent no request in time".to_owned(),
        };
        Some(text)
    }
}

/// Reads until it is clear what the peer speaks. Returns the bytes read. The caller sets the deadline.
pub(crate) async fn read_opening(stream: &mut MaybeTlsStream) -> io::Result<(Opening, Bytes)> {
    let mut seen = BytesMut::with_capacity(PREFACE.len());
    loop {
        if let Some(opening) = classify(&seen) {
            return Ok((opening, seen.freeze()));
        }
        let mut chunk = [0; PREFACE.len()];
        let wanted = PREFACE.len() - seen.len();
        let read = stream.read(&mut chunk[..wanted]).await?;
        if read == 0 {
            let opening = match seen.is_empty() {
                true => Opening::Closed,
                false => Opening::Unknown(first_four(&seen)),
            };
            return Ok((opening, seen.freeze()));
        }
        seen.extend_from_slice(&chunk[..read]);
    }
}

/// Tells an HTTP/1 client where it is, then closes.
pub(crate) async fn answer_http(mut stream: MaybeTlsStream) {
    let answer = async {
        stream.write_all(NOT_AN_HTTP_PORT).await?;
        stream.shutdown().await?;
        // Closing with unread bytes would reset the connection and lose the answer.
        let mut sink = [0; 1024];
        for _ in 0..DRAIN_READS {
            if stream.read(&mut sink).await? == 0 {
                break;
            }
        }
        io::Result::Ok(())
    };
    match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(error)) => tracing::debug!(%error, "cannot answer an HTTP client"),
    }
}

/// Returns what the bytes are, or `None` while they could still become several things.
fn classify(seen: &[u8]) -> Option<Opening> {
    if PREFACE.starts_with(seen) {
        return (seen.len() == PREFACE.len()).then_some(Opening::Http2);
    }
    if seen.len() < 4 {
        return None;
    }
    let first = first_four(seen);
    Some(match &first {
        [0x16, 3, ..] => Opening::TlsHello(first),
        [b'E', b'S', ..] => Opening::Elasticsearch,
        b"HTTP" => Opening::HttpResponse,
        b"GET " | b"HEAD" | b"POST" | b"PUT " | b"DELE" | b"OPTI" | b"PATC" | b"TRAC" | b"CONN" => {
            Opening::Http1
        }
        _ => Opening::Unknown(first),
    })
}

fn first_four(seen: &[u8]) -> [u8; 4] {
    let mut first = [0; 4];
    for (slot, byte) in first.iter_mut().zip(seen) {
        *slot = *byte;
    }
    first
}

/// Returns the address of the interface with the default route, or loopback. Nothing is sent.
pub fn outward_ip() -> IpAddr {
    let routed = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        // TEST-NET-1: asks the routing table for "anywhere else".
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        Ok(socket.local_addr()?.ip())
    });
    routed.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

/// How an HTTP/2 connection starts.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const NOT_AN_HTTP_PORT: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\n\
    content-length: 25\r\nconnection: close\r\n\r\nThis is not an HTTP port\n";
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
const DRAIN_READS: usize = 64;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TransportConfig;
    use proptest::prelude::*;

    #[test]
    fn openings_are_told_apart() {
        for (bytes, expected) in [
            (&PREFACE[..], Some(Opening::Http2)),
            (b"PRI * HTTP", None),
            (b"P", None),
            (b"POST / HTTP/1.1", Some(Opening::Http1)),
            (b"GET / HTTP/1.1", Some(Opening::Http1)),
            (b"HTTP/1.1 200", Some(Opening::HttpResponse)),
            (
                b"\x16\x03\x01\x02",
                Some(Opening::TlsHello([0x16, 3, 1, 2])),
            ),
            (b"ES\0\0", Some(Opening::Elasticsearch)),
            (b"PRI * HTTP/3", Some(Opening::Unknown(*b"PRI "))),
            (b"\0\0\0\0", Some(Opening::Unknown([0; 4]))),
            (b"", None),
        ] {
            assert_eq!(classify(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn the_answer_announces_its_length() {
        let text = std::str::from_utf8(NOT_AN_HTTP_PORT).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())));
    }

    fn default_profile() -> ProfileConfig {
        TransportConfig::default().listeners().remove(0)
    }

    #[tokio::test]
    async fn the_first_free_port_wins_on_all_addresses() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = taken.local_addr().unwrap().port();
        let mut config = default_profile();
        config.ports = port..=port;
        let error = bind(&config, None).await.unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("Failed to bind to [{port}]")),
            "{error}"
        );
        config.ports = port..=port.saturating_add(50);
        let bound = bind(&config, None).await.unwrap();
        assert!(bound[0].1.port() > port);
        config.ports = port..=port;
        config.name = "wan".to_owned();
        let error = bind(&config, None).await.unwrap_err().to_string();
        assert!(error.contains("[transport.profiles.wan.port]"), "{error}");
        config.bind.clear();
        let error = bind(&config, None).await.unwrap_err();
        assert!(matches!(error, BindError::NoAddress { .. }));
    }

    #[test]
    fn the_publish_address_follows_the_settings() {
        let bound = ["[::1]:9301".parse().unwrap()];
        let mut config = default_profile();
        assert_eq!(publish_address(&config, &bound), "[::1]:9301");
        config.publish_host = Some("node-1.example".to_owned());
        config.publish_port = Some(1);
        assert_eq!(publish_address(&config, &bound), "node-1.example:1");
        config.publish_host = None;
        let guessed = publish_address(&config, &["0.0.0.0:9300".parse().unwrap()]);
        assert!(!guessed.starts_with("0.0.0.0"), "{guessed}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_classified(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let opening = classify(&bytes);
            if bytes.len() >= 24 {
                prop_assert!(opening.is_some());
            }
        }
    }
}
