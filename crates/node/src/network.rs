//! Which addresses a node binds and publishes. Source: Elasticsearch reference, "Networking".

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};

use ringwall_transport::outward_ip;

use crate::node::StartError;

/// The network interfaces of this machine.
pub struct Interfaces {
    /// One for each address.
    all: Vec<Interface>,
    /// The address with the default route; loopback without one.
    outward: IpAddr,
}

struct Interface {
    name: String,
    address: IpAddr,
    is_up: bool,
}

impl Interfaces {
    /// Asks the operating system. Without an answer only the special names are unknown.
    pub fn of_this_machine() -> Self {
        let found = if_addrs::get_if_addrs().unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot list the network interfaces");
            Vec::new()
        });
        let all = found.into_iter().map(|found| Interface {
            address: found.ip(),
            is_up: found.is_oper_up(),
            name: found.name,
        });
        Self {
            all: all.collect(),
            outward: outward_ip(),
        }
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

    /// Returns the host that others are told to dial: of everything that the values mean, what others reach
    /// best. A name stays a name, so that TLS can verify it. A wildcard counts where nothing else does; `None`
    /// where only loopback is named, by a special value.
    ///
    /// # Errors
    /// A special value that no interface has an address for; of several hosts, one that does not resolve.
    pub fn publish_host(
        &self,
        (setting, hosts): &(String, Vec<String>),
    ) -> Result<Option<String>, StartError> {
        if let [host] = hosts.as_slice()
            && special(host).is_none()
            && !is_wildcard(host)
        {
            // Others may resolve what this machine does not.
            return Ok(Some(host.clone()));
        }
        let mut best: Option<(Rank, String)> = None;
        for host in hosts.iter().filter(|host| !is_wildcard(host)) {
            let is_special = special(host).is_some();
            for address in self.meaning(setting, host)? {
                let rank = self.rank(address);
                let is_better = best.as_ref().is_none_or(|(other, _)| rank < *other);
                if is_better && !(is_special && address.is_loopback()) {
                    let named = if is_special {
                        address.to_string()
                    } else {
                        host.clone()
                    };
                    best = Some((rank, named));
                }
            }
        }
        Ok(match best {
            Some((_, host)) => Some(host),
            None if hosts.iter().any(|host| is_wildcard(host)) => self.best(),
            None => None,
        })
    }

    /// Returns the address of this machine that others reach best; `None` when it has only loopback.
    pub fn best(&self) -> Option<String> {
        let up = self.all.iter().filter(|interface| interface.is_up);
        up.map(|interface| interface.address)
            .filter(|address| !address.is_loopback())
            .min_by_key(|address| self.rank(*address))
            .map(|address| address.to_string())
    }

    /// The lowest is published: what more than a link reaches, then IPv4, then from how far, then where the
    /// default route begins.
    fn rank(&self, address: IpAddr) -> Rank {
        let reach = reach(address);
        (
            reach >= Reach::Link,
            address.is_ipv6(),
            reach,
            address != self.outward,
        )
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
            let [v4, v6] = [
                IpAddr::V4(Ipv4Addr::LOCALHOST),
                IpAddr::V6(Ipv6Addr::LOCALHOST),
            ];
            let has_v6 = self.all.iter().any(|interface| interface.address == v6);
            return Ok(match family {
                Family::V6 => vec![v6],
                Family::Any if has_v6 => vec![v4, v6],
                Family::Any | Family::V4 => vec![v4],
            });
        }
        let wanted = |interface: &&Interface| match name {
            "site" => reach(interface.address) == Reach::Site,
            "global" => reach(interface.address) == Reach::Global,
            name => interface.name == name,
        };
        let named: Vec<&Interface> = self.all.iter().filter(wanted).collect();
        let found: Vec<IpAddr> = named
            .iter()
            .filter(|interface| interface.is_up && fits(&interface.address))
            .map(|interface| interface.address)
            .collect();
        if !found.is_empty() {
            return Ok(found);
        }
        let family = match family {
            Family::Any => "",
            Family::V4 => "IPv4 ",
            Family::V6 => "IPv6 ",
        };
        let got = self.listed();
        Err(failed(match name {
            "site" => {
                format!("No up-and-running site-local (private) {family}addresses found, got {got}")
            }
            "global" => {
                format!(
                    "No up-and-running global-scope (public) {family}addresses found, got {got}"
                )
            }
            name if named.is_empty() => format!("No interface named '{name}' found, got {got}"),
            name if named.iter().all(|interface| !interface.is_up) => {
                format!("Interface '{name}' is not up and running")
            }
            name => format!("Interface '{name}' has no {family}address"),
        }))
    }

    /// Returns the names, as Elasticsearch shows them.
    fn listed(&self) -> String {
        let mut names: Vec<&str> = Vec::new();
        for interface in &self.all {
            if !names.contains(&interface.name.as_str()) {
                names.push(&interface.name);
            }
        }
        let names: Vec<String> = names
            .iter()
            .map(|name| format!("name:{name} ({name})"))
            .collect();
        format!("[{}]", names.join(", "))
    }
}

/// See [`Interfaces::rank`].
type Rank = (bool, bool, Reach, bool);

fn is_wildcard(host: &str) -> bool {
    ip(host).is_some_and(|ip| ip.is_unspecified())
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

    use ringwall_settings::registry::network::{NETWORK_HOST, TRANSPORT_PUBLISH_HOST};

    use ringwall_settings::{Setting, Settings};

    use super::*;

    fn interfaces() -> Interfaces {
        machine(&[
            ("lo", "127.0.0.1"),
            ("lo", "::1"),
            ("eth0", "10.1.2.3"),
            ("eth0", "fd00::3"),
            ("eth1", "203.0.113.9"),
            ("eth1", "fe80::9"),
            ("down", "198.51.100.1"),
            ("v6", "fd00::6"),
        ])
    }

    /// The interface `down` is, and the default route begins at 10.9.9.9.
    fn machine(interfaces: &[(&str, &str)]) -> Interfaces {
        let all = interfaces.iter().map(|(name, address)| Interface {
            name: (*name).to_owned(),
            address: address.parse().unwrap(),
            is_up: *name != "down",
        });
        Interfaces {
            all: all.collect(),
            outward: "10.9.9.9".parse().unwrap(),
        }
    }

    /// The hosts that a setting falls back to, as the node reads them.
    fn with(value: &str, setting: &Setting<Vec<String>>) -> (String, Vec<String>) {
        let settings =
            Settings::from_overrides(Path::new("/"), &[("network.host", value)], None).unwrap();
        crate::profiles::hosts(&settings, None, setting)
    }

    #[test]
    fn special_values_mean_the_addresses_of_interfaces() {
        for (value, expected) in [
            ("_local_", "127.0.0.1 ::1"),
            ("_local:ipv4_", "127.0.0.1"),
            ("_local:ipv6_", "::1"),
            ("_site_", "10.1.2.3 fd00::3 fd00::6"),
            ("_site:ipv4_", "10.1.2.3"),
            ("_global_", "203.0.113.9"),
            ("_eth0:ipv6_", "fd00::3"),
            ("_lo_, _eth1_", "127.0.0.1 ::1 203.0.113.9 fe80::9"),
            ("192.0.2.5, [::1], 192.0.2.5", "192.0.2.5 ::1"),
        ] {
            let found = interfaces().addresses(&with(value, &NETWORK_HOST)).unwrap();
            let found: Vec<String> = found.iter().map(IpAddr::to_string).collect();
            assert_eq!(found.join(" "), expected, "{value}");
        }
        for (value, reason) in [
            (
                "_eth7_",
                "No interface named 'eth7' found, got [name:lo (lo), name:eth0 (eth0), name:eth1 (eth1), \
                 name:down (down), name:v6 (v6)]",
            ),
            ("_down_", "Interface 'down' is not up and running"),
            ("_v6:ipv4_", "Interface 'v6' has no IPv4 address"),
            (
                "_global:ipv6_",
                "No up-and-running global-scope (public) IPv6 addresses found, got [name:lo (lo), ",
            ),
        ] {
            let error = interfaces()
                .addresses(&with(value, &NETWORK_HOST))
                .unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
        }
        let error = machine(&[("lo", "127.0.0.1"), ("eth0", "203.0.113.9")])
            .addresses(&with("_site_", &NETWORK_HOST))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(
                "No up-and-running site-local (private) addresses found, got [name:lo (lo), name:eth0 (eth0)]"
            ),
            "{error}"
        );
    }

    #[test]
    fn the_address_that_most_can_reach_is_published() {
        for (value, expected) in [
            ("_local_", None),
            ("0.0.0.0", Some("203.0.113.9")),
            ("[::]", Some("203.0.113.9")),
            ("_site_", Some("10.1.2.3")),
            ("_site_, _global_", Some("203.0.113.9")),
            ("_local_, _eth0_", Some("10.1.2.3")),
            ("es01.example", Some("es01.example")),
            ("0.0.0.0, 10.1.2.3", Some("10.1.2.3")),
            ("127.0.0.1", Some("127.0.0.1")),
            ("127.0.0.1, 192.0.2.2", Some("192.0.2.2")),
            ("10.0.0.1, 192.0.2.2, fe80::1", Some("192.0.2.2")),
            ("2001:db8::1, 10.0.0.1", Some("10.0.0.1")),
            ("2001:db8::1, 169.254.0.1, 127.0.0.1", Some("2001:db8::1")),
            ("fd00::1, 2001:db8::1", Some("2001:db8::1")),
            ("10.0.0.1, 10.9.9.9", Some("10.9.9.9")),
            ("localhost, 10.0.0.1", Some("10.0.0.1")),
            ("localhost, _lo_", Some("localhost")),
        ] {
            let host = interfaces()
                .publish_host(&with(value, &TRANSPORT_PUBLISH_HOST))
                .unwrap();
            assert_eq!(host.as_deref(), expected, "{value}");
        }
        let unresolved = with("no-such-host.invalid, 10.0.0.1", &TRANSPORT_PUBLISH_HOST);
        let error = interfaces().publish_host(&unresolved);
        assert!(
            error
                .unwrap_err()
                .to_string()
                .contains("no-such-host.invalid")
        );
    }

    #[test]
    fn without_a_default_route_the_best_interface_is_published() {
        let mut machine = machine(&[
            ("lo", "127.0.0.1"),
            ("down", "203.0.113.9"),
            ("eth0", "fe80::9"),
            ("eth1", "fd00::3"),
            ("eth1", "10.1.2.3"),
            ("eth2", "10.9.9.9"),
        ]);
        assert_eq!(machine.best().as_deref(), Some("10.9.9.9"));
        machine.outward = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert_eq!(machine.best().as_deref(), Some("10.1.2.3"));
        machine.all.truncate(2);
        assert_eq!(machine.best(), None);
    }
}
