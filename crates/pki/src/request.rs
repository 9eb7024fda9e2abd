//! Certificate signing requests. Source: RFC 2986; Elasticsearch reference, "elasticsearch-certutil" (`csr`).

use rustls_pki_types::CertificateSigningRequestDer;

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::{FromDer, ParsedExtension};

use crate::builder::request_extensions;
use crate::info::{alternative_name, key_algorithm};
use crate::signature::{Verdict, signed};
use crate::{
    DistinguishedName, NodeCertParams, PkiError, PrivateKey, SubjectAlternativeName, der, pem,
};

/// What a signing request says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestInfo {
    pub subject: DistinguishedName,
    /// In the order of the request.
    pub subject_alternative_names: Vec<SubjectAlternativeName>,
    /// For example `RSA 2048` or `EC P-256`.
    pub key_algorithm: String,
    /// Whether the requester has the private key.
    pub signature_valid: bool,
}

impl RequestInfo {
    /// Decodes a request.
    ///
    /// Errors: [`PkiError::BadCertificate`] when the bytes are no request or something follows it.
    pub fn from_der(request: &[u8]) -> Result<Self, PkiError> {
        let (rest, parsed) = X509CertificationRequest::from_der(request)
            .map_err(|error| PkiError::BadCertificate(error.to_string()))?;
        if !rest.is_empty() {
            return Err(PkiError::BadCertificate("bytes after its end".to_owned()));
        }
        let info = &parsed.certification_request_info;
        let names = parsed
            .requested_extensions()
            .into_iter()
            .flatten()
            .find_map(|extension| match extension {
                ParsedExtension::SubjectAlternativeName(names) => Some(names),
                _ => None,
            });
        Ok(Self {
            subject: DistinguishedName::from_der(info.subject.as_raw()),
            subject_alternative_names: names
                .map(|names| names.general_names.iter().map(alternative_name).collect())
                .unwrap_or_default(),
            key_algorithm: key_algorithm(&info.subject_pki),
            signature_valid: signed(
                &parsed.signature_algorithm,
                info.raw,
                &parsed.signature_value.data,
                &info.subject_pki,
            ) == Verdict::Signed,
        })
    }
}

/// A request for a certificate, with the key it is for.
#[derive(Debug)]
pub struct CertificateRequest {
    pub key: PrivateKey,
    pub request: CertificateSigningRequestDer<'static>,
}

impl CertificateRequest {
    /// Generates a key and requests a certificate for it with the names and usages of `params`; its
    /// validity is the CA's to decide.
    ///
    /// Errors: [`PkiError::KeySize`], [`PkiError::InvalidDnsName`], [`PkiError::Crypto`].
    pub fn generate(params: &NodeCertParams) -> Result<Self, PkiError> {
        let key = PrivateKey::generate(params.key)?;
        let extensions = request_extensions(params)?;
        let attributes = match extensions.is_empty() {
            true => Vec::new(),
            false => der::sequence(&[
                &der::oid(EXTENSION_REQUEST),
                &der::value(der::SET, &der::value(der::SEQUENCE, &extensions)),
            ]),
        };
        let info = der::sequence(&[
            &der::unsigned_integer(&[0]),
            params.name.as_der(),
            key.spki(),
            &der::explicit(0, &attributes),
        ]);
        let signed = key.sign(&info)?;
        let request =
            der::sequence(&[&info, &key.signature_algorithm(), &der::bit_string(&signed)]);
        Ok(Self {
            key,
            request: request.into(),
        })
    }

    /// Returns the request as PEM.
    pub fn to_pem(&self) -> String {
        pem::encode("CERTIFICATE REQUEST", &self.request)
    }
}

/// PKCS#9.
const EXTENSION_REQUEST: &[u64] = &[1, 2, 840, 113549, 1, 9, 14];
