//! Certificate revocation lists: which certificates their authority has taken back. RFC 5280 section 5.
//!
//! A list speaks for the key that signed it, never for a name alone: after a rotation two authorities may have one
//! name, and each has lists of its own. Of several lists of one key and scope the newest counts.

use std::collections::HashSet;

use jiff::Timestamp;
use parking_lot::Mutex;
use ringwall_pki::{CertificateInfo, DistinguishedName, is_list_signed_by};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use webpki::{CertRevocationList, OwnedCertRevocationList, VerifiedPath};
use x509_parser::extensions::{DistributionPointName, GeneralName, IssuingDistributionPoint};
use x509_parser::prelude::{FromDer, ParsedExtension, X509Certificate, X509Extension};
use x509_parser::revocation_list::CertificateRevocationList;

use crate::config::ConfiguredPath;

/// A revocation list in use by a context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationListEntry {
    /// As written in the setting.
    pub path: String,
    /// RFC 2253 distinguished name.
    pub issuer: String,
    /// The cRLNumber, in decimal.
    pub number: String,
    pub this_update: Timestamp,
    /// When its successor is due. From then on it still counts, and says nothing of what was revoked since.
    pub next_update: Timestamp,
    /// Whether another list of the same authority and scope is newer, so that this one is not looked at.
    pub is_superseded: bool,
}

impl RevocationListEntry {
    /// Returns the sentence about a list whose successor is due; `None` while it is not.
    pub(crate) fn staleness(&self, now: Timestamp) -> Option<String> {
        (self.next_update <= now && !self.is_superseded).then(|| {
            format!(
                "the certificate revocation list of [{}] in [{}] should have been replaced on [{}]; certificates \
                 revoked since then are still accepted",
                self.issuer, self.path, self.next_update
            )
        })
    }
}

/// The lists of one context.
#[derive(Debug, Default)]
pub(crate) struct RevocationLists {
    /// Newest first.
    lists: Vec<List>,
}

#[derive(Debug)]
struct List {
    entry: RevocationListEntry,
    der: Vec<u8>,
    parsed: CertRevocationList<'static>,
    /// The serial numbers that it names, as they stand there.
    serials: Vec<Vec<u8>>,
    number: Vec<u8>,
    scope: Scope,
    /// The authority key identifier as it stands there: tells the keys of one name apart where no key is at hand.
    key_id: Option<Vec<u8>>,
    /// The key of the trusted authority that signed it, once it is settled.
    signer: Option<Vec<u8>>,
    /// Which other keys signed it and which did not: to see it again takes a digest of the whole list.
    verdicts: Mutex<Vec<(Vec<u8>, bool)>>,
}

/// Which certificates of its issuer a list is about.
#[derive(Debug, Default, PartialEq, Eq)]
struct Scope {
    is_partial: bool,
    only_users: bool,
    only_authorities: bool,
    /// The names of its distribution point; empty when it has none, and is about all of them.
    points: Vec<Point>,
}

/// A name of a distribution point that can be compared.
#[derive(Debug, PartialEq, Eq)]
enum Point {
    Address(String),
    /// Normalized: directories do not tell upper from lower case.
    Directory(String),
}

/// Who signed what, as far as a list is concerned. Names without their outer tag and length.
struct Signed<'a> {
    issuer: &'a [u8],
    serial: &'a [u8],
    certificate: CertificateDer<'a>,
    is_leaf: bool,
}

impl RevocationLists {
    /// Adds the lists of a file, PEM or DER. Errors: what is wrong with the file, without its name.
    pub(crate) fn add(&mut self, content: &[u8], path: &ConfiguredPath) -> Result<(), String> {
        for der in split(content)? {
            self.lists.push(List::parse(der, path)?);
        }
        self.lists.sort_by(|a, b| b.age().cmp(&a.age()));
        Ok(())
    }

    /// Compares the lists with the trusted authorities, marks those that another replaces, and returns what is
    /// doubtful about them. Call it when all have been added.
    ///
    /// Errors: a list under the name of a trusted authority that none of these signed. It would revoke nothing.
    pub(crate) fn settle<'a>(
        &mut self,
        authorities: impl Iterator<Item = &'a CertificateDer<'static>>,
    ) -> Result<Vec<String>, String> {
        let keys: Vec<(Vec<u8>, Vec<u8>)> = authorities.filter_map(name_and_key).collect();
        let signer = |list: &List| {
            keys.iter()
                .position(|(name, key)| list.parsed.issuer() == name && list.is_signed_by(key))
        };
        let signers: Vec<Option<usize>> = self.lists.iter().map(signer).collect();
        let mut doubts = Vec::new();
        for at in 0..self.lists.len() {
            let list = &self.lists[at];
            let newer = (0..at).find(|newer| {
                let other = &self.lists[*newer];
                let same_key = match (signers[at], signers[*newer]) {
                    (None, None) => other.key_id == list.key_id,
                    (one, other) => one == other,
                };
                same_key && other.is_about_the_same(list)
            });
            if let Some(newer) = newer {
                let (old, new) = (&list.entry, &self.lists[newer].entry);
                doubts.push(format!(
                    "the certificate revocation list number [{}] of [{}] in [{}] is not looked at: number [{}] in [{}] \
                     is newer",
                    old.number, old.issuer, old.path, new.number, new.path
                ));
            } else if signers[at].is_none() {
                let List { entry, .. } = list;
                if keys.iter().any(|(name, _)| list.parsed.issuer() == name) {
                    return Err(format!(
                        "the certificate revocation list number [{}] of [{}] in [{}] was signed with another key than \
                         that of the CA of this name which is trusted, so that it would revoke nothing: add the CA \
                         certificate with that key to the trusted ones, take the list that the trusted CA signed, or, \
                         if the CA with that key is trusted no more, remove the list",
                        entry.number, entry.issuer, entry.path
                    ));
                }
                doubts.push(format!(
                    "no trusted CA signed the certificate revocation list of [{}] in [{}]: it counts only for \
                     certificates of an intermediate CA with the key that signed it",
                    entry.issuer, entry.path
                ));
            }
            self.lists[at].entry.is_superseded = newer.is_some();
        }
        for (list, signer) in self.lists.iter_mut().zip(signers) {
            list.signer = signer.map(|at| keys[at].1.clone());
        }
        Ok(doubts)
    }

    /// Returns what is known of each list.
    pub(crate) fn entries(&self) -> Vec<RevocationListEntry> {
        self.lists.iter().map(|list| list.entry.clone()).collect()
    }

    /// Looks up every certificate of a path that leads to a trusted authority. An authority without a list has
    /// revoked nothing, and a list past its next update still tells what had been revoked by then: neither takes a
    /// cluster down.
    ///
    /// Errors: a certificate is revoked, or its issuer has a list and may not sign any.
    pub(crate) fn check(&self, path: &VerifiedPath<'_>) -> Result<(), webpki::Error> {
        if self.lists.is_empty() {
            return Ok(());
        }
        let leaf = path.end_entity();
        let mut subject = Signed {
            issuer: leaf.issuer(),
            serial: leaf.serial(),
            certificate: leaf.der(),
            is_leaf: true,
        };
        for issuer in path.intermediate_certificates() {
            let key = issuer.subject_public_key_info();
            let has_list = self.of(&subject).any(|list| {
                // In this order: a signature costs more to look at than a usage.
                !may_sign_lists(&issuer.der()) && list.is_signed_by(&key)
            });
            if has_list {
                return Err(webpki::Error::IssuerNotCrlSigner);
            }
            self.refuse_revoked(&subject, &key)?;
            subject = Signed {
                issuer: issuer.issuer(),
                serial: issuer.serial(),
                certificate: issuer.der(),
                is_leaf: false,
            };
        }
        let key = in_sequence(&path.anchor().subject_public_key_info);
        self.refuse_revoked(&subject, &key)
    }

    /// Returns whether the newest list of the certificate's issuer names it. For certificates that are trusted as
    /// they are, without a path, so that the key of the issuer is not at hand; the lists are the operator's own
    /// files.
    pub(crate) fn names(&self, certificate: &CertificateDer<'_>) -> bool {
        let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
            return false;
        };
        let subject = Signed {
            issuer: content(parsed.issuer().as_raw()),
            serial: parsed.raw_serial(),
            certificate: certificate.clone(),
            is_leaf: !parsed.is_ca(),
        };
        let mut relevant = self.of(&subject);
        relevant.any(|list| !list.entry.is_superseded && list.has(subject.serial))
    }

    /// Returns whether nothing is lost with other lists: each of these has a successor among them, or all that it
    /// revokes is revoked there.
    ///
    /// A newer list may leave out a certificate that has ended (RFC 5280 section 3.3), so it is no loss; one that
    /// is missing, or older than the one in use, may be half of a bundle that is being written.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        let known: HashSet<(&[u8], &[u8])> =
            other.current().flat_map(|list| list.revoked()).collect();
        self.current().all(|list| {
            other.current().any(|newer| newer.succeeds(list))
                || list.revoked().all(|revoked| known.contains(&revoked))
        })
    }

    /// Returns the lists that are looked at.
    fn current(&self) -> impl Iterator<Item = &List> {
        let lists = self.lists.iter();
        lists.filter(|list| !list.entry.is_superseded)
    }

    /// Returns whether the key of this authority signed one of the lists.
    pub(crate) fn has_list_of(&self, authority: &CertificateDer<'_>) -> bool {
        name_and_key(authority).is_some_and(|(name, key)| {
            let mut lists = self.lists.iter();
            lists.any(|list| list.parsed.issuer() == name && list.is_signed_by(&key))
        })
    }

    fn refuse_revoked(&self, subject: &Signed<'_>, key: &[u8]) -> Result<(), webpki::Error> {
        // Most certificates are on no list, and no signature need be verified to know.
        if !self.of(subject).any(|list| list.has(subject.serial)) {
            return Ok(());
        }
        let mut heard: Vec<&List> = Vec::new();
        for list in self.of(subject).filter(|list| list.is_signed_by(key)) {
            if heard.iter().any(|newer| newer.is_about_the_same(list)) {
                continue;
            }
            if list.has(subject.serial) {
                return Err(webpki::Error::CertRevoked);
            }
            heard.push(list);
        }
        Ok(())
    }

    /// Returns the lists, newest first, under the name of a certificate's issuer that are about such certificates.
    fn of<'a>(&'a self, subject: &'a Signed<'_>) -> impl Iterator<Item = &'a List> {
        self.lists
            .iter()
            .filter(|list| list.parsed.issuer() == subject.issuer && list.scope.includes(subject))
    }
}

impl List {
    fn parse(der: Vec<u8>, path: &ConfiguredPath) -> Result<Self, String> {
        let (rest, parsed) = CertificateRevocationList::from_der(&der)
            .map_err(|error| format!("it is no certificate revocation list: {error}"))?;
        if !rest.is_empty() {
            return Err("bytes follow the end of the certificate revocation list".to_owned());
        }
        let extensions = parsed.extensions();
        let number = extensions
            .iter()
            .find_map(|extension| match extension.parsed_extension() {
                ParsedExtension::CRLNumber(number) => Some((extension.critical, number)),
                _ => None,
            });
        let number = match number {
            None => return Err("the list has no cRLNumber (RFC 5280 5.2.3)".to_owned()),
            Some((true, _)) => {
                return Err("the list's cRLNumber is critical (RFC 5280 5.2.3)".to_owned());
            }
            Some((false, number)) => number,
        };
        let usable = OwnedCertRevocationList::from_der(&der).map_err(|error| {
            format!("the certificate revocation list cannot be used: {error:?}")
        })?;
        // A list may be due in the year 9999: past what a timestamp holds, by a day.
        let moment = |seconds: i64| {
            let seconds = seconds.min(Timestamp::MAX.as_second());
            Timestamp::from_second(seconds).map_err(|error| error.to_string())
        };
        let next = parsed
            .next_update()
            .ok_or("the list has no nextUpdate (RFC 5280 5.1.2.5)")?;
        let entry = RevocationListEntry {
            path: path.written.clone(),
            issuer: DistinguishedName::from_der(parsed.issuer().as_raw()).to_string(),
            number: number.to_string(),
            this_update: moment(parsed.last_update().timestamp())?,
            next_update: moment(next.timestamp())?,
            is_superseded: false,
        };
        let key_id = extensions.iter().find_map(|extension| {
            let is_key_id = matches!(
                extension.parsed_extension(),
                ParsedExtension::AuthorityKeyIdentifier(_)
            );
            is_key_id.then(|| extension.value.to_vec())
        });
        let serials = parsed.iter_revoked_certificates();
        let serials = serials
            .map(|revoked| revoked.raw_serial().to_vec())
            .collect();
        Ok(Self {
            entry,
            serials,
            number: number.to_bytes_be(),
            scope: Scope::of(extensions)?,
            key_id,
            signer: None,
            verdicts: Mutex::default(),
            parsed: usable.into(),
            der,
        })
    }

    /// Returns what orders lists: the number without leading zeros, by length and then by value.
    fn age(&self) -> (usize, &[u8], Timestamp) {
        (self.number.len(), &self.number, self.entry.this_update)
    }

    /// Returns whether it is a later list of the same authority and scope. An authority that began to count anew
    /// is known by the date.
    fn succeeds(&self, other: &Self) -> bool {
        let is_same_key = match (&self.signer, &other.signer) {
            (Some(one), Some(other)) => one == other,
            _ => self.key_id == other.key_id,
        };
        let is_later = self.age() > other.age() || self.entry.this_update > other.entry.this_update;
        is_same_key && self.is_about_the_same(other) && is_later
    }

    /// Returns the certificates that it names: issuer and serial number.
    fn revoked(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let issuer = self.parsed.issuer();
        self.serials
            .iter()
            .map(move |serial| (issuer, serial.as_slice()))
    }

    fn has(&self, serial: &[u8]) -> bool {
        matches!(self.parsed.find_serial(serial), Ok(Some(_)))
    }

    /// An algorithm that cannot be verified counts as the signature of whoever has the name: rather one
    /// certificate too many refused than one too few.
    ///
    /// Keys are of authorities that are trusted, or that one of them vouches for.
    fn is_signed_by(&self, key: &[u8]) -> bool {
        if self.signer.as_deref() == Some(key) {
            return true;
        }
        let known = |verdicts: &[(Vec<u8>, bool)]| {
            let mut verdicts = verdicts.iter();
            verdicts.find_map(|(known, is_signed)| (known == key).then_some(*is_signed))
        };
        if let Some(is_signed) = known(&self.verdicts.lock()) {
            return is_signed;
        }
        let is_signed = is_list_signed_by(&self.der, key) != Some(false);
        let mut verdicts = self.verdicts.lock();
        if verdicts.len() == VERDICTS {
            verdicts.remove(0);
        }
        verdicts.push((key.to_vec(), is_signed));
        is_signed
    }

    fn is_about_the_same(&self, other: &Self) -> bool {
        self.parsed.issuer() == other.parsed.issuer() && self.scope == other.scope
    }
}

impl Scope {
    /// Errors: the list says that it is a part, and not in a way that certificates can be compared with. It must not be
    /// taken for the whole, nor for a part that no certificate is in.
    fn of(extensions: &[X509Extension<'_>]) -> Result<Self, String> {
        let mut extensions = extensions.iter();
        let found =
            extensions.find(|extension| extension.oid.to_id_string() == ISSUING_DISTRIBUTION_POINT);
        let Some(extension) = found else {
            return Ok(Self::default());
        };
        let ParsedExtension::IssuingDistributionPoint(IssuingDistributionPoint {
            distribution_point,
            only_contains_user_certs,
            only_contains_ca_certs,
            ..
        }) = extension.parsed_extension()
        else {
            return Err(
                "its issuing distribution point (RFC 5280 5.2.5) cannot be read".to_owned(),
            );
        };
        let points = match distribution_point {
            None => Vec::new(),
            Some(name) => points(name).ok_or(
                "it is a part of the list of its CA, for a distribution point whose name is neither an address (URI) \
                 nor a directory name (RFC 5280 5.2.5): which certificates it is about cannot be told. Use the whole \
                 list of the CA",
            )?,
        };
        Ok(Self {
            is_partial: true,
            only_users: *only_contains_user_certs,
            only_authorities: *only_contains_ca_certs,
            points,
        })
    }

    /// RFC 5280 section 6.3.3 (b), for lists of one's own and of all reasons; others are refused when read.
    fn includes(&self, subject: &Signed<'_>) -> bool {
        if !self.is_partial {
            return true;
        }
        if (self.only_users && !subject.is_leaf) || (self.only_authorities && subject.is_leaf) {
            return false;
        }
        if self.points.is_empty() {
            return true;
        }
        let Ok((_, parsed)) = X509Certificate::from_der(&subject.certificate) else {
            return true;
        };
        let mut extensions = parsed.iter_extensions();
        let found =
            extensions.find(|extension| extension.oid.to_id_string() == CRL_DISTRIBUTION_POINTS);
        let Some(extension) = found else { return true };
        let ParsedExtension::CRLDistributionPoints(own) = extension.parsed_extension() else {
            return true;
        };
        own.iter()
            .filter(|point| point.crl_issuer.is_none() && point.reasons.is_none())
            .filter_map(|point| point.distribution_point.as_ref())
            // A name that cannot be compared may be the one.
            .any(|name| {
                points(name).is_none_or(|own| own.iter().any(|own| self.points.contains(own)))
            })
    }
}

/// Returns the names of a distribution point; `None` when one of them cannot be compared.
fn points(name: &DistributionPointName<'_>) -> Option<Vec<Point>> {
    let DistributionPointName::FullName(names) = name else {
        return None;
    };
    let point = |name: &GeneralName<'_>| match name {
        GeneralName::URI(address) => Some(Point::Address((*address).to_owned())),
        GeneralName::DirectoryName(name) => {
            let name = DistinguishedName::from_der(name.as_raw());
            Some(Point::Directory(name.normalized()))
        }
        _ => None,
    };
    names.iter().map(point).collect()
}

/// Without keyUsage a CA may do everything.
pub(crate) fn may_sign_lists(authority: &CertificateDer<'_>) -> bool {
    CertificateInfo::from_der(authority).is_ok_and(|info| {
        let usages = info.key_usage.as_ref();
        usages.is_none_or(|usages| usages.contains(&"cRLSign"))
    })
}

/// Returns the subject without its outer tag and length, and the key with them.
fn name_and_key(certificate: &CertificateDer<'_>) -> Option<(Vec<u8>, Vec<u8>)> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let name = content(parsed.subject().as_raw()).to_vec();
    Some((name, parsed.public_key().raw.to_vec()))
}

/// Returns what a DER element holds, without its tag and length.
fn content(der: &[u8]) -> &[u8] {
    let long = match der.get(1) {
        Some(length) if length & 0x80 != 0 => usize::from(length & 0x7f),
        _ => 0,
    };
    der.get(2 + long..).unwrap_or_default()
}

/// Returns content as a DER sequence.
pub(crate) fn in_sequence(content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let mut der = vec![DER_SEQUENCE];
    match *significant {
        [] => der.push(0),
        [short @ ..0x80] => der.push(short),
        // At most eight bytes.
        _ => {
            der.push(0x80 | significant.len() as u8);
            der.extend_from_slice(significant);
        }
    }
    der.extend_from_slice(content);
    der
}

/// Returns the lists of a file as DER.
fn split(content: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    if content.first() == Some(&DER_SEQUENCE) {
        return Ok(vec![content.to_vec()]);
    }
    let lists: Vec<Vec<u8>> = CertificateRevocationListDer::pem_slice_iter(content)
        .map(|list| list.map(|list| list.to_vec()))
        .collect::<Result<_, _>>()
        .map_err(|error| format!("it is not PEM: {error:?}"))?;
    match lists.is_empty() {
        true => Err("it has no `BEGIN X509 CRL` block and is no DER".to_owned()),
        false => Ok(lists),
    }
}

const DER_SEQUENCE: u8 = 0x30;
const ISSUING_DISTRIBUTION_POINT: &str = "2.5.29.28";
const CRL_DISTRIBUTION_POINTS: &str = "2.5.29.31";
/// Authorities of one name that are remembered with each list.
const VERDICTS: usize = 16;
