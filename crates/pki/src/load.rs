//! Loads the files that TLS settings name.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use base64::Engine as _;
use ringwall_base::{SecretBytes, SecretString};
use rustls_pki_types::CertificateDer;

use crate::info::is_ca;
use crate::key::{PrivateKey, certificate_public_bits};
use crate::p12::{self, KeyEntry, KeyPassword};
use crate::{CertificateInfo, PkiError, der, jks, pem, pkcs7};

/// What a node identifies itself with. The key belongs to the first certificate: checked when loaded.
#[derive(Clone, Debug)]
pub struct KeyMaterial {
    /// The entry's name in a PKCS#12 file; `None` for PEM.
    pub alias: Option<String>,
    /// Unencrypted PKCS#8 DER.
    pub private_key: SecretBytes,
    /// The node's certificate, then its issuers.
    pub chain: Vec<CertificateDer<'static>>,
}

/// What a node trusts.
#[derive(Clone, Debug)]
pub struct TrustMaterial {
    /// Each trusted certificate with its name in a PKCS#12 file (`None` for PEM).
    pub entries: Vec<(Option<String>, CertificateDer<'static>)>,
    /// True when the file is a PKCS#12 file of bare certificates without Java's trusted attribute: we take all
    /// of them, real Elasticsearch would find none.
    pub without_trusted_attribute: bool,
}

impl TrustMaterial {
    /// Returns the trusted certificates.
    pub fn certs(&self) -> Vec<CertificateDer<'static>> {
        self.entries
            .iter()
            .map(|(_, certificate)| certificate.clone())
            .collect()
    }
}

/// What a key or certificate file is, judged by its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    Pkcs12,
    Pem,
    /// A certificate, or a PKCS#7 file of certificates, without PEM around it.
    Der,
    Jks,
    Jceks,
    /// A PKCS#12 file that somebody has made text of.
    Base64Pkcs12,
    Unknown,
}

/// Returns the format of a file's content.
pub fn detect_format(content: &[u8]) -> FileFormat {
    if content.starts_with(&[0xfe, 0xed, 0xfe, 0xed]) {
        return FileFormat::Jks;
    }
    if content.starts_with(&[0xce, 0xce, 0xce, 0xce]) {
        return FileFormat::Jceks;
    }
    if is_pkcs12(content) {
        return FileFormat::Pkcs12;
    }
    let is_pem = content
        .windows(PEM_MARK.len())
        .any(|window| window == PEM_MARK);
    if is_pem {
        FileFormat::Pem
    } else if is_der_of_certificates(content) {
        FileFormat::Der
    } else if from_base64(content).is_some_and(|inner| is_pkcs12(&inner)) {
        FileFormat::Base64Pkcs12
    } else {
        FileFormat::Unknown
    }
}

/// PFX ::= SEQUENCE { version INTEGER (3), ... }
fn is_pkcs12(content: &[u8]) -> bool {
    let version = der::Reader::new(content)
        .next_if(der::SEQUENCE)
        .and_then(|outer| der::Reader::new(outer.content).next_if(der::INTEGER));
    version.is_some_and(|version| version.content == [3])
}

fn is_der_of_certificates(content: &[u8]) -> bool {
    CertificateInfo::from_der(content).is_ok() || pkcs7::certificates(content).is_some()
}

/// Decodes base64 with line breaks; `None` for anything else.
fn from_base64(content: &[u8]) -> Option<Vec<u8>> {
    let text: Vec<u8> = content
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

/// Returns every certificate of a file's content, in order: PEM, DER or PKCS#7.
///
/// Errors: those of [`pem::certificates`], and what else the file is.
pub fn certificates_in(
    content: &[u8],
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, PkiError> {
    match detect_format(content) {
        FileFormat::Pem => pem::certificates(content, path),
        FileFormat::Der => {
            let of_pkcs7 = pkcs7::certificates(content);
            let found = of_pkcs7.unwrap_or_else(|| vec![CertificateDer::from(content.to_vec())]);
            for (at, certificate) in found.iter().enumerate() {
                pem::check_certificate(certificate, at + 1, path)?;
            }
            match found.is_empty() {
                true => Err(PkiError::NoCertificates {
                    path: path.to_owned(),
                }),
                false => Ok(found),
            }
        }
        FileFormat::Pkcs12 => Err(PkiError::Pkcs12InsteadOfPem {
            path: path.to_owned(),
        }),
        other => Err(unreadable(other, path, "PEM")),
    }
}

/// Returns the format of a key or trust store. Errors: those of reading.
pub fn store_format(path: &Path) -> Result<FileFormat, PkiError> {
    Ok(detect_format(&read_file(path)?))
}

/// Loads the node's key and chain from a PKCS#12 or JKS keystore. No password = the empty password; no key
/// password = the password of the keystore.
///
/// Of several keys those of CA certificates are left out first, since `http.p12` may carry its CA's key.
/// Source: Elasticsearch reference, "Security settings in Elasticsearch".
///
/// Errors: [`PkiError::NoPrivateKey`], [`PkiError::SeveralPrivateKeys`], [`PkiError::KeyWithoutCertificate`],
/// [`PkiError::KeyMismatch`], and those of reading.
pub fn load_keystore_with(
    path: &Path,
    password: &SecretString,
    key_password: Option<&SecretString>,
) -> Result<KeyMaterial, PkiError> {
    let store = load_store(path, password, key_password)?;
    let entry = single_key(store.keys, path)?;
    let material = KeyMaterial {
        alias: entry.alias,
        private_key: entry.private_key,
        chain: entry.chain,
    };
    if material.chain.is_empty() {
        let alias = material.alias.unwrap_or_default();
        return Err(PkiError::KeyWithoutCertificate {
            path: path.to_owned(),
            alias,
        });
    }
    check_match(&material, path, path)?;
    Ok(material)
}

/// Loads the node's key and chain from a keystore with one password; see [`load_keystore_with`].
pub fn load_keystore(path: &Path, password: &SecretString) -> Result<KeyMaterial, PkiError> {
    load_keystore_with(path, password, None)
}

/// Reads everything in a PKCS#12 or JKS file. No password = the empty password; `key_password` is of the keys,
/// where it differs.
pub fn load_store(
    path: &Path,
    password: &SecretString,
    key_password: Option<&SecretString>,
) -> Result<p12::Pkcs12, PkiError> {
    let content = read_file(path)?;
    match detect_format(&content) {
        FileFormat::Jks => jks::read(&content, password, key_password, path),
        FileFormat::Pkcs12 => {
            let key_password = match key_password {
                Some(other) if other != password => KeyPassword::Other(other),
                _ => KeyPassword::Same,
            };
            p12::read_with(&content, password, key_password, path)
        }
        other => Err(not_pkcs12(other, path)),
    }
}

/// Loads the trusted certificates of a PKCS#12 or JKS truststore. No password = the empty password.
///
/// Certificates count that carry Java's trusted attribute. A file with certificates only and no such attribute
/// (made by `openssl pkcs12 -export -nokeys`) has no other purpose than trust: all of its certificates count,
/// and [`TrustMaterial::without_trusted_attribute`] is set. Keys with a password of their own do not matter.
///
/// Errors: [`PkiError::NoTrustedCertificates`] and those of reading.
pub fn load_truststore(path: &Path, password: &SecretString) -> Result<TrustMaterial, PkiError> {
    let content = read_file(path)?;
    let store = match detect_format(&content) {
        FileFormat::Jks => jks::read_trusted(&content, password, path)?,
        FileFormat::Pkcs12 => p12::read_with(&content, password, KeyPassword::IfSame, path)?,
        other => return Err(not_pkcs12(other, path)),
    };
    let without_trusted_attribute = store.trusted.is_empty();
    let has_keys = store.has_locked_keys || !store.keys.is_empty();
    if without_trusted_attribute && (has_keys || store.others.is_empty()) {
        let leaves = store
            .keys
            .iter()
            .filter(|key| !key.chain.is_empty())
            .count();
        return Err(PkiError::NoTrustedCertificates {
            path: path.to_owned(),
            others: store.others.len() + leaves,
        });
    }
    let entries = if without_trusted_attribute {
        store.others
    } else {
        store.trusted
    };
    let entries = entries
        .into_iter()
        .map(|entry| (entry.alias, entry.certificate))
        .collect();
    Ok(TrustMaterial {
        entries,
        without_trusted_attribute,
    })
}

/// Loads the first private key of a PEM file as unencrypted PKCS#8.
///
/// Errors: see [`pem::private_key`].
pub fn load_pem_key(
    path: &Path,
    passphrase: Option<&SecretString>,
) -> Result<SecretBytes, PkiError> {
    pem::private_key(&read_pem_file(path)?, passphrase, path)
}

/// Loads every certificate of a PEM, DER or PKCS#7 file, in order.
///
/// Errors: see [`certificates_in`].
pub fn load_pem_certs(path: &Path) -> Result<Vec<CertificateDer<'static>>, PkiError> {
    certificates_in(&read_file(path)?, path)
}

/// Loads a key and its certificate chain from two PEM files and checks that they belong together.
///
/// Errors: [`PkiError::KeyMismatch`] and those of [`load_pem_key`] and [`load_pem_certs`].
pub fn load_pem_key_material(
    certificate: &Path,
    key: &Path,
    passphrase: Option<&SecretString>,
) -> Result<KeyMaterial, PkiError> {
    let mut material = KeyMaterial {
        alias: None,
        chain: load_pem_certs(certificate)?,
        private_key: load_pem_key(key, passphrase)?,
    };
    put_leaf_first(&material.private_key, &mut material.chain);
    check_match(&material, key, certificate)?;
    Ok(material)
}

/// Loads the certificates of PEM CA files.
///
/// Errors: as [`load_pem_certs`].
pub fn load_pem_trust<P: AsRef<Path>>(paths: &[P]) -> Result<TrustMaterial, PkiError> {
    let mut entries = Vec::new();
    for path in paths {
        entries.extend(
            load_pem_certs(path.as_ref())?
                .into_iter()
                .map(|certificate| (None, certificate)),
        );
    }
    Ok(TrustMaterial {
        entries,
        without_trusted_attribute: false,
    })
}

/// Reads a file that must be PKCS#12; other formats are named in the error.
pub(crate) fn read_pkcs12_file(path: &Path) -> Result<Vec<u8>, PkiError> {
    let content = read_file(path)?;
    match detect_format(&content) {
        FileFormat::Pkcs12 => Ok(content),
        other => Err(not_pkcs12(other, path)),
    }
}

fn not_pkcs12(format: FileFormat, path: &Path) -> PkiError {
    match format {
        FileFormat::Pem => PkiError::PemInsteadOfPkcs12 {
            path: path.to_owned(),
        },
        other => unreadable(other, path, "PKCS#12"),
    }
}

/// Reads a file that must be PEM; other formats are named in the error.
pub(crate) fn read_pem_file(path: &Path) -> Result<Vec<u8>, PkiError> {
    let content = read_file(path)?;
    match detect_format(&content) {
        FileFormat::Pem => Ok(content),
        FileFormat::Pkcs12 => Err(PkiError::Pkcs12InsteadOfPem {
            path: path.to_owned(),
        }),
        other => Err(unreadable(other, path, "PEM")),
    }
}

fn unreadable(format: FileFormat, path: &Path, expected: &'static str) -> PkiError {
    let path = path.to_owned();
    match format {
        FileFormat::Jks => PkiError::JavaKeystore {
            path,
            format: "JKS",
        },
        FileFormat::Jceks => PkiError::JavaKeystore {
            path,
            format: "JCEKS",
        },
        FileFormat::Base64Pkcs12 => PkiError::Base64Copy { path },
        FileFormat::Der => PkiError::Malformed {
            path,
            expected,
            reason: "it holds certificates, without a private key".to_owned(),
        },
        _ => PkiError::Malformed {
            path,
            expected,
            reason: "its content has no known format".to_owned(),
        },
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, PkiError> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => PkiError::FileNotFound {
            path: path.to_owned(),
        },
        ErrorKind::PermissionDenied => PkiError::AccessDenied {
            path: path.to_owned(),
        },
        _ => PkiError::Read {
            path: path.to_owned(),
            error,
        },
    };
    let mut content = Vec::new();
    File::open(path)
        .map_err(failed)?
        .take(MAX_FILE + 1)
        .read_to_end(&mut content)
        .map_err(failed)?;
    if content.is_empty() {
        return Err(PkiError::FileEmpty {
            path: path.to_owned(),
        });
    }
    if content.len() as u64 > MAX_FILE {
        return Err(PkiError::FileTooLarge {
            path: path.to_owned(),
            limit: MAX_FILE,
        });
    }
    Ok(content)
}

fn single_key(mut keys: Vec<KeyEntry>, path: &Path) -> Result<KeyEntry, PkiError> {
    if keys.len() > 1 && !keys.iter().all(holds_ca) {
        keys.retain(|key| !holds_ca(key));
    }
    match (keys.pop(), keys.is_empty()) {
        (None, _) => Err(PkiError::NoPrivateKey {
            path: path.to_owned(),
        }),
        (Some(key), true) => Ok(key),
        (Some(last), false) => {
            keys.push(last);
            let aliases = keys
                .into_iter()
                .map(|key| key.alias.unwrap_or_else(|| "unnamed".to_owned()))
                .collect();
            Err(PkiError::SeveralPrivateKeys {
                path: path.to_owned(),
                aliases,
            })
        }
    }
}

fn holds_ca(key: &KeyEntry) -> bool {
    key.chain
        .first()
        .and_then(|leaf| x509_parser::parse_x509_certificate(leaf).ok())
        .is_some_and(|(_, leaf)| is_ca(&leaf))
}

/// Puts the certificate of a key, PKCS#8 DER, first, if it is there: a PKCS#7 file has its certificates in any order.
pub fn put_leaf_first(pkcs8: &SecretBytes, chain: &mut [CertificateDer<'static>]) {
    let Ok(key) = PrivateKey::from_pkcs8(pkcs8.clone()) else {
        return;
    };
    let is_its = |certificate: &CertificateDer<'_>| {
        certificate_public_bits(certificate).is_ok_and(|bits| key.public_bits() == bits)
    };
    if let Some(at) = chain.iter().position(is_its) {
        chain[..=at].rotate_right(1);
    }
}

fn check_match(
    material: &KeyMaterial,
    key_path: &Path,
    certificate_path: &Path,
) -> Result<(), PkiError> {
    let Some(leaf) = material.chain.first() else {
        return Err(PkiError::NoCertificates {
            path: certificate_path.to_owned(),
        });
    };
    let key =
        PrivateKey::from_pkcs8(material.private_key.clone()).map_err(|error| match error {
            PkiError::BadKey(reason) => PkiError::Malformed {
                path: key_path.to_owned(),
                expected: "private key",
                reason,
            },
            other => other,
        })?;
    if key.public_bits() == certificate_public_bits(leaf)? {
        return Ok(());
    }
    Err(PkiError::KeyMismatch {
        key_path: key_path.to_owned(),
        certificate_path: certificate_path.to_owned(),
        subject: CertificateInfo::from_der(leaf)?.subject.to_string(),
    })
}

const MAX_FILE: u64 = 16 * 1024 * 1024;
const PEM_MARK: &[u8] = b"-----BEGIN ";
