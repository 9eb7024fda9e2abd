//! Dials peers as this node would.

use std::net::SocketAddr;
use std::time::Duration;

use ringwall_base::NodeId;
use ringwall_node::preflight::{self, ConnectError, NodeIdentity, Seen};
use ringwall_settings::Settings;
use ringwall_settings::registry::ssl;
use ringwall_tls::{Speaks, SslContext, speaks};

use super::contexts::{Contexts, Layer};
use super::finding::{Finding, Report};
use super::http_peer;
use super::verdict::{self, Own};

/// Which layer of a peer is dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum PeerLayer {
    Transport,
    Http,
}

impl PeerLayer {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Transport => "transport",
            Self::Http => "http",
        }
    }

    /// Returns the settings prefix of this node's context for it.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Transport => "xpack.security.transport.ssl",
            Self::Http => "xpack.security.http.ssl",
        }
    }
}

/// An address to dial.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    /// `host:port`.
    pub(super) address: String,
    pub(super) layer: PeerLayer,
    /// It comes from the settings: it may well not run yet.
    pub(super) is_seed: bool,
}

/// What dialling one address of a peer brought.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) host: String,
    /// Absent when the name does not resolve.
    pub(super) address: Option<SocketAddr>,
    pub(super) seen: Seen,
    pub(super) result: Result<Answer, ConnectError>,
    /// What is spoken there, where that explains the failure.
    pub(super) speaks: Option<Speaks>,
}

/// Who answered.
#[derive(Debug)]
pub(super) enum Answer {
    Node(Box<NodeIdentity>),
    /// The status line.
    Http(String),
}

/// What this node dials with.
pub(super) struct Dialler<'a> {
    pub(super) settings: &'a Settings,
    pub(super) contexts: &'a Contexts,
    /// The id of this node, if it has one yet.
    pub(super) own_id: Option<NodeId>,
    /// What each step of a dial may take.
    pub(super) within: Duration,
}

impl Dialler<'_> {
    /// Dials all at once, and notes what came of it in their order.
    pub(super) async fn dial_all(&self, peers: &[Peer], report: &mut Report) {
        let dialled = peers.iter().map(|peer| self.outcomes(peer));
        let dialled = futures::future::join_all(dialled).await;
        let mut clusters: Vec<(String, String)> = Vec::new();
        for (peer, outcomes) in peers.iter().zip(dialled) {
            let Some(outcomes) = outcomes else {
                let message = format!(
                    "[{}] was not dialled: the TLS of this node cannot be used",
                    peer.address
                );
                report.add(Finding::warning("peer", message).setting(peer.layer.prefix()));
                continue;
            };
            let any_good = outcomes.iter().any(|outcome| outcome.result.is_ok());
            let own = self.own(peer.layer);
            for outcome in &outcomes {
                let found = verdict::judge(peer, outcome, any_good, &own);
                let json = verdict::to_json(peer, outcome, &found, own.tls);
                report.peers.push(json);
                found.into_iter().for_each(|finding| report.add(finding));
                if let Ok(Answer::Node(node)) = &outcome.result
                    && let Some(uuid) = &node.cluster_uuid
                    && !clusters.iter().any(|(known, _)| known == uuid)
                {
                    clusters.push((uuid.clone(), peer.address.clone()));
                }
            }
        }
        if clusters.len() > 1 {
            let list: Vec<String> = clusters
                .iter()
                .map(|(uuid, address)| format!("[{address}] is of the cluster [{uuid}]"))
                .collect();
            let message = format!(
                "the peers belong to different clusters of one name: {}",
                list.join(", ")
            );
            let action = "a node joins one cluster only: name seed hosts of that one; a cluster that was formed by \
                          mistake must give up its data path";
            report.add(Finding::error("cluster", message).action(action));
        }
    }

    fn own(&self, layer: PeerLayer) -> Own<'_> {
        let other = match layer {
            PeerLayer::Transport => PeerLayer::Http,
            PeerLayer::Http => PeerLayer::Transport,
        };
        let dual_stack = self.settings.get(&ssl::DUAL_STACK_ENABLED);
        Own {
            dual_stack: dual_stack && layer == PeerLayer::Transport,
            id: self.own_id,
            name: preflight::name(self.settings),
            tls: self.tls(layer),
            other_tls: self.tls(other),
        }
    }

    fn tls(&self, layer: PeerLayer) -> Option<&SslContext> {
        match self.layer(layer) {
            Layer::Tls(context) => Some(context),
            Layer::Plain | Layer::Broken => None,
        }
    }

    fn layer(&self, layer: PeerLayer) -> &Layer {
        match layer {
            PeerLayer::Transport => &self.contexts.transport,
            PeerLayer::Http => &self.contexts.http,
        }
    }

    /// Returns one outcome for each address of the peer; `None` when there is nothing to dial with.
    async fn outcomes(&self, peer: &Peer) -> Option<Vec<Outcome>> {
        let mut outcomes = match (self.layer(peer.layer), peer.layer) {
            (Layer::Broken, _) => return None,
            (_, PeerLayer::Transport) => self.dial_transport(peer).await,
            (_, PeerLayer::Http) => self.dial_http(peer).await,
        };
        for outcome in &mut outcomes {
            let (Some(address), Err(error)) = (outcome.address, &outcome.result) else {
                continue;
            };
            if verdict::may_be_the_protocol(error, &outcome.seen) {
                outcome.speaks = Some(speaks(address, self.within).await);
            }
        }
        Some(outcomes)
    }

    async fn dial_transport(&self, peer: &Peer) -> Vec<Outcome> {
        let tls = match &self.contexts.transport {
            Layer::Tls(context) => Some(context.clone()),
            _ => None,
        };
        match preflight::dial(self.settings, tls, &peer.address, self.within).await {
            Err(error) => vec![unresolved(peer, error)],
            Ok(examined) => examined
                .into_iter()
                .map(|found| Outcome {
                    host: found.host,
                    address: Some(found.address),
                    seen: found.seen,
                    result: found.result.map(|node| Answer::Node(Box::new(node))),
                    speaks: None,
                })
                .collect(),
        }
    }

    async fn dial_http(&self, peer: &Peer) -> Vec<Outcome> {
        let lookup = tokio::net::lookup_host(peer.address.as_str());
        let failed = |reason: String| ConnectError::Resolve {
            address: peer.address.clone(),
            reason,
        };
        let found: Vec<SocketAddr> = match tokio::time::timeout(self.within, lookup).await {
            Ok(Ok(found)) => found.take(MAX_ADDRESSES).collect(),
            Ok(Err(error)) => return vec![unresolved(peer, failed(error.to_string()))],
            Err(_) => return vec![unresolved(peer, failed("no answer in time".to_owned()))],
        };
        let host = peer.address.rsplit_once(':').map_or("", |(host, _)| host);
        let host = host.trim_matches(['[', ']']).to_owned();
        let dials = found.into_iter().map(async |address| {
            let tls = self.tls(PeerLayer::Http);
            let (seen, result) = http_peer::dial(tls, &host, address, self.within).await;
            Outcome {
                host: host.clone(),
                address: Some(address),
                seen,
                result: result.map(Answer::Http),
                speaks: None,
            }
        });
        futures::future::join_all(dials).await
    }
}

fn unresolved(peer: &Peer, error: ConnectError) -> Outcome {
    Outcome {
        host: peer.address.clone(),
        address: None,
        seen: Seen::default(),
        result: Err(error),
        speaks: None,
    }
}

const MAX_ADDRESSES: usize = 8;
