//! Everything that can go wrong with certificates, keys and their files.

use std::path::{Path, PathBuf};

/// A failure with the facts an operator needs: which file, what was expected, what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PkiError {
    /// The file does not exist. The words are those of Elasticsearch's `SslFileUtil`.
    #[error("cannot read [{}] because the file does not exist", path.display())]
    FileNotFound { path: PathBuf },
    /// The operating system refuses access to the file.
    #[error("not permitted to read the file [{}]; check its owner and mode", path.display())]
    AccessDenied { path: PathBuf },
    /// Reading failed for another reason.
    #[error("cannot read [{}]: {error}", path.display())]
    Read {
        path: PathBuf,
        error: std::io::Error,
    },
    /// The file is larger than any key or certificate file.
    #[error("[{}] is larger than {limit} bytes: this is not a key or certificate file", path.display())]
    FileTooLarge { path: PathBuf, limit: u64 },
    /// The file has no content.
    #[error("[{}] is empty", path.display())]
    FileEmpty { path: PathBuf },

    /// The password does not open the file.
    #[error(
        "cannot open [{}]: this is usually caused by an incorrect password ({})",
        path.display(),
        if *password_given { "a password was provided" } else { "no password was provided" }
    )]
    WrongPassword { path: PathBuf, password_given: bool },
    /// The password opens the PKCS#12 file, but not the key inside. Source: RFC 7292 section 4.2.2.
    #[error(
        "cannot open the private key in [{}]: this is usually caused by an incorrect key-password ({})",
        path.display(),
        if *key_password_given {
            "a key-password was provided"
        } else {
            "we tried to access the key using the same password as the keystore"
        }
    )]
    WrongKeyPassword {
        path: PathBuf,
        key_password_given: bool,
    },
    /// The key is encrypted and there is no passphrase.
    #[error(
        "the private key in [{}] is encrypted but no passphrase was provided; set the secure key passphrase",
        path.display()
    )]
    PassphraseRequired { path: PathBuf },

    /// The file is a Java keystore in the JCEKS format, or one of the JKS format where that is not read.
    #[error(
        "[{}] is a {format} keystore, which is not supported; convert it to PKCS#12: `keytool -importkeystore \
         -srckeystore {} -destkeystore {} -deststoretype PKCS12`",
        path.display(),
        path.display(),
        converted(path).display()
    )]
    JavaKeystore { path: PathBuf, format: &'static str },
    /// A PEM file was named where a PKCS#12 file belongs.
    #[error(
        "[{}] is a PEM file but a PKCS#12 file was expected; name PEM files with [key] and [certificate] or \
         [certificate_authorities] instead of [keystore.path] or [truststore.path]",
        path.display()
    )]
    PemInsteadOfPkcs12 { path: PathBuf },
    /// A PKCS#12 file was named where a PEM file belongs.
    #[error(
        "[{}] is a PKCS#12 file but a PEM file was expected; name it with [keystore.path] or [truststore.path] \
         instead of [key], [certificate] or [certificate_authorities]",
        path.display()
    )]
    Pkcs12InsteadOfPem { path: PathBuf },
    /// A PKCS#12 file was made text of, as secrets of orchestrators are.
    #[error(
        "[{}] is a base64 copy of a PKCS#12 file: decode it with `base64 -d {} > {}`, and name that file",
        path.display(),
        path.display(),
        decoded(path).display()
    )]
    Base64Copy { path: PathBuf },
    /// The file is neither of the formats we read.
    #[error("[{}] is not a {expected} file: {reason}", path.display())]
    Malformed {
        path: PathBuf,
        expected: &'static str,
        reason: String,
    },
    /// A PEM block does not end with the line that belongs to it. The words are those of Elasticsearch's `PemUtils`.
    #[error(
        "[{}]: Malformed PEM file, PEM footer is invalid or missing (no END {label} after BEGIN {label}); the file \
         is cut off or damaged, copy it again",
        path.display()
    )]
    NoPemFooter { path: PathBuf, label: String },
    /// The file uses an algorithm that we do not read.
    #[error("[{}] uses {what}, which is not supported; {}", path.display(), about(hint, path))]
    UnsupportedAlgorithm {
        path: PathBuf,
        what: String,
        hint: &'static str,
    },

    /// The keystore holds no private key.
    #[error("the keystore [{}] does not contain a private key entry", path.display())]
    NoPrivateKey { path: PathBuf },
    /// The keystore's private key has no certificate.
    #[error("the private key [{alias}] in [{}] has no certificate in that file", path.display())]
    KeyWithoutCertificate { path: PathBuf, alias: String },
    /// The keystore holds several keys and nothing says which to use.
    #[error(
        "the keystore [{}] contains several private keys ({}); keep only the one to use",
        path.display(),
        aliases.join(", ")
    )]
    SeveralPrivateKeys { path: PathBuf, aliases: Vec<String> },
    /// The CA file does not hold exactly one key. The words are those of Elasticsearch's `CertificateTool`.
    #[error("expected a single key in file [{}] but found [{count}]", path.display())]
    NotASingleKey { path: PathBuf, count: usize },
    /// The truststore trusts nothing. Source: the documentation of Java's PKCS12 `KeyStore`.
    #[error(
        "the truststore [{}] does not contain any trusted certificate entries; it has {others} other \
         certificate(s)",
        path.display()
    )]
    NoTrustedCertificates { path: PathBuf, others: usize },
    /// A PEM file holds no certificate.
    #[error("[{}] contains no certificate (no BEGIN CERTIFICATE block)", path.display())]
    NoCertificates { path: PathBuf },
    /// A PEM file holds no private key that we read.
    #[error(
        "cannot read PEM private key [{}] because the file does not contain a supported key format{}",
        path.display(),
        found(labels)
    )]
    NoPemKey { path: PathBuf, labels: Vec<String> },
    /// A certificate inside the file cannot be decoded.
    #[error("certificate {position} in [{}] is malformed: {reason}", path.display())]
    MalformedCertificate {
        path: PathBuf,
        position: usize,
        reason: String,
    },
    /// The private key belongs to another certificate.
    #[error(
        "the private key in [{}] does not match the certificate [{subject}] in [{}]",
        key_path.display(),
        certificate_path.display()
    )]
    KeyMismatch {
        key_path: PathBuf,
        certificate_path: PathBuf,
        subject: String,
    },

    /// A certificate given as bytes cannot be decoded.
    #[error("malformed certificate: {0}")]
    BadCertificate(String),
    /// A private key given as bytes cannot be decoded or has an unsupported algorithm.
    #[error("unusable private key: {0}")]
    BadKey(String),
    /// The CA certificate may not sign certificates. Source: RFC 5280 section 4.2.1.9.
    #[error("ca certificate is not a CA! [{subject}] has no basicConstraints CA:TRUE")]
    NotACa { subject: String },
    /// The requested RSA key size cannot be generated.
    #[error(
        "RSA key size {0} is not supported; use a multiple of 8 from 2048 to 8192: shorter keys are not safe, and nodes take no others"
    )]
    KeySize(u32),
    /// The requested validity is out of range. Source: Elasticsearch reference, "elasticsearch-certutil" (`--days`).
    #[error("{0}")]
    Validity(&'static str),
    /// The text is no distinguished name.
    #[error("[{text}] could not be converted to a valid DN: {reason}")]
    InvalidName { text: String, reason: String },
    /// The text is no DNS name.
    #[error("[{0}] is not a valid DNS name")]
    InvalidDnsName(String),
    /// PKCS#12 passwords outside ASCII are unreadable by Java.
    #[error("PKCS#12 passwords must be plain ASCII")]
    NonAsciiPassword,
    /// Two entries of one file would have the same alias.
    #[error("two entries of the PKCS#12 file are named [{0}]; choose another name")]
    DuplicateAlias(String),
    /// The cryptographic library refused.
    #[error("cannot {0}")]
    Crypto(&'static str),
    /// Encoding a file failed.
    #[error("cannot encode {what}: {reason}")]
    Encode { what: &'static str, reason: String },
}

impl PkiError {
    /// Returns the file that the error is about, if it is about one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::FileNotFound { path }
            | Self::AccessDenied { path }
            | Self::Read { path, .. }
            | Self::FileTooLarge { path, .. }
            | Self::FileEmpty { path }
            | Self::WrongPassword { path, .. }
            | Self::WrongKeyPassword { path, .. }
            | Self::PassphraseRequired { path }
            | Self::JavaKeystore { path, .. }
            | Self::PemInsteadOfPkcs12 { path }
            | Self::Pkcs12InsteadOfPem { path }
            | Self::Malformed { path, .. }
            | Self::Base64Copy { path }
            | Self::NoPemFooter { path, .. }
            | Self::UnsupportedAlgorithm { path, .. }
            | Self::NoPrivateKey { path }
            | Self::KeyWithoutCertificate { path, .. }
            | Self::SeveralPrivateKeys { path, .. }
            | Self::NotASingleKey { path, .. }
            | Self::NoTrustedCertificates { path, .. }
            | Self::NoCertificates { path }
            | Self::NoPemKey { path, .. }
            | Self::MalformedCertificate { path, .. } => Some(path),
            Self::KeyMismatch {
                certificate_path, ..
            } => Some(certificate_path),
            _ => None,
        }
    }
}

/// Returns where to convert a store to: never the file itself, which the tool would overwrite.
fn converted(path: &Path) -> PathBuf {
    let beside = path.with_extension("p12");
    if beside != path {
        return beside;
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}-converted.p12"))
}

/// Puts the file, and one beside it, into a command.
fn about(hint: &str, path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let new = path.with_file_name(format!("{stem}-new.key"));
    hint.replace("OLD", &path.display().to_string())
        .replace("NEW", &new.display().to_string())
}

fn decoded(path: &Path) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}-decoded.p12"))
}

fn found(labels: &[String]) -> String {
    if labels.is_empty() {
        String::new()
    } else {
        format!(" (found: {})", labels.join(", "))
    }
}
