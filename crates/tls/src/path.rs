//! Finds the ways from a peer's certificate up to what is trusted, at a cost that the peer cannot raise.
//!
//! Names alone can be joined in more ways than can be tried: ten authorities of one name have a million orders. So
//! the search begins at the trusted authorities and goes down: a certificate is looked at once a trusted key is known
//! to have signed it, or the key of one that is so known. Who has no certificate of a trusted authority costs one
//! check for each of its certificates that names one, with a key that the operator has chosen, and gets no further.

use rustls_pki_types::{
    CertificateDer, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, TrustAnchor,
};
use webpki::RawPublicKeyEntity;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::meter::Meter;
use crate::revocation::in_sequence;

/// Certificates that a peer sends at most, its own among them. Source: jdk.tls.maxCertificateChainLength of the Java
/// platform, by default.
pub(crate) const MAX_CERTIFICATES: usize = 10;
/// Bytes of DER that they have together. Source: jdk.tls.maxHandshakeMessageSize of the Java platform, by default.
pub(crate) const MAX_CHAIN_BYTES: usize = 32 << 10;
/// Signatures that one verdict looks at. A path of the longest kind needs six.
pub(crate) const MAX_SIGNATURES: usize = 16;

/// A trusted authority that may end a path.
pub(crate) struct Anchor<'a> {
    pub(crate) anchor: TrustAnchor<'a>,
    pub(crate) key_id: Option<&'a [u8]>,
}

/// A path from the leaf, which is not in it, to an anchor. Every signature on it is valid.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Path<'a> {
    /// The leaf's issuer first.
    pub(crate) intermediates: Vec<CertificateDer<'a>>,
    /// Its position among the anchors.
    pub(crate) anchor: usize,
}

/// Returns why a chain is not looked at: it is larger than any honest one.
pub(crate) fn oversize(chain: &[CertificateDer<'_>]) -> Option<String> {
    if chain.len() > MAX_CERTIFICATES {
        return Some(format!(
            "it comes with [{}] certificates; at most [{MAX_CERTIFICATES}] are looked at",
            chain.len()
        ));
    }
    let bytes: usize = chain.iter().map(|certificate| certificate.len()).sum();
    (bytes > MAX_CHAIN_BYTES).then(|| {
        format!("its chain has [{bytes}] bytes; at most [{MAX_CHAIN_BYTES}] are looked at")
    })
}

/// Returns the paths from a leaf to the anchors, through whichever of the intermediates it takes. No more than
/// [`MAX_PATHS`], and none that would need more checks than the meter has.
pub(crate) fn paths<'a>(
    leaf: &'a CertificateDer<'_>,
    intermediates: &'a [CertificateDer<'_>],
    anchors: &[Anchor<'_>],
    meter: &Meter,
) -> Vec<Path<'a>> {
    let Some(search) = Search::new(leaf, intermediates, anchors) else {
        return Vec::new();
    };
    let issuers = search.issuers(meter);
    let mut paths = Vec::new();
    search.climb(LEAF, &issuers, &mut vec![LEAF], &mut paths);
    paths
}

/// Returns the intermediates that the names lead through, from the leaf up, each name once. Nothing is verified: it is
/// for words about a chain that leads nowhere.
pub(crate) fn by_names<'a>(
    leaf: &'a CertificateDer<'_>,
    intermediates: &'a [CertificateDer<'_>],
) -> Vec<CertificateDer<'a>> {
    let sent: Vec<Sent<'a>> = intermediates.iter().filter_map(Sent::read).collect();
    let mut steps: Vec<&Sent<'a>> = Vec::new();
    let Some(leaf) = Sent::read(leaf) else {
        return Vec::new();
    };
    let mut wanted = leaf.issuer;
    while let Some(next) = sent.iter().find(|sent| sent.subject == wanted) {
        if steps.iter().any(|step| step.subject == next.subject) {
            break;
        }
        wanted = next.issuer;
        steps.push(next);
    }
    steps.iter().map(|step| step.der()).collect()
}

/// Returns the subject key identifier of a certificate.
pub(crate) fn key_id(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    Sent::read(certificate)?.key_id
}

/// What the search looks at in a certificate that a peer sent. Names, keys and algorithms are without their outer tag
/// and length.
struct Sent<'a> {
    raw: &'a [u8],
    subject: &'a [u8],
    issuer: &'a [u8],
    /// SubjectPublicKeyInfo with its tag and length.
    key: &'a [u8],
    signed: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
    key_id: Option<Vec<u8>>,
    issuer_key_id: Option<Vec<u8>>,
}

impl<'a> Sent<'a> {
    /// Source: RFC 5280 section 4.1.
    fn read(certificate: &'a CertificateDer<'_>) -> Option<Self> {
        let raw: &'a [u8] = certificate.as_ref();
        let (outer, _) = split(raw)?;
        let (mut fields, rest) = split(outer)?;
        let signed = outer.get(..outer.len() - rest.len())?;
        let (algorithm, rest) = split(rest)?;
        // Whole octets only: the first says how many bits are unused.
        let (0, signature) = split(rest)?.0.split_first()? else {
            return None;
        };
        if fields.first() == Some(&VERSION) {
            fields = split(fields)?.1;
        }
        let mut next = || {
            let (content, rest) = split(fields)?;
            let whole = fields.get(..fields.len() - rest.len())?;
            fields = rest;
            Some((content, whole))
        };
        let (_serial, _algorithm) = (next()?, next()?);
        let (issuer, _) = next()?;
        let _validity = next()?;
        let (subject, _) = next()?;
        let (_, key) = next()?;
        let (key_id, issuer_key_id) = key_ids(raw);
        Some(Self {
            raw,
            subject,
            issuer,
            key,
            signed,
            algorithm,
            signature,
            key_id,
            issuer_key_id,
        })
    }

    fn der(&self) -> CertificateDer<'a> {
        CertificateDer::from_slice(self.raw)
    }

    /// Returns whether this key (SubjectPublicKeyInfo with tag and length) signed it.
    fn is_signed_by(&self, key: &[u8], algorithms: &[&dyn SignatureVerificationAlgorithm]) -> bool {
        let key = SubjectPublicKeyInfoDer::from(key);
        let Ok(key) = RawPublicKeyEntity::try_from(&key) else {
            return false;
        };
        let mut offered = algorithms.iter();
        offered.any(|algorithm| {
            algorithm.signature_alg_id().as_ref() == self.algorithm
                && key
                    .verify_signature(*algorithm, self.signed, self.signature)
                    .is_ok()
        })
    }

    /// Returns whether its issuer has another key than this one, if both say which.
    fn disowns(&self, key_id: Option<&[u8]>) -> bool {
        matches!((&self.issuer_key_id, key_id), (Some(wanted), Some(found)) if wanted.as_slice() != found)
    }
}

/// Who signed a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Issuer {
    Anchor(usize),
    Sent(usize),
}

struct Search<'s, 'a> {
    /// The leaf first.
    sent: Vec<Sent<'a>>,
    anchors: &'s [Anchor<'s>],
    /// SubjectPublicKeyInfo of the anchors, with tag and length.
    keys: Vec<Vec<u8>>,
}

impl<'s, 'a> Search<'s, 'a> {
    /// `None` where the leaf cannot be read.
    fn new(
        leaf: &'a CertificateDer<'_>,
        intermediates: &'a [CertificateDer<'_>],
        anchors: &'s [Anchor<'s>],
    ) -> Option<Self> {
        let keys = anchors
            .iter()
            .map(|known| in_sequence(&known.anchor.subject_public_key_info))
            .collect();
        let mut search = Self {
            sent: vec![Sent::read(leaf)?],
            anchors,
            keys,
        };
        let mut unused: Vec<Sent<'a>> = intermediates
            .iter()
            .filter_map(Sent::read)
            .filter(|sent| !search.is_anchor(sent))
            .collect();
        // Only those that names lead to from the leaf.
        let mut at = 0;
        while let Some(issuer) = search.sent.get(at).map(|sent| sent.issuer) {
            for sent in unused.extract_if(.., |sent| sent.subject == issuer) {
                if !search.sent.iter().any(|known| known.raw == sent.raw) {
                    search.sent.push(sent);
                }
            }
            at += 1;
        }
        Some(search)
    }

    /// Returns whether it is the certificate of an anchor, or another of the same name and key: a path through it is
    /// one that ends there.
    fn is_anchor(&self, sent: &Sent<'_>) -> bool {
        self.anchors
            .iter()
            .zip(&self.keys)
            .any(|(known, key)| *known.anchor.subject == *sent.subject && key == sent.key)
    }

    /// Returns who signed each of the certificates, as far as they hang together with an anchor.
    fn issuers(&self, meter: &Meter) -> Vec<Vec<Issuer>> {
        let metered = meter.algorithms();
        let algorithms: Vec<&dyn SignatureVerificationAlgorithm> = metered
            .iter()
            .map(|algorithm| algorithm as &dyn SignatureVerificationAlgorithm)
            .collect();
        let mut issuers = vec![Vec::new(); self.sent.len()];
        let mut fresh: Vec<Issuer> = (0..self.anchors.len()).map(Issuer::Anchor).collect();
        while !fresh.is_empty() {
            let mut pairs: Vec<(usize, Issuer)> = Vec::new();
            for (at, sent) in self.sent.iter().enumerate() {
                let of_name = fresh.iter().filter(|issuer| {
                    **issuer != Issuer::Sent(at) && self.subject(**issuer) == sent.issuer
                });
                pairs.extend(of_name.map(|issuer| (at, *issuer)));
            }
            // A hint only (RFC 5280 section 4.2.1.1): the likely ones first, and the leaf first among them.
            pairs.sort_by_key(|(at, issuer)| self.sent[*at].disowns(self.key_id(*issuer)));
            fresh = Vec::new();
            for (at, issuer) in pairs {
                if !self.sent[at].is_signed_by(self.key(issuer), &algorithms) {
                    continue;
                }
                if at != LEAF && issuers[at].is_empty() {
                    fresh.push(Issuer::Sent(at));
                }
                issuers[at].push(issuer);
            }
        }
        issuers
    }

    /// Collects the paths that go up from the last of `steps`.
    fn climb(
        &self,
        from: usize,
        issuers: &[Vec<Issuer>],
        steps: &mut Vec<usize>,
        paths: &mut Vec<Path<'a>>,
    ) {
        for issuer in &issuers[from] {
            if paths.len() == MAX_PATHS {
                return;
            }
            match *issuer {
                Issuer::Anchor(anchor) => {
                    let intermediates = steps[1..].iter().map(|at| self.sent[*at].der());
                    paths.push(Path {
                        intermediates: intermediates.collect(),
                        anchor,
                    });
                }
                Issuer::Sent(at) if !steps.contains(&at) => {
                    steps.push(at);
                    self.climb(at, issuers, steps, paths);
                    steps.pop();
                }
                Issuer::Sent(_) => {}
            }
        }
    }

    fn subject(&self, issuer: Issuer) -> &[u8] {
        match issuer {
            Issuer::Anchor(at) => &self.anchors[at].anchor.subject,
            Issuer::Sent(at) => self.sent[at].subject,
        }
    }

    fn key(&self, issuer: Issuer) -> &[u8] {
        match issuer {
            Issuer::Anchor(at) => &self.keys[at],
            Issuer::Sent(at) => self.sent[at].key,
        }
    }

    fn key_id(&self, issuer: Issuer) -> Option<&[u8]> {
        match issuer {
            Issuer::Anchor(at) => self.anchors[at].key_id,
            Issuer::Sent(at) => self.sent[at].key_id.as_deref(),
        }
    }
}

/// Returns the key identifiers of the subject and of the issuer.
fn key_ids(certificate: &[u8]) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
    let (mut of_subject, mut of_issuer) = (None, None);
    if let Ok((_, parsed)) = X509Certificate::from_der(certificate) {
        for extension in parsed.iter_extensions() {
            match extension.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(id) => of_subject = Some(id.0.to_vec()),
                ParsedExtension::AuthorityKeyIdentifier(id) => {
                    of_issuer = id.key_identifier.as_ref().map(|id| id.0.to_vec());
                }
                _ => {}
            }
        }
    }
    (of_subject, of_issuer)
}

/// Returns what the DER element at the beginning holds, and what follows it.
fn split(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = der.get(1..)?.split_first()?;
    let (length, rest) = match first {
        0x80.. => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = bytes.iter().try_fold(0_usize, |length, byte| {
                Some(length.checked_mul(256)? + usize::from(*byte))
            })?;
            (length, rest)
        }
        short => (usize::from(short), rest),
    };
    rest.split_at_checked(length)
}

const LEAF: usize = 0;
/// The tag of a certificate's version, which those of version 1 leave out.
const VERSION: u8 = 0xa0;
/// Only who holds the key of a trusted authority can make more than a few.
const MAX_PATHS: usize = 8;
