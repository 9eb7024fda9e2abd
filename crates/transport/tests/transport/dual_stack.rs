//! TLS beside plaintext, while it is turned on node by node.

use ringwall_base::TransportTls;
use ringwall_transport::{NodeIdentity, Transport, TransportConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::*;
use crate::tls::{ca, tls_context};

fn named(name: &str, mode: TransportTls) -> NodeIdentity {
    let mut identity = identity(name);
    let value = mode.as_str().to_owned();
    identity
        .attributes
        .insert(TransportTls::ATTRIBUTE.to_owned(), value);
    identity
}

async fn start(name: &str, mode: TransportTls, dir: &tempfile::TempDir) -> Transport {
    let config = TransportConfig {
        tls: (mode != TransportTls::Off).then(|| tls_context(dir.path())),
        dual_stack: mode == TransportTls::DualStack,
        ..config()
    };
    node_with(config, named(name, mode)).await
}

#[tokio::test]
async fn a_node_with_both_talks_as_the_other_can_until_it_is_ended() {
    let logs = Logs::capture();
    let ca = ca("CA");
    let dir = tempfile::tempdir().unwrap();
    crate::tls::write_files(dir.path(), "node", &ca, &[&ca]);
    let off = start("off", TransportTls::Off, &dir).await;
    let dual = start("dual", TransportTls::DualStack, &dir).await;
    let required = start("required", TransportTls::Required, &dir).await;
    let encrypted = |node: &Transport, other: &Transport| {
        let links = node.links();
        let mut links = links.iter().filter(|link| link.node.id == id(other));
        links.all(|link| link.encrypted)
    };

    for (from, to, is_encrypted) in [
        (&dual, &off, false),
        (&off, &dual, false),
        (&dual, &required, true),
        (&required, &dual, true),
    ] {
        assert_eq!(ask(from, to, "hello").await.unwrap(), "hello");
        assert_eq!(encrypted(from, to), is_encrypted);
    }
    assert!(
        !logs
            .matching("made an UNENCRYPTED link to node [{off}")
            .is_empty()
    );
    assert!(
        !logs
            .matching("accepted an UNENCRYPTED link from node [{off}")
            .is_empty()
    );
    assert!(ask(&required, &off, "hello").await.is_err());
    assert!(ask(&off, &required, "hello").await.is_err());

    // As the cluster state ends it: from a thread of its own.
    let ending = dual.clone();
    let closed = std::thread::spawn(move || ending.end_dual_stack())
        .join()
        .unwrap();
    assert!(closed.unwrap() >= 2, "{closed:?}");
    assert_eq!(dual.end_dual_stack(), None);
    eventually("no link without TLS is left", || {
        dual.links().iter().all(|link| link.encrypted)
    })
    .await;
    assert!(ask(&off, &dual, "hello").await.is_err());
    assert_eq!(ask(&required, &dual, "still").await.unwrap(), "still");
}

#[tokio::test]
async fn a_peer_that_speaks_tls_and_is_refused_is_not_asked_in_plaintext() {
    let _logs = Logs::capture();
    let (ours, theirs) = (ca("ours"), ca("theirs"));
    let (dir, other_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    crate::tls::write_files(dir.path(), "node", &ours, &[&ours]);
    crate::tls::write_files(other_dir.path(), "other", &theirs, &[&theirs]);
    let node = start("node", TransportTls::DualStack, &dir).await;
    // It would answer in plaintext too.
    let other = start("other", TransportTls::DualStack, &other_dir).await;
    let error = ask(&node, &other, "hello").await.unwrap_err().to_string();
    assert!(error.contains("failed to establish trust"), "{error}");
    assert!(node.links().is_empty() && other.links().is_empty());
}

/// A connection begun while plaintext was let in must not become a link after it.
#[tokio::test]
async fn a_slow_plaintext_peer_does_not_outlive_the_end() {
    let _logs = Logs::capture();
    let ca = ca("CA");
    let dir = tempfile::tempdir().unwrap();
    crate::tls::write_files(dir.path(), "node", &ca, &[&ca]);
    let off = start("off", TransportTls::Off, &dir).await;
    let dual = start("dual", TransportTls::DualStack, &dir).await;
    // Passes on the first bytes, and the others only when plaintext has ended.
    let between = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = between.local_addr().unwrap().to_string();
    let (to, node) = (dual.local().publish_address.clone(), dual.clone());
    tokio::spawn(async move {
        let (mut from, _) = between.accept().await.unwrap();
        let mut to = TcpStream::connect(to).await.unwrap();
        let mut first = [0; 10];
        from.read_exact(&mut first).await.unwrap();
        to.write_all(&first).await.unwrap();
        eventually("the peer is in its handshake", || {
            node.counts().handshaking == 1
        })
        .await;
        // Seen as plaintext by then, or the opening would not be read on.
        tokio::time::sleep(SECOND / 5).await;
        assert!(node.end_dual_stack().is_some());
        let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
    });
    let probed = off.probe(&address, PATIENCE).await;
    assert!(probed.is_err(), "{probed:?}");
    assert!(dual.links().is_empty());
    eventually("nothing is left of it", || {
        let counts = dual.counts();
        counts.accepted == 0 && counts.handshaking == 0
    })
    .await;
}
