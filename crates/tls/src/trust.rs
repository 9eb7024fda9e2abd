//! The decision whether a peer's certificate chain is acceptable.

use jiff::Timestamp;
use ringwall_pki::{
    CertificateInfo, authority_defect, exact_defect, intermediate_defect, is_issued_by,
    leaf_defect, public_web_leaf_defect, public_web_root_defect,
};
use ringwall_settings::VerificationMode;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};

use crate::dialled::Dialled;
use crate::failure::{FailureReason, PeerRole, TrustedIssuer};
use crate::meter::Meter;
use crate::path::{Anchor, MAX_SIGNATURES, by_names, key_id, oversize, paths};
use crate::provider;
use crate::restrictions::Restrictions;
use crate::revocation::{RevocationListEntry, RevocationLists, may_sign_lists};

/// The certificates one context trusts, and how strictly it looks. Immutable: a reload builds another.
#[derive(Debug)]
pub(crate) struct Trust {
    mode: VerificationMode,
    /// Authorities. A certificate that is not a CA never gets here: its key must not vouch for others.
    authorities: Vec<Authority>,
    /// Certificates accepted as they are when a peer shows exactly them.
    exact: Vec<CertificateDer<'static>>,
    /// SHA-256 fingerprints of certificates to take from the peer's own chain as trusted.
    pins: Vec<[u8; 32]>,
    revoked: RevocationLists,
    /// What is doubtful about the revocation lists.
    list_doubts: Vec<String>,
    restrictions: Option<Restrictions>,
    issuers: Vec<TrustedIssuer>,
    profile: Profile,
    max_intermediates: usize,
}

/// Which rules certificates are held to, beyond those of path validation.
/// Source: docs/certificate-verification.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Those of RFC 5280 that keep somebody out.
    Node,
    /// Also those of the public web, whose certificates are bound to what browsers accept.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "no setting asks for it; the vectors do")
    )]
    WebPki,
}

/// A trusted CA certificate.
#[derive(Debug)]
struct Authority {
    anchor: TrustAnchor<'static>,
    /// The subject key identifier.
    key_id: Option<Vec<u8>>,
    /// RFC 2253 distinguished name.
    subject: String,
    not_before: Timestamp,
    not_after: Timestamp,
    /// Why it may not vouch for others.
    defect: Option<String>,
    /// Why the public web would not let it.
    public_web_defect: Option<String>,
}

impl Authority {
    fn anchor(&self) -> Anchor<'_> {
        Anchor {
            anchor: self.anchor.clone(),
            key_id: self.key_id.as_deref(),
        }
    }

    /// Returns why it cannot vouch for others at that moment.
    fn refusal(&self, profile: Profile, now: UnixTime) -> Option<FailureReason> {
        let defect = match profile {
            Profile::Node => self.defect.as_ref(),
            Profile::WebPki => self.defect.as_ref().or(self.public_web_defect.as_ref()),
        };
        if let Some(defect) = defect {
            let subject = &self.subject;
            return Some(FailureReason::BadCertificate(format!(
                "the CA certificate [{subject}], which is trusted here, cannot be used: {defect}"
            )));
        }
        outside_dates(&self.subject, self.not_before, self.not_after, now)
    }
}

impl Trust {
    /// Returns the trust in these certificates. A certificate that cannot be an anchor is an error text.
    pub(crate) fn new(
        mode: VerificationMode,
        certificates: Vec<CertificateDer<'static>>,
        pins: Vec<[u8; 32]>,
        revoked: RevocationLists,
    ) -> Result<Self, String> {
        let mut trust = Self {
            mode,
            authorities: Vec::new(),
            exact: Vec::new(),
            pins,
            revoked,
            list_doubts: Vec::new(),
            restrictions: None,
            issuers: Vec::new(),
            profile: Profile::Node,
            max_intermediates: MAX_INTERMEDIATES,
        };
        for certificate in certificates {
            trust.add(certificate)?;
        }
        trust.list_doubts = trust.revoked.settle(trust.exact.iter())?;
        Ok(trust)
    }

    /// Adds which names a peer's certificate must have beside being trusted.
    pub(crate) fn with_restrictions(self, restrictions: Option<Restrictions>) -> Self {
        Self {
            restrictions,
            ..self
        }
    }

    /// Holds certificates to the rules of a profile.
    #[cfg(test)]
    pub(crate) fn with_profile(self, profile: Profile) -> Self {
        Self { profile, ..self }
    }

    /// Accepts at most so many authorities between a certificate and the trusted one.
    #[cfg(test)]
    pub(crate) fn with_max_intermediates(self, max_intermediates: usize) -> Self {
        Self {
            max_intermediates,
            ..self
        }
    }

    /// Returns whether another trust lacks something of this one: a trusted certificate, a revocation, or a
    /// trusted name.
    pub(crate) fn loses_to(&self, other: &Self) -> bool {
        let names = |trust: &Self| {
            let restrictions = trust.restrictions.as_ref();
            restrictions.map_or_else(Vec::new, Restrictions::patterns)
        };
        let kept = names(other);
        !self.exact.iter().all(|known| other.exact.contains(known))
            || !self.revoked.is_within(&other.revoked)
            || !names(self).iter().all(|name| kept.contains(name))
    }

    /// Returns the trusted certificates, for messages.
    pub(crate) fn issuers(&self) -> &[TrustedIssuer] {
        &self.issuers
    }

    /// Returns the trusted certificates themselves.
    pub(crate) fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.exact
    }

    /// Returns the revocation lists.
    pub(crate) fn revocation_lists(&self) -> Vec<RevocationListEntry> {
        self.revoked.entries()
    }

    /// Returns what is doubtful about the revocation lists, whatever the time.
    pub(crate) fn list_doubts(&self) -> &[String] {
        &self.list_doubts
    }

    /// Returns what keeps trusted authorities from vouching for anyone.
    pub(crate) fn unusable(&self, now: UnixTime) -> impl Iterator<Item = String> {
        self.authorities.iter().filter_map(move |known| {
            Some(match known.refusal(self.profile, now)? {
                FailureReason::BadCertificate(detail) => detail,
                FailureReason::Expired { subject, not_after } => {
                    format!("the CA certificate [{subject}], which is trusted here, expired on [{not_after}]")
                }
                FailureReason::NotYetValid { subject, not_before } => format!(
                    "the CA certificate [{subject}], which is trusted here, is not valid before [{not_before}]"
                ),
                other => format!("{other:?}"),
            })
        })
    }

    /// Returns how strictly this trust looks.
    pub(crate) fn mode(&self) -> VerificationMode {
        self.mode
    }

    /// Checks a chain, leaf first, as the configured mode asks.
    ///
    /// `dialled` is the host that this side dialled; `None` on the accepting side, which never
    /// checks names. Source: RFC 5280 section 6; Elasticsearch reference, "Security settings in Elasticsearch"
    /// (`verification_mode`).
    pub(crate) fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        peer: PeerRole,
        dialled: Option<&Dialled>,
        now: UnixTime,
    ) -> Result<(), FailureReason> {
        let check = Check {
            peer,
            now,
            meter: &Meter::new(MAX_SIGNATURES),
        };
        self.verify_metered(chain, dialled, check)
    }

    /// Counts on a meter of the caller's.
    #[cfg(test)]
    pub(crate) fn verify_with(
        &self,
        chain: &[CertificateDer<'_>],
        peer: PeerRole,
        now: UnixTime,
        meter: &Meter,
    ) -> Result<(), FailureReason> {
        self.verify_metered(chain, None, Check { peer, now, meter })
    }

    fn verify_metered(
        &self,
        chain: &[CertificateDer<'_>],
        dialled: Option<&Dialled>,
        check: Check<'_>,
    ) -> Result<(), FailureReason> {
        let [leaf, intermediates @ ..] = chain else {
            return Err(FailureReason::NoCertificate);
        };
        if let Some(reason) = oversize(chain) {
            return Err(FailureReason::BadCertificate(reason));
        }
        if self.mode != VerificationMode::None {
            self.verify_trusted(leaf, intermediates, dialled, check)?;
        }
        // As with Elasticsearch, also where nothing else is looked at.
        match &self.restrictions {
            Some(restrictions) => restrictions.check(leaf),
            None => Ok(()),
        }
    }

    fn verify_trusted(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        dialled: Option<&Dialled>,
        check: Check<'_>,
    ) -> Result<(), FailureReason> {
        if self.is_exactly_trusted(leaf) {
            check_dates(leaf, check.now)?;
            if let Some(defect) = exact_defect(leaf) {
                return Err(FailureReason::BadCertificate(format!(
                    "it is trusted here as it is, but {defect}"
                )));
            }
            if self.revoked.names(leaf) {
                return Err(revoked(leaf));
            }
        } else {
            self.verify_chain(leaf, intermediates, check)?;
        }
        match dialled {
            Some(host) if self.mode == VerificationMode::Full => host.check(leaf),
            _ => Ok(()),
        }
    }

    fn add(&mut self, certificate: CertificateDer<'static>) -> Result<(), String> {
        if self.exact.contains(&certificate) {
            return Ok(());
        }
        let info = CertificateInfo::from_der(&certificate).map_err(|error| error.to_string())?;
        if info.is_ca {
            if !may_sign_lists(&certificate) && self.revoked.has_list_of(&certificate) {
                return Err(format!(
                    "the certificate revocation list of the CA [{}]: its keyUsage lacks cRLSign",
                    info.subject
                ));
            }
            let anchor = webpki::anchor_from_trusted_cert(&certificate)
                .map_err(|error| format!("certificate [{}]: {error}", info.subject))?
                .to_owned();
            self.authorities.push(Authority {
                anchor,
                key_id: key_id(&certificate),
                subject: info.subject.to_string(),
                not_before: info.not_before,
                not_after: info.not_after,
                defect: authority_defect(&certificate),
                public_web_defect: public_web_root_defect(&certificate),
            });
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
    /// we, but unlike Java never past its dates. Source: the documentation of Java's `PKIXParameters`.
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
        check: Check<'_>,
    ) -> Result<(), FailureReason> {
        let usable = self
            .authorities
            .iter()
            .filter(|known| known.refusal(self.profile, check.now).is_none());
        let anchors: Vec<Anchor<'_>> = intermediates
            .iter()
            .filter(|certificate| self.is_pinned(certificate) && is_ca(certificate))
            .filter_map(|certificate| webpki::anchor_from_trusted_cert(certificate).ok())
            .map(|anchor| Anchor {
                anchor,
                key_id: None,
            })
            .chain(usable.map(Authority::anchor))
            .collect();
        self.check_paths(leaf, intermediates, &anchors, check)
            .map_err(|failure| match failure {
                PathFailure::Defect(reason) => reason,
                PathFailure::Path(error) => self
                    .unusable_authority(leaf, intermediates, check)
                    .unwrap_or_else(|| self.explain(error, leaf, intermediates, check)),
            })
    }

    /// Returns what is wrong with the one trusted authority that would vouch for the chain if it could.
    fn unusable_authority(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        check: Check<'_>,
    ) -> Option<FailureReason> {
        self.authorities.iter().find_map(|known| {
            let refusal = known.refusal(self.profile, check.now)?;
            let anchor = [known.anchor()];
            let vouches = self
                .check_paths(leaf, intermediates, &anchor, check)
                .is_ok();
            vouches.then_some(refusal)
        })
    }

    /// Checks whether the chain leads to one of the anchors by any of its paths.
    fn check_paths(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        anchors: &[Anchor<'_>],
        check: Check<'_>,
    ) -> Result<(), PathFailure> {
        let mut failure = None;
        for path in paths(leaf, intermediates, anchors, check.meter) {
            let anchor = std::slice::from_ref(&anchors[path.anchor].anchor);
            match self.check_path(leaf, &path.intermediates, anchor, check) {
                Ok(()) => return Ok(()),
                Err(reason) => failure = failure.or(Some(reason)),
            }
        }
        if let Some(failure) = failure {
            return Err(failure);
        }
        if check.meter.is_exhausted() {
            return Err(PathFailure::Defect(FailureReason::BadCertificate(format!(
                "its chain needs more than [{MAX_SIGNATURES}] signatures to be verified"
            ))));
        }
        // It leads nowhere; what is said of it is what is wrong on the way that its names tell.
        let sent = by_names(leaf, intermediates);
        let anchors: Vec<TrustAnchor<'_>> =
            anchors.iter().map(|known| known.anchor.clone()).collect();
        self.check_path(leaf, &sent, &anchors, check)
    }

    fn check_path(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        anchors: &[TrustAnchor<'_>],
        check: Check<'_>,
    ) -> Result<(), PathFailure> {
        let usage = match check.peer {
            PeerRole::Server => KeyUsage::server_auth(),
            PeerRole::Client => KeyUsage::client_auth(),
        };
        let metered = check.meter.algorithms();
        let algorithms: Vec<&dyn SignatureVerificationAlgorithm> = metered
            .iter()
            .map(|algorithm| algorithm as &dyn SignatureVerificationAlgorithm)
            .collect();
        let parsed = EndEntityCert::try_from(leaf).map_err(PathFailure::Path)?;
        let not_revoked = |path: &VerifiedPath<'_>| self.revoked.check(path);
        let path = parsed
            .verify_for_usage(
                &algorithms,
                anchors,
                intermediates,
                check.now,
                usage,
                None,
                Some(&not_revoked as &dyn Fn(&VerifiedPath<'_>) -> Result<(), webpki::Error>),
            )
            .map_err(PathFailure::Path)?;
        let defect = match self.profile {
            Profile::Node => leaf_defect(leaf),
            Profile::WebPki => leaf_defect(leaf).or_else(|| public_web_leaf_defect(leaf)),
        };
        if let Some(defect) = defect {
            return Err(PathFailure::defect("the certificate", &defect));
        }
        let steps = path.intermediate_certificates();
        // RFC 5280 6.1.4 (l): what only renews a CA of the same name is no step.
        let steps = steps.filter(|step| step.subject() != step.issuer()).count();
        if steps > self.max_intermediates {
            return Err(PathFailure::Defect(FailureReason::BadCertificate(format!(
                "[{steps}] CAs lie between it and the trusted one; at most [{}] may",
                self.max_intermediates
            ))));
        }
        for certificate in path.intermediate_certificates() {
            if let Some(defect) = intermediate_defect(&certificate.der()) {
                return Err(PathFailure::defect(
                    "a CA certificate of the chain",
                    &defect,
                ));
            }
        }
        Ok(())
    }

    /// Returns that the certificate is of one that is trusted only as itself: mostly a CA made without
    /// extensions.
    fn issued_by_no_authority(
        &self,
        leaf: &CertificateDer<'_>,
        meter: &Meter,
    ) -> Option<FailureReason> {
        let issuer = CertificateInfo::from_der(leaf).ok()?.issuer.to_string();
        let trusted = self.exact.iter().zip(&self.issuers);
        let (_, issuer) = trusted
            .filter(|(_, known)| !known.is_ca && known.subject == issuer)
            .find(|(certificate, _)| meter.spend() && is_issued_by(leaf, certificate))?;
        Some(FailureReason::IssuerIsNoAuthority {
            issuer: issuer.subject.clone(),
        })
    }

    fn explain(
        &self,
        error: webpki::Error,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        check: Check<'_>,
    ) -> FailureReason {
        use webpki::Error;
        let untrusted = || untrusted_issuer(&self.issuers, leaf, intermediates);
        match error {
            Error::UnknownIssuer
            | Error::InvalidSignatureForPublicKey
            | Error::SignatureAlgorithmMismatch => self
                .issued_by_no_authority(leaf, check.meter)
                .unwrap_or_else(untrusted),
            Error::UnsupportedCertVersion if EndEntityCert::try_from(leaf).is_ok() => {
                FailureReason::BadCertificate(format!("a CA certificate of its chain {VERSION_1}"))
            }
            Error::UnsupportedCertVersion => {
                FailureReason::BadCertificate(format!("it {VERSION_1}"))
            }
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
                    .find_map(|certificate| check_dates(certificate, check.now).err());
                culprit.unwrap_or_else(|| FailureReason::BadCertificate(error.to_string()))
            }
            Error::CertRevoked => {
                let culprit = std::iter::once(leaf)
                    .chain(intermediates)
                    .find(|certificate| self.revoked.names(certificate));
                revoked(culprit.unwrap_or(leaf))
            }
            Error::IssuerNotCrlSigner => FailureReason::BadCertificate(
                "a certificate revocation list configured here is of a CA whose keyUsage lacks cRLSign"
                    .to_owned(),
            ),
            Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => {
                FailureReason::WrongUsage {
                    detail: "its extendedKeyUsage does not permit this use".to_owned(),
                }
            }
            other => FailureReason::BadCertificate(other.to_string()),
        }
    }
}

fn is_ca(certificate: &CertificateDer<'_>) -> bool {
    CertificateInfo::from_der(certificate).is_ok_and(|info| info.is_ca)
}

/// What a chain is checked for, and what that may cost.
#[derive(Clone, Copy)]
struct Check<'a> {
    peer: PeerRole,
    now: UnixTime,
    meter: &'a Meter,
}

/// Why a chain does not lead to one of the anchors.
enum PathFailure {
    /// A certificate of an otherwise good path breaks a rule.
    Defect(FailureReason),
    Path(webpki::Error),
}

impl PathFailure {
    fn defect(what: &str, defect: &str) -> Self {
        Self::Defect(FailureReason::BadCertificate(format!("{what}: {defect}")))
    }
}

fn revoked(certificate: &CertificateDer<'_>) -> FailureReason {
    match CertificateInfo::from_der(certificate) {
        Ok(info) => FailureReason::Revoked {
            subject: info.subject.to_string(),
            serial: info.serial,
        },
        Err(error) => FailureReason::BadCertificate(error.to_string()),
    }
}

fn check_dates(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), FailureReason> {
    let info = CertificateInfo::from_der(certificate)
        .map_err(|error| FailureReason::BadCertificate(error.to_string()))?;
    let subject = info.subject.to_string();
    match outside_dates(&subject, info.not_before, info.not_after, now) {
        Some(reason) => Err(reason),
        None => Ok(()),
    }
}

fn outside_dates(
    subject: &str,
    not_before: Timestamp,
    not_after: Timestamp,
    now: UnixTime,
) -> Option<FailureReason> {
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let subject = subject.to_owned();
    if seconds > not_after.as_second() {
        return Some(FailureReason::Expired { subject, not_after });
    }
    (seconds < not_before.as_second()).then_some(FailureReason::NotYetValid {
        subject,
        not_before,
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

/// As many as Java takes by default. Source: PKIXBuilderParameters.getMaxPathLength of the Java platform.
const MAX_INTERMEDIATES: usize = 5;
/// Source: RFC 5280 section 4.1.2.1.
const VERSION_1: &str = "is of X.509 version 1, which has no extensions, so nothing says what it is for; issue it with \
                         some, its names among them: elasticsearch-certutil does, and openssl x509 -req with an -extfile";
