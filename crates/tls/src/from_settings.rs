//! A TLS context's configuration from the settings of its prefix, and the rules between them.

use std::fmt;
use std::path::Path;

use ringwall_base::SecretString;
use ringwall_settings::registry::ssl::{SslSettings, ssl_settings};
use ringwall_settings::{SecureSetting, Setting, Settings};

use crate::config::{
    ConfiguredPath, DEFAULT_CIPHER_SUITES, DEFAULT_PROTOCOLS, KeySource, SslConfig, TrustSource,
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

/// One contradiction between TLS settings, in Elasticsearch's words. Source: node.md sections 2.1 and 2.2.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SslConfigProblem {
    /// No context has this prefix.
    #[error("[{prefix}] is not the prefix of a TLS context")]
    UnknownPrefix { prefix: String },
    /// Settings are there, and nothing says whether they are to be used.
    #[error(
        "invalid configuration for {prefix} - [{prefix}.enabled] is not set, but the following settings have been \
         configured in elasticsearch.yml : [{}]; set [{prefix}.enabled] to true or false",
        keys.join(",")
    )]
    EnabledNotSet { prefix: String, keys: Vec<String> },
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
    /// Returns the configuration under a prefix (`xpack.security.transport.ssl` or
    /// `xpack.security.http.ssl`), or `None` when TLS is off there.
    ///
    /// Reads no file but the settings' own. Whether `xpack.security.enabled` lets it be used is the
    /// caller's to decide. Errors: every contradiction of node.md sections 2.1 and 2.2 at once.
    pub fn from_settings(
        settings: &Settings,
        prefix: &str,
    ) -> Result<Option<Self>, SslConfigError> {
        let Some(ssl) = ssl_settings(prefix) else {
            let prefix = prefix.to_owned();
            return Err(SslConfigError {
                context: prefix.clone(),
                problems: vec![SslConfigProblem::UnknownPrefix { prefix }],
            });
        };
        let mut reader = Reader {
            settings,
            ssl,
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

struct Reader<'a> {
    settings: &'a Settings,
    ssl: &'static SslSettings,
    problems: Vec<SslConfigProblem>,
}

impl Reader<'_> {
    fn config(&mut self) -> SslConfig {
        let (settings, ssl) = (self.settings, self.ssl);
        let or_default = |setting: &Setting<Vec<String>>, default: &[&str]| {
            let given = settings.get(setting);
            if given.is_empty() || !settings.is_set(setting.key()) {
                default.iter().map(|name| (*name).to_owned()).collect()
            } else {
                given
            }
        };
        SslConfig {
            name: ssl.prefix.to_owned(),
            key: self.key(),
            trust: self.trust(),
            revocation_lists: self.revocation_lists(),
            restrictions: self.restrictions(),
            verification_mode: settings.get(&ssl.verification_mode),
            client_authentication: settings.get(&ssl.client_authentication),
            protocols: or_default(&ssl.supported_protocols, &DEFAULT_PROTOCOLS),
            cipher_suites: or_default(&ssl.cipher_suites, &DEFAULT_CIPHER_SUITES),
        }
    }

    fn key(&mut self) -> KeySource {
        let (settings, ssl) = (self.settings, self.ssl);
        let key = settings.get(&ssl.key);
        let certificate = settings.get(&ssl.certificate);
        let keystore = settings.get(&ssl.keystore_path);
        let passphrase = self.password(&ssl.secure_key_passphrase, &ssl.key_passphrase);
        let password = self.password(&ssl.keystore_secure_password, &ssl.keystore_password);
        let key_password = self.password(
            &ssl.keystore_secure_key_password,
            &ssl.keystore_key_password,
        );
        match (key, certificate, keystore) {
            (None, None, None) => {
                self.problems.push(SslConfigProblem::NoKey {
                    prefix: ssl.prefix.to_owned(),
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
            (_, Some(_), Some(_)) => self.both(ssl.certificate.key(), ssl.keystore_path.key()),
            (Some(_), None, _) => self.without(ssl.key.key(), ssl.certificate.key()),
            (None, Some(_), None) => self.without(ssl.certificate.key(), ssl.key.key()),
        }
    }

    fn trust(&mut self) -> TrustSource {
        let (settings, ssl) = (self.settings, self.ssl);
        let authorities = settings.get(&ssl.certificate_authorities);
        let truststore = settings.get(&ssl.truststore_path);
        let password = self.password(&ssl.truststore_secure_password, &ssl.truststore_password);
        match (authorities.as_slice(), truststore) {
            ([], None) => TrustSource::OwnCertificates,
            ([], Some(path)) => TrustSource::Truststore {
                path: self.path(&path),
                password: password.unwrap_or_default(),
            },
            (paths, None) => TrustSource::Pem(
                paths
                    .iter()
                    .map(|path| self.path(Path::new(path)))
                    .collect(),
            ),
            (_, Some(_)) => {
                self.both(ssl.certificate_authorities.key(), ssl.truststore_path.key());
                TrustSource::OwnCertificates
            }
        }
    }

    fn revocation_lists(&self) -> Vec<ConfiguredPath> {
        let paths = self.settings.get(&self.ssl.certificate_revocation_lists);
        paths
            .iter()
            .map(|path| self.path(Path::new(path)))
            .collect()
    }

    fn restrictions(&mut self) -> Option<(ConfiguredPath, Vec<RestrictedField>)> {
        let path = self.settings.get(&self.ssl.trust_restrictions_path);
        let setting = &self.ssl.trust_restrictions_fields;
        let mut fields = Vec::new();
        for name in self.settings.get(setting) {
            match RestrictedField::named(&name) {
                Some(field) => fields.push(field),
                None => self.problems.push(SslConfigProblem::UnknownField {
                    setting: setting.key().to_owned(),
                    name,
                }),
            }
        }
        Some((self.path(&path?), fields))
    }

    /// Returns the secret of the keystore, else the deprecated one of elasticsearch.yml.
    fn password(
        &mut self,
        secure: &SecureSetting,
        legacy: &Setting<Option<SecretString>>,
    ) -> Option<SecretString> {
        let legacy_value = self.settings.get(legacy).filter(|value| !value.is_empty());
        let secure_value = self.settings.secret(secure);
        if secure_value.is_some() && legacy_value.is_some() {
            self.both(secure.key(), legacy.key());
        }
        secure_value.or(legacy_value)
    }

    /// Refuses settings of a layer for which nobody said whether it has TLS.
    fn forbid_orphans(&mut self) {
        let prefix = self.ssl.prefix;
        let keys = self.settings.keys_with_prefix(&format!("{prefix}."));
        if !keys.is_empty() {
            self.problems.push(SslConfigProblem::EnabledNotSet {
                prefix: prefix.to_owned(),
                keys,
            });
        }
    }

    fn both(&mut self, first: &str, second: &str) -> KeySource {
        self.problems.push(SslConfigProblem::Both {
            first: first.to_owned(),
            second: second.to_owned(),
        });
        KeySource::None
    }

    fn without(&mut self, given: &str, missing: &str) -> KeySource {
        self.problems.push(SslConfigProblem::Without {
            given: given.to_owned(),
            missing: missing.to_owned(),
        });
        KeySource::None
    }

    fn path(&self, written: &Path) -> ConfiguredPath {
        ConfiguredPath::new(written.display().to_string(), self.settings.config_dir())
    }
}

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
}
