//! What identifies a copy on disk: the `_state` file. Source: data.md section 8.2.

use std::path::Path;

use ringwall_base::{AllocationId, ShardId, Term, fs};
use serde::{Deserialize, Serialize};

use crate::error::{IndexError, Result};

/// Who a shard copy is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardIdentity {
    pub shard: ShardId,
    pub allocation_id: AllocationId,
    /// Earlier allocation ids of the same data, which has only grown since: where one of them is
    /// in sync, so is this copy. Empty once the copy serves under its own id.
    #[serde(default)]
    pub lineage: Vec<AllocationId>,
    /// Copies with equal history UUIDs agree on every operation up to their global checkpoints.
    pub history_uuid: String,
    /// The highest primary term that the copy knows of.
    pub primary_term: Term,
}

impl ShardIdentity {
    /// Reads the identity of the copy in a directory; `None` when there is no complete copy.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let path = path.join(FILE);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(IndexError::io("read shard state", path)(error)),
        };
        let identity = serde_json::from_slice(&bytes).map_err(|error| IndexError::Corrupted {
            path,
            offset: 0,
            reason: error.to_string(),
        })?;
        Ok(Some(identity))
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let path = path.join(FILE);
        let bytes = serde_json::to_vec(self).map_err(|error| IndexError::Io {
            action: "encode shard state",
            path: path.clone(),
            reason: error.to_string(),
        })?;
        fs::write_atomic(&path, &bytes, 0o600).map_err(IndexError::io("write shard state", path))
    }
}

/// Written last when a copy is made: without it there is no copy.
const FILE: &str = "_state";
