//! The settings of a node: loaded, checked as a whole, then read by type.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ringwall_base::{SecretBytes, SecretString};

use crate::keystore::Keystore;
use crate::problem::{Problem, Problems, SettingsError, Warning};
use crate::raw::{self, RawSetting, RawSettings, RawValue, Source};
use crate::registry::profiles::{key_in_profile, profile_of};
use crate::registry::{self, Verdict};
use crate::rules;
use crate::setting::{AffixSetting, SecureAffixSetting, SecureSetting, Setting, SettingSpec};
use crate::types::SettingValue;

const MISSING: &str = "the file does not exist; set ES_PATH_CONF to the configuration directory, or make a home with \
                       `ringwall init DIR`";

/// Bound of elasticsearch.yml: 4 MiB.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Checked settings of a node. Cheap to clone; never changes.
#[derive(Clone)]
pub struct Settings {
    inner: Arc<Inner>,
}

struct Inner {
    config_dir: PathBuf,
    /// Every value has been checked by its setting.
    values: RawSettings,
    secure: BTreeMap<String, SecretBytes>,
    warnings: Vec<Warning>,
}

impl Settings {
    /// Reads `elasticsearch.yml` in the configuration directory, applies the `-E` overrides and
    /// takes the secure settings from the keystore.
    ///
    /// Fails with the list of all problems. Reads files: call it off the async threads.
    pub fn load(
        config_dir: &Path,
        overrides: &[(String, String)],
        keystore: Option<&Keystore>,
    ) -> Result<Self, SettingsError> {
        let mut problems = Problems::default();
        let values = read_values(config_dir, &mut problems);
        Self::check(config_dir, values, overrides, keystore, problems)
    }

    /// As [`Settings::load`], but leaves out what is wrong and returns it beside the rest. For tools that
    /// look further than the first mistake; no node may run on what is left.
    pub fn load_leniently(
        config_dir: &Path,
        overrides: &[(String, String)],
        keystore: Option<&Keystore>,
    ) -> (Self, Vec<Problem>) {
        let mut problems = Problems::default();
        let values = read_values(config_dir, &mut problems);
        let (settings, mut problems) =
            Self::gather(config_dir, values, overrides, keystore, problems);
        rules::check(&settings, &mut problems);
        (settings, problems.into_all())
    }

    /// Returns settings made only of overrides, without elasticsearch.yml.
    pub fn from_overrides(
        config_dir: &Path,
        overrides: &[(&str, &str)],
        keystore: Option<&Keystore>,
    ) -> Result<Self, SettingsError> {
        let overrides: Vec<(String, String)> = overrides
            .iter()
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect();
        let none = RawSettings::new();
        Self::check(config_dir, none, &overrides, keystore, Problems::default())
    }

    /// Returns the value of a setting: as given, else of the first fallback given, else the default.
    pub fn get<T: SettingValue>(&self, setting: &Setting<T>) -> T {
        let keys = std::iter::once(&setting.info.key).chain(setting.info.fallbacks);
        let given = keys.filter_map(|key| self.inner.values.get(*key)).next();
        match given {
            // Invariant: `check` parsed every value by the registered setting of its key, and
            // settings are made in the registry only; fallbacks have the same type (tested).
            Some(given) => setting
                .parse(&given.value)
                .expect("the value was checked when the settings were loaded"),
            None => setting.default_value(),
        }
    }

    /// Returns the values given for a family, by name.
    pub fn family<T: SettingValue>(&self, family: &AffixSetting<T>) -> BTreeMap<String, T> {
        self.inner
            .values
            .iter()
            .filter_map(|(key, given)| {
                let name = family.name_in(key)?;
                // A value that does not parse belongs to another family and was checked there.
                Some((name.to_owned(), family.setting.parse(&given.value).ok()?))
            })
            .collect()
    }

    /// Returns the value of a family for one name, or the default.
    pub fn get_named<T: SettingValue>(&self, family: &AffixSetting<T>, name: &str) -> T {
        self.family(family)
            .remove(name)
            .unwrap_or_else(|| family.setting.default_value())
    }

    /// Returns a secure setting from the keystore. An empty value counts as not set.
    pub fn secret(&self, setting: &SecureSetting) -> Option<SecretString> {
        self.secret_of(setting.key())
    }

    /// Returns a secure setting of a family for one name, as [`Settings::secret`].
    pub fn secret_named(&self, family: &SecureAffixSetting, name: &str) -> Option<SecretString> {
        self.secret_of(&family.key_for(name))
    }

    fn secret_of(&self, key: &str) -> Option<SecretString> {
        let bytes = self.inner.secure.get(key)?;
        let text = std::str::from_utf8(bytes.expose()).ok()?;
        (!text.is_empty()).then(|| SecretString::from(text))
    }

    /// Returns the value that a transport profile has of its own for a setting of the transport layer.
    pub fn in_profile<T: SettingValue>(&self, profile: &str, setting: &Setting<T>) -> Option<T> {
        let key = key_in_profile(profile, setting.info.key);
        let given = self.inner.values.get(&key)?;
        // A value that does not parse was found when the settings were loaded.
        setting.parse(&given.value).ok()
    }

    /// Returns the secret that a transport profile has of its own. An empty value counts as not set.
    pub fn secret_in_profile(
        &self,
        profile: &str,
        setting: &SecureSetting,
    ) -> Option<SecretString> {
        self.secret_of(&key_in_profile(profile, setting.key()))
    }

    /// Returns the names of the transport profiles that settings are given for, in order.
    pub fn profiles(&self) -> BTreeSet<String> {
        let keys = self.inner.values.keys().chain(self.inner.secure.keys());
        keys.filter_map(|key| profile_of(key))
            .map(str::to_owned)
            .collect()
    }

    /// Returns whether a key is given in elasticsearch.yml, by `-E` or in the keystore.
    /// An empty list counts as given.
    pub fn is_set(&self, key: &str) -> bool {
        self.inner.values.contains_key(key) || self.inner.secure.contains_key(key)
    }

    /// Returns whether a key is not given, or given without a value, which counts as not set.
    /// Source: Elasticsearch reference, "Security settings in Elasticsearch".
    pub fn is_empty(&self, key: &str) -> bool {
        let plain = self.inner.values.get(key);
        let secure = self.inner.secure.get(key);
        plain.is_none_or(|given| given.value.items().is_empty())
            && secure.is_none_or(|secret| secret.expose().is_empty())
    }

    /// Returns where a setting was given.
    pub fn source_of(&self, key: &str) -> Option<Source> {
        match self.inner.values.get(key) {
            Some(given) => Some(given.source.clone()),
            None => self
                .inner
                .secure
                .contains_key(key)
                .then_some(Source::Keystore),
        }
    }

    /// Returns the keys given that start with a prefix, sorted, those of the keystore included.
    pub fn keys_with_prefix(&self, prefix: &str) -> Vec<String> {
        let mut keys: Vec<String> = self
            .inner
            .values
            .keys()
            .chain(self.inner.secure.keys())
            .filter(|key| key.starts_with(prefix))
            .cloned()
            .collect();
        keys.sort_unstable();
        keys
    }

    /// Returns all values given that may be shown, by key; for APIs. Secrets are left out.
    pub fn visible(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.inner
            .values
            .iter()
            .filter(|(key, _)| !registry::may_be_secret(key))
            .map(|(key, given)| (key.as_str(), &given.value))
    }

    /// Returns these settings with the values of the cluster state over them, which win. A value that this
    /// version does not take, as one of a newer node, is left out.
    ///
    /// Source: Elasticsearch reference, "Configuring Elasticsearch", precedence of dynamic settings.
    #[must_use]
    pub fn overlaid(&self, cluster: impl IntoIterator<Item = (String, RawValue)>) -> Self {
        let mut values = self.inner.values.clone();
        for (key, value) in cluster {
            if check_dynamic(&key, &value).is_ok() {
                let source = Source::ClusterState;
                values.insert(key, RawSetting { value, source });
            }
        }
        Self {
            inner: Arc::new(Inner {
                config_dir: self.inner.config_dir.clone(),
                values,
                secure: self.inner.secure.clone(),
                warnings: self.inner.warnings.clone(),
            }),
        }
    }

    /// Returns these settings with the secure settings of a keystore that has changed since.
    ///
    /// Fails with the list of all problems.
    pub fn with_keystore(&self, keystore: &Keystore) -> Result<Self, SettingsError> {
        let mut checker = Checker {
            problems: Problems::default(),
            warnings: Vec::new(),
        };
        let secure = checker.secure(keystore);
        let settings = Self {
            inner: Arc::new(Inner {
                config_dir: self.inner.config_dir.clone(),
                values: self.inner.values.clone(),
                secure,
                warnings: self.inner.warnings.clone(),
            }),
        };
        let settings = checker.problems.or(settings)?;
        let mut conflicts = Problems::default();
        rules::check(&settings, &mut conflicts);
        conflicts.or(settings)
    }

    /// Returns every setting with the value in force here, by key: given ones, else the default where it
    /// is known. Families without a given member and secrets are left out.
    pub fn in_force(&self) -> BTreeMap<String, RawValue> {
        let defaults = registry::registry()
            .filter(|spec| !spec.info().is_secure && !registry::may_be_secret(spec.info().key))
            .filter(|spec| spec.pattern() == spec.info().key)
            .filter_map(|spec| {
                let default = spec.default_text().filter(|text| !text.starts_with('('))?;
                Some((spec.info().key.to_owned(), RawValue::Text(default)))
            });
        let given = self
            .visible()
            .map(|(key, value)| (key.to_owned(), value.clone()));
        defaults.chain(given).collect()
    }

    /// Returns the settings that were ignored or are deprecated, to be logged at start.
    pub fn warnings(&self) -> &[Warning] {
        &self.inner.warnings
    }

    /// Returns the configuration directory.
    pub fn config_dir(&self) -> &Path {
        &self.inner.config_dir
    }

    /// Returns a path of a setting, resolved against the configuration directory.
    pub fn config_path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.inner.config_dir.join(path)
    }

    fn check(
        config_dir: &Path,
        values: RawSettings,
        overrides: &[(String, String)],
        keystore: Option<&Keystore>,
        problems: Problems,
    ) -> Result<Self, SettingsError> {
        let (settings, problems) = Self::gather(config_dir, values, overrides, keystore, problems);
        let settings = problems.or(settings)?;
        let mut conflicts = Problems::default();
        rules::check(&settings, &mut conflicts);
        conflicts.or(settings)
    }

    /// Returns the settings without those that are wrong, and what is wrong.
    fn gather(
        config_dir: &Path,
        mut values: RawSettings,
        overrides: &[(String, String)],
        keystore: Option<&Keystore>,
        mut problems: Problems,
    ) -> (Self, Problems) {
        let is_list = |key: &str| registry::find(key).is_some_and(SettingSpec::is_list);
        raw::add_overrides(&mut values, overrides, is_list, &mut problems);
        raw::gather_lists(&mut values, is_list, &mut problems);
        raw::substitute(&mut values, &environment, &mut problems);
        let mut checker = Checker {
            problems,
            warnings: Vec::new(),
        };
        values.retain(|key, given| !is_unset(key, &given.value));
        values.retain(|key, given| checker.value(key, &given.value, &given.source));
        let secure = keystore.map_or_else(BTreeMap::new, |keystore| checker.secure(keystore));
        let settings = Self {
            inner: Arc::new(Inner {
                config_dir: config_dir.to_path_buf(),
                values,
                secure,
                warnings: checker.warnings,
            }),
        };
        (settings, checker.problems)
    }
}

/// Checks a value that the cluster settings API is to store. The error is what Elasticsearch answers,
/// without the word `persistent` or `transient` before it.
pub fn check_dynamic(key: &str, value: &RawValue) -> Result<(), String> {
    let Some(spec) = registry::find(key) else {
        return match registry::verdict(key, &value.to_string()) {
            // In a file it does no harm; here somebody expects that something happens.
            Verdict::Ignored(reason) => {
                let reason = reason.strip_prefix("is ignored: ").unwrap_or(reason);
                Err(format!("setting [{key}], not supported: {reason}"))
            }
            Verdict::Refused(reason) => Err(format!("setting [{key}], not supported: {reason}")),
            Verdict::Unknown => Err(
                match registry::nearest(key, |info| !info.is_secure).as_slice() {
                    [] => format!("setting [{key}], not recognized"),
                    [near, ..] => {
                        format!("setting [{key}], not recognized; did you mean [{near}]?")
                    }
                },
            ),
        };
    };
    if !spec.info().is_dynamic {
        return Err(format!("setting [{key}], not dynamically updateable"));
    }
    spec.check(value)
        .map_err(|expected| format!("setting [{key}] with value [{value}]: {expected}"))
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.visible())
            .finish_non_exhaustive()
    }
}

fn read_values(config_dir: &Path, problems: &mut Problems) -> RawSettings {
    let path = raw::yml_path(config_dir);
    match read_text(&path, MISSING) {
        Ok(text) => raw::read_yml(&path, &text, problems),
        Err(reason) => {
            problems.push(Problem::Unreadable { path, reason });
            RawSettings::new()
        }
    }
}

/// Checks values one by one against the registry.
struct Checker {
    problems: Problems,
    warnings: Vec<Warning>,
}

impl Checker {
    /// Checks a value and returns whether to keep it.
    fn value(&mut self, key: &str, value: &RawValue, source: &Source) -> bool {
        let Some(spec) = registry::find(key) else {
            self.stranger(key, value, source);
            return false;
        };
        if spec.info().is_secure {
            self.problems.push(Problem::SecureInFile {
                key: key.to_owned(),
                at: source.clone(),
            });
            return false;
        }
        if spec.info().is_in_cluster_state {
            self.problems.push(Problem::Refused {
                key: key.to_owned(),
                at: source.clone(),
                reason: "is a setting of the whole cluster; set it with PUT /_cluster/settings"
                    .to_owned(),
            });
            return false;
        }
        if let Err(expected) = spec.check(value) {
            let hidden = registry::may_be_secret(key);
            self.problems.push(Problem::Invalid {
                key: key.to_owned(),
                value: (!hidden).then(|| value.to_string()),
                at: source.clone(),
                expected,
            });
            return false;
        }
        if let Some(why) = spec.info().deprecated {
            self.warnings.push(Warning {
                key: key.to_owned(),
                source: source.clone(),
                reason: format!("is deprecated: {why}"),
            });
        }
        true
    }

    fn stranger(&mut self, key: &str, value: &RawValue, source: &Source) {
        let (key, at) = (key.to_owned(), source.clone());
        match registry::verdict(&key, &value.to_string()) {
            // Without effect or not, a secret does not lie in the open because nobody said so.
            Verdict::Ignored(_) if registry::is_secure_elsewhere(&key) => {
                self.problems.push(Problem::SecureInFile { key, at });
            }
            Verdict::Ignored(reason) => self.warnings.push(Warning {
                key,
                source: at,
                reason: reason.to_owned(),
            }),
            Verdict::Refused(reason) => self.problems.push(Problem::Refused {
                key,
                at,
                reason: reason.to_owned(),
            }),
            Verdict::Unknown => {
                let nearest = registry::nearest(&key, |_| true);
                self.problems.push(Problem::Unknown { key, at, nearest });
            }
        }
    }

    fn secure(&mut self, keystore: &Keystore) -> BTreeMap<String, SecretBytes> {
        let mut secure = BTreeMap::new();
        for key in keystore.list() {
            match registry::find(key) {
                Some(spec) if spec.info().is_secure => {
                    self.secure_value(key, keystore, &mut secure);
                }
                Some(_) => self.problems.push(Problem::PlainInKeystore {
                    key: key.to_owned(),
                }),
                None => self.secure_stranger(key),
            }
        }
        secure
    }

    fn secure_value(
        &mut self,
        key: &str,
        keystore: &Keystore,
        secure: &mut BTreeMap<String, SecretBytes>,
    ) {
        let Some(value) = keystore.get_bytes(key) else {
            return;
        };
        if std::str::from_utf8(value.expose()).is_err() {
            self.problems.push(Problem::Invalid {
                key: key.to_owned(),
                value: None,
                at: Source::Keystore,
                expected: "expected a text (UTF-8); it was added as a file".to_owned(),
            });
        }
        secure.insert(key.to_owned(), value.clone());
    }

    fn secure_stranger(&mut self, key: &str) {
        let key = key.to_owned();
        match registry::verdict(&key, "") {
            Verdict::Ignored(reason) => self.warnings.push(Warning {
                key,
                source: Source::Keystore,
                reason: reason.to_owned(),
            }),
            Verdict::Refused(reason) => self.problems.push(Problem::Refused {
                key,
                at: Source::Keystore,
                reason: reason.to_owned(),
            }),
            Verdict::Unknown => {
                let nearest = registry::nearest(&key, |info| info.is_secure);
                self.problems.push(Problem::UnknownSecure { key, nearest });
            }
        }
    }
}

/// Returns whether a setting of TLS is given without a value, which counts as not given: `${MODE:}` leaves the
/// default. Elsewhere an empty text or list is a value. Source: Elasticsearch reference, "Security settings in
/// Elasticsearch".
fn is_unset(key: &str, value: &RawValue) -> bool {
    let is_tls = key.contains("xpack.security.") && key.contains(".ssl.");
    let is_plain = || registry::find(key).is_some_and(|spec| !spec.info().is_secure);
    is_tls && value.items().is_empty() && is_plain()
}

/// The environment; `HOSTNAME` is always there, as Elasticsearch's scripts export it.
pub(crate) fn environment(name: &str) -> Option<String> {
    match std::env::var(name) {
        Ok(value) => Some(value),
        Err(_) if name == "HOSTNAME" => Some(crate::host::name()),
        Err(_) => None,
    }
}

/// Reads a configuration file whole; `missing` says what to do where there is none.
pub(crate) fn read_text(path: &Path, missing: &str) -> Result<String, String> {
    use std::io::Read;
    let file = std::fs::File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => missing.to_owned(),
        _ => error.to_string(),
    })?;
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|error| error.to_string())?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!(
            "the file is larger than {} MiB",
            FILE_BYTES_MAX >> 20
        ));
    }
    Ok(text)
}
