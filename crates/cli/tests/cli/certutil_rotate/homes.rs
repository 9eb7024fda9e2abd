//! Homes with certificates of one CA, and what they show and trust.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ringwall_base::SecretString;
use ringwall_pki::{
    CertificateAuthority, CertificateDer, CertificateInfo, is_issued_by, load_keystore,
    load_pem_certs, load_pem_key_material, load_truststore,
};

use crate::bench::Bench;
use crate::home::Outcome;

pub(super) const T: &str = "xpack.security.transport.ssl";

impl Bench {
    /// Makes a CA with the name that every CA gets by default.
    pub(super) fn make_ca(&self, name: &str) -> CertificateAuthority {
        let options = ["ca", "--key-type", "ec-p256", "--pass", "", "--out", name];
        self.certutil(&options, "").quiet();
        CertificateAuthority::load_p12(&self.path(name), &SecretString::default()).unwrap()
    }

    /// Writes the configuration of a node with one PKCS#12 file for everything.
    pub(super) fn p12_home(&self, name: &str, ca: &str) {
        let config = self.path(name).join("config");
        std::fs::create_dir_all(&config).unwrap();
        let out = config.join("all.p12");
        let options = [
            "cert",
            "-s",
            "--ca",
            ca,
            "--ca-pass",
            "",
            "--pass",
            "",
            "--key-type",
            "ec-p256",
            "--name",
            name,
            "--dns",
            "localhost",
            "--out",
            out.to_str().unwrap(),
        ];
        self.certutil(&options, "").quiet();
        let yml = format!(
            "{T}:\n  enabled: true\n  keystore.path: all.p12\n  truststore.path: all.p12\n"
        );
        std::fs::write(config.join("elasticsearch.yml"), yml).unwrap();
    }

    /// Writes the configuration of a node with PEM files.
    pub(super) fn pem_home(&self, name: &str, ca: &str, authority: &CertificateAuthority) {
        let config = self.path(name).join("config");
        std::fs::create_dir_all(&config).unwrap();
        let zip = self.path(&format!("{name}.zip"));
        let options = [
            "cert",
            "-s",
            "--ca",
            ca,
            "--ca-pass",
            "",
            "--pem",
            "--key-type",
            "ec-p256",
            "--name",
            name,
            "--out",
            zip.to_str().unwrap(),
        ];
        self.certutil(&options, "").quiet();
        let (_, unpacked) = crate::judges::unzip(&zip);
        for extension in ["crt", "key"] {
            let file = format!("{name}.{extension}");
            std::fs::copy(
                unpacked.join(name).join(&file),
                config.join(format!("node.{extension}")),
            )
            .unwrap();
        }
        std::fs::write(config.join("ca.crt"), authority.certificate_pem()).unwrap();
        let yml = format!(
            "{T}:\n  enabled: true\n  key: node.key\n  certificate: node.crt\n  certificate_authorities: ca.crt\n"
        );
        std::fs::write(config.join("elasticsearch.yml"), yml).unwrap();
    }

    pub(super) fn rotate(&self, options: &[&str]) -> Outcome {
        self.rotate_answering(options, "")
    }

    pub(super) fn rotate_answering(&self, options: &[&str], answers: &str) -> Outcome {
        let fixed = [
            "rotate",
            "--ca",
            "new.p12",
            "--ca-pass",
            "",
            "--home",
            "a",
            "--home",
            "b",
        ];
        self.certutil(&[&fixed[..], options].concat(), answers)
    }
}

/// Returns whose certificate a home shows and whom it trusts, by the names of the authorities here.
pub(super) fn facts(
    home: &Path,
    authorities: &[(&str, &CertificateAuthority)],
) -> (String, Vec<String>) {
    let config = home.join("config");
    let empty = SecretString::default();
    let store = config.join("all.p12");
    let (leaf, trusted) = match store.exists() {
        true => (
            load_keystore(&store, &empty).unwrap().chain.remove(0),
            load_truststore(&store, &empty).unwrap().certs(),
        ),
        false => (
            load_pem_key_material(&config.join("node.crt"), &config.join("node.key"), None)
                .unwrap()
                .chain
                .remove(0),
            load_pem_certs(&config.join("ca.crt")).unwrap(),
        ),
    };
    (
        name_of_issuer(&leaf, authorities),
        names(&trusted, authorities),
    )
}

pub(super) fn name_of_issuer(
    leaf: &CertificateDer<'static>,
    authorities: &[(&str, &CertificateAuthority)],
) -> String {
    let issuer = authorities
        .iter()
        .find(|(_, ca)| is_issued_by(leaf, ca.certificate()));
    issuer.unwrap().0.to_owned()
}

/// Returns the names of those certificates that are of the authorities.
pub(super) fn names(
    certificates: &[CertificateDer<'static>],
    authorities: &[(&str, &CertificateAuthority)],
) -> Vec<String> {
    let named = certificates.iter().filter_map(|der| {
        let known = authorities.iter().find(|(_, ca)| ca.certificate() == der)?;
        Some(known.0.to_owned())
    });
    named.collect()
}

/// Returns how a CA is told from another of the same name.
pub(super) fn named(authority: &CertificateAuthority) -> String {
    let info = CertificateInfo::from_der(authority.certificate()).unwrap();
    let (subject, begin) = (info.subject, &info.fingerprint_sha256[..16]);
    format!("[{subject}] (SHA-256 {begin}...)")
}

pub(super) fn digests(directories: &[PathBuf]) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for directory in directories {
        for entry in std::fs::read_dir(directory.join("config")).unwrap() {
            let path = entry.unwrap().path();
            all.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    all
}
