//! The nodes that the cluster knows by their keys, whether they are in it now or not: who has joined with an id has it
//! for good.

use std::collections::BTreeMap;

use ringwall_api::{ApiError, ErrorCode};
use ringwall_base::{NodeId, NodeKey};
use serde::{Deserialize, Serialize};

/// A node that has joined, or that an operator has approved before it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownNode {
    /// As it called itself last.
    pub name: String,
    pub key: NodeKey,
    /// When it became known, milliseconds since the epoch.
    pub since_ms: u64,
    /// Since when it is not in the cluster; `None` while it is.
    #[serde(default)]
    pub away_since_ms: Option<u64>,
}

/// By id.
pub type KnownNodes = BTreeMap<NodeId, KnownNode>;

/// Returns why a node may not join with this id and key. `None` is a node of a version without keys.
pub fn objection(known: &KnownNodes, id: NodeId, key: Option<NodeKey>) -> Option<String> {
    match (known.get(&id), key) {
        (Some(pinned), Some(key)) if pinned.key == key => None,
        (Some(pinned), Some(key)) => Some(format!(
            "node [{id}] has joined this cluster as [{}] with another key; if its data path lost its key, restore it, or \
             approve the new one with `POST /_membership/{id}/_approve?key={key}`; if not, somebody passes himself off \
             as it",
            pinned.name
        )),
        (Some(pinned), None) => Some(format!(
            "node [{id}] has joined this cluster as [{}] with a key, and comes back without one; start it with a \
             version that has one, or let the cluster forget the node with `DELETE /_membership/{id}`",
            pinned.name
        )),
        (None, Some(key)) => {
            let mut others = known.iter();
            let (other, twin) = others.find(|(_, node)| node.key == key)?;
            Some(format!(
                "the key of node [{id}] is that of node [{other}] [{}]: its data path was copied; empty the data path of \
                 the copy",
                twin.name
            ))
        }
        (None, None) => None,
    }
}

/// Takes a node over that joins, and those that its master knew, where they are not known here yet.
///
/// # Errors
/// [`objection`], and too many nodes that are known and not there.
pub(crate) fn join(
    known: &mut KnownNodes,
    (id, name, key): (NodeId, &str, Option<NodeKey>),
    of_master: KnownNodes,
    now_ms: u64,
) -> Result<(), ApiError> {
    if let Some(reason) = objection(known, id, key) {
        return Err(refused(reason));
    }
    if let Some(key) = key {
        if !known.contains_key(&id) {
            make_room(known, now_ms)?;
        }
        let since_ms = known.get(&id).map_or(now_ms, |node| node.since_ms);
        let node = KnownNode {
            name: name.to_owned(),
            key,
            since_ms,
            away_since_ms: None,
        };
        known.insert(id, node);
    }
    // A node that ran a version without keys when the others joined has not heard of theirs.
    for (id, node) in of_master {
        if known.len() < MAX_KNOWN && objection(known, id, Some(node.key)).is_none() {
            known.entry(id).or_insert(node);
        }
    }
    Ok(())
}

/// Lets a node be known by a key before it joins: one that is new, or one that is away and has lost its key.
///
/// # Errors
/// The node is there with another key, another node has the key, or too many nodes are known.
pub(crate) fn approve(
    known: &mut KnownNodes,
    (id, name, key): (NodeId, String, NodeKey),
    now_ms: u64,
) -> Result<(), ApiError> {
    let before = known.get(&id).cloned();
    match &before {
        Some(node) if node.key == key => return Ok(()),
        Some(node) if node.away_since_ms.is_none() => {
            return Err(refused(format!(
                "node [{id}] [{}] is in the cluster with another key; it keeps that one while it is",
                node.name
            )));
        }
        // Its own key is no objection to its new one.
        Some(_) => drop(known.remove(&id)),
        None => {}
    }
    let entered = objection(known, id, Some(key)).map_or(Ok(()), |reason| Err(refused(reason)));
    if let Err(error) = entered.and_then(|()| make_room(known, now_ms)) {
        known.extend(before.map(|node| (id, node)));
        return Err(error);
    }
    let since = before.as_ref();
    let node = KnownNode {
        name: since.map_or(name, |node| node.name.clone()),
        key,
        since_ms: since.map_or(now_ms, |node| node.since_ms),
        away_since_ms: Some(now_ms),
    };
    known.insert(id, node);
    Ok(())
}

/// Forgets who has been away for long, as clusters do that get new nodes for old ones. Who was seen lately is never
/// forgotten for newcomers: joining under ever new names would take away what the others are known by.
fn make_room(known: &mut KnownNodes, now_ms: u64) -> Result<(), ApiError> {
    while known.len() >= MAX_KNOWN {
        let longest = known
            .iter()
            .filter_map(|(id, node)| Some((node.away_since_ms?, *id)))
            .min()
            .filter(|(since, _)| now_ms.saturating_sub(*since) > KEPT_MS);
        let Some((_, id)) = longest else {
            return Err(refused(format!(
                "[{}] nodes are known to this cluster already; let it forget those that are no more with `DELETE /_membership/<id>`",
                known.len()
            )));
        };
        known.remove(&id);
    }
    Ok(())
}

fn refused(reason: String) -> ApiError {
    ApiError::new(ErrorCode::IllegalState, reason)
}

/// Nodes that are remembered.
const MAX_KNOWN: usize = 1000;
/// How long a node is remembered at least, 30 days.
const KEPT_MS: u64 = 30 * 24 * 3600 * 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn id(bits: u128) -> NodeId {
        NodeId::from_bits(bits)
    }

    fn key(byte: u8) -> NodeKey {
        NodeKey::from_bytes([byte; 32])
    }

    fn comes(known: &mut KnownNodes, bits: u128, key: Option<NodeKey>) -> Result<(), String> {
        join(known, (id(bits), "n", key), KnownNodes::new(), 5).map_err(|error| error.reason)
    }

    #[test]
    fn an_id_belongs_to_its_key() {
        let mut known = KnownNodes::new();
        // Without a key nobody is pinned: the node may come back with one.
        comes(&mut known, 1, None).unwrap();
        assert!(known.is_empty());
        comes(&mut known, 1, Some(key(1))).unwrap();
        comes(&mut known, 1, Some(key(1))).unwrap();
        assert!(
            comes(&mut known, 1, Some(key(2)))
                .unwrap_err()
                .contains("with another key")
        );
        assert!(
            comes(&mut known, 1, None)
                .unwrap_err()
                .contains("comes back without one")
        );
        assert!(
            comes(&mut known, 2, Some(key(1)))
                .unwrap_err()
                .contains("was copied")
        );
        comes(&mut known, 2, Some(key(2))).unwrap();
        assert_eq!(known.len(), 2);
    }

    #[test]
    fn a_new_key_is_approved_for_who_is_new_or_away() {
        let mut known = KnownNodes::new();
        let approves = |known: &mut KnownNodes, bits, byte| {
            let node = (id(bits), String::new(), key(byte));
            approve(known, node, 9).map_err(|error| error.reason)
        };
        approves(&mut known, 1, 1).unwrap();
        comes(&mut known, 1, Some(key(1))).unwrap();
        approves(&mut known, 1, 1).unwrap();
        let refused = approves(&mut known, 1, 2).unwrap_err();
        assert!(
            refused.contains("is in the cluster with another key"),
            "{refused}"
        );
        comes(&mut known, 2, Some(key(2))).unwrap();
        known.get_mut(&id(1)).unwrap().away_since_ms = Some(7);
        let before = known.clone();
        let refused = approves(&mut known, 1, 2).unwrap_err();
        assert!(refused.contains("was copied"), "{refused}");
        assert_eq!(known, before);
        approves(&mut known, 1, 3).unwrap();
        assert_eq!((known[&id(1)].key, known[&id(1)].since_ms), (key(3), 9));
        comes(&mut known, 1, Some(key(3))).unwrap();
    }

    #[test]
    fn what_the_master_knows_is_taken_over_and_never_replaces_anything() {
        let mut known = KnownNodes::new();
        comes(&mut known, 1, Some(key(1))).unwrap();
        let node = |byte| KnownNode {
            name: "m".to_owned(),
            key: key(byte),
            since_ms: 1,
            away_since_ms: None,
        };
        let of_master = KnownNodes::from([(id(1), node(9)), (id(3), node(3)), (id(4), node(1))]);
        join(&mut known, (id(2), "n", Some(key(2))), of_master, 5).unwrap();
        let ids: Vec<NodeId> = known.keys().copied().collect();
        assert_eq!(ids, [id(1), id(2), id(3)]);
        assert_eq!(known[&id(1)].key, key(1));
    }

    #[test]
    fn only_who_is_long_gone_is_forgotten() {
        let mut known = KnownNodes::new();
        for number in 0..MAX_KNOWN as u128 {
            let mut bytes = [0; 32];
            bytes[..16].copy_from_slice(&number.to_be_bytes());
            let key = NodeKey::from_bytes(bytes);
            comes(&mut known, number, Some(key)).unwrap();
        }
        let newcomer = key(0xff);
        let refused = comes(&mut known, 5000, Some(newcomer)).unwrap_err();
        assert!(refused.contains("[1000] nodes are known"), "{refused}");
        known.get_mut(&id(7)).unwrap().away_since_ms = Some(5);
        assert!(comes(&mut known, 5000, Some(newcomer)).is_err());
        let late = 5 + KEPT_MS + 1;
        join(
            &mut known,
            (id(5000), "n", Some(newcomer)),
            KnownNodes::new(),
            late,
        )
        .unwrap();
        assert!(!known.contains_key(&id(7)) && known.contains_key(&id(5000)));
    }
}
