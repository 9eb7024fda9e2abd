//! The loading functions on real files, and arbitrary bytes against every parser.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use ringwall_base::{SecretBytes, SecretString};
use ringwall_pki::{
    CaParams, CertificateAuthority, CertificateInfo, DistinguishedName, FileFormat,
    IssuedCertificate, KeySpec, NodeCertParams, PkiError, PrivateKey, detect_format,
    key_matches_certificate, load_keystore, load_pem_certs, load_pem_key, load_pem_key_material,
    load_pem_trust, load_truststore, p12, pem,
};
use tempfile::TempDir;

#[test]
fn one_file_serves_as_keystore_and_truststore() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), ca());
    let issued = authority.issue(&params()).unwrap();
    let path = write(
        &dir,
        "node.p12",
        &issued.to_p12("node1", &"x".into()).unwrap(),
    );
    let material = load_keystore(&path, &"x".into()).unwrap();
    assert_eq!(
        material.chain,
        [issued.certificate.clone(), authority.certificate().clone()]
    );
    assert!(key_matches_certificate(&material.private_key, &issued.certificate).unwrap());
    assert!(!key_matches_certificate(&material.private_key, authority.certificate()).unwrap());
    assert_eq!(
        load_truststore(&path, &"x".into()).unwrap().certs(),
        [authority.certificate().clone()]
    );
}

#[test]
fn a_ca_is_loaded_and_goes_on_issuing() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), ca());
    let p12 = write(&dir, "ca.p12", &authority.to_p12(&"x".into()).unwrap());
    let secret = SecretString::from("secret");
    let key_text = pem::encode_private_key(authority.private_key(), Some(&secret)).unwrap();
    let key = write(&dir, "ca.key", key_text.expose().as_bytes());
    let crt = write(&dir, "ca.crt", authority.certificate_pem().as_bytes());
    for loaded in [
        CertificateAuthority::load_p12(&p12, &"x".into()).unwrap(),
        CertificateAuthority::load_pem(&crt, &key, Some(&secret)).unwrap(),
    ] {
        let issued = loaded.issue(&params()).unwrap();
        let (issuer, ca) = (
            issued.info().unwrap(),
            CertificateInfo::from_der(authority.certificate()).unwrap(),
        );
        assert_eq!(issuer.issuer, ca.subject);
        assert_eq!(issuer.authority_key_id, ca.subject_key_id);
    }
    let error = load_truststore(&p12, &"x".into()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("does not contain any trusted certificate entries"),
        "{error}"
    );
}

#[test]
fn a_node_certificate_is_no_ca() {
    let (dir, issued) = (tempfile::tempdir().unwrap(), ca().issue(&params()).unwrap());
    let path = write(&dir, "node.p12", &issued.to_p12("n", &"x".into()).unwrap());
    assert!(matches!(
        CertificateAuthority::load_p12(&path, &"x".into()),
        Err(PkiError::NotACa { .. })
    ));
}

#[test]
fn a_key_of_another_certificate_is_noticed() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), ca());
    let (one, two) = (
        authority.issue(&params()).unwrap(),
        authority.issue(&params()).unwrap(),
    );
    let key = write(
        &dir,
        "one.key",
        pem::encode_private_key(&one.key, None)
            .unwrap()
            .expose()
            .as_bytes(),
    );
    let crt = write(&dir, "two.crt", two.certificate_pem().as_bytes());
    let error = load_pem_key_material(&crt, &key, None)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("one.key") && error.contains("two.crt") && error.contains("CN=instance"),
        "{error}"
    );
    let ca_crt = write(&dir, "ca.crt", authority.certificate_pem().as_bytes());
    assert!(matches!(
        CertificateAuthority::load_pem(&ca_crt, &key, None),
        Err(PkiError::KeyMismatch { .. })
    ));
}

#[test]
fn the_cas_key_beside_the_nodes_is_left_out_and_two_node_keys_are_refused() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), ca());
    let (one, two) = (
        authority.issue(&params()).unwrap(),
        authority.issue(&params()).unwrap(),
    );
    let ca_chain = [authority.certificate().clone()];
    let ca_entry = p12::WriteEntry::Key {
        alias: "http_ca",
        key: authority.private_key(),
        chain: &ca_chain,
    };
    let entry = |alias, issued: &'static IssuedCertificate| p12::WriteEntry::Key {
        alias,
        key: &issued.key,
        chain: &issued.chain,
    };
    let (one, two) = (&*Box::leak(Box::new(one)), &*Box::leak(Box::new(two)));
    let path = write(
        &dir,
        "http.p12",
        &p12::write(&[ca_entry, entry("http", one)], &"x".into()).unwrap(),
    );
    let material = load_keystore(&path, &"x".into()).unwrap();
    assert_eq!(
        (material.alias.as_deref(), &material.chain),
        (Some("http"), &one.chain)
    );
    assert!(matches!(
        CertificateAuthority::load_p12(&path, &"x".into()),
        Err(PkiError::NotASingleKey { count: 2, .. })
    ));
    let path = write(
        &dir,
        "two.p12",
        &p12::write(&[entry("a", one), entry("b", two)], &"x".into()).unwrap(),
    );
    let error = load_keystore(&path, &"x".into()).unwrap_err();
    assert!(
        error.to_string().contains("several private keys (a, b)"),
        "{error}"
    );
}

#[test]
fn a_truststore_is_no_keystore() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), ca());
    let entry = p12::WriteEntry::Trusted {
        alias: "root",
        certificate: authority.certificate(),
    };
    let path = write(
        &dir,
        "trust.p12",
        &p12::write(&[entry], &"".into()).unwrap(),
    );
    assert!(matches!(
        load_keystore(&path, &"".into()),
        Err(PkiError::NoPrivateKey { .. })
    ));
    assert_eq!(
        load_truststore(&path, &"".into()).unwrap().entries[0]
            .0
            .as_deref(),
        Some("root")
    );
}

#[test]
fn the_wrong_kind_of_file_is_named() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), ca());
    let pem_file = write(&dir, "ca.crt", authority.certificate_pem().as_bytes());
    let p12_file = write(&dir, "ca.p12", &authority.to_p12(&"".into()).unwrap());
    let jks = write(&dir, "old.jks", &[0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2]);
    let jceks = write(&dir, "old.jceks", &[0xce, 0xce, 0xce, 0xce, 0, 0, 0, 2]);
    let other = write(&dir, "other", b"hello");
    let empty = write(&dir, "empty", b"");
    let der = write(&dir, "ca.der", authority.certificate());
    let none = SecretString::default();
    assert!(matches!(
        load_keystore(&pem_file, &none),
        Err(PkiError::PemInsteadOfPkcs12 { .. })
    ));
    assert!(matches!(
        load_pem_certs(&p12_file),
        Err(PkiError::Pkcs12InsteadOfPem { .. })
    ));
    assert!(matches!(
        load_pem_key(&p12_file, None),
        Err(PkiError::Pkcs12InsteadOfPem { .. })
    ));
    assert!(matches!(
        load_truststore(&jks, &none),
        Err(PkiError::Malformed {
            expected: "JKS",
            ..
        })
    ));
    assert!(matches!(
        load_truststore(&jceks, &none),
        Err(PkiError::JavaKeystore {
            format: "JCEKS",
            ..
        })
    ));
    // Whoever follows the advice keeps the old file.
    for (name, to) in [("old.jks", "old.p12"), ("store.p12", "store-converted.p12")] {
        let path = write(&dir, name, &[0xce, 0xce, 0xce, 0xce, 0, 0, 0, 2]);
        let line = load_truststore(&path, &none).unwrap_err().to_string();
        let (from, to) = (path.display(), dir.path().join(to));
        let command = format!("-srckeystore {from} -destkeystore {} ", to.display());
        assert!(line.contains(&command), "{line}");
    }
    assert!(matches!(
        load_truststore(&other, &none),
        Err(PkiError::Malformed { .. })
    ));
    assert!(matches!(
        load_pem_certs(&empty),
        Err(PkiError::FileEmpty { .. })
    ));
    assert!(matches!(
        load_keystore(&der, &none),
        Err(PkiError::Malformed { .. })
    ));
    assert!(matches!(
        load_keystore(&dir.path().join("absent"), &none),
        Err(PkiError::FileNotFound { .. })
    ));
    assert!(matches!(
        load_keystore(dir.path(), &none),
        Err(PkiError::Read { .. })
    ));
    let error = load_pem_key(&pem_file, None).unwrap_err();
    assert!(
        error.to_string().contains("(found: CERTIFICATE)"),
        "{error}"
    );
    assert_eq!(
        load_pem_trust(&[&pem_file, &pem_file])
            .unwrap()
            .certs()
            .len(),
        2
    );
}

#[test]
fn unset_password_and_wrong_password_read_differently() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(&dir, "ca.p12", &ca().to_p12(&"right".into()).unwrap());
    let message = |password: &str| {
        load_keystore(&path, &password.into())
            .unwrap_err()
            .to_string()
    };
    assert!(
        message("").ends_with("incorrect password (no password was provided)"),
        "{}",
        message("")
    );
    assert!(message("wrong").ends_with("incorrect password (a password was provided)"));
    assert!(!message("wrong").contains("[wrong]"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn parsers_take_arbitrary_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        take_everything(&bytes);
    }

    #[test]
    fn parsers_take_broken_certificates(position in 0usize..700, value in any::<u8>(), cut in 0usize..700) {
        let mut bytes = SAMPLE.with(|sample| sample.certificate.to_vec());
        let length = bytes.len();
        bytes[position % length] = value;
        take_everything(&bytes);
        bytes.truncate(cut % length);
        take_everything(&bytes);
    }

    #[test]
    fn parsers_take_broken_keys(position in 0usize..200, value in any::<u8>(), kind in 0usize..4, dek in 0usize..4) {
        let mut bytes = SAMPLE.with(|sample| sample.key.pkcs8().expose().to_vec());
        let length = bytes.len();
        bytes[position % length] = value;
        take_everything(&bytes);
        let label = ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"][kind];
        let cipher = ["AES-128-CBC", "DES-EDE3-CBC", "DES-CBC", "x"][dek];
        let mut block = ::pem::Pem::new(label, bytes);
        let _ = pem::private_key(::pem::encode(&block).as_bytes(), None, Path::new("f"));
        block.headers_mut().add("Proc-Type", "4,ENCRYPTED").unwrap();
        block.headers_mut().add("DEK-Info", &format!("{cipher},0011223344556677")).unwrap();
        let _ = pem::private_key(::pem::encode(&block).as_bytes(), Some(&"x".into()), Path::new("f"));
    }

    #[test]
    fn names_are_parsed_or_refused_and_print_stably(text in "[CNOUDS=,;+\\\\\"#<> a-z0-9é.]{0,40}") {
        if let Ok(name) = DistinguishedName::parse(&text) {
            let printed = name.to_string();
            let again = DistinguishedName::parse(&printed).unwrap();
            prop_assert_eq!(again.to_string(), printed);
        }
    }

    #[test]
    fn any_common_name_survives(value in "\\PC{1,30}") {
        let name = DistinguishedName::common_name(&value);
        prop_assert_eq!(name.first_common_name(), Some(value));
        prop_assert_eq!(DistinguishedName::parse(&name.to_string()).unwrap(), name);
    }
}

fn take_everything(bytes: &[u8]) {
    let path = Path::new("file");
    let _ = CertificateInfo::from_der(bytes);
    let _ = PrivateKey::from_pkcs8(SecretBytes::new(bytes));
    let _ = p12::read(bytes, &"x".into(), path);
    let _ = pem::certificates(bytes, path);
    let _ = pem::private_key(bytes, None, path);
    assert_ne!(detect_format(bytes), FileFormat::Jceks);
}

thread_local! {
    static SAMPLE: IssuedCertificate = ca().issue(&NodeCertParams {
        dns: vec!["a.example".to_owned()],
        ips: vec!["192.0.2.1".parse().unwrap()],
        common_names: vec!["c".to_owned()],
        ..params()
    }).unwrap();
}

fn ca() -> CertificateAuthority {
    CertificateAuthority::generate(&CaParams {
        key: KeySpec::EcP256,
        ..CaParams::default()
    })
    .unwrap()
}

fn params() -> NodeCertParams {
    NodeCertParams {
        key: KeySpec::EcP256,
        ..NodeCertParams::default()
    }
}

fn write(dir: &TempDir, name: &str, content: &[u8]) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, content).unwrap();
    path
}
