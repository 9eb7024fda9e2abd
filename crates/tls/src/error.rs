//! Why a TLS context cannot be built.

use std::path::{Path, PathBuf};

use ringwall_pki::PkiError;

use crate::commands::quoted;

/// A context's files or options do not make a working TLS context.
///
/// The text starts with Elasticsearch's wrapper sentence, that of its `SSLService`.
#[derive(Debug, thiserror::Error)]
pub enum SslError {
    /// A file cannot be read, or its content does not fit.
    #[error(
        "failed to load SSL configuration [{context}] - {}",
        about_file(kind, source)
    )]
    File {
        context: String,
        /// What the file is to the operator, such as `PEM private key`.
        kind: &'static str,
        source: PkiError,
    },
    /// Several files of one setting do not exist.
    #[error(
        "failed to load SSL configuration [{context}] - cannot read configured {kind} [{}] because one or more \
         files do not exist",
        joined(paths)
    )]
    FilesNotFound {
        context: String,
        /// As in [`SslError::File`].
        kind: &'static str,
        /// Those that are missing.
        paths: Vec<PathBuf>,
    },
    /// A keystore is needed where the context has none.
    #[error("[{context}] is not configured with a keystore: set [{context}.keystore.path]")]
    NoKeystore { context: String },
    /// The truststore holds no certificate that is marked as trusted. Source: Elasticsearch's `KeyStoreUtil`.
    #[error(
        "failed to load SSL configuration [{context}] - the truststore [{}] does not contain any trusted certificate \
         entries; it has {others} other certificate(s)",
        path.display()
    )]
    TrustsNothing {
        context: String,
        path: PathBuf,
        others: usize,
        /// The keystore of the node, if it holds what is trusted as well.
        own_keystore: Option<PathBuf>,
    },
    /// A trusted certificate is unusable.
    #[error(
        "failed to load SSL configuration [{context}] - cannot trust {reason} (from {})",
        display_all(files)
    )]
    Trust {
        context: String,
        files: Vec<PathBuf>,
        reason: String,
    },
    /// A certificate revocation list is unusable.
    #[error(
        "failed to load SSL configuration [{context}] - cannot use [{}] of \
         [{context}.certificate_revocation_lists]: {reason}",
        path.display()
    )]
    RevocationList {
        context: String,
        path: PathBuf,
        reason: String,
    },
    /// The file of trusted names is unusable.
    #[error(
        "failed to load SSL configuration [{context}] - cannot use [{}] of \
         [{context}.trust_restrictions.path]: {reason}",
        path.display()
    )]
    Restrictions {
        context: String,
        path: PathBuf,
        reason: String,
    },
    /// The certificate belongs to another private key.
    #[error(
        "failed to load SSL configuration [{context}] - the private key in [{}] does not belong to the \
         certificate [{subject}] in [{}]; if they are being replaced, replace both",
        key.display(),
        certificate.display()
    )]
    KeyMismatch {
        context: String,
        key: PathBuf,
        certificate: PathBuf,
        subject: String,
    },
    /// The cryptography library refuses the private key.
    #[error("failed to load SSL configuration [{context}] - the private key in [{}] cannot be used: {reason}", path.display())]
    Key {
        context: String,
        path: PathBuf,
        reason: String,
    },
    /// No configured cipher suite is implemented.
    #[error(
        "failed to load SSL configuration [{context}] - none of the ciphers [{}] are supported",
        configured.join(", ")
    )]
    NoCipherSuite {
        context: String,
        configured: Vec<String>,
    },
    /// A protocol version nobody knows.
    #[error(
        "failed to load SSL configuration [{context}] - unknown protocol [{protocol}] in \
         [{context}.supported_protocols]; use TLSv1.3 and TLSv1.2 (names are case-sensitive)"
    )]
    UnknownProtocol { context: String, protocol: String },
    /// Only obsolete protocol versions are configured.
    #[error(
        "failed to load SSL configuration [{context}] - none of the protocols [{}] in \
         [{context}.supported_protocols] are supported; add TLSv1.3 or TLSv1.2",
        configured.join(", ")
    )]
    NoProtocol {
        context: String,
        configured: Vec<String>,
    },
    /// The text is no SHA-256 fingerprint.
    #[error(
        "[{fingerprint}] is not a SHA-256 fingerprint for [{context}]: expected 64 hex digits, with or without colons"
    )]
    InvalidFingerprint {
        context: String,
        fingerprint: String,
    },
    /// The cipher suites do not serve the protocol versions.
    #[error(
        "failed to load SSL configuration [{context}] - {reason}; check [{context}.cipher_suites] and [{context}.supported_protocols]"
    )]
    Combination { context: String, reason: String },
}

impl SslError {
    /// Returns the setting to look at, by its full key or the prefix of the context.
    pub fn setting(&self) -> String {
        match self {
            Self::File { context, kind, .. } | Self::FilesNotFound { context, kind, .. } => {
                let key = match *kind {
                    "PEM private key" => "key",
                    "PEM certificate" => "certificate",
                    "PEM certificate_authorities" => "certificate_authorities",
                    "[PKCS12] keystore (as a truststore)" | "[jks] keystore (as a truststore)" => {
                        "truststore.path"
                    }
                    "certificate_revocation_lists" => "certificate_revocation_lists",
                    "trust_restrictions.path" => "trust_restrictions.path",
                    _ => "keystore.path",
                };
                format!("{context}.{key}")
            }
            Self::RevocationList { context, .. } => {
                format!("{context}.certificate_revocation_lists")
            }
            Self::Restrictions { context, .. } => format!("{context}.trust_restrictions.path"),
            Self::NoCipherSuite { context, .. } | Self::Combination { context, .. } => {
                format!("{context}.cipher_suites")
            }
            Self::UnknownProtocol { context, .. } | Self::NoProtocol { context, .. } => {
                format!("{context}.supported_protocols")
            }
            Self::TrustsNothing { context, .. } => format!("{context}.truststore.path"),
            Self::NoKeystore { context }
            | Self::Trust { context, .. }
            | Self::KeyMismatch { context, .. }
            | Self::Key { context, .. }
            | Self::InvalidFingerprint { context, .. } => context.clone(),
        }
    }

    /// Returns whether a file could not be read, so that trying again may help although nothing has changed.
    pub(crate) fn is_io(&self) -> bool {
        matches!(
            self,
            Self::File {
                source: PkiError::FileNotFound { .. }
                    | PkiError::AccessDenied { .. }
                    | PkiError::Read { .. },
                ..
            }
        )
    }

    /// Returns the file to look at.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File { source, .. } => source.path(),
            Self::Trust { files, .. } | Self::FilesNotFound { paths: files, .. } => {
                files.first().map(PathBuf::as_path)
            }
            Self::RevocationList { path, .. }
            | Self::Restrictions { path, .. }
            | Self::TrustsNothing { path, .. }
            | Self::Key { path, .. } => Some(path),
            Self::KeyMismatch { certificate, .. } => Some(certificate),
            _ => None,
        }
    }

    /// Returns what to do; empty where the text of the error says it.
    pub fn remedy(&self) -> String {
        let secure = |context: &str, kind: &str| match kind {
            "PEM private key" => format!("{context}.secure_key_passphrase"),
            "[PKCS12] keystore (as a truststore)" | "[jks] keystore (as a truststore)" => {
                format!("{context}.truststore.secure_password")
            }
            _ => format!("{context}.keystore.secure_password"),
        };
        match self {
            Self::File {
                context,
                kind,
                source,
            } => match source {
                PkiError::FileNotFound { .. } => PUT_THERE.to_owned(),
                PkiError::WrongKeyPassword { .. } => format!(
                    "store the password of the key: `elasticsearch-keystore add {context}.keystore.secure_key_password`; \
                     remove it if the key has the password of the keystore"
                ),
                PkiError::AccessDenied { .. } => {
                    "let the user that runs the node read the file".to_owned()
                }
                PkiError::WrongPassword { .. } | PkiError::PassphraseRequired { .. } => format!(
                    "store the password of the file: `elasticsearch-keystore add {}`",
                    secure(context, kind)
                ),
                PkiError::KeyMismatch { .. } => TOGETHER.to_owned(),
                // They say it themselves.
                PkiError::Base64Copy { .. }
                | PkiError::JavaKeystore { .. }
                | PkiError::UnsupportedAlgorithm { .. }
                | PkiError::PemInsteadOfPkcs12 { .. }
                | PkiError::Pkcs12InsteadOfPem { .. } => String::new(),
                other => match other.path() {
                    Some(path) => format!(
                        "`elasticsearch-certutil inspect {}` tells what is in the file",
                        quoted(path)
                    ),
                    None => String::new(),
                },
            },
            Self::TrustsNothing {
                context,
                path,
                own_keystore,
                ..
            } => {
                let own = own_keystore.as_ref().map(|own| {
                    format!(
                        "name the keystore of this node, [{}], in [{context}.truststore.path]: it holds the CA as well; or ",
                        own.display()
                    )
                });
                format!(
                    "{}write the certificate of the CA into a PEM file, `openssl pkcs12 -in {} -nokeys -out {}`, and name \
                     that in [{context}.certificate_authorities] in the place of the truststore",
                    own.unwrap_or_default(),
                    quoted(path),
                    quoted(&path.with_extension("crt"))
                )
            }
            Self::FilesNotFound { .. } => PUT_THERE.to_owned(),
            Self::KeyMismatch { .. } => TOGETHER.to_owned(),
            Self::Trust { .. } | Self::RevocationList { .. } | Self::Restrictions { .. } => {
                "replace the file, or take it out of the setting".to_owned()
            }
            Self::Key { .. } => {
                "make another key and certificate, with elasticsearch-certutil for example"
                    .to_owned()
            }
            Self::NoCipherSuite { .. } => {
                "remove the setting: the default suites are good".to_owned()
            }
            _ => String::new(),
        }
    }
}

/// Says what is wrong with a file, in the words of Elasticsearch's `SslFileUtil` where it has any.
fn about_file(kind: &str, source: &PkiError) -> String {
    match source {
        PkiError::FileNotFound { path } => format!(
            "cannot read configured {kind} [{}] because the file does not exist",
            path.display()
        ),
        PkiError::AccessDenied { path } => format!(
            "not permitted to read the {kind} file [{}]; check its owner and mode",
            path.display()
        ),
        PkiError::FileEmpty { path } if kind == "PEM private key" => {
            format!(
                "Error parsing Private Key [{}], file is empty",
                path.display()
            )
        }
        other => format!("{kind}: {other}"),
    }
}

fn joined(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    paths.join(", ")
}

fn display_all(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths
        .iter()
        .map(|path| format!("[{}]", path.display()))
        .collect();
    paths.join(", ")
}

const PUT_THERE: &str = "put the file there, or correct the setting; relative paths begin at the configuration \
                         directory";
const TOGETHER: &str = "put the key and the certificate that were made together in place; if they are being \
                        replaced, replace both";
