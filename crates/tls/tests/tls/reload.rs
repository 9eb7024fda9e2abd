//! Files that change under a running context.

use std::time::Duration;

use ringwall_tls::{FailureReason, PeerRole, ReloadOutcome, TrustSource};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Cert, Fixture, WITHIN, check, node_params, shake, write_pem};

#[tokio::test]
async fn new_handshakes_see_the_new_certificate_and_old_connections_live_on() {
    let fixture = Fixture::new();
    let server = fixture.context(fixture.config(Cert::Good));
    let client = fixture.context(fixture.config(Cert::WrongName));
    let generation = server.subscribe();
    let before = shake(&server, &client, "localhost").await;
    let (mut accepted, mut dialled) = (before.server.unwrap(), before.client.unwrap());
    let old = server.own_certificate().unwrap();
    assert_eq!(server.reload(), ReloadOutcome::Unchanged);

    write_pem(
        fixture.dir.path(),
        "Good",
        &fixture.ca.issue(&node_params("node-1")).unwrap(),
    );
    let outcome = server.reload();
    let new = server.own_certificate().unwrap();
    let ReloadOutcome::Reloaded(reload) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(
        reload.changed,
        [fixture.path("Good.crt"), fixture.path("Good.key")]
    );
    assert_eq!(
        (reload.old.as_ref(), reload.new.as_ref()),
        (Some(&old), Some(&new))
    );
    assert_ne!(old.serial, new.serial);
    assert!(!reload.trust_removed && reload.added.is_empty());
    assert_eq!(*generation.borrow(), 1);

    let after = shake(&server, &client, "localhost").await;
    let seen = after
        .client
        .unwrap()
        .peer_identity()
        .unwrap()
        .info
        .clone()
        .unwrap();
    assert_eq!(seen.serial, new.serial);
    dialled.write_all(b"late").await.unwrap();
    dialled.flush().await.unwrap();
    accepted.read_exact(&mut [0; 4]).await.unwrap();
    assert_eq!(dialled.peer_identity().unwrap().info.as_ref(), Some(&old));
    let entries = server.certificates();
    assert!(
        entries
            .iter()
            .any(|row| row.has_private_key && row.info == new && row.path == "Good.crt")
    );
}

#[tokio::test]
async fn broken_and_half_replaced_files_keep_the_old_material() {
    let fixture = Fixture::new();
    let server = fixture.context(fixture.config(Cert::Good));
    let client = fixture.context(fixture.config(Cert::Good));
    let old = server.own_certificate().unwrap();
    let old_pem = std::fs::read(fixture.path("Good.crt")).unwrap();
    let replacement = fixture.ca.issue(&node_params("node-1")).unwrap();
    let failed = |outcome: ReloadOutcome, part: &str, expect_new: bool| {
        let ReloadOutcome::Failed { reason, is_new } = outcome else {
            panic!("{part}: {outcome:?}");
        };
        assert!(reason.contains(part), "[{part}] is not in: {reason}");
        assert!(reason.contains("failed to load SSL configuration [xpack.security.transport.ssl]"));
        assert_eq!(is_new, expect_new, "{reason}");
    };

    fixture.write("Good.crt", &old_pem[..old_pem.len() / 2]);
    failed(server.reload(), "Good.crt", true);
    failed(server.reload(), "Good.crt", false);
    std::fs::remove_file(fixture.path("Good.crt")).unwrap();
    failed(server.reload(), "the file does not exist", true);
    // The certificate is new, the key still the old one.
    fixture.write(
        "Good.crt",
        ringwall_pki::pem::encode_certificates(&replacement.chain),
    );
    failed(server.reload(), "does not match", true);
    assert!(
        server
            .last_reload_error()
            .unwrap()
            .contains("does not match")
    );
    assert_eq!(server.own_certificate().as_ref(), Some(&old));
    check(
        "meanwhile",
        &shake(&server, &client, "localhost").await.client,
        "",
    );

    write_pem(fixture.dir.path(), "Good", &replacement);
    assert!(matches!(server.reload(), ReloadOutcome::Reloaded(_)));
    assert_eq!(server.own_certificate(), replacement.info().ok());
    assert_eq!(server.last_reload_error(), None);
}

#[tokio::test]
async fn restoring_the_old_content_ends_a_failure() {
    let fixture = Fixture::new();
    let server = fixture.context(fixture.config(Cert::Good));
    let content = std::fs::read(fixture.path("ca.crt")).unwrap();
    fixture.write("ca.crt", "");
    assert!(matches!(server.reload(), ReloadOutcome::Failed { .. }));
    fixture.write("ca.crt", content);
    assert_eq!(server.reload(), ReloadOutcome::Restored);
    assert_eq!(server.last_reload_error(), None);
    assert_eq!(server.reload(), ReloadOutcome::Unchanged);
}

/// The resumption trap: a session made while the CA was trusted must not outlive that trust.
#[tokio::test]
async fn a_removed_ca_stops_working_for_new_handshakes() {
    for protocol in ["TLSv1.2", "TLSv1.3"] {
        let fixture = Fixture::new();
        let ca = std::fs::read_to_string(fixture.path("ca.crt")).unwrap();
        let other = std::fs::read_to_string(fixture.path("other.crt")).unwrap();
        fixture.write("trust.crt", format!("{ca}{other}"));
        let context = |cert| {
            let mut config = fixture.config(cert);
            config.trust = TrustSource::Pem(vec![fixture.configured("trust.crt")]);
            config.protocols = vec![protocol.to_owned()];
            fixture.context(config)
        };
        let (server, client) = (context(Cert::Good), context(Cert::OtherCa));
        let live = shake(&server, &client, "localhost").await;
        check(protocol, &live.client, "");
        check(
            protocol,
            &shake(&server, &client, "localhost").await.client,
            "",
        );

        fixture.write("trust.crt", &ca);
        let outcome = server.reload();
        let ReloadOutcome::Reloaded(reload) = &outcome else {
            panic!("{outcome:?}");
        };
        assert!(reload.trust_removed, "{reload:?}");
        let [removed] = reload.removed.as_slice() else {
            panic!("{reload:?}");
        };
        assert_eq!(removed.subject, "CN=Other CA");

        let refused = shake(&server, &client, "localhost").await;
        check(
            protocol,
            &refused.server,
            "not configured to trust that issuer [CN=Other CA]",
        );
        check(protocol, &refused.client, "[unknown_ca]");
        // The live link is still up, and its owner can find out that it should not be.
        let accepted = live.server.unwrap();
        let chain = &accepted.peer_identity().unwrap().chain;
        assert!(matches!(
            server.would_trust(chain, PeerRole::Client, None),
            Err(FailureReason::UntrustedIssuer { .. })
        ));
        // And dialling: the client itself still trusts both.
        assert_eq!(
            client.would_trust(chain, PeerRole::Server, Some("localhost")),
            Ok(())
        );
        assert!(matches!(
            client.would_trust(chain, PeerRole::Server, Some("no such name")),
            Err(FailureReason::NameMismatch { .. })
        ));
    }
}

#[tokio::test]
async fn the_watcher_takes_up_changes_and_ends_with_its_context() {
    let fixture = Fixture::new();
    let server = fixture.context(fixture.config(Cert::Good));
    let mut generation = server.subscribe();
    let watcher = server.spawn_watcher(Duration::from_millis(5));

    let replacement = fixture.ca.issue(&node_params("node-1")).unwrap();
    write_pem(fixture.dir.path(), "Good", &replacement);
    let wanted = replacement.info().ok();
    tokio::time::timeout(WITHIN, async {
        while server.own_certificate() != wanted {
            generation.changed().await.unwrap();
        }
    })
    .await
    .expect("the watcher reloads");

    drop(server);
    tokio::time::timeout(WITHIN, watcher)
        .await
        .expect("the watcher ends")
        .unwrap();
}

#[tokio::test]
async fn a_certificate_is_refused_once_its_authority_lists_it_as_revoked() {
    let fixture = Fixture::new();
    let good = fixture.key(Cert::Good);
    fixture.write("ca.crl", fixture.revocation_list(&[]));
    let mut config = fixture.config(Cert::Good);
    config.key = good.clone();
    config.revocation_lists = vec![fixture.configured("ca.crl")];
    let server = fixture.context(config.clone());
    config.revocation_lists.clear();
    let client = fixture.context(config);
    let link = shake(&server, &client, "localhost").await.server.unwrap();
    let identity = link.peer_identity().unwrap();

    fixture.write("ca.crl", "nonsense");
    let broken = server.reload();
    let part = "ca.crl] of [xpack.security.transport.ssl.certificate_revocation_lists]";
    assert!(
        matches!(&broken, ReloadOutcome::Failed { reason, .. } if reason.contains(part)),
        "{broken:?}"
    );
    let serial = identity.info.as_ref().unwrap().serial.clone();
    fixture.write("ca.crl", fixture.revocation_list(&[&serial]));
    let reloaded = server.reload();
    let looks_again = matches!(&reloaded, ReloadOutcome::Reloaded(reload) if reload.trust_removed);
    assert!(looks_again, "{reloaded:?}");
    let refused = shake(&server, &client, "localhost").await.server;
    check("after", &refused, &format!("[{serial}] is revoked"));
    let again = server.would_trust(&identity.chain, PeerRole::Client, None);
    assert!(
        matches!(again, Err(FailureReason::Revoked { .. })),
        "{again:?}"
    );
}
