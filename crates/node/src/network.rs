//! Which addresses a node binds and publishes. Source: node.md section 7.1.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};

use crate::node::StartError;

/// The addresses of this machine's network interfaces, by name.
pub struct Interfaces(Vec<(String, IpAddr)>);

impl Interfaces {
    /// Asks the operating system. Without an answer only the special names are unknown.
    pub fn of_this_machine() -> Self {
        let found = if_addrs::get_if_addrs().unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot list the network interfaces");
            Vec::new()
        });
        Self(
            found
                .into_iter()
                .map(|interface| (interface.name.clone(), interface.ip()))
                .collect(),
        )
    }

    /// Returns the addresses that the values of a setting, given after its key, mean, each once.
    ///
    /// # Errors
    /// A name that does not resolve, or a special value that no interface has an address for.
    pub fn addresses(
        &self,
        (setting, values): &(String, Vec<String>),
    ) -> Result<Vec<IpAddr>, StartError> {
        let mut found = Vec::new();
        for value in values {
            for address in self.meaning(setting, value)? {
                if !found.contains(&address) {
                    found.push(address);
                }
            }
        }
        Ok(found)
    }

    /// Returns the host that others are told to dial: of names and addresses the first, else of what special
    /// values mean the one that most can reach; `None` for loopback and wildcards, which leave it to what is
    /// bound.
    ///
    /// # Errors
    /// A special value that no interface has an address for.
    pub fn publish_host(
        &self,
        (setting, hosts): &(String, Vec<String>),
    ) -> Result<Option<String>, StartError> {
        let is_wildcard = |host: &str| ip(host).is_some_and(|ip| ip.is_unspecified());
        let named = hosts
            .iter()
            .find(|host| special(host).is_none() && !is_wildcard(host));
        if let Some(host) = named {
            return Ok(Some(host.clone()));
        }
        let mut candidates = Vec::new();
        for host in hosts.iter().filter(|host| special(host).is_some()) {
            candidates.extend(self.meaning(setting, host)?);
        }
        candidates.retain(|address| !address.is_loopback());
        let best = candidates
            .into_iter()
            .min_by_key(|address| (reach(*address), address.is_ipv6()));
        Ok(best.map(|address| address.to_string()))
    }

    fn meaning(&self, setting: &str, value: &str) -> Result<Vec<IpAddr>, StartError> {
        let failed = |reason: String| StartError::Address {
            setting: setting.to_owned(),
            value: value.to_owned(),
            reason,
        };
        let Some((name, family)) = special(value) else {
            let host = value.trim_matches(['[', ']']);
            let resolved = (host, 0)
                .to_socket_addrs()
                .map_err(|error| failed(error.to_string()))?;
            return Ok(resolved.map(|address| address.ip()).collect());
        };
        let fits = |address: &IpAddr| match family {
            Family::Any => true,
            Family::V4 => address.is_ipv4(),
            Family::V6 => address.is_ipv6(),
        };
        if name == "local" {
            return Ok(match family {
                Family::V6 => vec![IpAddr::V6(Ipv6Addr::LOCALHOST)],
                Family::Any | Family::V4 => vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
            });
        }
        let described = match name {
            "site" => "site-local (private) addresses".to_owned(),
            "global" => "global-scope (public) addresses".to_owned(),
            interface => format!("addresses of an interface named [{interface}]"),
        };
        let wanted = |interface: &str, address: IpAddr| match name {
            "site" => reach(address) == Reach::Site,
            "global" => reach(address) == Reach::Global,
            name => interface == name,
        };
        let found: Vec<IpAddr> = self
            .0
            .iter()
            .filter(|(name, address)| wanted(name, *address) && fits(address))
            .map(|(_, address)| *address)
            .collect();
        if found.is_empty() {
            let all: Vec<String> = self
                .0
                .iter()
                .map(|(name, ip)| format!("{name} ({ip})"))
                .collect();
            return Err(failed(format!(
                "No up-and-running {described} found, got [{}]",
                all.join(", ")
            )));
        }
        Ok(found)
    }
}

/// Which addresses of a special value are meant.
#[derive(Clone, Copy)]
enum Family {
    Any,
    V4,
    V6,
}

/// Returns the name between the underscores of `_name_`, `_name:ipv4_` or `_name:ipv6_`.
fn special(value: &str) -> Option<(&str, Family)> {
    let name = value.strip_prefix('_')?.strip_suffix('_')?;
    Some(match name.rsplit_once(':') {
        Some((name, "ipv4")) => (name, Family::V4),
        Some((name, "ipv6")) => (name, Family::V6),
        // Names of virtual interfaces have colons too: eth0:1.
        _ => (name, Family::Any),
    })
}

/// From how far an address can be reached, farthest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Global,
    Site,
    Link,
    Loopback,
}

fn reach(address: IpAddr) -> Reach {
    match address {
        address if address.is_loopback() || address.is_unspecified() => Reach::Loopback,
        IpAddr::V4(v4) if v4.is_link_local() => Reach::Link,
        IpAddr::V4(v4) if v4.is_private() => Reach::Site,
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Reach::Link,
        IpAddr::V6(v6) if v6.is_unique_local() => Reach::Site,
        _ => Reach::Global,
    }
}

/// Returns the addresses of a host; one that does not resolve here may be reachable from anywhere.
pub fn resolved(host: &str) -> Vec<IpAddr> {
    let found = (host.trim_matches(['[', ']']), 0).to_socket_addrs();
    match found {
        Ok(found) => found.map(|address| address.ip()).collect(),
        Err(_) => vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED)],
    }
}

/// Returns the address that a text is.
pub fn ip(host: &str) -> Option<IpAddr> {
    host.trim_matches(['[', ']']).parse().ok()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ringwall_settings::Settings;
    use ringwall_settings::registry::network::TRANSPORT_PUBLISH_HOST;

    use super::*;
    use crate::profiles;

    fn interfaces() -> Interfaces {
        let all = [
            ("lo", "127.0.0.1"),
            ("lo", "::1"),
            ("eth0", "10.1.2.3"),
            ("eth0", "fd00::3"),
            ("eth1", "203.0.113.9"),
            ("eth1", "fe80::9"),
        ];
        Interfaces(
            all.map(|(name, ip)| (name.to_owned(), ip.parse().unwrap()))
                .to_vec(),
        )
    }

    fn with(value: &str) -> (String, Vec<String>) {
        let given = [("network.host", value)];
        let settings = Settings::from_overrides(Path::new("/"), &given, None).unwrap();
        profiles::hosts(&settings, None, &TRANSPORT_PUBLISH_HOST)
    }

    #[test]
    fn special_values_mean_the_addresses_of_interfaces() {
        for (value, expected) in [
            ("_local_", "127.0.0.1"),
            ("_local:ipv6_", "::1"),
            ("_site_", "10.1.2.3 fd00::3"),
            ("_site:ipv4_", "10.1.2.3"),
            ("_global_", "203.0.113.9"),
            ("_eth0:ipv6_", "fd00::3"),
            ("_lo_, _eth1_", "127.0.0.1 ::1 203.0.113.9 fe80::9"),
            ("192.0.2.5, [::1], 192.0.2.5", "192.0.2.5 ::1"),
        ] {
            let found = interfaces().addresses(&with(value)).unwrap();
            let found: Vec<String> = found.iter().map(IpAddr::to_string).collect();
            assert_eq!(found.join(" "), expected, "{value}");
        }
        for (value, reason) in [
            (
                "_eth7_",
                "No up-and-running addresses of an interface named [eth7] found, got [lo (127.0.0.1), ",
            ),
            (
                "_global:ipv6_",
                "No up-and-running global-scope (public) addresses found",
            ),
        ] {
            let error = interfaces().addresses(&with(value)).unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
        }
    }

    #[test]
    fn the_address_that_most_can_reach_is_published() {
        for (value, expected) in [
            ("_local_", None),
            ("0.0.0.0", None),
            ("_site_", Some("10.1.2.3")),
            ("_site_, _global_", Some("203.0.113.9")),
            ("_local_, _eth0_", Some("10.1.2.3")),
            ("es01.example", Some("es01.example")),
            ("0.0.0.0, es01.example", Some("es01.example")),
        ] {
            let host = interfaces().publish_host(&with(value)).unwrap();
            assert_eq!(host.as_deref(), expected, "{value}");
        }
    }
}
