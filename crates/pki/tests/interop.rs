//! `openssl` and `keytool` as judges of what we write, and as makers of what we read.

mod workbench;

use ringwall_base::SecretString;
use ringwall_pki::{
    CaParams, CertificateAuthority, CertificateInfo, DistinguishedName, IssuedCertificate, KeySpec,
    NodeCertParams, PkiError, load_keystore, load_pem_certs, load_pem_key_material,
    load_truststore, pem,
};
use workbench::{Workbench, text};

#[test]
fn openssl_opens_our_keystore_and_sees_the_trusted_attribute() {
    let Some(box_) = Workbench::with("openssl") else {
        return;
    };
    for password in ["changeit", ""] {
        let file = box_.write(
            "node.p12",
            &node(KeySpec::Rsa(2048))
                .1
                .to_p12("instance", &password.into())
                .unwrap(),
        );
        let pass = format!("pass:{password}");
        let shown = box_.run(
            "openssl",
            &["pkcs12", "-info", "-nodes", "-in", &file, "-passin", &pass],
        );
        for expected in [
            "MAC: sha256, Iteration 10000",
            "PBES2, PBKDF2, AES-256-CBC, Iteration 10000, PRF hmacWithSHA256",
            "2.16.840.1.113894.746875.1.1",
            "friendlyName: instance",
            "friendlyName: ca",
            "BEGIN PRIVATE KEY",
        ] {
            assert!(shown.contains(expected), "missing {expected:?} in\n{shown}");
        }
    }
}

#[test]
fn openssl_verifies_our_certificates() {
    let Some(box_) = Workbench::with("openssl") else {
        return;
    };
    for key in [KeySpec::Rsa(2048), KeySpec::EcP256] {
        let root = ca(key);
        let params = CaParams {
            dn: DistinguishedName::parse("CN=Second,DC=example,DC=com").unwrap(),
            key,
            ..CaParams::default()
        };
        let second = root.issue_intermediate(&params).unwrap();
        let issued = second.issue(&node_params(key)).unwrap();
        let ca_file = box_.write("ca.crt", root.certificate_pem().as_bytes());
        let second_file = box_.write("second.crt", second.certificate_pem().as_bytes());
        let node_file = box_.write("node.crt", issued.certificate_pem().as_bytes());
        let arguments = [
            "verify",
            "-x509_strict",
            "-CAfile",
            &ca_file,
            "-untrusted",
            &second_file,
        ];
        let names = [
            "-verify_hostname",
            "node5.example.com",
            "-verify_ip",
            "192.0.2.1",
            &node_file,
        ];
        let shown = box_.run("openssl", &[&arguments[..], &names[..]].concat());
        assert!(shown.contains("node.crt: OK"), "{shown}");
        let text = box_.run("openssl", &["x509", "-noout", "-text", "-in", &node_file]);
        for expected in [
            "IP Address:2001:DB8:0:0:0:0:0:1",
            "DNS:node5.example.com",
            "commonName::node5.cluster",
            "CA:FALSE",
        ] {
            assert!(text.contains(expected), "missing {expected:?} in\n{text}");
        }
        let fingerprint = box_.run(
            "openssl",
            &[
                "x509",
                "-noout",
                "-fingerprint",
                "-sha256",
                "-in",
                &node_file,
            ],
        );
        let shown = fingerprint
            .trim()
            .rsplit('=')
            .next()
            .unwrap()
            .replace(':', "")
            .to_lowercase();
        assert_eq!(shown, issued.info().unwrap().fingerprint_sha256);
        let subject = box_.run(
            "openssl",
            &[
                "x509", "-noout", "-subject", "-nameopt", "RFC2253", "-in", &node_file,
            ],
        );
        assert_eq!(subject.trim(), "subject=CN=node5,OU=IT,DC=example,DC=com");
    }
}

#[test]
fn keytool_sees_one_key_entry_and_one_trusted_entry() {
    let Some(box_) = Workbench::with("keytool") else {
        return;
    };
    let (_, issued) = node(KeySpec::Rsa(2048));
    let file = box_.write(
        "node.p12",
        &issued.to_p12("instance", &"changeit".into()).unwrap(),
    );
    let shown = box_.run(
        "keytool",
        &[
            "-J-Duser.language=en",
            "-list",
            "-v",
            "-keystore",
            &file,
            "-storepass",
            "changeit",
        ],
    );
    for expected in [
        "Your keystore contains 2 entries",
        "Entry type: PrivateKeyEntry",
        "Certificate chain length: 2",
        "Entry type: trustedCertEntry",
        "Alias name: instance",
        "Alias name: ca",
        "Owner: CN=node5, OU=IT, DC=example, DC=com",
    ] {
        assert!(shown.contains(expected), "missing {expected:?} in\n{shown}");
    }
    assert!(!shown.contains("1970"), "{shown}");
}

#[test]
fn files_made_by_openssl_are_read() {
    let Some(box_) = Workbench::with("openssl") else {
        return;
    };
    let (authority, issued) = node(KeySpec::EcP256);
    let key = box_.write(
        "node.key",
        pem::encode_private_key(&issued.key, None)
            .unwrap()
            .expose()
            .as_bytes(),
    );
    let crt = box_.write("node.crt", issued.certificate_pem().as_bytes());
    let ca = box_.write("ca.crt", authority.certificate_pem().as_bytes());
    let modes: [(&str, &[&str]); 5] = [
        ("secret", &[]),
        ("", &[]),
        ("secret", &["-nomac"]),
        ("secret", &["-certpbe", "NONE", "-keypbe", "NONE"]),
        ("secret", &["-legacy"]),
    ];
    for (password, options) in modes {
        let out = box_.path("made.p12");
        let pass = format!("pass:{password}");
        let command = [
            "pkcs12",
            "-export",
            "-inkey",
            &key,
            "-in",
            &crt,
            "-certfile",
            &ca,
            "-out",
            text(&out),
            "-passout",
            &pass,
        ];
        let Some(_) = box_.try_run("openssl", &[&command[..], options].concat()) else {
            eprintln!("SKIPPED: this openssl does not make {options:?}");
            continue;
        };
        let material = load_keystore(&out, &SecretString::from(password)).unwrap();
        assert_eq!(&material.private_key, issued.key.pkcs8(), "{options:?}");
        assert_eq!(material.chain, issued.chain, "{options:?}");
        let wrong = load_keystore(&out, &"wrong".into());
        if options.first() != Some(&"-certpbe") && options.first() != Some(&"-nomac") {
            assert!(
                matches!(wrong, Err(PkiError::WrongPassword { .. })),
                "{options:?}"
            );
        }
        let trust = load_truststore(&out, &SecretString::from(password)).unwrap_err();
        assert!(
            matches!(trust, PkiError::NoTrustedCertificates { others: 2, .. }),
            "{trust}"
        );
    }
    let bare = box_.path("bare.p12");
    box_.run(
        "openssl",
        &[
            "pkcs12",
            "-export",
            "-nokeys",
            "-in",
            &ca,
            "-out",
            text(&bare),
            "-passout",
            "pass:x",
        ],
    );
    let trust = load_truststore(&bare, &"x".into()).unwrap();
    assert!(trust.without_trusted_attribute);
    assert_eq!(trust.certs(), [authority.certificate().clone()]);
}

#[test]
fn files_made_by_keytool_are_read() {
    let Some(box_) = Workbench::with("keytool") else {
        return;
    };
    let (authority, _) = node(KeySpec::EcP256);
    let ca = box_.write("ca.crt", authority.certificate_pem().as_bytes());
    for legacy in [&[][..], &["-J-Dkeystore.pkcs12.legacy"][..]] {
        let out = box_.path(if legacy.is_empty() {
            "java.p12"
        } else {
            "legacy.p12"
        });
        let generate = [
            "-genkeypair",
            "-alias",
            "MyKey",
            "-keyalg",
            "EC",
            "-dname",
            "CN=j",
            "-storetype",
            "PKCS12",
        ];
        let store = ["-keystore", text(&out), "-storepass", "changeit"];
        box_.run("keytool", &[legacy, &generate[..], &store[..]].concat());
        let import = ["-importcert", "-noprompt", "-alias", "ca", "-file", &ca];
        box_.run("keytool", &[legacy, &import[..], &store[..]].concat());
        let material = load_keystore(&out, &"changeit".into()).unwrap();
        assert_eq!(material.alias.as_deref(), Some("mykey"));
        assert_eq!(
            CertificateInfo::from_der(&material.chain[0])
                .unwrap()
                .subject
                .to_string(),
            "CN=j"
        );
        let trust = load_truststore(&out, &"changeit".into()).unwrap();
        assert_eq!(
            trust.entries,
            [(Some("ca".to_owned()), authority.certificate().clone())]
        );
        assert!(!trust.without_trusted_attribute);
    }
    let jks = box_.path("old.jks");
    let generate = [
        "-genkeypair",
        "-alias",
        "k",
        "-keyalg",
        "EC",
        "-dname",
        "CN=j",
        "-storetype",
        "JKS",
    ];
    box_.run(
        "keytool",
        &[
            &generate[..],
            &["-keystore", text(&jks), "-storepass", "changeit"],
        ]
        .concat(),
    );
    let material = load_keystore(&jks, &"changeit".into()).unwrap();
    assert_eq!(material.alias.as_deref(), Some("k"));
    assert_eq!(material.chain.len(), 1);
    for wrong in ["changeme", ""] {
        assert!(matches!(
            load_keystore(&jks, &wrong.into()),
            Err(PkiError::WrongPassword { .. })
        ));
    }
    let trust = load_truststore(&jks, &"changeit".into()).unwrap_err();
    assert!(
        matches!(trust, PkiError::NoTrustedCertificates { .. }),
        "{trust}"
    );
    // Whatever is cut off or bent is refused, with and without the check of integrity.
    let content = std::fs::read(&jks).unwrap();
    for length in 0..content.len() {
        let cut = box_.path("cut.jks");
        std::fs::write(&cut, &content[..length]).unwrap();
        for password in ["changeit", ""] {
            assert!(load_keystore(&cut, &password.into()).is_err(), "{length}");
        }
    }
}

#[test]
fn openssl_reads_our_encrypted_key() {
    let Some(box_) = Workbench::with("openssl") else {
        return;
    };
    let (_, issued) = node(KeySpec::Rsa(2048));
    let text = pem::encode_private_key(&issued.key, Some(&"secret".into())).unwrap();
    let file = box_.write("node.key", text.expose().as_bytes());
    let shown = box_.run(
        "openssl",
        &[
            "rsa",
            "-check",
            "-noout",
            "-in",
            &file,
            "-passin",
            "pass:secret",
        ],
    );
    assert!(shown.contains("RSA key ok"), "{shown}");
}

#[test]
fn certificates_of_other_makers_are_described() {
    let Some(box_) = Workbench::with("openssl") else {
        return;
    };
    let (key, crt) = (box_.path("e.key"), box_.path("e.crt"));
    box_.run(
        "openssl",
        &["genpkey", "-algorithm", "ed25519", "-out", text(&key)],
    );
    let subject = "/C=DE/O=Ring, Wall/CN=ed/emailAddress=a@b.example";
    let request = [
        "req",
        "-x509",
        "-new",
        "-key",
        text(&key),
        "-subj",
        subject,
        "-out",
        text(&crt),
        "-days",
        "3",
    ];
    box_.run(
        "openssl",
        &[&request[..], &["-addext", "extendedKeyUsage=serverAuth"]].concat(),
    );
    let material = load_pem_key_material(&crt, &key, None).unwrap();
    let info = CertificateInfo::from_der(&material.chain[0]).unwrap();
    assert_eq!(
        info.subject.with_spaces(),
        "EMAILADDRESS=a@b.example, CN=ed, O=Ring\\, Wall, C=DE"
    );
    assert_eq!(info.key_algorithm, "Ed25519");
    assert_eq!(
        info.extended_key_usage.as_deref(),
        Some(&["serverAuth".to_owned()][..])
    );
    assert!(info.self_signed);
    assert_eq!(load_pem_certs(&crt).unwrap(), material.chain);
}

fn ca(key: KeySpec) -> CertificateAuthority {
    CertificateAuthority::generate(&CaParams {
        key,
        ..CaParams::default()
    })
    .unwrap()
}

fn node_params(key: KeySpec) -> NodeCertParams {
    NodeCertParams {
        name: DistinguishedName::parse("CN=node5,OU=IT,DC=example,DC=com").unwrap(),
        dns: vec!["node5.example.com".to_owned()],
        ips: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
        common_names: vec!["node5.cluster".to_owned()],
        key,
        ..NodeCertParams::default()
    }
}

fn node(key: KeySpec) -> (CertificateAuthority, IssuedCertificate) {
    let authority = ca(key);
    let issued = authority.issue(&node_params(key)).unwrap();
    (authority, issued)
}
