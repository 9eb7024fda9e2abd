//! X.509 certificates, private keys, PKCS#12 and PEM files: making them, reading them, describing them.
//!
//! Start at [`CertificateAuthority`] to make certificates, at [`load_keystore`], [`load_truststore`],
//! [`load_pem_key`] and [`load_pem_certs`] to read the files that settings name, and at
//! [`CertificateInfo`] to describe a certificate.
//!
//! Invariants:
//! * No printing, no prompts, no async. Key generation and key stretching take 10 ms to seconds of CPU:
//!   callers on an async runtime use a blocking thread.
//! * Private keys live in [`ringwall_base::SecretBytes`] and never appear in `Debug` or errors.
//! * An issuer is linked to a certificate only when its key verifies the signature, never by name alone:
//!   two CAs of one name in one file do not confuse us.
//!
//! Absent on purpose: writing JKS stores, and reading JCEKS ones (the error says how to convert), DSA keys, certificate path validation
//! with dates and names (that is the `tls` crate's).

mod builder;
mod ca;
mod chain;
mod der;
mod error;
mod identity;
mod info;
pub mod instances;
pub mod jks;
mod key;
mod load;
mod name;
pub mod p12;
mod pbe;
pub mod pem;
mod pem_key;
mod pkcs7;
mod profile;
mod renewal;
mod request;
mod signature;

pub use builder::{ExtendedKeyUsage, KeyUsage};
pub use ca::{
    CaParams, CertificateAuthority, DEFAULT_CA_DN, DEFAULT_DAYS, DEFAULT_INSTANCE_NAME,
    DEFAULT_KEY_SIZE, IssuedCertificate, NodeCertParams, self_signed,
};
pub use error::PkiError;
pub use identity::{IdentityKey, is_signed_by};
pub use info::{CertificateInfo, SubjectAlternativeName, fingerprint_sha1, fingerprint_sha256};
pub use key::{KeySpec, PrivateKey, key_matches_certificate};
pub use load::{
    FileFormat, KeyMaterial, TrustMaterial, certificates_in, detect_format, load_keystore,
    load_keystore_with, load_pem_certs, load_pem_key, load_pem_key_material, load_pem_trust,
    load_store, load_truststore, put_leaf_first, store_format,
};
pub use name::DistinguishedName;
pub use profile::{
    authority_defect, exact_defect, intermediate_defect, key_defect, leaf_defect,
    public_web_leaf_defect, public_web_root_defect,
};
pub use renewal::{Renewal, is_issued_by};
pub use request::{CertificateRequest, RequestInfo};
pub use rustls_pki_types::CertificateDer;
pub use signature::is_list_signed_by;
