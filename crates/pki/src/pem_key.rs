//! Decodes the private keys of PEM files in all the forms that Elasticsearch reads, except DSA.

use std::path::Path;

use ::pem::Pem;
use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeDecrypt, KeyIvInit};
use md5::Md5;
use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::pkcs5::{EncryptionScheme, pbes2::Kdf};
use ringwall_base::{SecretBytes, SecretString};
use sha1::{Digest, Sha1};
use zeroize::Zeroizing;

use crate::key::{PrivateKey, pkcs1_to_pkcs8, sec1_to_pkcs8};
use crate::{PkiError, der, pem};

/// Returns the first private key of a PEM file as unencrypted PKCS#8.
///
/// Reads PKCS#8, encrypted PKCS#8 (PBES2; PBE-SHA1-3DES), PKCS#1 and SEC1, and the two latter encrypted with
/// `DEK-Info`. A passphrase for an unencrypted key is ignored; without a passphrase the empty one is tried.
/// Source: node.md section 2.5.
///
/// Errors: [`PkiError::WrongPassword`], [`PkiError::PassphraseRequired`], [`PkiError::NoPemKey`],
/// [`PkiError::UnsupportedAlgorithm`], [`PkiError::Malformed`].
pub fn private_key(
    content: &[u8],
    passphrase: Option<&SecretString>,
    path: &Path,
) -> Result<SecretBytes, PkiError> {
    let blocks = pem::blocks(content, path)?;
    let file = KeyFile { path, passphrase };
    let Some(block) = blocks
        .iter()
        .find(|block| block.tag().ends_with("PRIVATE KEY"))
    else {
        let labels = blocks.iter().map(|block| block.tag().to_owned()).collect();
        return Err(PkiError::NoPemKey {
            path: path.to_owned(),
            labels,
        });
    };
    let curve = blocks
        .iter()
        .find(|block| block.tag() == "EC PARAMETERS")
        .map(Pem::contents);
    let encrypted =
        block.tag() == "ENCRYPTED PRIVATE KEY" || block.headers().get("DEK-Info").is_some();
    let decode = |passphrase: &SecretString| file.decode(block, curve, passphrase);
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
                Some(pkcs8) => pkcs8,
                None if dek_info.is_some() => return Err(self.wrong_password()),
                None => return Err(self.malformed("an EC key without its curve".to_owned())),
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
        if let Some(encrypted) = Pbe3Des::parse(content) {
            return encrypted
                .decrypt(passphrase)
                .ok_or_else(|| self.wrong_password());
        }
        let info = EncryptedPrivateKeyInfoRef::try_from(content).map_err(|error| {
            self.malformed(format!("unreadable encryption parameters ({error})"))
        })?;
        if let EncryptionScheme::Pbes2(parameters) = &info.encryption_algorithm
            && let Kdf::Pbkdf2(kdf) = &parameters.kdf
            && kdf.iteration_count > MAX_ROUNDS
        {
            let what = format!("{} key stretching rounds", kdf.iteration_count);
            return Err(self.unsupported(&what, "encrypt the key with at most 10000000"));
        }
        match info.decrypt(passphrase.expose()) {
            Ok(plain) => Ok(SecretBytes::new(plain.as_bytes())),
            Err(_) => Err(self.wrong_password()),
        }
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

fn decrypt_cbc<D: KeyIvInit + BlockModeDecrypt, const KEY: usize>(
    key: &[u8],
    iv: &[u8],
    content: &[u8],
) -> Option<Vec<u8>> {
    let cipher = D::new_from_slices(key.get(..KEY)?, iv).ok()?;
    let mut buffer = Zeroizing::new(content.to_vec());
    cipher
        .decrypt_padded::<Pkcs7>(&mut buffer)
        .ok()
        .map(<[u8]>::to_vec)
}

/// PKCS#8 encrypted with `pbeWithSHA1And3-KeyTripleDES-CBC` (RFC 7292 appendix B and C).
struct Pbe3Des<'a> {
    salt: &'a [u8],
    rounds: u32,
    content: &'a [u8],
}

impl<'a> Pbe3Des<'a> {
    fn parse(encrypted: &'a [u8]) -> Option<Self> {
        let outer = der::Reader::new(encrypted).next_if(der::SEQUENCE)?;
        let mut fields = der::Reader::new(outer.content);
        let algorithm = fields.next_if(der::SEQUENCE)?;
        let content = fields.next_if(der::OCTET_STRING)?.content;
        let mut parts = der::Reader::new(algorithm.content);
        if parts.next_if(der::OBJECT_IDENTIFIER)?.raw != der::oid(PBE_SHA1_3DES) {
            return None;
        }
        let parameters = parts.next_if(der::SEQUENCE)?;
        let mut parameters = der::Reader::new(parameters.content);
        let salt = parameters.next_if(der::OCTET_STRING)?.content;
        let rounds = parameters.next_if(der::INTEGER)?.content;
        let rounds = rounds.iter().try_fold(0u32, |sum, byte| {
            sum.checked_mul(256)?.checked_add(u32::from(*byte))
        })?;
        (rounds > 0 && rounds <= MAX_ROUNDS && !salt.is_empty()).then_some(Self {
            salt,
            rounds,
            content,
        })
    }

    fn decrypt(&self, passphrase: &SecretString) -> Option<SecretBytes> {
        let key = self.derive(1, 24, passphrase);
        let iv = self.derive(2, 8, passphrase);
        decrypt_cbc::<cbc::Decryptor<des::TdesEde3>, 24>(&key, &iv, self.content)
            .map(SecretBytes::new)
    }

    /// The PKCS#12 key derivation with SHA-1 (20-byte output, 64-byte blocks).
    fn derive(&self, purpose: u8, length: usize, passphrase: &SecretString) -> Zeroizing<Vec<u8>> {
        let mut password: Zeroizing<Vec<u8>> = Zeroizing::new(
            passphrase
                .expose()
                .encode_utf16()
                .flat_map(u16::to_be_bytes)
                .collect(),
        );
        password.extend_from_slice(&[0, 0]);
        let mut input = Zeroizing::new(fill_blocks(self.salt));
        input.extend_from_slice(&fill_blocks(&password));
        let mut out = Zeroizing::new(Vec::with_capacity(length + 20));
        loop {
            let mut hash = Sha1::new()
                .chain_update([purpose; 64])
                .chain_update(&*input)
                .finalize();
            for _ in 1..self.rounds {
                hash = Sha1::digest(hash);
            }
            out.extend_from_slice(&hash);
            if out.len() >= length {
                out.truncate(length);
                return out;
            }
            let addend: Vec<u8> = hash.iter().copied().cycle().take(64).collect();
            for block in input.chunks_exact_mut(64) {
                add_one_and(block, &addend);
            }
        }
    }
}

/// Repeats bytes up to a multiple of 64.
fn fill_blocks(bytes: &[u8]) -> Vec<u8> {
    bytes
        .iter()
        .copied()
        .cycle()
        .take(bytes.len().div_ceil(64) * 64)
        .collect()
}

/// Sets `block = block + addend + 1` as big-endian numbers, without the overflow.
fn add_one_and(block: &mut [u8], addend: &[u8]) {
    let mut carry = 1u16;
    for (byte, add) in block.iter_mut().zip(addend).rev() {
        let sum = u16::from(*byte) + u16::from(*add) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
}

/// Decrypts content with a key and an IV; `None` when the padding is wrong.
type Decrypt = fn(key: &[u8], iv: &[u8], content: &[u8]) -> Option<Vec<u8>>;

const PBE_SHA1_3DES: &[u64] = &[1, 2, 840, 113549, 1, 12, 1, 3];
const MAX_ROUNDS: u32 = 10_000_000;
const RE_ENCRYPT: &str =
    "re-encrypt it: openssl pkcs8 -topk8 -v2 aes-256-cbc -in old.key -out new.key";
