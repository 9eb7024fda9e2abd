//! Whether this node may found a cluster. Done once in the life of a cluster, by the node of
//! `cluster.initial_master_nodes` with the smallest name, when all are there:
//! see docs/decisions/0005. Source: Elasticsearch reference, "Bootstrapping a cluster".

use std::collections::BTreeMap;

use ringwall_base::NodeId;

use crate::peer::PeerInfo;

/// A node found by discovery.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) peer: PeerInfo,
    /// Whether it already holds cluster state.
    pub(crate) initialized: bool,
}

/// What to do about founding a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// This node does not take part: nothing configured, not listed, or not master-eligible.
    NotForMe,
    /// These entries of the setting are not discovered yet.
    WaitFor(Vec<String>),
    /// An entry means several nodes, or several entries mean one node.
    Ambiguous(String),
    /// A cluster exists already; join it.
    JoinExisting,
    /// The node with this name will do it.
    LeaveTo(String),
    /// Found the cluster with these nodes.
    Found(BTreeMap<NodeId, PeerInfo>),
}

/// Decides for a node that holds no cluster state.
pub(crate) fn decide(local: &PeerInfo, required: &[String], discovered: &[Candidate]) -> Decision {
    let listed = required.iter().any(|name| local.matches_requirement(name));
    if !listed || !local.master_eligible {
        return Decision::NotForMe;
    }
    if discovered.iter().any(|candidate| candidate.initialized) {
        return Decision::JoinExisting;
    }
    let everyone: Vec<&PeerInfo> = std::iter::once(local)
        .chain(discovered.iter().map(|candidate| &candidate.peer))
        .filter(|peer| peer.master_eligible)
        .collect();

    let mut founders = BTreeMap::new();
    let mut missing = Vec::new();
    for name in required {
        let mut matches = everyone
            .iter()
            .filter(|peer| peer.matches_requirement(name));
        match (matches.next(), matches.next()) {
            (None, _) => missing.push(name.clone()),
            (Some(peer), None) => {
                if founders.insert(peer.id, (*peer).clone()).is_some() {
                    return Decision::Ambiguous(name.clone());
                }
            }
            (Some(_), Some(_)) => return Decision::Ambiguous(name.clone()),
        }
    }
    if !missing.is_empty() {
        return Decision::WaitFor(missing);
    }
    match founders.values().min_by_key(|peer| (&peer.name, peer.id)) {
        Some(first) if first.id != local.id => Decision::LeaveTo(first.name.clone()),
        _ => Decision::Found(founders),
    }
}

/// Decides for a node that holds no cluster state and whose settings say nothing about discovery: of the nodes
/// found, the one with the smallest id founds a cluster alone, and the others join it.
pub(crate) fn decide_unconfigured(local: &PeerInfo, discovered: &[Candidate]) -> Decision {
    if !local.master_eligible {
        return Decision::NotForMe;
    }
    if discovered.iter().any(|candidate| candidate.initialized) {
        return Decision::JoinExisting;
    }
    let others = discovered.iter().map(|candidate| &candidate.peer);
    let smaller = others
        .filter(|peer| peer.master_eligible)
        .find(|peer| peer.id < local.id);
    match smaller {
        Some(peer) => Decision::LeaveTo(peer.name.clone()),
        None => Decision::Found(BTreeMap::from([(local.id, local.clone())])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_settings_the_smallest_founds_alone() {
        let alone = Decision::Found(BTreeMap::from([(peer("a").id, peer("a"))]));
        assert_eq!(decide_unconfigured(&peer("a"), &[found("b")]), alone);
        assert_eq!(decide_unconfigured(&peer("a"), &[]), alone);
        let leave = Decision::LeaveTo("a".to_owned());
        assert_eq!(
            decide_unconfigured(&peer("b"), &[found("a"), found("c")]),
            leave
        );
        let mut there = found("c");
        there.initialized = true;
        assert_eq!(
            decide_unconfigured(&peer("a"), &[there]),
            Decision::JoinExisting
        );
    }

    fn peer(name: &str) -> PeerInfo {
        PeerInfo {
            id: NodeId::from_bits(u128::from(name.as_bytes()[0])),
            name: name.to_owned(),
            transport_address: format!("{name}.example:9300"),
            master_eligible: true,
            ..PeerInfo::default()
        }
    }

    fn found(name: &str) -> Candidate {
        Candidate {
            peer: peer(name),
            initialized: false,
        }
    }

    fn required(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn smallest_name_founds_when_all_are_there() {
        let names = required(&["b", "a", "c.example"]);
        let decision = decide(&peer("a"), &names, &[found("b"), found("c"), found("d")]);
        let Decision::Found(founders) = decision else {
            panic!("{decision:?}");
        };
        let found_names: Vec<&str> = founders.values().map(|peer| peer.name.as_str()).collect();
        assert_eq!(found_names, ["a", "b", "c"]);
        assert_eq!(
            decide(&peer("b"), &names, &[found("a"), found("c")]),
            Decision::LeaveTo("a".to_owned())
        );
        assert_eq!(
            decide(&peer("a"), &names, &[found("b")]),
            Decision::WaitFor(vec!["c.example".to_owned()])
        );
    }

    #[test]
    fn an_existing_cluster_is_joined() {
        let existing = Candidate {
            initialized: true,
            ..found("z")
        };
        assert_eq!(
            decide(&peer("a"), &required(&["a"]), &[existing]),
            Decision::JoinExisting
        );
    }

    #[test]
    fn unlisted_and_ineligible_nodes_take_no_part() {
        assert_eq!(decide(&peer("a"), &[], &[]), Decision::NotForMe);
        assert_eq!(
            decide(&peer("x"), &required(&["a"]), &[found("a")]),
            Decision::NotForMe
        );
        let data_only = PeerInfo {
            master_eligible: false,
            ..peer("a")
        };
        assert_eq!(
            decide(&data_only, &required(&["a"]), &[]),
            Decision::NotForMe
        );
        let other = Candidate {
            peer: PeerInfo {
                master_eligible: false,
                ..peer("b")
            },
            initialized: false,
        };
        assert_eq!(
            decide(&peer("a"), &required(&["a", "b"]), &[other]),
            Decision::WaitFor(required(&["b"]))
        );
    }

    #[test]
    fn ambiguity_is_refused() {
        let mut twin = found("b");
        twin.peer.id = NodeId::from_bits(99);
        assert_eq!(
            decide(&peer("a"), &required(&["a", "b"]), &[found("b"), twin]),
            Decision::Ambiguous("b".to_owned())
        );
        assert_eq!(
            decide(&peer("a"), &required(&["a", "a.example"]), &[]),
            Decision::Ambiguous("a.example".to_owned())
        );
    }
}
