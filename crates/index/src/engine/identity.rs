//! What identifies a copy on disk: the `_state` file, which also has the version of all that is beside
//! it. Source: Elasticsearch reference, "Reading and writing documents".

use std::path::Path;

use ringwall_base::{AllocationId, ShardId, Term, fs};
use serde::{Deserialize, Serialize};

use super::store;
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
    ///
    /// Fails for a copy of a newer version than this one knows.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        Ok(StateFile::read(path)?.map(|file| file.identity))
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let path = path.join(FILE);
        let file = StateFile {
            version: VERSION,
            identity: self.clone(),
        };
        let sealed = serde_json::to_vec(&file)
            .map_err(std::io::Error::other)
            .and_then(|text| store::seal(&text))
            .map_err(IndexError::io("encode shard state", &path))?;
        fs::write_atomic(&path, &sealed, 0o600).map_err(IndexError::io("write shard state", path))
    }

    /// Brings a copy that an earlier version wrote to the form of this one.
    pub(super) fn upgrade(self, path: &Path) -> Result<Self> {
        let version = StateFile::read(path)?.map_or(VERSION, |file| file.version);
        if version < WITH_CHECKSUMS {
            store::seal_lists(&path.join(super::open::INDEX_DIRECTORY))?;
        }
        if version < VERSION {
            tracing::info!(shard = %self.shard, from = version, to = VERSION, "shard copy brought to the form of this version");
            self.write(path)?;
        }
        Ok(self)
    }
}

/// What is in the file.
#[derive(Serialize, Deserialize)]
struct StateFile {
    /// Of the copy: of the files beside this one as well.
    #[serde(default = "unversioned")]
    version: u32,
    #[serde(flatten)]
    identity: ShardIdentity,
}

impl StateFile {
    fn read(path: &Path) -> Result<Option<Self>> {
        let path = path.join(FILE);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(IndexError::io("read shard state", path)(error)),
        };
        let unsealed = store::unseal(&bytes);
        let text = unsealed.as_deref().unwrap_or(&bytes);
        let file: Self = serde_json::from_slice(text)
            .map_err(|error| store::corrupted(&path, &error.to_string()))?;
        if file.version > VERSION {
            let reason = format!(
                "the copy has format [{}], this version of Ringwall knows up to [{VERSION}]: start a newer one",
                file.version
            );
            return Err(IndexError::io("open shard copy", path)(
                std::io::Error::other(reason),
            ));
        }
        match unsealed {
            Err(reason) if file.version >= WITH_CHECKSUMS => Err(store::corrupted(&path, reason)),
            // One whose checksum was destroyed could pass for one that never had any.
            Err(reason) if bytes.starts_with(b"{\"crc") => Err(store::corrupted(&path, reason)),
            _ => Ok(Some(file)),
        }
    }
}

fn unversioned() -> u32 {
    1
}

/// Of the files of a copy. 1: lists of segments without checksums, translogs that do not know how
/// much was synced.
const VERSION: u32 = 2;
const WITH_CHECKSUMS: u32 = 2;

/// Written last when a copy is made: without it there is no copy.
const FILE: &str = "_state";
