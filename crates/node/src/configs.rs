//! Settings to what the transport and coordination are made of.

use std::sync::Arc;

use ringwall_base::TimeValue;
use ringwall_coordination::Config;
use ringwall_settings::Settings;
use ringwall_settings::registry::profiles::DEFAULT_PROFILE;
use ringwall_settings::registry::{cluster, network, security};
use ringwall_tls::SslContext;
use ringwall_transport::{KeepAlive, Transport, TransportConfig};

use crate::identity::DataPath;
use crate::node::is_single_node;
use crate::seed_hosts::{self, Seeds};
use crate::{peers, process, profiles};

/// Returns what the transport is made of.
pub(crate) fn transport_config(
    settings: &Settings,
    tls: Option<Arc<SslContext>>,
) -> TransportConfig {
    let ports = profiles::of_profile(settings, DEFAULT_PROFILE, &network::TRANSPORT_PORT);
    let defaults = TransportConfig::default();
    let max_message_bytes = settings.get(&network::TRANSPORT_MAX_MESSAGE_SIZE).bytes() as usize;
    let set = |value: TimeValue, default| value.duration().unwrap_or(default);
    TransportConfig {
        ports: ports.first..=ports.last,
        publish_port: settings
            .in_profile(DEFAULT_PROFILE, &network::TRANSPORT_PUBLISH_PORT)
            .and_then(|port| port.0)
            .or(settings.get(&network::TRANSPORT_PUBLISH_PORT).0),
        tls,
        connect_timeout: set(
            settings.get(&network::TRANSPORT_CONNECT_TIMEOUT),
            defaults.connect_timeout,
        ),
        connect_wait: set(
            settings.get(&network::TRANSPORT_CONNECT_WAIT),
            defaults.connect_wait,
        ),
        redial_interval: set(
            settings.get(&network::TRANSPORT_REDIAL_INTERVAL),
            defaults.redial_interval,
        ),
        handshake_timeout: set(
            settings.get(&network::TRANSPORT_HANDSHAKE_TIMEOUT),
            defaults.handshake_timeout,
        ),
        member_wait: set(
            settings.get(&network::TRANSPORT_MEMBER_WAIT),
            defaults.member_wait,
        ),
        distrust_grace: set(
            settings.get(&network::TRANSPORT_DISTRUST_GRACE),
            defaults.distrust_grace,
        ),
        refusal_interval: set(
            settings.get(&security::REFUSAL_LOG_INTERVAL),
            defaults.refusal_interval,
        ),
        max_connections: process::connections_within(
            network::TRANSPORT_MAX_CONNECTIONS.key(),
            settings.get(&network::TRANSPORT_MAX_CONNECTIONS),
            process::Share::Nodes,
        ),
        max_handshakes: settings.get(&network::TRANSPORT_MAX_HANDSHAKES),
        max_message_bytes,
        keep_alive: KeepAlive {
            interval: set(
                settings.get(&network::TRANSPORT_PING_INTERVAL),
                defaults.keep_alive.interval,
            ),
            timeout: set(
                settings.get(&network::TRANSPORT_PING_TIMEOUT),
                defaults.keep_alive.timeout,
            ),
        },
        ..defaults
    }
}

/// Returns what coordination is made of.
pub(crate) fn coordination_config(
    settings: &Settings,
    transport: &Transport,
    data: &DataPath,
) -> Config {
    let mut config = Config::new(
        peers::peer_info(&transport.local()),
        data.cluster_state_dir(),
        Arc::new(Seeds::new(settings)),
    );
    let mut bound = transport
        .profiles()
        .iter()
        .flat_map(|profile| &profile.addresses);
    let loopback_only = bound.all(|address| address.ip().is_loopback());
    if loopback_only && !seed_hosts::is_configured(settings) {
        config.unconfigured_bootstrap = settings
            .get(&cluster::UNCONFIGURED_BOOTSTRAP_TIMEOUT)
            .duration();
    }
    config.initial_master_nodes = settings.get(&cluster::INITIAL_MASTER_NODES);
    config.single_node = is_single_node(settings);
    let timing = &mut config.timing;
    for (setting, field) in [
        (
            &cluster::FIND_PEERS_INTERVAL,
            &mut timing.find_peers_interval,
        ),
        (
            &cluster::REQUEST_PEERS_TIMEOUT,
            &mut timing.request_peers_timeout,
        ),
        (
            &cluster::FOLLOWER_CHECK_INTERVAL,
            &mut timing.follower_check_interval,
        ),
        (
            &cluster::FOLLOWER_CHECK_TIMEOUT,
            &mut timing.follower_check_timeout,
        ),
        (&cluster::REJOIN_WINDOW, &mut timing.rejoin_window),
        (&cluster::REJOIN_STEADY_TIME, &mut timing.rejoin_steady_time),
        (
            &cluster::CLUSTER_FORMATION_WARNING_TIMEOUT,
            &mut timing.formation_warning_interval,
        ),
    ] {
        if let Some(duration) = settings.get(setting).duration() {
            *field = duration;
        }
    }
    let probe = [
        settings.get(&cluster::PROBE_CONNECT_TIMEOUT).duration(),
        settings.get(&cluster::PROBE_HANDSHAKE_TIMEOUT).duration(),
    ];
    if let [Some(connect), Some(handshake)] = probe {
        timing.probe_timeout = connect + handshake;
    }
    let retries = settings.get(&cluster::FOLLOWER_CHECK_RETRY_COUNT);
    timing.follower_check_retries = u32::try_from(retries).unwrap_or(u32::MAX);
    config
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn limits_of_the_transport_are_those_of_the_settings() {
        let config = |overrides: &[(&str, &str)]| {
            let settings = Settings::from_overrides(Path::new("/"), overrides, None).unwrap();
            transport_config(&settings, None)
        };
        let defaults = config(&[]);
        assert_eq!(defaults.max_message_bytes, 256 << 20);
        assert_eq!(defaults.max_handshakes, 128);
        let set = config(&[
            ("transport.max_message_size", "2047mb"),
            ("transport.max_handshakes", "7"),
            ("transport.max_connections", "9"),
        ]);
        assert_eq!(set.max_message_bytes, 2047 << 20);
        assert_eq!((set.max_handshakes, set.max_connections), (7, 9));
    }
}
