//! Certificates in DER and PKCS#7, as Windows and many authorities hand them out, wherever certificates are read; and
//! copies of a PKCS#12 file that somebody has made text of.

use std::path::Path;

use base64::Engine;
use ringwall_pki::{CertificateInfo, load_pem_certs};

use crate::bench::{Bench, read};
use crate::certutil_http_ca::ONE_NODE;
use crate::judges::{judge, unzip};

/// A CA as PEM in `ca/`, and its certificate in every other form; `None` without openssl.
fn forms(bench: &Bench) -> Option<Vec<String>> {
    let made = ["ca", "-s", "--pem", "--key-type", "ec-p256", "--out"];
    bench
        .certutil(&[&made[..], &["made.zip"]].concat(), "")
        .quiet();
    let (_, made) = unzip(&bench.path("made.zip"));
    let dir = made.join("ca");
    judge(&dir, &["openssl", "version"])?;
    for command in [
        "openssl x509 -in ca.crt -outform der -out ca.cer",
        "openssl crl2pkcs7 -nocrl -certfile ca.crt -outform der -out ca.p7b",
        "openssl crl2pkcs7 -nocrl -certfile ca.crt -out ca.pem.p7b",
    ] {
        judge(&dir, &command.split(' ').collect::<Vec<_>>());
    }
    let file = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    Some(["ca.cer", "ca.p7b", "ca.pem.p7b"].map(file).to_vec())
}

fn key(form: &str) -> String {
    let key = Path::new(form).parent().unwrap().join("ca.key");
    key.to_str().unwrap().to_owned()
}

fn names(file: &Path) -> Vec<String> {
    let certificates = load_pem_certs(file).unwrap();
    let info = certificates
        .iter()
        .map(|one| CertificateInfo::from_der(one));
    info.map(|info| info.unwrap().subject.to_string()).collect()
}

#[test]
fn der_and_pkcs7_are_read_by_every_command() {
    let bench = Bench::new();
    let Some(forms) = forms(&bench) else {
        return;
    };
    for (number, form) in forms.iter().enumerate() {
        let (out, key) = (format!("{number}.zip"), key(form));
        let issuer = ["--ca-cert", form, "--ca-key", &key];
        let cert = [
            "cert",
            "-s",
            "--pem",
            "--name",
            "n1",
            "--key-type",
            "ec-p256",
        ];
        bench
            .certutil(&[&cert[..], &issuer, &["--out", &out]].concat(), "")
            .quiet();
        let (_, made) = unzip(&bench.path(&out));
        let node = made.join("n1");

        let seen = bench.certutil(&["inspect", form], "").quiet();
        assert!(
            seen.contains("CN=Elastic Certificate Tool"),
            "{form}: {seen}"
        );
        let seen = bench.certutil(&["check", form], "");
        assert!(seen.stdout.contains("CN=Elastic"), "{form}: {seen:?}");

        // The certificate of a node in that form, with its key beside it.
        let (like, crt) = (node.join("like"), node.join("n1.crt"));
        std::fs::create_dir(&like).unwrap();
        std::fs::copy(node.join("n1.key"), like.join("n1.key")).unwrap();
        let (extension, convert) = match number {
            0 => ("cer", "openssl x509 -outform der -in"),
            1 => ("p7b", "openssl crl2pkcs7 -nocrl -outform der -certfile"),
            _ => ("p7b", "openssl crl2pkcs7 -nocrl -certfile"),
        };
        let old = like.join(format!("n1.{extension}"));
        let (from, to) = (crt.to_str().unwrap(), old.to_str().unwrap());
        let convert: Vec<&str> = convert.split(' ').chain([from, "-out", to]).collect();
        judge(&node, &convert).unwrap();
        let before = CertificateInfo::from_der(&load_pem_certs(&old).unwrap()[0]).unwrap();
        let renew = ["renew", "-s", to];
        bench.certutil(&[&renew[..], &issuer].concat(), "").quiet();
        let after = load_pem_certs(&old).unwrap();
        let renewed = CertificateInfo::from_der(&after[0]).unwrap();
        assert_eq!(names(&old), names(&crt), "{form}");
        assert_ne!(renewed.serial, before.serial, "{form}");

        // The CA that exists of `http`.
        let answers = ["n", "y", form, key.as_str()];
        let zip = format!("http-{number}.zip");
        let (_, unpacked) = bench.http(&[&answers[..], ONE_NODE].concat(), &zip);
        let trusted = unpacked.join("kibana/elasticsearch-ca.pem");
        assert_eq!(names(&trusted), names(Path::new(form)), "{form}");
    }
}

#[test]
fn of_several_certificates_in_any_order_the_one_of_the_key_counts() {
    let bench = Bench::new();
    let Some(forms) = forms(&bench) else {
        return;
    };
    let (ca, key) = (forms[0].replace("ca.cer", "ca.crt"), key(&forms[0]));
    let dir = bench.path("made/ca");
    let other = [
        "ca",
        "-s",
        "--pem",
        "--key-type",
        "ec-p256",
        "--ca-dn",
        "CN=Other",
    ];
    bench
        .certutil(&[&other[..], &["--out", "other.zip"]].concat(), "")
        .quiet();
    let (_, made) = unzip(&bench.path("other.zip"));
    let other = made.join("ca/ca.crt");
    let bundle = |first: &str, second: &str, out: &str| {
        let command = [
            "openssl",
            "crl2pkcs7",
            "-nocrl",
            "-outform",
            "der",
            "-out",
            out,
        ];
        let files = ["-certfile", first, "-certfile", second];
        judge(&dir, &[&command[..], &files].concat()).unwrap();
    };
    bundle(other.to_str().unwrap(), &ca, "both.p7b");
    let both = dir.join("both.p7b");
    let issuer = ["--ca-cert", both.to_str().unwrap(), "--ca-key", &key];
    let cert = [
        "cert",
        "-s",
        "--pem",
        "--name",
        "n1",
        "--key-type",
        "ec-p256",
    ];
    bench
        .certutil(&[&cert[..], &issuer, &["--out", "n.zip"]].concat(), "")
        .quiet();
    let (_, made) = unzip(&bench.path("n.zip"));
    let node = made.join("n1/n1.crt");
    let issued = CertificateInfo::from_der(&load_pem_certs(&node).unwrap()[0]).unwrap();
    assert_eq!(vec![issued.issuer.to_string()], names(Path::new(&ca)));

    let old = made.join("n1/n1.p7b");
    bundle(&ca, node.to_str().unwrap(), old.to_str().unwrap());
    let renew = ["renew", "-s", old.to_str().unwrap()];
    bench.certutil(&[&renew[..], &issuer].concat(), "").quiet();
    assert_eq!(names(&old)[0], "CN=n1");
}

#[test]
fn a_rotation_reads_and_changes_them() {
    let bench = Bench::new();
    let Some(forms) = forms(&bench) else {
        return;
    };
    let new = ["ca", "-s", "--key-type", "ec-p256", "--ca-dn", "CN=New"];
    let to = ["--pass", "", "--out", "new.p12"];
    bench.certutil(&[&new[..], &to].concat(), "").quiet();
    for (number, form) in forms.iter().enumerate() {
        let home = format!("home-{number}");
        let config = bench.path(&home).join("config");
        std::fs::create_dir_all(&config).unwrap();
        let (out, key) = (format!("{number}.zip"), key(form));
        let issuer = ["--ca-cert", form, "--ca-key", &key];
        let cert = [
            "cert",
            "-s",
            "--pem",
            "--name",
            "n1",
            "--key-type",
            "ec-p256",
        ];
        bench
            .certutil(&[&cert[..], &issuer, &["--out", &out]].concat(), "")
            .quiet();
        let (_, made) = unzip(&bench.path(&out));
        for file in ["n1.crt", "n1.key"] {
            std::fs::copy(made.join("n1").join(file), config.join(file)).unwrap();
        }
        let trust = config.join("trust.p7b");
        std::fs::copy(form, &trust).unwrap();
        let prefix = "xpack.security.transport.ssl";
        let yml = format!(
            "{prefix}:\n  enabled: true\n  key: n1.key\n  certificate: n1.crt\n  certificate_authorities: trust.p7b\n"
        );
        std::fs::write(config.join("elasticsearch.yml"), yml).unwrap();
        let old = names(&trust);

        let rotate = [
            "rotate",
            "--ca",
            "new.p12",
            "--ca-pass",
            "",
            "--home",
            &home,
            "--yes",
        ];
        let step = || {
            let done = bench.certutil(&rotate, "");
            assert_eq!(done.status, 0, "{form}: {done:?}");
        };
        step();
        assert_eq!(names(&trust), [old[0].as_str(), "CN=New"], "{form}");
        step();
        step();
        assert_eq!(names(&trust), ["CN=New"], "{form}");
    }
}

#[test]
fn a_base64_copy_of_a_keystore_is_said_to_be_one() {
    let bench = Bench::new();
    let made = [
        "ca",
        "-s",
        "--key-type",
        "ec-p256",
        "--pass",
        "",
        "--out",
        "ca.p12",
    ];
    bench.certutil(&made, "").quiet();
    let content = std::fs::read(bench.path("ca.p12")).unwrap();
    let engine = base64::engine::general_purpose::STANDARD;
    // In lines, as the tools write it.
    let text: Vec<String> = engine
        .encode(content)
        .as_bytes()
        .chunks(76)
        .map(|line| String::from_utf8(line.to_vec()).unwrap())
        .collect();
    let copy = bench.path("copy.p12");
    std::fs::write(&copy, text.join("\n") + "\n").unwrap();
    let cert = [
        "cert",
        "--pass",
        "",
        "--out",
        "n.p12",
        "--ca",
        "copy.p12",
        "--ca-pass",
        "",
    ];
    let mut command = None;
    for (arguments, answers) in [
        (&["inspect", "copy.p12"][..], ""),
        (
            &["renew", "copy.p12", "--ca", "ca.p12", "--ca-pass", ""],
            "",
        ),
        (&["http"], "n\ny\ncopy.p12\n"),
        (&cert, ""),
    ] {
        let told = bench.certutil(arguments, answers);
        assert_ne!(told.status, 0, "{arguments:?}: {told:?}");
        let said = told.stdout + &told.stderr;
        let (_, cure) = said
            .split_once("is a base64 copy of a PKCS#12 file: decode it with `")
            .unwrap_or_else(|| panic!("{arguments:?}: {said}"));
        command = cure.split('`').next().map(str::to_owned);
    }
    let done = std::process::Command::new("sh")
        .args(["-c", &command.unwrap()])
        .status();
    assert!(done.unwrap().success());
    let decoded = bench.path("copy-decoded.p12");
    assert_eq!(
        std::fs::read(decoded).unwrap(),
        std::fs::read(bench.path("ca.p12")).unwrap()
    );
    assert!(read(&copy).is_ascii());
}
