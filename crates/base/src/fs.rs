//! Files that are either whole or absent: written beside their target, synced, then renamed.

use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// Writes a file so that a crash at any moment leaves the old content or the new, never a part.
///
/// `mode` is the Unix permission of the new file, for example `0o600` for secrets.
pub fn write_atomic(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let temporary = temporary_beside(path);
    let result = write_and_rename(path, &temporary, content, mode);
    if result.is_err() {
        // The original error matters more than a leftover that the next write replaces.
        let _ = std::fs::remove_file(&temporary);
    }
    result
}

/// What of a replaced file could not be kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replaced {
    /// User ids of the old and the new file, where they differ.
    pub owner: Option<(u32, u32)>,
    /// Group ids of the old and the new file, where they differ.
    pub group: Option<(u32, u32)>,
}

/// As [`write_atomic`], and the new file has the permissions, owner and group of the old one. `mode` is
/// for a file that did not exist. Giving a file to another owner needs the right to; where it is
/// missing, the answer says what changed.
pub fn replace_atomic(path: &Path, content: &[u8], mode: u32) -> io::Result<Replaced> {
    match std::fs::metadata(path) {
        Ok(_) => {
            let staged = Staged::beside(path, content)?;
            staged.put()?;
            Ok(staged.replaced())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            write_atomic(path, content, mode)?;
            Ok(Replaced::default())
        }
        Err(error) => Err(error),
    }
}

/// New content beside a file that exists, written and synced: what is left to do is one rename. Dropped before that,
/// it is removed.
#[derive(Debug)]
pub struct Staged {
    path: PathBuf,
    temporary: PathBuf,
    replaced: Replaced,
}

impl Staged {
    /// Writes the content, with the permissions, owner and group of the file.
    pub fn beside(path: &Path, content: &[u8]) -> io::Result<Self> {
        let old = std::fs::metadata(path)?;
        let mut staged = Self {
            path: path.to_owned(),
            temporary: temporary_beside(path),
            replaced: Replaced::default(),
        };
        staged.replaced = write_like(&old, &staged.temporary, content)?;
        Ok(staged)
    }

    /// Puts the content in place of the file's.
    pub fn put(&self) -> io::Result<()> {
        std::fs::rename(&self.temporary, &self.path)?;
        sync_dir(parent(&self.path))
    }

    /// Returns what of the old file could not be kept.
    pub fn replaced(&self) -> Replaced {
        self.replaced
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Gone when it was put in place.
        let _ = std::fs::remove_file(&self.temporary);
    }
}

fn write_like(old: &Metadata, temporary: &Path, content: &[u8]) -> io::Result<Replaced> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(temporary)?;
    // Only the superuser may give files away; what could not be done is reported below.
    let _ = fchown(&file, Some(old.uid()), Some(old.gid()));
    file.set_permissions(Permissions::from_mode(old.mode() & 0o7777))?;
    file.write_all(content)?;
    file.sync_all()?;
    let new = file.metadata()?;
    let differing = |old: u32, new: u32| (old != new).then_some((old, new));
    Ok(Replaced {
        owner: differing(old.uid(), new.uid()),
        group: differing(old.gid(), new.gid()),
    })
}

/// Syncs a directory, so that the renames and removals in it survive a power loss.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn write_and_rename(path: &Path, temporary: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    drop(file);
    std::fs::rename(temporary, path)?;
    sync_dir(parent(path))
}

fn temporary_beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    parent(path).join(format!(".{name}.{}.tmp", std::process::id()))
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
