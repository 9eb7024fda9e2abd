//! PKI realms: what the settings say of them, and which TLS contexts decide for them. Source: Elasticsearch
//! reference, "PKI user authentication".

use std::sync::Arc;

use ringwall_security::files::RoleMappingFile;
use ringwall_security::{CertificateTrust, PkiRealm, PkiRealmConfig, UsernameSource};
use ringwall_settings::realms::{self, RealmType};
use ringwall_settings::registry::realms::{DEFAULT_USERNAME_PATTERN, PKI_REALM};
use ringwall_settings::registry::{security, ssl};
use ringwall_settings::{ClientAuthentication, Settings, VerificationMode};
use ringwall_tls::{CertificateDer, PeerRole, SslConfig, SslContext, spawn_expiry_warnings};

use crate::bootstrap_checks::PkiFacts;
use crate::http::poll;
use crate::node::{StartError, watch};

/// Returns what the bootstrap checks look at. Blocks shortly: reads the files of the realms.
pub(crate) fn facts(settings: &Settings) -> PkiFacts {
    if !settings.get(&security::SECURITY_ENABLED) {
        return PkiFacts::default();
    }
    let mut facts = PkiFacts {
        asked_for: settings.get(&ssl::HTTP_SSL.enabled)
            && settings.get(&ssl::HTTP_SSL.client_authentication) != ClientAuthentication::None,
        verified: settings.get(&ssl::HTTP_SSL.verification_mode) != VerificationMode::None,
        ..PkiFacts::default()
    };
    for name in names(settings) {
        facts.enabled = true;
        match own_trust(settings, &name) {
            Ok(trust) => facts.without_trust |= trust.is_none(),
            Err(error) => facts.problems.push(error.to_string()),
        }
        facts.problems.extend(username(settings, &name).err());
        if settings.is_set(&PKI_REALM.role_mapping.key_for(&name)) {
            let path = settings.get_named(&PKI_REALM.role_mapping, &name);
            let checked = RoleMappingFile::check(&settings.config_path(path), &name);
            facts.problems.extend(checked.err());
        }
    }
    facts
}

/// The enabled realms in their order, and the TLS contexts of those with a trust of their own.
#[derive(Default)]
pub(crate) struct PkiRealms {
    pub(crate) realms: Vec<Arc<PkiRealm>>,
    pub(crate) tls: Vec<Arc<SslContext>>,
}

/// Opens the enabled realms, and looks for changes of their files from then on. Blocking.
pub(crate) fn open(
    settings: &Settings,
    https: Option<&Arc<SslContext>>,
) -> Result<PkiRealms, StartError> {
    let mut opened = PkiRealms::default();
    for name in names(settings) {
        let (realm, own) = open_one(settings, https, name)?;
        opened.realms.push(realm);
        opened.tls.extend(own);
    }
    Ok(opened)
}

fn open_one(
    settings: &Settings,
    https: Option<&Arc<SslContext>>,
    name: String,
) -> Result<(Arc<PkiRealm>, Option<Arc<SslContext>>), StartError> {
    // Beside its own trust, whose files may be older than a revocation that HTTPS knows of.
    let https = https.filter(|https| https.config().verification_mode != VerificationMode::None);
    let own = own_trust(settings, &name)?;
    if let Some(own) = &own {
        watch(settings, own);
        spawn_expiry_warnings(std::slice::from_ref(own));
    }
    let trust = https.cloned().into_iter().chain(own.clone());
    let cache_ttl = settings.get_named(&PKI_REALM.cache_ttl, &name);
    let role_mapping = settings.get_named(&PKI_REALM.role_mapping, &name);
    let realm = PkiRealm::open(PkiRealmConfig {
        username: username(settings, &name).map_err(StartError::Setting)?,
        trust: trust
            .map(|context| Arc::new(ContextTrust(context)) as Arc<dyn CertificateTrust>)
            .collect(),
        role_mapping: settings.config_path(role_mapping),
        cache_ttl: cache_ttl.duration().unwrap_or_default(),
        cache_max_users: settings.get_named(&PKI_REALM.cache_max_users, &name) as u64,
        name,
    })?;
    let realm = Arc::new(realm);
    poll(settings, &realm, PkiRealm::poll);
    Ok((realm, own))
}

fn names(settings: &Settings) -> impl Iterator<Item = String> {
    let chain = realms::chain(settings).into_iter();
    chain
        .filter(|realm| realm.realm_type == RealmType::Pki)
        .map(|realm| realm.name)
}

/// Returns where the names of users are. The error names the setting.
fn username(settings: &Settings, name: &str) -> Result<UsernameSource, String> {
    let attributes = [&PKI_REALM.username_rdn_name, &PKI_REALM.username_rdn_oid];
    let attribute = attributes
        .into_iter()
        .find_map(|family| Some((family.key_for(name), settings.get_named(family, name)?)));
    let (key, value, source) = match attribute {
        Some((key, value)) => {
            let source = UsernameSource::attribute(&value);
            (key, value, source)
        }
        None => {
            let pattern = settings.get_named(&PKI_REALM.username_pattern, name);
            // The same, but for commas in names: the pattern would cut them off.
            let source = match pattern == DEFAULT_USERNAME_PATTERN {
                true => UsernameSource::attribute("CN"),
                false => UsernameSource::pattern(&pattern),
            };
            (PKI_REALM.username_pattern.key_for(name), pattern, source)
        }
    };
    source.map_err(|reason| format!("[{key}] cannot be [{value}]: {reason}"))
}

fn own_trust(settings: &Settings, name: &str) -> Result<Option<Arc<SslContext>>, StartError> {
    let Some(config) = SslConfig::of_pki_realm(settings, name)? else {
        return Ok(None);
    };
    Ok(Some(SslContext::load(config, &[])?))
}

/// What a TLS context trusts at the moment.
struct ContextTrust(Arc<SslContext>);

impl CertificateTrust for ContextTrust {
    fn verify(&self, chain: &[CertificateDer<'static>]) -> Result<(), String> {
        let trusted = self.0.would_trust(chain, PeerRole::Client, None);
        trusted.map_err(|reason| format!("[{}]: {}", self.0.name(), reason.detail()))
    }

    fn generation(&self) -> u64 {
        self.0.generation()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn facts_of(config: &Path, given: &[(&str, &str)]) -> PkiFacts {
        facts(&Settings::from_overrides(config, given, None).unwrap())
    }

    #[test]
    fn everything_that_is_wrong_with_a_realm_is_found_at_once() {
        const P: &str = "xpack.security.authc.realms.pki.p";
        let dir = tempfile::tempdir().unwrap();
        let key = |suffix: &str| format!("{P}.{suffix}");
        let (order, pattern) = (key("order"), key("username_pattern"));
        let (roles, authorities) = (key("files.role_mapping"), key("certificate_authorities"));
        let good = facts_of(dir.path(), &[(&order, "1")]);
        assert!(good.enabled && good.without_trust && !good.asked_for && good.verified);
        assert_eq!(good.problems, [""; 0]);
        let wrong = [
            (order.as_str(), "1"),
            (&pattern, "CN=.*"),
            (&roles, "missing.yml"),
            (&authorities, "missing.crt"),
        ];
        let problems = facts_of(dir.path(), &wrong).problems;
        assert_eq!(problems.len(), 3, "{problems:?}");
        for (problem, expected) in problems.iter().zip([
            "missing.crt",
            "username_pattern] cannot be [CN=.*]: it has no group",
            "missing.yml] for realm [p] does not exist",
        ]) {
            assert!(problem.contains(expected), "{problem}");
        }
        let off = [&wrong[..], &[("xpack.security.enabled", "false")]].concat();
        assert_eq!(facts_of(dir.path(), &off), PkiFacts::default());
        let (enabled, off) = (key("enabled"), "false");
        let disabled = [&wrong[..], &[(&enabled, off)]].concat();
        assert!(!facts_of(dir.path(), &disabled).enabled);
    }

    #[test]
    fn an_attribute_goes_before_the_pattern() {
        let source = |given: &[(&str, &str)]| {
            let prefixed: Vec<(String, &str)> = [("order", "1")]
                .iter()
                .chain(given)
                .map(|(key, v)| (format!("xpack.security.authc.realms.pki.p.{key}"), *v))
                .collect();
            let given: Vec<(&str, &str)> =
                prefixed.iter().map(|(key, v)| (key.as_str(), *v)).collect();
            let settings = Settings::from_overrides(Path::new("/"), &given, None).unwrap();
            match username(&settings, "p")? {
                UsernameSource::Attribute(oid) => Ok::<_, String>(oid),
                UsernameSource::Pattern(pattern) => Ok(pattern.to_string()),
            }
        };
        assert_eq!(source(&[]).unwrap(), "2.5.4.3");
        assert_eq!(
            source(&[("username_pattern", "OU=(.*)")]).unwrap(),
            "OU=(.*)"
        );
        let both = [("username_pattern", "OU=(.*)"), ("username_rdn_name", "ou")];
        assert_eq!(source(&both).unwrap(), "2.5.4.11");
        assert_eq!(source(&[("username_rdn_oid", "1.2.3")]).unwrap(), "1.2.3");
        let error = source(&[("username_rdn_name", "nickname")]).unwrap_err();
        assert!(
            error.contains("username_rdn_name] cannot be [nickname]"),
            "{error}"
        );
    }
}
