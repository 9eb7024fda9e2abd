//! The trust that a PKI realm has of its own: certificates of users are judged by it, nothing is accepted or dialled.

use ringwall_settings::registry::realms::PKI_REALM;
use ringwall_settings::{ClientAuthentication, Settings, VerificationMode};

use crate::config::{ConfiguredPath, KeySource, SslConfig, TrustSource};
use crate::from_settings::{SslConfigError, SslConfigProblem};

impl SslConfig {
    /// Returns the configuration of a context by its name: that of a layer, of a transport profile or of a PKI realm.
    ///
    /// Errors: as [`from_settings`](Self::from_settings) and [`of_pki_realm`](Self::of_pki_realm).
    pub fn of_context(settings: &Settings, name: &str) -> Result<Option<Self>, SslConfigError> {
        match name.strip_prefix(PREFIX) {
            Some(realm) => Self::of_pki_realm(settings, realm),
            None => Self::from_settings(settings, name),
        }
    }

    /// Returns the configuration under `xpack.security.authc.realms.pki.<realm>`, or `None` when the realm leaves the
    /// trust to HTTPS. A context of it is asked by [`would_trust`](crate::SslContext::would_trust).
    ///
    /// Reads no file but the settings' own. Errors: two settings that say the same thing.
    pub fn of_pki_realm(settings: &Settings, realm: &str) -> Result<Option<Self>, SslConfigError> {
        let name = format!("{PREFIX}{realm}");
        let mut problems = Vec::new();
        let mut both = |first: String, second: String| {
            problems.push(SslConfigProblem::Both { first, second });
        };
        let path = |written: String| ConfiguredPath::new(written, settings.config_dir());
        let authorities = settings.get_named(&PKI_REALM.certificate_authorities, realm);
        let truststore = settings.get_named(&PKI_REALM.truststore_path, realm);
        let legacy = settings.get_named(&PKI_REALM.truststore_password, realm);
        let legacy = legacy.filter(|password| !password.is_empty());
        let secure = settings.secret_named(&PKI_REALM.truststore_secure_password, realm);
        if legacy.is_some() && secure.is_some() {
            both(
                PKI_REALM.truststore_secure_password.key_for(realm),
                PKI_REALM.truststore_password.key_for(realm),
            );
        }
        if truststore.is_some() && !authorities.is_empty() {
            both(
                PKI_REALM.certificate_authorities.key_for(realm),
                PKI_REALM.truststore_path.key_for(realm),
            );
        }
        let trust = match truststore {
            Some(store) => TrustSource::Truststore {
                path: path(store.display().to_string()),
                password: secure.or(legacy).unwrap_or_default(),
            },
            None if authorities.is_empty() => return Ok(None),
            None => TrustSource::Pem(authorities.into_iter().map(path).collect()),
        };
        if !problems.is_empty() {
            let context = name;
            return Err(SslConfigError { context, problems });
        }
        Ok(Some(Self {
            // Clients have no name that was dialled.
            verification_mode: VerificationMode::Certificate,
            client_authentication: ClientAuthentication::None,
            ..Self::new(name, KeySource::None, trust)
        }))
    }
}

/// What the name of a context begins with that is a realm's.
const PREFIX: &str = "xpack.security.authc.realms.pki.";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ringwall_base::SecretString;
    use ringwall_settings::Keystore;

    use super::*;

    const P: &str = "xpack.security.authc.realms.pki.p";

    fn read(plain: &[(&str, &str)]) -> Result<Option<SslConfig>, SslConfigError> {
        let mut keystore = Keystore::create(SecretString::default());
        let secure = format!("{P}.truststore.secure_password");
        keystore
            .set(&secure, &SecretString::from("secret"))
            .unwrap();
        let plain: Vec<(String, &str)> = [("order", "1")]
            .iter()
            .chain(plain)
            .map(|(key, value)| (format!("{P}.{key}"), *value))
            .collect();
        let plain: Vec<(&str, &str)> = plain.iter().map(|(key, v)| (key.as_str(), *v)).collect();
        let settings = Settings::from_overrides(Path::new("/etc/es"), &plain, Some(&keystore));
        SslConfig::of_context(&settings.unwrap(), P)
    }

    #[test]
    fn the_trust_of_a_realm_is_read() {
        assert!(read(&[]).unwrap().is_none());
        let config = read(&[("certificate_authorities", "a.crt, b.crt")])
            .unwrap()
            .unwrap();
        assert!(matches!(config.trust, TrustSource::Pem(ref paths) if paths.len() == 2));
        let config = read(&[("truststore.path", "a.p12")]).unwrap().unwrap();
        let TrustSource::Truststore { path, password } = config.trust else {
            panic!("{:?}", config.trust);
        };
        assert_eq!(path.resolved, Path::new("/etc/es/a.p12"));
        assert_eq!(password.expose(), "secret");
        for plain in [
            [("truststore.path", "a.p12"), ("truststore.password", "b")],
            [
                ("truststore.path", "a.p12"),
                ("certificate_authorities", "b"),
            ],
        ] {
            let error = read(&plain).unwrap_err().to_string();
            assert!(error.contains("cannot specify both"), "{error}");
        }
    }
}
