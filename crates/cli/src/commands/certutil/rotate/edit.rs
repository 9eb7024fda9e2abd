//! Certificates into and out of the files that say whom a node trusts; everything else in them stays.

use std::path::Path;

use ringwall_base::SecretString;
use ringwall_pki::p12::{self, WriteEntry};
use ringwall_pki::{
    CertificateDer, CertificateInfo, PkiError, PrivateKey, certificates_in, fingerprint_sha256, pem,
};
use ringwall_tls::{KeySource, SslConfig, TrustSource};
use zeroize::Zeroizing;

use super::super::pem_text;
use super::super::renew::store::Names;
use super::super::replacement::NewFile;
use super::disk::Disk;
use crate::error::CommandError;

/// Returns the certificates that a layer trusts.
pub(super) fn trusted(
    config: &SslConfig,
    disk: &Disk,
) -> Result<Vec<CertificateDer<'static>>, CommandError> {
    match files(config) {
        Files::Pem(paths) => {
            let mut all = Vec::new();
            for path in paths {
                all.extend(certificates_in(&disk.read(path)?, path).map_err(unusable)?);
            }
            Ok(all)
        }
        Files::Store(path, password) => {
            let entries = read(disk, path, password)?.trusted.into_iter();
            let trusted: Vec<_> = entries.map(|entry| entry.certificate).collect();
            match trusted.is_empty() {
                true => Err(CommandError::data(format!(
                    "[{}] marks no certificate as trusted; name a truststore with the CA, or its certificate in [certificate_authorities]",
                    path.display()
                ))),
                false => Ok(trusted),
            }
        }
        Files::None => Ok(Vec::new()),
    }
}

/// Returns the file of a layer with one more trusted certificate.
pub(super) fn with(
    config: &SslConfig,
    disk: &Disk,
    added: &CertificateDer<'static>,
) -> Result<Vec<NewFile>, CommandError> {
    let summary = format!("trusts {} too", named(added));
    match files(config) {
        Files::Pem(paths) => {
            let Some(path) = paths.first() else {
                return Ok(Vec::new());
            };
            let mut content = pem_text::as_pem(disk.read(path)?, path)?;
            if !content.ends_with(b"\n") {
                content.push(b'\n');
            }
            content.extend(pem::encode_certificates(std::slice::from_ref(added)).into_bytes());
            Ok(vec![NewFile {
                path: path.to_path_buf(),
                content,
                summary,
            }])
        }
        Files::Store(path, password) => {
            let content = rewritten(disk, path, password, |trusted| {
                trusted.push((Some("ca".to_owned()), added.clone()));
            })?;
            Ok(vec![new_file(path, content, summary)])
        }
        Files::None => Ok(Vec::new()),
    }
}

/// Returns the files of a layer without some trusted certificates; `instead` takes the place of a PEM file's
/// last one. What else is in a PEM file, keys among it, stays as it is written.
pub(super) fn without(
    config: &SslConfig,
    disk: &Disk,
    dropped: &[CertificateDer<'static>],
    instead: &CertificateDer<'static>,
) -> Result<Vec<NewFile>, CommandError> {
    let names: Vec<String> = dropped.iter().map(named).collect();
    let summary = format!("no longer trusts {}", names.join(", "));
    match files(config) {
        Files::Pem(paths) => {
            let mut changed = Vec::new();
            for path in paths {
                let content = pem_text::as_pem(disk.read(path)?, path)?;
                let text = std::str::from_utf8(&content).map_err(|_| {
                    CommandError::data(format!(
                        "[{}] is not UTF-8: take the text beside its PEM blocks out",
                        path.display()
                    ))
                })?;
                let is_dropped = |block: &pem_text::Block<'_>| {
                    let inside = text[block.range.clone()].as_bytes();
                    block.is_certificate()
                        && pem::certificates(inside, path)
                            .is_ok_and(|found| found.iter().all(|one| dropped.contains(one)))
                };
                let mut after = Zeroizing::new(pem_text::without(text, is_dropped));
                if *after == text {
                    continue;
                }
                if !pem_text::blocks(&after)
                    .iter()
                    .any(pem_text::Block::is_certificate)
                {
                    after.push_str(&pem::encode_certificates(std::slice::from_ref(instead)));
                }
                let content = std::mem::take(&mut *after).into_bytes();
                changed.push(new_file(path, content, summary.clone()));
            }
            Ok(changed)
        }
        Files::Store(path, password) => {
            let content = rewritten(disk, path, password, |trusted| {
                trusted.retain(|(_, certificate)| !dropped.contains(certificate));
            })?;
            Ok(vec![new_file(path, content, summary)])
        }
        Files::None => Ok(Vec::new()),
    }
}

/// Returns what tells a CA from another of the same name.
fn named(certificate: &CertificateDer<'static>) -> String {
    let fingerprint = fingerprint_sha256(certificate);
    format!(
        "[{}] (SHA-256 {}...)",
        subject(certificate),
        &fingerprint[..16]
    )
}

/// Returns a certificate's subject.
pub(super) fn subject(certificate: &CertificateDer<'_>) -> String {
    match CertificateInfo::from_der(certificate) {
        Ok(info) => info.subject.to_string(),
        Err(_) => "unreadable".to_owned(),
    }
}

enum Files<'a> {
    Pem(Vec<&'a Path>),
    Store(&'a Path, &'a SecretString),
    None,
}

fn files(config: &SslConfig) -> Files<'_> {
    match (&config.trust, &config.key) {
        (TrustSource::Pem(paths), _) => {
            Files::Pem(paths.iter().map(|path| path.resolved.as_path()).collect())
        }
        (TrustSource::Truststore { path, password }, _)
        | (TrustSource::OwnCertificates, KeySource::Keystore { path, password, .. }) => {
            Files::Store(&path.resolved, password)
        }
        _ => Files::None,
    }
}

fn read(disk: &Disk, path: &Path, password: &SecretString) -> Result<p12::Pkcs12, CommandError> {
    p12::read(&disk.read(path)?, password, path).map_err(unusable)
}

type Trusted = (Option<String>, CertificateDer<'static>);

fn rewritten(
    disk: &Disk,
    path: &Path,
    password: &SecretString,
    change: impl FnOnce(&mut Vec<Trusted>),
) -> Result<Vec<u8>, CommandError> {
    let store = read(disk, path, password)?;
    let mut trusted: Vec<Trusted> = Vec::new();
    for entry in store.trusted {
        trusted.push((entry.alias, entry.certificate));
    }
    change(&mut trusted);
    let mut names = Names::default();
    let mut keys = Vec::with_capacity(store.keys.len());
    for entry in store.keys {
        let alias = names.unused(entry.alias.as_deref().unwrap_or("instance"));
        let key = PrivateKey::from_pkcs8(entry.private_key).map_err(unusable)?;
        keys.push((alias, key, entry.chain));
    }
    let trusted: Vec<(String, CertificateDer<'static>)> = trusted
        .into_iter()
        .map(|(alias, certificate)| (names.unused(alias.as_deref().unwrap_or("ca")), certificate))
        .collect();
    let keys = keys
        .iter()
        .map(|(alias, key, chain)| WriteEntry::Key { alias, key, chain });
    let trusted = trusted
        .iter()
        .map(|(alias, certificate)| WriteEntry::Trusted { alias, certificate });
    let entries: Vec<_> = keys.chain(trusted).collect();
    p12::write(&entries, password).map_err(unusable)
}

fn new_file(path: &Path, content: Vec<u8>, summary: String) -> NewFile {
    NewFile {
        path: path.to_owned(),
        content: Zeroizing::new(content),
        summary,
    }
}

fn unusable(error: PkiError) -> CommandError {
    CommandError::data(error.to_string())
}
