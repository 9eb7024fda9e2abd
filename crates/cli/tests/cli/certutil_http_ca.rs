//! `certutil http` with a CA that exists.

use crate::bench::{Bench, lines, read};
use crate::judges::{judge, unzip};

/// Answers after those about the CA: one certificate for localhost, without a password.
pub const ONE_NODE: &[&str] = &["", "n", "localhost", "", "y", "", "y", "n", ""];

#[test]
fn an_existing_ca_signs_whatever_its_form() {
    let bench = Bench::new();
    bench
        .certutil(
            &[
                "ca",
                "--key-type",
                "ec-p256",
                "--out",
                "ca.p12",
                "--pass",
                "p12pass",
            ],
            "",
        )
        .quiet();
    bench
        .certutil(
            &[
                "ca",
                "--pem",
                "--key-type",
                "ec-p256",
                "--out",
                "ca.zip",
                "--pass",
                "pempass",
            ],
            "",
        )
        .quiet();
    let (_, pem) = unzip(&bench.path("ca.zip"));
    // The configuration directory comes first.
    let config = bench.home.path().join("config");
    std::fs::copy(pem.join("ca/ca.crt"), config.join("the-ca.crt")).unwrap();
    let forms: [&[&str]; 3] = [
        &["nowhere.p12", "ca.p12", "p12pass"],
        &["the-ca.crt", "ca/ca/ca.key", "pempass"],
        &["ca/ca/ca.key", "the-ca.crt", "pempass"],
    ];
    for (number, form) in forms.into_iter().enumerate() {
        let answers = [&["n", "y"][..], form, ONE_NODE].concat();
        let (entries, dir) = bench.http(&answers, &format!("{number}.zip"));
        assert!(
            !entries.iter().any(|name| name.starts_with("ca/")),
            "{entries:?}"
        );
        let trusted = dir.join("kibana/elasticsearch-ca.pem");
        if number > 0 {
            assert_eq!(read(&trusted), read(pem.join("ca/ca.crt")));
        }
        let export = [
            "openssl",
            "pkcs12",
            "-in",
            "elasticsearch/http.p12",
            "-passin",
            "pass:",
            "-clcerts",
            "-nokeys",
            "-out",
            "http.crt",
        ];
        if judge(&dir, &export).is_some() {
            judge(
                &dir,
                &[
                    "openssl",
                    "verify",
                    "-CAfile",
                    "kibana/elasticsearch-ca.pem",
                    "http.crt",
                ],
            );
        }
    }
    let asked = bench.certutil(&["http"], "n\ny\nnowhere.p12\n");
    let path = config.join("nowhere.p12");
    assert!(
        asked
            .stderr
            .contains(&format!("The file {} does not exist", path.display())),
        "{asked:?}"
    );
    // Three years are left of the CA, five are asked for.
    let answers = lines(
        &[
            &["n", "y", "ca.p12", "p12pass", "5y"],
            &ONE_NODE[1..],
            &["late.zip"],
        ]
        .concat(),
    );
    let warned = bench.certutil(&["http"], &answers);
    assert!(
        warned.stderr.contains("Warning: the CA is valid for 109"),
        "{warned:?}"
    );
}

#[test]
fn a_file_that_is_no_ca_ends_with_65_and_the_reason() {
    let bench = Bench::new();
    bench
        .certutil(
            &[
                "ca",
                "--key-type",
                "ec-p256",
                "--out",
                "ca.p12",
                "--pass",
                "p12pass",
            ],
            "",
        )
        .quiet();
    bench
        .certutil(
            &[
                "cert",
                "--self-signed",
                "--pem",
                "--key-type",
                "ec-p256",
                "--out",
                "node.zip",
            ],
            "",
        )
        .quiet();
    let (_, node) = unzip(&bench.path("node.zip"));
    let certificate = read(node.join("instance/instance.crt"));
    for (name, content) in [
        ("chain.pem", certificate.repeat(2)),
        ("letter.txt", "dear".to_owned()),
        ("request.pem", certificate.replace("CERTIFICATE", "X")),
    ] {
        std::fs::write(bench.path(name), content).unwrap();
    }
    for (answers, message) in [
        (&["ca.p12", "wrong"][..], "incorrect password"),
        (
            &["chain.pem"],
            "chain.pem: Unsupported file type (certificate chain)",
        ),
        (&["letter.txt"], "letter.txt: Unrecognized file type"),
        (&["request.pem"], "request.pem: Unrecognized file type"),
        (
            &["node/instance/instance.crt", "node/instance/instance.key"],
            "is not a CA",
        ),
        (
            &["node/instance/instance.key", "chain.pem"],
            "chain.pem: Multiple certificates found",
        ),
        (
            &["node/instance/instance.key", "letter.txt"],
            "letter.txt: No certificates found",
        ),
    ] {
        let done = bench.certutil(&["http"], &lines(&[&["n", "y"], answers].concat()));
        assert_eq!(done.status, 65, "{done:?}");
        assert!(done.stderr.contains(message), "{done:?}");
    }
}
