//! Authentication and reload of files. Source: Elasticsearch reference, "Security settings in Elasticsearch".

use ringwall_base::{IpRule, TimeValue};

use super::Section;
use crate::setting::{SecureSetting, Setting};

pub static SECURITY_ENABLED: Setting<bool> = Setting::new(
    "xpack.security.enabled",
    "Whether requests are authenticated and authorized. `false` opens the node to everyone who \
     reaches it.",
)
.default("true")
.example("false");

pub static PASSWORD_HASHING_ALGORITHM: Setting<String> = Setting::new(
    "xpack.security.authc.password_hashing.algorithm",
    "How passwords are stored: `bcrypt`, `bcrypt4` to `bcrypt14`, `pbkdf2`, `pbkdf2_<iterations>`, \
     `pbkdf2_stretch` or `pbkdf2_stretch_<iterations>`.",
)
.default("bcrypt")
.example("pbkdf2_stretch");

pub static SUCCESS_CACHE_ENABLED: Setting<bool> = Setting::new(
    "xpack.security.authc.success_cache.enabled",
    "Whether the realm that last accepted a user is asked first.",
)
.default("true");

pub static SUCCESS_CACHE_SIZE: Setting<usize> = Setting::new(
    "xpack.security.authc.success_cache.size",
    "Number of users whose last realm is remembered.",
)
.default("10000")
.at_least(1);

pub static SUCCESS_CACHE_EXPIRE: Setting<TimeValue> = Setting::new(
    "xpack.security.authc.success_cache.expire_after_access",
    "How long after its last use the realm of a user is forgotten.",
)
.default("1h")
.at_least(1);

pub static RELOAD_ENABLED: Setting<bool> = Setting::new(
    "resource.reload.enabled",
    "Whether changed TLS and realm files are read again while the node runs.",
)
.default("true");

pub static RELOAD_INTERVAL_HIGH: Setting<TimeValue> = Setting::new(
    "resource.reload.interval.high",
    "How often TLS and realm files are checked for changes.",
)
.default("5s")
.at_least(10);

pub static REFUSAL_LOG_INTERVAL: Setting<TimeValue> = Setting::new(
    "xpack.security.ssl.diagnose.interval",
    "How long after a log line about a refused peer another about the same peer, certificate and cause is only counted.",
)
.default("30s")
.at_least(1)
.ours();

pub static BOOTSTRAP_PASSWORD: SecureSetting = SecureSetting::new(
    "bootstrap.password",
    "Password of the user `elastic` until it is changed for the first time; \
     `keystore.seed` if not set.",
);

pub static AUTOCONFIGURATION_PASSWORD_HASH: SecureSetting = SecureSetting::new(
    "autoconfiguration.password_hash",
    "Hash of the password that was made for `elastic` at the first start.",
);

pub static API_KEY_ENABLED: Setting<bool> = Setting::new(
    "xpack.security.authc.api_key.enabled",
    "Whether API keys can be made and used.",
)
.default("true")
.example("false");

pub static RUN_AS_ENABLED: Setting<bool> = Setting::new(
    "xpack.security.authc.run_as.enabled",
    "Whether a user whose role says so may act as another, with the header `es-security-runas-user`. If not, requests \
     with the header are refused.",
)
.default("true")
.example("false");

pub static ANONYMOUS_ROLES: Setting<Vec<String>> = Setting::new(
    "xpack.security.authc.anonymous.roles",
    "Roles of requests without credentials; empty refuses such requests. Every user has these roles beside its own.",
)
.default("")
.example("viewer");

pub static ANONYMOUS_USERNAME: Setting<String> = Setting::new(
    "xpack.security.authc.anonymous.username",
    "Name under which requests without credentials are made. Nobody logs in as it and it cannot be changed.",
)
.default("_anonymous");

pub static ANONYMOUS_AUTHZ_EXCEPTION: Setting<bool> = Setting::new(
    "xpack.security.authc.anonymous.authz_exception",
    "Whether a request without credentials is refused with 403 where its roles do not allow it. With `false` it is \
     refused with 401, so that browsers ask for a password.",
)
.default("true")
.example("false");

pub static API_KEY_RETENTION: Setting<TimeValue> = Setting::new(
    "xpack.security.authc.api_key.delete.retention_period",
    "How long an API key that has expired or was invalidated is still listed.",
)
.default("7d");

pub static API_KEY_MAX: Setting<usize> = Setting::new(
    "xpack.security.authc.api_key.max_keys",
    "Number of API keys that the cluster keeps at most. They are part of the cluster state, in the memory \
     of every node: about 2 KB each.",
)
.default("20000")
.at_least(1);

pub static TOKEN_ENABLED: Setting<bool> = Setting::new(
    "xpack.security.authc.token.enabled",
    "Whether there are access and refresh tokens (`_security/oauth2/token`). They need HTTPS.",
)
.fallback(&["xpack.security.http.ssl.enabled"])
.default("false");

pub static TOKEN_TIMEOUT: Setting<TimeValue> = Setting::new(
    "xpack.security.authc.token.timeout",
    "How long an access token is good. A refresh token is good for 24 hours, once.",
)
.default("20m")
.between(1000, 3_600_000);

pub static TOKEN_MAX: Setting<usize> = Setting::new(
    "xpack.security.authc.token.max_tokens",
    "Number of pairs of access and refresh tokens that the cluster keeps at most; more are refused until some have ended. \
     They are part of the cluster state, in the memory of every node: about 1 KB each.",
)
.default("20000")
.at_least(1)
.ours();

pub static ENROLLMENT_ENABLED: Setting<bool> = Setting::new(
    "xpack.security.enrollment.enabled",
    "Whether new nodes and consoles may be enrolled with tokens. The first start turns it on.",
)
.default("false")
.example("true");

pub static AUTOCONFIGURATION_ENABLED: Setting<bool> = Setting::new(
    "xpack.security.autoconfiguration.enabled",
    "Whether a node that starts for the first time, with nothing of security configured, secures itself.",
)
.default("true")
.example("false");

pub static CERTIFICATE_EXPIRY_YELLOW: Setting<TimeValue> = Setting::new(
    "health.tls_certificates.yellow",
    "How long before the end of a certificate in use the health of the cluster says yellow.",
)
.default("30d")
.dynamic()
.at_least(0)
.ours();

pub static CERTIFICATE_EXPIRY_RED: Setting<TimeValue> = Setting::new(
    "health.tls_certificates.red",
    "How long before the end of a certificate in use the health of the cluster says red.",
)
.default("7d")
.dynamic()
.at_least(0)
.ours();

pub static TRANSPORT_FILTER_ENABLED: Setting<bool> = Setting::new(
    "xpack.security.transport.filter.enabled",
    "Whether the rules below decide which addresses may connect to the transport port.",
)
.default("true")
.dynamic()
.example("false");

pub static TRANSPORT_FILTER_ALLOW: Setting<Vec<IpRule>> = Setting::new(
    "xpack.security.transport.filter.allow",
    "Addresses, networks, names of hosts such as `*.example.com`, or `_all` that may connect to the transport port; applied before `deny`. \
     A peer that matches neither list may connect.",
)
.dynamic()
.example("[ 10.0.0.0/24 ]");

pub static TRANSPORT_FILTER_DENY: Setting<Vec<IpRule>> = Setting::new(
    "xpack.security.transport.filter.deny",
    "Addresses, networks, names of hosts such as `*.example.com`, or `_all` whose connections to the transport port are closed at once.",
)
.dynamic()
.example("_all");

pub static HTTP_FILTER_ENABLED: Setting<bool> = Setting::new(
    "xpack.security.http.filter.enabled",
    "Whether the rules below decide which addresses may connect to the HTTP port.",
)
.default("true")
.dynamic()
.example("false");

pub static HTTP_FILTER_ALLOW: Setting<Vec<IpRule>> = Setting::new(
    "xpack.security.http.filter.allow",
    "Addresses, networks, names of hosts such as `*.example.com`, or `_all` that may connect to the HTTP port; applied before `deny`.",
)
.fallback(&[
    "transport.profiles.default.xpack.security.filter.allow",
    "xpack.security.transport.filter.allow",
])
.dynamic()
.example("[ 10.0.0.0/24, 192.168.7.5 ]");

pub static HTTP_FILTER_DENY: Setting<Vec<IpRule>> = Setting::new(
    "xpack.security.http.filter.deny",
    "Addresses, networks, names of hosts such as `*.example.com`, or `_all` whose connections to the HTTP port are closed at once.",
)
.fallback(&[
    "transport.profiles.default.xpack.security.filter.deny",
    "xpack.security.transport.filter.deny",
])
.dynamic()
.example("_all");

pub static FILTER_ALWAYS_ALLOW_BOUND_ADDRESS: Setting<bool> = Setting::new(
    "xpack.security.filter.always_allow_bound_address",
    "Whether the node's own addresses may connect whatever the rules say.",
)
.default("true")
.example("false");

pub(super) static FILTER_SECTION: Section = Section {
    title: "IP filtering",
    intro: "Decided when a connection is accepted, before TLS. Allow rules come before deny rules; an allow list \
            alone keeps nobody out, add `deny: _all`. A name counts where the reverse lookup of the address gives it \
            and it resolves to the address in turn; without such a name, rules about names match nothing.",
    settings: &[
        &TRANSPORT_FILTER_ENABLED,
        &TRANSPORT_FILTER_ALLOW,
        &TRANSPORT_FILTER_DENY,
        &HTTP_FILTER_ENABLED,
        &HTTP_FILTER_ALLOW,
        &HTTP_FILTER_DENY,
        &FILTER_ALWAYS_ALLOW_BOUND_ADDRESS,
    ],
};

pub(super) static SECTION: Section = Section {
    title: "Security",
    intro: "Security is on unless it is switched off explicitly.",
    settings: &[
        &SECURITY_ENABLED,
        &PASSWORD_HASHING_ALGORITHM,
        &SUCCESS_CACHE_ENABLED,
        &SUCCESS_CACHE_SIZE,
        &SUCCESS_CACHE_EXPIRE,
        &CERTIFICATE_EXPIRY_YELLOW,
        &CERTIFICATE_EXPIRY_RED,
        &RELOAD_ENABLED,
        &RELOAD_INTERVAL_HIGH,
        &REFUSAL_LOG_INTERVAL,
        &BOOTSTRAP_PASSWORD,
        &AUTOCONFIGURATION_PASSWORD_HASH,
        &API_KEY_ENABLED,
        &RUN_AS_ENABLED,
        &ANONYMOUS_ROLES,
        &ANONYMOUS_USERNAME,
        &ANONYMOUS_AUTHZ_EXCEPTION,
        &API_KEY_RETENTION,
        &API_KEY_MAX,
        &TOKEN_ENABLED,
        &TOKEN_TIMEOUT,
        &TOKEN_MAX,
        &ENROLLMENT_ENABLED,
        &AUTOCONFIGURATION_ENABLED,
    ],
};
