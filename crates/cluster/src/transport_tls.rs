//! Whether the links between the nodes are encrypted, and since when only some are.

use ringwall_base::TransportTls;

use crate::{ClusterState, NodeRecord};

/// The setting that ends the time of both on all nodes at once.
pub const DUAL_STACK_KEY: &str = "xpack.security.transport.ssl.dual_stack.enabled";

impl ClusterState {
    /// Returns how a node secures its links, with regard to the cluster settings; `None` for a node that does
    /// not tell.
    pub fn transport_tls(&self, node: &NodeRecord) -> Option<TransportTls> {
        let mode = TransportTls::of(&node.attributes)?;
        let ended = self
            .settings
            .get(DUAL_STACK_KEY)
            .is_some_and(|value| value == "false");
        match mode {
            TransportTls::DualStack if ended => Some(TransportTls::Required),
            mode => Some(mode),
        }
    }

    /// Returns whether some links may be encrypted and others not.
    pub fn is_transport_tls_mixed(&self) -> bool {
        let modes = || {
            self.nodes
                .values()
                .filter_map(|node| self.transport_tls(node))
        };
        let any = |wanted| modes().any(|mode| mode == wanted);
        any(TransportTls::DualStack) || (any(TransportTls::Off) && any(TransportTls::Required))
    }

    pub(crate) fn note_transport_tls(&mut self, now_ms: u64) {
        self.transport_tls_mixed_since_ms = match self.is_transport_tls_mixed() {
            true => self.transport_tls_mixed_since_ms.or(Some(now_ms)),
            false => None,
        };
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ringwall_base::NodeId;
    use serde_json::json;

    use super::*;
    use crate::{Change, Command};

    fn step(state: &mut ClusterState, now_ms: u64, change: Change) {
        let command = Command {
            now_ms,
            seed: now_ms.to_string(),
            rules: crate::command::RULES,
            change,
        };
        state.apply(command).result.unwrap();
    }

    fn join(id: u128, mode: TransportTls) -> Change {
        let attributes = [(TransportTls::ATTRIBUTE.to_owned(), mode.as_str().to_owned())];
        Change::NodeJoin {
            key: None,
            known: Default::default(),
            rekeyed: false,
            node: NodeRecord {
                id: NodeId::from_bits(id),
                ephemeral_id: format!("{mode:?}"),
                name: id.to_string(),
                transport_address: String::new(),
                http_address: None,
                version: String::new(),
                roles: Vec::new(),
                attributes: attributes.into(),
            },
        }
    }

    #[test]
    fn the_time_of_both_begins_and_ends() {
        use TransportTls::{DualStack, Off, Required};
        let mut state = ClusterState::default();
        step(&mut state, 1, join(1, Off));
        step(&mut state, 2, join(2, Off));
        assert_eq!(state.transport_tls_mixed_since_ms, None);
        step(&mut state, 3, join(1, DualStack));
        step(&mut state, 4, join(2, DualStack));
        assert_eq!(state.transport_tls_mixed_since_ms, Some(3));
        let end = |base_version, value: Option<&str>| Change::PutClusterSettings {
            base_version,
            persistent: value
                .map(|value| (DUAL_STACK_KEY.to_owned(), json!(value)))
                .into_iter()
                .collect(),
            transient: BTreeMap::new(),
        };
        step(&mut state, 5, end(0, Some("false")));
        assert_eq!(state.transport_tls_mixed_since_ms, None);
        step(&mut state, 6, join(1, Required));
        step(&mut state, 7, end(1, None));
        assert_eq!(
            state.transport_tls_mixed_since_ms,
            Some(7),
            "node 2 is DualStack by its own settings"
        );
        step(&mut state, 8, join(2, Required));
        assert_eq!(state.transport_tls_mixed_since_ms, None);
    }
}
