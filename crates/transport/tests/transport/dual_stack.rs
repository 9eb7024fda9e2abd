//! TLS beside plaintext, while it is turned on node by node.

use ringwall_base::TransportTls;
use ringwall_transport::{NodeIdentity, Transport, TransportConfig};

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
