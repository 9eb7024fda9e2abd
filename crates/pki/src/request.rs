//! Certificate signing requests. Source: RFC 2986; tools.md section 1.

use rustls_pki_types::CertificateSigningRequestDer;

use crate::builder::request_extensions;
use crate::{NodeCertParams, PkiError, PrivateKey, der, pem};

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
