//! A failed handshake, told in one line: who, why, what is trusted here, what to do.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use ringwall_pki::{CertificateInfo, FileFormat};
use rustls::{AlertDescription, CertificateError, PeerIncompatible};

use crate::display;
use crate::remedy;
use crate::sniff::PlaintextKind;

/// Which end of the connection the peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PeerRole {
    /// The peer dialled us.
    Client,
    /// We dialled the peer.
    Server,
}

impl fmt::Display for PeerRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Server => "server",
        })
    }
}

/// A certificate in a context's trust, as messages show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedIssuer {
    /// RFC 2253 distinguished name.
    pub subject: String,
    /// Lower-case hex SHA-1 of the DER, as Elasticsearch shows it.
    pub fingerprint: String,
    /// Whether it may vouch for other certificates; if not, it is trusted only as itself.
    pub is_ca: bool,
}

/// Why a handshake failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureReason {
    /// The peer had to show a certificate and did not.
    NoCertificate,
    /// No certificate trusted here vouches for the peer's chain.
    UntrustedIssuer {
        /// The issuer named by the last certificate that the peer sent.
        issuer: String,
        /// The peer's only certificate names itself as its issuer.
        self_issued: bool,
        trusted: Vec<TrustedIssuer>,
        /// A certificate of that name is trusted, but it holds another key: the CA was made anew.
        same_subject_different_key: bool,
    },
    /// A certificate of the peer's chain is past its last day.
    Expired {
        subject: String,
        not_after: Timestamp,
    },
    /// A certificate of the peer's chain is before its first day.
    NotYetValid {
        subject: String,
        not_before: Timestamp,
    },
    /// The authority of a certificate of the chain has taken it back: a certificate revocation list
    /// configured here names it. `serial` is lower-case hex.
    Revoked { subject: String, serial: String },
    /// A trusted certificate signed it that is no authority.
    IssuerIsNoAuthority { issuer: String },
    /// The certificate has none of the names that `trust_restrictions` asks for.
    Restricted {
        names: Vec<String>,
        /// As they are written, with their lines.
        trusted: Vec<(String, usize)>,
        /// The file that they stand in.
        file: PathBuf,
        /// What `x509_fields` looks at.
        fields: Vec<&'static str>,
    },
    /// The certificate is for other names than the one dialled.
    NameMismatch { dialled: String, sans: Vec<String> },
    /// The name dialled is none that a certificate may hold.
    UnverifiableName { dialled: String },
    /// The certificate is not for this use.
    WrongUsage { detail: String },
    /// The certificate is malformed or breaks another rule of path validation.
    BadCertificate(String),
    /// The peer does not speak TLS.
    Plaintext(PlaintextKind),
    /// The peer refused us, with this TLS alert (its name in RFC 8446's spelling).
    PeerRejectedUs { alert: String },
    /// The two sides have no protocol version or cipher suite in common.
    Incompatible(String),
    /// The handshake did not finish in time.
    Timeout { after: Duration },
    /// The peer closed the connection before the handshake was over.
    Closed,
    /// The socket failed.
    Io(String),
    /// This context has no private key to accept with.
    NoKey,
    /// The peer breaks the TLS protocol.
    Protocol(String),
    /// Handshakes from the peer's address have failed again and again, and as many of them wait as may.
    TooManyFailures,
}

impl FailureReason {
    /// Returns the reason in a few words, without the certificate it is about.
    pub fn detail(&self) -> String {
        match self {
            Self::UntrustedIssuer { issuer, .. } => {
                format!("its issuer [{issuer}] is not trusted")
            }
            Self::IssuerIsNoAuthority { issuer } => is_no_authority(issuer),
            Self::WrongUsage { detail } | Self::BadCertificate(detail) => detail.clone(),
            other => other.kind().to_owned(),
        }
    }

    /// Returns a short constant name, for metrics and for limiting repeated log lines.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoCertificate => "no_certificate",
            Self::UntrustedIssuer { .. } => "untrusted_issuer",
            Self::Expired { .. } => "expired",
            Self::NotYetValid { .. } => "not_yet_valid",
            Self::Revoked { .. } => "revoked",
            Self::IssuerIsNoAuthority { .. } => "issuer_is_no_ca",
            Self::Restricted { .. } => "trust_restrictions",
            Self::NameMismatch { .. } => "name_mismatch",
            Self::UnverifiableName { .. } => "unverifiable_name",
            Self::WrongUsage { .. } => "wrong_usage",
            Self::BadCertificate(_) => "bad_certificate",
            Self::Plaintext(_) => "plaintext",
            Self::PeerRejectedUs { .. } => "peer_rejected_us",
            Self::Incompatible(_) => "incompatible",
            Self::Timeout { .. } => "timeout",
            Self::Closed => "closed",
            Self::Io(_) => "io",
            Self::NoKey => "no_key",
            Self::Protocol(_) => "protocol",
            Self::TooManyFailures => "too_many_failures",
        }
    }

    /// Returns whether this side refused the peer's certificate.
    pub(crate) fn is_distrust(&self) -> bool {
        matches!(
            self,
            Self::NoCertificate
                | Self::UntrustedIssuer { .. }
                | Self::Expired { .. }
                | Self::NotYetValid { .. }
                | Self::Revoked { .. }
                | Self::IssuerIsNoAuthority { .. }
                | Self::Restricted { .. }
                | Self::NameMismatch { .. }
                | Self::UnverifiableName { .. }
                | Self::WrongUsage { .. }
                | Self::BadCertificate(_)
        )
    }
}

/// A handshake that failed. `Display` is the one line for the log of this side.
#[derive(Debug, Clone)]
pub struct HandshakeFailure(pub(crate) Box<Details>);

/// Everything known about one failed handshake.
#[derive(Debug, Clone)]
pub(crate) struct Details {
    pub(crate) subject: Subject,
    pub(crate) reason: FailureReason,
    /// The chain the peer showed, leaf first; empty when it showed none or none was readable.
    pub(crate) chain: Vec<CertificateInfo>,
    pub(crate) at: Timestamp,
}

/// The connection a failure is about, known before the handshake starts.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) context: Arc<ContextFacts>,
    pub(crate) peer: SocketAddr,
    pub(crate) role: PeerRole,
}

/// What messages say about the context itself.
#[derive(Debug, Clone)]
pub(crate) struct ContextFacts {
    /// The settings prefix.
    pub(crate) name: String,
    pub(crate) is_http: bool,
    /// Such as `PEM file [/etc/ca.crt]`.
    pub(crate) trust: String,
    /// Such as `keystore [/etc/node.p12]`.
    pub(crate) key: String,
    pub(crate) files: ContextFiles,
    /// The certificate this side shows.
    pub(crate) own: Option<CertificateInfo>,
    /// The authority that issued it, if this side has its certificate.
    pub(crate) own_issuer: Option<CertificateInfo>,
    pub(crate) issuers: Vec<TrustedIssuer>,
    /// TLS versions and cipher suites that this side offers and accepts, in their usual spelling.
    pub(crate) protocols: Vec<String>,
    pub(crate) cipher_suites: Vec<String>,
}

/// The files that an operator would have to change.
#[derive(Debug, Clone, Default)]
pub(crate) struct ContextFiles {
    /// Holds the certificate that this side shows, and what should follow it.
    pub(crate) certificate: Option<PathBuf>,
    /// The first file that trusted authorities are read from; `None` where fingerprints are trusted.
    pub(crate) trust: Option<PathBuf>,
    pub(crate) certificate_kind: FileKind,
    pub(crate) trust_kind: FileKind,
    /// A file of the trust that another layer uses, and the settings prefix of that layer.
    pub(crate) borrowed: Option<(PathBuf, String)>,
}

/// How a file holds certificates, which decides how another gets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum FileKind {
    #[default]
    Pem,
    /// One certificate in DER.
    Der,
    /// PKCS#7 in DER.
    Pkcs7,
    /// PKCS#12 or JKS.
    Store,
}

impl FileKind {
    /// Looks at a file. Blocking.
    pub(crate) fn of(file: Option<&PathBuf>) -> Self {
        let content = file.and_then(|file| std::fs::read(file).ok());
        let content = content.unwrap_or_default();
        match ringwall_pki::detect_format(&content) {
            FileFormat::Pkcs12 | FileFormat::Jks | FileFormat::Jceks => Self::Store,
            FileFormat::Der if CertificateInfo::from_der(&content).is_ok() => Self::Der,
            FileFormat::Der => Self::Pkcs7,
            FileFormat::Pem | FileFormat::Base64Pkcs12 | FileFormat::Unknown => Self::Pem,
        }
    }
}

impl Subject {
    /// Returns a failure about this connection without a certificate of the peer.
    pub(crate) fn failure(&self, reason: FailureReason) -> HandshakeFailure {
        self.failure_with_chain(reason, Vec::new())
    }

    pub(crate) fn failure_with_chain(
        &self,
        reason: FailureReason,
        chain: Vec<CertificateInfo>,
    ) -> HandshakeFailure {
        HandshakeFailure(Box::new(Details {
            subject: self.clone(),
            reason,
            chain,
            at: Timestamp::now(),
        }))
    }
}

impl HandshakeFailure {
    /// Returns the peer's socket address.
    pub fn peer(&self) -> SocketAddr {
        self.0.subject.peer
    }

    /// Returns which end the peer is.
    pub fn peer_role(&self) -> PeerRole {
        self.0.subject.role
    }

    /// Returns the settings prefix of the context.
    pub fn context(&self) -> &str {
        &self.0.subject.context.name
    }

    /// Returns why the handshake failed.
    pub fn reason(&self) -> &FailureReason {
        &self.0.reason
    }

    /// Returns the certificate the peer showed, if one was seen.
    pub fn certificate(&self) -> Option<&CertificateInfo> {
        self.0.chain.first()
    }

    /// Returns the certificate that this side shows, if it has one.
    pub fn own_certificate(&self) -> Option<&CertificateInfo> {
        self.0.subject.context.own.as_ref()
    }

    /// Returns who failed and why, in one line without what to do.
    pub fn what(&self) -> String {
        display::one_line(|f| display::write_what(f, &self.0))
    }

    /// Returns what to do; empty where there is nothing to advise.
    pub fn remedy(&self) -> String {
        display::one_line(|f| remedy::write_remedy(f, &self.0))
    }

    /// Returns whether this is everyday noise (health checks, port scans, resets) that belongs at
    /// DEBUG. Source: Elasticsearch reference, "Common SSL/TLS exceptions".
    pub fn is_routine(&self) -> bool {
        matches!(self.0.reason, FailureReason::Closed | FailureReason::Io(_))
            && self.0.subject.role == PeerRole::Client
    }
}

impl fmt::Display for HandshakeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display::write_failure(f, &self.0)
    }
}

impl std::error::Error for HandshakeFailure {}

/// Returns the failure inside an I/O error of a [`TlsStream`](crate::TlsStream).
///
/// In TLS 1.3 a dialler believes it is connected before the acceptor has looked at its certificate; a
/// refusal arrives with the first read, as an I/O error that holds the failure.
pub fn explain_io_error(error: &io::Error) -> Option<&HandshakeFailure> {
    error.get_ref()?.downcast_ref()
}

/// Returns the rustls error inside an I/O error.
pub(crate) fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// Returns whether the peer's signature over the handshake does not verify.
pub(crate) fn is_bad_signature(error: &io::Error) -> bool {
    matches!(
        rustls_error(error),
        Some(rustls::Error::InvalidCertificate(
            CertificateError::BadSignature
        ))
    )
}

/// Returns what a failed handshake's error means, when this side did not itself refuse a certificate.
pub(crate) fn classify(error: &io::Error) -> FailureReason {
    use rustls::{Error, InvalidMessage};
    let Some(tls) = rustls_error(error) else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof => FailureReason::Closed,
            _ => FailureReason::Io(error.to_string()),
        };
    };
    match tls {
        Error::NoCertificatesPresented => FailureReason::NoCertificate,
        Error::AlertReceived(alert) => FailureReason::PeerRejectedUs {
            alert: alert_name(*alert),
        },
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            FailureReason::Plaintext(PlaintextKind::Other)
        }
        Error::PeerIncompatible(PeerIncompatible::ExtendedMasterSecretExtensionRequired) => {
            FailureReason::Incompatible(NO_EXTENDED_MASTER_SECRET.to_owned())
        }
        Error::PeerIncompatible(reason) => {
            FailureReason::Incompatible(spaced(&format!("{reason:?}")))
        }
        Error::NoApplicationProtocol => {
            FailureReason::Incompatible("no application protocol in common (ALPN)".to_owned())
        }
        Error::InvalidCertificate(CertificateError::BadSignature) => {
            FailureReason::BadCertificate(NOT_ITS_KEY.to_owned())
        }
        Error::InvalidCertificate(reason) => FailureReason::BadCertificate(reason.to_string()),
        other => FailureReason::Protocol(other.to_string()),
    }
}

const NO_EXTENDED_MASTER_SECRET: &str = "it speaks TLS 1.2 without the extended master secret (RFC 7627), which a link \
    between nodes needs";

/// Writes the name of a variant as words: `NoKxGroupsInCommon` as `no kx groups in common`.
fn spaced(name: &str) -> String {
    let mut words = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(c.to_lowercase());
    }
    words
}

/// Writes that a certificate issues others and may not.
pub(crate) fn is_no_authority(issuer: &str) -> String {
    format!(
        "the trusted certificate [{issuer}] signed it, but is no CA (basicConstraints CA:TRUE is missing; one of X.509 \
         version 1 has no extensions at all)"
    )
}

/// Returns the alert's name as RFC 8446 writes it.
pub(crate) fn alert_name(alert: AlertDescription) -> String {
    let name = match alert {
        AlertDescription::CloseNotify => "close_notify",
        AlertDescription::UnexpectedMessage => "unexpected_message",
        AlertDescription::BadRecordMac => "bad_record_mac",
        AlertDescription::RecordOverflow => "record_overflow",
        AlertDescription::HandshakeFailure => "handshake_failure",
        AlertDescription::NoCertificate => "no_certificate",
        AlertDescription::BadCertificate => "bad_certificate",
        AlertDescription::UnsupportedCertificate => "unsupported_certificate",
        AlertDescription::CertificateRevoked => "certificate_revoked",
        AlertDescription::CertificateExpired => "certificate_expired",
        AlertDescription::CertificateUnknown => "certificate_unknown",
        AlertDescription::IllegalParameter => "illegal_parameter",
        AlertDescription::UnknownCA => "unknown_ca",
        AlertDescription::AccessDenied => "access_denied",
        AlertDescription::DecodeError => "decode_error",
        AlertDescription::DecryptError => "decrypt_error",
        AlertDescription::ProtocolVersion => "protocol_version",
        AlertDescription::InsufficientSecurity => "insufficient_security",
        AlertDescription::InternalError => "internal_error",
        AlertDescription::UserCanceled => "user_canceled",
        AlertDescription::MissingExtension => "missing_extension",
        AlertDescription::UnrecognisedName => "unrecognized_name",
        AlertDescription::CertificateRequired => "certificate_required",
        AlertDescription::NoApplicationProtocol => "no_application_protocol",
        other => return format!("number {}", u8::from(other)),
    };
    name.to_owned()
}

const NOT_ITS_KEY: &str =
    "the peer does not hold its key: the signature over the handshake is of another one";
