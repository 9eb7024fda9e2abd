//! Which keys are made. Source: Elasticsearch reference, "elasticsearch-certutil"; other types than RSA are ours.

use clap::ValueEnum;
use ringwall_pki::{DEFAULT_KEY_SIZE, KeySpec};

use crate::error::CommandError;

/// The options about new keys.
#[derive(Debug, clap::Args)]
pub(super) struct KeyArgs {
    /// Size of an RSA key in bits: 2048 (the default) to 8192, a multiple of 8
    #[arg(long, value_name = "BITS")]
    keysize: Option<u32>,
    /// Type of the key; elliptic curve keys are made a thousand times faster
    #[arg(long, value_name = "TYPE", default_value = "rsa")]
    key_type: KeyType,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum KeyType {
    Rsa,
    EcP256,
    EcP384,
    Ed25519,
}

impl KeyArgs {
    /// Returns the key to make. Errors: a size for a type that has but one (64).
    pub(super) fn spec(&self) -> Result<KeySpec, CommandError> {
        let spec = match (self.key_type, self.keysize) {
            (KeyType::Rsa, size) => return Ok(KeySpec::Rsa(size.unwrap_or(DEFAULT_KEY_SIZE))),
            (_, Some(_)) => {
                return Err(CommandError::usage(
                    "--keysize is for --key-type rsa; the other types have one size",
                ));
            }
            (KeyType::EcP256, None) => KeySpec::EcP256,
            (KeyType::EcP384, None) => KeySpec::EcP384,
            (KeyType::Ed25519, None) => KeySpec::Ed25519,
        };
        Ok(spec)
    }
}
