//! The keystore: the encrypted file `elasticsearch.keystore` that holds a node's secure settings.
//!
//! The file is Elasticsearch's own, byte for byte, so that either program reads the other's.
//! Source: Elasticsearch reference, "elasticsearch-keystore".

mod crypto;
mod file;
mod format;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ringwall_base::{SecretBytes, SecretString};

pub use file::KeystoreFile;
pub use format::FormatVersion;

/// The setting that every keystore has: random text, the default bootstrap password.
pub const SEED: &str = "keystore.seed";

/// The decrypted keystore: secret values by setting name.
#[derive(Debug, Clone)]
pub struct Keystore {
    entries: BTreeMap<String, SecretBytes>,
    /// Empty means "no password".
    password: SecretString,
    /// Format of the file this was read from; `None` for a new keystore.
    read_from: Option<FormatVersion>,
}

impl Keystore {
    /// Returns a new keystore that holds only a fresh `keystore.seed`.
    pub fn create(password: SecretString) -> Self {
        let mut keystore = Self {
            entries: BTreeMap::new(),
            password,
            read_from: None,
        };
        keystore.add_seed();
        keystore
    }

    /// Reads and decrypts a keystore file; an empty password for a file without one.
    pub fn load(path: &Path, password: &SecretString) -> Result<Self, KeystoreError> {
        KeystoreFile::read(path)?.decrypt(password)
    }

    /// Writes the keystore under its password in the format of [`FormatVersion::for_password`].
    ///
    /// The file is replaced atomically and gets mode 0660.
    pub fn save(&self, path: &Path) -> Result<(), KeystoreError> {
        let version = FormatVersion::for_password(&self.password);
        self.save_as(path, version)
    }

    /// Writes the keystore in a given format, for sharing with an older node.
    pub fn save_as(&self, path: &Path, version: FormatVersion) -> Result<(), KeystoreError> {
        let bytes = format::encode(&self.entries, &self.password, version)?;
        file::replace(path, &bytes)
    }

    /// Returns a value as text, or `None` if there is none. Fails on a value that is no UTF-8.
    pub fn get(&self, name: &str) -> Result<Option<SecretString>, KeystoreError> {
        let Some(bytes) = self.entries.get(name) else {
            return Ok(None);
        };
        std::str::from_utf8(bytes.expose())
            .map(|text| Some(SecretString::from(text)))
            .map_err(|_| KeystoreError::NotText {
                name: name.to_owned(),
            })
    }

    /// Returns a value as bytes, as `add-file` stored it.
    pub fn get_bytes(&self, name: &str) -> Option<&SecretBytes> {
        self.entries.get(name)
    }

    /// Sets a text value, replacing one of that name. Fails on a bad setting name.
    pub fn set(&mut self, name: &str, value: &SecretString) -> Result<(), KeystoreError> {
        self.set_file(name, SecretBytes::new(value.expose().as_bytes()))
    }

    /// Sets a value of any bytes, such as a file's content. Fails on a bad setting name.
    pub fn set_file(&mut self, name: &str, value: SecretBytes) -> Result<(), KeystoreError> {
        check_name(name)?;
        self.entries.insert(name.to_owned(), value);
        Ok(())
    }

    /// Removes a value and returns whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        self.entries.remove(name).is_some()
    }

    /// Returns whether there is a value of that name.
    pub fn contains(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// Returns the names of all values, sorted.
    pub fn list(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Returns whether the keystore is saved under a password.
    pub fn has_password(&self) -> bool {
        !self.password.is_empty()
    }

    /// Sets the password of the next save; an empty one removes it.
    pub fn set_password(&mut self, password: SecretString) {
        self.password = password;
    }

    /// Brings the keystore up to date in memory and returns whether it must be saved: the file has
    /// an older format than [`Keystore::save`] writes, or `keystore.seed` was missing.
    pub fn upgrade(&mut self) -> bool {
        let current = FormatVersion::for_password(&self.password);
        let outdated = self.read_from.is_none_or(|version| version < current);
        let seedless = !self.contains(SEED);
        if seedless {
            self.add_seed();
        }
        outdated || seedless
    }

    fn add_seed(&mut self) {
        let seed = SecretBytes::new(crypto::seed());
        self.entries.insert(SEED.to_owned(), seed);
    }
}

/// Checks that a name may be a setting's: `[A-Za-z0-9_\-.]+`.
pub fn check_name(name: &str) -> Result<(), KeystoreError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if name.is_empty() || name.len() > usize::from(u16::MAX) || !name.bytes().all(allowed) {
        return Err(KeystoreError::InvalidName {
            name: name.to_owned(),
        });
    }
    Ok(())
}

/// Why a keystore cannot be read or written. The wording that scripts look for is Elasticsearch's.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    #[error("Elasticsearch keystore not found at [{}]. Use 'create' command to create one.", .path.display())]
    NotFound { path: PathBuf },
    #[error("cannot read or write the keystore [{}]: {source}", .path.display())]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("[{}] is not an Elasticsearch keystore: {reason}", .path.display())]
    NotAKeystore { path: PathBuf, reason: String },
    #[error("Keystore has been corrupted or tampered with: [{}]: {reason}", .path.display())]
    Corrupt { path: PathBuf, reason: String },
    #[error(
        "The Elasticsearch keystore [{}] format is too old: it has version [{version}], \
         the oldest that can be read is [{}]. You should delete and recreate it in order to upgrade.",
        .path.display(), FormatVersion::OLDEST.number()
    )]
    TooOld { path: PathBuf, version: i32 },
    #[error(
        "The Elasticsearch keystore [{}] format is too new: it has version [{version}], \
         the newest that can be read is [{}]. Are you trying to downgrade? \
         You should delete and recreate it in order to downgrade.",
        .path.display(), FormatVersion::NEWEST.number()
    )]
    TooNew { path: PathBuf, version: i32 },
    #[error("Provided keystore password was incorrect")]
    WrongPassword,
    #[error(
        // The name is not shown: it may be the value, out of its place.
        "Setting name does not match the allowed setting name pattern [[A-Za-z0-9_\\-.]+]"
    )]
    InvalidName { name: String },
    #[error("the value of [{name}] in the keystore is not text (UTF-8)")]
    NotText { name: String },
    #[error("the keystore would be larger than {} MiB", format::FILE_BYTES_MAX >> 20)]
    TooLarge,
    #[error(
        "unable to create temporary keystore at [{}], write permissions required for [{}] \
         or run `elasticsearch-keystore upgrade`",
        .path.display(), .directory.display()
    )]
    NotWritable { path: PathBuf, directory: PathBuf },
    #[error(
        "will not overwrite keystore at [{}], because this incurs changing the file owner \
         from user id [{owner}] to [{own}]",
        .path.display()
    )]
    OwnerChange { path: PathBuf, owner: u32, own: u32 },
    #[error(
        "cannot replace the keystore [{}] because it is mounted as a single file; \
         mount the configuration directory instead",
        .path.display()
    )]
    SingleFileMount { path: PathBuf },
}
