//! Starts a node, and stops it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringwall_api::Client;
use ringwall_base::breaker::Breakers;
use ringwall_base::{NodeId, TransportTls, VERSION, random_uuid};
use ringwall_cluster::ClusterState;
use ringwall_coordination::Coordination;
use ringwall_rest::{RestConfig, RestServer, ServerHandle};
use ringwall_security::audit::NodeFacts;
use ringwall_security::{AuditTrail, Authorizer, SecuredClient, SecurityStore};
use ringwall_settings::registry::profiles::DEFAULT_PROFILE;
use ringwall_settings::registry::{cluster, indices, network, node, security, ssl};
use ringwall_settings::{DiscoveryType, Settings};
use ringwall_tls::{SslConfig, SslContext, spawn_expiry_warnings};
use ringwall_transport::{ConnectionEvent, NodeIdentity, Transport, TransportConfig};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::acknowledge;
use crate::actions::{self, ActionRegistry};
use crate::audit::{Audit, Place};
use crate::bootstrap_checks::{self, Facts};
use crate::breakers;
use crate::cluster_service::{AppliedState, ClusterService};
use crate::configs::{coordination_config, transport_config};
use crate::disk::{self, Disk};
use crate::first_password;
use crate::follow_settings::{self, Filters, Following};
use crate::http;
use crate::identity::{DataPath, DataPathError};
use crate::indexing_pressure::IndexingPressure;
use crate::live_settings::LiveSettings;
use crate::membership::Members;
use crate::network::Interfaces;
use crate::peers::{self, TransportPeers};
use crate::pki_realms;
use crate::pools::{Pool, Pools};
use crate::process;
use crate::profiles::{self, ProfileNetwork};
use crate::recovery::{self, RecoveryLog, RecoveryRate, RecoverySessions};
use crate::replication;
use crate::search::readers::Readers;
use crate::search::{self, SearchContexts};
use crate::security_store::ClusterSecurityStore;
use crate::seed_hosts;
use crate::services::{Clients, Services};
use crate::shards::{Shards, maintenance, reconcile, scrub, sweep};
use crate::tasks::{Tasks, TransportObserver};

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{0}")]
    DataPath(#[from] DataPathError),
    #[error("{0}")]
    SslSettings(#[from] ringwall_tls::SslConfigError),
    #[error("{}", with_remedy(.0))]
    SslFiles(#[from] ringwall_tls::SslError),
    /// More than one thing is wrong with TLS, in one layer or in both.
    #[error("[{}] problems in the SSL configuration:\n- {}", .0.len(), .0.join("\n- "))]
    Ssl(Vec<String>),
    #[error(
        "cannot use [{setting}] value [{value}]: {reason}; expected IP addresses, host names, _local_, \
         _site_, _global_ or _<interface>_"
    )]
    Address {
        setting: String,
        value: String,
        reason: String,
    },
    /// Every failed check.
    #[error("{}", bootstrap_checks::frame(.0))]
    BootstrapChecks(Vec<String>),
    #[error("{0}")]
    Environment(String),
    /// The text names the settings.
    #[error("{0}")]
    Setting(String),
    #[error("{0}")]
    Bind(#[from] ringwall_transport::BindError),
    #[error("{0}")]
    Actions(#[from] ringwall_transport::DuplicateAction),
    #[error("{0}")]
    Coordination(#[from] ringwall_coordination::Error),
    #[error("{0}")]
    Http(#[from] ringwall_rest::RestError),
    #[error("{0}")]
    Security(#[from] ringwall_security::SecurityError),
    #[error("the node could not be started: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// A running node.
pub struct Node {
    services: Arc<Services>,
    /// What the HTTP server executes requests with.
    client: Arc<dyn Client>,
    /// `None` on a simulated network.
    http: Option<ServerHandle>,
    /// Stops the background work.
    stopping: CancellationToken,
    background: TaskTracker,
    is_stopped: bool,
    // The lock on the data path goes with it.
    _data: DataPath,
}

impl Node {
    /// Starts a node whose relative paths begin at `home`. Returns as soon as it listens and
    /// looks for its cluster.
    ///
    /// # Errors
    /// [`StartError`] names the setting, file or check that stands in the way.
    pub async fn start(settings: Settings, home: &Path) -> Result<Self, StartError> {
        Self::start_on(settings, home, None).await
    }

    /// [`Node::start`] on a network in place of the operating system's, without HTTP. For tests; there is no TLS.
    #[doc(hidden)]
    pub async fn simulate(
        settings: Settings,
        home: &Path,
        network: Arc<dyn ringwall_transport::Network>,
    ) -> Result<Self, StartError> {
        Self::start_on(settings, home, Some(network)).await
    }

    async fn start_on(
        settings: Settings,
        home: &Path,
        simulated: Option<Arc<dyn ringwall_transport::Network>>,
    ) -> Result<Self, StartError> {
        let begun = Instant::now();
        let settings = Arc::new(settings);
        // What is wrong with TLS is told before anything is made or locked.
        let (transport_tls, http_tls) = tls_of_both(&settings).await?;
        let profile_tls = match settings.get(&security::SECURITY_ENABLED) {
            true => profiles::tls(&settings).await?,
            false => BTreeMap::new(),
        };
        let data_dir = home.join(settings.get(&node::PATH_DATA));
        let data =
            ringwall_coordination::blocking::spawn(move || DataPath::open(&data_dir)).await??;
        let has_tls = transport_tls.is_some();
        let is_simulated = simulated.is_some();
        let checked = Arc::clone(&settings);
        let network = ringwall_coordination::blocking::spawn(move || {
            let mut network = Network::resolve(&checked)?;
            network.keep_strangers_out(&checked, has_tls);
            // The checks are about the machine.
            if !is_simulated {
                run_checks(&checked, &network, has_tls)?;
            }
            Ok::<_, StartError>(network)
        })
        .await??;
        let tls: Vec<Arc<SslContext>> = [transport_tls.clone(), http_tls.clone()]
            .into_iter()
            .flatten()
            .chain(profile_tls.values().cloned())
            .collect();
        for context in &tls {
            watch(&settings, context);
        }
        spawn_expiry_warnings(&tls);
        let filters = Filters::new(&settings, &network);
        let breakers = Breakers::new(breakers::limits(&settings));
        let http_config = RestConfig {
            filter: filters.http(),
            breakers: breakers.clone(),
            ..http::config(&settings, network.http, http_tls.clone())?
        };
        let server = match simulated {
            None => Some(RestServer::bind(http_config).await?),
            Some(_) => None,
        };
        let mut local = identity(&settings, data.node_id());
        local.key = Some(data.key().public());
        tracing::info!(
            "other nodes know this one by the key [{}]",
            data.key().public()
        );
        let mode = follow_settings::transport_tls(&settings, transport_tls.is_some());
        follow_settings::set_mode(&mut local.attributes, mode);
        let further = network.profiles.into_iter().map(|profile| {
            let own = profile_tls.get(&profile.name).or(transport_tls.as_ref());
            let filter = filters.transport(&profile.name);
            profile.config(&settings, filter, own.cloned())
        });
        let transport_config = TransportConfig {
            filter: filters.transport(DEFAULT_PROFILE),
            breakers: breakers.clone(),
            dual_stack: mode == TransportTls::DualStack,
            profiles: further.collect(),
            accept_tls: profile_tls.get(DEFAULT_PROFILE).cloned(),
            bind: network.transport,
            key: Some(data.key()),
            publish_host: network.transport_publish,
            network: simulated,
            ..transport_config(&settings, transport_tls)
        };
        let transport = Transport::bind(transport_config, local).await?;
        if let Some(server) = &server {
            let published = network.http_publish;
            let published = http::publish_address(&settings, published, server.addresses());
            transport.update_local(|local| local.http_address = published);
        }
        let applied = AppliedState::new(settings.get(&node::CLUSTER_NAME));
        let coordination = Coordination::open(
            coordination_config(&settings, &transport, &data),
            Arc::new(TransportPeers(transport.clone())),
            applied.clone(),
        )
        .await?;
        let live_settings = Arc::new(LiveSettings::new(Settings::clone(&settings)));
        let store: Arc<dyn SecurityStore> = Arc::new(ClusterSecurityStore::new(applied.clone()));
        let configured = Arc::clone(&settings);
        let roles_file =
            ringwall_coordination::blocking::spawn(move || http::roles_file(&configured)).await?;
        let facts = audit_facts(&settings, &transport);
        let audit = Audit::start(&settings, home, store.clone(), facts)?.map(Arc::new);
        let trail = audit.as_ref().map(|audit| Arc::clone(audit.trail()));
        if let Some(trail) = &trail {
            filters.watch(trail);
        }
        let authorizer = match settings.get(&security::SECURITY_ENABLED) {
            true => {
                let authorizer = Authorizer::new(store.clone(), Some(roles_file))?;
                match settings.get(&security::ANONYMOUS_AUTHZ_EXCEPTION) {
                    true => authorizer,
                    false => {
                        authorizer.challenging_anonymous(settings.get(&security::TOKEN_ENABLED))
                    }
                }
            }
            false => Authorizer::disabled(store.clone()),
        };
        let authorizer = Arc::new(authorizer.audited(trail.clone()));
        applied.on_settings(follow_settings::follower(Following {
            settings: live_settings.clone(),
            filters,
            breakers: breakers.clone(),
            transport: transport.clone(),
            authorizer: authorizer.clone(),
            audit: audit.clone(),
            coordination: coordination.clone(),
            approval: applied.approval(),
        }));
        let configured = Arc::clone(&settings);
        let http::Authentication {
            authenticator,
            passwords,
            service_tokens,
            realm_tls,
        } = ringwall_coordination::blocking::spawn(move || {
            http::authentication(&configured, http_tls.as_ref(), store)
        })
        .await??;
        let cluster = ClusterService::new(applied, coordination.clone());
        let watched = (data.path().to_owned(), live_settings.clone());
        let disk =
            ringwall_coordination::blocking::spawn(move || Disk::watch(&watched.0, watched.1))
                .await?;
        let disk = disk.map_err(|error| StartError::Environment(error.to_string()))?;
        let services = Arc::new(Services {
            disk,
            shards: Shards::new(data.indices_dir(), cluster.clone()),
            cluster,
            coordination: coordination.clone(),
            transport: transport.clone(),
            pools: pools(&settings),
            breakers,
            indexing_pressure: IndexingPressure::new(
                settings.get(&indices::INDEXING_MEMORY_LIMIT).bytes(),
            ),
            recoveries: RecoverySessions::default(),
            recovery_rate: RecoveryRate::default(),
            recovery_log: RecoveryLog::default(),
            searches: SearchContexts::default(),
            readers: Readers::default(),
            tasks: Tasks::new(transport.local().id.to_string()),
            authorizer: authorizer.clone(),
            audit_place: Place::of(&settings, home),
            audit,
            authenticator: authenticator.clone(),
            passwords,
            service_tokens,
            tls: tls.into_iter().chain(realm_tls).collect(),
            clients: match &server {
                Some(server) => Clients {
                    bound: server.addresses().to_vec(),
                    counts: server.counts(),
                    refusals: server.refusals(),
                },
                None => Clients::none(),
            },
            cluster_name: settings.get(&node::CLUSTER_NAME),
            started_at: begun,
            settings: live_settings,
        });
        transport.set_gate(Arc::new(Members {
            applied: services.cluster.applied().clone(),
            coordination: coordination.clone(),
        }));
        // Reachable before it looks for others: a master asks a joining node back.
        peers::register(&transport, &coordination)?;
        register(&services)?;
        transport.observe(Arc::new(TransportObserver(services.tasks.clone())));
        transport.start();
        coordination.run();
        report_disconnects(&transport, coordination.clone());
        tell_cluster_uuid(&transport, &coordination, trail.clone());
        let stopping = CancellationToken::new();
        let background = TaskTracker::new();
        background.spawn(reconcile::run(services.clone(), stopping.clone()));
        background.spawn(maintenance::run(services.clone(), stopping.clone()));
        background.spawn(scrub::run(services.clone(), stopping.clone()));
        background.spawn(sweep::run(services.clone(), stopping.clone()));
        background.spawn(disk::follow(services.clone(), stopping.clone()));
        background.spawn(first_password::promote(services.clone(), stopping.clone()));
        background.close();
        let actions = ActionRegistry::new(services.clone());
        let client: Arc<dyn Client> = Arc::new(SecuredClient::new(actions, authorizer));
        let http = server.map(|server| server.serve(client.clone(), authenticator, trail));
        tracing::info!(
            node.name = %transport.local().name, node.id = %transport.local().id,
            publish_address = %transport.local().publish_address,
            bound_addresses = ?transport.bound_addresses(), http_addresses = ?addresses_of(http.as_ref()),
            took_ms = begun.elapsed().as_millis() as u64, "started",
        );
        Ok(Self {
            services,
            client,
            http,
            stopping,
            background,
            is_stopped: false,
            _data: data,
        })
    }

    /// Returns what this node tells others about itself.
    pub fn local(&self) -> Arc<NodeIdentity> {
        self.services.transport.local()
    }

    /// Completes when the node has been refused by a cluster, or refuses it; returns why.
    #[doc(hidden)]
    pub async fn not_joined(&self) -> String {
        let mut status = self.services.coordination.status();
        let refused = status.wait_for(|status| status.join_error.is_some()).await;
        refused.map_or_else(
            |_| String::new(),
            |status| status.join_error.clone().unwrap_or_default(),
        )
    }

    /// Returns the way to other nodes, which takes and sends requests without any check of their content.
    #[doc(hidden)]
    pub fn transport(&self) -> &Transport {
        &self.services.transport
    }

    /// Returns the addresses that clients reach the node at.
    pub fn http_addresses(&self) -> &[SocketAddr] {
        addresses_of(self.http.as_ref())
    }

    /// Returns what requests of clients are executed with.
    #[doc(hidden)]
    pub fn client(&self) -> &Arc<dyn Client> {
        &self.client
    }

    /// Returns how many connections there are, by kind: of other nodes accepted and in their handshake, of clients.
    pub fn connections(&self) -> [(&'static str, u64); 3] {
        let counts = self.services.transport.counts();
        [
            ("transport", counts.accepted as u64),
            ("transport handshakes", counts.handshaking as u64),
            ("http", self.services.clients.counts.open()),
        ]
    }

    /// Returns the cluster as this node knows it.
    pub fn cluster(&self) -> &ClusterService {
        &self.services.cluster
    }

    /// Waits until the applied state satisfies a condition. Returns whether it did in time.
    pub async fn wait_until(
        &self,
        timeout: Duration,
        condition: impl Fn(&ClusterState) -> bool,
    ) -> bool {
        self.cluster()
            .applied()
            .wait_for(timeout, |state| condition(state).then_some(()))
            .await
            .is_some()
    }

    /// Completes when the node cannot go on, as when its disk failed; returns why.
    pub async fn failed(&self) -> String {
        let mut status = self.services.coordination.status();
        let failed = status.wait_for(|status| status.failure.is_some()).await;
        match failed {
            Ok(status) => status.failure.clone().unwrap_or_default(),
            Err(_) => "coordination ended".to_owned(),
        }
    }

    /// Returns how long [`Node::stop`] takes at most, whatever hangs: what requests are given, and a little more.
    pub fn longest_stop(&self) -> Duration {
        http::grace_period(&self.services.settings.current()) + STOP_WAIT
    }

    /// Stops in order: no new requests, then what is under way, then the data, then the cluster. What a disk that does
    /// not answer holds up is left behind: it was never acknowledged, or is in the translog.
    pub async fn stop(mut self) {
        tracing::info!("stopping ...");
        let grace = http::grace_period(&self.services.settings.current());
        if let Some(http) = self.http.take() {
            http.shutdown(grace).await;
        }
        let begun = tokio::time::Instant::now();
        let within = async |share: u32, what: &str, step: futures::future::BoxFuture<'_, ()>| {
            let deadline = begun + STOP_WAIT * share / STOP_SHARES;
            if tokio::time::timeout_at(deadline, step).await.is_err() {
                tracing::warn!("stopping without waiting any longer for {what}");
            }
        };
        let services = &self.services;
        self.stopping.cancel();
        services.tasks.cancel_steered("the node stops");
        within(2, "background work", Box::pin(self.background.wait())).await;
        within(5, "the shards", Box::pin(maintenance::close_all(services))).await;
        services.disk.stop();
        let coordination = Box::pin(services.coordination.shutdown());
        within(7, "the cluster state", coordination).await;
        within(8, "other nodes", Box::pin(services.transport.shutdown())).await;
        if let Some(audit) = &services.audit {
            // Last: what was refused until here is told.
            audit.close().await;
        }
        tracing::info!("stopped");
        self.is_stopped = true;
    }
}

impl Drop for Node {
    /// What was not stopped ends as if it were killed: its files are free, nothing more is written to them.
    fn drop(&mut self) {
        if self.is_stopped {
            return;
        }
        self.stopping.cancel();
        let services = &self.services;
        services.disk.stop();
        services.recoveries.abandon();
        services.searches.abandon();
        services.readers.abandon();
        services.shards.abandon();
        services.coordination.abandon();
        if let Some(audit) = &services.audit {
            audit.abandon();
        }
    }
}

/// Returns what events of the audit log may tell of this node.
fn audit_facts(settings: &Settings, transport: &Transport) -> NodeFacts {
    let local = transport.local();
    let (host, _) = local
        .publish_address
        .rsplit_once(':')
        .unwrap_or((&local.publish_address, ""));
    let address = host.trim_matches(['[', ']']).to_owned();
    NodeFacts {
        cluster_name: settings.get(&node::CLUSTER_NAME),
        cluster_uuid: None,
        node_name: local.name.clone(),
        node_id: local.id.to_string(),
        host_name: Some(address.clone()),
        host_address: Some(address),
    }
}

fn addresses_of(server: Option<&ServerHandle>) -> &[SocketAddr] {
    server.map_or(&[], ServerHandle::addresses)
}

/// How long the steps of a stop take at most, after the requests, all together.
const STOP_WAIT: Duration = Duration::from_secs(8);
/// Into how many parts that is divided among the steps.
const STOP_SHARES: u32 = 8;

/// Registers what other nodes may call.
fn register(services: &Arc<Services>) -> Result<(), ringwall_transport::DuplicateAction> {
    acknowledge::register(services)?;
    replication::register(services)?;
    recovery::register(services)?;
    search::register(services)?;
    actions::register_transport(services)
}

fn pools(settings: &Settings) -> Pools {
    let processors = settings.get(&indices::NODE_PROCESSORS).ceil().max(1.0) as usize;
    let queue = settings.get(&indices::WRITE_POOL_QUEUE_SIZE);
    Pools {
        search: Pool::new(
            "search",
            settings.get(&indices::SEARCH_POOL_SIZE),
            settings.get(&indices::SEARCH_POOL_QUEUE_SIZE),
        ),
        write: Pool::new("write", settings.get(&indices::WRITE_POOL_SIZE), queue),
        get: Pool::new("get", processors * 3 / 2 + 1, 1000),
        // Mostly waiting for the disk.
        disk: Pool::new("disk", processors * 4 + 4, queue),
        force_merge: Pool::new("force_merge", (processors / 8).max(1), 1000),
    }
}

/// Loads a TLS context off the I/O threads.
pub(crate) async fn load_tls(
    config: Option<SslConfig>,
    alpn: &'static [&'static str],
) -> Result<Option<Arc<SslContext>>, StartError> {
    let Some(config) = config else {
        return Ok(None);
    };
    let load = move || SslContext::load(config, alpn);
    Ok(Some(ringwall_coordination::blocking::spawn(load).await??))
}

type Context = Option<Arc<SslContext>>;

/// Loads the contexts of the transport and the HTTP layer, or tells everything that is wrong with either.
async fn tls_of_both(settings: &Arc<Settings>) -> Result<(Context, Context), StartError> {
    let loaded = (transport_tls(settings).await, http::tls(settings).await);
    let (transport, http) = match loaded {
        (Ok(transport), Ok(http)) => return Ok((transport, http)),
        (transport, http) => (transport.err(), http.err()),
    };
    let prefixes = [ssl::TRANSPORT_SSL.prefix, ssl::HTTP_SSL.prefix];
    let mut problems = Vec::new();
    let mut first = None;
    for (error, prefix) in [transport, http].into_iter().zip(prefixes) {
        let Some(error) = error else {
            continue;
        };
        let mut found = match &error {
            StartError::SslSettings(_) => Vec::new(),
            StartError::SslFiles(_) => all_of_files(settings, prefix).await?,
            // Nothing of the operator's.
            _ => return Err(error),
        };
        if found.is_empty() {
            found.push(error.to_string());
        }
        problems.extend(found);
        first.get_or_insert(error);
    }
    match first {
        Some(only) if problems.len() == 1 => Err(only),
        _ => Err(StartError::Ssl(problems)),
    }
}

/// Returns what is wrong with a file, and what to do about it.
fn with_remedy(error: &ringwall_tls::SslError) -> String {
    match error.remedy() {
        remedy if remedy.is_empty() => error.to_string(),
        remedy => format!("{error}; {remedy}"),
    }
}

/// Returns what is wrong with the files of a layer, where loading it stops at the first.
async fn all_of_files(
    settings: &Arc<Settings>,
    prefix: &'static str,
) -> Result<Vec<String>, StartError> {
    let Some(config) = SslConfig::from_settings(settings, prefix)? else {
        return Ok(Vec::new());
    };
    let find = move || ringwall_tls::file_problems(&config);
    let found = ringwall_coordination::blocking::spawn(find).await?;
    Ok(found.iter().map(with_remedy).collect())
}

async fn transport_tls(settings: &Arc<Settings>) -> Result<Option<Arc<SslContext>>, StartError> {
    if !settings.get(&security::SECURITY_ENABLED) {
        return Ok(None);
    }
    let config = SslConfig::from_settings(settings, ssl::TRANSPORT_SSL.prefix)?;
    load_tls(config, &["h2"]).await
}

pub(crate) fn watch(settings: &Settings, context: &Arc<SslContext>) {
    if !settings.get(&security::RELOAD_ENABLED) {
        return;
    }
    if let Some(interval) = settings.get(&security::RELOAD_INTERVAL_HIGH).duration() {
        // Ends with the context.
        drop(context.spawn_watcher(interval));
    }
}

/// Returns what the bootstrap checks look at, and locks the memory where that is asked for. Blocks shortly: reads files
/// of the system and of realms.
pub(crate) fn facts(
    settings: &Settings,
    network: &Network,
    tls: bool,
) -> Result<Facts, StartError> {
    let java_options = std::env::var("ES_JAVA_OPTS").unwrap_or_default();
    let profiles = network.profiles.iter();
    let published = profiles
        .filter_map(|profile| profile.publish.as_deref())
        .chain(network.transport_publish.as_deref());
    Ok(Facts {
        addresses: network
            .transport_addresses()
            // A name stands for an address that others reach.
            .chain(published.flat_map(crate::network::resolved))
            .collect(),
        single_node: is_single_node(settings),
        enforced: bootstrap_checks::is_enforced(&java_options).map_err(StartError::Environment)?,
        security_enabled: settings.get(&security::SECURITY_ENABLED),
        transport_tls: tls,
        discovery_configured: seed_hosts::is_configured(settings),
        https: settings.get(&security::SECURITY_ENABLED) && settings.get(&ssl::HTTP_SSL.enabled),
        token_service: settings.get(&security::TOKEN_ENABLED),
        memory_unlocked: settings.get(&node::MEMORY_LOCK) && !is_memory_locked(),
        pki: pki_realms::facts(settings),
        limits: process::limits(),
    })
}

fn is_memory_locked() -> bool {
    let locked = process::lock_memory();
    if let Err(reason) = &locked {
        tracing::warn!("{reason}");
    }
    locked.is_ok()
}

/// Refuses the start where the checks do.
fn run_checks(settings: &Settings, network: &Network, tls: bool) -> Result<(), StartError> {
    let verdict = bootstrap_checks::check(&facts(settings, network, tls)?);
    if let Some(why) = verdict.enforced_because {
        tracing::info!("{why}");
    }
    for warning in &verdict.warnings {
        tracing::warn!("{warning}");
    }
    if !settings.get(&security::SECURITY_ENABLED) {
        tracing::warn!(
            "[xpack.security.enabled] is [false]: who reaches the HTTP or transport address of this node may read \
             and change everything"
        );
    }
    if verdict.failures.is_empty() {
        return Ok(());
    }
    Err(StartError::BootstrapChecks(verdict.failures))
}

/// The addresses of both layers.
pub(crate) struct Network {
    pub(crate) transport: Vec<IpAddr>,
    pub(crate) transport_publish: Option<String>,
    pub(crate) http: Vec<IpAddr>,
    pub(crate) http_publish: Option<String>,
    /// Further listeners of the transport.
    pub(crate) profiles: Vec<ProfileNetwork>,
}

impl Network {
    /// Blocks: resolves names.
    pub(crate) fn resolve(settings: &Settings) -> Result<Self, StartError> {
        let interfaces = Interfaces::of_this_machine();
        let layer = |profile, bind, publish| {
            let bound = interfaces.addresses(&profiles::hosts(settings, profile, bind))?;
            let published =
                interfaces.publish_host(&profiles::hosts(settings, profile, publish))?;
            // Of every address one that others reach is told.
            let is_wild = bound.first().is_some_and(IpAddr::is_unspecified);
            let published = published.or_else(|| interfaces.best().filter(|_| is_wild));
            Ok::<_, StartError>((bound, published))
        };
        let (transport, transport_publish) = layer(
            Some(DEFAULT_PROFILE),
            &network::TRANSPORT_BIND_HOST,
            &network::TRANSPORT_PUBLISH_HOST,
        )?;
        let (http, http_publish) =
            layer(None, &network::HTTP_BIND_HOST, &network::HTTP_PUBLISH_HOST)?;
        Ok(Self {
            transport,
            transport_publish,
            http,
            http_publish,
            profiles: ProfileNetwork::resolve(settings, &interfaces)?,
        })
    }

    /// Returns every address that the transport listens on.
    pub(crate) fn transport_addresses(&self) -> impl Iterator<Item = IpAddr> {
        let further = self.profiles.iter().flat_map(|profile| &profile.bind);
        self.transport.iter().chain(further).copied()
    }

    /// A node that ignores others, and that anybody could talk to as if he were one, talks to its own machine
    /// only.
    fn keep_strangers_out(&mut self, settings: &Settings, tls: bool) {
        let open = self
            .transport_addresses()
            .any(|address| !address.is_loopback());
        let alone = is_single_node(settings) && settings.get(&security::SECURITY_ENABLED);
        if open && alone && !tls {
            tracing::warn!(
                "[discovery.type] is [single-node] and [xpack.security.transport.ssl.enabled] is off: the \
                 transport layer is bound to loopback only"
            );
            let loopback = vec![IpAddr::from([127, 0, 0, 1])];
            for profile in &mut self.profiles {
                profile.bind = loopback.clone();
                profile.publish = None;
            }
            self.transport = loopback;
            self.transport_publish = None;
        }
    }
}

pub(crate) fn is_single_node(settings: &Settings) -> bool {
    settings.get(&cluster::DISCOVERY_TYPE) == DiscoveryType::SingleNode
}

pub(crate) fn identity(settings: &Settings, id: NodeId) -> NodeIdentity {
    let attributes: BTreeMap<String, String> = settings.family(&node::NODE_ATTRIBUTES);
    NodeIdentity {
        id,
        ephemeral_id: random_uuid(),
        name: settings.get(&node::NODE_NAME),
        cluster_name: settings.get(&node::CLUSTER_NAME),
        version: VERSION.to_owned(),
        roles: settings
            .get(&node::NODE_ROLES)
            .iter()
            .map(|role| role.as_str().to_owned())
            .collect(),
        publish_address: String::new(),
        http_address: None,
        cluster_uuid: None,
        attributes,
        key: None,
    }
}

/// Tells other nodes which cluster this one belongs to, from when it does.
fn tell_cluster_uuid(
    transport: &Transport,
    coordination: &Arc<Coordination>,
    trail: Option<Arc<AuditTrail>>,
) {
    let (transport, mut status) = (transport.clone(), coordination.status());
    tokio::spawn(async move {
        let known = status
            .wait_for(|status| status.cluster_uuid.is_some())
            .await;
        if let Ok(uuid) = known.map(|status| status.cluster_uuid.clone()) {
            if let (Some(trail), Some(uuid)) = (trail, &uuid) {
                trail.set_cluster_uuid(uuid.clone());
            }
            transport.update_local(|local| local.cluster_uuid = uuid);
        }
    });
}

fn report_disconnects(transport: &Transport, coordination: Arc<Coordination>) {
    let mut events = transport.events();
    tokio::spawn(async move {
        use tokio::sync::broadcast::error::RecvError;
        loop {
            match events.recv().await {
                Ok(ConnectionEvent::Disconnected { node, .. }) => {
                    coordination.peer_disconnected(node);
                }
                // Missed events are found by the regular checks.
                Ok(ConnectionEvent::Connected(_)) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use ringwall_tls::{KeySource, TrustSource};

    use super::*;

    #[tokio::test]
    async fn files_are_watched_unless_the_settings_say_no() {
        for (enabled, watchers) in [("true", 1), ("false", 0)] {
            let overrides = [("resource.reload.enabled", enabled)];
            let settings = Settings::from_overrides(Path::new("/"), &overrides, None).unwrap();
            let config = SslConfig::new("p", KeySource::None, TrustSource::OwnCertificates);
            let context = SslContext::load(config, &[]).unwrap();
            watch(&settings, &context);
            assert_eq!(Arc::weak_count(&context), watchers, "{enabled}");
        }
    }
}
