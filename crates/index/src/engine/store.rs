//! The files of a copy's search index, none of which is believed without its checksum.
//!
//! * Segment files end with a footer that holds the CRC-32 of what is before it; the search library
//!   writes it. A file is checked when it is opened for the first time since the copy was opened,
//!   which for all files of the last commit is the opening itself; when a merge reads it, since
//!   the merged file gets a checksum of its own; before it is sent to another copy; and from time
//!   to time by [`Scrubber`].
//! * The list of segments and the list of files are JSON texts that begin with their own checksum.
//!
//! Files are read through the file system, not through a mapping, to be checked: a block that the disk
//! cannot read is then an error and not the end of the process.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use ringwall_base::fs;
use tantivy::directory::error::{
    DeleteError, LockError, OpenDirectoryError, OpenReadError, OpenWriteError,
};
use tantivy::directory::footer::Footer;
use tantivy::directory::{
    DirectoryLock, FileHandle, FileSlice, Lock, MmapDirectory, OwnedBytes, WatchCallback,
    WatchHandle, WritePtr,
};
use tantivy::{Directory, Index};

use super::failure::Failure;
use crate::error::{IndexError, Result};

/// The list of segments.
pub(super) const META_FILE: &str = "meta.json";
/// The list of files that the search library may delete.
pub(super) const MANAGED_FILE: &str = ".managed.json";

/// The directory of a search index whose files are checked.
#[derive(Debug, Clone)]
pub(super) struct CheckedDirectory {
    inner: MmapDirectory,
    path: Arc<Path>,
    checked: Arc<Mutex<HashSet<PathBuf>>>,
    /// Stops the copy: most who meet a bad file cannot.
    failure: Arc<Failure>,
    /// Held while a name in the directory is made, changed or removed; `true` once none may be.
    closed: Arc<RwLock<bool>>,
}

impl CheckedDirectory {
    pub(super) fn open(
        path: &Path,
        failure: Arc<Failure>,
    ) -> std::result::Result<Self, OpenDirectoryError> {
        Ok(Self {
            inner: MmapDirectory::open(path)?,
            path: path.into(),
            checked: Arc::default(),
            failure,
            closed: Arc::default(),
        })
    }

    /// From the return on nothing is made, changed or removed in the directory. A merge that is running
    /// when its writer is dropped goes on, and would write, or remove what it has merged, in a directory
    /// that somebody else has opened meanwhile, or is deleting.
    pub(super) fn close(&self) {
        *self.closed.write() = true;
    }

    /// Returns what keeps the directory open, unless it is closed.
    fn entered(&self) -> io::Result<RwLockReadGuard<'_, bool>> {
        let closed = self.closed.read();
        match *closed {
            true => Err(io::Error::other("the shard copy is closed")),
            false => Ok(closed),
        }
    }

    /// Checks a file that is not known to be whole.
    fn check(&self, path: &Path) -> io::Result<()> {
        // What a merge reads it writes again, with a new checksum.
        if !is_merging() && self.checked.lock().contains(path) {
            return Ok(());
        }
        match check_file(&self.path.join(path)) {
            Ok(()) => {
                self.checked.lock().insert(path.to_owned());
                Ok(())
            }
            Err(error @ IndexError::Corrupted { .. }) => {
                let reason = error.to_string();
                self.failure.set(error);
                Err(io::Error::new(io::ErrorKind::InvalidData, reason))
            }
            Err(error) => Err(io::Error::other(error.to_string())),
        }
    }
}

impl Directory for CheckedDirectory {
    fn get_file_handle(
        &self,
        path: &Path,
    ) -> std::result::Result<Arc<dyn FileHandle>, OpenReadError> {
        let handle = self.inner.get_file_handle(path)?;
        self.check(path)
            .map_err(|error| OpenReadError::wrap_io_error(error, path.to_owned()))?;
        Ok(handle)
    }

    fn delete(&self, path: &Path) -> std::result::Result<(), DeleteError> {
        let _open = self.entered().map_err(|error| DeleteError::IoError {
            io_error: Arc::new(error),
            filepath: path.to_owned(),
        })?;
        self.checked.lock().remove(path);
        self.inner.delete(path)
    }

    fn exists(&self, path: &Path) -> std::result::Result<bool, OpenReadError> {
        self.inner.exists(path)
    }

    fn open_write(&self, path: &Path) -> std::result::Result<WritePtr, OpenWriteError> {
        let _open = self
            .entered()
            .map_err(|error| OpenWriteError::wrap_io_error(error, path.to_owned()))?;
        let writer = self.inner.open_write(path)?;
        self.checked.lock().insert(path.to_owned());
        Ok(writer)
    }

    fn atomic_read(&self, path: &Path) -> std::result::Result<Vec<u8>, OpenReadError> {
        let sealed = self.inner.atomic_read(path)?;
        let full = self.path.join(path);
        match unseal(&sealed) {
            Ok(text) => Ok(text),
            // Nothing of the data is in it.
            Err(reason) if path == Path::new(MANAGED_FILE) => {
                tracing::warn!(path = %full.display(), reason, "the list of files is made anew");
                list_files(&self.path).map_err(|error| OpenReadError::wrap_io_error(error, full))
            }
            Err(reason) => {
                let error = corrupted(&full, reason);
                let reason = error.to_string();
                self.failure.set(error);
                let error = io::Error::new(io::ErrorKind::InvalidData, reason);
                Err(OpenReadError::wrap_io_error(error, full))
            }
        }
    }

    /// The list of segments is durable on return, with its name: the translog is let go by it. The list of
    /// files, written for each new file, costs no sync of the directory.
    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        let _open = self.entered()?;
        let sealed = seal(data)?;
        match path == Path::new(MANAGED_FILE) {
            true => self.inner.atomic_write(path, &sealed),
            false => fs::write_atomic(&self.path.join(path), &sealed, 0o600),
        }
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.inner.sync_directory()
    }

    fn acquire_lock(&self, lock: &Lock) -> std::result::Result<DirectoryLock, LockError> {
        let _open = self.entered().map_err(LockError::wrap_io_error)?;
        self.inner.acquire_lock(lock)
    }

    fn watch(&self, callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        self.inner.watch(callback)
    }
}

/// Returns whether this thread is one of the search library that merge segments; it names them so.
fn is_merging() -> bool {
    std::thread::current()
        .name()
        .is_some_and(|name| name.starts_with("merge_thread_"))
}

/// Returns what makes up the last commit: segment files, and both lists.
pub(super) fn committed_files(index: &Index, directory: &Path) -> Result<Vec<String>> {
    let metas = index
        .load_metas()
        .map_err(IndexError::engine("read the last commit"))?;
    let mut names: Vec<String> = metas
        .list_segment_files()
        .iter()
        .map(|file| file.to_string_lossy().into_owned())
        // Not every kind of file exists for every segment.
        .filter(|name| directory.join(name).exists())
        .collect();
    names.extend([META_FILE.to_owned(), MANAGED_FILE.to_owned()]);
    Ok(names)
}

/// Checks a whole file.
///
/// Fails with [`IndexError::Corrupted`] when it is not what was written.
pub(super) fn check_file(path: &Path) -> Result<()> {
    let mut check = FileCheck::begin(path)?;
    while !check.step(CHUNK)? {}
    Ok(())
}

/// A check of one file that is made in steps.
pub(super) struct FileCheck {
    path: PathBuf,
    file: File,
    expected: Expected,
    hasher: crc32fast::Hasher,
    buffer: Vec<u8>,
}

enum Expected {
    /// The checksum of so many bytes more, from the footer.
    Footer { crc32: u32, left: u64 },
    /// A text that has its checksum at its beginning.
    Sealed,
}

impl FileCheck {
    pub(super) fn begin(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(IndexError::io("open file", path))?;
        let name = path.file_name().unwrap_or_default();
        let expected = match name == META_FILE || name == MANAGED_FILE {
            true => Expected::Sealed,
            false => read_footer(path, &file)?,
        };
        Ok(Self {
            path: path.to_owned(),
            file,
            expected,
            hasher: crc32fast::Hasher::new(),
            buffer: Vec::new(),
        })
    }

    /// Reads on, at most so many bytes. Returns whether the file was read to its end and is whole.
    pub(super) fn step(&mut self, bytes: usize) -> Result<bool> {
        let failed = IndexError::io(READ_FILE, &self.path);
        let Expected::Footer { crc32, left } = &mut self.expected else {
            self.file.read_to_end(&mut self.buffer).map_err(failed)?;
            return unseal(&self.buffer)
                .map(|_| true)
                .map_err(|reason| corrupted(&self.path, reason));
        };
        let length = bytes.min(usize::try_from(*left).unwrap_or(usize::MAX));
        self.buffer.resize(length, 0);
        self.file.read_exact(&mut self.buffer).map_err(failed)?;
        self.hasher.update(&self.buffer);
        *left -= length as u64;
        if *left > 0 {
            return Ok(false);
        }
        match self.hasher.clone().finalize() == *crc32 {
            true => Ok(true),
            false => Err(corrupted(
                &self.path,
                "its content does not match its checksum",
            )),
        }
    }
}

fn read_footer(path: &Path, file: &File) -> Result<Expected> {
    let length = file
        .metadata()
        .map_err(IndexError::io("read size of", path))?
        .len();
    let start = length.saturating_sub(FOOTER_BYTES);
    let mut end = vec![0; (length - start) as usize];
    file.read_exact_at(&mut end, start)
        .map_err(IndexError::io("read file", path))?;
    let (footer, before) =
        Footer::extract_footer(FileSlice::new(Arc::new(OwnedBytes::new(end))))
            .map_err(|error| corrupted(path, &format!("its footer cannot be read: {error}")))?;
    use tantivy::HasLen;
    Ok(Expected::Footer {
        crc32: footer.crc,
        left: start + before.len() as u64,
    })
}

/// Goes slowly through the files of a copy's last commit, to find what has gone bad on the disk.
pub struct Scrubber {
    directory: PathBuf,
    names: Vec<String>,
    current: Option<FileCheck>,
    failure: Arc<Failure>,
}

impl Scrubber {
    pub(super) fn new(index: &Index, directory: &Path, failure: Arc<Failure>) -> Result<Self> {
        Ok(Self {
            names: committed_files(index, directory)?,
            directory: directory.to_owned(),
            current: None,
            failure,
        })
    }

    /// Reads so many bytes. Returns `false` when there is nothing left to read.
    ///
    /// Fails, and stops the copy, when a file is not what was written or cannot be read.
    pub fn step(&mut self, bytes: usize) -> Result<bool> {
        let result = self.try_step(bytes);
        // A block that the disk cannot read is as bad as a wrong one, and ends the process when a search meets it.
        if let Err(
            error @ (IndexError::Corrupted { .. }
            | IndexError::Io {
                action: READ_FILE, ..
            }),
        ) = &result
        {
            self.failure.set(error.clone());
        }
        result
    }

    fn try_step(&mut self, bytes: usize) -> Result<bool> {
        let mut check = match self.current.take() {
            Some(check) => check,
            None => {
                let Some(name) = self.names.pop() else {
                    return Ok(false);
                };
                let path = self.directory.join(name);
                if !path.exists() {
                    // Merged away.
                    return Ok(true);
                }
                FileCheck::begin(&path)?
            }
        };
        if !check.step(bytes)? {
            self.current = Some(check);
        }
        Ok(true)
    }
}

/// Puts the checksum of a JSON object or array at its beginning.
pub(super) fn seal(text: &[u8]) -> io::Result<Vec<u8>> {
    let crc = crc32fast::hash(text);
    let (opening, mark) = match text.first() {
        Some(b'{') => (b'{', format!("\"{CHECKSUM}\":\"{crc:08x}\",")),
        Some(b'[') => (b'[', format!("\"{CHECKSUM}:{crc:08x}\",")),
        _ => return Err(io::Error::other("only an object or an array can be sealed")),
    };
    let mut sealed = vec![opening];
    sealed.extend_from_slice(mark.as_bytes());
    sealed.extend_from_slice(&text[1..]);
    Ok(sealed)
}

/// Returns the text without its checksum, or why it is not to be believed.
pub(super) fn unseal(sealed: &[u8]) -> std::result::Result<Vec<u8>, &'static str> {
    let missing = "it has no checksum";
    let (opening, rest) = sealed.split_first().ok_or("it is empty")?;
    let before: &[u8] = match opening {
        b'{' => b"\"crc32\":\"",
        b'[' => b"\"crc32:",
        _ => return Err(missing),
    };
    let rest = rest.strip_prefix(before).ok_or(missing)?;
    let (digits, rest) = rest.split_first_chunk::<8>().ok_or(missing)?;
    let rest = rest.strip_prefix(b"\",").ok_or(missing)?;
    let expected = std::str::from_utf8(digits)
        .ok()
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .ok_or(missing)?;
    let mut text = vec![*opening];
    text.extend_from_slice(rest);
    match crc32fast::hash(&text) == expected {
        true => Ok(text),
        false => Err("its content does not match its checksum"),
    }
}

/// Gives the two lists of a copy that was written before they had checksums theirs.
pub(super) fn seal_lists(directory: &Path) -> Result<()> {
    for name in [META_FILE, MANAGED_FILE] {
        let path = directory.join(name);
        let text = std::fs::read(&path).map_err(IndexError::io("read file", &path))?;
        if unseal(&text).is_ok() {
            continue;
        }
        seal(&text)
            .and_then(|sealed| fs::write_atomic(&path, &sealed, 0o600))
            .map_err(IndexError::io("write file", path))?;
    }
    Ok(())
}

/// The list of files as the search library writes it, of what is there.
fn list_files(directory: &Path) -> io::Result<Vec<u8>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            names.push(name);
        }
    }
    serde_json::to_vec(&names).map_err(io::Error::other)
}

pub(super) fn corrupted(path: &Path, reason: &str) -> IndexError {
    IndexError::Corrupted {
        path: path.to_owned(),
        offset: 0,
        reason: reason.to_owned(),
    }
}

const CHECKSUM: &str = "crc32";

const READ_FILE: &str = "read file";

/// Read at once.
const CHUNK: usize = 1 << 20;

/// No footer is longer, as the search library has it.
const FOOTER_BYTES: u64 = 50_008;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_is_json_and_comes_back() {
        for text in [r#"{"a":1}"#, "{\n  \"a\": [1]\n}\n", r#"["a","b"]"#] {
            let sealed = seal(text.as_bytes()).unwrap();
            serde_json::from_slice::<serde_json::Value>(&sealed).unwrap();
            assert_eq!(unseal(&sealed).unwrap(), text.as_bytes());
        }
        assert!(seal(b"text").is_err());
    }

    #[test]
    fn every_flipped_bit_of_a_sealed_text_is_found() {
        for text in [r#"{"opstamp":7,"segments":[]}"#, r#"["a"]"#] {
            let sealed = seal(text.as_bytes()).unwrap();
            for bit in 0..sealed.len() * 8 {
                let mut flipped = sealed.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                // The case of a digit of the checksum says nothing.
                if let Ok(read) = unseal(&flipped) {
                    assert_eq!(read, text.as_bytes(), "bit {bit}");
                }
            }
        }
    }
}
