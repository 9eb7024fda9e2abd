//! The durable half of consensus: one redb file with the vote, the log, the newest snapshot and a
//! few records of our own.
//!
//! Every write is on disk before its caller goes on, except the mark of the last committed entry,
//! which may lag after a crash: the master tells it again. A write that the disk refuses is made again, as a whole
//! and in a file opened anew, until it succeeds or the store is closed: to openraft a failed write is the end. See
//! [`troubles`] for who is told meanwhile, and [`whole`] for what a failed sync takes.

mod backend;
mod log;
mod machine;
#[cfg(test)]
mod tests;
mod troubles;
mod whole;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use redb::{Database, Durability, ReadableDatabase, TableDefinition};
use ringwall_base::encoding::{decode, encode};
use ringwall_base::{NodeId, Reserve};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::raft::{LogId, SnapshotMeta, Vote};

pub(crate) use log::LogStore;
pub(crate) use machine::{Machine, MachineStore};
pub(crate) use troubles::Stall;

use troubles::Troubles;

/// The open store. Clones share it.
#[derive(Clone)]
pub(crate) struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    /// Space for the file to grow when the disk is full.
    reserve: Arc<Reserve>,
    file: Arc<backend::Shared>,
    opened: RwLock<Opened>,
    troubles: Troubles,
    /// Failures are waited out: the store was opened once.
    is_patient: AtomicBool,
}

struct Opened {
    database: Option<Database>,
    /// Grows each time the file is opened again.
    generation: u64,
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
        let store = Self {
            inner: Arc::new(Inner {
                path: path.clone(),
                reserve: Arc::new(Reserve::at(directory.join(RESERVE_NAME), RESERVE_BYTES)),
                file: Arc::default(),
                opened: RwLock::new(Opened {
                    database: None,
                    generation: 0,
                }),
                troubles: Troubles::default(),
                is_patient: AtomicBool::new(false),
            }),
        };
        if !path.exists() {
            whole::create(&store.inner).map_err(|error| open_error(error.to_string()))?;
        }
        let database = whole::open(&store.inner).map_err(|error| open_error(error.to_string()))?;
        store.inner.opened.write().database = Some(database);
        store
            .write(Durability::Immediate, |transaction| {
                transaction.open_table(META)?;
                transaction.open_table(LOG)?;
                Ok(())
            })
            .map_err(|error| open_error(error.to_string()))?;
        // Before a record is understood in a way that is no longer meant.
        store.check_format()?;
        store.check_owner(local)?;
        store.check_whole()?;
        store.leave_office(local)?;
        store.inner.is_patient.store(true, Ordering::Release);
        Ok(store)
    }

    /// Lets go of all that waits for the disk: it fails, as does later use.
    pub(crate) fn stop_waiting(&self) {
        self.inner.troubles.close();
    }

    /// Closes the file, so that it can be opened again; later use fails. A file in use by a disk that does not answer
    /// stays open.
    pub(crate) fn close(&self) {
        self.stop_waiting();
        if let Some(mut opened) = self.inner.opened.try_write_for(CLOSE_WAIT) {
            opened.database.take();
        }
    }

    /// Returns since how long a write is under way, if one is, and what the disk said to it.
    pub(crate) fn stalled(&self) -> Option<Stall> {
        self.inner.troubles.stalled()
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

    fn check_format(&self) -> Result<(), Error> {
        match self.read_record::<u32>(FORMAT_KEY)? {
            // Format 1 did not say so in the beginning.
            None => self.write_record(FORMAT_KEY, &FORMAT),
            Some(FORMAT) => Ok(()),
            Some(found) => Err(Error::OpenStore {
                path: self.inner.path.clone(),
                reason: format!(
                    "it has format [{found}], and this version [{}] reads format [{FORMAT}]; start the node with the \
                     version that wrote it or a later one",
                    env!("CARGO_PKG_VERSION")
                ),
            }),
        }
    }

    fn check_owner(&self, local: NodeId) -> Result<(), Error> {
        match self.read_record::<NodeId>(NODE_ID)? {
            None => self.write_record(NODE_ID, &local),
            Some(stored) if stored == local => Ok(()),
            Some(stored) => Err(Error::ForeignStore {
                path: self.inner.path.clone(),
                stored: stored.to_string(),
                local: local.to_string(),
            }),
        }
    }

    /// Refuses a store whose log was purged beyond its snapshot: openraft would come up empty,
    /// silently. Source: openraft's documentation of `RaftStateMachine`, which asks for a durable snapshot.
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
            path: self.inner.path.clone(),
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
        action: impl Fn(&redb::ReadTransaction) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.persist(|database| action(&database.begin_read()?))
    }

    fn write<T>(
        &self,
        durability: Durability,
        action: impl Fn(&redb::WriteTransaction) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let _watched = self.inner.troubles.begin();
        let value = self.persist(|database| {
            let mut transaction = database.begin_write()?;
            transaction.set_durability(durability)?;
            let value = action(&transaction)?;
            transaction.commit()?;
            Ok(value)
        })?;
        self.inner.troubles.end();
        if self.inner.troubles.may_look_at_reserve()
            && let Err(error) = self.inner.reserve.hold()
        {
            tracing::warn!(%error, "no space is kept for the cluster state");
        }
        Ok(value)
    }

    /// Tries until it succeeds, fails for a reason that does not pass, or the store is closed.
    fn persist<T>(&self, attempt: impl Fn(&Database) -> Result<T, Failure>) -> Result<T, Failure> {
        let inner = &self.inner;
        let mut pause = FIRST_PAUSE;
        loop {
            let (result, generation) = {
                let opened = inner.opened.read();
                let result = match &opened.database {
                    _ if inner.troubles.is_closed() => Err(Failure::Closed),
                    Some(database) => attempt(database),
                    None => Err(Failure::NotOpen),
                };
                (result, opened.generation)
            };
            let failure = match result {
                Err(failure) if failure.may_pass() => failure,
                result => return result,
            };
            if !inner.is_patient.load(Ordering::Acquire) {
                return Err(failure);
            }
            inner.troubles.note(&failure);
            if !inner.troubles.pause(pause) {
                return Err(Failure::Closed);
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            self.open_again(generation);
        }
    }

    /// Opens the file anew, unless somebody has since it failed.
    fn open_again(&self, generation: u64) {
        let inner = &self.inner;
        let mut opened = inner.opened.write();
        if opened.generation != generation || inner.troubles.is_closed() {
            return;
        }
        // First, for its lock.
        opened.database.take();
        match whole::reopen(inner) {
            Ok(database) => {
                opened.database = Some(database);
                opened.generation += 1;
            }
            Err(failure) => inner.troubles.note(&failure),
        }
    }

    /// Runs a blocking action on the store away from the async threads.
    async fn blocking<T: Send + 'static>(
        &self,
        action: impl FnOnce(&Self) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let store = self.clone();
        crate::blocking::spawn(move || action(&store))
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
    #[error("the state machine cannot apply a committed command: {0}")]
    Apply(String),
    #[error("the store is closed")]
    Closed,
    /// The file could not be opened again since it failed.
    #[error("the store is not open")]
    NotOpen,
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("interrupted: {0}")]
    Interrupted(String),
}

impl Failure {
    /// Returns whether the disk refused, which it may not do for ever, as opposed to a file that is damaged.
    fn may_pass(&self) -> bool {
        match self {
            Self::Io(_) | Self::NotOpen => true,
            Self::Database(error) => {
                matches!(**error, redb::Error::Io(_) | redb::Error::PreviousIo)
            }
            Self::Decode(_)
            | Self::Restore(_)
            | Self::Apply(_)
            | Self::Closed
            | Self::Interrupted(_) => false,
        }
    }
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
    redb::DatabaseError,
    redb::StorageError,
    redb::TableError,
    redb::TransactionError,
    redb::CommitError,
    redb::SetDurabilityError
);

/// Record of our own: the node that owns the store.
const NODE_ID: &str = "node_id";
const FORMAT_KEY: &str = "format";
/// How the records, the log and the snapshot in the file are written. It grows with every change that an older version
/// would misunderstand; a field that is added keeps it.
const FORMAT: u32 = 1;
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

const FILE_NAME: &str = "coordination.redb";
const RESERVE_NAME: &str = "coordination.reserve";
/// Enough for some thousand changes of a middling cluster, by when old entries have made room.
const RESERVE_BYTES: u64 = 4 << 20;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long a write under way may hold up the closing.
const CLOSE_WAIT: Duration = Duration::from_secs(2);
