//! What one TLS context is made of, before any file is read.

use std::path::{Path, PathBuf};

use crate::SslError;
use crate::failure::{ContextFiles, FileKind};
use crate::restrictions::RestrictedField;
use ringwall_base::SecretString;
use ringwall_pki::load_store;
use ringwall_pki::p12::Pkcs12;
use ringwall_settings::{ClientAuthentication, VerificationMode};

/// A path as the operator wrote it, and as it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfiguredPath {
    /// The text of the setting, shown by `GET /_ssl/certificates`.
    pub written: String,
    /// Absolute: relative settings resolve against the configuration directory.
    pub resolved: PathBuf,
}

impl ConfiguredPath {
    /// Returns the path of a setting, resolved against the configuration directory.
    pub fn new(written: impl Into<String>, config_dir: &Path) -> Self {
        let written = written.into();
        let resolved = config_dir.join(&written);
        Self { written, resolved }
    }
}

/// Where a context's own key and certificate come from.
#[derive(Debug, Clone, Default)]
pub enum KeySource {
    /// No identity: the context can dial without a client certificate, and cannot accept.
    #[default]
    None,
    /// A PEM key, and a PEM file with the certificate followed by its chain.
    Pem {
        key: ConfiguredPath,
        passphrase: Option<SecretString>,
        certificate: ConfiguredPath,
    },
    /// A PKCS#12 or JKS keystore. An absent password is the empty one.
    Keystore {
        path: ConfiguredPath,
        password: SecretString,
        /// The password of the key inside, when it differs from the store's, which it may in a JKS file only.
        key_password: Option<SecretString>,
    },
}

/// Which certificates a context trusts.
#[derive(Debug, Clone, Default)]
pub enum TrustSource {
    /// Nobody but, as in Elasticsearch, the certificates found beside the context's own key:
    /// a keystore's trusted entries and its own leaf, or everything in the PEM `certificate` file.
    /// Public authorities are never trusted. Source: Elasticsearch reference, "Security settings in Elasticsearch".
    #[default]
    OwnCertificates,
    /// PEM bundles.
    Pem(Vec<ConfiguredPath>),
    /// A PKCS#12 or JKS truststore. An absent password is the empty one.
    Truststore {
        path: ConfiguredPath,
        password: SecretString,
    },
    /// SHA-256 fingerprints of authorities (or leaves) which the peer must send in its chain.
    Fingerprints(Vec<[u8; 32]>),
}

/// Everything that defines a TLS context. While the process lives, passwords and the content of the files may
/// change, the rest may not.
#[derive(Debug, Clone)]
pub struct SslConfig {
    /// The settings prefix, such as `xpack.security.transport.ssl`.
    pub name: String,
    pub key: KeySource,
    pub trust: TrustSource,
    /// Files with certificate revocation lists, PEM or DER.
    pub revocation_lists: Vec<ConfiguredPath>,
    /// A file with the names that peers' certificates must have, and where in them it is looked for.
    pub restrictions: Option<(ConfiguredPath, Vec<RestrictedField>)>,
    pub verification_mode: VerificationMode,
    pub client_authentication: ClientAuthentication,
    /// `supported_protocols` in Elasticsearch's spelling; versions below 1.2 are known and dropped.
    pub protocols: Vec<String>,
    /// IANA names, most preferred first; the accepting side's order decides.
    pub cipher_suites: Vec<String>,
    pub handshakes: HandshakeLimits,
    /// A file of the trust that the other layer of the node uses and this one's key does not, with the settings prefix
    /// of that layer: where nothing verifies, it may have been mistaken.
    pub borrowed_trust: Option<(PathBuf, String)>,
}

/// What handshakes of one context may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandshakeLimits {
    /// Threads that work for handshakes with peers that dialled, and as many for those that are dialled.
    pub threads: usize,
    /// Failed handshakes of one address after which its next ones wait; one is forgotten each second.
    pub free_failures: usize,
}

impl Default for HandshakeLimits {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            threads: (processors / 2).max(1),
            free_failures: 20,
        }
    }
}

impl SslConfig {
    /// Returns a mutually authenticated context of the given name that verifies fully.
    pub fn new(name: impl Into<String>, key: KeySource, trust: TrustSource) -> Self {
        Self {
            name: name.into(),
            key,
            trust,
            revocation_lists: Vec::new(),
            restrictions: None,
            verification_mode: VerificationMode::Full,
            client_authentication: ClientAuthentication::Required,
            protocols: DEFAULT_PROTOCOLS.map(str::to_owned).to_vec(),
            cipher_suites: DEFAULT_CIPHER_SUITES.map(str::to_owned).to_vec(),
            handshakes: HandshakeLimits::default(),
            borrowed_trust: None,
        }
    }

    /// Returns whether the passwords are those of another configuration of the same context.
    pub(crate) fn has_secrets_of(&self, other: &Self) -> bool {
        self.secrets() == other.secrets()
    }

    fn secrets(&self) -> Vec<Option<&str>> {
        let mut secrets = match &self.key {
            KeySource::None => Vec::new(),
            KeySource::Pem { passphrase, .. } => vec![passphrase.as_ref()],
            KeySource::Keystore {
                password,
                key_password,
                ..
            } => vec![Some(password), key_password.as_ref()],
        };
        if let TrustSource::Truststore { password, .. } = &self.trust {
            secrets.push(Some(password));
        }
        let secrets = secrets.into_iter();
        secrets
            .map(|secret| secret.map(SecretString::expose))
            .collect()
    }

    /// Returns this configuration with the passwords of another of the same context.
    pub(crate) fn with_secrets_of(&self, other: Self) -> Self {
        let mut changed = self.clone();
        match (&mut changed.key, other.key) {
            (
                KeySource::Pem { passphrase, .. },
                KeySource::Pem {
                    passphrase: new, ..
                },
            ) => {
                *passphrase = new;
            }
            (
                KeySource::Keystore {
                    password,
                    key_password,
                    ..
                },
                KeySource::Keystore {
                    password: new,
                    key_password: new_key,
                    ..
                },
            ) => (*password, *key_password) = (new, new_key),
            _ => {}
        }
        if let (
            TrustSource::Truststore { password, .. },
            TrustSource::Truststore { password: new, .. },
        ) = (&mut changed.trust, other.trust)
        {
            *password = new;
        }
        changed
    }

    /// Returns whether this is a context of HTTPS, whose log sentences differ: of a node, or either of the console.
    pub(crate) fn is_http(&self) -> bool {
        self.name.starts_with("xpack.security.http.")
            || ["server.ssl", "elasticsearch.ssl"].contains(&self.name.as_str())
    }

    /// Reads everything in the context's keystore, from its file. Errors: the context has no keystore, or
    /// it cannot be read.
    pub fn read_keystore(&self) -> Result<Pkcs12, SslError> {
        let context = || self.name.clone();
        let KeySource::Keystore {
            path,
            password,
            key_password,
        } = &self.key
        else {
            return Err(SslError::NoKeystore { context: context() });
        };
        let store = load_store(&path.resolved, password, key_password.as_ref());
        store.map_err(|source| SslError::File {
            context: context(),
            kind: "keystore",
            source,
        })
    }

    /// Returns these files as absolute paths for the log, since settings may be relative.
    pub(crate) fn absolute_files(&self) -> String {
        let absolute = |path| std::path::absolute(path).unwrap_or_else(|_| Path::to_owned(path));
        let mut files: Vec<String> = Vec::new();
        for path in self.files() {
            let shown = format!("[{}]", absolute(path).display());
            if !files.contains(&shown) {
                files.push(shown);
            }
        }
        files.join(", ")
    }

    /// Returns every file the context is built from.
    pub fn files(&self) -> Vec<&Path> {
        let mut files: Vec<&Path> = Vec::new();
        match &self.key {
            KeySource::None => {}
            KeySource::Pem {
                key, certificate, ..
            } => files.extend([key.resolved.as_path(), certificate.resolved.as_path()]),
            KeySource::Keystore { path, .. } => files.push(&path.resolved),
        }
        match &self.trust {
            TrustSource::OwnCertificates | TrustSource::Fingerprints(_) => {}
            TrustSource::Pem(paths) => files.extend(paths.iter().map(|p| p.resolved.as_path())),
            TrustSource::Truststore { path, .. } => files.push(&path.resolved),
        }
        files.extend(
            self.revocation_lists
                .iter()
                .map(|path| path.resolved.as_path()),
        );
        if let Some((path, _)) = &self.restrictions {
            files.push(&path.resolved);
        }
        files.sort_unstable();
        files.dedup();
        files
    }

    /// Returns where the key and certificate are from, in words.
    pub(crate) fn key_description(&self) -> String {
        match &self.key {
            KeySource::None => "none".to_owned(),
            KeySource::Pem {
                key, certificate, ..
            } => format!(
                "certificate file [{}], key file [{}]",
                certificate.resolved.display(),
                key.resolved.display()
            ),
            KeySource::Keystore { path, .. } => {
                format!("keystore [{}]", path.resolved.display())
            }
        }
    }

    /// Returns how the trust is configured, in words.
    pub(crate) fn trust_description(&self) -> String {
        let own = |path: &ConfiguredPath| path.resolved.display().to_string();
        match (&self.trust, &self.key) {
            (TrustSource::Pem(paths), _) => {
                let files = if paths.len() == 1 { "file" } else { "files" };
                let paths: Vec<String> = paths.iter().map(own).collect();
                format!("PEM {files} [{}]", paths.join(", "))
            }
            (TrustSource::Truststore { path, .. }, _) => {
                format!("truststore [{}]", own(path))
            }
            (TrustSource::Fingerprints(pins), _) => {
                let pins: Vec<String> = pins.iter().map(hex::encode).collect();
                format!("SHA-256 fingerprints [{}]", pins.join(", "))
            }
            (TrustSource::OwnCertificates, KeySource::Keystore { path, .. }) => {
                format!("own keystore [{}]", own(path))
            }
            (TrustSource::OwnCertificates, KeySource::Pem { certificate, .. }) => {
                format!("own certificate file [{}]", own(certificate))
            }
            (TrustSource::OwnCertificates, KeySource::None) => "none".to_owned(),
        }
    }

    /// Returns the files that messages tell the operator to change, not looked at yet.
    pub(crate) fn operator_files(&self) -> ContextFiles {
        let certificate = match &self.key {
            KeySource::None => None,
            KeySource::Pem { certificate, .. } => Some(certificate.resolved.clone()),
            KeySource::Keystore { path, .. } => Some(path.resolved.clone()),
        };
        let trust = match &self.trust {
            TrustSource::Pem(paths) => paths.first().map(|path| path.resolved.clone()),
            TrustSource::Truststore { path, .. } => Some(path.resolved.clone()),
            TrustSource::OwnCertificates => certificate.clone(),
            TrustSource::Fingerprints(_) => None,
        };
        ContextFiles {
            certificate_kind: FileKind::default(),
            trust_kind: FileKind::default(),
            certificate,
            trust,
            borrowed: self.borrowed_trust.clone(),
        }
    }
}

/// The protocol versions used unless configured otherwise.
pub const DEFAULT_PROTOCOLS: [&str; 2] = ["TLSv1.3", "TLSv1.2"];

/// The cipher suites used unless configured otherwise: those of Elasticsearch's default list that
/// are authenticated and forward secret, in its order. Source: Elasticsearch reference, "Security settings in
/// Elasticsearch" (`cipher_suites`).
pub const DEFAULT_CIPHER_SUITES: [&str; 9] = [
    "TLS_AES_256_GCM_SHA384",
    "TLS_AES_128_GCM_SHA256",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
];
