//! The settings of the console: `kibana.yml` with Kibana's names, its keystore, and a registry of their own.
//!
//! As for a node, nothing unknown and nothing malformed is accepted, and all mistakes are told at once.

pub mod registry;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ringwall_base::{SecretString, TimeValue, suggest};

use crate::keystore::Keystore;
use crate::problem::{Problem, Problems, SettingsError, Warning};
use crate::raw::{self, RawSetting, RawSettings, RawValue, Source};
use crate::setting::{Setting, SettingSpec};
use crate::settings::{environment, read_text};
use crate::types::{SettingValue, text};

/// The name of the file in the configuration directory.
pub const FILE: &str = "kibana.yml";

/// The name of the keystore in the configuration directory.
pub const KEYSTORE: &str = "kibana.keystore";

/// Checked settings of a console. Cheap to clone; never changes.
#[derive(Clone)]
pub struct ConsoleSettings {
    inner: Arc<Inner>,
}

struct Inner {
    config_dir: PathBuf,
    /// Every value has been checked by its setting.
    values: RawSettings,
    warnings: Vec<Warning>,
}

impl ConsoleSettings {
    /// Reads `kibana.yml` in the configuration directory; the keystore wins over it, and `overrides` (`-E`) over both.
    ///
    /// Fails with the list of all problems. Reads files: call it off the async threads.
    pub fn load(
        config_dir: &Path,
        overrides: &[(String, String)],
        keystore: Option<&Keystore>,
    ) -> Result<Self, SettingsError> {
        let mut problems = Problems::default();
        let path = config_dir.join(FILE);
        let values = match read_text(&path, MISSING) {
            Ok(text) => raw::read_yml(&path, &text, &mut problems),
            Err(reason) => {
                problems.push(Problem::Unreadable { path, reason });
                RawSettings::new()
            }
        };
        Self::check(config_dir, values, overrides, keystore, problems)
    }

    /// Returns settings made only of overrides, without a file.
    pub fn from_overrides(
        config_dir: &Path,
        overrides: &[(&str, &str)],
    ) -> Result<Self, SettingsError> {
        let overrides: Vec<(String, String)> = overrides
            .iter()
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect();
        let none = RawSettings::new();
        Self::check(config_dir, none, &overrides, None, Problems::default())
    }

    fn check(
        config_dir: &Path,
        mut values: RawSettings,
        overrides: &[(String, String)],
        keystore: Option<&Keystore>,
        mut problems: Problems,
    ) -> Result<Self, SettingsError> {
        let is_list = |key: &str| registry::find(key).is_some_and(SettingSpec::is_list);
        raw::gather_lists(&mut values, is_list, &mut problems);
        if let Some(keystore) = keystore {
            add_secrets(&mut values, keystore, &mut problems);
        }
        raw::add_overrides(&mut values, overrides, is_list, &mut problems);
        raw::gather_lists(&mut values, is_list, &mut problems);
        raw::substitute(&mut values, &environment, &mut problems);
        let mut warnings = Vec::new();
        values.retain(|key, given| check_value(key, given, &mut problems, &mut warnings));
        let settings = Self {
            inner: Arc::new(Inner {
                config_dir: config_dir.to_path_buf(),
                values,
                warnings,
            }),
        };
        let settings = problems.or(settings)?;
        let mut conflicts = Problems::default();
        registry::check_rules(&settings, &mut conflicts);
        conflicts.or(settings)
    }

    /// Returns the value of a setting, or its default.
    pub fn get<T: SettingValue>(&self, setting: &Setting<T>) -> T {
        match self.inner.values.get(setting.key()) {
            // Invariant: `check` parsed every value by the registered setting of its key.
            Some(given) => setting
                .parse(&given.value)
                .expect("the value was checked when the settings were loaded"),
            None => setting.default_value(),
        }
    }

    /// Returns a secret, if it is given and not empty.
    pub fn secret(&self, setting: &Setting<Option<SecretString>>) -> Option<SecretString> {
        self.get(setting).filter(|secret| !secret.is_empty())
    }

    /// Returns whether a key is given a value that is not empty.
    pub fn is_set(&self, key: &str) -> bool {
        let given = self.inner.values.get(key);
        given.is_some_and(|given| !given.value.items().is_empty())
    }

    /// Returns where a setting was given.
    pub fn source_of(&self, key: &str) -> Option<Source> {
        Some(self.inner.values.get(key)?.source.clone())
    }

    /// Returns the keys given that start with a prefix, sorted.
    pub fn keys_with_prefix(&self, prefix: &str) -> BTreeSet<&str> {
        let keys = self.inner.values.keys().map(String::as_str);
        keys.filter(|key| key.starts_with(prefix)).collect()
    }

    /// Returns what is to be logged at start.
    pub fn warnings(&self) -> &[Warning] {
        &self.inner.warnings
    }

    /// Returns the configuration directory, where relative paths start.
    pub fn config_dir(&self) -> &Path {
        &self.inner.config_dir
    }
}

impl fmt::Debug for ConsoleSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.inner.values.keys();
        f.debug_set().entries(keys).finish()
    }
}

/// Lays the values of the keystore over those of the file, as Kibana does.
fn add_secrets(values: &mut RawSettings, keystore: &Keystore, problems: &mut Problems) {
    for key in keystore.list() {
        // Every keystore has one; it is nobody's secret.
        if key == crate::keystore::SEED {
            continue;
        }
        let text = keystore.get_bytes(key).map(|bytes| bytes.expose().to_vec());
        match text.map(String::from_utf8) {
            Some(Ok(text)) => {
                let value = RawValue::Text(text);
                let source = Source::Keystore;
                values.insert(key.to_owned(), RawSetting { value, source });
            }
            _ => problems.push(Problem::Refused {
                key: key.to_owned(),
                at: Source::Keystore,
                reason: "is no text; add it with `kibana-keystore add`".to_owned(),
            }),
        }
    }
}

/// Checks a value and returns whether to keep it.
fn check_value(
    key: &str,
    given: &RawSetting,
    problems: &mut Problems,
    warnings: &mut Vec<Warning>,
) -> bool {
    let at = || given.source.clone();
    let Some(spec) = registry::find(key) else {
        problems.push(Problem::Refused {
            key: key.to_owned(),
            at: at(),
            reason: stranger(key),
        });
        return false;
    };
    if let Err(expected) = spec.check(&given.value) {
        problems.push(Problem::Invalid {
            key: key.to_owned(),
            value: (!spec.info().is_filtered).then(|| given.value.to_string()),
            at: at(),
            expected,
        });
        return false;
    }
    if spec.info().is_filtered && matches!(given.source, Source::File { .. }) {
        warnings.push(Warning {
            key: key.to_owned(),
            source: at(),
            reason: format!("is a secret in the open; better `kibana-keystore add {key}`"),
        });
    }
    true
}

/// Says what a key is that nobody reads: one of Kibana's that has no use here, or a mistake.
fn stranger(key: &str) -> String {
    if let Some((_, why)) = registry::NOT_HERE
        .iter()
        .find(|(known, _)| key == *known || key.starts_with(&format!("{known}.")))
    {
        return format!("is not supported: {why}");
    }
    let known: Vec<&str> = registry::all().map(|spec| spec.info().key).collect();
    match suggest::similar(key, known.iter().copied()).as_slice() {
        [] => "is unknown; docs/console.md lists what the console reads".to_owned(),
        [only] => format!("is unknown; did you mean [{only}]?"),
        many => format!("is unknown; did you mean any of [{}]?", many.join(", ")),
    }
}

/// A time as Kibana writes it: a number of milliseconds, or a number with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Milliseconds(pub Duration);

impl SettingValue for Milliseconds {
    const KIND: &'static str = "milliseconds, or a time value";

    fn parse(value: &RawValue) -> Result<Self, String> {
        let written = text(value)?;
        if let Ok(millis) = written.trim().parse() {
            return Ok(Self(Duration::from_millis(millis)));
        }
        let time: TimeValue = written
            .parse()
            .map_err(|_| "expected a number of milliseconds, or one with a unit: 30s".to_owned())?;
        time.duration()
            .map(Self)
            .ok_or_else(|| "must have an end".to_owned())
    }

    fn magnitude(&self) -> Option<i128> {
        i128::try_from(self.0.as_millis()).ok()
    }
}

/// What a missing file is told with.
const MISSING: &str = "the file does not exist; make one that names the cluster in [elasticsearch.hosts], or set \
                       KBN_PATH_CONF to the directory that has it";

#[cfg(test)]
mod tests;
