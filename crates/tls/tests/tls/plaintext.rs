//! Peers that do not speak TLS, or stop speaking.

use std::sync::Arc;
use std::time::Duration;

use ringwall_tls::{
    FailureReason, HandshakeFailure, PlaintextKind, SslConfig, SslContext, detect_tls,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Cert, Fixture, WITHIN, sockets};

/// Sends bytes to an accepting context and returns its verdict and what it answered.
async fn send(context: &Arc<SslContext>, chunks: &[&[u8]]) -> (HandshakeFailure, Vec<u8>) {
    let (mut dialled, (accepted, peer)) = sockets().await;
    let (failure, answer) = tokio::join!(
        async { context.accept(accepted, peer, WITHIN).await.unwrap_err() },
        async {
            for chunk in chunks {
                dialled.write_all(chunk).await.unwrap();
                dialled.flush().await.unwrap();
                tokio::task::yield_now().await;
            }
            dialled.shutdown().await.unwrap();
            let mut answer = Vec::new();
            dialled.read_to_end(&mut answer).await.unwrap();
            answer
        }
    );
    (failure, answer)
}

fn http(fixture: &Fixture) -> Arc<SslContext> {
    let mut config: SslConfig = fixture.config(Cert::Good);
    config.name = "xpack.security.http.ssl".to_owned();
    SslContext::load(config, &["h2", "http/1.1"]).unwrap()
}

#[tokio::test]
async fn plaintext_is_recognised_and_closed_without_an_answer() {
    let fixture = Fixture::new();
    let transport = fixture.context(fixture.config(Cert::Good));
    let http = http(&fixture);
    let on_transport =
        "received plaintext traffic on an encrypted channel, closing connection [127.0.0.1:";
    let on_http =
        "received plaintext http traffic on an https channel, closing connection [127.0.0.1:";
    let request = b"GET /_cluster/health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (context, chunks, kind, sentence) in [
        (
            &transport,
            &[&request[..]][..],
            PlaintextKind::Http,
            on_transport,
        ),
        (&http, &[request], PlaintextKind::Http, on_http),
        (
            &http,
            &[b"DEL", b"ETE /x HTTP/1.1\r\n\r\n"],
            PlaintextKind::Http,
            on_http,
        ),
        (
            &http,
            &[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
            PlaintextKind::Http2,
            on_http,
        ),
        (
            &transport,
            &[b"RW\0\0\0\x10hello"],
            PlaintextKind::Other,
            on_transport,
        ),
        (
            &http,
            &[b"hello\n"],
            PlaintextKind::Other,
            "received plaintext traffic on an https channel",
        ),
    ] {
        let (failure, answer) = send(context, chunks).await;
        assert_eq!(
            failure.reason(),
            &FailureReason::Plaintext(kind),
            "{chunks:?}"
        );
        assert!(failure.to_string().starts_with(sentence), "{failure}");
        assert!(answer.is_empty(), "no bytes of an answer");
    }
}

#[tokio::test]
async fn a_peer_that_leaves_or_breaks_off_is_routine() {
    let fixture = Fixture::new();
    let context = fixture.context(fixture.config(Cert::Good));
    for chunks in [&[][..], &[&b"\x16\x03\x01\x02\0\x01"[..]]] {
        let (failure, _) = send(&context, chunks).await;
        assert_eq!(failure.reason(), &FailureReason::Closed);
        assert!(failure.is_routine());
        assert!(
            failure.to_string().contains("closed during handshake"),
            "{failure}"
        );
    }
}

#[tokio::test]
async fn garbage_inside_tls_is_a_protocol_failure() {
    let fixture = Fixture::new();
    let context = fixture.context(fixture.config(Cert::Good));
    let (failure, _) = send(&context, &[b"\x16\x03\x01\0\x04\x02\0\0\0"]).await;
    assert!(
        matches!(failure.reason(), FailureReason::Protocol(_)),
        "{failure}"
    );
}

#[tokio::test]
async fn a_silent_peer_meets_the_deadline() {
    let fixture = Fixture::new();
    let context = fixture.context(fixture.config(Cert::Good));
    let (dialled, (accepted, peer)) = sockets().await;
    let within = Duration::from_millis(30);
    let failure = context.accept(accepted, peer, within).await.unwrap_err();
    assert_eq!(failure.reason(), &FailureReason::Timeout { after: within });
    drop(dialled);

    let (dialled, (accepted, peer)) = sockets().await;
    let failure = context
        .connect(dialled, "localhost", peer, within)
        .await
        .unwrap_err();
    assert!(
        failure.to_string().contains("did not finish within 30ms"),
        "{failure}"
    );
    drop(accepted);
}

#[tokio::test]
async fn a_server_without_tls_is_named_by_the_dialler() {
    let fixture = Fixture::new();
    let context = fixture.context(fixture.config(Cert::Good));
    let (dialled, (mut accepted, _)) = sockets().await;
    let address = dialled.peer_addr().unwrap();
    let (failure, _) = tokio::join!(
        async {
            context
                .connect(dialled, "localhost", address, WITHIN)
                .await
                .unwrap_err()
        },
        async {
            accepted
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .await
                .unwrap();
            accepted.shutdown().await.unwrap();
            accepted.read_to_end(&mut Vec::new()).await.ok();
        }
    );
    assert!(
        failure
            .to_string()
            .contains("answered the TLS handshake with HTTP without TLS; it is an HTTP port"),
        "{failure}"
    );
}

#[tokio::test]
async fn a_listener_without_tls_recognises_a_tls_dialler() {
    let fixture = Fixture::new();
    let context = fixture.context(fixture.config(Cert::Good));
    let (dialled, (accepted, peer)) = sockets().await;
    let address = dialled.peer_addr().unwrap();
    let (seen, failure) = tokio::join!(
        async {
            let seen = detect_tls(&accepted, peer, WITHIN).await.unwrap();
            drop(accepted);
            seen
        },
        async {
            context
                .connect(dialled, "localhost", address, WITHIN)
                .await
                .unwrap_err()
        },
    );
    let line = seen.unwrap().to_string();
    assert!(
        line.starts_with("SSL/TLS request received but SSL/TLS is not enabled"),
        "{line}"
    );
    assert!(
        matches!(
            failure.reason(),
            FailureReason::Closed | FailureReason::Io(_)
        ),
        "{failure}"
    );

    let (mut dialled, (accepted, peer)) = sockets().await;
    dialled.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    assert_eq!(detect_tls(&accepted, peer, WITHIN).await.unwrap(), None);
    let error = detect_tls(&dialled, peer, Duration::from_millis(20))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn a_context_without_a_key_cannot_accept() {
    let fixture = Fixture::new();
    let context = fixture.context(fixture.config(Cert::None));
    let (failure, _) = send(&context, &[b"\x16\x03\x01\0\x04\x02\0\0\0"]).await;
    assert_eq!(failure.reason(), &FailureReason::NoKey);
    assert!(
        failure
            .to_string()
            .contains("[xpack.security.transport.ssl.keystore.path]")
    );
}

#[tokio::test]
async fn application_protocols_are_negotiated() {
    let fixture = Fixture::new();
    let server = http(&fixture);
    for (offered, agreed) in [(&["h2", "http/1.1"][..], "h2"), (&["http/1.1"], "http/1.1")] {
        let client = SslContext::load(fixture.config(Cert::Good), offered).unwrap();
        let outcome = crate::support::shake(&server, &client, "localhost").await;
        assert_eq!(
            outcome.server.unwrap().alpn_protocol(),
            Some(agreed.as_bytes())
        );
    }
}
