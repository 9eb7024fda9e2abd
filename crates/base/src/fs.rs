//! Files that are either whole or absent: written beside their target, synced, then renamed.

use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use crate::ids::random_bytes;

/// Writes a file so that a crash at any moment leaves the old content or the new, never a part.
///
/// `mode` is the Unix permission of the new file, for example `0o600` for secrets.
pub fn write_atomic(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let (file, temporary) = create_beside(path, mode)?;
    let result = write_and_rename(path, file, &temporary, content);
    if result.is_err() {
        // The original error matters more than a leftover.
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
        let (file, temporary) = create_beside(path, 0o600)?;
        let mut staged = Self {
            path: path.to_owned(),
            temporary,
            replaced: Replaced::default(),
        };
        staged.replaced = write_like(&old, file, content)?;
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

fn write_like(old: &Metadata, mut file: File, content: &[u8]) -> io::Result<Replaced> {
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

/// Returns whether an error says that this process, or the machine, may open no more files.
pub fn is_out_of_files(error: &io::Error) -> bool {
    // ENFILE and EMFILE, on Linux and the BSDs alike.
    matches!(error.raw_os_error(), Some(23 | 24))
}

/// Syncs a directory, so that the renames and removals in it survive a power loss.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn write_and_rename(
    path: &Path,
    mut file: File,
    temporary: &Path,
    content: &[u8],
) -> io::Result<()> {
    file.write_all(content)?;
    file.sync_all()?;
    drop(file);
    std::fs::rename(temporary, path)?;
    sync_dir(parent(path))
}

/// Creates a file beside another, under a name that nobody can know before.
fn create_beside(path: &Path, mode: u32) -> io::Result<(File, PathBuf)> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let random = u64::from_ne_bytes(random_bytes());
    let temporary = parent(path).join(format!(".{name}.{random:016x}.tmp"));
    Ok((create_new(&temporary, mode)?, temporary))
}

/// Creates a file. Errors: there is one, or a link, which may be planted to lead the content elsewhere.
fn create_new(path: &Path, mode: u32) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_planted_beside_a_file_is_written_through() {
        let dir = tempfile::tempdir().unwrap();
        let (path, victim) = (dir.path().join("node.key"), dir.path().join("victim"));
        std::fs::write(&victim, "untouched").unwrap();
        std::fs::write(&path, "old").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let planted = format!(".node.key.{}.tmp", std::process::id());
        symlink(&victim, dir.path().join(planted)).unwrap();

        replace_atomic(&path, b"new", 0o600).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert!(!path.is_symlink());
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o640);
        write_atomic(&path, b"newer", 0o600).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"newer");
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read(&victim).unwrap(), b"untouched");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_name_that_is_taken_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let (link, victim) = (dir.path().join("link"), dir.path().join("victim"));
        symlink(&victim, &link).unwrap();
        for _ in 0..2 {
            let error = create_new(&link, 0o600).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
            // At first the link leads nowhere.
            assert_eq!(std::fs::read(&victim).unwrap_or_default(), b"");
            std::fs::write(&victim, "").unwrap();
        }
        let (_, one) = create_beside(&victim, 0o600).unwrap();
        let (_, other) = create_beside(&victim, 0o600).unwrap();
        assert_ne!(one, other);
    }

    #[test]
    fn what_cannot_be_put_in_place_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("taken");
        std::fs::create_dir_all(path.join("inside")).unwrap();
        write_atomic(&path, b"new", 0o600).unwrap_err();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
