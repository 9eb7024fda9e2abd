//! Settings before they have a type: where they come from, flattening, lists, placeholders.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::problem::{Problem, Problems};
use crate::yaml::{self, Node};

/// Where a setting was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A line of elasticsearch.yml (from 1).
    File { path: Arc<Path>, line: usize },
    /// `-E key=value`.
    CommandLine,
    /// elasticsearch.keystore.
    Keystore,
    /// The cluster settings API.
    ClusterState,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::CommandLine => f.write_str("command line"),
            Self::Keystore => f.write_str("keystore"),
            Self::ClusterState => f.write_str("cluster settings"),
        }
    }
}

/// A value as text or as a list of texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawValue {
    Text(String),
    List(Vec<String>),
}

impl RawValue {
    /// Returns the value as a list; a text is split at commas and trimmed, an empty text is empty.
    pub fn items(&self) -> Vec<String> {
        match self {
            Self::List(items) => items.clone(),
            Self::Text(text) if text.trim().is_empty() => Vec::new(),
            Self::Text(text) => text.split(',').map(|item| item.trim().to_owned()).collect(),
        }
    }
}

impl fmt::Display for RawValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::List(items) => write!(f, "{}", items.join(", ")),
        }
    }
}

/// One setting as given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawSetting {
    pub value: RawValue,
    pub source: Source,
}

pub(crate) type RawSettings = BTreeMap<String, RawSetting>;

/// Flattens the text of elasticsearch.yml. Every problem is noted, and the rest still read.
pub(crate) fn read_yml(path: &Path, text: &str, problems: &mut Problems) -> RawSettings {
    let mut flattener = Flattener {
        path: path.into(),
        settings: RawSettings::new(),
        problems,
    };
    match yaml::parse(text) {
        Ok(node) => flattener.document(node),
        Err(error) => {
            let source = flattener.source(error.line);
            flattener.problems.push(Problem::Yaml {
                at: source,
                reason: error.reason,
            });
        }
    }
    flattener.settings
}

/// Adds the `-E` overrides, which win over the file. `is_list` knows the keys whose values are lists.
pub(crate) fn add_overrides(
    settings: &mut RawSettings,
    overrides: &[(String, String)],
    is_list: impl Fn(&str) -> bool,
    problems: &mut Problems,
) {
    let mut seen = BTreeMap::new();
    for (key, value) in overrides {
        if let Some(before) = seen.insert(key, value) {
            problems.push(Problem::Duplicate {
                key: key.clone(),
                first: (Source::CommandLine, before.clone()),
                second: (Source::CommandLine, value.clone()),
            });
        }
        if value.is_empty() {
            problems.push(Problem::EmptyOverride { key: key.clone() });
        }
        // An override replaces the whole list of the file, however either of them gives it.
        let list = indexed(key)
            .map(|(base, _)| base)
            .filter(|base| is_list(base));
        let list = list.unwrap_or(key);
        settings.retain(|known, given| {
            let is_of_list = known == list || indexed(known).is_some_and(|(base, _)| base == list);
            !is_of_list || given.source == Source::CommandLine
        });
        let setting = RawSetting {
            value: RawValue::Text(value.clone()),
            source: Source::CommandLine,
        };
        settings.insert(key.clone(), setting);
    }
}

/// Turns `key.0`, `key.1`, … into one list, for the keys that `is_list` knows.
pub(crate) fn gather_lists(
    settings: &mut RawSettings,
    is_list: impl Fn(&str) -> bool,
    problems: &mut Problems,
) {
    let mut lists: BTreeMap<String, BTreeMap<usize, RawSetting>> = BTreeMap::new();
    let keys: Vec<String> = settings.keys().cloned().collect();
    for key in keys {
        let Some((base, index)) = indexed(&key).filter(|(base, _)| is_list(base)) else {
            continue;
        };
        let base = base.to_owned();
        if let Some(setting) = settings.remove(&key) {
            lists.entry(base).or_default().insert(index, setting);
        }
    }
    for (base, items) in lists {
        if let Some(problem) = list_problem(&base, &items, settings) {
            problems.push(problem);
            continue;
        }
        let Some(source) = items.values().next().map(|first| first.source.clone()) else {
            continue;
        };
        let texts = items.into_values().flat_map(|item| match item.value {
            RawValue::Text(text) => vec![text],
            RawValue::List(texts) => texts,
        });
        let value = RawValue::List(texts.collect());
        settings.insert(base, RawSetting { value, source });
    }
}

/// Replaces `${…}` in every value: by another setting, else by the environment, else by the
/// default after `:`. Source: Elasticsearch reference, "Configuring Elasticsearch" (environment variable
/// substitution).
pub(crate) fn substitute(
    settings: &mut RawSettings,
    environment: &dyn Fn(&str) -> Option<String>,
    problems: &mut Problems,
) {
    let given = settings.clone();
    for (key, setting) in settings.iter_mut() {
        let mut resolver = Resolver {
            settings: &given,
            environment,
            active: BTreeSet::from([key.clone()]),
        };
        let texts: Vec<&mut String> = match &mut setting.value {
            RawValue::Text(text) => vec![text],
            RawValue::List(items) => items.iter_mut().collect(),
        };
        for text in texts {
            match resolver.resolve(text) {
                Ok(resolved) => *text = resolved,
                Err(reason) => problems.push(Problem::Placeholder {
                    key: key.clone(),
                    at: setting.source.clone(),
                    reason,
                }),
            }
        }
    }
}

struct Flattener<'a> {
    path: Arc<Path>,
    settings: RawSettings,
    problems: &'a mut Problems,
}

impl Flattener<'_> {
    fn source(&self, line: usize) -> Source {
        Source::File {
            path: self.path.clone(),
            line,
        }
    }

    fn document(&mut self, node: Node) {
        match node.value {
            yaml::Value::Null => {}
            yaml::Value::Map(entries) => self.entries("", entries),
            _ => {
                let source = self.source(node.line);
                self.problems.push(Problem::Yaml {
                    at: source,
                    reason: "expected `key: value` lines".to_owned(),
                });
            }
        }
    }

    fn entries(&mut self, prefix: &str, entries: Vec<yaml::Entry>) {
        for entry in entries {
            let key = match prefix {
                "" => entry.key,
                _ => format!("{prefix}.{}", entry.key),
            };
            self.value(key, entry.line, entry.value);
        }
    }

    fn value(&mut self, key: String, line: usize, node: Node) {
        match node.value {
            yaml::Value::Null => {
                let source = self.source(line);
                self.problems.push(Problem::Null { key, at: source });
            }
            yaml::Value::Text(text) => self.insert(key, line, RawValue::Text(text)),
            yaml::Value::List(items) => {
                if let Some(texts) = self.texts(&key, items) {
                    self.insert(key, line, RawValue::List(texts));
                }
            }
            yaml::Value::Map(entries) => self.entries(&key, entries),
        }
    }

    fn texts(&mut self, key: &str, items: Vec<Node>) -> Option<Vec<String>> {
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            match item.value {
                yaml::Value::Text(text) => texts.push(text),
                yaml::Value::Null => {
                    let source = self.source(item.line);
                    let key = format!("{key}.{}", texts.len());
                    self.problems.push(Problem::Null { key, at: source });
                    return None;
                }
                yaml::Value::List(_) | yaml::Value::Map(_) => {
                    let source = self.source(item.line);
                    self.problems.push(Problem::Yaml {
                        at: source,
                        reason: format!("the list [{key}] may hold only texts"),
                    });
                    return None;
                }
            }
        }
        Some(texts)
    }

    fn insert(&mut self, key: String, line: usize, value: RawValue) {
        let source = self.source(line);
        if let Some(first) = self.settings.get(&key) {
            self.problems.push(Problem::Duplicate {
                first: (first.source.clone(), first.value.to_string()),
                second: (source, value.to_string()),
                key,
            });
            return;
        }
        self.settings.insert(key, RawSetting { value, source });
    }
}

struct Resolver<'a> {
    settings: &'a RawSettings,
    environment: &'a dyn Fn(&str) -> Option<String>,
    /// Names being resolved, to notice circles.
    active: BTreeSet<String>,
}

impl Resolver<'_> {
    fn resolve(&mut self, text: &str) -> Result<String, String> {
        let mut resolved = String::new();
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            resolved.push_str(&rest[..start]);
            let inner = &rest[start + 2..];
            let Some(end) = closing_brace(inner) else {
                return Err(format!(
                    "the placeholder [{}] has no closing brace",
                    &rest[start..]
                ));
            };
            resolved.push_str(&self.placeholder(&inner[..end])?);
            if resolved.len() > VALUE_BYTES_MAX {
                return Err("the value gets too long".to_owned());
            }
            rest = &inner[end + 1..];
        }
        resolved.push_str(rest);
        Ok(resolved)
    }

    fn placeholder(&mut self, inner: &str) -> Result<String, String> {
        if self.active.len() > PLACEHOLDERS_MAX {
            return Err("placeholders are nested too deep".to_owned());
        }
        let inner = self.resolve_inner(inner)?;
        let (name, default) = match inner.split_once(':') {
            Some((name, default)) => (name, Some(default)),
            None => (inner.as_str(), None),
        };
        let from_setting = self
            .settings
            .get(name)
            .map(|setting| setting.value.to_string());
        let value = from_setting
            .or_else(|| (self.environment)(name))
            .or_else(|| default.map(str::to_owned))
            .ok_or_else(|| {
                format!(
                    "Could not resolve placeholder '{name}': no setting or environment variable \
                     has this name; set it, or give a default as ${{{name}:default}}"
                )
            })?;
        if !self.active.insert(name.to_owned()) {
            return Err(format!("Circular placeholder reference '{name}'"));
        }
        let resolved = self.resolve(&value);
        self.active.remove(name);
        resolved
    }

    /// A name or default may itself hold placeholders.
    fn resolve_inner(&mut self, inner: &str) -> Result<String, String> {
        if !inner.contains("${") {
            return Ok(inner.to_owned());
        }
        let marker = format!("\u{0}{}", self.active.len());
        self.active.insert(marker.clone());
        let resolved = self.resolve(inner);
        self.active.remove(&marker);
        resolved
    }
}

/// Returns where the brace closes that was open before the text.
fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (position, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(position),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Returns the key and the index of `key.3`.
fn indexed(key: &str) -> Option<(&str, usize)> {
    let (base, index) = key.rsplit_once('.')?;
    Some((base, index.parse().ok()?))
}

fn list_problem(
    base: &str,
    items: &BTreeMap<usize, RawSetting>,
    settings: &RawSettings,
) -> Option<Problem> {
    let first = items.values().next()?;
    if let Some(whole) = settings.get(base) {
        return Some(Problem::Duplicate {
            key: base.to_owned(),
            first: (whole.source.clone(), whole.value.to_string()),
            second: (first.source.clone(), first.value.to_string()),
        });
    }
    let missing = (0..items.len()).find(|index| !items.contains_key(index))?;
    Some(Problem::Invalid {
        key: base.to_owned(),
        value: None,
        at: first.source.clone(),
        expected: format!("the list has no [{base}.{missing}]"),
    })
}

/// Returns the path of elasticsearch.yml in a configuration directory.
pub(crate) fn yml_path(config_dir: &Path) -> PathBuf {
    config_dir.join("elasticsearch.yml")
}

/// Bound on nested placeholders.
const PLACEHOLDERS_MAX: usize = 32;

/// Bound on a value made from placeholders: 1 MiB.
const VALUE_BYTES_MAX: usize = 1 << 20;
