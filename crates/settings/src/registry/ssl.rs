//! TLS of the two layers: the same settings under two prefixes. Source: Elasticsearch reference, "Security settings
//! in Elasticsearch".

use std::path::PathBuf;

use ringwall_base::{SecretString, TimeValue};

use super::Section;
use crate::setting::{SecureSetting, Setting};
use crate::types::{ClientAuthentication, StoreType, VerificationMode};

/// The settings of one TLS context, such as all of `xpack.security.http.ssl.*`.
///
/// Paths are as written; [`Settings::config_path`](crate::Settings::config_path) resolves them.
#[derive(Debug)]
pub struct SslSettings {
    /// `xpack.security.transport.ssl` or `xpack.security.http.ssl`.
    pub prefix: &'static str,
    pub enabled: Setting<bool>,
    /// An empty list means the default.
    pub supported_protocols: Setting<Vec<String>>,
    /// An empty list means the default.
    pub cipher_suites: Setting<Vec<String>>,
    pub client_authentication: Setting<ClientAuthentication>,
    pub verification_mode: Setting<VerificationMode>,
    pub key: Setting<Option<PathBuf>>,
    pub key_passphrase: Setting<Option<SecretString>>,
    pub secure_key_passphrase: SecureSetting,
    pub certificate: Setting<Option<PathBuf>>,
    pub certificate_authorities: Setting<Vec<String>>,
    pub certificate_revocation_lists: Setting<Vec<String>>,
    pub trust_restrictions_path: Setting<Option<PathBuf>>,
    pub trust_restrictions_fields: Setting<Vec<String>>,
    pub keystore_path: Setting<Option<PathBuf>>,
    pub keystore_type: Setting<Option<StoreType>>,
    pub keystore_password: Setting<Option<SecretString>>,
    pub keystore_secure_password: SecureSetting,
    pub keystore_key_password: Setting<Option<SecretString>>,
    pub keystore_secure_key_password: SecureSetting,
    pub keystore_algorithm: Setting<Option<String>>,
    pub truststore_path: Setting<Option<PathBuf>>,
    pub truststore_type: Setting<Option<StoreType>>,
    pub truststore_password: Setting<Option<SecretString>>,
    pub truststore_secure_password: SecureSetting,
    pub truststore_algorithm: Setting<Option<String>>,
}

/// TLS between nodes.
pub static TRANSPORT_SSL: SslSettings = ssl_context!("xpack.security.transport.ssl", "required");

/// TLS for clients.
pub static HTTP_SSL: SslSettings = ssl_context!("xpack.security.http.ssl", "none");

/// Returns the settings of a prefix: `xpack.security.transport.ssl` or `xpack.security.http.ssl`.
pub fn ssl_settings(prefix: &str) -> Option<&'static SslSettings> {
    [&TRANSPORT_SSL, &HTTP_SSL]
        .into_iter()
        .find(|settings| settings.prefix == prefix)
}

/// Turns TLS on node by node. Source: Elasticsearch reference, "Set up basic security".
pub static DUAL_STACK_ENABLED: Setting<bool> = Setting::new(
    "xpack.security.transport.ssl.dual_stack.enabled",
    "Whether a node with TLS also talks without it, to nodes that have it off. Only while TLS is turned on node by \
     node: meanwhile nothing keeps out a peer without a certificate. In the cluster settings it \
     can only be set to `false`, which ends that time on all nodes at once.",
)
.default("false")
.dynamic()
.example("true")
.ours();

pub static DUAL_STACK_MAX_DURATION: Setting<TimeValue> = Setting::new(
    "xpack.security.transport.ssl.dual_stack.max_duration",
    "How long some nodes may have TLS and others not before the health of the cluster says red.",
)
.default("7d")
.dynamic()
.at_least(1)
.ours();

pub(super) static TRANSPORT_SECTION: Section = Section {
    title: "TLS between nodes",
    intro: "Required in production mode. Relative paths start at the configuration directory.",
    settings: ssl_list!(TRANSPORT_SSL, &DUAL_STACK_ENABLED, &DUAL_STACK_MAX_DURATION),
};

pub(super) static HTTP_SECTION: Section = Section {
    title: "TLS for clients (HTTPS)",
    intro: "Relative paths start at the configuration directory.",
    settings: ssl_list!(HTTP_SSL),
};

macro_rules! ssl_context {
    ($prefix:literal, $client_authentication:literal) => {
        SslSettings {
            prefix: $prefix,
            enabled: Setting::new(
                concat!($prefix, ".enabled"),
                "Whether the layer uses TLS.",
            )
            .default("false")
            .example("true"),
            supported_protocols: Setting::new(
                concat!($prefix, ".supported_protocols"),
                "Allowed protocol versions. Versions below TLSv1.2 are accepted here but never used.",
            )
            .default("TLSv1.3, TLSv1.2, TLSv1.1")
            .example("[ TLSv1.3 ]"),
            cipher_suites: Setting::new(
                concat!($prefix, ".cipher_suites"),
                "Allowed cipher suites by IANA name, most preferred first. Not set: all that are \
                 supported, strongest first.",
            )
            .example("[ TLS_AES_256_GCM_SHA384 ]"),
            client_authentication: Setting::new(
                concat!($prefix, ".client_authentication"),
                "Whether the side that dials must show a certificate.",
            )
            .default($client_authentication)
            .example("optional"),
            verification_mode: Setting::new(
                concat!($prefix, ".verification_mode"),
                "`full` checks chain, dates and, when dialling, the name; `certificate` all but the \
                 name; `none` nothing.",
            )
            .default("full")
            .example("certificate"),
            key: Setting::new(
                concat!($prefix, ".key"),
                "PEM file with the private key.",
            )
            .example("certs/node.key")
            .reloadable(),
            key_passphrase: Setting::new(
                concat!($prefix, ".key_passphrase"),
                "Passphrase of the key.",
            )
            .filtered()
            .deprecated("a secret does not belong in elasticsearch.yml; use `secure_key_passphrase` in the keystore"),
            secure_key_passphrase: SecureSetting::new(
                concat!($prefix, ".secure_key_passphrase"),
                "Passphrase of the PEM key.",
            )
            .reloadable(),
            certificate: Setting::new(
                concat!($prefix, ".certificate"),
                "PEM file with the certificate, followed by its chain if any.",
            )
            .example("certs/node.crt")
            .reloadable(),
            certificate_authorities: Setting::new(
                concat!($prefix, ".certificate_authorities"),
                "PEM files with the certificates that are trusted.",
            )
            .example("[ certs/ca.crt ]")
            .reloadable(),
            certificate_revocation_lists: Setting::new(
                concat!($prefix, ".certificate_revocation_lists"),
                "Files with certificate revocation lists (PEM or DER), reloaded like certificates: \
                 a certificate that its CA lists there is refused.",
            )
            .example("[ certs/ca.crl ]")
            .reloadable()
            .ours(),
            trust_restrictions_path: Setting::new(
                concat!($prefix, ".trust_restrictions.path"),
                "YAML file, reloaded like certificates, whose `trust.subject_name` lists the names that a peer's \
                 certificate must have one of: patterns with `*` and `?`, or `/regex/`.",
            )
            .example("trust.yml")
            .reloadable(),
            trust_restrictions_fields: Setting::new(
                concat!($prefix, ".trust_restrictions.x509_fields"),
                "Where these names are looked for: `subjectAltName.otherName.commonName`, \
                 `subjectAltName.dnsName`.",
            )
            .default("subjectAltName.otherName.commonName")
            .example("[ subjectAltName.dnsName ]"),
            keystore_path: Setting::new(
                concat!($prefix, ".keystore.path"),
                "PKCS#12 or JKS file with the private key and its certificate; instead of `key` and \
                 `certificate`.",
            )
            .example("certs/elastic-certificates.p12")
            .reloadable(),
            keystore_type: Setting::new(
                concat!($prefix, ".keystore.type"),
                "Accepted for compatibility: the content of the keystore tells its format, PKCS#12 or JKS. \
                 For a file of another format the error says how to convert it.",
            )
            .example("PKCS12"),
            keystore_password: Setting::new(
                concat!($prefix, ".keystore.password"),
                "Password of the keystore.",
            )
            .filtered()
            .deprecated("a secret does not belong in elasticsearch.yml; use `keystore.secure_password` in the keystore"),
            keystore_secure_password: SecureSetting::new(
                concat!($prefix, ".keystore.secure_password"),
                "Password of the keystore file.",
            )
            .reloadable(),
            keystore_key_password: Setting::new(
                concat!($prefix, ".keystore.key_password"),
                "Password of the key in the keystore, if another than the keystore's.",
            )
            .filtered()
            .deprecated("a secret does not belong in elasticsearch.yml; use `keystore.secure_key_password` in the keystore"),
            keystore_secure_key_password: SecureSetting::new(
                concat!($prefix, ".keystore.secure_key_password"),
                "Password of the key in the keystore file, if another than the keystore's.",
            )
            .reloadable(),
            keystore_algorithm: Setting::new(
                concat!($prefix, ".keystore.algorithm"),
                "Accepted for compatibility; has no effect.",
            ),
            truststore_path: Setting::new(
                concat!($prefix, ".truststore.path"),
                "PKCS#12 or JKS file with the certificates that are trusted; instead of \
                 `certificate_authorities`.",
            )
            .example("certs/elastic-certificates.p12")
            .reloadable(),
            truststore_type: Setting::new(
                concat!($prefix, ".truststore.type"),
                "Accepted for compatibility: the content of the truststore tells its format, PKCS#12 or JKS. \
                 For a file of another format the error says how to convert it.",
            )
            .example("PKCS12"),
            truststore_password: Setting::new(
                concat!($prefix, ".truststore.password"),
                "Password of the truststore.",
            )
            .filtered()
            .deprecated("a secret does not belong in elasticsearch.yml; use `truststore.secure_password` in the keystore"),
            truststore_secure_password: SecureSetting::new(
                concat!($prefix, ".truststore.secure_password"),
                "Password of the truststore file.",
            )
            .reloadable(),
            truststore_algorithm: Setting::new(
                concat!($prefix, ".truststore.algorithm"),
                "Accepted for compatibility; has no effect.",
            ),
        }
    };
}

/// Gives a macro the settings of a context that a profile may have of its own: those of elasticsearch.yml, then
/// those of the keystore.
macro_rules! ssl_settings_of {
    ($to:ident, $settings:ident) => {
        $to!($settings: [
            supported_protocols,
            cipher_suites,
            client_authentication,
            verification_mode,
            key,
            key_passphrase,
            certificate,
            certificate_authorities,
            certificate_revocation_lists,
            trust_restrictions_path,
            trust_restrictions_fields,
            keystore_path,
            keystore_type,
            keystore_password,
            keystore_key_password,
            keystore_algorithm,
            truststore_path,
            truststore_type,
            truststore_password,
            truststore_algorithm,
        ], secure [
            secure_key_passphrase,
            keystore_secure_password,
            keystore_secure_key_password,
            truststore_secure_password,
        ])
    };
}

macro_rules! ssl_list {
    ($settings:ident $(, $more:expr)*) => {
        &[
            &$settings.enabled,
            &$settings.supported_protocols,
            &$settings.cipher_suites,
            &$settings.client_authentication,
            &$settings.verification_mode,
            &$settings.key,
            &$settings.key_passphrase,
            &$settings.secure_key_passphrase,
            &$settings.certificate,
            &$settings.certificate_authorities,
            &$settings.certificate_revocation_lists,
            &$settings.trust_restrictions_path,
            &$settings.trust_restrictions_fields,
            &$settings.keystore_path,
            &$settings.keystore_type,
            &$settings.keystore_password,
            &$settings.keystore_secure_password,
            &$settings.keystore_key_password,
            &$settings.keystore_secure_key_password,
            &$settings.keystore_algorithm,
            &$settings.truststore_path,
            &$settings.truststore_type,
            &$settings.truststore_password,
            &$settings.truststore_secure_password,
            &$settings.truststore_algorithm,
            $($more,)*
        ]
    };
}

pub(super) use ssl_settings_of;
use {ssl_context, ssl_list};
