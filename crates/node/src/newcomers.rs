//! Which nodes that ask to join are let in by the master.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use ringwall_api::cluster::WaitingNode;
use ringwall_base::{NodeId, NodeKey};
use ringwall_cluster::{ClusterState, known};
use ringwall_coordination::{NotAdmitted, PeerInfo};

use crate::cluster_service::now_ms;

/// Judges who asks to join, and remembers who waits to be approved.
#[derive(Default)]
pub struct Newcomers {
    /// Setting `cluster.membership.approval`.
    approval: Arc<AtomicBool>,
    waiting: Mutex<BTreeMap<(NodeId, NodeKey), WaitingNode>>,
}

impl Newcomers {
    /// Returns the switch of the setting.
    pub fn approval(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.approval)
    }

    /// Returns who waits, without those that are known by now.
    pub fn waiting(&self, state: &ClusterState) -> Vec<WaitingNode> {
        let mut waiting = self.waiting.lock();
        waiting.retain(|(id, _), _| !state.known_nodes.contains_key(id));
        waiting.values().cloned().collect()
    }

    /// Decides about a node that has proved to hold `peer.key`.
    ///
    /// Errors: the id is known by another key, or nobody has approved the node and that is asked for.
    pub fn judge(
        &self,
        state: &ClusterState,
        peer: &PeerInfo,
        founder: bool,
    ) -> Result<(), NotAdmitted> {
        if let Some(reason) = known::objection(&state.known_nodes, peer.id, peer.key) {
            return Err(NotAdmitted { reason });
        }
        // Without a key only who is in the cluster is known.
        let is_known = match peer.key {
            Some(_) => state.known_nodes.contains_key(&peer.id),
            None => false,
        };
        if is_known || founder || state.nodes.contains_key(&peer.id) {
            return Ok(());
        }
        if !self.approval.load(Ordering::Relaxed) {
            tracing::info!(
                "node [{peer}] joins this cluster for the first time, with the key [{}]",
                shown(peer.key)
            );
            return Ok(());
        }
        let Some(key) = peer.key else {
            return Err(NotAdmitted {
                reason: format!(
                    "node [{peer}] is new to this cluster, which lets in only who is approved \
                     ([cluster.membership.approval]), and has no key to be approved by: start it with a version that has"
                ),
            });
        };
        self.wait(peer, key);
        Err(NotAdmitted {
            reason: format!(
                "node [{}] is new to this cluster, which lets in only who is approved ([cluster.membership.approval]): an \
                 administrator of the cluster approves it with `ringwall nodes approve {}` on the host of a member, or with \
                 `POST /_membership/{}/_approve?key={key}`",
                peer.name,
                as_word(peer),
                peer.id
            ),
        })
    }

    fn wait(&self, peer: &PeerInfo, key: NodeKey) {
        let node = WaitingNode {
            id: peer.id.to_string(),
            name: peer.name.clone(),
            key: key.to_string(),
            transport_address: peer.transport_address.clone(),
            asked_ms: now_ms(),
        };
        let mut waiting = self.waiting.lock();
        waiting.insert((peer.id, key), node);
        if waiting.len() > MAX_WAITING {
            let oldest = waiting.iter().min_by_key(|(_, node)| node.asked_ms);
            if let Some(oldest) = oldest.map(|(key, _)| *key) {
                waiting.remove(&oldest);
            }
        }
    }
}

/// Returns what names the node in a shell's command: its name, if that needs no quotes, or its id.
fn as_word(peer: &PeerInfo) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    match peer.name.chars().all(is_plain) && !peer.name.starts_with('-') && !peer.name.is_empty() {
        true => peer.name.clone(),
        // An id may begin with a hyphen, too.
        false => format!("-- {}", peer.id),
    }
}

fn shown(key: Option<NodeKey>) -> String {
    key.map_or_else(|| "none".to_owned(), |key| key.to_string())
}

/// Newcomers that are remembered; they ask again and again.
const MAX_WAITING: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(id: u128, key: Option<u8>) -> PeerInfo {
        PeerInfo {
            id: NodeId::from_bits(id),
            name: format!("n{id}"),
            key: key.map(|byte| NodeKey::from_bytes([byte; 32])),
            ..PeerInfo::default()
        }
    }

    #[test]
    fn newcomers_are_let_in_unless_approval_is_asked_for() {
        let newcomers = Newcomers::default();
        let state = ClusterState::default();
        newcomers.judge(&state, &peer(1, Some(1)), false).unwrap();
        newcomers.approval().store(true, Ordering::Relaxed);
        let refused = newcomers.judge(&state, &peer(1, Some(1)), false);
        let reason = refused.unwrap_err().reason;
        let key = NodeKey::from_bytes([1; 32]);
        assert!(reason.contains(&format!("_approve?key={key}")), "{reason}");
        assert!(reason.contains("`ringwall nodes approve n1`"), "{reason}");
        let odd = PeerInfo {
            name: "the first".to_owned(),
            ..peer(4, Some(4))
        };
        let reason = newcomers.judge(&state, &odd, false).unwrap_err().reason;
        let words = format!("`ringwall nodes approve -- {}`", odd.id);
        assert!(reason.contains(&words), "{reason}");
        newcomers
            .waiting
            .lock()
            .remove(&(odd.id, NodeKey::from_bytes([4; 32])));
        assert_eq!(newcomers.waiting(&state)[0].key, key.to_string());
        assert!(newcomers.judge(&state, &peer(2, None), false).is_err());
        newcomers.judge(&state, &peer(3, Some(3)), true).unwrap();
        // Known by now, and by nobody else's key.
        let mut state = state;
        let known = ringwall_cluster::KnownNode {
            name: String::new(),
            key,
            since_ms: 0,
            away_since_ms: Some(0),
        };
        state.known_nodes.insert(NodeId::from_bits(1), known);
        newcomers.judge(&state, &peer(1, Some(1)), false).unwrap();
        assert!(newcomers.judge(&state, &peer(1, Some(9)), true).is_err());
        assert!(newcomers.waiting(&state).is_empty());
    }

    #[test]
    fn those_who_wait_are_bounded() {
        let newcomers = Newcomers::default();
        newcomers.approval().store(true, Ordering::Relaxed);
        for id in 0..200 {
            let _ = newcomers.judge(&ClusterState::default(), &peer(id, Some(1)), false);
        }
        assert_eq!(
            newcomers.waiting(&ClusterState::default()).len(),
            MAX_WAITING
        );
    }
}
