//! The durable half of consensus: one redb file with the vote, the log, the newest snapshot and a
//! few records of our own.
//!
//! Every write is on disk before its caller goes on, except the mark of the last committed entry,
//! which may lag after a crash: the master tells it again.

mod log;
mod machine;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use redb::{Database, Durability, ReadableDatabase, TableDefinition};
use ringwall_base::NodeId;
use ringwall_base::encoding::{decode, encode};
use ringwall_base::fs::sync_dir;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::raft::{LogId, SnapshotMeta, Vote};

pub(crate) use log::LogStore;
pub(crate) use machine::{Machine, MachineStore};

/// The open store. Clones share it.
#[derive(Clone)]
pub(crate) struct Store {
    path: PathBuf,
    database: Arc<RwLock<Option<Database>>>,
}

/// The newest snapshot as it lies in the file.
#[derive(Serialize, Deserialize)]
pub(crate) struct StoredSnapshot {
    pub(crate) meta: SnapshotMeta,
    #[serde(with = "serde_bytes")]
    pub(crate) data: Vec<u8>,
}

/// Says that this node founded a cluster, written before it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BootstrapRecord {
    pub(crate) members: Vec<crate::peer::PeerInfo>,
}

impl Store {
    /// Opens the store in a directory, creates it when absent, and checks that it is whole and
    /// belongs to this node.
    pub(crate) fn open(directory: &Path, local: NodeId) -> Result<Self, Error> {
        let path = directory.join(FILE_NAME);
        let open_error = |reason: String| Error::OpenStore {
            path: path.clone(),
            reason,
        };
        std::fs::create_dir_all(directory).map_err(|error| open_error(error.to_string()))?;
        if !path.exists() {
            create_whole(&path).map_err(open_error)?;
        }
        let database = Database::open(&path).map_err(|error| open_error(error.to_string()))?;
        let store = Self {
            path: path.clone(),
            database: Arc::new(RwLock::new(Some(database))),
        };
        store
            .write(Durability::Immediate, |transaction| {
                transaction.open_table(META)?;
                transaction.open_table(LOG)?;
                Ok(())
            })
            .map_err(|error| open_error(error.to_string()))?;
        store.check_owner(local)?;
        store.check_whole()?;
        store.leave_office(local)?;
        Ok(store)
    }

    /// Closes the file, so that it can be opened again; later use fails.
    pub(crate) fn close(&self) {
        self.database.write().take();
    }

    /// Reads one of our own records.
    pub(crate) fn read_record<T: DeserializeOwned>(
        &self,
        key: &'static str,
    ) -> Result<Option<T>, Error> {
        self.read_meta(key).map_err(|error| Error::Store {
            doing: "reading a record",
            reason: error.to_string(),
        })
    }

    /// Writes one of our own records durably.
    pub(crate) fn write_record<T: Serialize>(
        &self,
        key: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.write_meta(key, value, Durability::Immediate)
            .map_err(|error| Error::Store {
                doing: "writing a record",
                reason: error.to_string(),
            })
    }

    fn check_owner(&self, local: NodeId) -> Result<(), Error> {
        match self.read_record::<NodeId>(NODE_ID)? {
            None => self.write_record(NODE_ID, &local),
            Some(stored) if stored == local => Ok(()),
            Some(stored) => Err(Error::ForeignStore {
                path: self.path.clone(),
                stored: stored.to_string(),
                local: local.to_string(),
            }),
        }
    }

    /// Refuses a store whose log was purged beyond its snapshot: openraft would come up empty,
    /// silently. Source: dependencies.md section 5.
    fn check_whole(&self) -> Result<(), Error> {
        let purged = self.read_record::<LogId>(PURGED)?;
        let snapshot = self
            .read_record::<StoredSnapshot>(SNAPSHOT)?
            .and_then(|snapshot| snapshot.meta.last_log_id);
        if purged <= snapshot {
            return Ok(());
        }
        let show = |id: Option<LogId>| id.map_or("none".to_owned(), |id| id.to_string());
        Err(Error::SnapshotMissing {
            path: self.path.clone(),
            purged: show(purged),
            snapshot: show(snapshot),
        })
    }

    /// Makes a former master stand for election again instead of resuming its office: only the
    /// first entry of a new term proves that all that was ever committed is applied again. Saying
    /// less than the quorum granted is always safe.
    fn leave_office(&self, local: NodeId) -> Result<(), Error> {
        match self.read_record::<Vote>(VOTE)? {
            Some(mut vote) if vote.committed && vote.leader_id.node_id.0 == local => {
                vote.committed = false;
                self.write_record(VOTE, &vote)
            }
            _ => Ok(()),
        }
    }

    fn read_meta<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Failure> {
        self.read(|transaction| {
            let table = transaction.open_table(META)?;
            match table.get(key)? {
                Some(bytes) => Ok(Some(decode(bytes.value())?)),
                None => Ok(None),
            }
        })
    }

    fn write_meta<T: Serialize>(
        &self,
        key: &str,
        value: &T,
        durability: Durability,
    ) -> Result<(), Failure> {
        self.write(durability, |transaction| {
            let bytes = encode(value);
            transaction
                .open_table(META)?
                .insert(key, bytes.as_slice())?;
            Ok(())
        })
    }

    fn read<T>(
        &self,
        action: impl FnOnce(&redb::ReadTransaction) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let guard = self.database.read();
        let database = guard.as_ref().ok_or(Failure::Closed)?;
        action(&database.begin_read()?)
    }

    fn write<T>(
        &self,
        durability: Durability,
        action: impl FnOnce(&redb::WriteTransaction) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let guard = self.database.read();
        let database = guard.as_ref().ok_or(Failure::Closed)?;
        let mut transaction = database.begin_write()?;
        transaction.set_durability(durability)?;
        let value = action(&transaction)?;
        transaction.commit()?;
        Ok(value)
    }

    /// Runs a blocking action on the store away from the async threads.
    async fn blocking<T: Send + 'static>(
        &self,
        action: impl FnOnce(&Self) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let store = self.clone();
        tokio::task::spawn_blocking(move || action(&store))
            .await
            .unwrap_or_else(|error| Err(Failure::Interrupted(error.to_string())))
    }
}

/// Why an operation of the store failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Database(Box<redb::Error>),
    #[error(transparent)]
    Decode(#[from] ringwall_base::encoding::DecodeError),
    #[error("the state machine refused a snapshot: {0}")]
    Restore(String),
    #[error("the store is closed")]
    Closed,
    #[error("interrupted: {0}")]
    Interrupted(String),
}

macro_rules! database_errors {
    ($($error:ty),*) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::Database(Box::new(error.into()))
            }
        })*
    };
}

database_errors!(
    redb::StorageError,
    redb::TableError,
    redb::TransactionError,
    redb::CommitError,
    redb::SetDurabilityError
);

/// Record of our own: the node that owns the store.
const NODE_ID: &str = "node_id";
/// Record of our own: [`BootstrapRecord`].
pub(crate) const BOOTSTRAP: &str = "bootstrap";
/// Record of our own: UUID of the cluster this node is locked into.
pub(crate) const CLUSTER_UUID: &str = "cluster_uuid";

const VOTE: &str = "vote";
const COMMITTED: &str = "committed";
const PURGED: &str = "purged";
const SNAPSHOT: &str = "snapshot";

const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
const LOG: TableDefinition<u64, &[u8]> = TableDefinition::new("log");

/// Makes an empty store so that a crash at any moment leaves a whole one or none.
fn create_whole(path: &Path) -> Result<(), String> {
    let beside = path.with_extension("new");
    let made = match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    made.map_err(|error| error.to_string())?;
    // Closed again: its content is on disk when this returns.
    drop(Database::create(&beside).map_err(|error| error.to_string())?);
    let placed = std::fs::File::open(&beside)
        .and_then(|file| file.sync_all())
        .and_then(|()| std::fs::rename(&beside, path))
        .and_then(|()| sync_dir(path.parent().unwrap_or(path)));
    placed.map_err(|error| error.to_string())
}

const FILE_NAME: &str = "coordination.redb";
