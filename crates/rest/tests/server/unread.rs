//! Requests that are answered before all of them was read: what becomes of the answer, and of the connection.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http::{Method, Request};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use ringwall_rest::RestConfig;
use ringwall_tls::ClientAuthentication;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::{Server, WITHIN, answer, ask};

const GET: &str = "GET / HTTP/1.1\r\nhost: es\r\n\r\n";
const JSON: &str = "host: es\r\ncontent-type: application/json\r\n";

/// What is refused before its body is looked at, and what is said.
const REFUSED: &[(&str, &str, &str)] = &[
    ("POST /a/b/c/d", "", "no handler found for uri [/a/b/c/d]"),
    ("PUT /_nothing/_doc/1", "", "no handler found"),
    ("PATCH /i/_bulk", "", "allowed: [POST, PUT]"),
    ("POST /i/_doc?no=1", "", "unrecognized parameter: [no]"),
    ("POST /%zz", "", "HTTP/1.1 400"),
    ("POST /i/_doc", "accept: json\r\n", "[Accept]"),
    (
        "POST /i/_doc",
        "x-opaque-id: a\r\nx-opaque-id: b\r\n",
        "single-valued header [X-Opaque-Id]",
    ),
    (
        "POST /i/_doc",
        "host: other\r\n",
        "single-valued header [Host]",
    ),
    (
        "POST /i/_doc",
        "es-secondary-authorization: u\r\n",
        "is not supported",
    ),
    (
        "POST /i/_doc",
        "content-encoding: br\r\n",
        "[br] is not supported",
    ),
    ("OPTIONS /i/_doc", "", "allow: POST"),
    ("HEAD /i/_bulk", "", "HTTP/1.1 405"),
];

fn with_length(request: &str, headers: &str, length: usize) -> String {
    format!("{request} HTTP/1.1\r\n{JSON}{headers}content-length: {length}\r\n\r\n")
}

fn chunked(body: &str) -> String {
    let chunks = body.as_bytes().chunks(1000).map(|chunk| {
        let text = String::from_utf8_lossy(chunk);
        format!("{:x}\r\n{text}\r\n", chunk.len())
    });
    format!("{}0\r\n\r\n", chunks.collect::<String>())
}

async fn serves(stream: &mut TcpStream) -> bool {
    ask(stream, GET).await.contains("there is no node here")
}

#[tokio::test]
async fn a_connection_outlives_the_refusal_of_a_short_request() {
    let server = Server::plain(RestConfig::default()).await;
    for (request, headers, told) in REFUSED {
        // Its answer has a length and no body.
        if request.starts_with("HEAD") {
            continue;
        }
        let mut stream = server.tcp().await;
        for body in ["{}".to_owned(), " ".repeat(100_000)] {
            let by_length = with_length(request, headers, body.len());
            let by_chunks =
                format!("{request} HTTP/1.1\r\n{JSON}{headers}transfer-encoding: chunked\r\n\r\n");
            for (head, body) in [(by_length, body.clone()), (by_chunks, chunked(&body))] {
                for in_pieces in [false, true] {
                    let answer = if in_pieces {
                        stream.write_all(head.as_bytes()).await.unwrap();
                        tokio::task::yield_now().await;
                        ask(&mut stream, &body).await
                    } else {
                        ask(&mut stream, &format!("{head}{body}")).await
                    };
                    assert!(answer.contains(told), "{request}: {answer}");
                    assert!(!answer.contains("connection: close"), "{answer}");
                    assert!(serves(&mut stream).await, "{request}");
                }
            }
        }
    }
}

#[tokio::test]
async fn who_asks_first_whether_to_send_is_told_to_and_keeps_his_connection() {
    let server = Server::plain(RestConfig::default()).await;
    let mut stream = server.tcp().await;
    let head = with_length("POST /a/b/c/d", "expect: 100-continue\r\n", 2);
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut told = [0; 25];
    stream.read_exact(&mut told).await.unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    let answer = ask(&mut stream, "{}").await;
    assert!(answer.contains("no handler found"), "{answer}");
    assert!(serves(&mut stream).await);
    // Nobody is told to send what would not be read.
    let head = with_length("POST /a/b/c/d", "expect: 100-continue\r\n", 3 << 20);
    let answer = ask(&mut stream, &head).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
}

/// As a client does that listens when it has sent everything.
async fn send_all_then_read(mut stream: TcpStream, head: &str, body: &str) -> String {
    let exchange = async {
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A reset would be an error, and could have taken the answer with it.
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    };
    tokio::time::timeout(WITHIN, exchange).await.unwrap()
}

#[tokio::test]
async fn the_end_of_a_connection_is_announced_and_the_answer_arrives() {
    let config = RestConfig {
        max_content_length: 3 << 20,
        ..RestConfig::default()
    };
    let server = Server::plain(config).await;
    let long = " ".repeat(2 << 20);
    for (request, headers, told) in REFUSED {
        // Nobody knows of it before the body is read.
        if headers.starts_with("content-encoding") {
            continue;
        }
        let head = with_length(request, headers, long.len());
        let answer = send_all_then_read(server.tcp().await, &head, &long).await;
        assert!(answer.contains(told), "{request}: {answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }
    let head = format!("POST /a/b/c/d HTTP/1.1\r\n{JSON}transfer-encoding: chunked\r\n\r\n");
    let answer = send_all_then_read(server.tcp().await, &head, &chunked(&long)).await;
    assert!(answer.contains("connection: close"), "{answer}");
    let longer = " ".repeat(5 << 20);
    let head = with_length("POST /i/_doc", "", longer.len());
    let answer = send_all_then_read(server.tcp().await, &head, &longer).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    // What the HTTP library itself refuses.
    let answer =
        send_all_then_read(server.tcp().await, "GET garbage\r\n\r\n", &long[..1 << 20]).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}

#[tokio::test]
async fn who_does_not_send_the_rest_is_answered_all_the_same() {
    let config = RestConfig {
        discard_timeout: Duration::from_millis(100),
        ..RestConfig::default()
    };
    let server = Server::plain(config).await;
    let answer = send_all_then_read(
        server.tcp().await,
        &with_length("POST /a/b/c/d", "", 20),
        "{",
    )
    .await;
    assert!(answer.contains("no handler found"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
}

/// Sends a long body over HTTP/2. Returns the answer and how much of the body was taken.
async fn upload(
    sender: &mut http2::SendRequest<Upload>,
    request: http::request::Builder,
    pieces: usize,
) -> (http::StatusCode, String, Arc<AtomicUsize>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    let frames = futures::stream::iter(0..pieces).map(move |_| {
        counter.fetch_add(PIECE, Ordering::Relaxed);
        Ok(Frame::data(Bytes::from_static(&[b' '; PIECE])))
    });
    let body: Upload = StreamBody::new(frames.boxed());
    let response = sender
        .send_request(request.body(body).unwrap())
        .await
        .unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (
        parts.status,
        String::from_utf8_lossy(&body).into_owned(),
        taken,
    )
}

type Upload = StreamBody<futures::stream::BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;
const PIECE: usize = 16 << 10;

async fn uploader(server: &Server) -> http2::SendRequest<Upload> {
    let stream = server.tls_as("client", &["h2"]).await;
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}

async fn until(condition: impl Fn() -> bool) {
    let reached = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(WITHIN, reached).await.unwrap();
}

#[tokio::test]
async fn over_http2_all_of_a_refused_request_is_taken() {
    let server = Server::secure(RestConfig::default(), ClientAuthentication::None).await;
    let mut sender = uploader(&server).await;
    // Less than a window, and several.
    for pieces in [1, 20, 200] {
        for (method, path, status) in [
            (Method::POST, "/a/b/c/d", 400),
            (Method::PATCH, "/i/_bulk", 405),
            (Method::POST, "/i/_doc?no=1", 400),
            (Method::HEAD, "/i/_bulk", 405),
        ] {
            let request = Request::builder()
                .method(method)
                .uri(format!("https://es{path}"))
                .header("content-type", "application/json");
            let (told, body, taken) = upload(&mut sender, request, pieces).await;
            assert_eq!(told, status, "{body}");
            until(|| taken.load(Ordering::Relaxed) == pieces * PIECE).await;
        }
    }
}

#[tokio::test]
async fn over_http2_the_connection_ends_after_a_request_that_does_not() {
    let config = RestConfig {
        max_content_length: 1 << 20,
        ..RestConfig::default()
    };
    let server = Server::secure(config, ClientAuthentication::None).await;
    let mut sender = uploader(&server).await;
    let request = Request::post("https://es/i/_doc").header("content-type", "application/json");
    let (status, body, taken) = upload(&mut sender, request, 100_000).await;
    assert_eq!(status, 413, "{body}");
    let gone = async {
        while sender.ready().await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WITHIN, gone).await.unwrap();
    assert!(taken.load(Ordering::Relaxed) < 50_000 * PIECE);
}

#[tokio::test]
async fn head_has_the_length_and_no_body_in_either_version() {
    let server = Server::secure(RestConfig::default(), ClientAuthentication::None).await;
    let mut sender = server.http2().await;
    for path in ["/", "/i/_bulk", "/_nothing"] {
        let request = |method| {
            Request::builder()
                .method(method)
                .uri(format!("https://es{path}"))
                .body(Full::default())
                .unwrap()
        };
        // The client refuses a body that comes all the same.
        let (head, body) = answer(&mut sender, request(Method::HEAD)).await;
        assert_eq!(body, "");
        let told = head.headers()["content-length"]
            .to_str()
            .unwrap()
            .to_owned();
        let text = format!("HEAD {path} HTTP/1.1\r\nhost: es\r\n\r\n{GET}");
        let mut stream = server.tls().await;
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut both = Vec::new();
        while !String::from_utf8_lossy(&both).contains("there is no node here") {
            let read = tokio::time::timeout(WITHIN, stream.read_buf(&mut both)).await;
            assert_ne!(
                read.unwrap().unwrap(),
                0,
                "{}",
                String::from_utf8_lossy(&both)
            );
        }
        let both = String::from_utf8_lossy(&both);
        let (first, rest) = both.split_once("\r\n\r\n").unwrap();
        assert!(
            first.contains(&format!("content-length: {told}")),
            "{first}"
        );
        assert!(rest.starts_with("HTTP/1.1 500"), "{rest}");
    }
}

#[tokio::test]
async fn a_request_is_for_one_host() {
    let server = Server::plain(RestConfig::default()).await;
    for (head, refused) in [
        ("GET / HTTP/1.1\r\nhost: es:9200\r\n", None),
        ("GET / HTTP/1.1\r\nhost: [::1]:9200\r\n", None),
        ("GET / HTTP/1.1\r\nhost:\r\n", None),
        ("GET / HTTP/1.0\r\nconnection: keep-alive\r\n", None),
        ("GET / HTTP/1.1\r\n", Some("no header [Host]")),
        ("GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n", Some("[Host]")),
        ("GET / HTTP/1.1\r\nhost: a b\r\n", Some("[Host] is not")),
        ("GET / HTTP/1.1\r\nhost: u@a\r\n", Some("[Host] is not")),
    ] {
        let told = ask(&mut server.tcp().await, &format!("{head}\r\n")).await;
        let expected = refused.unwrap_or("there is no node here");
        assert!(told.contains(expected), "{head}: {told}");
        assert_eq!(told.contains(" 400 "), refused.is_some(), "{told}");
    }
    let secure = Server::secure(RestConfig::default(), ClientAuthentication::None).await;
    let mut sender = secure.http2().await;
    for (host, status) in [("es", 500), ("other", 400)] {
        let request = Request::get("https://es/").header("host", host);
        let (head, body) = answer(&mut sender, request.body(Full::default()).unwrap()).await;
        assert_eq!(head.status(), status, "{body}");
    }
}

#[tokio::test]
async fn an_opaque_id_is_short_enough_for_a_task() {
    let server = Server::plain(RestConfig::default()).await;
    for (length, status) in [(8181, 500), (8182, 400), (10_000, 400)] {
        let id = "a".repeat(length);
        let request = format!("GET / HTTP/1.1\r\nhost: es\r\nx-opaque-id: {id}\r\n\r\n");
        let told = ask(&mut server.tcp().await, &request).await;
        assert!(told.starts_with(&format!("HTTP/1.1 {status}")), "{told}");
        assert!(
            told.contains(&format!("x-opaque-id: {id}\r\n")),
            "it is shown again"
        );
        let reason = "Request exceeded the maximum size of task headers 16kb";
        assert_eq!(told.contains(reason), status == 400, "{told}");
    }
}
