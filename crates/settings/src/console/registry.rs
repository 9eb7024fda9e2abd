//! Every setting of the console. Source: Kibana reference, "Configure Kibana" and "Security settings in Kibana".

use std::path::PathBuf;

use ringwall_base::{ByteSizeValue, SecretString, TimeValue};

use super::{ConsoleSettings, Milliseconds};
use crate::problem::{Problem, Problems};
use crate::raw::Source;
use crate::setting::{Setting, SettingSpec};
use crate::types::{ClientAuthentication, VerificationMode};

pub static SERVER_HOST: Setting<String> = Setting::new(
    "server.host",
    "The address or name to listen on. `0.0.0.0` is every address of this machine.",
)
.default("localhost")
.example("0.0.0.0");

pub static SERVER_PORT: Setting<usize> = Setting::new(
    "server.port",
    "The port to listen on; `0` leaves it to the system.",
)
.default("5601")
.between(0, 65_535);

pub static SERVER_BASE_PATH: Setting<Option<String>> = Setting::new(
    "server.basePath",
    "What the path of every page begins with, behind a proxy. Begins with a slash and does not end with one.",
)
.example("/kibana");

pub static SERVER_REWRITE_BASE_PATH: Setting<bool> = Setting::new(
    "server.rewriteBasePath",
    "Whether requests arrive with `server.basePath`, which is then taken off here and not by the proxy.",
)
.default("false");

pub static SERVER_PUBLIC_BASE_URL: Setting<Option<String>> = Setting::new(
    "server.publicBaseUrl",
    "Where browsers find the console, with `server.basePath`. Forms are taken from pages of this origin only; not set: \
     of the host that the request names.",
)
.example("https://console.example.com");

pub static SERVER_MAX_PAYLOAD: Setting<ByteSizeValue> =
    Setting::new("server.maxPayload", "The largest body of a request.").default("1048576b");

pub static SERVER_SOCKET_TIMEOUT: Setting<Milliseconds> = Setting::new(
    "server.socketTimeout",
    "How long the head or the body of a request, and a TLS handshake, may take, and how long a connection may be \
     without a request.",
)
.default("120000")
.at_least(1);

pub static SERVER_MAX_CONNECTIONS: Setting<usize> = Setting::new(
    "server.maxConnections",
    "Connections of browsers at once. For one more, the one that has waited longest for its browser is closed.",
)
.default("256")
.between(1, 100_000)
.ours();

pub static HOSTS: Setting<Vec<String>> = Setting::new(
    "elasticsearch.hosts",
    "The nodes of the cluster, by URL. A node that cannot be reached is passed over for the next.",
)
.default("http://localhost:9200")
.example("[ \"https://es01:9200\" ]");

pub static USERNAME: Setting<Option<String>> = Setting::new(
    "elasticsearch.username",
    "The user by which the console asks, at its start and for the login page, whether the cluster can be used. No page \
     is made with its rights. Not set: what needs no user is asked.",
)
.example("kibana_system");

pub static PASSWORD: Setting<Option<SecretString>> =
    Setting::new("elasticsearch.password", "The password of that user.").filtered();

pub static SERVICE_ACCOUNT_TOKEN: Setting<Option<SecretString>> = Setting::new(
    "elasticsearch.serviceAccountToken",
    "A token of the service account `elastic/kibana`, instead of a user and password.",
)
.filtered();

pub static REQUEST_TIMEOUT: Setting<Milliseconds> = Setting::new(
    "elasticsearch.requestTimeout",
    "How long the cluster may take for an answer.",
)
.default("30000")
.at_least(1);

pub static MAX_REQUESTS: Setting<usize> = Setting::new(
    "elasticsearch.maxSockets",
    "Connections to the cluster at once; a request more waits for one.",
)
.default("16")
.between(1, 10_000);

pub static MAX_RESPONSE: Setting<ByteSizeValue> = Setting::new(
    "elasticsearch.maxResponseSize",
    "The largest answer of the cluster that is read.",
)
.default("8mb")
.at_least(1);

pub static SESSION_IDLE: Setting<TimeValue> = Setting::new(
    "xpack.security.session.idleTimeout",
    "How long a login lasts without a request.",
)
.default("8h")
.at_least(1);

pub static SESSION_LIFESPAN: Setting<TimeValue> = Setting::new(
    "xpack.security.session.lifespan",
    "How long a login lasts at most.",
)
.default("30d")
.at_least(1);

pub static MAX_SESSIONS: Setting<usize> = Setting::new(
    "xpack.security.session.maxSessions",
    "Logins at once. One more ends the one that was used least recently.",
)
.default("1000")
.between(1, 1_000_000)
.ours();

pub static LOGIN_FREE_FAILURES: Setting<usize> = Setting::new(
    "xpack.security.login.freeFailures",
    "Failed logins of a name from one address after which each further try has to wait, twice as long each time; the \
     address alone has four times as many.",
)
.default("5")
.between(1, 1000)
.ours();

pub static LOGIN_MAX_WAIT: Setting<TimeValue> = Setting::new(
    "xpack.security.login.maxWait",
    "How long such a wait is at most.",
)
.default("5m")
.at_least(1)
.ours();

/// The settings of TLS on one side.
#[derive(Debug)]
pub struct ConsoleSsl {
    /// `server.ssl` or `elasticsearch.ssl`.
    pub prefix: &'static str,
    pub certificate: Setting<Option<PathBuf>>,
    pub key: Setting<Option<PathBuf>>,
    pub key_passphrase: Setting<Option<SecretString>>,
    pub keystore_path: Setting<Option<PathBuf>>,
    pub keystore_password: Setting<Option<SecretString>>,
    pub certificate_authorities: Setting<Vec<String>>,
    pub truststore_path: Setting<Option<PathBuf>>,
    pub truststore_password: Setting<Option<SecretString>>,
}

pub static SERVER_SSL: ConsoleSsl = console_ssl!("server.ssl");
pub static ELASTICSEARCH_SSL: ConsoleSsl = console_ssl!("elasticsearch.ssl");

pub static SERVER_SSL_ENABLED: Setting<bool> = Setting::new(
    "server.ssl.enabled",
    "Whether browsers talk HTTPS with the console.",
)
.default("false")
.example("true");

pub static SERVER_SSL_CLIENT_AUTHENTICATION: Setting<ClientAuthentication> = Setting::new(
    "server.ssl.clientAuthentication",
    "Whether browsers must show a certificate of `server.ssl.certificateAuthorities`; it opens the connection and logs \
     nobody in.",
)
.default("none")
.example("required");

pub static SERVER_SSL_PROTOCOLS: Setting<Vec<String>> = Setting::new(
    "server.ssl.supportedProtocols",
    "The versions of TLS that browsers may use.",
)
.default("TLSv1.2, TLSv1.3")
.example("[ TLSv1.3 ]");

pub static SERVER_SSL_CIPHER_SUITES: Setting<Vec<String>> = Setting::new(
    "server.ssl.cipherSuites",
    "Cipher suites by IANA name, most preferred first. Not set: all that are supported, strongest first.",
)
.example("[ TLS_AES_256_GCM_SHA384 ]");

pub static VERIFICATION_MODE: Setting<VerificationMode> = Setting::new(
    "elasticsearch.ssl.verificationMode",
    "How the certificate of a node is verified: `full` with its name, `certificate` without, `none` not at all, which \
     every page then warns of.",
)
.default("full")
.example("certificate");

/// All settings, in the order of the reference.
static ALL: &[&dyn SettingSpec] = &[
    &SERVER_HOST,
    &SERVER_PORT,
    &SERVER_BASE_PATH,
    &SERVER_REWRITE_BASE_PATH,
    &SERVER_PUBLIC_BASE_URL,
    &SERVER_MAX_PAYLOAD,
    &SERVER_SOCKET_TIMEOUT,
    &SERVER_MAX_CONNECTIONS,
    &SERVER_SSL_ENABLED,
    &SERVER_SSL.certificate,
    &SERVER_SSL.key,
    &SERVER_SSL.key_passphrase,
    &SERVER_SSL.keystore_path,
    &SERVER_SSL.keystore_password,
    &SERVER_SSL.certificate_authorities,
    &SERVER_SSL.truststore_path,
    &SERVER_SSL.truststore_password,
    &SERVER_SSL_CLIENT_AUTHENTICATION,
    &SERVER_SSL_PROTOCOLS,
    &SERVER_SSL_CIPHER_SUITES,
    &HOSTS,
    &USERNAME,
    &PASSWORD,
    &SERVICE_ACCOUNT_TOKEN,
    &REQUEST_TIMEOUT,
    &MAX_REQUESTS,
    &MAX_RESPONSE,
    &VERIFICATION_MODE,
    &ELASTICSEARCH_SSL.certificate_authorities,
    &ELASTICSEARCH_SSL.truststore_path,
    &ELASTICSEARCH_SSL.truststore_password,
    &ELASTICSEARCH_SSL.certificate,
    &ELASTICSEARCH_SSL.key,
    &ELASTICSEARCH_SSL.key_passphrase,
    &ELASTICSEARCH_SSL.keystore_path,
    &ELASTICSEARCH_SSL.keystore_password,
    &SESSION_IDLE,
    &SESSION_LIFESPAN,
    &MAX_SESSIONS,
    &LOGIN_FREE_FAILURES,
    &LOGIN_MAX_WAIT,
];

/// Settings of Kibana that are refused, with the reason; also all below such a name.
pub(crate) const NOT_HERE: &[(&str, &str)] = &[
    (
        "elasticsearch.ssl.alwaysPresentCertificate",
        "the console shows its certificate on every connection, and every request on it names its user",
    ),
    (
        "elasticsearch.ssl.caTrustedFingerprint",
        "name the CA in [elasticsearch.ssl.certificateAuthorities]",
    ),
    (
        "elasticsearch.requestHeadersWhitelist",
        "the console passes on no header of the browser",
    ),
    (
        "elasticsearch.customHeaders",
        "the console adds no header of its own",
    ),
    (
        "elasticsearch.sniffOnStart",
        "name the nodes in [elasticsearch.hosts]",
    ),
    (
        "server.ssl.redirectHttpFromPort",
        "the console listens on one port; a browser that talks HTTP to it is told the right address",
    ),
    (
        "server.securityResponseHeaders",
        "the console sends the strictest headers always",
    ),
    (
        "xpack.security.authc",
        "there is one way to log in, by a form with a name and password of the cluster",
    ),
    (
        "xpack.security.encryptionKey",
        "sessions are kept in the memory of the console, and end with it",
    ),
    (
        "xpack.encryptedSavedObjects",
        "the console saves nothing in the cluster",
    ),
    ("xpack.reporting", "the console makes no reports"),
    ("logging", "the console logs to standard error"),
];

/// Returns every setting.
pub fn all() -> impl Iterator<Item = &'static dyn SettingSpec> {
    ALL.iter().copied()
}

/// Returns the setting of a key.
pub fn find(key: &str) -> Option<&'static dyn SettingSpec> {
    all().find(|spec| spec.info().key == key)
}

/// Checks what no setting can check alone.
pub(super) fn check_rules(settings: &ConsoleSettings, problems: &mut Problems) {
    let mut conflict = |key: &str, reason: String| {
        let at = settings.source_of(key).unwrap_or(Source::CommandLine);
        problems.push(Problem::Conflict { at, reason });
    };
    for ssl in [&SERVER_SSL, &ELASTICSEARCH_SSL] {
        let is_set = |key: &str| settings.is_set(key);
        let (certificate, key) = (ssl.certificate.key(), ssl.key.key());
        for (given, missing) in [(certificate, key), (key, certificate)] {
            if is_set(given) && !is_set(missing) {
                let reason = format!("cannot specify [{given}] without also setting [{missing}]");
                conflict(given, reason);
            }
        }
        let authorities = ssl.certificate_authorities.key();
        let pairs = [
            (certificate, ssl.keystore_path.key()),
            (authorities, ssl.truststore_path.key()),
        ];
        for (first, second) in pairs {
            if is_set(first) && is_set(second) {
                let reason = format!("cannot specify both [{first}] and [{second}]; remove one");
                conflict(second, reason);
            }
        }
        let needed = [
            (ssl.key_passphrase.key(), key),
            (ssl.keystore_password.key(), ssl.keystore_path.key()),
            (ssl.truststore_password.key(), ssl.truststore_path.key()),
        ];
        for (given, missing) in needed {
            if is_set(given) && !is_set(missing) {
                conflict(given, format!("[{given}] is of no use without [{missing}]"));
            }
        }
    }
    let has_key =
        settings.is_set("server.ssl.certificate") || settings.is_set("server.ssl.keystore.path");
    if settings.get(&SERVER_SSL_ENABLED) && !has_key {
        let reason = "[server.ssl.enabled] requires [server.ssl.certificate] and [server.ssl.key], or \
                      [server.ssl.keystore.path]";
        conflict("server.ssl.enabled", reason.to_owned());
    }
    let left_over = settings
        .keys_with_prefix("server.ssl.")
        .into_iter()
        .find(|key| *key != SERVER_SSL_ENABLED.key());
    if let (false, Some(key)) = (settings.get(&SERVER_SSL_ENABLED), left_over) {
        let reason = format!("[{key}] is of no use without [server.ssl.enabled: true]");
        conflict(key, reason);
    }
    account_rules(settings, &mut conflict);
    place_rules(settings, &mut conflict);
    host_rules(settings, &mut conflict);
}

fn account_rules(settings: &ConsoleSettings, conflict: &mut impl FnMut(&str, String)) {
    let (user, password) = (USERNAME.key(), PASSWORD.key());
    let token = SERVICE_ACCOUNT_TOKEN.key();
    if settings.is_set(user) && settings.is_set(token) {
        conflict(
            token,
            format!("cannot specify both [{user}] and [{token}]; remove one"),
        );
    }
    for (given, missing) in [(user, password), (password, user)] {
        if settings.is_set(given) && !settings.is_set(missing) {
            conflict(
                given,
                format!("cannot specify [{given}] without also setting [{missing}]"),
            );
        }
    }
    if settings.get(&USERNAME).as_deref() == Some("elastic") {
        conflict(
            user,
            format!(
                "[{user}]: value of \"elastic\" is forbidden. This is a superuser account that can obfuscate \
                 privilege-related issues. You should use the \"kibana_system\" user, or a token of its service account \
                 in [{token}]"
            ),
        );
    }
}

fn place_rules(settings: &ConsoleSettings, conflict: &mut impl FnMut(&str, String)) {
    let base = settings.get(&SERVER_BASE_PATH).unwrap_or_default();
    let is_clean = |c: char| c.is_ascii_alphanumeric() || "/-_.~".contains(c);
    let is_base = base.starts_with('/') && !base.ends_with('/') && !base.starts_with("//");
    let is_valid = base.is_empty() || is_base && base.chars().all(is_clean);
    if !is_valid {
        conflict(
            SERVER_BASE_PATH.key(),
            "[server.basePath] must begin with a slash, not end with one, and be of letters, digits and - _ . ~ /"
                .to_owned(),
        );
    }
    if settings.get(&SERVER_REWRITE_BASE_PATH) && base.is_empty() {
        conflict(
            SERVER_REWRITE_BASE_PATH.key(),
            "cannot specify [server.rewriteBasePath] without also setting [server.basePath]"
                .to_owned(),
        );
    }
    if let Some(url) = settings.get(&SERVER_PUBLIC_BASE_URL) {
        let rest = url
            .strip_prefix("https://")
            .or_else(|| url.strip_prefix("http://"));
        let ends_well = rest.is_some_and(|rest| {
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            !host.is_empty() && path == base
        });
        if !ends_well {
            conflict(
                SERVER_PUBLIC_BASE_URL.key(),
                "[server.publicBaseUrl] must be https://HOST or http://HOST, with [server.basePath] at its end"
                    .to_owned(),
            );
        }
    }
}

fn host_rules(settings: &ConsoleSettings, conflict: &mut impl FnMut(&str, String)) {
    let hosts = settings.get(&HOSTS);
    let key = HOSTS.key();
    if hosts.is_empty() {
        conflict(key, format!("[{key}] must name a node"));
    }
    let known = |url: &String| url.starts_with("https://") || url.starts_with("http://");
    // Not repeated: there may be a password in it.
    if !hosts.iter().all(known) {
        conflict(
            key,
            format!("[{key}] must be URLs such as https://es01:9200"),
        );
    }
    let is_secure = hosts.iter().any(|url| url.starts_with("https://"));
    let ssl = &ELASTICSEARCH_SSL;
    let trusts = settings.is_set(ssl.certificate_authorities.key())
        || settings.is_set(ssl.truststore_path.key())
        || settings.is_set(ssl.keystore_path.key());
    if is_secure && !trusts && settings.get(&VERIFICATION_MODE) != VerificationMode::None {
        conflict(
            key,
            "an https node in [elasticsearch.hosts] needs a CA to be verified by: set \
             [elasticsearch.ssl.certificateAuthorities], for example to the kibana/elasticsearch-ca.pem that \
             `elasticsearch-certutil http` made; public CAs are never trusted"
                .to_owned(),
        );
    }
    if let Some(first) = settings.keys_with_prefix("elasticsearch.ssl.").first()
        && !is_secure
    {
        conflict(
            first,
            format!("[{first}] is of no use: no node in [{key}] has an https URL"),
        );
    }
}

macro_rules! console_ssl {
    ($prefix:literal) => {
        ConsoleSsl {
            prefix: $prefix,
            certificate: Setting::new(
                concat!($prefix, ".certificate"),
                "PEM file with the certificate of this side, followed by its chain.",
            )
            .example("certs/kibana-server.crt")
            .reloadable(),
            key: Setting::new(
                concat!($prefix, ".key"),
                "PEM file with the key of that certificate.",
            )
            .example("certs/kibana-server.key")
            .reloadable(),
            key_passphrase: Setting::new(
                concat!($prefix, ".keyPassphrase"),
                "Passphrase of the PEM key.",
            )
            .filtered(),
            keystore_path: Setting::new(
                concat!($prefix, ".keystore.path"),
                "PKCS#12 file with key and certificate, instead of PEM files.",
            )
            .example("certs/http.p12")
            .reloadable(),
            keystore_password: Setting::new(
                concat!($prefix, ".keystore.password"),
                "Password of that file.",
            )
            .filtered(),
            certificate_authorities: Setting::new(
                concat!($prefix, ".certificateAuthorities"),
                "PEM files with the authorities that the other side is verified by.",
            )
            .example("[ elasticsearch-ca.pem ]")
            .reloadable(),
            truststore_path: Setting::new(
                concat!($prefix, ".truststore.path"),
                "PKCS#12 file with these authorities, instead of PEM files.",
            )
            .example("certs/ca.p12")
            .reloadable(),
            truststore_password: Setting::new(
                concat!($prefix, ".truststore.password"),
                "Password of that file.",
            )
            .filtered(),
        }
    };
}
use console_ssl;
