//! How much of the generation being written has been synced.
//!
//! A log whose end is missing cannot tell so by itself: what is gone took its sync markers along. So
//! after every sync of the log its length is noted here, in a file of its own that is never longer or
//! shorter. The note is not synced: that costs no second `fdatasync` for each write, it survives the
//! end of the process at any moment, and after a loss of power it is at most as old as the operating
//! system writes back (seconds), but never ahead of the log.
//!
//! ```text
//! header  magic(8), padded to 512
//! slot    generation(8) nonce(8) length(8) max_seq_no(8) crc32(4), padded to 512; two, written in turn
//! ```

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use ringwall_base::{SeqNo, fs};

use super::file::corrupted;
use crate::error::{IndexError, Result};

/// So much was synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SyncedMark {
    pub generation: u64,
    /// Of the file of that generation.
    pub nonce: u64,
    pub length: u64,
    /// The highest sequence number in it.
    pub max_seq_no: SeqNo,
}

/// The file, open for notes.
pub(super) struct MarkFile {
    file: File,
    /// Where the next note goes: never over the last one, which a crash may leave as the only whole one.
    slot: u64,
}

impl MarkFile {
    /// Makes the file without a note. Durable on return.
    pub(super) fn create(directory: &Path) -> Result<()> {
        let path = directory.join(FILE);
        let mut content = [0; SIZE];
        content[..8].copy_from_slice(MAGIC);
        fs::write_atomic(&path, &content, 0o600)
            .map_err(IndexError::io("write translog mark", path))
    }

    /// Opens the file. Returns the last note too, `None` before the first.
    pub(super) fn open(directory: &Path) -> Result<(Self, Option<SyncedMark>)> {
        let path = directory.join(FILE);
        let file = File::options()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(IndexError::io("open translog mark", &path))?;
        let mut content = [0; SIZE];
        file.read_exact_at(&mut content, 0)
            .map_err(|error| corrupted(&path, 0, &format!("the file is cut: {error}")))?;
        if content[..8] != *MAGIC {
            return Err(corrupted(
                &path,
                0,
                "this is not a mark of a translog of this version",
            ));
        }
        let slots = [1, 2].map(|slot| &content[slot * SLOT..][..NOTE]);
        let notes = slots.map(SyncedMark::decode);
        if notes == [None, None] && slots.iter().any(|slot| slot.iter().any(|byte| *byte != 0)) {
            return Err(corrupted(
                &path,
                SLOT as u64,
                "no note matches its checksum",
            ));
        }
        let last = notes
            .into_iter()
            .zip(1..)
            .filter_map(|(note, slot)| Some((note?, slot)))
            .max_by_key(|(note, _)| (note.generation, note.length));
        let slot = match last {
            Some((_, 1)) => 2,
            _ => 1,
        };
        Ok((Self { file, slot }, last.map(|(note, _)| note)))
    }

    /// Notes what was synced.
    pub(super) fn note(&mut self, mark: SyncedMark) -> std::io::Result<()> {
        self.file
            .write_all_at(&mark.encode(), self.slot * SLOT as u64)?;
        self.slot = 3 - self.slot;
        Ok(())
    }
}

impl SyncedMark {
    fn encode(self) -> [u8; NOTE] {
        let mut note = [0; NOTE];
        let numbers = [
            self.generation,
            self.nonce,
            self.length,
            self.max_seq_no.cast_unsigned(),
        ];
        for (number, place) in numbers.iter().zip(note.chunks_exact_mut(8)) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        let crc = crc32fast::hash(&note[..NOTE - 4]);
        note[NOTE - 4..].copy_from_slice(&crc.to_le_bytes());
        note
    }

    fn decode(note: &[u8]) -> Option<Self> {
        let (content, crc) = note.split_last_chunk::<4>()?;
        if crc32fast::hash(content).to_le_bytes() != *crc {
            return None;
        }
        let mut numbers = content
            .as_chunks::<8>()
            .0
            .iter()
            .map(|bytes| u64::from_le_bytes(*bytes));
        Some(Self {
            generation: numbers.next()?,
            nonce: numbers.next()?,
            length: numbers.next()?,
            max_seq_no: numbers.next()?.cast_signed(),
        })
    }
}

const FILE: &str = "synced.ckp";
const MAGIC: &[u8; 8] = b"RWMARK\x00\x01";
/// A sector: written whole or not at all.
const SLOT: usize = 512;
const SIZE: usize = 3 * SLOT;
const NOTE: usize = 4 * 8 + 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(length: u64) -> SyncedMark {
        SyncedMark {
            generation: 3,
            nonce: 9,
            length,
            max_seq_no: length as i64,
        }
    }

    #[test]
    fn the_last_whole_note_counts() {
        let dir = tempfile::tempdir().unwrap();
        MarkFile::create(dir.path()).unwrap();
        let (mut file, none) = MarkFile::open(dir.path()).unwrap();
        assert_eq!(none, None);
        for length in [10, 20, 30] {
            file.note(mark(length)).unwrap();
            let (_, last) = MarkFile::open(dir.path()).unwrap();
            assert_eq!(last, Some(mark(length)));
        }
        // A note that was being written when the power went.
        let path = dir.path().join(FILE);
        let mut content = std::fs::read(&path).unwrap();
        content[SLOT] ^= 1;
        std::fs::write(&path, &content).unwrap();
        assert_eq!(MarkFile::open(dir.path()).unwrap().1, Some(mark(20)));
        content[2 * SLOT] ^= 1;
        std::fs::write(&path, &content).unwrap();
        assert!(MarkFile::open(dir.path()).is_err());
    }
}
