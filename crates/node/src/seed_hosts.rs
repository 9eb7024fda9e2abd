//! Where discovery looks for other nodes. Source: Elasticsearch reference, "Discovery" (seed hosts providers).

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::{BoxFuture, FutureExt, Shared};
use futures::stream::BoxStream;
use parking_lot::Mutex;
use ringwall_base::TimeValue;
use ringwall_coordination::{Seed, SeedHosts};
use ringwall_settings::Settings;
use ringwall_settings::registry::{cluster, network};
use tokio::time::Instant;

/// Looks names up.
pub trait Resolver: Send + Sync + 'static {
    /// Returns every address of `host`, each with the port.
    fn resolve(&self, host: String, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;
}

/// As the system is set up: `/etc/hosts`, DNS and what else it asks.
struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve(&self, host: String, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

/// The seed hosts of the settings and of `unicast_hosts.txt`, each name with all of its addresses, looked up
/// anew in every round.
pub struct Seeds {
    named: Vec<String>,
    /// Read in every round.
    file: Option<PathBuf>,
    port: u16,
    /// Of all names of a round together.
    timeout: Duration,
    concurrency: usize,
    resolver: Box<dyn Resolver>,
    names: Mutex<BTreeMap<String, Name>>,
    is_file_missing: Mutex<bool>,
}

/// What is known of a seed that is a name.
#[derive(Default)]
struct Name {
    /// Its addresses as they were last found, and when.
    good: Option<(Instant, Vec<String>)>,
    /// Since when it has failed. Those that failed longest ago are looked up first, so that dead names do not
    /// keep a healthy one from its turn for ever.
    failed: Option<Instant>,
    /// What has been complained of, so that it is said once.
    told: Option<Cause>,
    /// The lookup under way. The system cannot be told to give one up, so a slow one goes on past its round,
    /// and there is never a second.
    lookup: Option<Lookup>,
}

type Lookup = Shared<BoxFuture<'static, Result<Vec<SocketAddr>, String>>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Failed,
    TimedOut,
}

/// Why a name has no addresses in a round.
struct Failure {
    cause: Cause,
    /// Whether it was looked up at all before the round was over.
    had_turn: bool,
    /// In the words of Elasticsearch.
    reason: String,
}

impl Seeds {
    /// Returns the seed hosts that the settings name; loopback where `discovery.seed_hosts` is not set.
    pub fn new(settings: &Settings) -> Self {
        Self::with_resolver(settings, Box::new(SystemResolver))
    }

    fn with_resolver(settings: &Settings, resolver: Box<dyn Resolver>) -> Self {
        let ports = settings.get(&network::TRANSPORT_PORT);
        // Port 0 tells nothing about where others listen.
        let (port, last) = match ports.first {
            0 => (DEFAULT_PORT, u16::MAX),
            first => (first, ports.last),
        };
        let providers = settings.get(&cluster::DISCOVERY_SEED_PROVIDERS);
        let from_file = providers.iter().any(|provider| provider == "file");
        let named = match settings.is_set(cluster::DISCOVERY_SEED_HOSTS.key()) {
            true => settings
                .get(&cluster::DISCOVERY_SEED_HOSTS)
                .into_iter()
                .map(|seed| with_port(seed, port))
                .collect(),
            false => loopback(port, last),
        };
        let timeout = settings.get(&cluster::SEED_RESOLVER_TIMEOUT).duration();
        Self {
            named,
            file: from_file.then(|| settings.config_path(FILE)),
            port,
            timeout: timeout.unwrap_or(Duration::from_secs(5)),
            concurrency: settings.get(&cluster::SEED_RESOLVER_MAX_CONCURRENT),
            resolver,
            names: Mutex::default(),
            is_file_missing: Mutex::default(),
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
        let read = ringwall_coordination::blocking::spawn({
            let path = path.clone();
            move || std::fs::read_to_string(path)
        });
        let read = read.await.map_err(io::Error::other).and_then(|read| read);
        let was_missing = std::mem::replace(&mut *self.is_file_missing.lock(), read.is_err());
        match read {
            Ok(text) => parse(&text)
                .map(|seed| with_port(seed.to_owned(), self.port))
                .collect(),
            Err(error) => {
                if !was_missing {
                    tracing::warn!("{}", missing(&path, &error));
                }
                Vec::new()
            }
        }
    }

    /// Returns every address of a name, as `name/address:port`: TLS verifies the name.
    async fn resolve(&self, seed: &str, until: Instant) -> Result<Vec<String>, Failure> {
        let Some((host, port)) = host_and_port(seed) else {
            return Err(Failure {
                cause: Cause::Failed,
                had_turn: true,
                reason: format!(
                    "failed to resolve host [{seed}]: expected host:port with a port from 0 to 65535"
                ),
            });
        };
        let timed_out = |had_turn| Failure {
            cause: Cause::TimedOut,
            had_turn,
            reason: format!(
                "timed out after [{}] resolving host [{host}]",
                TimeValue::from_millis(self.timeout.as_millis() as u64)
            ),
        };
        if Instant::now() >= until {
            return Err(timed_out(false));
        }
        let lookup = self.lookup(seed, host, port);
        let found = tokio::time::timeout_at(until, lookup).await;
        if found.is_ok()
            && let Some(name) = self.names.lock().get_mut(seed)
        {
            name.lookup = None;
        }
        match found {
            Ok(Ok(found)) => {
                let mut found: Vec<String> = found
                    .iter()
                    .map(|address| format!("{host}/{address}"))
                    .collect();
                found.sort_unstable();
                found.dedup();
                Ok(found)
            }
            Ok(Err(reason)) => Err(Failure {
                cause: Cause::Failed,
                had_turn: true,
                reason: format!("failed to resolve host [{host}]: {reason}"),
            }),
            Err(_elapsed) => Err(timed_out(true)),
        }
    }

    /// Returns the lookup of a name that is under way, or begins one.
    fn lookup(&self, seed: &str, host: &str, port: u16) -> Lookup {
        let mut names = self.names.lock();
        let name = names.entry(seed.to_owned()).or_default();
        if let Some(lookup) = &name.lookup {
            return lookup.clone();
        }
        // A task: it goes on when nobody waits any more.
        let lookup = tokio::spawn(self.resolver.resolve(host.to_owned(), port));
        let lookup = async move {
            let found = lookup
                .await
                .map_err(io::Error::other)
                .and_then(|found| found);
            match found {
                Ok(found) if found.is_empty() => Err("it has no address".to_owned()),
                other => other.map_err(|error| error.to_string()),
            }
        };
        let lookup: Lookup = lookup.boxed().shared();
        name.lookup = Some(lookup.clone());
        lookup
    }

    /// Notes what came of a name. Returns what to dial or to show, and what is to be complained of.
    fn note(
        &self,
        seed: String,
        outcome: Result<Vec<String>, Failure>,
    ) -> (Vec<Seed>, Option<String>) {
        let mut names = self.names.lock();
        let name = names.entry(seed.clone()).or_default();
        let failure = match outcome {
            Ok(found) => {
                name.failed = None;
                name.told = None;
                name.good = Some((Instant::now(), found.clone()));
                return (found.into_iter().map(Seed::Address).collect(), None);
            }
            Err(failure) => failure,
        };
        if failure.had_turn {
            name.failed = Some(Instant::now());
        }
        let is_news = name.told.replace(failure.cause) != Some(failure.cause);
        let complaint = is_news.then(|| failure.reason.clone());
        let mut seeds = vec![Seed::Unresolved {
            seed,
            reason: failure.reason,
        }];
        if let Some((at, addresses)) = &name.good
            && at.elapsed() < KEPT
        {
            seeds.extend(addresses.iter().cloned().map(Seed::Address));
        }
        (seeds, complaint)
    }

    /// Looks up the names of a round, as many at a time as the settings say.
    fn resolve_all(self: Arc<Self>, mut names: Vec<String>) -> BoxStream<'static, Seed> {
        names.sort_unstable();
        names.dedup();
        let until = Instant::now() + self.timeout;
        {
            let mut known = self.names.lock();
            // Those that unicast_hosts.txt had once.
            known.retain(|seed, _| names.contains(seed));
            names.sort_by_key(|seed| known.get(seed).and_then(|name| name.failed));
        }
        let concurrency = self.concurrency;
        let seeds = self.clone();
        let resolved = futures::stream::iter(names)
            .map(move |seed| {
                let seeds = seeds.clone();
                async move {
                    let outcome = seeds.resolve(&seed, until).await;
                    seeds.note(seed, outcome)
                }
            })
            .buffer_unordered(concurrency);
        let mut complaints = Complaints::default();
        resolved
            .map(move |(seeds, complaint)| {
                complaints.0.extend(complaint);
                futures::stream::iter(seeds)
            })
            .flatten()
            .boxed()
    }
}

/// What a round is to be complained of, in one line when the round is over.
#[derive(Default)]
struct Complaints(Vec<String>);

impl Drop for Complaints {
    fn drop(&mut self) {
        if let Some(text) = summary(&self.0) {
            tracing::warn!("{text}");
        }
    }
}

fn summary(complaints: &[String]) -> Option<String> {
    let (shown, rest) = complaints.split_at(complaints.len().min(MOST_SHOWN));
    let mut text = shown.join("; ");
    if !rest.is_empty() {
        text.push_str(&format!("; and {} more seed hosts like these", rest.len()));
    }
    (!text.is_empty()).then_some(text)
}

impl SeedHosts for Seeds {
    fn round(self: Arc<Self>) -> BoxStream<'static, Seed> {
        let (addresses, names) = split(self.named.clone());
        let at_once = futures::stream::iter(addresses.into_iter().map(Seed::Address));
        let of_file = async move {
            let (addresses, of_file) = split(self.of_file().await);
            let names = names.into_iter().chain(of_file).collect();
            futures::stream::iter(addresses.into_iter().map(Seed::Address))
                .chain(self.resolve_all(names))
        };
        at_once
            .chain(futures::stream::once(of_file).flatten())
            .boxed()
    }
}

/// Parts those that are addresses already from names.
fn split(seeds: Vec<String>) -> (Vec<String>, Vec<String>) {
    seeds.into_iter().partition(|seed| {
        host_and_port(seed).is_some_and(|(host, _)| crate::network::ip(host).is_some())
    })
}

fn host_and_port(seed: &str) -> Option<(&str, u16)> {
    let (host, port) = seed.rsplit_once(':')?;
    Some((host, port.parse().ok()?))
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
/// How long the addresses of a name outlive its last good lookup.
const KEPT: Duration = Duration::from_secs(60);
/// Names of which a round complains by name.
const MOST_SHOWN: usize = 10;

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

    /// Answers as it is told to, each name in the next round as it says then.
    #[derive(Clone, Default)]
    struct Stub(
        Arc<Mutex<BTreeMap<String, Answer>>>,
        Arc<Mutex<Vec<String>>>,
    );

    #[derive(Clone, Default)]
    enum Answer {
        Addresses(Vec<&'static str>),
        #[default]
        Unknown,
        Hangs,
        After(Duration, &'static str),
    }

    impl Stub {
        fn set(&self, host: &str, answer: Answer) {
            self.0.lock().insert(host.to_owned(), answer);
        }

        fn asked(&self, host: &str) -> usize {
            self.1.lock().iter().filter(|asked| *asked == host).count()
        }
    }

    impl Resolver for Stub {
        fn resolve(
            &self,
            host: String,
            port: u16,
        ) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
            self.1.lock().push(host.clone());
            let answer = self.0.lock().get(&host).cloned().unwrap_or_default();
            let address = move |ip: &str| SocketAddr::new(ip.parse().unwrap(), port);
            Box::pin(async move {
                match answer {
                    Answer::Addresses(ips) => Ok(ips.into_iter().map(address).collect()),
                    Answer::Unknown => Err(io::Error::other("no such name")),
                    Answer::Hangs => std::future::pending().await,
                    Answer::After(pause, ip) => {
                        tokio::time::sleep(pause).await;
                        Ok(vec![address(ip)])
                    }
                }
            })
        }
    }

    fn seeds(named: &str, stub: &Stub) -> Arc<Seeds> {
        let overrides = [("discovery.seed_hosts", named)];
        let settings = Settings::from_overrides(Path::new("/"), &overrides, None).unwrap();
        Arc::new(Seeds::with_resolver(&settings, Box::new(stub.clone())))
    }

    /// A whole round: addresses in the order found, and why the others have none.
    async fn round(seeds: &Arc<Seeds>) -> (Vec<String>, Vec<String>) {
        let mut found = (Vec::new(), Vec::new());
        let mut round = seeds.clone().round();
        while let Some(seed) = round.next().await {
            match seed {
                Seed::Address(address) => found.0.push(address),
                Seed::Unresolved { reason, .. } => found.1.push(reason),
            }
        }
        found
    }

    fn told(seeds: &Seeds, seed: &str) -> Option<Cause> {
        seeds.names.lock().get(seed).and_then(|name| name.told)
    }

    #[tokio::test(start_paused = true)]
    async fn dead_names_hide_no_healthy_seed() {
        let stub = Stub::default();
        let dead: Vec<String> = (10..22).map(|n| format!("dead{n}")).collect();
        for host in &dead {
            stub.set(host, Answer::Hangs);
        }
        stub.set("zz", Answer::Addresses(vec!["10.0.0.9"]));
        let seeds = seeds(&format!("{}, zz, 192.0.2.1", dead.join(", ")), &stub);
        let begun = Instant::now();
        let first = seeds.clone().round().next().await;
        assert_eq!(first, Some(Seed::Address("192.0.2.1:9300".to_owned())));
        assert_eq!(
            begun.elapsed(),
            Duration::ZERO,
            "an address waits for nothing"
        );

        let (_, reasons) = round(&seeds).await;
        assert_eq!(
            begun.elapsed(),
            Duration::from_secs(5),
            "one deadline for all"
        );
        assert_eq!(reasons.len(), 13, "the dead, and the one that had no turn");
        assert!(
            reasons.contains(&"timed out after [5s] resolving host [dead10]".to_owned()),
            "{reasons:?}"
        );
        // Those that had no turn come first now.
        let (addresses, _) = round(&seeds).await;
        assert!(
            addresses.contains(&"zz/10.0.0.9:9300".to_owned()),
            "{addresses:?}"
        );
        assert_eq!(stub.asked("dead10"), 1, "one lookup that hangs is enough");
    }

    #[tokio::test(start_paused = true)]
    async fn every_record_is_used_and_a_change_is_seen_in_the_next_round() {
        let stub = Stub::default();
        stub.set(
            "a",
            Answer::Addresses(vec!["10.0.0.2", "10.0.0.1", "fd00::1", "10.0.0.1"]),
        );
        let seeds = seeds("a:9310", &stub);
        let expected = ["a/10.0.0.1:9310", "a/10.0.0.2:9310", "a/[fd00::1]:9310"];
        assert_eq!(round(&seeds).await.0, expected);
        stub.set("a", Answer::Addresses(vec!["10.0.0.3"]));
        assert_eq!(round(&seeds).await.0, ["a/10.0.0.3:9310"]);
        stub.set("a", Answer::Addresses(Vec::new()));
        assert_eq!(
            round(&seeds).await.1,
            ["failed to resolve host [a]: it has no address"]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_outlive_a_short_failure() {
        let stub = Stub::default();
        stub.set("a", Answer::Addresses(vec!["10.0.0.1"]));
        let seeds = seeds("a", &stub);
        let good = vec!["a/10.0.0.1:9300".to_owned()];
        assert_eq!(round(&seeds).await, (good.clone(), Vec::new()));
        stub.set("a", Answer::Unknown);
        let reason = vec!["failed to resolve host [a]: no such name".to_owned()];
        assert_eq!(round(&seeds).await, (good.clone(), reason.clone()));
        tokio::time::advance(KEPT).await;
        assert_eq!(round(&seeds).await, (Vec::new(), reason));
        stub.set("a", Answer::Addresses(vec!["10.0.0.1"]));
        assert_eq!(round(&seeds).await, (good, Vec::new()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_answer_serves_the_next_round() {
        let stub = Stub::default();
        stub.set("slow", Answer::After(Duration::from_secs(7), "10.0.0.1"));
        let seeds = seeds("slow", &stub);
        assert_eq!(
            round(&seeds).await.1,
            ["timed out after [5s] resolving host [slow]"]
        );
        assert_eq!(round(&seeds).await.0, ["slow/10.0.0.1:9300"]);
        assert_eq!(stub.asked("slow"), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_cause_is_told_once_until_it_is_another_or_mended() {
        let stub = Stub::default();
        let seeds = seeds("a", &stub);
        let complaint = |outcome| seeds.note("a:9300".to_owned(), outcome).1;
        let failed = |cause| {
            Err(Failure {
                cause,
                had_turn: true,
                reason: "why".to_owned(),
            })
        };
        assert_eq!(complaint(failed(Cause::Failed)).as_deref(), Some("why"));
        assert_eq!(complaint(failed(Cause::Failed)), None);
        assert!(complaint(failed(Cause::TimedOut)).is_some());
        assert_eq!(complaint(Ok(Vec::new())), None);
        assert!(complaint(failed(Cause::TimedOut)).is_some());
        assert_eq!(told(&seeds, "a:9300"), Some(Cause::TimedOut));

        assert_eq!(summary(&[]), None);
        let many: Vec<String> = (0..12).map(|n| format!("c{n}")).collect();
        assert_eq!(summary(&many[..2]).as_deref(), Some("c0; c1"));
        let text = summary(&many).unwrap();
        assert!(
            text.ends_with("; c9; and 2 more seed hosts like these"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn the_file_is_read_in_every_round() {
        let config = tempfile::tempdir().unwrap();
        let overrides = [
            ("discovery.seed_hosts", "10.0.0.1"),
            ("discovery.seed_providers", "file"),
            ("transport.port", "9310-9320"),
        ];
        let settings = Settings::from_overrides(config.path(), &overrides, None).unwrap();
        let seeds = Arc::new(Seeds::new(&settings));
        assert_eq!(round(&seeds).await.0, ["10.0.0.1:9310"], "no file yet");
        let file = config.path().join(FILE);
        std::fs::write(&file, "# comment\n 10.0.0.2:1 \n\nlocalhost\n").unwrap();
        let (found, _) = round(&seeds).await;
        assert_eq!(found[..2], ["10.0.0.1:9310", "10.0.0.2:1"]);
        assert!(
            found[2..].contains(&"localhost/127.0.0.1:9310".to_owned()),
            "{found:?}"
        );
        std::fs::write(&file, "a:99999\n").unwrap();
        let (found, reasons) = round(&seeds).await;
        assert_eq!(found, ["10.0.0.1:9310"]);
        assert!(
            reasons[0].contains("[a:99999]: expected host:port"),
            "{reasons:?}"
        );
        assert_eq!(
            seeds.names.lock().len(),
            1,
            "what the file no longer names is forgotten"
        );
    }

    #[test]
    fn loopback_is_looked_at_where_no_seed_host_is_set() {
        for (setting, value) in [
            ("node.name", "a"),
            ("cluster.initial_master_nodes", "a"),
            ("discovery.seed_providers", "file"),
        ] {
            let settings = [(setting, value)];
            let settings = Settings::from_overrides(Path::new("/"), &settings, None).unwrap();
            let seeds = Seeds::new(&settings);
            assert_eq!(seeds.named.len(), 12, "{setting}");
            assert_eq!(seeds.named[..2], ["127.0.0.1:9300", "[::1]:9300"]);
            assert!(seeds.named.contains(&"[::1]:9305".to_owned()));
        }
        let none = [("discovery.seed_hosts", "[]")];
        let settings = Settings::from_overrides(Path::new("/"), &none, None);
        let named = settings.map(|settings| Seeds::new(&settings).named.len());
        assert!(named.is_ok_and(|named| named < 12));
    }
}
