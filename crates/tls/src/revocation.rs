//! Certificate revocation lists: which certificates their authority has taken back. RFC 5280 section 5.

use std::collections::HashSet;
use std::path::Path;

use jiff::Timestamp;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use webpki::{
    CertRevocationList, ExpirationPolicy, OwnedCertRevocationList, RevocationCheckDepth,
    RevocationOptions, RevocationOptionsBuilder, UnknownStatusPolicy,
};
use x509_parser::prelude::{FromDer, ParsedExtension, X509Certificate};
use x509_parser::revocation_list::CertificateRevocationList;

/// The lists of one context.
#[derive(Debug, Default)]
pub(crate) struct RevocationLists {
    lists: Vec<CertRevocationList<'static>>,
    /// What they revoke: the issuer's name as DER, and the serial number.
    revoked: HashSet<(Vec<u8>, Vec<u8>)>,
}

impl RevocationLists {
    /// Adds the lists of a file, PEM or DER. Returns what is doubtful about them.
    ///
    /// Errors: what is wrong with the file, without its name.
    pub(crate) fn add(&mut self, content: &[u8], path: &Path) -> Result<Vec<String>, String> {
        let mut doubts = Vec::new();
        for der in split(content)? {
            doubts.extend(self.add_der(&der, path)?);
        }
        Ok(doubts)
    }

    /// Calls the function with the options of path validation: every certificate of the path is looked
    /// up. An authority without a list has revoked nothing, and a list past its next update still tells
    /// what had been revoked by then: neither takes a cluster down.
    pub(crate) fn with_options<T>(
        &self,
        check: impl FnOnce(Option<RevocationOptions<'_>>) -> T,
    ) -> T {
        let lists: Vec<&CertRevocationList<'_>> = self.lists.iter().collect();
        let options = RevocationOptionsBuilder::new(&lists).ok().map(|builder| {
            builder
                .with_depth(RevocationCheckDepth::Chain)
                .with_status_policy(UnknownStatusPolicy::Allow)
                .with_expiration_policy(ExpirationPolicy::Ignore)
                .build()
        });
        check(options)
    }

    /// Returns whether a list of the certificate's issuer names it. For certificates that are trusted
    /// as they are, without a path; the lists are the operator's own files.
    pub(crate) fn names(&self, certificate: &CertificateDer<'_>) -> bool {
        let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
            return false;
        };
        let issuer = parsed.issuer().as_raw();
        self.lists.iter().any(|list| {
            // The list holds the name without its outer tag and length.
            issuer.ends_with(list.issuer())
                && matches!(list.find_serial(parsed.raw_serial()), Ok(Some(_)))
        })
    }

    /// Returns whether other lists revoke all that these do.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        self.revoked.is_subset(&other.revoked)
    }

    /// Returns whether a list is issued under the subject name of this certificate.
    pub(crate) fn has_list_of(&self, authority: &CertificateDer<'_>) -> bool {
        X509Certificate::from_der(authority).is_ok_and(|(_, parsed)| {
            let subject = parsed.subject().as_raw();
            self.lists
                .iter()
                .any(|list| subject.ends_with(list.issuer()))
        })
    }

    fn add_der(&mut self, der: &[u8], path: &Path) -> Result<Option<String>, String> {
        let (rest, parsed) = CertificateRevocationList::from_der(der)
            .map_err(|error| format!("it is no certificate revocation list: {error}"))?;
        if !rest.is_empty() {
            return Err("bytes follow the end of the certificate revocation list".to_owned());
        }
        let number = parsed.extensions().iter().find(|extension| {
            matches!(extension.parsed_extension(), ParsedExtension::CRLNumber(_))
        });
        match number {
            None => return Err("the list has no cRLNumber (RFC 5280 5.2.3)".to_owned()),
            Some(number) if number.critical => {
                return Err("the list's cRLNumber is critical (RFC 5280 5.2.3)".to_owned());
            }
            Some(_) => {}
        }
        let list = OwnedCertRevocationList::from_der(der).map_err(|error| {
            format!("the certificate revocation list cannot be used: {error:?}")
        })?;
        self.lists.push(list.into());
        let issuer = parsed.issuer().as_raw();
        let serials = parsed.iter_revoked_certificates();
        let revoked = serials.map(|entry| (issuer.to_vec(), entry.raw_serial().to_vec()));
        self.revoked.extend(revoked);
        Ok(stale(&parsed, path))
    }
}

fn stale(list: &CertificateRevocationList<'_>, path: &Path) -> Option<String> {
    let next = Timestamp::from_second(list.next_update()?.timestamp()).ok()?;
    (next < Timestamp::now()).then(|| {
        format!(
            "the certificate revocation list of [{}] in [{}] should have been replaced on [{next}]; \
             certificates revoked since then are still accepted",
            list.issuer(),
            path.display()
        )
    })
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
