//! The first exchange on every link: who are you, and may we talk? Decisions only, no I/O.

use std::fmt;

use bytes::Bytes;
use ringwall_base::{NodeId, NodeKey, TransportTls};
use serde::{Deserialize, Serialize};

use crate::identity::{NodeIdentity, printable};
use crate::link::LinkKind;
use crate::proof::Prover;

/// The action of the handshake, which must be the first on a connection.
pub const HANDSHAKE_ACTION: &str = "internal:transport/handshake";

/// The version of the messages between nodes that this program speaks.
///
/// 2: changes of users by field, requests that are recognised when sent again, tasks.
/// 3: keys of nodes, lists of aliases, counts as searches, partial aggregations that keep the kind of a number.
pub const PROTOCOL_VERSION: u32 = 3;

/// The oldest version that this program still understands.
pub(crate) const MIN_PROTOCOL_VERSION: u32 = 3;

/// What the dialling side sends. Fields may be added, never removed or changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) protocol_version: u32,
    pub(crate) min_protocol_version: u32,
    pub(crate) node: NodeIdentity,
    pub(crate) link: LinkKind,
    /// Without TLS: what the acceptor has to sign. See [`crate::proof`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) nonce: Option<Bytes>,
    /// That the node holds the key that it names; without TLS only when the acceptor's nonce is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) proof: Option<Bytes>,
}

/// What the accepting side answers, also when it refuses.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Welcome {
    pub(crate) protocol_version: u32,
    pub(crate) min_protocol_version: u32,
    pub(crate) node: NodeIdentity,
    /// Why the acceptor will not talk, in its words.
    #[serde(default)]
    pub(crate) refusal: Option<String>,
    /// As in [`Hello`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) nonce: Option<Bytes>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) proof: Option<Bytes>,
}

impl Hello {
    pub(crate) fn new(node: NodeIdentity, link: LinkKind, prover: &Prover) -> Self {
        Self {
            nonce: prover.nonce(),
            proof: prover.prove(&node),
            protocol_version: PROTOCOL_VERSION,
            min_protocol_version: MIN_PROTOCOL_VERSION,
            node,
            link,
        }
    }
}

impl Welcome {
    pub(crate) fn new(node: NodeIdentity, refusal: Option<String>, prover: &Prover) -> Self {
        Self {
            nonce: prover.nonce(),
            proof: prover.prove(&node),
            protocol_version: PROTOCOL_VERSION,
            min_protocol_version: MIN_PROTOCOL_VERSION,
            node,
            refusal,
        }
    }
}

/// Why two nodes that trust each other's certificates do not talk.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The peer is of another cluster. Source: Elasticsearch reference, "Important Elasticsearch configuration"
    /// (`cluster.name`).
    ClusterName { local: String, remote: String },
    /// No version of the protocol is spoken by both.
    ProtocolVersion {
        remote: u32,
        remote_min: u32,
        local: u32,
        local_min: u32,
    },
    /// The peer is another process with this node's id: a copied data path.
    DuplicateNodeId { id: NodeId, remote_name: String },
    /// Another node than the one wanted answers at the address.
    UnexpectedNode { expected: NodeId, found: String },
    /// The peer is not who is known by its id.
    ForeignKey {
        id: NodeId,
        name: String,
        /// What it has shown to hold instead.
        key: Option<NodeKey>,
    },
    /// The peer names a key and does not show that it holds it.
    Unproven,
    /// The link has no TLS although both nodes can: something in between interferes.
    Unencrypted,
    /// The peer refused for a reason this program does not know.
    ByPeer(String),
}

impl Refusal {
    /// Returns a short constant name, for limiting repeated log lines.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::ClusterName { .. } => "cluster_name",
            Self::ProtocolVersion { .. } => "protocol_version",
            Self::DuplicateNodeId { .. } => "duplicate_node_id",
            Self::UnexpectedNode { .. } => "unexpected_node",
            Self::ForeignKey { .. } => "foreign_key",
            Self::Unproven => "unproven_key",
            Self::Unencrypted => "unencrypted",
            Self::ByPeer(_) => "refused_by_peer",
        }
    }

    /// Returns what the refused node is told: with the cure, where the fault is its own.
    pub(crate) fn for_peer(&self) -> String {
        match self {
            Self::ForeignKey {
                id, key: Some(key), ..
            } => format!(
                "{self}: restore its [_state/node_key], or `POST /_membership/{id}/_approve?key={key}`"
            ),
            Self::ProtocolVersion { .. } => format!("{self}: {}", self.remedy()),
            other => other.to_string(),
        }
    }

    /// Returns what the operator should do.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::ClusterName { .. } => {
                "set the same [cluster.name] on both nodes, or take the address out of [discovery.seed_hosts]"
            }
            Self::ProtocolVersion { .. } => {
                "upgrade the older node: these two versions cannot be in one cluster, so stop all nodes, upgrade all of \
                 them, and start them again"
            }
            Self::DuplicateNodeId { .. } => {
                "the data path was copied from another node: empty [path.data] of the copy and start it again"
            }
            Self::UnexpectedNode { .. } => {
                "the node has moved or its address was given to another; this resolves when it is discovered again"
            }
            Self::ForeignKey { .. } => {
                "if the data path of the node lost [_state/node_key], restore it, or approve its new key with `POST \
                 /_membership/<node id>/_approve?key=<key>`; if not, somebody passes himself off as it"
            }
            Self::Unproven => {
                "look for what lies between the nodes, or for a node that passes itself off as another"
            }
            Self::Unencrypted => {
                "look for what lies between the nodes: a proxy or an attacker that breaks off TLS"
            }
            Self::ByPeer(_) => "see the log of that node",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClusterName { local, remote } => write!(
                f,
                "remote cluster name [{}] does not match local cluster name [{local}]",
                printable(remote)
            ),
            Self::ProtocolVersion {
                remote,
                remote_min,
                local,
                local_min,
            } => write!(
                f,
                "Received message from unsupported version: [{remote}] minimal compatible version is: \
                 [{local_min}] (transport protocol: the remote node speaks {remote_min} to {remote}, \
                 this node {local_min} to {local})"
            ),
            Self::DuplicateNodeId { id, remote_name } => write!(
                f,
                "found existing node with the same id [{id}] but is a different node instance: \
                 the remote node [{}] has the id of this node",
                printable(remote_name)
            ),
            Self::UnexpectedNode { expected, found } => {
                write!(
                    f,
                    "unexpected remote node [{found}], expected node with id [{expected}]"
                )
            }
            Self::ForeignKey { id, name, key } => {
                let shown = match key {
                    Some(_) => "has another key",
                    None => "shows no key",
                };
                write!(
                    f,
                    "the remote node [{}] says that it is node [{id}], which is known by its key, and {shown}",
                    printable(name)
                )
            }
            Self::Unproven => {
                f.write_str("the remote node does not prove that it holds the key that it names")
            }
            Self::Unencrypted => f.write_str(
                "the link is not encrypted although both nodes have TLS, so it is not used",
            ),
            Self::ByPeer(reason) => write!(f, "the remote node refused: {}", printable(reason)),
        }
    }
}

/// Decides whether this node talks with a peer. Both sides decide by the same rules.
///
/// A connection of a node to itself is fine: that is how discovery finds its own address.
pub(crate) fn judge(
    local: &NodeIdentity,
    remote: &NodeIdentity,
    remote_version: u32,
    remote_min: u32,
    encrypted: bool,
) -> Result<(), Refusal> {
    if remote_version < MIN_PROTOCOL_VERSION || remote_min > PROTOCOL_VERSION {
        return Err(Refusal::ProtocolVersion {
            remote: remote_version,
            remote_min,
            local: PROTOCOL_VERSION,
            local_min: MIN_PROTOCOL_VERSION,
        });
    }
    if remote.cluster_name != local.cluster_name {
        return Err(Refusal::ClusterName {
            local: local.cluster_name.clone(),
            remote: remote.cluster_name.clone(),
        });
    }
    let has_tls = |node: &NodeIdentity| {
        TransportTls::of(&node.attributes).is_some_and(|mode| mode != TransportTls::Off)
    };
    if !encrypted && has_tls(local) && has_tls(remote) {
        return Err(Refusal::Unencrypted);
    }
    if remote.id == local.id && remote.ephemeral_id != local.ephemeral_id {
        return Err(Refusal::DuplicateNodeId {
            id: local.id,
            remote_name: remote.name.clone(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: u32 = PROTOCOL_VERSION;

    fn node(id: u128, ephemeral_id: &str, cluster: &str) -> NodeIdentity {
        NodeIdentity {
            id: NodeId::from_bits(id),
            ephemeral_id: ephemeral_id.to_owned(),
            name: format!("node-{id}"),
            cluster_name: cluster.to_owned(),
            version: "1".to_owned(),
            roles: Vec::new(),
            publish_address: String::new(),
            cluster_uuid: None,
            http_address: None,
            attributes: Default::default(),
            key: None,
        }
    }

    #[test]
    fn peers_are_judged() {
        let local = node(1, "e1", "a");
        let verdict = |remote: NodeIdentity, version, min| {
            judge(&local, &remote, version, min, true).map_err(|refusal| refusal.kind())
        };
        assert_eq!(verdict(node(2, "e2", "a"), OURS, OURS), Ok(()));
        assert_eq!(verdict(local.clone(), OURS, OURS), Ok(()));
        assert_eq!(verdict(node(2, "e2", "a"), OURS + 7, OURS), Ok(()));
        assert_eq!(verdict(node(2, "e2", "b"), OURS, OURS), Err("cluster_name"));
        assert_eq!(
            verdict(node(1, "e2", "a"), OURS, OURS),
            Err("duplicate_node_id")
        );
        assert_eq!(
            verdict(node(2, "e2", "a"), OURS + 7, OURS + 1),
            Err("protocol_version")
        );
        assert_eq!(
            verdict(node(2, "e2", "a"), MIN_PROTOCOL_VERSION - 1, 0),
            Err("protocol_version")
        );
    }

    #[test]
    fn a_version_that_is_too_old_is_told_with_the_way_to_upgrade() {
        let local = node(1, "e1", "a");
        let refusal = judge(&local, &node(2, "e2", "a"), 2, 1, true).unwrap_err();
        assert_eq!(
            refusal.for_peer(),
            "Received message from unsupported version: [2] minimal compatible version is: [3] (transport protocol: the \
             remote node speaks 1 to 2, this node 3 to 3): upgrade the older node: these two versions cannot be in one \
             cluster, so stop all nodes, upgrade all of them, and start them again"
        );
    }

    #[test]
    fn nodes_that_both_have_tls_do_not_talk_without() {
        let with = |mode: TransportTls| {
            let mut node = node(mode as u128, "e", "a");
            let value = mode.as_str().to_owned();
            node.attributes
                .insert(TransportTls::ATTRIBUTE.to_owned(), value);
            node
        };
        use TransportTls::{DualStack, Off, Required};
        let verdict = |a, b, encrypted| judge(&with(a), &with(b), OURS, OURS, encrypted);
        for (a, b, encrypted, fits) in [
            (DualStack, Off, false, true),
            (Off, DualStack, false, true),
            (Off, Off, false, true),
            (DualStack, DualStack, false, false),
            (DualStack, Required, false, false),
            (DualStack, DualStack, true, true),
        ] {
            assert_eq!(
                verdict(a, b, encrypted).is_ok(),
                fits,
                "{a:?} {b:?} {encrypted}"
            );
        }
    }

    #[test]
    fn the_cluster_name_sentence_is_elasticsearchs() {
        let refusal =
            judge(&node(1, "e1", "a"), &node(2, "e2", "b"), OURS, OURS, true).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "remote cluster name [b] does not match local cluster name [a]"
        );
    }

    #[test]
    fn a_newer_hello_with_more_fields_is_understood() {
        #[derive(Serialize)]
        struct NewerHello {
            protocol_version: u32,
            min_protocol_version: u32,
            node: NodeIdentity,
            link: LinkKind,
            novelty: Vec<u8>,
        }
        let bytes = ringwall_base::encoding::encode(&NewerHello {
            protocol_version: 7,
            min_protocol_version: 1,
            node: node(1, "e", "a"),
            link: LinkKind::Data,
            novelty: vec![1],
        });
        let hello: Hello = ringwall_base::encoding::decode(&bytes).unwrap();
        assert_eq!(hello.protocol_version, 7);
    }
}
