//! The commands as users and scripts run them: options, answers, files, exit statuses.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::Parser;
use ringwall_base::SecretString;
use ringwall_pki::{
    CertificateAuthority, CertificateInfo, load_keystore, load_pem_key_material, load_truststore,
};
use tempfile::TempDir;

use super::*;

#[test]
fn ca_asks_for_file_and_password() {
    let bench = Bench::new();
    let file = bench.path("new/ca.p12");
    let done = bench.run(&["ca"], &format!("{}\n\nsecret\n", file.display()));
    done.result.unwrap();
    assert_eq!(
        done.errors,
        format!(
            "Please enter the desired output file [elastic-stack-ca.p12]: Directory {} does not exist. \
             Do you want to create it? [Y/n]Enter password for ca.p12 : ",
            file.parent().unwrap().display()
        )
    );
    assert!(done.output.contains("certificate authority"));
    assert_eq!(mode(&file), 0o600);
    let authority = CertificateAuthority::load_p12(&file, &"secret".into()).unwrap();
    let info = CertificateInfo::from_der(authority.certificate()).unwrap();
    assert_eq!(info.subject.to_string(), ringwall_pki::DEFAULT_CA_DN);
}

#[test]
fn ca_writes_pem_in_a_zip() {
    let bench = Bench::new();
    let file = bench.path("ca.zip");
    let options = [
        "ca",
        "--pem",
        "--days",
        "10",
        "--ca-dn",
        "CN=Mine,O=o",
        "--out",
        text(&file),
        "--pass",
        "p",
    ];
    bench.run(&options, "").result.unwrap();
    assert_eq!(entries(&file), ["ca/", "ca/ca.crt", "ca/ca.key"]);
    let (crt, key) = (
        bench.unzip(&file, "ca/ca.crt"),
        bench.unzip(&file, "ca/ca.key"),
    );
    assert!(
        std::fs::read_to_string(&key)
            .unwrap()
            .starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    );
    let authority = CertificateAuthority::load_pem(&crt, &key, Some(&"p".into())).unwrap();
    let info = CertificateInfo::from_der(authority.certificate()).unwrap();
    assert_eq!(info.subject.to_string(), "CN=Mine,O=o");
    assert_eq!((info.not_after - info.not_before).as_secs(), 10 * 86400);

    let plain = bench.path("plain.zip");
    bench
        .run(&["ca", "--pem", "--out", text(&plain)], "")
        .result
        .unwrap();
    let key = std::fs::read_to_string(bench.unzip(&plain, "ca/ca.key")).unwrap();
    assert!(key.starts_with("-----BEGIN RSA PRIVATE KEY-----\n"));
}

#[test]
fn cert_makes_a_file_that_is_keystore_and_truststore() {
    let bench = Bench::new();
    let (ca, file) = (bench.ca(), bench.path("n1.p12"));
    let names = [
        "--name",
        "n1",
        "--dns",
        "a.example,b.example",
        "--dns",
        "c.example",
        "--ip",
        "192.0.2.1,::1",
    ];
    let options = ["cert", "--ca", text(&ca), "--out", text(&file)];
    let done = bench.run(&[&options[..], &names[..]].concat(), "capass\nnodepass\n");
    done.result.unwrap();
    let asked = format!(
        "Enter password for CA ({}) : Enter password for n1.p12 : ",
        ca.display()
    );
    assert_eq!(done.errors, asked);
    assert!(
        done.output
            .contains(&format!("Certificates written to {}", file.display()))
    );
    assert_eq!(mode(&file), 0o600);
    let material = load_keystore(&file, &"nodepass".into()).unwrap();
    assert_eq!(
        (material.alias.as_deref(), material.chain.len()),
        (Some("n1"), 2)
    );
    let info = CertificateInfo::from_der(&material.chain[0]).unwrap();
    assert_eq!(info.subject.to_string(), "CN=n1");
    assert_eq!(
        info.dns_names().collect::<Vec<_>>(),
        ["a.example", "b.example", "c.example"]
    );
    assert_eq!(info.ip_addresses().count(), 2);
    assert_eq!(
        load_truststore(&file, &"nodepass".into()).unwrap().certs(),
        material.chain[1..]
    );
}

#[test]
fn cert_makes_pem_for_the_nodes_of_a_file() {
    let bench = Bench::new();
    let ca = bench.ca();
    let list = bench.path("instances.yml");
    std::fs::write(
        &list,
        "instances:\n  - name: n1\n    dns: a.example\n  - name: n2\n",
    )
    .unwrap();
    let common = [
        "cert",
        "--ca",
        text(&ca),
        "--ca-pass",
        "capass",
        "--in",
        text(&list),
    ];
    let file = bench.path("pem.zip");
    let done = bench.run(
        &[&common[..], &["--pem", "--out", text(&file)]].concat(),
        "",
    );
    done.result.unwrap();
    assert_eq!(done.errors, "");
    assert_eq!(
        entries(&file),
        [
            "n1/",
            "n1/n1.crt",
            "n1/n1.key",
            "n2/",
            "n2/n2.crt",
            "n2/n2.key"
        ]
    );
    let (crt, key) = (
        bench.unzip(&file, "n1/n1.crt"),
        bench.unzip(&file, "n1/n1.key"),
    );
    assert_eq!(
        load_pem_key_material(&crt, &key, None).unwrap().chain.len(),
        1
    );

    let file = bench.path("p12.zip");
    let done = bench.run(
        &[&common[..], &["--pass", "--out", text(&file)]].concat(),
        "one\ntwo\n",
    );
    done.result.unwrap();
    assert_eq!(
        done.errors,
        "Enter password for n1/n1.p12 : Enter password for n2/n2.p12 : "
    );
    assert_eq!(entries(&file), ["n1/", "n1/n1.p12", "n2/", "n2/n2.p12"]);
    assert!(load_keystore(&bench.unzip(&file, "n2/n2.p12"), &"two".into()).is_ok());
}

#[test]
fn cert_takes_a_pem_ca_and_asks_for_its_passphrase_only_if_needed() {
    let bench = Bench::new();
    let zip = bench.path("ca.zip");
    bench
        .run(&["ca", "--pem", "--pass", "p", "--out", text(&zip)], "")
        .result
        .unwrap();
    let (crt, key) = (
        bench.unzip(&zip, "ca/ca.crt"),
        bench.unzip(&zip, "ca/ca.key"),
    );
    let file = bench.path("node.p12");
    let options = [
        "cert",
        "--ca-cert",
        text(&crt),
        "--ca-key",
        text(&key),
        "--pass",
        "",
        "--out",
        text(&file),
    ];
    let done = bench.run(&options, "p\n");
    done.result.unwrap();
    assert_eq!(done.errors, "Enter password for CA private key (ca.key) : ");
    assert_eq!(
        load_keystore(&file, &SecretString::default())
            .unwrap()
            .alias
            .as_deref(),
        Some("instance")
    );
}

#[test]
fn self_signed_has_no_trusted_entry() {
    let bench = Bench::new();
    let file = bench.path("self.p12");
    bench
        .run(
            &["cert", "--self-signed", "--pass", "x", "--out", text(&file)],
            "",
        )
        .result
        .unwrap();
    assert_eq!(load_keystore(&file, &"x".into()).unwrap().chain.len(), 1);
    assert!(load_truststore(&file, &"x".into()).is_err());
}

#[test]
fn a_kept_authority_lies_beside_its_certificates() {
    let bench = Bench::new();
    let file = bench.path("bundle.zip");
    let options = [
        "cert",
        "--keep-ca-key",
        "--ca-dn",
        "CN=Kept",
        "--key-type",
        "ec-p256",
        "--name",
        "n1",
        "--out",
    ];
    let done = bench.run(
        &[&options[..], &[text(&file)]].concat(),
        "capass\nnodepass\n",
    );
    done.result.unwrap();
    assert_eq!(
        done.errors,
        "Enter password for ca/ca.p12 : Enter password for n1/n1.p12 : "
    );
    assert_eq!(entries(&file), ["ca/", "ca/ca.p12", "n1/", "n1/n1.p12"]);
    let ca = bench.unzip(&file, "ca/ca.p12");
    let authority = CertificateAuthority::load_p12(&ca, &"capass".into()).unwrap();
    let node = load_truststore(&bench.unzip(&file, "n1/n1.p12"), &"nodepass".into()).unwrap();
    assert_eq!(node.certs(), std::slice::from_ref(authority.certificate()));

    let pem = bench.path("pem.zip");
    let options = [&options[..], &[text(&pem), "--pem", "--ca-pass", "p"]].concat();
    bench.run(&options, "").result.unwrap();
    assert_eq!(
        entries(&pem),
        [
            "ca/",
            "ca/ca.crt",
            "ca/ca.key",
            "n1/",
            "n1/n1.crt",
            "n1/n1.key"
        ]
    );
    let (crt, key) = (
        bench.unzip(&pem, "ca/ca.crt"),
        bench.unzip(&pem, "ca/ca.key"),
    );
    CertificateAuthority::load_pem(&crt, &key, Some(&"p".into())).unwrap();
}

#[test]
fn nothing_is_overwritten_and_no_directory_is_made_unasked() {
    let bench = Bench::new();
    let file = bench.ca();
    let before = std::fs::read(&file).unwrap();
    let error = bench
        .run(&["ca", "--out", text(&file), "--pass", "x"], "")
        .result
        .unwrap_err();
    assert_eq!(error.exit, ExitCode::IoError);
    assert_eq!(
        error.message,
        format!("Output file '{}' already exists", file.display())
    );
    assert_eq!(std::fs::read(&file).unwrap(), before);

    let missing = bench.path("none/ca.p12");
    let error = bench
        .run(&["ca", "--out", text(&missing), "--pass", "x"], "n\n")
        .result
        .unwrap_err();
    assert_eq!(error.exit, ExitCode::CantCreate);
    assert!(
        error.message.ends_with("none does not exist"),
        "{}",
        error.message
    );

    let below_file = file.join("ca.p12");
    let done = bench.run(&["ca", "--out", text(&below_file), "--pass", "x"], "");
    assert_eq!(done.result.unwrap_err().exit, ExitCode::CantCreate);
    assert!(
        done.errors
            .contains("exists, but is not a directory. Cannot write to"),
        "{}",
        done.errors
    );
}

#[test]
fn mistakes_have_their_exit_status() {
    let bench = Bench::new();
    let (ca, out) = (bench.ca(), bench.path("out"));
    let cases: [(&[&str], ExitCode, &str); 9] = [
        (
            &["cert"],
            ExitCode::Usage,
            "Must specify either --ca or --ca-cert/--ca-key or --self-signed",
        ),
        (
            &["cert", "--ca", text(&ca), "--ca-pass", "no"],
            ExitCode::Failure,
            "incorrect password",
        ),
        (
            &["cert", "--ca", "/absent.p12", "--ca-pass", "x"],
            ExitCode::Failure,
            "does not exist",
        ),
        (
            &["cert", "--self-signed", "--pass", "ä"],
            ExitCode::Config,
            "PKCS#12 passwords must be plain ASCII",
        ),
        (
            &["cert", "--self-signed", "--pem", "--pass", ""],
            ExitCode::Config,
            "empty password",
        ),
        (
            &["cert", "--self-signed", "--name", "ca", "--pass", "x"],
            ExitCode::Config,
            "see messages above",
        ),
        (
            &["ca", "--keysize", "1000", "--pass", "x"],
            ExitCode::Usage,
            "use a multiple of 8 from 2048 to 8192",
        ),
        (
            &["ca", "--days", "0", "--pass", "x"],
            ExitCode::Failure,
            "must be valid for at least one day",
        ),
        (
            &["ca", "--keyusage", "sign", "--pass", "x"],
            ExitCode::Usage,
            "Unknown keyUsage: sign",
        ),
    ];
    for (options, exit, message) in cases {
        let error = bench
            .run(&[options, &["--out", text(&out)]].concat(), "")
            .result
            .unwrap_err();
        assert_eq!(error.exit, exit, "{options:?} {error}");
        assert!(error.message.contains(message), "{options:?} {error}");
        assert!(!out.exists(), "{options:?}");
    }
}

#[test]
fn options_that_exclude_one_another_are_refused() {
    for options in [
        &["cert", "--ca", "a", "--ca-cert", "b", "--ca-key", "c"][..],
        &["cert", "--ca-cert", "b"],
        &["cert", "--ca-key", "b"],
        &["cert", "--self-signed", "--ca", "b"],
        &["cert", "--multiple", "--name", "n"],
        &["cert", "--multiple", "--ip", "::1"],
        &["ca", "--ca-pass", "x"],
        &["nothing"],
    ] {
        let words = ["certutil"].iter().chain(options);
        assert!(Words::try_parse_from(words).is_err(), "{options:?}");
    }
}

#[test]
fn a_long_password_is_warned_about() {
    let bench = Bench::new();
    let (long, file) = ("x".repeat(51), bench.path("a.p12"));
    let answers = format!("{long}\nn\nshort\n");
    let done = bench.run(&["ca", "--out", text(&file)], &answers);
    done.result.unwrap();
    assert!(
        done.output
            .contains("Warning: Your password exceeds 50 characters."),
        "{}",
        done.output
    );
    assert!(
        done.errors
            .contains("Do you want to continue? [Y/n]Enter password for a.p12 : "),
        "{}",
        done.errors
    );
    assert!(CertificateAuthority::load_p12(&file, &"short".into()).is_ok());
}

/// A directory, and commands run in it.
struct Bench(TempDir);

struct Done {
    result: Result<(), CommandError>,
    output: String,
    errors: String,
}

impl Bench {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, options: &[&str], answers: &str) -> Done {
        let (mut terminal, output, errors) = Terminal::scripted(answers);
        let words = Words::try_parse_from(["certutil"].iter().chain(options)).unwrap();
        let result = run(words.args, &mut terminal);
        Done {
            result,
            output: output.text(),
            errors: errors.text(),
        }
    }

    /// Makes a CA file with the password `capass`.
    fn ca(&self) -> PathBuf {
        let file = self.path("ca.p12");
        self.run(&["ca", "--out", text(&file), "--pass", "capass"], "")
            .result
            .unwrap();
        file
    }

    /// Writes one entry of a zip file, with its last name, and returns where.
    fn unzip(&self, zip: &Path, name: &str) -> PathBuf {
        let mut archive = zip::ZipArchive::new(std::fs::File::open(zip).unwrap()).unwrap();
        let mut entry = archive.by_name(name).unwrap();
        assert_eq!(entry.unix_mode().unwrap() & 0o777, 0o600);
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let path = self.path(name.rsplit('/').next().unwrap());
        std::fs::write(&path, content).unwrap();
        path
    }
}

#[derive(Parser)]
struct Words {
    #[command(flatten)]
    args: CertutilArgs,
}

fn entries(zip: &Path) -> Vec<String> {
    let archive = zip::ZipArchive::new(std::fs::File::open(zip).unwrap()).unwrap();
    archive
        .file_names()
        .map(|name| name.unwrap().into_owned())
        .collect()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn csr_writes_requests_that_openssl_verifies() {
    let bench = Bench::new();
    for (key_type, algorithm) in [
        ("rsa", "rsaEncryption"),
        ("ec-p384", "P-384"),
        ("ed25519", "ED25519"),
    ] {
        let file = bench.path(&format!("{key_type}.zip"));
        let options = [
            "csr",
            "--name",
            "es01",
            "--dns",
            "es01.example,localhost",
            "--ip",
            "192.0.2.1",
            "--key-type",
            key_type,
            "--out",
            text(&file),
            "--pass",
            "secret",
        ];
        let done = bench.run(&options, "");
        done.result.unwrap();
        assert!(done.output.contains(&format!(
            "Certificate signing requests have been written to {}",
            file.display()
        )));
        assert_eq!(mode(&file), 0o600);
        assert_eq!(entries(&file), ["es01/", "es01/es01.csr", "es01/es01.key"]);
        let key = std::fs::read_to_string(bench.unzip(&file, "es01/es01.key")).unwrap();
        assert!(
            key.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"),
            "{key}"
        );
        let request = bench.unzip(&file, "es01/es01.csr");
        let Ok(said) = std::process::Command::new("openssl")
            .args(["req", "-verify", "-noout", "-text", "-in", text(&request)])
            .output()
        else {
            eprintln!("SKIPPED: no openssl to judge requests");
            return;
        };
        let said = [said.stdout, said.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        for part in [
            algorithm,
            "OK",
            "DNS:es01.example, DNS:localhost, IP Address:192.0.2.1",
            "CN = es01",
        ] {
            assert!(said.contains(part), "{key_type}: [{part}] is not in {said}");
        }
    }
    let outcome = bench.run(
        &[
            "csr",
            "--key-type",
            "ec-p256",
            "--keysize",
            "2048",
            "--out",
            "x",
        ],
        "",
    );
    assert_eq!(outcome.result.unwrap_err().exit, ExitCode::Usage);
}

#[test]
fn keys_of_every_type_serve_authorities_and_nodes() {
    let bench = Bench::new();
    for key_type in ["ec-p256", "ec-p384", "ed25519"] {
        let ca = bench.path(&format!("{key_type}-ca.p12"));
        let node = bench.path(&format!("{key_type}.p12"));
        bench
            .run(
                &[
                    "ca",
                    "--key-type",
                    key_type,
                    "--out",
                    text(&ca),
                    "--pass",
                    "a",
                ],
                "",
            )
            .result
            .unwrap();
        let options = [
            "cert",
            "--ca",
            text(&ca),
            "--ca-pass",
            "a",
            "--key-type",
            key_type,
            "--out",
            text(&node),
            "--pass",
            "b",
        ];
        bench.run(&options, "").result.unwrap();
        let material = load_keystore(&node, &"b".into()).unwrap();
        let info = CertificateInfo::from_der(&material.chain[0]).unwrap();
        assert!(
            key_type.ends_with(
                &info
                    .key_algorithm
                    .to_lowercase()
                    .replace("ec ", "")
                    .replace("p-", "p")
            ),
            "{info:?}"
        );
    }
}

#[test]
fn many_instances_come_in_their_order() {
    let bench = Bench::new();
    let instances: String = (0..40)
        .rev()
        .map(|n| format!("  - name: node{n}\n"))
        .collect();
    let list = bench.path("instances.yml");
    std::fs::write(&list, format!("instances:\n{instances}")).unwrap();
    let (ca, out) = (bench.path("ca.p12"), bench.path("all.zip"));
    bench
        .run(
            &[
                "ca",
                "--key-type",
                "ec-p256",
                "--out",
                text(&ca),
                "--pass",
                "",
            ],
            "",
        )
        .result
        .unwrap();
    let options = [
        "cert",
        "--ca",
        text(&ca),
        "--ca-pass",
        "",
        "--in",
        text(&list),
        "--pem",
        "--key-type",
        "ec-p256",
        "--out",
        text(&out),
    ];
    bench.run(&options, "").result.unwrap();
    let names: Vec<String> = entries(&out)
        .into_iter()
        .filter(|name| name.ends_with(".crt"))
        .collect();
    let expected: Vec<String> = (0..40)
        .rev()
        .map(|n| format!("node{n}/node{n}.crt"))
        .collect();
    assert_eq!(names, expected);
}

#[test]
fn inspect_says_what_is_there_and_what_it_is_good_for() {
    let bench = Bench::new();
    let (ca, node, pem, csr) = (
        bench.path("ca.p12"),
        bench.path("node.p12"),
        bench.path("node.zip"),
        bench.path("csr.zip"),
    );
    let fast = |options: &[&str]| {
        let mut all = options.to_vec();
        all.extend(["--key-type", "ec-p256"]);
        bench.run(&all, "").result.unwrap();
    };
    fast(&["ca", "--out", text(&ca), "--pass", "a"]);
    let signed = [
        "cert",
        "--ca",
        text(&ca),
        "--ca-pass",
        "a",
        "--dns",
        "localhost",
        "--out",
    ];
    fast(&[&signed[..], &[text(&node), "--pass", "b"]].concat());
    fast(&[&signed[..], &[text(&pem), "--pem"]].concat());
    fast(&["csr", "--out", text(&csr), "--name", "es01"]);
    for (file, password, parts) in [
        (
            &ca,
            "a",
            &[
                "private key [ca]",
                "CA, EC P-256",
                "keystore: no, its only key is that of a CA",
                "truststore: no, none of",
            ][..],
        ),
        (
            &node,
            "b",
            &[
                "private key [instance]",
                "names: DNS:localhost",
                "trusted certificate [ca]",
                " days left)",
                "keystore: yes",
                "truststore: yes",
            ],
        ),
        (
            &pem,
            "",
            &[
                "instance/instance.crt: PEM",
                "keystore: no, a certificate without its key",
                "instance/instance.key: PEM",
                "keystore: no, a key without its certificate",
            ],
        ),
        (
            &csr,
            "",
            &["signing request", "subject: CN=es01", "signature: valid"],
        ),
    ] {
        let done = bench.run(&["inspect", text(file)], &format!("{password}\n"));
        done.result.unwrap();
        for part in parts {
            assert!(
                done.output.contains(part),
                "{}: [{part}] is not in {}",
                file.display(),
                done.output
            );
        }
    }
    let json = bench
        .run(&["inspect", text(&node), "--pass", "b", "--json"], "")
        .output;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["keystore"]["usable"], true);
    assert_eq!(json[0]["entries"][0]["subject"], "CN=instance");
    let wrong = bench
        .run(&["inspect", text(&node), "--pass", "x"], "")
        .result
        .unwrap_err();
    assert_eq!(wrong.exit, ExitCode::DataError);
    let other = bench.path("letter.txt");
    std::fs::write(&other, "dear").unwrap();
    assert_eq!(
        bench
            .run(&["inspect", text(&other)], "")
            .result
            .unwrap_err()
            .exit,
        ExitCode::DataError
    );
}

#[test]
fn check_lists_when_certificates_end_and_ends_with_a_status_for_monitoring() {
    let bench = Bench::new();
    let config = bench.path("config");
    std::fs::create_dir_all(config.join("certs")).unwrap();
    let make = |name: &str, days: &str, password: &str| {
        let file = config.join("certs").join(name);
        let options = [
            "cert",
            "--self-signed",
            "--key-type",
            "ec-p256",
            "--days",
            days,
            "--out",
            text(&file),
            "--pass",
            password,
        ];
        bench.run(&options, "").result.unwrap();
    };
    let status = |more: &[&str]| {
        let mut options = vec!["check", text(&config)];
        options.extend(more);
        let done = bench.run(&options, "");
        (
            done.result.map_or_else(|error| error.exit.code(), |()| 0),
            done.output,
        )
    };
    assert_eq!(status(&[]).0, 3, "nothing to check is no good news");
    make("long.p12", "365", "");
    assert_eq!(status(&[]).0, 0);
    make("soon.p12", "20", "secret");
    let (code, table) = status(&[]);
    assert!(code == 3 && table.contains("soon.p12: locked"), "{table}");
    let mut keystore = ringwall_settings::Keystore::create(SecretString::default());
    keystore
        .set(
            "xpack.security.http.ssl.keystore.secure_password",
            &"secret".into(),
        )
        .unwrap();
    keystore
        .save(&config.join("elasticsearch.keystore"))
        .unwrap();
    let (code, table) = status(&[]);
    assert_eq!(code, 1, "{table}");
    let lines: Vec<&str> = table.lines().collect();
    assert!(
        lines[1].starts_with("warning ") && lines[1].contains("CN=instance in "),
        "{table}"
    );
    assert!(
        lines[2].starts_with("ok ") && lines[2].contains("long.p12"),
        "{table}"
    );
    make("now.p12", "3", "secret");
    let (code, json) = status(&["--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (code, &json[0]["status"]),
        (2, &serde_json::json!("critical"))
    );
    assert_eq!(status(&["--warn-days", "2", "--critical-days", "1"]).0, 0);
}

#[test]
fn nothing_is_asked_of_a_script_that_says_everything() {
    let bench = Bench::new();
    let (ca, node, secret) = (
        bench.path("new/ca.p12"),
        bench.path("other/node.p12"),
        bench.path("secret"),
    );
    std::fs::write(&secret, "from-file\r\nsecond line\n").unwrap();
    let make = [
        "ca",
        "--yes",
        "--key-type",
        "ec-p256",
        "--pass-file",
        text(&secret),
        "--out",
        text(&ca),
    ];
    let done = bench.run(&make, "");
    done.result.unwrap();
    assert_eq!(done.errors, "");
    let issue = [
        "cert",
        "--yes",
        "--key-type",
        "ec-p256",
        "--ca",
        text(&ca),
        "--ca-pass-file",
        text(&secret),
        "--pass-stdin",
        "--out",
        text(&node),
    ];
    let done = bench.run(&issue, "from-pipe\n");
    done.result.unwrap();
    assert_eq!(done.errors, "");
    assert!(load_keystore(&node, &"from-pipe".into()).is_ok());
}
