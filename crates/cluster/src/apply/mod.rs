//! One committed command changes the state.

mod indices;
mod nodes;
mod shards;

use ringwall_api::ApiError;

use crate::allocation::{self, Identifiers};
use crate::known;
use crate::security;
use crate::{Change, ClusterState, Command, Outcome};

impl ClusterState {
    /// Applies a committed command. Deterministic: the same state and command give the same
    /// state and outcome on every node.
    ///
    /// A refused command changes nothing, not even the version.
    pub fn apply(&mut self, command: Command) -> Outcome {
        let Command {
            now_ms,
            seed,
            rules,
            change,
        } = command;
        let mut step = Step {
            state: self,
            now_ms,
            rules,
            identifiers: Identifiers::new(seed),
        };
        let result = step.apply(change);
        if result.is_ok() {
            self.note_transport_tls(now_ms);
            self.version += 1;
        }
        Outcome {
            version: self.version,
            result,
        }
    }
}

/// One application: the state with the command's time and randomness.
struct Step<'a> {
    state: &'a mut ClusterState,
    now_ms: u64,
    rules: u32,
    identifiers: Identifiers,
}

impl Step<'_> {
    fn apply(&mut self, change: Change) -> Result<(), ApiError> {
        let ends_waits = matches!(change, Change::Reroute);
        match change {
            Change::Bootstrap {
                cluster_name,
                cluster_uuid,
            } => return self.bootstrap(cluster_name, cluster_uuid),
            Change::NodeJoin {
                node,
                key,
                known,
                rekeyed,
            } => {
                if rekeyed {
                    self.state.known_nodes.remove(&node.id);
                }
                self.join(node, key, known)?;
            }
            Change::ApproveNode { node, name, key } => {
                let known = &mut self.state.known_nodes;
                return known::approve(known, (node, name, key), self.now_ms);
            }
            Change::ForgetNode { node } => return self.forget(node),
            Change::NodeLeave {
                node,
                ephemeral_id,
                reason,
            } => self.leave(node, ephemeral_id.as_deref(), &reason)?,
            Change::CreateIndex {
                name,
                settings,
                mapping,
                aliases,
            } => self.create_index(name, settings, mapping, aliases)?,
            Change::DeleteIndices { indices } => self.delete_indices(&indices)?,
            Change::SetClosed { indices, closed } => self.set_closed(&indices, closed)?,
            Change::Rollover {
                alias,
                source,
                name,
                settings,
                mapping,
                aliases,
            } => {
                let before = self.state.clone();
                let made = self
                    .create_index(name.clone(), settings, mapping, aliases)
                    .and_then(|()| self.roll_over(&alias, &source, &name));
                if let Err(error) = made {
                    *self.state = before;
                    return Err(error);
                }
            }
            Change::PutMapping {
                index,
                base_version,
                mapping,
            } => return self.put_mapping(&index, base_version, mapping),
            Change::PutIndexSettings {
                index,
                base_version,
                base_mapping,
                settings,
            } => self.put_settings(&index, base_version, base_mapping, settings)?,
            Change::PutClusterSettings {
                base_version,
                persistent,
                transient,
            } => self.put_cluster_settings(base_version, persistent, transient)?,
            Change::ShardStarted {
                shard,
                allocation_id,
                primary_term,
            } => self.shard_started(&shard, &allocation_id, primary_term)?,
            Change::ShardFailed {
                shard,
                allocation_id,
                primary_term,
                mark_stale,
                reason,
            } => self.shard_failed(&shard, &allocation_id, primary_term, mark_stale, &reason)?,
            Change::DiskLevel {
                node,
                ephemeral_id,
                level,
            } => self.disk_level(node, &ephemeral_id, level)?,
            Change::UpdateAliases { changes } => self.update_aliases(changes)?,
            Change::Reroute => {}
            Change::RerouteCommands {
                commands,
                retry_failed,
            } => self.reroute(&commands, retry_failed)?,
            Change::Templates(change) => return self.state.templates.apply(change),
            change => return security::apply(self.state, change, self.now_ms),
        }
        self.state.follow_disks();
        allocation::reroute(self.state, self.now_ms, &mut self.identifiers);
        if ends_waits {
            allocation::end_waits(self.state, self.now_ms);
        }
        Ok(())
    }
}
