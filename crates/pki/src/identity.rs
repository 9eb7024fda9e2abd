//! The key by which a node is known to the others, apart from its certificate.

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use ringwall_base::{NodeKey, SecretBytes};

use crate::PkiError;

/// An Ed25519 key pair. Never printed.
pub struct IdentityKey {
    pair: Ed25519KeyPair,
    public: NodeKey,
}

impl IdentityKey {
    /// Generates a key. Errors: the library has no random numbers.
    pub fn generate() -> Result<(Self, SecretBytes), PkiError> {
        let failed = |_| PkiError::Crypto("generate the key of the node");
        let pair = Ed25519KeyPair::generate().map_err(failed)?;
        let pkcs8 = SecretBytes::new(pair.to_pkcs8v1().map_err(failed)?.as_ref());
        Ok((Self::of(pair)?, pkcs8))
    }

    /// Reads the PKCS#8 form (DER) that [`Self::generate`] gave.
    ///
    /// Errors: [`PkiError::BadKey`] when it is no Ed25519 key.
    pub fn from_pkcs8(pkcs8: &SecretBytes) -> Result<Self, PkiError> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8.expose());
        Self::of(pair.map_err(|_| PkiError::Crypto("read the key of the node"))?)
    }

    fn of(pair: Ed25519KeyPair) -> Result<Self, PkiError> {
        let public: [u8; 32] = pair
            .public_key()
            .as_ref()
            .try_into()
            .map_err(|_| PkiError::Crypto("derive the public key of the node"))?;
        Ok(Self {
            pair,
            public: NodeKey::from_bytes(public),
        })
    }

    /// Returns the public half.
    pub fn public(&self) -> NodeKey {
        self.public
    }

    /// Signs a message.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

impl fmt::Debug for IdentityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdentityKey({}, ***)", self.public)
    }
}

/// Returns whether the holder of the key signed the message.
pub fn is_signed_by(key: &NodeKey, message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, key.as_bytes())
        .verify(message, signature)
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_holder_signs_and_the_stored_form_is_the_same_key() {
        let (key, stored) = IdentityKey::generate().unwrap();
        let read = IdentityKey::from_pkcs8(&stored).unwrap();
        assert_eq!(read.public(), key.public());
        let signature = read.sign(b"message");
        assert!(is_signed_by(&key.public(), b"message", &signature));
        assert!(!is_signed_by(&key.public(), b"massage", &signature));
        let (other, _) = IdentityKey::generate().unwrap();
        assert!(!is_signed_by(&other.public(), b"message", &signature));
        assert!(IdentityKey::from_pkcs8(&SecretBytes::new("junk")).is_err());
        assert!(!format!("{key:?}").contains("pkcs8"));
    }
}
