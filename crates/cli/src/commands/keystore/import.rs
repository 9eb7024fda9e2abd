//! Many settings at once, for tools that manage configurations: from a JSON object, from files, from the
//! environment. Only what differs is changed, and the keystore is written once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ringwall_base::{SecretBytes, SecretString};
use ringwall_settings::keystore::Keystore;
use zeroize::Zeroizing;

use crate::error::CommandError;
use crate::terminal::Terminal;

/// Where the settings of `keystore import` come from.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
pub(super) struct ImportSources {
    /// JSON object of names and values; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Directory with a file for each setting, named as the setting; one line end at the end is left out
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Environment variables with this prefix; in the rest of the name `__` means `_` and `_` means `.`
    #[arg(long, value_name = "PREFIX")]
    env: Option<String>,
}

impl ImportSources {
    /// Reads the settings; of two sources with one name the later option of json, dir, env counts.
    ///
    /// Errors: a source that cannot be read, or is not of its form.
    pub(super) fn read(
        &self,
        terminal: &mut Terminal,
    ) -> Result<BTreeMap<String, SecretBytes>, CommandError> {
        let mut settings = BTreeMap::new();
        if let Some(file) = &self.json {
            settings.extend(from_json(file, terminal)?);
        }
        if let Some(directory) = &self.dir {
            settings.extend(from_directory(directory)?);
        }
        if let Some(prefix) = &self.env {
            settings.extend(from_environment(prefix, std::env::vars()));
        }
        Ok(settings)
    }
}

/// How a keystore differs from what it is to be.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) added: Vec<String>,
    pub(super) changed: Vec<String>,
    pub(super) removed: Vec<String>,
}

impl Changes {
    /// Compares; with `prune`, settings that are not wanted are to go, but for the seed.
    pub(super) fn between(
        keystore: &Keystore,
        wanted: &BTreeMap<String, SecretBytes>,
        prune: bool,
    ) -> Self {
        let mut changes = Self::default();
        for (name, value) in wanted {
            match keystore.get_bytes(name) {
                None => changes.added.push(name.clone()),
                // Secrets are compared in constant time.
                Some(known) if known != value => changes.changed.push(name.clone()),
                Some(_) => {}
            }
        }
        if prune {
            let unwanted = keystore.list().filter(|name| {
                *name != ringwall_settings::keystore::SEED && !wanted.contains_key(*name)
            });
            changes.removed = unwanted.map(str::to_owned).collect();
        }
        changes
    }

    pub(super) fn is_empty(&self) -> bool {
        self == &Self::default()
    }
}

fn from_json(
    file: &Path,
    terminal: &mut Terminal,
) -> Result<BTreeMap<String, SecretBytes>, CommandError> {
    let text = match file.to_str() {
        Some("-") => terminal.read_stdin_all()?,
        _ => {
            let content = std::fs::read(file).map_err(|error| CommandError::io(file, &error))?;
            SecretBytes::new(content)
        }
    };
    // The error of a wrong value does not quote it.
    let object: BTreeMap<String, String> =
        serde_json::from_slice(text.expose()).map_err(|error| {
            CommandError::data(format!(
                "[{}] is not a JSON object of names and texts (line {}, column {})",
                file.display(),
                error.line(),
                error.column()
            ))
        })?;
    let settings = object.into_iter();
    Ok(settings
        .map(|(name, value)| (name, SecretBytes::new(Zeroizing::new(value).as_bytes())))
        .collect())
}

fn from_directory(directory: &Path) -> Result<BTreeMap<String, SecretBytes>, CommandError> {
    let failed = |error: std::io::Error| CommandError::io(directory, &error);
    let mut settings = BTreeMap::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        // Kubernetes keeps its versions in hidden directories; the files are links into them.
        if name.starts_with('.') || !path.is_file() {
            continue;
        }
        let content = std::fs::read(&path).map_err(|error| CommandError::io(&path, &error))?;
        let content = Zeroizing::new(content);
        let value = content.strip_suffix(b"\n").unwrap_or(&content);
        let value = value.strip_suffix(b"\r").unwrap_or(value);
        settings.insert(name, SecretBytes::new(value));
    }
    Ok(settings)
}

fn from_environment(
    prefix: &str,
    variables: impl Iterator<Item = (String, String)>,
) -> BTreeMap<String, SecretBytes> {
    let ours = variables.filter_map(|(name, value)| {
        let rest = name.strip_prefix(prefix)?;
        let value = SecretString::new(value);
        let setting = rest
            .replace("__", "\0")
            .replace('_', ".")
            .replace('\0', "_");
        let is_name = !setting.is_empty();
        is_name.then(|| {
            (
                setting.to_lowercase(),
                SecretBytes::new(value.expose().as_bytes()),
            )
        })
    });
    ours.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_name_settings() {
        let variables = [
            ("KS_XPACK_SECURITY_HTTP_SSL_KEYSTORE_SECURE__PASSWORD", "a"),
            ("KS_", "b"),
            ("OTHER", "c"),
        ];
        let owned = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let found = from_environment("KS_", owned.into_iter());
        let names: Vec<&String> = found.keys().collect();
        assert_eq!(names, ["xpack.security.http.ssl.keystore.secure_password"]);
    }

    #[test]
    fn only_differences_are_changes() {
        let mut keystore = Keystore::create(SecretString::default());
        for (name, value) in [("a", "1"), ("b", "2"), ("c", "3")] {
            keystore.set(name, &value.into()).unwrap();
        }
        let wanted: BTreeMap<String, SecretBytes> = [("a", "1"), ("b", "x"), ("d", "4")]
            .map(|(name, value)| (name.to_owned(), SecretBytes::new(value.as_bytes())))
            .into();
        let changes = Changes::between(&keystore, &wanted, false);
        assert_eq!(
            (changes.added, changes.changed),
            (vec!["d".to_owned()], vec!["b".to_owned()])
        );
        assert_eq!(Changes::between(&keystore, &wanted, true).removed, ["c"]);
    }
}
