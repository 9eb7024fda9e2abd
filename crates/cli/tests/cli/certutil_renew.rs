//! `certutil renew`: what stays and what is new, judged by others.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use ringwall_base::SecretString;
use ringwall_pki::{CertificateAuthority, KeySpec, NodeCertParams, p12};

use crate::bench::{Bench, read};
use crate::home::Outcome;
use crate::judges::{judge, unzip};

/// Fast keys.
const EC: [&str; 2] = ["--key-type", "ec-p256"];

impl Bench {
    /// Makes the CA `<name>`, password `capass`.
    fn ca(&self, name: &str) {
        let made = ["ca", "--out", name, "--pass", "capass"];
        self.certutil(&[&made[..], &EC].concat(), "").quiet();
    }

    /// Makes certificates of the CA `ca.p12`.
    fn cert(&self, options: &[&str]) {
        let issuer = ["cert", "-s", "--ca", "ca.p12", "--ca-pass", "capass"];
        self.certutil(&[&issuer[..], options].concat(), "").quiet();
    }

    fn renew(&self, options: &[&str], answers: &str) -> Outcome {
        let issuer = ["renew", "--ca", "ca.p12", "--ca-pass", "capass"];
        self.certutil(&[&issuer[..], options].concat(), answers)
    }

    /// Returns the names of the files in the directory of a path that start as the path does.
    fn like(&self, path: &Path) -> Vec<PathBuf> {
        let directory = std::fs::read_dir(path.parent().unwrap()).unwrap();
        let text = path.to_str().unwrap();
        let mut found: Vec<PathBuf> = directory
            .map(|entry| entry.unwrap().path())
            .filter(|entry| entry.to_str().unwrap().starts_with(text))
            .collect();
        found.sort();
        found
    }
}

/// What openssl says of a certificate: what must stay, in any order, and its key.
fn facts(dir: &Path, certificate: &str) -> Option<(String, String)> {
    let show = ["openssl", "x509", "-in", certificate, "-noout"];
    let same = [
        "-subject",
        "-ext",
        "subjectAltName,keyUsage,extendedKeyUsage,basicConstraints",
    ];
    let stays = judge(dir, &[&show[..], &same].concat())?;
    let mut stays: Vec<&str> = stays.lines().collect();
    stays.sort_unstable();
    let new = judge(dir, &[&show[..], &["-pubkey"]].concat())?;
    Some((stays.join("\n"), new))
}

/// Takes the node's certificate out of a PKCS#12 file.
fn export(dir: &Path, store: &str, password: &str, out: &str) -> Option<String> {
    let pass = format!("pass:{password}");
    let line = [
        "openssl", "pkcs12", "-in", store, "-passin", &pass, "-clcerts", "-nokeys", "-out", out,
    ];
    judge(dir, &line)
}

#[test]
fn a_keystore_is_replaced_and_the_old_one_stays() {
    let bench = Bench::new();
    bench.ca("ca.p12");
    let list = bench.path("nodes.yml");
    std::fs::write(
        &list,
        "instances:\n  - {name: 'CN=n1,OU=IT', filename: n1, dns: [n1.example], ip: 192.0.2.1, cn: [n1.cluster]}\n",
    )
    .unwrap();
    let options = [
        "--in",
        "nodes.yml",
        "--days",
        "20",
        "--out",
        "n1.zip",
        "--pass",
        "nodepass",
    ];
    bench.cert(&[&options[..], &EC].concat());
    let (_, dir) = unzip(&bench.path("n1.zip"));
    let file = dir.join("n1/n1.p12");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let old = std::fs::read(&file).unwrap();
    // A link stays a link.
    symlink(&file, bench.path("n1.p12")).unwrap();

    let done = bench.renew(&["n1.p12", "--days", "400"], "nodepass\n");
    assert_eq!(done.status, 0, "{done:?}");
    assert_eq!(done.stderr, "Enter password for n1.p12 : ");
    assert!(
        done.stdout.starts_with(&format!(
            "Renewed {}: CN=n1,OU=IT, valid until ",
            file.display()
        )),
        "{done:?}"
    );
    assert!(bench.path("n1.p12").is_symlink());
    let files = bench.like(&file);
    assert_eq!(files.len(), 2, "{files:?}");
    assert_eq!(std::fs::read(&files[1]).unwrap(), old);
    for file in &files {
        assert_eq!(
            std::fs::metadata(file).unwrap().permissions().mode() & 0o777,
            0o640
        );
    }
    let backup = files[1].to_str().unwrap();
    let node = dir.join("n1");
    if export(&node, "n1.p12", "nodepass", "new.crt").is_none() {
        return;
    }
    export(&node, backup, "nodepass", "old.crt");
    let (old, new) = (
        facts(&node, "old.crt").unwrap(),
        facts(&node, "new.crt").unwrap(),
    );
    assert_eq!(old.0, new.0);
    assert!(
        new.0.contains("DNS:n1.example") && new.0.contains("othername"),
        "{}",
        new.0
    );
    assert_ne!(old.1, new.1, "a new key");
    let lasting = [
        "openssl",
        "x509",
        "-in",
        "new.crt",
        "-noout",
        "-checkend",
        "34473600",
    ];
    judge(&node, &lasting).unwrap();
    let listed = [
        "keytool",
        "-list",
        "-keystore",
        "n1.p12",
        "-storepass",
        "nodepass",
    ];
    if let Some(said) = judge(&node, &listed) {
        assert!(
            said.contains("cn=n1,ou=it, ") && said.contains("PrivateKeyEntry"),
            "{said}"
        );
        assert!(
            said.contains("ca, ") && said.contains("trustedCertEntry"),
            "{said}"
        );
    }
}

#[test]
fn a_pem_pair_is_renewed_with_the_old_key_or_a_new_one() {
    let bench = Bench::new();
    bench
        .certutil(
            &[
                &["ca", "--pem", "--out", "ca.zip", "--pass", "capass"][..],
                &EC,
            ]
            .concat(),
            "",
        )
        .quiet();
    unzip(&bench.path("ca.zip"));
    let issuer = [
        "--ca-cert",
        "ca/ca/ca.crt",
        "--ca-key",
        "ca/ca/ca.key",
        "--ca-pass",
        "capass",
    ];
    let make = [
        "cert",
        "-s",
        "--pem",
        "--dns",
        "n1.example",
        "--out",
        "n1.zip",
        "--pass",
        "keypass",
        "--key-type",
        "ed25519",
    ];
    bench.certutil(&[&make[..], &issuer].concat(), "").quiet();
    let (_, dir) = unzip(&bench.path("n1.zip"));
    let (node, file) = (dir.join("instance"), "n1/instance/instance.crt");
    let renew = |options: &[&str]| {
        let done = bench.certutil(
            &[&["renew", file][..], &issuer, options].concat(),
            "keypass\n",
        );
        assert_eq!(done.status, 0, "{done:?}");
        assert_eq!(done.stderr, "Enter password for instance.key : ");
    };
    let (old, old_key) = (
        facts(&node, "instance.crt"),
        read(node.join("instance.key")),
    );
    renew(&["--keep-key", "--out", "kept"]);
    let kept = bench.path("kept");
    assert!(!kept.join("instance.key").exists());
    assert_eq!(old, facts(&kept, "instance.crt"));
    assert_eq!(
        bench.like(&node.join("instance.crt")).len(),
        1,
        "nothing is replaced"
    );

    renew(&[]);
    assert_eq!(bench.like(&node.join("instance.crt")).len(), 2);
    let new_key = read(node.join("instance.key"));
    assert!(new_key != old_key && new_key.contains("BEGIN ENCRYPTED PRIVATE KEY"));
    let (Some(old), Some(new)) = (old, facts(&node, "instance.crt")) else {
        return;
    };
    assert_eq!(old.0, new.0);
    assert_ne!(old.1, new.1);
    let public = judge(
        &node,
        &[
            "openssl",
            "pkey",
            "-in",
            "instance.key",
            "-passin",
            "pass:keypass",
            "-pubout",
        ],
    );
    assert_eq!(public.unwrap(), new.1);
    let ca = bench.path("ca/ca/ca.crt");
    judge(
        &node,
        &[
            "openssl",
            "verify",
            "-CAfile",
            ca.to_str().unwrap(),
            "instance.crt",
        ],
    )
    .unwrap();
}

#[test]
fn several_files_are_renewed_or_none() {
    let bench = Bench::new();
    bench.ca("ca.p12");
    for name in ["a.p12", "b.p12"] {
        bench.cert(&[&["--out", name, "--pass", ""][..], &EC].concat());
    }
    let before = std::fs::read(bench.path("a.p12")).unwrap();
    let one_is_missing = bench.renew(&["a.p12", "nowhere.p12"], "");
    assert_eq!(one_is_missing.status, 74, "{one_is_missing:?}");
    let one_is_a_ca = bench.renew(&["a.p12", "ca.p12", "--pass", "capass"], "");
    assert!(
        one_is_a_ca.status == 65
            && one_is_a_ca
                .stderr
                .contains("holds the key of a CA and no other"),
        "{one_is_a_ca:?}"
    );
    let twice = bench.renew(&["a.p12", "./a.p12"], "");
    assert!(
        twice.status == 64 && twice.stderr.contains("is named twice"),
        "{twice:?}"
    );
    assert_eq!(before, std::fs::read(bench.path("a.p12")).unwrap());
    assert_eq!(bench.like(&bench.path("a.p12")).len(), 1);
    let both = bench.renew(&["a.p12", "b.p12", "--out", "new"], "").quiet();
    assert_eq!(both.matches("Written ").count(), 2, "{both}");
    assert!(bench.path("new/a.p12").is_file() && bench.path("new/b.p12").is_file());
    let again = bench.renew(&["a.p12", "--out", "new"], "");
    assert!(
        again.status == 74 && again.stderr.contains("already exists"),
        "{again:?}"
    );
}

#[test]
fn another_ca_is_warned_of_and_trusted_by_the_file() {
    let bench = Bench::new();
    bench.ca("ca.p12");
    bench.cert(&[&["--out", "n.p12", "--pass", "p"][..], &EC].concat());
    std::fs::rename(bench.path("ca.p12"), bench.path("old-ca.p12")).unwrap();
    bench.ca("ca.p12");
    let done = bench.renew(&["n.p12", "--pass", "p", "--days", "2000"], "");
    assert_eq!(done.status, 0, "{done:?}");
    assert!(done.stderr.contains("not by the CA given here"), "{done:?}");
    assert!(done.stderr.contains("Warning: the CA ends on "), "{done:?}");
    let listed = ["keytool", "-list", "-keystore", "n.p12", "-storepass", "p"];
    if let Some(said) = judge(&bench.path(""), &listed) {
        assert_eq!(said.matches("trustedCertEntry").count(), 2, "{said}");
    }
}

#[test]
fn what_cannot_be_renewed_is_told_with_what_to_do() {
    let bench = Bench::new();
    bench.ca("ca.p12");
    bench.cert(&[&["--out", "n.p12", "--pass", "p"][..], &EC].concat());
    bench.cert(&[&["--pem", "--out", "n.zip"][..], &EC].concat());
    bench.cert(&[&["--pem", "--out", "other.zip"][..], &EC].concat());
    for name in ["n.zip", "other.zip"] {
        unzip(&bench.path(name));
    }
    std::fs::copy(
        bench.path("n/instance/instance.crt"),
        bench.path("alone.crt"),
    )
    .unwrap();
    std::fs::write(bench.path("letter.txt"), "dear").unwrap();
    let no_ca = bench.certutil(&["renew", "n.p12"], "");
    assert!(
        no_ca.status == 64 && no_ca.stderr.contains("--ca-cert/--ca-key"),
        "{no_ca:?}"
    );
    for (options, status, message) in [
        (&["n.p12", "--pass", "wrong"][..], 65, "incorrect password"),
        (&["alone.crt"], 65, "hint: name its file with --key"),
        (
            &["alone.crt", "--key", "other/instance/instance.key"],
            65,
            "does not match the certificate",
        ),
        (
            &["n/instance/instance.key"],
            65,
            "name the file of the certificate",
        ),
        (&["letter.txt"], 65, "neither PKCS#12 nor PEM"),
        (&["n.p12", "--key", "x.key"], 64, "--key is for PEM"),
        (
            &["n.p12", "alone.crt", "--key", "x.key"],
            64,
            "--key is for one certificate",
        ),
        (
            &["n.p12", "--pass", "p", "--days", "0"],
            65,
            "at least one day",
        ),
    ] {
        let done = bench.renew(options, "");
        assert_eq!(done.status, status, "{done:?}");
        assert!(done.stderr.contains(message), "{done:?}");
    }
    let one_file = [
        read(bench.path("alone.crt")),
        read(bench.path("n/instance/instance.key")),
    ];
    std::fs::write(bench.path("both.pem"), one_file.concat()).unwrap();
    bench.renew(&["both.pem"], "").quiet();
    let both = read(bench.path("both.pem"));
    assert!(
        both.contains("BEGIN CERTIFICATE") && both.contains("PRIVATE KEY"),
        "{both}"
    );
    bench
        .renew(&["alone.crt", "--key", "n/instance/instance.key"], "")
        .quiet();
}

#[test]
fn what_else_is_in_a_keystore_stays() {
    let bench = Bench::new();
    bench.ca("ca.p12");
    // As Elasticsearch sets up its nodes by itself: the key of the CA beside that of the node.
    let password = SecretString::from("p");
    let authority =
        CertificateAuthority::load_p12(&bench.path("ca.p12"), &"capass".into()).unwrap();
    let issued = authority
        .issue(&NodeCertParams {
            key: KeySpec::EcP256,
            days: 5000,
            ..NodeCertParams::default()
        })
        .unwrap();
    let entries = [
        p12::WriteEntry::Key {
            alias: "http_ca",
            key: authority.private_key(),
            chain: &[authority.certificate().clone()],
        },
        p12::WriteEntry::Key {
            alias: "http",
            key: &issued.key,
            chain: &issued.chain,
        },
    ];
    let file = bench.path("http.p12");
    std::fs::write(&file, p12::write(&entries, &password).unwrap()).unwrap();
    let done = bench.renew(&["http.p12", "--pass", "p", "--keep-key"], "");
    assert_eq!(done.status, 0, "{done:?}");
    let shorter = "is valid for 1094 days instead of 5000, since the CA ends then";
    assert!(done.stderr.contains(shorter), "{done:?}");
    let renewed = p12::read(&std::fs::read(&file).unwrap(), &password, &file).unwrap();
    let key_of = |alias: &str| {
        let entry = |entry: &&p12::KeyEntry| entry.alias.as_deref() == Some(alias);
        renewed.keys.iter().find(entry).unwrap()
    };
    assert_eq!(key_of("http_ca").chain, [authority.certificate().clone()]);
    assert_eq!(&key_of("http").private_key, issued.key.pkcs8());
    assert_ne!(key_of("http").chain[0], issued.certificate);
    assert!(renewed.keys.len() == 2 && renewed.trusted.is_empty());
}
