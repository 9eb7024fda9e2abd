//! What is told of a context before anybody connects, and what somebody speaks.

use std::time::Duration;

use ringwall_tls::{
    DoubtKind, KeySource, PeerRole, Speaks, SslConfig, SslError, TrustSource, VerificationMode,
    file_problems, speaks,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{Cert, Fixture, WITHIN, sockets};

/// Returns the checks that have something to tell, fatal ones with an exclamation mark.
fn told(fixture: &Fixture, config: SslConfig, dialled: &[&str]) -> Vec<String> {
    let dialled: Vec<String> = dialled.iter().map(|host| (*host).to_owned()).collect();
    let doubts = fixture.context(config).checkup(&dialled);
    for doubt in &doubts {
        assert!(!doubt.what().contains('\n') && !doubt.remedy().is_empty());
        assert!(doubt.setting().starts_with("xpack.security."));
    }
    doubts
        .iter()
        .filter(|doubt| doubt.check() != "tls_certificate_ends")
        .map(|doubt| match doubt.is_fatal() {
            true => format!("{}!", doubt.check()),
            false => doubt.check().to_owned(),
        })
        .collect()
}

#[test]
fn every_doubt_is_told_by_how_bad_it_is() {
    let fixture = Fixture::new();
    let of = |cert| fixture.config(cert);
    for (config, expected) in [
        (of(Cert::Good), &[][..]),
        (of(Cert::Expired), &["tls_certificate_dates!"]),
        (of(Cert::NotYetValid), &["tls_certificate_dates!"]),
        (of(Cert::OtherCa), &["tls_own_trust!"]),
        (of(Cert::ServerAuthOnly), &["tls_own_trust!"]),
        (of(Cert::ClientAuthOnly), &["tls_own_trust!"]),
        (of(Cert::WrongName), &["tls_name!"]),
    ] {
        assert_eq!(
            told(&fixture, config.clone(), &["127.0.0.1"]),
            expected,
            "{config:?}"
        );
    }
    let relaxed = SslConfig {
        verification_mode: VerificationMode::Certificate,
        ..of(Cert::WrongName)
    };
    assert!(told(&fixture, relaxed, &["127.0.0.1"]).is_empty());
    let own = SslConfig {
        trust: TrustSource::OwnCertificates,
        ..of(Cert::SelfSigned)
    };
    assert_eq!(told(&fixture, own, &[]), ["tls_default_trust", "tls_no_ca"]);
    let nobody = SslConfig {
        trust: TrustSource::Pem(Vec::new()),
        ..of(Cert::Good)
    };
    assert_eq!(
        told(&fixture, nobody, &[]),
        ["tls_own_trust!", "tls_no_ca!"]
    );
}

#[test]
fn https_leaves_trust_and_names_to_its_clients() {
    let fixture = Fixture::new();
    let http = |cert| SslConfig {
        name: "xpack.security.http.ssl".to_owned(),
        ..fixture.config(cert)
    };
    // Whom HTTPS trusts may be its users' CA alone.
    assert!(told(&fixture, http(Cert::OtherCa), &["127.0.0.1"]).is_empty());
    assert_eq!(
        told(&fixture, http(Cert::WrongName), &["127.0.0.1"]),
        ["tls_name"]
    );
    // No client accepts that.
    assert_eq!(
        told(&fixture, http(Cert::ClientAuthOnly), &[]),
        ["tls_own_trust!"]
    );
    assert!(told(&fixture, http(Cert::ServerAuthOnly), &[]).is_empty());
}

#[test]
fn a_certificate_for_one_use_is_refused_for_the_other() {
    let fixture = Fixture::new();
    for (cert, refused) in [
        (Cert::ServerAuthOnly, Some(PeerRole::Client)),
        (Cert::ClientAuthOnly, Some(PeerRole::Server)),
        (Cert::OtherCa, None),
    ] {
        let doubts = fixture.context(fixture.config(cert)).checkup(&[]);
        let role = doubts.iter().find_map(|doubt| match &doubt.kind {
            DoubtKind::OwnRefused { role, .. } => Some(*role),
            _ => None,
        });
        assert_eq!(role, Some(refused), "{cert:?}");
    }
}

#[test]
fn names_are_compared_as_a_handshake_does() {
    let fixture = Fixture::new();
    let context = fixture.context(fixture.config(Cert::Good));
    for (host, named) in [
        ("127.0.0.1", true),
        ("localhost", true),
        ("127.0.0.2", false),
        ("a_b", false),
        ("two words", false),
    ] {
        assert_eq!(context.names(host), Some(named), "{host}");
    }
    let keyless = fixture.context(fixture.config(Cert::None));
    assert_eq!(keyless.names("localhost"), None);
}

#[test]
fn every_file_that_is_wrong_is_told() {
    let fixture = Fixture::new();
    assert!(file_problems(&fixture.config(Cert::Good)).is_empty());
    let config = fixture.config(Cert::Good);
    std::fs::remove_file(fixture.path("Good.key")).unwrap();
    fixture.write("ca.crt", "");
    let problems = file_problems(&config);
    let settings: Vec<String> = problems.iter().map(SslError::setting).collect();
    assert_eq!(
        settings,
        [
            "xpack.security.transport.ssl.key",
            "xpack.security.transport.ssl.certificate_authorities"
        ]
    );
    assert_eq!(problems[0].file(), Some(fixture.path("Good.key").as_path()));
    assert!(problems.iter().all(|problem| !problem.remedy().is_empty()));
    assert_eq!(config.secret_files(), [fixture.path("Good.key")]);
    let none = SslConfig {
        key: KeySource::None,
        ..config
    };
    assert!(none.secret_files().is_empty());
}

#[tokio::test]
async fn what_somebody_speaks_is_found_out() {
    let fixture = Fixture::new();
    let context = fixture.context(fixture.config(Cert::Good));
    let tls = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addresses = [&tls, &plain, &silent].map(|listener| listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((tcp, peer)) = tls.accept().await {
            let context = context.clone();
            tokio::spawn(async move { context.accept(tcp, peer, WITHIN).await.map(drop) });
        }
    });
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = plain.accept().await {
            let mut first = [0; 1];
            if tcp.read_exact(&mut first).await.is_ok() && first[0] == b'G' {
                let _ = tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            }
        }
    });
    assert_eq!(speaks(addresses[0], WITHIN).await, Speaks::Tls);
    assert_eq!(speaks(addresses[1], WITHIN).await, Speaks::Plaintext);
    let short = Duration::from_millis(100);
    assert_eq!(speaks(addresses[2], short).await, Speaks::Unknown);
    drop(silent);
    assert_eq!(speaks(addresses[2], WITHIN).await, Speaks::Unknown);
}

#[tokio::test]
async fn the_line_of_a_failure_is_what_happened_and_what_to_do() {
    let fixture = Fixture::new();
    let server = fixture.context(fixture.config(Cert::OtherCa));
    let client = fixture.context(fixture.config(Cert::Good));
    let (dialled, (accepted, peer)) = sockets().await;
    let (_, failure) = tokio::join!(
        server.accept(accepted, peer, WITHIN),
        client.connect(dialled, "localhost", peer, WITHIN)
    );
    let failure = failure.unwrap_err();
    let line = format!("{}; {}", failure.what(), failure.remedy());
    assert_eq!(failure.to_string(), line);
    assert!(failure.remedy().contains("a certificate of ["), "{line}");
    assert!(!failure.what().contains(&failure.remedy()), "{line}");
    assert_eq!(failure.own_certificate(), client.own_certificate().as_ref());
}
