//! Which copies a read would like to be served by: the parameter `preference`.
//!
//! Source: Elasticsearch reference, "Search shard routing".

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};

use ringwall_api::{ApiError, ApiResult, ErrorCode};
use ringwall_base::glob::{self, Syntax};
use ringwall_base::{NodeId, ShardId};
use ringwall_cluster::{ClusterState, NodeRecord};

/// A parsed `preference`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preference {
    /// The only shards to search.
    shards: Option<BTreeSet<u32>>,
    copies: Copies,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Copies {
    /// This node's copy first, else each in turn.
    #[default]
    Any,
    OnlyLocal,
    /// By id, name, address, or a pattern of one.
    OnlyNodes(Vec<String>),
    PreferNodes(Vec<String>),
    /// The same copy for the same text, as long as the copies stay the same.
    Sticky(String),
}

impl Preference {
    /// Reads the text of the parameter.
    ///
    /// # Errors
    /// 400 for a text that begins with `_` and is none of the known ones, or for shards that are no numbers.
    pub fn parse(text: Option<&str>) -> ApiResult<Self> {
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            return Ok(Self::default());
        };
        let Some(list) = text.strip_prefix("_shards:") else {
            return Ok(Self {
                shards: None,
                copies: Copies::parse(text)?,
            });
        };
        let (list, rest) = list.split_once('|').unwrap_or((list, ""));
        let shards = list.split(',').map(str::trim).map(|number| {
            number.parse().map_err(|_| {
                let reason = format!("For input string: \"{number}\"");
                ApiError::new(ErrorCode::NumberFormat, reason)
            })
        });
        Ok(Self {
            shards: Some(shards.collect::<ApiResult<_>>()?),
            copies: match rest {
                "" => Copies::Any,
                rest => Copies::parse(rest)?,
            },
        })
    }

    /// Returns whether a shard is to be read at all.
    pub fn wants(&self, shard: u32) -> bool {
        self.shards
            .as_ref()
            .is_none_or(|shards| shards.contains(&shard))
    }

    /// Returns the nodes that serve a shard and may be asked, the one to ask first at the front.
    ///
    /// # Errors
    /// 400 when none of the nodes asked for has a copy in service.
    pub fn copies(
        &self,
        state: &ClusterState,
        shard: &ShardId,
        local: NodeId,
    ) -> ApiResult<Vec<NodeId>> {
        let Some(routing) = state.shard(shard) else {
            return Ok(Vec::new());
        };
        let mut nodes: Vec<NodeId> = routing.active().filter_map(|copy| copy.node).collect();
        if nodes.is_empty() {
            return Ok(nodes);
        }
        let named = |patterns: &[String], node: &NodeId| {
            let record = state.nodes.get(node);
            record.is_some_and(|record| patterns.iter().any(|pattern| names(pattern, record)))
        };
        match &self.copies {
            Copies::Any => near_first(&mut nodes, local),
            Copies::OnlyLocal => nodes.retain(|node| *node == local),
            Copies::OnlyNodes(patterns) => {
                nodes.retain(|node| named(patterns, node));
                if nodes.is_empty() {
                    return Err(ApiError::illegal_argument(format!(
                        "no data nodes with criteria [{}] found for shard: [{}][{}]",
                        patterns.join(","),
                        shard.index.name,
                        shard.shard
                    )));
                }
                near_first(&mut nodes, local);
            }
            Copies::PreferNodes(patterns) => {
                near_first(&mut nodes, local);
                // A stable sort: the order among the preferred, and among the others, stays.
                nodes.sort_by_key(|node| !named(patterns, node));
            }
            Copies::Sticky(text) => {
                nodes.sort_unstable();
                let mut hasher = DefaultHasher::new();
                (text, shard.shard).hash(&mut hasher);
                let first = hasher.finish() % nodes.len() as u64;
                nodes.rotate_left(first as usize);
            }
        }
        Ok(nodes)
    }
}

impl Copies {
    fn parse(text: &str) -> ApiResult<Self> {
        let list = |text: &str| text.split(',').map(|part| part.trim().to_owned()).collect();
        if let Some(nodes) = text.strip_prefix("_only_nodes:") {
            return Ok(Self::OnlyNodes(list(nodes)));
        }
        if let Some(nodes) = text.strip_prefix("_prefer_nodes:") {
            return Ok(Self::PreferNodes(list(nodes)));
        }
        match text {
            "_local" => Ok(Self::Any),
            "_only_local" => Ok(Self::OnlyLocal),
            text if text.starts_with('_') => Err(ApiError::illegal_argument(format!(
                "no Preference for [{text}]"
            ))),
            text => Ok(Self::Sticky(text.to_owned())),
        }
    }
}

fn near_first(nodes: &mut [NodeId], local: NodeId) {
    if nodes.is_empty() {
        return;
    }
    match nodes.iter().position(|node| *node == local) {
        Some(position) => nodes.swap(0, position),
        None => {
            let turn = TURN.fetch_add(1, Ordering::Relaxed) % nodes.len();
            nodes.rotate_left(turn);
        }
    }
}

fn names(pattern: &str, node: &NodeRecord) -> bool {
    let host = node
        .transport_address
        .rsplit_once(':')
        .map_or(node.transport_address.as_str(), |(host, _)| host);
    let id = node.id.to_string();
    [id.as_str(), &node.name, host]
        .iter()
        .any(|name| glob::matches(pattern, name, Syntax::Star))
}

static TURN: AtomicUsize = AtomicUsize::new(0);

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Preference {
        Preference::parse(Some(text)).unwrap()
    }

    #[test]
    fn every_form_is_read() {
        assert_eq!(Preference::parse(None).unwrap(), Preference::default());
        assert_eq!(parsed("_local").copies, Copies::Any);
        assert_eq!(parsed("_only_local").copies, Copies::OnlyLocal);
        assert_eq!(
            parsed("_only_nodes:a,b*").copies,
            Copies::OnlyNodes(vec!["a".to_owned(), "b*".to_owned()])
        );
        assert_eq!(parsed("me").copies, Copies::Sticky("me".to_owned()));
        let shards = parsed("_shards:0,2|_only_local");
        assert_eq!(shards.copies, Copies::OnlyLocal);
        assert_eq!(
            [0, 1, 2].map(|shard| shards.wants(shard)),
            [true, false, true]
        );
        for bad in ["_foo", "_shards:x", "_shards:", "_shards:1|_foo"] {
            assert!(Preference::parse(Some(bad)).is_err(), "{bad}");
        }
    }
}
