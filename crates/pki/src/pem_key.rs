//! Decodes the private keys of PEM files in all the forms that Elasticsearch reads, except DSA.

use std::path::Path;

use ::pem::Pem;
use md5::{Digest, Md5};
use ringwall_base::{SecretBytes, SecretString};
use zeroize::Zeroizing;

use crate::key::{PrivateKey, pkcs1_to_pkcs8, sec1_to_pkcs8};
use crate::pbe::{DecryptError, decrypt_cbc, decrypt_pkcs8, is_key};
use crate::{PkiError, der, pem};

/// Returns the first private key of a PEM file as unencrypted PKCS#8.
///
/// Reads PKCS#8, encrypted PKCS#8 (PBES2; PBES1 and PKCS#12 schemes with DES), PKCS#1 and SEC1, and the two
/// latter encrypted with `DEK-Info`. A passphrase for an unencrypted key is ignored; without a passphrase the empty one is tried.
/// Source: RFC 1421, RFC 7468.
///
/// Errors: [`PkiError::WrongPassword`], [`PkiError::PassphraseRequired`], [`PkiError::NoPemKey`],
/// [`PkiError::NoPemFooter`], [`PkiError::UnsupportedAlgorithm`], [`PkiError::Malformed`].
pub fn private_key(
    content: &[u8],
    passphrase: Option<&SecretString>,
    path: &Path,
) -> Result<SecretBytes, PkiError> {
    let file = KeyFile { path, passphrase };
    let (block, curve) = file.first_key(content)?;
    let curve = curve.as_ref().map(Pem::contents);
    let encrypted =
        block.tag() == "ENCRYPTED PRIVATE KEY" || block.headers().get("DEK-Info").is_some();
    let decode = |passphrase: &SecretString| file.decode(&block, curve, passphrase);
    match passphrase {
        Some(passphrase) => decode(passphrase),
        None => match decode(&SecretString::default()) {
            Err(PkiError::WrongPassword { path, .. }) if encrypted => {
                Err(PkiError::PassphraseRequired { path })
            }
            other => other,
        },
    }
}

/// The file a key comes from, for errors.
struct KeyFile<'a> {
    path: &'a Path,
    passphrase: Option<&'a SecretString>,
}

impl KeyFile<'_> {
    /// Returns the first block with a private key, and the `EC PARAMETERS` before it if there are any.
    /// What follows the key is not looked at, whatever it is. Source: RFC 1421, RFC 7468.
    fn first_key(&self, content: &[u8]) -> Result<(Pem, Option<Pem>), PkiError> {
        let (mut curve, mut labels) = (None, Vec::new());
        for block in pem::raw_blocks(content) {
            let label = String::from_utf8_lossy(block.label).into_owned();
            let is_key = label.ends_with("PRIVATE KEY");
            if !is_key && label != "EC PARAMETERS" {
                labels.push(label);
                continue;
            }
            let Some(text) = block.text else {
                return Err(PkiError::NoPemFooter {
                    path: self.path.to_owned(),
                    label,
                });
            };
            let parsed = ::pem::parse(text).map_err(|error| self.malformed(error.to_string()))?;
            if is_key {
                return Ok((parsed, curve));
            }
            curve = Some(parsed);
            labels.push(label);
        }
        Err(PkiError::NoPemKey {
            path: self.path.to_owned(),
            labels,
        })
    }

    fn decode(
        &self,
        block: &Pem,
        curve: Option<&[u8]>,
        passphrase: &SecretString,
    ) -> Result<SecretBytes, PkiError> {
        if block.tag() == "ENCRYPTED PRIVATE KEY" {
            let pkcs8 = self.decrypt_pkcs8(block.contents(), passphrase)?;
            return self.checked(pkcs8, true);
        }
        let dek_info = block.headers().get("DEK-Info");
        let plain = match dek_info {
            Some(dek_info) => self.decrypt_legacy(dek_info, block.contents(), passphrase)?,
            None => SecretBytes::new(block.contents()),
        };
        // One wrong passphrase in 256 leaves a padding that looks right.
        if dek_info.is_some() && !is_numbered_sequence(plain.expose()) {
            return Err(self.wrong_password());
        }
        let pkcs8 = match block.tag() {
            "PRIVATE KEY" => plain,
            "RSA PRIVATE KEY" => pkcs1_to_pkcs8(plain.expose()),
            "EC PRIVATE KEY" => match sec1_to_pkcs8(plain.expose(), curve) {
                Ok(pkcs8) => pkcs8,
                Err(_) if dek_info.is_some() => return Err(self.wrong_password()),
                Err(reason) => return Err(self.malformed(reason.to_owned())),
            },
            "DSA PRIVATE KEY" => return Err(self.unsupported("a DSA key", "use an RSA or EC key")),
            other => {
                return Err(PkiError::NoPemKey {
                    path: self.path.to_owned(),
                    labels: vec![other.to_owned()],
                });
            }
        };
        self.checked(pkcs8, dek_info.is_some())
    }

    /// Returns the key if it is one. What a wrong passphrase decrypts to is not.
    fn checked(&self, pkcs8: SecretBytes, was_encrypted: bool) -> Result<SecretBytes, PkiError> {
        if was_encrypted && !is_numbered_sequence(pkcs8.expose()) {
            return Err(self.wrong_password());
        }
        match PrivateKey::from_pkcs8(pkcs8.clone()) {
            Ok(_) => Ok(pkcs8),
            Err(PkiError::BadKey(reason)) => Err(self.malformed(reason)),
            Err(other) => Err(other),
        }
    }

    fn decrypt_pkcs8(
        &self,
        content: &[u8],
        passphrase: &SecretString,
    ) -> Result<SecretBytes, PkiError> {
        decrypt_pkcs8(content, passphrase).map_err(|error| match error {
            DecryptError::WrongPassphrase => self.wrong_password(),
            DecryptError::Unsupported(what) => self.unsupported(&what, RE_ENCRYPT),
            DecryptError::Malformed(reason) => self.malformed(reason),
        })
    }

    /// Decrypts the form that old OpenSSL and Elasticsearch's own tools write: the key is a chain of MD5 over
    /// the passphrase and the first 8 bytes of the IV.
    fn decrypt_legacy(
        &self,
        dek_info: &str,
        content: &[u8],
        passphrase: &SecretString,
    ) -> Result<SecretBytes, PkiError> {
        let (algorithm, iv) = dek_info.split_once(',').unwrap_or((dek_info, ""));
        let iv = hex::decode(iv.trim())
            .map_err(|_| self.malformed("DEK-Info without a hexadecimal IV".to_owned()))?;
        let decrypt: Decrypt = match algorithm.trim() {
            "AES-128-CBC" => decrypt_cbc::<cbc::Decryptor<aes::Aes128>, 16>,
            "AES-192-CBC" => decrypt_cbc::<cbc::Decryptor<aes::Aes192>, 24>,
            "AES-256-CBC" => decrypt_cbc::<cbc::Decryptor<aes::Aes256>, 32>,
            "DES-EDE3-CBC" => decrypt_cbc::<cbc::Decryptor<des::TdesEde3>, 24>,
            "DES-CBC" => decrypt_cbc::<cbc::Decryptor<des::Des>, 8>,
            other => {
                return Err(self.unsupported(&format!("the key encryption {other}"), RE_ENCRYPT));
            }
        };
        if iv.len() < 8 {
            return Err(self.malformed("DEK-Info with a short IV".to_owned()));
        }
        let key = md5_chain(passphrase.expose().as_bytes(), &iv[..8]);
        decrypt(&key, &iv, content)
            .map(SecretBytes::new)
            .filter(|opened| is_key(opened.expose()))
            .ok_or_else(|| self.wrong_password())
    }

    fn wrong_password(&self) -> PkiError {
        PkiError::WrongPassword {
            path: self.path.to_owned(),
            password_given: self.passphrase.is_some(),
        }
    }

    fn malformed(&self, reason: String) -> PkiError {
        PkiError::Malformed {
            path: self.path.to_owned(),
            expected: "PEM private key",
            reason,
        }
    }

    fn unsupported(&self, what: &str, hint: &'static str) -> PkiError {
        PkiError::UnsupportedAlgorithm {
            path: self.path.to_owned(),
            what: what.to_owned(),
            hint,
        }
    }
}

/// Returns whether this is a sequence that begins with a number, as every form of a private key is.
fn is_numbered_sequence(der: &[u8]) -> bool {
    let sequence = der::Reader::new(der).next_if(der::SEQUENCE);
    sequence.is_some_and(|value| {
        let mut fields = der::Reader::new(value.content);
        fields.next_if(der::INTEGER).is_some()
    })
}

/// Returns 32 bytes of OpenSSL's one-round `EVP_BytesToKey`; a cipher uses the first ones.
fn md5_chain(passphrase: &[u8], salt: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut key = Zeroizing::new(Vec::with_capacity(32));
    while key.len() < 32 {
        let mut hash = Md5::new();
        if let Some(start) = key.len().checked_sub(16) {
            hash.update(&key[start..]);
        }
        hash.update(passphrase);
        hash.update(salt);
        key.extend_from_slice(&hash.finalize());
    }
    key
}

/// Decrypts content with a key and an IV; `None` when the padding is wrong.
type Decrypt = fn(key: &[u8], iv: &[u8], content: &[u8]) -> Option<Vec<u8>>;

const RE_ENCRYPT: &str = "re-encrypt it: `openssl pkcs8 -topk8 -v2 aes-256-cbc -in OLD -out NEW`";
