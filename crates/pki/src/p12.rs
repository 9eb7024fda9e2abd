//! PKCS#12 files: keystores and truststores.
//!
//! The file format is `p12-keystore`'s work; which certificate belongs to which key, and who issued whom, is
//! decided here by key and signature. `p12-keystore` links certificates by their names alone.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use p12_keystore::error::Error as StoreError;
use p12_keystore::{
    Certificate, CertificateBag, KeyStore, KeyStoreEntry, Pkcs12Archive, PrivateKeyBag,
    PrivateKeyChain,
};
use pkcs8::pkcs5;
use ringwall_base::{SecretBytes, SecretString};
use rustls_pki_types::CertificateDer;

use crate::info::CertificateInfo;
use crate::key::{PrivateKey, certificate_public_bits};
use crate::pbe::{DecryptError, decrypt_pkcs8};
use crate::{PkiError, chain, der};

/// The content of a PKCS#12 file.
#[derive(Debug)]
pub struct Pkcs12 {
    /// Private keys in file order.
    pub keys: Vec<KeyEntry>,
    /// Certificates with Java's trusted attribute: the only ones Java treats as trusted.
    pub trusted: Vec<CertificateEntry>,
    /// Certificates that are neither trusted nor the leaf of a key entry (issuers of a chain, for example).
    pub others: Vec<CertificateEntry>,
    /// Whether a MAC protects the file. Without one a wrong password may show only as malformed content.
    pub has_mac: bool,
    /// Whether keys were left out because they are not opened with the password of the file.
    pub has_locked_keys: bool,
}

/// How the private keys of a file are opened.
#[derive(Clone, Copy, Debug)]
pub enum KeyPassword<'a> {
    /// With the password of the file, as nearly all makers write it.
    Same,
    /// With a password of their own, which Java's interface can set.
    Other(&'a SecretString),
    /// With the password of the file, else not at all: of use where only certificates are wanted.
    IfSame,
}

impl Pkcs12 {
    /// Returns the one key whose certificate is a CA's. Errors: there is none, or more than one; in the
    /// words of Elasticsearch's enrolment. Source: Elasticsearch reference, "Enroll node API".
    pub fn authority(&self) -> Result<&KeyEntry, &'static str> {
        let is_authority = |entry: &&KeyEntry| {
            let certificate = entry.chain.first();
            let info = certificate.and_then(|der| CertificateInfo::from_der(der).ok());
            info.is_some_and(|info| info.is_ca)
        };
        let mut authorities = self.keys.iter().filter(is_authority);
        match (authorities.next(), authorities.next()) {
            (Some(authority), None) => Ok(authority),
            (None, _) => Err(
                "Elasticsearch node HTTP layer SSL configuration Keystore doesn't contain any PrivateKey entries \
                 where the associated certificate is a CA certificate",
            ),
            (Some(_), Some(_)) => Err(
                "Elasticsearch node HTTP layer SSL configuration Keystore contains multiple PrivateKey entries \
                 where the associated certificate is a CA certificate",
            ),
        }
    }
}

/// A private key with its certificates.
#[derive(Clone, Debug)]
pub struct KeyEntry {
    pub alias: Option<String>,
    /// Unencrypted PKCS#8 DER.
    pub private_key: SecretBytes,
    /// The key's certificate, then its issuers as far as the file has them; empty when the file has no
    /// certificate of this key.
    pub chain: Vec<CertificateDer<'static>>,
}

/// A certificate that stands for itself.
#[derive(Clone, Debug)]
pub struct CertificateEntry {
    pub alias: Option<String>,
    pub certificate: CertificateDer<'static>,
}

/// An entry to write.
#[derive(Clone, Copy, Debug)]
pub enum WriteEntry<'a> {
    /// A key with its chain, leaf first.
    Key {
        alias: &'a str,
        key: &'a PrivateKey,
        chain: &'a [CertificateDer<'static>],
    },
    /// A certificate that Java will trust.
    Trusted {
        alias: &'a str,
        certificate: &'a CertificateDer<'static>,
    },
}

impl WriteEntry<'_> {
    fn alias(&self) -> &str {
        match self {
            Self::Key { alias, .. } | Self::Trusted { alias, .. } => alias,
        }
    }
}

/// Decodes a PKCS#12 file. No password = the empty password.
///
/// Errors: [`PkiError::WrongPassword`], [`PkiError::WrongKeyPassword`], [`PkiError::Malformed`],
/// [`PkiError::UnsupportedAlgorithm`]. `path` is for the messages only.
pub fn read(content: &[u8], password: &SecretString, path: &Path) -> Result<Pkcs12, PkiError> {
    read_with(content, password, KeyPassword::Same, path)
}

/// Decodes a PKCS#12 file whose keys may have another password than the file. Otherwise as [`read`].
pub fn read_with(
    content: &[u8],
    password: &SecretString,
    key_password: KeyPassword<'_>,
    path: &Path,
) -> Result<Pkcs12, PkiError> {
    let refused = |error| read_error(error, !password.is_empty(), path);
    let whole = Pkcs12Archive::from_pkcs12(content, password.expose());
    let reopened = match (&whole, key_password) {
        // The MAC is checked first, so that whatever else fails is not the password of the file.
        (Err(StoreError::MacError(_)), _) | (Ok(_), KeyPassword::Same | KeyPassword::IfSame) => {
            None
        }
        (_, KeyPassword::Other(other)) => {
            Some(pfx::reopen(content, |key| Some(decrypt_pkcs8(key, other))))
        }
        (Err(_), KeyPassword::IfSame) => Some(pfx::reopen(content, |_| None)),
        (Err(error), KeyPassword::Same) => {
            let is_garbage = matches!(error, StoreError::InvalidPrivateKey);
            if has_mac(content) && (is_wrong_password(error) || is_garbage) {
                return Err(PkiError::WrongKeyPassword {
                    path: path.to_owned(),
                    key_password_given: false,
                });
            }
            None
        }
    };
    let Some(reopened) = reopened else {
        return Ok(sorted(whole.map_err(refused)?, content, false));
    };
    let reopened = reopened.map_err(|error| match error {
        DecryptError::WrongPassphrase => PkiError::WrongKeyPassword {
            path: path.to_owned(),
            key_password_given: true,
        },
        DecryptError::Unsupported(what) => PkiError::UnsupportedAlgorithm {
            path: path.to_owned(),
            what,
            hint: RE_CREATE,
        },
        DecryptError::Malformed(reason) => PkiError::Malformed {
            path: path.to_owned(),
            expected: "PKCS#12",
            reason,
        },
    })?;
    let archive = Pkcs12Archive::from_pkcs12(&reopened, password.expose()).map_err(refused)?;
    let has_locked_keys = matches!(key_password, KeyPassword::IfSame);
    Ok(sorted(archive, content, has_locked_keys))
}

/// Finds out which certificate is whose.
fn sorted(archive: Pkcs12Archive, content: &[u8], has_locked_keys: bool) -> Pkcs12 {
    let pool: Vec<CertificateDer<'static>> = archive
        .certs
        .iter()
        .map(|bag| CertificateDer::from(bag.cert.as_der().to_vec()))
        .collect();
    let mut leaves = Vec::new();
    let mut keys = Vec::new();
    for bag in &archive.keys {
        let leaf = leaf_of(bag, &archive.certs);
        leaves.extend(leaf);
        keys.push(KeyEntry {
            alias: bag.friendly_name.clone(),
            private_key: SecretBytes::new(bag.key.as_der()),
            chain: leaf
                .map(|index| chain::build(&pool[index], &pool))
                .unwrap_or_default(),
        });
    }
    let (mut trusted, mut others) = (Vec::new(), Vec::new());
    for (index, (bag, certificate)) in archive.certs.iter().zip(pool).enumerate() {
        let entry = CertificateEntry {
            alias: bag.friendly_name.clone(),
            certificate,
        };
        if bag.trusted {
            trusted.push(entry);
        } else if !leaves.contains(&index) {
            others.push(entry);
        }
    }
    Pkcs12 {
        keys,
        trusted,
        others,
        has_mac: has_mac(content),
        has_locked_keys,
    }
}

/// Encodes a PKCS#12 file as JDK 17 does: PBES2 with PBKDF2-HMAC-SHA256 (10,000 rounds) and AES-256-CBC, MAC
/// HMAC-SHA256. Aliases of keys are lower-cased, as Java does.
///
/// Errors: [`PkiError::NonAsciiPassword`] (Java could not read the file), [`PkiError::DuplicateAlias`],
/// [`PkiError::Encode`].
pub fn write(entries: &[WriteEntry<'_>], password: &SecretString) -> Result<Vec<u8>, PkiError> {
    if !password.expose().is_ascii() {
        return Err(PkiError::NonAsciiPassword);
    }
    let millis = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_millis());
    let mut aliases = Vec::new();
    let mut store = KeyStore::new();
    for (number, entry) in entries.iter().enumerate() {
        let alias = entry.alias().to_lowercase();
        if aliases.contains(&alias) {
            return Err(PkiError::DuplicateAlias(entry.alias().to_owned()));
        }
        // Java takes the entry's date from this text; distinct per key, so that each finds its certificate.
        let local_key_id = format!("Time {}", millis + number as u128);
        let encoded = encode_entry(entry, local_key_id).map_err(|error| encode_error(&error))?;
        let name = if matches!(entry, WriteEntry::Key { .. }) {
            alias.as_str()
        } else {
            entry.alias()
        };
        store.add_entry(name, encoded);
        aliases.push(alias);
    }
    store
        .writer(password.expose())
        .write()
        .map_err(|error| encode_error(&error))
}

fn encode_entry(entry: &WriteEntry<'_>, local_key_id: String) -> Result<KeyStoreEntry, StoreError> {
    match entry {
        WriteEntry::Key { key, chain, .. } => {
            let key = p12_keystore::PrivateKey::from_der(key.pkcs8().expose())?;
            let certificates = chain
                .iter()
                .map(|der| Certificate::from_der(der))
                .collect::<Result<Vec<_>, _>>()?;
            Ok(KeyStoreEntry::PrivateKeyChain(PrivateKeyChain::new(
                local_key_id,
                key,
                certificates,
            )))
        }
        WriteEntry::Trusted { certificate, .. } => Ok(KeyStoreEntry::Certificate(
            Certificate::from_der(certificate)?,
        )),
    }
}

/// Returns the index of the key's certificate: the one with the key's localKeyID if it has the key's public
/// key, else any with that public key. A key that we cannot decode (DSA) is linked by localKeyID alone.
fn leaf_of(key: &PrivateKeyBag, certificates: &[CertificateBag]) -> Option<usize> {
    let same_id = |bag: &CertificateBag| match (&key.local_key_id, &bag.local_key_id) {
        (Some(wanted), Some(offered)) => wanted.as_ref() == offered.as_slice(),
        _ => false,
    };
    let Ok(decoded) = PrivateKey::from_pkcs8(SecretBytes::new(key.key.as_der())) else {
        return certificates.iter().position(same_id);
    };
    let same_key = |bag: &CertificateBag| {
        certificate_public_bits(bag.cert.as_der()).is_ok_and(|bits| bits == decoded.public_bits())
    };
    certificates
        .iter()
        .position(|bag| same_id(bag) && same_key(bag))
        .or_else(|| certificates.iter().position(same_key))
}

/// PFX ::= SEQUENCE { version, authSafe, macData OPTIONAL }
fn has_mac(content: &[u8]) -> bool {
    let Some(outer) = der::Reader::new(content).next_if(der::SEQUENCE) else {
        return false;
    };
    let mut fields = der::Reader::new(outer.content);
    fields.next().is_some() && fields.next().is_some() && fields.next_if(der::SEQUENCE).is_some()
}

/// Returns whether content was decrypted to something with a wrong padding.
fn is_wrong_password(error: &StoreError) -> bool {
    match error {
        StoreError::MacError(_) | StoreError::UnpadError => true,
        StoreError::Pkcs5Error(text) => *text == pkcs5::Error::DecryptFailed.to_string(),
        _ => false,
    }
}

fn read_error(error: StoreError, password_given: bool, path: &Path) -> PkiError {
    let path = path.to_owned();
    match error {
        error if is_wrong_password(&error) => PkiError::WrongPassword {
            path,
            password_given,
        },
        StoreError::Pkcs5Error(what) => PkiError::UnsupportedAlgorithm {
            path,
            what: format!("an encryption that cannot be read ({what})"),
            hint: RE_CREATE,
        },
        StoreError::UnsupportedEncryptionScheme | StoreError::UnsupportedMacAlgorithm => {
            PkiError::UnsupportedAlgorithm {
                path,
                what: "an unsupported encryption".to_owned(),
                hint: RE_CREATE,
            }
        }
        other => PkiError::Malformed {
            path,
            expected: "PKCS#12",
            reason: other.to_string(),
        },
    }
}

fn encode_error(error: &StoreError) -> PkiError {
    PkiError::Encode {
        what: "a PKCS#12 file",
        reason: error.to_string(),
    }
}

/// Rewrites a file so that its keys need no password any more, for a decoder that knows only one password.
mod pfx {
    use crate::der;
    use crate::pbe::DecryptError;
    use ringwall_base::SecretBytes;
    use zeroize::Zeroizing;

    type Opened = Option<Result<SecretBytes, DecryptError>>;

    /// Returns the file without its MAC, where each encrypted key that lies in the open is what `open` makes of
    /// it; `None` leaves it out. Errors: those of `open`, and content that is not as it must be.
    pub(super) fn reopen(
        content: &[u8],
        open: impl Fn(&[u8]) -> Opened,
    ) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
        rewrite(content, &open).unwrap_or_else(|| {
            Err(DecryptError::Malformed(
                "its parts are not those of a PKCS#12 file".to_owned(),
            ))
        })
    }

    /// PFX ::= SEQUENCE { version, authSafe ContentInfo, macData OPTIONAL }
    fn rewrite(
        content: &[u8],
        open: &impl Fn(&[u8]) -> Opened,
    ) -> Option<Result<Zeroizing<Vec<u8>>, DecryptError>> {
        let outer = der::Reader::new(content).next_if(der::SEQUENCE)?;
        let mut fields = der::Reader::new(outer.content);
        let version = fields.next_if(der::INTEGER)?;
        let safes = data(fields.next_if(der::SEQUENCE)?)?;
        let mut safes = der::Reader::new(der::Reader::new(safes).next_if(der::SEQUENCE)?.content);
        let mut rewritten = Zeroizing::new(Vec::new());
        while let Some(safe) = safes.next() {
            let Some(bags) = data(safe) else {
                // Encrypted: certificates.
                rewritten.extend_from_slice(safe.raw);
                continue;
            };
            let mut bags = der::Reader::new(der::Reader::new(bags).next_if(der::SEQUENCE)?.content);
            let mut kept = Zeroizing::new(Vec::new());
            while let Some(bag) = bags.next() {
                match bag_without_password(bag, open)? {
                    Ok(Some(opened)) => kept.extend_from_slice(&opened),
                    Ok(None) => {}
                    Err(error) => return Some(Err(error)),
                }
            }
            rewritten.extend_from_slice(&data_of(&kept));
        }
        let safes = data_of(&rewritten);
        Some(Ok(Zeroizing::new(der::sequence(&[version.raw, &safes]))))
    }

    /// SafeBag ::= SEQUENCE { bagId, bagValue [0], bagAttributes SET OPTIONAL }
    fn bag_without_password(
        bag: der::Value<'_>,
        open: &impl Fn(&[u8]) -> Opened,
    ) -> Option<Result<Option<Zeroizing<Vec<u8>>>, DecryptError>> {
        let mut fields = der::Reader::new(bag.content);
        if fields.next_if(der::OBJECT_IDENTIFIER)?.raw != der::oid(SHROUDED_KEY_BAG) {
            return Some(Ok(Some(Zeroizing::new(bag.raw.to_vec()))));
        }
        let value = fields.next_if(0xa0)?.content;
        let attributes = fields.next().map_or(&[][..], |attributes| attributes.raw);
        Some(match open(value) {
            None => Ok(None),
            Some(Err(error)) => Err(error),
            Some(Ok(key)) => {
                let value = Zeroizing::new(der::explicit(0, key.expose()));
                let parts: [&[u8]; 3] = [&der::oid(KEY_BAG), &value, attributes];
                Ok(Some(Zeroizing::new(der::sequence(&parts))))
            }
        })
    }

    /// Returns the octets of a ContentInfo of type data.
    fn data(info: der::Value<'_>) -> Option<&[u8]> {
        let mut fields = der::Reader::new(info.content);
        if fields.next_if(der::OBJECT_IDENTIFIER)?.raw != der::oid(DATA) {
            return None;
        }
        let explicit = fields.next_if(0xa0)?.content;
        Some(
            der::Reader::new(explicit)
                .next_if(der::OCTET_STRING)?
                .content,
        )
    }

    /// Returns a ContentInfo of type data with a SEQUENCE of these parts.
    fn data_of(parts: &[u8]) -> Zeroizing<Vec<u8>> {
        let sequence = Zeroizing::new(der::value(der::SEQUENCE, parts));
        let octets = Zeroizing::new(der::value(der::OCTET_STRING, &sequence));
        let explicit = Zeroizing::new(der::explicit(0, &octets));
        Zeroizing::new(der::sequence(&[&der::oid(DATA), &explicit]))
    }

    const DATA: &[u64] = &[1, 2, 840, 113549, 1, 7, 1];
    const KEY_BAG: &[u64] = &[1, 2, 840, 113549, 1, 12, 10, 1, 1];
    const SHROUDED_KEY_BAG: &[u64] = &[1, 2, 840, 113549, 1, 12, 10, 1, 2];
}

const RE_CREATE: &str = "re-create it with elasticsearch-certutil, keytool or openssl 3";

#[cfg(test)]
mod tests {
    use crate::{CaParams, CertificateAuthority, KeySpec, NodeCertParams};

    use super::*;

    fn ca() -> CertificateAuthority {
        CertificateAuthority::generate(&CaParams {
            key: KeySpec::EcP256,
            ..CaParams::default()
        })
        .unwrap()
    }

    fn params() -> NodeCertParams {
        NodeCertParams {
            key: KeySpec::EcP256,
            ..NodeCertParams::default()
        }
    }

    fn path() -> &'static Path {
        Path::new("test.p12")
    }

    #[test]
    fn a_node_file_is_keystore_and_truststore() {
        let ca = ca();
        let issued = ca.issue(&params()).unwrap();
        for password in ["changeit", ""] {
            let password = SecretString::from(password);
            let store = read(
                &issued.to_p12("Instance", &password).unwrap(),
                &password,
                path(),
            )
            .unwrap();
            assert_eq!(store.keys[0].alias.as_deref(), Some("instance"));
            assert_eq!(&store.keys[0].private_key, issued.key.pkcs8());
            assert_eq!(store.keys[0].chain, issued.chain);
            assert_eq!(store.trusted[0].alias.as_deref(), Some("ca"));
            assert_eq!(&store.trusted[0].certificate, ca.certificate());
            assert_eq!(
                (store.keys.len(), store.trusted.len(), store.has_mac),
                (1, 1, true)
            );
        }
    }

    #[test]
    fn two_authorities_of_one_name_in_one_file_do_not_confuse() {
        let (old, new) = (ca(), ca());
        let issued = new.issue(&params()).unwrap();
        let entries = [
            WriteEntry::Key {
                alias: "instance",
                key: &issued.key,
                chain: &issued.chain[..1],
            },
            WriteEntry::Trusted {
                alias: "a-old",
                certificate: old.certificate(),
            },
            WriteEntry::Trusted {
                alias: "b-new",
                certificate: new.certificate(),
            },
        ];
        let password = SecretString::from("x");
        let store = read(&write(&entries, &password).unwrap(), &password, path()).unwrap();
        assert_eq!(
            store.keys[0].chain,
            [issued.certificate.clone(), new.certificate().clone()]
        );
        assert_eq!(store.trusted.len(), 2);
    }

    #[test]
    fn a_wrong_password_is_told_from_a_broken_file() {
        let content = ca().to_p12(&SecretString::from("right")).unwrap();
        for wrong in ["wrong", ""] {
            let error = read(&content, &SecretString::from(wrong), path()).unwrap_err();
            assert!(
                matches!(error, PkiError::WrongPassword { password_given, .. } if password_given != wrong.is_empty())
            );
        }
        let error = read(
            &content[..content.len() / 2],
            &SecretString::from("right"),
            path(),
        )
        .unwrap_err();
        assert!(matches!(error, PkiError::Malformed { .. }), "{error}");
    }

    #[test]
    fn what_java_could_not_read_is_not_written() {
        let error = ca().to_p12(&SecretString::from("pässword")).unwrap_err();
        assert!(matches!(error, PkiError::NonAsciiPassword));
        let error = ca()
            .issue(&params())
            .unwrap()
            .to_p12("CA", &SecretString::from("x"))
            .unwrap_err();
        assert!(matches!(error, PkiError::DuplicateAlias(_)));
    }

    /// The MAC hides the inner content from byte changes, so it is cut off first.
    fn without_mac(content: &[u8]) -> Vec<u8> {
        let outer = der::Reader::new(content).next_if(der::SEQUENCE).unwrap();
        let mut fields = der::Reader::new(outer.content);
        let (version, safe) = (fields.next().unwrap(), fields.next().unwrap());
        der::sequence(&[version.raw, safe.raw])
    }

    #[test]
    fn a_file_without_mac_is_read_and_says_so() {
        let content = without_mac(&ca().to_p12(&SecretString::from("x")).unwrap());
        let store = read(&content, &SecretString::from("x"), path()).unwrap();
        assert_eq!((store.keys.len(), store.has_mac), (1, false));
    }

    #[test]
    fn broken_content_behind_the_mac_is_an_error_and_no_panic() {
        let content = without_mac(&ca().to_p12(&SecretString::from("x")).unwrap());
        for position in (0..content.len()).step_by(13) {
            // Values around the structure only: a changed round count would cost seconds, not correctness.
            for change in [0x01, 0x80] {
                let mut broken = content.clone();
                broken[position] ^= change;
                let _ = read(&broken, &SecretString::from("x"), path());
            }
        }
    }
}
