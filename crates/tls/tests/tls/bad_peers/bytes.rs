//! Peers that do not speak TLS as they should, or stop speaking, on either side.

use std::sync::Arc;
use std::time::Duration;

use ringwall_tls::{ClientAuthentication, HandshakeFailure, SslContext};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::{AUTHENTICATIONS, Bench, MODES, PROTOCOLS, raw};
use crate::support::{WITHIN, check};

/// What the peer does after its bytes.
#[derive(Clone, Copy)]
enum Then {
    /// Closes its sending half and reads on.
    HalfClose,
    /// Keeps the connection open and says nothing more.
    Stall,
    /// One byte more, and again, faster than any idle timeout.
    Drip,
}

pub struct Peer {
    pub name: &'static str,
    says: Vec<u8>,
    then: Then,
    /// Parts of the line at an accepting and at a dialling side.
    pub accepting: &'static str,
    dialling: &'static str,
}

impl Peer {
    /// Returns whether only the deadline ends its connection.
    pub fn meets_the_deadline(&self) -> bool {
        self.accepting == LATE
    }

    /// Returns how long the side under test gives it: nobody else meets the deadline, however busy the machine.
    fn deadline(&self) -> Duration {
        match self.meets_the_deadline() {
            true => DEADLINE,
            false => WITHIN,
        }
    }
}

pub fn peers() -> Vec<Peer> {
    let peer = |name, says: &[u8], then, accepting, dialling| Peer {
        name,
        says: says.to_vec(),
        then,
        accepting,
        dialling,
    };
    let plaintext = "received plaintext traffic on an encrypted channel";
    let hello = client_hello();
    vec![
        peer(
            "plaintext",
            b"hello\n",
            Then::HalfClose,
            plaintext,
            "something that is not TLS",
        ),
        peer(
            "HTTP request",
            b"GET / HTTP/1.1\r\n\r\n",
            Then::HalfClose,
            "it sent an HTTP request: enable TLS on that node|point HTTP clients at the HTTP port",
            "answered the TLS handshake with HTTP without TLS|it is an HTTP port",
        ),
        peer(
            "HTTP answer",
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            Then::HalfClose,
            plaintext,
            "answered the TLS handshake with HTTP without TLS|it is an HTTP port",
        ),
        peer(
            "HTTP/2",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            Then::HalfClose,
            "it sent an HTTP/2 request",
            "answered the TLS handshake with HTTP without TLS",
        ),
        peer(
            "Elasticsearch without TLS",
            b"ES\0\0\0\x10hello",
            Then::HalfClose,
            "on an encrypted channel|a message of Elasticsearch's transport protocol: an Elasticsearch node or an old \
             transport client dials without TLS|point it elsewhere",
            "with Elasticsearch's transport protocol without TLS|take its address out of discovery",
        ),
        peer(
            "keep-alive of Elasticsearch",
            b"ES\xff\xff\xff\xff",
            Then::Stall,
            "a message of Elasticsearch's transport protocol",
            "with Elasticsearch's transport protocol without TLS",
        ),
        peer(
            "PROXY protocol, version 1",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 5000 9300\r\n",
            Then::HalfClose,
            "the header of the PROXY protocol: turn it off in the proxy or load balancer in front of this port",
            "with the PROXY protocol|turn it off in the proxy",
        ),
        peer(
            "PROXY protocol, version 2",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c",
            Then::HalfClose,
            "the header of the PROXY protocol: turn it off in the proxy",
            "with the PROXY protocol|turn it off in the proxy",
        ),
        peer(
            "alert",
            b"\x15\x03\x03\0\x02\x02\x30",
            Then::HalfClose,
            "it began with the TLS alert [unknown_ca] instead of a ClientHello|a proxy or load balancer in between",
            "rejected this node with the TLS alert [unknown_ca]",
        ),
        peer(
            "TLS 1.0 hello",
            &tls10_hello(),
            Then::HalfClose,
            "has no TLS version or cipher suite in common",
            "broke the TLS protocol: received unexpected handshake message: got ClientHello when expecting ServerHello",
        ),
        peer(
            "SSLv3 hello",
            &sslv3_hello(),
            Then::HalfClose,
            "has no TLS version or cipher suite in common",
            "broke the TLS protocol: received unexpected handshake message: got ClientHello when expecting ServerHello",
        ),
        peer(
            "SSLv2 hello",
            SSLV2_HELLO,
            Then::HalfClose,
            plaintext,
            "something that is not TLS",
        ),
        peer(
            "random bytes",
            &random_bytes(),
            Then::HalfClose,
            plaintext,
            "something that is not TLS",
        ),
        peer(
            "oversized record",
            &oversized_record(),
            Then::Stall,
            "broke the TLS protocol: received corrupt message of type MessageTooLarge",
            "broke the TLS protocol: received corrupt message of type MessageTooLarge",
        ),
        peer(
            "half a record, then the end",
            &hello[..40],
            Then::HalfClose,
            "closed during handshake",
            "closed the connection during the TLS handshake",
        ),
        peer(
            "nothing, then the end",
            b"",
            Then::HalfClose,
            "closed",
            "closed",
        ),
        peer("silence", b"", Then::Stall, LATE, LATE),
        peer(
            "half a record, then silence",
            &hello[..40],
            Then::Stall,
            LATE,
            LATE,
        ),
        peer("slow-loris", &hello[..5], Then::Drip, LATE, LATE),
    ]
}

#[tokio::test]
async fn no_bytes_get_in_or_hold_a_place() {
    let bench = Bench::new();
    let mut tried = JoinSet::new();
    for (protocol, _) in PROTOCOLS {
        for mode in MODES {
            for authentication in AUTHENTICATIONS {
                let context = bench.context(protocol, mode, authentication);
                for peer in peers() {
                    let what = format!("{protocol} {mode:?} {authentication:?}: {}", peer.name);
                    let context = Arc::clone(&context);
                    tried.spawn(async move {
                        judge(&what, accepted(&context, &peer).await, peer.accepting);
                    });
                }
            }
            let context = bench.context(protocol, mode, ClientAuthentication::Required);
            for peer in peers() {
                let what = format!("{protocol} {mode:?}, dialled: {}", peer.name);
                let context = Arc::clone(&context);
                tried.spawn(async move {
                    judge(&what, dialled(&context, &peer).await, peer.dialling);
                });
            }
        }
    }
    tried.join_all().await;
}

#[track_caller]
fn judge(what: &str, failure: HandshakeFailure, expected: &str) {
    let line = failure.to_string();
    assert!(
        !line.contains('\n') && line.contains("127.0.0.1:"),
        "{what}: {line}"
    );
    assert!(!expected.is_empty(), "{what}: any line would do");
    check::<()>(what, &Err(failure), expected);
}

async fn accepted(context: &Arc<SslContext>, peer: &Peer) -> HandshakeFailure {
    let ((accepted, address), stream) = raw().await;
    tokio::select! {
        verdict = context.accept(accepted, address, peer.deadline()) => verdict.unwrap_err(),
        () = act(stream, peer) => unreachable!("the peer never ends first"),
        () = tokio::time::sleep(WITHIN) => panic!("{}: held", peer.name),
    }
}

async fn dialled(context: &Arc<SslContext>, peer: &Peer) -> HandshakeFailure {
    let ((accepted, _), stream) = raw().await;
    let address = stream.peer_addr().unwrap();
    tokio::select! {
        verdict = context.connect(stream, "127.0.0.1", address, peer.deadline()) => verdict.unwrap_err(),
        () = act(accepted, peer) => unreachable!("the peer never ends first"),
        () = tokio::time::sleep(WITHIN) => panic!("{}: held", peer.name),
    }
}

/// Behaves as the peer does, until dropped.
pub async fn act(mut stream: TcpStream, peer: &Peer) {
    // The side under test may close before everything is written.
    let _ = stream.write_all(&peer.says).await;
    match peer.then {
        Then::HalfClose => {
            let _ = stream.shutdown().await;
            while matches!(stream.read(&mut [0; 256]).await, Ok(read) if read > 0) {}
        }
        Then::Stall => {}
        Then::Drip => {
            let rest = client_hello();
            // All but the last, however long that takes: only the deadline may end it.
            for byte in &rest[5..rest.len() - 1] {
                tokio::time::sleep(DRIP).await;
                if stream.write_all(&[*byte]).await.is_err() {
                    break;
                }
            }
        }
    }
    std::future::pending().await
}

/// Returns a ClientHello of TLS 1.2 in one record, with one suite and no extension.
fn client_hello() -> Vec<u8> {
    hello([3, 1], [3, 3])
}

fn tls10_hello() -> Vec<u8> {
    hello([3, 1], [3, 1])
}

fn sslv3_hello() -> Vec<u8> {
    hello([3, 0], [3, 0])
}

/// Source: RFC 5246 section 7.4.1.2.
fn hello(record_version: [u8; 2], hello_version: [u8; 2]) -> Vec<u8> {
    let mut body = hello_version.to_vec();
    body.extend([7; 32]);
    // No session id; one cipher suite; one compression method, none.
    body.extend([0, 0, 2, 0xc0, 0x2f, 1, 0]);
    let length = u8::try_from(body.len()).unwrap();
    let mut record = vec![
        22,
        record_version[0],
        record_version[1],
        0,
        length + 4,
        1,
        0,
        0,
        length,
    ];
    record.extend(body);
    record
}

/// A handshake record that claims more than a record may hold: 2^14 + 2048 octets and one.
fn oversized_record() -> Vec<u8> {
    let mut record = vec![22, 3, 1, 0x48, 0x01];
    record.resize(5 + 0x4801, 0);
    record
}

/// The same bytes each time; the first is no record type.
fn random_bytes() -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    let mut bytes = vec![0xe7];
    bytes.extend(std::iter::repeat_with(&mut next).take(700));
    bytes
}

const SSLV2_HELLO: &[u8] = &[
    0x80, 0x2e, 0x01, 0x00, 0x02, 0x00, 0x15, 0x00, 0x00, 0x00, 0x10, 0x07, 0x00, 0xc0,
];
const LATE: &str = "did not finish within";
const DEADLINE: Duration = Duration::from_millis(300);
const DRIP: Duration = Duration::from_millis(40);
