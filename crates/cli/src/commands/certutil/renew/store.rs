//! A PKCS#12 file whose certificate is renewed; everything else in it stays.

use std::path::{Path, PathBuf};

use ringwall_base::SecretString;
use ringwall_pki::p12::{self, KeyEntry, Pkcs12, WriteEntry};
use ringwall_pki::{CertificateDer, CertificateInfo, PkiError, PrivateKey};
use zeroize::Zeroizing;

use super::{Credential, Made, password_of, unusable};
use crate::commands::certutil::password::PasswordSource;
use crate::commands::certutil::replacement::NewFile;
use crate::error::CommandError;
use crate::terminal::Terminal;

/// An opened file with one key of a node.
pub(in super::super) struct Store {
    path: PathBuf,
    password: SecretString,
    content: Pkcs12,
    /// Which of the keys is the node's; others are of CAs.
    node: usize,
}

impl Store {
    /// Opens a file, with the empty password if that fits. Errors: no key of a node, or several (65).
    pub(in super::super) fn open(
        path: &Path,
        content: &[u8],
        passwords: &mut PasswordSource,
        terminal: &mut Terminal,
    ) -> Result<Self, CommandError> {
        let mut password = SecretString::default();
        let mut read = p12::read(content, &password, path);
        if matches!(read, Err(PkiError::WrongPassword { .. })) {
            password = password_of(path, passwords, terminal)?;
            read = p12::read(content, &password, path);
        }
        let content = read.map_err(unusable)?;
        let node = node_key(&content.keys, path)?;
        Ok(Self {
            path: path.to_owned(),
            password,
            content,
            node,
        })
    }

    /// Returns the file with the next certificate.
    pub(in super::super) fn renew(
        self,
        issue: impl FnOnce(Credential) -> Result<Made, CommandError>,
    ) -> Result<Vec<NewFile>, CommandError> {
        let mut keys = Vec::with_capacity(self.content.keys.len());
        for entry in &self.content.keys {
            let key = PrivateKey::from_pkcs8(entry.private_key.clone()).map_err(unusable)?;
            keys.push((entry.alias.clone(), key, entry.chain.clone()));
        }
        let (alias, key, chain) = keys.remove(self.node);
        let certificate = chain[0].clone();
        let Made { issued, summary } = issue(Credential { certificate, key })?;
        let mut trusted: Vec<(Option<String>, CertificateDer<'static>)> = Vec::new();
        for entry in self.content.trusted {
            trusted.push((entry.alias, entry.certificate));
        }
        // A file that says whom to trust must trust who signs its own certificate.
        let knows = |issuer: &CertificateDer<'_>| trusted.iter().any(|(_, known)| known == issuer);
        if let Some(issuer) = &issued.issuer
            && !trusted.is_empty()
            && !knows(issuer)
        {
            trusted.push((Some("ca".to_owned()), issuer.clone()));
        }
        keys.insert(self.node, (alias, issued.key, issued.chain));

        let mut names = Names::default();
        let keys: Vec<_> = keys
            .iter()
            .map(|(alias, key, chain)| {
                (
                    names.unused(alias.as_deref().unwrap_or("instance")),
                    key,
                    chain,
                )
            })
            .collect();
        let trusted: Vec<_> = trusted
            .iter()
            .map(|(alias, certificate)| {
                (names.unused(alias.as_deref().unwrap_or("ca")), certificate)
            })
            .collect();
        let mut entries = Vec::with_capacity(keys.len() + trusted.len());
        for (alias, key, chain) in &keys {
            entries.push(WriteEntry::Key { alias, key, chain });
        }
        for (alias, certificate) in &trusted {
            entries.push(WriteEntry::Trusted { alias, certificate });
        }
        let content = p12::write(&entries, &self.password).map_err(unusable)?;
        Ok(vec![NewFile {
            path: self.path,
            content: Zeroizing::new(content),
            summary,
        }])
    }
}

/// Returns which key is the node's: `http.p12` may have that of its CA as well.
fn node_key(keys: &[KeyEntry], path: &Path) -> Result<usize, CommandError> {
    let is_node = |entry: &KeyEntry| {
        let leaf = entry
            .chain
            .first()
            .map(|leaf| CertificateInfo::from_der(leaf));
        !matches!(leaf, Some(Ok(info)) if info.is_ca)
    };
    let nodes: Vec<usize> = (0..keys.len()).filter(|at| is_node(&keys[*at])).collect();
    let path = path.to_owned();
    let alias = |entry: &KeyEntry| entry.alias.clone().unwrap_or_else(|| "unnamed".to_owned());
    match nodes[..] {
        [at] if keys[at].chain.is_empty() => Err(unusable(PkiError::KeyWithoutCertificate {
            path,
            alias: alias(&keys[at]),
        })),
        [at] => Ok(at),
        [] if keys.is_empty() => Err(unusable(PkiError::NoPrivateKey { path })),
        [] => Err(CommandError::data(format!(
            "[{}] holds the key of a CA and no other",
            path.display()
        ))
        .with_hint("name the file of a node; who signs is named with --ca")),
        _ => Err(unusable(PkiError::SeveralPrivateKeys {
            path,
            aliases: nodes.iter().map(|at| alias(&keys[*at])).collect(),
        })),
    }
}

/// Aliases given so far; Java does not tell capitals.
#[derive(Default)]
pub(in super::super) struct Names(Vec<String>);

impl Names {
    /// Returns the alias, or one with a number where it is taken.
    pub(in super::super) fn unused(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        let mut number = 2;
        while self.0.contains(&name.to_lowercase()) {
            name = format!("{wanted}-{number}");
            number += 1;
        }
        self.0.push(name.to_lowercase());
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_stay_apart() {
        let mut names = Names::default();
        let given: Vec<_> = ["ca", "CA", "ca-2", "http"]
            .map(|name| names.unused(name))
            .into();
        assert_eq!(given, ["ca", "CA-2", "ca-2-2", "http"]);
    }
}
