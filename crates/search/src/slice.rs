//! `slice`: a part of what a search finds, so that several may read it at a time.

use std::ops::Range;

use ringwall_api::{ApiError, ErrorCode};
use serde_json::Value;
use tantivy::{BitSet, DocId};

use crate::columns::Values;
use crate::parse::Object;
use crate::shard::{Segment, Shard, ShardPlace};

/// Number `id` of `max` parts, which have every document once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    pub id: u32,
    pub max: u32,
    /// The numbers that documents are spread by. `None`: their ids, so that a document stays in its slice when it
    /// is written again; or, in a point in time, their places.
    pub field: Option<String>,
}

/// Reads a `slice`.
pub(crate) fn parse_slice(value: &Value) -> Result<Slice, ApiError> {
    let mut object = Object::new("slice", value)?;
    let id = whole("id", object.i64("id")?)?;
    let max = whole("max", object.i64("max")?)?;
    let field = object.text("field")?;
    object.finish()?;
    if id < 0 {
        return Err(bad("id", "id must be greater than or equal to 0"));
    }
    if max <= 1 {
        return Err(bad("max", "max must be greater than 1"));
    }
    if max <= id {
        return Err(bad("max", "max must be greater than id"));
    }
    let number = |key, value: i64| u32::try_from(value).map_err(|_| bad(key, "value is too large"));
    Ok(Slice {
        id: number("id", id)?,
        max: number("max", max)?,
        field,
    })
}

fn whole(key: &str, given: Option<i64>) -> Result<i64, ApiError> {
    given.ok_or_else(|| {
        let reason = format!("[slice] requires [{key}], which is missing");
        ApiError::new(ErrorCode::XContentParse, reason)
    })
}

fn bad(key: &str, reason: &str) -> ApiError {
    let parse = ErrorCode::XContentParse;
    ApiError::new(parse, format!("[slice] failed to parse field [{key}]"))
        .caused_by(ApiError::illegal_argument(reason))
}

/// What a slice has of one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Whole,
    Nothing,
    /// One of several parts of its documents.
    Some {
        number: u32,
        of: u32,
    },
}

impl Slice {
    /// Returns what the slice has of a shard: whole shards as long as there are enough of them.
    pub(crate) fn part(&self, place: ShardPlace) -> Part {
        if self.max <= place.of {
            return match place.ordinal % self.max == self.id {
                true => Part::Whole,
                false => Part::Nothing,
            };
        }
        if self.id % place.of != place.ordinal {
            return Part::Nothing;
        }
        let rest = self.max % place.of;
        let of = self.max / place.of + u32::from(rest > place.ordinal);
        match of {
            1 => Part::Whole,
            of => Part::Some {
                number: self.id / place.of,
                of,
            },
        }
    }
}

/// Which documents of a segment are in the part.
pub(crate) enum Members {
    Range(Range<DocId>),
    Bits(BitSet),
}

impl Members {
    pub(crate) fn contains(&self, doc: DocId) -> bool {
        match self {
            Self::Range(range) => range.contains(&doc),
            Self::Bits(bits) => bits.contains(doc),
        }
    }
}

/// Returns the documents of a segment in one of several parts of its shard. `fixed`: the searcher is the same for
/// every part, so that they may be cut by the places of documents.
pub(crate) fn members(
    shard: &Shard<'_>,
    slice: &Slice,
    segment: &Segment<'_>,
    (number, of): (u32, u32),
    fixed: bool,
) -> Result<Members, ApiError> {
    match slice.field.as_deref() {
        None if fixed => Ok(Members::Range(places(shard, segment, number, of))),
        None | Some("_id") => by_id(shard, segment, number, of),
        Some(field) => by_number(shard, segment, number, of, field),
    }
}

fn places(shard: &Shard<'_>, segment: &Segment<'_>, number: u32, of: u32) -> Range<DocId> {
    let segments = shard.segments();
    let all = segments.last();
    let all = all.map_or(0, |last| {
        u64::from(last.base) + u64::from(last.reader.max_doc())
    });
    let cut = |part: u32| {
        let place = all * u64::from(part) / u64::from(of);
        // At most the last document of the segment, whose number fits.
        let inside = place.saturating_sub(u64::from(segment.base));
        inside.min(u64::from(segment.reader.max_doc())) as DocId
    };
    cut(number)..cut(number + 1)
}

fn by_id(
    shard: &Shard<'_>,
    segment: &Segment<'_>,
    number: u32,
    of: u32,
) -> Result<Members, ApiError> {
    let mut bits = empty(shard, segment)?;
    let mut beat = shard.pulse.beat();
    let visited = segment.reader.visit_ids(shard.layout(), |id, doc| {
        if spread(hash(id), of) == number {
            bits.insert(doc);
        }
        beat.step()
    });
    shard.pulse.of_engine(visited)?;
    Ok(Members::Bits(bits))
}

fn by_number(
    shard: &Shard<'_>,
    segment: &Segment<'_>,
    number: u32,
    of: u32,
    name: &str,
) -> Result<Members, ApiError> {
    let field = shard.field(name);
    let field =
        field.ok_or_else(|| ApiError::illegal_argument(format!("field {name} not found")))?;
    if field.number_kind().is_none() || field.check_doc_values().is_err() {
        let reason = format!("cannot load numeric doc values on {name}");
        return Err(ApiError::illegal_argument(reason));
    }
    let values = field.values(&segment.reader)?;
    let mut bits = empty(shard, segment)?;
    for doc in 0..segment.reader.max_doc() {
        // One without a value counts as 0.
        let mut value = 0;
        if let Values::Number(numbers) = &values {
            match numbers.is_integer() {
                true => numbers.longs(doc, |long| value = long.cast_unsigned()),
                false => numbers.doubles(doc, |double| value = double.to_bits()),
            }
        }
        if spread(mix(value), of) == number {
            bits.insert(doc);
        }
    }
    Ok(Members::Bits(bits))
}

fn empty(shard: &Shard<'_>, segment: &Segment<'_>) -> Result<BitSet, ApiError> {
    let docs = segment.reader.max_doc();
    shard.pulse.charge(u64::from(docs) / 8)?;
    Ok(BitSet::with_max_value(docs))
}

fn spread(hash: u64, of: u32) -> u32 {
    // Less than `of`.
    (hash % u64::from(of)) as u32
}

/// Not the hash that chose the shard: documents of one shard have much of that in common.
fn hash(bytes: &[u8]) -> u64 {
    let fnv = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    mix(bytes.iter().fold(0xcbf2_9ce4_8422_2325, fnv))
}

fn mix(mut value: u64) -> u64 {
    value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

/// Refuses more slices than an index allows.
pub(crate) fn check_slices(slice: Option<&Slice>, most: usize) -> Result<(), ApiError> {
    match slice {
        Some(slice) if slice.max as usize > most => Err(ApiError::illegal_argument(format!(
            "The number of slices [{}] is too large. It must be less than [{most}]. This limit can be set by \
             changing the [index.max_slices_per_scroll] index level setting.",
            slice.max
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_part_of_every_shard_is_in_one_slice() {
        for of in 1..6u32 {
            for max in 2..12u32 {
                for ordinal in 0..of {
                    let place = ShardPlace { ordinal, of };
                    let mut whole = 0;
                    let mut parts = Vec::new();
                    for id in 0..max {
                        let slice = Slice {
                            id,
                            max,
                            field: None,
                        };
                        match slice.part(place) {
                            Part::Whole => whole += 1,
                            Part::Nothing => {}
                            Part::Some { number, of } => parts.push((number, of)),
                        }
                    }
                    let count = parts.len() as u32;
                    let all: Vec<(u32, u32)> = (0..count).map(|n| (n, count)).collect();
                    assert!(whole == 1 && parts.is_empty() || whole == 0 && parts == all);
                }
            }
        }
    }

    #[test]
    fn what_is_no_slice_is_refused() {
        for (bad, cause) in [
            (
                json!({"id": -1, "max": 2}),
                "id must be greater than or equal to 0",
            ),
            (json!({"id": 0, "max": 1}), "max must be greater than 1"),
            (json!({"id": 2, "max": 2}), "max must be greater than id"),
        ] {
            let error = parse_slice(&bad).unwrap_err();
            assert_eq!(error.caused_by.unwrap().reason, cause, "{bad}");
        }
        for bad in [
            json!({"max": 2}),
            json!({"id": 0}),
            json!({"id": 0, "max": 2, "f": 1}),
            json!([]),
        ] {
            assert_eq!(parse_slice(&bad).unwrap_err().status, 400, "{bad}");
        }
    }
}
