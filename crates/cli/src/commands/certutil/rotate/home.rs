//! What a node's home says of its TLS: which files, with which passwords, and what is in them now.

use std::path::{Path, PathBuf};

use ringwall_base::SecretString;
use ringwall_pki::{
    CertificateDer, CertificateInfo, PkiError, is_issued_by, load_keystore, load_pem_key_material,
    p12, pem,
};
use ringwall_settings::registry::node::NODE_NAME;
use ringwall_settings::registry::ssl::HTTP_SSL;
use ringwall_settings::{Keystore, KeystoreFile, Settings};
use ringwall_tls::{ConfiguredPath, KeySource, Rehearsal, SslConfig, TrustSource};

use super::super::replacement::backups;
use super::disk::Disk;
use super::edit;
use crate::commands::users::first_line;
use crate::error::CommandError;
use crate::terminal::Terminal;

/// One TLS layer of one node.
pub(super) struct Layer {
    /// The node's home, as the user named it.
    pub(super) home: String,
    /// The node's name in the cluster.
    pub(super) node: String,
    pub(super) config: SslConfig,
    /// Leaf first.
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) trusted: Vec<CertificateDer<'static>>,
}

/// A key and a certificate that do not belong together, since a run was cut off between the two.
pub(super) struct Torn {
    /// The file that was replaced.
    pub(super) path: PathBuf,
    /// Its old content, which fits the other file.
    pub(super) backup: PathBuf,
}

impl Layer {
    /// Returns its trust as a running node has it: dates, usages, revocation lists and restrictions count.
    pub(super) fn trust(&self) -> Result<Rehearsal, CommandError> {
        let trusted = self.in_use();
        Rehearsal::new(&self.config, trusted)
            .map_err(|error| CommandError::data(format!("[{}]: {error}", self.home)))
    }

    /// Returns everything that a running node trusts with these files.
    pub(super) fn in_use(&self) -> Vec<CertificateDer<'static>> {
        let mut trusted = self.trusted.clone();
        if matches!(self.config.trust, TrustSource::OwnCertificates) {
            trusted.push(self.chain[0].clone());
        }
        trusted
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

/// A node's home.
pub(super) struct Home {
    name: String,
    directory: PathBuf,
    keystore: Option<Keystore>,
}

impl Home {
    /// Opens a home, or its configuration directory. The password of its keystore, if it has one, is in the first
    /// line of the file, else it is asked for.
    pub(super) fn open(
        path: &Path,
        password_file: Option<&Path>,
        terminal: &mut Terminal,
    ) -> Result<Self, CommandError> {
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
            true => Some(open_keystore(&file, &name, password_file, terminal)?),
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
        let config = self.config(&self.settings()?, HTTP_SSL.prefix)?;
        Ok(match config.map(|config| config.key) {
            Some(KeySource::Keystore { path, .. }) => vec![path.resolved],
            Some(KeySource::Pem { certificate, .. }) => vec![certificate.resolved],
            Some(KeySource::None) | None => Vec::new(),
        })
    }

    /// Returns the configuration of a layer with the files themselves where links lead to them: the links stay.
    fn config(&self, settings: &Settings, prefix: &str) -> Result<Option<SslConfig>, CommandError> {
        let config = SslConfig::from_settings(settings, prefix)
            .map_err(|error| CommandError::config(format!("[{}]: {error}", self.name)))?;
        let Some(mut config) = config else {
            return Ok(None);
        };
        let mut paths: Vec<&mut ConfiguredPath> = Vec::new();
        match &mut config.key {
            KeySource::None => {}
            KeySource::Keystore { path, .. } => paths.push(path),
            KeySource::Pem {
                key, certificate, ..
            } => paths.extend([key, certificate]),
        }
        match &mut config.trust {
            TrustSource::OwnCertificates | TrustSource::Fingerprints(_) => {}
            TrustSource::Pem(files) => paths.extend(files),
            TrustSource::Truststore { path, .. } => paths.push(path),
        }
        for path in paths {
            // One that is missing is told of by whoever reads it.
            if let Ok(real) = std::fs::canonicalize(&path.resolved) {
                path.resolved = real;
            }
        }
        Ok(Some(config))
    }

    /// Returns what is left of a run that was cut off while it replaced a key and its certificate.
    pub(super) fn torn(&self, prefix: &str) -> Result<Option<Torn>, CommandError> {
        let Some(SslConfig {
            key:
                KeySource::Pem {
                    key,
                    passphrase,
                    certificate,
                },
            ..
        }) = self.config(&self.settings()?, prefix)?
        else {
            return Ok(None);
        };
        let (key, certificate) = (key.resolved, certificate.resolved);
        let fit = |certificate: &Path, key: &Path| {
            load_pem_key_material(certificate, key, passphrase.as_ref())
        };
        let Err(PkiError::KeyMismatch { .. }) = fit(&certificate, &key) else {
            return Ok(None);
        };
        let of_key = backups(&key).into_iter().map(|backup| (&key, backup));
        let of_certificate = backups(&certificate)
            .into_iter()
            .map(|backup| (&certificate, backup));
        let fitting = of_key.chain(of_certificate).find(|(path, backup)| {
            let fits = match *path == &key {
                true => fit(&certificate, backup),
                false => fit(backup, &key),
            };
            fits.is_ok()
        });
        Ok(fitting.map(|(path, backup)| Torn {
            path: path.clone(),
            backup,
        }))
    }

    /// Reads what a layer uses, now or after what is planned. Errors: it has no TLS, or its files cannot be used.
    pub(super) fn layer(&self, prefix: &str, disk: &Disk) -> Result<Layer, CommandError> {
        let home = &self.name;
        let unusable = |error: String| CommandError::data(format!("[{home}]: {error}"));
        let settings = self.settings()?;
        let config = self
            .config(&settings, prefix)?
            .ok_or_else(|| unusable(format!("[{prefix}.enabled] is not true")))?;
        let chain = match &config.key {
            KeySource::Keystore { path, password, .. } if disk.is_planned(&path.resolved) => {
                let path = &path.resolved;
                let store = p12::read(&disk.read(path)?, password, path);
                store.map(|store| store.keys.into_iter().next().map(|key| key.chain))
            }
            KeySource::Keystore { path, password, .. } => {
                load_keystore(&path.resolved, password).map(|material| Some(material.chain))
            }
            KeySource::Pem { certificate, .. } if disk.is_planned(&certificate.resolved) => {
                let path = &certificate.resolved;
                pem::certificates(&disk.read(path)?, path).map(Some)
            }
            KeySource::Pem {
                key,
                passphrase,
                certificate,
            } => load_pem_key_material(&certificate.resolved, &key.resolved, passphrase.as_ref())
                .map(|material| Some(material.chain)),
            KeySource::None => Ok(None),
        };
        let chain = chain
            .map_err(|error| unusable(error.to_string()))?
            .filter(|chain| !chain.is_empty())
            .ok_or_else(|| unusable(format!("[{prefix}] has no certificate")))?;
        if let TrustSource::OwnCertificates = &config.trust
            && matches!(config.key, KeySource::Pem { .. })
        {
            return Err(unusable(format!(
                "set [{prefix}.certificate_authorities]: without it only the node's own certificate is trusted"
            )));
        }
        let trusted = edit::trusted(&config, disk)?;
        Ok(Layer {
            home: home.clone(),
            node: settings.get(&NODE_NAME),
            config,
            chain,
            trusted,
        })
    }
}

fn open_keystore(
    path: &Path,
    home: &str,
    password_file: Option<&Path>,
    terminal: &mut Terminal,
) -> Result<Keystore, CommandError> {
    let bad = |error: ringwall_settings::KeystoreError| CommandError::data(error.to_string());
    let file = KeystoreFile::read(path).map_err(bad)?;
    let password = match (file.has_password(), password_file) {
        (true, Some(file)) => first_line(file)?,
        (true, None) => terminal.secret(&format!(
            "Enter password for the elasticsearch keystore of {home} : "
        ))?,
        (false, _) => SecretString::default(),
    };
    file.decrypt(&password).map_err(bad)
}
