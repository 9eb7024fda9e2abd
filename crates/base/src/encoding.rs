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

/// Returns how many bytes [`encode`] would give: about what a value takes in memory, without the room that lists
/// keep for more.
pub fn size<T: Serialize + ?Sized>(value: &T) -> u64 {
    struct Count(u64);

    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len() as u64;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let mut count = Count(0);
    // As in `encode`: it does not fail.
    rmp_serde::encode::write_named(&mut count, value).expect("messages are encodable");
    count.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_that_of_the_encoded_form() {
        let value = serde_json::json!({"a": [1, 2, 3], "b": {"c": "text"}});
        assert_eq!(size(&value), encode(&value).len() as u64);
    }
}
