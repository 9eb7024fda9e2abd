//! The node's data path: its lock, and the persistent identity in it.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use fs4::FileExt;
use ringwall_base::NodeId;
use ringwall_base::fs::write_atomic;

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
}

/// A data path that this process holds alone. The lock goes with the process, not with the file.
#[derive(Debug)]
pub struct DataPath {
    path: PathBuf,
    node_id: NodeId,
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
        Ok(Self {
            node_id: node_id(&path.join("_state/node_id"))?,
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Returns the identity that the node keeps across restarts.
    pub fn node_id(&self) -> NodeId {
        self.node_id
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
    fn damaged_identity_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        drop(DataPath::open(dir.path()).unwrap());
        std::fs::write(dir.path().join("_state/node_id"), "rubbish").unwrap();
        let error = DataPath::open(dir.path()).unwrap_err();
        assert!(matches!(error, DataPathError::Identity { .. }), "{error}");
    }
}
