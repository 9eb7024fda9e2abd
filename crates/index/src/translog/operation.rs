//! An operation on a shard, and its binary form in the translog.

use bytes::Bytes;
use ringwall_base::{SeqNo, Term};
use serde::{Deserialize, Serialize};

/// One operation of a shard's history, as the translog keeps it and as replicas receive it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    pub seq_no: SeqNo,
    /// The term of the primary that assigned the sequence number.
    pub primary_term: Term,
    pub kind: OperationKind,
    /// Who asked for it; absent in what was written before there was such a thing, and where nobody asked.
    #[serde(default)]
    pub origin: Option<Origin>,
}

/// The item of a request that an operation does, so that it is recognised when it is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// A random number, the same each time that the request is sent.
    pub request: u64,
    pub item: u32,
    /// Whether there was such a document before: with the kind it gives the result.
    pub existed: bool,
}

/// What an operation does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OperationKind {
    Index {
        id: String,
        routing: Option<String>,
        version: u64,
        /// JSON text.
        #[serde(with = "ringwall_base::encoding::shared")]
        source: Bytes,
    },
    Delete {
        id: String,
        version: u64,
    },
    /// Fills a sequence number that stands for nothing.
    NoOp {
        reason: String,
    },
}

impl Operation {
    /// Returns the document the operation is on.
    pub fn id(&self) -> Option<&str> {
        match &self.kind {
            OperationKind::Index { id, .. } | OperationKind::Delete { id, .. } => Some(id),
            OperationKind::NoOp { .. } => None,
        }
    }

    /// Returns about how many bytes the operation takes in the translog.
    pub fn size(&self) -> usize {
        FIXED_BYTES
            + match &self.kind {
                OperationKind::Index {
                    id,
                    routing,
                    source,
                    ..
                } => id.len() + routing.as_ref().map_or(0, String::len) + source.len(),
                OperationKind::Delete { id, .. } => id.len(),
                OperationKind::NoOp { reason } => reason.len(),
            }
    }

    /// Appends the binary form: kind, sequence number, term, the origin if the kind says so, then by kind; integers
    /// little-endian.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let kind = match &self.kind {
            OperationKind::Index { .. } => INDEX,
            OperationKind::Delete { .. } => DELETE,
            OperationKind::NoOp { .. } => NO_OP,
        };
        let with_origin = self.origin.map_or(0, |_| WITH_ORIGIN);
        out.push(kind | with_origin);
        out.extend_from_slice(&self.seq_no.to_le_bytes());
        out.extend_from_slice(&self.primary_term.to_le_bytes());
        if let Some(origin) = self.origin {
            out.extend_from_slice(&origin.request.to_le_bytes());
            out.extend_from_slice(&origin.item.to_le_bytes());
            out.push(u8::from(origin.existed));
        }
        match &self.kind {
            OperationKind::Index {
                id,
                routing,
                version,
                source,
            } => {
                out.extend_from_slice(&version.to_le_bytes());
                put_text(out, id);
                out.push(u8::from(routing.is_some()));
                put_text(out, routing.as_deref().unwrap_or_default());
                out.extend_from_slice(source);
            }
            OperationKind::Delete { id, version } => {
                out.extend_from_slice(&version.to_le_bytes());
                put_text(out, id);
            }
            OperationKind::NoOp { reason } => put_text(out, reason),
        }
    }

    /// Reads the binary form. `None` when the bytes are not one.
    pub(super) fn decode(payload: &[u8]) -> Option<Self> {
        let mut reader = Reader(payload);
        let kind = reader.byte()?;
        let seq_no = reader.u64()?.cast_signed();
        let primary_term = reader.u64()?;
        let origin = match kind & WITH_ORIGIN {
            0 => None,
            _ => Some(Origin {
                request: reader.u64()?,
                item: reader.u32()?,
                existed: reader.byte()? == 1,
            }),
        };
        let kind = match kind & !WITH_ORIGIN {
            INDEX => {
                let version = reader.u64()?;
                let id = reader.text()?;
                let has_routing = reader.byte()? == 1;
                let routing = reader.text()?;
                OperationKind::Index {
                    id,
                    routing: has_routing.then_some(routing),
                    version,
                    source: Bytes::copy_from_slice(reader.rest()),
                }
            }
            DELETE => OperationKind::Delete {
                version: reader.u64()?,
                id: reader.text()?,
            },
            NO_OP => OperationKind::NoOp {
                reason: reader.text()?,
            },
            _ => return None,
        };
        if !reader.rest().is_empty() {
            return None;
        }
        Some(Self {
            seq_no,
            primary_term,
            kind,
            origin,
        })
    }

    /// Reads only the sequence number and term.
    pub(super) fn decode_head(payload: &[u8]) -> Option<(SeqNo, Term)> {
        let mut reader = Reader(payload);
        let kind = reader.byte()? & !WITH_ORIGIN;
        matches!(kind, INDEX | DELETE | NO_OP).then_some(())?;
        Some((reader.u64()?.cast_signed(), reader.u64()?))
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    // Texts here are ids, routings and reasons, far below 4 GiB.
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn u64(&mut self) -> Option<u64> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*bytes))
    }

    fn u32(&mut self) -> Option<u32> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_le_bytes(*bytes))
    }

    fn text(&mut self) -> Option<String> {
        let (length, rest) = self.0.split_first_chunk()?;
        let length = u32::from_le_bytes(*length) as usize;
        let (text, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).ok()
    }

    fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}

const INDEX: u8 = 1;
const DELETE: u8 = 2;
const NO_OP: u8 = 3;
/// Added to the kind of an operation whose origin is told.
const WITH_ORIGIN: u8 = 0x80;

/// Kind, sequence number, term, version, lengths.
const FIXED_BYTES: usize = 1 + 8 + 8 + 8 + 4 + 1 + 4;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kind() -> impl Strategy<Value = OperationKind> {
        prop_oneof![
            (
                ".{0,20}",
                proptest::option::of(".{0,8}"),
                any::<u64>(),
                any::<Vec<u8>>()
            )
                .prop_map(|(id, routing, version, source)| OperationKind::Index {
                    id,
                    routing,
                    version,
                    source: source.into()
                }),
            (".{0,20}", any::<u64>())
                .prop_map(|(id, version)| OperationKind::Delete { id, version }),
            ".{0,20}".prop_map(|reason| OperationKind::NoOp { reason }),
        ]
    }

    #[test]
    fn what_was_written_before_there_were_origins_is_read() {
        let mut bytes = vec![DELETE];
        bytes.extend_from_slice(&7i64.to_le_bytes());
        bytes.extend_from_slice(&2u64.to_le_bytes());
        bytes.extend_from_slice(&5u64.to_le_bytes());
        put_text(&mut bytes, "a");
        let expected = Operation {
            seq_no: 7,
            primary_term: 2,
            kind: OperationKind::Delete {
                id: "a".into(),
                version: 5,
            },
            origin: None,
        };
        assert_eq!(Operation::decode(&bytes), Some(expected));
    }

    proptest! {
        #[test]
        fn binary_form_round_trips(
            seq_no: i64,
            primary_term: u64,
            kind in kind(),
            origin: Option<(u64, u32, bool)>,
        ) {
            let origin = origin.map(|(request, item, existed)| Origin { request, item, existed });
            let operation = Operation { seq_no, primary_term, kind, origin };
            let mut bytes = Vec::new();
            operation.encode(&mut bytes);
            prop_assert_eq!(Operation::decode_head(&bytes), Some((seq_no, primary_term)));
            prop_assert_eq!(Operation::decode(&bytes), Some(operation));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = Operation::decode(&bytes);
        }
    }
}
