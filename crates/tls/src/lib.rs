//! TLS for nodes and clients: contexts from settings, verification, diagnostics and reload.
//!
//! Start at [`SslContext`]: [`SslContext::load`] builds one from an [`SslConfig`],
//! [`SslContext::accept`] and [`SslContext::connect`] make connections, and
//! [`SslContext::spawn_watcher`] keeps it in step with its files.
//!
//! Invariants:
//! * This is the only crate that names rustls, and AWS-LC is its only cryptography.
//! * Sessions are never resumed: a resumed session would outlive the removal of the CA behind it.
//! * Every handshake has its own verifier, so a failure is explained with the right peer's certificate.
//! * A context's material is replaced whole or not at all.
//! * A chain costs a fixed number of signature checks at most (`path`), and handshakes run on threads of their own
//!   (`workers`).
//! * A certificate that is not a CA vouches for nothing but itself, even when it is trusted.
//!
//! Absent on purpose: public certificate authorities (node trust is explicit), revocation lists fetched from
//! elsewhere than files, matching of the subject's common name, TLS below 1.2.

mod checkup;
mod commands;
mod config;
mod context;
#[cfg(test)]
mod costly;
mod dialled;
mod digest;
mod display;
mod doubt;
mod error;
mod expiry;
mod failure;
mod from_settings;
mod hello;
#[cfg(test)]
mod limbo;
pub mod listen;
mod load;
mod material;
mod meter;
mod noting;
mod origin;
mod path;
mod penalty;
mod probe;
mod proof;
mod provider;
mod realm_trust;
mod refusals;
mod rehearsal;
mod reload;
mod remedy;
mod restrictions;
mod revocation;
mod sniff;
mod stream;
mod tools;
mod trust;
mod verifier;
mod workers;

pub use checkup::file_problems;
pub use config::{
    ConfiguredPath, DEFAULT_CIPHER_SUITES, DEFAULT_PROTOCOLS, HandshakeLimits, KeySource,
    SslConfig, TrustSource,
};
pub use context::SslContext;
pub use doubt::{Doubt, DoubtKind};
pub use error::SslError;
pub use expiry::{ExpiryWarning, since, spawn_expiry_warnings};
pub use failure::{FailureReason, HandshakeFailure, PeerRole, TrustedIssuer, explain_io_error};
pub use from_settings::{SslConfigError, SslConfigProblem};
pub use load::CertificateEntry;
pub use origin::origin;
pub use probe::{Speaks, speaks};
pub use refusals::{RefusalLog, ToldRefusal, with_certificate};
pub use rehearsal::Rehearsal;
pub use reload::{Reload, ReloadOutcome};
pub use restrictions::RestrictedField;
pub use revocation::RevocationListEntry;
pub use ringwall_pki::CertificateDer;
pub use ringwall_settings::{ClientAuthentication, VerificationMode};
pub use sniff::{PlaintextKind, UnexpectedTls, detect_plaintext, detect_tls};
pub use stream::{ByteStream, ClientStream, MaybeTlsStream, PeerIdentity, ServerStream, TlsStream};
pub use tools::ToolTrust;
