//! The encoding of everything nodes send one another and of small files on disk: MessagePack with
//! named fields, so that a newer node can add a field (`#[serde(default)]`) that an older one skips.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The bytes are not what the receiver expected.
#[derive(Debug, thiserror::Error)]
#[error("cannot decode {what}: {reason}")]
pub struct DecodeError {
    /// The Rust type expected.
    pub what: &'static str,
    pub reason: String,
}

/// Returns the encoded form of a message.
pub fn encode<T: Serialize + ?Sized>(message: &T) -> Vec<u8> {
    // Invariant: our message types hold no map with non-string keys and no failing serializer,
    // and writing to memory does not fail.
    rmp_serde::to_vec_named(message).expect("messages are encodable")
}

/// Reads a message back.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    rmp_serde::from_slice(bytes).map_err(|error| DecodeError {
        what: std::any::type_name::<T>(),
        reason: error.to_string(),
    })
}
