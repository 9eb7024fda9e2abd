//! A TLS context's configuration from the settings of its prefix, and the rules between them.

use std::fmt;
use std::path::{Path, PathBuf};

use ringwall_base::SecretString;
use ringwall_settings::registry::network;
use ringwall_settings::registry::profiles;
use ringwall_settings::registry::ssl::{HTTP_SSL, SslSettings, TRANSPORT_SSL, ssl_settings};
use ringwall_settings::{SecureSetting, Setting, SettingValue, Settings, Source};

use crate::config::{
    ConfiguredPath, DEFAULT_CIPHER_SUITES, DEFAULT_PROTOCOLS, HandshakeLimits, KeySource,
    SslConfig, TrustSource,
};
use crate::restrictions::RestrictedField;

/// The settings of a prefix contradict one another. Lists every problem found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SslConfigError {
    /// The settings prefix.
    pub context: String,
    /// At least one.
    pub problems: Vec<SslConfigProblem>,
}

impl fmt::Display for SslConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failed to load SSL configuration [{}] - ", self.context)?;
        for (position, problem) in self.problems.iter().enumerate() {
            if position > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for SslConfigError {}

/// One contradiction between TLS settings, in the words of Elasticsearch's `SslConfigurationLoader`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SslConfigProblem {
    /// No context has this prefix.
    #[error("[{prefix}] is not the prefix of a TLS context")]
    UnknownPrefix { prefix: String },
    /// Settings are there, and nothing says whether they are to be used.
    #[error(
        "invalid configuration for {prefix} - [{enabled}] is not set, but the following settings have been \
         configured in elasticsearch.yml : [{}]; set [{enabled}] to true or false",
        keys.join(",")
    )]
    EnabledNotSet {
        prefix: String,
        /// The setting that says so for the layer.
        enabled: &'static str,
        keys: Vec<String>,
    },
    /// The same, and all of them are passwords that were left in the keystore.
    #[error(
        "invalid configuration for {prefix} - [{enabled}] is not set, but the following settings have been \
         configured in the elasticsearch keystore : [{}]; set [{enabled}] to true or false, or run \
         `elasticsearch-keystore remove {}`",
        keys.join(","), keys.join(" ")
    )]
    EnabledNotSetInKeystore {
        prefix: String,
        /// The setting that says so for the layer.
        enabled: &'static str,
        keys: Vec<String>,
    },
    /// TLS is on without a key.
    #[error(
        "invalid SSL configuration for {prefix} - server ssl configuration requires a key and certificate, but these \
         have not been configured; you must set either [{prefix}.keystore.path], or both [{prefix}.key] and \
         [{prefix}.certificate]"
    )]
    NoKey { prefix: String },
    /// Two settings for one thing.
    #[error("cannot specify both [{first}] and [{second}]; remove one")]
    Both { first: String, second: String },
    /// A part of certificates that restrictions cannot look at.
    #[error(
        "[{setting}] does not know [{name}]; there are subjectAltName.otherName.commonName and subjectAltName.dnsName"
    )]
    UnknownField { setting: String, name: String },
    /// Half of a pair.
    #[error("cannot specify [{given}] without also setting [{missing}]")]
    Without { given: String, missing: String },
}

impl SslConfig {
    /// Returns the configuration under a prefix (`xpack.security.transport.ssl`, `xpack.security.http.ssl` or
    /// `transport.profiles.<name>.xpack.security.ssl`), or `None` when TLS is off there.
    ///
    /// What a profile does not set is that of `xpack.security.transport.ssl`; its own key goes together with its
    /// certificate and passwords, as does its trust. Source: Elasticsearch reference, "Networking" (transport
    /// profiles).
    ///
    /// Reads no file but the settings' own. Whether `xpack.security.enabled` lets it be used is the
    /// caller's to decide. Errors: every [`SslConfigProblem`] at once.
    pub fn from_settings(
        settings: &Settings,
        prefix: &str,
    ) -> Result<Option<Self>, SslConfigError> {
        let profile = profiles::profile_of_ssl_prefix(prefix);
        let ssl = match profile {
            Some(_) => Some(&TRANSPORT_SSL),
            None => ssl_settings(prefix),
        };
        let Some(ssl) = ssl else {
            let prefix = prefix.to_owned();
            return Err(SslConfigError {
                context: prefix.clone(),
                problems: vec![SslConfigProblem::UnknownPrefix { prefix }],
            });
        };
        let mut reader = Reader {
            settings,
            ssl,
            prefix,
            profile,
            problems: Vec::new(),
        };
        let config = if settings.is_set(ssl.enabled.key()) {
            settings.get(&ssl.enabled).then(|| reader.config())
        } else {
            reader.forbid_orphans();
            None
        };
        if reader.problems.is_empty() {
            return Ok(config);
        }
        Err(SslConfigError {
            context: prefix.to_owned(),
            problems: reader.problems,
        })
    }
}

impl SslConfig {
    fn with_borrowed_trust(mut self, settings: &Settings) -> Self {
        let other = match self.is_http() {
            true => &TRANSPORT_SSL,
            false => &HTTP_SSL,
        };
        let of_other = [
            settings.get(&other.keystore_path),
            settings.get(&other.truststore_path),
            settings.get(&other.certificate),
        ];
        let authorities = settings.get(&other.certificate_authorities);
        let of_other: Vec<PathBuf> = of_other
            .into_iter()
            .flatten()
            .chain(authorities.into_iter().map(PathBuf::from))
            .collect();
        let trusted: Vec<&ConfiguredPath> = match &self.trust {
            TrustSource::Pem(paths) => paths.iter().collect(),
            TrustSource::Truststore { path, .. } => vec![path],
            TrustSource::OwnCertificates | TrustSource::Fingerprints(_) => Vec::new(),
        };
        let own = self.operator_files().certificate;
        let borrowed = trusted.into_iter().find(|path| {
            let is_other = |name: &PathBuf| settings.config_dir().join(name) == path.resolved;
            own.as_ref() != Some(&path.resolved) && of_other.iter().any(is_other)
        });
        self.borrowed_trust = borrowed.map(|path| (path.resolved.clone(), other.prefix.to_owned()));
        self
    }
}

struct Reader<'a> {
    settings: &'a Settings,
    ssl: &'static SslSettings,
    prefix: &'a str,
    /// The transport profile whose settings win over those of `ssl`.
    profile: Option<&'a str>,
    problems: Vec<SslConfigProblem>,
}

/// Settings of which a profile has all or none.
struct Group<'a> {
    settings: &'a Settings,
    /// The profile, if they are its own.
    profile: Option<&'a str>,
}

impl Group<'_> {
    fn get<T: SettingValue>(&self, setting: &Setting<T>) -> T {
        match self.profile {
            Some(profile) => self
                .settings
                .in_profile(profile, setting)
                .unwrap_or_else(|| setting.default_value()),
            None => self.settings.get(setting),
        }
    }

    fn secret(&self, setting: &SecureSetting) -> Option<SecretString> {
        match self.profile {
            Some(profile) => self.settings.secret_in_profile(profile, setting),
            None => self.settings.secret(setting),
        }
    }

    /// Returns the key that a value is from.
    fn key(&self, key: &str) -> String {
        match self.profile {
            Some(profile) => profiles::key_in_profile(profile, key),
            None => key.to_owned(),
        }
    }
}

impl<'a> Reader<'a> {
    fn config(&mut self) -> SslConfig {
        let ssl = self.ssl;
        let or_default = |given: Vec<String>, default: &[&str]| match given.is_empty() {
            true => default.iter().map(|name| (*name).to_owned()).collect(),
            false => given,
        };
        SslConfig {
            name: self.prefix.to_owned(),
            key: self.key(),
            trust: self.trust(),
            revocation_lists: self.revocation_lists(),
            restrictions: self.restrictions(),
            verification_mode: self.get(&ssl.verification_mode),
            client_authentication: self.get(&ssl.client_authentication),
            protocols: or_default(self.list(&ssl.supported_protocols), &DEFAULT_PROTOCOLS),
            cipher_suites: or_default(self.list(&ssl.cipher_suites), &DEFAULT_CIPHER_SUITES),
            handshakes: self.handshakes(),
            borrowed_trust: None,
        }
        .with_borrowed_trust(self.settings)
    }

    /// Returns the limits of the layer; profiles have none of their own.
    fn handshakes(&self) -> HandshakeLimits {
        let (threads, failures) = match std::ptr::eq(self.ssl, &HTTP_SSL) {
            true => (
                &network::HTTP_HANDSHAKE_THREADS,
                &network::HTTP_MAX_HANDSHAKE_FAILURES,
            ),
            false => (
                &network::TRANSPORT_HANDSHAKE_THREADS,
                &network::TRANSPORT_MAX_HANDSHAKE_FAILURES,
            ),
        };
        HandshakeLimits {
            threads: self
                .settings
                .get(threads)
                .unwrap_or(HandshakeLimits::default().threads),
            free_failures: self.settings.get(failures),
        }
    }

    /// Returns the value of the profile, else what it inherits.
    fn get<T: SettingValue>(&self, setting: &Setting<T>) -> T {
        self.own(setting)
            .unwrap_or_else(|| self.settings.get(setting))
    }

    /// Returns a list that is given, by the profile if it has one; the default of the setting is none.
    fn list(&self, setting: &Setting<Vec<String>>) -> Vec<String> {
        match self.own(setting) {
            Some(own) => own,
            None if self.settings.is_set(setting.key()) => self.settings.get(setting),
            None => Vec::new(),
        }
    }

    /// Returns the value that the profile has of its own; none where it is empty.
    fn own<T: SettingValue>(&self, setting: &Setting<T>) -> Option<T> {
        let profile = self.profile?;
        let key = profiles::key_in_profile(profile, setting.key());
        match self.settings.is_empty(&key) {
            true => None,
            false => self.settings.in_profile(profile, setting),
        }
    }

    /// Returns the settings of a group: the profile's own, if it has any of these keys below its prefix.
    fn group(&self, keys: &[&str]) -> Group<'a> {
        let own = self.profile.filter(|_| {
            let prefix = format!("{}.", self.prefix);
            let given = self.settings.keys_with_prefix(&prefix);
            given.iter().any(|key| {
                let rest = &key[prefix.len()..];
                keys.iter().any(|group| match group.ends_with('.') {
                    true => rest.starts_with(group),
                    false => rest == *group,
                }) && !self.settings.is_empty(key)
            })
        });
        Group {
            settings: self.settings,
            profile: own,
        }
    }

    fn key(&mut self) -> KeySource {
        let ssl = self.ssl;
        let own = self.group(KEY_GROUP);
        let key = own.get(&ssl.key);
        let certificate = own.get(&ssl.certificate);
        let keystore = own.get(&ssl.keystore_path);
        let passphrase = self.password(&own, &ssl.secure_key_passphrase, &ssl.key_passphrase);
        let password = self.password(&own, &ssl.keystore_secure_password, &ssl.keystore_password);
        let key_password = self.password(
            &own,
            &ssl.keystore_secure_key_password,
            &ssl.keystore_key_password,
        );
        match (key, certificate, keystore) {
            (None, None, None) => {
                self.problems.push(SslConfigProblem::NoKey {
                    prefix: own.key(ssl.prefix),
                });
                KeySource::None
            }
            (None, None, Some(path)) => KeySource::Keystore {
                path: self.path(&path),
                password: password.unwrap_or_default(),
                key_password,
            },
            (Some(key), Some(certificate), None) => KeySource::Pem {
                key: self.path(&key),
                passphrase,
                certificate: self.path(&certificate),
            },
            (_, Some(_), Some(_)) => {
                self.both(&own, ssl.certificate.key(), ssl.keystore_path.key())
            }
            (Some(_), None, _) => self.without(&own, ssl.key.key(), ssl.certificate.key()),
            (None, Some(_), None) => self.without(&own, ssl.certificate.key(), ssl.key.key()),
        }
    }

    fn trust(&mut self) -> TrustSource {
        let ssl = self.ssl;
        let own = self.group(TRUST_GROUP);
        let authorities = own.get(&ssl.certificate_authorities);
        let truststore = own.get(&ssl.truststore_path);
        let password = self.password(
            &own,
            &ssl.truststore_secure_password,
            &ssl.truststore_password,
        );
        match (authorities.as_slice(), truststore) {
            ([], None) => TrustSource::OwnCertificates,
            ([], Some(path)) => TrustSource::Truststore {
                path: self.path(&path),
                password: password.unwrap_or_default(),
            },
            (paths, None) => TrustSource::Pem(self.paths(paths)),
            (_, Some(_)) => {
                let authorities = ssl.certificate_authorities.key();
                self.both(&own, authorities, ssl.truststore_path.key());
                TrustSource::OwnCertificates
            }
        }
    }

    fn revocation_lists(&self) -> Vec<ConfiguredPath> {
        self.paths(&self.list(&self.ssl.certificate_revocation_lists))
    }

    fn restrictions(&mut self) -> Option<(ConfiguredPath, Vec<RestrictedField>)> {
        let path = self.get(&self.ssl.trust_restrictions_path);
        let setting = &self.ssl.trust_restrictions_fields;
        let mut fields = Vec::new();
        for name in self.get(setting) {
            match RestrictedField::named(&name) {
                Some(field) => fields.push(field),
                None => self.problems.push(SslConfigProblem::UnknownField {
                    setting: self.written(setting.key()),
                    name,
                }),
            }
        }
        Some((self.path(&path?), fields))
    }

    /// Returns the key that a value read alone is from.
    fn written(&self, key: &str) -> String {
        let own = self.profile.map(|name| profiles::key_in_profile(name, key));
        own.filter(|own| !self.settings.is_empty(own))
            .unwrap_or_else(|| key.to_owned())
    }

    /// Returns the secret of the keystore, else the deprecated one of elasticsearch.yml.
    fn password(
        &mut self,
        own: &Group<'_>,
        secure: &SecureSetting,
        legacy: &Setting<Option<SecretString>>,
    ) -> Option<SecretString> {
        let legacy_value = own.get(legacy).filter(|value| !value.is_empty());
        let secure_value = own.secret(secure);
        if secure_value.is_some() && legacy_value.is_some() {
            self.both(own, secure.key(), legacy.key());
        }
        secure_value.or(legacy_value)
    }

    /// Refuses settings of a layer for which nobody said whether it has TLS.
    fn forbid_orphans(&mut self) {
        let keys = self.settings.keys_with_prefix(&format!("{}.", self.prefix));
        if keys.is_empty() {
            return;
        }
        let (prefix, enabled) = (self.prefix.to_owned(), self.ssl.enabled.key());
        let is_left_over = |key: &String| self.settings.source_of(key) == Some(Source::Keystore);
        self.problems.push(match keys.iter().all(is_left_over) {
            true => SslConfigProblem::EnabledNotSetInKeystore {
                prefix,
                enabled,
                keys,
            },
            false => SslConfigProblem::EnabledNotSet {
                prefix,
                enabled,
                keys,
            },
        });
    }

    fn both(&mut self, own: &Group<'_>, first: &str, second: &str) -> KeySource {
        self.problems.push(SslConfigProblem::Both {
            first: own.key(first),
            second: own.key(second),
        });
        KeySource::None
    }

    fn without(&mut self, own: &Group<'_>, given: &str, missing: &str) -> KeySource {
        self.problems.push(SslConfigProblem::Without {
            given: own.key(given),
            missing: own.key(missing),
        });
        KeySource::None
    }

    fn paths(&self, written: &[String]) -> Vec<ConfiguredPath> {
        let written = written.iter();
        written.map(|path| self.path(Path::new(path))).collect()
    }

    fn path(&self, written: &Path) -> ConfiguredPath {
        ConfiguredPath::new(written.display().to_string(), self.settings.config_dir())
    }
}

/// What makes up the context's own key. Entries that end with a dot are prefixes.
const KEY_GROUP: &[&str] = &[
    "key",
    "key_passphrase",
    "secure_key_passphrase",
    "certificate",
    "keystore.",
];
/// What makes up the trust.
const TRUST_GROUP: &[&str] = &["certificate_authorities", "truststore."];

#[cfg(test)]
mod tests {
    use ringwall_settings::{ClientAuthentication, Keystore, VerificationMode};

    use super::*;

    const P: &str = "xpack.security.transport.ssl";

    /// Reads transport settings given as `(key below the prefix, value)`; `secure` go to the keystore.
    fn read(
        plain: &[(&str, &str)],
        secure: &[(&str, &str)],
    ) -> Result<Option<SslConfig>, SslConfigError> {
        let mut keystore = Keystore::create(SecretString::default());
        for (key, value) in secure {
            keystore
                .set(&format!("{P}.{key}"), &SecretString::from(*value))
                .unwrap();
        }
        let plain: Vec<(String, &str)> = plain
            .iter()
            .map(|(key, value)| (format!("{P}.{key}"), *value))
            .collect();
        let plain: Vec<(&str, &str)> = plain.iter().map(|(key, v)| (key.as_str(), *v)).collect();
        let settings =
            Settings::from_overrides(Path::new("/etc/es"), &plain, Some(&keystore)).unwrap();
        SslConfig::from_settings(&settings, P)
    }

    #[test]
    fn the_official_transport_setup_is_read() {
        let config = read(
            &[
                ("enabled", "true"),
                ("verification_mode", "certificate"),
                ("client_authentication", "required"),
                ("keystore.path", "elastic-certificates.p12"),
                ("truststore.path", "/pki/trust.p12"),
            ],
            &[
                ("keystore.secure_password", "one"),
                ("truststore.secure_password", "two"),
            ],
        )
        .unwrap()
        .unwrap();
        assert_eq!(config.verification_mode, VerificationMode::Certificate);
        assert_eq!(config.client_authentication, ClientAuthentication::Required);
        assert_eq!(config.protocols, DEFAULT_PROTOCOLS);
        assert_eq!(config.cipher_suites, DEFAULT_CIPHER_SUITES);
        let KeySource::Keystore {
            path,
            password,
            key_password,
        } = config.key
        else {
            panic!("{:?}", config.key);
        };
        assert_eq!(path.written, "elastic-certificates.p12");
        assert_eq!(path.resolved, Path::new("/etc/es/elastic-certificates.p12"));
        assert_eq!((password.expose(), key_password), ("one", None));
        let TrustSource::Truststore { path, password } = config.trust else {
            panic!("{:?}", config.trust);
        };
        assert_eq!(path.resolved, Path::new("/pki/trust.p12"));
        assert_eq!(password.expose(), "two");
    }

    #[test]
    fn pem_files_and_lists_are_read() {
        let config = read(
            &[
                ("enabled", "true"),
                ("key", "certs/node.key"),
                ("certificate", "certs/node.crt"),
                ("certificate_authorities", "a.crt,b.crt"),
                ("supported_protocols", "TLSv1.3"),
            ],
            &[("secure_key_passphrase", "secret")],
        )
        .unwrap()
        .unwrap();
        assert_eq!(config.verification_mode, VerificationMode::Full);
        assert_eq!(config.protocols, ["TLSv1.3"]);
        assert!(matches!(
            config.key,
            KeySource::Pem {
                passphrase: Some(_),
                ..
            }
        ));
        assert!(matches!(config.trust, TrustSource::Pem(ref paths) if paths.len() == 2));
    }

    #[test]
    fn layers_without_tls_have_no_context() {
        assert!(read(&[], &[]).unwrap().is_none());
        let off = [
            ("enabled", "false"),
            ("keystore.path", "x.p12"),
            ("key", "y"),
        ];
        assert!(read(&off, &[]).unwrap().is_none());
        let settings = Settings::from_overrides(Path::new("/"), &[], None).unwrap();
        assert!(SslConfig::from_settings(&settings, "xpack.security.other.ssl").is_err());
    }

    #[test]
    fn contradictions_are_elasticsearchs_sentences() {
        let on = ("enabled", "true");
        for (plain, secure, expected) in [
            (
                vec![on],
                vec![],
                "server ssl configuration requires a key and certificate, but these have not been configured",
            ),
            (
                vec![("keystore.path", "x.p12")],
                vec![("keystore.secure_password", "p")],
                "invalid configuration for xpack.security.transport.ssl - [xpack.security.transport.ssl.enabled] is \
                 not set, but the following settings have been configured in elasticsearch.yml : \
                 [xpack.security.transport.ssl.keystore.path,xpack.security.transport.ssl.keystore.secure_password]",
            ),
            (
                vec![],
                vec![("keystore.secure_password", "p")],
                "configured in the elasticsearch keystore : \
                 [xpack.security.transport.ssl.keystore.secure_password]; set \
                 [xpack.security.transport.ssl.enabled] to true or false, or run \
                 `elasticsearch-keystore remove xpack.security.transport.ssl.keystore.secure_password`",
            ),
            (
                vec![on, ("certificate", "x"), ("keystore.path", "y")],
                vec![],
                "cannot specify both [xpack.security.transport.ssl.certificate] and \
                 [xpack.security.transport.ssl.keystore.path]",
            ),
            (
                vec![on, ("key", "x")],
                vec![],
                "cannot specify [xpack.security.transport.ssl.key] without also setting \
                 [xpack.security.transport.ssl.certificate]",
            ),
            (
                vec![on, ("certificate", "x")],
                vec![],
                "cannot specify [xpack.security.transport.ssl.certificate] without also setting \
                 [xpack.security.transport.ssl.key]",
            ),
            (
                vec![
                    on,
                    ("keystore.path", "x"),
                    ("certificate_authorities", "a"),
                    ("truststore.path", "b"),
                    ("verification_mode", "none"),
                ],
                vec![],
                "cannot specify both [xpack.security.transport.ssl.certificate_authorities] and \
                 [xpack.security.transport.ssl.truststore.path]",
            ),
            (
                vec![
                    on,
                    ("keystore.path", "x"),
                    ("keystore.password", "legacy-secret"),
                ],
                vec![("keystore.secure_password", "secure-secret")],
                "cannot specify both [xpack.security.transport.ssl.keystore.secure_password] and \
                 [xpack.security.transport.ssl.keystore.password]",
            ),
        ] {
            let line = read(&plain, &secure).unwrap_err().to_string();
            assert!(
                line.starts_with(
                    "failed to load SSL configuration [xpack.security.transport.ssl] - "
                )
            );
            assert!(line.contains(expected), "{line}");
            assert!(!line.contains("-secret"), "{line}");
        }
    }

    /// Reads the lines below the transport prefix of an elasticsearch.yml.
    fn read_yml(lines: &str) -> Result<SslConfig, SslConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let yml = format!("{P}:\n  enabled: true\n  keystore.path: x.p12\n{lines}");
        std::fs::write(dir.path().join("elasticsearch.yml"), yml).unwrap();
        let settings = Settings::load(dir.path(), &[], None).unwrap();
        SslConfig::from_settings(&settings, P).map(Option::unwrap)
    }

    #[test]
    fn what_is_empty_is_not_set() {
        let config = read_yml(
            "  key: ''\n  verification_mode: ${A_MODE_THAT_NOBODY_SETS:}\n  client_authentication: ''\n  \
               certificate_authorities: []\n  truststore.path: ''\n  supported_protocols: []\n  \
               trust_restrictions: { path: names.yml, x509_fields: [] }\n",
        )
        .unwrap();
        assert_eq!(config.verification_mode, VerificationMode::Full);
        assert_eq!(config.client_authentication, ClientAuthentication::Required);
        assert_eq!(config.protocols, DEFAULT_PROTOCOLS);
        assert!(matches!(config.trust, TrustSource::OwnCertificates));
        let (_, fields) = config.restrictions.unwrap();
        assert_eq!(fields, [RestrictedField::OtherNameCommonName]);
    }

    #[test]
    fn fields_of_certificates_are_known_even_where_nothing_is_restricted() {
        let error =
            read_yml("  trust_restrictions.x509_fields: subjectAltName.dsnName\n").unwrap_err();
        let line = error.to_string();
        assert!(
            line.contains("x509_fields] does not know [subjectAltName.dsnName]"),
            "{line}"
        );
    }

    #[test]
    fn all_contradictions_are_reported_together() {
        let error = read(
            &[
                ("enabled", "true"),
                ("key", "k"),
                ("certificate_authorities", "a"),
                ("truststore.path", "b"),
            ],
            &[],
        )
        .unwrap_err();
        assert_eq!(error.problems.len(), 2, "{error}");
    }

    const PROFILE: &str = "transport.profiles.wan.xpack.security.ssl";

    /// Reads the profile `wan` of settings whose keys begin at `P`, or at `PROFILE` after a `+`.
    fn read_profile(
        plain: &[(&str, &str)],
        secure: &[(&str, &str)],
    ) -> Result<Option<SslConfig>, SslConfigError> {
        let full = |key: &str| match key.strip_prefix('+') {
            Some(key) => format!("{PROFILE}.{key}"),
            None => format!("{P}.{key}"),
        };
        let mut keystore = Keystore::create(SecretString::default());
        for (key, value) in secure {
            keystore
                .set(&full(key), &SecretString::from(*value))
                .unwrap();
        }
        let mut all = vec![("transport.profiles.wan.port".to_owned(), "0")];
        all.extend(plain.iter().map(|(key, value)| (full(key), *value)));
        let all: Vec<(&str, &str)> = all.iter().map(|(key, v)| (key.as_str(), *v)).collect();
        let settings =
            Settings::from_overrides(Path::new("/etc/es"), &all, Some(&keystore)).unwrap();
        SslConfig::from_settings(&settings, PROFILE)
    }

    const BASE: [(&str, &str); 6] = [
        ("enabled", "true"),
        ("keystore.path", "base.p12"),
        ("truststore.path", "trust.p12"),
        ("verification_mode", "certificate"),
        ("supported_protocols", "TLSv1.3"),
        ("certificate_revocation_lists", "base.crl"),
    ];
    const BASE_SECRETS: [(&str, &str); 2] = [
        ("keystore.secure_password", "one"),
        ("truststore.secure_password", "two"),
    ];

    #[test]
    fn a_profile_inherits_what_it_does_not_set() {
        let plain = [&BASE[..], &[("+client_authentication", "none")]].concat();
        let config = read_profile(&plain, &BASE_SECRETS).unwrap().unwrap();
        assert_eq!(config.name, PROFILE);
        assert_eq!(config.client_authentication, ClientAuthentication::None);
        assert_eq!(config.verification_mode, VerificationMode::Certificate);
        assert_eq!(config.protocols, ["TLSv1.3"]);
        assert_eq!(config.revocation_lists[0].written, "base.crl");
        let KeySource::Keystore { path, password, .. } = &config.key else {
            panic!("{:?}", config.key);
        };
        assert_eq!(
            (path.written.as_str(), password.expose()),
            ("base.p12", "one")
        );
        assert!(
            matches!(&config.trust, TrustSource::Truststore { password, .. } if password.expose() == "two")
        );
        assert!(!config.is_http());
    }

    #[test]
    fn the_key_of_a_profile_is_its_own_whole_and_so_is_its_trust() {
        let pem = [("+key", "wan.key"), ("+certificate", "wan.crt")];
        let config = read_profile(&[&BASE[..], &pem].concat(), &BASE_SECRETS);
        let config = config.unwrap().unwrap();
        assert!(
            matches!(&config.key, KeySource::Pem { passphrase: None, certificate, .. } if certificate.written == "wan.crt")
        );
        assert!(
            matches!(&config.trust, TrustSource::Truststore { .. }),
            "{:?}",
            config.trust
        );

        // The password of the layer's file is not tried on that of the profile.
        let store = [
            ("+keystore.path", "wan.p12"),
            ("+certificate_authorities", "wan-ca.crt"),
        ];
        let config = read_profile(&[&BASE[..], &store].concat(), &BASE_SECRETS);
        let config = config.unwrap().unwrap();
        assert!(matches!(&config.key, KeySource::Keystore { password, .. } if password.is_empty()));
        assert!(
            matches!(&config.trust, TrustSource::Pem(paths) if paths[0].written == "wan-ca.crt")
        );
        let secrets = [&BASE_SECRETS[..], &[("+keystore.secure_password", "three")]].concat();
        let config = read_profile(&[&BASE[..], &store].concat(), &secrets);
        let config = config.unwrap().unwrap();
        assert!(
            matches!(&config.key, KeySource::Keystore { password, .. } if password.expose() == "three")
        );

        // Empty is not set, in a profile too.
        let config = read_profile(
            &BASE,
            &[&BASE_SECRETS[..], &[("+secure_key_passphrase", "")]].concat(),
        );
        assert!(matches!(
            config.unwrap().unwrap().key,
            KeySource::Keystore { .. }
        ));
    }

    #[test]
    fn contradictions_of_a_profile_name_its_keys() {
        let base = |more: &[(&'static str, &'static str)]| [&BASE[..], more].concat();
        for (plain, expected) in [
            (
                base(&[("+certificate", "x"), ("+keystore.path", "y")]),
                format!(
                    "cannot specify both [{PROFILE}.certificate] and [{PROFILE}.keystore.path]"
                ),
            ),
            (
                base(&[("+key", "x")]),
                format!(
                    "cannot specify [{PROFILE}.key] without also setting [{PROFILE}.certificate]"
                ),
            ),
            (
                base(&[("+certificate_authorities", "x"), ("+truststore.path", "y")]),
                format!(
                    "cannot specify both [{PROFILE}.certificate_authorities] and [{PROFILE}.truststore.path]"
                ),
            ),
            (
                base(&[("+keystore.password", "x")]),
                format!("you must set either [{PROFILE}.keystore.path]"),
            ),
            (
                base(&[
                    ("+trust_restrictions.path", "x"),
                    ("+trust_restrictions.x509_fields", "y"),
                ]),
                format!("[{PROFILE}.trust_restrictions.x509_fields] does not know [y]"),
            ),
            (
                base(&[("certificate_authorities", "x")]),
                format!(
                    "cannot specify both [{P}.certificate_authorities] and [{P}.truststore.path]"
                ),
            ),
            (
                vec![("+verification_mode", "none")],
                format!(
                    "[{P}.enabled] is not set, but the following settings have been configured in elasticsearch.yml : \
                     [{PROFILE}.verification_mode]"
                ),
            ),
        ] {
            let error = read_profile(&plain, &[]).unwrap_err();
            assert_eq!(error.context, PROFILE);
            assert!(
                error.to_string().contains(&expected),
                "{error}\nlacks {expected}"
            );
        }
        let off = [("enabled", "false"), ("+key", "x")];
        assert!(read_profile(&off, &[]).unwrap().is_none());
    }
}
