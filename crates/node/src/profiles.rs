//! Transport profiles: where each listens, and with which TLS. Source: Elasticsearch reference, "Networking"
//! (transport profiles).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ringwall_base::SharedIpFilter;
use ringwall_settings::registry::network;
use ringwall_settings::registry::profiles::{DEFAULT_PROFILE, key_in_profile, ssl_prefix};
use ringwall_settings::{Setting, SettingValue, Settings};
use ringwall_tls::{SslConfig, SslContext};
use ringwall_transport::ProfileConfig;

use crate::network::Interfaces;
use crate::node::{StartError, load_tls};

/// Where a profile other than the default one listens.
pub struct ProfileNetwork {
    pub name: String,
    pub bind: Vec<IpAddr>,
    pub publish: Option<String>,
}

impl ProfileNetwork {
    /// Resolves what the settings name. Blocks: resolves names.
    pub fn resolve(settings: &Settings, interfaces: &Interfaces) -> Result<Vec<Self>, StartError> {
        let names = settings.profiles().into_iter();
        names
            .filter(|name| name != DEFAULT_PROFILE)
            .map(|name| {
                let hosts = |setting| hosts(settings, Some(&name), setting);
                Ok(Self {
                    bind: interfaces.addresses(&hosts(&network::TRANSPORT_BIND_HOST))?,
                    publish: interfaces.publish_host(&hosts(&network::TRANSPORT_PUBLISH_HOST))?,
                    name,
                })
            })
            .collect()
    }

    /// Returns what the transport listens with. The profile has a port: the settings were checked.
    pub fn config(
        self,
        settings: &Settings,
        filter: SharedIpFilter,
        tls: Option<Arc<SslContext>>,
    ) -> ProfileConfig {
        let ports = of_profile(settings, &self.name, &network::TRANSPORT_PORT);
        let publish_port = settings
            .in_profile(&self.name, &network::TRANSPORT_PUBLISH_PORT)
            .and_then(|port| port.0);
        ProfileConfig {
            bind: self.bind,
            ports: ports.first..=ports.last,
            publish_host: self.publish,
            publish_port,
            filter,
            tls,
            name: self.name,
        }
    }
}

/// Returns the value of a profile, else of the transport layer.
pub fn of_profile<T: SettingValue>(settings: &Settings, profile: &str, setting: &Setting<T>) -> T {
    settings
        .in_profile(profile, setting)
        .unwrap_or_else(|| settings.get(setting))
}

/// Returns the hosts of a layer, or of a profile if it has any of its own, after the key that says so.
pub fn hosts(
    settings: &Settings,
    profile: Option<&str>,
    setting: &Setting<Vec<String>>,
) -> (String, Vec<String>) {
    let own = profile.and_then(|profile| {
        let hosts = settings.in_profile(profile, setting)?;
        Some((key_in_profile(profile, setting.key()), hosts))
    });
    own.unwrap_or_else(|| (setting.key().to_owned(), settings.get(setting)))
}

/// Returns the names of the TLS contexts that profiles have of their own, by profile.
pub fn tls_prefixes(settings: &Settings) -> BTreeMap<String, String> {
    let prefixes = settings.profiles().into_iter().map(|name| {
        let prefix = ssl_prefix(&name);
        (name, prefix)
    });
    prefixes
        .filter(|(_, prefix)| !settings.keys_with_prefix(&format!("{prefix}.")).is_empty())
        .collect()
}

/// Loads the TLS contexts that profiles have of their own, by profile.
pub async fn tls(settings: &Settings) -> Result<BTreeMap<String, Arc<SslContext>>, StartError> {
    let mut contexts = BTreeMap::new();
    for (profile, prefix) in tls_prefixes(settings) {
        let config = SslConfig::from_settings(settings, &prefix)?;
        if let Some(context) = load_tls(config, &["h2"]).await? {
            contexts.insert(profile, context);
        }
    }
    Ok(contexts)
}
