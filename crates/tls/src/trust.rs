//! The decision whether a peer's certificate chain is acceptable.

use ringwall_pki::CertificateInfo;
use ringwall_settings::VerificationMode;
use rustls_pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

use crate::failure::{FailureReason, PeerRole, TrustedIssuer};
use crate::provider;

/// The certificates one context trusts, and how strictly it looks. Immutable: a reload builds another.
#[derive(Debug)]
pub(crate) struct Trust {
    mode: VerificationMode,
    /// Authorities. A certificate that is not a CA never gets here: its key must not vouch for others.
    anchors: Vec<TrustAnchor<'static>>,
    /// Certificates accepted as they are when a peer shows exactly them.
    exact: Vec<CertificateDer<'static>>,
    /// SHA-256 fingerprints of certificates to take from the peer's own chain as trusted.
    pins: Vec<[u8; 32]>,
    issuers: Vec<TrustedIssuer>,
}

impl Trust {
    /// Returns the trust in these certificates. A certificate that cannot be an anchor is an error text.
    pub(crate) fn new(
        mode: VerificationMode,
        certificates: Vec<CertificateDer<'static>>,
        pins: Vec<[u8; 32]>,
    ) -> Result<Self, String> {
        let mut trust = Self {
            mode,
            anchors: Vec::new(),
            exact: Vec::new(),
            pins,
            issuers: Vec::new(),
        };
        for certificate in certificates {
            trust.add(certificate)?;
        }
        Ok(trust)
    }

    /// Returns the trusted certificates, for messages.
    pub(crate) fn issuers(&self) -> &[TrustedIssuer] {
        &self.issuers
    }

    /// Returns how strictly this trust looks.
    pub(crate) fn mode(&self) -> VerificationMode {
        self.mode
    }

    /// Checks a chain, leaf first, as the configured mode asks.
    ///
    /// `dialled` is the name or address this side dialled; `None` on the accepting side, which never
    /// checks names. Source: node.md sections 3.1 and 3.2.
    pub(crate) fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        peer: PeerRole,
        dialled: Option<&ServerName<'_>>,
        now: UnixTime,
    ) -> Result<(), FailureReason> {
        let [leaf, intermediates @ ..] = chain else {
            return Err(FailureReason::NoCertificate);
        };
        if self.mode == VerificationMode::None {
            return Ok(());
        }
        if self.is_exactly_trusted(leaf) {
            check_dates(leaf, now)?;
        } else {
            self.verify_chain(leaf, intermediates, peer, now)?;
        }
        match dialled {
            Some(name) if self.mode == VerificationMode::Full => check_name(leaf, name),
            _ => Ok(()),
        }
    }

    fn add(&mut self, certificate: CertificateDer<'static>) -> Result<(), String> {
        if self.exact.contains(&certificate) {
            return Ok(());
        }
        let info = CertificateInfo::from_der(&certificate).map_err(|error| error.to_string())?;
        if info.is_ca {
            let anchor = webpki::anchor_from_trusted_cert(&certificate)
                .map_err(|error| format!("certificate [{}]: {error}", info.subject))?
                .to_owned();
            self.anchors.push(anchor);
        }
        self.issuers.push(TrustedIssuer {
            subject: info.subject.to_string(),
            fingerprint: info.fingerprint_sha1.clone(),
            is_ca: info.is_ca,
        });
        self.exact.push(certificate);
        Ok(())
    }

    /// Java accepts a certificate that is itself in the truststore without looking for an issuer. So do
    /// we, but unlike Java never past its dates. Source: node.md section 3.2.
    fn is_exactly_trusted(&self, leaf: &CertificateDer<'_>) -> bool {
        self.exact.iter().any(|trusted| trusted == leaf) || self.is_pinned(leaf)
    }

    fn is_pinned(&self, certificate: &CertificateDer<'_>) -> bool {
        !self.pins.is_empty() && self.pins.contains(&provider::sha256(certificate))
    }

    fn verify_chain(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        peer: PeerRole,
        now: UnixTime,
    ) -> Result<(), FailureReason> {
        let pinned: Vec<TrustAnchor<'_>> = intermediates
            .iter()
            .filter(|certificate| self.is_pinned(certificate) && is_ca(certificate))
            .filter_map(|certificate| webpki::anchor_from_trusted_cert(certificate).ok())
            .chain(self.anchors.iter().cloned())
            .collect();
        let usage = match peer {
            PeerRole::Server => KeyUsage::server_auth(),
            PeerRole::Client => KeyUsage::client_auth(),
        };
        let checked = EndEntityCert::try_from(leaf).and_then(|parsed| {
            let algorithms = provider::signature_algorithms().all;
            let path =
                parsed.verify_for_usage(algorithms, &pinned, intermediates, now, usage, None, None);
            path.map(drop)
        });
        checked.map_err(|error| self.explain(error, leaf, intermediates, now))
    }

    fn explain(
        &self,
        error: webpki::Error,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> FailureReason {
        use webpki::Error;
        let untrusted = || untrusted_issuer(&self.issuers, leaf, intermediates);
        match error {
            Error::UnknownIssuer
            | Error::InvalidSignatureForPublicKey
            | Error::SignatureAlgorithmMismatch => untrusted(),
            Error::CaUsedAsEndEntity => match untrusted() {
                reason @ FailureReason::UntrustedIssuer {
                    same_subject_different_key: false,
                    ..
                } => reason,
                _ => FailureReason::WrongUsage {
                    detail: "it is a CA certificate (basicConstraints CA:TRUE), which may sign certificates \
                             but not identify a node"
                        .to_owned(),
                },
            },
            Error::CertExpired { .. } | Error::CertNotValidYet { .. } => {
                let culprit = std::iter::once(leaf)
                    .chain(intermediates)
                    .find_map(|certificate| check_dates(certificate, now).err());
                culprit.unwrap_or_else(|| FailureReason::BadCertificate(error.to_string()))
            }
            Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => {
                FailureReason::WrongUsage {
                    detail: "its extendedKeyUsage does not permit this use".to_owned(),
                }
            }
            other => FailureReason::BadCertificate(format!("{other:?}")),
        }
    }
}

fn is_ca(certificate: &CertificateDer<'_>) -> bool {
    CertificateInfo::from_der(certificate).is_ok_and(|info| info.is_ca)
}

fn check_dates(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), FailureReason> {
    let info = CertificateInfo::from_der(certificate)
        .map_err(|error| FailureReason::BadCertificate(error.to_string()))?;
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if seconds > info.not_after.as_second() {
        return Err(FailureReason::Expired {
            subject: info.subject.to_string(),
            not_after: info.not_after,
        });
    }
    if seconds < info.not_before.as_second() {
        return Err(FailureReason::NotYetValid {
            subject: info.subject.to_string(),
            not_before: info.not_before,
        });
    }
    Ok(())
}

fn check_name(leaf: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<(), FailureReason> {
    let checked = EndEntityCert::try_from(leaf)
        .and_then(|parsed| parsed.verify_is_valid_for_subject_name(name));
    checked.map_err(|error| match error {
        webpki::Error::CertNotValidForName(_) => FailureReason::NameMismatch {
            dialled: name.to_str().into_owned(),
            sans: CertificateInfo::from_der(leaf)
                .map(|info| {
                    info.subject_alternative_names
                        .iter()
                        .map(ToString::to_string)
                        .collect()
                })
                .unwrap_or_default(),
        },
        other => FailureReason::BadCertificate(format!("{other:?}")),
    })
}

/// Follows issuer names up the chain the peer sent, and says what is known about the last one.
fn untrusted_issuer(
    issuers: &[TrustedIssuer],
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
) -> FailureReason {
    let Ok(mut top) = CertificateInfo::from_der(leaf) else {
        return FailureReason::BadCertificate("it cannot be decoded".to_owned());
    };
    let sent: Vec<CertificateInfo> = intermediates
        .iter()
        .filter_map(|certificate| CertificateInfo::from_der(certificate).ok())
        .collect();
    // Bounded, because two authorities can name one another.
    for _ in 0..=sent.len() {
        let next = sent.iter().find(|info| info.subject == top.issuer);
        match next {
            Some(info) if top.subject != top.issuer => top = info.clone(),
            _ => break,
        }
    }
    let issuer = top.issuer.to_string();
    FailureReason::UntrustedIssuer {
        same_subject_different_key: issuers.iter().any(|trusted| trusted.subject == issuer),
        self_issued: top.subject == top.issuer && intermediates.is_empty(),
        issuer,
        trusted: issuers.to_vec(),
    }
}
