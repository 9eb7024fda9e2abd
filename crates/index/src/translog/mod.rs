//! The translog: every operation of a shard copy, on disk before it is acknowledged.
//!
//! Operations are appended to *generation* files. [`Translog::sync`] makes everything appended
//! before it durable; concurrent callers share one `fdatasync`. A flush of the search index makes
//! old generations unnecessary for a restart, but they are kept up to a size so that a copy that
//! was away can be brought up to date by operations alone. Source: Elasticsearch reference, "Translog" and "History
//! retention".
//!
//! Durability rules:
//! * A generation is sealed (synced whole) before the checkpoint file names its successor, so only
//!   the last generation can have a torn tail. Opening cuts the tail, and refuses anything else.
//! * Opening always begins a new generation; a file is never appended to by two processes.
//! * How much of the last generation was synced is noted beside it (see `mark`): a log that ends before
//!   that has lost what may have been acknowledged, and does not open.
//! * After a failed write or sync nothing is retried: the operating system may have dropped the
//!   data. Every later call fails.

mod checkpoint;
mod file;
mod mark;
mod operation;
mod reader;

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::{Condvar, Mutex};
use ringwall_base::{NO_OPS_PERFORMED, SeqNo, fs, ids};

use crate::engine::tracker::LocalCheckpointTracker;
use crate::error::{IndexError, Result};
use checkpoint::{Checkpoint, SealedRecord};
use file::{HEADER_LENGTH, Header, Record, RecordReader};
use mark::{MarkFile, SyncedMark};
pub use operation::{Operation, OperationKind, Origin};
pub use reader::{OperationsReader, OperationsSnapshot};

/// Where an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    pub generation: u64,
    pub offset: u64,
    /// With framing, in bytes.
    pub length: u32,
}

/// Counts of a translog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TranslogStats {
    pub operations: u64,
    pub bytes: u64,
    /// Since the last flush.
    pub uncommitted_operations: u64,
    pub uncommitted_bytes: u64,
    pub generation: u64,
}

/// The translog of one shard copy.
pub struct Translog {
    directory: PathBuf,
    /// Flushed operations are kept up to this many bytes.
    retention_bytes: u64,
    state: Mutex<State>,
    sync: Mutex<SyncState>,
    synced: Condvar,
    persisted: Mutex<LocalCheckpointTracker>,
    mark: Mutex<MarkFile>,
}

/// What opening does about a log that has lost synced operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LostTail {
    /// Fails: another copy may have them.
    Refuse,
    /// Goes on without them, as an operator has decided.
    Accept,
}

struct State {
    current: Current,
    sealed: BTreeMap<u64, Sealed>,
    /// Appended since the last sync.
    pending: Vec<SeqNo>,
    /// Counts appends, over all generations.
    appended: u64,
    min_retained_seq_no: SeqNo,
    global_checkpoint: SeqNo,
    /// Readers that need operations from a sequence number on, and how many.
    retained: BTreeMap<SeqNo, usize>,
    /// At the last flush.
    flushed_operations: u64,
    flushed_bytes: u64,
    total_operations: u64,
    total_bytes: u64,
    failed: Option<IndexError>,
}

/// The generation being written.
struct Current {
    file: Arc<File>,
    path: PathBuf,
    header: Header,
    /// Not yet handed to the operating system.
    buffer: Vec<u8>,
    /// Bytes in the file.
    written: u64,
    operations: u64,
    range: Option<(SeqNo, SeqNo)>,
    /// Write a marker for this offset before the next operation.
    marker_due: Option<u64>,
}

struct Sealed {
    file: Arc<File>,
    path: PathBuf,
    nonce: u64,
    record: SealedRecord,
}

#[derive(Default)]
struct SyncState {
    /// The append count up to which everything is durable.
    upto: u64,
    running: bool,
    failed: Option<IndexError>,
}

impl Translog {
    /// Creates an empty translog for a copy whose commit holds every operation up to
    /// `local_checkpoint`.
    pub fn create(
        directory: &Path,
        local_checkpoint: SeqNo,
        global_checkpoint: SeqNo,
    ) -> Result<()> {
        std::fs::create_dir_all(directory)
            .map_err(IndexError::io("create translog directory", directory))?;
        let header = Header {
            generation: 1,
            nonce: nonce(),
        };
        file::create(&generation_path(directory, 1), header)?;
        fs::sync_dir(directory).map_err(IndexError::io("sync directory", directory))?;
        let checkpoint = Checkpoint {
            generation: 1,
            sealed: Vec::new(),
            min_retained_seq_no: local_checkpoint + 1,
            global_checkpoint,
            with_mark: true,
        };
        MarkFile::create(directory)?;
        checkpoint.write(directory)
    }

    /// Opens a translog: cuts a torn tail and begins a new generation.
    ///
    /// `committed` is the local checkpoint of the search index's last commit. Fails with
    /// [`IndexError::Corrupted`] for damage that no crash explains, and with
    /// [`IndexError::LostTail`] when operations that were synced, and are not in the commit, are gone.
    pub fn open(
        directory: &Path,
        retention_bytes: u64,
        committed: SeqNo,
        lost_tail: LostTail,
    ) -> Result<Self> {
        let mut checkpoint = Checkpoint::read(directory)?;
        if !checkpoint.with_mark {
            MarkFile::create(directory)?;
        }
        let (mark_file, mark) = MarkFile::open(directory)?;
        remove_strays(directory, &checkpoint)?;
        let mut sealed = BTreeMap::new();
        for record in &checkpoint.sealed {
            sealed.insert(record.generation, open_sealed(directory, *record)?);
        }
        let last = recover_last(directory, checkpoint.generation, mark)?;
        let lost = mark.filter(|mark| {
            (mark.generation, mark.nonce) == (checkpoint.generation, last.nonce)
                && mark.length > last.record.length
        });
        if let Some(mark) = lost {
            check_lost(&last, mark, committed, lost_tail)?;
            // Where the log has holes, others are not brought up to date from it.
            let held = committed.max(checkpoint.min_retained_seq_no - 1);
            checkpoint.min_retained_seq_no = held + 1;
        }
        sealed.insert(checkpoint.generation, last);
        let header = Header {
            generation: checkpoint.generation + 1,
            nonce: nonce(),
        };
        let path = generation_path(directory, header.generation);
        let file = file::create(&path, header)?;
        fs::sync_dir(directory).map_err(IndexError::io("sync directory", directory))?;
        let mut state = State {
            current: Current::new(file, path, header),
            sealed,
            pending: Vec::new(),
            appended: 0,
            min_retained_seq_no: checkpoint.min_retained_seq_no,
            global_checkpoint: checkpoint.global_checkpoint,
            retained: BTreeMap::new(),
            flushed_operations: 0,
            flushed_bytes: 0,
            total_operations: 0,
            total_bytes: 0,
            failed: None,
        };
        for sealed in state.sealed.values() {
            state.total_operations += sealed.record.operations;
            state.total_bytes += sealed.record.length;
            if sealed.record.max_seq_no.is_none_or(|max| max <= committed) {
                state.flushed_operations += sealed.record.operations;
                state.flushed_bytes += sealed.record.length;
            }
        }
        state.checkpoint().write(directory)?;
        Ok(Self {
            directory: directory.to_owned(),
            retention_bytes,
            state: Mutex::new(state),
            sync: Mutex::new(SyncState::default()),
            synced: Condvar::new(),
            persisted: Mutex::new(LocalCheckpointTracker::new(committed)),
            mark: Mutex::new(mark_file),
        })
    }

    /// Appends an operation. It is durable after the next [`Translog::sync`].
    pub fn append(&self, operation: &Operation) -> Result<Location> {
        let mut state = self.state.lock();
        state.check()?;
        let location = state.append(operation);
        let result = state.current.write_out(WRITE_OUT_BYTES);
        state.note(result)?;
        Ok(location)
    }

    /// Makes every operation appended before the call durable.
    pub fn sync(&self) -> Result<()> {
        let target = self.state.lock().appended;
        let mut sync = self.sync.lock();
        loop {
            if let Some(error) = &sync.failed {
                return Err(error.clone());
            }
            if sync.upto >= target {
                return Ok(());
            }
            if !sync.running {
                break;
            }
            self.synced.wait(&mut sync);
        }
        sync.running = true;
        drop(sync);
        let result = self.sync_once();
        let mut sync = self.sync.lock();
        sync.running = false;
        match &result {
            Ok(upto) => sync.upto = sync.upto.max(*upto),
            Err(error) => sync.failed = Some(error.clone()),
        }
        self.synced.notify_all();
        result.map(|_| ())
    }

    /// Returns the highest sequence number up to which every operation is durable.
    pub fn persisted_checkpoint(&self) -> SeqNo {
        self.persisted.lock().checkpoint()
    }

    /// Counts an operation as durable that the last commit of the search index holds.
    pub(crate) fn mark_persisted(&self, seq_no: SeqNo) {
        self.persisted.lock().mark(seq_no);
    }

    /// Reads one operation back, whether synced or not. `None` when its generation is gone.
    pub fn read(&self, location: Location) -> Result<Option<Operation>> {
        let (file, path) = {
            let state = self.state.lock();
            if location.generation == state.current.header.generation {
                if location.offset >= state.current.written {
                    return state.current.decode_buffered(location).map(Some);
                }
                (state.current.file.clone(), state.current.path.clone())
            } else {
                match state.sealed.get(&location.generation) {
                    Some(sealed) => (sealed.file.clone(), sealed.path.clone()),
                    None => return Ok(None),
                }
            }
        };
        file::read_at(&file, &path, location.offset, location.length).map(Some)
    }

    /// Begins a new generation; the old one is synced.
    pub fn roll(&self) -> Result<()> {
        let mut state = self.state.lock();
        state.check()?;
        if state.current.operations == 0 {
            return Ok(());
        }
        let result = self.roll_locked(&mut state);
        state.note(result)
    }

    /// Forgets what a restart no longer needs, as `committed` is the local checkpoint of a durable
    /// commit, except what is kept for recovering other copies.
    pub fn trim(&self, committed: SeqNo) -> Result<()> {
        let mut state = self.state.lock();
        state.check()?;
        let result = self.trim_locked(&mut state, committed);
        state.note(result)
    }

    /// Counts what was appended so far as flushed, for [`TranslogStats::uncommitted_bytes`].
    pub(crate) fn note_flushed(&self, mark: FlushMark) {
        let mut state = self.state.lock();
        state.flushed_operations = state.flushed_operations.max(mark.operations);
        state.flushed_bytes = state.flushed_bytes.max(mark.bytes);
    }

    /// Returns how much has been appended so far.
    pub(crate) fn flush_mark(&self) -> FlushMark {
        let state = self.state.lock();
        FlushMark {
            operations: state.total_operations,
            bytes: state.total_bytes,
        }
    }

    /// Gives up a generation that has gone bad, and what is before it, if a restart does not need it.
    /// Returns whether it did.
    pub(crate) fn forget_damaged(&self, path: &Path, committed: SeqNo) -> Result<bool> {
        let mut state = self.state.lock();
        let Some(max) = state
            .sealed
            .values()
            .find(|sealed| sealed.path == path)
            .and_then(|sealed| sealed.record.max_seq_no)
            .filter(|max| *max <= committed)
        else {
            return Ok(false);
        };
        tracing::warn!(path = %path.display(), up_to = max, "a translog generation has gone bad; the commit has its operations");
        state.min_retained_seq_no = state.min_retained_seq_no.max(max + 1);
        let result = state.checkpoint().write(&self.directory);
        state.note(result)?;
        Ok(true)
    }

    /// Returns a reader of every operation from a sequence number on in the order they were
    /// appended, or `None` when some are no longer kept.
    pub fn ops_from(&self, seq_no: SeqNo) -> Result<Option<OperationsSnapshot>> {
        let mut state = self.state.lock();
        state.check()?;
        if seq_no < state.min_retained_seq_no {
            return Ok(None);
        }
        let result = state.current.write_out(0);
        state.note(result)?;
        let files = state.files(seq_no);
        Ok(Some(OperationsSnapshot::new(files, seq_no)))
    }

    /// Keeps every operation from a sequence number on until the guard is dropped, or returns
    /// `None` when some are gone already.
    pub fn retain(self: &Arc<Self>, from: SeqNo) -> Option<RetentionLock> {
        let mut state = self.state.lock();
        if from < state.min_retained_seq_no {
            return None;
        }
        *state.retained.entry(from).or_default() += 1;
        Some(RetentionLock {
            translog: self.clone(),
            from,
        })
    }

    /// Returns the first sequence number from which all operations are kept.
    pub fn min_retained_seq_no(&self) -> SeqNo {
        self.state.lock().min_retained_seq_no
    }

    /// Returns the global checkpoint as last told.
    pub fn global_checkpoint(&self) -> SeqNo {
        self.state.lock().global_checkpoint
    }

    /// Records the global checkpoint; it is written with the next checkpoint file.
    pub fn set_global_checkpoint(&self, checkpoint: SeqNo) {
        let mut state = self.state.lock();
        state.global_checkpoint = state.global_checkpoint.max(checkpoint);
    }

    /// Writes the checkpoint file, with the global checkpoint.
    pub fn persist_checkpoint(&self) -> Result<()> {
        let mut state = self.state.lock();
        state.check()?;
        let result = state.checkpoint().write(&self.directory);
        state.note(result)
    }

    /// Returns counts.
    pub fn stats(&self) -> TranslogStats {
        let state = self.state.lock();
        let kept: u64 = state.sealed.values().map(|s| s.record.operations).sum();
        let kept_bytes: u64 = state.sealed.values().map(|s| s.record.length).sum();
        TranslogStats {
            operations: kept + state.current.operations,
            bytes: kept_bytes + state.current.length(),
            uncommitted_operations: state.total_operations - state.flushed_operations,
            uncommitted_bytes: state.total_bytes - state.flushed_bytes,
            generation: state.current.header.generation,
        }
    }

    /// Returns when the file was last written to that was so longest ago.
    pub fn earliest_modified(&self) -> Option<SystemTime> {
        let files: Vec<Arc<File>> = {
            let state = self.state.lock();
            let sealed = state.sealed.values().map(|sealed| sealed.file.clone());
            sealed.chain([state.current.file.clone()]).collect()
        };
        let modified = |file: &Arc<File>| file.metadata().and_then(|about| about.modified());
        files.iter().filter_map(|file| modified(file).ok()).min()
    }

    /// Returns the bytes in the generation being written.
    pub(crate) fn current_bytes(&self) -> u64 {
        self.state.lock().current.length()
    }

    fn sync_once(&self) -> Result<u64> {
        let (file, path, mark, upto, pending) = {
            let mut state = self.state.lock();
            state.check()?;
            let result = state.current.write_out(0);
            state.note(result)?;
            let pending = std::mem::take(&mut state.pending);
            let current = &state.current;
            (
                current.file.clone(),
                current.path.clone(),
                SyncedMark {
                    generation: current.header.generation,
                    nonce: current.header.nonce,
                    length: current.written,
                    max_seq_no: current.range.map_or(NO_OPS_PERFORMED, |(_, max)| max),
                },
                state.appended,
                pending,
            )
        };
        let result = file
            .sync_data()
            .and_then(|()| self.mark.lock().note(mark))
            .map_err(IndexError::io("sync translog", path));
        let mut state = self.state.lock();
        state.note(result)?;
        if state.current.header.generation == mark.generation {
            state.current.marker_due = Some(mark.length);
        }
        drop(state);
        let mut persisted = self.persisted.lock();
        for seq_no in pending {
            persisted.mark(seq_no);
        }
        Ok(upto)
    }

    fn roll_locked(&self, state: &mut State) -> Result<()> {
        state.current.write_out(0)?;
        let current = &state.current;
        current
            .file
            .sync_data()
            .map_err(IndexError::io("sync translog", &current.path))?;
        let header = Header {
            generation: current.header.generation + 1,
            nonce: nonce(),
        };
        let path = generation_path(&self.directory, header.generation);
        let file = file::create(&path, header)?;
        fs::sync_dir(&self.directory).map_err(IndexError::io("sync directory", &self.directory))?;
        let old = std::mem::replace(&mut state.current, Current::new(file, path, header));
        state.sealed.insert(old.header.generation, old.seal());
        state.checkpoint().write(&self.directory)?;
        // What a running sync has taken from `pending` it marks itself; callers of `sync` still wait
        // for it.
        let pending = std::mem::take(&mut state.pending);
        let mut persisted = self.persisted.lock();
        for seq_no in pending {
            persisted.mark(seq_no);
        }
        Ok(())
    }

    fn trim_locked(&self, state: &mut State, committed: SeqNo) -> Result<()> {
        let mut kept: u64 = state.sealed.values().map(|s| s.record.length).sum();
        let mut needed = committed.min(state.global_checkpoint);
        if let Some((from, _)) = state.retained.first_key_value() {
            needed = needed.min(from - 1);
        }
        let mut removed = Vec::new();
        while let Some((generation, oldest)) = state.sealed.first_key_value() {
            let record = oldest.record;
            let empty = record.operations == 0;
            if !empty
                && (kept <= self.retention_bytes
                    || record.max_seq_no.is_some_and(|max| max > needed))
            {
                break;
            }
            let generation = *generation;
            kept -= record.length;
            if let Some(max) = record.max_seq_no {
                state.min_retained_seq_no = state.min_retained_seq_no.max(max + 1);
            }
            if let Some(sealed) = state.sealed.remove(&generation) {
                removed.push(sealed.path);
            }
        }
        if removed.is_empty() {
            return Ok(());
        }
        // First the checkpoint that does without them, then the files.
        state.checkpoint().write(&self.directory)?;
        for path in removed {
            std::fs::remove_file(&path)
                .map_err(IndexError::io("remove translog generation", path))?;
        }
        Ok(())
    }
}

/// Keeps operations from being trimmed.
pub struct RetentionLock {
    translog: Arc<Translog>,
    from: SeqNo,
}

impl Drop for RetentionLock {
    fn drop(&mut self) {
        let mut state = self.translog.state.lock();
        if let Some(count) = state.retained.get_mut(&self.from) {
            *count -= 1;
            if *count == 0 {
                state.retained.remove(&self.from);
            }
        }
    }
}

/// How much had been appended at some moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FlushMark {
    operations: u64,
    bytes: u64,
}

impl State {
    fn check(&self) -> Result<()> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    /// Remembers a failure for good.
    fn note<T>(&mut self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result {
            self.failed.get_or_insert_with(|| error.clone());
        }
        result
    }

    fn append(&mut self, operation: &Operation) -> Location {
        let current = &mut self.current;
        if let Some(offset) = current.marker_due.take() {
            let length = file::put_marker(&mut current.buffer, current.header.nonce, offset);
            self.total_bytes += u64::from(length);
        }
        let offset = current.length();
        let length = file::put_record(&mut current.buffer, |out| operation.encode(out));
        current.count(operation.seq_no);
        self.pending.push(operation.seq_no);
        self.appended += 1;
        self.total_operations += 1;
        self.total_bytes += u64::from(length);
        Location {
            generation: current.header.generation,
            offset,
            length,
        }
    }

    fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            generation: self.current.header.generation,
            sealed: self.sealed.values().map(|s| s.record).collect(),
            min_retained_seq_no: self.min_retained_seq_no,
            global_checkpoint: self.global_checkpoint,
            with_mark: true,
        }
    }

    /// Returns the files with operations from a sequence number on, oldest first.
    fn files(&self, from: SeqNo) -> Vec<reader::Source> {
        let relevant = |max: Option<SeqNo>| max.is_some_and(|max| max >= from);
        let mut files: Vec<reader::Source> = self
            .sealed
            .values()
            .filter(|sealed| relevant(sealed.record.max_seq_no))
            .map(|sealed| reader::Source {
                generation: sealed.record.generation,
                file: sealed.file.clone(),
                path: sealed.path.clone(),
                nonce: sealed.nonce,
                length: sealed.record.length,
            })
            .collect();
        let current = &self.current;
        if relevant(current.range.map(|(_, max)| max)) {
            files.push(reader::Source {
                generation: current.header.generation,
                file: current.file.clone(),
                path: current.path.clone(),
                nonce: current.header.nonce,
                length: current.written,
            });
        }
        files
    }
}

impl Current {
    fn new(file: File, path: PathBuf, header: Header) -> Self {
        Self {
            file: Arc::new(file),
            path,
            header,
            buffer: Vec::new(),
            written: HEADER_LENGTH,
            operations: 0,
            range: None,
            marker_due: None,
        }
    }

    fn length(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    fn count(&mut self, seq_no: SeqNo) {
        self.operations += 1;
        self.range = Some(widen(self.range, seq_no));
    }

    /// Hands the buffer to the operating system once it is longer than `threshold`.
    fn write_out(&mut self, threshold: usize) -> Result<()> {
        if self.buffer.is_empty() || self.buffer.len() <= threshold {
            return Ok(());
        }
        self.file
            .write_all_at(&self.buffer, self.written)
            .map_err(IndexError::io("write translog", &self.path))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        self.buffer.shrink_to(2 * WRITE_OUT_BYTES);
        Ok(())
    }

    fn decode_buffered(&self, location: Location) -> Result<Operation> {
        let start = usize::try_from(location.offset - self.written).unwrap_or(usize::MAX);
        self.buffer
            .get(start..)
            .and_then(|bytes| bytes.get(..location.length as usize))
            .and_then(file::decode_record)
            .ok_or_else(|| file::corrupted(&self.path, location.offset, "no operation begins here"))
    }

    fn seal(self) -> Sealed {
        Sealed {
            record: SealedRecord {
                generation: self.header.generation,
                length: self.length(),
                operations: self.operations,
                max_seq_no: self.range.map(|(_, max)| max),
                min_seq_no: self.range.map(|(min, _)| min),
            },
            file: self.file,
            path: self.path,
            nonce: self.header.nonce,
        }
    }
}

fn widen(range: Option<(SeqNo, SeqNo)>, seq_no: SeqNo) -> (SeqNo, SeqNo) {
    range.map_or((seq_no, seq_no), |(min, max)| {
        (min.min(seq_no), max.max(seq_no))
    })
}

fn open_file(path: &Path) -> Result<File> {
    File::options()
        .read(true)
        .write(true)
        .open(path)
        .map_err(IndexError::io("open translog generation", path))
}

fn open_sealed(directory: &Path, record: SealedRecord) -> Result<Sealed> {
    let path = generation_path(directory, record.generation);
    let file = open_file(&path)?;
    let header = checked_header(&file, &path, record.generation)?;
    let length = file_length(&file, &path)?;
    if length < record.length {
        return Err(file::corrupted(
            &path,
            length,
            &format!("the file is cut, it had {} bytes", record.length),
        ));
    }
    Ok(Sealed {
        file: Arc::new(file),
        path,
        nonce: header.nonce,
        record,
    })
}

/// Reads the generation that was being written, cuts its torn tail and seals it.
fn recover_last(directory: &Path, generation: u64, mark: Option<SyncedMark>) -> Result<Sealed> {
    let path = generation_path(directory, generation);
    let file = open_file(&path)?;
    let header = checked_header(&file, &path, generation)?;
    let end = file_length(&file, &path)?;
    let mut reader = RecordReader::new(&file, &path, header.nonce, end);
    let mut operations = 0;
    let mut range = None;
    let good = loop {
        let offset = reader.offset();
        match reader.next() {
            Ok(None) => break offset,
            Ok(Some((_, _, Record::Marker))) => {}
            Ok(Some((at, _, Record::Operation(payload)))) => {
                let Some((seq_no, _)) = Operation::decode_head(payload) else {
                    return Err(file::corrupted(&path, at, "a record is not an operation"));
                };
                operations += 1;
                range = Some(widen(range, seq_no));
            }
            Err(error @ IndexError::Corrupted { .. }) => {
                if file::was_synced(&file, &path, header.nonce, offset, end)? {
                    return Err(error);
                }
                break offset;
            }
            Err(error) => return Err(error),
        }
    };
    if good < end {
        tracing::warn!(path = %path.display(), from = good, to = end, "cut the torn tail of a translog");
        file.set_len(good)
            .map_err(IndexError::io("cut translog", &path))?;
    }
    let synced = mark
        .filter(|mark| (mark.generation, mark.nonce) == (generation, header.nonce))
        .map_or(HEADER_LENGTH, |mark| mark.length);
    write_again(&file, synced, good)
        .and_then(|()| file.sync_all())
        .map_err(IndexError::io("sync translog", &path))?;
    Ok(Sealed {
        record: SealedRecord {
            generation,
            length: good,
            operations,
            max_seq_no: range.map(|(_, max)| max),
            min_seq_no: range.map(|(min, _)| min),
        },
        file: Arc::new(file),
        path,
        nonce: header.nonce,
    })
}

/// Writes what a file has between two offsets once more. After a sync that failed the operating system takes what
/// it could not write for written, and a second sync says nothing of it.
fn write_again(file: &File, from: u64, to: u64) -> std::io::Result<()> {
    let mut at = from;
    let mut buffer = vec![0; WRITE_AGAIN_BYTES];
    while at < to {
        let length = (to - at).min(WRITE_AGAIN_BYTES as u64) as usize;
        file.read_exact_at(&mut buffer[..length], at)?;
        file.write_all_at(&buffer[..length], at)?;
        at += length as u64;
    }
    Ok(())
}

/// Decides about a log that ends before what was once synced.
fn check_lost(
    last: &Sealed,
    mark: SyncedMark,
    committed: SeqNo,
    lost_tail: LostTail,
) -> Result<()> {
    let (path, had, has) = (&last.path, mark.length, last.record.length);
    if mark.max_seq_no <= committed {
        tracing::warn!(path = %path.display(), had, has, "a translog has lost its end; the last commit has all that was in it");
        return Ok(());
    }
    let lost = IndexError::LostTail {
        path: path.clone(),
        had,
        has,
        up_to: mark.max_seq_no,
    };
    match lost_tail {
        LostTail::Refuse => Err(lost),
        LostTail::Accept => {
            tracing::warn!(error = %lost, "opened without them, as was asked for");
            Ok(())
        }
    }
}

fn checked_header(file: &File, path: &Path, generation: u64) -> Result<Header> {
    let header = file::read_header(file, path)?;
    if header.generation != generation {
        return Err(file::corrupted(
            path,
            8,
            &format!("the file is generation {}", header.generation),
        ));
    }
    Ok(header)
}

fn file_length(file: &File, path: &Path) -> Result<u64> {
    file.metadata()
        .map(|metadata| metadata.len())
        .map_err(IndexError::io("read size of", path))
}

/// Removes generations that no checkpoint names: made just before a crash, or about to be removed.
fn remove_strays(directory: &Path, checkpoint: &Checkpoint) -> Result<()> {
    let listing =
        std::fs::read_dir(directory).map_err(IndexError::io("list directory", directory))?;
    for entry in listing {
        let entry = entry.map_err(IndexError::io("list directory", directory))?;
        let name = entry.file_name();
        let Some(generation) = name.to_str().and_then(parse_generation) else {
            continue;
        };
        let named = generation == checkpoint.generation
            || checkpoint
                .sealed
                .iter()
                .any(|record| record.generation == generation);
        if !named {
            std::fs::remove_file(entry.path())
                .map_err(IndexError::io("remove translog generation", entry.path()))?;
        }
    }
    Ok(())
}

fn generation_path(directory: &Path, generation: u64) -> PathBuf {
    directory.join(format!("translog-{generation}.tlog"))
}

fn parse_generation(name: &str) -> Option<u64> {
    name.strip_prefix("translog-")?
        .strip_suffix(".tlog")?
        .parse()
        .ok()
}

fn nonce() -> u64 {
    u64::from_le_bytes(ids::random_bytes())
}

const WRITE_AGAIN_BYTES: usize = 1 << 20;

/// The buffer goes to the operating system when longer than this.
const WRITE_OUT_BYTES: usize = 128 << 10;

#[cfg(test)]
mod tests;
