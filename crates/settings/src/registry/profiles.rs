//! Settings of transport profiles: those of the transport layer again, per listener. Source: Elasticsearch reference,
//! "Networking" (transport profiles).
//!
//! `transport.port` is `transport.profiles.<name>.port` in a profile, and `xpack.security.transport.ssl.key` is
//! `transport.profiles.<name>.xpack.security.ssl.key`.

use super::Section;
use super::network::{
    TRANSPORT_BIND_HOST, TRANSPORT_PORT, TRANSPORT_PUBLISH_HOST, TRANSPORT_PUBLISH_PORT,
};
use super::security::{TRANSPORT_FILTER_ALLOW, TRANSPORT_FILTER_DENY};
use super::ssl::{TRANSPORT_SSL, ssl_settings_of};
use crate::raw::RawValue;
use crate::setting::{Info, SecureSetting, Setting, SettingSpec};

/// The name of the profile that every node has, and that `transport.*` is about.
pub const DEFAULT_PROFILE: &str = "default";

/// Returns the key that a setting of the transport layer, or a prefix of some, has in a profile.
pub fn key_in_profile(profile: &str, key: &str) -> String {
    let (layer, rest) = split(key);
    format!("{PREFIX}{profile}{layer}{rest}")
}

/// Returns the prefix of a profile's TLS settings, which is the name of its TLS context.
pub fn ssl_prefix(profile: &str) -> String {
    key_in_profile(profile, TRANSPORT_SSL.prefix)
}

/// Returns the profile whose TLS settings have a prefix.
pub fn profile_of_ssl_prefix(prefix: &str) -> Option<&str> {
    let (profile, rest) = split_key(prefix)?;
    (rest == SSL).then_some(profile)
}

/// Returns the name of the profile that a key is about.
pub(crate) fn profile_of(key: &str) -> Option<&str> {
    split_key(key).map(|(profile, _)| profile)
}

/// Returns the name of a profile and what follows it in a key, with the dot.
pub(crate) fn split_key(key: &str) -> Option<(&str, &str)> {
    let rest = key.strip_prefix(PREFIX)?;
    let (profile, _) = rest.split_once('.')?;
    (!profile.is_empty()).then(|| rest.split_at(profile.len()))
}

/// Returns the part of a key that stays before what it is about, and that.
fn split(key: &str) -> (&'static str, &str) {
    match key.strip_prefix("xpack.security.transport") {
        Some(rest) => (".xpack.security", rest),
        None => ("", key.strip_prefix("transport").unwrap_or(key)),
    }
}

/// A setting of the transport layer as profiles have it.
struct InProfile {
    base: &'static dyn SettingSpec,
    info: Info,
    is_inherited: bool,
}

impl InProfile {
    const fn of(base: &'static dyn SettingSpec, info: &Info) -> Self {
        Self {
            base,
            info: Info {
                key: PREFIX,
                fallbacks: &[],
                ..*info
            },
            is_inherited: true,
        }
    }

    const fn new<T: crate::types::SettingValue>(base: &'static Setting<T>) -> Self {
        Self::of(base, &base.info)
    }

    const fn secure(base: &'static SecureSetting) -> Self {
        Self::of(base, &base.info)
    }

    /// A profile that does not set it has the default, not what the layer has.
    const fn not_inherited(mut self) -> Self {
        self.is_inherited = false;
        self
    }
}

impl SettingSpec for InProfile {
    fn info(&self) -> &Info {
        &self.info
    }

    fn kind(&self) -> String {
        self.base.kind()
    }

    fn is_list(&self) -> bool {
        self.base.is_list()
    }

    /// What is inherited is no value but the name of a setting, between parentheses.
    fn default_text(&self) -> Option<String> {
        self.is_inherited
            .then(|| format!("(as `{}`)", self.base.info().key))
    }

    fn pattern(&self) -> String {
        key_in_profile("<name>", self.base.info().key)
    }

    fn matches(&self, key: &str) -> bool {
        profile_of(key).is_some_and(|profile| key == key_in_profile(profile, self.base.info().key))
    }

    fn check(&self, value: &RawValue) -> Result<(), String> {
        self.base.check(value)
    }
}

macro_rules! in_profile {
    ($settings:ident: [$($key:ident,)*], secure [$($secure:ident,)*]) => {
        &[
            &InProfile::new(&TRANSPORT_PORT).not_inherited(),
            &InProfile::new(&TRANSPORT_BIND_HOST),
            &InProfile::new(&TRANSPORT_PUBLISH_HOST),
            &InProfile::new(&TRANSPORT_PUBLISH_PORT).not_inherited(),
            &InProfile::new(&TRANSPORT_FILTER_ALLOW).not_inherited(),
            &InProfile::new(&TRANSPORT_FILTER_DENY).not_inherited(),
            $(&InProfile::new(&$settings.$key),)*
            $(&InProfile::secure(&$settings.$secure),)*
        ]
    };
}

pub(super) static SECTION: Section = Section {
    title: "Transport profiles",
    intro: "Further listeners of the transport layer, each with a name, a port and if need be TLS and rules of its \
            own. They are about accepted connections only: a node dials with `xpack.security.transport.ssl`. \
            `port` is required, and the profile `default` is the listener that every node has: there it wins over \
            `transport.*` and `xpack.security.transport.*`. TLS settings that a profile does not have are those of \
            `xpack.security.transport.ssl`, and whether there is TLS is said there alone; the settings of its own key \
            (`key*`, `certificate`, `keystore.*`) go together, as do those of its trust (`certificate_authorities`, \
            `truststore.*`): one of them in the profile, and none of that group is inherited. Rules are not inherited.",
    settings: ssl_settings_of!(in_profile, TRANSPORT_SSL),
};

const PREFIX: &str = "transport.profiles.";
const SSL: &str = ".xpack.security.ssl";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{find, ssl};

    #[test]
    fn every_tls_setting_but_enabled_is_one_of_profiles_too() {
        let base = ssl::TRANSPORT_SECTION.settings.iter();
        let mut seen = 0;
        for spec in base.filter(|spec| spec.info().key != TRANSPORT_SSL.enabled.key()) {
            let rest = spec.info().key.strip_prefix(TRANSPORT_SSL.prefix).unwrap();
            if rest.starts_with(".dual_stack.") {
                continue;
            }
            let key = format!("transport.profiles.a{SSL}{rest}");
            let found = find(&key).unwrap_or_else(|| panic!("{key}"));
            assert_eq!(found.kind(), spec.kind(), "{key}");
            assert_eq!(found.info().is_secure, spec.info().is_secure, "{key}");
            assert_eq!(found.info().is_filtered, spec.info().is_filtered, "{key}");
            seen += 1;
        }
        assert_eq!(seen, 24);
        assert!(find("transport.profiles.a.xpack.security.ssl.enabled").is_none());
        assert!(find("transport.profiles.a.b.port").is_none());
        assert!(find("transport.profiles..port").is_none());
    }

    #[test]
    fn keys_are_told_apart() {
        assert_eq!(ssl_prefix("a"), "transport.profiles.a.xpack.security.ssl");
        assert_eq!(profile_of_ssl_prefix(&ssl_prefix("a")), Some("a"));
        assert_eq!(profile_of_ssl_prefix(TRANSPORT_SSL.prefix), None);
        assert_eq!(
            key_in_profile("a", "transport.port"),
            "transport.profiles.a.port"
        );
        assert_eq!(profile_of("transport.profiles.a.port"), Some("a"));
        assert_eq!(profile_of("transport.profiles.a"), None);
    }
}
