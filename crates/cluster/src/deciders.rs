//! Which nodes a copy may go to, and stay on, by what operators said: filters, switches, disks.
//! Source: Elasticsearch reference, "Cluster-level shard allocation and routing settings".

use std::collections::BTreeMap;
use std::net::IpAddr;

use ringwall_base::NodeId;
use serde_json::Value;

use crate::ClusterState;
use crate::disks::DiskLevel;
use crate::metadata::IndexMetadata;
use crate::nodes::NodeRecord;
use crate::routing::{RecoverySource, ShardCopy};

/// `cluster.routing.allocation.enable` and its namesake of an index.
pub const ALLOCATION_ENABLE: &str = "cluster.routing.allocation.enable";
pub const INDEX_ALLOCATION_ENABLE: &str = "index.routing.allocation.enable";

/// The values of both.
pub const ENABLE: [&str; 4] = ["all", "primaries", "new_primaries", "none"];

/// The settings of the cluster that are read here and in [`crate::blocks`], from the cluster state and nowhere else. What
/// ends with a dot is followed by the name of an attribute of nodes.
pub fn settings_read() -> impl Iterator<Item = String> {
    let filters = RULES.iter().map(|(_, key)| format!("cluster.{key}"));
    let blocks = crate::blocks::CLUSTER_BLOCKS.iter();
    filters
        .chain(blocks.map(|block| block.key.to_owned()))
        .chain([ALLOCATION_ENABLE.to_owned()])
}

/// Checks the values of a filter.
///
/// # Errors
/// One is meant to be an IP address and is none.
pub fn check_node_attribute(key: &str, value: &str) -> Result<(), String> {
    let name = key.rsplit('.').next().unwrap_or(key);
    if !["_ip", "_host_ip", "_publish_ip"].contains(&name) {
        return Ok(());
    }
    let is_wrong = |item: &&str| !item.contains('*') && item.parse::<IpAddr>().is_err();
    match split(value).into_iter().find(is_wrong) {
        Some(wrong) => Err(format!("invalid IP address [{wrong}] for [{key}]")),
        None => Ok(()),
    }
}

/// How a filter counts, and what its keys begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// The node must have one of the values of each attribute.
    Require,
    /// The node must have one of the values of any attribute.
    Include,
    /// The node must have none of the values.
    Exclude,
}

const RULES: [(Rule, &str); 3] = [
    (Rule::Require, "routing.allocation.require."),
    (Rule::Include, "routing.allocation.include."),
    (Rule::Exclude, "routing.allocation.exclude."),
];

/// What operators allow for one index.
pub(crate) struct Deciders<'a> {
    state: &'a ClusterState,
    enable: Enable,
    /// Of the cluster and of the index: both count.
    filters: Vec<(Rule, Filter<'a>)>,
}

/// Values by attribute.
type Filter<'a> = BTreeMap<&'a str, Vec<&'a str>>;

/// Which copies may be assigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Enable {
    All,
    Primaries,
    NewPrimaries,
    None,
}

impl Enable {
    fn parse(text: &str) -> Self {
        match text.to_ascii_lowercase().as_str() {
            "none" => Self::None,
            "new_primaries" => Self::NewPrimaries,
            "primaries" => Self::Primaries,
            _ => Self::All,
        }
    }

    /// A primary that is on some node's disk is taken up whatever is switched off: not to do so would make documents
    /// unavailable and protect nothing.
    fn allows(self, copy: &ShardCopy) -> bool {
        match (copy.primary, copy.recovery_source) {
            (true, RecoverySource::EmptyStore) => self != Self::None,
            (true, _) => true,
            (false, _) => self == Self::All,
        }
    }
}

impl<'a> Deciders<'a> {
    pub(crate) fn of(state: &'a ClusterState, index: &'a IndexMetadata) -> Self {
        let own = index.settings.value(INDEX_ALLOCATION_ENABLE);
        let cluster = || state.settings.get(ALLOCATION_ENABLE)?.as_str();
        let mut filters: Vec<(Rule, Filter<'a>)> = Vec::new();
        for (rule, key) in RULES {
            let texts = state
                .settings
                .in_force()
                .filter_map(|(name, value)| Some((name.strip_prefix("cluster.")?, value)))
                .filter_map(|(name, value)| Some((name.strip_prefix(key)?, texts(value))));
            // Transient ones come last and win.
            filters.push((rule, texts.collect()));
            let texts = index
                .settings
                .iter()
                .filter_map(|(name, value)| Some((name.strip_prefix("index.")?, value)))
                .filter_map(|(name, value)| Some((name.strip_prefix(key)?, split(value.text()))));
            filters.push((rule, texts.collect()));
        }
        for (_, attributes) in &mut filters {
            attributes.retain(|_, values| !values.is_empty());
        }
        filters.retain(|(_, attributes)| !attributes.is_empty());
        Self {
            state,
            enable: own.or_else(cluster).map_or(Enable::All, Enable::parse),
            filters,
        }
    }

    /// Returns whether an unassigned copy may be assigned at all.
    pub(crate) fn may_assign(&self, copy: &ShardCopy) -> bool {
        self.enable.allows(copy)
    }

    /// Returns whether a copy may go to a node.
    pub(crate) fn may_take(&self, copy: &ShardCopy, node: NodeId) -> bool {
        let is_new = copy.primary && copy.recovery_source == RecoverySource::EmptyStore;
        let has_room = match self.state.disk_level(node) {
            DiskLevel::Enough => true,
            DiskLevel::Low => is_new,
            DiskLevel::High | DiskLevel::Flood => false,
        };
        has_room && self.lets_in(node)
    }

    /// Returns whether a copy that serves may stay where it is.
    pub(crate) fn may_stay(&self, node: NodeId) -> bool {
        self.state.disk_level(node) < DiskLevel::High && self.lets_in(node)
    }

    /// Returns whether a copy that must leave its node may go to another.
    pub(crate) fn may_move_to(&self, node: NodeId) -> bool {
        self.enable == Enable::All
            && self.state.disk_level(node) == DiskLevel::Enough
            && self.lets_in(node)
    }

    /// Returns whether the filters let copies onto a node.
    pub(crate) fn lets_in(&self, node: NodeId) -> bool {
        let Some(node) = self.state.nodes.get(&node) else {
            return false;
        };
        self.filters.iter().all(|(rule, attributes)| {
            let mut matches = attributes
                .iter()
                .map(|(name, values)| values.iter().any(|value| has(node, name, value)));
            match rule {
                Rule::Require => matches.all(|found| found),
                Rule::Include => matches.any(|found| found),
                Rule::Exclude => !matches.any(|found| found),
            }
        })
    }
}

/// Returns whether a node has a value of an attribute; `*` stands for any text.
fn has(node: &NodeRecord, attribute: &str, pattern: &str) -> bool {
    let host = || {
        let address = &node.transport_address;
        let host = address
            .rsplit_once(':')
            .map_or(address.as_str(), |(h, _)| h);
        host.trim_matches(['[', ']'])
    };
    match attribute {
        "_name" => matches(pattern, &node.name),
        "_id" => matches(pattern, &node.id.to_string()),
        "_host" => matches(pattern, host()),
        "_ip" | "_host_ip" | "_publish_ip" => {
            host().parse::<IpAddr>().is_ok() && matches(pattern, host())
        }
        name => node
            .attributes
            .get(name)
            .is_some_and(|value| matches(pattern, value)),
    }
}

/// Linear in the length of the text times the number of stars.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => split(text),
        Value::Array(items) => items
            .iter()
            .filter_map(Value::as_str)
            .flat_map(split)
            .collect(),
        _ => Vec::new(),
    }
}

fn split(text: &str) -> Vec<&str> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, expected) in [
            ("es01", "es01", true),
            ("es01", "es011", false),
            ("es*", "es01", true),
            ("*", "", true),
            ("10.0.*.7", "10.0.3.7", true),
            ("10.0.*.7", "10.0.3.8", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("ab*ba", "aba", false),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
