//! What follows the cluster settings while the node runs.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ringwall_base::breaker::Breakers;
use ringwall_base::{IpFilter, IpRule, ReverseNames, SharedIpFilter, TransportTls};
use ringwall_cluster::ClusterSettings;
use ringwall_coordination::Coordination;
use ringwall_security::audit::HTTP_PROFILE;
use ringwall_security::{AuditTrail, Authorizer};
use ringwall_settings::registry::cluster::{AUTO_SHRINK_VOTING_CONFIGURATION, MEMBERSHIP_APPROVAL};
use ringwall_settings::registry::indices::DESTRUCTIVE_REQUIRES_NAME;
use ringwall_settings::registry::profiles::{DEFAULT_PROFILE, key_in_profile};
use ringwall_settings::registry::{security, ssl};
use ringwall_settings::{Setting, SettingSpec, Settings};
use ringwall_transport::Transport;

use crate::audit::Audit;
use crate::breakers::limits;
use crate::live_settings::LiveSettings;
use crate::node::Network;
use crate::reverse_names::SystemNames;

/// Who may connect to the two layers.
pub struct Filters {
    /// Those of transport, by profile, with the addresses bound.
    transport: BTreeMap<String, (Vec<IpAddr>, SharedIpFilter)>,
    http: (Vec<IpAddr>, SharedIpFilter),
}

impl Filters {
    /// Returns the filters of a node that binds these addresses.
    pub fn new(settings: &Settings, network: &Network) -> Self {
        let names: Arc<dyn ReverseNames> = Arc::new(SystemNames::default());
        let filter = |bound: &[IpAddr]| {
            let filter = SharedIpFilter::with_names(Arc::clone(&names));
            (bound.to_vec(), filter)
        };
        let profiles = network.profiles.iter();
        let mut transport: BTreeMap<_, _> = profiles
            .map(|profile| (profile.name.clone(), filter(&profile.bind)))
            .collect();
        transport.insert(DEFAULT_PROFILE.to_owned(), filter(&network.transport));
        let filters = Self {
            transport,
            http: filter(&network.http),
        };
        filters.apply(settings);
        filters.warn_of_open_profiles(settings);
        filters
    }

    /// Returns the filter of a transport profile.
    pub fn transport(&self, profile: &str) -> SharedIpFilter {
        let found = self.transport.get(profile);
        found.map(|(_, filter)| filter.clone()).unwrap_or_default()
    }

    /// Returns the filter of the HTTP layer.
    pub fn http(&self) -> SharedIpFilter {
        self.http.1.clone()
    }

    /// Has the audit trail told of every decision.
    pub fn watch(&self, trail: &Arc<AuditTrail>) {
        for (profile, (_, filter)) in &self.transport {
            filter.watch(profile, Arc::clone(trail) as _);
        }
        self.http.1.watch(HTTP_PROFILE, Arc::clone(trail) as _);
    }

    fn apply(&self, settings: &Settings) {
        for (profile, (bound, filter)) in &self.transport {
            filter.set(transport_rules(settings, profile, bound));
        }
        let (bound, filter) = &self.http;
        if !settings.get(&security::HTTP_FILTER_ENABLED) {
            filter.set(IpFilter::default());
            return;
        }
        let deny = &security::HTTP_FILTER_DENY;
        let keys = [deny.key()]
            .into_iter()
            .chain(deny.info().fallbacks.iter().copied());
        let given = keys.into_iter().find(|key| settings.is_set(key));
        filter.set(IpFilter {
            allow: settings.get(&security::HTTP_FILTER_ALLOW),
            deny: settings.get(deny),
            deny_setting: given.unwrap_or(deny.key()).to_owned(),
            own: own_addresses(settings, bound),
        });
    }

    /// As in Elasticsearch, rules of the layer are those of its own listener.
    fn warn_of_open_profiles(&self, settings: &Settings) {
        let rules = |profile: &str| self.transport(profile);
        if rules(DEFAULT_PROFILE).is_open() || !settings.get(&security::TRANSPORT_FILTER_ENABLED) {
            return;
        }
        for profile in self.transport.keys().filter(|name| rules(name).is_open()) {
            tracing::warn!(
                "anybody may connect to the transport profile [{profile}]: rules of [{}] do not count for it, set [{}]",
                security::TRANSPORT_FILTER_DENY.key(),
                key_in_profile(profile, security::TRANSPORT_FILTER_DENY.key())
            );
        }
    }
}

/// Returns the rules of a profile: its own, and for the default one else those of the layer.
fn transport_rules(settings: &Settings, profile: &str, bound: &[IpAddr]) -> IpFilter {
    if !settings.get(&security::TRANSPORT_FILTER_ENABLED) {
        return IpFilter::default();
    }
    let is_default = profile == DEFAULT_PROFILE;
    let list = |setting: &Setting<Vec<IpRule>>| match settings.in_profile(profile, setting) {
        Some(own) => own,
        None if is_default => settings.get(setting),
        None => Vec::new(),
    };
    let deny = security::TRANSPORT_FILTER_DENY.key();
    let own = key_in_profile(profile, deny);
    IpFilter {
        own: own_addresses(settings, bound),
        allow: list(&security::TRANSPORT_FILTER_ALLOW),
        deny: list(&security::TRANSPORT_FILTER_DENY),
        deny_setting: match is_default && !settings.is_set(&own) {
            true => deny.to_owned(),
            false => own,
        },
    }
}

fn own_addresses(settings: &Settings, bound: &[IpAddr]) -> Vec<IpAddr> {
    match settings.get(&security::FILTER_ALWAYS_ALLOW_BOUND_ADDRESS) {
        true => bound.to_vec(),
        false => Vec::new(),
    }
}

/// What takes over a setting when it changes, instead of looking it up each time.
pub struct Following {
    pub settings: Arc<LiveSettings>,
    pub filters: Filters,
    pub breakers: Breakers,
    pub transport: Transport,
    pub authorizer: Arc<Authorizer>,
    pub audit: Option<Arc<Audit>>,
    pub coordination: Arc<Coordination>,
    /// Whether new nodes have to be approved.
    pub approval: Arc<AtomicBool>,
}

/// Returns what is to be called with the cluster settings whenever they change. It does not block.
pub fn follower(following: Following) -> impl Fn(&ClusterSettings) + Send + Sync + 'static {
    let Following {
        settings,
        filters,
        breakers,
        transport,
        authorizer,
        audit,
        coordination,
        approval,
    } = following;
    move |cluster| {
        let current = settings.follow(cluster);
        filters.apply(&current);
        breakers.set_limits(limits(&current));
        authorizer.set_destructive_requires_name(current.get(&DESTRUCTIVE_REQUIRES_NAME));
        if let Some(audit) = &audit {
            audit.follow(&current);
        }
        approval.store(current.get(&MEMBERSHIP_APPROVAL), Ordering::Relaxed);
        coordination.set_auto_shrink(current.get(&AUTO_SHRINK_VOTING_CONFIGURATION));
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
