//! The small file that says which generations make up the translog.

use std::path::Path;

use ringwall_base::{SeqNo, encoding, fs};
use serde::{Deserialize, Serialize};

use super::file::corrupted;
use crate::error::{IndexError, Result};

/// What the translog consists of. Replaced as a whole, atomically.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    /// The generation that was being written.
    pub generation: u64,
    /// Earlier generations that are kept, oldest first. All are complete and synced.
    pub sealed: Vec<SealedRecord>,
    /// Every operation from here on is in the kept generations, unless it is in the commit only.
    pub min_retained_seq_no: SeqNo,
    /// As of the last write of this file; the real one may be higher.
    pub global_checkpoint: SeqNo,
    /// Whether there is a mark of what was synced beside it: since version 2.
    #[serde(skip)]
    pub with_mark: bool,
}

/// A generation that is no longer written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SealedRecord {
    pub generation: u64,
    pub length: u64,
    pub operations: u64,
    /// `None` when the generation holds no operation.
    pub max_seq_no: Option<SeqNo>,
    pub min_seq_no: Option<SeqNo>,
}

impl Checkpoint {
    pub(super) fn write(&self, directory: &Path) -> Result<()> {
        let path = directory.join(FILE);
        let mut bytes = [MAGIC, &[VERSION]].concat();
        bytes.extend_from_slice(&encoding::encode(self));
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        fs::write_atomic(&path, &bytes, 0o600)
            .map_err(IndexError::io("write translog checkpoint", path))
    }

    pub(super) fn read(directory: &Path) -> Result<Self> {
        let path = directory.join(FILE);
        let bytes =
            std::fs::read(&path).map_err(IndexError::io("read translog checkpoint", &path))?;
        let Some((content, crc)) = bytes.split_last_chunk::<4>() else {
            return Err(corrupted(&path, 0, "the checkpoint is too short"));
        };
        if crc32fast::hash(content).to_le_bytes() != *crc {
            return Err(corrupted(
                &path,
                0,
                "the checkpoint does not match its checksum",
            ));
        }
        let (version, content) = match content.strip_prefix(MAGIC) {
            Some([version, content @ ..]) => (*version, content),
            Some([]) => return Err(corrupted(&path, 0, "the checkpoint is too short")),
            // The first version had no number.
            None => (1, content),
        };
        if version > VERSION {
            let reason = format!(
                "it has format [{version}], this version of Ringwall knows up to [{VERSION}]: start a newer one"
            );
            let error = std::io::Error::other(reason);
            return Err(IndexError::io("read translog checkpoint", path)(error));
        }
        let mut checkpoint: Self =
            encoding::decode(content).map_err(|error| corrupted(&path, 0, &error.to_string()))?;
        checkpoint.with_mark = version >= 2;
        Ok(checkpoint)
    }
}

/// No encoding of the first version begins so.
const MAGIC: &[u8] = b"RWTCKP\x00";
const VERSION: u8 = 2;
const FILE: &str = "translog.ckp";
