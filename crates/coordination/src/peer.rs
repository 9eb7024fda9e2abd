//! What one node knows about another.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use ringwall_base::{NodeId, NodeKey};
use serde::{Deserialize, Serialize};

/// A node as it describes itself: identity, address and abilities.
///
/// Two descriptions with the same `id` and another `ephemeral_id` are two lives of one node: it was
/// restarted in between and must join again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PeerInfo {
    /// Persistent identity, stored in the data path.
    pub id: NodeId,
    /// Random identity of this run of the process.
    pub ephemeral_id: String,
    /// `node.name`.
    pub name: String,
    /// Published transport address, `host:port`.
    pub transport_address: String,
    /// Whether the node has the `master` role: may vote and be elected.
    pub master_eligible: bool,
    /// Whether the node has the `voting_only` role: votes, and stands for election only when no
    /// other node could win. Source: Raft dissertation (Ongaro 2014) section 9.6.
    #[serde(default)]
    pub voting_only: bool,
    /// All roles; opaque to this crate.
    #[serde(default)]
    pub roles: BTreeSet<String>,
    /// `node.attr.*`; opaque to this crate.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// Published HTTP address, `host:port`; opaque to this crate.
    #[serde(default)]
    pub http_address: Option<String>,
    /// Version of the node's program; opaque to this crate.
    #[serde(default)]
    pub version: String,
    /// The key that it has proved to hold, or that it is known by; `None` of a version without keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<NodeKey>,
}

/// Who sends a request: a node as the connection has shown it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    pub id: NodeId,
    /// The key that it has proved to hold.
    pub key: Option<NodeKey>,
}

impl From<NodeId> for Sender {
    /// A node that has proved nothing.
    fn from(id: NodeId) -> Self {
        Self { id, key: None }
    }
}

impl PeerInfo {
    /// Returns whether both describe the same run of the same node.
    pub fn same_process(&self, other: &Self) -> bool {
        self.id == other.id && self.ephemeral_id == other.ephemeral_id
    }

    /// Returns the node as a sender of requests.
    pub(crate) fn sender(&self) -> Sender {
        Sender {
            id: self.id,
            key: self.key,
        }
    }

    /// Returns whether an entry of `cluster.initial_master_nodes` means this node: its name, its
    /// `host:port` or its host. Source: Elasticsearch reference, "Bootstrapping a cluster".
    pub fn matches_requirement(&self, requirement: &str) -> bool {
        self.name == requirement
            || self.transport_address == requirement
            || self.host() == requirement
    }

    fn host(&self) -> &str {
        self.transport_address
            .rsplit_once(':')
            .map_or(self.transport_address.as_str(), |(host, _)| host)
            .trim_matches(['[', ']'])
    }
}

impl fmt::Display for PeerInfo {
    /// Writes `{name}{id}{ephemeral id}{address}`, as Elasticsearch does in logs; without what is not known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.id.to_string();
        [&self.name, &id, &self.ephemeral_id, &self.transport_address]
            .into_iter()
            .filter(|part| !part.is_empty())
            .try_for_each(|part| write!(f, "{{{part}}}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirement_may_be_name_address_or_host() {
        let peer = PeerInfo {
            name: "a".to_owned(),
            transport_address: "[::1]:9300".to_owned(),
            ..PeerInfo::default()
        };
        for requirement in ["a", "[::1]:9300", "::1"] {
            assert!(peer.matches_requirement(requirement), "{requirement}");
        }
        for requirement in ["b", "::2", "9300", ""] {
            assert!(!peer.matches_requirement(requirement), "{requirement}");
        }
    }
}
