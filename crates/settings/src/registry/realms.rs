//! Realms: where users come from. Source: Elasticsearch reference, "Realms" and "Realm chains".

use std::path::PathBuf;

use ringwall_base::{SecretString, TimeValue};

use super::Section;
use crate::setting::{AffixSetting, SecureAffixSetting, SecureSetting, Setting};
use crate::types::StoreType;

/// The settings of the realms of one type with passwords; the name of a realm is free.
#[derive(Debug)]
pub struct RealmSettings {
    pub order: AffixSetting<i64>,
    pub enabled: AffixSetting<bool>,
    pub cache_ttl: AffixSetting<TimeValue>,
    pub cache_max_users: AffixSetting<usize>,
    pub cache_hash_algo: AffixSetting<String>,
}

const fn realm(prefix: &'static str) -> RealmSettings {
    RealmSettings {
        order: order(prefix),
        enabled: enabled(prefix),
        cache_ttl: cache_ttl(prefix),
        cache_max_users: cache_max_users(prefix),
        cache_hash_algo: AffixSetting::new(
            Setting::new(
                prefix,
                "How remembered passwords are hashed in memory; only `ssha256`.",
            )
            .default("ssha256"),
            ".cache.hash_algo",
        ),
    }
}

/// The settings of realms whose users show a client certificate.
///
/// Paths are as written; [`Settings::config_path`](crate::Settings::config_path) resolves them.
#[derive(Debug)]
pub struct PkiRealmSettings {
    pub order: AffixSetting<i64>,
    pub enabled: AffixSetting<bool>,
    pub username_pattern: AffixSetting<String>,
    pub username_rdn_name: AffixSetting<Option<String>>,
    pub username_rdn_oid: AffixSetting<Option<String>>,
    pub certificate_authorities: AffixSetting<Vec<String>>,
    pub truststore_path: AffixSetting<Option<PathBuf>>,
    pub truststore_type: AffixSetting<Option<StoreType>>,
    pub truststore_password: AffixSetting<Option<SecretString>>,
    pub truststore_secure_password: SecureAffixSetting,
    pub truststore_algorithm: AffixSetting<Option<String>>,
    pub role_mapping: AffixSetting<PathBuf>,
    pub cache_ttl: AffixSetting<TimeValue>,
    pub cache_max_users: AffixSetting<usize>,
}

/// Realms whose users are in the cluster.
pub static NATIVE_REALM: RealmSettings = realm("xpack.security.authc.realms.native.");

/// Realms whose users are in the files `users` and `users_roles`.
pub static FILE_REALM: RealmSettings = realm("xpack.security.authc.realms.file.");

/// Realms whose users show a client certificate.
pub static PKI_REALM: PkiRealmSettings = PkiRealmSettings {
    order: order(PKI),
    enabled: enabled(PKI),
    username_pattern: AffixSetting::new(
        Setting::new(
            PKI,
            "Regular expression that is searched for in the subject of the certificate (`CN=ann, OU=it`); its first \
             group is the name of the user.",
        )
        .default(DEFAULT_USERNAME_PATTERN)
        .example("EMAILADDRESS=(.*?)(?:,|$)"),
        ".username_pattern",
    ),
    username_rdn_name: AffixSetting::new(
        Setting::new(
            PKI,
            "Attribute of the subject whose value is the name of the user, by its keyword; goes before \
             `username_pattern`.",
        )
        .example("UID"),
        ".username_rdn_name",
    ),
    username_rdn_oid: AffixSetting::new(
        Setting::new(
            PKI,
            "As `username_rdn_name`, by the object identifier of the attribute.",
        )
        .example("0.9.2342.19200300.100.1.1"),
        ".username_rdn_oid",
    ),
    certificate_authorities: AffixSetting::new(
        Setting::new(
            PKI,
            "PEM files with the certificates that users' certificates must be issued by, beside being trusted by \
             HTTPS itself.",
        )
        .example("[ certs/users-ca.crt ]"),
        ".certificate_authorities",
    ),
    truststore_path: AffixSetting::new(
        Setting::new(
            PKI,
            "PKCS#12 file with these certificates; instead of `certificate_authorities`.",
        )
        .example("certs/users-ca.p12"),
        ".truststore.path",
    ),
    truststore_type: AffixSetting::new(
        Setting::new(
            PKI,
            "Format of the truststore. Not set: told by the name of the file.",
        )
        .example("PKCS12"),
        ".truststore.type",
    ),
    truststore_password: AffixSetting::new(
        Setting::new(
            PKI,
            "Password of the truststore. Deprecated: use `truststore.secure_password`.",
        )
        .filtered(),
        ".truststore.password",
    ),
    truststore_secure_password: SecureAffixSetting::new(
        SecureSetting::new(PKI, "Password of the truststore file."),
        ".truststore.secure_password",
    ),
    truststore_algorithm: AffixSetting::new(
        Setting::new(PKI, "Accepted for compatibility; has no effect."),
        ".truststore.algorithm",
    ),
    role_mapping: AffixSetting::new(
        Setting::new(
            PKI,
            "YAML file that lists for each role the subjects of the certificates that have it. It is read again when \
             it changes.",
        )
        .default("role_mapping.yml")
        .example("pki_role_mapping.yml"),
        ".files.role_mapping",
    ),
    cache_ttl: cache_ttl(PKI),
    cache_max_users: cache_max_users(PKI),
};

/// The value of the attribute `CN`, as long as it has no comma.
pub const DEFAULT_USERNAME_PATTERN: &str = "CN=(.*?)(?:,|$)";

const PKI: &str = "xpack.security.authc.realms.pki.";

const fn order(prefix: &'static str) -> AffixSetting<i64> {
    let doc = "Place of the realm in the chain; lower is asked first. Every realm that is configured has one of its own.";
    AffixSetting::new(Setting::new(prefix, doc).example("1"), ".order")
}

const fn enabled(prefix: &'static str) -> AffixSetting<bool> {
    let setting = Setting::new(prefix, "Whether the realm is asked.").default("true");
    AffixSetting::new(setting, ".enabled")
}

const fn cache_ttl(prefix: &'static str) -> AffixSetting<TimeValue> {
    let doc = "How long a successful login is remembered; 0 never.";
    let setting = Setting::new(prefix, doc).default("20m").at_least(0);
    AffixSetting::new(setting, ".cache.ttl")
}

const fn cache_max_users(prefix: &'static str) -> AffixSetting<usize> {
    let doc = "Number of users whose login is remembered.";
    AffixSetting::new(
        Setting::new(prefix, doc).default("100000"),
        ".cache.max_users",
    )
}

pub(super) static SECTION: Section = Section {
    title: "Realms",
    intro: "Realms of the types file and native exist, and are asked in this order before all others, unless one of \
            their type is configured.",
    settings: &[
        &NATIVE_REALM.order,
        &NATIVE_REALM.enabled,
        &NATIVE_REALM.cache_ttl,
        &NATIVE_REALM.cache_max_users,
        &NATIVE_REALM.cache_hash_algo,
        &FILE_REALM.order,
        &FILE_REALM.enabled,
        &FILE_REALM.cache_ttl,
        &FILE_REALM.cache_max_users,
        &FILE_REALM.cache_hash_algo,
        &PKI_REALM.order,
        &PKI_REALM.enabled,
        &PKI_REALM.username_pattern,
        &PKI_REALM.username_rdn_name,
        &PKI_REALM.username_rdn_oid,
        &PKI_REALM.certificate_authorities,
        &PKI_REALM.truststore_path,
        &PKI_REALM.truststore_type,
        &PKI_REALM.truststore_password,
        &PKI_REALM.truststore_secure_password,
        &PKI_REALM.truststore_algorithm,
        &PKI_REALM.role_mapping,
        &PKI_REALM.cache_ttl,
        &PKI_REALM.cache_max_users,
    ],
};
