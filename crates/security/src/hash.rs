//! Password hashes in Elasticsearch's stored forms. Source: Elasticsearch reference, "User cache and password hash
//! algorithms".
//!
//! Verification goes by the prefix of the stored text, not by the configured algorithm. Text without
//! a known prefix is refused (Elasticsearch would compare it as clear text).
//!
//! bcrypt reads at most 72 bytes. A longer password is refused when it is set, and never verifies:
//! a hash that another system made of the first 72 bytes has to be set anew.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ringwall_base::SecretString;
use ringwall_base::ids::random_bytes;
use sha2::{Digest, Sha512};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::SecurityError;

/// How new passwords are hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hasher {
    Bcrypt {
        cost: u32,
    },
    Pbkdf2 {
        iterations: u32,
    },
    /// PBKDF2 over the lower-case hex of the password's SHA-512.
    Pbkdf2Stretch {
        iterations: u32,
    },
}

impl Default for Hasher {
    fn default() -> Self {
        Self::Bcrypt { cost: 10 }
    }
}

impl Hasher {
    /// Returns the hasher that a value of `xpack.security.authc.password_hashing.algorithm` names.
    pub fn from_setting(name: &str) -> Result<Self, SecurityError> {
        let unknown = || SecurityError::UnknownAlgorithm {
            name: name.to_owned(),
        };
        let lower = name.trim().to_ascii_lowercase();
        if !ALGORITHM_NAMES.contains(&lower.as_str()) {
            return Err(unknown());
        }
        let number = |suffix: &str, default: u32| match suffix.trim_start_matches('_') {
            "" => Ok(default),
            digits => digits.parse().map_err(|_| unknown()),
        };
        if let Some(suffix) = lower.strip_prefix("bcrypt") {
            number(suffix, 10).map(|cost| Self::Bcrypt { cost })
        } else if let Some(suffix) = lower.strip_prefix("pbkdf2_stretch") {
            number(suffix, DEFAULT_ITERATIONS).map(|iterations| Self::Pbkdf2Stretch { iterations })
        } else if let Some(suffix) = lower.strip_prefix("pbkdf2") {
            number(suffix, DEFAULT_ITERATIONS).map(|iterations| Self::Pbkdf2 { iterations })
        } else {
            Err(unknown())
        }
    }

    /// Returns the stored form of a password. Blocks for tens of milliseconds or more: call it
    /// through a [`crate::HashPool`].
    pub fn hash(&self, password: &SecretString) -> Result<String, SecurityError> {
        match *self {
            Self::Bcrypt { cost } => hash_bcrypt(password, cost),
            Self::Pbkdf2 { iterations } => {
                let salt = random_bytes::<32>();
                let key = pbkdf2_key::<32>(password.expose().as_bytes(), &salt, iterations);
                Ok(stored_pbkdf2(PBKDF2_PREFIX, iterations, &salt, &key[..]))
            }
            Self::Pbkdf2Stretch { iterations } => {
                let salt = random_bytes::<32>();
                let stretched = stretch(password);
                let key = pbkdf2_key::<32>(stretched.as_bytes(), &salt, iterations);
                Ok(stored_pbkdf2(STRETCH_PREFIX, iterations, &salt, &key[..]))
            }
        }
    }

    /// Returns a well-formed hash that no password has, as slow to verify as a real one: what the
    /// password of an unknown user is compared with.
    pub fn dummy_hash(&self) -> String {
        match *self {
            Self::Bcrypt { cost } => format!("$2a${cost:02}${}", ".".repeat(53)),
            Self::Pbkdf2 { iterations } => {
                stored_pbkdf2(PBKDF2_PREFIX, iterations, &[0; 32], &[0; 32])
            }
            Self::Pbkdf2Stretch { iterations } => {
                stored_pbkdf2(STRETCH_PREFIX, iterations, &[0; 32], &[0; 32])
            }
        }
    }
}

/// Returns whether the password has the stored hash. Takes constant time for a given hash; an empty
/// password never verifies. Errors: the stored text is not a hash we accept.
pub fn verify(password: &SecretString, stored: &str) -> Result<bool, SecurityError> {
    let parsed = StoredHash::parse(stored)?;
    if password.is_empty() {
        return Ok(false);
    }
    Ok(parsed.verify(password))
}

/// Checks that a text is a stored hash we can verify, with a cost within the usual bounds.
pub fn check_stored(stored: &str) -> Result<(), SecurityError> {
    StoredHash::parse(stored).map(|_| ())
}

enum StoredHash<'a> {
    Bcrypt(&'a str),
    Pbkdf2 {
        stretched: bool,
        iterations: u32,
        salt: Vec<u8>,
        key: Vec<u8>,
    },
}

impl<'a> StoredHash<'a> {
    fn parse(stored: &'a str) -> Result<Self, SecurityError> {
        if let Some(rest) = stored.strip_prefix(STRETCH_PREFIX) {
            Self::parse_pbkdf2(rest, true)
        } else if let Some(rest) = stored.strip_prefix(PBKDF2_PREFIX) {
            Self::parse_pbkdf2(rest, false)
        } else {
            Self::parse_bcrypt(stored)
        }
    }

    fn parse_bcrypt(stored: &'a str) -> Result<Self, SecurityError> {
        let well_formed = stored.len() == 60
            && BCRYPT_PREFIXES
                .iter()
                .any(|prefix| stored.starts_with(prefix))
            && stored.as_bytes()[6] == b'$'
            && stored[7..]
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'/');
        let cost = stored.get(4..6).and_then(|cost| cost.parse::<u32>().ok());
        match cost {
            Some(cost) if well_formed && (4..=14).contains(&cost) => Ok(Self::Bcrypt(stored)),
            _ => Err(SecurityError::UnsupportedHash),
        }
    }

    fn parse_pbkdf2(rest: &str, stretched: bool) -> Result<Self, SecurityError> {
        let unsupported = SecurityError::UnsupportedHash;
        let mut parts = rest.split('$');
        let (Some(iterations), Some(salt), Some(key), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(unsupported);
        };
        let (Ok(iterations), Ok(salt), Ok(key)) = (
            iterations.parse(),
            STANDARD.decode(salt),
            STANDARD.decode(key),
        ) else {
            return Err(unsupported);
        };
        let key_fits = !key.is_empty() && key.len().is_multiple_of(16) && key.len() <= 64;
        let salt_fits = (8..=64).contains(&salt.len());
        if !ITERATIONS.contains(&iterations) || !key_fits || !salt_fits {
            return Err(unsupported);
        }
        Ok(Self::Pbkdf2 {
            stretched,
            iterations,
            salt,
            key,
        })
    }

    fn verify(&self, password: &SecretString) -> bool {
        match self {
            // Its errors are a password over 72 bytes and a malformed hash: neither verifies.
            Self::Bcrypt(stored) => {
                bcrypt::non_truncating_verify(password.expose(), stored).unwrap_or(false)
            }
            Self::Pbkdf2 {
                stretched,
                iterations,
                salt,
                key,
            } => {
                let input = if *stretched {
                    stretch(password)
                } else {
                    Zeroizing::new(password.expose().to_owned())
                };
                let derived = pbkdf2_key::<64>(input.as_bytes(), salt, *iterations);
                derived[..key.len()].ct_eq(key).into()
            }
        }
    }
}

fn hash_bcrypt(password: &SecretString, cost: u32) -> Result<String, SecurityError> {
    let parts =
        bcrypt::non_truncating_hash_with_result(password.expose(), cost).map_err(|error| {
            match error {
                bcrypt::BcryptError::Truncation(bytes) => SecurityError::PasswordTooLong { bytes },
                other => SecurityError::HashingFailed {
                    reason: other.to_string(),
                },
            }
        })?;
    Ok(parts.format_for_version(bcrypt::Version::TwoA))
}

/// Derives up to 512 bits: the first `N` bytes of PBKDF2 with HMAC-SHA512 do not depend on `N`.
fn pbkdf2_key<const N: usize>(input: &[u8], salt: &[u8], iterations: u32) -> Zeroizing<[u8; N]> {
    let mut key = Zeroizing::new([0; N]);
    pbkdf2::pbkdf2_hmac::<Sha512>(input, salt, iterations, &mut key[..]);
    key
}

fn stretch(password: &SecretString) -> Zeroizing<String> {
    Zeroizing::new(hex::encode(Sha512::digest(password.expose().as_bytes())))
}

fn stored_pbkdf2(prefix: &str, iterations: u32, salt: &[u8], key: &[u8]) -> String {
    format!(
        "{prefix}{iterations}${}${}",
        STANDARD.encode(salt),
        STANDARD.encode(key)
    )
}

/// The values that the password hashing setting takes.
pub const ALGORITHM_NAMES: &[&str] = &[
    "bcrypt",
    "bcrypt4",
    "bcrypt5",
    "bcrypt6",
    "bcrypt7",
    "bcrypt8",
    "bcrypt9",
    "bcrypt10",
    "bcrypt11",
    "bcrypt12",
    "bcrypt13",
    "bcrypt14",
    "pbkdf2",
    "pbkdf2_1000",
    "pbkdf2_10000",
    "pbkdf2_50000",
    "pbkdf2_100000",
    "pbkdf2_500000",
    "pbkdf2_1000000",
    "pbkdf2_stretch",
    "pbkdf2_stretch_1000",
    "pbkdf2_stretch_10000",
    "pbkdf2_stretch_50000",
    "pbkdf2_stretch_100000",
    "pbkdf2_stretch_500000",
    "pbkdf2_stretch_1000000",
];

const DEFAULT_ITERATIONS: u32 = 10_000;
const ITERATIONS: [u32; 6] = [1_000, 10_000, 50_000, 100_000, 500_000, 1_000_000];
const PBKDF2_PREFIX: &str = "{PBKDF2}";
const STRETCH_PREFIX: &str = "{PBKDF2_STRETCH}";
const BCRYPT_PREFIXES: [&str; 4] = ["$2a$", "$2b$", "$2x$", "$2y$"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    #[test]
    fn every_algorithm_name_is_accepted_and_others_are_not() {
        for name in ALGORITHM_NAMES {
            assert!(Hasher::from_setting(name).is_ok(), "{name}");
        }
        assert_eq!(Hasher::from_setting("bcrypt"), Ok(Hasher::default()));
        assert_eq!(
            Hasher::from_setting("pbkdf2_stretch"),
            Ok(Hasher::Pbkdf2Stretch { iterations: 10_000 })
        );
        for name in [
            "bcrypt3",
            "bcrypt15",
            "md5",
            "noop",
            "clear_text",
            "pbkdf2_12345",
            "",
        ] {
            assert!(Hasher::from_setting(name).is_err(), "{name}");
        }
    }

    #[test]
    fn hashes_verify_and_only_with_their_password() {
        for name in ["bcrypt4", "pbkdf2_1000", "pbkdf2_stretch_1000"] {
            let hasher = Hasher::from_setting(name).unwrap();
            let stored = hasher.hash(&secret("correct horse")).unwrap();
            assert_eq!(check_stored(&stored), Ok(()), "{name}");
            assert_eq!(
                verify(&secret("correct horse"), &stored),
                Ok(true),
                "{name}"
            );
            assert_eq!(
                verify(&secret("correct horsf"), &stored),
                Ok(false),
                "{name}"
            );
            assert_eq!(verify(&secret(""), &stored), Ok(false), "{name}");
            assert_ne!(stored, hasher.hash(&secret("correct horse")).unwrap());
        }
    }

    #[test]
    fn stored_forms_have_the_published_shape() {
        let bcrypt = Hasher::Bcrypt { cost: 4 }.hash(&secret("x")).unwrap();
        assert!(bcrypt.starts_with("$2a$04$") && bcrypt.len() == 60);
        let stored = Hasher::Pbkdf2 { iterations: 1_000 }
            .hash(&secret("x"))
            .unwrap();
        let parts: Vec<&str> = stored.split('$').collect();
        assert_eq!(parts[0], "{PBKDF2}1000");
        assert_eq!((parts[1].len(), parts[2].len()), (44, 44));
    }

    /// Made with another implementation (Python's hashlib) over a salt of 32 bytes 00..1f.
    #[test]
    fn pbkdf2_matches_another_implementation() {
        for (stored, password) in KNOWN {
            assert_eq!(verify(&secret(password), stored), Ok(true), "{stored}");
        }
    }

    #[test]
    fn bcrypt_verifies_a_published_vector() {
        // From the OpenBSD test set.
        let stored = "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe";
        assert_eq!(verify(&secret("a"), stored), Ok(true));
        assert_eq!(
            verify(&secret("a"), &stored.replacen("$2a", "$2b", 1)),
            Ok(true)
        );
        assert_eq!(verify(&secret("b"), stored), Ok(false));
    }

    #[test]
    fn bcrypt_refuses_to_cut_a_password() {
        let hasher = Hasher::Bcrypt { cost: 4 };
        let long = "x".repeat(73);
        assert!(matches!(
            hasher.hash(&secret(&long)),
            Err(SecurityError::PasswordTooLong { .. })
        ));
        let cut = bcrypt::hash(&long, 4).unwrap();
        assert_eq!(verify(&secret(&long), &cut), Ok(false));
        assert!(
            Hasher::Pbkdf2Stretch { iterations: 1_000 }
                .hash(&secret(&long))
                .is_ok()
        );
    }

    #[test]
    fn clear_text_and_odd_costs_are_refused() {
        for stored in [
            "changeme",
            "",
            "{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=",
            "{MD5}CY9rzUYh03PK3k6DJie09g==",
            "{PBKDF2}12345$AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAA==",
            "{PBKDF2}1000$AAAA$AAAAAAAAAAAAAAAAAAAAAA==",
            "{PBKDF2}1000$AAAAAAAAAAAAAAAAAAAAAA==$AAAA",
            "{PBKDF2}1000$AAAAAAAAAAAAAAAAAAAAAA==",
            "$2a$31$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe",
            "$2z$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe",
        ] {
            assert_eq!(
                verify(&secret("changeme"), stored),
                Err(SecurityError::UnsupportedHash)
            );
        }
    }

    #[test]
    fn dummy_hashes_are_well_formed_and_match_nothing() {
        for name in ["bcrypt4", "pbkdf2_1000", "pbkdf2_stretch_1000"] {
            let dummy = Hasher::from_setting(name).unwrap().dummy_hash();
            assert_eq!(verify(&secret("anything"), &dummy), Ok(false), "{name}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_stored_text_never_panics(stored in "\\PC{0,80}") {
            let _ = check_stored(&stored);
        }

        #[test]
        fn damaged_prefixes_never_panic(tail in "[\\PC$]{0,60}", prefix in 0..4usize) {
            let prefix = ["$2a$10$", "{PBKDF2}", "{PBKDF2_STRETCH}", "$2a$1"][prefix];
            let _ = check_stored(&format!("{prefix}{tail}"));
        }
    }

    const KNOWN: [(&str, &str); 2] = [
        (
            "{PBKDF2}1000$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=$nfQll4Jtazsjbu6XZ3ylSC1c/fs05GukwLtL3oPoOaQ=",
            "pässword",
        ),
        (
            "{PBKDF2_STRETCH}10000$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=$Wb9srl4zQiRZ3ZENjiSiWOrJJIKPcpZxMGgeUwVA+yY=",
            "pässword",
        ),
    ];
}
