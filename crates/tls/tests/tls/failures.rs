//! Peers that fail again and again: their address waits.

use std::sync::Arc;

use ringwall_tls::FailureReason;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::{Cert, Fixture, WITHIN, check, shake, sockets};

/// Who fails again and again has his next handshakes wait, a few at a time; a healthy peer at his address gets in.
#[tokio::test]
async fn repeated_failures_are_charged_to_their_address() {
    let fixture = Fixture::new();
    let mut config = fixture.config(Cert::Good);
    config.handshakes.free_failures = 1;
    let server = fixture.context(config);
    let stranger = fixture.context(fixture.config(Cert::OtherCa));
    // Failures are forgotten with time: enough for a slow machine.
    for _ in 0..20 {
        let outcome = shake(&server, &stranger, "localhost").await;
        assert!(outcome.server.is_err());
    }
    let mut held: Vec<TcpStream> = Vec::new();
    let mut accepting = JoinSet::new();
    for _ in 0..=MAX_WAITING {
        let (silent, (accepted, peer)) = sockets().await;
        held.push(silent);
        let server = Arc::clone(&server);
        accepting.spawn(async move { server.accept(accepted, peer, WITHIN).await });
    }
    let refused = accepting.join_next().await.unwrap().unwrap();
    let failure = refused.as_ref().unwrap_err();
    assert_eq!(failure.reason(), &FailureReason::TooManyFailures);
    let words = "the handshakes of this address keep failing|a healthy one at the same address may have to wait";
    check("one too many", &refused, words);
    accepting.shutdown().await;
    let good = fixture.context(fixture.config(Cert::Good));
    let outcome = shake(&server, &good, "localhost").await;
    check("a healthy peer", &outcome.server, "");
}

/// Of one address.
const MAX_WAITING: usize = 16;
