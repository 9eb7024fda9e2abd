//! Hashes of secrets that this crate makes itself: API keys and stored service tokens.
//!
//! Such a secret has 128 random bits, so a fast salted hash of it is as good as a slow one: nobody can
//! guess it either way, and every request that shows it pays for the check. Passwords never go here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ringwall_base::SecretString;
use ringwall_base::ids::random_bytes;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Returns the form to keep: `{SSHA256}` and base64 of salt and digest.
pub fn hash(secret: &SecretString) -> String {
    let salt = random_bytes::<SALT>();
    let mut bytes = salt.to_vec();
    bytes.extend(digest(&salt, secret));
    format!("{PREFIX}{}", STANDARD.encode(bytes))
}

/// Returns whether the secret is the one that was hashed, in constant time. What is no such hash matches
/// nothing.
pub fn matches(secret: &SecretString, stored: &str) -> bool {
    let bytes = stored
        .strip_prefix(PREFIX)
        .and_then(|text| STANDARD.decode(text).ok());
    let Some((salt, expected)) = bytes
        .as_deref()
        .and_then(|bytes| bytes.split_at_checked(SALT))
    else {
        return false;
    };
    digest(salt, secret).ct_eq(expected).into()
}

fn digest(salt: &[u8], secret: &SecretString) -> [u8; 32] {
    Sha256::new()
        .chain_update(salt)
        .chain_update(secret.expose().as_bytes())
        .finalize()
        .into()
}

const PREFIX: &str = "{SSHA256}";
/// Bytes.
const SALT: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_alone_matches() {
        let stored = hash(&"a secret".into());
        assert!(matches(&"a secret".into(), &stored));
        assert_ne!(stored, hash(&"a secret".into()));
        for (secret, stored) in [
            ("a Secret", stored.as_str()),
            ("", &stored),
            ("a secret", "a secret"),
            ("a secret", "{SSHA256}"),
            ("a secret", "{SSHA256}AAAA"),
        ] {
            assert!(!matches(&secret.into(), stored), "{stored}");
        }
    }
}
