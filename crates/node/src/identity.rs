//! The node's data path: its lock, its format, and the persistent identity in it.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fs4::FileExt;
use ringwall_base::fs::write_atomic;
use ringwall_base::{NodeId, SecretBytes, SecretString};
use ringwall_pki::IdentityKey;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Why a data path cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataPathError {
    #[error(
        "failed to obtain node locks, tried [{path}]; maybe these locations are not writable or \
         multiple nodes were started on the same data path?"
    )]
    Locked { path: PathBuf },
    #[error("cannot use [path.data] [{path}]: {source}; it must be a directory the node may write")]
    Io { path: PathBuf, source: io::Error },
    #[error(
        "[{path}] holds no node id: {reason}; restore it, or empty the data path to start anew"
    )]
    Identity { path: PathBuf, reason: String },
    #[error(
        "[{path}] says that the data path has format [{found}], written by version [{writer}]; this version \
         [{version}] reads formats {oldest} to {newest}: start the node with that version or a later one",
        version = env!("CARGO_PKG_VERSION"), oldest = OLDEST_FORMAT, newest = FORMAT
    )]
    Format {
        path: PathBuf,
        found: u32,
        writer: String,
    },
    #[error(
        "[{path}] is not the key of a node: {reason}; restore it from a backup of this data path, or remove it: \
         the node then gets a new one, which is approved with `POST /_membership/<node id>/_approve?key=<key>`"
    )]
    Key { path: PathBuf, reason: String },
    #[error("[{path}] does not tell the format of the data path: {reason}; restore it")]
    FormatFile { path: PathBuf, reason: String },
}

/// How everything below the data path is written. It grows with every change that an older version would
/// misunderstand; what only adds to a file keeps it. 1: as of version 0.1.0, also where no file says so.
const FORMAT: u32 = 1;
/// The oldest that is read.
const OLDEST_FORMAT: u32 = 1;

/// What `_state/format` holds, as JSON. Fields may be added, never removed or changed.
#[derive(Debug, Serialize, Deserialize)]
struct Format {
    format: u32,
    /// The version of the program that wrote it, for people.
    written_by: String,
}

/// A data path that this process holds alone. The lock goes with the process, not with the file.
#[derive(Debug)]
pub struct DataPath {
    path: PathBuf,
    node_id: NodeId,
    key: Arc<IdentityKey>,
    _lock: File,
}

impl DataPath {
    /// Locks the data path, made if it is missing, and reads the identity in it, made if new.
    ///
    /// # Errors
    /// [`DataPathError`] when another process holds it, or it cannot be read or written.
    pub fn open(path: &Path) -> Result<Self, DataPathError> {
        let failed = |source| DataPathError::Io {
            path: path.to_owned(),
            source,
        };
        std::fs::create_dir_all(path.join("_state")).map_err(failed)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join("node.lock"))
            .map_err(failed)?;
        if FileExt::try_lock(&lock).is_err() {
            return Err(DataPathError::Locked {
                path: path.to_owned(),
            });
        }
        // Before anything else is read or written there.
        check_format(&path.join("_state/format"))?;
        Ok(Self {
            node_id: node_id(&path.join("_state/node_id"))?,
            key: Arc::new(node_key(&path.join("_state/node_key"))?),
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Returns the identity that the node keeps across restarts.
    pub fn node_id(&self) -> NodeId {
        self.node_id
    }

    /// Returns the key that the node is known by.
    pub fn key(&self) -> Arc<IdentityKey> {
        Arc::clone(&self.key)
    }

    /// Returns the data path itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns where the replicated state is stored.
    pub fn cluster_state_dir(&self) -> PathBuf {
        self.path.join("_state/cluster")
    }

    /// Returns where the shard copies are.
    pub fn indices_dir(&self) -> PathBuf {
        self.path.join("indices")
    }
}

/// Refuses a data path of another format, and says which one it has where no file does yet.
fn check_format(file: &Path) -> Result<(), DataPathError> {
    let failed = |source| DataPathError::Io {
        path: file.to_owned(),
        source,
    };
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let format = Format {
                format: FORMAT,
                written_by: env!("CARGO_PKG_VERSION").to_owned(),
            };
            let text = json!(format).to_string();
            return write_atomic(file, text.as_bytes(), 0o640).map_err(failed);
        }
        Err(error) => return Err(failed(error)),
    };
    let Format {
        format: found,
        written_by,
    } = serde_json::from_str(&text).map_err(|error| DataPathError::FormatFile {
        path: file.to_owned(),
        reason: error.to_string(),
    })?;
    if (OLDEST_FORMAT..=FORMAT).contains(&found) {
        return Ok(());
    }
    Err(DataPathError::Format {
        path: file.to_owned(),
        found,
        writer: written_by,
    })
}

fn node_id(file: &Path) -> Result<NodeId, DataPathError> {
    let failed = |source| DataPathError::Io {
        path: file.to_owned(),
        source,
    };
    match std::fs::read_to_string(file) {
        Ok(text) => text
            .trim()
            .parse()
            .map_err(|error| DataPathError::Identity {
                path: file.to_owned(),
                reason: format!("{error}"),
            }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let id = NodeId::random();
            write_atomic(file, format!("{id}\n").as_bytes(), 0o640).map_err(failed)?;
            Ok(id)
        }
        Err(error) => Err(failed(error)),
    }
}

/// Reads the key of the node, made if there is none: in a new data path, or in one of a version without keys.
fn node_key(file: &Path) -> Result<IdentityKey, DataPathError> {
    let failed = |source| DataPathError::Io {
        path: file.to_owned(),
        source,
    };
    let bad = |reason: &str| DataPathError::Key {
        path: file.to_owned(),
        reason: reason.to_owned(),
    };
    match std::fs::read(file) {
        Ok(content) => {
            let content = SecretBytes::new(content);
            let stored = content.expose().strip_prefix(KEY_HEADER.as_bytes());
            let Some(encoded) = stored else {
                return Err(match content.expose().starts_with(b"ringwall-node-key ") {
                    true => bad("it has a format that this version does not read"),
                    false => bad("it does not begin as one"),
                });
            };
            let pkcs8 = STANDARD.decode(encoded.trim_ascii_end());
            let pkcs8 = SecretBytes::new(pkcs8.map_err(|_| bad("it is damaged"))?);
            IdentityKey::from_pkcs8(&pkcs8).map_err(|_| bad("it is damaged"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let (key, pkcs8) = IdentityKey::generate().map_err(|error| bad(&error.to_string()))?;
            // As large as it gets: growing would leave parts of the key behind.
            let mut content = String::with_capacity(KEY_HEADER.len() + 4 * pkcs8.expose().len());
            content.push_str(KEY_HEADER);
            STANDARD.encode_string(pkcs8.expose(), &mut content);
            content.push('\n');
            let content = SecretString::new(content);
            write_atomic(file, content.expose().as_bytes(), 0o600).map_err(failed)?;
            Ok(key)
        }
        Err(error) => Err(failed(error)),
    }
}

/// Before the PKCS#8 form in base64. The number is the format.
const KEY_HEADER: &str = "ringwall-node-key 1 ed25519 ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_stays_and_one_process_holds_the_path() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        let first = DataPath::open(&path).unwrap();
        let error = DataPath::open(&path).unwrap_err();
        assert!(matches!(error, DataPathError::Locked { .. }), "{error}");
        let id = first.node_id();
        drop(first);
        assert_eq!(DataPath::open(&path).unwrap().node_id(), id);
    }

    #[test]
    fn a_data_path_of_a_later_version_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        drop(DataPath::open(dir.path()).unwrap());
        let file = dir.path().join("_state/format");
        let today = std::fs::read_to_string(&file).unwrap();
        assert_eq!(
            serde_json::from_str::<Format>(&today).unwrap().format,
            FORMAT
        );
        // A field more is no other format.
        let later = r#"{"format": 1, "written_by": "0.2.0", "more": []}"#;
        std::fs::write(&file, later).unwrap();
        drop(DataPath::open(dir.path()).unwrap());
        let later = r#"{"format": 2, "written_by": "0.3.0"}"#;
        std::fs::write(&file, later).unwrap();
        std::fs::remove_file(dir.path().join("_state/node_id")).unwrap();
        let error = DataPath::open(dir.path()).unwrap_err().to_string();
        let told = "has format [2], written by version [0.3.0]; this version [";
        assert!(error.contains(told), "{error}");
        assert!(error.contains("reads formats 1 to 1"), "{error}");
        assert!(!dir.path().join("_state/node_id").exists());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), later);
        for damaged in ["", "{}", r#"{"format": "1", "written_by": ""}"#] {
            std::fs::write(&file, damaged).unwrap();
            let error = DataPath::open(dir.path()).unwrap_err();
            assert!(matches!(error, DataPathError::FormatFile { .. }), "{error}");
        }
    }

    #[test]
    fn the_key_stays_is_nobody_elses_to_read_and_is_not_replaced() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let key = DataPath::open(dir.path()).unwrap().key().public();
        let file = dir.path().join("_state/node_key");
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(DataPath::open(dir.path()).unwrap().key().public(), key);
        let text = std::fs::read_to_string(&file).unwrap();
        let later = text.replace("-key 1 ", "-key 2 ");
        for (content, reason) in [
            ("", "does not begin as one"),
            ("rubbish", "does not begin as one"),
            (&text[..60], "is damaged"),
            (&later, "has a format that this version does not read"),
        ] {
            std::fs::write(&file, content).unwrap();
            let error = DataPath::open(dir.path()).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
            assert_eq!(std::fs::read_to_string(&file).unwrap(), content);
        }
        // Of a version without keys.
        std::fs::remove_file(&file).unwrap();
        assert_ne!(DataPath::open(dir.path()).unwrap().key().public(), key);
    }

    #[test]
    fn damaged_identity_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        drop(DataPath::open(dir.path()).unwrap());
        std::fs::write(dir.path().join("_state/node_id"), "rubbish").unwrap();
        let error = DataPath::open(dir.path()).unwrap_err();
        assert!(matches!(error, DataPathError::Identity { .. }), "{error}");
    }
}
