//! The ids that clients get of scrolls and points in time: which reader on which node for each shard.
//!
//! An id is no secret and proves nothing: the nodes look whose the readers are.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ringwall_api::{ApiError, ApiResult};
use ringwall_base::{NodeId, ShardId, encoding};
use serde::{Deserialize, Serialize};

use super::readers::{ReaderId, ReaderKind};

/// What is open of one shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenShard {
    pub shard: ShardId,
    pub node: NodeId,
    pub reader: ReaderId,
}

/// Refuses to open more shards than an id may name.
///
/// # Errors
/// 400.
pub fn check_count(shards: usize) -> ApiResult<()> {
    if shards <= MAX_SHARDS {
        return Ok(());
    }
    Err(ApiError::illegal_argument(format!(
        "[{shards}] shards are too many for one scroll or point in time: at most [{MAX_SHARDS}]"
    )))
}

/// Each shard of an id is a call to a node, whoever made the id.
const MAX_SHARDS: usize = 20_000;

/// Returns the id.
pub fn encode(kind: ReaderKind, shards: &[OpenShard]) -> String {
    let mut bytes = vec![mark(kind)];
    bytes.extend(encoding::encode(shards));
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads an id.
///
/// # Errors
/// 400 for what is none.
pub fn decode(kind: ReaderKind, id: &str) -> ApiResult<Vec<OpenShard>> {
    let what = match kind {
        ReaderKind::Scroll => "scroll id",
        ReaderKind::Pit => "point in time id",
    };
    let bad = || ApiError::illegal_argument(format!("Cannot parse {what}"));
    let bytes = URL_SAFE_NO_PAD.decode(id).map_err(|_| bad())?;
    match bytes.split_first() {
        Some((first, rest)) if *first == mark(kind) => {
            let shards: Vec<OpenShard> = encoding::decode(rest).map_err(|_| bad())?;
            check_count(shards.len())?;
            // Named twice, a reader would be asked for the same documents twice, and so on.
            let mut seen = HashSet::with_capacity(shards.len());
            match shards
                .iter()
                .all(|open| seen.insert((open.node, open.reader)))
            {
                true => Ok(shards),
                false => Err(bad()),
            }
        }
        _ => Err(bad()),
    }
}

fn mark(kind: ReaderKind) -> u8 {
    match kind {
        ReaderKind::Scroll => b's',
        ReaderKind::Pit => b'p',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_id_of_the_kind_is_refused() {
        let id = encode(ReaderKind::Scroll, &[]);
        assert_eq!(decode(ReaderKind::Scroll, &id).unwrap(), []);
        for bad in [&id, "", "garbage", "c2Nhbjs1", "\u{e4}"] {
            let error = decode(ReaderKind::Pit, bad).unwrap_err();
            assert_eq!(error.status, 400, "{bad}");
        }
        // The same reader twice is more than there is.
        let one = OpenShard {
            shard: ShardId {
                index: ringwall_base::IndexId {
                    name: "i".to_owned(),
                    uuid: "u".to_owned(),
                },
                shard: 0,
            },
            node: NodeId::from_bits(1),
            reader: ReaderId::default(),
        };
        let id = encode(ReaderKind::Scroll, std::slice::from_ref(&one));
        assert_eq!(decode(ReaderKind::Scroll, &id).unwrap().len(), 1);
        let twice = encode(ReaderKind::Scroll, &[one.clone(), one]);
        assert_eq!(decode(ReaderKind::Scroll, &twice).unwrap_err().status, 400);
        for end in 0..id.len() {
            let _ = decode(ReaderKind::Scroll, &id[..end]);
        }
    }
}
