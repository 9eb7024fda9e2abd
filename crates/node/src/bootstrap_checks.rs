//! What a node must have before other machines may reach it. Source: node.md section 5.

use std::net::IpAddr;

/// What the checks look at.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The addresses that transport and HTTP are bound to or published as.
    pub addresses: Vec<IpAddr>,
    pub single_node: bool,
    pub security_enabled: bool,
    pub transport_tls: bool,
    /// Any of `discovery.seed_hosts`, `discovery.seed_providers`, `cluster.initial_master_nodes`.
    pub discovery_configured: bool,
}

/// What the checks found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// The node must not start.
    pub failures: Vec<String>,
    /// The same findings on a node that only its own machine can reach.
    pub warnings: Vec<String>,
}

/// Runs every check. On loopback addresses findings only warn, elsewhere all refuse the start.
pub fn check(facts: &Facts) -> Verdict {
    let reachable = facts.addresses.iter().any(|address| !address.is_loopback());
    let mut findings = Vec::new();
    if facts.security_enabled && !facts.transport_tls {
        findings.push(TRANSPORT_TLS.to_owned());
    }
    if !facts.discovery_configured && !facts.single_node {
        findings.push(DISCOVERY.to_owned());
    }
    if reachable {
        Verdict {
            failures: findings,
            warnings: Vec::new(),
        }
    } else {
        Verdict {
            failures: Vec::new(),
            warnings: findings,
        }
    }
}

const TRANSPORT_TLS: &str = "Transport SSL must be enabled if security is enabled. Please set \
    [xpack.security.transport.ssl.enabled] to [true] or disable security by setting \
    [xpack.security.enabled] to [false]";

const DISCOVERY: &str = "the default discovery settings are unsuitable for production use; at \
    least one of [discovery.seed_hosts, discovery.seed_providers, cluster.initial_master_nodes] \
    must be configured";

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(address: &str) -> Facts {
        Facts {
            addresses: vec![address.parse().unwrap()],
            single_node: false,
            security_enabled: true,
            transport_tls: false,
            discovery_configured: false,
        }
    }

    #[test]
    fn findings_refuse_where_others_can_reach_and_warn_on_loopback() {
        let verdict = check(&facts("192.0.2.1"));
        assert_eq!(verdict.failures, [TRANSPORT_TLS, DISCOVERY]);
        let verdict = check(&facts("127.0.0.1"));
        assert!(verdict.failures.is_empty());
        assert_eq!(verdict.warnings.len(), 2);
    }

    #[test]
    fn single_node_still_needs_tls() {
        let mut facts = facts("192.0.2.1");
        facts.single_node = true;
        assert_eq!(check(&facts).failures, [TRANSPORT_TLS]);
        facts.transport_tls = true;
        assert_eq!(check(&facts), Verdict::default());
    }

    #[test]
    fn without_security_tls_is_not_asked_for() {
        let mut facts = facts("192.0.2.1");
        facts.security_enabled = false;
        facts.discovery_configured = true;
        assert_eq!(check(&facts), Verdict::default());
    }
}
