//! Addresses, bootstrap checks, and the names of seed hosts.

use std::time::Duration;

use ringwall_node::bootstrap_checks::is_about_limits;
use ringwall_node::preflight::{self, Addresses};
use ringwall_settings::Settings;
use ringwall_settings::registry::cluster;

use super::contexts::Layer;
use super::finding::{Finding, Report};

/// Returns the addresses that the node would have, or notes why it has none.
pub(super) async fn addresses(
    settings: &Settings,
    within: Duration,
    report: &mut Report,
) -> Option<Addresses> {
    let asked = settings.clone();
    let finding = tokio::task::spawn_blocking(move || Addresses::of(&asked));
    let found = match tokio::time::timeout(within, finding).await {
        Err(_) => Err(format!(
            "the names of the settings [network.host], [http.*host] or [transport.*host] were not resolved within \
             {within:?}"
        )),
        Ok(Err(error)) => Err(error.to_string()),
        Ok(Ok(found)) => found.map_err(|error| error.to_string()),
    };
    match found {
        Err(reason) => {
            let finding = Finding::error("network", reason);
            report.add(finding.action("name an address of this machine"));
            None
        }
        Ok(found) => {
            let mode = match found.is_production(settings) {
                true => {
                    "production mode: other machines can reach it, and the bootstrap checks are enforced"
                }
                false => {
                    "development mode: only this machine can reach it, and the bootstrap checks only warn"
                }
            };
            let message = format!(
                "the node publishes [{}] to nodes and [{}] to clients; {mode}",
                found.transport_published, found.http_published
            );
            report.add(Finding::ok("network", message).setting("network.host"));
            for ip in found.foreign() {
                let message =
                    format!("[{ip}] is no address of this machine: the node cannot listen there");
                let action = "bind an address that `ip address` lists; what others dial, behind NAT or a proxy, \
                              belongs into [network.publish_host]";
                let finding = Finding::error("network_bind", message).setting("network.host");
                report.add(finding.action(action));
            }
            Some(found)
        }
    }
}

/// Notes the bootstrap checks that fail.
pub(super) fn bootstrap(
    settings: &Settings,
    addresses: &Addresses,
    transport: &Layer,
    report: &mut Report,
) {
    // Broken TLS is told of as what it is.
    let has_tls = !matches!(transport, Layer::Plain);
    let verdict = match addresses.bootstrap_checks(settings, has_tls) {
        Ok(verdict) => verdict,
        Err(error) => {
            let finding = Finding::error("bootstrap", error.to_string());
            report.add(finding.action("correct the environment of the node"));
            return;
        }
    };
    if verdict.failures.is_empty() && verdict.warnings.is_empty() {
        report.add(Finding::ok("bootstrap", "every bootstrap check passes"));
    }
    for failure in verdict.failures {
        let message = format!("bootstrap check failure: {failure}");
        let finding = Finding::error(check_of(&failure), message);
        report.add(finding.action("the node does not start (exit status 78) until this is so"));
    }
    for warning in verdict.warnings {
        let message = format!("bootstrap check: {warning}");
        let action = "do this before the node gets an address that other machines reach";
        report.add(Finding::warning(check_of(&warning), message).action(action));
    }
}

/// Notes an entry of `cluster.initial_master_nodes` that no node bears, though this one bears almost that name. Only who
/// has never started is to found a cluster.
pub(super) fn founders(settings: &Settings, report: &mut Report) {
    let Some((entry, name)) = preflight::misspelled_founder(settings) else {
        return;
    };
    let key = cluster::INITIAL_MASTER_NODES.key();
    let message = format!(
        "[{entry}] in [{key}] may mean this node, whose [node.name] is [{name}]: the two must be the same, letter by \
         letter"
    );
    let action =
        format!("write [{name}] in [{key}] of every node, or set [node.name] to [{entry}]");
    report.add(
        Finding::error("founders", message)
            .setting(key)
            .action(action),
    );
}

fn check_of(finding: &str) -> &'static str {
    match is_about_limits(finding) {
        true => "system_limits",
        false => "bootstrap",
    }
}

/// Notes the seed hosts without an address, and returns those that have one.
pub(super) async fn resolvable_seeds(
    settings: &Settings,
    within: Duration,
    report: &mut Report,
) -> Vec<String> {
    let seeds = preflight::seeds(settings);
    let lookups = seeds.iter().map(async |seed| {
        match tokio::time::timeout(within, tokio::net::lookup_host(seed.as_str())).await {
            Ok(Ok(mut found)) => found
                .next()
                .map(|_| ())
                .ok_or("it has no address".to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {within:?}")),
        }
    });
    let found = futures::future::join_all(lookups).await;
    let any = found.iter().any(Result::is_ok);
    let key = cluster::DISCOVERY_SEED_HOSTS.key();
    let mut good = Vec::new();
    for (seed, found) in seeds.into_iter().zip(found) {
        let Err(reason) = found else {
            good.push(seed);
            continue;
        };
        let message = format!("the seed host [{seed}] does not resolve: {reason}");
        // One seed that answers is enough to find the cluster.
        let finding = match any {
            true => Finding::warning("discovery", message),
            false => Finding::error("discovery", message),
        };
        report.add(
            finding
                .setting(key)
                .action("correct the name, add it to DNS or /etc/hosts, or write the IP address"),
        );
    }
    good
}
