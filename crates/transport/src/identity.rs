//! Who a node says it is.

use std::collections::BTreeMap;
use std::fmt;

use ringwall_base::{NodeId, NodeKey};
use serde::{Deserialize, Serialize};

/// What nodes tell each other in the handshake.
///
/// The certificate says that the operator's authority lets the node talk, and the key which node it is; the rest is the
/// node's own word, as in Elasticsearch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeIdentity {
    pub id: NodeId,
    /// New at each start of the process.
    pub ephemeral_id: String,
    pub name: String,
    pub cluster_name: String,
    /// The version of the program.
    pub version: String,
    #[serde(default)]
    pub roles: Vec<String>,
    /// Where other nodes reach this one, as `host:port`. Empty before [`bind`](crate::Transport::bind).
    #[serde(default)]
    pub publish_address: String,
    /// Where clients reach this one, as `host:port`, if they do.
    #[serde(default)]
    pub http_address: Option<String>,
    /// Absent until the node has joined a cluster.
    #[serde(default)]
    pub cluster_uuid: Option<String>,
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// What the node is known by. Of a peer: the key that it has proved to hold on this link; absent for nodes of
    /// versions without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<NodeKey>,
}

impl fmt::Display for NodeIdentity {
    /// Writes `{name}{id}{ephemeral id}{address}`, the form of Elasticsearch's log lines.
    ///
    /// A peer chose these texts: control characters are replaced, so that they cannot forge log lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, id) = (printable(&self.name), self.id);
        let (ephemeral_id, address) = (
            printable(&self.ephemeral_id),
            printable(&self.publish_address),
        );
        write!(f, "{{{name}}}{{{id}}}{{{ephemeral_id}}}{{{address}}}")
    }
}

/// Returns a peer's text fit for one line of a log: no control characters, at most 256 characters.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .take(256)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_forge_a_log_line() {
        assert_eq!(printable("a\nWARN b"), "a\u{fffd}WARN b");
        assert_eq!(printable(&"x".repeat(300)).len(), 256);
    }
}
