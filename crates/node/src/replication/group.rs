//! Which copies a write must reach before it may be acknowledged. A pure function of the cluster
//! state. Source: Elasticsearch reference, "Reading and writing documents".

use std::collections::BTreeMap;

use ringwall_base::{AllocationId, NodeId, ShardId, Term};
use ringwall_cluster::{ClusterState, CopyState};

/// The copies of one shard as its primary sees them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReplicationGroup {
    /// Copies that the operation is sent to: the serving ones and those that recover from us.
    pub targets: Vec<Target>,
    /// In-sync copies that cannot take the operation. They must leave the in-sync set, by
    /// consensus, before the operation is acknowledged.
    pub unavailable: Vec<AllocationId>,
    /// Copies the settings ask for, the primary included, assigned or not.
    pub total: u32,
}

/// A copy on another node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub node: NodeId,
    pub allocation_id: AllocationId,
}

/// Returns the group, or `None` when the state does not (or no longer) know the copy as primary
/// of that term.
pub fn replication_group(
    state: &ClusterState,
    shard: &ShardId,
    primary: &AllocationId,
    term: Term,
    tracked: &BTreeMap<AllocationId, NodeId>,
) -> Option<ReplicationGroup> {
    let metadata = state
        .index(&shard.index)?
        .shards
        .get(shard.shard as usize)?;
    let routing = state.shard(shard)?;
    let is_primary = routing
        .primary()
        .is_some_and(|copy| copy.allocation_id.as_ref() == Some(primary));
    if !is_primary || metadata.primary_term != term {
        return None;
    }
    let targets: Vec<Target> = routing
        .copies
        .iter()
        .filter(|copy| !copy.primary)
        .filter_map(|copy| {
            let allocation_id = copy.allocation_id.clone()?;
            let takes_writes =
                copy.state == CopyState::Started || tracked.contains_key(&allocation_id);
            takes_writes.then_some(Target {
                node: copy.node?,
                allocation_id,
            })
        })
        .collect();
    let reached = |id: &AllocationId| {
        id == primary || targets.iter().any(|target| target.allocation_id == *id)
    };
    let unavailable = metadata
        .in_sync
        .keys()
        .filter(|id| !reached(id))
        .cloned()
        .collect();
    Some(ReplicationGroup {
        unavailable,
        targets,
        total: routing.copies.len() as u32,
    })
}

/// Returns whether the state still has that copy on that node.
pub fn holds_copy(state: &ClusterState, shard: &ShardId, target: &Target) -> bool {
    state
        .shard(shard)
        .and_then(|routing| routing.copy(&target.allocation_id))
        .is_some_and(|copy| copy.node == Some(target.node))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringwall_cluster::index_settings::IndexSettings;
    use ringwall_cluster::{Change, Command, NodeRecord};
    use serde_json::{Value, json};

    fn apply(state: &mut ClusterState, change: Change) {
        let command = Command {
            now_ms: 0,
            seed: format!("seed{}", state.version),
            rules: ringwall_cluster::command::RULES,
            change,
        };
        state.apply(command).result.unwrap();
    }

    fn join(state: &mut ClusterState, bits: u128) {
        let node = NodeRecord {
            id: NodeId::from_bits(bits),
            ephemeral_id: "first".into(),
            name: format!("node-{bits}"),
            transport_address: "127.0.0.1:9300".into(),
            http_address: None,
            version: "1".into(),
            roles: vec!["data".into()],
            attributes: BTreeMap::new(),
        };
        apply(
            state,
            Change::NodeJoin {
                node,
                key: None,
                known: Default::default(),
                rekeyed: false,
            },
        );
    }

    /// Two nodes, one shard, its primary started and its replica recovering.
    fn recovering() -> (ClusterState, ShardId) {
        let mut state = ClusterState::default();
        apply(
            &mut state,
            Change::Bootstrap {
                cluster_name: "test".into(),
                cluster_uuid: "uuid".into(),
            },
        );
        join(&mut state, 1);
        join(&mut state, 2);
        apply(
            &mut state,
            Change::CreateIndex {
                name: "logs".into(),
                settings: IndexSettings::parse(&json!({"number_of_replicas": 1})).unwrap(),
                mapping: Value::Null,
                aliases: BTreeMap::new(),
            },
        );
        let shard = ShardId {
            index: state.indices["logs"].id.clone(),
            shard: 0,
        };
        start(&mut state, &shard, true);
        (state, shard)
    }

    fn copy(state: &ClusterState, shard: &ShardId, primary: bool) -> AllocationId {
        let copies = &state.shard(shard).unwrap().copies;
        let copy = copies.iter().find(|copy| copy.primary == primary).unwrap();
        copy.allocation_id.clone().unwrap()
    }

    fn start(state: &mut ClusterState, shard: &ShardId, primary: bool) {
        let change = Change::ShardStarted {
            shard: shard.clone(),
            allocation_id: copy(state, shard, primary),
            primary_term: term(state, shard),
        };
        apply(state, change);
    }

    fn term(state: &ClusterState, shard: &ShardId) -> Term {
        state.index(&shard.index).unwrap().shards[0].primary_term
    }

    #[test]
    fn recovering_copy_takes_writes_once_tracked_and_always_when_started() {
        let (mut state, shard) = recovering();
        let (primary, replica) = (copy(&state, &shard, true), copy(&state, &shard, false));
        let term = term(&state, &shard);
        let group = |state: &ClusterState, tracked: &BTreeMap<AllocationId, NodeId>| {
            replication_group(state, &shard, &primary, term, tracked).unwrap()
        };
        let untracked = BTreeMap::new();
        assert!(group(&state, &untracked).targets.is_empty());
        let node = state.shard(&shard).unwrap().copy(&replica).unwrap().node;
        let tracked = BTreeMap::from([(replica.clone(), node.unwrap())]);
        assert_eq!(group(&state, &tracked).targets.len(), 1);
        start(&mut state, &shard, false);
        let started = group(&state, &untracked);
        assert_eq!(started.targets[0].allocation_id, replica);
        assert!(holds_copy(&state, &shard, &started.targets[0]));
        assert!(started.unavailable.is_empty());
    }

    #[test]
    fn departed_in_sync_copy_must_be_removed_before_a_write_is_acknowledged() {
        let (mut state, shard) = recovering();
        start(&mut state, &shard, false);
        let (primary, replica) = (copy(&state, &shard, true), copy(&state, &shard, false));
        let node = state.shard(&shard).unwrap().copy(&replica).unwrap().node;
        apply(
            &mut state,
            Change::NodeLeave {
                node: node.unwrap(),
                ephemeral_id: None,
                reason: "disconnected".into(),
            },
        );
        let term = term(&state, &shard);
        let group = replication_group(&state, &shard, &primary, term, &BTreeMap::new()).unwrap();
        assert!(group.targets.is_empty());
        assert_eq!(group.unavailable, [replica]);
        assert_eq!(group.total, 2);
    }

    #[test]
    fn former_primary_has_no_group() {
        let (state, shard) = recovering();
        let (primary, replica) = (copy(&state, &shard, true), copy(&state, &shard, false));
        let term = term(&state, &shard);
        let group = |copy, term| replication_group(&state, &shard, copy, term, &BTreeMap::new());
        assert!(group(&primary, term).is_some());
        assert!(group(&primary, term + 1).is_none());
        assert!(group(&replica, term).is_none());
    }
}
