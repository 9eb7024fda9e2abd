//! The certificates of a PKCS#7 file (`.p7b`), as Windows and many authorities hand them out.
//! Source: RFC 5652 sections 3 and 5.1.

use rustls_pki_types::CertificateDer;

use crate::der::{self, Reader};

/// Returns the certificates of the DER of a ContentInfo with SignedData, in its order; `None` if it is none.
pub(crate) fn certificates(content: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let mut info = Reader::new(Reader::new(content).next_if(der::SEQUENCE)?.content);
    let kind = info.next_if(der::OBJECT_IDENTIFIER)?;
    if der::oid_text(kind.content)?.as_str() != SIGNED_DATA {
        return None;
    }
    let explicit = info.next_if(CONTEXT_0)?;
    let mut signed = Reader::new(
        Reader::new(explicit.content)
            .next_if(der::SEQUENCE)?
            .content,
    );
    let _version = signed.next_if(der::INTEGER)?;
    let _digests = signed.next_if(der::SET)?;
    let _content = signed.next_if(der::SEQUENCE)?;
    let mut certificates = Vec::new();
    if let Some(set) = signed.next_if(CONTEXT_0) {
        let mut entries = Reader::new(set.content);
        // Other kinds of certificates have tags of their own.
        while let Some(entry) = entries.next() {
            if entry.tag == der::SEQUENCE {
                certificates.push(CertificateDer::from(entry.raw.to_vec()));
            }
        }
    }
    Some(certificates)
}

const SIGNED_DATA: &str = "1.2.840.113549.1.7.2";
const CONTEXT_0: u8 = 0xa0;
