//! Identifiers of nodes, indices, shards and shard copies, and the numbers that order operations.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Sequence number of an operation within a shard: dense from 0, assigned by the primary.
pub type SeqNo = i64;

/// Primary term of a shard, or election term of the cluster: grows with each new primary or master.
pub type Term = u64;

/// The checkpoint of a copy that holds no operation.
pub const NO_OPS_PERFORMED: SeqNo = -1;

/// The sequence number of an operation to which the primary has not assigned one.
pub const UNASSIGNED_SEQ_NO: SeqNo = -2;

/// Persistent identity of a node: 128 random bits, written as 22 characters of URL-safe base64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NodeId(u128);

impl NodeId {
    /// Returns a new random identity.
    pub fn random() -> Self {
        Self(u128::from_be_bytes(random_bytes()))
    }

    /// Returns the identity made of the given bits; for tests and stored forms.
    pub const fn from_bits(bits: u128) -> Self {
        Self(bits)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0.to_be_bytes()))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a node id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("[{0}] is not a node id: expected 22 characters of URL-safe base64")]
pub struct InvalidNodeId(pub String);

impl FromStr for NodeId {
    type Err = InvalidNodeId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| InvalidNodeId(text.to_owned()))?;
        let bytes: [u8; 16] = bytes
            .try_into()
            .map_err(|_| InvalidNodeId(text.to_owned()))?;
        Ok(Self(u128::from_be_bytes(bytes)))
    }
}

impl Serialize for NodeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Name and UUID of an index. Two indices of one name made one after the other differ in UUID.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IndexId {
    pub name: String,
    pub uuid: String,
}

/// One shard of one index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShardId {
    pub index: IndexId,
    pub shard: u32,
}

impl fmt::Display for ShardId {
    /// Writes `[index][shard]`, as Elasticsearch does in messages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}][{}]", self.index.name, self.shard)
    }
}

/// Identity of one copy of a shard on one node, stored with the copy.
/// Source: Elasticsearch reference, "Reading and writing documents".
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AllocationId(pub String);

impl fmt::Display for AllocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AllocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns a random UUID in Elasticsearch's form: 22 characters of URL-safe base64.
pub fn random_uuid() -> String {
    URL_SAFE_NO_PAD.encode(random_bytes::<16>())
}

/// Returns `N` bytes from the operating system's generator.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Invariant: Linux and macOS always answer once booted; there is no way to go on without.
    getrandom::fill(&mut bytes).expect("the operating system provides random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_id_text_round_trips() {
        let id = NodeId::random();
        assert_eq!(id.to_string().len(), 22);
        assert_eq!(id.to_string().parse::<NodeId>(), Ok(id));
        assert!("short".parse::<NodeId>().is_err());
    }
}
