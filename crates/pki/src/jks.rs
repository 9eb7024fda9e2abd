//! Reads Java keystores of the old format, JKS. Written are PKCS#12 files only.
//!
//! The file, all numbers big-endian: magic, version (1 or 2), number of entries, the entries, SHA-1 of the password,
//! a constant and all that went before. An entry: kind, alias, time in ms, then for a key (1) the protected key and
//! its chain, for a trusted certificate (2) the certificate. In version 2 the kind of each certificate precedes it.
//! Source: the documentation of `sun.security.provider.JavaKeyStore` and `KeyProtector` in the OpenJDK.

use std::path::Path;

use ringwall_base::{SecretBytes, SecretString};
use rustls_pki_types::CertificateDer;
use sha1::{Digest, Sha1};
use zeroize::Zeroizing;

use crate::p12::{CertificateEntry, KeyEntry, Pkcs12};
use crate::{PkiError, der};

/// Decodes a JKS file. With an empty password its integrity is not checked, as in Java. Keys have the password of
/// the store unless another is given.
///
/// Errors: [`PkiError::WrongPassword`], [`PkiError::WrongKeyPassword`], [`PkiError::Malformed`],
/// [`PkiError::UnsupportedAlgorithm`]. `path` is for the messages only.
pub(crate) fn read(
    content: &[u8],
    password: &SecretString,
    key_password: Option<&SecretString>,
    path: &Path,
) -> Result<Pkcs12, PkiError> {
    let password_of_keys = key_password.unwrap_or(password);
    // The password of the file is right: it is checked first, unless it is empty.
    let of_key = |error| match error {
        PkiError::WrongPassword { path, .. } if !password.is_empty() => {
            PkiError::WrongKeyPassword {
                path,
                key_password_given: key_password.is_some(),
            }
        }
        other => other,
    };
    let mut keys = Vec::new();
    let mut trusted = Vec::new();
    for entry in entries(content, password, path)? {
        match entry.protected {
            None => trusted.extend(entry.trusted()),
            Some(protected) => keys.push(KeyEntry {
                private_key: recover(protected, password_of_keys, path).map_err(of_key)?,
                alias: Some(entry.alias),
                chain: entry.certificates,
            }),
        }
    }
    Ok(store(keys, trusted))
}

/// What is open in an entry of a JKS file: all but its key.
#[derive(Clone, Debug)]
pub struct JksEntry {
    pub alias: String,
    /// Whether it has a private key; else its certificate is trusted.
    pub has_key: bool,
    /// For a key the certificate, then its issuers.
    pub certificates: Vec<CertificateDer<'static>>,
}

/// Decodes the certificates of a JKS file, which it does not hide. With an empty password its integrity is not
/// checked, as in Java; keys stay closed.
///
/// Errors: [`PkiError::WrongPassword`], [`PkiError::Malformed`]. `path` is for the messages only.
pub fn open_entries(
    content: &[u8],
    password: &SecretString,
    path: &Path,
) -> Result<Vec<JksEntry>, PkiError> {
    let entries = entries(content, password, path)?.into_iter();
    let open = entries.map(|entry| JksEntry {
        alias: entry.alias,
        has_key: entry.protected.is_some(),
        certificates: entry.certificates,
    });
    Ok(open.collect())
}

/// Decodes the trusted certificates of a JKS file. Its keys stay closed: their password may be another.
///
/// Errors: as [`read`].
pub(crate) fn read_trusted(
    content: &[u8],
    password: &SecretString,
    path: &Path,
) -> Result<Pkcs12, PkiError> {
    let entries = entries(content, password, path)?.into_iter();
    let trusted = entries.filter(|entry| entry.protected.is_none());
    Ok(store(
        Vec::new(),
        trusted.flat_map(Entry::trusted).collect(),
    ))
}

fn store(keys: Vec<KeyEntry>, trusted: Vec<CertificateEntry>) -> Pkcs12 {
    Pkcs12 {
        has_locked_keys: false,
        keys,
        trusted,
        others: Vec::new(),
        has_mac: true,
    }
}

fn entries<'a>(
    content: &'a [u8],
    password: &SecretString,
    path: &Path,
) -> Result<Vec<Entry<'a>>, PkiError> {
    let malformed = |reason: &str| PkiError::Malformed {
        path: path.to_owned(),
        expected: "JKS",
        reason: reason.to_owned(),
    };
    let end = content.len().checked_sub(DIGEST);
    let (body, digest) = end
        .and_then(|end| content.split_at_checked(end))
        .ok_or_else(|| malformed("it is too short"))?;
    let mut reader = Reader(body);
    let head = (|| Some((reader.u32()?, reader.u32()?, reader.u32()?)))();
    let Some((MAGIC, version @ 1..=2, count)) = head else {
        return Err(malformed("its version is neither 1 nor 2"));
    };
    if !password.is_empty() && digest != sha1(&[&utf16(password), INTEGRITY, body]).as_slice() {
        return Err(wrong_password(password, path));
    }
    let mut entries = Vec::new();
    for _ in 0..count {
        let entry = reader.entry(version);
        entries.push(entry.ok_or_else(|| malformed("an entry is cut off or of an unknown kind"))?);
    }
    match reader.0.is_empty() {
        true => Ok(entries),
        false => Err(malformed("bytes follow its last entry")),
    }
}

fn wrong_password(password: &SecretString, path: &Path) -> PkiError {
    PkiError::WrongPassword {
        path: path.to_owned(),
        password_given: !password.is_empty(),
    }
}

struct Entry<'a> {
    alias: String,
    /// The DER of an EncryptedPrivateKeyInfo, for a key.
    protected: Option<&'a [u8]>,
    certificates: Vec<CertificateDer<'static>>,
}

impl Entry<'_> {
    fn trusted(self) -> impl Iterator<Item = CertificateEntry> {
        let certificates = self.certificates.into_iter();
        certificates.map(move |certificate| CertificateEntry {
            alias: Some(self.alias.clone()),
            certificate,
        })
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn sized(&mut self) -> Option<&'a [u8]> {
        let length = self.u32()?;
        self.take(length.try_into().ok()?)
    }

    /// Java's modified UTF-8, which differs from UTF-8 where aliases do not go.
    fn text(&mut self) -> Option<String> {
        let length = u16::from_be_bytes(self.take(2)?.try_into().ok()?);
        Some(String::from_utf8_lossy(self.take(length.into())?).into_owned())
    }

    fn entry(&mut self, version: u32) -> Option<Entry<'a>> {
        let kind = self.u32()?;
        let alias = self.text()?;
        self.take(TIME)?;
        let (protected, count) = match kind {
            KEY => (Some(self.sized()?), self.u32()?),
            TRUSTED => (None, 1),
            _ => return None,
        };
        let mut certificates = Vec::new();
        for _ in 0..count {
            if version == 2 {
                self.text()?;
            }
            certificates.push(CertificateDer::from(self.sized()?.to_vec()));
        }
        Some(Entry {
            alias,
            protected,
            certificates,
        })
    }
}

/// Returns the protected key in an EncryptedPrivateKeyInfo, or `None` when it is protected in another way.
fn protector(encrypted: &[u8]) -> Option<&[u8]> {
    let outer = der::Reader::new(encrypted).next_if(der::SEQUENCE)?;
    let mut parts = der::Reader::new(outer.content);
    let algorithm = parts.next_if(der::SEQUENCE)?;
    let oid = der::Reader::new(algorithm.content).next_if(der::OBJECT_IDENTIFIER)?;
    let protected = parts.next_if(der::OCTET_STRING)?;
    (der::oid_text(oid.content)? == PROTECTOR).then_some(protected.content)
}

/// Returns the PKCS#8 key of an EncryptedPrivateKeyInfo: a salt, the key under a stream of SHA-1 digests, each of
/// the password and the one before, and SHA-1 of the password and the key.
fn recover(
    encrypted: &[u8],
    password: &SecretString,
    path: &Path,
) -> Result<SecretBytes, PkiError> {
    let protected = protector(encrypted).ok_or_else(|| PkiError::UnsupportedAlgorithm {
        path: path.to_owned(),
        what: "another protection of keys than that of JKS".to_owned(),
        hint: "convert the file to PKCS#12 with keytool",
    })?;
    let parts = protected
        .split_at_checked(DIGEST)
        .and_then(|(salt, rest)| Some((salt, rest.split_at(rest.len().checked_sub(DIGEST)?))));
    let Some((salt, (hidden, check))) = parts else {
        return Err(wrong_password(password, path));
    };
    let secret = utf16(password);
    let mut key = Zeroizing::new(hidden.to_vec());
    let mut stream = Zeroizing::new(sha1(&[&secret, salt]));
    for block in key.chunks_mut(DIGEST) {
        for (byte, mask) in block.iter_mut().zip(stream.iter()) {
            *byte ^= mask;
        }
        *stream = sha1(&[&secret, stream.as_slice()]);
    }
    match check == sha1(&[&secret, &key]).as_slice() {
        true => Ok(SecretBytes::new(key.to_vec())),
        false => Err(wrong_password(password, path)),
    }
}

fn utf16(password: &SecretString) -> Zeroizing<Vec<u8>> {
    let units = password.expose().encode_utf16();
    Zeroizing::new(units.flat_map(u16::to_be_bytes).collect())
}

fn sha1(parts: &[&[u8]]) -> [u8; DIGEST] {
    let mut hash = Sha1::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

const MAGIC: u32 = 0xfeed_feed;
const KEY: u32 = 1;
const TRUSTED: u32 = 2;
const TIME: usize = 8;
const DIGEST: usize = 20;
const INTEGRITY: &[u8] = b"Mighty Aphrodite";
const PROTECTOR: &str = "1.3.6.1.4.1.42.2.17.1.1";
