//! What the console is told by its settings, in the types that its parts take.

use std::time::Duration;

use ringwall_base::login_throttle::LoginLimits;
use ringwall_base::{SecretString, TimeValue};
use ringwall_settings::console::registry::{self as settings, ConsoleSsl};
use ringwall_settings::console::{ConsoleSettings, Milliseconds};
use ringwall_settings::{ClientAuthentication, VerificationMode};
use ringwall_tls::{ConfiguredPath, KeySource, SslConfig, TrustSource};

/// Everything that the settings decide.
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) server: ServerConfig,
    pub(crate) cluster: ClusterConfig,
    pub(crate) sessions: SessionConfig,
    pub(crate) login: LoginLimits,
}

/// The side of the browsers.
#[derive(Debug, Clone)]
pub(crate) struct ServerConfig {
    pub host: String,
    pub port: u16,
    /// Before the path of every link; empty or `/…` without a slash at its end.
    pub base_path: String,
    /// Whether requests have it, too.
    pub strip_base_path: bool,
    /// `https://host[:port]` of `server.publicBaseUrl`.
    pub public_origin: Option<String>,
    pub max_payload: usize,
    pub socket_timeout: Duration,
    pub max_connections: usize,
    pub tls: Option<SslConfig>,
}

impl ServerConfig {
    /// Returns whether browsers come over HTTPS, here or at a proxy.
    pub fn is_secure(&self) -> bool {
        let public = self.public_origin.as_ref();
        self.tls.is_some() || public.is_some_and(|origin| origin.starts_with("https://"))
    }
}

/// The side of the cluster.
#[derive(Debug, Clone)]
pub(crate) struct ClusterConfig {
    /// Base URLs, at least one.
    pub hosts: Vec<String>,
    /// Where a host has `https`.
    pub tls: Option<SslConfig>,
    /// The `Authorization` header of the console's own account, and what the account is called.
    pub account: Option<(String, SecretString)>,
    pub timeout: Duration,
    pub max_connections: usize,
    pub max_answer: usize,
}

impl ClusterConfig {
    /// Returns whether anybody could pretend to be the cluster.
    pub fn is_unverified(&self) -> bool {
        let tls = self.tls.as_ref();
        tls.is_some_and(|tls| tls.verification_mode == VerificationMode::None)
    }
}

/// How long logins last, and how many there are; `None` is for ever.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SessionConfig {
    pub idle: Option<Duration>,
    pub lifespan: Option<Duration>,
    pub max: usize,
}

impl Config {
    /// Returns what the settings say; reads no file.
    pub fn from_settings(given: &ConsoleSettings) -> Self {
        let free_failures = given.get(&settings::LOGIN_FREE_FAILURES) as u32;
        let Milliseconds(socket_timeout) = given.get(&settings::SERVER_SOCKET_TIMEOUT);
        let base_path = given.get(&settings::SERVER_BASE_PATH).unwrap_or_default();
        let public = given.get(&settings::SERVER_PUBLIC_BASE_URL);
        let origin = public.map(|url| url.strip_suffix(&base_path).unwrap_or(&url).to_owned());
        let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        Self {
            server: ServerConfig {
                host: given.get(&settings::SERVER_HOST),
                // Invariant: the setting has this bound.
                port: given.get(&settings::SERVER_PORT) as u16,
                strip_base_path: given.get(&settings::SERVER_REWRITE_BASE_PATH),
                base_path,
                public_origin: origin,
                max_payload: bytes(given.get(&settings::SERVER_MAX_PAYLOAD).bytes()),
                socket_timeout,
                max_connections: given.get(&settings::SERVER_MAX_CONNECTIONS),
                tls: given
                    .get(&settings::SERVER_SSL_ENABLED)
                    .then(|| server_tls(given)),
            },
            cluster: cluster(given),
            sessions: SessionConfig {
                idle: given.get(&settings::SESSION_IDLE).duration(),
                lifespan: given.get(&settings::SESSION_LIFESPAN).duration(),
                max: given.get(&settings::MAX_SESSIONS),
            },
            login: LoginLimits {
                free_failures,
                free_of_address: free_failures.saturating_mul(4),
                max_wait: wait(given.get(&settings::LOGIN_MAX_WAIT)),
            },
        }
    }
}

fn cluster(given: &ConsoleSettings) -> ClusterConfig {
    let hosts: Vec<String> = given.get(&settings::HOSTS);
    let is_secure = hosts.iter().any(|url| url.starts_with("https://"));
    let Milliseconds(timeout) = given.get(&settings::REQUEST_TIMEOUT);
    let max_answer = given.get(&settings::MAX_RESPONSE).bytes();
    ClusterConfig {
        tls: is_secure.then(|| cluster_tls(given)),
        hosts,
        account: account(given),
        timeout,
        max_connections: given.get(&settings::MAX_REQUESTS),
        max_answer: usize::try_from(max_answer).unwrap_or(usize::MAX),
    }
}

fn account(given: &ConsoleSettings) -> Option<(String, SecretString)> {
    if let Some(token) = given.secret(&settings::SERVICE_ACCOUNT_TOKEN) {
        let header = SecretString::new(format!("Bearer {}", token.expose()));
        let name = format!("the token of [{}]", settings::SERVICE_ACCOUNT_TOKEN.key());
        return Some((name, header));
    }
    let user = given.get(&settings::USERNAME)?;
    let password = given.secret(&settings::PASSWORD)?;
    let header = crate::cluster::basic(&user, &password);
    Some((
        format!("the user [{user}] of [{}]", settings::USERNAME.key()),
        header,
    ))
}

fn wait(time: TimeValue) -> Duration {
    // Without an end, a day is as good.
    time.duration().unwrap_or(Duration::from_secs(86_400))
}

fn server_tls(given: &ConsoleSettings) -> SslConfig {
    SslConfig {
        client_authentication: given.get(&settings::SERVER_SSL_CLIENT_AUTHENTICATION),
        protocols: given.get(&settings::SERVER_SSL_PROTOCOLS),
        ..with_suites(given, side(given, &settings::SERVER_SSL))
    }
}

fn with_suites(given: &ConsoleSettings, config: SslConfig) -> SslConfig {
    match given.get(&settings::SERVER_SSL_CIPHER_SUITES) {
        suites if suites.is_empty() => config,
        cipher_suites => SslConfig {
            cipher_suites,
            ..config
        },
    }
}

fn cluster_tls(given: &ConsoleSettings) -> SslConfig {
    SslConfig {
        verification_mode: given.get(&settings::VERIFICATION_MODE),
        client_authentication: ClientAuthentication::None,
        ..side(given, &settings::ELASTICSEARCH_SSL)
    }
}

/// Returns the key and the trust of one side.
fn side(given: &ConsoleSettings, ssl: &ConsoleSsl) -> SslConfig {
    let path = |written: String| ConfiguredPath::new(written, given.config_dir());
    let file = |setting| {
        let written: Option<std::path::PathBuf> = given.get(setting);
        written.map(|written| path(written.display().to_string()))
    };
    let key = match (file(&ssl.certificate), file(&ssl.key)) {
        (Some(certificate), Some(key)) => KeySource::Pem {
            key,
            passphrase: given.secret(&ssl.key_passphrase),
            certificate,
        },
        _ => match file(&ssl.keystore_path) {
            Some(path) => KeySource::Keystore {
                path,
                password: given.secret(&ssl.keystore_password).unwrap_or_default(),
                key_password: None,
            },
            None => KeySource::None,
        },
    };
    let authorities: Vec<String> = given.get(&ssl.certificate_authorities);
    let trust = match file(&ssl.truststore_path) {
        Some(path) => TrustSource::Truststore {
            path,
            password: given.secret(&ssl.truststore_password).unwrap_or_default(),
        },
        None if authorities.is_empty() => TrustSource::OwnCertificates,
        None => TrustSource::Pem(authorities.into_iter().map(path).collect()),
    };
    SslConfig::new(ssl.prefix, key, trust)
}

#[cfg(test)]
mod tests;
