//! What a start with these settings would find, without starting. For tools.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ringwall_base::NodeId;
use ringwall_settings::Settings;
use ringwall_settings::registry::profiles::DEFAULT_PROFILE;
use ringwall_settings::registry::{cluster, network, security};
use ringwall_tls::SslContext;
use ringwall_transport::{TransportConfig, outward_ip};

use crate::bootstrap_checks::{self, Verdict};
use crate::node::{self, Network, StartError};
use crate::profiles;
use crate::seed_hosts::Seeds;

pub use ringwall_transport::{ConnectError, Examined, NodeIdentity, Seen};

/// The addresses that both layers would have.
pub struct Addresses {
    network: Network,
    /// The name or address at which other nodes are told to dial this one.
    pub transport_published: String,
    /// The name or address at which clients are told to reach this node.
    pub http_published: String,
}

impl Addresses {
    /// Resolves what the settings name. Errors: what the start would refuse.
    pub fn of(settings: &Settings) -> Result<Self, StartError> {
        let network = Network::resolve(settings)?;
        Ok(Self {
            transport_published: published(&network.transport_publish, &network.transport),
            http_published: published(&network.http_publish, &network.http),
            network,
        })
    }

    /// Returns the name or address at which peers are told to dial a transport profile.
    pub fn published_of(&self, profile: &str) -> Option<String> {
        if profile == DEFAULT_PROFILE {
            return Some(self.transport_published.clone());
        }
        let mut profiles = self.network.profiles.iter();
        let found = profiles.find(|known| known.name == profile)?;
        Some(published(&found.publish, &found.bind))
    }

    /// Returns where other nodes find this one, as `host:port`; `None` where the system chooses the port.
    pub fn transport_address(&self, settings: &Settings) -> Option<String> {
        let published = settings.get(&network::TRANSPORT_PUBLISH_PORT);
        let port = published.0.unwrap_or(
            profiles::of_profile(settings, DEFAULT_PROFILE, &network::TRANSPORT_PORT).first,
        );
        let host = &self.transport_published;
        let host = match host.contains(':') {
            true => format!("[{host}]"),
            false => host.clone(),
        };
        (port != 0).then(|| format!("{host}:{port}"))
    }

    /// Returns what the transport binds; non-empty.
    pub fn transport(&self) -> &[IpAddr] {
        &self.network.transport
    }

    /// Returns the addresses that this machine does not have, so that nothing can listen there.
    pub fn foreign(&self) -> Vec<IpAddr> {
        let transport = self.network.transport_addresses();
        let all = transport.chain(self.network.http.iter().copied());
        let mut foreign: Vec<IpAddr> = all
            .filter(|ip| {
                let bound = std::net::TcpListener::bind((*ip, 0));
                bound.is_err_and(|error| error.kind() == std::io::ErrorKind::AddrNotAvailable)
            })
            .collect();
        foreign.sort_unstable();
        foreign.dedup();
        foreign
    }

    /// Returns whether the checks refuse the start: other nodes can reach the transport.
    pub fn is_production(&self, settings: &Settings) -> bool {
        let verdict = self.bootstrap_checks(settings, true);
        verdict.is_ok_and(|verdict| verdict.enforced_because.is_some())
    }

    /// Runs the checks that the start runs. Errors: the environment asks for what they cannot do.
    pub fn bootstrap_checks(
        &self,
        settings: &Settings,
        has_transport_tls: bool,
    ) -> Result<Verdict, StartError> {
        let facts = node::facts(settings, &self.network, has_transport_tls)?;
        Ok(bootstrap_checks::check(&facts))
    }
}

fn published(named: &Option<String>, bound: &[IpAddr]) -> String {
    let named = named
        .as_deref()
        .map(|host| host.trim_matches(['[', ']']).to_owned());
    named.unwrap_or_else(|| match bound.first() {
        Some(ip) if !ip.is_unspecified() => ip.to_string(),
        _ => outward_ip().to_string(),
    })
}

/// Returns the prefixes of the TLS contexts that transport profiles have of their own, by profile.
pub fn profile_tls_prefixes(settings: &Settings) -> BTreeMap<String, String> {
    profiles::tls_prefixes(settings)
}

/// Returns whether no other node is to dial this one.
pub fn is_single_node(settings: &Settings) -> bool {
    node::is_single_node(settings)
}

/// Returns the addresses of `discovery.seed_hosts`, as `host:port`; none where it is not set.
pub fn seeds(settings: &Settings) -> Vec<String> {
    match settings.is_set(cluster::DISCOVERY_SEED_HOSTS.key()) {
        true => Seeds::new(settings).named().to_vec(),
        false => Vec::new(),
    }
}

/// Returns the id that a node keeps in its data path, if it has started there before.
pub fn known_id(data: &Path) -> Option<NodeId> {
    let text = std::fs::read_to_string(data.join("_state/node_id")).ok()?;
    text.trim().parse().ok()
}

/// Returns the name that the node would have.
pub fn name(settings: &Settings) -> String {
    node::identity(settings, NodeId::random()).name
}

/// Returns the entry of `cluster.initial_master_nodes` that may mean this node, which none of them names, and its name.
pub fn misspelled_founder(settings: &Settings) -> Option<(String, String)> {
    let node = node::identity(settings, NodeId::random());
    if !node.roles.iter().any(|role| role == "master") {
        return None;
    }
    let required = settings.get(&cluster::INITIAL_MASTER_NODES);
    let entry = ringwall_coordination::nearly_named(&required, &node.name)?;
    Some((entry.clone(), node.name))
}

/// Returns whether this node would use TLS contexts at all.
pub fn uses_tls(settings: &Settings) -> bool {
    settings.get(&security::SECURITY_ENABLED)
}

/// Dials `host:port` as a node with these settings does, except that it says another node id: its own may
/// belong to a node that runs. Errors: the name does not resolve.
pub async fn dial(
    settings: &Settings,
    tls: Option<Arc<SslContext>>,
    address: &str,
    within: Duration,
) -> Result<Vec<Examined>, ConnectError> {
    let config = TransportConfig {
        tls,
        connect_timeout: within,
        handshake_timeout: within,
        ..TransportConfig::default()
    };
    let local = node::identity(settings, NodeId::random());
    ringwall_transport::examine(config, local, address).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(settings: &[(&str, &str)]) -> (Addresses, bool) {
        let settings = Settings::from_overrides(Path::new("/etc/es"), settings, None).unwrap();
        let addresses = Addresses::of(&settings).unwrap();
        let is_production = addresses.is_production(&settings);
        (addresses, is_production)
    }

    #[test]
    fn what_others_dial_comes_from_the_settings() {
        let (found, is_production) = addresses(&[]);
        assert_eq!(found.transport_published, "127.0.0.1");
        assert!(!is_production);
        let (found, is_production) =
            addresses(&[("network.host", "203.0.113.7"), ("http.host", "[::1]")]);
        assert_eq!(found.transport_published, "203.0.113.7");
        assert_eq!(found.http_published, "::1");
        assert!(is_production);
        assert_eq!(found.foreign(), ["203.0.113.7".parse::<IpAddr>().unwrap()]);
        let (found, is_production) = addresses(&[
            ("transport.publish_host", "192.0.2.8"),
            ("http.host", "0.0.0.0"),
        ]);
        assert_eq!(found.transport_published, "192.0.2.8");
        assert!(
            is_production,
            "other nodes are told an address that is not loopback"
        );
        assert_eq!(found.http_published, outward_ip().to_string());
    }

    #[test]
    fn whoever_can_reach_a_profile_can_reach_the_node() {
        let (found, is_production) = addresses(&[
            ("transport.profiles.wan.port", "9500"),
            ("transport.profiles.wan.bind_host", "203.0.113.8"),
            ("transport.profiles.default.bind_host", "127.0.0.2"),
        ]);
        assert!(
            is_production,
            "a profile is bound to an address that is not loopback"
        );
        assert_eq!(found.published_of("wan").as_deref(), Some("203.0.113.8"));
        assert_eq!(found.published_of("default").as_deref(), Some("127.0.0.2"));
        assert_eq!(found.foreign(), ["203.0.113.8".parse::<IpAddr>().unwrap()]);
        let (_, is_production) = addresses(&[
            ("transport.profiles.wan.port", "9500"),
            ("transport.profiles.wan.publish_host", "192.0.2.8"),
        ]);
        assert!(is_production);
        let (_, is_production) = addresses(&[("transport.profiles.wan.port", "9500")]);
        assert!(!is_production);
    }

    #[test]
    fn a_node_that_ignores_others_is_not_in_production() {
        for (kind, expected) in [("single-node", false), ("multi-node", true)] {
            let (_, is_production) =
                addresses(&[("discovery.type", kind), ("network.host", "0.0.0.0")]);
            assert_eq!(is_production, expected, "{kind}");
        }
    }

    #[test]
    fn the_checks_are_those_of_a_start() {
        let (found, _) = addresses(&[("network.host", "192.0.2.7")]);
        let settings = Settings::from_overrides(Path::new("/etc/es"), &[], None).unwrap();
        let failures = |tls| {
            found
                .bootstrap_checks(&settings, tls)
                .unwrap()
                .failures
                .len()
        };
        assert_eq!(failures(false), failures(true) + 1);
    }

    #[test]
    fn the_id_is_known_once_the_node_has_started() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(known_id(dir.path()), None);
        let data = crate::identity::DataPath::open(dir.path()).unwrap();
        assert_eq!(known_id(dir.path()), Some(data.node_id()));
    }
}
