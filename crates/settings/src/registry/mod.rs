//! Every setting Ringwall knows, in sections as the reference shows them.

pub mod allocation;
pub mod audit;
pub mod breakers;
pub mod cluster;
pub mod indices;
pub mod network;
pub mod node;
pub mod profiles;
pub mod realms;
pub mod security;
pub mod ssl;
mod unsupported;

use ringwall_base::suggest;

use crate::setting::{Info, SettingSpec};

pub(crate) use unsupported::{Verdict, is_secure_elsewhere, verdict};

/// A group of settings in the reference.
pub struct Section {
    pub title: &'static str,
    pub intro: &'static str,
    pub settings: &'static [&'static dyn SettingSpec],
}

/// All sections, in the order of the reference.
pub static SECTIONS: &[&Section] = &[
    &node::SECTION,
    &network::SECTION,
    &network::HTTP_SECTION,
    &network::TRANSPORT_SECTION,
    &cluster::DISCOVERY_SECTION,
    &cluster::COORDINATION_SECTION,
    &indices::SECTION,
    &breakers::SECTION,
    &allocation::SECTION,
    &indices::THREAD_POOL_SECTION,
    &security::SECTION,
    &realms::SECTION,
    &security::FILTER_SECTION,
    &audit::SECTION,
    &ssl::TRANSPORT_SECTION,
    &ssl::HTTP_SECTION,
    &profiles::SECTION,
];

/// Returns every setting.
pub fn registry() -> impl Iterator<Item = &'static dyn SettingSpec> {
    SECTIONS
        .iter()
        .flat_map(|section| section.settings.iter().copied())
}

/// Returns the setting or family that a key belongs to.
pub fn find(key: &str) -> Option<&'static dyn SettingSpec> {
    registry()
        .find(|spec| spec.pattern() == key)
        .or_else(|| registry().find(|spec| spec.matches(key)))
}

/// Returns the known keys most like a misspelt one, of a family the one with the name that is given.
/// Source: Elasticsearch's `AbstractScopedSettings`.
pub fn nearest(key: &str, may_be: impl Fn(&Info) -> bool) -> Vec<String> {
    let known: Vec<String> = registry()
        .filter(|spec| may_be(spec.info()))
        .filter_map(|spec| named_as(&spec.pattern(), key))
        .collect();
    suggest::similar(key, known.iter().map(String::as_str))
        .into_iter()
        .map(str::to_owned)
        .collect()
}

/// Returns the key of a pattern, for a family with the name that another key has in its place.
fn named_as(pattern: &str, key: &str) -> Option<String> {
    let Some((prefix, suffix)) = pattern.split_once("<name>") else {
        return Some(pattern.to_owned());
    };
    let (name, _) = key.strip_prefix(prefix)?.split_once('.')?;
    (!suffix.is_empty()).then(|| format!("{prefix}{name}{suffix}"))
}

/// Returns whether a value must not be shown: the setting says so, or its name sounds like it.
pub(crate) fn may_be_secret(key: &str) -> bool {
    find(key).is_some_and(|spec| spec.info().is_filtered)
        || ["password", "passphrase", "secret", "token", "credential"]
            .iter()
            .any(|word| key.to_ascii_lowercase().contains(word))
            && find(key).is_none_or(|spec| spec.info().is_filtered)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::problem::Problems;
    use crate::raw::{self, RawValue};

    #[test]
    fn keys_are_unique_and_found() {
        let mut seen = BTreeSet::new();
        for spec in registry() {
            assert!(seen.insert(spec.pattern()), "{} twice", spec.pattern());
            let key = spec.pattern().replace("<name>", "x");
            assert_eq!(find(&key).unwrap().pattern(), spec.pattern());
        }
        assert!(seen.len() > 120, "{}", seen.len());
    }

    #[test]
    fn defaults_examples_and_fallbacks_are_valid() {
        for spec in registry() {
            let info = spec.info();
            if let Some(text) = literal_default(spec) {
                let parsed = spec.check(&RawValue::Text(text.clone()));
                assert_eq!(parsed, Ok(()), "{} with [{text}]", info.key);
            }
            if let Some(example) = info.example {
                let key = spec.pattern().replace("<name>", "x");
                let line = format!("{key}: {example}");
                let mut problems = Problems::default();
                let values = raw::read_yml(Path::new("x.yml"), &line, &mut problems);
                assert_eq!(spec.check(&values[&key].value), Ok(()), "{line}");
            }
            for fallback in info.fallbacks {
                let kind = find(fallback).map(SettingSpec::kind);
                assert_eq!(kind, Some(spec.kind()), "{} -> {fallback}", info.key);
            }
        }
    }

    /// The default as a value; computed ones are described in words between parentheses.
    fn literal_default(spec: &dyn SettingSpec) -> Option<String> {
        spec.default_text().filter(|text| !text.starts_with('('))
    }

    #[test]
    fn every_setting_is_documented() {
        for spec in registry() {
            let doc = spec.info().doc;
            assert!(
                doc.ends_with('.') && doc.len() > 15,
                "{}: [{doc}]",
                spec.pattern()
            );
        }
    }

    #[test]
    fn secrets_are_recognised_by_setting_or_by_name() {
        for key in [
            "bootstrap.password",
            "xpack.security.http.ssl.key_passphrase",
            "xpack.notification.email.account.a.smtp.password",
        ] {
            assert!(may_be_secret(key), "{key}");
        }
        for key in [
            "http.port",
            "xpack.security.authc.password_hashing.algorithm",
        ] {
            assert!(!may_be_secret(key), "{key}");
        }
    }
}
