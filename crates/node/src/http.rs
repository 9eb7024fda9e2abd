//! The HTTP layer of the node: its settings, and who is let in.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::Duration;

use ringwall_base::ByteSizeValue;
use ringwall_rest::{Cors, CorsSettings, RestConfig};
use ringwall_security::files::{RolesFile, ServiceTokensFile, Watched};
use ringwall_security::{
    AnonymousAccess, Authenticator, AuthenticatorConfig, FileRealm, HashPool, HashPoolConfig,
    Hasher, PasswordRealm, PasswordService, SecurityStore,
};
use ringwall_settings::realms::{self, Realm, RealmType};
use ringwall_settings::registry::{network, node, security, ssl};
use ringwall_settings::{Setting, Settings};
use ringwall_tls::{SslConfig, SslContext};
use ringwall_transport::outward_ip;
use tokio::time::MissedTickBehavior;

use crate::node::{StartError, load_tls};
use crate::pki_realms;
use crate::process::{Share, connections_within};

/// Loads the HTTP layer's TLS context, if it has one.
pub async fn tls(settings: &Arc<Settings>) -> Result<Option<Arc<SslContext>>, StartError> {
    if !settings.get(&security::SECURITY_ENABLED) {
        return Ok(None);
    }
    let config = SslConfig::from_settings(settings, ssl::HTTP_SSL.prefix)?;
    load_tls(config, &["h2", "http/1.1"]).await
}

/// Returns who may use the node from a browser.
fn cors(settings: &Settings) -> Result<Option<Cors>, StartError> {
    if !settings.get(&network::CORS_ENABLED) {
        return Ok(None);
    }
    let max_age = settings.get(&network::CORS_MAX_AGE);
    let cors = Cors::new(&CorsSettings {
        allow_origin: settings.get(&network::CORS_ALLOW_ORIGIN),
        allow_methods: settings.get(&network::CORS_ALLOW_METHODS),
        allow_headers: settings.get(&network::CORS_ALLOW_HEADERS),
        expose_headers: settings.get(&network::CORS_EXPOSE_HEADERS),
        allow_credentials: settings.get(&network::CORS_ALLOW_CREDENTIALS),
        max_age: Duration::from_secs(max_age as u64),
    });
    cors.map(Some).map_err(StartError::Setting)
}

/// Returns the server's configuration.
///
/// # Errors
/// The settings of `http.cors` contradict each other.
pub fn config(
    settings: &Settings,
    addresses: Vec<IpAddr>,
    tls: Option<Arc<SslContext>>,
) -> Result<RestConfig, StartError> {
    let ports = settings.get(&network::HTTP_PORT);
    let defaults = RestConfig::default();
    let bytes = |setting: &'static Setting<ByteSizeValue>| {
        usize::try_from(settings.get(setting).bytes()).unwrap_or(usize::MAX)
    };
    Ok(RestConfig {
        cors: cors(settings)?,
        name_math: ringwall_search::resolve_index_name,
        hsts: duration(settings, &network::HTTP_HSTS_MAX_AGE).filter(|age| !age.is_zero()),
        warn_of_no_security: !settings.get(&security::SECURITY_ENABLED),
        addresses,
        ports: ports.first..=ports.last,
        max_content_values: settings.get(&network::HTTP_MAX_CONTENT_VALUES) as u64,
        max_content_length: settings.get(&network::HTTP_MAX_CONTENT_LENGTH).bytes(),
        // As with Elasticsearch: off by default with TLS, where it would help an eavesdropper guess.
        compression: settings
            .get(&network::HTTP_COMPRESSION)
            .unwrap_or(tls.is_none()),
        tls,
        max_header_bytes: bytes(&network::HTTP_MAX_HEADER_SIZE),
        max_line_bytes: bytes(&network::HTTP_MAX_INITIAL_LINE_LENGTH),
        max_connections: connections_within(
            network::HTTP_MAX_CONNECTIONS.key(),
            settings.get(&network::HTTP_MAX_CONNECTIONS),
            Share::Clients,
        ),
        handshake_timeout: duration(settings, &network::HTTP_HANDSHAKE_TIMEOUT)
            .unwrap_or(defaults.handshake_timeout),
        header_timeout: duration(settings, &network::HTTP_HEADER_TIMEOUT)
            .unwrap_or(defaults.header_timeout),
        idle_timeout: duration(settings, &network::HTTP_IDLE_TIMEOUT)
            .unwrap_or(defaults.idle_timeout),
        body_timeout: duration(settings, &network::HTTP_BODY_TIMEOUT)
            .unwrap_or(defaults.body_timeout),
        max_discarded: settings.get(&network::HTTP_DISCARD_LIMIT).bytes(),
        discard_timeout: duration(settings, &network::HTTP_DISCARD_TIMEOUT)
            .unwrap_or(defaults.discard_timeout),
        distrust_grace: duration(settings, &network::HTTP_DISTRUST_GRACE)
            .unwrap_or(defaults.distrust_grace),
        refusal_interval: duration(settings, &security::REFUSAL_LOG_INTERVAL)
            .unwrap_or(defaults.refusal_interval),
        ..defaults
    })
}

/// How long requests may go on when the node stops.
pub fn grace_period(settings: &Settings) -> Duration {
    duration(settings, &network::HTTP_SHUTDOWN_GRACE_PERIOD).unwrap_or_default()
}

fn duration(
    settings: &Settings,
    setting: &'static ringwall_settings::Setting<ringwall_base::TimeValue>,
) -> Option<Duration> {
    settings.get(setting).duration()
}

/// Returns the address that clients are told, as `host:port`.
pub fn publish_address(
    settings: &Settings,
    published: Option<String>,
    bound: &[SocketAddr],
) -> Option<String> {
    let first = bound.first()?;
    let port = settings
        .get(&network::HTTP_PUBLISH_PORT)
        .0
        .unwrap_or(first.port());
    let host = match published {
        Some(host) => host,
        // Every address is bound: one that others reach is told.
        None if first.ip().is_unspecified() => outward_ip().to_string(),
        None => first.ip().to_string(),
    };
    let host = match host.contains(':') && !host.starts_with('[') {
        true => format!("[{host}]"),
        false => host,
    };
    Some(format!("{host}:{port}"))
}

/// Opens the realms of users with passwords in their order, and looks for changes of their files from then on.
fn password_realms(settings: &Settings) -> Vec<PasswordRealm> {
    let realms = realms::chain(settings).into_iter();
    realms
        .filter_map(|Realm { realm_type, name }| match realm_type {
            RealmType::File => {
                let realm = Arc::new(FileRealm::open(name, settings.config_dir()));
                poll(settings, &realm, FileRealm::poll);
                Some(PasswordRealm::File(realm))
            }
            RealmType::Native => Some(PasswordRealm::Native { name }),
            RealmType::Pki => None,
        })
        .collect()
}

/// Opens the file of service account tokens, and looks for changes of it from then on.
fn service_tokens(settings: &Settings) -> Arc<Watched<ServiceTokensFile>> {
    let path = settings.config_path("service_tokens");
    let tokens = Arc::new(Watched::open(path, |text| {
        Ok(ServiceTokensFile::parse(text))
    }));
    poll(settings, &tokens, |tokens| {
        tokens.poll();
    });
    tokens
}

/// Opens `roles.yml`, and looks for changes of it from then on. Blocking.
pub fn roles_file(settings: &Settings) -> Arc<Watched<RolesFile>> {
    let path = settings.config_path("roles.yml");
    let roles = Arc::new(Watched::open(path, RolesFile::parse));
    poll(settings, &roles, |roles| {
        roles.poll();
    });
    roles
}

/// Looks at files again and again, for as long as what holds them lives.
pub(crate) fn poll<T: Send + Sync + 'static>(settings: &Settings, watched: &Arc<T>, look: fn(&T)) {
    let interval = duration(settings, &security::RELOAD_INTERVAL_HIGH);
    if let (true, Some(interval)) = (settings.get(&security::RELOAD_ENABLED), interval) {
        tokio::spawn(poll_forever(Arc::downgrade(watched), look, interval));
    }
}

/// Ends with what it watches.
async fn poll_forever<T: Send + Sync + 'static>(
    watched: Weak<T>,
    look: fn(&T),
    interval: Duration,
) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(watched) = watched.upgrade() else {
            return;
        };
        if let Err(error) = ringwall_coordination::blocking::spawn(move || look(&watched)).await {
            // Only a panic or a runtime shutting down gets here.
            tracing::error!(%error, "reading the files of realms and tokens failed");
        }
    }
}

/// Returns who comes without credentials, if anybody may.
fn anonymous(settings: &Settings) -> Option<AnonymousAccess> {
    let roles = settings.get(&security::ANONYMOUS_ROLES);
    if roles.is_empty() {
        return None;
    }
    let username = settings.get(&security::ANONYMOUS_USERNAME);
    tracing::warn!(user.name = username, user.roles = ?roles, "requests without credentials are let in as this user");
    Some(AnonymousAccess { username, roles })
}

/// Who checks credentials, and what else the actions need of it.
pub struct Authentication {
    pub authenticator: Arc<Authenticator>,
    pub passwords: PasswordService,
    /// `None` when security is off.
    pub service_tokens: Option<Arc<Watched<ServiceTokensFile>>>,
    /// The contexts that realms have beside those of the layers.
    pub realm_tls: Vec<Arc<SslContext>>,
}

/// Returns who checks credentials, and who hashes new ones. Blocking: reads the files of realms.
pub fn authentication(
    settings: &Settings,
    https: Option<&Arc<SslContext>>,
    store: Arc<dyn SecurityStore>,
) -> Result<Authentication, StartError> {
    let algorithm = settings.get(&security::PASSWORD_HASHING_ALGORITHM);
    let hasher = Hasher::from_setting(&algorithm)?;
    let pool_config = HashPoolConfig::default();
    let pool = HashPool::new(pool_config);
    let passwords = PasswordService::new(hasher, pool.clone());
    if !settings.get(&security::SECURITY_ENABLED) {
        return Ok(Authentication {
            authenticator: Arc::new(Authenticator::disabled()),
            passwords,
            service_tokens: None,
            realm_tls: Vec::new(),
        });
    }
    let defaults = AuthenticatorConfig::default();
    let cache_ttl = match settings.get(&security::SUCCESS_CACHE_ENABLED) {
        true => duration(settings, &security::SUCCESS_CACHE_EXPIRE).unwrap_or(defaults.cache_ttl),
        false => Duration::ZERO,
    };
    let service_tokens = service_tokens(settings);
    let pki = pki_realms::open(settings, https)?;
    let config = AuthenticatorConfig {
        hasher,
        cache_ttl,
        cache_max_users: settings.get(&security::SUCCESS_CACHE_SIZE) as u64,
        pool: pool_config,
        bootstrap_password: settings
            .secret(&security::BOOTSTRAP_PASSWORD)
            .or_else(|| settings.secret(&node::KEYSTORE_SEED)),
        autoconfiguration_hash: settings.secret(&security::AUTOCONFIGURATION_PASSWORD_HASH),
        password_realms: password_realms(settings),
        pki_realms: pki.realms,
        service_tokens: Some(service_tokens.clone()),
        api_keys: settings.get(&security::API_KEY_ENABLED),
        run_as: settings.get(&security::RUN_AS_ENABLED),
        tokens: settings.get(&security::TOKEN_ENABLED),
        anonymous: anonymous(settings),
    };
    let authenticator = Authenticator::with_pool(store, config, pool);
    Ok(Authentication {
        authenticator: Arc::new(authenticator),
        passwords,
        service_tokens: Some(service_tokens),
        realm_tls: pki.tls,
    })
}
