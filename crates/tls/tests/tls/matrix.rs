//! Who is accepted and refused, and what the line says on either end, for TLS 1.2 and 1.3.

use std::sync::{Arc, OnceLock};

use ringwall_pki::{CertificateDer, self_signed};
use ringwall_tls::{
    ClientAuthentication, FailureReason, MaybeTlsStream, PeerRole, SslContext, VerificationMode,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Cert, Fixture, check, node_params, shake, sockets, write_pem};

/// One handshake: the expectations are `""` for success, else parts of the line, `|` between them.
struct Case {
    mode: VerificationMode,
    authentication: ClientAuthentication,
    server: Cert,
    client: Cert,
    host: &'static str,
    server_says: &'static str,
    client_says: &'static str,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            mode: VerificationMode::Full,
            authentication: ClientAuthentication::Required,
            server: Cert::Good,
            client: Cert::Good,
            host: "localhost",
            server_says: "",
            client_says: "",
        }
    }
}

async fn run(cases: Vec<Case>) {
    let fixture = Fixture::new();
    for protocol in ["TLSv1.2", "TLSv1.3"] {
        for case in &cases {
            let context = |cert| {
                let mut config = fixture.config(cert);
                config.verification_mode = case.mode;
                config.client_authentication = case.authentication;
                config.protocols = vec![protocol.to_owned()];
                fixture.context(config)
            };
            let (server, client) = (context(case.server), context(case.client));
            let outcome = shake(&server, &client, case.host).await;
            let what = format!(
                "{protocol} {:?} {:?}: server {:?}, client {:?}, dialled {}",
                case.mode, case.authentication, case.server, case.client, case.host
            );
            check(
                &format!("{what}: at the server"),
                &outcome.server,
                case.server_says,
            );
            check(
                &format!("{what}: at the client"),
                &outcome.client,
                case.client_says,
            );
            if let Ok(stream) = &outcome.client {
                assert_eq!(stream.protocol_version(), Some(protocol));
            }
        }
    }
}

#[tokio::test]
async fn full_checks_chain_dates_usage_and_the_name_dialled() {
    let case = Case::default;
    run(vec![
        case(),
        Case { host: "127.0.0.1", ..case() },
        Case {
            host: "es02.example",
            server_says: "client did not trust this server's certificate|bad_certificate",
            client_says: "failed to establish trust with server at [127.0.0.1:|subject name [CN=node-1]|\
                          subject alternative names [DNS:localhost,IP:127.0.0.1]|not valid for [es02.example]|\
                          verification_mode: certificate",
            ..case()
        },
        Case {
            server: Cert::WrongName,
            host: "127.0.0.1",
            server_says: "client did not trust",
            client_says: "[DNS:elsewhere.example,IP:192.0.2.7]|not valid for [127.0.0.1], the address dialled",
            ..case()
        },
        // The accepting side never checks names.
        Case { client: Cert::WrongName, ..case() },
        Case {
            server: Cert::OtherCa,
            server_says: "client did not trust this server's certificate|unknown_ca",
            client_says: "failed to establish trust with server|not configured to trust that issuer [CN=Other CA]|\
                          it only trusts the issuer [CN=Test CA] with fingerprint [|PEM file [|ca.crt]|a certificate of [CN=Test CA]",
            ..case()
        },
        Case {
            client: Cert::OtherCa,
            server_says: "failed to establish trust with client at [127.0.0.1:|subject name [CN=node-1]|\
                          not configured to trust that issuer [CN=Other CA]|ca.crt",
            client_says: "rejected this node with the TLS alert [unknown_ca]|issued by [CN=Other CA]|\
                          xpack.security.transport.ssl",
            ..case()
        },
        Case {
            client: Cert::SameNameOtherCa,
            server_says: "trusts [1] certificate with subject name [CN=Test CA] and fingerprint [|\
                          but the signatures do not match|created again under the same name",
            client_says: "[unknown_ca]",
            ..case()
        },
        Case {
            client: Cert::Expired,
            server_says: "the certificate has expired|expired on [|replace it on the client",
            client_says: "[certificate_expired]",
            ..case()
        },
        Case {
            server: Cert::NotYetValid,
            server_says: "client did not trust|certificate_expired",
            client_says: "the certificate is not yet valid|is not valid before [|clocks",
            ..case()
        },
        Case {
            client: Cert::SelfSigned,
            server_says: "the certificate is self-issued; the [CN=node-1] certificate is not trusted",
            client_says: "[unknown_ca]",
            ..case()
        },
        Case {
            client: Cert::SelfSignedCa,
            server_says: "self-issued; the [CN=lone.example] certificate is not trusted",
            client_says: "[unknown_ca]",
            ..case()
        },
        Case {
            client: Cert::ServerAuthOnly,
            server_says: "cannot be used for a TLS client|extendedKeyUsage|both serverAuth and clientAuth",
            client_says: "[unsupported_certificate]|extendedKeyUsage",
            ..case()
        },
        Case {
            server: Cert::ClientAuthOnly,
            server_says: "client did not trust|unsupported_certificate",
            client_says: "cannot be used for a TLS server",
            ..case()
        },
        Case {
            client: Cert::None,
            server_says: "failed to establish trust with client|the client did not provide a certificate|[CN=Test CA]",
            client_says: "[certificate_required]|this side has no certificate",
            ..case()
        },
    ])
    .await;
}

#[tokio::test]
async fn certificate_checks_everything_but_the_name() {
    let case = || Case {
        mode: VerificationMode::Certificate,
        host: "es02.example",
        ..Case::default()
    };
    run(vec![
        case(),
        Case {
            server: Cert::WrongName,
            ..case()
        },
        Case {
            server: Cert::OtherCa,
            server_says: "client did not trust",
            client_says: "not configured to trust that issuer [CN=Other CA]",
            ..case()
        },
        Case {
            server: Cert::SameNameOtherCa,
            server_says: "client did not trust",
            client_says: "signatures do not match",
            ..case()
        },
        Case {
            server: Cert::Expired,
            server_says: "client did not trust",
            client_says: "expired on [",
            ..case()
        },
        Case {
            client: Cert::None,
            server_says: "did not provide a certificate",
            client_says: "[certificate_required]",
            ..case()
        },
    ])
    .await;
}

#[tokio::test]
async fn none_accepts_any_certificate_but_still_wants_one() {
    let case = || Case {
        mode: VerificationMode::None,
        host: "es02.example",
        ..Case::default()
    };
    let any = [
        Cert::Good,
        Cert::OtherCa,
        Cert::SameNameOtherCa,
        Cert::Expired,
        Cert::NotYetValid,
        Cert::SelfSigned,
        Cert::SelfSignedCa,
        Cert::ClientAuthOnly,
    ];
    let mut cases: Vec<Case> = any
        .into_iter()
        .map(|cert| Case {
            server: cert,
            client: cert,
            ..case()
        })
        .collect();
    cases.push(Case {
        client: Cert::None,
        server_says: "did not provide a certificate",
        client_says: "[certificate_required]",
        ..case()
    });
    run(cases).await;
}

/// Handshakes and later looks at a link agree about every host, also about those that no certificate can hold.
#[tokio::test]
async fn a_host_has_one_verdict_in_the_handshake_and_afterwards() {
    let fixture = Fixture::new();
    let server = fixture.context(fixture.config(Cert::Good));
    let chain = [fixture.issue(Cert::Good).certificate];
    for (host, refusal) in [
        ("localhost", ""),
        ("127.0.0.1", ""),
        ("two words", "not valid for [two words]"),
        ("", "not valid for []"),
        ("node_1", "underscore"),
        ("es02.example", "not valid for [es02.example]"),
    ] {
        for mode in [
            VerificationMode::Full,
            VerificationMode::Certificate,
            VerificationMode::None,
        ] {
            let mut config = fixture.config(Cert::Good);
            config.verification_mode = mode;
            let client = fixture.context(config);
            let what = format!("{mode:?} [{host}]");
            let expected = match mode {
                VerificationMode::Full => refusal,
                _ => "",
            };
            let dialled = shake(&server, &client, host).await.client;
            check(&what, &dialled, expected);
            let later = client.would_trust(&chain, PeerRole::Server, Some(host));
            let reason = dialled.err().map(|failure| failure.reason().clone());
            assert_eq!(later.err(), reason, "{what}");
        }
    }
}

#[tokio::test]
async fn optional_lets_the_nameless_in_but_not_the_untrusted() {
    let case = || Case {
        authentication: ClientAuthentication::Optional,
        ..Case::default()
    };
    run(vec![
        case(),
        Case {
            client: Cert::None,
            ..case()
        },
        Case {
            client: Cert::OtherCa,
            server_says: "not configured to trust that issuer",
            client_says: "[unknown_ca]",
            ..case()
        },
    ])
    .await;
    run(vec![
        Case {
            authentication: ClientAuthentication::None,
            client: Cert::OtherCa,
            ..Case::default()
        },
        Case {
            authentication: ClientAuthentication::None,
            client: Cert::None,
            ..Case::default()
        },
    ])
    .await;
}

#[tokio::test]
async fn both_ends_know_the_peers_identity() {
    let fixture = Fixture::new();
    let server = fixture.context(fixture.config(Cert::Good));
    let client = fixture.context(fixture.config(Cert::WrongName));
    let outcome = shake(&server, &client, "localhost").await;

    let (accepted, dialled) = (outcome.server.unwrap(), outcome.client.unwrap());
    let of_client = accepted.peer_identity().unwrap();
    assert_eq!(of_client.info, client.own_certificate());
    assert_eq!(of_client.chain.len(), 2, "leaf and CA");
    assert_eq!(
        dialled.peer_identity().unwrap().info,
        server.own_certificate()
    );
    assert_eq!(
        dialled.cipher_suite().as_deref(),
        Some("TLS_AES_256_GCM_SHA384")
    );
}

#[tokio::test]
async fn a_failure_carries_its_facts() {
    let fixture = Fixture::new();
    let server = fixture.context(fixture.config(Cert::Good));
    let client = fixture.context(fixture.config(Cert::SameNameOtherCa));
    let outcome = shake(&server, &client, "localhost").await;

    let failure = outcome.server.unwrap_err();
    assert_eq!(failure.context(), "xpack.security.transport.ssl");
    assert_eq!(failure.peer_role(), PeerRole::Client);
    assert_eq!(failure.certificate(), client.own_certificate().as_ref());
    assert!(!failure.is_routine());
    let FailureReason::UntrustedIssuer {
        issuer,
        trusted,
        same_subject_different_key,
        ..
    } = failure.reason()
    else {
        panic!("{failure}");
    };
    assert_eq!(issuer, "CN=Test CA");
    assert_eq!(trusted.len(), 1);
    assert!(same_subject_different_key);
}

#[tokio::test]
async fn sides_without_a_common_version_say_so() {
    let fixture = Fixture::new();
    let context = |protocol: &str| {
        let mut config = fixture.config(Cert::Good);
        config.protocols = vec![protocol.to_owned()];
        fixture.context(config)
    };
    let outcome = shake(&context("TLSv1.3"), &context("TLSv1.2"), "localhost").await;
    check(
        "server",
        &outcome.server,
        "no TLS version or cipher suite in common|supported_protocols",
    );
    check("client", &outcome.client, "[protocol_version]");
}

/// Many handshakes at once, good and bad mixed: each failure names its own peer's certificate.
#[tokio::test]
async fn simultaneous_failures_are_not_mixed_up() {
    let fixture = Fixture::new();
    let server = fixture.context(fixture.config(Cert::Good));
    let kinds = [Cert::Good, Cert::OtherCa, Cert::Expired, Cert::SelfSigned];
    let clients = kinds.map(|cert| (cert, fixture.context(fixture.config(cert))));
    let mut tasks = tokio::task::JoinSet::new();
    for round in 0..40 {
        let (server, (cert, client)) = (server.clone(), clients[round % kinds.len()].clone());
        tasks.spawn(async move {
            let outcome = shake(&server, &client, "localhost").await;
            (cert, client.own_certificate(), outcome.server)
        });
    }
    while let Some(done) = tasks.join_next().await {
        let (cert, own, result) = done.unwrap();
        match result {
            Ok(_) => assert_eq!(cert, Cert::Good),
            Err(failure) => {
                assert_ne!(cert, Cert::Good);
                assert_eq!(failure.certificate(), own.as_ref());
            }
        }
    }
}

/// Names come from strangers: they must neither break the log line nor flood it.
#[tokio::test]
async fn names_in_certificates_cannot_forge_log_lines() {
    let fixture = Fixture::new();
    let server = fixture.context(fixture.config(Cert::Good));
    let name = format!("evil\r\n[WARN] forged\u{1b}[2J {}", "x".repeat(20_000));
    write_pem(
        fixture.dir.path(),
        "evil",
        &self_signed(&node_params(&name)).unwrap(),
    );
    let mut config = fixture.config(Cert::None);
    config.key = fixture.pem_key("evil");
    let outcome = shake(&server, &fixture.context(config), "localhost").await;
    let line = outcome.server.unwrap_err().to_string();
    assert!(line.contains("evil"), "{line}");
    assert!(!line.chars().any(char::is_control), "{line}");
    assert!(line.len() < 10_000, "{}", line.len());
}

#[tokio::test]
async fn streams_with_and_without_tls_serve_alike() {
    let fixture = Fixture::new();
    let context = fixture.context(fixture.config(Cert::Good));
    let outcome = shake(&context, &context, "localhost").await;
    let (dialled, (accepted, _)) = sockets().await;
    let plain: [MaybeTlsStream; 2] = [dialled.into(), accepted.into()];
    let tls: [MaybeTlsStream; 2] = [
        outcome.client.unwrap().into(),
        outcome.server.unwrap().into(),
    ];
    for ([mut client, mut server], is_tls) in [(plain, false), (tls, true)] {
        assert_eq!(
            (client.is_tls(), client.peer_identity().is_some()),
            (is_tls, is_tls)
        );
        if let MaybeTlsStream::Tls(client) = &client {
            assert!(client.tcp().nodelay().unwrap());
        }
        client.write_all(b"hello").await.unwrap();
        client.shutdown().await.unwrap();
        let mut received = Vec::new();
        server.read_to_end(&mut received).await.unwrap();
        assert_eq!(received, b"hello");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]

    /// Whatever a peer sends as its chain, it is refused and not a crash.
    #[test]
    fn damaged_chains_are_refused(position in 0usize..400, bit in 0u8..8, cut in 0usize..400, cuts: bool) {
        let fixture = FIXTURE.get_or_init(|| {
            let fixture = Fixture::new();
            let context = fixture.context(fixture.config(Cert::Good));
            (context, fixture.issue(Cert::Good).certificate)
        });
        let (context, good) = fixture;
        let mut bytes = good.to_vec();
        let position = position % bytes.len();
        bytes[position] ^= 1 << bit;
        if cuts {
            bytes.truncate(cut);
        }
        let chain = [CertificateDer::from(bytes)];
        for peer in [PeerRole::Client, PeerRole::Server] {
            let verdict = context.would_trust(&chain, peer, Some("localhost"));
            proptest::prop_assert!(verdict.is_err());
        }
        proptest::prop_assert_eq!(context.would_trust(std::slice::from_ref(good), PeerRole::Client, None), Ok(()));
    }
}

static FIXTURE: OnceLock<(Arc<SslContext>, CertificateDer<'static>)> = OnceLock::new();

#[tokio::test]
async fn the_key_exchange_is_hybrid_where_both_sides_have_it() {
    let fixture = Fixture::new();
    let server = fixture.context(fixture.config(Cert::Good));
    for (version, expected) in [("TLSv1.3", "X25519MLKEM768"), ("TLSv1.2", "X25519")] {
        let mut config = fixture.config(Cert::Good);
        config.protocols = vec![version.to_owned()];
        let client = fixture.context(config);
        let done = shake(&server, &client, "localhost").await;
        let agreed = done.client.unwrap().key_exchange();
        assert_eq!(agreed.as_deref(), Some(expected), "{version}");
    }
}
