//! Decrypts encrypted PKCS#8 (`EncryptedPrivateKeyInfo`): PBES2 by the `pkcs5` crate, and the schemes before it
//! that old tools wrote (PKCS#5 PBES1, PKCS#12 appendix B), which that crate leaves to others.
//!
//! Old schemes are read so that a node starts with the files it has; nothing is written with them.

use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeDecrypt, KeyIvInit};
use md5::Md5;
use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::pkcs5::pbes2::Kdf;
use pkcs8::pkcs5::{self, EncryptionScheme};
use ringwall_base::{SecretBytes, SecretString};
use sha1::{Digest, Sha1};
use zeroize::Zeroizing;

use crate::der;

/// Why a key cannot be decrypted.
#[derive(Debug)]
pub(crate) enum DecryptError {
    /// What comes out is not padded as it must be: the passphrase is another.
    WrongPassphrase,
    /// The scheme is known and not implemented, or costs too much; with its name.
    Unsupported(String),
    /// The parameters are no such parameters.
    Malformed(String),
}

/// Decrypts an `EncryptedPrivateKeyInfo` (DER) and returns what is inside, unchecked but for its padding.
pub(crate) fn decrypt_pkcs8(
    content: &[u8],
    passphrase: &SecretString,
) -> Result<SecretBytes, DecryptError> {
    let opened = open(content, passphrase)?;
    match is_key(opened.expose()) {
        true => Ok(opened),
        false => Err(DecryptError::WrongPassphrase),
    }
}

/// Returns whether what was decrypted can be a key at all. One wrong passphrase in 256 leaves a padding that looks right.
pub(crate) fn is_key(opened: &[u8]) -> bool {
    let mut reader = der::Reader::new(opened);
    reader.next_if(der::SEQUENCE).is_some() && reader.next().is_none()
}

fn open(content: &[u8], passphrase: &SecretString) -> Result<SecretBytes, DecryptError> {
    let (algorithm, data) = fields(content).ok_or_else(|| {
        DecryptError::Malformed("not an EncryptedPrivateKeyInfo structure".to_owned())
    })?;
    let mut parts = der::Reader::new(algorithm);
    let oid = parts.next_if(der::OBJECT_IDENTIFIER).ok_or_else(|| {
        DecryptError::Malformed("no algorithm of the key's encryption".to_owned())
    })?;
    let parameters = parts.next_if(der::SEQUENCE);
    let parameters = parameters.ok_or_else(|| {
        DecryptError::Malformed("no parameters of the key's encryption".to_owned())
    })?;
    if oid.raw == der::oid(PBES2) {
        check_pbes2(parameters.content)?;
        return decrypt_pbes2(content, data, passphrase);
    }
    let Some(scheme) = SCHEMES
        .iter()
        .find(|scheme| oid.raw == der::oid(scheme.oid))
    else {
        return Err(unknown("the key encryption", oid.content));
    };
    let Some(open) = scheme.open else {
        return Err(DecryptError::Unsupported(format!(
            "the key encryption {}",
            scheme.name
        )));
    };
    let stretch = Stretch::parse(parameters.content)?;
    open(&stretch, passphrase, data)
        .map(SecretBytes::new)
        .ok_or(DecryptError::WrongPassphrase)
}

/// Decrypts content in CBC mode; `None` when the padding is wrong.
pub(crate) fn decrypt_cbc<D: KeyIvInit + BlockModeDecrypt, const KEY: usize>(
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

/// Returns the content of the algorithm identifier, and the encrypted octets.
fn fields(content: &[u8]) -> Option<(&[u8], &[u8])> {
    let outer = der::Reader::new(content).next_if(der::SEQUENCE)?;
    let mut fields = der::Reader::new(outer.content);
    let algorithm = fields.next_if(der::SEQUENCE)?;
    let data = fields.next_if(der::OCTET_STRING)?;
    Some((algorithm.content, data.content))
}

/// Names a cipher that we lack, and refuses an IV that the decoder would trip over.
fn check_pbes2(parameters: &[u8]) -> Result<(), DecryptError> {
    let cipher = pbes2_cipher(parameters).ok_or_else(|| {
        DecryptError::Malformed("PBES2 without key derivation and cipher".to_owned())
    })?;
    let (oid, iv) = cipher;
    let Some((_, block)) = CIPHERS.iter().find(|(known, _)| oid.raw == der::oid(known)) else {
        return Err(unknown("the cipher", oid.content));
    };
    match iv {
        Some(iv) if iv.tag == der::OCTET_STRING && iv.content.len() == *block => Ok(()),
        _ => Err(DecryptError::Malformed(format!(
            "PBES2 without an IV of {block} bytes"
        ))),
    }
}

fn pbes2_cipher(parameters: &[u8]) -> Option<(der::Value<'_>, Option<der::Value<'_>>)> {
    let mut parts = der::Reader::new(parameters);
    parts.next_if(der::SEQUENCE)?;
    let cipher = parts.next_if(der::SEQUENCE)?;
    let mut cipher = der::Reader::new(cipher.content);
    Some((cipher.next_if(der::OBJECT_IDENTIFIER)?, cipher.next()))
}

fn decrypt_pbes2(
    content: &[u8],
    data: &[u8],
    passphrase: &SecretString,
) -> Result<SecretBytes, DecryptError> {
    let info = EncryptedPrivateKeyInfoRef::try_from(content).map_err(|error| {
        if let pkcs8::Error::Asn1(asn1) = &error
            && let pkcs8::der::ErrorKind::OidUnknown { oid } = asn1.kind()
        {
            return DecryptError::Unsupported(format!("the key derivation {oid}"));
        }
        DecryptError::Malformed(format!("unreadable encryption parameters ({error})"))
    })?;
    let EncryptionScheme::Pbes2(parameters) = &info.encryption_algorithm else {
        return Err(DecryptError::Malformed("no PBES2 parameters".to_owned()));
    };
    match &parameters.kdf {
        Kdf::Pbkdf2(kdf) => check_rounds(kdf.iteration_count)?,
        Kdf::Scrypt(kdf) => check_scrypt(
            kdf.cost_parameter,
            kdf.block_size.into(),
            kdf.parallelization.into(),
        )?,
        _ => {}
    }
    let mut buffer = Zeroizing::new(data.to_vec());
    let plain = parameters.decrypt_in_place(passphrase.expose(), &mut buffer);
    plain.map(SecretBytes::new).map_err(|error| match error {
        pkcs5::Error::DecryptFailed => DecryptError::WrongPassphrase,
        pkcs5::Error::UnsupportedAlgorithm { oid } => {
            DecryptError::Unsupported(format!("the algorithm {oid}"))
        }
        other => DecryptError::Malformed(other.to_string()),
    })
}

fn check_rounds(rounds: u32) -> Result<(), DecryptError> {
    if rounds <= MAX_ROUNDS {
        return Ok(());
    }
    Err(DecryptError::Unsupported(format!(
        "{rounds} rounds of key stretching (at most {MAX_ROUNDS} are read)"
    )))
}

/// Bounds memory (128·N·r bytes) and work (p times as much): a file must not stall or exhaust the node.
fn check_scrypt(n: u64, r: u64, p: u64) -> Result<(), DecryptError> {
    let memory = n.saturating_mul(r).saturating_mul(128);
    if memory <= MAX_SCRYPT_MEMORY && memory.saturating_mul(p) <= MAX_SCRYPT_WORK {
        return Ok(());
    }
    Err(DecryptError::Unsupported(format!(
        "scrypt with the cost N={n}, r={r}, p={p} (at most 256 MiB of memory are used)"
    )))
}

fn unknown(what: &str, oid: &[u8]) -> DecryptError {
    let text = der::oid_text(oid).unwrap_or_else(|| "?".to_owned());
    let name = NAMES.iter().find(|(known, _)| *known == text);
    DecryptError::Unsupported(match name {
        Some((_, name)) => format!("{what} {name}"),
        None => format!("{what} {text}"),
    })
}

/// Salt and rounds, the parameters of every scheme before PBES2.
struct Stretch<'a> {
    salt: &'a [u8],
    rounds: u32,
}

impl<'a> Stretch<'a> {
    fn parse(parameters: &'a [u8]) -> Result<Self, DecryptError> {
        let mut parameters = der::Reader::new(parameters);
        let salt = parameters.next_if(der::OCTET_STRING);
        let rounds = parameters.next_if(der::INTEGER);
        let (Some(salt), Some(rounds)) = (salt, rounds) else {
            return Err(DecryptError::Malformed(
                "no salt and rounds of the key's encryption".to_owned(),
            ));
        };
        let number = rounds.content.iter().try_fold(0u32, |sum, byte| {
            sum.checked_mul(256)?.checked_add(u32::from(*byte))
        });
        // What does not fit 32 bits is too much as well.
        check_rounds(number.unwrap_or(u32::MAX))?;
        match number {
            Some(rounds) if rounds > 0 && !salt.content.is_empty() => Ok(Self {
                salt: salt.content,
                rounds,
            }),
            _ => Err(DecryptError::Malformed(
                "an empty salt or no rounds of the key's encryption".to_owned(),
            )),
        }
    }

    /// PBKDF1 (RFC 8018 section 5.1): the first 16 bytes are the key and the IV of DES.
    fn pbkdf1<D: Digest>(&self, passphrase: &SecretString) -> Zeroizing<Vec<u8>> {
        let first = D::new()
            .chain_update(passphrase.expose())
            .chain_update(self.salt)
            .finalize();
        let mut hash = Zeroizing::new(first.to_vec());
        for _ in 1..self.rounds {
            hash = Zeroizing::new(D::digest(&*hash).to_vec());
        }
        hash
    }

    /// The PKCS#12 key derivation with SHA-1 (20-byte output, 64-byte blocks; RFC 7292 appendix B).
    fn pkcs12(&self, purpose: u8, length: usize, passphrase: &SecretString) -> Zeroizing<Vec<u8>> {
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

fn open_des<D: Digest>(
    stretch: &Stretch<'_>,
    passphrase: &SecretString,
    data: &[u8],
) -> Option<Vec<u8>> {
    let derived = stretch.pbkdf1::<D>(passphrase);
    decrypt_cbc::<cbc::Decryptor<des::Des>, 8>(&derived, derived.get(8..16)?, data)
}

fn open_pkcs12<D: KeyIvInit + BlockModeDecrypt, const KEY: usize>(
    stretch: &Stretch<'_>,
    passphrase: &SecretString,
    data: &[u8],
) -> Option<Vec<u8>> {
    let key = stretch.pkcs12(1, KEY, passphrase);
    let iv = stretch.pkcs12(2, 8, passphrase);
    decrypt_cbc::<D, KEY>(&key, &iv, data)
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

/// Decrypts; `None` when the padding is wrong.
type Open = fn(&Stretch<'_>, &SecretString, &[u8]) -> Option<Vec<u8>>;

/// A scheme from before PBES2.
struct Scheme {
    oid: &'static [u64],
    name: &'static str,
    /// `None` when we do not implement it: RC2 and RC4 are nobody's default, and MD2 is gone everywhere.
    open: Option<Open>,
}

const SCHEMES: &[Scheme] = &[
    Scheme {
        oid: &[1, 2, 840, 113549, 1, 5, 1],
        name: "PBE-MD2-DES",
        open: None,
    },
    Scheme {
        oid: &[1, 2, 840, 113549, 1, 5, 3],
        name: "PBE-MD5-DES",
        open: Some(open_des::<Md5>),
    },
    Scheme {
        oid: &[1, 2, 840, 113549, 1, 5, 4],
        name: "PBE-MD2-RC2-64",
        open: None,
    },
    Scheme {
        oid: &[1, 2, 840, 113549, 1, 5, 6],
        name: "PBE-MD5-RC2-64",
        open: None,
    },
    Scheme {
        oid: &[1, 2, 840, 113549, 1, 5, 10],
        name: "PBE-SHA1-DES",
        open: Some(open_des::<Sha1>),
    },
    Scheme {
        oid: &[1, 2, 840, 113549, 1, 5, 11],
        name: "PBE-SHA1-RC2-64",
        open: None,
    },
    Scheme {
        oid: &[1, 2, 840, 113549, 1, 12, 1, 1],
        name: "PBE-SHA1-RC4-128",
        open: None,
    },
    Scheme {
        oid: &[1, 2, 840, 113549, 1, 12, 1, 2],
        name: "PBE-SHA1-RC4-40",
        open: None,
    },
    Scheme {
        oid: &[1, 2, 840, 113549, 1, 12, 1, 3],
        name: "PBE-SHA1-3DES",
        open: Some(open_pkcs12::<cbc::Decryptor<des::TdesEde3>, 24>),
    },
    Scheme {
        oid: &[1, 2, 840, 113549, 1, 12, 1, 4],
        name: "PBE-SHA1-2DES",
        open: Some(open_pkcs12::<cbc::Decryptor<des::TdesEde2>, 16>),
    },
    Scheme {
        oid: &[1, 2, 840, 113549, 1, 12, 1, 5],
        name: "PBE-SHA1-RC2-128",
        open: None,
    },
    Scheme {
        oid: &[1, 2, 840, 113549, 1, 12, 1, 6],
        name: "PBE-SHA1-RC2-40",
        open: None,
    },
];

const PBES2: &[u64] = &[1, 2, 840, 113549, 1, 5, 13];

/// The ciphers of PBES2 that are read, with the length of their IV or nonce.
const CIPHERS: &[(&[u64], usize)] = &[
    (&[2, 16, 840, 1, 101, 3, 4, 1, 2], 16),
    (&[2, 16, 840, 1, 101, 3, 4, 1, 22], 16),
    (&[2, 16, 840, 1, 101, 3, 4, 1, 42], 16),
    (&[2, 16, 840, 1, 101, 3, 4, 1, 6], 12),
    (&[2, 16, 840, 1, 101, 3, 4, 1, 46], 12),
    (&[1, 2, 840, 113549, 3, 7], 8),
    (&[1, 3, 14, 3, 2, 7], 8),
];

/// Names of ciphers that are not read.
const NAMES: &[(&str, &str)] = &[
    ("1.2.840.113549.3.2", "RC2-CBC"),
    ("1.2.840.113549.3.4", "RC4"),
    ("1.2.392.200011.61.1.1.1.2", "CAMELLIA-128-CBC"),
    ("1.2.392.200011.61.1.1.1.3", "CAMELLIA-192-CBC"),
    ("1.2.392.200011.61.1.1.1.4", "CAMELLIA-256-CBC"),
    ("1.2.410.200046.1.1.2", "ARIA-128-CBC"),
    ("1.2.410.200046.1.1.7", "ARIA-192-CBC"),
    ("1.2.410.200046.1.1.12", "ARIA-256-CBC"),
];

const MAX_ROUNDS: u32 = 10_000_000;
const MAX_SCRYPT_MEMORY: u64 = 256 << 20;
const MAX_SCRYPT_WORK: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8];

    /// Returns an `EncryptedPrivateKeyInfo` with 16 octets of content.
    fn encrypted(oid: &[u64], parameters: &[&[u8]]) -> Vec<u8> {
        let algorithm = der::sequence(&[&der::oid(oid), &der::sequence(parameters)]);
        der::sequence(&[&algorithm, &der::value(der::OCTET_STRING, &[7; 16])])
    }

    fn refusal(content: &[u8]) -> String {
        match decrypt_pkcs8(content, &SecretString::from("x")).unwrap_err() {
            DecryptError::WrongPassphrase => "wrong passphrase".to_owned(),
            DecryptError::Unsupported(what) | DecryptError::Malformed(what) => what,
        }
    }

    fn pbes2(kdf: &[u8], cipher: &[u64], iv: &[u8]) -> Vec<u8> {
        let iv = der::value(der::OCTET_STRING, iv);
        let cipher = der::sequence(&[&der::oid(cipher), &iv]);
        encrypted(PBES2, &[kdf, &cipher])
    }

    fn scrypt(n: u32, r: u8, p: u8) -> Vec<u8> {
        let parameters = der::sequence(&[
            &der::value(der::OCTET_STRING, SALT),
            &der::unsigned_integer(&n.to_be_bytes()),
            &der::unsigned_integer(&[r]),
            &der::unsigned_integer(&[p]),
        ]);
        let oid = der::oid(&[1, 3, 6, 1, 4, 1, 11591, 4, 11]);
        der::sequence(&[&oid, &parameters])
    }

    /// One of 256 wrong passphrases leaves the end of a padding.
    #[test]
    fn garbage_is_a_wrong_passphrase_whatever_it_ends_with() {
        let salt = der::value(der::OCTET_STRING, SALT);
        let content = encrypted(SCHEMES[1].oid, &[&salt, &der::unsigned_integer(&[1])]);
        for guess in 0..3000 {
            let error = decrypt_pkcs8(&content, &SecretString::from(guess.to_string()));
            let error = error.unwrap_err();
            assert!(matches!(error, DecryptError::WrongPassphrase), "{guess}");
        }
    }

    #[test]
    fn costs_are_bounded_for_every_scheme() {
        let rounds = |bytes: &[u8]| {
            let salt = der::value(der::OCTET_STRING, SALT);
            [salt, der::unsigned_integer(bytes)]
        };
        for bytes in [&[0x7f, 0xff, 0xff, 0xff][..], &[1, 0, 0, 0, 0]] {
            for scheme in SCHEMES.iter().filter(|scheme| scheme.open.is_some()) {
                let [salt, rounds] = rounds(bytes);
                let line = refusal(&encrypted(scheme.oid, &[&salt, &rounds]));
                assert!(line.contains("rounds of key stretching"), "{line}");
            }
        }
        let [salt, none] = rounds(&[0]);
        assert!(refusal(&encrypted(SCHEMES[1].oid, &[&salt, &none])).contains("no rounds"));

        let aes = CIPHERS[2].0;
        for (n, r, p) in [(1 << 22, 8, 1), (1 << 18, 8, 64), (1 << 20, 255, 255)] {
            let line = refusal(&pbes2(&scrypt(n, r, p), aes, &[0; 16]));
            assert!(
                line.starts_with(&format!("scrypt with the cost N={n}, r={r}, p={p}")),
                "{line}"
            );
        }
        // Within the bounds it is tried.
        let line = refusal(&pbes2(&scrypt(1024, 8, 1), aes, &[0; 16]));
        assert_eq!(line, "wrong passphrase");
    }

    #[test]
    fn a_short_iv_is_an_error_and_no_panic() {
        for (cipher, length) in CIPHERS {
            for short in [0, 4, length + 1] {
                let line = refusal(&pbes2(&scrypt(1024, 8, 1), cipher, &vec![0; short]));
                assert_eq!(line, format!("PBES2 without an IV of {length} bytes"));
            }
        }
    }
}
