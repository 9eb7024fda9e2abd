//! Where discovery looks for other nodes. Source: node.md section 7.2.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use ringwall_coordination::SeedHosts;
use ringwall_settings::Settings;
use ringwall_settings::registry::{cluster, network};

/// The seed hosts of the settings and of `unicast_hosts.txt`, each name with all of its addresses, looked up
/// anew in every round.
pub struct Seeds {
    named: Vec<String>,
    /// Read in every round.
    file: Option<PathBuf>,
    port: u16,
    timeout: Duration,
    concurrency: usize,
    /// What has been complained of, so that it is said once.
    told: Mutex<BTreeSet<String>>,
}

impl Seeds {
    /// Returns the seed hosts that the settings name; without any, the loopback addresses.
    pub fn new(settings: &Settings) -> Self {
        let ports = settings.get(&network::TRANSPORT_PORT);
        // Port 0 tells nothing about where others listen.
        let port = if ports.first == 0 {
            DEFAULT_PORT
        } else {
            ports.first
        };
        let providers = settings.get(&cluster::DISCOVERY_SEED_PROVIDERS);
        let from_file = providers.iter().any(|provider| provider == "file");
        let named = match is_configured(settings) {
            true => settings
                .get(&cluster::DISCOVERY_SEED_HOSTS)
                .into_iter()
                .map(|seed| with_port(seed, port))
                .collect(),
            false => loopback(port, ports.last),
        };
        let timeout = settings.get(&cluster::SEED_RESOLVER_TIMEOUT).duration();
        Self {
            named,
            file: from_file.then(|| settings.config_path(FILE)),
            port,
            timeout: timeout.unwrap_or(Duration::from_secs(5)),
            concurrency: settings.get(&cluster::SEED_RESOLVER_MAX_CONCURRENT),
            told: Mutex::default(),
        }
    }

    /// Returns the seeds that the settings name, as `host:port`.
    pub fn named(&self) -> &[String] {
        &self.named
    }

    async fn of_file(&self) -> Vec<String> {
        let Some(path) = self.file.clone() else {
            return Vec::new();
        };
        let read = tokio::task::spawn_blocking({
            let path = path.clone();
            move || std::fs::read_to_string(path)
        });
        match read
            .await
            .map_err(std::io::Error::other)
            .and_then(|read| read)
        {
            Ok(text) => {
                self.told.lock().remove(FILE);
                parse(&text)
                    .map(|seed| with_port(seed.to_owned(), self.port))
                    .collect()
            }
            Err(error) => {
                self.tell(FILE, || missing(&path, &error));
                Vec::new()
            }
        }
    }

    /// Returns every address of a seed, as `name/address:port`: TLS verifies the name. One that does not
    /// resolve stays as it is, so that its failure is shown with those of the others.
    async fn resolve(&self, seed: String) -> Vec<String> {
        let Some((host, port)) = seed.rsplit_once(':') else {
            return vec![seed];
        };
        if crate::network::ip(host).is_some() {
            return vec![seed];
        }
        let found = tokio::time::timeout(self.timeout, tokio::net::lookup_host(seed.clone())).await;
        match found {
            Ok(Ok(found)) => {
                self.told.lock().remove(&seed);
                let found: BTreeSet<String> =
                    found.map(|address| format!("{host}/{address}")).collect();
                found.into_iter().collect()
            }
            Ok(Err(error)) => {
                self.tell(&seed, || {
                    format!("failed to resolve host [{host}] (port {port}): {error}")
                });
                vec![seed]
            }
            Err(_elapsed) => {
                let within = self.timeout.as_secs();
                self.tell(&seed, || {
                    format!("timed out after [{within}s] resolving host [{host}]")
                });
                vec![seed]
            }
        }
    }

    fn tell(&self, about: &str, text: impl FnOnce() -> String) {
        if self.told.lock().insert(about.to_owned()) {
            tracing::warn!("{}", text());
        }
    }
}

impl SeedHosts for Seeds {
    fn addresses(&self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async {
            let mut seeds = self.named.clone();
            seeds.extend(self.of_file().await);
            let resolved = futures::stream::iter(seeds)
                .map(|seed| self.resolve(seed))
                .buffered(self.concurrency);
            resolved.concat().await
        })
    }
}

/// Returns whether the settings say anything about how the cluster is found or formed.
pub fn is_configured(settings: &Settings) -> bool {
    [
        cluster::DISCOVERY_SEED_HOSTS.key(),
        cluster::DISCOVERY_SEED_PROVIDERS.key(),
        cluster::INITIAL_MASTER_NODES.key(),
    ]
    .iter()
    .any(|key| settings.is_set(key))
}

fn loopback(first: u16, last: u16) -> Vec<String> {
    let last = last.clamp(first, first.saturating_add(LOOPBACK_PORTS - 1));
    let ports = first..=last;
    let hosts = |port| [format!("127.0.0.1:{port}"), format!("[::1]:{port}")];
    ports.flat_map(hosts).collect()
}

fn parse(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(str::trim).filter(|line| !line.is_empty())
}

fn missing(path: &Path, error: &std::io::Error) -> String {
    format!(
        "expected, but did not find, a dynamic hosts list at [{}]: {error}; it is looked for in every round",
        path.display()
    )
}

/// `host` becomes `host:port`; what has a port keeps it.
fn with_port(seed: String, port: u16) -> String {
    let has_port = match seed.rsplit_once(':') {
        Some((host, _)) => !host.contains(':') || host.ends_with(']'),
        None => false,
    };
    match (has_port, seed.contains(':') && !seed.starts_with('[')) {
        (true, _) => seed,
        (false, true) => format!("[{seed}]:{port}"),
        (false, false) => format!("{seed}:{port}"),
    }
}

const FILE: &str = "unicast_hosts.txt";
const DEFAULT_PORT: u16 = 9300;
/// Ports of loopback that are looked at where the settings name no seed.
const LOOPBACK_PORTS: u16 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_get_the_port_they_lack() {
        for (seed, expected) in [
            ("a", "a:9300"),
            ("a:1", "a:1"),
            ("10.0.0.1", "10.0.0.1:9300"),
            ("[::1]:1", "[::1]:1"),
            ("[::1]", "[::1]:9300"),
            ("::1", "[::1]:9300"),
        ] {
            assert_eq!(with_port(seed.to_owned(), 9300), expected);
        }
    }

    #[tokio::test]
    async fn the_file_is_read_in_every_round_and_names_give_all_addresses() {
        let config = tempfile::tempdir().unwrap();
        let overrides = [
            ("discovery.seed_hosts", "10.0.0.1"),
            ("discovery.seed_providers", "file"),
            ("transport.port", "9310-9320"),
        ];
        let settings = Settings::from_overrides(config.path(), &overrides, None).unwrap();
        let seeds = Seeds::new(&settings);
        assert_eq!(seeds.addresses().await, ["10.0.0.1:9310"], "no file yet");
        let file = config.path().join(FILE);
        std::fs::write(&file, "# comment\n 10.0.0.2:1 \n\nlocalhost\n").unwrap();
        let found = seeds.addresses().await;
        assert_eq!(found[..2], ["10.0.0.1:9310", "10.0.0.2:1"]);
        assert!(
            found[2..].contains(&"localhost/127.0.0.1:9310".to_owned()),
            "{found:?}"
        );
        std::fs::write(&file, "no-such-host.invalid\n").unwrap();
        assert_eq!(seeds.addresses().await[1..], ["no-such-host.invalid:9310"]);
    }

    #[test]
    fn without_settings_loopback_is_looked_at() {
        let settings = Settings::from_overrides(Path::new("/"), &[], None).unwrap();
        let seeds = Seeds::new(&settings);
        assert_eq!(seeds.named.len(), 12);
        assert!(seeds.named.contains(&"[::1]:9305".to_owned()));
    }
}
