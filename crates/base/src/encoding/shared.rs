//! Byte strings of messages that are passed on rather than copied: `#[serde(with = "encoding::shared")]` on a field.
//!
//! [`decode_shared`](super::decode_shared) reads such a field as a slice of the message, and
//! [`encode_chunks`](super::encode_chunks) writes a long one as a chunk of its own. Neither is visible in what is
//! encoded: to [`encode`](super::encode) and [`decode`](super::decode) it is a byte string like any other. serde
//! hands the bytes over without their owner, so the owner waits in a variable of the thread meanwhile; what counts is
//! the place of the bytes, so that the worst that a mistake could do is a copy.
//!
//! A slice keeps the whole message alive. Whoever charges for the message ties the charge to its bytes
//! ([`breaker::Charge::hold`](crate::breaker::Charge::hold)), so that it lives as long.

use std::cell::RefCell;
use std::fmt;

use bytes::Bytes;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::ser::Serializer;

thread_local! {
    /// The message that is being decoded.
    static DECODED: RefCell<Option<Bytes>> = const { RefCell::new(None) };
    /// The byte string that is being written.
    static WRITTEN: RefCell<Option<Bytes>> = const { RefCell::new(None) };
}

/// See the module.
pub fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    if bytes.len() < MIN_CHUNK {
        return serializer.serialize_bytes(bytes);
    }
    let before = WRITTEN.replace(Some(bytes.clone()));
    let written = serializer.serialize_bytes(bytes);
    WRITTEN.set(before);
    written
}

/// See the module.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    deserializer.deserialize_byte_buf(BytesVisitor)
}

/// The same for a byte string that may be missing.
pub mod option {
    use super::{Bytes, Deserializer, Serializer};
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    struct Shared(#[serde(with = "super")] Bytes);

    /// See the module above.
    pub fn serialize<S: Serializer>(
        bytes: &Option<Bytes>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        bytes.clone().map(Shared).serialize(serializer)
    }

    /// See the module above.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Bytes>, D::Error> {
        let shared: Option<Shared> = Option::deserialize(deserializer)?;
        Ok(shared.map(|Shared(bytes)| bytes))
    }
}

/// Has fields that are read on this thread be slices of a message, until it is dropped.
pub(super) struct Decoding(Option<Bytes>);

impl Decoding {
    pub(super) fn of(message: &Bytes) -> Self {
        Self(DECODED.replace(Some(message.clone())))
    }
}

impl Drop for Decoding {
    fn drop(&mut self) {
        DECODED.set(self.0.take());
    }
}

/// Returns these bytes as a part of the message that is being decoded, if they are one.
fn part_of_message(bytes: &[u8]) -> Option<Bytes> {
    DECODED.with_borrow(|message| {
        let message = message.as_ref()?;
        let within = message.as_ptr_range();
        let part = bytes.as_ptr_range();
        let is_part = within.start <= part.start && part.end <= within.end;
        (is_part && !bytes.is_empty()).then(|| message.slice_ref(bytes))
    })
}

/// Collects what is written, long shared byte strings as they are.
#[derive(Default)]
pub(super) struct Chunks {
    done: Vec<Bytes>,
    open: Vec<u8>,
}

impl Chunks {
    pub(super) fn finish(mut self) -> Vec<Bytes> {
        self.close();
        self.done
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.done.push(std::mem::take(&mut self.open).into());
        }
    }
}

impl std::io::Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let whole = WRITTEN.with_borrow(|written| {
            let same = |written: &&Bytes| written.as_ptr_range() == bytes.as_ptr_range();
            written.as_ref().filter(same).cloned()
        });
        match whole {
            Some(whole) => {
                self.close();
                self.done.push(whole);
            }
            None => self.open.extend_from_slice(bytes),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct BytesVisitor;

impl<'de> Visitor<'de> for BytesVisitor {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a byte string")
    }

    fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Bytes, E> {
        Ok(part_of_message(bytes).unwrap_or_else(|| Bytes::copy_from_slice(bytes)))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
        Ok(Bytes::copy_from_slice(bytes))
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
        Ok(bytes.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Bytes, E> {
        Ok(Bytes::copy_from_slice(text.as_bytes()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut bytes: A) -> Result<Bytes, A::Error> {
        let mut read = Vec::with_capacity(bytes.size_hint().unwrap_or(0).min(MIN_CHUNK));
        while let Some(byte) = bytes.next_element()? {
            read.push(byte);
        }
        Ok(read.into())
    }
}

/// Shorter byte strings are copied: a frame of their own would cost more.
const MIN_CHUNK: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};

    use crate::encoding::{decode, decode_shared, encode, encode_chunks};

    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Message {
        #[serde(with = "super")]
        first: Bytes,
        name: String,
        #[serde(with = "super::option")]
        second: Option<Bytes>,
        parts: Vec<Part>,
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Part(#[serde(with = "super")] Bytes);

    /// As [`Message`] where nothing is shared.
    #[derive(Debug, Deserialize)]
    struct Plain {
        first: Bytes,
        second: Option<Bytes>,
    }

    fn is_within(part: &Bytes, whole: &Bytes) -> bool {
        whole.as_ptr_range().start <= part.as_ptr() && part.as_ptr() < whole.as_ptr_range().end
    }

    #[test]
    fn long_byte_strings_are_neither_copied_to_be_sent_nor_when_they_are_read() {
        let long = Bytes::from(vec![7; MIN_CHUNK]);
        let message = Message {
            first: long.clone(),
            name: "n".to_owned(),
            second: Some(long.slice(..MIN_CHUNK)),
            parts: vec![Part(Bytes::from_static(b"short"))],
        };
        let chunks = encode_chunks(&message);
        let shared = chunks
            .iter()
            .filter(|chunk| chunk.as_ptr() == long.as_ptr());
        assert_eq!(shared.count(), 2);
        let sent = Bytes::from(chunks.concat());
        let read: Message = decode_shared(&sent).unwrap();
        assert_eq!(read, message);
        let parts = [&read.first, read.second.as_ref().unwrap(), &read.parts[0].0];
        assert!(parts.into_iter().all(|part| is_within(part, &sent)));
        // Outside of it nothing is remembered.
        let copied: Message = decode(&sent).unwrap();
        assert!(!is_within(&copied.first, &sent));
        assert!(WRITTEN.with_borrow(Option::is_none) && DECODED.with_borrow(Option::is_none));
    }

    #[test]
    fn what_is_not_of_the_message_is_copied() {
        let message = Bytes::from(encode(&1));
        let _decoding = Decoding::of(&message);
        let other = encode(&Part(Bytes::from_static(b"other")));
        let read: Part = decode(&other).unwrap();
        assert_eq!(read.0, "other");
    }

    proptest! {
        #[test]
        fn it_is_encoded_like_any_byte_string(
            lengths in prop::collection::vec(0usize..3 * MIN_CHUNK, 1..4),
            has_second: bool,
        ) {
            let bytes = |length: usize| Bytes::from(vec![b'x'; length]);
            let message = Message {
                first: bytes(lengths[0]),
                name: "name".to_owned(),
                second: has_second.then(|| bytes(MIN_CHUNK + 1)),
                parts: lengths.iter().map(|length| Part(bytes(*length))).collect(),
            };
            let encoded = encode(&message);
            prop_assert_eq!(&encode_chunks(&message).concat(), &encoded);
            let plain: Plain = decode(&encoded).unwrap();
            prop_assert_eq!(&plain.first, &message.first);
            prop_assert_eq!(&plain.second, &message.second);
            prop_assert_eq!(decode_shared::<Message>(&encoded.into()).unwrap(), message);
        }
    }
}
