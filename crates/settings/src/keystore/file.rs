//! The keystore on disk: reading it before the password is known, and replacing it safely.

use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ringwall_base::SecretString;
use ringwall_base::fs::write_atomic;

use super::format::{self, FILE_BYTES_MAX, FormatError, FormatVersion, Sealed};
use super::{Keystore, KeystoreError};

/// A keystore file that was read and checked, but not decrypted yet.
#[derive(Debug)]
pub struct KeystoreFile {
    path: PathBuf,
    sealed: Sealed,
}

impl KeystoreFile {
    /// Reads a keystore file and checks its structure and checksum.
    pub fn read(path: &Path) -> Result<Self, KeystoreError> {
        let io_error = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => KeystoreError::NotFound {
                path: path.to_path_buf(),
            },
            _ => KeystoreError::Io {
                path: path.to_path_buf(),
                source,
            },
        };
        let mut bytes = Vec::new();
        std::fs::File::open(path)
            .map_err(io_error)?
            .take(FILE_BYTES_MAX as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(io_error)?;
        Self::parse(&bytes, path)
    }

    /// Checks the structure and checksum of a keystore file's content. `path` is for the messages only.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self, KeystoreError> {
        let sealed = match bytes.len() {
            0..=FILE_BYTES_MAX => format::open(bytes),
            _ => Err(FormatError::Foreign("it is too large".to_owned())),
        };
        let sealed = sealed.map_err(|error| with_path(error, path))?;
        Ok(Self {
            path: path.to_path_buf(),
            sealed,
        })
    }

    /// Returns whether a password is needed to decrypt the file.
    pub fn has_password(&self) -> bool {
        self.sealed.has_password
    }

    /// Returns the format of the file.
    pub fn version(&self) -> FormatVersion {
        self.sealed.version
    }

    /// Decrypts the file; with an empty password if it has none. Takes a fraction of a second.
    pub fn decrypt(&self, password: &SecretString) -> Result<Keystore, KeystoreError> {
        let entries = self
            .sealed
            .decrypt(password)
            .map_err(|error| with_path(error, &self.path))?;
        Ok(Keystore {
            entries,
            password: password.clone(),
            read_from: Some(self.sealed.version),
        })
    }
}

/// Replaces the file atomically with mode 0660 and keeps its owner.
///
/// A new file made by root gets the owner of its directory, so that the node can read it.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), KeystoreError> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let owner = std::fs::metadata(path)
        .or_else(|_| std::fs::metadata(directory))
        .ok();
    let own = rustix::process::geteuid().as_raw();
    if let Some(owner) = owner.as_ref().filter(|_| own != 0 && path.exists())
        && owner.uid() != own
    {
        return Err(KeystoreError::OwnerChange {
            path: path.to_path_buf(),
            owner: owner.uid(),
            own,
        });
    }
    write_atomic(path, bytes, FILE_MODE).map_err(|error| write_error(error, path, directory))?;
    set_mode(path)?;
    match owner {
        Some(owner) if own == 0 && owner.uid() != 0 => {
            std::os::unix::fs::chown(path, Some(owner.uid()), Some(owner.gid()))
                .map_err(|error| io_at(path, error))
        }
        _ => Ok(()),
    }
}

/// The creation mode is narrowed by the umask; the group must be able to read and write.
fn set_mode(path: &Path) -> Result<(), KeystoreError> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(FILE_MODE))
        .map_err(|error| io_at(path, error))
}

fn write_error(error: io::Error, path: &Path, directory: &Path) -> KeystoreError {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            KeystoreError::NotWritable {
                path: path.to_path_buf(),
                directory: directory.to_path_buf(),
            }
        }
        io::ErrorKind::ResourceBusy => KeystoreError::SingleFileMount {
            path: path.to_path_buf(),
        },
        _ => io_at(path, error),
    }
}

fn io_at(path: &Path, source: io::Error) -> KeystoreError {
    KeystoreError::Io {
        path: path.to_path_buf(),
        source,
    }
}

fn with_path(error: FormatError, path: &Path) -> KeystoreError {
    let path = path.to_path_buf();
    match error {
        FormatError::Foreign(reason) => KeystoreError::NotAKeystore { path, reason },
        FormatError::Corrupt(reason) => KeystoreError::Corrupt { path, reason },
        FormatError::TooOld(version) => KeystoreError::TooOld { path, version },
        FormatError::TooNew(version) => KeystoreError::TooNew { path, version },
        FormatError::WrongPassword => KeystoreError::WrongPassword,
    }
}

/// Source: Elasticsearch reference, "elasticsearch-keystore".
const FILE_MODE: u32 = 0o660;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::SEED;
    use super::*;

    #[test]
    fn saves_with_mode_0660_and_loads_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("elasticsearch.keystore");
        let mut keystore = Keystore::create(SecretString::default());
        keystore
            .set("bootstrap.password", &"changeme".into())
            .unwrap();
        keystore.save(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o660);

        let file = KeystoreFile::read(&path).unwrap();
        assert!(!file.has_password());
        assert_eq!(file.version(), FormatVersion::V5);
        let loaded = file.decrypt(&SecretString::default()).unwrap();
        assert_eq!(
            loaded.list().collect::<Vec<_>>(),
            ["bootstrap.password", SEED]
        );
        assert_eq!(
            loaded.get("bootstrap.password").unwrap(),
            Some("changeme".into())
        );
    }

    #[test]
    fn a_password_makes_a_newer_format_and_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("elasticsearch.keystore");
        Keystore::create("pw".into()).save(&path).unwrap();
        let file = KeystoreFile::read(&path).unwrap();
        assert!(file.has_password());
        assert_eq!(file.version(), FormatVersion::V6);
        assert!(matches!(
            file.decrypt(&"no".into()),
            Err(KeystoreError::WrongPassword)
        ));
        assert!(file.decrypt(&"pw".into()).unwrap().contains(SEED));
    }

    #[test]
    fn upgrade_is_due_for_old_formats_and_missing_seeds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("elasticsearch.keystore");
        let keystore = Keystore::create(SecretString::default());
        keystore.save_as(&path, FormatVersion::V4).unwrap();
        let mut old = Keystore::load(&path, &SecretString::default()).unwrap();
        assert!(old.upgrade());
        keystore.save(&path).unwrap();
        let mut current = Keystore::load(&path, &SecretString::default()).unwrap();
        assert!(!current.upgrade());
        assert!(current.remove(SEED) && !current.remove(SEED));
        assert!(current.upgrade() && current.contains(SEED));
    }

    #[test]
    fn other_files_are_refused_with_their_path() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k");
        assert!(matches!(
            KeystoreFile::read(&path),
            Err(KeystoreError::NotFound { .. })
        ));
        for content in ["", "-----BEGIN CERTIFICATE-----", "PK\u{3}\u{4}"] {
            std::fs::write(&path, content).unwrap();
            let error = KeystoreFile::read(&path).unwrap_err();
            assert!(matches!(error, KeystoreError::NotAKeystore { .. }));
            assert!(error.to_string().contains(path.to_str().unwrap()));
        }
    }

    #[test]
    fn names_follow_the_pattern() {
        let mut keystore = Keystore::create(SecretString::default());
        for bad in ["", "a b", "ü", "a/b", "a\n"] {
            assert!(keystore.set(bad, &"x".into()).is_err(), "{bad}");
        }
        keystore.set("A-z_0.9", &"x".into()).unwrap();
        assert!(!format!("{keystore:?}").contains("\"x\""));
    }
}
