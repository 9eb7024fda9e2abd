//! Both sides of copying a commit to another node. Source: Elasticsearch reference, "Index recovery settings".

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use ringwall_base::{NO_OPS_PERFORMED, SeqNo, fs, random_uuid};
use serde::{Deserialize, Serialize};

use super::commit::CommitPayload;
use super::open::{INDEX_DIRECTORY, TRANSLOG_DIRECTORY, sync_with_parents};
use super::store::{self, MANAGED_FILE, META_FILE};
use super::{Shard, ShardIdentity};
use crate::error::{IndexError, Result};
use crate::translog::Translog;

/// What a commit holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitInfo {
    pub history_uuid: String,
    /// Every operation up to here is in the commit.
    pub local_checkpoint: SeqNo,
    /// No operation above is.
    pub max_seq_no: SeqNo,
}

/// A file of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotFile {
    pub name: String,
    pub length: u64,
    pub crc32: u32,
}

/// A commit whose files stay as they are until this is dropped.
pub struct RecoverySnapshot {
    directory: PathBuf,
    commit: CommitInfo,
    files: Vec<SnapshotFile>,
}

impl Shard {
    /// Flushes, and pins the commit by hard links.
    pub fn recovery_snapshot(&self) -> Result<RecoverySnapshot> {
        self.flush()?;
        // No commit of ours comes between; the end of a merge may, and then it is tried again.
        let _one = self.commit.lock();
        for _ in 0..PIN_ATTEMPTS {
            if let Some(snapshot) = self.pin()? {
                return Ok(snapshot);
            }
            tracing::debug!(shard = %self.id(), "commit changed while it was pinned");
        }
        Err(recovery_error(
            META_FILE,
            "merges kept changing the commit; try again",
        ))
    }

    /// Returns `None` when the commit changed meanwhile.
    fn pin(&self) -> Result<Option<RecoverySnapshot>> {
        let metas = self
            .index
            .load_metas()
            .map_err(IndexError::engine("read the last commit"))?;
        let payload = CommitPayload::of(&metas)?;
        let name = format!("{SNAPSHOT_PREFIX}{}", random_uuid());
        let mut snapshot = RecoverySnapshot {
            directory: self.path.join(name),
            commit: CommitInfo {
                history_uuid: self.history_uuid(),
                local_checkpoint: payload.local_checkpoint,
                max_seq_no: payload.max_seq_no,
            },
            files: Vec::new(),
        };
        let directory = &snapshot.directory;
        std::fs::create_dir(directory).map_err(IndexError::io("create directory", directory))?;
        let source = self.path.join(INDEX_DIRECTORY);
        let mut names = Vec::new();
        for file in metas.list_segment_files() {
            let path = source.join(&file);
            match std::fs::hard_link(&path, directory.join(&file)) {
                Ok(()) => names.push(file.to_string_lossy().into_owned()),
                // Not every kind of file exists for every segment.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(IndexError::io("link file", path)(error)),
            }
        }
        // Files of a segment are removed only after a list of segments without it is in place.
        let now = self
            .index
            .load_metas()
            .map_err(IndexError::engine("read the last commit"))?;
        if encode(&now)? != encode(&metas)? {
            return Ok(None);
        }
        names.push(META_FILE.to_owned());
        snapshot.write_meta(&metas, &names)?;
        names.push(MANAGED_FILE.to_owned());
        for name in names {
            // What has gone bad here must not spread.
            self.note(store::check_file(&snapshot.directory.join(&name)))?;
            let file = describe(&snapshot.directory, name)?;
            snapshot.files.push(file);
        }
        Ok(Some(snapshot))
    }
}

impl RecoverySnapshot {
    /// Returns what the commit holds.
    pub fn commit(&self) -> &CommitInfo {
        &self.commit
    }

    /// Returns the files that make up the commit.
    pub fn files(&self) -> &[SnapshotFile] {
        &self.files
    }

    /// Reads a piece of a file; shorter than asked only at its end.
    pub fn read_chunk(&self, name: &str, offset: u64, length: u32) -> Result<Bytes> {
        let known = self.files.iter().find(|file| file.name == name);
        let Some(known) = known else {
            return Err(recovery_error(name, "the file is not part of the commit"));
        };
        let left = known.length.saturating_sub(offset);
        let length = u64::from(length).min(left);
        let path = self.directory.join(name);
        let file = File::open(&path).map_err(IndexError::io("open file", &path))?;
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        file.read_exact_at(&mut bytes, offset)
            .map_err(IndexError::io("read file", &path))?;
        Ok(bytes.into())
    }

    /// The list of segments, and the list of files that the search library may delete.
    fn write_meta(&self, metas: &tantivy::IndexMeta, names: &[String]) -> Result<()> {
        for (name, content) in [(META_FILE, encode(metas)?), (MANAGED_FILE, encode(names)?)] {
            let path = self.directory.join(name);
            let content = store::seal(&content).map_err(IndexError::io("seal file", &path))?;
            std::fs::write(&path, content).map_err(IndexError::io("write file", path))?;
        }
        Ok(())
    }
}

impl Drop for RecoverySnapshot {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.directory) {
            // Removed when the copy is opened next.
            tracing::debug!(directory = %self.directory.display(), %error, "pinned commit not removed");
        }
    }
}

/// Removes pinned commits that a crash left behind.
pub(super) fn remove_snapshots(path: &Path) -> Result<()> {
    let entries = std::fs::read_dir(path).map_err(IndexError::io("list directory", path))?;
    for entry in entries {
        let entry = entry.map_err(IndexError::io("list directory", path))?;
        if entry
            .file_name()
            .to_string_lossy()
            .starts_with(SNAPSHOT_PREFIX)
        {
            let path = entry.path();
            std::fs::remove_dir_all(&path).map_err(IndexError::io("remove directory", path))?;
        }
    }
    Ok(())
}

/// Receives the files of a commit beside the place of the copy, and puts them there as a whole.
pub struct ShardInstaller {
    path: PathBuf,
    temporary: PathBuf,
    files: Vec<SnapshotFile>,
    commit: CommitInfo,
}

impl ShardInstaller {
    /// Begins; the directory of the copy must not exist when it ends.
    pub fn begin(path: &Path, files: Vec<SnapshotFile>, commit: CommitInfo) -> Result<Self> {
        if let Some(file) = files.iter().find(|file| !is_plain_name(&file.name)) {
            return Err(recovery_error(&file.name, "it is not a plain file name"));
        }
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".recovering");
        let temporary = PathBuf::from(temporary);
        match std::fs::remove_dir_all(&temporary) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(IndexError::io("remove directory", temporary)(error));
            }
            _ => {}
        }
        let index = temporary.join(INDEX_DIRECTORY);
        std::fs::create_dir_all(&index).map_err(IndexError::io("create directory", &index))?;
        Ok(Self {
            path: path.to_owned(),
            temporary,
            files,
            commit,
        })
    }

    /// Writes a piece of a file.
    pub fn write_chunk(&mut self, name: &str, offset: u64, bytes: &[u8]) -> Result<()> {
        let file = self.files.iter().find(|file| file.name == name);
        let fits = file.is_some_and(|file| {
            offset
                .checked_add(bytes.len() as u64)
                .is_some_and(|end| end <= file.length)
        });
        if !fits {
            return Err(recovery_error(
                name,
                "it was not announced, or is longer than announced",
            ));
        }
        let path = self.temporary.join(INDEX_DIRECTORY).join(name);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(IndexError::io("create file", &path))?;
        file.write_all_at(bytes, offset)
            .map_err(IndexError::io("write file", path))
    }

    /// Checks every file, makes them durable, and puts the copy in its place.
    pub fn finish(self, identity: ShardIdentity) -> Result<()> {
        if identity.history_uuid != self.commit.history_uuid {
            return Err(recovery_error(
                META_FILE,
                "the commit is of another history than the copy is to have",
            ));
        }
        let index = self.temporary.join(INDEX_DIRECTORY);
        for expected in &self.files {
            if expected.length == 0 {
                let path = index.join(&expected.name);
                File::create(&path).map_err(IndexError::io("create file", path))?;
            }
            let received = describe(&index, expected.name.clone())?;
            if received != *expected {
                return Err(recovery_error(
                    &expected.name,
                    &format!(
                        "it has {} bytes and checksum {:08x}, announced were {} and {:08x}",
                        received.length, received.crc32, expected.length, expected.crc32
                    ),
                ));
            }
            let path = index.join(&expected.name);
            File::open(&path)
                .and_then(|file| file.sync_all())
                .map_err(IndexError::io("sync file", path))?;
        }
        fs::sync_dir(&index).map_err(IndexError::io("sync directory", &index))?;
        let translog = self.temporary.join(TRANSLOG_DIRECTORY);
        Translog::create(&translog, self.commit.local_checkpoint, NO_OPS_PERFORMED)?;
        identity.write(&self.temporary)?;
        fs::sync_dir(&self.temporary).map_err(IndexError::io("sync directory", &self.temporary))?;
        std::fs::rename(&self.temporary, &self.path)
            .map_err(IndexError::io("move the recovered copy to", &self.path))?;
        sync_with_parents(&self.path)
    }
}

fn encode(value: &(impl Serialize + ?Sized)) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| IndexError::Engine {
        action: "encode a commit",
        reason: error.to_string(),
    })
}

fn describe(directory: &Path, name: String) -> Result<SnapshotFile> {
    let path = directory.join(&name);
    let mut file = File::open(&path).map_err(IndexError::io("open file", &path))?;
    let mut hasher = crc32fast::Hasher::new();
    let mut buffer = vec![0; READ_BYTES];
    let mut length = 0;
    loop {
        let read = file
            .read(&mut buffer)
            .map_err(IndexError::io("read file", &path))?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        length += read as u64;
    }
    Ok(SnapshotFile {
        name,
        length,
        crc32: hasher.finalize(),
    })
}

fn is_plain_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !name.is_empty() && name != "." && name != ".." && name.chars().all(plain)
}

fn recovery_error(file: &str, reason: &str) -> IndexError {
    IndexError::Recovery {
        file: file.to_owned(),
        reason: reason.to_owned(),
    }
}

const SNAPSHOT_PREFIX: &str = "_snapshot_";
const PIN_ATTEMPTS: usize = 10;
const READ_BYTES: usize = 64 << 10;
