//! Why a TLS context cannot be built.

use std::path::PathBuf;

use ringwall_pki::PkiError;

/// A context's files or options do not make a working TLS context.
///
/// The text starts with Elasticsearch's wrapper sentence. Source: node.md section 2.2.
#[derive(Debug, thiserror::Error)]
pub enum SslError {
    /// A file cannot be read, or its content does not fit.
    #[error("failed to load SSL configuration [{context}] - {kind}: {source}")]
    File {
        context: String,
        /// What the file is to the operator, such as `PEM private key`.
        kind: &'static str,
        source: PkiError,
    },
    /// A keystore is needed where the context has none.
    #[error("[{context}] is not configured with a keystore: set [{context}.keystore.path]")]
    NoKeystore { context: String },
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
        "failed to load SSL configuration [{context}] - none of the ciphers {configured:?} are supported"
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
        "failed to load SSL configuration [{context}] - none of the protocols {configured:?} in \
         [{context}.supported_protocols] are supported; add TLSv1.3 or TLSv1.2"
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

fn display_all(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths
        .iter()
        .map(|path| format!("[{}]", path.display()))
        .collect();
    paths.join(", ")
}
