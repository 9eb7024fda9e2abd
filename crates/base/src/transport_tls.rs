//! How a node secures the links to other nodes, as it tells them and the cluster.

use std::collections::BTreeMap;

/// Whether a node's transport layer uses TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TransportTls {
    /// No TLS.
    Off,
    /// TLS wherever the other side can, and plaintext with those that have it off: the state in between
    /// while TLS is turned on node by node.
    DualStack,
    /// TLS only.
    Required,
}

impl TransportTls {
    /// The node attribute that tells it.
    pub const ATTRIBUTE: &'static str = "transport_tls";

    /// Returns the value of the attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::DualStack => "dual_stack",
            Self::Required => "required",
        }
    }

    /// Returns what a node's attributes tell; `None` if they do not.
    pub fn of(attributes: &BTreeMap<String, String>) -> Option<Self> {
        let value = attributes.get(Self::ATTRIBUTE)?;
        [Self::Off, Self::DualStack, Self::Required]
            .into_iter()
            .find(|mode| mode.as_str() == value)
    }
}
