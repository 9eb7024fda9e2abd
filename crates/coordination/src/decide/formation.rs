//! The text that explains why there is no master. Source: node.md section 7.5.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use ringwall_base::NodeId;

use super::voters::{Configs, is_quorum};
use crate::peer::PeerInfo;

/// What a node without a master knows.
#[derive(Debug, Clone)]
pub(crate) struct FormationFacts {
    pub(crate) local: PeerInfo,
    /// Voters of the accepted membership; empty when the node holds no cluster state.
    pub(crate) configs: Configs,
    pub(crate) initial_master_nodes: Vec<String>,
    pub(crate) discovered: Vec<PeerInfo>,
    pub(crate) seed_addresses: Vec<String>,
    pub(crate) last_known_nodes: Vec<PeerInfo>,
    /// The names of voters, as far as the accepted membership tells them.
    pub(crate) names: BTreeMap<NodeId, String>,
    pub(crate) term: u64,
    pub(crate) last_accepted: Option<(u64, u64)>,
    /// The last error of each address that does not answer.
    pub(crate) errors: BTreeMap<String, String>,
    pub(crate) join_error: Option<String>,
}

/// Returns the warning.
pub(crate) fn explain(facts: &FormationFacts) -> String {
    let mut text = String::from("master not discovered");
    let _ = match state(facts) {
        State::NotEligible => write!(text, " yet: have discovered {}", discovered(facts)),
        State::NeverBootstrapped => write!(
            text,
            " yet, this node has not previously joined a bootstrapped cluster, and {}: \
             have discovered {}",
            bootstrap_clause(facts),
            discovered(facts)
        ),
        State::NeedsElection { possible } => write!(
            text,
            " or elected yet, an election requires {}, {} {}{}",
            requirements(facts),
            quorum_clause(possible),
            discovered(facts),
            missing(missing_voters(facts))
        ),
    };
    let (version, accepted_term) = facts
        .last_accepted
        .map_or((0, 0), |(term, index)| (index, term));
    let _ = write!(
        text,
        "; discovery will continue using [{}] from hosts providers and [{}] from last-known \
         cluster state; node term {}, last-accepted version {version} in term {accepted_term}",
        facts.seed_addresses.join(", "),
        join(&facts.last_known_nodes),
        facts.term
    );
    if let Some(error) = &facts.join_error {
        let _ = write!(text, "; last failed join attempt: {error}");
    }
    if !facts.errors.is_empty() {
        let errors: Vec<String> = facts
            .errors
            .iter()
            .map(|(address, error)| format!("[{address}]: {error}"))
            .collect();
        let _ = write!(text, "; last error per address: {}", errors.join(", "));
    }
    text
}

/// Returns the cause alone, without addresses and ids: what a client is told.
pub(crate) fn summarize(facts: &FormationFacts) -> String {
    match state(facts) {
        State::NotEligible => "master not discovered yet".to_owned(),
        State::NeverBootstrapped => format!(
            "master not discovered yet, this node has not previously joined a bootstrapped cluster, and {}",
            bootstrap_clause(facts)
        ),
        State::NeedsElection { possible } => format!(
            "master not discovered or elected yet, {}{}",
            quorum_clause(possible),
            missing(missing_voters(facts))
        ),
    }
}

enum State {
    NotEligible,
    NeverBootstrapped,
    NeedsElection { possible: bool },
}

fn state(facts: &FormationFacts) -> State {
    if !facts.local.master_eligible {
        return State::NotEligible;
    }
    if facts.configs.is_empty() {
        return State::NeverBootstrapped;
    }
    let reachable: BTreeSet<NodeId> = facts
        .discovered
        .iter()
        .map(|peer| peer.id)
        .chain([facts.local.id])
        .collect();
    State::NeedsElection {
        possible: is_quorum(&facts.configs, &reachable),
    }
}

fn bootstrap_clause(facts: &FormationFacts) -> String {
    if facts.initial_master_nodes.is_empty() {
        return "[cluster.initial_master_nodes] is empty on this node".to_owned();
    }
    let everyone: Vec<&PeerInfo> = std::iter::once(&facts.local)
        .chain(&facts.discovered)
        .filter(|peer| peer.master_eligible)
        .collect();
    let required = &facts.initial_master_nodes;
    let absent = required
        .iter()
        .filter(|name| !everyone.iter().any(|peer| peer.matches_requirement(name)));
    format!(
        "this node must discover master-eligible nodes [{}] to bootstrap a cluster{}",
        required.join(", "),
        missing(absent.cloned().collect())
    )
}

fn quorum_clause(possible: bool) -> &'static str {
    match possible {
        true => "have discovered possible quorum",
        false => "have only discovered non-quorum",
    }
}

fn missing(names: Vec<String>) -> String {
    match names.is_empty() {
        true => String::new(),
        false => format!(", missing [{}]", names.join(", ")),
    }
}

/// Returns the names of the voters that are not discovered; the ids of those without a known name.
fn missing_voters(facts: &FormationFacts) -> Vec<String> {
    let voters: BTreeSet<NodeId> = facts.configs.iter().flatten().copied().collect();
    let is_there =
        |id: NodeId| id == facts.local.id || facts.discovered.iter().any(|peer| peer.id == id);
    voters
        .into_iter()
        .filter(|id| !is_there(*id))
        .map(|id| name(facts, id).map_or_else(|| id.to_string(), str::to_owned))
        .collect()
}

fn name(facts: &FormationFacts, id: NodeId) -> Option<&str> {
    std::iter::once(&facts.local)
        .chain(&facts.discovered)
        .chain(&facts.last_known_nodes)
        .find(|peer| peer.id == id)
        .map(|peer| peer.name.as_str())
        .or_else(|| facts.names.get(&id).map(String::as_str))
        .filter(|name| !name.is_empty())
}

fn requirements(facts: &FormationFacts) -> String {
    let mut parts: Vec<String> = facts
        .configs
        .iter()
        .map(|config| requirement(facts, config))
        .collect();
    parts.dedup();
    parts.join(" and ")
}

fn requirement(facts: &FormationFacts, config: &BTreeSet<NodeId>) -> String {
    let voters: Vec<String> = config
        .iter()
        .map(|id| match name(facts, *id) {
            Some(name) => format!("{{{name}}}{{{id}}}"),
            None => id.to_string(),
        })
        .collect();
    let list = voters.join(", ");
    match config.len() {
        1 => format!("a node with id [{list}]"),
        2 => format!("two nodes with ids [{list}]"),
        3 => format!("at least 2 nodes with ids from [{list}]"),
        size => format!("at least {} nodes with ids from [{list}]", size / 2 + 1),
    }
}

fn discovered(facts: &FormationFacts) -> String {
    let mut peers = vec![facts.local.clone()];
    peers.extend(facts.discovered.iter().cloned());
    format!("[{}]", join(&peers))
}

fn join(peers: &[PeerInfo]) -> String {
    let texts: Vec<String> = peers.iter().map(PeerInfo::to_string).collect();
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(name: &str, bits: u128) -> PeerInfo {
        PeerInfo {
            id: NodeId::from_bits(bits),
            ephemeral_id: "e".to_owned(),
            name: name.to_owned(),
            transport_address: format!("{name}:9300"),
            master_eligible: true,
            ..PeerInfo::default()
        }
    }

    fn facts() -> FormationFacts {
        FormationFacts {
            local: peer("a", 1),
            configs: Vec::new(),
            initial_master_nodes: Vec::new(),
            discovered: Vec::new(),
            seed_addresses: vec!["b:9300".to_owned()],
            last_known_nodes: Vec::new(),
            names: BTreeMap::new(),
            term: 0,
            last_accepted: None,
            errors: BTreeMap::new(),
            join_error: None,
        }
    }

    #[test]
    fn never_bootstrapped() {
        let id = NodeId::from_bits(1);
        assert_eq!(
            explain(&facts()),
            format!(
                "master not discovered yet, this node has not previously joined a bootstrapped \
                 cluster, and [cluster.initial_master_nodes] is empty on this node: have \
                 discovered [{{a}}{{{id}}}{{e}}{{a:9300}}]; discovery will continue using \
                 [b:9300] from hosts providers and [] from last-known cluster state; node term 0, \
                 last-accepted version 0 in term 0"
            )
        );
        let listed = FormationFacts {
            initial_master_nodes: vec!["a".to_owned(), "b".to_owned()],
            errors: BTreeMap::from([("b:9300".to_owned(), "connection refused".to_owned())]),
            ..facts()
        };
        let text = explain(&listed);
        assert!(
            text.contains(
                "and this node must discover master-eligible nodes [a, b] to bootstrap a cluster, \
                 missing [b]: have discovered [{a}"
            ),
            "{text}"
        );
        assert_eq!(
            summarize(&listed),
            "master not discovered yet, this node has not previously joined a bootstrapped cluster, and \
             this node must discover master-eligible nodes [a, b] to bootstrap a cluster, missing [b]"
        );
        assert!(
            text.ends_with("; last error per address: [b:9300]: connection refused"),
            "{text}"
        );
    }

    #[test]
    fn lost_quorum() {
        let ids = |bits: &[u128]| bits.iter().map(|b| NodeId::from_bits(*b)).collect();
        let lost = FormationFacts {
            configs: vec![ids(&[1, 2, 3])],
            last_known_nodes: vec![peer("c", 3)],
            names: BTreeMap::from([(NodeId::from_bits(2), "b".to_owned())]),
            term: 4,
            last_accepted: Some((3, 17)),
            ..facts()
        };
        let text = explain(&lost);
        let [one, two, three] = [1, 2, 3].map(NodeId::from_bits);
        assert!(
            text.starts_with(&format!(
                "master not discovered or elected yet, an election requires at least 2 nodes with \
                 ids from [{{a}}{{{one}}}, {{b}}{{{two}}}, {{c}}{{{three}}}], have only discovered \
                 non-quorum [{{a}}{{{one}}}{{e}}{{a:9300}}], missing [b, c]; discovery will continue"
            )),
            "{text}"
        );
        assert_eq!(
            summarize(&lost),
            "master not discovered or elected yet, have only discovered non-quorum, missing [b, c]"
        );
        let nameless = FormationFacts {
            last_known_nodes: Vec::new(),
            ..lost.clone()
        };
        assert!(explain(&nameless).contains(&format!("{{b}}{{{two}}}, {three}]")));
        assert!(summarize(&nameless).ends_with(&format!("missing [b, {three}]")));
        assert!(
            text.ends_with("node term 4, last-accepted version 17 in term 3"),
            "{text}"
        );
        let found = FormationFacts {
            discovered: vec![peer("b", 2)],
            ..lost
        };
        let text = explain(&found);
        assert!(text.contains("have discovered possible quorum"), "{text}");
        assert!(text.contains(", missing [c];"), "{text}");
        for (voters, expected) in [
            (vec![2u128], "a node with id ["),
            (vec![1, 2], "two nodes with ids ["),
            (vec![1, 2, 3, 4, 5], "at least 3 nodes with ids from ["),
        ] {
            let facts = FormationFacts {
                configs: vec![ids(&voters)],
                ..facts()
            };
            assert!(explain(&facts).contains(expected), "{expected}");
        }
    }

    #[test]
    fn not_eligible() {
        let mut facts = facts();
        facts.local.master_eligible = false;
        assert!(explain(&facts).starts_with("master not discovered yet: have discovered ["));
    }
}
