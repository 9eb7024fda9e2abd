//! One generation file: a header, then records, each with length and checksum.
//!
//! ```text
//! header  magic(8) generation(8) nonce(8) crc32(4)                      all little-endian
//! record  length(4) crc32(4) payload(length)       crc32 covers the length and the payload
//! ```
//!
//! A record is an operation or a *sync marker*, which says "everything before byte P of this file
//! was synced when I was written". Markers tell a torn tail from corruption: a bad record before
//! a P that some later, whole marker names was once durable, so it did not come from a crash. A
//! marker carries the random nonce of its file, so that document text cannot pass for one.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::{IndexError, Result};

use super::operation::Operation;

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub generation: u64,
    pub nonce: u64,
}

/// Creates a generation file with its header, synced.
pub(super) fn create(path: &Path, header: Header) -> Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(IndexError::io("create translog generation", path))?;
    let mut bytes = Vec::with_capacity(HEADER_LENGTH as usize);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&header.generation.to_le_bytes());
    bytes.extend_from_slice(&header.nonce.to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    file.write_all_at(&bytes, 0)
        .and_then(|()| file.sync_all())
        .map_err(IndexError::io("write translog header", path))?;
    Ok(file)
}

/// Reads and checks the header.
pub(super) fn read_header(file: &File, path: &Path) -> Result<Header> {
    let mut bytes = [0; HEADER_LENGTH as usize];
    file.read_exact_at(&mut bytes, 0)
        .map_err(|error| corrupted(path, 0, &format!("the header is incomplete: {error}")))?;
    let (content, crc) = bytes.split_at(HEADER_LENGTH as usize - 4);
    if content[..8] != *MAGIC {
        return Err(corrupted(path, 0, "this is not a translog file"));
    }
    if crc32fast::hash(content).to_le_bytes() != *crc {
        return Err(corrupted(path, 0, "the header does not match its checksum"));
    }
    let number = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&content[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    Ok(Header {
        generation: number(8),
        nonce: number(16),
    })
}

/// Appends a record with whatever payload `write` produces. Returns its length with framing.
pub(super) fn put_record(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> u32 {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME]);
    write(out);
    // Operations are bounded by the HTTP body limit, far below 4 GiB.
    let length = u32::try_from(out.len() - start - FRAME).unwrap_or(u32::MAX);
    let length_bytes = length.to_le_bytes();
    out[start..start + 4].copy_from_slice(&length_bytes);
    let crc = checksum(length_bytes, &out[start + FRAME..]);
    out[start + 4..start + FRAME].copy_from_slice(&crc.to_le_bytes());
    length + FRAME as u32
}

/// Appends a sync marker.
pub(super) fn put_marker(out: &mut Vec<u8>, nonce: u64, synced_to: u64) -> u32 {
    put_record(out, |out| {
        out.extend_from_slice(MARKER);
        out.extend_from_slice(&nonce.to_le_bytes());
        out.extend_from_slice(&synced_to.to_le_bytes());
    })
}

/// A record in a file.
pub(super) enum Record<'a> {
    /// The payload of an operation.
    Operation(&'a [u8]),
    Marker,
}

/// Reads records one after another.
pub(super) struct RecordReader<'f> {
    file: &'f File,
    path: PathBuf,
    nonce: u64,
    end: u64,
    /// Of the next record.
    offset: u64,
    buffer: Vec<u8>,
    /// The file offset of `buffer[0]`.
    buffer_at: u64,
}

impl<'f> RecordReader<'f> {
    /// Returns a reader of everything up to `end` bytes.
    pub(super) fn new(file: &'f File, path: &Path, nonce: u64, end: u64) -> Self {
        Self {
            file,
            path: path.to_owned(),
            nonce,
            end,
            offset: HEADER_LENGTH,
            buffer: Vec::new(),
            buffer_at: HEADER_LENGTH,
        }
    }

    /// Returns the offset of the next record.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the next record with its offset and length, or `None` at the end.
    ///
    /// Fails with [`IndexError::Corrupted`] for a record that is cut or does not match its
    /// checksum.
    pub(super) fn next(&mut self) -> Result<Option<(u64, u32, Record<'_>)>> {
        if self.offset >= self.end {
            return Ok(None);
        }
        let at = self.offset;
        if !self.load(at, FRAME)? {
            return Err(corrupted(&self.path, at, "a record is cut off"));
        }
        let frame = self.loaded(at, FRAME);
        let length_bytes = [frame[0], frame[1], frame[2], frame[3]];
        let crc = u32::from_le_bytes([frame[4], frame[5], frame[6], frame[7]]);
        let length = u32::from_le_bytes(length_bytes) as usize;
        if length == 0 {
            return Err(corrupted(&self.path, at, "a record is empty"));
        }
        if !self.load(at + FRAME as u64, length)? {
            return Err(corrupted(&self.path, at, "a record is cut off"));
        }
        if checksum(length_bytes, self.loaded(at + FRAME as u64, length)) != crc {
            return Err(corrupted(
                &self.path,
                at,
                "a record does not match its checksum",
            ));
        }
        self.offset = at + (FRAME + length) as u64;
        let payload = self.loaded(at + FRAME as u64, length);
        let record = match marker(payload, self.nonce) {
            Some(_) => Record::Marker,
            None => Record::Operation(payload),
        };
        Ok(Some((at, (FRAME + length) as u32, record)))
    }

    /// Fills the buffer with bytes of the file; `false` when they go beyond the end.
    fn load(&mut self, at: u64, length: usize) -> Result<bool> {
        if at + length as u64 > self.end {
            return Ok(false);
        }
        let buffered =
            at >= self.buffer_at && at + length as u64 <= self.buffer_at + self.buffer.len() as u64;
        if !buffered {
            let wanted = length.max(READ_AHEAD).min((self.end - at) as usize);
            self.buffer.resize(wanted, 0);
            self.file
                .read_exact_at(&mut self.buffer, at)
                .map_err(IndexError::io("read translog", &self.path))?;
            self.buffer_at = at;
        }
        Ok(true)
    }

    /// Returns bytes that [`Self::load`] has just filled in.
    fn loaded(&self, at: u64, length: usize) -> &[u8] {
        let start = (at - self.buffer_at) as usize;
        &self.buffer[start..start + length]
    }
}

/// Reads one operation where it is known to be.
pub(super) fn read_at(file: &File, path: &Path, offset: u64, length: u32) -> Result<Operation> {
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, offset)
        .map_err(IndexError::io("read translog", path))?;
    decode_record(&bytes)
        .ok_or_else(|| corrupted(path, offset, "a record does not match its checksum"))
}

/// Decodes one record with its framing.
pub(super) fn decode_record(bytes: &[u8]) -> Option<Operation> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (crc, payload) = rest.split_first_chunk::<4>()?;
    if checksum(*length, payload).to_le_bytes() != *crc {
        return None;
    }
    Operation::decode(payload)
}

/// Returns whether some whole marker after a bad record proves that the record was once durable.
pub(super) fn was_synced(file: &File, path: &Path, nonce: u64, bad: u64, end: u64) -> Result<bool> {
    let mut at = bad;
    let mut window = Vec::new();
    while at < end {
        let wanted = (end - at).min((READ_AHEAD + MARKER_RECORD) as u64) as usize;
        window.resize(wanted, 0);
        file.read_exact_at(&mut window, at)
            .map_err(IndexError::io("read translog", path))?;
        for start in 0..window.len().saturating_sub(MARKER_RECORD - 1) {
            let record = &window[start..start + MARKER_RECORD];
            if record[FRAME..].starts_with(MARKER)
                && let Some(synced_to) = whole_marker(record, nonce)
                && synced_to > bad
            {
                return Ok(true);
            }
        }
        at += READ_AHEAD as u64;
    }
    Ok(false)
}

fn whole_marker(record: &[u8], nonce: u64) -> Option<u64> {
    let (length, rest) = record.split_first_chunk::<4>()?;
    let (crc, payload) = rest.split_first_chunk::<4>()?;
    if checksum(*length, payload).to_le_bytes() != *crc {
        return None;
    }
    marker(payload, nonce)
}

fn marker(payload: &[u8], nonce: u64) -> Option<u64> {
    let rest = payload.strip_prefix(MARKER)?;
    let (found, rest) = rest.split_first_chunk::<8>()?;
    let (synced_to, rest) = rest.split_first_chunk::<8>()?;
    (rest.is_empty() && u64::from_le_bytes(*found) == nonce).then(|| u64::from_le_bytes(*synced_to))
}

fn checksum(length: [u8; 4], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(payload);
    hasher.finalize()
}

pub(super) fn corrupted(path: &Path, offset: u64, reason: &str) -> IndexError {
    IndexError::Corrupted {
        path: path.to_owned(),
        offset,
        reason: reason.to_owned(),
    }
}

/// Bytes before the first record.
pub(super) const HEADER_LENGTH: u64 = 28;

/// Length and checksum before a payload.
const FRAME: usize = 8;

const MAGIC: &[u8; 8] = b"RWTLOG\x00\x01";

/// Begins the payload of a marker; no operation begins so.
const MARKER: &[u8; 8] = b"\x7fSYNCED\x7f";

const MARKER_RECORD: usize = FRAME + 8 + 8 + 8;

const READ_AHEAD: usize = 256 << 10;
