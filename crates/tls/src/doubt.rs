//! What about a context works badly, or will not work with others although its files are good.

use std::fmt;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::expiry::{ExpiryWarning, since};
use crate::failure::{FailureReason, PeerRole};

/// Something that a node starts with although it is probably not meant. `Display` is the line for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// The settings prefix of the context.
    pub context: String,
    pub kind: DoubtKind,
}

/// What is doubtful.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DoubtKind {
    /// A file is read in another way than its maker may think.
    Oddity(String),
    /// A revocation list is stale, superseded, or of nobody who is trusted; the text says which and why.
    RevocationList(String),
    /// A trusted CA cannot vouch for anyone; the text says which and why.
    UnusableAuthority(String),
    /// The certificate that this node shows is past its last day, or before its first.
    OwnOutsideDates {
        subject: String,
        not_before: Timestamp,
        not_after: Timestamp,
        /// How to make another, with commands.
        renew: String,
    },
    /// This node would refuse its own certificate, so nodes configured alike refuse one another.
    OwnRefused {
        /// The use it is refused for; `None` for every use.
        role: Option<PeerRole>,
        reason: FailureReason,
        /// Such as `PEM file [/etc/ca.crt]`.
        trust: String,
        /// What to do about it.
        remedy: String,
    },
    /// An HTTPS certificate is shown without the one of its issuer.
    LeafAlone {
        issuer: String,
        file: PathBuf,
        remedy: String,
    },
    /// `verification_mode` is `none`.
    NoVerification,
    /// `client_authentication` is weaker than `required`.
    AnyoneIsNode,
    /// A certificate in use ends in less than thirty days.
    EndsSoon(ExpiryWarning),
    /// No trust is configured, so it is what lies beside the node's own key.
    TrustOfOwnKey { authorities: usize },
    /// Nothing is trusted that could vouch for another certificate.
    NoAuthority { trusts_anything: bool },
    /// The certificate of this node does not name an address that others dial it at.
    NotNamed {
        dialled: String,
        sans: Vec<String>,
        /// The command that makes one that does.
        command: String,
        /// Whether peers that verify as this context does refuse it for that.
        is_refused: bool,
    },
}

impl DoubtKind {
    /// Returns whether the own certificate is of a CA that is not trusted.
    pub(crate) fn is_of_issuer(&self) -> bool {
        matches!(
            self,
            Self::OwnRefused {
                reason: FailureReason::UntrustedIssuer { .. },
                ..
            }
        )
    }
}

impl Doubt {
    /// Returns whether connections fail of it.
    pub fn is_fatal(&self) -> bool {
        let is_http = self.is_http();
        match &self.kind {
            DoubtKind::OwnOutsideDates { .. } => true,
            DoubtKind::OwnRefused { .. } => true,
            DoubtKind::NoAuthority { trusts_anything } => !is_http && !trusts_anything,
            DoubtKind::NotNamed { is_refused, .. } => *is_refused,
            _ => false,
        }
    }

    /// Returns a short constant name, for scripts.
    pub fn check(&self) -> &'static str {
        match &self.kind {
            DoubtKind::Oddity(_) => "tls_oddity",
            DoubtKind::RevocationList(_) => "tls_revocation_list",
            DoubtKind::UnusableAuthority(_) => "tls_unusable_ca",
            DoubtKind::OwnOutsideDates { .. } => "tls_certificate_dates",
            DoubtKind::OwnRefused { .. } => "tls_own_trust",
            DoubtKind::LeafAlone { .. } => "tls_chain",
            DoubtKind::NoVerification => "tls_verification_mode",
            DoubtKind::AnyoneIsNode => "tls_client_authentication",
            DoubtKind::EndsSoon(_) => "tls_certificate_ends",
            DoubtKind::TrustOfOwnKey { .. } => "tls_default_trust",
            DoubtKind::NoAuthority { .. } => "tls_no_ca",
            DoubtKind::NotNamed { .. } => "tls_name",
        }
    }

    /// Returns the setting to look at.
    pub fn setting(&self) -> String {
        let key = match &self.kind {
            DoubtKind::NoVerification | DoubtKind::NotNamed { .. } => "verification_mode",
            DoubtKind::AnyoneIsNode => "client_authentication",
            DoubtKind::RevocationList(_) => "certificate_revocation_lists",
            DoubtKind::Oddity(_)
            | DoubtKind::UnusableAuthority(_)
            | DoubtKind::TrustOfOwnKey { .. }
            | DoubtKind::NoAuthority { .. } => "certificate_authorities",
            DoubtKind::LeafAlone { .. } => "certificate",
            _ => return self.context.clone(),
        };
        format!("{}.{key}", self.context)
    }

    /// Returns what is doubtful, without what to do.
    pub fn what(&self) -> String {
        let context = &self.context;
        match &self.kind {
            DoubtKind::Oddity(text)
            | DoubtKind::RevocationList(text)
            | DoubtKind::UnusableAuthority(text) => text.clone(),
            DoubtKind::OwnOutsideDates {
                subject,
                not_before,
                not_after,
                renew: _,
            } => format!(
                "the certificate [{subject}] of this node is valid from [{not_before}] to [{not_after}]{}, not now: \
                 peers will refuse it",
                match *not_after < Timestamp::now() {
                    true => format!(" (it ended {})", since(*not_after, Timestamp::now())),
                    false => String::new(),
                }
            ),
            DoubtKind::OwnRefused {
                role,
                reason,
                trust,
                remedy: _,
            } => format!(
                "this node's own certificate is not acceptable to [{context}] with {trust}{}: {}; {}",
                as_role(*role),
                reason.detail(),
                match self.is_http() {
                    true => "the tools of this node will refuse it",
                    false => "nodes configured alike will refuse one another",
                }
            ),
            DoubtKind::LeafAlone {
                issuer,
                file,
                remedy: _,
            } => format!(
                "[{}] holds the certificate of this node alone, without the one of its issuer [{issuer}]: clients that \
                 are told the fingerprint of the CA, or trust a CA above it, refuse this node",
                file.display()
            ),
            DoubtKind::NoVerification => format!(
                "[{context}.verification_mode] is [none]: anybody who can reach the port can impersonate a peer"
            ),
            DoubtKind::AnyoneIsNode => format!(
                "[{context}.client_authentication] is not [required]: anybody who can reach the port is taken for a node"
            ),
            DoubtKind::EndsSoon(warning) => warning.what(),
            DoubtKind::TrustOfOwnKey { authorities } => format!(
                "[{context}] says nothing of whom to trust, so it trusts what lies beside this node's own key: \
                 {authorities} CA certificates and the node's own certificate; public authorities are never trusted"
            ),
            DoubtKind::NoAuthority {
                trusts_anything: true,
            } => format!(
                "[{context}] trusts no CA: a peer must show exactly one of the trusted certificates"
            ),
            DoubtKind::NoAuthority {
                trusts_anything: false,
            } => format!("[{context}] trusts no certificate at all: every peer is refused"),
            DoubtKind::NotNamed {
                dialled,
                sans,
                is_refused,
                command: _,
            } => format!(
                "the certificate of this node is for [{}] and not for [{dialled}], the address it publishes{}",
                sans.join(", "),
                match is_refused {
                    true => ": with verification_mode [full] peers that dial it refuse it",
                    false => "; who checks names refuses it",
                }
            ),
        }
    }

    /// Returns what to do about it.
    pub fn remedy(&self) -> String {
        let context = &self.context;
        match &self.kind {
            DoubtKind::Oddity(_) => {
                "make the file anew with elasticsearch-certutil, or accept how it is read"
                    .to_owned()
            }
            DoubtKind::RevocationList(_) => format!(
                "put the newest list of each CA in use into [{context}.certificate_revocation_lists], and take the others out"
            ),
            DoubtKind::UnusableAuthority(_) => {
                "replace the CA certificate in the trust of every node, then reissue what it signed"
                    .to_owned()
            }
            DoubtKind::OwnOutsideDates { renew, .. } => {
                format!("put a valid certificate in its place: {renew}; or correct the clock")
            }
            DoubtKind::OwnRefused { remedy, .. } => remedy.clone(),
            DoubtKind::LeafAlone { remedy, .. } => remedy.clone(),
            DoubtKind::NoVerification => {
                format!("set [{context}.verification_mode] to [full] or [certificate]")
            }
            DoubtKind::AnyoneIsNode => {
                format!("set [{context}.client_authentication] to [required]")
            }
            DoubtKind::EndsSoon(warning) => warning.remedy().to_owned(),
            DoubtKind::TrustOfOwnKey { .. } | DoubtKind::NoAuthority { .. } => format!(
                "name the CA of the nodes in [{context}.certificate_authorities] or [{context}.truststore.path]"
            ),
            DoubtKind::NotNamed {
                dialled, command, ..
            } => format!(
                "issue a certificate with [{dialled}] among its names: {command}; or publish an address that it has, or \
                 set [{context}.verification_mode] to [certificate] on every node"
            ),
        }
    }

    fn is_http(&self) -> bool {
        self.context.starts_with("xpack.security.http.")
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what())
    }
}

fn as_role(role: Option<PeerRole>) -> &'static str {
    match role {
        None => "",
        Some(PeerRole::Server) => " as a TLS server (where this node is dialled)",
        Some(PeerRole::Client) => " as a TLS client (where this node dials others)",
    }
}
