//! A PEM certificate and its PEM key, in one file or in two.

use std::path::{Path, PathBuf};

use ringwall_base::SecretString;
use ringwall_pki::{
    CertificateDer, CertificateInfo, PkiError, PrivateKey, key_matches_certificate, pem,
    put_leaf_first,
};
use zeroize::Zeroizing;

use super::{Credential, Made, password_of, resolved, unusable};
use crate::commands::certutil::password::PasswordSource;
use crate::commands::certutil::pem_text;
use crate::commands::certutil::replacement::NewFile;
use crate::error::CommandError;
use crate::terminal::Terminal;

/// The opened files.
pub(in super::super) struct Pair {
    certificate_path: PathBuf,
    /// The same as that of the certificate where both are in one file.
    key_path: PathBuf,
    /// The file of the certificate.
    text: Zeroizing<String>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKey,
    /// `None` where the key is not encrypted.
    passphrase: Option<SecretString>,
}

impl Pair {
    /// Opens the file of a certificate, and that of its key.
    ///
    /// Errors: no certificate, no key, a key of another certificate (65).
    pub(in super::super) fn open(
        path: &Path,
        content: &[u8],
        key: Option<&Path>,
        passwords: &mut PasswordSource,
        terminal: &mut Terminal,
    ) -> Result<Self, CommandError> {
        let mut chain = pem::certificates(content, path).map_err(|error| match error {
            error @ PkiError::NoCertificates { .. } => {
                unusable(error).with_hint("name the file of the certificate, not that of the key")
            }
            error => unusable(error),
        })?;
        let key_path = match key {
            Some(key) => resolved(key)?,
            None if has_key(content, path)? => path.to_owned(),
            None => key_beside(path)?,
        };
        let mut passphrase = None;
        let mut read = ringwall_pki::load_pem_key(&key_path, None);
        if matches!(read, Err(PkiError::PassphraseRequired { .. })) {
            let password = password_of(&key_path, passwords, terminal)?;
            read = ringwall_pki::load_pem_key(&key_path, Some(&password));
            passphrase = Some(password);
        }
        let pkcs8 = read.map_err(unusable)?;
        put_leaf_first(&pkcs8, &mut chain);
        if !key_matches_certificate(&pkcs8, &chain[0]).map_err(unusable)? {
            let info = CertificateInfo::from_der(&chain[0]).map_err(unusable)?;
            return Err(unusable(PkiError::KeyMismatch {
                key_path,
                certificate_path: path.to_owned(),
                subject: info.subject.to_string(),
            })
            .with_hint("name the file of the key with --key"));
        }
        Ok(Self {
            certificate_path: path.to_owned(),
            key_path,
            text: Zeroizing::new(String::from_utf8_lossy(content).into_owned()),
            chain,
            key: PrivateKey::from_pkcs8(pkcs8).map_err(unusable)?,
            passphrase,
        })
    }

    /// Returns the files with the next certificate: the key first, which a node takes only with its
    /// certificate. `kept` are certificates that stay in the file behind the new ones; blocks that are neither
    /// certificates nor keys stay as well.
    pub(in super::super) fn renew(
        self,
        keep_key: bool,
        kept: &[CertificateDer<'static>],
        issue: impl FnOnce(Credential) -> Result<Made, CommandError>,
    ) -> Result<Vec<NewFile>, CommandError> {
        let had_root = self.chain[1..].iter().any(is_root);
        let Made { issued, summary } = issue(Credential {
            certificate: self.chain[0].clone(),
            key: self.key,
        })?;
        let mut certificates = match had_root {
            true => pem::encode_certificates(&issued.chain),
            false => issued.chain_pem(),
        };
        let written = pem::certificates(certificates.as_bytes(), &self.certificate_path);
        let written = written.map_err(unusable)?;
        let mut kept = kept.to_vec();
        kept.retain(|certificate| !written.contains(certificate));
        certificates.push_str(&pem::encode_certificates(&kept));
        for block in pem_text::blocks(&self.text) {
            if !block.is_certificate() && !block.is_of_key() {
                certificates.push_str(&self.text[block.range]);
            }
        }
        let key =
            pem::encode_private_key(&issued.key, self.passphrase.as_ref()).map_err(unusable)?;
        if self.key_path == self.certificate_path {
            let both = [certificates.as_bytes(), key.expose().as_bytes()].concat();
            return Ok(vec![NewFile {
                path: self.certificate_path,
                content: Zeroizing::new(both),
                summary,
            }]);
        }
        let certificate = NewFile {
            path: self.certificate_path,
            content: Zeroizing::new(certificates.into_bytes()),
            summary,
        };
        if keep_key {
            return Ok(vec![certificate]);
        }
        let key = NewFile {
            path: self.key_path,
            content: Zeroizing::new(key.expose().as_bytes().to_vec()),
            summary: format!("a new private key ({})", issued.key.algorithm()),
        };
        Ok(vec![key, certificate])
    }
}

fn has_key(content: &[u8], path: &Path) -> Result<bool, CommandError> {
    let mut found = false;
    for (label, content) in pem::labelled(content, path).map_err(unusable)? {
        // It may be the key.
        drop(Zeroizing::new(content));
        found |= label.ends_with("PRIVATE KEY");
    }
    Ok(found)
}

fn key_beside(path: &Path) -> Result<PathBuf, CommandError> {
    let beside = path.with_extension("key");
    match beside != path && beside.is_file() {
        true => resolved(&beside),
        false => Err(CommandError::data(format!(
            "The private key of [{}] is not in [{}]",
            path.display(),
            beside.display()
        ))
        .with_hint("name its file with --key")),
    }
}

fn is_root(certificate: &CertificateDer<'_>) -> bool {
    CertificateInfo::from_der(certificate).is_ok_and(|info| info.self_signed)
}
