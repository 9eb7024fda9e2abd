//! The text that explains why there is no master. Source: Elasticsearch reference, "Troubleshooting discovery".

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
    /// What discovered nodes said of themselves and of this node.
    pub(crate) remarks: Vec<Remark>,
}

/// What a discovered node said.
#[derive(Debug, Clone)]
pub(crate) struct Remark {
    pub(crate) from: PeerInfo,
    /// Whether it holds cluster state: the cluster was founded.
    pub(crate) initialized: bool,
    /// Why it has no master, itself.
    pub(crate) waits: Option<String>,
    /// Why it does not reach this node.
    pub(crate) cannot_reach: Option<String>,
}

/// Returns the warning.
pub(crate) fn explain(facts: &FormationFacts) -> String {
    let mut text = String::from("master not discovered");
    let _ = match state(facts) {
        State::NotEligible => write!(
            text,
            " yet, {}: have discovered {}",
            eligible_clause(facts),
            discovered(facts)
        ),
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
    for hint in hints(facts, true) {
        let _ = write!(text, "; {hint}");
    }
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
    let mut text = cause(facts);
    for hint in hints(facts, false) {
        let _ = write!(text, "; {hint}");
    }
    text
}

/// Returns the cause as far as this node knows it by itself: what it tells other nodes.
pub(crate) fn own_cause(facts: &FormationFacts) -> String {
    let mut text = cause(facts);
    for hint in founder_hints(facts) {
        let _ = write!(text, "; {hint}");
    }
    text
}

fn cause(facts: &FormationFacts) -> String {
    match state(facts) {
        State::NotEligible => format!("master not discovered yet, {}", eligible_clause(facts)),
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

/// Returns what to do, and what the other nodes said.
fn hints(facts: &FormationFacts, with_addresses: bool) -> Vec<String> {
    let mut hints = founder_hints(facts);
    hints.extend(awaited_founder(facts));
    for remark in &facts.remarks {
        let Some(reason) = &remark.cannot_reach else {
            continue;
        };
        let name = &remark.from.name;
        hints.push(match with_addresses {
            true => format!(
                "[{name}] is reached at [{}], but it does not reach this node at [{}]: {reason}; correct \
                 [transport.publish_host] or [transport.publish_port] of this node, or what stands between the two",
                remark.from.transport_address, facts.local.transport_address
            ),
            false => format!(
                "[{name}] is reached, but it does not reach this node at the address that this node publishes"
            ),
        });
    }
    hints
}

/// Returns what is wrong with `cluster.initial_master_nodes` of this node.
fn founder_hints(facts: &FormationFacts) -> Vec<String> {
    if !matches!(state(facts), State::NeverBootstrapped) {
        return Vec::new();
    }
    let required = &facts.initial_master_nodes;
    if required.is_empty() {
        return vec![
            "to found a new cluster, name its first master-eligible nodes in [cluster.initial_master_nodes] of each \
             of them"
                .to_owned(),
        ];
    }
    let mut hints = Vec::new();
    // While nobody is reached, whom they would found it with is not the question.
    let is_reached = facts.errors.is_empty();
    let is_named = |name: &String| facts.local.matches_requirement(name);
    if is_reached && !required.iter().any(is_named) {
        hints.push(format!(
            "[cluster.initial_master_nodes] is [{}] and does not name this node, [{}], which waits for those it names",
            required.join(", "),
            facts.local.name
        ));
    }
    for name in required {
        hints.extend(near_miss(facts, name));
    }
    hints
}

/// Explains an entry that means no master-eligible node by one that it may mean.
fn near_miss(facts: &FormationFacts, name: &str) -> Option<String> {
    let everyone = || std::iter::once(&facts.local).chain(&facts.discovered);
    if let Some(peer) = everyone().find(|peer| peer.matches_requirement(name)) {
        return (!peer.master_eligible)
            .then(|| format!("[{name}] is there, but [node.roles] there lacks [master]"));
    }
    let is_named = |peer: &PeerInfo| {
        let required = &facts.initial_master_nodes;
        required.iter().any(|name| peer.matches_requirement(name))
    };
    let meant = everyone().find(|peer| is_almost(&peer.name, name) && !is_named(peer))?;
    let which = match meant.id == facts.local.id {
        true => "the name of this node",
        false => "which is there",
    };
    Some(format!(
        "[{name}] may mean [{}], {which}: an entry must be exactly its [node.name]",
        meant.name
    ))
}

/// Returns the entry of `cluster.initial_master_nodes` that may mean a node of this name, which none of them names.
pub fn nearly_named<'a>(required: &'a [String], name: &str) -> Option<&'a String> {
    match required.iter().any(|entry| entry == name) {
        true => None,
        false => required.iter().find(|entry| is_almost(entry, name)),
    }
}

/// Returns whether two names differ in case, separators, leading zeros or a domain that one of them lacks only.
fn is_almost(one: &str, other: &str) -> bool {
    let is_short = |name: &str| !name.contains('.');
    let host = |name: &str| name.split('.').next().map(plain);
    plain(one) == plain(other) || ((is_short(one) || is_short(other)) && host(one) == host(other))
}

fn plain(name: &str) -> String {
    let mut plain = String::new();
    for c in name.chars().filter(|c| c.is_alphanumeric()) {
        let begins_number = !plain.ends_with(|last: char| last.is_ascii_digit());
        if c != '0' || !begins_number {
            plain.extend(c.to_lowercase());
        }
    }
    plain
}

/// Names the node that is to found the cluster, where every founder is there and it is not this node.
fn awaited_founder(facts: &FormationFacts) -> Option<String> {
    if !matches!(state(facts), State::NeverBootstrapped) {
        return None;
    }
    let required = &facts.initial_master_nodes;
    let first = std::iter::once(&facts.local)
        .chain(&facts.discovered)
        .filter(|peer| peer.master_eligible)
        .filter(|peer| required.iter().any(|name| peer.matches_requirement(name)))
        .min_by_key(|peer| (&peer.name, peer.id))?;
    if !absent(facts).is_empty() || first.id == facts.local.id {
        return None;
    }
    let mut remarks = facts.remarks.iter();
    let remark = remarks.find(|remark| remark.from.id == first.id);
    if remark.is_some_and(|remark| remark.initialized) {
        return None;
    }
    let reason = match remark.and_then(|remark| remark.waits.as_ref()) {
        Some(reason) => format!("it says that {reason}"),
        None => "its log tells why".to_owned(),
    };
    Some(format!(
        "[{}], the first of them by name, is to found the cluster and has not: {reason}",
        first.name
    ))
}

fn eligible_clause(facts: &FormationFacts) -> String {
    let names = |peers: &mut dyn Iterator<Item = &PeerInfo>| {
        let names: Vec<&str> = peers.map(|peer| peer.name.as_str()).collect();
        names.join(", ")
    };
    let eligible = names(&mut facts.discovered.iter().filter(|peer| peer.master_eligible));
    if eligible.is_empty() {
        let everyone = &mut std::iter::once(&facts.local).chain(&facts.discovered);
        return format!(
            "none of the nodes discovered is master-eligible: give at least one of [{}] the role [master] in \
             [node.roles], or discover a node that has it",
            names(everyone)
        );
    }
    format!("this node is not master-eligible and waits for one of [{eligible}] to be elected")
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
    format!(
        "this node must discover master-eligible nodes [{}] to bootstrap a cluster{}",
        facts.initial_master_nodes.join(", "),
        missing(absent(facts))
    )
}

/// Returns the entries of `cluster.initial_master_nodes` that no master-eligible node bears.
fn absent(facts: &FormationFacts) -> Vec<String> {
    let everyone: Vec<&PeerInfo> = std::iter::once(&facts.local)
        .chain(&facts.discovered)
        .filter(|peer| peer.master_eligible)
        .collect();
    let required = facts.initial_master_nodes.iter();
    required
        .filter(|name| !everyone.iter().any(|peer| peer.matches_requirement(name)))
        .cloned()
        .collect()
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
            remarks: Vec::new(),
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
                 discovered [{{a}}{{{id}}}{{e}}{{a:9300}}]; to found a new cluster, name its first \
                 master-eligible nodes in [cluster.initial_master_nodes] of each of them; discovery \
                 will continue using [b:9300] from hosts providers and [] from last-known cluster state; node term 0, \
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
        let text = explain(&facts);
        let none = "master not discovered yet, none of the nodes discovered is master-eligible: give at least one of [a] \
                    the role [master] in [node.roles], or discover a node that has it";
        assert!(
            text.starts_with(&format!("{none}: have discovered [")),
            "{text}"
        );
        assert_eq!(summarize(&facts), none);
        facts.discovered = vec![peer("b", 2)];
        assert_eq!(
            summarize(&facts),
            "master not discovered yet, this node is not master-eligible and waits for one of [b] to be elected"
        );
    }

    #[test]
    fn founders_that_are_almost_there() {
        let mut other = peer("es02", 2);
        let facts = |discovered: &PeerInfo, required: &[&str]| FormationFacts {
            local: peer("es01", 1),
            discovered: vec![discovered.clone()],
            initial_master_nodes: required.iter().map(|name| (*name).to_owned()).collect(),
            ..facts()
        };
        for name in ["es-02", "ES02", "es02.example.org", "es2"] {
            let text = summarize(&facts(&other, &["es01", name]));
            let hint = format!(
                "; [{name}] may mean [es02], which is there: an entry must be exactly its [node.name]"
            );
            assert!(text.ends_with(&hint), "{text}");
        }
        for name in ["es03", "es20", "s02"] {
            let text = summarize(&facts(&other, &["es01", name]));
            assert!(text.ends_with(&format!("missing [{name}]")), "{text}");
        }
        let text = summarize(&facts(&other, &["es-01", "es02"]));
        assert!(
            text.contains("[es-01] may mean [es01], the name of this node"),
            "{text}"
        );
        assert!(text.contains("does not name this node, [es01]"), "{text}");
        other.master_eligible = false;
        let text = summarize(&facts(&other, &["es01", "es02"]));
        assert!(
            text.ends_with("; [es02] is there, but [node.roles] there lacks [master]"),
            "{text}"
        );
    }

    #[test]
    fn what_other_nodes_said_is_told() {
        let first = peer("a", 1);
        let facts = FormationFacts {
            local: peer("b", 2),
            discovered: vec![first.clone()],
            initial_master_nodes: vec!["a".to_owned(), "b".to_owned()],
            remarks: vec![Remark {
                from: first,
                initialized: false,
                waits: Some("it is tired".to_owned()),
                cannot_reach: Some("refused".to_owned()),
            }],
            ..facts()
        };
        let text = explain(&facts);
        for part in [
            "[a], the first of them by name, is to found the cluster and has not: it says that it is tired",
            "[a] is reached at [a:9300], but it does not reach this node at [b:9300]: refused; correct",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!summarize(&facts).contains(":9300"));
        assert!(!own_cause(&facts).contains("tired"));
    }
}
