//! Which realms there are, and in which order they are asked. Source: Elasticsearch reference, "Realm chains".

use std::collections::BTreeMap;

use crate::registry::realms::{FILE_REALM, NATIVE_REALM, PKI_REALM};
use crate::settings::Settings;

/// A realm that is asked. The reserved realm, before all others, is none of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Realm {
    pub realm_type: RealmType,
    pub name: String,
}

/// The types of realms there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RealmType {
    File,
    Native,
    Pki,
}

impl RealmType {
    /// Returns the word in the keys of settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Native => "native",
            Self::Pki => "pki",
        }
    }

    const ALL: [Self; 3] = [Self::File, Self::Native, Self::Pki];
}

/// Returns the realms that are asked, in their order: by `order` those configured, after a file and a native realm
/// where none of that type is configured.
pub fn chain(settings: &Settings) -> Vec<Realm> {
    let configured = configured(settings);
    let implicit = [
        (RealmType::File, "default_file"),
        (RealmType::Native, "default_native"),
    ];
    let mut chain: Vec<Realm> = implicit
        .into_iter()
        .filter(|(realm_type, _)| {
            configured
                .iter()
                .all(|found| found.realm_type != *realm_type)
        })
        .map(|(realm_type, name)| Realm {
            realm_type,
            name: name.to_owned(),
        })
        .collect();
    let mut enabled: Vec<Configured> = configured
        .into_iter()
        .filter(|found| found.enabled)
        .collect();
    enabled.sort_by_key(|found| found.order);
    chain.extend(enabled.into_iter().map(|found| Realm {
        realm_type: found.realm_type,
        name: found.name,
    }));
    chain
}

/// Returns what contradicts itself in the settings of realms, each with the key to look at.
pub(crate) fn conflicts(settings: &Settings) -> Vec<(String, String)> {
    let configured = configured(settings);
    let mut conflicts = Vec::new();
    let mut names: BTreeMap<&str, &Configured> = BTreeMap::new();
    let mut orders: BTreeMap<i64, &Configured> = BTreeMap::new();
    let mut single: BTreeMap<RealmType, &Configured> = BTreeMap::new();
    for found in &configured {
        let mut refuse = |reason: String| conflicts.push((found.key.clone(), reason));
        let (name, prefix) = (found.name.as_str(), found.prefix());
        if name.starts_with('_') {
            refuse(format!(
                "the realm [{prefix}] must not have a name that begins with an underscore"
            ));
        }
        if let Some(other) = names.insert(name, found) {
            let other = other.prefix();
            refuse(format!(
                "the realms [{other}] and [{prefix}] have the same name; give one of them another"
            ));
        }
        if found.realm_type != RealmType::Pki
            && let Some(other) = single.insert(found.realm_type, found)
        {
            let (realm_type, other) = (found.realm_type.as_str(), other.prefix());
            refuse(format!(
                "there can be one realm of the type [{realm_type}], but [{other}] and [{prefix}] are configured; \
                 take one out"
            ));
        }
        if !found.enabled {
            continue;
        }
        match found.order {
            None => refuse(format!(
                "the realm [{prefix}] has no order; set [{prefix}.order] to a number that no other realm has"
            )),
            Some(order) => {
                if let Some(other) = orders.insert(order, found) {
                    let other = other.prefix();
                    refuse(format!(
                        "[{other}.order] and [{prefix}.order] are both [{order}]; which of the realms is asked first \
                         must be clear"
                    ));
                }
            }
        }
        let (rdn_name, rdn_oid) = (&PKI_REALM.username_rdn_name, &PKI_REALM.username_rdn_oid);
        let (rdn_name, rdn_oid) = (rdn_name.key_for(name), rdn_oid.key_for(name));
        if found.realm_type == RealmType::Pki
            && settings.is_set(&rdn_name)
            && settings.is_set(&rdn_oid)
        {
            refuse(format!(
                "[{rdn_name}] and [{rdn_oid}] both say where the name of a user is; take one out"
            ));
        }
    }
    conflicts
}

/// A realm that at least one setting is about.
struct Configured {
    realm_type: RealmType,
    name: String,
    order: Option<i64>,
    enabled: bool,
    /// One of its settings.
    key: String,
}

impl Configured {
    fn prefix(&self) -> String {
        format!("{REALMS}{}.{}", self.realm_type.as_str(), self.name)
    }
}

/// By type and name.
fn configured(settings: &Settings) -> Vec<Configured> {
    let mut found: BTreeMap<(RealmType, String), String> = BTreeMap::new();
    for key in settings.keys_with_prefix(REALMS) {
        let mut parts = key[REALMS.len()..].splitn(3, '.');
        let (Some(realm_type), Some(name)) = (parts.next(), parts.next()) else {
            continue;
        };
        let known = RealmType::ALL
            .into_iter()
            .find(|known| known.as_str() == realm_type);
        if let Some(known) = known {
            found.entry((known, name.to_owned())).or_insert(key);
        }
    }
    let found = found.into_iter();
    found
        .map(|((realm_type, name), key)| {
            let (order, enabled) = match realm_type {
                RealmType::File => (&FILE_REALM.order, &FILE_REALM.enabled),
                RealmType::Native => (&NATIVE_REALM.order, &NATIVE_REALM.enabled),
                RealmType::Pki => (&PKI_REALM.order, &PKI_REALM.enabled),
            };
            Configured {
                realm_type,
                order: settings.family(order).remove(&name),
                enabled: settings.get_named(enabled, &name),
                name,
                key,
            }
        })
        .collect()
}

const REALMS: &str = "xpack.security.authc.realms.";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ringwall_base::SecretString;

    use super::*;
    use crate::{Keystore, SettingsError};

    fn load(given: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let given: Vec<(String, &str)> = given
            .iter()
            .map(|(key, value)| (format!("{REALMS}{key}"), *value))
            .collect();
        let given: Vec<(&str, &str)> = given.iter().map(|(key, v)| (key.as_str(), *v)).collect();
        Settings::from_overrides(Path::new("/etc/es"), &given, None)
    }

    #[track_caller]
    fn check(given: &[(&str, &str)], expected: &[&str]) {
        let chain = chain(&load(given).unwrap());
        let chain: Vec<String> = chain
            .iter()
            .map(|realm| format!("{}.{}", realm.realm_type.as_str(), realm.name))
            .collect();
        assert_eq!(chain, expected);
    }

    #[test]
    fn realms_are_asked_in_their_order_after_the_implicit_ones() {
        check(&[], &["file.default_file", "native.default_native"]);
        check(
            &[("pki.b.order", "-5"), ("pki.a.order", "7")],
            &[
                "file.default_file",
                "native.default_native",
                "pki.b",
                "pki.a",
            ],
        );
        check(
            &[("file.f.order", "3"), ("native.n.order", "2")],
            &["native.n", "file.f"],
        );
        check(
            &[("file.f.enabled", "false"), ("pki.p.enabled", "false")],
            &["native.default_native"],
        );
    }

    #[test]
    fn contradictions_name_the_realms() {
        for (given, expected) in [
            (&[("pki.p.cache.ttl", "1m")][..], "pki.p] has no order"),
            (
                &[("pki.p.order", "1"), ("native.n.order", "1")],
                "native.n.order] and [xpack.security.authc.realms.pki.p.order] are both [1]",
            ),
            (
                &[("pki.x.order", "1"), ("native.x.order", "2")],
                "have the same name",
            ),
            (
                &[("file.a.order", "1"), ("file.b.order", "2")],
                "one realm of the type [file]",
            ),
            (&[("pki._p.order", "1")], "underscore"),
            (
                &[
                    ("pki.p.order", "1"),
                    ("pki.p.username_rdn_name", "CN"),
                    ("pki.p.username_rdn_oid", "2.5.4.3"),
                ],
                "take one out",
            ),
        ] {
            let error = load(given).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_password_in_the_keystore_alone_makes_no_realm_without_order() {
        let mut keystore = Keystore::create(SecretString::default());
        let key = "xpack.security.authc.realms.pki.p.truststore.secure_password";
        keystore.set(key, &SecretString::from("secret")).unwrap();
        let load = |given: &[(&str, &str)]| {
            Settings::from_overrides(Path::new("/"), given, Some(&keystore))
        };
        assert!(load(&[]).is_err());
        let settings = load(&[("xpack.security.authc.realms.pki.p.order", "1")]).unwrap();
        let secret = settings.secret_named(&PKI_REALM.truststore_secure_password, "p");
        assert_eq!(secret.unwrap().expose(), "secret");
    }
}
