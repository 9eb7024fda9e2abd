//! The bytes of a keystore file. Source: the documentation of Lucene's `CodecUtil`, and Elasticsearch's
//! `KeyStoreWrapper`.
//!
//! ```text
//! header    magic (4) · length 22 (1) · "elasticsearch.keystore" · version (4) · has password (1)
//! data      length (4) · salt, IV and ciphertext, each after its length (4)
//! footer    magic (4) · zero (4) · CRC-32 of everything before (8)
//! ```
//! Integers are big-endian, except those of `data` from version 5 on.

use std::collections::BTreeMap;

use ringwall_base::ids::random_bytes;
use ringwall_base::{SecretBytes, SecretString};
use zeroize::Zeroizing;

use super::crypto::{self, IV_BYTES, SALT_BYTES};
use super::{KeystoreError, check_name};

/// A version of the keystore file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FormatVersion {
    /// Elasticsearch 6.3 to 6.7 and 7.0.
    V3 = 3,
    /// 6.8 and 7.1 to 7.17; read by all of 8 and 9 too.
    V4,
    /// 8.0 to 8.13; read by all of 8 and 9.
    V5,
    /// 8.14 to 8.17; slower key derivation.
    V6,
    /// 8.18 and 9; a key of 256 bits.
    V7,
}

impl FormatVersion {
    /// The oldest version that can be read.
    pub const OLDEST: Self = Self::V3;
    /// The newest version that can be read.
    pub const NEWEST: Self = Self::V7;

    /// Returns the version written by default: 6, the newest that Elasticsearch 8.17 reads, under
    /// a password; 5 without, where a slow key derivation protects nothing.
    pub fn for_password(password: &SecretString) -> Self {
        if password.is_empty() {
            Self::V5
        } else {
            Self::V6
        }
    }

    /// Returns the version of that number, if it can be read and written.
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|version| version.number() == number)
    }

    /// Returns the number in the file.
    pub fn number(self) -> i32 {
        self as i32
    }

    pub(super) fn iterations(self) -> u32 {
        if self >= Self::V6 { 210_000 } else { 10_000 }
    }

    pub(super) fn key_bytes(self) -> usize {
        if self >= Self::V7 { 32 } else { 16 }
    }

    fn is_little_endian(self) -> bool {
        self >= Self::V5
    }

    /// Whether each entry says if it is a text or a file.
    fn has_entry_types(self) -> bool {
        self == Self::V3
    }

    const ALL: [Self; 5] = [Self::V3, Self::V4, Self::V5, Self::V6, Self::V7];
}

/// What a keystore file says before it is decrypted.
#[derive(Debug)]
pub(super) struct Sealed {
    pub version: FormatVersion,
    pub has_password: bool,
    salt: Vec<u8>,
    iv: [u8; IV_BYTES],
    ciphertext: Vec<u8>,
}

/// Why bytes are no keystore; the caller adds the path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FormatError {
    Foreign(String),
    Corrupt(String),
    TooOld(i32),
    TooNew(i32),
    WrongPassword,
}

/// Writes a keystore file with a fresh salt and IV.
pub(super) fn encode(
    entries: &BTreeMap<String, SecretBytes>,
    password: &SecretString,
    version: FormatVersion,
) -> Result<Vec<u8>, KeystoreError> {
    let plaintext = encode_entries(entries, version)?;
    let (salt, iv) = (random_bytes::<SALT_BYTES>(), random_bytes::<IV_BYTES>());
    let ciphertext = crypto::encrypt(&plaintext, password, &salt, &iv, version)
        .map_err(|_| KeystoreError::TooLarge)?;

    let integer = |value: usize| {
        let value = u32::try_from(value).map_err(|_| KeystoreError::TooLarge)?;
        Ok::<_, KeystoreError>(if version.is_little_endian() {
            value.to_le_bytes()
        } else {
            value.to_be_bytes()
        })
    };
    let mut data = Vec::new();
    for part in [salt.as_slice(), &iv, &ciphertext] {
        data.extend(integer(part.len())?);
        data.extend(part);
    }
    let mut file = header_bytes(version.number());
    file.push(u8::from(!password.is_empty()));
    file.extend(integer(data.len())?);
    file.extend(data);
    file.extend(FOOTER_MAGIC);
    file.extend([0; 4]);
    let checksum = u64::from(crc32fast::hash(&file));
    file.extend(checksum.to_be_bytes());
    if file.len() > FILE_BYTES_MAX {
        return Err(KeystoreError::TooLarge);
    }
    Ok(file)
}

/// Reads everything that needs no password, and checks every byte against the checksum.
pub(super) fn open(file: &[u8]) -> Result<Sealed, FormatError> {
    let version = read_header(file)?;
    let content = check_footer(file)?;
    let version = match FormatVersion::from_number(version) {
        Some(version) => version,
        None if version < FormatVersion::OLDEST.number() => {
            return Err(FormatError::TooOld(version));
        }
        None => return Err(FormatError::TooNew(version)),
    };
    let mut reader = Reader::new(&content[HEADER_BYTES..], version.is_little_endian());
    let has_password = match reader.take(1)? {
        [0] => false,
        [1] => true,
        [other, ..] => {
            return Err(corrupt(format!(
                "hasPassword boolean is corrupt: {other:02x}"
            )));
        }
        [] => return Err(corrupt("the file ends too early")),
    };
    let data_bytes = reader.integer()?;
    if data_bytes != reader.rest.len() {
        return Err(corrupt("the data is shorter or longer than it says"));
    }
    let salt = reader.block()?.to_vec();
    let iv = reader.block()?;
    let iv = iv
        .try_into()
        .map_err(|_| corrupt(format!("the IV has {} bytes, not {IV_BYTES}", iv.len())))?;
    let ciphertext = reader.block()?.to_vec();
    reader.finish()?;
    Ok(Sealed {
        version,
        has_password,
        salt,
        iv,
        ciphertext,
    })
}

impl Sealed {
    /// Decrypts the entries.
    pub fn decrypt(
        &self,
        password: &SecretString,
    ) -> Result<BTreeMap<String, SecretBytes>, FormatError> {
        let plaintext = crypto::decrypt(
            &self.ciphertext,
            password,
            &self.salt,
            &self.iv,
            self.version,
        )
        .map_err(|_| match self.has_password || !password.is_empty() {
            true => FormatError::WrongPassword,
            false => corrupt("its content cannot be decrypted"),
        })?;
        decode_entries(&plaintext, self.version)
    }
}

fn header_bytes(version: i32) -> Vec<u8> {
    let mut header = Vec::from(HEADER_MAGIC);
    header.push(CODEC.len() as u8);
    header.extend(CODEC);
    header.extend(version.to_be_bytes());
    header
}

fn read_header(file: &[u8]) -> Result<i32, FormatError> {
    let foreign = |reason: &str| Err(FormatError::Foreign(reason.to_owned()));
    if file.is_empty() {
        return foreign("it is empty");
    }
    let start = header_bytes(0);
    let start = &start[..HEADER_BYTES - 4];
    if !file.starts_with(start) {
        return foreign(if start.starts_with(file) {
            "it ends within the header"
        } else {
            "it does not start with the header of one"
        });
    }
    match file[start.len()..].first_chunk::<4>() {
        Some(version) => Ok(i32::from_be_bytes(*version)),
        None => foreign("it ends within the header"),
    }
}

/// Checks the footer and returns what is before it.
fn check_footer(file: &[u8]) -> Result<&[u8], FormatError> {
    let Some((content, footer)) = file
        .split_last_chunk::<FOOTER_BYTES>()
        .filter(|(content, _)| content.len() >= HEADER_BYTES)
    else {
        return Err(corrupt("the file ends too early"));
    };
    if footer[..4] != FOOTER_MAGIC || footer[4..8] != [0; 4] {
        return Err(corrupt("it does not end with the footer of a keystore"));
    }
    let expected = u64::from(crc32fast::hash(&file[..file.len() - 8]));
    if footer[8..] != expected.to_be_bytes() {
        return Err(corrupt("the checksum does not match the content"));
    }
    Ok(content)
}

/// Names and values, always big-endian.
fn encode_entries(
    entries: &BTreeMap<String, SecretBytes>,
    version: FormatVersion,
) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
    let bytes = entries
        .iter()
        .map(|(name, value)| name.len() + value.expose().len() + 16);
    // The whole size is reserved at once: growing would leave copies of secrets in memory.
    let capacity = bytes.sum::<usize>() + 4;
    if capacity > FILE_BYTES_MAX {
        return Err(KeystoreError::TooLarge);
    }
    let mut plaintext = Zeroizing::new(Vec::with_capacity(capacity));
    plaintext.extend((entries.len() as u32).to_be_bytes());
    for (name, value) in entries {
        check_name(name)?;
        let value = value.expose();
        plaintext.extend((name.len() as u16).to_be_bytes());
        plaintext.extend(name.as_bytes());
        if version.has_entry_types() {
            let kind = if std::str::from_utf8(value).is_ok() {
                TEXT
            } else {
                FILE
            };
            plaintext.extend((kind.len() as u16).to_be_bytes());
            plaintext.extend(kind);
        }
        plaintext.extend((value.len() as u32).to_be_bytes());
        plaintext.extend(value);
    }
    Ok(plaintext)
}

fn decode_entries(
    plaintext: &[u8],
    version: FormatVersion,
) -> Result<BTreeMap<String, SecretBytes>, FormatError> {
    let mut reader = Reader::new(plaintext, false);
    let count = reader.integer()?;
    let mut entries = BTreeMap::new();
    for _ in 0..count {
        let name = reader.short_text()?;
        check_name(&name).map_err(|error| corrupt(error.to_string()))?;
        if version.has_entry_types() {
            let kind = reader.short_text()?;
            if kind.as_bytes() != TEXT && kind.as_bytes() != FILE {
                return Err(corrupt(format!("setting [{name}] has an unknown type")));
            }
        }
        let value = SecretBytes::new(reader.block()?);
        if entries.insert(name, value).is_some() {
            return Err(corrupt("a setting is there twice"));
        }
    }
    reader.finish()?;
    Ok(entries)
}

/// Reads fields off the front of bytes; every length is checked against what is left.
struct Reader<'a> {
    rest: &'a [u8],
    is_little_endian: bool,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8], is_little_endian: bool) -> Self {
        Self {
            rest: bytes,
            is_little_endian,
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], FormatError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or_else(|| corrupt("a length points beyond the end"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn integer(&mut self) -> Result<usize, FormatError> {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(self.take(4)?);
        let value = if self.is_little_endian {
            i32::from_le_bytes(bytes)
        } else {
            i32::from_be_bytes(bytes)
        };
        usize::try_from(value).map_err(|_| corrupt("a length is negative"))
    }

    fn block(&mut self) -> Result<&'a [u8], FormatError> {
        let length = self.integer()?;
        self.take(length)
    }

    fn short_text(&mut self) -> Result<String, FormatError> {
        let mut length = [0; 2];
        length.copy_from_slice(self.take(2)?);
        let bytes = self.take(usize::from(u16::from_be_bytes(length)))?;
        // Java's modified UTF-8 is UTF-8 for the ASCII that names are made of.
        String::from_utf8(bytes.to_vec()).map_err(|_| corrupt("a setting name is no text"))
    }

    fn finish(self) -> Result<(), FormatError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(corrupt("there are bytes beyond the end"))
        }
    }
}

fn corrupt(reason: impl Into<String>) -> FormatError {
    FormatError::Corrupt(reason.into())
}

/// Bound of a keystore file: 64 MiB.
pub(super) const FILE_BYTES_MAX: usize = 64 << 20;

const HEADER_MAGIC: [u8; 4] = [0x3f, 0xd7, 0x6c, 0x17];
const CODEC: &[u8; 22] = b"elasticsearch.keystore";
const FOOTER_MAGIC: [u8; 4] = [0xc0, 0x28, 0x93, 0xe8];
const HEADER_BYTES: usize = 4 + 1 + CODEC.len() + 4;
const FOOTER_BYTES: usize = 16;
const TEXT: &[u8] = b"STRING";
const FILE: &[u8] = b"FILE";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entries() -> BTreeMap<String, SecretBytes> {
        [
            ("keystore.seed", b"01234567890123456789".as_slice()),
            ("a.file", &[0, 255, 128]),
        ]
        .map(|(name, value)| (name.to_owned(), SecretBytes::new(value)))
        .into()
    }

    #[test]
    fn every_version_round_trips_with_and_without_password() {
        for version in FormatVersion::ALL {
            for password in ["", "p\u{e4}ss"] {
                let password = SecretString::from(password);
                let file = encode(&entries(), &password, version).unwrap();
                let sealed = open(&file).unwrap();
                assert_eq!(sealed.version, version);
                assert_eq!(sealed.has_password, !password.is_empty());
                assert_eq!(sealed.decrypt(&password).unwrap(), entries());
            }
        }
    }

    #[test]
    fn layout_is_the_documented_one() {
        let mut only_seed = entries();
        only_seed.remove("a.file");
        let file = encode(&only_seed, &SecretString::default(), FormatVersion::V5).unwrap();
        assert_eq!(file.len(), 199);
        assert_eq!(file[..5], [0x3f, 0xd7, 0x6c, 0x17, 22]);
        assert_eq!(file[27..32], [0, 0, 0, 5, 0]);
        assert_eq!(file[32..40], [147, 0, 0, 0, 64, 0, 0, 0]);
        assert_eq!(file[104..108], [12, 0, 0, 0]);
        assert_eq!(file[120..124], [59, 0, 0, 0]);
        let file = encode(&only_seed, &SecretString::default(), FormatVersion::V4).unwrap();
        assert_eq!(file[32..40], [0, 0, 0, 147, 0, 0, 0, 64]);
    }

    #[test]
    fn wrong_password_is_told_from_corruption() {
        let file = encode(&entries(), &"pw".into(), FormatVersion::V5).unwrap();
        let sealed = open(&file).unwrap();
        for wrong in ["", "PW"] {
            let error = sealed.decrypt(&wrong.into()).unwrap_err();
            assert_eq!(error, FormatError::WrongPassword);
        }
    }

    #[test]
    fn other_versions_are_refused_by_number() {
        for (number, expected) in [
            (2, FormatError::TooOld(2)),
            (8, FormatError::TooNew(8)),
            (-1, FormatError::TooOld(-1)),
        ] {
            let mut file = header_bytes(number);
            file.extend(FOOTER_MAGIC);
            file.extend([0; 4]);
            let checksum = u64::from(crc32fast::hash(&file));
            file.extend(checksum.to_be_bytes());
            assert_eq!(open(&file).unwrap_err(), expected);
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_refused() {
        let file = encode(&entries(), &SecretString::default(), FormatVersion::V5).unwrap();
        for bit in 0..file.len() * 8 {
            let mut flipped = file.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let result = open(&flipped).and_then(|sealed| sealed.decrypt(&SecretString::default()));
            assert!(result.is_err(), "bit {bit}");
        }
        for length in 0..file.len() {
            assert!(open(&file[..length]).is_err(), "{length} bytes");
        }
        let mut longer = file.clone();
        longer.push(0);
        assert!(open(&longer).is_err());
    }

    /// Without the checksum, the cipher itself must notice: a tamperer can recompute a checksum.
    #[test]
    fn flips_under_a_recomputed_checksum_are_refused() {
        let file = encode(&entries(), &SecretString::default(), FormatVersion::V5).unwrap();
        let end = file.len() - 8;
        // The flag at offset 31 is not authenticated; flipping it only makes a password be asked.
        for byte in (32..end - 8).step_by(3) {
            let mut flipped = file.clone();
            flipped[byte] ^= 0x10;
            let checksum = u64::from(crc32fast::hash(&flipped[..end]));
            flipped[end..].copy_from_slice(&checksum.to_be_bytes());
            let result = open(&flipped).and_then(|sealed| sealed.decrypt(&SecretString::default()));
            assert!(result.is_err(), "byte {byte}");
        }
    }

    #[test]
    fn entries_with_bad_counts_or_names_are_refused() {
        for plaintext in [
            b"".as_slice(),
            b"\x00\x00\x00\x01",
            b"\xff\xff\xff\xff",
            b"\x7f\xff\xff\xff\x00\x01a\x00\x00\x00\x00",
            b"\x00\x00\x00\x01\x00\x01 \x00\x00\x00\x00",
            b"\x00\x00\x00\x01\x00\x01a\x00\x00\x00\x00extra",
            b"\x00\x00\x00\x02\x00\x01a\x00\x00\x00\x00\x00\x01a\x00\x00\x00\x00",
        ] {
            assert!(decode_entries(plaintext, FormatVersion::V5).is_err());
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(open(&bytes).is_err());
            let mut file = header_bytes(5);
            file.append(&mut bytes);
            file.extend(FOOTER_MAGIC);
            file.extend([0; 4]);
            let checksum = u64::from(crc32fast::hash(&file));
            file.extend(checksum.to_be_bytes());
            let _ = open(&file);
        }

        #[test]
        fn arbitrary_plaintext_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = decode_entries(&bytes, FormatVersion::V3);
            let _ = decode_entries(&bytes, FormatVersion::V5);
        }

        #[test]
        fn entries_round_trip(
            entries in prop::collection::btree_map("[A-Za-z0-9_.-]{1,20}", prop::collection::vec(any::<u8>(), 0..50), 0..8)
        ) {
            let entries: BTreeMap<String, SecretBytes> = entries
                .into_iter()
                .map(|(name, value)| (name, SecretBytes::new(value)))
                .collect();
            for version in [FormatVersion::V3, FormatVersion::V4] {
                let plaintext = encode_entries(&entries, version).unwrap();
                prop_assert_eq!(&decode_entries(&plaintext, version).unwrap(), &entries);
            }
        }
    }
}
