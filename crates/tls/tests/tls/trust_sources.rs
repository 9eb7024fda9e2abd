//! Keystores, truststores, fingerprints, and certificates trusted as themselves.

use ringwall_base::SecretString;
use ringwall_pki::{CertificateInfo, self_signed};
use ringwall_tls::{KeySource, SslConfig, SslContext, ToolTrust, TrustSource, VerificationMode};

use crate::support::{Cert, Fixture, check, node_params, shake, write_pem};

const PASSWORD: &str = "changeit";

fn keystore(fixture: &Fixture, name: &str) -> KeySource {
    KeySource::Keystore {
        path: fixture.configured(name),
        password: PASSWORD.into(),
        key_password: None,
    }
}

fn write_p12(fixture: &Fixture, name: &str, cert: Cert) {
    let content = fixture
        .issue(cert)
        .to_p12("instance", &PASSWORD.into())
        .unwrap();
    fixture.write(name, content);
}

fn transport(key: KeySource, trust: TrustSource) -> SslConfig {
    SslConfig::new("xpack.security.transport.ssl", key, trust)
}

#[tokio::test]
async fn one_p12_serves_as_keystore_and_truststore() {
    let fixture = Fixture::new();
    write_p12(&fixture, "node.p12", Cert::Good);
    let truststore = TrustSource::Truststore {
        path: fixture.configured("node.p12"),
        password: PASSWORD.into(),
    };
    let both = fixture.context(transport(keystore(&fixture, "node.p12"), truststore));
    let only_keystore = fixture.context(transport(
        keystore(&fixture, "node.p12"),
        TrustSource::OwnCertificates,
    ));
    for (server, client) in [(&both, &only_keystore), (&only_keystore, &both)] {
        let outcome = shake(server, client, "127.0.0.1").await;
        check("server", &outcome.server, "");
        check("client", &outcome.client, "");
    }
    let mut rows: Vec<_> = both
        .certificates()
        .into_iter()
        .map(|row| {
            (
                row.path,
                row.format,
                row.alias.unwrap(),
                row.has_private_key,
            )
        })
        .collect();
    // Rows of one alias are in the order of their random serial numbers.
    rows.sort();
    let row = |alias: &str, key| ("node.p12".to_owned(), "PKCS12", alias.to_owned(), key);
    assert_eq!(
        rows,
        [
            row("ca", false),
            row("instance", false),
            row("instance", true)
        ]
    );
}

#[test]
fn wrong_passwords_and_formats_are_named() {
    let fixture = Fixture::new();
    write_p12(&fixture, "node.p12", Cert::Good);
    let load = |key, trust| match SslContext::load(transport(key, trust), &[]) {
        Ok(_) => panic!("loaded"),
        Err(error) => format!("{error}"),
    };
    let wrong = KeySource::Keystore {
        path: fixture.configured("node.p12"),
        password: "wrong".into(),
        key_password: None,
    };
    let line = load(wrong, TrustSource::OwnCertificates);
    assert!(
        line.contains("usually caused by an incorrect password"),
        "{line}"
    );
    assert!(
        line.contains("[PKCS12] keystore") && line.contains("node.p12"),
        "{line}"
    );
    assert!(!line.contains("wrong"), "{line}");

    let line = load(keystore(&fixture, "ca.crt"), TrustSource::OwnCertificates);
    assert!(
        line.contains("PEM file but a PKCS#12 file was expected"),
        "{line}"
    );
    let pem = TrustSource::Pem(vec![fixture.configured("node.p12")]);
    let line = load(fixture.key(Cert::Good), pem);
    assert!(
        line.contains("PEM certificate_authorities") && line.contains("PKCS#12 file but a PEM"),
        "{line}"
    );
    let missing = TrustSource::Pem(vec![fixture.configured("absent.crt")]);
    let line = load(fixture.key(Cert::Good), missing);
    let shown = fixture.path("absent.crt");
    let expected = format!(
        " - cannot read configured PEM certificate_authorities [{}] because the file does not exist",
        shown.display()
    );
    assert!(line.ends_with(&expected), "{line}");
    let missing = ["absent.crt", "ca.crt", "gone.crt"];
    let missing = TrustSource::Pem(missing.map(|name| fixture.configured(name)).to_vec());
    let line = load(fixture.key(Cert::Good), missing);
    assert!(
        line.ends_with("gone.crt] because one or more files do not exist"),
        "{line}"
    );
    assert!(!line.contains("ca.crt"), "{line}");

    let empty = fixture.key(Cert::Good);
    let path = fixture.path("Good.key");
    let key = std::fs::read(&path).unwrap();
    std::fs::write(&path, b"").unwrap();
    let line = load(empty, TrustSource::OwnCertificates);
    let expected = format!(
        "Error parsing Private Key [{}], file is empty",
        path.display()
    );
    assert!(line.ends_with(&expected), "{line}");
    std::fs::write(&path, &key[..key.len() / 2]).unwrap();
    let line = load(fixture.pem_key("Good"), TrustSource::OwnCertificates);
    assert!(
        line.contains("PEM private key: [") && line.contains("PEM footer is invalid or missing"),
        "{line}"
    );

    fixture.key(Cert::OtherCa);
    std::fs::copy(fixture.path("OtherCa.key"), fixture.path("Good.key")).unwrap();
    let line = load(fixture.pem_key("Good"), TrustSource::OwnCertificates);
    assert!(
        line.contains("does not match the certificate [CN=node-1]"),
        "{line}"
    );

    let two_passwords = KeySource::Keystore {
        path: fixture.configured("node.p12"),
        password: PASSWORD.into(),
        key_password: Some(SecretString::from("another")),
    };
    let line = load(two_passwords, TrustSource::OwnCertificates);
    assert!(
        line.contains("this is usually caused by an incorrect key-password"),
        "{line}"
    );
}

#[tokio::test]
async fn a_leaf_in_the_trust_store_is_accepted_until_it_expires() {
    let fixture = Fixture::new();
    for (cert, server_says, client_says) in [
        (Cert::OtherCa, "", ""),
        (Cert::SelfSigned, "", ""),
        (
            Cert::SelfSignedCa,
            "client did not trust",
            "not valid for [localhost]",
        ),
        (Cert::Expired, "client did not trust", "expired on ["),
        (
            Cert::WrongName,
            "client did not trust",
            "not valid for [localhost]",
        ),
    ] {
        let server = fixture.context(fixture.config(cert));
        let key = fixture.key(Cert::Good);
        let leaf = fixture.path(&format!("{cert:?}.crt"));
        let first = std::fs::read_to_string(&leaf).unwrap();
        let end = first.find("-----END CERTIFICATE-----").unwrap() + 26;
        fixture.write("pinned.crt", &first[..end]);
        let trust = TrustSource::Pem(vec![fixture.configured("pinned.crt")]);
        let client = fixture.context(transport(key, trust));
        let outcome = shake(&server, &client, "localhost").await;
        check(&format!("{cert:?} server"), &outcome.server, server_says);
        check(&format!("{cert:?} client"), &outcome.client, client_says);
    }
}

/// Trusting a node's certificate must not let its key make certificates for other nodes.
#[tokio::test]
async fn a_trusted_leaf_vouches_for_nobody_else() {
    let fixture = Fixture::new();
    let leaf = self_signed(&node_params("node-1")).unwrap();
    write_pem(fixture.dir.path(), "leaf", &leaf);
    // `leaf` as an authority: its key signs a certificate under its name.
    let forged = forge(&leaf);
    write_pem(fixture.dir.path(), "forged", &forged);
    let trust = || TrustSource::Pem(vec![fixture.configured("leaf.crt")]);
    let client = fixture.context(transport(fixture.pem_key("leaf"), trust()));
    let honest = fixture.context(transport(fixture.pem_key("leaf"), trust()));
    check(
        "the leaf itself",
        &shake(&honest, &client, "localhost").await.client,
        "",
    );
    let forger = fixture.context(transport(fixture.pem_key("forged"), trust()));
    let outcome = shake(&forger, &client, "localhost").await;
    check(
        "a certificate it signed",
        &outcome.client,
        "failed to establish trust with server",
    );
}

fn forge(leaf: &ringwall_pki::IssuedCertificate) -> ringwall_pki::IssuedCertificate {
    use rcgen::{CertificateParams, Issuer, KeyPair};
    let issuer_key = KeyPair::try_from(leaf.key.pkcs8().expose()).unwrap();
    let issuer = Issuer::from_ca_cert_der(&leaf.certificate, issuer_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap().der().clone();
    let pkcs8 = ringwall_base::SecretBytes::new(key.serialize_der());
    ringwall_pki::IssuedCertificate {
        key: ringwall_pki::PrivateKey::from_pkcs8(pkcs8).unwrap(),
        chain: vec![certificate.clone()],
        certificate,
        issuer: None,
    }
}

#[tokio::test]
async fn a_fingerprint_of_the_ca_or_the_leaf_is_enough() {
    let fixture = Fixture::new();
    let server = fixture.context(SslConfig {
        client_authentication: ringwall_tls::ClientAuthentication::None,
        ..fixture.config(Cert::Good)
    });
    let own = server.own_certificate().unwrap();
    let ca = CertificateInfo::from_der(fixture.ca.certificate()).unwrap();
    let tools = |fingerprint: &str| {
        SslContext::for_tools(
            "https client",
            ToolTrust::Fingerprint(fingerprint.to_owned()),
            VerificationMode::Full,
        )
    };
    let coloned: Vec<String> = ca
        .fingerprint_sha256
        .as_bytes()
        .chunks(2)
        .map(|pair| String::from_utf8_lossy(pair).to_uppercase())
        .collect();
    for fingerprint in [
        ca.fingerprint_sha256.as_str(),
        &own.fingerprint_sha256,
        &coloned.join(":"),
    ] {
        let client = tools(fingerprint).unwrap();
        check(
            fingerprint,
            &shake(&server, &client, "localhost").await.client,
            "",
        );
        let named = shake(&server, &client, "es02.example").await;
        check(
            "another name",
            &named.client,
            "not valid for [es02.example]",
        );
    }
    let stranger = tools(&"ab".repeat(32)).unwrap();
    let refused = shake(&server, &stranger, "localhost").await;
    check(
        "another fingerprint",
        &refused.client,
        "SHA-256 fingerprints [abab",
    );
    assert!(tools("abc").is_err());
}
