//! Key derivation and encryption of the keystore. Source: the documentation of Lucene's `CodecUtil`, and
//! Elasticsearch's `KeyStoreWrapper`.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes128Gcm, Aes256Gcm, KeyInit, Nonce};
use ringwall_base::SecretString;
use ringwall_base::ids::random_bytes;
use sha2::Sha512;
use zeroize::Zeroizing;

use super::format::FormatVersion;

pub(super) const SALT_BYTES: usize = 64;
pub(super) const IV_BYTES: usize = 12;

/// Decryption failed: another password, or other bytes than were written.
#[derive(Debug)]
pub(super) struct TagMismatch;

/// Encrypts with AES-GCM; the salt is authenticated as well. Returns ciphertext and tag.
pub(super) fn encrypt(
    plaintext: &[u8],
    password: &SecretString,
    salt: &[u8],
    iv: &[u8; IV_BYTES],
    version: FormatVersion,
) -> Result<Vec<u8>, TagMismatch> {
    let key = derive_key(password, salt, version);
    let payload = Payload {
        msg: plaintext,
        aad: salt,
    };
    let nonce = Nonce::from(*iv);
    match version.key_bytes() {
        16 => cipher::<Aes128Gcm>(&key)?.encrypt(&nonce, payload),
        _ => cipher::<Aes256Gcm>(&key)?.encrypt(&nonce, payload),
    }
    .map_err(|_| TagMismatch)
}

/// Decrypts what [`encrypt`] made.
pub(super) fn decrypt(
    ciphertext: &[u8],
    password: &SecretString,
    salt: &[u8],
    iv: &[u8; IV_BYTES],
    version: FormatVersion,
) -> Result<Zeroizing<Vec<u8>>, TagMismatch> {
    let key = derive_key(password, salt, version);
    let payload = Payload {
        msg: ciphertext,
        aad: salt,
    };
    let nonce = Nonce::from(*iv);
    match version.key_bytes() {
        16 => cipher::<Aes128Gcm>(&key)?.decrypt(&nonce, payload),
        _ => cipher::<Aes256Gcm>(&key)?.decrypt(&nonce, payload),
    }
    .map(Zeroizing::new)
    .map_err(|_| TagMismatch)
}

/// Returns a fresh `keystore.seed`: 20 characters of 76, about 125 bits.
pub(super) fn seed() -> Vec<u8> {
    let mut seed = Vec::with_capacity(SEED_CHARS);
    // Bytes beyond the last whole multiple are dropped, so that every character is equally likely.
    let usable = 256 - 256 % SEED_ALPHABET.len();
    while seed.len() < SEED_CHARS {
        let bytes = Zeroizing::new(random_bytes::<32>());
        let characters = bytes
            .iter()
            .map(|byte| usize::from(*byte))
            .filter(|byte| *byte < usable)
            .map(|byte| SEED_ALPHABET[byte % SEED_ALPHABET.len()]);
        seed.extend(characters.take(SEED_CHARS - seed.len()));
    }
    seed
}

fn derive_key(password: &SecretString, salt: &[u8], version: FormatVersion) -> Zeroizing<Vec<u8>> {
    let mut key = Zeroizing::new(vec![0; version.key_bytes()]);
    pbkdf2::pbkdf2_hmac::<Sha512>(
        password.expose().as_bytes(),
        salt,
        version.iterations(),
        &mut key,
    );
    key
}

fn cipher<C: KeyInit>(key: &[u8]) -> Result<C, TagMismatch> {
    C::new_from_slice(key).map_err(|_| TagMismatch)
}

const SEED_CHARS: usize = 20;

const SEED_ALPHABET: &[u8] =
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789~!@#$%^&*-_=+?";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_match_the_published_vectors() {
        let salt = [7; SALT_BYTES];
        for (password, key) in [
            ("", [0xb2, 0x95, 0x13, 0x3e, 0x69, 0xbd, 0x9c, 0xd7]),
            (
                "p\u{e4}ssword",
                [0xc4, 0x17, 0x39, 0xe9, 0xee, 0x54, 0x3e, 0x53],
            ),
        ] {
            let derived = derive_key(&password.into(), &salt, FormatVersion::V5);
            assert_eq!(derived[..8], key, "{password}");
            assert_eq!(derived.len(), 16);
        }
    }

    #[test]
    fn a_seed_is_twenty_known_characters_and_new_each_time() {
        assert_eq!(SEED_ALPHABET.len(), 76);
        let seeds: std::collections::BTreeSet<Vec<u8>> = (0..50).map(|_| seed()).collect();
        assert_eq!(seeds.len(), 50);
        for seed in seeds {
            assert_eq!(seed.len(), 20);
            assert!(seed.iter().all(|byte| SEED_ALPHABET.contains(byte)));
        }
    }

    #[test]
    fn salt_and_password_are_authenticated() {
        let (salt, iv) = ([1; SALT_BYTES], [2; IV_BYTES]);
        let password = SecretString::from("pw");
        let sealed = encrypt(b"text", &password, &salt, &iv, FormatVersion::V5).unwrap();
        let open = |password: &str, salt: [u8; SALT_BYTES]| {
            decrypt(&sealed, &password.into(), &salt, &iv, FormatVersion::V5)
        };
        assert_eq!(open("pw", salt).unwrap().as_slice(), b"text");
        assert!(open("other", salt).is_err());
        assert!(open("pw", [3; SALT_BYTES]).is_err());
    }
}
