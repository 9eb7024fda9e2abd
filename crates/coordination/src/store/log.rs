//! The log and the vote, as openraft wants them.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};

use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{AnyError, LogState, OptionalSend, RaftLogReader, StorageIOError};
use redb::{Durability, ReadableTable};
use ringwall_base::encoding::{decode, encode};

use super::{COMMITTED, Failure, LOG, META, PURGED, Store, VOTE};
use crate::raft::{Entry, LogId, StorageError, TypeConfig, Vote};

/// The log and vote part of a [`Store`].
#[derive(Clone)]
pub(crate) struct LogStore {
    store: Store,
}

impl LogStore {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError> {
        let bounds = (range.start_bound().cloned(), range.end_bound().cloned());
        self.store
            .blocking(move |store| read_entries(store, bounds, u64::MAX))
            .await
            .map_err(|failure| StorageIOError::read_logs(any(&failure)).into())
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<Entry>, StorageError> {
        let bounds = (Bound::Included(start), Bound::Excluded(end));
        self.store
            .blocking(move |store| read_entries(store, bounds, MAX_BATCH_BYTES))
            .await
            .map_err(|failure| StorageIOError::read_logs(any(&failure)).into())
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, StorageError> {
        self.store
            .blocking(|store| {
                let last_purged_log_id = store.read_meta::<LogId>(PURGED)?;
                let last =
                    store.read(|transaction| match transaction.open_table(LOG)?.last()? {
                        Some((_, bytes)) => Ok(Some(decode::<Entry>(bytes.value())?.log_id)),
                        None => Ok(None),
                    })?;
                Ok(LogState {
                    last_purged_log_id,
                    last_log_id: last.or(last_purged_log_id),
                })
            })
            .await
            .map_err(|failure| StorageIOError::read_logs(any(&failure)).into())
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        let vote = *vote;
        self.store
            .blocking(move |store| store.write_meta(VOTE, &vote, Durability::Immediate))
            .await
            .map_err(|failure| StorageIOError::write_vote(any(&failure)).into())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        self.store
            .blocking(|store| store.read_meta(VOTE))
            .await
            .map_err(|failure| StorageIOError::read_vote(any(&failure)).into())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError> {
        let Some(committed) = committed else {
            return Ok(());
        };
        // Not synced: it becomes durable with the next append, and being behind is harmless.
        self.store
            .blocking(move |store| store.write_meta(COMMITTED, &committed, Durability::None))
            .await
            .map_err(|failure| StorageIOError::write(any(&failure)).into())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, StorageError> {
        self.store
            .blocking(|store| store.read_meta(COMMITTED))
            .await
            .map_err(|failure| StorageIOError::read(any(&failure)).into())
    }

    async fn append<I>(
        &mut self,
        entries: I,
        callback: LogFlushed<TypeConfig>,
    ) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<(u64, Vec<u8>)> = entries
            .into_iter()
            .map(|entry| (entry.log_id.index, encode(&entry)))
            .collect();
        let written = self
            .store
            .blocking(move |store| append_entries(store, &entries))
            .await;
        callback.log_io_completed(
            written
                .as_ref()
                .copied()
                .map_err(|failure| io::Error::other(failure.to_string())),
        );
        written.map_err(|failure| StorageIOError::write_logs(any(&failure)).into())
    }

    async fn truncate(&mut self, log_id: LogId) -> Result<(), StorageError> {
        self.store
            .blocking(move |store| {
                store.write(Durability::Immediate, |transaction| {
                    let mut log = transaction.open_table(LOG)?;
                    log.retain_in(log_id.index.., |_, _| false)?;
                    Ok(())
                })
            })
            .await
            .map_err(|failure| StorageIOError::write_logs(any(&failure)).into())
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), StorageError> {
        self.store
            .blocking(move |store| {
                store.write(Durability::Immediate, |transaction| {
                    let bytes = encode(&log_id);
                    transaction
                        .open_table(META)?
                        .insert(PURGED, bytes.as_slice())?;
                    let mut log = transaction.open_table(LOG)?;
                    log.retain_in(..=log_id.index, |_, _| false)?;
                    Ok(())
                })
            })
            .await
            .map_err(|failure| StorageIOError::write_logs(any(&failure)).into())
    }
}

fn append_entries(store: &Store, entries: &[(u64, Vec<u8>)]) -> Result<(), Failure> {
    store.write(Durability::Immediate, |transaction| {
        let mut log = transaction.open_table(LOG)?;
        for (index, bytes) in entries {
            log.insert(index, bytes.as_slice())?;
        }
        Ok(())
    })
}

/// Returns entries of the range until their size passes `max_bytes`, at least one if there is any.
fn read_entries(
    store: &Store,
    range: (Bound<u64>, Bound<u64>),
    max_bytes: u64,
) -> Result<Vec<Entry>, Failure> {
    store.read(|transaction| {
        let log = transaction.open_table(LOG)?;
        let mut entries = Vec::new();
        let mut size = 0;
        for item in log.range::<u64>(range)? {
            let (_, bytes) = item?;
            size += bytes.value().len() as u64;
            entries.push(decode(bytes.value())?);
            if size > max_bytes {
                break;
            }
        }
        Ok(entries)
    })
}

pub(super) fn any(failure: &Failure) -> AnyError {
    AnyError::error(failure)
}

/// Most bytes of log entries in one replication message; a larger entry travels alone.
const MAX_BATCH_BYTES: u64 = 4 << 20;
