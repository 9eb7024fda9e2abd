//! The state as bytes, for consensus snapshots.

use ringwall_base::encoding;
use serde::{Deserialize, Serialize};

use crate::ClusterState;

/// The stored state cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("the cluster state cannot be read: {0}")]
    Decode(#[from] encoding::DecodeError),
    #[error(
        "the cluster state has format {found}, but this version of ringwall reads up to {known}; \
         start the newer version that wrote it"
    )]
    NewerFormat { found: u32, known: u32 },
}

const FORMAT: u32 = 1;

#[derive(Serialize)]
struct Written<'a> {
    format: u32,
    state: &'a ClusterState,
}

#[derive(Deserialize)]
struct Header {
    format: u32,
}

#[derive(Deserialize)]
struct Read {
    state: ClusterState,
}

impl ClusterState {
    /// Returns the state's stored form.
    pub fn to_snapshot(&self) -> Vec<u8> {
        encoding::encode(&Written {
            format: FORMAT,
            state: self,
        })
    }

    /// Reads a stored state.
    ///
    /// # Errors
    /// Bytes that are no state, or a state written by a newer program.
    pub fn from_snapshot(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let header: Header = encoding::decode(bytes)?;
        if header.format > FORMAT {
            return Err(SnapshotError::NewerFormat {
                found: header.format,
                known: FORMAT,
            });
        }
        let read: Read = encoding::decode(bytes)?;
        Ok(read.state)
    }
}
