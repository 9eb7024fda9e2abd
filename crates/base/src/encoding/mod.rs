//! The encoding of everything nodes send one another and of small files on disk: MessagePack with
//! named fields, so that a newer node can add a field (`#[serde(default)]`) that an older one skips.

mod lean;
pub mod shared;

use bytes::Bytes;
use lean::Lean;
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
    rmp_serde::to_vec_named(&Lean(message)).expect("messages are encodable")
}

/// Reads a message back.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    rmp_serde::from_slice(bytes).map_err(|error| DecodeError {
        what: std::any::type_name::<T>(),
        reason: error.to_string(),
    })
}

/// As [`encode`], in pieces to be sent one after the other: long byte strings that are [`shared`] are not copied.
pub fn encode_chunks<T: Serialize + ?Sized>(message: &T) -> Vec<Bytes> {
    let mut chunks = shared::Chunks::default();
    // As in `encode`: it does not fail.
    rmp_serde::encode::write_named(&mut chunks, &Lean(message)).expect("messages are encodable");
    chunks.finish()
}

/// As [`decode`]: byte strings that are [`shared`] become slices of the message, which lives as long as they do.
pub fn decode_shared<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, DecodeError> {
    let _decoding = shared::Decoding::of(bytes);
    decode(bytes)
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
    rmp_serde::encode::write_named(&mut count, &Lean(value)).expect("messages are encodable");
    count.0
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::Value;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Shape {
        Unit,
        New(Value),
        Tuple(u8, Value),
        Struct {
            inner: Option<Value>,
            bytes: Vec<u8>,
        },
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Message {
        shapes: Vec<Shape>,
        map: BTreeMap<String, (i32, Value)>,
        none: Option<()>,
    }

    #[test]
    fn numbers_of_a_tree_are_written_as_numbers_where_that_keeps_their_text() {
        for (text, bytes) in [
            ("5", 1),
            ("-7", 1),
            ("18446744073709551615", 9),
            ("-9223372036854775808", 9),
            ("1.5", 9),
        ] {
            let value: Value = serde_json::from_str(text).unwrap();
            let encoded = encode(&value);
            assert_eq!(encoded.len(), bytes, "{text}");
            assert_eq!(decode::<Value>(&encoded).unwrap().to_string(), text);
        }
        // As a node wrote them that knew no texts.
        assert_eq!(decode::<Value>(&[5]).unwrap(), serde_json::json!(5));
    }

    proptest! {
        #[test]
        fn every_shape_keeps_the_text_of_its_numbers(
            texts in prop::collection::vec("-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,18})?(e[+-][0-9]{1,3})?", 4)
        ) {
            let number = |at: usize| -> Value { serde_json::from_str(&texts[at]).unwrap() };
            let message = Message {
                shapes: vec![
                    Shape::Unit,
                    Shape::New(number(0)),
                    Shape::Tuple(1, serde_json::json!({"a": [number(1), null, "x"]})),
                    Shape::Struct { inner: Some(number(2)), bytes: vec![1, 2] },
                ],
                map: [("k".to_owned(), (-1, number(3)))].into(),
                none: None,
            };
            let encoded = encode(&message);
            let back: Message = decode(&encoded).unwrap();
            prop_assert_eq!(&back, &message);
            let Shape::New(first) = &back.shapes[1] else { unreachable!() };
            prop_assert_eq!(&first.to_string(), &texts[0]);
            prop_assert_eq!(size(&message), encoded.len() as u64);
        }
    }

    #[test]
    fn the_size_is_that_of_the_encoded_form() {
        let value = serde_json::json!({"a": [1, 2, 3], "b": {"c": "text"}});
        assert_eq!(size(&value), encode(&value).len() as u64);
    }
}
