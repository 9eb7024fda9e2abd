//! What a node's home says of its TLS: which files, with which passwords, and what is in them now.

use std::path::{Path, PathBuf};

use ringwall_base::SecretString;
use ringwall_node::preflight;
use ringwall_pki::{
    CertificateDer, CertificateInfo, FileFormat, PkiError, certificates_in, is_issued_by,
    load_keystore_with, load_pem_key_material, p12, store_format,
};
use ringwall_settings::registry::node::NODE_NAME;
use ringwall_settings::registry::ssl::HTTP_SSL;
use ringwall_settings::{Keystore, KeystoreFile, Settings};
use ringwall_tls::{ConfiguredPath, KeySource, Rehearsal, SslConfig, TrustSource};

use super::super::replacement::{NewFile, backups};
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

    /// Refuses a home with transport profiles that have TLS of their own: their certificates and their trust would stay
    /// behind, and nodes that meet there would refuse one another.
    pub(super) fn check_profiles(&self) -> Result<(), CommandError> {
        let settings = self.settings()?;
        let mut keys: Vec<String> = Vec::new();
        for prefix in preflight::profile_tls_prefixes(&settings).values() {
            keys.extend(settings.keys_with_prefix(&format!("{prefix}.")));
        }
        if keys.is_empty() {
            return Ok(());
        }
        Err(CommandError::config(format!(
            "[{}] has transport profiles with TLS of their own, which certutil rotate does not change: [{}]; nothing was \
             changed",
            self.name,
            keys.join("], [")
        ))
        .with_hint(
            "rotate the files of such a cluster by hand, each step on every node before the next: add the new CA to what \
             these keys and [xpack.security.transport.ssl] trust, renew the certificates with certutil renew, then take \
             the old CA out",
        ))
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

    /// Returns the files that HTTPS takes whom it trusts from; none without HTTPS.
    pub(super) fn trusted_by_https(&self) -> Result<Vec<PathBuf>, CommandError> {
        let config = self.config(&self.settings()?, HTTP_SSL.prefix)?;
        Ok(config.as_ref().map(trust_files).unwrap_or_default())
    }

    /// Returns the CAs that HTTPS is known by before anything is changed; none that cannot be read.
    pub(super) fn known_by_https(&self) -> Result<Vec<CertificateDer<'static>>, CommandError> {
        let settings = self.settings()?;
        let Some(config) = self.config(&settings, HTTP_SSL.prefix)? else {
            return Ok(Vec::new());
        };
        // Files that a run left torn are mended later, and are no trust before.
        let layer = self.read(&settings, config, HTTP_SSL.prefix, &Disk::default());
        Ok(layer.map(|layer| layer.in_use()).unwrap_or_default())
    }

    /// Returns a layer that has one of the files, as it is now or after what is planned; `None` where the layer is off
    /// or has none of them. Other than [`layer`](Self::layer), it takes a trust that no step can change.
    pub(super) fn sharing(
        &self,
        prefix: &str,
        files: &[NewFile],
        disk: &Disk,
    ) -> Result<Option<Layer>, CommandError> {
        let settings = self.settings()?;
        let Some(config) = self.config(&settings, prefix)? else {
            return Ok(None);
        };
        let mut own = trust_files(&config);
        match &config.key {
            KeySource::Keystore { path, .. } => own.push(path.resolved.clone()),
            KeySource::Pem {
                key, certificate, ..
            } => own.extend([key.resolved.clone(), certificate.resolved.clone()]),
            KeySource::None => {}
        }
        if !files.iter().any(|file| own.contains(&file.path)) {
            return Ok(None);
        }
        self.read(&settings, config, prefix, disk).map(Some)
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
        for path in stores(&config) {
            if !disk.is_planned(path) && store_format(path).is_ok_and(|is| is == FileFormat::Jks) {
                return Err(not_rotated(home, path));
            }
        }
        if let TrustSource::OwnCertificates = &config.trust
            && matches!(config.key, KeySource::Pem { .. })
        {
            return Err(unusable(format!(
                "set [{prefix}.certificate_authorities]: without it only the node's own certificate is trusted"
            )));
        }
        self.read(&settings, config, prefix, disk)
    }

    fn read(
        &self,
        settings: &Settings,
        config: SslConfig,
        prefix: &str,
        disk: &Disk,
    ) -> Result<Layer, CommandError> {
        let home = &self.name;
        let unusable = |error: String| CommandError::data(format!("[{home}]: {error}"));
        let chain = match &config.key {
            KeySource::Keystore { path, password, .. } if disk.is_planned(&path.resolved) => {
                let path = &path.resolved;
                let store = p12::read(&disk.read(path)?, password, path);
                store.map(|store| {
                    // That of a CA may sit beside the node's, and is none to show.
                    let is_ca = |key: &p12::KeyEntry| {
                        let leaf = key
                            .chain
                            .first()
                            .map(|leaf| CertificateInfo::from_der(leaf));
                        matches!(leaf, Some(Ok(info)) if info.is_ca)
                    };
                    let mut keys = store.keys.into_iter();
                    keys.find(|key| !is_ca(key)).map(|key| key.chain)
                })
            }
            KeySource::Keystore {
                path,
                password,
                key_password,
            } => load_keystore_with(&path.resolved, password, key_password.as_ref())
                .map(|material| Some(material.chain)),
            KeySource::Pem { certificate, .. } if disk.is_planned(&certificate.resolved) => {
                let path = &certificate.resolved;
                certificates_in(&disk.read(path)?, path).map(Some)
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
        let trusted = match (&config.trust, &config.key) {
            // All that is in the certificate file; a keystore may mark nothing as trusted.
            (TrustSource::OwnCertificates, KeySource::Pem { .. }) => chain.clone(),
            (TrustSource::OwnCertificates, _) if prefix == HTTP_SSL.prefix => {
                edit::trusted(&config, disk).unwrap_or_default()
            }
            _ => edit::trusted(&config, disk)?,
        };
        Ok(Layer {
            home: home.clone(),
            node: settings.get(&NODE_NAME),
            config,
            chain,
            trusted,
        })
    }
}

/// Returns the files that a layer takes whom it trusts from.
fn trust_files(config: &SslConfig) -> Vec<PathBuf> {
    match (&config.trust, &config.key) {
        (TrustSource::Pem(files), _) => files.iter().map(|file| file.resolved.clone()).collect(),
        (TrustSource::Truststore { path, .. }, _)
        | (TrustSource::OwnCertificates, KeySource::Keystore { path, .. }) => {
            vec![path.resolved.clone()]
        }
        (TrustSource::OwnCertificates, KeySource::Pem { certificate, .. }) => {
            vec![certificate.resolved.clone()]
        }
        (TrustSource::OwnCertificates, KeySource::None) | (TrustSource::Fingerprints(_), _) => {
            Vec::new()
        }
    }
}

fn stores(config: &SslConfig) -> impl Iterator<Item = &Path> {
    let key = match &config.key {
        KeySource::Keystore { path, .. } => Some(path.resolved.as_path()),
        _ => None,
    };
    let trust = match &config.trust {
        TrustSource::Truststore { path, .. } => Some(path.resolved.as_path()),
        _ => None,
    };
    key.into_iter().chain(trust)
}

/// Returns why a Java keystore of the old format is not rotated: nothing here writes one.
fn not_rotated(home: &str, path: &Path) -> CommandError {
    let error = PkiError::JavaKeystore {
        path: path.to_owned(),
        format: "JKS",
    };
    CommandError::data(format!("[{home}]: certutil rotate cannot write JKS: {error}")).with_hint(
        "name the PKCS#12 file in the settings of the node instead, restart it, and run the same command again",
    )
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
