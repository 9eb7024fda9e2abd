//! Reading a context's files.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use ringwall_pki::{
    CertificateInfo, FileFormat, KeyMaterial, PkiError, fingerprint_sha256, is_issued_by,
    load_keystore_with, load_pem_certs, load_pem_key_material, load_truststore, store_format,
};
use rustls_pki_types::CertificateDer;

use crate::config::{ConfiguredPath, KeySource, SslConfig, TrustSource};
use crate::error::SslError;
use crate::restrictions::Restrictions;
use crate::revocation::RevocationLists;
use crate::trust::Trust;

/// A certificate in use by a context: one row of `GET /_ssl/certificates`. Source: Elasticsearch reference, "SSL
/// certificate API".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateEntry {
    /// As written in the setting.
    pub path: String,
    /// `PEM`, `PKCS12` or `jks`.
    pub format: &'static str,
    /// The entry's name in a PKCS#12 or JKS file.
    pub alias: Option<String>,
    pub info: CertificateInfo,
    /// True for the leaf of a key entry only.
    pub has_private_key: bool,
    /// SHA-256 fingerprint, lower-case hex, of who verifiably signed it, if that is among the context's certificates.
    pub issuer_sha256: Option<String>,
}

/// Loads the key and its chain, and notes the chain's certificates.
pub(crate) fn load_key(
    config: &SslConfig,
    certificates: &mut Vec<CertificateEntry>,
    oddities: &mut Vec<String>,
) -> Result<Option<KeyMaterial>, SslError> {
    let (material, path, format) = match &config.key {
        KeySource::None => return Ok(None),
        KeySource::Pem {
            key,
            passphrase,
            certificate,
        } => {
            let loaded =
                load_pem_key_material(&certificate.resolved, &key.resolved, passphrase.as_ref())
                    .map_err(|error| file_error(config, pem_kind(&error, &key.resolved), error))?;
            (loaded, certificate, PEM)
        }
        KeySource::Keystore {
            path,
            password,
            key_password,
        } => {
            let format = store_format_of(path);
            let loaded = load_keystore_with(&path.resolved, password, key_password.as_ref())
                .map_err(|error| file_error(config, keystore_kind(format), error))?;
            if format == JKS {
                oddities.push(format!(
                    "the keystore [{}] is of the JKS format, which protects its key poorly; convert it: \
                     `keytool -importkeystore -srckeystore {} -destkeystore {} -deststoretype PKCS12`",
                    path.resolved.display(),
                    path.resolved.display(),
                    path.resolved.with_extension("converted.p12").display()
                ));
            }
            (loaded, path, format)
        }
    };
    for (position, certificate) in material.chain.iter().enumerate() {
        let alias = material.alias.clone();
        certificates.push(entry(
            config,
            path,
            format,
            alias,
            certificate,
            position == 0,
        )?);
    }
    Ok(Some(material))
}

/// Loads the trusted certificates, and notes those that come from files.
pub(crate) fn load_trust(
    config: &SslConfig,
    own_chain: &[CertificateDer<'static>],
    certificates: &mut Vec<CertificateEntry>,
    oddities: &mut Vec<String>,
) -> Result<Trust, SslError> {
    let mut trusted = Vec::new();
    let mut pins = Vec::new();
    match &config.trust {
        TrustSource::Pem(paths) => {
            refuse_missing(config, paths)?;
            for path in paths {
                let loaded = load_pem_certs(&path.resolved)
                    .map_err(|error| file_error(config, "PEM certificate_authorities", error))?;
                for certificate in loaded {
                    certificates.push(entry(config, path, PEM, None, &certificate, false)?);
                    trusted.push(certificate);
                }
            }
        }
        TrustSource::Truststore { path, password } => {
            let format = store_format_of(path);
            let kind = match format {
                JKS => "[jks] keystore (as a truststore)",
                _ => "[PKCS12] keystore (as a truststore)",
            };
            let loaded =
                load_truststore(&path.resolved, password).map_err(|error| match error {
                    PkiError::NoTrustedCertificates { path, others } => SslError::TrustsNothing {
                        context: config.name.clone(),
                        own_keystore: trusted_keystore(config),
                        path,
                        others,
                    },
                    error => file_error(config, kind, error),
                })?;
            if loaded.without_trusted_attribute {
                oddities.push(format!(
                    "the truststore [{}] marks no certificate as trusted, so all of them are; Elasticsearch would \
                     trust none",
                    path.resolved.display()
                ));
            }
            for (alias, certificate) in loaded.entries {
                certificates.push(entry(config, path, format, alias, &certificate, false)?);
                trusted.push(certificate);
            }
        }
        TrustSource::Fingerprints(fingerprints) => pins.clone_from(fingerprints),
        TrustSource::OwnCertificates => {
            trusted = own_trust(config, own_chain, certificates)?;
        }
    }
    trust_in(config, trusted, pins)
}

/// Returns the own keystore, if it could be the truststore as well.
fn trusted_keystore(config: &SslConfig) -> Option<PathBuf> {
    let KeySource::Keystore { path, password, .. } = &config.key else {
        return None;
    };
    let usable = load_truststore(&path.resolved, password).is_ok();
    usable.then(|| path.resolved.clone())
}

/// Returns the trust in these certificates, with the configuration's revocation lists and restrictions.
pub(crate) fn trust_in(
    config: &SslConfig,
    trusted: Vec<CertificateDer<'static>>,
    pins: Vec<[u8; 32]>,
) -> Result<Trust, SslError> {
    let revoked = load_revocation_lists(config)?;
    let trust = Trust::new(config.verification_mode, trusted, pins, revoked);
    let trust = trust.map_err(|reason| SslError::Trust {
        context: config.name.clone(),
        files: config.files().into_iter().map(Path::to_owned).collect(),
        reason,
    })?;
    Ok(trust.with_restrictions(load_restrictions(config)?))
}

/// Names all files that are missing, if it is more than one.
fn refuse_missing(config: &SslConfig, paths: &[ConfiguredPath]) -> Result<(), SslError> {
    let is_missing = |path: &&ConfiguredPath| {
        let found = path.resolved.metadata();
        found.is_err_and(|error| error.kind() == ErrorKind::NotFound)
    };
    let missing = paths.iter().filter(is_missing);
    let missing: Vec<_> = missing.map(|path| path.resolved.clone()).collect();
    if missing.len() < 2 {
        return Ok(());
    }
    Err(SslError::FilesNotFound {
        context: config.name.clone(),
        kind: "PEM certificate_authorities",
        paths: missing,
    })
}

fn load_restrictions(config: &SslConfig) -> Result<Option<Restrictions>, SslError> {
    let Some((path, fields)) = &config.restrictions else {
        return Ok(None);
    };
    let content = read(&path.resolved)
        .map_err(|error| file_error(config, "trust_restrictions.path", error))?;
    let text = String::from_utf8(content).map_err(|error| format!("it is not UTF-8: {error}"));
    let parsed = text.and_then(|text| Restrictions::parse(&text, &path.resolved, fields.clone()));
    parsed.map(Some).map_err(|reason| SslError::Restrictions {
        context: config.name.clone(),
        path: path.resolved.clone(),
        reason,
    })
}

fn load_revocation_lists(config: &SslConfig) -> Result<RevocationLists, SslError> {
    let mut lists = RevocationLists::default();
    for path in &config.revocation_lists {
        let refused = |reason| SslError::RevocationList {
            context: config.name.clone(),
            path: path.resolved.clone(),
            reason,
        };
        let content = read(&path.resolved)
            .map_err(|error| file_error(config, "certificate_revocation_lists", error))?;
        lists.add(&content, path).map_err(refused)?;
    }
    Ok(lists)
}

fn read(path: &Path) -> Result<Vec<u8>, PkiError> {
    let path = || path.to_owned();
    std::fs::read(path()).map_err(|error| match error.kind() {
        ErrorKind::NotFound => PkiError::FileNotFound { path: path() },
        ErrorKind::PermissionDenied => PkiError::AccessDenied { path: path() },
        _ => PkiError::Read {
            path: path(),
            error,
        },
    })
}

/// Returns what Elasticsearch trusts when no trust is configured. Source: Elasticsearch reference, "Security settings
/// in Elasticsearch".
fn own_trust(
    config: &SslConfig,
    own_chain: &[CertificateDer<'static>],
    certificates: &mut Vec<CertificateEntry>,
) -> Result<Vec<CertificateDer<'static>>, SslError> {
    match &config.key {
        KeySource::None => Ok(Vec::new()),
        KeySource::Pem { .. } => Ok(own_chain.to_vec()),
        KeySource::Keystore { path, password, .. } => {
            let mut trusted: Vec<_> = own_chain.iter().take(1).cloned().collect();
            let format = store_format_of(path);
            match load_truststore(&path.resolved, password) {
                Ok(loaded) => {
                    for (alias, certificate) in loaded.entries {
                        certificates.push(entry(config, path, format, alias, &certificate, false)?);
                        trusted.push(certificate);
                    }
                    Ok(trusted)
                }
                Err(PkiError::NoTrustedCertificates { .. }) => Ok(trusted),
                Err(error) => Err(file_error(config, keystore_kind(format), error)),
            }
        }
    }
}

fn entry(
    config: &SslConfig,
    path: &ConfiguredPath,
    format: &'static str,
    alias: Option<String>,
    certificate: &CertificateDer<'_>,
    has_private_key: bool,
) -> Result<CertificateEntry, SslError> {
    let kind = match format {
        PEM => "PEM certificate",
        store => keystore_kind(store),
    };
    let info = CertificateInfo::from_der(certificate).map_err(|error| {
        let malformed = PkiError::Malformed {
            path: path.resolved.clone(),
            expected: "certificate",
            reason: error.to_string(),
        };
        file_error(config, kind, malformed)
    })?;
    Ok(CertificateEntry {
        path: path.written.clone(),
        format,
        alias,
        info,
        has_private_key,
        issuer_sha256: None,
    })
}

/// Notes who signed each certificate, where that is among the others.
pub(crate) fn link_issuers(entries: &mut [CertificateEntry], known: &[&CertificateDer<'static>]) {
    let by_fingerprint: BTreeMap<String, &CertificateDer<'static>> = known
        .iter()
        .map(|certificate| (fingerprint_sha256(certificate), *certificate))
        .collect();
    for entry in entries {
        let Some(certificate) = by_fingerprint.get(&entry.info.fingerprint_sha256) else {
            continue;
        };
        entry.issuer_sha256 = by_fingerprint
            .iter()
            .find(|(_, issuer)| is_issued_by(certificate, issuer))
            .map(|(fingerprint, _)| fingerprint.clone());
    }
}

/// Sorts as the API shows them: by path, alias (absent last), serial; equal rows once.
pub(crate) fn sort_certificates(certificates: &mut Vec<CertificateEntry>) {
    certificates.sort_by(|a, b| {
        let key = |entry: &CertificateEntry| {
            (
                entry.path.clone(),
                entry.alias.is_none(),
                entry.alias.clone(),
                entry.info.serial.clone(),
                !entry.has_private_key,
            )
        };
        key(a).cmp(&key(b))
    });
    certificates.dedup();
}

fn file_error(config: &SslConfig, kind: &'static str, source: PkiError) -> SslError {
    SslError::File {
        context: config.name.clone(),
        kind,
        source,
    }
}

/// Returns which of the two PEM files an error is about, in Elasticsearch's words.
fn pem_kind(error: &PkiError, key: &Path) -> &'static str {
    let about = match error {
        PkiError::FileNotFound { path }
        | PkiError::AccessDenied { path }
        | PkiError::Read { path, .. }
        | PkiError::FileEmpty { path }
        | PkiError::Malformed { path, .. }
        | PkiError::NoPemFooter { path, .. }
        | PkiError::Pkcs12InsteadOfPem { path } => Some(path.as_path()),
        PkiError::NoCertificates { .. } | PkiError::MalformedCertificate { .. } => None,
        _ => Some(key),
    };
    if about == Some(key) {
        "PEM private key"
    } else {
        "PEM certificate"
    }
}

/// Returns the format of a store by its content; what cannot be read is told when it is loaded.
fn store_format_of(path: &ConfiguredPath) -> &'static str {
    match store_format(&path.resolved) {
        Ok(FileFormat::Jks) => JKS,
        _ => PKCS12,
    }
}

fn keystore_kind(format: &str) -> &'static str {
    match format {
        JKS => "[jks] keystore",
        _ => "[PKCS12] keystore",
    }
}

const PEM: &str = "PEM";
const PKCS12: &str = "PKCS12";
const JKS: &str = "jks";
