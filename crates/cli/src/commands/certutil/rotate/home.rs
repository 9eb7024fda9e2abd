//! What a node's home says of its TLS: which files, with which passwords, and what is in them now.

use std::path::{Path, PathBuf};

use ringwall_base::SecretString;
use ringwall_pki::{
    CertificateDer, CertificateInfo, is_issued_by, load_keystore, load_pem_key_material,
};
use ringwall_settings::registry::ssl::HTTP_SSL;
use ringwall_settings::{Keystore, KeystoreFile, Settings};
use ringwall_tls::{KeySource, SslConfig, TrustSource};

use super::edit;
use crate::error::CommandError;
use crate::terminal::Terminal;

/// One TLS layer of one node.
pub(super) struct Layer {
    /// The node's home, as the user named it.
    pub(super) home: String,
    pub(super) config: SslConfig,
    /// Leaf first.
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) trusted: Vec<CertificateDer<'static>>,
}

impl Layer {
    /// Returns whether it would let in a peer that shows this chain.
    pub(super) fn lets_in(&self, chain: &[CertificateDer<'static>]) -> bool {
        vouches(&self.trusted, chain)
    }

    /// Returns whether the CA signed the certificate that it shows.
    pub(super) fn is_of(&self, authority: &CertificateDer<'static>) -> bool {
        is_issued_by(&self.chain[0], authority)
    }

    /// Returns the other CAs that it trusts.
    pub(super) fn others(
        &self,
        authority: &CertificateDer<'static>,
    ) -> Vec<CertificateDer<'static>> {
        let is_ca = |certificate: &CertificateDer<'static>| {
            CertificateInfo::from_der(certificate).is_ok_and(|info| info.is_ca)
        };
        let mut others: Vec<_> = self.trusted.to_vec();
        others.retain(|certificate| certificate != authority && is_ca(certificate));
        others
    }
}

/// Returns whether one of the certificates, or one that it is itself, is at the end of a chain.
pub(super) fn vouches(
    trusted: &[CertificateDer<'static>],
    chain: &[CertificateDer<'static>],
) -> bool {
    chain.iter().any(|shown| {
        trusted
            .iter()
            .any(|known| known == shown || is_issued_by(shown, known))
    })
}

/// A node's home.
pub(super) struct Home {
    name: String,
    directory: PathBuf,
    keystore: Option<Keystore>,
}

impl Home {
    /// Opens a home, or its configuration directory; asks for the password of its keystore if it has one.
    pub(super) fn open(path: &Path, terminal: &mut Terminal) -> Result<Self, CommandError> {
        let inner = path.join("config");
        let directory = match inner.join("elasticsearch.yml").exists() {
            true => inner,
            false => path.to_owned(),
        };
        if !directory.join("elasticsearch.yml").exists() {
            return Err(CommandError::data(format!(
                "[{}] is no home of a node: there is no elasticsearch.yml in it",
                path.display()
            )));
        }
        let name = path.display().to_string();
        let file = directory.join("elasticsearch.keystore");
        let keystore = match file.exists() {
            false => None,
            true => Some(open_keystore(&file, &name, terminal)?),
        };
        Ok(Self {
            name,
            directory,
            keystore,
        })
    }

    /// Reads the settings.
    pub(super) fn settings(&self) -> Result<Settings, CommandError> {
        Settings::load(&self.directory, &[], self.keystore.as_ref())
            .map_err(|error| CommandError::config(format!("[{}]: {error}", self.name)))
    }

    /// Returns the files with the certificate that clients see; none without HTTPS.
    pub(super) fn seen_by_clients(&self) -> Result<Vec<PathBuf>, CommandError> {
        let config = SslConfig::from_settings(&self.settings()?, HTTP_SSL.prefix)
            .map_err(|error| CommandError::config(format!("[{}]: {error}", self.name)))?;
        Ok(match config.map(|config| config.key) {
            Some(KeySource::Keystore { path, .. }) => vec![path.resolved],
            Some(KeySource::Pem { certificate, .. }) => vec![certificate.resolved],
            Some(KeySource::None) | None => Vec::new(),
        })
    }

    /// Reads what a layer uses now. Errors: it has no TLS, or its files cannot be used.
    pub(super) fn layer(&self, prefix: &str) -> Result<Layer, CommandError> {
        let home = &self.name;
        let unusable = |error: String| CommandError::data(format!("[{home}]: {error}"));
        let config = SslConfig::from_settings(&self.settings()?, prefix)
            .map_err(|error| CommandError::config(format!("[{home}]: {error}")))?
            .ok_or_else(|| unusable(format!("[{prefix}.enabled] is not true")))?;
        let material = match &config.key {
            KeySource::Keystore { path, password, .. } => load_keystore(&path.resolved, password),
            KeySource::Pem {
                key,
                passphrase,
                certificate,
            } => load_pem_key_material(&certificate.resolved, &key.resolved, passphrase.as_ref()),
            KeySource::None => return Err(unusable(format!("[{prefix}] has no certificate"))),
        };
        let chain = material.map_err(|error| unusable(error.to_string()))?.chain;
        if let TrustSource::OwnCertificates = &config.trust
            && matches!(config.key, KeySource::Pem { .. })
        {
            return Err(unusable(format!(
                "set [{prefix}.certificate_authorities]: without it only the node's own certificate is trusted"
            )));
        }
        let trusted = edit::trusted(&config)?;
        Ok(Layer {
            home: home.clone(),
            config,
            chain,
            trusted,
        })
    }
}

fn open_keystore(
    path: &Path,
    home: &str,
    terminal: &mut Terminal,
) -> Result<Keystore, CommandError> {
    let bad = |error: ringwall_settings::KeystoreError| CommandError::data(error.to_string());
    let file = KeystoreFile::read(path).map_err(bad)?;
    let password = match file.has_password() {
        true => terminal.secret(&format!(
            "Enter password for the elasticsearch keystore of {home} : "
        ))?,
        false => SecretString::default(),
    };
    file.decrypt(&password).map_err(bad)
}
