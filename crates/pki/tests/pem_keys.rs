//! Every form of a private key that Elasticsearch reads, made by `openssl`. Source: RFC 5915, RFC 5958, RFC 8017.

mod workbench;

use std::path::{Path, PathBuf};

use ringwall_base::SecretString;
use ringwall_pki::{
    KeySpec, NodeCertParams, PkiError, load_pem_key, load_pem_key_material, pem, self_signed,
};
use workbench::{Workbench, text};

/// A key in plain PEM, its certificate, and `openssl` to make other forms of the key.
struct Maker {
    bench: Workbench,
    kind: &'static str,
    plain: String,
    certificate: String,
    out: PathBuf,
}

impl Maker {
    /// One for an RSA and one for an EC key; none without `openssl`.
    fn both() -> Vec<Self> {
        let kinds = [("rsa", KeySpec::Rsa(2048)), ("ec", KeySpec::EcP256)];
        kinds.into_iter().filter_map(Self::of).collect()
    }

    fn of((kind, key): (&'static str, KeySpec)) -> Option<Self> {
        let bench = Workbench::with("openssl")?;
        let params = NodeCertParams {
            key,
            ..NodeCertParams::default()
        };
        let issued = self_signed(&params).unwrap();
        let plain = pem::encode_private_key(&issued.key, None).unwrap();
        Some(Self {
            kind,
            plain: bench.write("plain.key", plain.expose().as_bytes()),
            certificate: bench.write("node.crt", issued.certificate_pem().as_bytes()),
            out: bench.path("made.key"),
            bench,
        })
    }

    fn traditional(&self) -> &'static [&'static str] {
        match self.kind {
            "rsa" => &["rsa", "-traditional"],
            _ => &["ec"],
        }
    }

    /// Returns whether this openssl makes that form.
    fn make(&self, options: &[&str]) -> bool {
        let files = ["-in", &self.plain, "-out", text(&self.out)];
        let made = self
            .bench
            .try_run("openssl", &[options, &files].concat())
            .is_some();
        if !made {
            eprintln!("SKIPPED: this openssl does not do {options:?}");
        }
        made
    }

    /// The file is read with the passphrase, and is the key of the certificate.
    fn check_read(&self, what: &str) {
        let loaded = load_pem_key_material(
            Path::new(&self.certificate),
            &self.out,
            Some(&"secret".into()),
        );
        assert!(loaded.is_ok(), "{} {what}: {loaded:?}", self.kind);
    }

    /// Other passphrases, and none, are told from a damaged file.
    fn check_refused(&self, what: &str, tries: usize) {
        let none = load_pem_key(&self.out, None);
        assert!(
            matches!(none, Err(PkiError::PassphraseRequired { .. })),
            "{what}: {none:?}"
        );
        for number in 0..tries {
            let wrong = load_pem_key(&self.out, Some(&format!("other-{number}").into()));
            assert!(
                matches!(wrong, Err(PkiError::WrongPassword { .. })),
                "{what} {number}: {wrong:?}"
            );
        }
    }

    fn error(&self) -> String {
        load_pem_key(&self.out, Some(&"secret".into()))
            .unwrap_err()
            .to_string()
    }
}

#[test]
fn every_unencrypted_form_is_read() {
    for maker in Maker::both() {
        for options in [&["pkcs8", "-topk8", "-nocrypt"][..], maker.traditional()] {
            if maker.make(options) {
                maker.check_read(&options.join(" "));
            }
        }
    }
}

#[test]
fn every_encrypted_pkcs8_is_read() {
    let pbes2 = ["aes-128-cbc", "aes-192-cbc", "aes-256-cbc", "des3", "des"];
    let digests = ["SHA1", "SHA224", "SHA256", "SHA384", "SHA512"];
    let mut forms: Vec<Vec<String>> = Vec::new();
    let form = |options: &[&str]| options.iter().map(|option| (*option).to_owned()).collect();
    for cipher in pbes2 {
        for digest in digests {
            forms.push(form(&[
                "-v2",
                cipher,
                "-v2prf",
                &format!("hmacWith{digest}"),
            ]));
        }
    }
    for scheme in ["MD5-DES", "SHA1-DES", "SHA1-3DES", "SHA1-2DES"] {
        forms.push(form(&["-v1", &format!("PBE-{scheme}")]));
        forms.push(form(&["-v1", &format!("PBE-{scheme}"), "-iter", "5000"]));
    }
    forms.push(form(&["-scrypt"]));
    forms.push(form(&["-scrypt", "-scrypt_N", "1024"]));
    for maker in Maker::both() {
        for form in &forms {
            let options: Vec<&str> = form.iter().map(String::as_str).collect();
            // Some ciphers are in a module of their own.
            let fixed = ["pkcs8", "-topk8", "-passout", "pass:secret"];
            let fixed = [&fixed[..], &["-provider", "default", "-provider", "legacy"]].concat();
            if maker.make(&[&fixed[..], &options].concat()) {
                maker.check_read(&form.join(" "));
                maker.check_refused(&form.join(" "), 1);
            }
        }
    }
}

#[test]
fn every_encrypted_traditional_form_is_read() {
    for maker in Maker::both() {
        for cipher in ["-aes128", "-aes192", "-aes256", "-des3", "-des"] {
            let secret = [cipher, "-passout", "pass:secret", "-provider", "default"];
            let options = [maker.traditional(), &secret, &["-provider", "legacy"]].concat();
            if maker.make(&options) {
                maker.check_read(cipher);
                // This form has no check of its own: some wrong passphrases leave a padding that looks right.
                maker.check_refused(cipher, 1000);
            }
        }
    }
}

#[test]
fn ciphers_that_are_not_read_are_named() {
    for maker in Maker::both() {
        for (option, cipher, name) in [
            (
                "-v1",
                "PBE-SHA1-RC2-40",
                "the key encryption PBE-SHA1-RC2-40",
            ),
            (
                "-v1",
                "PBE-SHA1-RC2-128",
                "the key encryption PBE-SHA1-RC2-128",
            ),
            (
                "-v1",
                "PBE-SHA1-RC4-128",
                "the key encryption PBE-SHA1-RC4-128",
            ),
            (
                "-v1",
                "PBE-SHA1-RC4-40",
                "the key encryption PBE-SHA1-RC4-40",
            ),
            ("-v1", "PBE-MD5-RC2-64", "the key encryption PBE-MD5-RC2-64"),
            ("-v2", "rc2", "the cipher RC2-CBC"),
            ("-v2", "camellia-256-cbc", "the cipher CAMELLIA-256-CBC"),
            ("-v2", "aria-256-cbc", "the cipher ARIA-256-CBC"),
        ] {
            let fixed = ["pkcs8", "-topk8", "-passout", "pass:secret", option, cipher];
            let legacy = ["-provider", "default", "-provider", "legacy"];
            if maker.make(&[&fixed[..], &legacy].concat()) {
                let error = maker.error();
                assert!(error.contains(&format!("uses {name}, which")), "{error}");
                assert!(
                    error.contains("openssl pkcs8 -topk8 -v2 aes-256-cbc"),
                    "{error}"
                );
            }
        }
    }
}

#[test]
fn text_and_other_blocks_around_the_key_are_skipped() {
    let noise = "-----BEGIN CERTIFICATE-----\n*junk*\n-----END CERTIFICATE-----\n";
    let unfinished = "-----BEGIN PRIVATE KEY-----\nMIIE";
    for maker in Maker::both() {
        let plain = std::fs::read_to_string(&maker.plain).unwrap();
        for (before, after) in [
            ("Bag Attributes\n    friendlyName: node\n", ""),
            ("written with -----BEGIN and so on\n", ""),
            (noise, ""),
            ("-----BEGIN CERTIFICATE-----\nMIIC\n", ""),
            ("", noise),
            ("", unfinished),
            (
                "",
                "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            ),
        ] {
            std::fs::write(&maker.out, format!("{before}{plain}{after}")).unwrap();
            maker.check_read(&format!("{before:?} {after:?}"));
        }
        let windows = plain.replace('\n', "\r\n");
        std::fs::write(&maker.out, windows).unwrap();
        maker.check_read("CRLF");
    }
}

#[test]
fn parameters_before_a_key_are_its_curve() {
    let Some(bench) = Workbench::with("openssl") else {
        return;
    };
    let make = |name: &str, options: &[&str]| {
        let out = bench.path(name);
        let fixed = ["ecparam", "-genkey", "-out", text(&out)];
        bench.run("openssl", &[&fixed[..], options].concat());
        out
    };
    let named = make("named.key", &["-name", "secp384r1"]);
    let content = std::fs::read_to_string(&named).unwrap();
    assert!(
        content.starts_with("-----BEGIN EC PARAMETERS-----"),
        "{content}"
    );
    load_pem_key(&named, None).unwrap();

    let explicit = make(
        "explicit.key",
        &["-name", "prime256v1", "-param_enc", "explicit"],
    );
    let pkcs8 = bench.path("explicit.p8");
    let files = ["-in", text(&explicit), "-out", text(&pkcs8)];
    bench.run(
        "openssl",
        &[&["pkcs8", "-topk8", "-nocrypt"][..], &files].concat(),
    );
    for path in [&explicit, &pkcs8] {
        let error = load_pem_key(path, None).unwrap_err().to_string();
        assert!(error.contains("explicit curve parameters"), "{error}");
        assert!(
            error.contains("openssl ec -param_enc named_curve"),
            "{error}"
        );
    }
    // The remedy is one.
    let mended = bench.path("mended.key");
    let files = ["-in", text(&explicit), "-out", text(&mended)];
    bench.run(
        "openssl",
        &[&["ec", "-param_enc", "named_curve"][..], &files].concat(),
    );
    load_pem_key(&mended, None).unwrap();
}

#[test]
fn a_dsa_key_is_refused_by_name() {
    let Some(bench) = Workbench::with("openssl") else {
        return;
    };
    let (parameters, key, old) = (bench.path("p"), bench.path("k"), bench.path("old"));
    bench.run("openssl", &["dsaparam", "-out", text(&parameters), "1024"]);
    bench.run(
        "openssl",
        &["gendsa", "-out", text(&key), text(&parameters)],
    );
    let files = ["-in", text(&key), "-out", text(&old)];
    bench.run("openssl", &[&["dsa"][..], &files].concat());
    // The old form has its parameters in a block of their own.
    let with_parameters = [&parameters, &old].map(|path| std::fs::read(path).unwrap());
    let both = bench.write("both", &with_parameters.concat());
    for path in [key, old, PathBuf::from(both)] {
        let error = load_pem_key(&path, None).unwrap_err().to_string();
        assert!(error.contains("DSA key"), "{error}");
        assert!(error.contains("use an RSA or EC key"), "{error}");
    }
}

#[test]
fn empty_and_cut_off_files_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("node.key");
    let error = |content: &[u8]| {
        std::fs::write(&path, content).unwrap();
        load_pem_key(&path, Some(&SecretString::from("x")))
            .unwrap_err()
            .to_string()
    };
    assert!(error(b"").ends_with("node.key] is empty"));
    for content in [
        "-----BEGIN PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nMIIE\n",
        "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY---",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nMIIE\n-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n",
    ] {
        let line = error(content.as_bytes());
        assert!(
            line.contains("Malformed PEM file, PEM footer is invalid or missing"),
            "{content}: {line}"
        );
    }
    let line = error(b"-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----\n");
    assert!(
        line.contains("does not contain a supported key format (found: CERTIFICATE)"),
        "{line}"
    );
}
