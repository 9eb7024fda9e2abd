//! What a transport is made of.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use ringwall_base::SharedIpFilter;
use ringwall_base::breaker::Breakers;
use ringwall_pki::IdentityKey;
use ringwall_tls::SslContext;

use crate::sockets::Network;

/// How half-open links are noticed: a ping each interval, and death when it is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepAlive {
    pub interval: Duration,
    pub timeout: Duration,
}

/// The settings of a transport. Source: Elasticsearch reference, "Networking".
#[derive(Clone)]
pub struct TransportConfig {
    /// The addresses to listen on; all get the same port.
    pub bind: Vec<IpAddr>,
    /// `transport.port`: the first port free on every address is taken; `0..=0` leaves the choice
    /// to the operating system.
    pub ports: RangeInclusive<u16>,
    /// The host that other nodes are told to dial; by default the first bound address, or for a
    /// wildcard the address of the interface with the default route.
    pub publish_host: Option<String>,
    /// The port that other nodes are told to dial; by default the bound one.
    pub publish_port: Option<u16>,
    /// The key of this node, whose public half is in what it tells others of itself.
    pub key: Option<Arc<IdentityKey>>,
    /// Who may connect at all. Settings `xpack.security.transport.filter.*`.
    pub filter: SharedIpFilter,
    /// `None` only where the settings turn `xpack.security.transport.ssl.enabled` off.
    pub tls: Option<Arc<SslContext>>,
    /// What `bind` accepts with, if not `tls`; this node dials with `tls` all the same.
    pub accept_tls: Option<Arc<SslContext>>,
    /// Further listeners.
    pub profiles: Vec<ProfileConfig>,
    /// Whether to talk without TLS too, to nodes that have it off. The further listeners never do.
    pub dual_stack: bool,
    /// `transport.connect_timeout`: name resolution and TCP connection, each.
    pub connect_timeout: Duration,
    /// How long a request waits for a link that is being made: who asks may know another way. The link is waited
    /// for on, for those who ask later.
    pub connect_wait: Duration,
    /// After how long without a result a dial is begun anew beside the one under way, as a lost packet may hold
    /// that up for much longer.
    pub redial_interval: Duration,
    /// TLS and the node handshake, each, on both sides.
    pub handshake_timeout: Duration,
    pub keep_alive: KeepAlive,
    /// Peers that finished TLS.
    pub max_connections: usize,
    /// Peers that are still in TLS.
    pub max_handshakes: usize,
    /// Requests running at once on one inbound connection.
    pub max_concurrent_requests: u32,
    /// Requests waiting at once for a turn on one outbound link; more are rejected.
    pub max_queued_requests: usize,
    /// How long a request of a node that this one does not know as a member waits for word that it is one.
    pub member_wait: Duration,
    /// The largest request or response body.
    pub max_message_bytes: usize,
    /// Where inbound request bodies being received or handled are charged; what does not fit is rejected,
    /// except for `internal:cluster/` actions.
    pub breakers: Breakers,
    /// How long a link whose peer is no longer trusted may finish what runs; it takes nothing new.
    pub distrust_grace: Duration,
    /// How often a line about the same refused peer is repeated.
    pub refusal_interval: Duration,
    /// How long [`shutdown`](crate::Transport::shutdown) lets running requests finish.
    pub shutdown_grace: Duration,
    /// A network in place of the operating system's, in tests; there is no TLS then.
    pub network: Option<Arc<dyn Network>>,
}

/// A listener of its own. Source: Elasticsearch reference, "Networking" (transport profiles).
#[derive(Clone)]
pub struct ProfileConfig {
    /// `<name>` in `transport.profiles.<name>.*`.
    pub name: String,
    /// As those of [`TransportConfig`].
    pub bind: Vec<IpAddr>,
    pub ports: RangeInclusive<u16>,
    pub publish_host: Option<String>,
    pub publish_port: Option<u16>,
    pub filter: SharedIpFilter,
    /// `None` only where transport has no TLS at all.
    pub tls: Option<Arc<SslContext>>,
}

impl TransportConfig {
    /// Returns all listeners, first the one that other nodes dial.
    pub(crate) fn listeners(&self) -> Vec<ProfileConfig> {
        let default = ProfileConfig {
            name: DEFAULT_PROFILE.to_owned(),
            bind: self.bind.clone(),
            ports: self.ports.clone(),
            publish_host: self.publish_host.clone(),
            publish_port: self.publish_port,
            filter: self.filter.clone(),
            tls: self.accept_tls.clone().or_else(|| self.tls.clone()),
        };
        let mut listeners = vec![default];
        listeners.extend(self.profiles.iter().cloned());
        listeners
    }

    /// Returns the contexts that links are made with, each once.
    pub(crate) fn contexts(&self) -> Vec<Arc<SslContext>> {
        let accepting = self.listeners().into_iter().map(|listener| listener.tls);
        let mut contexts: Vec<Arc<SslContext>> = Vec::new();
        for context in std::iter::once(self.tls.clone()).chain(accepting).flatten() {
            if !contexts.iter().any(|known| Arc::ptr_eq(known, &context)) {
                contexts.push(context);
            }
        }
        contexts
    }
}

/// The profile that `transport.*` is about.
pub(crate) const DEFAULT_PROFILE: &str = "default";

impl Default for TransportConfig {
    fn default() -> Self {
        Self {
            bind: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
            ports: 9300..=9400,
            publish_host: None,
            publish_port: None,
            key: None,
            filter: SharedIpFilter::default(),
            tls: None,
            accept_tls: None,
            profiles: Vec::new(),
            dual_stack: false,
            connect_timeout: Duration::from_secs(30),
            connect_wait: Duration::from_secs(2),
            redial_interval: Duration::from_secs(1),
            handshake_timeout: Duration::from_secs(30),
            keep_alive: KeepAlive {
                interval: Duration::from_millis(500),
                timeout: Duration::from_secs(2),
            },
            max_connections: 1024,
            max_handshakes: 128,
            max_concurrent_requests: 512,
            max_queued_requests: 4096,
            member_wait: Duration::from_secs(5),
            max_message_bytes: 512 << 20,
            breakers: Breakers::unlimited(),
            distrust_grace: Duration::from_secs(5),
            refusal_interval: Duration::from_secs(30),
            shutdown_grace: Duration::from_secs(1),
            network: None,
        }
    }
}
