//! The server as its clients see it: what it refuses, whom it sheds, when it ends a connection.

mod memory;
mod support;
mod unread;

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use ringwall_rest::{Cors, CorsSettings, RestConfig};
use ringwall_tls::{ClientAuthentication, SslContext};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use support::{Server, WITHIN, answer, ask, closed, exchange};

const GET: &str = "GET /nothing HTTP/1.1\r\nhost: es\r\n\r\n";

#[tokio::test]
async fn plaintext_on_the_https_port_is_told_in_json_and_once_in_the_log() {
    let server = Server::secure(RestConfig::default(), ClientAuthentication::None).await;
    for _ in 0..20 {
        let told = exchange(server.tcp().await, GET).await;
        let (head, body) = told.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\nx-elastic-product: Elasticsearch"));
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["status"], 400);
        let reason = body["error"]["reason"].as_str().unwrap();
        assert!(reason.contains("https://"), "{reason}");
    }
    let refusals = server.refusals();
    let [(why, line)] = refusals.as_slice() else {
        panic!("{refusals:?}");
    };
    assert_eq!(*why, "plaintext");
    assert!(
        line.starts_with(
            "received plaintext http traffic on an https channel, closing connection [127.0.0.1:"
        ),
        "{line}"
    );
}

#[tokio::test]
async fn bytes_that_are_neither_get_no_answer() {
    let server = Server::secure(RestConfig::default(), ClientAuthentication::None).await;
    assert_eq!(exchange(server.tcp().await, "\0\0\0\0\0\0\0\0").await, "");
    let line = server.refused_for("plaintext").await;
    assert!(
        line.contains("received plaintext traffic on an https channel"),
        "{line}"
    );
    let plain = Server::plain(RestConfig::default()).await;
    let hello = "\u{16}\u{3}\u{1}\u{2}\0\u{1}";
    assert_eq!(exchange(plain.tcp().await, hello).await, "");
    let line = plain.refused_for("unexpected_tls").await;
    assert!(line.contains("xpack.security.http.ssl.enabled"), "{line}");
}

#[tokio::test]
async fn a_client_that_does_not_trust_the_server_is_named() {
    let server = Server::secure(RestConfig::default(), ClientAuthentication::None).await;
    let stranger = Server::secure(RestConfig::default(), ClientAuthentication::None).await;
    let distrusting = SslContext::load(stranger.files.config("client"), &[]).unwrap();
    let tcp = server.tcp().await;
    let refused = distrusting
        .connect(tcp, "127.0.0.1", server.address, WITHIN)
        .await;
    assert!(refused.is_err());
    let line = server.refused_for("peer_rejected_us").await;
    for words in [
        "http client did not trust this server's certificate, closing connection [127.0.0.1:",
        "subject name [CN=node]",
        "node.crt",
    ] {
        assert!(line.contains(words), "{words} in {line}");
    }
}

#[tokio::test]
async fn heads_are_bounded_and_malformed_ones_are_answered() {
    let config = RestConfig {
        max_line_bytes: 100,
        max_header_bytes: 600,
        ..RestConfig::default()
    };
    let server = Server::plain(config).await;
    let mut connection = server.tcp().await;
    let fits = format!("GET /{} HTTP/1.1\r\nhost: es\r\n\r\n", "a".repeat(80));
    assert!(
        ask(&mut connection, &fits)
            .await
            .contains("there is no node here")
    );
    let line = format!("GET /{} HTTP/1.1\r\nhost: es\r\n\r\n", "a".repeat(90));
    let told = ask(&mut connection, &line).await;
    assert!(told.starts_with("HTTP/1.1 400"), "{told}");
    assert!(
        told.contains("An HTTP line is larger than 100 bytes."),
        "{told}"
    );
    let header = format!(
        "GET / HTTP/1.1\r\nhost: es\r\nx: {}\r\n\r\n",
        "a".repeat(600)
    );
    let told = ask(&mut connection, &header).await;
    assert!(told.contains("too_long_http_header_exception"), "{told}");
    let many = "x: y\r\n".repeat(120);
    let told = ask(&mut connection, &format!("GET / HTTP/1.1\r\n{many}\r\n")).await;
    assert!(
        told.contains("HTTP header is larger than 600 bytes."),
        "{told}"
    );
    // What the HTTP library itself refuses.
    let huge = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(64 << 10));
    let told = exchange(server.tcp().await, &huge).await;
    assert!(told.starts_with("HTTP/1.1 431"), "{told}");
    let told = exchange(server.tcp().await, "GET garbage\r\n\r\nmore of it").await;
    assert!(told.starts_with("HTTP/1.1 400"), "{told}");
}

#[tokio::test]
async fn bodies_are_bounded_whatever_they_claim() {
    let config = RestConfig {
        max_content_length: 1000,
        discard_timeout: Duration::from_millis(100),
        ..RestConfig::default()
    };
    let server = Server::secure(config, ClientAuthentication::None).await;
    let claimed = "POST /i/_doc HTTP/1.1\r\nhost: es\r\ncontent-type: application/json\r\ncontent-length: 2000\r\n\r\n";
    let told = ask(&mut server.tls().await, claimed).await;
    assert!(told.starts_with("HTTP/1.1 413"), "{told}");
    let mut sender = server.http2().await;
    let request = Request::post("https://es/i/_doc")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(vec![b' '; 2000])))
        .unwrap();
    let (head, body) = answer(&mut sender, request).await;
    assert_eq!(head.status(), 413, "{body}");
}

#[tokio::test]
async fn two_credentials_are_none() {
    let server = Server::plain(RestConfig::default()).await;
    let twice = "GET / HTTP/1.1\r\nhost: es\r\nauthorization: Basic YTpi\r\nauthorization: Basic Yzpk\r\n\r\n";
    let told = ask(&mut server.tcp().await, twice).await;
    assert!(told.starts_with("HTTP/1.1 400"), "{told}");
    assert!(
        told.contains("multiple values for single-valued header [Authorization]."),
        "{told}"
    );
}

#[tokio::test]
async fn both_versions_of_http_are_spoken_and_say_the_same() {
    let config = RestConfig {
        hsts: Some(Duration::from_secs(3600)),
        ..RestConfig::default()
    };
    let server = Server::secure(config, ClientAuthentication::None).await;
    let old = ask(&mut server.tls().await, GET).await.to_ascii_lowercase();
    let mut sender = server.http2().await;
    let request = || {
        Request::get("https://es/nothing")
            .body(Full::default())
            .unwrap()
    };
    let (head, body) = answer(&mut sender, request()).await;
    assert_eq!(head.status(), 500);
    assert!(
        old.contains("strict-transport-security: max-age=3600"),
        "{old}"
    );
    assert_eq!(head.headers()["strict-transport-security"], "max-age=3600");
    assert_eq!(head.headers()["x-elastic-product"], "Elasticsearch");
    assert!(
        old.ends_with(&body.to_ascii_lowercase()),
        "{old} against {body}"
    );
    // Many at once on one connection.
    let mut senders = vec![sender.clone(); 50];
    let all = senders.iter_mut().map(|sender| answer(sender, request()));
    let answers = futures::future::join_all(all).await;
    assert!(answers.iter().all(|(head, _)| head.status() == 500));
}

#[tokio::test]
async fn pages_of_the_node_itself_may_ask_over_http2_too() {
    let cors = Cors::new(&CorsSettings {
        allow_origin: Vec::new(),
        allow_methods: Vec::new(),
        allow_headers: Vec::new(),
        expose_headers: Vec::new(),
        allow_credentials: false,
        max_age: Duration::ZERO,
    });
    let config = RestConfig {
        cors: Some(cors.unwrap()),
        ..RestConfig::default()
    };
    let server = Server::secure(config, ClientAuthentication::None).await;
    let mut sender = server.http2().await;
    for (origin, status) in [("https://es:9200", 500), ("https://evil.example", 403)] {
        let request = Request::get("https://es:9200/nothing")
            .header("origin", origin)
            .body(Full::default())
            .unwrap();
        let (head, _) = answer(&mut sender, request).await;
        assert_eq!(head.status(), status, "{origin}");
    }
}

#[tokio::test]
async fn silent_clients_give_their_places_to_those_who_ask() {
    let config = RestConfig {
        max_connections: 4,
        ..RestConfig::default()
    };
    let server = Server::secure(config, ClientAuthentication::None).await;
    let mut silent = Vec::new();
    for _ in 0..2 {
        silent.push(server.tls_as("client", &["h2"]).await);
        silent.push(server.tls().await);
    }
    for _ in 0..3 {
        assert!(
            ask(&mut server.tls().await, GET)
                .await
                .contains("there is no node here")
        );
    }
    // Those who had waited longest are gone.
    for stream in &mut silent[..1] {
        closed(stream).await;
    }
    let tcp_only: Vec<_> = futures::future::join_all((0..4).map(|_| server.tcp())).await;
    assert!(
        ask(&mut server.tls().await, GET)
            .await
            .contains("there is no node here")
    );
    drop(tcp_only);
}

#[tokio::test]
async fn who_is_answered_keeps_his_place() {
    let config = RestConfig {
        max_connections: 1,
        ..RestConfig::default()
    };
    let server = Server::plain(config).await;
    let mut busy = server.tcp().await;
    let begun = "POST /i/_doc HTTP/1.1\r\nhost: es\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\
                 expect: 100-continue\r\n\r\n";
    busy.write_all(begun.as_bytes()).await.unwrap();
    let mut told = [0; 25];
    busy.read_exact(&mut told).await.unwrap();
    assert_eq!(
        &told, b"HTTP/1.1 100 Continue\r\n\r\n",
        "the request is being read"
    );
    closed(&mut server.tcp().await).await;
    let line = server.refused_for("too_many_connections").await;
    assert!(line.contains("[http.max_connections]"), "{line}");
    busy.write_all(b"{}").await.unwrap();
    let rest = ask(&mut busy, "").await;
    assert!(rest.contains("there is no node here"), "{rest}");
}

#[tokio::test]
async fn idle_connections_end_in_either_version() {
    let config = RestConfig {
        // Long enough to shake hands and ask, on a busy machine too.
        idle_timeout: Duration::from_secs(3),
        ..RestConfig::default()
    };
    let server = Server::secure(config, ClientAuthentication::None).await;
    let mut silent = server.tls_as("client", &["h2"]).await;
    let mut asked = server.tls().await;
    ask(&mut asked, GET).await;
    let mut sender = server.http2().await;
    let request = Request::get("https://es/nothing")
        .body(Full::default())
        .unwrap();
    answer(&mut sender, request).await;
    closed(&mut silent).await;
    closed(&mut asked).await;
    let gone = async {
        while sender.ready().await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WITHIN, gone).await.unwrap();
}

/// Limits that nobody meets by being slow on a busy machine.
fn patient() -> RestConfig {
    RestConfig {
        handshake_timeout: WITHIN,
        header_timeout: WITHIN,
        body_timeout: WITHIN,
        ..RestConfig::default()
    }
}

#[tokio::test]
async fn slow_heads_stalled_bodies_and_slow_readers_are_cut_off() {
    // Each with a server of its own: the steps before must not meet the limit of the next.
    const SHORT: Duration = Duration::from_millis(200);
    let with = async |config| Server::secure(config, ClientAuthentication::None).await;
    let server = with(RestConfig {
        handshake_timeout: SHORT,
        ..RestConfig::default()
    })
    .await;
    // A handshake that never begins, and one that never ends.
    closed(&mut server.tcp().await).await;
    let told = exchange(server.tcp().await, "\u{16}\u{3}\u{1}\u{2}\0\u{1}").await;
    assert_eq!(told, "");
    let line = server.refused_for("timeout").await;
    assert!(line.contains("did not finish within"), "{line}");
    let server = with(RestConfig {
        header_timeout: SHORT,
        ..patient()
    })
    .await;
    let told = exchange(server.tls().await, "GET / HT").await;
    assert_eq!(told, "", "half a head");
    let server = with(RestConfig {
        body_timeout: SHORT,
        ..patient()
    })
    .await;
    let stalled = "POST /i/_doc HTTP/1.1\r\nhost: es\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n{";
    let told = ask(&mut server.tls().await, stalled).await;
    assert!(told.starts_with("HTTP/1.1 408"), "{told}");
    // Answers that nobody reads: sooner or later the server has nowhere to put them.
    let mut deaf = server.deaf().await;
    let flood = async {
        loop {
            if deaf.write_all(GET.repeat(100).as_bytes()).await.is_err() {
                return;
            }
        }
    };
    tokio::time::timeout(WITHIN, flood).await.expect("cut off");
}

#[tokio::test]
async fn a_withdrawn_client_certificate_ends_its_connection_within_the_grace() {
    let config = RestConfig {
        distrust_grace: Duration::from_millis(300),
        // Nothing but the grace ends the request.
        body_timeout: 10 * WITHIN,
        ..patient()
    };
    let server = Server::secure(config, ClientAuthentication::Required).await;
    let mut idle = server.tls().await;
    let mut asked = server.tls().await;
    ask(&mut asked, GET).await;
    // A request that would take as long as its client likes.
    let mut busy = server.tls().await;
    let begun = "POST /i/_doc HTTP/1.1\r\nhost: es\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\
                 expect: 100-continue\r\n\r\n";
    busy.write_all(begun.as_bytes()).await.unwrap();
    let mut told = [0; 25];
    busy.read_exact(&mut told).await.unwrap();
    let mut sender = server.http2().await;
    let request = || {
        Request::get("https://es/nothing")
            .body(Full::default())
            .unwrap()
    };
    answer(&mut sender, request()).await;
    server.files.trust_another();
    let tls = server.tls.as_ref().unwrap();
    assert!(matches!(
        tls.reload(),
        ringwall_tls::ReloadOutcome::Reloaded { .. }
    ));
    closed(&mut idle).await;
    closed(&mut asked).await;
    closed(&mut busy).await;
    let gone = async {
        while sender.ready().await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(WITHIN, gone).await.unwrap();
    let line = server.refused_for("no_longer_trusted").await;
    assert!(
        line.contains("with certificate [CN=client] (fingerprint ["),
        "{line}"
    );
    assert!(line.contains("(untrusted_issuer)"), "{line}");
}

#[tokio::test]
async fn requests_under_way_are_finished_at_a_stop_and_others_are_not_begun() {
    let mut server = Server::plain(RestConfig::default()).await;
    let mut busy = server.tcp().await;
    let mut idle = server.tcp().await;
    ask(&mut idle, GET).await;
    let begun = "POST /i/_doc HTTP/1.1\r\nhost: es\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\
                 expect: 100-continue\r\n\r\n";
    busy.write_all(begun.as_bytes()).await.unwrap();
    let mut told = [0; 25];
    busy.read_exact(&mut told).await.unwrap();
    let handle = server.handle.take().unwrap();
    let stopping = tokio::spawn(handle.shutdown(WITHIN));
    closed(&mut idle).await;
    busy.write_all(b"{}").await.unwrap();
    let rest = ask(&mut busy, "").await;
    assert!(rest.contains("there is no node here"), "{rest}");
    closed(&mut busy).await;
    assert!(stopping.await.unwrap(), "all finished by themselves");
    assert!(
        tokio::net::TcpStream::connect(server.address)
            .await
            .is_err()
    );
}
