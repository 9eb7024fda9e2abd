//! New files in the places of old ones.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ringwall_base::fs::{Staged, replace_atomic, sync_dir, write_atomic};
use zeroize::Zeroizing;

use super::output;
use crate::error::CommandError;
use crate::terminal::Terminal;

/// A file to write.
pub(super) struct NewFile {
    /// Where the old one is.
    pub(super) path: PathBuf,
    pub(super) content: Zeroizing<Vec<u8>>,
    /// What the user is to know of it.
    pub(super) summary: String,
}

/// Puts the new files in place of the old ones, which stay beside them: all of them or none. `done` says what was done.
///
/// Everything is written and synced before the first file changes its content. Killed between two renames it leaves some
/// files new and some old, each whole, and the old ones under their second names.
pub(super) fn replace(
    files: &[NewFile],
    done: &str,
    terminal: &mut Terminal,
) -> Result<(), CommandError> {
    let suffix = free_suffix(files);
    let backup_of = |file: &NewFile| backup(&file.path, &suffix);
    for file in files {
        output::check_absent(&backup_of(file))?;
    }
    let mut staged = Vec::with_capacity(files.len());
    for file in files {
        let one = Staged::beside(&file.path, &file.content)
            .map_err(|error| CommandError::io(&file.path, &error))?;
        staged.push(one);
    }
    for file in files {
        let backup = backup_of(file);
        keep(&file.path, &backup).map_err(|error| CommandError::io(&backup, &error))?;
    }
    put_all(files, &staged, &suffix)?;
    for (file, staged) in files.iter().zip(&staged) {
        if let Some((old, new)) = staged.replaced().owner {
            terminal.err(format!(
                "Warning: {} belonged to user {old} and now belongs to user {new}. Give it back with chown, or the node \
                 cannot read it.",
                file.path.display()
            ));
        }
        terminal.out(format!(
            "{done} {}: {}\n  the old file is {}",
            file.path.display(),
            file.summary,
            backup_of(file).display()
        ));
    }
    Ok(())
}

/// Renames one after the other; when one cannot be, those before it get their old content back.
fn put_all(files: &[NewFile], staged: &[Staged], suffix: &str) -> Result<(), CommandError> {
    for (at, one) in staged.iter().enumerate() {
        let Err(error) = one.put() else { continue };
        let mut failure = CommandError::io(&files[at].path, &error);
        let stuck: Vec<String> = files[..=at]
            .iter()
            .filter(|file| restore(&file.path, &backup(&file.path, suffix)).is_err())
            .map(|file| file.path.display().to_string())
            .collect();
        failure = match stuck.is_empty() {
            true => failure.with_hint("every file has its old content again"),
            false => failure.with_hint(format!(
                "copy the files that end in [{suffix}] over {}, which could not be given their old content back",
                stuck.join(", ")
            )),
        };
        return Err(failure);
    }
    Ok(())
}

/// Gives a file the content of its backup, which stays.
pub(super) fn restore(path: &Path, backup: &Path) -> std::io::Result<()> {
    let content = Zeroizing::new(std::fs::read(backup)?);
    replace_atomic(path, &content, 0o600).map(drop)
}

/// Returns the old contents of a file that [`replace`] kept, newest first.
pub(super) fn backups(path: &Path) -> Vec<PathBuf> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Vec::new();
    };
    let prefix = format!("{}.", name.to_string_lossy());
    let is_backup = |path: &PathBuf| {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        name.starts_with(&prefix) && name.ends_with(BACKUP)
    };
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(is_backup)
        .collect();
    // Their names begin with the time.
    found.sort_unstable_by(|a, b| b.cmp(a));
    found
}

fn free_suffix(files: &[NewFile]) -> String {
    let now = Timestamp::now().to_zoned_datetime(TimeZone::UTC);
    let stem = now.strftime(".%Y%m%d-%H%M%S").to_string();
    // Two steps may fall into one second.
    let suffixes = (1..=MAX_BACKUPS).map(|number| match number {
        1 => format!("{stem}{BACKUP}"),
        number => format!("{stem}-{number}{BACKUP}"),
    });
    let is_free = |suffix: &String| {
        files
            .iter()
            .all(|file| !backup(&file.path, suffix).exists())
    };
    suffixes.into_iter().find(is_free).unwrap_or(stem)
}

/// Gives a file a second name, so that it stays when the first name is given to another; where links
/// cannot be made, copies it.
fn keep(path: &Path, backup: &Path) -> std::io::Result<()> {
    if std::fs::hard_link(path, backup).is_ok() {
        return sync_dir(backup.parent().unwrap_or(Path::new(".")));
    }
    let content = Zeroizing::new(std::fs::read(path)?);
    write_atomic(backup, &content, 0o600)
}

fn backup(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(suffix);
    PathBuf::from(name)
}

const BACKUP: &str = ".bak";
const MAX_BACKUPS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn new_file(path: PathBuf) -> NewFile {
        NewFile {
            path,
            content: Zeroizing::new(b"new".to_vec()),
            summary: String::new(),
        }
    }

    #[test]
    fn a_file_that_cannot_be_put_in_place_leaves_all_as_they_were() {
        let dir = tempfile::tempdir().unwrap();
        let files: Vec<NewFile> = ["a", "b", "c"]
            .map(|name| new_file(dir.path().join(name)))
            .into();
        for file in &files {
            std::fs::write(&file.path, "old").unwrap();
            keep(&file.path, &backup(&file.path, ".1.bak")).unwrap();
        }
        let staged: Vec<Staged> = files
            .iter()
            .map(|file| Staged::beside(&file.path, &file.content).unwrap())
            .collect();
        // The second rename has nothing to put.
        staged[1].put().unwrap();
        std::fs::write(&files[1].path, "old").unwrap();
        let failure = put_all(&files, &staged, ".1.bak").unwrap_err();
        assert!(
            format!("{failure:?}").contains("every file has its old content again"),
            "{failure:?}"
        );
        for file in &files {
            assert_eq!(std::fs::read(&file.path).unwrap(), b"old");
        }
        drop(staged);
        let left = std::fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(left, 6, "three files and their backups");
    }

    #[test]
    fn nothing_changes_when_one_file_cannot_be_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, "old").unwrap();
        let files = [new_file(path.clone()), new_file(dir.path().join("gone/b"))];
        assert!(replace(&files, "Changed", &mut Terminal::system()).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn backups_are_found_newest_first() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "k",
            "k.20250102-000000.bak",
            "k.20260101-000000.bak",
            "other.20260101-000000.bak",
        ] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let found = backups(&dir.path().join("k"));
        let names: Vec<_> = found
            .iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap())
            .collect();
        assert_eq!(names, ["k.20260101-000000.bak", "k.20250102-000000.bak"]);
    }
}
