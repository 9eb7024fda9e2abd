//! PEM files: certificates and private keys, sorted by label.

use std::path::Path;

use ::pem::{EncodeConfig, LineEnding, Pem};
use pkcs8::pkcs5::pbes2;
use pkcs8::{PrivateKeyInfoRef, SecretDocument};
use ringwall_base::{SecretBytes, SecretString};
use rustls_pki_types::CertificateDer;

pub use crate::pem_key::private_key;

use crate::key::{PrivateKey, pkcs8_inner};
use crate::{PkiError, pkcs7};

/// Returns every certificate of a PEM file, in order, those of PKCS#7 blocks among them; other blocks are ignored.
///
/// Errors: [`PkiError::NoCertificates`], [`PkiError::MalformedCertificate`], [`PkiError::NoPemFooter`],
/// [`PkiError::Malformed`].
pub fn certificates(content: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, PkiError> {
    let mut certificates = Vec::new();
    for block in blocks(content, path)? {
        if matches!(block.tag(), "CERTIFICATE" | "X509 CERTIFICATE") {
            let der = block.into_contents();
            check_certificate(&der, certificates.len() + 1, path)?;
            certificates.push(CertificateDer::from(der));
        } else if matches!(block.tag(), "PKCS7" | "CMS" | "PKCS #7 SIGNED DATA") {
            for der in pkcs7::certificates(block.contents()).unwrap_or_default() {
                check_certificate(&der, certificates.len() + 1, path)?;
                certificates.push(der);
            }
        }
    }
    if certificates.is_empty() {
        Err(PkiError::NoCertificates {
            path: path.to_owned(),
        })
    } else {
        Ok(certificates)
    }
}

/// Refuses what cannot be decoded. `position` counts from 1.
pub(crate) fn check_certificate(der: &[u8], position: usize, path: &Path) -> Result<(), PkiError> {
    let read = crate::CertificateInfo::from_der(der);
    read.map(|_| ())
        .map_err(|error| PkiError::MalformedCertificate {
            path: path.to_owned(),
            position,
            reason: match error {
                PkiError::BadCertificate(reason) => reason,
                other => other.to_string(),
            },
        })
}

/// Returns every block of a PEM file: its label and its content as DER.
///
/// Errors: [`PkiError::NoPemFooter`], [`PkiError::Malformed`].
pub fn labelled(content: &[u8], path: &Path) -> Result<Vec<(String, Vec<u8>)>, PkiError> {
    let blocks = blocks(content, path)?;
    Ok(blocks
        .into_iter()
        .map(|block| (block.tag().to_owned(), block.into_contents()))
        .collect())
}

/// Encodes certificates one after the other.
pub fn encode_certificates(certificates: &[CertificateDer<'static>]) -> String {
    certificates
        .iter()
        .map(|der| encode("CERTIFICATE", der))
        .collect()
}

/// Encodes a private key.
///
/// Without a passphrase: `RSA PRIVATE KEY` for RSA, as Elasticsearch's tools write, else `PRIVATE KEY`.
/// With one: `ENCRYPTED PRIVATE KEY` (PBES2, PBKDF2-HMAC-SHA256, AES-256-CBC), which Elasticsearch, Java and
/// OpenSSL read. The legacy `DEK-Info` form stretches the passphrase with one round of MD5 and is not written.
///
/// Errors: [`PkiError::Encode`].
pub fn encode_private_key(
    key: &PrivateKey,
    passphrase: Option<&SecretString>,
) -> Result<SecretString, PkiError> {
    let pkcs8 = key.pkcs8();
    let text = match passphrase {
        Some(passphrase) => encode(
            "ENCRYPTED PRIVATE KEY",
            encrypt(pkcs8, passphrase)?.as_bytes(),
        ),
        None => match pkcs8_inner(pkcs8.expose()) {
            Some((true, pkcs1)) => encode("RSA PRIVATE KEY", pkcs1.expose()),
            _ => encode("PRIVATE KEY", pkcs8.expose()),
        },
    };
    Ok(SecretString::new(text))
}

/// Returns the blocks of a PEM file. Text around them is ignored; a block without its end is an error.
pub(crate) fn blocks(content: &[u8], path: &Path) -> Result<Vec<Pem>, PkiError> {
    let parse = |block: RawBlock<'_>| {
        let Some(text) = block.text else {
            return Err(PkiError::NoPemFooter {
                path: path.to_owned(),
                label: String::from_utf8_lossy(block.label).into_owned(),
            });
        };
        ::pem::parse(text).map_err(|error| PkiError::Malformed {
            path: path.to_owned(),
            expected: "PEM",
            reason: error.to_string(),
        })
    };
    raw_blocks(content).map(parse).collect()
}

/// A PEM block that is not decoded yet.
pub(crate) struct RawBlock<'a> {
    /// What follows `BEGIN`.
    pub(crate) label: &'a [u8],
    /// From the first to the last dash; `None` when the block does not end with its own label.
    pub(crate) text: Option<&'a [u8]>,
}

/// Walks the blocks of a PEM file. A block is over at the latest where the next one begins: a footer that is
/// cut off does not swallow what follows.
pub(crate) fn raw_blocks(content: &[u8]) -> impl Iterator<Item = RawBlock<'_>> {
    let mut rest = content;
    std::iter::from_fn(move || {
        loop {
            let inside = &rest[find(rest, BEGIN)? + BEGIN.len()..];
            let end = find(inside, BEGIN).unwrap_or(inside.len());
            let block = &rest[rest.len() - inside.len() - BEGIN.len()..][..BEGIN.len() + end];
            let label = find(inside, DASHES).map(|length| &inside[..length]);
            rest = &inside[end..];
            // Else it is a sentence about such blocks.
            if let Some(label) = label.filter(|label| !label.contains(&b'\n')) {
                let footer = [END, label, DASHES].concat();
                let text = find(block, &footer).map(|at| &block[..at + footer.len()]);
                return Some(RawBlock { label, text });
            }
        }
    })
}

fn find(content: &[u8], wanted: &[u8]) -> Option<usize> {
    content
        .windows(wanted.len())
        .position(|window| window == wanted)
}

fn encrypt(pkcs8: &SecretBytes, passphrase: &SecretString) -> Result<SecretDocument, PkiError> {
    let failed = |error: &dyn std::fmt::Display| PkiError::Encode {
        what: "an encrypted private key",
        reason: error.to_string(),
    };
    let (mut salt, mut iv) = ([0u8; 16], [0u8; 16]);
    getrandom::fill(&mut salt).map_err(|error| failed(&error))?;
    getrandom::fill(&mut iv).map_err(|error| failed(&error))?;
    let parameters = pbes2::Parameters::generate_pbkdf2_sha256_aes256cbc(PBKDF2_ROUNDS, &salt, iv)
        .map_err(|error| failed(&error))?;
    let info = PrivateKeyInfoRef::try_from(pkcs8.expose()).map_err(|error| failed(&error))?;
    info.encrypt_with_params(parameters, passphrase.expose())
        .map_err(|error| failed(&error))
}

pub(crate) fn encode(label: &str, der: &[u8]) -> String {
    let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
    ::pem::encode_config(&Pem::new(label, der), config)
}

const PBKDF2_ROUNDS: u32 = 100_000;
const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";

#[cfg(test)]
mod tests {
    use crate::{KeySpec, NodeCertParams, self_signed};

    use super::*;

    fn path() -> &'static Path {
        Path::new("test.pem")
    }

    #[test]
    fn bundles_keep_their_order_and_ignore_other_text() {
        let params = NodeCertParams {
            key: KeySpec::EcP256,
            ..NodeCertParams::default()
        };
        let (a, b) = (self_signed(&params).unwrap(), self_signed(&params).unwrap());
        let text = format!(
            "Bag Attributes\n{}noise\n{}",
            a.certificate_pem(),
            b.certificate_pem()
        );
        assert_eq!(
            certificates(text.as_bytes(), path()).unwrap(),
            [a.certificate, b.certificate]
        );
    }

    #[test]
    fn a_truncated_file_is_no_shorter_file() {
        let params = NodeCertParams {
            key: KeySpec::EcP256,
            ..NodeCertParams::default()
        };
        let text = self_signed(&params).unwrap().certificate_pem().repeat(2);
        let error = certificates(&text.as_bytes()[..text.len() - 40], path()).unwrap_err();
        assert!(error.to_string().contains("footer"), "{error}");
    }

    #[test]
    fn a_file_without_certificates_says_so() {
        assert!(matches!(
            certificates(b"hello", path()),
            Err(PkiError::NoCertificates { .. })
        ));
        let block = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let error = certificates(block.as_bytes(), path()).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("certificate 1 in [test.pem] is malformed"),
            "{error}"
        );
    }

    #[test]
    fn keys_are_read_back() {
        for spec in [KeySpec::EcP256, KeySpec::Rsa(2048)] {
            let key = PrivateKey::generate(spec).unwrap();
            let plain = encode_private_key(&key, None).unwrap();
            assert_eq!(
                &private_key(plain.expose().as_bytes(), None, path()).unwrap(),
                key.pkcs8()
            );
            let secret = SecretString::from("pässword");
            let encrypted = encode_private_key(&key, Some(&secret)).unwrap();
            assert_eq!(
                &private_key(encrypted.expose().as_bytes(), Some(&secret), path()).unwrap(),
                key.pkcs8()
            );
            let wrong = SecretString::from("other");
            assert!(matches!(
                private_key(encrypted.expose().as_bytes(), Some(&wrong), path()),
                Err(PkiError::WrongPassword { .. })
            ));
            assert!(matches!(
                private_key(encrypted.expose().as_bytes(), None, path()),
                Err(PkiError::PassphraseRequired { .. })
            ));
        }
    }
}
