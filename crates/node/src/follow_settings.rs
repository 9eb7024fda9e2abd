//! What follows the cluster settings while the node runs.

use std::net::IpAddr;
use std::sync::Arc;

use ringwall_base::{SharedIpFilter, TransportTls};
use ringwall_cluster::ClusterSettings;
use ringwall_settings::Settings;
use ringwall_settings::registry::{security, ssl};
use ringwall_transport::Transport;

use crate::http;
use crate::live_settings::LiveSettings;

/// Who may connect to the two layers.
#[derive(Clone)]
pub struct Filters {
    transport: (Vec<IpAddr>, SharedIpFilter),
    http: (Vec<IpAddr>, SharedIpFilter),
}

impl Filters {
    /// Returns the filters of a node that binds these addresses.
    pub fn new(settings: &Settings, transport: &[IpAddr], http: &[IpAddr]) -> Self {
        let filters = Self {
            transport: (transport.to_vec(), SharedIpFilter::default()),
            http: (http.to_vec(), SharedIpFilter::default()),
        };
        filters.apply(settings);
        filters
    }

    /// Returns the filter of the transport layer.
    pub fn transport(&self) -> SharedIpFilter {
        self.transport.1.clone()
    }

    /// Returns the filter of the HTTP layer.
    pub fn http(&self) -> SharedIpFilter {
        self.http.1.clone()
    }

    fn apply(&self, settings: &Settings) {
        let (bound, filter) = &self.transport;
        filter.set(http::ip_filter(
            settings,
            bound,
            &security::TRANSPORT_FILTER_ENABLED,
            (
                &security::TRANSPORT_FILTER_ALLOW,
                &security::TRANSPORT_FILTER_DENY,
            ),
        ));
        let (bound, filter) = &self.http;
        filter.set(http::ip_filter(
            settings,
            bound,
            &security::HTTP_FILTER_ENABLED,
            (&security::HTTP_FILTER_ALLOW, &security::HTTP_FILTER_DENY),
        ));
    }
}

/// Returns what is to be called with the cluster settings whenever they change. It does not block.
pub fn follower(
    settings: Arc<LiveSettings>,
    filters: Filters,
    transport: Transport,
) -> impl Fn(&ClusterSettings) + Send + Sync + 'static {
    move |cluster| {
        let current = settings.follow(cluster);
        filters.apply(&current);
        if !current.get(&ssl::DUAL_STACK_ENABLED)
            && let Some(closed) = transport.end_dual_stack()
        {
            transport.update_local(|local| set_mode(&mut local.attributes, TransportTls::Required));
            tracing::info!(
                closed_links = closed,
                "TLS is required between nodes from now on; take [{}] out of elasticsearch.yml",
                ssl::DUAL_STACK_ENABLED.key()
            );
        }
    }
}

/// Returns how this node secures its links.
pub fn transport_tls(settings: &Settings, has_tls: bool) -> TransportTls {
    match (has_tls, settings.get(&ssl::DUAL_STACK_ENABLED)) {
        (false, _) => TransportTls::Off,
        (true, true) => TransportTls::DualStack,
        (true, false) => TransportTls::Required,
    }
}

/// Tells other nodes how this one secures its links.
pub fn set_mode(attributes: &mut std::collections::BTreeMap<String, String>, mode: TransportTls) {
    attributes.insert(TransportTls::ATTRIBUTE.to_owned(), mode.as_str().to_owned());
}
