//! What a peer's first bytes are, found out without consuming them.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// What a peer sent where TLS was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PlaintextKind {
    /// An HTTP/1 request, or (on the dialling side) an HTTP/1 response.
    Http,
    /// The HTTP/2 connection preface.
    Http2,
    /// A frame of Elasticsearch's transport protocol. Source: Elasticsearch's `TcpHeader`.
    ElasticsearchTransport,
    /// The header with which a proxy announces whom it forwards, version 1 or 2. Source: the PROXY protocol's
    /// specification, sections 2.1 and 2.2.
    ProxyProtocol,
    /// Anything else: a node without TLS, a port scanner, a human with telnet.
    Other,
}

/// The first bytes of a connection to an encrypted port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FirstBytes {
    Tls,
    /// A TLS alert where a ClientHello belongs; its description.
    Alert(u8),
    Plaintext(PlaintextKind),
    /// The peer closed without a word, as health checks and port scanners do.
    Closed,
}

/// A TLS ClientHello seen by a listener without TLS.
///
/// `Display` is the sentence Elasticsearch logs. Source: Elasticsearch reference, "Common SSL/TLS exceptions".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnexpectedTls {
    /// The first four bytes of the record.
    pub first_bytes: [u8; 4],
    /// Who sent them.
    pub peer: SocketAddr,
}

impl fmt::Display for UnexpectedTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = self.first_bytes;
        write!(
            f,
            "SSL/TLS request received but SSL/TLS is not enabled on this node, got ({a:x},{b:x},{c:x},{d:x}), [{}]; \
             enable TLS here, or disable it on the dialling side",
            self.peer
        )
    }
}

/// Returns the ClientHello a peer started with, or `None` when the peer speaks something else or closed.
///
/// For listeners without TLS. Nothing is consumed from the stream. Errors: the socket's, and
/// `TimedOut` when the peer sends nothing in time.
pub async fn detect_tls(
    tcp: &TcpStream,
    peer: SocketAddr,
    within: Duration,
) -> io::Result<Option<UnexpectedTls>> {
    let mut buffer = [0; PEEK_BYTES];
    let seen = timeout(
        within,
        peek_until(tcp, &mut buffer, |seen| {
            seen.len() >= 4 || !CLIENT_HELLO.starts_with(&seen[..seen.len().min(2)])
        }),
    )
    .await
    .map_err(|_| io::ErrorKind::TimedOut)??;
    Ok(match buffer[..seen] {
        [TLS_HANDSHAKE, 3, c, d, ..] => Some(UnexpectedTls {
            first_bytes: [TLS_HANDSHAKE, 3, c, d],
            peer,
        }),
        _ => None,
    })
}

/// Returns what a peer speaks that has begun with something other than TLS; `None` if it began with TLS, or closed.
///
/// For listeners with TLS that answer some of them. Nothing is consumed from the stream; the caller sets the
/// deadline. Errors: the socket's.
pub async fn detect_plaintext(tcp: &TcpStream) -> io::Result<Option<PlaintextKind>> {
    Ok(match first_bytes(tcp).await? {
        FirstBytes::Plaintext(kind) => Some(kind),
        FirstBytes::Tls | FirstBytes::Alert(_) | FirstBytes::Closed => None,
    })
}

/// Returns what a connection to an encrypted port starts with. The caller sets the deadline.
pub(crate) async fn first_bytes(tcp: &TcpStream) -> io::Result<FirstBytes> {
    let mut buffer = [0; PEEK_BYTES];
    let seen = peek_until(tcp, &mut buffer, |seen| classify(seen).is_some()).await?;
    let seen = &buffer[..seen];
    Ok(match classify(seen) {
        Some(first) => first,
        None if seen.is_empty() => FirstBytes::Closed,
        None => FirstBytes::Plaintext(PlaintextKind::Other),
    })
}

/// Returns what the bytes are, or `None` while they could still become several things.
fn classify(seen: &[u8]) -> Option<FirstBytes> {
    // A lone first byte of an SSLv2-format hello is not told from binary plaintext.
    match (seen.first()?, seen) {
        (&TLS_HANDSHAKE, _) => return Some(FirstBytes::Tls),
        // RFC 8446 5.1 and 6: type, version, length 2, level, description.
        (&TLS_ALERT, [_, 3, _, 0, 2, _, description, ..]) => {
            return Some(FirstBytes::Alert(*description));
        }
        (&TLS_ALERT, _) => {
            let could_still_be = seen
                .iter()
                .zip(TLS_ALERT_HEAD)
                .all(|(is, head)| head.contains(is));
            return (!could_still_be).then_some(FirstBytes::Plaintext(PlaintextKind::Other));
        }
        _ => {}
    }
    for (prefix, kind) in PREFIXES {
        if seen.starts_with(prefix) {
            return Some(FirstBytes::Plaintext(*kind));
        }
    }
    let could_still_match = PREFIXES.iter().any(|(prefix, _)| prefix.starts_with(seen));
    (!could_still_match).then_some(FirstBytes::Plaintext(PlaintextKind::Other))
}

/// Returns what a server answered a ClientHello with, if that is known not to be TLS.
pub(crate) fn answer(seen: &[u8]) -> Option<PlaintextKind> {
    match classify(seen)? {
        FirstBytes::Plaintext(kind) => Some(kind),
        _ => None,
    }
}

/// Peeks until `enough` says so, the peer closes, or a dribbling peer used up its patience.
///
/// A socket with unread bytes is always "ready", so waiting for *more* bytes can only be polling.
async fn peek_until(
    tcp: &TcpStream,
    buffer: &mut [u8],
    enough: impl Fn(&[u8]) -> bool,
) -> io::Result<usize> {
    let mut seen = tcp.peek(buffer).await?;
    for _ in 0..DRIBBLE_POLLS {
        if seen == 0 || enough(&buffer[..seen]) {
            break;
        }
        sleep(DRIBBLE_PAUSE).await;
        seen = tcp.peek(buffer).await?;
    }
    Ok(seen)
}

const TLS_ALERT: u8 = 0x15;
const TLS_HANDSHAKE: u8 = 0x16;
const CLIENT_HELLO: [u8; 2] = [TLS_HANDSHAKE, 3];
/// The beginning of an alert's record.
const TLS_ALERT_HEAD: [std::ops::RangeInclusive<u8>; 5] =
    [TLS_ALERT..=TLS_ALERT, 3..=3, 0..=4, 0..=0, 2..=2];
pub(crate) const PEEK_BYTES: usize = 16;
const DRIBBLE_POLLS: usize = 20;
const DRIBBLE_PAUSE: Duration = Duration::from_millis(10);

const PREFIXES: &[(&[u8], PlaintextKind)] = &[
    (b"PRI * HTTP/2.0", PlaintextKind::Http2),
    (b"GET ", PlaintextKind::Http),
    (b"HEAD ", PlaintextKind::Http),
    (b"POST ", PlaintextKind::Http),
    (b"PUT ", PlaintextKind::Http),
    (b"DELETE ", PlaintextKind::Http),
    (b"OPTIONS ", PlaintextKind::Http),
    (b"PATCH ", PlaintextKind::Http),
    (b"TRACE ", PlaintextKind::Http),
    (b"CONNECT ", PlaintextKind::Http),
    (b"HTTP/1.", PlaintextKind::Http),
    (b"ES", PlaintextKind::ElasticsearchTransport),
    (b"PROXY ", PlaintextKind::ProxyProtocol),
    (b"\r\n\r\n\0\r\nQUIT\n", PlaintextKind::ProxyProtocol),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classifies_whole_and_partial_beginnings() {
        use FirstBytes::{Plaintext, Tls};
        for (bytes, expected) in [
            (&b"\x16\x03\x01\x02"[..], Some(Tls)),
            (b"\x16", Some(Tls)),
            (b"GET / HTTP/1.1", Some(Plaintext(PlaintextKind::Http))),
            (b"DELETE /x", Some(Plaintext(PlaintextKind::Http))),
            (b"PRI * HTTP/2.0\r\n", Some(Plaintext(PlaintextKind::Http2))),
            (
                b"ES\0\0",
                Some(Plaintext(PlaintextKind::ElasticsearchTransport)),
            ),
            (
                b"ES\xff\xff\xff\xff",
                Some(Plaintext(PlaintextKind::ElasticsearchTransport)),
            ),
            (
                b"PROXY TCP4 192.0.2.1",
                Some(Plaintext(PlaintextKind::ProxyProtocol)),
            ),
            (b"PROXY", None),
            (
                b"\r\n\r\n\0\r\nQUIT\n\x21",
                Some(Plaintext(PlaintextKind::ProxyProtocol)),
            ),
            (b"\r\n\r\n", None),
            (b"\r\nhello", Some(Plaintext(PlaintextKind::Other))),
            (b"\x15\x03\x03\0\x02\x02\x30", Some(FirstBytes::Alert(48))),
            (b"\x15\x03\x03\0\x02\x02", None),
            (b"\x15\x09", Some(Plaintext(PlaintextKind::Other))),
            (b"hello\n", Some(Plaintext(PlaintextKind::Other))),
            (b"\0", Some(Plaintext(PlaintextKind::Other))),
            (b"P", None),
            (b"GE", None),
            (b"", None),
        ] {
            assert_eq!(classify(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn the_sentence_for_tls_on_a_plaintext_port_is_elasticsearchs() {
        let line = UnexpectedTls {
            first_bytes: [0x16, 3, 1, 2],
            peer: SocketAddr::from(([127, 0, 0, 1], 5)),
        }
        .to_string();
        assert!(line.starts_with(
            "SSL/TLS request received but SSL/TLS is not enabled on this node, got (16,3,1,2), [127.0.0.1:5]"
        ));
    }
}
